/* The login phase of one connection, as a state machine without sockets, threads or clock: a login
 * request goes in, a login response and what to do come out. [RFC 7143 6.3, 11.12, 11.13]
 *
 *   login_new -> login_request ... -> LOGIN_ADMIT -> (session table) -> login_admit ->
 * LOGIN_COMPLETE |  ^ LOGIN_WAIT_READY   +- login_resume
 *
 * The deadline (login_timeout_s) is the caller's timer: it just frees the object. Before
 * authentication it costs at most LOGIN_MEMORY_MAX bytes, whatever the initiator sends. Not thread
 * safe: it belongs to the connection's reactor. */
#pragma once

#include "iscsi/chap.h"
#include "iscsi/keys.h"
#include "iscsi/pdu.h"
#include "iscsi/server.h"

#include <stdbool.h>
#include <stdint.h>

#define LOGIN_MEMORY_MAX 13312 /* object, collected text and answer together */
#define LOGIN_PDUS_MAX   32    /* requests in one login */

/* What is known of the login; filled as it goes, complete at LOGIN_ADMIT. */
struct login_result {
	char initiator_name[ISCSI_NAME_MAX + 1]; /* lower case */
	char initiator_alias[TEXT_VALUE_MAX + 1];
	uint8_t isid[6];
	uint16_t cid;
	uint16_t requested_tsih; /* 0: a new session; else the session to join or to reinstate in */
	bool discovery;
	bool authenticated;                /* by CHAP; false where none is required */
	const struct iscsi_target *target; /* in the snapshot; NULL = discovery */
	const struct iscsi_acl *acl; /* NULL = discovery, or ACLs are disabled for the target */
	uint16_t portal_group_tag;   /* 1 for discovery */
	struct login_values values;  /* at LOGIN_ADMIT */
	uint32_t send_limit;         /* the longest data segment to send to the initiator */
	uint32_t cmd_sn;             /* of the login requests: the first command has the same */
	uint32_t stat_sn; /* of the next PDU to send; after login_admit: of the first in FFP */
};

/* All borrowed, must outlive the login (the config: the caller's reference). */
struct login_environment {
	const struct iscsi_config *config;
	const char *local_address; /* of the connection, as in TargetAddress */
	struct chap_challenges
	        *challenges; /* of the server; capacity >= its connections in login */
	chap_random random_bytes;
	/* May be NULL. Asked once the initiator and target are known (names, isid, cid, tsih are
	 * set) if requested_tsih is not 0: LOGIN_SUCCESS, LOGIN_NO_SESSION, LOGIN_CANNOT_INCLUDE,
	 * LOGIN_TOO_MANY_CONNECTIONS. Must not change anything: nobody is authenticated yet. */
	enum login_status (*check_session)(void *argument, const struct login_result *result);
	void *argument; /* of both */
};

enum login_outcome {
	LOGIN_RESPOND,           /* send the response, read the next request */
	LOGIN_RESPOND_AND_CLOSE, /* send the response, close when it is delivered */
	LOGIN_CLOSE,             /* close without a word */
	LOGIN_WAIT_READY, /* no response yet; call login_resume when the target is ready, or not */
	LOGIN_ADMIT,      /* no response yet; call login_admit */
	LOGIN_COMPLETE,   /* send the response; full feature phase begins behind it */
};

/* A login response, complete: StatSN, ExpCmdSN and MaxCmdSN are set. bhs has DataSegmentLength
 * data_len; padding is the caller's. data is the login's, until the next call. */
struct login_response {
	uint8_t bhs[BHS_BYTES];
	const uint8_t *data;
	uint32_t data_len;
};

struct login;
/* -ENOMEM, or what random_bytes gives. */
int login_new(const struct login_environment *environment, struct login **ret_login) MUST_CHECK;
void login_free(struct login *login);
DEFINE_AUTO(login);

/* Where the data segment of a request whose header has come is to be put, without padding: the
 * login's own memory, until login_request(). NULL: there is none, or no room; what comes is dropped
 * then, and login_request() knows. Not while waiting. */
uint8_t *login_place(struct login *login, const uint8_t *bhs);
/* One PDU of the initiator: any, also what is not a login request; its data is in its place. For
 * AHS or DataSegmentLength > LOGIN_DATA_MAX call it with the header alone, before reading the rest:
 * the outcome is LOGIN_CLOSE. Not while waiting. */
enum login_outcome login_request(struct login *login, const uint8_t *bhs,
                                 struct login_response *ret_response);

/* After LOGIN_WAIT_READY: config is a snapshot that may be newer (kept instead of the old one); if
 * the target is still not ready in it, the login is refused with 0301. */
enum login_outcome login_resume(struct login *login, const struct iscsi_config *config,
                                struct login_response *ret_response);

/* What the session table decided. */
struct login_admission {
	enum login_status status; /* not LOGIN_SUCCESS: refused */
	uint16_t tsih;
	uint32_t exp_cmd_sn; /* of the session: result.cmd_sn if it is new */
	uint32_t max_cmd_sn; /* the window that the final response opens */
};
enum login_outcome login_admit(struct login *login, const struct login_admission *admission,
                               struct login_response *ret_response);

/* Borrowed; target and acl point into the snapshot. */
const struct login_result *login_result(const struct login *login);
/* After a refusal or LOGIN_CLOSE: the status sent (LOGIN_SUCCESS: none was) and a sentence for the
 * log. Answers of failed authentication are all alike; delaying them is up to the caller. */
enum login_status login_failure(const struct login *login, const char **ret_why);
/* The target asked for, lower case; "" = none, or not known yet. */
const char *login_target_name(const struct login *login);
