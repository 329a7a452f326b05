/* The light initiator as a witness: it must notice whatever a target does wrong. A scripted target
 * logs it in and answers one READ of 512 bytes; each row spoils that answer in one place. */
#include "base/bytes.h"
#include "initiator.h"
#include "test.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define STAT_SN 100
#define LEN     512

struct script {
	int listener;
	size_t len;
	uint8_t bytes[2048];
};

static const char login_keys[] = "TargetPortalGroupTag=1\0HeaderDigest=None\0DataDigest=None\0"
                                 "InitialR2T=No\0ImmediateData=Yes\0MaxBurstLength=4096\0"
                                 "FirstBurstLength=4096\0MaxOutstandingR2T=1\0"
                                 "MaxRecvDataSegmentLength=8192";

static void add_login(struct script *script)
{
	uint8_t *bhs = script->bytes;
	bhs[0] = 0x23;
	bhs[1] = 0x87;
	put_be24(bhs + 5, sizeof(login_keys));
	memcpy(bhs + 8, (uint8_t[]){ 0x80, 0x52, 0x42, 0x44, 0, 0 }, 6);
	put_be16(bhs + 14, 1); /* TSIH */
	put_be32(bhs + 16, 1); /* ITT */
	put_be32(bhs + 24, STAT_SN);
	put_be32(bhs + 28, 1);
	put_be32(bhs + 32, 32);
	memcpy(bhs + 48, login_keys, sizeof(login_keys));
	script->len = 48 + (sizeof(login_keys) + 3) / 4 * 4;
}

/* A right answer: Data-In with status, for the first command on slot 0. */
static uint8_t *add_data_in(struct script *script)
{
	uint8_t *bhs = script->bytes + script->len;
	bhs[0] = 0x25;
	bhs[1] = 0x81;
	put_be24(bhs + 5, LEN);
	put_be32(bhs + 20, 0xffffffff);
	put_be32(bhs + 24, STAT_SN + 1);
	put_be32(bhs + 28, 2);
	put_be32(bhs + 32, 33);
	script->len += 48 + LEN;
	return bhs;
}

static void *serve(void *argument)
{
	struct script *script = argument;
	uint8_t scratch[4096];
	int fd = accept(script->listener, NULL, NULL);
	if (fd < 0 || recv(fd, scratch, 48, MSG_WAITALL) != 48)
		return NULL;
	size_t keys_len = (get_be24(scratch + 5) + 3) / 4 * 4;
	ssize_t n = recv(fd, scratch, keys_len, MSG_WAITALL);
	if (n == (ssize_t)keys_len && send(fd, script->bytes, 48, MSG_NOSIGNAL) == 48)
		n = send(fd, script->bytes + 48, script->len - 48, MSG_NOSIGNAL);
	while (n > 0) /* until the initiator goes */
		n = recv(fd, scratch, sizeof(scratch), 0);
	close(fd);
	return NULL;
}

/* Plays the script to one READ. The initiator's verdict: 0, or -errno with its words. */
static int play(struct script *script, struct initiator_request *request, struct error *ret_err)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	struct initiator_config config;
	struct initiator *initiator = NULL;
	pthread_t thread;
	script->listener = socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_EQ(bind(script->listener, (struct sockaddr *)&address, len), 0);
	ASSERT_EQ(getsockname(script->listener, (struct sockaddr *)&address, &len), 0);
	ASSERT_EQ(listen(script->listener, 1), 0);
	ASSERT_EQ(pthread_create(&thread, NULL, serve, script), 0);
	initiator_config_default(&config);
	snprintf(config.host, sizeof(config.host), "127.0.0.1");
	snprintf(config.port, sizeof(config.port), "%u", ntohs(address.sin_port));
	snprintf(config.target_name, sizeof(config.target_name), "iqn.t");
	config.max_burst_length = config.first_burst_length = 4096;
	int r = initiator_connect(&config, &initiator, ret_err);
	if (r == 0) {
		initiator_request_transfer(request, false, 0, 1, LEN);
		r = initiator_execute(initiator, request);
		if (r < 0)
			*ret_err = *initiator_error(initiator);
	}
	initiator_free(initiator);
	(void)pthread_join(thread, NULL);
	close(script->listener);
	return r;
}

TEST(a_right_answer_is_taken)
{
	struct script script = { 0 };
	struct initiator_request request = { 0 };
	uint8_t data[LEN] = { 0 };
	struct error err = { 0 };
	add_login(&script);
	memset(add_data_in(&script) + 48, 0x77, LEN);
	request.data = data;
	ASSERT_EQ(play(&script, &request, &err), 0);
	ASSERT_EQ(request.received, LEN);
	ASSERT_EQ(data[0], 0x77);
	ASSERT_EQ(data[LEN - 1], 0x77);
}

/* The answer to ABORT TASK of the first command on slot 0. */
static uint8_t *add_abort_response(struct script *script)
{
	uint8_t *bhs = script->bytes + script->len;
	bhs[0] = 0x22;
	bhs[1] = 0x80;
	put_be32(bhs + 16, 0x8000);
	put_be32(bhs + 24, STAT_SN + 1);
	put_be32(bhs + 28, 2);
	put_be32(bhs + 32, 33);
	script->len += 48;
	return bhs;
}

TEST(an_abort_of_nothing_is_no_end_of_a_request)
{
	struct script script = { 0 };
	struct initiator_request request = { 0 };
	struct error err = { 0 };
	add_login(&script);
	add_abort_response(&script);
	put_be32(add_data_in(&script) + 24, STAT_SN + 2);
	ASSERT_EQ(play(&script, &request, &err), 0);
	ASSERT_FALSE(request.aborted);
	ASSERT_EQ(request.received, LEN);
}

TEST(a_spoilt_answer_is_noticed)
{
	static const struct {
		const char *text; /* in the error */
		uint8_t at, len;
		uint32_t value;
	} rows[] = {
		{ "StatSN 102", 24, 4, STAT_SN + 2 },
		{ "StatSN 100", 24, 4, STAT_SN },
		{ "Data-In 1 at 0", 36, 4, 1 },
		{ "at 512, expected 0 at 0", 40, 4, 512 },
		{ "Data-In of 513 bytes", 5, 3, 513 },
		{ "for no read: ITT 00000001", 16, 4, 1 },
		{ "for no read: ITT 00010000", 16, 4, 0x10000 },
		{ "ExpCmdSN 3", 28, 4, 3 },
		{ "MaxCmdSN 31 after 32", 32, 4, 31 },
		{ "with an AHS", 4, 1, 1 },
		{ "opcode byte 24", 0, 1, 0x24 },
		{ "opcode byte 65", 0, 1, 0x65 },
		{ "flags 01", 1, 1, 0x01 },
		{ "flags c1", 1, 1, 0xc1 },
		{ "status 02", 3, 1, 0x02 },
		{ "overflow and underflow", 1, 1, 0x87 },
		{ "512 bytes came, of 512 with a residual of 1", 44, 4, 1 },
		{ "an underflow of 513", 44, 4, 513 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct script script = { 0 };
		struct initiator_request request = { 0 };
		struct error err = { 0 };
		TEST_ROW("%s", rows[i].text);
		add_login(&script);
		uint8_t *at = add_data_in(&script) + rows[i].at;
		if (rows[i].len == 4)
			put_be32(at, rows[i].value);
		else if (rows[i].len == 3)
			put_be24(at, rows[i].value);
		else
			*at = (uint8_t)rows[i].value;
		if (rows[i].at == 44) /* a residual needs its bit */
			at[1 - 44] |= 0x02;
		ASSERT_TRUE(play(&script, &request, &err) < 0);
		TEST_ROW("%s", err.text);
		ASSERT_NOT_NULL(strstr(err.text, rows[i].text));
	}
}

TEST(a_login_answer_that_was_not_offered_is_noticed)
{
	static const struct {
		const char *from, *to; /* of the same length */
	} rows[] = {
		{ "MaxBurstLength=4096", "MaxBurstLength=4097" },
		{ "HeaderDigest=None", "HeaderDigest=CRC3" },
		{ "InitialR2T=No", "InitialR2T=na" },
		{ "MaxOutstandingR2T=1", "MaxOutstandingR2T=9" },
		{ "MaxOutstandingR2T=1", "MaxOutstandingR3T=1" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct script script = { 0 };
		struct initiator_request request = { 0 };
		struct error err = { 0 };
		TEST_ROW("%s", rows[i].to);
		add_login(&script);
		add_data_in(&script);
		uint8_t *at = memmem(script.bytes, script.len, rows[i].from, strlen(rows[i].from));
		ASSERT_NOT_NULL(at);
		memcpy(at, rows[i].to, strlen(rows[i].to));
		ASSERT_EQ(play(&script, &request, &err), -71);
		ASSERT_NOT_NULL(strstr(err.text, rows[i].to));
	}
}

TEST(a_refused_login_says_why)
{
	struct script script = { 0 };
	struct initiator_request request = { 0 };
	struct error err = { 0 };
	add_login(&script);
	put_be16(script.bytes + 36, 0x0203);
	ASSERT_EQ(play(&script, &request, &err), -13);
	ASSERT_NOT_NULL(strstr(err.text, "no such target"));
}
