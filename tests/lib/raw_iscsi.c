/* The raw initiator: blocking socket with a deadline on each receive. */
#include "raw_iscsi.h"

#include "iscsi/digest.h"
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void raw_connect_try(struct raw *raw, const char *address)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	char ip[64];
	unsigned port;
	int on = 1;

	ASSERT_EQ(sscanf(address, "%63[^:]:%u", ip, &port), 2);
	to.sin_port = htons((uint16_t)port);
	ASSERT_EQ(inet_pton(AF_INET, ip, &to.sin_addr), 1);
	memset(raw, 0, offsetof(struct raw, pdu));
	raw->itt = 1;
	raw->cmd_sn = 0xfffffffa; /* wraps soon: every test goes through it */
	raw->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ASSERT_TRUE(raw->fd >= 0);
	ASSERT_EQ(setsockopt(raw->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	if (connect(raw->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		raw_close(raw);
}

void raw_connect(struct raw *raw, const char *address)
{
	raw_connect_try(raw, address);
	ASSERT_TRUE(raw->fd >= 0);
}

void raw_close(struct raw *raw)
{
	close(raw->fd);
	raw->fd = -1;
}

bool raw_send_bytes(struct raw *raw, const void *bytes, size_t len)
{
	while (len) {
		ssize_t n = send(raw->fd, bytes, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		bytes = (const uint8_t *)bytes + n;
		len -= (size_t)n;
	}
	return true;
}

bool raw_send(struct raw *raw, uint8_t *bhs, const void *data, uint32_t len)
{
	uint32_t pad = pdu_pad(len), at = BHS_BYTES + pdu_ahs_len(bhs);
	AUTO_FREE uint8_t *frame = calloc(1, at + len + 16);

	ASSERT_NOT_NULL(frame);
	pdu_put_data_len(bhs, len);
	memcpy(frame, bhs, at);
	if (raw->header_digest) {
		put_le32(frame + at, digest_crc32c(frame, at));
		at += DIGEST_BYTES;
	}
	if (len)
		memcpy(frame + at, data, len);
	at += len + pad;
	if (raw->data_digest && len) {
		put_le32(frame + at, digest_crc32c(frame + at - len - pad, len + pad));
		at += DIGEST_BYTES;
	}
	return raw_send_bytes(raw, frame, at);
}

/* False: the peer has closed before the first byte. */
static bool receive_bytes(struct raw *raw, void *bytes, size_t len)
{
	size_t have = 0;
	while (have < len) {
		struct pollfd wait = { .fd = raw->fd, .events = POLLIN };
		int ready = poll(&wait, 1, RAW_TIMEOUT_MS);
		if (ready == 0)
			fail_msg("nothing came within %d ms", RAW_TIMEOUT_MS);
		ssize_t n = recv(raw->fd, (uint8_t *)bytes + have, len - have, 0);
		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	return true;
}

/* Does it use up a StatSN? */
static bool has_stat_sn(const uint8_t *bhs)
{
	switch (pdu_opcode(bhs)) {
	case PDU_DATA_IN:
		return bhs[BHS_FLAGS] & FLAG_STATUS;
	case PDU_R2T:
		return false;
	case PDU_NOP_IN:
		return pdu_itt(bhs) != TAG_NONE;
	default:
		return true;
	}
}

static void take_numbers(struct raw *raw)
{
	const uint8_t *bhs = raw->pdu.bhs;

	if (pdu_opcode(bhs) == PDU_LOGIN_RESPONSE && bhs[BHS_STATUS_CLASS])
		return;
	raw->exp_cmd_sn = get_be32(bhs + BHS_EXP_CMD_SN);
	raw->max_cmd_sn = get_be32(bhs + BHS_MAX_CMD_SN);
	if (has_stat_sn(bhs))
		raw->exp_stat_sn = get_be32(bhs + BHS_STAT_SN) + 1;
}

bool raw_receive(struct raw *raw)
{
	struct raw_pdu *pdu = &raw->pdu;
	uint8_t tail[3 + DIGEST_BYTES];

	if (!receive_bytes(raw, pdu->bhs, BHS_BYTES))
		return false;
	ASSERT_EQ(pdu->bhs[BHS_AHS_LENGTH], 0);
	if (raw->header_digest) {
		ASSERT_TRUE(receive_bytes(raw, tail, DIGEST_BYTES));
		ASSERT_EQ(get_le32(tail), digest_crc32c(pdu->bhs, BHS_BYTES));
	}
	pdu->len = pdu_data_len(pdu->bhs);
	ASSERT_TRUE(pdu->len <= RAW_DATA_MAX);
	take_numbers(raw);
	if (!pdu->len)
		return true;
	uint32_t pad = pdu_pad(pdu->len);
	uint32_t tail_len = pad + (raw->data_digest ? DIGEST_BYTES : 0);
	if (!receive_bytes(raw, pdu->data, pdu->len) || !receive_bytes(raw, tail, tail_len))
		return false;
	if (raw->data_digest) {
		uint32_t crc = digest_add(DIGEST_BEGIN, pdu->data, pdu->len);
		ASSERT_EQ(get_le32(tail + pad), digest_end(digest_add(crc, tail, pad)));
	}
	return true;
}

void raw_expect(struct raw *raw, enum pdu_opcode opcode)
{
	ASSERT_TRUE(raw_receive(raw));
	ASSERT_STR_EQ(pdu_name(pdu_opcode(raw->pdu.bhs)), pdu_name(opcode));
}

void raw_expect_close(struct raw *raw)
{
	while (raw_receive(raw))
		;
}

bool raw_silent(struct raw *raw)
{
	struct pollfd wait = { .fd = raw->fd, .events = POLLIN };
	return poll(&wait, 1, 0) == 0;
}

void raw_send_login(struct raw *raw, uint8_t isid, const char *keys)
{
	uint8_t bhs[BHS_BYTES];
	size_t len = strlen(keys);
	char text[4096];

	ASSERT_TRUE(len < sizeof(text));
	for (size_t i = 0; i <= len; i++)
		text[i] = keys[i] == '\n' ? '\0' : keys[i];
	pdu_start(bhs, PDU_LOGIN, FLAG_TRANSIT | FLAG_STAGES(1, 3), 0x4c4f474e);
	bhs[0] |= PDU_IMMEDIATE;
	bhs[BHS_ISID] = 0x80;
	bhs[BHS_ISID + 3] = isid;
	put_be16(bhs + BHS_TSIH, raw->tsih);
	put_be32(bhs + BHS_CMD_SN, raw->cmd_sn);
	(void)raw_send(raw, bhs, text, (uint32_t)len);
}

static bool answered(const struct raw *raw, const char *pair)
{
	return memmem(raw->pdu.data, raw->pdu.len, pair, strlen(pair) + 1) != NULL;
}

enum login_status raw_login_result(struct raw *raw)
{
	raw_expect(raw, PDU_LOGIN_RESPONSE);
	const uint8_t *bhs = raw->pdu.bhs;
	enum login_status status = get_be16(bhs + BHS_STATUS_CLASS);
	if (status != LOGIN_SUCCESS)
		return status;
	ASSERT_EQ(bhs[BHS_FLAGS], FLAG_TRANSIT | FLAG_STAGES(1, 3));
	raw->tsih = get_be16(bhs + BHS_TSIH);
	ASSERT_NE(raw->tsih, 0);
	raw->cmd_sn = get_be32(bhs + BHS_EXP_CMD_SN);
	raw->header_digest = answered(raw, "HeaderDigest=CRC32C");
	raw->data_digest = answered(raw, "DataDigest=CRC32C");
	return status;
}

enum login_status raw_login(struct raw *raw, uint8_t isid, const char *keys)
{
	raw_send_login(raw, isid, keys);
	return raw_login_result(raw);
}

enum login_status raw_login_to(struct raw *raw, uint8_t isid, const char *initiator,
                               const char *target, const char *keys)
{
	char text[2048];
	snprintf(text, sizeof(text), "InitiatorName=%s\nTargetName=%s\nSessionType=Normal\n%s",
	         initiator, target, keys);
	return raw_login(raw, isid, text);
}

uint32_t raw_start(struct raw *raw, uint8_t *bhs, uint8_t opcode, uint8_t flags)
{
	uint32_t itt = raw->itt++;
	pdu_start(bhs, opcode & PDU_OPCODE_MASK, flags, itt);
	bhs[0] = opcode;
	put_be32(bhs + BHS_CMD_SN, raw->cmd_sn);
	put_be32(bhs + BHS_EXP_STAT_SN, raw->exp_stat_sn);
	if (!(opcode & PDU_IMMEDIATE))
		raw->cmd_sn++;
	return itt;
}

uint32_t raw_command(struct raw *raw, uint8_t lun, uint8_t flags, const uint8_t *cdb,
                     size_t cdb_len, uint32_t expected_len, const void *data, uint32_t len)
{
	uint8_t bhs[BHS_BYTES];
	uint32_t itt = raw_start(raw, bhs, PDU_SCSI_COMMAND, flags | 1);

	bhs[BHS_LUN + 1] = lun;
	put_be32(bhs + BHS_EXPECTED_LENGTH, expected_len);
	memcpy(bhs + BHS_CDB, cdb, cdb_len);
	(void)raw_send(raw, bhs, data, len);
	return itt;
}

static uint32_t transfer(struct raw *raw, uint8_t opcode, uint8_t flags, uint32_t lba,
                         uint16_t blocks, uint32_t block_size, const void *data, uint32_t len)
{
	uint8_t cdb[10] = { opcode };
	put_be32(cdb + 2, lba);
	put_be16(cdb + 7, blocks);
	return raw_command(raw, 0, flags, cdb, sizeof(cdb), blocks * block_size, data, len);
}

uint32_t raw_read(struct raw *raw, uint32_t lba, uint16_t blocks, uint32_t block_size)
{
	return transfer(raw, 0x28, FLAG_FINAL | FLAG_READ, lba, blocks, block_size, NULL, 0);
}

uint32_t raw_write(struct raw *raw, uint32_t lba, uint16_t blocks, uint32_t block_size,
                   uint8_t flags, const void *data, uint32_t len)
{
	return transfer(raw, 0x2a, flags | FLAG_WRITE, lba, blocks, block_size, data, len);
}

bool raw_data_out(struct raw *raw, uint32_t itt, uint32_t ttt, uint32_t data_sn, uint32_t offset,
                  bool final, const void *data, uint32_t len)
{
	uint8_t bhs[BHS_BYTES];

	pdu_start(bhs, PDU_DATA_OUT, final ? FLAG_FINAL : 0, itt);
	put_be32(bhs + BHS_TTT, ttt);
	put_be32(bhs + BHS_EXP_STAT_SN, raw->exp_stat_sn);
	put_be32(bhs + BHS_DATA_SN, data_sn);
	put_be32(bhs + BHS_BUFFER_OFFSET, offset);
	return raw_send(raw, bhs, data, len);
}

void raw_answer_r2t(struct raw *raw, const uint8_t *data, uint32_t max)
{
	const uint8_t *bhs = raw->pdu.bhs;
	uint32_t itt = pdu_itt(bhs), ttt = pdu_ttt(bhs);
	uint32_t offset = get_be32(bhs + BHS_BUFFER_OFFSET);
	uint32_t left = get_be32(bhs + BHS_DESIRED_LENGTH);

	for (uint32_t data_sn = 0; left; data_sn++) {
		uint32_t len = left < max ? left : max;
		left -= len;
		ASSERT_TRUE(raw_data_out(raw, itt, ttt, data_sn, offset, left == 0, data + offset,
		                         len));
		offset += len;
	}
}

uint32_t raw_manage(struct raw *raw, uint8_t function, uint8_t lun, uint32_t referenced_tag,
                    uint32_t ref_cmd_sn)
{
	uint8_t bhs[BHS_BYTES];
	uint32_t itt =
	        raw_start(raw, bhs, PDU_TASK_MANAGEMENT | PDU_IMMEDIATE, FLAG_FINAL | function);

	bhs[BHS_LUN + 1] = lun;
	put_be32(bhs + BHS_REFERENCED_TAG, referenced_tag);
	put_be32(bhs + BHS_REF_CMD_SN, ref_cmd_sn);
	(void)raw_send(raw, bhs, NULL, 0);
	return itt;
}

uint32_t raw_nop(struct raw *raw, const void *data, uint32_t len)
{
	uint8_t bhs[BHS_BYTES];
	uint32_t itt = raw_start(raw, bhs, PDU_NOP_OUT | PDU_IMMEDIATE, FLAG_FINAL);

	put_be32(bhs + BHS_TTT, TAG_NONE);
	(void)raw_send(raw, bhs, data, len);
	return itt;
}

void raw_answer_ping(struct raw *raw, uint32_t ttt)
{
	uint8_t bhs[BHS_BYTES];

	(void)raw_start(raw, bhs, PDU_NOP_OUT | PDU_IMMEDIATE, FLAG_FINAL);
	put_be32(bhs + BHS_ITT, TAG_NONE);
	put_be32(bhs + BHS_TTT, ttt);
	(void)raw_send(raw, bhs, NULL, 0);
}

uint32_t raw_logout(struct raw *raw)
{
	uint8_t bhs[BHS_BYTES];
	uint32_t itt = raw_start(raw, bhs, PDU_LOGOUT | PDU_IMMEDIATE, FLAG_FINAL);

	(void)raw_send(raw, bhs, NULL, 0);
	return itt;
}

void raw_expect_good(struct raw *raw, uint32_t itt)
{
	raw_expect(raw, PDU_SCSI_RESPONSE);
	ASSERT_EQ(pdu_itt(raw->pdu.bhs), itt);
	ASSERT_EQ(raw->pdu.bhs[BHS_RESPONSE], 0);
	ASSERT_EQ(raw->pdu.bhs[BHS_STATUS], 0);
}

void raw_expect_sense(struct raw *raw, uint32_t itt, uint32_t code)
{
	raw_expect(raw, PDU_SCSI_RESPONSE);
	ASSERT_EQ(pdu_itt(raw->pdu.bhs), itt);
	ASSERT_EQ(raw->pdu.bhs[BHS_STATUS], 2);
	ASSERT_TRUE(raw->pdu.len >= 2 + 14);
	const uint8_t *sense = raw->pdu.data + 2;
	uint32_t found = (uint32_t)(sense[2] & 15) << 16 | (uint32_t)sense[12] << 8 | sense[13];
	if (found != code)
		fail_msg("sense %06x, want %06x", found, code);
}

void raw_expect_data(struct raw *raw, uint32_t itt, uint8_t *ret_data, uint32_t len)
{
	uint32_t have = 0, data_sn = 0;

	for (;;) {
		raw_expect(raw, PDU_DATA_IN);
		const uint8_t *bhs = raw->pdu.bhs;
		ASSERT_EQ(pdu_itt(bhs), itt);
		ASSERT_EQ(get_be32(bhs + BHS_DATA_SN), data_sn++);
		ASSERT_EQ(get_be32(bhs + BHS_BUFFER_OFFSET), have);
		ASSERT_TRUE(raw->pdu.len <= len - have);
		memcpy(ret_data + have, raw->pdu.data, raw->pdu.len);
		have += raw->pdu.len;
		if (bhs[BHS_FLAGS] & FLAG_STATUS)
			break;
	}
	ASSERT_EQ(raw->pdu.bhs[BHS_STATUS], 0);
	ASSERT_EQ(have, len);
}
