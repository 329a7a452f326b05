/* The life of a task: begin, order, lock its range, run, end, done [SAM-5 5, 8].
 *
 * A READ or WRITE on the common way costs two atomics on the LUN (enter, leave) and takes no lock.
 */
#include "scsi/task.h"

#include "base/bytes.h"
#include "base/log.h"
#include "scsi/execute.h"
#include "scsi/walk.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static void run_step(struct message *message)
{
	struct scsi_task *task = container_of(message, struct scsi_task, state.message);
	task->state.step(task);
}

/* In this turn, on the reactor, but not inside the caller. */
static void task_later(struct scsi_task *task, void (*step)(struct scsi_task *task))
{
	task->state.step = step;
	task->state.message.run = run_step;
	reactor_defer(task->nexus->reactor, &task->state.message);
}

static void add(_Atomic uint64_t *counter, uint64_t n)
{
	/* Only this reactor writes it. */
	uint64_t was = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, was + n, memory_order_relaxed);
}

static void task_count(const struct scsi_task *task)
{
	struct itl_counters *counters = &task->state.itl->counters;
	const struct scsi_opcode *row = task->state.opcode;
	if (task->aborted || task->status != SCSI_GOOD)
		add(&counters->errors, 1);
	if (!row || !(row->flags & OP_MEDIUM)) {
		add(&counters->others, 1);
	} else if (row->data == DATA_IN) {
		add(&counters->reads, 1);
		add(&counters->read_bytes, task->data_in_len);
	} else if (row->flags & OP_WRITES) {
		add(&counters->writes, 1);
		add(&counters->write_bytes, task->data_out_len);
	} else {
		add(&counters->others, 1);
	}
}

/* What an aborted task says. */
static void apply_abort(struct scsi_task *task)
{
	if (task->state.abort == ABORT_NOT)
		return;
	task->aborted = task->state.abort == ABORT_SILENT;
	task->status = SCSI_TASK_ABORTED;
	task->sense_len = 0;
	task->data_in_len = 0;
	task->residual_kind = SCSI_NO_RESIDUAL;
	task->residual = 0;
}

static void task_finish(struct scsi_task *task)
{
	struct nexus *nexus = task->nexus;
	struct itl *itl = task->state.itl;

	apply_abort(task);
	if (itl) {
		list_remove(&task->state.link);
		if (task->attribute == SCSI_ORDERED)
			itl->ordered--;
		task_count(task);
		walk_task_gone(itl);
	}
	task->state.phase = TASK_DONE;
	nexus->task_count--;
	nexus_task_ended(nexus);
	if (itl)
		task_start_queued(itl);
	task->done(task);
}

static void task_end(struct scsi_task *task)
{
	assert(task->state.phase < TASK_ENDED);
	struct itl *itl = task->state.itl;
	if (itl) {
		if (task->state.range.queued)
			range_lock_release(&itl->lun->ranges, &task->state.range);
		lun_leave(itl->lun, task->state.entered, task->state.reserved_bytes);
	}
	if (task->state.scratch)
		buffer_put(steal(&task->state.scratch));
	task->state.phase = TASK_ENDED;
	if (task->state.inside)
		task_later(task, task_finish);
	else
		task_finish(task);
}

/* ---- results ---- */

static void set_residual(struct scsi_task *task, uint64_t has, uint64_t expected)
{
	uint64_t difference = has > expected ? has - expected : expected - has;
	task->residual_kind = has == expected  ? SCSI_NO_RESIDUAL
	                      : has < expected ? SCSI_UNDERFLOW
	                                       : SCSI_OVERFLOW;
	task->residual = difference > UINT32_MAX ? UINT32_MAX : (uint32_t)difference;
}

/* The residual of a command that failed: what it would have moved is not there. */
static void set_failed_residual(struct scsi_task *task)
{
	task->data_in_len = 0;
	if (task->state.phase == TASK_RUNNING && task->data_out_len)
		set_residual(task, task->state.cdb_bytes, task->expected_len);
	else
		set_residual(task, 0, task->expected_len);
}

void task_end_good(struct scsi_task *task)
{
	task->status = SCSI_GOOD;
	/* A read that came with the W bit: its data are dropped, and no residual says so. */
	bool crossed = task->wants_write && task->state.opcode->data == DATA_IN;
	if (!crossed)
		set_residual(task, task->state.cdb_bytes, task->expected_len);
	task_end(task);
}

void task_end_status(struct scsi_task *task, enum scsi_status status)
{
	task->status = (uint8_t)status;
	set_failed_residual(task);
	task_end(task);
}

void task_end_detail(struct scsi_task *task, enum sense_code code,
                     const struct sense_detail *detail)
{
	const struct itl *itl = task->state.itl;
	bool descriptor =
	        itl && atomic_load_explicit(&itl->lun->descriptor_sense, memory_order_relaxed);
	task->status = SCSI_CHECK_CONDITION;
	task->sense_len = (uint8_t)sense_put(task->sense, code, descriptor, detail);
	set_failed_residual(task);
	if (code == SENSE_INVALID_INFORMATION_UNIT)
		set_residual(task, task->state.cdb_bytes, task->expected_len);
	task_end(task);
}

void task_end_check(struct scsi_task *task, enum sense_code code)
{
	task_end_detail(task, code, NULL);
}

void task_end_information(struct scsi_task *task, enum sense_code code, uint64_t information)
{
	task_end_detail(
	        task, code,
	        &(struct sense_detail){ .has_information = true, .information = information });
}

void task_end_bad_cdb(struct scsi_task *task, uint16_t byte, uint8_t bit)
{
	task_end_detail(task, SENSE_INVALID_FIELD_IN_CDB,
	                &(struct sense_detail){
	                        .has_pointer = true, .in_cdb = true, .byte = byte, .bit = bit });
}

void task_end_bad_list(struct scsi_task *task, uint16_t byte, uint8_t bit)
{
	task_end_detail(task, SENSE_INVALID_FIELD_IN_LIST,
	                &(struct sense_detail){ .has_pointer = true, .byte = byte, .bit = bit });
}

void task_end_full(struct scsi_task *task)
{
	const struct itl *itl = task->state.itl;
	bool alone = !itl || itl->tasks.next->next == &itl->tasks;
	task_end_status(task, alone ? SCSI_BUSY : SCSI_TASK_SET_FULL);
}

void task_end_failed(struct scsi_task *task, int result)
{
	bool writes = task->state.opcode->flags & OP_WRITES;
	log_limited(LOG_LEVEL_WARNING, 10000, "%s: %s of %s at LBA %llu failed: %s",
	            task_lun(task)->name, task->state.opcode->name, task->nexus->initiator_name,
	            (unsigned long long)task->state.lba, strerror(-result));
	switch (-result) {
	case ENOMEM:
	case EAGAIN:
		task_end_full(task);
		return;
	case ENOSPC:
	case EDQUOT:
		task_end_check(task, SENSE_SPACE_EXHAUSTED);
		return;
	case ESHUTDOWN: /* fenced: another gateway takes over, never a medium error */
		task_end_check(task, SENSE_TRANSITIONING);
		return;
	case EROFS: /* if nobody has said so before, the lock was taken away: as if fenced */
		task_end_check(task, task_lun(task)->read_only ? SENSE_WRITE_PROTECTED
		                                               : SENSE_TRANSITIONING);
		return;
	case ENOENT:
		task_end_check(task, SENSE_UNAVAILABLE);
		return;
	case EINVAL: /* after our own checks: the image was shrunk from outside */
		task_end_information(task, SENSE_LBA_OUT_OF_RANGE, task->state.lba);
		return;
	case ETIMEDOUT:
		/* A write may still land: saying anything would be a guess (H5). */
		if (writes)
			task->state.abort = ABORT_SILENT;
		task_end_status(task, SCSI_BUSY);
		return;
	default:
		task_end_information(task, writes ? SENSE_WRITE_ERROR : SENSE_READ_ERROR,
		                     task->state.lba);
	}
}

/* ---- data-in ---- */

uint8_t *task_reply_start(struct scsi_task *task, size_t max_len)
{
	task->data = buffer_get(reactor_buffers(task->nexus->reactor), max_len);
	if (!task->data) {
		task_end_full(task);
		return NULL;
	}
	memset(task->data->data, 0, max_len);
	return task->data->data;
}

void task_reply_end(struct scsi_task *task, uint64_t len)
{
	uint64_t has = len < task->state.cdb_bytes ? len : task->state.cdb_bytes;
	uint32_t expected = task->wants_read ? task->expected_len : 0;
	task->state.cdb_bytes = has;
	task->data_in_len = has < expected ? (uint32_t)has : expected;
	task_end_good(task);
}

/* ---- the backend ---- */

uint8_t *task_scratch(struct scsi_task *task, size_t len)
{
	assert(!task->state.scratch);
	task->state.scratch = buffer_get(reactor_buffers(task->nexus->reactor), len);
	if (!task->state.scratch) {
		task_end_full(task);
		return NULL;
	}
	return task->state.scratch->data;
}

static void io_finished(struct io *io)
{
	struct scsi_task *task = container_of(io, struct scsi_task, state.io);
	if (task->state.abort != ABORT_NOT)
		task_end_status(task, SCSI_TASK_ABORTED);
	else
		task->state.then(task, io->result);
}

static void submit(struct scsi_task *task, enum io_op op, unsigned flags, uint64_t offset,
                   uint64_t length, unsigned iov_count,
                   void (*then)(struct scsi_task *task, int result))
{
	struct io *io = &task->state.io;
	task->state.then = then;
	io->op = op;
	io->flags = flags;
	io->offset = offset;
	io->length = length;
	io->iov = task->state.iov;
	io->iov_count = iov_count;
	io->reactor = task->nexus->reactor;
	io->done = io_finished;
	backend_submit(task_lun(task)->backend, io);
}

void task_io(struct scsi_task *task, enum io_op op, unsigned flags, uint64_t offset,
             uint64_t length, void *data, void (*then)(struct scsi_task *task, int result))
{
	task->state.iov[0] = (struct iovec){ .iov_base = data, .iov_len = data ? length : 0 };
	submit(task, op, flags, offset, length, data ? 1 : 0, then);
}

void task_io2(struct scsi_task *task, enum io_op op, unsigned flags, uint64_t offset,
              struct iovec first, struct iovec second,
              void (*then)(struct scsi_task *task, int result))
{
	if (first.iov_len == 0) {
		task_io(task, op, flags, offset, second.iov_len, second.iov_base, then);
		return;
	}
	task->state.iov[0] = first;
	task->state.iov[1] = second;
	submit(task, op, flags, offset, first.iov_len + second.iov_len, 2, then);
}

unsigned task_fua(const struct scsi_task *task)
{
	return (task->state.opcode->flags & OP_FUA) && (task->cdb[1] & 0x08) ? IO_FUA : 0;
}

/* ---- the range ---- */

static void task_run(struct scsi_task *task)
{
	task->state.phase = TASK_RUNNING;
	if (task->state.abort != ABORT_NOT)
		task_end_status(task, SCSI_TASK_ABORTED);
	else
		task->state.opcode->run(task);
}

/* A write whose last block is only partly there is read, changed, written [RFC 7143 11.4.5]. */
static bool task_is_exclusive(const struct scsi_task *task)
{
	uint32_t part = task->data_out_len & (task_lun(task)->block_size - 1);
	return (task->state.opcode->flags & OP_EXCLUSIVE) ||
	       (task->state.opcode->length_of == LENGTH_BLOCKS && part);
}

/* Tasks that were in the backend before the range was queued. */
static bool drain_holds(const void *argument, const struct scsi_task *task)
{
	const struct scsi_task *owner = argument;
	return task->state.phase == TASK_RUNNING && task->state.entered &&
	       !task->state.range.queued &&
	       ranges_overlap(task->state.range.lba, task->state.range.blocks,
	                      owner->state.range.lba, owner->state.range.blocks);
}

static void drain_finished(void *argument)
{
	task_run(argument);
}

static void range_taken(struct scsi_task *task)
{
	static const struct walk_ops drain = { .holds = drain_holds, .finished = drain_finished };
	struct lun *lun = task_lun(task);
	/* The queue was filled before the load is read, and a plain command counts itself before it
	 * looks at the queue: one of the two sees the other. */
	if (!task->state.range.exclusive || lun_commands(lun) == 1) {
		task_run(task);
		return;
	}
	if (walk_lun(lun, task->nexus->reactor, &drain, task) < 0)
		task_end_full(task);
}

/* By whoever released the range that was in the way. */
static void range_granted(struct range *range)
{
	struct scsi_task *task = container_of(range, struct scsi_task, state.range);
	task->state.step = range_taken;
	task->state.message.run = run_step;
	reactor_post(task->nexus->reactor, &task->state.message);
}

static void task_lock(struct scsi_task *task)
{
	struct range_lock *ranges = &task_lun(task)->ranges;
	bool exclusive = task_is_exclusive(task);
	if (task->state.range.blocks == 0 || (!exclusive && range_lock_idle(ranges))) {
		task_run(task);
		return;
	}
	task->state.phase = TASK_LOCKING;
	task->state.range.granted = range_granted;
	if (range_lock_take(ranges, &task->state.range, exclusive))
		range_taken(task);
}

static void task_enable(struct scsi_task *task)
{
	const struct scsi_opcode *row = task->state.opcode;
	task->state.inside = true;
	task->state.phase = TASK_RUNNING;
	if (!task->state.itl) {
		row->run(task);
	} else if (task_readmit(task)) {
		if (row->flags & OP_MEDIUM)
			task_lock(task);
		else
			row->run(task);
	}
	task->state.inside = false;
}

/* ---- order [SAM-5 8.6] ---- */

static bool task_must_wait(const struct scsi_task *task)
{
	const struct itl *itl = task->state.itl;
	if (!itl || itl->ordered == 0 || task->attribute == SCSI_HEAD_OF_QUEUE ||
	    (task->state.opcode->flags & OP_HEAD))
		return false;
	const struct scsi_task *older;
	list_for_each (older, &itl->tasks, state.link) {
		if (older == task)
			return false;
		if (task->attribute == SCSI_ORDERED || older->attribute == SCSI_ORDERED)
			return true;
	}
	return false;
}

static void task_start(struct scsi_task *task)
{
	if (task_must_wait(task)) {
		task->state.phase = TASK_QUEUED;
		task->state.itl->has_queued = true;
	} else {
		task_enable(task);
	}
}

void task_start_queued(struct itl *itl)
{
	if (!itl->has_queued)
		return;
	itl->has_queued = false;
	struct scsi_task *task;
	list_for_each (task, &itl->tasks, state.link) {
		if (task->state.phase != TASK_QUEUED)
			continue;
		if (task_must_wait(task))
			itl->has_queued = true;
		else
			task_enable(task);
	}
}

/* ---- the transport's calls ---- */

static void task_reset(struct scsi_task *task)
{
	task->data_out_len = 0;
	task->data = NULL;
	task->aborted = false;
	task->status = SCSI_GOOD;
	task->sense_len = 0;
	task->data_in_len = 0;
	task->residual_kind = SCSI_NO_RESIDUAL;
	task->residual = 0;
	task->state.opcode = NULL;
	task->state.itl = NULL;
	list_init(&task->state.link);
	list_init(&task->state.range.link);
	task->state.range.queued = false;
	task->state.range.lba = 0;
	task->state.range.blocks = 0;
	task->state.scratch = NULL;
	task->state.position = 0;
	task->state.lba = 0;
	task->state.blocks = 0;
	task->state.cdb_bytes = 0;
	task->state.started_ms = reactor_now_ms(task->nexus->reactor);
	task->state.reserved_bytes = 0;
	task->state.phase = TASK_BEGINNING;
	task->state.abort = ABORT_NOT;
	task->state.entered = false;
}

enum scsi_begin scsi_task_begin(struct scsi_task *task)
{
	task_reset(task);
	task->nexus->task_count++;
	task->state.inside = true;
	bool admitted = task_admit(task);
	task->state.inside = false;
	if (!admitted)
		return SCSI_BEGIN_STARTED;
	if (task->data_out_len || task->deferred) {
		task->state.phase = TASK_COLLECTING;
		return SCSI_BEGIN_NEEDS_DATA;
	}
	task_start(task);
	return SCSI_BEGIN_STARTED;
}

void scsi_task_execute(struct scsi_task *task)
{
	if (task->state.phase != TASK_COLLECTING)
		return;
	assert(!task->data_out_len || (task->data && task->data->size >= task->data_out_len));
	task_start(task);
}

void task_abort(struct scsi_task *task, enum task_abort how)
{
	bool silent = how == ABORT_SILENT;
	if (task->state.phase >= TASK_ENDED && !silent)
		return; /* it has its status */
	if (task->state.abort == ABORT_NOT || silent)
		task->state.abort = (uint8_t)how;

	bool unstarted = task->state.phase == TASK_COLLECTING || task->state.phase == TASK_QUEUED;
	bool off_queue = task->state.phase == TASK_LOCKING &&
	                 range_lock_cancel(&task_lun(task)->ranges, &task->state.range);
	if (!unstarted && !off_queue)
		return; /* it ends when the backend gives it back */
	task->state.inside = true;
	task_end_status(task, SCSI_TASK_ABORTED);
	task->state.inside = false;
}

void scsi_task_cancel(struct scsi_task *task)
{
	assert(task->state.phase == TASK_COLLECTING || task->state.phase == TASK_ENDED);
	task_abort(task, ABORT_SILENT);
}

void scsi_task_release(struct scsi_task *task)
{
	assert(task->state.phase == TASK_DONE);
	buffer_put(steal(&task->data));
}
