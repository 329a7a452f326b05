/* Fuzzes what the owner of a LUN sends to a gateway that forwards to it: its part of the login, and
 * answers. The input is a list of steps: what is done (1 byte), a count, and as many changes of a
 * byte (offset, value) of the PDU that the owner sends in this step. Whatever comes, each task ends
 * once, after the owner was fenced and the LUN is served here. */
#include "one_gateway.h"

#include "interconnect/handshake.h"
#include "interconnect/hub.h"
#include "interconnect/message.h"
#include "scsi/nexus.h"
#include "scsi/task.h"

#include "base/buffer.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define STEPS_MAX    32
#define TASKS_MAX    16
#define REQUESTS_MAX 64
#define PDU_MAX      4096
#define READ_BYTES   1024
#define WRITE_BYTES  512

/* ---- the gateway that forwards ---- */

struct command {
	struct scsi_task task;
	unsigned done;
};

static struct {
	struct reactor *reactor;
	struct backend *disk;
	struct interconnect_listener listener;
	struct interconnect *interconnect;
	uint32_t peer;
	struct lun *lun;
	struct nexus *nexus;
	struct command commands[TASKS_MAX];
	unsigned command_count;
	struct task_management management;
	bool managing;
} origin;

static struct lun *find_lun(struct interconnect_listener *listener, const char *name,
                            const char *wwn)
{
	(void)listener;
	(void)name;
	(void)wwn;
	return NULL;
}

static void turn(void)
{
	for (unsigned i = 0; i < 4; i++)
		(void)reactor_turn(origin.reactor, 0);
}

static void pass(unsigned ms)
{
	now_ms += ms;
	turn();
}

/* ---- the owner ---- */

static struct {
	int listener, fd; /* fd < 0: not connected */
	struct sockaddr_un address;
	socklen_t address_len;
	struct handshake handshake;
	uint8_t in[32768];
	size_t len;
	bool up;
	bool odd;               /* it has sent something changed */
	const uint8_t *changes; /* of the PDU that is sent next: pairs of offset and value */
	size_t change_count;
	uint32_t exp_cmd_sn, stat_sn;
	struct {
		uint32_t itt;
		uint8_t opcode;
	} requests[REQUESTS_MAX];
	unsigned request_count;
} owner = { .fd = -1 };

static void owner_cut(void)
{
	if (owner.fd >= 0)
		close(owner.fd);
	owner.fd = -1;
	owner.up = false;
	owner.len = 0;
}

static void owner_send(uint8_t *pdu)
{
	size_t len = BHS_BYTES + pdu_ahs_len(pdu) + pdu_data_len(pdu) + pdu_pad(pdu_data_len(pdu));
	check(len <= PDU_MAX);
	owner.odd = owner.odd || owner.change_count;
	for (; owner.change_count; owner.change_count--, owner.changes += 2)
		pdu[owner.changes[0] % len] = owner.changes[1];
	if (owner.fd >= 0)
		(void)!send(owner.fd, pdu, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void answer_login(const uint8_t *pdu)
{
	static const uint8_t secret[INTERCONNECT_SECRET_BYTES];
	const struct message_heartbeat heartbeat = { 1, 2, 3 };
	struct handshake *handshake = &owner.handshake;
	struct handshake_pdu in = { 0 }, out = { 0 };
	uint8_t sent[PDU_MAX] = { 0 };
	bool resume;
	uint32_t exp_stat_sn;

	memcpy(in.bhs, pdu, BHS_BYTES);
	memcpy(in.text, pdu + BHS_BYTES, pdu_data_len(pdu));
	if (!handshake->version) {
		check(handshake_take_hello(&in, handshake) == 0);
		check(handshake_party_init(&handshake->party[HANDSHAKE_OWNER], "owner", "one") ==
		      0);
		handshake->version = handshake_choose_version(handshake);
		check(handshake_put_answer(handshake, secret, &out) == 0);
		memcpy(sent, out.bhs, BHS_BYTES);
		memcpy(sent + BHS_BYTES, out.text, pdu_data_len(out.bhs));
		owner_send(sent);
		return;
	}
	check(handshake_take_proof(&in, handshake, secret, &resume, &exp_stat_sn) == 0);
	pdu_start(sent, PDU_LOGIN_RESPONSE,
	          FLAG_TRANSIT | FLAG_STAGES(STAGE_SECURITY, STAGE_FULL_FEATURE), 0);
	pdu_put_sn(sent, owner.stat_sn, owner.exp_cmd_sn, 0);
	message_put_heartbeat(sent, &heartbeat);
	owner.up = true;
	owner_send(sent);
}

static void take_request(const uint8_t *pdu)
{
	uint8_t opcode = pdu_opcode(pdu);
	if (opcode == PDU_LOGIN) {
		answer_login(pdu);
		return;
	}
	if (pdu[BHS_OPCODE] & PDU_IMMEDIATE || opcode == PDU_DATA_OUT)
		return;
	owner.exp_cmd_sn = get_be32(pdu + BHS_CMD_SN) + 1;
	if ((opcode == PDU_SCSI_COMMAND || opcode == PDU_TASK_MANAGEMENT) &&
	    owner.request_count < REQUESTS_MAX) {
		owner.requests[owner.request_count].itt = pdu_itt(pdu);
		owner.requests[owner.request_count++].opcode = opcode;
	}
}

static void owner_read(void)
{
	ssize_t got =
	        recv(owner.fd, owner.in + owner.len, sizeof(owner.in) - owner.len, MSG_DONTWAIT);
	if (got > 0)
		owner.len += (size_t)got;
	while (owner.len >= BHS_BYTES) {
		uint32_t data_len = pdu_data_len(owner.in);
		size_t len = BHS_BYTES + pdu_ahs_len(owner.in) + data_len + pdu_pad(data_len);
		if (owner.len < len)
			break;
		take_request(owner.in);
		owner.len -= len;
		memmove(owner.in, owner.in + len, owner.len);
	}
	if (got == 0)
		owner_cut();
}

static void owner_turn(void)
{
	if (owner.fd < 0) {
		owner.fd = accept4(owner.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		owner.handshake = (struct handshake){ 0 };
	}
	for (unsigned i = 0; i < 4; i++) {
		turn();
		if (owner.fd >= 0)
			owner_read();
	}
}

static void owner_open(void)
{
	owner.address.sun_family = AF_UNIX; /* bound to a name of the kernel's choice */
	owner.address_len = sizeof(owner.address);
	owner.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	check(owner.listener >= 0 &&
	      bind(owner.listener, (struct sockaddr *)&owner.address, sizeof(sa_family_t)) == 0 &&
	      listen(owner.listener, 16) == 0 &&
	      getsockname(owner.listener, (struct sockaddr *)&owner.address, &owner.address_len) ==
	              0);
}

/* ---- commands ---- */

static void task_done(struct scsi_task *task)
{
	struct command *command = container_of(task, struct command, task);
	check(++command->done == 1 && task->data_in_len <= task->expected_len);
	check(!task->data_in_len || task->data->size >= task->data_in_len);
	check(owner.odd || task->cdb[0] != 0x28 || !task->data_in_len ||
	      task->data_in_len == READ_BYTES);
	scsi_task_release(task);
}

static struct scsi_task *new_task(uint8_t opcode, uint32_t expected_len)
{
	struct scsi_task *task = &origin.commands[origin.command_count++].task;
	task->nexus = origin.nexus;
	task->cdb[0] = opcode;
	task->cdb_len = 16;
	task->attribute = SCSI_SIMPLE;
	task->expected_len = expected_len;
	task->tag = origin.command_count;
	task->done = task_done;
	return task;
}

/* REQUEST SENSE takes them: else the first commands would end with them. */
static void take_unit_attentions(void)
{
	for (unsigned i = 0; i < 4; i++) {
		struct scsi_task *task = new_task(0x03, 252);
		task->cdb[4] = 252;
		task->wants_read = true;
		(void)scsi_task_begin(task);
		turn();
	}
	memset(origin.commands, 0, sizeof(origin.commands));
	origin.command_count = 0;
}

static void start_command(bool writes)
{
	uint32_t len = writes ? WRITE_BYTES : READ_BYTES;
	if (origin.command_count == TASKS_MAX)
		return;
	struct scsi_task *task = new_task(writes ? 0x2a : 0x28, len);
	task->cdb[8] = (uint8_t)(len / 512);
	task->wants_read = !writes;
	task->wants_write = writes;
	if (scsi_task_begin(task) != SCSI_BEGIN_NEEDS_DATA)
		return;
	task->data = buffer_get(reactor_buffers(origin.reactor), task->data_out_len);
	check(task->data != NULL);
	memset(task->data->data, 0x5a, task->data_out_len);
	scsi_task_execute(task);
}

static void managed(struct task_management *request)
{
	(void)request;
	check(origin.managing);
	origin.managing = false;
}

static void manage(enum task_function function)
{
	if (origin.managing)
		return;
	origin.management = (struct task_management){ .function = function, .done = managed };
	if (function == TMF_ABORT_TASK) {
		for (unsigned i = 0; i < origin.command_count; i++)
			if (!origin.commands[i].done)
				origin.management.task = &origin.commands[i].task;
	}
	origin.managing = true;
	nexus_manage(origin.nexus, &origin.management);
}

/* ---- answers ---- */

static uint32_t pick_request(uint8_t opcode, uint8_t which)
{
	unsigned count = 0;
	for (unsigned i = 0; i < owner.request_count; i++)
		count += owner.requests[i].opcode == opcode;
	for (unsigned i = 0; i < owner.request_count; i++) {
		if (owner.requests[i].opcode == opcode && --count <= (which & 3u))
			return owner.requests[i].itt;
	}
	return 1;
}

static void put_numbers(uint8_t *pdu)
{
	pdu_put_sn(pdu, owner.stat_sn, owner.exp_cmd_sn, 0);
}

static void send_data_in(uint8_t which, uint32_t at, uint32_t len, bool status)
{
	uint8_t pdu[PDU_MAX] = { 0 };
	pdu_start(pdu, PDU_DATA_IN, status ? FLAG_FINAL | FLAG_STATUS : 0,
	          pick_request(PDU_SCSI_COMMAND, which));
	put_be32(pdu + BHS_TTT, READ_BYTES);
	put_be32(pdu + BHS_BUFFER_OFFSET, at);
	pdu_put_data_len(pdu, len);
	put_numbers(pdu);
	owner.stat_sn += status;
	owner_send(pdu);
}

static void send_response(uint8_t which, uint8_t response, uint8_t sense_len)
{
	uint8_t pdu[PDU_MAX] = { 0 };
	pdu_start(pdu, PDU_SCSI_RESPONSE, FLAG_FINAL, pick_request(PDU_SCSI_COMMAND, which));
	pdu[BHS_RESPONSE] = response;
	pdu[BHS_STATUS] = sense_len ? SCSI_CHECK_CONDITION : SCSI_GOOD;
	put_be16(pdu + BHS_BYTES, sense_len);
	pdu[BHS_BYTES + 2] = 0x70;
	pdu_put_data_len(pdu, sense_len ? sense_len + 2u : 0);
	put_numbers(pdu);
	owner.stat_sn++;
	owner_send(pdu);
}

static void send_management_response(uint8_t response)
{
	uint8_t pdu[PDU_MAX] = { 0 };
	pdu_start(pdu, PDU_TASK_MANAGEMENT_RESPONSE, FLAG_FINAL,
	          pick_request(PDU_TASK_MANAGEMENT, 0));
	pdu[BHS_RESPONSE] = response;
	put_numbers(pdu);
	owner.stat_sn++;
	owner_send(pdu);
}

static void send_heartbeat(void)
{
	const struct message_heartbeat heartbeat = { now_ms, 2, 3 };
	uint8_t pdu[PDU_MAX] = { 0 };
	pdu_start(pdu, PDU_NOP_IN, FLAG_FINAL, TAG_NONE);
	put_numbers(pdu);
	message_put_heartbeat(pdu, &heartbeat);
	owner_send(pdu);
}

static void reconnect(void)
{
	owner_cut();
	turn();
	for (unsigned i = 0; i < 8 && !owner.up; i++) {
		pass(100);
		owner_turn();
	}
}

static void step(uint8_t what)
{
	uint8_t which = what >> 4;
	switch (what & 15) {
	case 0:
	case 1:
		start_command(what & 1);
		break;
	case 2:
		send_data_in(which, 0, READ_BYTES, true);
		break;
	case 3:
		send_data_in(which, 0, READ_BYTES / 2, false);
		break;
	case 4:
		send_data_in(which, READ_BYTES / 2, READ_BYTES / 2, true);
		break;
	case 5:
		send_response(which, MESSAGE_DONE, 0);
		break;
	case 6:
		send_response(which, MESSAGE_DONE, 18);
		break;
	case 7:
		send_response(which, which & 1 ? MESSAGE_ABORTED : MESSAGE_NOT_EXECUTED, 0);
		break;
	case 8:
	case 9:
		manage(what & 1 ? TMF_ABORT_TASK : TMF_LUN_RESET);
		break;
	case 10:
		send_management_response(which & 1 ? MESSAGE_NOT_EXECUTED : TMF_COMPLETE);
		break;
	case 11:
		send_heartbeat();
		break;
	case 12:
		pass(100u * which);
		break;
	default:
		reconnect();
		break;
	}
}

/* ---- a life ---- */

static void begin(void)
{
	struct error err;
	static const struct scsi_port port = { .tag = 1, .target_name = "iqn.b" };
	struct interconnect_config config = { .reactor_count = 1,
		                              .manager = origin.reactor,
		                              .reactors = &origin.reactor,
		                              .gateway = "gw1",
		                              .instance = "a",
		                              .address = "127.0.0.1",
		                              .listener = &origin.listener,
		                              .clock = now };
	check(interconnect_new(&config, &origin.interconnect, &err) == 0);
	struct lun_config lun = fuzz_lun;
	lun.relay = interconnect_relay(origin.interconnect);
	check(lun_new(&lun, &origin.lun) == 0);
	struct lun_mapping mapping = { .lun = origin.lun };
	const struct nexus_config nexus = { .initiator_name = "iqn.a",
		                            .isid = { 1 },
		                            .port = &port,
		                            .reactor = origin.reactor,
		                            .mappings = &mapping,
		                            .mapping_count = 1 };
	check(nexus_new(&nexus, &origin.nexus) == 0);
	memset(origin.commands, 0, sizeof(origin.commands));
	origin.command_count = 0;
	owner.exp_cmd_sn = owner.stat_sn = 1;
	owner.request_count = 0;
	owner.odd = false;
	check(interconnect_add_peer(origin.interconnect, "owner", "one", "127.0.0.1:1",
	                            &origin.peer) == 0);
	struct peer *peer = origin.interconnect->peers[0];
	memcpy(&peer->address, &owner.address, sizeof(owner.address));
	peer->address_len = owner.address_len;
	const struct lun_route route = { .peer = origin.peer, .epoch = 7 };
	lun_forward(origin.lun, &route);
	take_unit_attentions();
}

static void set_flag(void *argument)
{
	*(bool *)argument = true;
}

static bool over(void)
{
	for (unsigned i = 0; i < origin.command_count; i++)
		if (!origin.commands[i].done)
			return false;
	return !origin.managing;
}

static void turn_until(const bool *flag)
{
	for (unsigned i = 0; i < 1000 && !*flag; i++)
		pass(1);
	check(*flag);
}

static void end(void)
{
	bool ended = false, quiet = false, stopped = false;
	struct interconnect_counters counters;

	owner_cut();
	lun_set_state(origin.lun, LUN_HELD);
	interconnect_forget(origin.interconnect, origin.peer);
	turn();
	lun_set_epoch(origin.lun, 8);
	lun_serve(origin.lun, origin.disk);
	for (unsigned i = 0; i < 1000 && !over(); i++)
		pass(1);
	check(over());
	nexus_stop(origin.nexus, set_flag, &ended);
	turn_until(&ended);
	nexus_free(origin.nexus);
	lun_quiesce(origin.lun, LUN_FAILED, set_flag, &quiet);
	turn_until(&quiet);
	interconnect_get_counters(origin.interconnect, &counters);
	check(counters.relayed_now == 0);
	interconnect_stop(origin.interconnect, set_flag, &stopped);
	turn_until(&stopped);
	lun_put(origin.lun);
	interconnect_free(origin.interconnect);
	turn();
	for (int fd; (fd = accept(owner.listener, NULL, NULL)) >= 0;)
		close(fd);
}

static void make_once(void)
{
	if (origin.reactor)
		return;
	origin.listener = (struct interconnect_listener){ peer_changed, told, find_lun };
	make_reactor_and_disk(&origin.reactor, &origin.disk);
	owner_open();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	make_once();
	begin();
	/* Changes of the first step are made in the login. */
	for (unsigned i = 0; size >= 2 && i < STEPS_MAX; i++) {
		size_t count = data[1] & 7;
		if (count > (size - 2) / 2)
			count = (size - 2) / 2;
		owner.changes = data + 2;
		owner.change_count = count;
		if (i == 0)
			reconnect();
		else
			step(data[0]);
		owner_turn();
		owner.change_count = 0;
		data += 2 + 2 * count;
		size -= 2 + 2 * count;
	}
	end();
	return 0;
}
