/* A small configuration and a scripted initiator, for tests of the login phase. Texts are written
 * with '\n' where the wire has NUL. */
#pragma once

#include "iscsi/login.h"

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

#define WORLD_TARGET    "iqn.2003-01.com.redhat.iscsi-gw:iscsi-igw"
#define WORLD_OPEN      "iqn.2003-01.com.redhat.iscsi-gw:open"
#define WORLD_CLIENT    "iqn.1994-05.com.redhat:rh7-client"
#define WORLD_NO_CHAP   "iqn.1994-05.com.redhat:nochap"
#define WORLD_MUTUAL    "iqn.1994-05.com.redhat:mutual"
#define WORLD_USER      "myusername"
#define WORLD_SECRET    "mypassword12"
#define WORLD_MU_USER   "mytgtusername"
#define WORLD_MU_SECRET "mytgtpassword"
#define WORLD_LOCAL     "10.77.0.11:3260"

/* Two targets: WORLD_TARGET with ACLs (a client with CHAP, one without, one with mutual CHAP;
 * groups 1 = 10.77.0.11, local, and 2 = 10.77.0.12) and WORLD_OPEN without ACLs (group 1). May be
 * changed by the test; made anew by world_reset(). */
struct world {
	struct iscsi_config config;
	struct iscsi_target targets[2]; /* [0] the one with ACLs, [1] the open one */
	struct iscsi_acl acls[3];       /* [0] mutual, [1] nochap, [2] client */
	struct iscsi_portal_group groups[2];
	char *addresses[2];
	uint8_t next_random; /* random bytes count up from here */
	struct chap_challenges *challenges;
	struct login_environment environment;
	enum login_status session_status; /* what check_session says */

	/* The scripted initiator. */
	struct login *login;
	uint16_t tsih;
	enum login_outcome outcome;
	struct login_response response;
	char text[16384]; /* of the response, '\n' for NUL */
};

void world_reset(struct world *world);
void world_done(struct world *world);
/* A new connection in place of the old one. */
void world_connect(struct world *world);

/* Sends a login request with these flags and this text, keeps outcome, response and text. */
enum login_outcome world_send(struct world *world, uint8_t flags, const char *text);
enum login_outcome world_send_bytes(struct world *world, uint8_t flags, const void *data,
                                    uint32_t len);
/* After LOGIN_ADMIT: a new session with TSIH 7 and a window of 128. */
enum login_outcome world_admit(struct world *world, enum login_status status);
/* Fills `text` from the response; the calls above do it. */
void world_keep_text(struct world *world);
uint8_t world_flags(const struct world *world);
enum login_status world_status(const struct world *world);
/* The value of a key in the last response, "" if it is not there; until the next call. */
const char *world_value(const struct world *world, const char *key);
/* "CHAP_N=...\nCHAP_R=...\n" for the challenge of the last response; base64 if asked. */
const char *world_chap_answer(const struct world *world, unsigned algorithm, const char *user,
                              const char *secret, bool base64);

/* Flags of byte 1. */
#define S0      0x00 /* security stage */
#define S0_TO_1 0x81
#define S0_TO_3 0x83
#define S1      0x04 /* operational stage */
#define S1_TO_3 0x87
