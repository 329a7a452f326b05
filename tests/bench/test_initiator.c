/* The parts of the light initiator and of the measuring that need no target. */
#include "initiator_internal.h"
#include "measure.h"
#include "test.h"

#include <string.h>

TEST(a_url_with_everything_is_read)
{
	struct initiator_config config;
	struct error err;
	initiator_config_default(&config);
	ASSERT_EQ(initiator_config_parse(&config, "iscsi://user%p@ss@[::1]:3261/iqn.a:b/300", &err),
	          0);
	ASSERT_STR_EQ(config.user_name, "user");
	ASSERT_STR_EQ(config.secret, "p@ss");
	ASSERT_STR_EQ(config.host, "::1");
	ASSERT_STR_EQ(config.port, "3261");
	ASSERT_STR_EQ(config.target_name, "iqn.a:b");
	ASSERT_EQ(config.lun, 300);
}

TEST(a_url_may_leave_out_port_and_credentials)
{
	struct initiator_config config;
	struct error err;
	initiator_config_default(&config);
	ASSERT_EQ(initiator_config_parse(&config, "iscsi://10.0.0.1/iqn.a/0", &err), 0);
	ASSERT_STR_EQ(config.host, "10.0.0.1");
	ASSERT_STR_EQ(config.port, "3260");
	ASSERT_STR_EQ(config.user_name, "");
	ASSERT_EQ(config.lun, 0);
}

TEST(what_is_no_url_is_refused)
{
	static const char *const urls[] = {
		"",
		"iscsi://",
		"http://h/iqn.a/0",
		"iscsi://h/iqn.a",
		"iscsi:///iqn.a/0",
		"iscsi://h//0",
		"iscsi://h/iqn.a/",
		"iscsi://h/iqn.a/x",
		"iscsi://h/iqn.a/16384",
		"iscsi://user@h/iqn.a/0",
		"iscsi://user%@h/iqn.a/0",
		"iscsi://h:/iqn.a/0",
		"iscsi://[::1/iqn.a/0",
	};
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		struct initiator_config config;
		struct error err;
		TEST_ROW("%s", urls[i]);
		initiator_config_default(&config);
		ASSERT_EQ(initiator_config_parse(&config, urls[i], &err), -22);
	}
}

TEST(chap_responses_are_those_of_the_known_vectors)
{
	static const struct {
		unsigned algorithm;
		size_t len;
		uint8_t start[4];
	} rows[] = {
		{ 5, 16, { 0x98, 0xd0, 0x34, 0xa2 } },
		{ 6, 20, { 0x87, 0x64, 0x85, 0xf5 } },
		{ 7, 32, { 0xca, 0x55, 0x2a, 0x48 } },
		{ 8, 32, { 0xb2, 0xa8, 0x10, 0x2e } },
	};
	uint8_t challenge[16], response[CHAP_DIGEST_MAX];
	for (unsigned i = 0; i < 16; i++)
		challenge[i] = (uint8_t)i;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = 0;
		TEST_ROW("algorithm %u", rows[i].algorithm);
		ASSERT_EQ(chap_respond(rows[i].algorithm, 0x27, "secretsecret12", challenge, 16,
		                       response, &len),
		          0);
		ASSERT_EQ(len, rows[i].len);
		ASSERT_MEM_EQ(response, rows[i].start, 4);
	}
}

TEST(the_crc_is_that_of_rfc_7143)
{
	uint8_t zeros[32] = { 0 };
	ASSERT_EQ(~initiator_crc(~0u, zeros, sizeof(zeros)), 0x8a9136aau);
	ASSERT_EQ(~initiator_crc(~0u, (const uint8_t *)"123456789", 9), 0xe3069283u);
}

TEST(sense_is_described_in_both_formats)
{
	char text[80];
	struct initiator_request request = { .status = 0x02, .sense_len = 18 };
	request.sense[0] = 0x70;
	request.sense[2] = 0x05;
	request.sense[12] = 0x21;
	initiator_request_describe(&request, text, sizeof(text));
	ASSERT_STR_EQ(text, "CHECK CONDITION 05/21/00");
	request.sense[0] = 0x72;
	request.sense[1] = 0x06;
	request.sense[2] = 0x29;
	request.sense[3] = 0x01;
	initiator_request_describe(&request, text, sizeof(text));
	ASSERT_STR_EQ(text, "CHECK CONDITION 06/29/01");
}

TEST(a_percentile_is_exact_to_a_thirty_second)
{
	static struct latencies latencies;
	for (uint64_t ns = 1; ns <= 100000; ns++)
		latencies_add(&latencies, ns);
	ASSERT_EQ(latencies.count, 100000);
	ASSERT_EQ(latencies.max_ns, 100000);
	for (int percent = 1; percent < 100; percent++) {
		double got = (double)latencies_percentile(&latencies, percent / 100.0);
		TEST_ROW("%d %%: %f", percent, got);
		ASSERT_TRUE(got > percent * 1000 * 0.96 && got < percent * 1000 * 1.04);
	}
}

TEST(sizes_have_units)
{
	static const struct {
		const char *text;
		uint64_t bytes; /* 0 = none */
	} rows[] = {
		{ "512", 512 },       { "4k", 4096 }, { "256K", 262144 }, { "1m", 1048576 },
		{ "2G", 2ull << 30 }, { "", 0 },      { "k", 0 },         { "4x", 0 },
		{ "-1", 0 },          { "0", 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t bytes = 0;
		TEST_ROW("%s", rows[i].text);
		ASSERT_EQ(measure_parse_size(rows[i].text, &bytes), rows[i].bytes != 0);
		ASSERT_EQ(bytes, rows[i].bytes);
	}
}

TEST(seconds_may_have_a_fraction)
{
	static const char *const wrong[] = { "", "x", "1x", "0", "-1", "1e9", "nan" };
	uint64_t ns = 0;
	ASSERT_TRUE(measure_parse_seconds("0.25", &ns));
	ASSERT_EQ(ns, 250000000);
	ASSERT_TRUE(measure_parse_seconds("3", &ns));
	ASSERT_EQ(ns, 3000000000);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		TEST_ROW("%s", wrong[i]);
		ASSERT_FALSE(measure_parse_seconds(wrong[i], &ns));
	}
}
