/* Gateways in one process, stepped by the test: their reactors turn and their clock moves only when
 * told to. Each has a LUN object for the same disk; one of them owns it. Connections go through a
 * cutter, which a test may tell to break them at any byte. */
#pragma once

#include "backend/backend.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/reactor.h"
#include "interconnect/interconnect.h"
#include "scsi/lun.h"
#include "scsi/nexus.h"
#include "scsi/task.h"
#include "test.h"

#include <stdatomic.h>
#include <stdbool.h>

#define WORLD_GATEWAYS_MAX 3
#define WORLD_REACTORS     2
#define WORLD_BLOCK        512u
#define WORLD_BYTES        (64u << 20)
#define WORLD_BLOCKS       (WORLD_BYTES / WORLD_BLOCK)
#define HELD_MAX           512

/* A disk in memory that counts writes of each block and can keep requests. */
struct disk {
	struct backend backend;
	uint8_t *memory;
	uint8_t *writes; /* of each block */
	bool hold;
	int fail; /* the result of every request, if not 0 */
	struct io *held[HELD_MAX];
	unsigned held_count;
	atomic_uint count;
};
void disk_release(struct disk *disk);

/* A TCP connection in the middle, which forwards bytes. */
#define CUTTER_LINKS 32
struct cutter {
	int listener;
	char to[64], address[64];
	struct cutter_link {
		int fd[2]; /* 0: from who connected; 1: to whom; -1: closed */
		uint8_t pending[2][65536];
		size_t len[2], at[2];
	} links[CUTTER_LINKS];
	bool refuse;   /* new connections are reset */
	bool stalled;  /* nothing is forwarded */
	unsigned only; /* of links, the others are stalled; 0: all */
	bool reset;    /* a cut is a reset, else an orderly end of both */
	bool armed[2];
	size_t left[2]; /* bytes of this direction until all links are cut, once */
	size_t passed[2];
	unsigned cuts;
};

struct told_text {
	char gateway[INTERCONNECT_NAME_MAX];
	char text[256];
};

struct gateway {
	char name[16], instance[16];
	uint8_t version_max;
	struct reactor *manager;
	struct reactor *reactors[WORLD_REACTORS];
	struct interconnect_listener listener;
	struct interconnect *interconnect;
	struct interconnect_config config;
	struct cutter cutter; /* in front of it */
	struct disk disk, second_disk;
	struct lun *lun, *second; /* second: NULL, or "rbd/disk_2" */
	struct scsi_port port;
	bool no_lun; /* find_lun finds nothing */
	bool stopping, stopped, paused;
	uint64_t forwarded_ms;
	unsigned changes, unproven;
	struct peer_info changed; /* last */
	struct told_text told;
	unsigned told_count;
};

struct world {
	struct gateway gateways[WORLD_GATEWAYS_MAX];
	unsigned count;
	bool threaded; /* the reactors have threads of their own now, but for the managers */
};

extern uint64_t world_now_ms;
extern bool world_real_time;                          /* for threads */
extern unsigned world_silence_ms, world_age_max_ms;   /* of gateways to come; 0: as usual */
extern uint8_t world_version_max[WORLD_GATEWAYS_MAX]; /* likewise */
uint64_t world_clock(void);

/* The last of `count` gateways owns the disk, in epoch 7; all are connected to each other. */
struct world *world_new(unsigned count);
/* The same without peers: gateways are alone. */
struct world *world_new_alone(unsigned count);
void world_free(struct world *world);
DEFINE_AUTO(world);
/* One turn of everything; time stands. */
void world_turn(struct world *world);
/* Milliseconds go by, with turns. */
void world_pass(struct world *world, unsigned ms);
uint32_t world_connect(struct world *world, unsigned from, unsigned to);
/* A second LUN, as number 4 of nexuses to come, of the same owner. */
void world_add_lun(struct world *world);
extern uint8_t world_lun; /* that commands to come are for: 3, or 4 */
void world_forward(struct world *world, unsigned from, unsigned to, uint64_t epoch);
/* Begins a stop: gateway->stopped becomes true. */
void world_stop_start(struct world *world, unsigned gateway);
void world_stop(struct world *world, unsigned gateway);
/* After a stop: its next life. */
void world_start(struct world *world, unsigned gateway);
enum peer_state world_peer(const struct world *world, unsigned from, uint32_t id,
                           struct peer_info *ret_info);
struct nexus *world_nexus(struct world *world, unsigned gateway, unsigned reactor, uint8_t isid);
void world_nexus_end(struct world *world, struct nexus *nexus);

/* A cut of all connections to this gateway after so many bytes of one direction (0: requests, 1:
 * answers). */
void cutter_arm(struct cutter *cutter, unsigned direction, size_t bytes);
void cutter_cut(struct cutter *cutter);

/* A command with what becomes of it. */
struct command {
	struct scsi_task task;
	unsigned done; /* how often */
	uint8_t *in;   /* a copy of data-in */
};
void command_start(struct command *command, struct nexus *nexus, const uint8_t *cdb, size_t cdb_len,
                   int64_t expected, const void *out);
void command_free(struct command *command);
void write_start(struct command *command, struct nexus *nexus, uint32_t lba, uint32_t blocks,
                 uint8_t fill);
void read_start(struct command *command, struct nexus *nexus, uint32_t lba, uint32_t blocks);
/* Turns until it is done. */
void command_wait(struct world *world, const struct command *command);
void assert_good(const struct command *command);
void assert_sense(const struct command *command, uint32_t code);

#define CDB(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

/* Turns, and lets time go by, until the condition holds. */
#define EVENTUALLY(world, condition)                                         \
	do {                                                                 \
		uint64_t until_ = clock_monotonic_ms() + 60000;              \
		for (unsigned turns_ = 0; !(condition); turns_++) {          \
			if (clock_monotonic_ms() > until_)                   \
				fail_msg("never came true: %s", #condition); \
			world_turn(world);                                   \
			world_now_ms += turns_ % 4 == 3;                     \
		}                                                            \
	} while (0)
