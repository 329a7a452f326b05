/* The life of a task: begin, order, lock its range, run, end, done [SAM-5 5, 8].
 *
 * A READ or WRITE on the common way costs two atomics on the LUN (enter, leave) and takes no lock.
 */
#include "scsi/task.h"

#include "base/bytes.h"
#include "base/log.h"
#include "scsi/execute.h"
#include "scsi/succession.h"
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

static void task_count(const struct scsi_task *task)
{
	struct itl_counters *counters = &task->state.itl->counters;
	const struct scsi_opcode *row = task->state.opcode;
	if (task->not_executed)
		return;
	if (task->aborted || task->status != SCSI_GOOD)
		counter_add(&counters->errors, 1);
	if (!row || !(row->flags & OP_MEDIUM)) {
		counter_add(&counters->others, 1);
	} else if (row->data == DATA_IN) {
		counter_add(&counters->reads, 1);
		counter_add(&counters->read_bytes, task->data_in_len);
	} else if (row->flags & OP_WRITES) {
		counter_add(&counters->writes, 1);
		counter_add(&counters->write_bytes, task->data_out_len);
	} else {
		counter_add(&counters->others, 1);
	}
}

/* What an aborted task says. */
static void apply_abort(struct scsi_task *task)
{
	if (task->state.abort == ABORT_NOT)
		return;
	task->aborted = task->state.abort == ABORT_SILENT;
	task->not_executed = false;
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

static void give_back(struct scsi_task *task, uint32_t bytes)
{
	struct lun *lun = task_lun(task);
	if (task->state.range.queued)
		range_lock_release(&lun->ranges, &task->state.range);
	lun_leave(lun, task->state.entered, bytes);
	task->state.entered = false;
}

void task_leave(struct scsi_task *task)
{
	give_back(task, 0);
}

void task_end(struct scsi_task *task)
{
	assert(task->state.phase < TASK_ENDED);
	if (task->state.phase == TASK_HELD)
		hold_remove(task);
	if (task->state.itl)
		give_back(task, task->state.reserved_bytes);
	if (task->state.scratch)
		buffer_put(steal(&task->state.scratch));
	task->state.phase = TASK_ENDED;
	if (task->state.inside)
		task_later(task, task_finish);
	else
		task_finish(task);
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

/* The backend has lost the image: it is fenced, or its lock was taken away. What it had in flight
 * may still be executed, until the next owner begins. */
static bool backend_lost(const struct scsi_task *task, int result)
{
	return result == -ESHUTDOWN || (result == -EROFS && !task_lun(task)->read_only);
}

static void io_finished(struct io *io)
{
	struct scsi_task *task = container_of(io, struct scsi_task, state.io);
	task->state.submitted_ms = 0;
	if (backend_lost(task, io->result))
		hold_unknown(task, lun_get_epoch(task_lun(task)));
	else if (task->state.abort != ABORT_NOT)
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
	task->state.submitted_ms = reactor_now_ms(io->reactor);
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

/* Who waited for its range while ownership began to change waits with the others. */
static void range_granted_step(struct scsi_task *task)
{
	if (lun_get_state(task_lun(task)) == LUN_READY || task->state.abort != ABORT_NOT) {
		range_taken(task);
		return;
	}
	task_leave(task);
	task_enable(task);
}

/* By whoever released the range that was in the way. */
static void range_granted(struct range *range)
{
	struct scsi_task *task = container_of(range, struct scsi_task, state.range);
	task->state.step = range_granted_step;
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

/* On the common way two atomics: entered here, left at the end. False: it is not served any more.
 */
static bool run_served(struct scsi_task *task)
{
	uint64_t situation = lun_enter(task_lun(task));
	if (!situation)
		return false;
	task->state.phase = TASK_RUNNING;
	task->state.entered = true;
	task->state.sent = situation;
	if (!task_readmit(task))
		return true;
	if (task->state.opcode->flags & OP_MEDIUM)
		task_lock(task);
	else
		task->state.opcode->run(task);
	return true;
}

static bool run_beside(struct scsi_task *task)
{
	task->state.phase = TASK_RUNNING;
	task->state.opcode->run(task);
	return true;
}

/* False: the state of the LUN has changed meanwhile. */
static bool try_enable(struct scsi_task *task)
{
	if (task->state.checked && run_served(task))
		return true; /* most are served as when they came */
	switch (alua_decide(task)) {
	case ALUA_ENDED:
		return true;
	case ALUA_LOCAL:
	case ALUA_BESIDE:
		return run_beside(task);
	case ALUA_SERVED:
		return run_served(task);
	case ALUA_FORWARDED:
		return forward_begin(task);
	case ALUA_HELD:
		if (hold_too_long(task))
			task_end_status(task, SCSI_BUSY);
		else
			hold_add(task);
		lun_want(task_lun(task));
		return true;
	}
	return true;
}

void task_enable(struct scsi_task *task)
{
	task->state.inside = true;
	if (!task->state.itl) {
		(void)run_beside(task); /* identity only: it does not matter what LUN */
	} else {
		while (!try_enable(task))
			;
	}
	task->state.inside = false;
}

/* ---- order [SAM-5 8.6] ---- */

static bool task_must_wait(const struct scsi_task *task)
{
	const struct itl *itl = task->state.itl;
	if (itl && succession_holds(task))
		return true;
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
		if (succession_holds(task))
			succession_wait(task);
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
		else if (opcode_changes(task->state.opcode) && hold_too_long(task))
			hold_tell_busy(task);
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
	task->not_executed = false;
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
	task->state.submitted_ms = 0;
	task->state.reserved_bytes = 0;
	task->state.phase = TASK_BEGINNING;
	task->state.abort = ABORT_NOT;
	task->state.entered = false;
	task->state.checked = 0;
	task->state.unknown = false;
	task->state.refused = false;
	task->state.cancelled = false;
	task->state.settled = false;
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

	if (task->state.phase == TASK_RELAYED)
		forward_cancel(task);
	bool unstarted = task->state.phase == TASK_COLLECTING || task->state.phase == TASK_QUEUED ||
	                 (task->state.phase == TASK_HELD && hold_may_abort(task));
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
