/* UNMAP and WRITE SAME [SBC-3 5.28, 5.42]. Unmapped blocks read as zero at once (LBPRZ), down to a
 * single block: so UNMAP writes zeroes, which frees the space of whole granules, and never leaves
 * the edges as they were. */
#include "base/bytes.h"
#include "scsi/execute.h"
#include "scsi/handlers.h"
#include "scsi/limits.h"

#define LIST_HEADER   8
#define DESCRIPTOR    16
#define ZERO_PIECE    ((uint64_t)1 << 30)
#define PATTERN_PIECE (1u << 20)

/* ---- UNMAP ---- */

static size_t descriptor_count(const struct scsi_task *task)
{
	if (task->data_out_len < LIST_HEADER)
		return 0;
	size_t said = get_be16(task->data->data + 2), came = task->data_out_len - LIST_HEADER;
	return (said < came ? said : came) / DESCRIPTOR;
}

static const uint8_t *descriptor_at(const struct scsi_task *task, size_t i)
{
	return task->data->data + LIST_HEADER + i * DESCRIPTOR;
}

/* All descriptors are checked before any is carried out. */
static bool check_descriptors(struct scsi_task *task, size_t count)
{
	struct backend_info info;
	lun_copy_info(task_lun(task), &info);
	uint64_t capacity = lun_blocks(task_lun(task)), sum = 0;
	for (size_t i = 0; i < count; i++) {
		const uint8_t *p = descriptor_at(task, i);
		uint64_t lba = get_be64(p);
		uint32_t blocks = get_be32(p + 8);
		if (!range_ok(lba, blocks, capacity)) {
			task_end_information(task, SENSE_LBA_OUT_OF_RANGE,
			                     lba > capacity ? lba : capacity);
			return false;
		}
		sum += blocks;
		if (sum > unmap_max_blocks(task_lun(task), &info)) {
			task_end_bad_list(task, (uint16_t)(LIST_HEADER + i * DESCRIPTOR + 8), 8);
			return false;
		}
	}
	return true;
}

/* One range around all descriptors: what COMPARE AND WRITE must not overlap. */
static void span_descriptors(struct scsi_task *task, size_t count)
{
	uint64_t first = UINT64_MAX, end = 0;
	for (size_t i = 0; i < count; i++) {
		const uint8_t *p = descriptor_at(task, i);
		uint64_t lba = get_be64(p);
		uint32_t blocks = get_be32(p + 8);
		if (blocks == 0)
			continue;
		first = lba < first ? lba : first;
		end = lba + blocks > end ? lba + blocks : end;
	}
	if (end) {
		task->state.range.lba = first;
		task->state.range.blocks = end - first;
	}
}

bool unmap_prepare(struct scsi_task *task)
{
	if (task->data_out_len == 0)
		return true;
	if (task->data_out_len < LIST_HEADER) {
		task_end_check(task, SENSE_PARAMETER_LIST_LENGTH);
		return false;
	}
	size_t count = descriptor_count(task);
	if (count > UNMAP_MAX_DESCRIPTORS) {
		task_end_bad_list(task, 2, 8);
		return false;
	}
	if (!check_descriptors(task, count))
		return false;
	span_descriptors(task, count);
	return true;
}

static void unmapped(struct scsi_task *task, int result)
{
	if (result < 0)
		task_end_failed(task, result);
	else
		unmap_run(task);
}

/* The next descriptor that has blocks; state.position counts them. */
void unmap_run(struct scsi_task *task)
{
	const struct lun *lun = task_lun(task);
	size_t count = descriptor_count(task);
	while (task->state.position < count) {
		const uint8_t *p = descriptor_at(task, task->state.position++);
		uint64_t blocks = get_be32(p + 8);
		task->state.lba = get_be64(p);
		if (blocks) {
			task_io(task, IO_WRITE_ZEROES, 0, lun_bytes_of(lun, task->state.lba),
			        lun_bytes_of(lun, blocks), NULL, unmapped);
			return;
		}
	}
	task_end_good(task);
}

/* ---- WRITE SAME ---- */

#define UNMAP_BIT 0x08

bool write_same_check(struct scsi_task *task)
{
	if (task->state.blocks == 0) { /* WSNZ=1 */
		task_end_bad_cdb(task, task->state.opcode->blocks.at, 8);
		return false;
	}
	if ((task->cdb[1] & UNMAP_BIT) && !lun_is_thin(task_lun(task))) {
		task_end_bad_cdb(task, 1, 3);
		return false;
	}
	return true;
}

static void write_same_next(struct scsi_task *task);

static void same_written(struct scsi_task *task, int result)
{
	if (result < 0) {
		task->state.lba += task->state.position >> task_lun(task)->block_shift;
		task_end_failed(task, result); /* INFORMATION: the first that may be missing */
		return;
	}
	task->state.position += task->state.io.length;
	write_same_next(task);
}

static void write_same_next(struct scsi_task *task)
{
	const struct lun *lun = task_lun(task);
	uint64_t left = lun_bytes_of(lun, task->state.blocks) - task->state.position;
	uint64_t at = lun_bytes_of(lun, task->state.lba) + task->state.position;
	if (left == 0) {
		task_end_good(task);
	} else if (task->state.scratch) {
		uint64_t len = left < PATTERN_PIECE ? left : PATTERN_PIECE;
		task_io(task, IO_WRITE, 0, at, len, task->state.scratch->data, same_written);
	} else {
		unsigned flags = task->cdb[1] & UNMAP_BIT ? 0 : IO_NO_UNMAP;
		uint64_t len = left < ZERO_PIECE ? left : ZERO_PIECE;
		task_io(task, IO_WRITE_ZEROES, flags, at, len, NULL, same_written);
	}
}

static bool all_zero(const uint8_t *p, size_t len)
{
	return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

/* A pattern that is not zero is written, also with UNMAP=1: unmapping would lose it. */
void write_same_run(struct scsi_task *task)
{
	uint32_t block = task_lun(task)->block_size;
	if (task->data_out_len && !all_zero(task->data->data, block)) {
		uint64_t all = lun_bytes_of(task_lun(task), task->state.blocks);
		size_t room = all < PATTERN_PIECE ? (size_t)all : PATTERN_PIECE;
		uint8_t *pattern = task_scratch(task, room);
		if (!pattern)
			return;
		for (size_t at = 0; at < room; at += block)
			memcpy(pattern + at, task->data->data, block);
	}
	write_same_next(task);
}
