/* A channel: the way of relayed commands from one of our reactors to one peer. Its connection is
 * made and made again; numbers, and what is not answered, outlive it. */
#pragma once

#include "interconnect/handshake.h"
#include "interconnect/hub.h"
#include "interconnect/message.h"
#include "interconnect/wire.h"

#define CHANNEL_WINDOW       256         /* commands at the owner */
#define CHANNEL_WINDOW_BYTES (64u << 20) /* of their data; one command always fits */
#define CHANNEL_SHARES       256         /* LUNs that meet in one have it together */
#define CHANNEL_SLOTS        512         /* commands, and task management */
#define CHANNEL_BUCKETS      1024
#define CHANNEL_DATA_MAX     0xfffffcu /* in one PDU, both directions */

enum channel_state {
	CHANNEL_DOWN, /* the timer will try again */
	CHANNEL_CONNECTING,
	CHANNEL_HELLO, /* the first login request is sent */
	CHANNEL_PROOF, /* the second */
	CHANNEL_UP,
};

enum relayed_kind {
	RELAYED_COMMAND,
	RELAYED_MANAGE,
	RELAYED_ABORT, /* these have no answer: they end when the owner has received them */
	RELAYED_NEXUS,
	RELAYED_ROW,
	RELAYED_NO_NEXUS,
	RELAYED_NO_ROW,
};

/* Something that must get to the owner exactly once. */
struct relayed {
	struct list link; /* in the channel's queue or sent; the hub's returning or free */
	struct outgoing outgoing;
	struct channel *channel;
	enum relayed_kind kind;
	bool queued;    /* COMMAND: in the queue */
	bool emitting;  /* not all of it has left */
	uint8_t share;  /* COMMAND */
	bool no_memory; /* the answer has no place: BUSY */
	uint32_t cmd_sn, itt;
	uint64_t begun_ms; /* by the interconnect's clock */
	uint64_t epoch, stamp;
	uint32_t row;                               /* handle */
	uint32_t bytes;                             /* counted in the window */
	uint32_t emitted;                           /* bytes of data */
	uint32_t have, total;                       /* bytes of the answer's data */
	uint32_t referenced_itt, referenced_cmd_sn; /* ABORT */
	enum relay_outcome outcome;                 /* while returning */
	struct scsi_task *task;                     /* COMMAND */
	struct relay_request *request;              /* MANAGE */
	char *text;                                 /* NEXUS, ROW */
	uint32_t text_len, handle;                  /* handle: NO_NEXUS */
};

/* What the commands of a LUN have of the window. */
struct channel_share {
	unsigned window, waiting; /* commands at the owner; in the queue */
	uint64_t bytes;
};

struct channel_login; /* what is needed only for a login */

struct channel {
	struct list link; /* in the hub's */
	struct hub *hub;
	struct part *part;
	struct wire wire;
	enum channel_state state;
	struct channel_login *login;
	struct timer retry;
	unsigned attempts;    /* that failed since it was up */
	unsigned short_lives; /* connections that came up and broke soon, one after another */
	uint64_t up_ms;
	uint64_t down_ms;  /* when it was up last; or its start */
	uint64_t began_ms; /* the current attempt */
	uint32_t lives;    /* how often it came up; not 0: the owner knows it */
	uint64_t stamp;    /* the owner's last */
	uint32_t cmd_sn, exp_stat_sn;
	uint32_t acknowledged;                   /* ExpCmdSN that was acted upon last */
	uint32_t unconfirmed, unconfirmed_bytes; /* answers, not confirmed to the owner */
	struct outgoing heartbeat;

	struct list queue; /* not numbered yet: task management, then commands */
	unsigned queued;   /* commands in it */
	struct list sent;  /* numbered, in order: not answered, or not known to have come */
	unsigned window;
	uint64_t window_bytes;
	struct channel_share shares[CHANNEL_SHARES];
	struct relayed *slots[CHANNEL_SLOTS];
	uint16_t free_slots[CHANNEL_SLOTS];
	unsigned free_slot_count;
	uint16_t serial;
	uint8_t small[2 + SCSI_SENSE_MAX]; /* sense that comes in */

	struct rows *rows; /* what was declared */
};

/* ---- channel.c ---- */

int channel_new(struct part *part, struct channel **ret_channel) MUST_CHECK;
/* One that was never started, or has ended. NULL is fine. */
void channel_free(struct channel *channel);
/* On the hub: begins to connect. */
void channel_start(struct channel *channel);
/* The peer can be reached: does not wait any longer for the next attempt, or for an answer to one
 * that was made when it could not. */
void channel_hasten(struct channel *channel);
/* A login that is under way begins anew. */
void channel_restart_login(struct channel *channel);
/* Frees it: what was sent comes back as RELAY_UNKNOWN, the rest as not executed. */
void channel_end(struct channel *channel);
/* Once every tick; `beat`: heartbeats are due. */
void channel_tick(struct channel *channel, bool beat);
/* After a pause of this process: nobody is called silent before one heartbeat more. */
void channel_forgive(struct channel *channel);
/* A message for the manager of the peer, lost if the channel is not up. Takes the text. */
void channel_tell(struct channel *channel, char *text);
/* Answers are to be confirmed now, without waiting for a heartbeat. */
void channel_beat(struct channel *channel);

/* ---- relayed.c ---- */

struct relayed *relayed_get(struct hub *hub, enum relayed_kind kind) MUST_CHECK;
void relayed_put(struct hub *hub, struct relayed *relayed);
/* What was not numbered goes back: the peer is lost, or it has waited for too long. */
void channel_give_back(struct channel *channel);
/* Back to its caller, later in this turn; out of the channel's lists. */
void relayed_return(struct channel *channel, struct relayed *relayed, enum relay_outcome outcome);
/* The status of a task that was not executed and may be tried again. */
void relayed_put_busy(struct scsi_task *task);
/* Gives it the next number and sends it. */
void relayed_send(struct channel *channel, struct relayed *relayed);
/* Something new: behind the commands that wait, or before them if it is task management. */
void channel_enqueue(struct channel *channel, struct relayed *relayed);
/* Numbers and sends what may go. */
void channel_pump(struct channel *channel);
/* The connection is up: what the owner has not received goes again. -EPROTO: it claims more than
 * was sent. */
int channel_resend(struct channel *channel, uint32_t exp_cmd_sn) MUST_CHECK;
/* The owner has received all before exp_cmd_sn. */
int channel_acknowledge(struct channel *channel, uint32_t exp_cmd_sn) MUST_CHECK;
/* A command or a request of task management by its tag; NULL: none. */
struct relayed *channel_find(const struct channel *channel, uint32_t itt);
/* It is answered: out of lists, window and slots. The caller puts it. */
void relayed_detach(struct channel *channel, struct relayed *relayed);
/* Its tag may be used again. */
void relayed_free_slot(struct channel *channel, const struct relayed *relayed);
/* Back to its caller, later in this turn; it is in no list of the channel any more. */
void relayed_give(struct hub *hub, struct relayed *relayed, enum relay_outcome outcome);

/* What the owner answers; the rest ends when he has received it. */
static inline bool relayed_is_answered(const struct relayed *relayed)
{
	return relayed->kind == RELAYED_COMMAND || relayed->kind == RELAYED_MANAGE;
}

/* ---- orphan.c ---- */
/* Its task or request has gone back already: only its numbers are left. */
bool relayed_is_orphan(const struct relayed *relayed);
/* Of a channel that is not up: gives back, with RELAY_UNKNOWN, what a LUN that has moved on will
 * never execute. */
void channel_leave_orphans(struct channel *channel);
void orphan_becomes_abort(struct channel *channel, struct relayed *orphan);

/* ---- relay.c ---- */

extern const struct relay_ops interconnect_relay_ops;

/* ---- rows.c ---- */

struct rows;
int rows_new(struct rows **ret_rows) MUST_CHECK;
void rows_free(struct rows *rows);
/* The handle of a row, declared to the owner before if need be. any_access: read_only does not
 * matter. */
int rows_declare(struct channel *channel, const struct nexus *nexus, const struct relay_row *row,
                 bool any_access, uint32_t *ret_handle) MUST_CHECK;
/* The nexus has ended: tells the owner, if he knows it. */
void rows_end_nexus(struct channel *channel, uint64_t serial);
/* Likewise of a LUN that it has no more. */
void rows_end_row(struct channel *channel, uint64_t serial, uint16_t number, const struct lun *lun);

/* ---- answer.c ---- */

/* A PDU of the owner in full feature phase; as struct receiver_ops. */
int answer_header(struct channel *channel);
int answer_complete(struct channel *channel);
