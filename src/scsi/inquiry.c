/* Standard INQUIRY data [SPC-4 6.6.2]: the strings that tcmu-runner gave, so that no initiator's
 * multipath or claim rule changes. */
#include "base/bytes.h"
#include "scsi/execute.h"
#include "scsi/handlers.h"

#define INQUIRY_LEN      96
#define TPGS_IMPLICIT    0x10
#define THIRD_PARTY_COPY 0x08
#define EXTENDED_COPY    0x83

/* compat: multipath.conf, ESX claim rules and Windows MPIO match on these. */
static const uint8_t names[28] = "LIO-ORG TCMU device     0002";

/* SAM-5, iSCSI, SPC-3 (as VERSION says), SBC-3. */
static const uint16_t version_descriptors[] = { 0x00a0, 0x0960, 0x0300, 0x04c0 };

/* Peripheral qualifier and device type. */
static uint8_t peripheral(const struct scsi_task *task)
{
	uint16_t number;
	if (task->state.itl)
		return 0x00;
	switch (lun_address_get(task->lun, &number)) {
	case LUN_ADDRESS_WELL_KNOWN:
		return 0x1e;
	case LUN_ADDRESS_NUMBER:
		return number == 0 ? 0x20 : 0x7f; /* LUN 0 answers REPORT LUNS */
	case LUN_ADDRESS_INVALID:
		break;
	}
	return 0x7f;
}

static void standard_run(struct scsi_task *task)
{
	uint8_t *p = task_reply_start(task, INQUIRY_LEN);
	if (!p)
		return;
	bool copies;
	(void)opcode_find(EXTENDED_COPY, 0, &copies);
	p[0] = peripheral(task);
	p[2] = 0x05;
	p[3] = 0x02; /* response data format; compat: HISUP 0 */
	p[4] = INQUIRY_LEN - 5;
	p[5] = (uint8_t)(TPGS_IMPLICIT | (copies ? THIRD_PARTY_COPY : 0));
	p[7] = 0x02; /* CMDQUE */
	memcpy(p + 8, names, sizeof names);
	for (size_t i = 0; i < ARRAY_LEN(version_descriptors); i++)
		put_be16(p + 58 + 2 * i, version_descriptors[i]);
	task_reply_end(task, INQUIRY_LEN);
}

void inquiry_run(struct scsi_task *task)
{
	if (task->cdb[1] & 0x01)
		vpd_run(task);
	else if (task->cdb[2])
		task_end_bad_cdb(task, 2, 8);
	else
		standard_run(task);
}
