/* Whole login conversations as each initiator holds them, and every CHAP exchange. */
#include "login_world.h"

#include "test.h"

#include <stdio.h>
#include <string.h>

#define TARGET "TargetName=" WORLD_TARGET "\n"

static struct world world;

/* One request and what must come back. In the request, %CHAP% is replaced by CHAP_N and CHAP_R of
 * WORLD_USER. An answer of NULL is not compared: it holds a challenge. */
struct turn {
	uint8_t flags;
	const char *request;
	uint8_t answer_flags;
	const char *answer;
};

struct profile {
	const char *name;
	unsigned algorithm;
	struct turn turns[5];
	/* What must be agreed on. */
	uint32_t initial_r2t, immediate_data, first_burst, max_burst, send_limit, target_segment;
	bool discovery, digests;
};

static const struct profile profiles[] = {
	{ "open-iscsi without CHAP",
	  0,
	  { { S1_TO_3,
	      "InitiatorName=" WORLD_NO_CHAP "\nInitiatorAlias=host\n" TARGET "SessionType=Normal\n"
	      "HeaderDigest=None\nDataDigest=None\nDefaultTime2Wait=2\nDefaultTime2Retain=0\n"
	      "IFMarker=No\nOFMarker=No\nErrorRecoveryLevel=0\nInitialR2T=No\nImmediateData=Yes\n"
	      "MaxBurstLength=16776192\nFirstBurstLength=262144\nMaxOutstandingR2T=1\n"
	      "MaxConnections=1\nDataPDUInOrder=Yes\nDataSequenceInOrder=Yes\n"
	      "MaxRecvDataSegmentLength=262144\n",
	      S1_TO_3,
	      "TargetPortalGroupTag=1\nHeaderDigest=None\nDataDigest=None\nDefaultTime2Wait=2\n"
	      "DefaultTime2Retain=0\nIFMarker=No\nOFMarker=No\nErrorRecoveryLevel=0\n"
	      "InitialR2T=Yes\nImmediateData=Yes\nMaxBurstLength=524288\nFirstBurstLength=262144\n"
	      "MaxOutstandingR2T=1\nMaxConnections=1\nDataPDUInOrder=Yes\n"
	      "DataSequenceInOrder=Yes\nMaxRecvDataSegmentLength=262144\n" } },
	  1,
	  1,
	  262144,
	  524288,
	  262144,
	  262144,
	  false,
	  false },
	{ "open-iscsi with CHAP",
	  8,
	  { { S0_TO_1,
	      "InitiatorName=" WORLD_CLIENT "\n" TARGET
	      "SessionType=Normal\nAuthMethod=CHAP,None\n",
	      S0, "TargetPortalGroupTag=1\nAuthMethod=CHAP\n" },
	    { S0, "CHAP_A=8,7,6,5\n", S0, NULL },
	    { S0_TO_1, "%CHAP%", S0_TO_1, "" },
	    { S1_TO_3, "HeaderDigest=CRC32C,None\nDataDigest=CRC32C\nInitialR2T=No\n", S1_TO_3,
	      "HeaderDigest=CRC32C\nDataDigest=CRC32C\nInitialR2T=Yes\n"
	      "MaxRecvDataSegmentLength=262144\n" } },
	  1,
	  1,
	  65536,
	  262144,
	  8192,
	  262144,
	  false,
	  true },
	{ "open-iscsi discovery",
	  0,
	  { { S1_TO_3,
	      "InitiatorName=iqn.x:any\nSessionType=Discovery\nHeaderDigest=None\nDataDigest=None\n"
	      "DefaultTime2Wait=2\nDefaultTime2Retain=0\nIFMarker=No\nOFMarker=No\n"
	      "ErrorRecoveryLevel=0\nMaxRecvDataSegmentLength=32768\n",
	      S1_TO_3,
	      "TargetPortalGroupTag=1\nHeaderDigest=None\nDataDigest=None\nDefaultTime2Wait=2\n"
	      "DefaultTime2Retain=0\nIFMarker=No\nOFMarker=No\nErrorRecoveryLevel=0\n"
	      "MaxRecvDataSegmentLength=262144\n" } },
	  1,
	  1,
	  65536,
	  262144,
	  32768,
	  262144,
	  true,
	  false },
	{ "libiscsi and QEMU with CHAP",
	  5,
	  { { S0_TO_1,
	      "InitiatorName=" WORLD_CLIENT "\n" TARGET
	      "SessionType=Normal\nAuthMethod=CHAP,None\n",
	      S0, "TargetPortalGroupTag=1\nAuthMethod=CHAP\n" },
	    { 0x01, "CHAP_A=5\n", S0, NULL },
	    { S0_TO_1, "%CHAP%", S0_TO_1, "" },
	    { S1_TO_3,
	      "HeaderDigest=None,CRC32C\nDataDigest=None\nInitialR2T=No\nImmediateData=Yes\n"
	      "MaxBurstLength=262144\nFirstBurstLength=262144\nDefaultTime2Wait=2\n"
	      "DefaultTime2Retain=0\nMaxOutstandingR2T=1\nErrorRecoveryLevel=0\nIFMarker=No\n"
	      "OFMarker=No\nMaxConnections=1\nMaxRecvDataSegmentLength=262144\n"
	      "DataPDUInOrder=Yes\nDataSequenceInOrder=Yes\n",
	      S1_TO_3,
	      "HeaderDigest=None\nDataDigest=None\nInitialR2T=Yes\nImmediateData=Yes\n"
	      "MaxBurstLength=262144\nFirstBurstLength=262144\nDefaultTime2Wait=2\n"
	      "DefaultTime2Retain=0\nMaxOutstandingR2T=1\nErrorRecoveryLevel=0\nIFMarker=No\n"
	      "OFMarker=No\nMaxConnections=1\nMaxRecvDataSegmentLength=262144\n"
	      "DataPDUInOrder=Yes\nDataSequenceInOrder=Yes\n" } },
	  1,
	  1,
	  262144,
	  262144,
	  262144,
	  262144,
	  false,
	  false },
	{ "Windows",
	  0,
	  { { S0_TO_1,
	      "InitiatorName=" WORLD_NO_CHAP "\nSessionType=Normal\nInitiatorAlias=WIN\n" TARGET
	      "AuthMethod=None\n",
	      S0_TO_1, "TargetPortalGroupTag=1\nAuthMethod=None\n" },
	    { S1_TO_3,
	      "HeaderDigest=None,CRC32C\nDataDigest=None,CRC32C\nErrorRecoveryLevel=2\n"
	      "InitialR2T=No\nImmediateData=Yes\nMaxRecvDataSegmentLength=65536\n"
	      "FirstBurstLength=65536\nMaxBurstLength=262144\nMaxConnections=8\n"
	      "MaxOutstandingR2T=16\nDefaultTime2Wait=0\nDefaultTime2Retain=60\n"
	      "DataPDUInOrder=Yes\nDataSequenceInOrder=Yes\n",
	      S1_TO_3,
	      "HeaderDigest=None\nDataDigest=None\nErrorRecoveryLevel=0\nInitialR2T=Yes\n"
	      "ImmediateData=Yes\nMaxRecvDataSegmentLength=262144\nFirstBurstLength=65536\n"
	      "MaxBurstLength=262144\nMaxConnections=1\nMaxOutstandingR2T=1\nDefaultTime2Wait=2\n"
	      "DefaultTime2Retain=20\nDataPDUInOrder=Yes\nDataSequenceInOrder=Yes\n" } },
	  1,
	  1,
	  65536,
	  262144,
	  65536,
	  262144,
	  false,
	  false },
	{ "ESXi discovery",
	  0,
	  { { S1_TO_3,
	      "InitiatorName=iqn.1998-01.com.vmware:esx-1234\nSessionType=Discovery\n"
	      "HeaderDigest=None\nDataDigest=None\nDefaultTime2Wait=0\nDefaultTime2Retain=0\n"
	      "IFMarker=No\nOFMarker=No\nErrorRecoveryLevel=0\nMaxRecvDataSegmentLength=32768\n",
	      S1_TO_3,
	      "TargetPortalGroupTag=1\nHeaderDigest=None\nDataDigest=None\nDefaultTime2Wait=2\n"
	      "DefaultTime2Retain=0\nIFMarker=No\nOFMarker=No\nErrorRecoveryLevel=0\n"
	      "MaxRecvDataSegmentLength=262144\n" } },
	  1,
	  1,
	  65536,
	  262144,
	  32768,
	  262144,
	  true,
	  false },
	{ "ESXi",
	  5,
	  { { S0_TO_1,
	      "InitiatorName=" WORLD_CLIENT "\n" TARGET "SessionType=Normal\nAuthMethod=CHAP\n", S0,
	      "TargetPortalGroupTag=1\nAuthMethod=CHAP\n" },
	    { S0, "CHAP_A=5\n", S0, NULL },
	    { S0_TO_1, "%CHAP%", S0_TO_1, "" },
	    { S1_TO_3,
	      "HeaderDigest=None\nDataDigest=None\nInitialR2T=No\nImmediateData=Yes\n"
	      "MaxBurstLength=262144\nFirstBurstLength=262144\nMaxOutstandingR2T=1\n"
	      "MaxRecvDataSegmentLength=131072\n",
	      S1_TO_3,
	      "HeaderDigest=None\nDataDigest=None\nInitialR2T=Yes\nImmediateData=Yes\n"
	      "MaxBurstLength=262144\nFirstBurstLength=262144\nMaxOutstandingR2T=1\n"
	      "MaxRecvDataSegmentLength=262144\n" } },
	  1,
	  1,
	  262144,
	  262144,
	  131072,
	  262144,
	  false,
	  false },
	{ "iPXE, always with T",
	  5,
	  { { S0_TO_1,
	      "InitiatorName=" WORLD_CLIENT "\n" TARGET
	      "SessionType=Normal\nAuthMethod=CHAP,None\n",
	      S0, "TargetPortalGroupTag=1\nAuthMethod=CHAP\n" },
	    { S0_TO_1, "CHAP_A=5\n", S0, NULL },
	    { S0_TO_1, "%CHAP%", S0_TO_1, "" },
	    { S1_TO_3,
	      "HeaderDigest=None\nDataDigest=None\nInitialR2T=Yes\nMaxRecvDataSegmentLength=8192\n"
	      "MaxBurstLength=262144\nDefaultTime2Wait=0\nDefaultTime2Retain=0\n"
	      "MaxOutstandingR2T=1\nDataPDUInOrder=Yes\nDataSequenceInOrder=Yes\n"
	      "ErrorRecoveryLevel=0\n",
	      S1_TO_3,
	      "HeaderDigest=None\nDataDigest=None\nInitialR2T=Yes\n"
	      "MaxRecvDataSegmentLength=262144\nMaxBurstLength=262144\nDefaultTime2Wait=2\n"
	      "DefaultTime2Retain=0\nMaxOutstandingR2T=1\nDataPDUInOrder=Yes\n"
	      "DataSequenceInOrder=Yes\nErrorRecoveryLevel=0\n" } },
	  1,
	  1,
	  65536,
	  262144,
	  8192,
	  262144,
	  false,
	  false },
};

static void take_turn(const struct profile *profile, const struct turn *turn)
{
	const char *request = turn->request;
	if (strcmp(request, "%CHAP%") == 0)
		request = world_chap_answer(&world, profile->algorithm, WORLD_USER, WORLD_SECRET,
		                            false);
	enum login_outcome outcome = world_send(&world, turn->flags, request);
	if (turn->flags == S1_TO_3) {
		ASSERT_EQ(outcome, LOGIN_ADMIT);
		outcome = world_admit(&world, LOGIN_SUCCESS);
		ASSERT_EQ(outcome, LOGIN_COMPLETE);
	} else {
		ASSERT_EQ(outcome, LOGIN_RESPOND);
	}
	ASSERT_EQ(world_flags(&world), turn->answer_flags);
	if (turn->answer)
		ASSERT_STR_EQ(world.text, turn->answer);
}

static void check_result(const struct profile *profile)
{
	const struct login_result *result = login_result(world.login);
	const struct login_values *values = &result->values;
	ASSERT_EQ(result->discovery, profile->discovery);
	ASSERT_EQ(result->target == NULL, profile->discovery);
	ASSERT_EQ(result->authenticated, profile->algorithm != 0);
	ASSERT_EQ(values->initial_r2t, profile->initial_r2t);
	ASSERT_EQ(values->immediate_data, profile->immediate_data);
	ASSERT_EQ(values->first_burst, profile->first_burst);
	ASSERT_EQ(values->max_burst, profile->max_burst);
	ASSERT_EQ(values->target_segment, profile->target_segment);
	ASSERT_EQ(values->header_digest, profile->digests);
	ASSERT_EQ(values->data_digest, profile->digests);
	ASSERT_EQ(values->max_connections, 1);
	ASSERT_EQ(values->error_recovery_level, 0);
	ASSERT_EQ(values->max_outstanding_r2t, 1);
	ASSERT_EQ(result->send_limit, profile->send_limit);
}

TEST(every_initiator_logs_in_in_its_own_way)
{
	for (size_t i = 0; i < ARRAY_LEN(profiles); i++) {
		const struct profile *profile = &profiles[i];
		TEST_ROW("%s", profile->name);
		world_reset(&world);
		for (size_t t = 0; t < ARRAY_LEN(profile->turns) && profile->turns[t].request; t++)
			take_turn(profile, &profile->turns[t]);
		ASSERT_EQ(world.outcome, LOGIN_COMPLETE);
		check_result(profile);
		world_done(&world);
	}
}

/* Brings a login of `client` to the challenge. */
static void reach_challenge(const char *client, unsigned algorithm)
{
	char text[512], offer[16];
	world_reset(&world);
	snprintf(text, sizeof(text), "InitiatorName=%s\n" TARGET "AuthMethod=CHAP\n", client);
	snprintf(offer, sizeof(offer), "CHAP_A=%u\n", algorithm);
	ASSERT_EQ(world_send(&world, S0, text), LOGIN_RESPOND);
	ASSERT_EQ(world_send(&world, S0, offer), LOGIN_RESPOND);
}

TEST(chap_passes_with_every_algorithm_and_encoding_one_way_and_mutual)
{
	for (unsigned row = 0; row < 16; row++) {
		unsigned algorithm = 5 + (row & 3);
		bool base64 = row & 4, mutual = row & 8;
		char request[1024];
		TEST_ROW("algorithm %u base64 %d mutual %d", algorithm, base64, mutual);
		reach_challenge(mutual ? WORLD_MUTUAL : WORLD_CLIENT, algorithm);
		snprintf(request, sizeof(request), "%s%s",
		         world_chap_answer(&world, algorithm, WORLD_USER, WORLD_SECRET, base64),
		         mutual ? "CHAP_I=9\nCHAP_C=0xa07d\n" : "");
		ASSERT_EQ(world_send(&world, S0_TO_1, request), LOGIN_RESPOND);
		ASSERT_EQ(world_flags(&world), S0_TO_1);
		ASSERT_STR_EQ(world_value(&world, "CHAP_N"), mutual ? WORLD_MU_USER : "");
		ASSERT_EQ(strlen(world_value(&world, "CHAP_R")),
		          mutual ? 2 + 2u * chap_algorithm(algorithm)->digest_len : 0);
		world_done(&world);
	}
}

TEST(chap_may_leave_the_stage_in_a_request_of_its_own)
{
	reach_challenge(WORLD_CLIENT, 7);
	ASSERT_EQ(world_send(&world, S0,
	                     world_chap_answer(&world, 7, WORLD_USER, WORLD_SECRET, false)),
	          LOGIN_RESPOND);
	ASSERT_EQ(world_flags(&world), S0);
	ASSERT_EQ(world_send(&world, S0_TO_1, ""), LOGIN_RESPOND);
	ASSERT_EQ(world_flags(&world), S0_TO_1);
	world_done(&world);
}

/* Every failure looks the same to the initiator. */
TEST(failed_authentication_says_nothing_but_that)
{
	static const struct {
		const char *name, *user, *secret, *more;
	} rows[] = {
		{ "wrong user", "wrongusername", WORLD_SECRET, "" },
		{ "wrong secret", WORLD_USER, "wrongpassword", "" },
		{ "both wrong", "nobody", "nothing", "" },
		{ "mutual where it is not configured", WORLD_USER, WORLD_SECRET,
		  "CHAP_I=9\nCHAP_C=0xa07d\n" },
		{ "CHAP_I alone", WORLD_USER, WORLD_SECRET, "CHAP_I=9\n" },
	};
	uint8_t first[BHS_BYTES];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char request[1024];
		TEST_ROW("%s", rows[i].name);
		reach_challenge(WORLD_CLIENT, 5);
		snprintf(request, sizeof(request), "%s%s",
		         world_chap_answer(&world, 5, rows[i].user, rows[i].secret, false),
		         rows[i].more);
		ASSERT_EQ(world_send(&world, S0_TO_1, request), LOGIN_RESPOND_AND_CLOSE);
		ASSERT_EQ(world_status(&world), LOGIN_AUTHENTICATION_FAILED);
		ASSERT_EQ(world.response.data_len, 0);
		if (i == 0)
			memcpy(first, world.response.bhs, BHS_BYTES);
		ASSERT_MEM_EQ(world.response.bhs, first, BHS_BYTES);
		ASSERT_EQ(world_send(&world, S0_TO_1, request), LOGIN_CLOSE);
		world_done(&world);
	}
}

TEST(chap_keys_must_come_in_their_order)
{
	static const char *const requests[] = { "",           "X-y=1\n",
		                                "CHAP_A=5\n", "AuthMethod=CHAP\n",
		                                "CHAP_N=a\n", "CHAP_R=0x00\n" };
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		TEST_ROW("%zu", i);
		reach_challenge(WORLD_CLIENT, 5);
		ASSERT_EQ(world_send(&world, S0_TO_1, requests[i]), LOGIN_RESPOND_AND_CLOSE);
		ASSERT_TRUE(world_status(&world) == LOGIN_AUTHENTICATION_FAILED ||
		            world_status(&world) == LOGIN_INITIATOR_ERROR);
		world_done(&world);
	}
}

TEST(our_own_challenge_is_not_answered)
{
	char request[1024];
	reach_challenge(WORLD_MUTUAL, 5);
	char own[64];
	strcpy(own, world_value(&world, "CHAP_C"));
	snprintf(request, sizeof(request), "%sCHAP_I=33\nCHAP_C=%s\n",
	         world_chap_answer(&world, 5, WORLD_USER, WORLD_SECRET, false), own);
	ASSERT_EQ(world_send(&world, S0_TO_1, request), LOGIN_RESPOND_AND_CLOSE);
	ASSERT_EQ(world_status(&world), LOGIN_AUTHENTICATION_FAILED);
	world_done(&world);
}

TEST(chap_holds_for_all_where_acls_are_disabled)
{
	world_reset(&world);
	strcpy(world.targets[1].auth.user_name, WORLD_USER);
	strcpy(world.targets[1].auth.secret, WORLD_SECRET);
	ASSERT_EQ(world_send(&world, S0,
	                     "InitiatorName=iqn.x:any\nTargetName=" WORLD_OPEN
	                     "\nAuthMethod=None,CHAP\n"),
	          LOGIN_RESPOND);
	ASSERT_STR_EQ(world_value(&world, "AuthMethod"), "CHAP");
	ASSERT_EQ(world_send(&world, S0, "CHAP_A=5\n"), LOGIN_RESPOND);
	ASSERT_EQ(world_send(&world, S0_TO_3,
	                     world_chap_answer(&world, 5, WORLD_USER, WORLD_SECRET, false)),
	          LOGIN_ADMIT);
	ASSERT_TRUE(login_result(world.login)->authenticated);
	world_done(&world);
}

TEST(discovery_has_credentials_of_its_own)
{
	world_reset(&world);
	strcpy(world.config.discovery_auth.user_name, "discuser01");
	strcpy(world.config.discovery_auth.secret, "discpassword1");
	ASSERT_EQ(world_send(&world, S0,
	                     "InitiatorName=" WORLD_CLIENT
	                     "\nSessionType=Discovery\nAuthMethod=CHAP,None\n"),
	          LOGIN_RESPOND);
	ASSERT_STR_EQ(world.text, "TargetPortalGroupTag=1\nAuthMethod=CHAP\n");
	ASSERT_EQ(world_send(&world, S0, "CHAP_A=5\n"), LOGIN_RESPOND);
	ASSERT_EQ(world_send(&world, S0_TO_1,
	                     world_chap_answer(&world, 5, "discuser01", "discpassword1", false)),
	          LOGIN_RESPOND);
	ASSERT_EQ(world_flags(&world), S0_TO_1);
	world_done(&world);

	world_reset(&world);
	strcpy(world.config.discovery_auth.user_name, "discuser01");
	strcpy(world.config.discovery_auth.secret, "discpassword1");
	ASSERT_EQ(world_send(&world, S0_TO_1,
	                     "InitiatorName=" WORLD_CLIENT
	                     "\nSessionType=Discovery\nAuthMethod=None\n"),
	          LOGIN_RESPOND_AND_CLOSE);
	ASSERT_EQ(world_status(&world), LOGIN_AUTHENTICATION_FAILED);
	world_done(&world);
}

TEST(unknown_keys_are_answered_beside_the_method)
{
	world_reset(&world);
	ASSERT_EQ(world_send(&world, S0,
	                     "InitiatorName=" WORLD_CLIENT "\nInitiatorAlias=myhost\n" TARGET
	                     "SessionType=Normal\nX-com.example.key=1\nFooBar=x\n"
	                     "AuthMethod=KRB5,SRP,CHAP,None\n"),
	          LOGIN_RESPOND);
	ASSERT_STR_EQ(world.text, "TargetPortalGroupTag=1\nAuthMethod=CHAP\n"
	                          "X-com.example.key=NotUnderstood\nFooBar=NotUnderstood\n");
	world_done(&world);
}
