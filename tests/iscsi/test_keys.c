/* The key table and what comes out of offers. */
#include "iscsi/keys.h"

#include "test.h"

#include <errno.h>
#include <string.h>

static const struct iscsi_controls plain = {
	.first_burst_length = 262144,
	.max_burst_length = 524288,
	.max_recv_data_segment_length = 262144,
	.max_xmit_data_segment_length = 262144,
	.max_outstanding_r2t = 4,
	.immediate_data = true,
	.initial_r2t = true,
};
static const struct iscsi_controls eager = {
	.first_burst_length = 16777215,
	.max_burst_length = 16777215,
	.max_recv_data_segment_length = 1048576,
	.max_outstanding_r2t = 65535,
	.immediate_data = false,
	.initial_r2t = false,
};

/* '\n' stands for NUL in offers and answers. */
static int negotiate(struct keys_negotiation *negotiation, const char *offer, char *ret_answers)
{
	AUTO_STRING struct string answers = { 0 };
	AUTO_FREE char *text = strdup(offer);
	for (char *c = text; *c; c++)
		if (*c == '\n')
			*c = '\0';
	const struct text_block block = { text, strlen(offer) };
	int r = keys_negotiate(negotiation, &block, &answers);
	for (size_t i = 0; i < answers.len; i++)
		ret_answers[i] = answers.text[i] ? answers.text[i] : '\n';
	ret_answers[answers.len] = '\0';
	return r;
}

static const struct {
	const struct iscsi_controls *controls;
	const char *offer, *answer;
} offers[] = {
	{ &plain, "", "" },
	{ &plain, "HeaderDigest=None\n", "HeaderDigest=None\n" },
	{ &plain, "HeaderDigest=CRC32C,None\nDataDigest=None,CRC32C\n",
	  "HeaderDigest=CRC32C\nDataDigest=None\n" },
	{ &plain, "HeaderDigest=X-foo,CRC32C\n", "HeaderDigest=CRC32C\n" },
	{ &plain, "MaxConnections=8\nErrorRecoveryLevel=2\n",
	  "MaxConnections=1\nErrorRecoveryLevel=0\n" },
	{ &plain, "InitialR2T=No\nImmediateData=Yes\n", "InitialR2T=Yes\nImmediateData=Yes\n" },
	{ &plain, "InitialR2T=Yes\nImmediateData=No\n", "InitialR2T=Yes\nImmediateData=No\n" },
	{ &eager, "InitialR2T=No\nImmediateData=Yes\n", "InitialR2T=No\nImmediateData=No\n" },
	{ &eager, "InitialR2T=Yes\n", "InitialR2T=Yes\n" },
	{ &plain, "MaxBurstLength=16776192\nFirstBurstLength=262144\n",
	  "MaxBurstLength=524288\nFirstBurstLength=262144\n" },
	{ &plain, "FirstBurstLength=65536\nMaxBurstLength=4096\n",
	  "FirstBurstLength=4096\nMaxBurstLength=4096\n" },
	{ &plain, "MaxBurstLength=4096\nFirstBurstLength=131972\n",
	  "MaxBurstLength=4096\nFirstBurstLength=4096\n" },
	{ &eager, "FirstBurstLength=16777215\n", "FirstBurstLength=262144\n" },
	{ &plain, "MaxBurstLength=0x1000\n", "MaxBurstLength=4096\n" },
	{ &plain, "DefaultTime2Wait=0\nDefaultTime2Retain=3600\n",
	  "DefaultTime2Wait=2\nDefaultTime2Retain=20\n" },
	{ &plain, "DefaultTime2Wait=60\nDefaultTime2Retain=0\n",
	  "DefaultTime2Wait=60\nDefaultTime2Retain=0\n" },
	{ &plain, "MaxOutstandingR2T=16\n", "MaxOutstandingR2T=4\n" },
	{ &eager, "MaxOutstandingR2T=16\n", "MaxOutstandingR2T=16\n" },
	{ &plain, "DataPDUInOrder=No\nDataSequenceInOrder=No\n",
	  "DataPDUInOrder=Yes\nDataSequenceInOrder=Yes\n" },
	{ &plain, "MaxRecvDataSegmentLength=512\n", "MaxRecvDataSegmentLength=262144\n" },
	{ &eager, "MaxRecvDataSegmentLength=16777215\n", "MaxRecvDataSegmentLength=1048576\n" },
	{ &plain, "IFMarker=Yes\nOFMarker=No\nIFMarkInt=1~2\nOFMarkInt=1\n",
	  "IFMarker=No\nOFMarker=No\nIFMarkInt=Reject\nOFMarkInt=Reject\n" },
	{ &plain, "TaskReporting=ResponseFence\niSCSIProtocolLevel=2\n",
	  "TaskReporting=Reject\niSCSIProtocolLevel=1\n" },
	{ &plain, "TaskReporting=FastAbort,RFC3720\niSCSIProtocolLevel=0\n",
	  "TaskReporting=RFC3720\niSCSIProtocolLevel=0\n" },
	{ &plain, "RDMAExtensions=Yes\nTargetRecvDataSegmentLength=8192\n",
	  "RDMAExtensions=No\nTargetRecvDataSegmentLength=Irrelevant\n" },
	{ &plain, "X-com.example.key=1\nFooBar=x\nheaderdigest=None\n",
	  "X-com.example.key=NotUnderstood\nFooBar=NotUnderstood\nheaderdigest=NotUnderstood\n" },
	{ &plain, "InitiatorAlias=a\nAuthMethod=None\n", "" },
	{ NULL, "MaxBurstLength=16776192\nFirstBurstLength=262144\n",
	  "MaxBurstLength=262144\nFirstBurstLength=65536\n" },
};

TEST(every_offer_gets_its_answer)
{
	for (size_t i = 0; i < ARRAY_LEN(offers); i++) {
		struct keys_negotiation negotiation;
		char answers[512];
		TEST_ROW("%zu", i);
		keys_start(&negotiation);
		negotiation.controls = offers[i].controls;
		ASSERT_EQ(negotiate(&negotiation, offers[i].offer, answers), 0);
		ASSERT_STR_EQ(answers, offers[i].answer);
	}
}

TEST(an_illegal_value_is_rejected_alone)
{
	static const struct {
		const char *offer, *answer;
	} rows[] = {
		{ "HeaderDigest=None\nDataDigest=Foo\nMaxConnections=1\n", "DataDigest=Reject\n" },
		{ "HeaderDigest=\n", "HeaderDigest=Reject\n" },
		{ "MaxBurstLength=16777216\n", "MaxBurstLength=Reject\n" },
		{ "MaxRecvDataSegmentLength=511\n", "MaxRecvDataSegmentLength=Reject\n" },
		{ "MaxConnections=65536\n", "MaxConnections=Reject\n" },
		{ "MaxOutstandingR2T=0\n", "MaxOutstandingR2T=Reject\n" },
		{ "DefaultTime2Wait=3601\n", "DefaultTime2Wait=Reject\n" },
		{ "InitialR2T=yes\n", "InitialR2T=Reject\n" },
		{ "ErrorRecoveryLevel=\n", "ErrorRecoveryLevel=Reject\n" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct keys_negotiation negotiation;
		char answers[512];
		TEST_ROW("%zu", i);
		keys_start(&negotiation);
		ASSERT_EQ(negotiate(&negotiation, rows[i].offer, answers), -EPROTO);
		ASSERT_STR_EQ(answers, rows[i].answer);
	}
}

TEST(a_segment_is_declared_once)
{
	struct keys_negotiation negotiation;
	char answers[512];
	AUTO_STRING struct string more = { 0 };
	keys_start(&negotiation);
	negotiation.controls = &plain;
	ASSERT_EQ(negotiate(&negotiation, "MaxRecvDataSegmentLength=4096\n", answers), 0);
	keys_declare_segment(&negotiation, &more);
	ASSERT_EQ(more.len, 0);
	const struct login_values values = keys_finish(&negotiation);
	ASSERT_EQ(values.initiator_segment, 4096);
	ASSERT_EQ(values.target_segment, 262144);
	ASSERT_EQ(keys_send_limit(&values, &plain), 4096);
}

TEST(bursts_agree_though_they_came_in_two_requests)
{
	struct keys_negotiation negotiation;
	char answers[512];
	keys_start(&negotiation);
	negotiation.controls = &plain;
	ASSERT_EQ(negotiate(&negotiation, "FirstBurstLength=65536\n", answers), 0);
	ASSERT_EQ(negotiate(&negotiation, "MaxBurstLength=4096\n", answers), 0);
	ASSERT_EQ(keys_finish(&negotiation).first_burst, 4096);
}

TEST(every_row_of_the_table_is_sound)
{
	size_t count;
	const struct key_row *rows = keys_table(&count);
	ASSERT_TRUE(count > 0);
	for (size_t i = 0; i < count; i++) {
		const struct key_row *row = &rows[i];
		const struct text_pair pair = { .key = { row->name, strlen(row->name) } };
		TEST_ROW("%s", row->name);
		ASSERT_TRUE(keys_find(&pair) == row);
		ASSERT_TRUE(strlen(row->name) <= KEY_NAME_MAX);
		ASSERT_TRUE(row->stages != 0);
		ASSERT_TRUE(row->min <= row->max);
		ASSERT_TRUE(!row->has_value || row->value_offset < sizeof(struct login_values));
		ASSERT_EQ(row->type == KEY_FIXED || row->type == KEY_LIST, row->answer != NULL);
		if (row->type == KEY_NUMBER || row->type == KEY_BOOLEAN) {
			ASSERT_TRUE(row->result != RESULT_NONE);
			ASSERT_TRUE(row->has_value);
		}
		if (row->type == KEY_NUMBER || row->type == KEY_SEGMENT)
			ASSERT_TRUE(row->fallback >= row->min && row->fallback <= row->max);
	}
}

TEST(a_key_comes_once_and_in_its_stage)
{
	static const struct {
		const char *key;
		unsigned stage;
		int first;
	} rows[] = {
		{ "InitiatorName", KEY_IN_SECURITY | KEY_FIRST, 0 },
		{ "InitiatorName", KEY_IN_SECURITY, -EPROTO },
		{ "AuthMethod", KEY_IN_SECURITY, 0 },
		{ "AuthMethod", KEY_IN_OPERATIONAL | KEY_FIRST, -EPROTO },
		{ "HeaderDigest", KEY_IN_OPERATIONAL, 0 },
		{ "HeaderDigest", KEY_IN_SECURITY, -EPROTO },
		{ "MaxRecvDataSegmentLength", KEY_IN_FULL_FEATURE, 0 },
		{ "MaxBurstLength", KEY_IN_FULL_FEATURE, -EPROTO },
		{ "SendTargets", KEY_IN_FULL_FEATURE, 0 },
		{ "SendTargets", KEY_IN_OPERATIONAL, -EPROTO },
		{ "TargetAddress", KEY_IN_SECURITY, -EPROTO },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct keys_negotiation negotiation;
		const struct text_pair pair = { .key = { rows[i].key, strlen(rows[i].key) } };
		TEST_ROW("%s in %x", rows[i].key, rows[i].stage);
		keys_start(&negotiation);
		ASSERT_EQ(keys_check(&negotiation, &pair, rows[i].stage), rows[i].first);
		ASSERT_EQ(keys_check(&negotiation, &pair, rows[i].stage),
		          rows[i].first ? rows[i].first : -EEXIST);
	}
}
