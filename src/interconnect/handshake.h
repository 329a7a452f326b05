/* The handshake of two gateways, without I/O: two login requests and two responses. Each side shows
 * with a proof (HMAC-SHA256 with the secret of the cluster) that it belongs to the cluster. A proof
 * covers the role of who gives it, all names, both nonces and the versions, so that none can be
 * reflected, replayed or used with another peer, and no version can be talked down. The owner of
 * LUNs proves itself first; the origin of commands names the instance that it wants to reach. */
#pragma once

#include "interconnect/interconnect.h"
#include "iscsi/pdu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HANDSHAKE_NONCE_BYTES 32
#define HANDSHAKE_PROOF_BYTES 32
#define HANDSHAKE_TEXT_MAX    2048 /* bytes of text in one login PDU */
#define HANDSHAKE_REACTOR_MAX 1023

enum handshake_role { HANDSHAKE_ORIGIN, HANDSHAKE_OWNER, HANDSHAKE_ROLE_COUNT };

struct handshake_party {
	char gateway[INTERCONNECT_NAME_MAX], instance[INTERCONNECT_INSTANCE_MAX];
	uint8_t nonce[HANDSHAKE_NONCE_BYTES];
	uint8_t version_min, version_max;
};

/* All that both sides know. */
struct handshake {
	struct handshake_party party[HANDSHAKE_ROLE_COUNT];
	uint32_t reactor; /* the number of the origin's reactor */
	uint8_t version;  /* chosen by the owner */
};

/* A login PDU: header, and text of pdu_data_len() bytes. */
struct handshake_pdu {
	uint8_t bhs[BHS_BYTES];
	char text[HANDSHAKE_TEXT_MAX];
};

/* A party of this process, with a fresh nonce. -EINVAL: a name is empty or too long. */
int handshake_party_init(struct handshake_party *party, const char *gateway,
                         const char *instance) MUST_CHECK;

/* The first request; party[ORIGIN], reactor, and the names of party[OWNER] are set. */
void handshake_put_hello(const struct handshake *handshake, struct handshake_pdu *ret_pdu);
/* Fills what the request says: the origin, and the names by which it calls the owner. -EINVAL. */
int handshake_take_hello(const struct handshake_pdu *pdu,
                         struct handshake *ret_handshake) MUST_CHECK;

/* The highest version that both speak; 0: none. */
uint8_t handshake_choose_version(const struct handshake *handshake);

/* The first response: the owner's names, nonce and proof. */
int handshake_put_answer(const struct handshake *handshake, const uint8_t *secret,
                         struct handshake_pdu *ret_pdu) MUST_CHECK;
/* Completes the handshake and checks all of it. -EINVAL: malformed; -ENODEV: another gateway or
 * instance; -EPROTONOSUPPORT; -EACCES: it does not know the secret. */
int handshake_take_answer(const struct handshake_pdu *pdu, const uint8_t *secret,
                          struct handshake *handshake) MUST_CHECK;

/* The second request: the origin's proof; `resume`: it has talked over this channel before, and has
 * all answers before exp_stat_sn. */
int handshake_put_proof(const struct handshake *handshake, const uint8_t *secret, bool resume,
                        uint32_t exp_stat_sn, struct handshake_pdu *ret_pdu) MUST_CHECK;
/* -EINVAL, -EACCES. */
int handshake_take_proof(const struct handshake_pdu *pdu, const struct handshake *handshake,
                         const uint8_t *secret, bool *ret_resume,
                         uint32_t *ret_exp_stat_sn) MUST_CHECK;

/* A refusal, without text. */
void handshake_put_refusal(enum login_status status, struct handshake_pdu *ret_pdu);
static inline enum login_status handshake_status(const uint8_t *bhs)
{
	return (enum login_status)get_be16(bhs + BHS_STATUS_CLASS);
}
