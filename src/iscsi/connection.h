/* One TCP connection: its socket on a reactor, its time-outs, and its way from accept through login
 * to full feature phase and the end. All calls on the worker's reactor. */
#pragma once

#include "iscsi/login.h"
#include "iscsi/receive.h"
#include "iscsi/session_table.h"
#include "iscsi/transmit.h"

struct session;
struct worker;

/* All that a connection costs before its login has succeeded: itself, its ring, its login. */
#define CONNECTION_MEMORY_MAX 16384

enum connection_state {
	CONNECTION_LOGIN,        /* login requests are read, one at a time */
	CONNECTION_WAITING,      /* the login waits for its target, or for an old session's end */
	CONNECTION_FULL_FEATURE, /* the session reads and answers */
	CONNECTION_CLOSING,      /* what comes is dropped; closes when all has left */
	CONNECTION_LINGERING,    /* half closed: waits for the peer to close, a second at most */
	CONNECTION_CLOSED,       /* the socket is gone; only memory is left */
};

struct connection {
	struct watch watch;
	struct worker *worker;
	enum connection_state state;
	struct list link, login_link; /* in the worker's lists */
	struct receiver rx;
	struct transmitter tx;
	struct turn_hook flush_hook;
	struct timer timer;
	uint64_t deadline_ms;  /* of the login, or of closing */
	uint64_t received_ms;  /* when the last bytes came */
	bool sent_something;   /* the peer did */
	bool throttled;        /* too much waits to be sent: nothing is read */
	uint32_t queued_bytes; /* of small PDUs that wait to be sent */
	struct message free_message;

	/* Login. */
	struct login *login;
	struct iscsi_config *config; /* the reference under the login's feet */
	struct login_response login_response;
	struct outgoing login_outgoing;
	struct session_waiter waiter;
	bool waits_for_session, login_complete;
	uint64_t wait_until_ms;

	struct session *session; /* full feature phase */

	char peer_address[PORTAL_TEXT_MAX], local_address[PORTAL_TEXT_MAX];
};

/* A socket that was accepted: owned from now on, also if this fails. */
int connection_new(struct worker *worker, int fd) MUST_CHECK;
/* Queues something; it leaves at the end of this turn. */
void connection_send(struct connection *connection, struct outgoing *outgoing);
/* Sends what the socket takes, now. */
void connection_flush(struct connection *connection);
/* What is queued is still sent, then the connection ends. */
void connection_finish(struct connection *connection);
/* Ends at once: the session loses its connection, memory goes at the end of the turn. */
void connection_close(struct connection *connection);
/* Like close, with a line in the log that says why (limited: an outsider can cause it). */
void connection_drop(struct connection *connection, const char *why);
/* Sets what the reactor watches for. */
void connection_update_watch(struct connection *connection);
/* The worker has a new snapshot: logins that wait for a target may go on. */
void connection_config_changed(struct connection *connection);

/* ---- login.c's driver, connection_login.c ---- */
void connection_login_init(struct connection *connection);
/* Frees all of it; also in the middle of a login. */
void connection_login_done(struct connection *connection);
/* Reads login requests: byte for byte what is needed, never over the end of a PDU. */
void connection_login_read(struct connection *connection);
/* The wait for a target or an old session took too long. */
void connection_login_timeout(struct connection *connection);
