/* The login phase: stages, statuses, C bit, waiting, admission. What each initiator sends is in
 * test_login_profiles.c. */
#include "login_world.h"

#include "test.h"

#include <stdio.h>
#include <string.h>

#define NAMES(client) "InitiatorName=" client "\nTargetName=" WORLD_TARGET "\nSessionType=Normal\n"
#define OPEN_NAMES    "InitiatorName=iqn.x:any\nTargetName=" WORLD_OPEN "\n"

static struct world world;

TEST(a_login_in_one_request_waits_for_its_session_and_completes)
{
	world_reset(&world);
	ASSERT_EQ(world_send(&world, S1_TO_3, OPEN_NAMES "InitialR2T=No\nMaxBurstLength=4096\n"),
	          LOGIN_ADMIT);
	const struct login_result *result = login_result(world.login);
	ASSERT_STR_EQ(result->initiator_name, "iqn.x:any");
	ASSERT_TRUE(result->target == &world.targets[1]);
	ASSERT_NULL(result->acl);
	ASSERT_EQ(result->portal_group_tag, 1);
	ASSERT_EQ(result->cmd_sn, 100);
	ASSERT_EQ(result->values.initial_r2t, 1);
	ASSERT_EQ(result->values.max_burst, 4096);
	ASSERT_EQ(result->values.first_burst, 4096);
	ASSERT_EQ(result->values.target_segment, 262144);
	ASSERT_EQ(result->send_limit, 8192);

	ASSERT_EQ(world_admit(&world, LOGIN_SUCCESS), LOGIN_COMPLETE);
	ASSERT_EQ(world_flags(&world), S1_TO_3);
	ASSERT_EQ(world_status(&world), LOGIN_SUCCESS);
	ASSERT_STR_EQ(world.text, "TargetPortalGroupTag=1\nInitialR2T=Yes\nMaxBurstLength=4096\n"
	                          "MaxRecvDataSegmentLength=262144\n");
	const uint8_t *bhs = world.response.bhs;
	ASSERT_EQ(bhs[0], 0x23);
	ASSERT_EQ(bhs[BHS_VERSION_MIN], 0);
	ASSERT_EQ(get_be16(bhs + BHS_TSIH), 7);
	ASSERT_EQ(pdu_itt(bhs), 0x0a0b0c0d);
	ASSERT_EQ(get_be32(bhs + BHS_STAT_SN), 0x00010203);
	ASSERT_EQ(login_result(world.login)->stat_sn, 0x00010204);
	ASSERT_EQ(get_be32(bhs + BHS_EXP_CMD_SN), 100);
	ASSERT_EQ(get_be32(bhs + BHS_MAX_CMD_SN), 227);
	ASSERT_EQ(world_send(&world, S1_TO_3, ""), LOGIN_CLOSE);
	world_done(&world);
}

/* One request each; the header of a refusal is zero but for tag and status. */
static const struct refusal {
	const char *name;
	uint8_t flags;
	const char *text;
	enum login_status status;
	const char *answer;
} refusals[] = {
	{ "no name", S0_TO_1, "TargetName=" WORLD_TARGET "\nAuthMethod=None\n",
	  LOGIN_MISSING_PARAMETER },
	{ "bad name", S0_TO_1, "InitiatorName=iqn.a b\nTargetName=" WORLD_OPEN "\n",
	  LOGIN_INITIATOR_ERROR },
	{ "name that is not UTF-8", S0_TO_1,
	  "InitiatorName=iqn.x:\xc3(\nTargetName=" WORLD_OPEN "\n", LOGIN_INITIATOR_ERROR },
	{ "empty name", S0_TO_1, "InitiatorName=\nTargetName=" WORLD_OPEN "\n",
	  LOGIN_INITIATOR_ERROR },
	{ "no target", S0_TO_1, "InitiatorName=iqn.x:any\n", LOGIN_MISSING_PARAMETER },
	{ "session type", S0_TO_1, OPEN_NAMES "SessionType=Strange\n",
	  LOGIN_SESSION_TYPE_UNSUPPORTED },
	{ "unknown target", S0, "InitiatorName=iqn.x:any\nTargetName=iqn.2003-01.com.example:no\n",
	  LOGIN_NOT_FOUND },
	{ "stranger", S0, NAMES("iqn.1994-05.com.redhat:stranger") "AuthMethod=CHAP,None\n",
	  LOGIN_NOT_AUTHORIZED },
	{ "none where CHAP is needed", S0_TO_1, NAMES(WORLD_CLIENT) "AuthMethod=None\n",
	  LOGIN_AUTHENTICATION_FAILED, "AuthMethod=Reject\n" },
	{ "CHAP where none is", S0_TO_1, NAMES(WORLD_NO_CHAP) "AuthMethod=CHAP\n",
	  LOGIN_AUTHENTICATION_FAILED, "AuthMethod=Reject\n" },
	{ "straight to operational", S1_TO_3, NAMES(WORLD_CLIENT) "HeaderDigest=None\n",
	  LOGIN_AUTHENTICATION_FAILED },
	{ "straight to full feature", S0_TO_3, NAMES(WORLD_CLIENT), LOGIN_AUTHENTICATION_FAILED },
	{ "skips AuthMethod", S0_TO_1, NAMES(WORLD_CLIENT), LOGIN_AUTHENTICATION_FAILED },
	{ "method and algorithm at once", S0, NAMES(WORLD_CLIENT) "AuthMethod=CHAP\nCHAP_A=5\n",
	  LOGIN_AUTHENTICATION_FAILED },
	{ "algorithm first", S0, NAMES(WORLD_CLIENT) "CHAP_A=5\n", LOGIN_AUTHENTICATION_FAILED },
	{ "response first", S0, NAMES(WORLD_CLIENT) "CHAP_N=a\nCHAP_R=0x00\n",
	  LOGIN_AUTHENTICATION_FAILED },
	{ "key twice", S1_TO_3, OPEN_NAMES "HeaderDigest=None\nHeaderDigest=None\n",
	  LOGIN_INITIATOR_ERROR },
	{ "name twice", S1_TO_3, OPEN_NAMES "InitiatorName=iqn.x:any\n", LOGIN_INITIATOR_ERROR },
	{ "security key late", S1_TO_3, OPEN_NAMES "AuthMethod=None\n", LOGIN_INITIATOR_ERROR },
	{ "operational key early", S0_TO_1, OPEN_NAMES "HeaderDigest=None\n",
	  LOGIN_INITIATOR_ERROR },
	{ "a target's key", S1_TO_3, OPEN_NAMES "TargetAlias=x\n", LOGIN_INITIATOR_ERROR },
	{ "SendTargets in login", S1_TO_3, OPEN_NAMES "SendTargets=All\n", LOGIN_INITIATOR_ERROR },
	{ "unknown digest", S1_TO_3, OPEN_NAMES "HeaderDigest=Foo\n", LOGIN_INITIATOR_ERROR,
	  "HeaderDigest=Reject\n" },
	{ "burst 0", S1_TO_3, OPEN_NAMES "MaxBurstLength=0\n", LOGIN_INITIATOR_ERROR,
	  "MaxBurstLength=Reject\n" },
	{ "burst 511", S1_TO_3, OPEN_NAMES "MaxBurstLength=511\n", LOGIN_INITIATOR_ERROR,
	  "MaxBurstLength=Reject\n" },
	{ "connections abc", S1_TO_3, OPEN_NAMES "MaxConnections=abc\n", LOGIN_INITIATOR_ERROR,
	  "MaxConnections=Reject\n" },
	{ "level 3", S1_TO_3, OPEN_NAMES "ErrorRecoveryLevel=3\n", LOGIN_INITIATOR_ERROR,
	  "ErrorRecoveryLevel=Reject\n" },
	{ "maybe", S1_TO_3, OPEN_NAMES "ImmediateData=maybe\n", LOGIN_INITIATOR_ERROR,
	  "ImmediateData=Reject\n" },
	{ "no equals sign", S1_TO_3, OPEN_NAMES "HeaderDigest\n", LOGIN_INITIATOR_ERROR },
	{ "T and C", S1_TO_3 | FLAG_CONTINUE, OPEN_NAMES, LOGIN_INITIATOR_ERROR },
	{ "stage 2", 0x08, OPEN_NAMES, LOGIN_INITIATOR_ERROR },
	{ "stage 3", 0x0c, OPEN_NAMES, LOGIN_INITIATOR_ERROR },
	{ "to stage 2", 0x82, OPEN_NAMES, LOGIN_INITIATOR_ERROR },
	{ "to the same stage", 0x80, OPEN_NAMES, LOGIN_INITIATOR_ERROR },
	{ "back a stage", 0x84, OPEN_NAMES, LOGIN_INITIATOR_ERROR },
};

TEST(a_request_that_is_wrong_gets_its_status_and_the_end)
{
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		const struct refusal *row = &refusals[i];
		const char *why;
		TEST_ROW("%s", row->name);
		world_reset(&world);
		ASSERT_EQ(world_send(&world, row->flags, row->text), LOGIN_RESPOND_AND_CLOSE);
		ASSERT_EQ(world_status(&world), row->status);
		ASSERT_EQ(login_failure(world.login, &why), row->status);
		ASSERT_TRUE(*why != '\0');
		ASSERT_STR_EQ(world.text, row->answer ? row->answer : "");
		uint8_t bhs[BHS_BYTES];
		pdu_start(bhs, PDU_LOGIN_RESPONSE, 0, 0x0a0b0c0d);
		put_be16(bhs + BHS_STATUS_CLASS, (uint16_t)row->status);
		pdu_put_data_len(bhs, world.response.data_len);
		ASSERT_MEM_EQ(world.response.bhs, bhs, BHS_BYTES);
		ASSERT_EQ(world_send(&world, S0, ""), LOGIN_CLOSE);
		world_done(&world);
	}
}

TEST(every_combination_of_flags_is_survived)
{
	for (unsigned flags = 0; flags < 256; flags++) {
		world_reset(&world);
		enum login_outcome outcome = world_send(&world, (uint8_t)flags, OPEN_NAMES);
		unsigned csg = FLAG_CSG(flags), nsg = FLAG_NSG(flags);
		bool transit = flags & FLAG_TRANSIT, more = flags & FLAG_CONTINUE;
		bool legal = csg < 2 && !(transit && (more || nsg <= csg || nsg == 2));
		TEST_ROW("flags %02x", flags);
		ASSERT_EQ(outcome, !legal                ? LOGIN_RESPOND_AND_CLOSE
		                   : transit && nsg == 3 ? LOGIN_ADMIT
		                                         : LOGIN_RESPOND);
		world_done(&world);
	}
}

TEST(what_is_no_login_request_is_closed_without_a_word)
{
	static const struct {
		uint8_t opcode, ahs;
		uint32_t len;
	} rows[] = {
		{ PDU_NOP_OUT, 0, 0 }, { PDU_SCSI_COMMAND, 0, 0 }, { 0x3f, 0, 0 },
		{ PDU_LOGIN, 1, 0 },   { PDU_LOGIN, 0, 8193 },     { PDU_LOGIN, 0, 0xffffff },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct login_response response;
		uint8_t bhs[BHS_BYTES];
		TEST_ROW("%zu", i);
		world_reset(&world);
		pdu_start(bhs, rows[i].opcode, S0, 1);
		bhs[BHS_AHS_LENGTH] = rows[i].ahs;
		pdu_put_data_len(bhs, rows[i].len);
		ASSERT_NULL(login_place(world.login, bhs));
		ASSERT_EQ(login_request(world.login, bhs, &response), LOGIN_CLOSE);
		world_done(&world);
	}
}

TEST(a_version_above_ours_is_refused_first)
{
	struct login_response response;
	uint8_t bhs[BHS_BYTES];
	world_reset(&world);
	pdu_start(bhs, PDU_LOGIN, 0xff, 1);
	bhs[BHS_VERSION_MAX] = bhs[BHS_VERSION_MIN] = 1;
	ASSERT_EQ(login_request(world.login, bhs, &response), LOGIN_RESPOND_AND_CLOSE);
	ASSERT_EQ(get_be16(response.bhs + BHS_STATUS_CLASS), LOGIN_UNSUPPORTED_VERSION);
	world_done(&world);
}

TEST(a_text_of_nuls_only_is_an_empty_one)
{
	static const char nuls[256];
	world_reset(&world);
	ASSERT_EQ(world_send(&world, S1, OPEN_NAMES), LOGIN_RESPOND);
	ASSERT_EQ(world_send_bytes(&world, S1, nuls, sizeof(nuls)), LOGIN_RESPOND);
	ASSERT_STR_EQ(world.text, "");
	ASSERT_EQ(world_send_bytes(&world, S1_TO_3, nuls, sizeof(nuls)), LOGIN_ADMIT);
	world_done(&world);
}

TEST(a_text_of_8192_bytes_is_taken)
{
	static char text[LOGIN_DATA_MAX];
	strcpy(text, OPEN_NAMES);
	for (char *c = text; *c; c++)
		if (*c == '\n')
			*c = '\0';
	world_reset(&world);
	ASSERT_EQ(world_send_bytes(&world, S1_TO_3, text, sizeof(text)), LOGIN_ADMIT);
	world_done(&world);
}

TEST(a_text_split_anywhere_is_read_as_a_whole)
{
	static const char text[] = "InitiatorName=iqn.x:any\0TargetName=" WORLD_OPEN
	                           "\0HeaderDigest=CRC32C,None\0FooBar=x";
	for (uint32_t cut = 0; cut <= sizeof(text); cut++) {
		world_reset(&world);
		ASSERT_EQ(world_send_bytes(&world, S1 | FLAG_CONTINUE, text, cut), LOGIN_RESPOND);
		ASSERT_EQ(world_flags(&world), S1);
		ASSERT_STR_EQ(world.text, "");
		ASSERT_EQ(world_send_bytes(&world, S1_TO_3, text + cut, sizeof(text) - cut),
		          LOGIN_ADMIT);
		ASSERT_EQ(world_admit(&world, LOGIN_SUCCESS), LOGIN_COMPLETE);
		ASSERT_STR_EQ(world.text,
		              "TargetPortalGroupTag=1\nHeaderDigest=CRC32C\n"
		              "FooBar=NotUnderstood\nMaxRecvDataSegmentLength=262144\n");
		world_done(&world);
	}
}

TEST(a_chain_of_requests_ends_at_8192_bytes_and_at_32_requests)
{
	static char part[4097];
	world_reset(&world);
	ASSERT_EQ(world_send_bytes(&world, S0 | FLAG_CONTINUE, part, 4096), LOGIN_RESPOND);
	ASSERT_EQ(world_send_bytes(&world, S0 | FLAG_CONTINUE, part, 4097),
	          LOGIN_RESPOND_AND_CLOSE);
	ASSERT_EQ(world_status(&world), LOGIN_INITIATOR_ERROR);
	world_done(&world);

	world_reset(&world);
	for (int i = 0; i < LOGIN_PDUS_MAX; i++)
		ASSERT_EQ(world_send(&world, S0 | FLAG_CONTINUE, ""), LOGIN_RESPOND);
	ASSERT_EQ(world_send(&world, S0 | FLAG_CONTINUE, ""), LOGIN_CLOSE);
	world_done(&world);
}

/* Sends `count` unknown keys to an initiator that takes 512 bytes a PDU. */
static enum login_outcome send_unknown_keys(uint8_t flags, int count)
{
	char text[8192] = OPEN_NAMES "MaxRecvDataSegmentLength=512\n";
	for (int i = 0; i < count; i++)
		sprintf(text + strlen(text), "X-key.%04d=1\n", i);
	return world_send(&world, flags, text);
}

TEST(an_answer_that_is_too_long_comes_in_pieces)
{
	char whole[4096] = "";
	world_reset(&world);
	ASSERT_EQ(send_unknown_keys(S1_TO_3, 50), LOGIN_RESPOND);
	int pieces = 0;
	while (world.outcome == LOGIN_RESPOND) {
		ASSERT_EQ(world_flags(&world), S1 | FLAG_CONTINUE);
		ASSERT_EQ(world.response.data_len, 512);
		strcat(whole, world.text);
		pieces++;
		world_send(&world, S1_TO_3, "");
	}
	ASSERT_EQ(world.outcome, LOGIN_ADMIT);
	ASSERT_EQ(world_admit(&world, LOGIN_SUCCESS), LOGIN_COMPLETE);
	strcat(whole, world.text);
	ASSERT_TRUE(pieces >= 2);
	ASSERT_TRUE(strstr(whole, "X-key.0049=NotUnderstood\n") != NULL);
	ASSERT_EQ(strlen(whole),
	          strlen("TargetPortalGroupTag=1\nMaxRecvDataSegmentLength=262144\n") +
	                  50 * strlen("X-key.0049=NotUnderstood\n"));
	world_done(&world);
}

TEST(text_before_the_whole_answer_was_fetched_is_an_error)
{
	world_reset(&world);
	ASSERT_EQ(send_unknown_keys(S1_TO_3, 50), LOGIN_RESPOND);
	ASSERT_EQ(world_send(&world, S1_TO_3, "HeaderDigest=None\n"), LOGIN_RESPOND_AND_CLOSE);
	ASSERT_EQ(world_status(&world), LOGIN_INITIATOR_ERROR);
	world_done(&world);
}

TEST(unknown_keys_without_end_are_refused)
{
	world_reset(&world);
	ASSERT_EQ(send_unknown_keys(S1_TO_3, 400), LOGIN_RESPOND_AND_CLOSE);
	ASSERT_EQ(world_status(&world), LOGIN_INITIATOR_ERROR);
	world_done(&world);
}

TEST(what_identifies_a_login_may_not_change)
{
	static const struct {
		int offset;
	} rows[] = { { BHS_ISID }, { BHS_ISID + 5 }, { BHS_TSIH }, { BHS_CID }, { BHS_ITT + 3 } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("byte %d", rows[i].offset);
		world_reset(&world);
		ASSERT_EQ(world_send(&world, S1, OPEN_NAMES), LOGIN_RESPOND);
		uint8_t bhs[BHS_BYTES] = { PDU_LOGIN | PDU_IMMEDIATE, S1_TO_3 };
		struct login_response response;
		memcpy(bhs + BHS_ISID, world.response.bhs + BHS_ISID, 6);
		put_be32(bhs + BHS_ITT, 0x0a0b0c0d);
		bhs[rows[i].offset] ^= 1;
		ASSERT_EQ(login_request(world.login, bhs, &response), LOGIN_RESPOND_AND_CLOSE);
		ASSERT_EQ(get_be16(response.bhs + BHS_STATUS_CLASS), LOGIN_INITIATOR_ERROR);
		world_done(&world);
	}
}

TEST(a_following_request_must_be_in_the_stage_agreed_on)
{
	world_reset(&world);
	ASSERT_EQ(world_send(&world, S0_TO_1, OPEN_NAMES "AuthMethod=None\n"), LOGIN_RESPOND);
	ASSERT_EQ(world_flags(&world), S0_TO_1);
	ASSERT_EQ(world_send(&world, S0_TO_1, ""), LOGIN_RESPOND_AND_CLOSE);
	ASSERT_EQ(world_status(&world), LOGIN_INITIATOR_ERROR);
	world_done(&world);
}

TEST(a_login_waits_for_its_target_to_be_ready)
{
	struct iscsi_config newer;
	struct iscsi_target targets[2];
	world_reset(&world);
	world.targets[0].ready = false;
	memcpy(targets, world.targets, sizeof(targets));
	targets[0].ready = true;
	newer = world.config;
	newer.targets = targets;
	ASSERT_EQ(world_send(&world, S0_TO_1, NAMES(WORLD_NO_CHAP) "AuthMethod=None\n"),
	          LOGIN_WAIT_READY);
	ASSERT_STR_EQ(login_target_name(world.login), WORLD_TARGET);
	ASSERT_EQ(login_resume(world.login, &newer, &world.response), LOGIN_RESPOND);
	ASSERT_EQ(world_flags(&world), S0_TO_1);
	ASSERT_TRUE(login_result(world.login)->target == &targets[0]);
	ASSERT_EQ(world_send(&world, S1_TO_3, "InitialR2T=No\n"), LOGIN_ADMIT);
	world_done(&world);
}

TEST(a_login_waits_also_when_its_text_came_in_pieces)
{
	world_reset(&world);
	world.targets[1].ready = false;
	ASSERT_EQ(world_send(&world, S1 | FLAG_CONTINUE, "InitiatorName=iqn.x:any\nTarget"),
	          LOGIN_RESPOND);
	ASSERT_EQ(world_send(&world, S1_TO_3, "Name=" WORLD_OPEN "\nFoo=1\n"), LOGIN_WAIT_READY);
	world.targets[1].ready = true;
	ASSERT_EQ(login_resume(world.login, &world.config, &world.response), LOGIN_ADMIT);
	ASSERT_EQ(world_admit(&world, LOGIN_SUCCESS), LOGIN_COMPLETE);
	ASSERT_STR_EQ(world_value(&world, "Foo"), "NotUnderstood");
	world_done(&world);
}

TEST(a_target_that_does_not_get_ready_is_unavailable)
{
	world_reset(&world);
	world.targets[1].ready = false;
	ASSERT_EQ(world_send(&world, S1_TO_3, OPEN_NAMES), LOGIN_WAIT_READY);
	ASSERT_EQ(login_resume(world.login, &world.config, &world.response),
	          LOGIN_RESPOND_AND_CLOSE);
	ASSERT_EQ(world_status(&world), LOGIN_SERVICE_UNAVAILABLE);
	world_done(&world);
}

TEST(a_target_that_goes_while_a_login_waits_is_not_found)
{
	struct iscsi_config newer;
	world_reset(&world);
	world.targets[1].ready = false;
	newer = world.config;
	newer.target_count = 1;
	ASSERT_EQ(world_send(&world, S1_TO_3, OPEN_NAMES), LOGIN_WAIT_READY);
	ASSERT_EQ(login_resume(world.login, &newer, &world.response), LOGIN_RESPOND_AND_CLOSE);
	ASSERT_EQ(world_status(&world), LOGIN_NOT_FOUND);
	world_done(&world);
}

TEST(nobody_is_told_anything_before_the_configuration_is_loaded)
{
	static const char *const texts[] = { OPEN_NAMES, NAMES("iqn.x:stranger"),
		                             "InitiatorName=iqn.x:a\nTargetName=iqn.no\n",
		                             "InitiatorName=iqn.x:a\nSessionType=Discovery\n" };
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		world_reset(&world);
		world.config.loaded = false;
		ASSERT_EQ(world_send(&world, S1_TO_3, texts[i]), LOGIN_RESPOND_AND_CLOSE);
		ASSERT_EQ(world_status(&world), LOGIN_SERVICE_UNAVAILABLE);
		world_done(&world);
	}
}

TEST(a_target_is_only_served_on_its_local_portals)
{
	world_reset(&world);
	world.environment.local_address = "10.77.0.12:3260"; /* of the other gateway */
	world_connect(&world);
	ASSERT_EQ(world_send(&world, S1_TO_3, OPEN_NAMES), LOGIN_RESPOND_AND_CLOSE);
	ASSERT_EQ(world_status(&world), LOGIN_SERVICE_UNAVAILABLE);
	world_done(&world);
}

TEST(names_compare_without_case)
{
	world_reset(&world);
	ASSERT_EQ(world_send(&world, S0_TO_1,
	                     "InitiatorName=IQN.1994-05.com.RedHat:NoCHAP\nTargetName="
	                     "iqn.2003-01.com.redhat.iscsi-gw:ISCSI-igw\nAuthMethod=None\n"),
	          LOGIN_RESPOND);
	ASSERT_STR_EQ(login_result(world.login)->initiator_name, WORLD_NO_CHAP);
	ASSERT_TRUE(login_result(world.login)->acl == &world.acls[1]);
	world_done(&world);
}

TEST(names_of_223_bytes_are_taken_and_no_longer_ones)
{
	for (int len = 223; len <= 224; len++) {
		char text[600] = "InitiatorName=";
		memset(text + strlen(text), 'a', (size_t)len);
		strcat(text, "\nTargetName=" WORLD_OPEN "\n");
		world_reset(&world);
		ASSERT_EQ(world_send(&world, S1_TO_3, text),
		          len == 223 ? LOGIN_ADMIT : LOGIN_RESPOND_AND_CLOSE);
		world_done(&world);
	}
}

TEST(a_session_to_join_is_asked_for_at_once)
{
	static const enum login_status rows[] = { LOGIN_NO_SESSION, LOGIN_CANNOT_INCLUDE,
		                                  LOGIN_TOO_MANY_CONNECTIONS };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		world_reset(&world);
		world.tsih = 4711;
		world.session_status = rows[i];
		ASSERT_EQ(world_send(&world, S0, NAMES(WORLD_CLIENT) "AuthMethod=CHAP,None\n"),
		          LOGIN_RESPOND_AND_CLOSE);
		ASSERT_EQ(world_status(&world), rows[i]);
		world_done(&world);
	}
	world_reset(&world);
	world.tsih = 4711;
	ASSERT_EQ(world_send(&world, S0, NAMES(WORLD_NO_CHAP) "AuthMethod=CHAP,None\n"),
	          LOGIN_RESPOND);
	ASSERT_EQ(get_be16(world.response.bhs + BHS_TSIH), 4711);
	world_done(&world);
}

TEST(the_session_table_may_refuse_at_the_end)
{
	world_reset(&world);
	ASSERT_EQ(world_send(&world, S1_TO_3, OPEN_NAMES "HeaderDigest=None\n"), LOGIN_ADMIT);
	ASSERT_EQ(world_admit(&world, LOGIN_OUT_OF_RESOURCES), LOGIN_RESPOND_AND_CLOSE);
	ASSERT_EQ(world_status(&world), LOGIN_OUT_OF_RESOURCES);
	ASSERT_STR_EQ(world.text, "");
	world_done(&world);
}

TEST(without_an_operational_stage_the_defaults_hold)
{
	world_reset(&world);
	ASSERT_EQ(world_send(&world, S0_TO_3, OPEN_NAMES "AuthMethod=None\n"), LOGIN_ADMIT);
	const struct login_values *values = &login_result(world.login)->values;
	ASSERT_EQ(values->target_segment, 8192);
	ASSERT_EQ(values->initiator_segment, 8192);
	ASSERT_EQ(values->max_burst, 262144);
	ASSERT_EQ(values->first_burst, 65536);
	ASSERT_EQ(values->initial_r2t, 1);
	ASSERT_EQ(world_admit(&world, LOGIN_SUCCESS), LOGIN_COMPLETE);
	ASSERT_EQ(world_flags(&world), S0_TO_3);
	ASSERT_STR_EQ(world.text, "TargetPortalGroupTag=1\nAuthMethod=None\n");
	world_done(&world);
}

TEST(an_alias_is_kept)
{
	world_reset(&world);
	ASSERT_EQ(world_send(&world, S0_TO_1, OPEN_NAMES "InitiatorAlias=my host\n"),
	          LOGIN_RESPOND);
	ASSERT_STR_EQ(login_result(world.login)->initiator_alias, "my host");
	ASSERT_STR_EQ(world.text, "TargetPortalGroupTag=1\n");
	world_done(&world);
}

/* The sanitizer's account of the heap; absent without it. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));
int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void *, size_t),
                                              void (*freed)(const volatile void *))
        __attribute__((weak));
static size_t heap_peak;

static void heap_grew(const volatile void *memory, size_t len)
{
	(void)memory;
	(void)len;
	size_t bytes = __sanitizer_get_current_allocated_bytes();
	heap_peak = bytes > heap_peak ? bytes : heap_peak;
}

static void heap_shrank(const volatile void *memory)
{
	(void)memory;
}

/* The longest text that makes the longest answer. */
static void fill_longest(char *text)
{
	char *end = text;
	memset(text, 0, LOGIN_DATA_MAX);
	for (const char *c = OPEN_NAMES; *c; c++)
		*end++ = *c == '\n' ? '\0' : *c;
	for (int i = 0; i < 72; i++)
		end += sprintf(end, "X-key.%03d=1", i) + 1;
}

TEST(before_authentication_a_login_stays_within_its_memory)
{
	static char text[LOGIN_DATA_MAX];
	if (!__sanitizer_get_current_allocated_bytes || !__sanitizer_install_malloc_and_free_hooks)
		skip();
	fill_longest(text);
	world_reset(&world);
	login_free(steal(&world.login));
	size_t before = heap_peak = __sanitizer_get_current_allocated_bytes();
	ASSERT_TRUE(__sanitizer_install_malloc_and_free_hooks(heap_grew, heap_shrank));
	world_connect(&world);
	ASSERT_EQ(world_send_bytes(&world, S1 | FLAG_CONTINUE, text, LOGIN_DATA_MAX - 1),
	          LOGIN_RESPOND);
	ASSERT_EQ(world_send_bytes(&world, S1_TO_3, "", 1), LOGIN_ADMIT);
	ASSERT_TRUE(heap_peak - before > LOGIN_DATA_MAX); /* it was looked at */
	ASSERT_TRUE(heap_peak - before <= LOGIN_MEMORY_MAX);

	login_free(steal(&world.login));
	world.targets[1].ready = false;
	world_connect(&world);
	ASSERT_EQ(world_send_bytes(&world, S1_TO_3, text, LOGIN_DATA_MAX), LOGIN_WAIT_READY);
	ASSERT_TRUE(heap_peak - before <= LOGIN_MEMORY_MAX);
	world_done(&world);
}
