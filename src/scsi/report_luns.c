/* REPORT LUNS [SPC-4 6.33]: what this initiator may use, ascending. */
#include "base/bytes.h"
#include "scsi/execute.h"
#include "scsi/handlers.h"

static const uint8_t well_known[8] = { 0xc1, 0x01 };

/* Which parts of the list a SELECT REPORT value asks for; administrative and subsidiary ones do not
 * exist. */
static const struct {
	uint8_t value;
	bool mapped, well_known;
} selections[] = {
	{ 0x00, true, false },  { 0x01, false, true },  { 0x02, true, true },
	{ 0x10, false, false }, { 0x11, false, false }, { 0x12, false, false },
};

static size_t put_mapped(const struct nexus *nexus, uint8_t *p)
{
	for (size_t i = 0; i < nexus->itl_count; i++)
		lun_address_put(p + 8 * i, nexus->itls[i]->number);
	/* compat: LUN 0 is reported when nothing is mapped. */
	return nexus->itl_count ? nexus->itl_count : 1;
}

void report_luns_run(struct scsi_task *task)
{
	const struct nexus *nexus = task->nexus;
	size_t row = 0;
	while (row < ARRAY_LEN(selections) && selections[row].value != task->cdb[2])
		row++;
	if (row == ARRAY_LEN(selections)) {
		task_end_bad_cdb(task, 2, 8);
		return;
	}
	uint8_t *p = task_reply_start(task, 8 + 8 * (nexus->itl_count + 2));
	if (!p)
		return;
	size_t count = selections[row].mapped ? put_mapped(nexus, p + 8) : 0;
	if (selections[row].well_known)
		memcpy(p + 8 + 8 * count++, well_known, sizeof well_known);
	put_be32(p, (uint32_t)(8 * count));

	for (size_t i = 0; i < nexus->itl_count; i++)
		itl_remove_attention(nexus->itls[i], SENSE_LUNS_CHANGED);
	task_reply_end(task, 8 + 8 * count);
}
