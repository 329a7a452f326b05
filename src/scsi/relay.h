/* The relay: the way of a command to the gateway that owns its LUN. The device server hands whole
 * tasks to it (all data is there) and gets them back with one of four outcomes; what each means for
 * the initiator is decided here, in scsi (docs/availability.md). Implemented by the interconnect.
 */
#pragma once

#include "scsi/nexus.h"
#include "scsi/task.h"

struct relay;
struct lun;
struct lun_route;

enum relay_outcome {
	RELAY_ANSWERED,     /* the task holds the owner's answer */
	RELAY_ABORTED,      /* the owner took it off, as relay_ops.cancel asked */
	RELAY_NOT_EXECUTED, /* it never was, and never will be, executed by that owner */
	RELAY_UNKNOWN,      /* its owner was fenced: executed or not, nobody can tell any more */
};

/* Task management on its way to the owner; embedded in what waits for it. */
struct relay_request {
	/* Set by the caller. */
	enum task_function function; /* not ABORT TASK: cancel() does that */
	struct nexus *nexus;         /* the requester */
	uint16_t number;             /* the LUN's, in the nexus' map */
	struct lun *lun;
	/* On the nexus' reactor, never inside manage(). */
	void (*done)(struct relay_request *request);
	/* Valid in done(). ANSWERED: response. */
	enum relay_outcome outcome;
	enum task_function_response response;
	/* The relay's own. */
	void *private_data;
};

struct relay_ops {
	/* All on the reactor of the nexus. */

	/* The LUN is FORWARDED along `route`. The task's data (task->data, data_out_len bytes)
	 * stays untouched until scsi_task_relayed(), which comes exactly once, never inside.
	 * Data-in: the relay takes task->data from the reactor's pool, and fills in status, sense,
	 * data_in_len, residual. A connection that breaks is the relay's business: it finds out
	 * what became of the command, however long that takes. */
	void (*begin)(struct relay *relay, struct scsi_task *task, const struct lun_route *route);
	/* The task was aborted: ask the owner to take it off. scsi_task_relayed() still comes. */
	void (*cancel)(struct relay *relay, struct scsi_task *task);
	void (*manage)(struct relay *relay, struct relay_request *request,
	               const struct lun_route *route);
	/* The nexus has ended; no task of it is left. Its proxies at the owners end too. */
	void (*nexus_ended)(struct relay *relay, uint64_t nexus_serial);
	/* Likewise of one LUN, which is not in the map of its nexus any more. */
	void (*row_ended)(struct relay *relay, uint64_t nexus_serial, uint16_t number,
	                  const struct lun *lun);
};

struct relay {
	const struct relay_ops *ops;
};

/* The row of its nexus' LUN map by which a task came: what the relay tells the owner of it. In
 * begin() and until scsi_task_relayed(). */
struct relay_row {
	struct lun *lun; /* no reference of its own */
	uint16_t number;
	bool read_only;
};
void relay_row_of_task(const struct scsi_task *task, struct relay_row *ret_row);

/* The relay gives a task back. */
void scsi_task_relayed(struct scsi_task *task, enum relay_outcome outcome);
