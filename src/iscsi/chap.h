/* CHAP: digests, the exchange of one login, and the table of challenges that are open in the whole
 * server. Secrets and digests are wiped after use; all comparisons take the same time whatever
 * differs. [RFC 1994, RFC 7143 12.1.3] */
#pragma once

#include "iscsi/text.h"

#include "base/text.h"
#include "iscsi/server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHAP_DIGEST_MAX    32
#define CHAP_CHALLENGE_MAX 1024

/* CHAP_A values [IANA ppp-numbers]. */
struct chap_algorithm {
	unsigned number;
	const char *name; /* of OpenSSL */
	uint8_t digest_len;
};
/* NULL: unknown. */
const struct chap_algorithm *chap_algorithm(unsigned number);

/* H(identifier, secret, challenge). -EOPNOTSUPP: this OpenSSL has no such digest (MD5 in FIPS
 * mode); -EIO: it failed. */
int chap_digest(const struct chap_algorithm *algorithm, uint8_t identifier, const char *secret,
                const uint8_t *challenge, size_t challenge_len, uint8_t *ret_digest) MUST_CHECK;

/* The challenges that this server has sent and that are not answered yet, of all connections: an
 * initiator that sends one of them back as its own wants us to compute its answer. Thread safe. */
struct chap_challenges;
int chap_challenges_new(size_t capacity, struct chap_challenges **ret_challenges) MUST_CHECK;
void chap_challenges_free(struct chap_challenges *challenges);
DEFINE_AUTO(chap_challenges);
size_t chap_challenges_count(struct chap_challenges *challenges);

/* Random bytes, 0 or -errno; handed in, so that tests know them. */
typedef int (*chap_random)(void *argument, uint8_t *ret_bytes, size_t len);

/* One exchange: zeroed memory plus `challenges`; it must not move while open. */
struct chap {
	struct chap_challenges *challenges; /* borrowed; may be NULL */
	const struct chap_algorithm *algorithm;
	uint8_t identifier;
	uint8_t challenge[CHAP_DIGEST_MAX]; /* as long as the digest */
	bool open;                          /* the challenge is out */
};

/* What came of a step. */
enum chap_outcome {
	CHAP_CONTINUE, /* send the answers, wait for the next step */
	CHAP_PASSED,
	CHAP_FAILED,
	CHAP_UNABLE, /* for want of memory, random bytes or a digest: not the initiator's fault */
};

/* Answers CHAP_A with CHAP_A, CHAP_I, CHAP_C: the first algorithm of the offer that works here.
 * *ret_why gets a reason for the log, constant, if it fails. */
enum chap_outcome chap_challenge(struct chap *chap, struct text_slice offer, chap_random random,
                                 void *random_argument, struct string *ret_answers,
                                 const char **ret_why);
/* Checks CHAP_N and CHAP_R of a block, and answers CHAP_I and CHAP_C if they came. */
enum chap_outcome chap_verify(struct chap *chap, const struct text_block *block,
                              const struct chap_credentials *credentials,
                              struct string *ret_answers, const char **ret_why);
/* Takes the challenge out of the table and wipes it. Any time, also twice. */
void chap_done(struct chap *chap);
