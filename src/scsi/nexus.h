/* An I_T nexus: one initiator port logged in at one target port. It owns the map from LUN numbers
 * to logical units (each entry is an I_T_L nexus) and lives on one reactor. */
#pragma once

#include "base/reactor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lun;
struct nexus;
struct scsi_task;

/* The target port, as VPD 83h and persistent reservations name it. */
struct scsi_port {
	char target_name[224]; /* iSCSI name */
	uint16_t tag;          /* portal group tag = relative target port = target port group */
};

/* One row of a nexus' LUN map. */
struct lun_mapping {
	uint16_t number; /* 0..16383 */
	struct lun *lun;
	bool read_only;
};

struct nexus_config {
	const char *initiator_name;
	uint8_t isid[6];
	const struct scsi_port *port; /* copied */
	struct reactor *reactor;
	const struct lun_mapping *mappings; /* references are taken */
	size_t mapping_count;
	/* It stands for a nexus of another gateway, whose commands come forwarded: no unit
	 * attention of its own beginning, none that the other gateway raises itself (2A/06, 3F/0E),
	 * and a command that cannot be served here ends with not_executed instead of a status. */
	bool proxy;
};

/* On config->reactor. The strings are copied. */
int nexus_new(const struct nexus_config *config, struct nexus **ret_nexus) MUST_CHECK;

/* Proxies: one more row, without a unit attention. -EEXIST: the number is taken by another LUN (the
 * same LUN: 0). */
int nexus_add_mapping(struct nexus *nexus, const struct lun_mapping *mapping) MUST_CHECK;
/* Proxies: one row less. Its tasks are aborted; what it has at the LUN ends when they have ended.
 */
void nexus_remove_mapping(struct nexus *nexus, uint16_t number);

/* Replaces the LUN map. Tasks of LUNs that go are aborted (their done() comes as always); when they
 * have ended and the references are back, changed() is called, on the reactor, never inside.
 * Raises REPORTED LUNS DATA HAS CHANGED (06/3F/0E) on the rest if anything differs.
 * A change may come before the last one has ended: changed(), the same one, comes once for both.
 */
int nexus_change_map(struct nexus *nexus, const struct lun_mapping *mappings, size_t mapping_count,
                     void (*changed)(void *argument), void *argument) MUST_CHECK;

/* I_T nexus loss: aborts all tasks of the nexus (their done() comes with aborted set, after the
 * backend has ended), releases RESERVE(6) and prevent-removal, keeps persistent reservations.
 * ended() is called when nothing is left, on the reactor, never inside; then nexus_free(). */
void nexus_stop(struct nexus *nexus, void (*ended)(void *argument), void *argument);
void nexus_free(struct nexus *nexus);

const char *nexus_initiator_name(const struct nexus *nexus);
/* Whether an initiator may have that name [RFC 7143 4.2.7]: what may not be in one is refused
 * before it gets into logs, lists, and rows, which are UTF-8. */
bool nexus_may_be_named(const char *name);
const uint8_t *nexus_isid(const struct nexus *nexus);
struct reactor *nexus_reactor(const struct nexus *nexus);
const struct scsi_port *nexus_port(const struct nexus *nexus);
/* Unlike any other nexus' of this process, ever. */
uint64_t nexus_serial(const struct nexus *nexus);
/* Tasks begun and not done. */
unsigned nexus_task_count(const struct nexus *nexus);

/* Task management [SAM-5 7, RFC 7143 11.5]; response codes as on the wire (RFC 7143 11.6.1). */
enum task_function {
	TMF_ABORT_TASK = 1,
	TMF_ABORT_TASK_SET = 2,
	TMF_CLEAR_ACA = 3,
	TMF_CLEAR_TASK_SET = 4,
	TMF_LUN_RESET = 5,
	TMF_TARGET_WARM_RESET = 6,
	TMF_TARGET_COLD_RESET = 7,
	TMF_TASK_REASSIGN = 8,
};
enum task_function_response {
	TMF_COMPLETE = 0,
	TMF_NO_TASK = 1,
	TMF_NO_LUN = 2,
	TMF_STILL_ALLEGIANT = 3,
	TMF_NO_REASSIGN = 4,
	TMF_NOT_SUPPORTED = 5,
	TMF_NOT_AUTHORIZED = 6,
	TMF_REJECTED = 255,
};

/* Embedded in the transport's request. done() comes exactly once, on the nexus' reactor, never
 * inside, and only when no affected task can change the medium any more. */
struct task_management {
	/* Set by the caller. */
	enum task_function function;
	uint8_t lun[8];
	struct scsi_task *task; /* ABORT TASK: the task found by its tag, or NULL */
	void (*done)(struct task_management *request);
	uint64_t epoch; /* proxies: of the LUN's ownership; 0 otherwise */
	/* Valid in done(). */
	bool not_executed; /* proxies: the LUN is not served here, or in another epoch */
	enum task_function_response response;
	/* The device server's own. */
	struct nexus *nexus;
	struct message message;
	unsigned waiting;
	void *private_data;
};
void nexus_manage(struct nexus *nexus, struct task_management *request);
