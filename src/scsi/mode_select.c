/* MODE SELECT(6) and (10) [SPC-4 6.11, 6.12]: takes what is so already, and nothing else. What an
 * initiator could change would have to be the same at all gateways, and outlive its owner. */
#include "base/bytes.h"
#include "scsi/execute.h"
#include "scsi/handlers.h"
#include "scsi/mode.h"

/* A page of the parameter list against what is there. */
static bool check_page(struct scsi_task *task, const struct mode_page *page, const uint8_t *p,
                       size_t at)
{
	uint8_t current[MODE_PAGE_MAX];
	mode_page_get(task_lun(task), page, current);
	for (size_t i = 1; i < page->len; i++) {
		if (p[i] != current[i]) {
			task_end_bad_list(task, (uint16_t)(at + i), 8);
			return false;
		}
	}
	return true;
}

/* Finds and checks the page at `at`. Its length; 0: the task has been ended. */
static size_t check_page_at(struct scsi_task *task, const uint8_t *list, size_t at)
{
	size_t left = task->data_out_len - at;
	const uint8_t *p = list + at;
	bool has_subpage = p[0] & 0x40;
	if (left < (has_subpage ? 4u : 2u)) {
		task_end_check(task, SENSE_PARAMETER_LIST_LENGTH);
		return 0;
	}
	size_t len = has_subpage ? 4u + get_be16(p + 2) : 2u + p[1];
	const struct mode_page *page = mode_page_find(p[0] & 0x3f, has_subpage ? p[1] : 0);
	if (!page) {
		task_end_bad_list(task, (uint16_t)at, 8);
		return 0;
	}
	if (len != page->len) {
		task_end_bad_list(task, (uint16_t)(at + (has_subpage ? 2 : 1)), 8);
		return 0;
	}
	if (left < len) {
		task_end_check(task, SENSE_PARAMETER_LIST_LENGTH);
		return 0;
	}
	return check_page(task, page, p, at) ? len : 0;
}

/* The block descriptor may only say what is so. */
static bool check_descriptor(struct scsi_task *task, const uint8_t *p, size_t len, size_t at)
{
	const struct lun *lun = task_lun(task);
	uint64_t blocks = len == 16 ? get_be64(p) : get_be32(p);
	uint64_t unlimited = len == 16 ? UINT64_MAX : UINT32_MAX;
	uint32_t block_size = len == 16 ? get_be32(p + 12) : get_be24(p + 5);
	if (blocks != 0 && blocks != unlimited && blocks != lun_blocks(lun)) {
		task_end_bad_list(task, (uint16_t)at, 8);
		return false;
	}
	if (block_size != lun->block_size) {
		task_end_bad_list(task, (uint16_t)(at + (len == 16 ? 12 : 5)), 8);
		return false;
	}
	return true;
}

/* Header and block descriptor; 0: the task has been ended. */
static size_t parse_header(struct scsi_task *task, const uint8_t *list)
{
	bool ten = task->cdb[0] == 0x55;
	size_t header = ten ? 8 : 4;
	if (task->data_out_len < header) {
		task_end_check(task, SENSE_PARAMETER_LIST_LENGTH);
		return 0;
	}
	size_t descriptor = ten ? get_be16(list + 6) : list[3];
	size_t expected = ten && (list[4] & 0x01) ? 16 : 8;
	if (descriptor != 0 && descriptor != expected) {
		task_end_bad_list(task, ten ? 6 : 3, 8);
		return 0;
	}
	if (task->data_out_len < header + descriptor) {
		task_end_check(task, SENSE_PARAMETER_LIST_LENGTH);
		return 0;
	}
	if (descriptor && !check_descriptor(task, list + header, descriptor, header))
		return 0;
	return header + descriptor;
}

void mode_select_run(struct scsi_task *task)
{
	if (!(task->cdb[1] & 0x10)) {
		task_end_bad_cdb(task, 1, 4); /* PF: only standard pages */
		return;
	}
	if (task->cdb[1] & 0x01) {
		task_end_check(task, SENSE_SAVING_NOT_SUPPORTED);
		return;
	}
	if (task->data_out_len == 0) {
		task_end_good(task);
		return;
	}
	const uint8_t *list = task->data->data;
	size_t start = parse_header(task, list);
	if (start == 0)
		return;
	for (size_t at = start; at < task->data_out_len;) {
		size_t len = check_page_at(task, list, at);
		if (len == 0)
			return;
		at += len;
	}
	task_end_good(task);
}
