/* One session with its one connection in full feature phase: numbering, commands, what the
 * snapshot says of it. Lives on one reactor; outlives its connection until every task has ended. */
#pragma once

#include "iscsi/connection.h"
#include "iscsi/freshness.h"
#include "iscsi/login.h"
#include "iscsi/server.h"
#include "iscsi/session_table.h"
#include "iscsi/window.h"
#include "scsi/nexus.h"

struct apply;
struct command;
struct control;
struct held_pdu;
struct pdu_rule;
struct text_exchange;

#define COMMAND_BUCKETS 256 /* a power of two */

struct session {
	struct session_entry entry; /* in the server's table */
	struct worker *worker;
	struct list link;              /* in the worker's list */
	struct connection *connection; /* NULL: lost */
	struct nexus *nexus;           /* NULL: discovery, or ended */
	struct iscsi_config *config;   /* own reference */
	const struct iscsi_target *target;
	const struct iscsi_acl *acl;
	char initiator_alias[TEXT_VALUE_MAX + 1];

	/* Negotiated. */
	struct login_values values;
	uint32_t send_limit; /* longest data segment to the initiator */

	/* Numbers. */
	struct command_window window;
	uint32_t stat_sn;
	uint16_t command_serial; /* upper half of target transfer tags */
	uint32_t ping_serial;

	/* The PDU that is being received. */
	const struct pdu_rule *rule; /* NULL: dropped */
	struct command *receiving;   /* its data goes into this command's buffer */
	struct buffer *pdu_data;     /* data of PDUs other than of commands */

	struct list commands; /* all of struct command */
	struct command *buckets[COMMAND_BUCKETS];
	unsigned command_count, immediate_count;
	unsigned large_transfers; /* commands with R2Ts open for much data */
	unsigned management_count;
	struct list held;         /* PDUs that came too early */
	struct held_pdu *holding; /* the one being received */
	unsigned held_bytes, held_count;
	uint64_t held_since_ms;
	struct text_exchange *text;

	/* NOP-In. */
	bool ping_open;
	uint64_t ping_sent_ms;

	/* Commands that may have come late (barrier.h). */
	struct freshness freshness;
	struct list waiting;       /* of struct waiter, in the order in which they were ready */
	uint64_t waiting_since_ms; /* of boot_clock: only a later sign of life lets them pass */
	uint64_t waiting_until_ms; /* of the reactor: then the connection is given up */

	/* The end. */
	bool stopping;
	bool ended;                      /* the nexus */
	bool removed;                    /* out of everything, freed soon */
	struct control *logout_response; /* waits for the nexus to end */
	struct message end_message;

	/* Following the snapshot. */
	bool map_changing;
	struct list apply_waits; /* told when map_changing is over or the nexus has ended */
};

/* ---- life, session.c ---- */
/* Not yet in the table, no nexus: the login driver does the rest. */
int session_new(struct connection *connection, const struct login_result *login,
                struct session **ret_session) MUST_CHECK;
/* One that never came into the table. */
void session_discard(struct session *session);
/* From the final login response on. */
int session_start(struct session *session, uint32_t exp_cmd_sn) MUST_CHECK;
/* The connection is gone: I_T nexus loss. */
void session_connection_lost(struct session *session);
/* Aborts all tasks; the session's place is free then. It stays until they have ended. */
void session_stop(struct session *session);
/* Async "will drop", then the end. */
void session_expel(struct session *session, const char *why);
/* Something ended: frees the session if it was the last. */
void session_check_end(struct session *session);

/* Looks at the session's deadlines. Returns when to look again. */
uint64_t session_check_time(struct session *session, uint64_t now_ms);
bool session_expects_large_data(const struct session *session);

/* What belongs into every response: StatSN (advanced if the PDU counts), ExpCmdSN, MaxCmdSN. */
void session_put_sn(struct session *session, uint8_t *bhs, bool advance_stat_sn);
/* A numbered command is answered. */
void session_give_back(struct session *session);
/* A numbered command is gone without an answer. */
void session_give_back_unanswered(struct session *session);

/* ---- dispatch, dispatch.c ---- */
extern const struct receiver_ops session_receiver_ops;
/* Takes a PDU as if it had just come in; for those that were held back. */
int session_replay(struct session *session, uint8_t *header, const uint8_t *data,
                   uint32_t len) MUST_CHECK;
/* Gets session->pdu_data for the data segment that follows. */
int session_place_data(struct session *session, uint8_t *bhs) MUST_CHECK;

/* ---- following the snapshot, session_apply.c ---- */
/* The worker has a new snapshot. What is not in force at once is waited for by apply. */
void session_follow(struct session *session, struct iscsi_config *config, struct apply *apply);
void session_apply_waits_done(struct session *session);
bool session_credentials_equal(const struct chap_credentials *a, const struct chap_credentials *b);
/* Would a login that was granted by target and acl be granted the same by config? */
bool session_rights_equal(const struct iscsi_target *target, const struct iscsi_acl *acl,
                          const struct iscsi_config *config, const char *initiator_name,
                          const char *local_address);

/* How a PDU of each opcode is taken in full feature phase. Return 0 or -errno: stop receiving. */
struct pdu_rule {
	/* The header is there: says where the data goes. NULL: the data must be absent. */
	int (*begin)(struct session *session, uint8_t *bhs);
	/* All of it is there and intact. NULL: begin did everything. */
	int (*end)(struct session *session, uint8_t *bhs);
	bool known;
	bool numbered;     /* carries CmdSN */
	bool in_discovery; /* legal in a discovery session */
	bool survives_bad_digest;
};

/* ---- one function or two for each kind of PDU ---- */
int command_begin(struct session *session, uint8_t *bhs);
int command_end_of_pdu(struct session *session, uint8_t *bhs);
int data_out_begin(struct session *session, uint8_t *bhs);
int data_out_end(struct session *session, uint8_t *bhs);
int management_end(struct session *session, uint8_t *bhs);
int nop_out_end(struct session *session, uint8_t *bhs);
int text_request_end(struct session *session, uint8_t *bhs);
int logout_end(struct session *session, uint8_t *bhs);
int snack_end(struct session *session, uint8_t *bhs);
int login_in_full_feature(struct session *session, uint8_t *bhs);
