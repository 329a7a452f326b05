/* SendTargets and the other keys of Text Requests. */
#include "iscsi/discovery.h"

#include "login_world.h"
#include "test.h"

#include <errno.h>
#include <string.h>

static struct world world;

/* '\n' for NUL in both texts. */
static int ask(const struct text_asker *asker, const char *request, char *ret_answers,
               struct text_changes *ret_changes)
{
	AUTO_STRING struct string answers = { 0 };
	AUTO_FREE char *text = strdup(request);
	for (char *c = text; *c; c++)
		if (*c == '\n')
			*c = '\0';
	const struct text_block block = { text, strlen(request) };
	int r = text_request_answer(asker, &block, &answers, ret_changes);
	for (size_t i = 0; i < answers.len; i++)
		ret_answers[i] = answers.text[i] ? answers.text[i] : '\n';
	ret_answers[answers.len] = '\0';
	return r;
}

#define ANSWER_TARGET                                                    \
	"TargetName=" WORLD_TARGET "\nTargetAddress=10.77.0.11:3260,1\n" \
	"TargetAddress=10.77.0.12:3260,2\n"
#define ANSWER_OPEN "TargetName=" WORLD_OPEN "\nTargetAddress=10.77.0.11:3260,1\n"

static const struct {
	const char *name, *initiator;
	bool normal, by_acl;
	const char *request, *answer;
} rows[] = {
	{ "all", WORLD_CLIENT, false, false, "SendTargets=All\n", ANSWER_TARGET ANSWER_OPEN },
	{ "all, by a stranger", "iqn.x:y", false, false, "SendTargets=All\n",
	  ANSWER_TARGET ANSWER_OPEN },
	{ "all by ACL, by a stranger", "iqn.x:y", false, true, "SendTargets=All\n", ANSWER_OPEN },
	{ "all by ACL, by a client", WORLD_CLIENT, false, true, "SendTargets=All\n",
	  ANSWER_TARGET ANSWER_OPEN },
	{ "one", WORLD_CLIENT, false, false, "SendTargets=" WORLD_OPEN "\n", ANSWER_OPEN },
	{ "one in capitals", WORLD_CLIENT, false, false,
	  "SendTargets=IQN.2003-01.com.redhat.iscsi-gw:open\n", ANSWER_OPEN },
	{ "one by ACL, by a stranger", "iqn.x:y", false, true, "SendTargets=" WORLD_TARGET "\n",
	  "" },
	{ "unknown", WORLD_CLIENT, false, false, "SendTargets=iqn.no\n", "" },
	{ "empty in discovery", WORLD_CLIENT, false, false, "SendTargets=\n", "" },
	{ "empty", WORLD_CLIENT, true, false, "SendTargets=\n", ANSWER_TARGET },
	{ "all in a normal session", WORLD_CLIENT, true, false, "SendTargets=All\n",
	  ANSWER_TARGET },
	{ "its own", WORLD_CLIENT, true, true, "SendTargets=" WORLD_TARGET "\n", ANSWER_TARGET },
	{ "unknown key", WORLD_CLIENT, true, false, "FooBar=x\n", "FooBar=NotUnderstood\n" },
	{ "login's key", WORLD_CLIENT, true, false, "MaxBurstLength=65536\n",
	  "MaxBurstLength=Reject\n" },
	{ "login's key twice", WORLD_CLIENT, true, false,
	  "MaxBurstLength=65536\nMaxBurstLength=65536\n",
	  "MaxBurstLength=Reject\nMaxBurstLength=Reject\n" },
	{ "CHAP's key", WORLD_CLIENT, true, false, "CHAP_A=5\n", "CHAP_A=Reject\n" },
	{ "a target's key", WORLD_CLIENT, true, false, "TargetAlias=x\n", "TargetAlias=Reject\n" },
	{ "a segment that is too small", WORLD_CLIENT, true, false,
	  "MaxRecvDataSegmentLength=511\n", "MaxRecvDataSegmentLength=Reject\n" },
	{ "nothing", WORLD_CLIENT, true, false, "", "" },
};

TEST(a_text_request_gets_its_answer)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct text_changes changes = { .initiator_segment = 1 };
		char answers[1024];
		TEST_ROW("%s", rows[i].name);
		world_reset(&world);
		world.config.discovery_by_acl = rows[i].by_acl;
		const struct text_asker asker = { &world.config, rows[i].initiator,
			                          rows[i].normal ? &world.targets[0] : NULL,
			                          WORLD_LOCAL };
		ASSERT_EQ(ask(&asker, rows[i].request, answers, &changes), 0);
		ASSERT_STR_EQ(answers, rows[i].answer);
		ASSERT_EQ(changes.initiator_segment, 0);
		world_done(&world);
	}
}

TEST(declarations_need_no_answer)
{
	struct text_changes changes;
	char answers[1024];
	world_reset(&world);
	const struct text_asker asker = { &world.config, WORLD_CLIENT, &world.targets[0],
		                          WORLD_LOCAL };
	ASSERT_EQ(ask(&asker, "MaxRecvDataSegmentLength=65536\nInitiatorAlias=me\n", answers,
	              &changes),
	          0);
	ASSERT_STR_EQ(answers, "");
	ASSERT_EQ(changes.initiator_segment, 65536);
	ASSERT_TRUE(changes.alias_declared);
	ASSERT_STR_EQ(changes.initiator_alias, "me");
	world_done(&world);
}

TEST(a_malformed_request_is_refused_as_a_whole)
{
	static const char *const requests[] = { "SendTargets\n", "=x\n",
		                                "SendTargets=All\nSendTargets=All\n",
		                                "SendTargets=All\nnonsense" };
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		struct text_changes changes;
		char answers[1024];
		world_reset(&world);
		const struct text_asker asker = { &world.config, WORLD_CLIENT, NULL, WORLD_LOCAL };
		ASSERT_EQ(ask(&asker, requests[i], answers, &changes), -EINVAL);
		ASSERT_STR_EQ(answers, "");
		world_done(&world);
	}
}

TEST(portals_are_reported_as_the_initiator_can_reach_them)
{
	static const struct {
		const char *portal, *local, *answer;
		bool is_local;
	} portals[] = {
		{ "[fd00::1]:3260", WORLD_LOCAL, "[fd00::1]:3260,1", true },
		{ "FD00:0::1", WORLD_LOCAL, "[fd00::1]:3260,1", true },
		{ "0.0.0.0:3260", WORLD_LOCAL, "10.77.0.11:3260,1", true },
		{ "[::]:3260", "[fd00::7]:3260", "[fd00::7]:3260,1", true },
		{ "[::]:3261", WORLD_LOCAL, "10.77.0.11:3261,1", true },
		{ "0.0.0.0:3260", "[fd00::7]:3260", "", true },
		{ "0.0.0.0:3260", WORLD_LOCAL, "", false },
		{ "not an address", WORLD_LOCAL, "", true },
	};
	for (size_t i = 0; i < ARRAY_LEN(portals); i++) {
		struct text_changes changes;
		char answers[1024], wanted[256] = "TargetName=" WORLD_OPEN "\n";
		TEST_ROW("%s from %s", portals[i].portal, portals[i].local);
		world_reset(&world);
		world.addresses[0] = (char *)portals[i].portal;
		world.groups[0].local = portals[i].is_local;
		const struct text_asker asker = { &world.config, WORLD_CLIENT, NULL,
			                          portals[i].local };
		if (*portals[i].answer)
			strcat(strcat(strcat(wanted, "TargetAddress="), portals[i].answer), "\n");
		ASSERT_EQ(ask(&asker, "SendTargets=" WORLD_OPEN, answers, &changes), 0);
		ASSERT_STR_EQ(answers, wanted);
		world_done(&world);
	}
}

TEST(an_answer_is_cut_into_pieces_of_any_size)
{
	AUTO_STRING struct string answer = { 0 };
	for (int i = 0; i < 20; i++)
		string_add_bytes(&answer, "TargetName=iqn.x", 17);
	for (uint32_t max_bytes = 1; max_bytes <= answer.len + 1; max_bytes++) {
		AUTO_STRING struct string got = { 0 };
		size_t offset = 0;
		bool last = false;
		while (!last) {
			const char *piece;
			uint32_t len =
			        text_answer_piece(&answer, &offset, max_bytes, &piece, &last);
			ASSERT_TRUE(len <= max_bytes);
			ASSERT_TRUE(len == max_bytes || last);
			string_add_bytes(&got, piece, len);
		}
		ASSERT_EQ(got.len, answer.len);
		ASSERT_MEM_EQ(got.text, answer.text, got.len);
	}
}

TEST(an_empty_answer_is_one_empty_piece)
{
	const struct string answer = { 0 };
	const char *piece;
	size_t offset = 0;
	bool last = false;
	ASSERT_EQ(text_answer_piece(&answer, &offset, 512, &piece, &last), 0);
	ASSERT_TRUE(last);
}
