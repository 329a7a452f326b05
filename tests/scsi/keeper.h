/* A keeper of reservations that the test steps, and orders to try it with. */
#pragma once

#include "fixture.h"
#include "scsi/reservation_keeper.h"

#define KEEPER_HELD_MAX 16
struct keeper {
	struct reservation_keeper keeper;
	char *row;                /* what is kept; NULL: nothing */
	bool hold;                /* saves wait for keeper_complete() */
	int result;               /* of saves that are not held */
	int confirm;              /* result of confirm */
	bool hold_confirms;       /* they wait as saves do; their text is NULL */
	unsigned saves, confirms; /* that came */
	struct {
		char *text;
		void (*saved)(void *argument, int result);
		void *argument;
	} held[KEEPER_HELD_MAX];
	unsigned held_count;
};

void keeper_init(struct keeper *keeper);
void keeper_done(struct keeper *keeper);
#define AUTO_KEEPER __attribute__((cleanup(keeper_done)))
/* Ends the oldest save that waits. */
void keeper_complete(struct keeper *keeper, int result);

enum order_action {
	REGISTER,
	RESERVE,
	RELEASE,
	CLEAR,
	PREEMPT,
	PREEMPT_AND_ABORT,
	REGISTER_AND_IGNORE,
	MOVE,
};
enum { A, B }; /* the nexuses of a rig */

/* Starts a PERSISTENT RESERVE OUT; does not turn. */
void order_start(struct command *command, struct nexus *nexus, enum order_action action,
                 uint8_t type, uint64_t key, uint64_t action_key, uint8_t flags);
/* The same, and turns. */
void order_run(struct rig *rig, struct command *command, unsigned nexus, enum order_action action,
               uint8_t type, uint64_t key, uint64_t action_key);
/* RESERVE(6), which must succeed. */
void reserve6_run(struct rig *rig, struct command *command, unsigned nexus);
/* PERSISTENT RESERVE IN. */
void ask(struct rig *rig, struct command *command, unsigned nexus, uint8_t action);
/* Whether READ or WRITE of a block is let through. */
bool is_allowed(struct rig *rig, unsigned nexus, bool writes);
/* TEST UNIT READY: the unit attention, or 0. */
uint32_t attention_of(struct rig *rig, struct nexus *nexus);
/* Takes the LUN out of service, loads `text` in the given way and epoch, and serves it again. */
void rig_reload(struct rig *rig, const char *text, enum reservation_load how, uint64_t epoch);
/* Both LUNs answer every PERSISTENT RESERVE IN alike (generation: if asked for). */
void assert_same_answers(struct rig *one, struct rig *other, bool generation);
