/* Fuzzes what comes from another gateway. The first byte picks the part:
 * 0: the handshake, as header and text; 1: texts and additional segments, pure;
 * 2: requests of a peer that has logged in: records of a template (1 byte), a count, and as many
 *    changes of a byte (offset, value), numbered and stamped rightly unless a change says
 * otherwise; 3: the same after a session has begun, cut in the middle. */
#include "one_gateway.h"

#include "interconnect/handshake.h"
#include "interconnect/hub.h"
#include "interconnect/inbound.h"
#include "interconnect/message.h"

#include <stdlib.h>
#include <sys/socket.h>

#define RECORD_MAX  2048
#define RECORDS_MAX 24

/* ---- pure parts ---- */

static void fuzz_handshake(const uint8_t *data, size_t size)
{
	static const uint8_t secret[INTERCONNECT_SECRET_BYTES];
	struct handshake_pdu pdu = { 0 };
	struct handshake handshake = { 0 }, other = { 0 };
	bool resume;
	uint32_t exp_stat_sn;

	if (size < BHS_BYTES)
		return;
	memcpy(pdu.bhs, data, BHS_BYTES);
	size -= BHS_BYTES;
	size = size < HANDSHAKE_TEXT_MAX ? size : HANDSHAKE_TEXT_MAX;
	memcpy(pdu.text, data + BHS_BYTES, size);
	pdu_put_data_len(pdu.bhs, (uint32_t)size);
	pdu.bhs[BHS_OPCODE] = PDU_LOGIN;
	if (handshake_take_hello(&pdu, &handshake) == 0)
		check(handshake.party[HANDSHAKE_ORIGIN].gateway[0] && handshake.reactor <= 1023);
	check(handshake_take_answer(&pdu, secret, &other) < 0);
	check(handshake_take_proof(&pdu, &handshake, secret, &resume, &exp_stat_sn) < 0);
}

static void fuzz_messages(const uint8_t *data, size_t size)
{
	struct message_nexus nexus;
	struct message_row row;
	struct message_command command;
	struct message_heartbeat heartbeat;
	const uint8_t *cdb_rest;
	uint8_t header[BHS_BYTES + AHS_MAX_BYTES] = { 0 };

	if (message_take_nexus((const char *)data, (uint32_t)size, &nexus) == 0)
		check(strlen(nexus.initiator) < sizeof(nexus.initiator));
	if (message_take_row((const char *)data, (uint32_t)size, &row) == 0)
		check(strlen(row.wwn) < sizeof(row.wwn));
	size = size < sizeof(header) ? size : sizeof(header);
	memcpy(header, data, size);
	if (message_take_command(header, &command, &cdb_rest) == 0)
		check(pdu_ahs_len(header) == 32 || (cdb_rest && pdu_ahs_len(header) == 52));
	if (message_take_heartbeat(header, &heartbeat) == 0)
		check(pdu_ahs_len(header) == 24);
}

/* ---- a gateway ---- */

static struct {
	struct reactor *reactor;
	struct interconnect *interconnect;
	struct interconnect_listener listener;
	struct lun *lun;
	struct backend *disk;
} gateway;

static struct lun *find_lun(struct interconnect_listener *listener, const char *name,
                            const char *wwn)
{
	(void)listener;
	(void)wwn;
	return name[0] == 'r' ? lun_get(gateway.lun) : NULL;
}

static void make_gateway(void)
{
	struct error err;
	struct interconnect_config config = { .reactor_count = 1,
		                              .gateway = "gw1",
		                              .instance = "a",
		                              .address = "127.0.0.1",
		                              .listener = &gateway.listener,
		                              .clock = now };
	if (gateway.reactor)
		return;
	gateway.listener = (struct interconnect_listener){ peer_changed, told, find_lun };
	make_reactor_and_disk(&gateway.reactor, &gateway.disk);
	check(lun_new(&fuzz_lun, &gateway.lun) == 0);
	lun_set_epoch(gateway.lun, 7);
	lun_serve(gateway.lun, gateway.disk);
	config.manager = gateway.reactor;
	config.reactors = &gateway.reactor;
	check(interconnect_new(&config, &gateway.interconnect, &err) == 0);
}

/* ---- requests ---- */

static uint32_t put_text(uint8_t *record, uint8_t kind, int len, const char *text)
{
	check(len > 0);
	pdu_start(record, PDU_TEXT, FLAG_FINAL, TAG_NONE);
	record[2] = kind;
	pdu_put_data_len(record, (uint32_t)len);
	memcpy(record + BHS_BYTES, text, (size_t)len);
	return BHS_BYTES + (uint32_t)len + pdu_pad((uint32_t)len);
}

static uint32_t put_command(uint8_t *record, uint8_t cdb0, uint32_t data_len, uint32_t length)
{
	bool writes = length > 0;
	const struct message_command command = {
		.row = 0, .length = length, .epoch = 7, .stamp = now_ms
	};
	uint8_t flags = (writes ? FLAG_WRITE : FLAG_READ) | SCSI_SIMPLE;
	pdu_start(record, PDU_SCSI_COMMAND, flags | (data_len == length ? FLAG_FINAL : 0), 5);
	put_be32(record + BHS_EXPECTED_LENGTH, writes ? length : 512);
	record[BHS_CDB] = cdb0;
	record[BHS_CDB + 8] = cdb0 == 0x5f ? 24 : 1;
	message_put_command(record, &command, NULL);
	pdu_put_data_len(record, data_len);
	return BHS_BYTES + pdu_ahs_len(record) + data_len;
}

static uint32_t put_management(uint8_t *record, uint8_t function)
{
	const struct message_command command = { .epoch = 7, .stamp = now_ms };
	pdu_start(record, PDU_TASK_MANAGEMENT, FLAG_FINAL | function, 6);
	put_be32(record + BHS_REFERENCED_TAG, 5);
	message_put_command(record, &command, NULL);
	return BHS_BYTES + pdu_ahs_len(record);
}

static uint32_t put_template(uint8_t *record, uint8_t template)
{
	static const struct message_nexus nexus = { 0, "iqn.a", "iqn.b", { 1 }, 1 };
	static const struct message_row row = { 0, 0, "rbd/disk_1", "x", false };
	char text[MESSAGE_TEXT_MAX];

	switch (template % 12) {
	case 0:
		return put_text(record, MESSAGE_NEXUS, message_put_nexus(&nexus, text), text);
	case 1:
		return put_text(record, MESSAGE_ROW, message_put_row(&row, text), text);
	case 2:
		return put_command(record, 0x28, 0, 0);
	case 3:
		return put_command(record, 0x2a, 512, 512);
	case 4:
		return put_command(record, 0x2a, 256, 512); /* the rest follows as Data-Out */
	case 5:
		pdu_start(record, PDU_DATA_OUT, FLAG_FINAL, 5);
		put_be32(record + BHS_BUFFER_OFFSET, 256);
		pdu_put_data_len(record, 256);
		return BHS_BYTES + 256;
	case 6:
		return put_command(record, 0x5f, 24, 24);
	case 7:
		return put_management(record, TMF_ABORT_TASK);
	case 8:
		return put_management(record, TMF_LUN_RESET);
	case 9:
		pdu_start(record, PDU_TEXT, FLAG_FINAL, TAG_NONE);
		record[2] = MESSAGE_NO_NEXUS;
		return BHS_BYTES;
	case 10:
		return put_text(record, MESSAGE_TELL, 5, "hello");
	default: {
		const struct message_heartbeat heartbeat = { 1, 2, 3 };
		pdu_start(record, PDU_NOP_OUT, FLAG_FINAL, TAG_NONE);
		message_put_heartbeat(record, &heartbeat);
		return BHS_BYTES + pdu_ahs_len(record);
	}
	}
}

static void turn(void)
{
	for (unsigned i = 0; i < 3; i++)
		(void)reactor_turn(gateway.reactor, 0);
}

static int arrive(void)
{
	int fds[2];
	struct arrival *arrival = calloc(1, sizeof(*arrival));
	check(arrival && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	arrival->hub = &gateway.interconnect->hubs[0];
	strcpy(arrival->handshake.party[HANDSHAKE_ORIGIN].gateway, "peer");
	strcpy(arrival->handshake.party[HANDSHAKE_ORIGIN].instance, "one");
	arrival->exp_stat_sn = 1;
	arrival->fd = fds[1];
	arrival->message.run = inbound_arrive;
	reactor_post(gateway.reactor, &arrival->message);
	turn();
	return fds[0];
}

static uint32_t next_cmd_sn(void)
{
	const struct hub *hub = &gateway.interconnect->hubs[0];
	return list_empty(&hub->inbounds)
	               ? 1
	               : list_first(&hub->inbounds, struct inbound, link)->exp_cmd_sn;
}

/* One record; returns how much of the input it took. */
static size_t send_record(int fd, const uint8_t *data, size_t size)
{
	uint8_t record[RECORD_MAX] = { 0 };
	uint32_t len = put_template(record, data[0]);
	size_t changes = size > 1 ? data[1] & 7 : 0, at = 2;

	put_be32(record + BHS_CMD_SN, next_cmd_sn());
	put_be32(record + BHS_EXP_STAT_SN, 1);
	for (; changes && at + 2 <= size; changes--, at += 2)
		record[data[at] % len] = data[at + 1];
	(void)!send(fd, record, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	turn();
	return at;
}

static void fuzz_requests(const uint8_t *data, size_t size, bool again)
{
	struct hub *hub = &gateway.interconnect->hubs[0];
	uint8_t answers[4096];
	int fd = arrive();

	if (again) { /* a session, and a new connection in the middle of a write */
		static const uint8_t begin[][2] = { { 0, 0 }, { 1, 0 }, { 3, 0 }, { 4, 0 } };
		for (size_t i = 0; i < ARRAY_LEN(begin); i++)
			(void)send_record(fd, begin[i], 2);
		close(fd);
		fd = arrive();
	}
	for (unsigned i = 0; size && i < RECORDS_MAX; i++) {
		size_t took = send_record(fd, data, size);
		took = took < size ? took : size;
		data += took;
		size -= took;
		while (recv(fd, answers, sizeof(answers), MSG_DONTWAIT) > 0)
			;
	}
	close(fd);
	turn();
	inbounds_forget(hub, "peer", "one");
	for (unsigned i = 0; i < 100 && !list_empty(&hub->inbounds); i++)
		turn();
	check(list_empty(&hub->inbounds) && atomic_load(&hub->executing_now) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0] & 3) {
	case 0:
		fuzz_handshake(data + 1, size - 1);
		break;
	case 1:
		fuzz_messages(data + 1, size - 1);
		break;
	default:
		make_gateway();
		fuzz_requests(data + 1, size - 1, data[0] & 1);
		break;
	}
	return 0;
}
