/* The checks of a command before data move, in the order of SAM-5: logical unit, opcode, unit
 * attention, access state, reservation, fields, range, resources. What they need stands in the
 * opcode table. */
#include "base/bytes.h"
#include "scsi/execute.h"
#include "scsi/limits.h"

#include <stdlib.h>

static uint8_t high_bit(uint8_t bits)
{
	uint8_t bit = 7;
	while (bit > 0 && !(bits & 1u << bit))
		bit--;
	return bit;
}

static bool find_opcode(struct scsi_task *task)
{
	uint8_t service_action = task->cdb[1] & 0x1f;
	bool known;
	task->state.opcode = opcode_find(task->cdb[0], service_action, &known);
	const struct scsi_opcode *row = task->state.opcode;
	if (row && !(task->wants_read && task->wants_write))
		return true;
	if (known && !row)
		task_end_bad_cdb(task, 1, 4);
	else
		task_end_check(task, SENSE_INVALID_OPCODE);
	return false;
}

static bool check_thin(struct scsi_task *task)
{
	if (!(task->state.opcode->flags & OP_THIN) || lun_is_thin(task_lun(task)))
		return true;
	task_end_check(task, SENSE_INVALID_OPCODE);
	return false;
}

static bool check_attention(struct scsi_task *task)
{
	struct itl *itl = task->state.itl;
	if (!ua_pending(&itl->attentions) || (task->state.opcode->flags & OP_NO_UA))
		return true;
	enum sense_code code = itl_take_attention(itl);
	if (code == SENSE_NONE)
		return true;
	task_end_check(task, code);
	return false;
}

/* Which bits of itl->reserved stop this command. */
static uint32_t reservation_mask(const struct scsi_task *task)
{
	const struct scsi_opcode *row = task->state.opcode;
	uint32_t mask = row->flags & OP_BESIDE ? 0 : RESERVED_ALL;
	if (row->flags & OP_RESERVE)
		mask |= RESERVED_RESERVING;
	switch ((enum scsi_reservation)row->reservation) {
	case RESERVATION_FREE:
	case RESERVATION_OWN:
		return mask;
	case RESERVATION_READ:
		return mask | RESERVED_READS;
	case RESERVATION_WRITE:
		return mask | RESERVED_WRITES;
	case RESERVATION_START_STOP:
		return task->cdb[4] & 0x01 ? mask : mask | RESERVED_WRITES;
	case RESERVATION_PREVENT:
		return task->cdb[4] & 0x03 ? mask | RESERVED_WRITES : mask;
	}
	return mask;
}

static bool check_reservation(struct scsi_task *task)
{
	uint32_t reserved = atomic_load_explicit(&task->state.itl->reserved, memory_order_acquire);
	if (!reserved || !(reserved & reservation_mask(task)))
		return true;
	conflict_end(task);
	return false;
}

static bool check_fields(struct scsi_task *task)
{
	const struct scsi_opcode *row = task->state.opcode;
	uint8_t refused = task->cdb[1] & row->refuse;
	if (refused) {
		task_end_bad_cdb(task, 1, high_bit(refused));
		return false;
	}
	if (task->attribute == SCSI_ACA || (task->cdb[row->cdb_len - 1] & 0x04)) {
		/* NACA: auto contingent allegiance is not offered (NORMACA=0). */
		task_end_bad_cdb(task, (uint16_t)(row->cdb_len - 1), 2);
		return false;
	}
	if (row->data == DATA_OUT && task->wants_read && task->expected_len) {
		task_end_check(task, SENSE_INVALID_FIELD_IN_CDB);
		return false;
	}
	return true;
}

static void parse_range(struct scsi_task *task)
{
	const struct scsi_opcode *row = task->state.opcode;
	task->state.lba = cdb_get(task->cdb, row->lba);
	task->state.blocks = (uint32_t)cdb_get(task->cdb, row->blocks);
	if (row->flags & OP_SIX) {
		task->state.lba &= 0x1fffff;
		if (task->state.blocks == 0)
			task->state.blocks = 256;
	}
}

static bool check_range(struct scsi_task *task)
{
	const struct scsi_opcode *row = task->state.opcode;
	if (row->lba.len == 0)
		return true;
	parse_range(task);
	const struct lun *lun = task_lun(task);
	if ((row->flags & OP_LIMITED) && task->state.blocks > transfer_max_blocks(lun)) {
		task_end_bad_cdb(task, row->blocks.at, 8);
		return false;
	}
	uint64_t capacity = lun_blocks(lun);
	if (range_ok(task->state.lba, task->state.blocks, capacity)) {
		task->state.range.lba = task->state.lba;
		task->state.range.blocks = task->state.blocks;
		return true;
	}
	uint64_t first = task->state.lba > capacity ? task->state.lba : capacity;
	task_end_information(task, SENSE_LBA_OUT_OF_RANGE, first);
	return false;
}

static bool check_protection(struct scsi_task *task)
{
	if (!(task->state.opcode->flags & OP_WRITES))
		return true;
	const struct itl *itl = task->state.itl;
	const struct lun *lun = itl->lun;
	if (!atomic_load_explicit(&itl->read_only, memory_order_relaxed) &&
	    !atomic_load_explicit(&lun->read_only, memory_order_relaxed))
		return true;
	task_end_check(task, SENSE_WRITE_PROTECTED);
	return false;
}

/* What the CDB asks to move, in bytes. */
static uint64_t cdb_bytes(const struct scsi_task *task)
{
	const struct scsi_opcode *row = task->state.opcode;
	uint64_t all = task->state.itl ? lun_bytes_of(task_lun(task), task->state.blocks) : 0;
	switch ((enum scsi_length)row->length_of) {
	case LENGTH_NONE:
		return 0;
	case LENGTH_ALLOCATION:
	case LENGTH_LIST:
		return cdb_get(task->cdb, row->length);
	case LENGTH_BLOCKS:
		return all;
	case LENGTH_TWICE:
		return 2 * all;
	case LENGTH_ONE_BLOCK: {
		bool no_data = row->op == 0x93 && (task->cdb[1] & 0x01);
		return no_data ? 0 : task_lun(task)->block_size;
	}
	case LENGTH_BYTCHK:
		switch (task->cdb[1] >> 1 & 3) {
		case 1:
			return all;
		case 3:
			return task->state.blocks ? task_lun(task)->block_size : 0;
		default:
			return 0;
		}
	}
	return 0;
}

/* Compares what the CDB says with what the initiator expects [RFC 7143 11.4.5]. */
static bool check_lengths(struct scsi_task *task)
{
	const struct scsi_opcode *row = task->state.opcode;
	uint64_t bytes = cdb_bytes(task);
	task->state.cdb_bytes = bytes;
	if (row->data != DATA_OUT)
		return true;
	uint32_t expected = task->wants_write ? task->expected_len : 0;
	bool exact = (row->flags & OP_EXACT) && (bytes || row->length_of != LENGTH_BYTCHK);
	if (exact && bytes != expected) {
		task_end_check(task, SENSE_INVALID_INFORMATION_UNIT);
		return false;
	}
	if (row->length_of == LENGTH_LIST && bytes > expected) {
		task_end_check(task, SENSE_PARAMETER_LIST_LENGTH);
		return false;
	}
	task->data_out_len = bytes < expected ? (uint32_t)bytes : expected;
	return true;
}

/* Counts the data against the LUN's bound. */
static bool check_resources(struct scsi_task *task)
{
	uint64_t bytes = task->data_out_len;
	if (task->state.opcode->data == DATA_IN && (task->state.opcode->flags & OP_MEDIUM)) {
		bytes = task->state.cdb_bytes;
		if (bytes > task->expected_len)
			bytes = task->expected_len;
	}
	if (bytes == 0 || task->state.reserved_bytes)
		return true;
	if (!lun_reserve(task_lun(task), (uint32_t)bytes)) {
		task_end_full(task);
		return false;
	}
	task->state.reserved_bytes = (uint32_t)bytes;
	return true;
}

/* A LUN that this initiator does not have: identity only [SPC-4 6.6, 6.33]. */
static bool admit_absent(struct scsi_task *task)
{
	if (!find_opcode(task))
		return false;
	if (!(task->state.opcode->flags & OP_ANY_LUN)) {
		task_end_check(task, SENSE_LUN_NOT_SUPPORTED);
		return false;
	}
	return check_fields(task) && check_lengths(task);
}

/* All that the CDB and the state of the LUN tell; false: the task has been ended. */
static bool check_all(struct scsi_task *task)
{
	task->state.checked = lun_situation(task_lun(task));
	if (!check_thin(task) || !check_reservation(task) || !check_fields(task) ||
	    !check_range(task) || !check_protection(task))
		return false;
	if (task->state.opcode->check && !task->state.opcode->check(task))
		return false;
	return check_lengths(task) && check_resources(task);
}

/* What is the owner's to check is left to it: only the data to collect is bounded here. */
static bool check_size(struct scsi_task *task)
{
	const struct scsi_opcode *row = task->state.opcode;
	if (row->blocks.len)
		parse_range(task);
	uint64_t bytes = cdb_bytes(task);
	uint32_t expected = task->wants_write ? task->expected_len : 0;
	task->state.cdb_bytes = bytes;
	if (row->data == DATA_OUT)
		task->data_out_len = bytes < expected ? (uint32_t)bytes : expected;
	if (task->data_out_len > TRANSFER_MAX_BYTES) {
		task_end_check(task, SENSE_INVALID_FIELD_IN_CDB); /* no command may be so large */
		return false;
	}
	return check_resources(task);
}

/* Commands that run here whatever the state: reservations count only where they are kept. */
static bool check_local(struct scsi_task *task)
{
	if (lun_get_state(task_lun(task)) == LUN_READY && !check_reservation(task))
		return false;
	return check_fields(task) && check_lengths(task);
}

bool task_admit(struct scsi_task *task)
{
	uint16_t number;
	struct itl *itl = NULL;
	if (lun_address_get(task->lun, &number) == LUN_ADDRESS_NUMBER)
		itl = nexus_find(task->nexus, number);
	if (!itl)
		return admit_absent(task);

	task->state.itl = itl;
	list_append(&itl->tasks, &task->state.link);
	if (task->attribute == SCSI_ORDERED)
		itl->ordered++;

	if (!find_opcode(task) || !check_attention(task))
		return false;
	if ((task->state.opcode->flags & OP_MEDIUM) && !itl->proxy)
		atomic_store_explicit(&itl->counters.last_io_ms, task->state.started_ms,
		                      memory_order_relaxed);
	switch (alua_decide(task)) {
	case ALUA_ENDED:
		return false;
	case ALUA_LOCAL:
		return check_local(task);
	case ALUA_SERVED:
	case ALUA_BESIDE:
		return check_all(task);
	case ALUA_HELD:
	case ALUA_FORWARDED:
		return check_size(task);
	}
	return false;
}

bool task_readmit(struct scsi_task *task)
{
	const struct scsi_opcode *row = task->state.opcode;
	struct lun *lun = task_lun(task);
	bool same = task->state.checked == task->state.sent;
	if (task->nexus->proxy && task->epoch != lun_get_epoch(lun)) {
		task_end_not_executed(task);
		return false;
	}
	if (same ? !check_reservation(task) : !check_all(task))
		return false;
	return !row->prepare || row->prepare(task);
}
