/* A SCSI task as a transport sees it: begin, bring the data, execute, done, release.
 * All calls on the reactor of the task's nexus; done() comes exactly once, there, never inside
 * scsi_task_begin() or scsi_task_execute(). */
#pragma once

#include "backend/backend.h"
#include "base/buffer.h"
#include "base/list.h"
#include "base/reactor.h"
#include "scsi/range_lock.h"

#include <stdbool.h>
#include <stdint.h>

#define SCSI_CDB_MAX   32
#define SCSI_SENSE_MAX 96

enum scsi_attribute { /* as in RFC 7143 11.3.1 */
	              SCSI_UNTAGGED = 0,
	              SCSI_SIMPLE = 1,
	              SCSI_ORDERED = 2,
	              SCSI_HEAD_OF_QUEUE = 3,
	              SCSI_ACA = 4,
};

enum scsi_status {
	SCSI_GOOD = 0x00,
	SCSI_CHECK_CONDITION = 0x02,
	SCSI_CONDITION_MET = 0x04,
	SCSI_BUSY = 0x08,
	SCSI_RESERVATION_CONFLICT = 0x18,
	SCSI_TASK_SET_FULL = 0x28,
	SCSI_TASK_ABORTED = 0x40,
};

enum scsi_residual { SCSI_NO_RESIDUAL, SCSI_UNDERFLOW, SCSI_OVERFLOW };

struct nexus;

struct scsi_task {
	/* Set by the transport before scsi_task_begin(), unchanged until done. */
	struct nexus *nexus;
	uint8_t lun[8];
	uint8_t cdb[SCSI_CDB_MAX];    /* zero padded */
	uint8_t cdb_len;              /* bytes that came: 16, or more with an extended CDB */
	uint8_t attribute;            /* enum scsi_attribute */
	bool wants_read, wants_write; /* R and W of the command PDU */
	uint32_t expected_len;        /* Expected Data Transfer Length, bytes */
	uint32_t tag;                 /* initiator task tag: logs and ABORT TASK */
	uint64_t epoch;               /* proxies: of the LUN's ownership; 0 otherwise */
	/* It may not run yet: also if it takes no data, it starts with scsi_task_execute() only. */
	bool deferred;
	void (*done)(struct scsi_task *task);

	/* Set by scsi_task_begin() when it answers SCSI_BEGIN_NEEDS_DATA: what to take from the
	 * initiator, <= expected_len. The transport puts a buffer of at least that many bytes into
	 * `data` and fills it; data beyond it that comes all the same is dropped. */
	uint32_t data_out_len;
	/* Data-out: from the transport. Data-in: from the device server. From the nexus' reactor's
	 * pool; put back by scsi_task_release(). */
	struct buffer *data;

	/* The result, valid in done(). */
	bool aborted; /* send nothing: the task was aborted by its own nexus, or the nexus is gone
	               */
	bool not_executed; /* proxies: nothing was done: not served here, or in another epoch */
	uint8_t status;
	uint8_t sense_len;
	uint8_t sense[SCSI_SENSE_MAX];
	uint32_t data_in_len; /* bytes of data to send, <= expected_len; 0 unless data-in */
	enum scsi_residual residual_kind;
	uint32_t residual; /* bytes */

	/* The device server's own. */
	struct scsi_task_state {
		const struct scsi_opcode *opcode;
		struct itl *itl;        /* NULL: the LUN is not mapped */
		struct list link;       /* in the itl's task list, in order of arrival */
		struct message message; /* a step that must not run inside a call */
		void (*step)(struct scsi_task *task);
		/* After the backend's part, and after all parts of a write. */
		void (*then)(struct scsi_task *task, int result);
		void (*written)(struct scsi_task *task, int result);
		struct io io;
		struct iovec iov[2];
		struct range range;
		struct list turn; /* waits to change reservations */
		int turn_result;
		uint8_t verdict; /* of an order that changes nothing: enum persistent_result */
		struct buffer *scratch; /* of the handler; put back when the task ends */
		uint64_t position;      /* of the handler: how far it is */
		uint64_t lba;
		uint32_t blocks;
		uint64_t cdb_bytes; /* that the CDB asks to move */
		uint64_t started_ms;
		uint64_t submitted_ms; /* what is with the backend; 0: nothing is */
		/* Situations of the LUN (lun_private.h): in which all checks were passed; in which
		 * it went to the backend or the relay. */
		uint64_t checked, sent;
		uint64_t sent_epoch;
		uint32_t reserved_bytes;
		uint8_t phase, abort;
		bool inside, entered;
		bool unknown;   /* executed or not, nobody can tell: hold.c */
		bool refused;   /* not executed by the owner that `sent` leads to */
		bool cancelled; /* the relay has been asked to take it off */
		bool settled;   /* changes nothing any more, and waits for tasks of others */
	} state;
};

enum scsi_begin {
	SCSI_BEGIN_NEEDS_DATA, /* bring data_out_len bytes (deferred: maybe none), then
	                          scsi_task_execute() */
	SCSI_BEGIN_STARTED,    /* nothing to bring; done() will come (with an error, maybe) */
};

/* done() may also come while the transport still collects data, when task management aborts the
 * task: data that come after it are dropped. */

/* Looks up the LUN, runs every check that the CDB allows (opcode table, unit attention, ALUA,
 * reservations, fields, range), and starts commands that take no data (unless deferred). */
enum scsi_begin scsi_task_begin(struct scsi_task *task);
/* The data is there: task->data holds data_out_len bytes. Nothing happens if the task has been
 * aborted meanwhile: done() comes anyway. */
void scsi_task_execute(struct scsi_task *task);
/* The transport gives up on a task that waits for data (Data-Out error, connection gone): done()
 * comes with aborted set. Only between SCSI_BEGIN_NEEDS_DATA and scsi_task_execute(). */
void scsi_task_cancel(struct scsi_task *task);
/* After done(), when the data has been sent: gives buffer and references back. */
void scsi_task_release(struct scsi_task *task);

/* May the command change the medium, or state that nexuses share? (Opcode table; one that is not
 * known here changes nothing.) */
bool scsi_command_changes(const uint8_t *cdb);
/* Does it go to the medium? Path checkers ask for states and sizes; this is I/O. */
bool scsi_command_uses_medium(const uint8_t *cdb);
