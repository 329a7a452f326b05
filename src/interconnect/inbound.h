/* A channel from a peer, as this side sees it: proxies of its nexuses, its commands that run here,
 * and the answers that it has not confirmed. It outlives its connection until the peer's instance
 * is forgotten or followed by another. */
#pragma once

#include "interconnect/handshake.h"
#include "interconnect/hub.h"
#include "interconnect/message.h"
#include "interconnect/wire.h"
#include "scsi/task.h"

/* What a peer may have open here: its window, and answers that it confirms late. */
#define INBOUND_COMMANDS_MAX 1024
#define INBOUND_BYTES_MAX    (192u << 20)
#define INBOUND_HANDLES_MAX  (1u << 20)
#define INBOUNDS_MAX         1024 /* on a hub */

enum executed_state {
	EXECUTED_COLLECTING, /* its data is coming in */
	EXECUTED_RUNNING,
	EXECUTED_ANSWERED,
};

struct inbound;
struct proxy;
struct proxy_row;

/* A command of a peer, or a request of task management. */
struct executed {
	struct list link; /* in the inbound's lists; the hub's free */
	struct outgoing outgoing;
	struct inbound *inbound;
	enum executed_state state;
	bool is_management;
	bool begun;    /* the device server has the task */
	bool aborting; /* `management` is under way for the task */
	bool emitting; /* not all of the answer has left */
	bool refused;  /* BUSY, whatever the device server says */
	bool over;     /* the answer is of no use any more; freed when `aborting` ends */
	uint32_t itt, cmd_sn, stat_sn;
	uint32_t have;               /* bytes of data-out that came */
	uint32_t emitted;            /* bytes of data-in */
	uint32_t charged;            /* in inbound->bytes */
	uint8_t response;            /* enum message_response, or of task management */
	enum task_function function; /* is_management */
	struct message_command message;
	struct proxy_row *row; /* NULL: its nexus has ended */
	struct proxy *proxy;   /* held for `management` */
	struct buffer *data;   /* out, then in */
	struct task_management management;
	struct scsi_task task;
	uint8_t sense[2 + SCSI_SENSE_MAX]; /* as it is sent */
};

struct inbound {
	struct list link;
	struct hub *hub;
	char gateway[INTERCONNECT_NAME_MAX], instance[INTERCONNECT_INSTANCE_MAX];
	uint32_t reactor; /* the peer's number for it */
	struct wire wire;
	struct wire_note login;
	struct outgoing heartbeat;
	uint64_t stamp; /* of the peer, last */
	uint32_t exp_cmd_sn, stat_sn;
	struct list running; /* also those that collect */
	struct list answers; /* kept until they are confirmed, by StatSN */
	unsigned running_count, count;
	uint64_t bytes;
	struct executed *incoming; /* its data is still to come */
	struct buffer *text;       /* of a PDU that is coming in */
	struct proxy **proxies;    /* by handle */
	struct proxy_row **rows;   /* by handle */
	uint32_t proxies_size, rows_size;
	unsigned proxies_ending;
	bool dropped; /* ends when nothing is left */
	struct message end;
};

/* ---- inbound.c ---- */

/* A peer has proved itself and its connection was brought to this hub. */
struct arrival {
	struct message message;
	struct hub *hub;
	struct handshake handshake;
	bool resume;
	uint32_t exp_stat_sn;
	int fd;
};
void inbound_arrive(struct message *message);

/* Ends what there is of this instance; of other instances of the gateway. */
void inbounds_forget(struct hub *hub, const char *gateway, const char *instance);
void inbounds_supersede(struct hub *hub, const char *gateway, const char *instance);
void inbounds_tick(struct hub *hub, bool beat);
/* After a pause of this process: nobody was silent. */
void inbounds_forgive(struct hub *hub);
/* Nothing new is executed; each ends when its answers have left. */
void inbounds_stop(struct hub *hub);
/* Something of it has ended. */
void inbound_check_end(struct inbound *inbound);
/* The connection is of no use any more; what runs goes on. */
void inbound_drop_wire(struct inbound *inbound, const char *why);

/* ---- request.c: PDUs of the origin ---- */

int request_header(struct inbound *inbound);
int request_complete(struct inbound *inbound);

/* ---- execute.c ---- */

/* A new one in `running`; NULL: no memory, or more than a peer may have. */
struct executed *executed_new(struct inbound *inbound) MUST_CHECK;
/* Gives everything back. */
void executed_free(struct executed *executed);
/* All of the command is there. */
void executed_run(struct executed *executed);
void executed_manage(struct executed *executed);
/* ABORT TASK. */
void executed_abort(struct inbound *inbound, uint32_t itt, uint32_t cmd_sn);
/* The origin has the answers before exp_stat_sn. -EPROTO: they were not even sent. */
int executed_confirm(struct inbound *inbound, uint32_t exp_stat_sn) MUST_CHECK;
/* A new connection: answers that are kept go again. */
void executed_resend(struct inbound *inbound);
/* Nobody will take the answers that are kept. */
void executed_drop_answers(struct inbound *inbound);

/* ---- proxy.c ---- */

int proxy_declare(struct inbound *inbound, const struct message_nexus *nexus) MUST_CHECK;
int proxy_declare_row(struct inbound *inbound, const struct message_row *row) MUST_CHECK;
void proxy_end(struct inbound *inbound, uint32_t handle);
/* Ends all; inbound->proxies_ending counts down. */
void proxies_end(struct inbound *inbound);
void proxies_done(struct inbound *inbound);
void proxy_row_end(struct inbound *inbound, uint32_t handle);
struct proxy_row *proxy_row_get(const struct inbound *inbound, uint32_t handle);
/* The row of the proxy's map. -ENOENT: this gateway has no such LUN now. */
int proxy_row_resolve(struct proxy_row *row, struct nexus **ret_nexus,
                      uint16_t *ret_number) MUST_CHECK;
/* Task management is under way: its nexus stays until that is released. */
struct proxy *proxy_hold(const struct proxy_row *row);
void proxy_release(struct proxy *proxy);
/* It did not run here: next time the LUN is looked for anew. */
void proxy_row_mistrust(struct proxy_row *row);
