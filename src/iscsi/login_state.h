/* The inside of a login, shared by its two halves: login.c moves PDUs, login_steps.c reads their
 * text. Nobody else includes this. */
#pragma once

#include "iscsi/address.h"
#include "iscsi/login.h"

#include <stdbool.h>
#include <stdint.h>

#define LOGIN_TEXT_MAX 8192 /* of one C-bit chain of requests */

enum login_authentication {
	AUTHENTICATION_OPEN,       /* nothing was said about it */
	AUTHENTICATION_NONE,       /* agreed: none */
	AUTHENTICATION_CHAP,       /* agreed: CHAP; CHAP_A comes next */
	AUTHENTICATION_CHALLENGED, /* CHAP_N and CHAP_R come next */
	AUTHENTICATION_PASSED,
};

enum login_wait { WAIT_REQUEST, WAIT_READY, WAIT_ADMISSION, WAIT_NOTHING };

struct login {
	struct login_environment environment;
	struct login_result result;
	struct portal_address local;
	char target_name[ISCSI_NAME_MAX + 1];
	enum login_wait wait;
	enum login_stage stage;
	enum login_authentication authentication;
	struct keys_negotiation keys;
	struct chap chap;

	/* The requests. */
	unsigned pdu_count;
	uint32_t itt;
	uint8_t flags;   /* of the last request */
	bool identified; /* the first whole text was read */
	/* Received in place, collected over a C-bit chain, kept while waiting. */
	char *text;
	size_t text_len, text_room;
	uint32_t placed; /* bytes behind text_len that the request at hand fills */

	/* The answer: what was not sent yet is sent piece by piece. */
	struct string answers;
	size_t answers_sent;
	bool tag_sent;   /* TargetPortalGroupTag */
	bool blames_key; /* answers is `key=Reject`, to go with the refusal */

	enum login_status failure;
	char why[160];
};

/* Notes why the login fails; returns status. */
enum login_status login_fail(struct login *login, enum login_status status, const char *format, ...)
        PRINTF_LIKE(3, 4);

enum login_step {
	STEP_DONE,   /* login->answers is the answer */
	STEP_FAILED, /* login_fail() was called */
	STEP_WAIT,   /* the target is not ready */
};
/* Reads a whole text. */
enum login_step login_take_text(struct login *login, const struct text_block *block);
/* Goes on with the text that was kept, in a snapshot that may be newer. */
enum login_step login_take_text_again(struct login *login, const struct text_block *block);
/* May the login leave the security stage? */
bool login_is_authenticated(const struct login *login);
