/* CHAP: digests, the exchange, reflection. */
#include "iscsi/chap.h"

#include "iscsi/keys.h"

#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct chap_credentials one_way = { "user", "secretsecret12", "", "" };
static const struct chap_credentials mutual = { "user", "secretsecret12", "target",
	                                        "othersecret34" };

static int count_up(void *argument, uint8_t *ret_bytes, size_t len)
{
	uint8_t *next = argument;
	for (size_t i = 0; i < len; i++)
		ret_bytes[i] = (*next)++;
	return 0;
}

static struct text_slice slice(const char *text)
{
	return (struct text_slice){ text, strlen(text) };
}

/* What the target sent: `key=value` with NULs. */
static const char *value_of(const struct string *answers, const char *key)
{
	static char value[256];
	struct text_slice found;
	const struct text_block block = { answers->text, answers->len };
	if (!text_block_find(&block, key, &found))
		return "";
	assert_int_equal(text_slice_copy(found, value, sizeof(value)), 0);
	return value;
}

/* Challenge bytes count up from 1, the identifier is 0. */
static void challenge(struct chap *chap, const char *offer)
{
	AUTO_STRING struct string answers = { 0 };
	uint8_t next = 0;
	const char *why = "";
	ASSERT_EQ(chap_challenge(chap, slice(offer), count_up, &next, &answers, &why),
	          CHAP_CONTINUE);
}

/* Response text of the honest initiator, in hex, or base64. */
static void honest_response(const struct chap *chap, bool base64, char *ret_text)
{
	uint8_t digest[CHAP_DIGEST_MAX];
	ASSERT_EQ(chap_digest(chap->algorithm, chap->identifier, one_way.secret, chap->challenge,
	                      chap->algorithm->digest_len, digest),
	          0);
	strcpy(ret_text, base64 ? "0b" : "0x");
	if (base64)
		text_put_base64(digest, chap->algorithm->digest_len, ret_text + 2);
	else
		text_put_hex(digest, chap->algorithm->digest_len, ret_text + 2);
}

/* text with '|' for NUL, %s is the honest response. */
static enum chap_outcome verify(struct chap *chap, const struct chap_credentials *credentials,
                                const char *format, bool base64, struct string *ret_answers)
{
	char response[128], text[4096];
	const char *why = "";
	honest_response(chap, base64, response);
	snprintf(text, sizeof(text), format, response);
	size_t len = strlen(text);
	for (size_t i = 0; i < len; i++)
		if (text[i] == '|')
			text[i] = '\0';
	const struct text_block block = { text, len };
	enum chap_outcome outcome = chap_verify(chap, &block, credentials, ret_answers, &why);
	ASSERT_TRUE(outcome == CHAP_PASSED || *why);
	return outcome;
}

TEST(digests_are_those_of_the_algorithms)
{
	static const struct {
		unsigned number;
		const char *digest;
	} rows[] = {
		{ 5, "98d034a2632563c39c5f8e75171b9bf9" },
		{ 6, "876485f5c77bf9fdfb70ef1fbd7c7d3b9a569a56" },
		{ 7, "ca552a484f41a7531da251ed8c0f0566b58eb2e090f27defd5fb883528c63352" },
		{ 8, "b2a8102eeeb8dcb3c4f95f2d176cd7980542c2bac5a77929726a3781e36d0de9" },
	};
	uint8_t bytes[16];
	for (uint8_t i = 0; i < 16; i++)
		bytes[i] = i;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t digest[CHAP_DIGEST_MAX];
		char text[2 * CHAP_DIGEST_MAX + 1];
		TEST_ROW("%u", rows[i].number);
		const struct chap_algorithm *algorithm = chap_algorithm(rows[i].number);
		ASSERT_EQ(chap_digest(algorithm, 0x27, "secretsecret12", bytes, 16, digest), 0);
		text_put_hex(digest, algorithm->digest_len, text);
		ASSERT_STR_EQ(text, rows[i].digest);
	}
	ASSERT_NULL(chap_algorithm(4));
	ASSERT_NULL(chap_algorithm(56));
}

TEST(the_first_algorithm_of_the_offer_that_is_known_is_taken)
{
	static const struct {
		const char *offer, *chosen;
		size_t challenge_chars;
	} rows[] = {
		{ "5", "5", 34 },       { "7,5", "7", 66 }, { "5,7", "5", 34 },
		{ "8,7,6,5", "8", 66 }, { "6", "6", 42 },   { "99,56,6", "6", 42 },
		{ "x,5", "5", 34 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct chap chap = { 0 };
		AUTO_STRING struct string answers = { 0 };
		uint8_t next = 0;
		const char *why = "";
		TEST_ROW("%s", rows[i].offer);
		ASSERT_EQ(chap_challenge(&chap, slice(rows[i].offer), count_up, &next, &answers,
		                         &why),
		          CHAP_CONTINUE);
		ASSERT_STR_EQ(value_of(&answers, "CHAP_A"), rows[i].chosen);
		ASSERT_STR_EQ(value_of(&answers, "CHAP_I"), "0");
		const char *sent = value_of(&answers, "CHAP_C");
		ASSERT_EQ(strlen(sent), rows[i].challenge_chars);
		ASSERT_TRUE(strncmp(sent, "0x0102030405", 12) == 0);
		chap_done(&chap);
	}
}

TEST(an_offer_without_a_known_algorithm_fails)
{
	static const char *const offers[] = { "", "56", "4", "5 ", "05x", ",", "MD5", "-5" };
	for (size_t i = 0; i < ARRAY_LEN(offers); i++) {
		struct chap chap = { 0 };
		AUTO_STRING struct string answers = { 0 };
		uint8_t next = 0;
		const char *why = "";
		TEST_ROW("%s", offers[i]);
		ASSERT_EQ(chap_challenge(&chap, slice(offers[i]), count_up, &next, &answers, &why),
		          CHAP_FAILED);
		ASSERT_EQ(answers.len, 0);
		ASSERT_TRUE(*why);
	}
}

static const struct {
	const char *offer;
	const struct chap_credentials *credentials;
	const char *text; /* %s: the honest response */
	bool base64;
	enum chap_outcome outcome;
} responses[] = {
	{ "5", &one_way, "CHAP_N=user|CHAP_R=%s|", false, CHAP_PASSED },
	{ "5", &one_way, "CHAP_R=%s|CHAP_N=user", false, CHAP_PASSED },
	{ "6", &one_way, "CHAP_N=user|CHAP_R=%s|", false, CHAP_PASSED },
	{ "7", &one_way, "CHAP_N=user|CHAP_R=%s|", false, CHAP_PASSED },
	{ "8", &one_way, "CHAP_N=user|CHAP_R=%s|", false, CHAP_PASSED },
	{ "5", &one_way, "CHAP_N=user|CHAP_R=%s|", true, CHAP_PASSED },
	{ "6", &one_way, "CHAP_N=user|CHAP_R=%s|", true, CHAP_PASSED },
	{ "7", &one_way, "CHAP_N=user|CHAP_R=%s|", true, CHAP_PASSED },
	{ "8", &one_way, "CHAP_N=user|CHAP_R=%s|", true, CHAP_PASSED },
	{ "5", &one_way, "CHAP_N=User|CHAP_R=%s|", false, CHAP_FAILED },
	{ "5", &one_way, "CHAP_N=|CHAP_R=%s|", false, CHAP_FAILED },
	{ "5", &one_way, "CHAP_N=userr|CHAP_R=%s|", false, CHAP_FAILED },
	{ "5", &one_way, "CHAP_R=%s|", false, CHAP_FAILED },
	{ "5", &one_way, "CHAP_N=user|", false, CHAP_FAILED },
	{ "5", &one_way, "CHAP_N=user|CHAP_R=0x00112233445566778899aabbccddeeff|", false,
	  CHAP_FAILED },
	{ "5", &one_way, "CHAP_N=user|CHAP_R=%s00|", false, CHAP_FAILED },
	{ "5", &one_way, "CHAP_N=user|CHAP_R=0b%s|", false, CHAP_FAILED },
	{ "5", &one_way, "CHAP_N=user|CHAP_R=%sAAAA|", true, CHAP_FAILED },
	{ "5", &one_way, "CHAP_N=user|CHAP_R=|", false, CHAP_FAILED },
	{ "5", &one_way, "CHAP_N=user|CHAP_R=0x|", false, CHAP_FAILED },
	/* mutual */
	{ "5", &mutual, "CHAP_N=user|CHAP_R=%s|", false, CHAP_PASSED },
	{ "5", &mutual, "CHAP_N=user|CHAP_R=%s|CHAP_I=17|CHAP_C=0xaabbcc|", false, CHAP_PASSED },
	{ "8", &mutual, "CHAP_N=user|CHAP_R=%s|CHAP_I=0x11|CHAP_C=0bqrvM|", true, CHAP_PASSED },
	{ "5", &one_way, "CHAP_N=user|CHAP_R=%s|CHAP_I=17|CHAP_C=0xaabbcc|", false, CHAP_FAILED },
	{ "5", &mutual, "CHAP_N=user|CHAP_R=%s|CHAP_I=17|", false, CHAP_FAILED },
	{ "5", &mutual, "CHAP_N=user|CHAP_R=%s|CHAP_C=0xaabbcc|", false, CHAP_FAILED },
	{ "5", &mutual, "CHAP_N=user|CHAP_R=%s|CHAP_I=256|CHAP_C=0xaabbcc|", false, CHAP_FAILED },
	{ "5", &mutual, "CHAP_N=user|CHAP_R=%s|CHAP_I=1|CHAP_C=0x|", false, CHAP_FAILED },
	{ "5", &mutual, "CHAP_N=user|CHAP_R=%s|CHAP_I=1|CHAP_C=aabb|", false, CHAP_FAILED },
	{ "5", &mutual, "CHAP_N=user|CHAP_R=%s|CHAP_I=1|CHAP_C=0x0102030405060708090a0b0c0d0e0f10|",
	  false, CHAP_FAILED },
};

TEST(a_response_passes_only_if_all_of_it_is_right)
{
	for (size_t i = 0; i < ARRAY_LEN(responses); i++) {
		struct chap chap = { 0 };
		AUTO_STRING struct string answers = { 0 };
		TEST_ROW("%zu: %s", i, responses[i].text);
		challenge(&chap, responses[i].offer);
		ASSERT_EQ(verify(&chap, responses[i].credentials, responses[i].text,
		                 responses[i].base64, &answers),
		          responses[i].outcome);
		if (responses[i].outcome == CHAP_FAILED)
			ASSERT_EQ(answers.len, 0);
		ASSERT_FALSE(chap.open);
	}
}

TEST(the_target_proves_itself_with_its_own_secret)
{
	struct chap chap = { 0 };
	AUTO_STRING struct string answers = { 0 };
	uint8_t digest[CHAP_DIGEST_MAX];
	char wanted[2 * CHAP_DIGEST_MAX + 3] = "0x";
	challenge(&chap, "5");
	ASSERT_EQ(verify(&chap, &mutual, "CHAP_N=user|CHAP_R=%s|CHAP_I=17|CHAP_C=0xaabbcc|", false,
	                 &answers),
	          CHAP_PASSED);
	ASSERT_EQ(chap_digest(chap_algorithm(5), 17, "othersecret34",
	                      (const uint8_t *)"\xaa\xbb\xcc", 3, digest),
	          0);
	text_put_hex(digest, 16, wanted + 2);
	ASSERT_STR_EQ(value_of(&answers, "CHAP_N"), "target");
	ASSERT_STR_EQ(value_of(&answers, "CHAP_R"), wanted);
}

TEST(user_names_that_look_like_numbers_are_names)
{
	static const char *const names[] = { "0xuser", "0buser", "0x41", "17", "a,b" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct chap_credentials credentials = one_way;
		struct chap chap = { 0 };
		AUTO_STRING struct string answers = { 0 };
		char text[128];
		TEST_ROW("%s", names[i]);
		strcpy(credentials.user_name, names[i]);
		snprintf(text, sizeof(text), "CHAP_N=%s|CHAP_R=%%s|", names[i]);
		challenge(&chap, "5");
		ASSERT_EQ(verify(&chap, &credentials, text, false, &answers), CHAP_PASSED);
	}
}

TEST(a_challenge_of_1024_bytes_is_taken_and_no_longer_one)
{
	for (int bytes = 1024; bytes <= 1025; bytes++) {
		struct chap chap = { 0 };
		AUTO_STRING struct string answers = { 0 };
		char text[4096] = "CHAP_N=user|CHAP_R=%s|CHAP_I=1|CHAP_C=0x";
		memset(text + strlen(text), 'a', 2 * (size_t)bytes);
		challenge(&chap, "5");
		ASSERT_EQ(verify(&chap, &mutual, text, false, &answers),
		          bytes == 1024 ? CHAP_PASSED : CHAP_FAILED);
	}
}

TEST(a_challenge_serves_once)
{
	struct chap chap = { 0 };
	AUTO_STRING struct string answers = { 0 };
	const char *why = "";
	uint8_t next = 0;
	challenge(&chap, "5");
	ASSERT_EQ(verify(&chap, &one_way, "CHAP_N=user|CHAP_R=%s|", false, &answers), CHAP_PASSED);
	ASSERT_EQ(verify(&chap, &one_way, "CHAP_N=user|CHAP_R=%s|", false, &answers), CHAP_FAILED);
	ASSERT_EQ(chap_challenge(&chap, slice("5"), count_up, &next, &answers, &why), CHAP_FAILED);
}

TEST(a_challenge_of_another_connection_is_not_answered)
{
	AUTO(chap_challenges) struct chap_challenges *table = NULL;
	AUTO_STRING struct string answers = { 0 };
	uint8_t next = 100;
	const char *why = "";
	char text[256] = "CHAP_N=user|CHAP_R=%s|CHAP_I=1|CHAP_C=0x";
	ASSERT_EQ(chap_challenges_new(3, &table), 0);
	struct chap victim = { .challenges = table }, attacker = { .challenges = table };
	ASSERT_EQ(chap_challenge(&victim, slice("5"), count_up, &next, &answers, &why),
	          CHAP_CONTINUE);
	text_put_hex(victim.challenge, 16, text + strlen(text));
	challenge(&attacker, "5");
	string_clear(&answers);
	ASSERT_EQ(verify(&attacker, &mutual, text, false, &answers), CHAP_FAILED);
	ASSERT_EQ(answers.len, 0);

	/* Once it is answered, it is a challenge like any other. */
	ASSERT_EQ(chap_challenges_count(table), 1);
	chap_done(&victim);
	chap_done(&victim);
	ASSERT_EQ(chap_challenges_count(table), 0);
	struct chap late = { .challenges = table };
	challenge(&late, "5");
	ASSERT_EQ(verify(&late, &mutual, text, false, &answers), CHAP_PASSED);
}

TEST(no_challenge_goes_out_that_could_not_be_remembered)
{
	AUTO(chap_challenges) struct chap_challenges *table = NULL;
	AUTO_STRING struct string answers = { 0 };
	const char *why = "";
	uint8_t next = 0;
	ASSERT_EQ(chap_challenges_new(1, &table), 0);
	struct chap first = { .challenges = table }, second = { .challenges = table };
	challenge(&first, "5");
	ASSERT_EQ(chap_challenge(&second, slice("5"), count_up, &next, &answers, &why),
	          CHAP_UNABLE);
	chap_done(&second);
	ASSERT_EQ(chap_challenges_count(table), 1);
	chap_done(&first);
}
