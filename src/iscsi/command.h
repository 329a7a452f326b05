/* A SCSI command on the wire: from the Command PDU over its data to the response. It wraps one
 * task of the device server. [RFC 7143 11.3, 11.4, 11.7, 11.8] */
#pragma once

#include "iscsi/barrier.h"
#include "iscsi/transmit.h"
#include "scsi/task.h"

#include <stdbool.h>
#include <stdint.h>

struct session;
struct worker;

/* ASC and ASCQ of the transport's own sense [RFC 7143 11.4.7.2, SPC-4]. */
#define SENSE_UNEXPECTED_UNSOLICITED_DATA 0x0c0c
#define SENSE_WRONG_UNSOLICITED_DATA      0x0c0d
#define SENSE_DATA_PHASE_ERROR            0x4b00
#define SENSE_INVALID_FIELD_IN_CDB        0x2400

enum command_state {
	COMMAND_COLLECTING, /* the device server wants data that is not complete */
	COMMAND_WAITING,    /* all is there, but it may have come late */
	COMMAND_EXECUTING,  /* the device server has it */
	COMMAND_ANSWERING,  /* the result is known: data, status */
};

struct command {
	struct scsi_task task;
	struct outgoing outgoing; /* queued for R2Ts, later for Data-In and the response */
	struct session *session;
	struct list link;            /* in the session's list; free: in the worker's */
	struct list memory_link;     /* waits for a buffer */
	struct waiter waiter;        /* behind the barrier */
	struct command *bucket_next; /* by initiator task tag */
	enum command_state state;
	uint32_t itt, cmd_sn;
	uint16_t serial;  /* upper half of its target transfer tags */
	bool numbered;    /* counted by the window until answered */
	bool immediate;   /* counted in session->immediate_count */
	bool begun;       /* the device server knows the task */
	bool receiving;   /* a PDU's data is on its way into the buffer */
	bool unsolicited; /* unsolicited Data-Out is still to come */
	bool refused;     /* the transport ends it, with its own status */
	uint8_t own_status, own_sense_key;
	uint16_t own_asc_ascq;
	bool ends_connection; /* the response is the last word */
	bool large;           /* counted in session->large_transfers */

	/* Data-out. */
	uint32_t have;         /* bytes that came, from offset 0 on without gaps */
	uint32_t data_sn;      /* next DataSN of the current sequence */
	uint32_t sequence_end; /* offset where the current solicited sequence ends */
	uint32_t r2t_next;     /* offset up to which data was asked for */
	uint32_t r2t_sn;       /* R2Ts sent */
	uint32_t sequences;    /* solicited sequences that came whole */
	uint64_t data_ms;      /* when data was asked for or came last */
	uint64_t r2t_ms;       /* not later than the last R2T; this and the next: of boot_clock */
	uint64_t alive_ms;     /* its initiator still stood by it later than this */

	/* Data-in. */
	uint32_t sent;       /* bytes of data emitted */
	uint32_t data_in_sn; /* Data-In PDUs emitted */
	uint32_t burst_left;

	uint64_t charged;                  /* bytes counted in worker->data_bytes */
	uint8_t sense[2 + SCSI_SENSE_MAX]; /* SenseLength, sense */
};

struct command *command_find(const struct session *session, uint32_t itt);
/* A new one in the session's lists. NULL: no memory. */
struct command *command_new(struct session *session, uint32_t itt) MUST_CHECK;
/* Takes it out of everything and back to the pool. */
void command_end(struct command *command);
/* Frees the worker's pool. */
void command_pool_done(struct worker *worker);

/* Something has changed (data came, a sequence ended, the task is done): takes the next step. */
void command_progress(struct command *command);
/* Ends it with a status of the transport's own; sense key 0: none. */
void command_refuse(struct command *command, enum scsi_status status, uint8_t sense_key,
                    uint16_t asc_ascq);
/* No more data is read for the session: nothing waits for it any longer. */
void command_stop_all(struct session *session);
/* A buffer for len bytes, counted; false: memory is short now. */
bool command_take_buffer(struct command *command, uint32_t len) MUST_CHECK;
/* The device server's answer. */
void command_done(struct scsi_task *task);

/* ---- data_out.c ---- */
/* Asks for the rest of the data, as far as memory and MaxOutstandingR2T allow. */
void data_out_solicit(struct command *command);
/* Commands that wait for memory may try again. */
void data_out_retry(struct worker *worker);
bool data_out_emit_r2t(struct command *command, struct tx_slot *slot);
void data_out_ended(struct command *command);

/* ---- response.c ---- */
bool response_emit(struct command *command, struct tx_slot *slot);
