/* Commands: their pool, their table by tag, the Command PDU, and the steps from begin to answer.
 * [RFC 7143 11.3] */
#include "iscsi/command.h"

#include "iscsi/barrier.h"
#include "iscsi/control.h"
#include "iscsi/session.h"
#include "iscsi/worker.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define POOL_MAX      4096 /* free commands kept */
#define IMMEDIATE_MAX 8    /* immediate commands at once; more are rejected */

static struct command **bucket_of(struct session *session, uint32_t itt)
{
	/* Tags are small counters, or random: multiplying spreads both. */
	return &session->buckets[itt * 0x9e3779b1u >> 24];
}
_Static_assert(COMMAND_BUCKETS == 1 << 8, "bucket_of gives 8 bits");

struct command *command_find(const struct session *session, uint32_t itt)
{
	struct command *command = *bucket_of((struct session *)(uintptr_t)session, itt);
	while (command && command->itt != itt)
		command = command->bucket_next;
	return command;
}

static struct command *pool_get(struct worker *worker)
{
	struct list *link = list_take_first(&worker->free_commands);
	if (!link)
		return malloc(sizeof(struct command));
	worker->free_command_count--;
	return list_entry(link, struct command, link);
}

static void pool_put(struct worker *worker, struct command *command)
{
	if (worker->free_command_count >= POOL_MAX) {
		free(command);
		return;
	}
	worker->free_command_count++;
	list_prepend(&worker->free_commands, &command->link);
}

void command_pool_done(struct worker *worker)
{
	for (struct list *link; (link = list_take_first(&worker->free_commands));)
		free(list_entry(link, struct command, link));
	worker->free_command_count = 0;
}

static bool emit(struct outgoing *outgoing, struct tx_slot *slot)
{
	struct command *command = container_of(outgoing, struct command, outgoing);
	if (command->state == COMMAND_ANSWERING)
		return response_emit(command, slot);
	return data_out_emit_r2t(command, slot);
}

/* The response has left, or the connection is gone and with it all that was queued. */
static void outgoing_ended(struct outgoing *outgoing)
{
	struct command *command = container_of(outgoing, struct command, outgoing);
	if (command->state == COMMAND_ANSWERING)
		command_end(command);
}

static void execute(struct command *command)
{
	command->state = COMMAND_EXECUTING;
	scsi_task_execute(&command->task);
}

static void pass(struct waiter *waiter)
{
	execute(container_of(waiter, struct command, waiter));
}

static void wait_for_sign_of_life(struct command *command)
{
	command->state = COMMAND_WAITING;
	barrier_wait(command->session, &command->waiter);
}

struct command *command_new(struct session *session, uint32_t itt)
{
	struct command *command = pool_get(session->worker);
	if (!command)
		return NULL;
	memset(command, 0, offsetof(struct command, sense));
	command->outgoing.emit = emit;
	command->outgoing.ended = outgoing_ended;
	list_init(&command->outgoing.link);
	list_init(&command->memory_link);
	list_init(&command->waiter.link);
	command->waiter.pass = pass;
	command->session = session;
	command->itt = itt;
	/* 0xffff is kept out, so that no target transfer tag is the reserved one. */
	command->serial = session->command_serial++ % 0xffff;
	struct command **bucket = bucket_of(session, itt);
	command->bucket_next = *bucket;
	*bucket = command;
	list_append(&session->commands, &command->link);
	session->command_count++;
	return command;
}

void command_end(struct command *command)
{
	struct session *session = command->session;
	struct command **at = bucket_of(session, command->itt);

	while (*at != command)
		at = &(*at)->bucket_next;
	*at = command->bucket_next;
	list_remove(&command->link);
	list_remove(&command->memory_link);
	list_remove(&command->waiter.link);
	list_remove(&command->outgoing.link);
	session->command_count--;
	data_out_ended(command);
	if (session->receiving == command) {
		session->receiving = NULL;
		if (session->connection) /* what is left of that PDU is dropped */
			session->connection->rx.data = NULL;
	}
	if (command->numbered)
		session_give_back_unanswered(session);
	session->immediate_count -= command->immediate;
	if (command->begun)
		scsi_task_release(&command->task);
	worker_uncharge(session->worker, command->charged);
	pool_put(session->worker, command);
	if (session->stopping)
		session_check_end(session);
}

bool command_take_buffer(struct command *command, uint32_t len)
{
	struct worker *worker = command->session->worker;

	if (!worker_charge(worker, len))
		return false;
	command->task.data = buffer_get(reactor_buffers(worker->reactor), len);
	if (!command->task.data) {
		worker_uncharge(worker, len);
		return false;
	}
	command->charged += len;
	return true;
}

static void start_answer(struct command *command)
{
	struct session *session = command->session;

	command->state = COMMAND_ANSWERING;
	command->burst_left = session->values.max_burst;
	list_remove(&command->memory_link);
	if (!session->connection || session->connection->state != CONNECTION_FULL_FEATURE) {
		command_end(command);
		return;
	}
	if (list_empty(&command->outgoing.link))
		connection_send(session->connection, &command->outgoing);
	if (command->ends_connection)
		connection_finish(session->connection);
}

/* The transport's own status takes the place of the device server's. */
static void put_own_result(struct command *command)
{
	struct scsi_task *task = &command->task;

	task->status = command->own_status;
	task->data_in_len = 0;
	task->residual_kind = task->expected_len ? SCSI_UNDERFLOW : SCSI_NO_RESIDUAL;
	task->residual = task->expected_len;
	task->sense_len = 0;
	if (!command->own_sense_key)
		return;
	memset(task->sense, 0, 18);
	task->sense[0] = 0x70; /* current, fixed format [SPC-4 4.5.3] */
	task->sense[2] = command->own_sense_key;
	task->sense[7] = 18 - 8;
	put_be16(task->sense + 12, command->own_asc_ascq);
	task->sense_len = 18;
}

void command_done(struct scsi_task *task)
{
	struct command *command = container_of(task, struct command, task);

	list_remove(&command->waiter.link);
	if (command->refused) {
		put_own_result(command);
	} else if (task->aborted) {
		command_end(command);
		return;
	}
	command->state = COMMAND_ANSWERING;
	command_progress(command);
}

void command_progress(struct command *command)
{
	/* Data that is on its way is let in first: the initiator must not find its command
	 * finished while it still sends unsolicited data for it. */
	if (command->receiving || command->unsolicited)
		return;
	switch (command->state) {
	case COMMAND_ANSWERING:
		start_answer(command);
		break;
	case COMMAND_COLLECTING:
		if (command->have < command->task.data_out_len) {
			data_out_solicit(command);
			break;
		}
		data_out_ended(command);
		if (barrier_passes(command))
			execute(command);
		else
			wait_for_sign_of_life(command);
		break;
	case COMMAND_WAITING:
	case COMMAND_EXECUTING:
		break;
	}
}

void command_refuse(struct command *command, enum scsi_status status, uint8_t sense_key,
                    uint16_t asc_ascq)
{
	command->refused = true;
	command->own_status = (uint8_t)status;
	command->own_sense_key = sense_key;
	command->own_asc_ascq = asc_ascq;
	if (command->begun) {
		scsi_task_cancel(&command->task); /* done() goes on */
		return;
	}
	put_own_result(command);
	command->state = COMMAND_ANSWERING;
	command_progress(command);
}

void command_stop_all(struct session *session)
{
	struct command *command, *following;

	session->receiving = NULL;
	list_for_each_safe (command, following, &session->commands, link) {
		bool waited = command->receiving || command->unsolicited;
		command->receiving = command->unsolicited = false;
		if (waited && command->state == COMMAND_ANSWERING)
			command_progress(command);
	}
}

/* What is wrong with a Command PDU in itself. */
static enum reject_reason check_command(const struct session *session, const uint8_t *bhs,
                                        bool *ret_fatal)
{
	uint8_t flags = bhs[BHS_FLAGS];
	uint32_t expected = get_be32(bhs + BHS_EXPECTED_LENGTH);
	uint32_t len = pdu_data_len(bhs);

	*ret_fatal = false;
	if (pdu_itt(bhs) == TAG_NONE)
		return REJECT_INVALID_FIELD;
	if (!(flags & FLAG_FINAL) && !(flags & FLAG_WRITE))
		return REJECT_INVALID_FIELD;
	if (len > expected || (len && !(flags & FLAG_WRITE)) ||
	    (len == expected && !(flags & FLAG_FINAL)))
		return REJECT_PROTOCOL_ERROR;
	*ret_fatal = true;
	if (len && !session->values.immediate_data)
		return REJECT_PROTOCOL_ERROR;
	if (command_find(session, pdu_itt(bhs)))
		return REJECT_TASK_IN_PROGRESS;
	return 0;
}

static int reject_command(struct session *session, const uint8_t *bhs, enum reject_reason reason,
                          bool fatal)
{
	if (!pdu_immediate(bhs))
		session_give_back(session);
	session->rule = NULL;
	return fatal ? reject_and_finish(session, bhs, reason) : reject_send(session, bhs, reason);
}

/* The AHS of the PDU, if it has one. 0, or a reason to reject it. */
static enum reject_reason parse_ahs(const uint8_t *bhs, struct pdu_ahs *ret_ahs)
{
	*ret_ahs = (struct pdu_ahs){ 0 };
	if (!pdu_ahs_len(bhs))
		return 0;
	int r = pdu_parse_ahs(bhs + BHS_BYTES, pdu_ahs_len(bhs), ret_ahs);
	if (r == -EOPNOTSUPP)
		return REJECT_NOT_SUPPORTED;
	if (r < 0 || ret_ahs->cdb_rest_len > SCSI_CDB_MAX - 16)
		return REJECT_INVALID_FIELD;
	return 0;
}

/* Everything that the device server must know. */
static void fill_task(struct command *command, const uint8_t *bhs, const struct pdu_ahs *ahs)
{
	struct scsi_task *task = &command->task;

	task->nexus = command->session->nexus;
	memcpy(task->lun, bhs + BHS_LUN, 8);
	memcpy(task->cdb, bhs + BHS_CDB, 16);
	if (ahs->cdb_rest_len)
		memcpy(task->cdb + 16, ahs->cdb_rest, ahs->cdb_rest_len);
	task->cdb_len = (uint8_t)(16 + ahs->cdb_rest_len);
	task->attribute = bhs[BHS_FLAGS] & FLAG_ATTRIBUTE_MASK;
	task->wants_read = bhs[BHS_FLAGS] & FLAG_READ;
	task->wants_write = bhs[BHS_FLAGS] & FLAG_WRITE;
	task->expected_len = get_be32(bhs + BHS_EXPECTED_LENGTH);
	task->tag = command->itt;
	task->done = command_done;
	command->cmd_sn = get_be32(bhs + BHS_CMD_SN);
}

/* Unsolicited data against what was negotiated. False: it was refused. */
static bool check_unsolicited(struct command *command, const uint8_t *bhs)
{
	const struct login_values *values = &command->session->values;

	if (command->unsolicited && values->initial_r2t) {
		command->unsolicited = false; /* nothing more is read: the connection ends */
		command->ends_connection = true;
		command_refuse(command, SCSI_CHECK_CONDITION, 0x0b,
		               SENSE_UNEXPECTED_UNSOLICITED_DATA);
		return false;
	}
	if (pdu_data_len(bhs) > values->first_burst) {
		command->unsolicited = false;
		command->ends_connection = true;
		command_refuse(command, SCSI_CHECK_CONDITION, 0x0b, SENSE_WRONG_UNSOLICITED_DATA);
		return false;
	}
	if ((command->task.wants_read && command->task.wants_write) ||
	    (command->task.expected_len && !command->task.wants_read &&
	     !command->task.wants_write)) {
		command_refuse(command, SCSI_CHECK_CONDITION, 0x05, SENSE_INVALID_FIELD_IN_CDB);
		return false;
	}
	return true;
}

/* The device server wants data: immediate data needs its buffer at once, the rest can wait. */
static void place_immediate(struct command *command, uint32_t immediate_len)
{
	struct scsi_task *task = &command->task;
	uint32_t len = task->data_out_len;

	if (!immediate_len && !command->unsolicited)
		return;
	/* Data beyond what the command takes is let into the buffer's end and forgotten. */
	if (len < immediate_len)
		len = immediate_len;
	if (command->unsolicited) {
		uint32_t burst = command->session->values.first_burst;
		uint32_t most = task->expected_len < burst ? task->expected_len : burst;
		if (len < most)
			len = most;
	}
	if (!command_take_buffer(command, len)) {
		command_refuse(command, SCSI_TASK_SET_FULL, 0, 0);
		return;
	}
	if (immediate_len)
		command->session->connection->rx.data = task->data->data;
}

static void begin_task(struct command *command, uint32_t immediate_len)
{
	struct scsi_task *task = &command->task;

	if (task->wants_read) {
		uint32_t len = task->expected_len < BUFFER_MAX_BYTES ? task->expected_len
		                                                     : BUFFER_MAX_BYTES;
		if (!worker_charge(command->session->worker, len)) {
			command_refuse(command, SCSI_TASK_SET_FULL, 0, 0);
			return;
		}
		command->charged = len;
	}
	command->begun = true;
	barrier_begin(command);
	task->deferred = !barrier_passes(command);
	if (scsi_task_begin(task) == SCSI_BEGIN_STARTED) {
		command->state = COMMAND_EXECUTING;
		return;
	}
	command->state = COMMAND_COLLECTING;
	if (!task->data_out_len)
		wait_for_sign_of_life(command);
	else if (task->data_out_len > BUFFER_MAX_BYTES)
		command_refuse(command, SCSI_CHECK_CONDITION, 0x05, SENSE_INVALID_FIELD_IN_CDB);
	else
		place_immediate(command, immediate_len);
}

int command_begin(struct session *session, uint8_t *bhs)
{
	struct pdu_ahs ahs;
	struct worker *worker = session->worker;
	bool fatal;
	enum reject_reason reason = check_command(session, bhs, &fatal);

	if (scsi_command_uses_medium(bhs + BHS_CDB))
		atomic_store_explicit(&worker->command_ms, worker->boot_ms, memory_order_relaxed);
	if (!reason && pdu_immediate(bhs) && session->immediate_count >= IMMEDIATE_MAX) {
		reason = REJECT_TOO_MANY_IMMEDIATE;
		fatal = false;
	}
	if (!reason) {
		reason = parse_ahs(bhs, &ahs);
		fatal = false;
	}
	if (reason)
		return reject_command(session, bhs, reason, fatal);
	struct command *command = command_new(session, pdu_itt(bhs));
	if (!command)
		return -ENOMEM;
	fill_task(command, bhs, &ahs);
	command->numbered = !pdu_immediate(bhs);
	command->immediate = pdu_immediate(bhs);
	session->immediate_count += command->immediate;
	session->receiving = command;
	command->receiving = true;
	command->unsolicited = !(bhs[BHS_FLAGS] & FLAG_FINAL);
	if (check_unsolicited(command, bhs))
		begin_task(command, pdu_data_len(bhs));
	return 0;
}

/* The Command PDU is whole, with its immediate data. */
int command_end_of_pdu(struct session *session, uint8_t *bhs)
{
	struct command *command = steal(&session->receiving);

	if (!command)
		return 0; /* aborted meanwhile */
	command->have = pdu_data_len(bhs);
	command->receiving = false;
	command_progress(command);
	return 0;
}
