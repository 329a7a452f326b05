/* REPORT TARGET PORT GROUPS, REPORT SUPPORTED OPERATION CODES and REPORT SUPPORTED TASK MANAGEMENT
 * FUNCTIONS [SPC-4 6.37, 6.35, 6.36]. */
#include "base/bytes.h"
#include "scsi/execute.h"
#include "scsi/handlers.h"
#include "scsi/port_group.h"

/* ---- REPORT TARGET PORT GROUPS ---- */

/* Transitioning, unavailable, both active ones; compat: standby, which upstream announces too. */
#define SUPPORTED_STATES       0x8f
#define STATUS_IMPLICIT        0x02
#define TRANSITION_TIME_S      45 /* compat: osd_op_timeout + 15 */
#define GROUP_DESCRIPTOR_LEN   12
#define EXTENDED_HEADER_FORMAT 0x10

static void put_group(uint8_t *p, const struct port_group *group)
{
	p[0] = (uint8_t)group->state;
	p[1] = SUPPORTED_STATES;
	put_be16(p + 2, group->tag);
	p[5] = STATUS_IMPLICIT;
	p[7] = 1;
	put_be16(p + 10, group->tag); /* relative target port */
}

/* The groups, or this port alone while nobody has said. */
static size_t copy_groups(struct scsi_task *task, struct port_group *groups)
{
	size_t count = port_groups_told(task_lun(task), &task->nexus->identity, groups);
	if (count)
		return count;
	groups[0] = (struct port_group){ .tag = task->nexus->port.tag, .state = ALUA_OPTIMIZED };
	return 1;
}

void report_port_groups_run(struct scsi_task *task)
{
	uint8_t format = task->cdb[1] >> 5;
	if (format > 1) {
		task_end_bad_cdb(task, 1, 7);
		return;
	}
	struct port_group groups[LUN_MAX_PORT_GROUPS];
	size_t count = copy_groups(task, groups);
	uint8_t *p = task_reply_start(task, 8 + LUN_MAX_PORT_GROUPS * GROUP_DESCRIPTOR_LEN);
	if (!p)
		return;
	size_t len = 4;
	if (format == 1) {
		p[4] = EXTENDED_HEADER_FORMAT;
		p[5] = TRANSITION_TIME_S;
		len = 8;
	}
	for (size_t i = 0; i < count; i++, len += GROUP_DESCRIPTOR_LEN)
		put_group(p + len, &groups[i]);
	put_be32(p, (uint32_t)(len - 4));
	task_reply_end(task, len);
}

/* ---- REPORT SUPPORTED OPERATION CODES ---- */

#define TIMEOUTS_LEN 12

enum reporting { REPORT_ALL, REPORT_OPCODE, REPORT_SERVICE_ACTION, REPORT_EITHER };

static bool row_supported(struct scsi_task *task, const struct scsi_opcode *row)
{
	return !(row->flags & OP_THIN) || lun_is_thin(task_lun(task));
}

static void put_timeouts(uint8_t *p, const struct scsi_opcode *row)
{
	put_be16(p, TIMEOUTS_LEN - 2);
	put_be32(p + 8, row->timeout_s);
}

static void report_all(struct scsi_task *task, bool timeouts)
{
	size_t each = timeouts ? 8 + TIMEOUTS_LEN : 8;
	uint8_t *p = task_reply_start(task, 4 + opcode_count() * each);
	if (!p)
		return;
	size_t len = 4;
	for (size_t i = 0; i < opcode_count(); i++) {
		const struct scsi_opcode *row = opcode_at(i);
		if (!row_supported(task, row))
			continue;
		uint8_t *d = p + len;
		bool has_action = row->service_action != SA_NONE;
		d[0] = row->op;
		put_be16(d + 2, has_action ? row->service_action : 0);
		d[5] = (uint8_t)((timeouts ? 0x02 : 0) | (has_action ? 0x01 : 0));
		put_be16(d + 6, row->cdb_len);
		if (timeouts)
			put_timeouts(d + 8, row);
		len += each;
	}
	put_be32(p, (uint32_t)(len - 4));
	task_reply_end(task, len);
}

static void report_one(struct scsi_task *task, const struct scsi_opcode *row, bool timeouts)
{
	uint8_t *p = task_reply_start(task, 4 + sizeof row->usage + TIMEOUTS_LEN);
	if (!p)
		return;
	if (!row) {
		p[1] = 0x01; /* not supported */
		task_reply_end(task, 4);
		return;
	}
	p[1] = (uint8_t)(0x03 | (timeouts ? 0x80 : 0));
	put_be16(p + 2, row->cdb_len);
	memcpy(p + 4, row->usage, row->cdb_len);
	if (row->service_action != SA_NONE)
		p[5] = (uint8_t)((row->usage[1] & 0xe0) | row->service_action);
	size_t len = 4u + row->cdb_len;
	if (timeouts) {
		put_timeouts(p + len, row);
		len += TIMEOUTS_LEN;
	}
	task_reply_end(task, len);
}

/* Whether the opcode has service actions; the table says the same for all its rows. */
static bool has_service_actions(uint8_t op)
{
	for (size_t i = 0; i < opcode_count(); i++) {
		if (opcode_at(i)->op == op)
			return opcode_at(i)->service_action != SA_NONE;
	}
	return false;
}

void report_opcodes_run(struct scsi_task *task)
{
	enum reporting option = task->cdb[2] & 0x07;
	bool timeouts = task->cdb[2] & 0x80;
	uint8_t op = task->cdb[3];
	uint16_t action = get_be16(task->cdb + 4);
	if (option == REPORT_ALL) {
		report_all(task, timeouts);
		return;
	}
	bool known;
	const struct scsi_opcode *row = opcode_find(op, (uint8_t)action, &known);
	if (row && row->service_action != SA_NONE && action > 0x1f)
		row = NULL;
	if (row && !row_supported(task, row))
		row = NULL;
	bool actions = has_service_actions(op);
	bool wrong = (option == REPORT_OPCODE && actions) ||
	             (option == REPORT_SERVICE_ACTION && known && !actions) ||
	             option > REPORT_EITHER;
	if (wrong)
		task_end_bad_cdb(task, 2, 2);
	else
		report_one(task, row, timeouts);
}

/* ---- REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS ---- */

#define SUPPORTED_TMFS \
	0xda /* ABORT TASK, ABORT TASK SET, CLEAR TASK SET, LUN RESET, TARGET RESET */

void report_tmfs_run(struct scsi_task *task)
{
	bool extended = task->cdb[2] & 0x80;
	uint8_t *p = task_reply_start(task, 16);
	if (!p)
		return;
	p[0] = SUPPORTED_TMFS;
	p[3] = extended ? 12 : 0;
	task_reply_end(task, extended ? 16 : 4);
}
