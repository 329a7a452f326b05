/* CHAP as a target plays it. An initiator learns nothing from a failure: user name and response are
 * both checked in full, whichever is wrong. [RFC 7143 12.1.3] */
#include "iscsi/chap.h"

#include "iscsi/keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const struct chap_algorithm algorithms[] = {
	{ .number = 5, .name = "MD5", .digest_len = 16 },
	{ .number = 6, .name = "SHA1", .digest_len = 20 },
	{ .number = 7, .name = "SHA256", .digest_len = 32 },
	{ .number = 8, .name = "SHA3-256", .digest_len = 32 },
};

const struct chap_algorithm *chap_algorithm(unsigned number)
{
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++)
		if (algorithms[i].number == number)
			return &algorithms[i];
	return NULL;
}

int chap_digest(const struct chap_algorithm *algorithm, uint8_t identifier, const char *secret,
                const uint8_t *challenge, size_t challenge_len, uint8_t *ret_digest)
{
	EVP_MD *md = EVP_MD_fetch(NULL, algorithm->name, NULL);
	if (!md)
		return -EOPNOTSUPP;
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool done = context && EVP_DigestInit_ex(context, md, NULL) &&
	            EVP_DigestUpdate(context, &identifier, 1) &&
	            EVP_DigestUpdate(context, secret, strlen(secret)) &&
	            EVP_DigestUpdate(context, challenge, challenge_len) &&
	            EVP_DigestFinal_ex(context, digest, &len) && len == algorithm->digest_len;
	EVP_MD_CTX_free(context);
	EVP_MD_free(md);
	if (done)
		memcpy(ret_digest, digest, len);
	wipe(digest, sizeof(digest));
	return done ? 0 : -EIO;
}

/* ---- challenges of the whole server ---- */

struct challenge_row {
	const struct chap *owner; /* NULL: free */
	uint8_t len;
	uint8_t bytes[CHAP_DIGEST_MAX];
};

struct chap_challenges {
	pthread_mutex_t lock; /* guards all below */
	size_t capacity, count;
	struct challenge_row rows[];
};

int chap_challenges_new(size_t capacity, struct chap_challenges **ret_challenges)
{
	struct chap_challenges *challenges =
	        calloc(1, sizeof(*challenges) + capacity * sizeof(challenges->rows[0]));
	if (!challenges)
		return -ENOMEM;
	challenges->capacity = capacity;
	pthread_mutex_init(&challenges->lock, NULL);
	*ret_challenges = challenges;
	return 0;
}

void chap_challenges_free(struct chap_challenges *challenges)
{
	if (!challenges)
		return;
	pthread_mutex_destroy(&challenges->lock);
	free(challenges);
}

size_t chap_challenges_count(struct chap_challenges *challenges)
{
	pthread_mutex_lock(&challenges->lock);
	size_t count = challenges->count;
	pthread_mutex_unlock(&challenges->lock);
	return count;
}

/* The row of an owner, or a free one for NULL. */
static struct challenge_row *find_row(struct chap_challenges *challenges, const struct chap *owner)
{
	for (size_t i = 0; i < challenges->capacity; i++)
		if (challenges->rows[i].owner == owner)
			return &challenges->rows[i];
	return NULL;
}

static int challenges_add(struct chap_challenges *challenges, const struct chap *owner)
{
	if (!challenges)
		return 0;
	pthread_mutex_lock(&challenges->lock);
	struct challenge_row *row = find_row(challenges, NULL);
	if (row) {
		*row = (struct challenge_row){ owner, owner->algorithm->digest_len, { 0 } };
		memcpy(row->bytes, owner->challenge, row->len);
		challenges->count++;
	}
	pthread_mutex_unlock(&challenges->lock);
	return row ? 0 : -ENOSPC;
}

static void challenges_remove(struct chap_challenges *challenges, const struct chap *owner)
{
	if (!challenges)
		return;
	pthread_mutex_lock(&challenges->lock);
	struct challenge_row *row = find_row(challenges, owner);
	if (row) {
		*row = (struct challenge_row){ 0 };
		challenges->count--;
	}
	pthread_mutex_unlock(&challenges->lock);
}

static bool challenges_contain(struct chap_challenges *challenges, const uint8_t *bytes, size_t len)
{
	if (!challenges)
		return false;
	bool found = false;
	pthread_mutex_lock(&challenges->lock);
	for (size_t i = 0; i < challenges->capacity && !found; i++) {
		const struct challenge_row *row = &challenges->rows[i];
		found = row->owner && row->len == len && memcmp(row->bytes, bytes, len) == 0;
	}
	pthread_mutex_unlock(&challenges->lock);
	return found;
}

/* ---- the exchange ---- */

static enum chap_outcome outcome(enum chap_outcome what, const char *why, const char **ret_why)
{
	*ret_why = why;
	return what;
}

static void add_binary(struct string *answers, const char *key, const uint8_t *data, size_t len)
{
	char text[2 + 2 * CHAP_DIGEST_MAX + 1] = "0x"; /* libiscsi reads hex only */
	text_put_hex(data, len, text + 2);
	keys_add(answers, key, text);
	wipe(text, sizeof(text));
}

static bool works(const struct chap_algorithm *algorithm)
{
	EVP_MD *md = EVP_MD_fetch(NULL, algorithm->name, NULL);
	EVP_MD_free(md);
	return md != NULL;
}

/* The initiator's list is in its order of preference. *ret_known: one of ours was in it. */
static const struct chap_algorithm *choose(struct text_slice offer, bool *ret_known)
{
	struct text_slice element;
	*ret_known = false;
	while (text_slice_next_element(&offer, &element)) {
		uint64_t number;
		if (text_slice_number(element, 0, UINT32_MAX, &number) < 0)
			continue;
		const struct chap_algorithm *algorithm = chap_algorithm((unsigned)number);
		*ret_known = *ret_known || algorithm;
		if (algorithm && works(algorithm))
			return algorithm;
	}
	return NULL;
}

enum chap_outcome chap_challenge(struct chap *chap, struct text_slice offer, chap_random random,
                                 void *random_argument, struct string *ret_answers,
                                 const char **ret_why)
{
	bool known;
	if (chap->algorithm)
		return outcome(CHAP_FAILED, "CHAP_A came twice", ret_why);
	const struct chap_algorithm *algorithm = choose(offer, &known);
	if (!algorithm && known)
		return outcome(CHAP_UNABLE,
		               "this system's OpenSSL does not offer the CHAP digest that the "
		               "initiator wants (FIPS mode lacks MD5): offer SHA-256 at the "
		               "initiator",
		               ret_why);
	if (!algorithm)
		return outcome(CHAP_FAILED, "no CHAP algorithm in common", ret_why);

	if (random(random_argument, &chap->identifier, 1) < 0 ||
	    random(random_argument, chap->challenge, algorithm->digest_len) < 0)
		return outcome(CHAP_UNABLE, "no random bytes for the CHAP challenge", ret_why);
	chap->algorithm = algorithm;
	if (challenges_add(chap->challenges, chap) < 0)
		return outcome(CHAP_UNABLE, "too many CHAP logins at once", ret_why);
	chap->open = true;
	keys_add_number(ret_answers, "CHAP_A", algorithm->number);
	keys_add_number(ret_answers, "CHAP_I", chap->identifier);
	add_binary(ret_answers, "CHAP_C", chap->challenge, algorithm->digest_len);
	return CHAP_CONTINUE;
}

/* Both are compared to their full room, so that the time says nothing. User names are taken
 * literally: one that starts with 0x is no number. */
static bool same_user(struct text_slice name, const char *user_name)
{
	char given[CHAP_TEXT_MAX + 1] = { 0 }, wanted[CHAP_TEXT_MAX + 1] = { 0 };
	if (text_slice_copy(name, given, sizeof(given)) < 0)
		return false;
	memcpy(wanted, user_name, strnlen(user_name, CHAP_TEXT_MAX));
	return CRYPTO_memcmp(given, wanted, sizeof(given)) == 0;
}

static enum chap_outcome check_initiator(const struct chap *chap, const struct text_block *block,
                                         const struct chap_credentials *credentials,
                                         const char **ret_why)
{
	struct text_slice name, response;
	uint8_t given[CHAP_DIGEST_MAX], wanted[CHAP_DIGEST_MAX];
	size_t len = 0, digest_len = chap->algorithm->digest_len;
	if (!text_block_find(block, "CHAP_N", &name) ||
	    !text_block_find(block, "CHAP_R", &response))
		return outcome(CHAP_FAILED, "CHAP_N or CHAP_R is missing", ret_why);
	if (text_slice_binary(response, given, sizeof(given), &len) < 0 || len != digest_len)
		return outcome(CHAP_FAILED, "CHAP_R is malformed", ret_why);
	if (chap_digest(chap->algorithm, chap->identifier, credentials->secret, chap->challenge,
	                digest_len, wanted) < 0)
		return outcome(CHAP_UNABLE, "OpenSSL could not compute the CHAP digest", ret_why);

	bool user_ok = same_user(name, credentials->user_name);
	bool secret_ok = CRYPTO_memcmp(given, wanted, digest_len) == 0;
	wipe(wanted, sizeof(wanted));
	if (!(user_ok & secret_ok))
		return outcome(CHAP_FAILED, "wrong CHAP user name or secret", ret_why);
	return CHAP_PASSED;
}

/* Our own proof, if the initiator wants one. */
static enum chap_outcome answer_initiator(const struct chap *chap, const struct text_block *block,
                                          const struct chap_credentials *credentials,
                                          struct string *answers, const char **ret_why)
{
	struct text_slice identifier_text, challenge_text;
	bool has_identifier = text_block_find(block, "CHAP_I", &identifier_text);
	bool has_challenge = text_block_find(block, "CHAP_C", &challenge_text);
	uint8_t challenge[CHAP_CHALLENGE_MAX], digest[CHAP_DIGEST_MAX];
	uint64_t identifier;
	size_t len;

	if (!has_identifier && !has_challenge)
		return CHAP_PASSED;
	if (!has_identifier || !has_challenge)
		return outcome(CHAP_FAILED, "CHAP_I without CHAP_C, or the reverse", ret_why);
	if (!*credentials->mutual_user_name || !*credentials->mutual_secret)
		return outcome(CHAP_FAILED,
		               "the initiator wants mutual CHAP, for which no mutual user name and "
		               "password are configured here",
		               ret_why);
	if (text_slice_number(identifier_text, 0, 255, &identifier) < 0 ||
	    text_slice_binary(challenge_text, challenge, sizeof(challenge), &len) < 0 || len == 0)
		return outcome(CHAP_FAILED, "CHAP_I or CHAP_C is malformed", ret_why);
	if ((len == chap->algorithm->digest_len && memcmp(challenge, chap->challenge, len) == 0) ||
	    challenges_contain(chap->challenges, challenge, len))
		return outcome(CHAP_FAILED, "the initiator sent our own challenge back: an attack",
		               ret_why);
	if (chap_digest(chap->algorithm, (uint8_t)identifier, credentials->mutual_secret, challenge,
	                len, digest) < 0)
		return outcome(CHAP_UNABLE, "OpenSSL could not compute the CHAP digest", ret_why);
	keys_add(answers, "CHAP_N", credentials->mutual_user_name);
	add_binary(answers, "CHAP_R", digest, chap->algorithm->digest_len);
	wipe(digest, sizeof(digest));
	return CHAP_PASSED;
}

enum chap_outcome chap_verify(struct chap *chap, const struct text_block *block,
                              const struct chap_credentials *credentials,
                              struct string *ret_answers, const char **ret_why)
{
	if (!chap->open)
		return outcome(CHAP_FAILED, "a CHAP response without a challenge", ret_why);
	enum chap_outcome result = check_initiator(chap, block, credentials, ret_why);
	if (result == CHAP_PASSED)
		result = answer_initiator(chap, block, credentials, ret_answers, ret_why);
	chap_done(chap); /* a challenge serves once */
	return result;
}

void chap_done(struct chap *chap)
{
	if (chap->open)
		challenges_remove(chap->challenges, chap);
	chap->open = false;
	wipe(chap->challenge, sizeof(chap->challenge));
}
