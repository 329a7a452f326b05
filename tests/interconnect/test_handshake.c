/* The handshake without a network: who gets in, with which version, and who does not. */
#include "interconnect/handshake.h"
#include "test.h"

#include <errno.h>
#include <string.h>

static const uint8_t secret[INTERCONNECT_SECRET_BYTES] = { 1, 2, 3 };

/* Both sides of one handshake. */
struct pair {
	struct handshake origin, owner;
	struct handshake_pdu pdu;
};

static void prepare(struct pair *pair)
{
	memset(pair, 0, sizeof *pair);
	struct handshake_party *party = pair->origin.party;
	ASSERT_EQ(handshake_party_init(&party[HANDSHAKE_ORIGIN], "gw1", "abc"), 0);
	strcpy(party[HANDSHAKE_OWNER].gateway, "gw2");
	strcpy(party[HANDSHAKE_OWNER].instance, "xyz");
	pair->origin.reactor = 5;
}

/* Up to the owner's answer. */
static int hello(struct pair *pair, const uint8_t *owner_secret)
{
	struct handshake_party owner;
	handshake_put_hello(&pair->origin, &pair->pdu);
	int r = handshake_take_hello(&pair->pdu, &pair->owner);
	if (r < 0)
		return r;
	ASSERT_EQ(handshake_party_init(&owner, "gw2", "xyz"), 0);
	owner.version_min = pair->owner.party[HANDSHAKE_OWNER].version_min;
	pair->owner.party[HANDSHAKE_OWNER] = owner;
	pair->owner.party[HANDSHAKE_OWNER].version_min = INTERCONNECT_VERSION_MIN;
	pair->owner.version = handshake_choose_version(&pair->owner);
	ASSERT_EQ(handshake_put_answer(&pair->owner, owner_secret, &pair->pdu), 0);
	return handshake_take_answer(&pair->pdu, secret, &pair->origin);
}

static int proof(struct pair *pair, bool *ret_resume, uint32_t *ret_exp_stat_sn)
{
	ASSERT_EQ(handshake_put_proof(&pair->origin, secret, true, 77, &pair->pdu), 0);
	return handshake_take_proof(&pair->pdu, &pair->owner, secret, ret_resume, ret_exp_stat_sn);
}

TEST(two_gateways_of_one_cluster_agree)
{
	struct pair pair;
	bool resume = false;
	uint32_t exp_stat_sn = 0;
	prepare(&pair);
	ASSERT_EQ(hello(&pair, secret), 0);
	ASSERT_EQ(proof(&pair, &resume, &exp_stat_sn), 0);
	ASSERT_TRUE(resume);
	ASSERT_EQ(exp_stat_sn, 77);
	ASSERT_EQ(pair.owner.reactor, 5);
	ASSERT_EQ(pair.owner.version, 1);
	ASSERT_STR_EQ(pair.owner.party[HANDSHAKE_ORIGIN].gateway, "gw1");
	ASSERT_STR_EQ(pair.owner.party[HANDSHAKE_ORIGIN].instance, "abc");
	ASSERT_MEM_EQ(&pair.owner.party, &pair.origin.party, sizeof pair.owner.party);
}

TEST(versions_are_the_highest_that_both_speak)
{
	static const struct {
		uint8_t min[2], max[2], version;
	} rows[] = {
		{ { 1, 1 }, { 1, 1 }, 1 }, { { 1, 1 }, { 2, 1 }, 1 }, { { 1, 1 }, { 1, 2 }, 1 },
		{ { 1, 1 }, { 2, 2 }, 2 }, { { 2, 1 }, { 3, 2 }, 2 }, { { 2, 1 }, { 3, 1 }, 0 },
		{ { 1, 2 }, { 1, 3 }, 0 }, { { 3, 1 }, { 2, 9 }, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%zu", i);
		struct handshake handshake = { 0 };
		for (unsigned k = 0; k < 2; k++) {
			handshake.party[k].version_min = rows[i].min[k];
			handshake.party[k].version_max = rows[i].max[k];
		}
		ASSERT_EQ(handshake_choose_version(&handshake), rows[i].version);
	}
}

TEST(a_version_cannot_be_talked_down)
{
	struct pair pair;
	prepare(&pair);
	pair.origin.party[HANDSHAKE_ORIGIN].version_max = 2;
	handshake_put_hello(&pair.origin, &pair.pdu);
	pair.pdu.bhs[BHS_VERSION_MAX] = 1; /* somebody on the way */
	ASSERT_EQ(handshake_take_hello(&pair.pdu, &pair.owner), 0);
	ASSERT_EQ(handshake_party_init(&pair.owner.party[HANDSHAKE_OWNER], "gw2", "xyz"), 0);
	pair.owner.version = 1;
	ASSERT_EQ(handshake_put_answer(&pair.owner, secret, &pair.pdu), 0);
	ASSERT_EQ(handshake_take_answer(&pair.pdu, secret, &pair.origin), -EACCES);
}

TEST(an_owner_of_another_cluster_or_name_is_not_believed)
{
	static const uint8_t other[INTERCONNECT_SECRET_BYTES] = { 1, 2, 4 };
	struct pair pair;
	prepare(&pair);
	ASSERT_EQ(hello(&pair, other), -EACCES);
	prepare(&pair);
	strcpy(pair.origin.party[HANDSHAKE_OWNER].instance, "old");
	ASSERT_EQ(hello(&pair, secret), -ENODEV);
	prepare(&pair);
	strcpy(pair.origin.party[HANDSHAKE_OWNER].gateway, "gw3");
	ASSERT_EQ(hello(&pair, secret), -ENODEV);
}

TEST(a_proof_is_of_use_for_its_own_handshake_only)
{
	struct pair pair, other;
	struct handshake_pdu answer;
	bool resume;
	uint32_t exp_stat_sn;
	prepare(&pair);
	ASSERT_EQ(hello(&pair, secret), 0);
	answer = pair.pdu;
	/* Reflected: the owner's proof is not the origin's. */
	ASSERT_EQ(handshake_put_proof(&pair.origin, secret, false, 1, &pair.pdu), 0);
	char *mine = memmem(pair.pdu.text, sizeof pair.pdu.text, "Proof=", 6);
	char *its = memmem(answer.text, sizeof answer.text, "Proof=", 6);
	ASSERT_NOT_NULL(mine);
	ASSERT_NOT_NULL(its);
	memcpy(mine, its, 6 + 2 + 64);
	ASSERT_EQ(handshake_take_proof(&pair.pdu, &pair.owner, secret, &resume, &exp_stat_sn),
	          -EACCES);
	/* Replayed: with other nonces it says nothing. */
	ASSERT_EQ(handshake_put_proof(&pair.origin, secret, false, 1, &pair.pdu), 0);
	prepare(&other);
	ASSERT_EQ(hello(&other, secret), 0);
	ASSERT_EQ(handshake_take_proof(&pair.pdu, &other.owner, secret, &resume, &exp_stat_sn),
	          -EACCES);
	ASSERT_EQ(handshake_take_proof(&pair.pdu, &pair.owner, secret, &resume, &exp_stat_sn), 0);
	/* For another reactor, or another name. */
	pair.owner.reactor++;
	ASSERT_EQ(handshake_take_proof(&pair.pdu, &pair.owner, secret, &resume, &exp_stat_sn),
	          -EACCES);
	pair.owner.reactor--;
	pair.owner.party[HANDSHAKE_ORIGIN].instance[0]++;
	ASSERT_EQ(handshake_take_proof(&pair.pdu, &pair.owner, secret, &resume, &exp_stat_sn),
	          -EACCES);
}

TEST(torn_requests_are_refused)
{
	struct pair pair;
	bool resume;
	uint32_t exp_stat_sn;
	prepare(&pair);
	handshake_put_hello(&pair.origin, &pair.pdu);
	uint32_t len = pdu_data_len(pair.pdu.bhs);
	for (uint32_t cut = 0; cut + 2 < len; cut++) { /* a digit less is another nonce */
		pdu_put_data_len(pair.pdu.bhs, cut);
		ASSERT_EQ(handshake_take_hello(&pair.pdu, &pair.owner), -EINVAL);
	}
	pdu_put_data_len(pair.pdu.bhs, HANDSHAKE_TEXT_MAX + 1);
	ASSERT_EQ(handshake_take_hello(&pair.pdu, &pair.owner), -EINVAL);
	prepare(&pair);
	ASSERT_EQ(hello(&pair, secret), 0);
	ASSERT_EQ(handshake_put_proof(&pair.origin, secret, false, 1, &pair.pdu), 0);
	len = pdu_data_len(pair.pdu.bhs);
	for (uint32_t cut = 0; cut + 1 < len; cut++) {
		pdu_put_data_len(pair.pdu.bhs, cut);
		ASSERT_EQ(
		        handshake_take_proof(&pair.pdu, &pair.owner, secret, &resume, &exp_stat_sn),
		        -EINVAL);
	}
	struct handshake_party party;
	char name[INTERCONNECT_NAME_MAX + 1];
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	ASSERT_EQ(handshake_party_init(&party, name, "a"), -EINVAL);
	ASSERT_EQ(handshake_party_init(&party, "a", ""), -EINVAL);
	name[INTERCONNECT_NAME_MAX - 1] = '\0';
	ASSERT_EQ(handshake_party_init(&party, name, "a"), 0);
}
