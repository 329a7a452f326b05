/* An initiator gone mad: PDUs that are nearly right, in any order. The server must survive, free
 * all that it took (the sanitizers and the stop of the rig look), and serve the next one. */
#include "rig.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CONNECTIONS 60
#define PDUS        120

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint32_t any(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % below;
}

static uint32_t last_itt, last_ttt;

/* Reads what is there, remembers the tags of R2Ts. */
static void look(int fd)
{
	static uint8_t bytes[1u << 16];
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	for (ssize_t i = 0; i + BHS_BYTES <= n; i += 4) {
		if (bytes[i] != PDU_R2T || bytes[i + 1] != FLAG_FINAL)
			continue;
		last_itt = pdu_itt(bytes + i);
		last_ttt = pdu_ttt(bytes + i);
	}
}

static void make_command(uint8_t *bhs)
{
	static const uint8_t opcodes[] = { 0x28, 0x2a, 0x2a, 0x00, 0x12, 0x41, 0x42, 0x89, 0xa0 };
	static const uint32_t lengths[] = { 0, 1, 255, 512, 4096, 65536, 1u << 20, 0xffffffff };

	bhs[BHS_FLAGS] = (uint8_t)(any(4) << 6 | any(2) << 5 | any(8));
	if (any(8))
		bhs[BHS_FLAGS] |= FLAG_FINAL;
	put_be32(bhs + BHS_EXPECTED_LENGTH, lengths[any(ARRAY_LEN(lengths))]);
	bhs[BHS_CDB] = opcodes[any(ARRAY_LEN(opcodes))];
	bhs[BHS_CDB + 5] = (uint8_t)any(256);
	bhs[BHS_CDB + 8] = (uint8_t)any(130);
}

static void make_data_out(uint8_t *bhs)
{
	put_be32(bhs + BHS_ITT, last_itt);
	put_be32(bhs + BHS_TTT, any(3) ? last_ttt : TAG_NONE);
	put_be32(bhs + BHS_DATA_SN, any(3));
	put_be32(bhs + BHS_BUFFER_OFFSET, any(4) * 512);
}

static bool send_one(struct raw *raw)
{
	static const uint8_t opcodes[] = {
		PDU_SCSI_COMMAND, PDU_SCSI_COMMAND, PDU_SCSI_COMMAND, PDU_DATA_OUT,
		PDU_DATA_OUT,     PDU_NOP_OUT,      PDU_TEXT,         PDU_TASK_MANAGEMENT,
	};
	static const uint8_t rare[] = { PDU_LOGOUT, PDU_SNACK, PDU_LOGIN, 0x1c, PDU_R2T };
	static uint8_t data[8192];
	uint8_t bhs[BHS_BYTES + AHS_MAX_BYTES] = { 0 };
	uint32_t len = any(3) ? 0 : any(sizeof(data));

	pdu_start(bhs, any(60) ? opcodes[any(ARRAY_LEN(opcodes))] : rare[any(ARRAY_LEN(rare))],
	          any(2) ? FLAG_FINAL | any(12) : any(256), raw->itt + any(40));
	if (!any(6))
		bhs[0] |= PDU_IMMEDIATE;
	if (pdu_opcode(bhs) == PDU_SCSI_COMMAND)
		make_command(bhs);
	else if (pdu_opcode(bhs) == PDU_DATA_OUT)
		make_data_out(bhs);
	else
		put_be32(bhs + BHS_TTT, any(2) ? TAG_NONE : last_itt);
	if (!any(30))
		bhs[BHS_AHS_LENGTH] = (uint8_t)any(6);
	bool numbered = !pdu_immediate(bhs) && pdu_opcode(bhs) != PDU_DATA_OUT;
	put_be32(bhs + BHS_CMD_SN, raw->cmd_sn + (any(40) ? 0 : any(8) - 4));
	raw->cmd_sn += numbered;
	raw->itt += any(3);
	return raw_send(raw, bhs, data, len);
}

TEST(random_pdus_neither_break_nor_leak_anything)
{
	static const char *const keys[] = {
		"",
		"InitialR2T=No\n",
		"ImmediateData=No\nMaxOutstandingR2T=8\n",
		"InitialR2T=No\nFirstBurstLength=1024\nMaxBurstLength=1024\n"
		"MaxRecvDataSegmentLength=512\n",
		"HeaderDigest=CRC32C\nDataDigest=CRC32C\nInitialR2T=No\n",
	};
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;

	rig->limits.max_inflight_bytes = RIG_REACTORS * (1u << 20);
	rig->controls.max_outstanding_r2t = 8;
	rig_apply(rig);
	for (unsigned i = 0; i < CONNECTIONS; i++) {
		if (any(4) == 0)
			rig_hold(rig);
		raw_connect(&raw, rig->address);
		/* Few ports, so that sessions are reinstated as well. */
		enum login_status status =
		        raw_login_to(&raw, (uint8_t)(i % 2 ? any(3) : 10 + i), RIG_INITIATOR,
		                     RIG_TARGET, keys[i % ARRAY_LEN(keys)]);
		for (unsigned k = 0; status == LOGIN_SUCCESS && k < PDUS && send_one(&raw); k++)
			look(raw.fd);
		raw_close(&raw);
		rig_release(rig);
	}
	rig_login(rig, &raw, 99, "");
	raw_close(&raw);
}

/* ---- initiators that come and go ---- */

#define COMERS    12
#define STEPS     1500
#define HELD_MOST 60

static void come(struct rig *rig, struct raw *raw)
{
	char keys[256];

	raw_connect_try(raw, rig->address);
	if (raw->fd < 0)
		return; /* its portal is away just now */
	snprintf(keys, sizeof(keys), "InitiatorName=%s\n%s", any(3) ? RIG_INITIATOR : RIG_OTHER,
	         any(8) ? "TargetName=" RIG_TARGET "\n" : "SessionType=Discovery\n");
	raw_send_login(raw, (uint8_t)any(3), keys);
}

static void ask_something(struct raw *raw)
{
	static const uint8_t data[RIG_BLOCK];

	switch (any(6)) {
	case 0:
		(void)raw_logout(raw);
		break;
	case 1:
		(void)raw_nop(raw, data, 64);
		break;
	case 2: /* its data never comes */
		(void)raw_write(raw, 0, 200, RIG_BLOCK, FLAG_FINAL, NULL, 0);
		break;
	case 3:
		(void)raw_manage(raw, TMF_LUN_RESET, 0, TAG_NONE, 0);
		break;
	default:
		(void)raw_write(raw, 0, 1, RIG_BLOCK, FLAG_FINAL, data, sizeof(data));
		break;
	}
}

static void configure(struct rig *rig)
{
	rig->with_target = any(8) != 0;
	rig->with_lun = any(4) != 0;
	rig->with_acl = any(4) == 0;
	rig->ready = any(5) != 0;
	rig->lun_count = 1 + any(RIG_LUNS);
	rig->tag = (uint16_t)(1 + any(2));
	rig_apply_start(rig);
}

static void one_step(struct rig *rig, struct raw *raws)
{
	struct raw *raw = &raws[any(COMERS)];

	if (any(40) == 0)
		configure(rig);
	if (any(20) == 0)
		rig_hold(rig);
	if (any(30) == 0 || rig_held(rig) > HELD_MOST)
		rig_release(rig);
	if (raw->fd < 0)
		come(rig, raw);
	else if (any(5) == 0)
		raw_close(raw);
	else
		ask_something(raw);
}

TEST(initiators_that_come_and_go_while_all_is_configured_anew_leave_nothing_behind)
{
	static const unsigned graces_ms[] = { 0, 20, 300 };
	static struct raw raws[COMERS], raw;

	for (size_t round = 0; round < ARRAY_LEN(graces_ms); round++) {
		struct rig *rig = rig_new();
		TEST_ROW("round %zu", round);
		rig->limits.ready_wait_s = 1;
		rig->limits.max_inflight_bytes = RIG_REACTORS * (1u << 20);
		rig_apply(rig);
		for (unsigned i = 0; i < COMERS; i++)
			raws[i].fd = -1;
		for (unsigned i = 0; i < STEPS; i++)
			one_step(rig, raws);
		rig_release(rig);
		rig->with_target = rig->with_lun = rig->ready = true;
		rig->with_acl = false;
		rig_apply(rig);
		rig_login(rig, &raw, 99, "");
		raw_close(&raw);
		rig_stop_start(rig, graces_ms[round]); /* in the middle */
		EVENTUALLY(atomic_load(&rig->stopped));
		for (unsigned i = 0; i < COMERS; i++)
			raw_close(&raws[i]);
		rig_free(rig);
	}
}
