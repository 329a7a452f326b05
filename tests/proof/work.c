/* Workers: what they ask for, and what they record of it. */
#include "base/bytes.h"
#include "driver.h"

#include <assert.h>
#include <errno.h>

#define RETRY_NS        20000000ul
#define NO_PATH_NS      10000000ul
#define COUNTERS_LBA    4096u
#define COUNTERS_STRIDE 8u

struct worker {
	struct driver *driver;
	struct command command;
	struct op op;
	unsigned initiator, number;
	unsigned last_portal;
	uint64_t due;
	bool busy;
	/* A counter was read: it is to be incremented next. */
	bool increment;
	uint64_t seen;
	/* The last reads: the register that is read next; then `stride` further. */
	unsigned final_next;
	uint8_t buffer[COMMAND_DATA_MAX];
	uint8_t seen_block[BLOCK_BYTES];
};

/* Registers lie in different RADOS objects, and some across the border of two. */
static uint64_t register_lba(unsigned number)
{
	switch (number % 3) {
	case 0:
		return number * 16;
	case 1:
		return (number + 1) * 8192 - 4;
	default:
		return 70000 + number * 16;
	}
}

static unsigned register_blocks(unsigned number)
{
	return 1 + number * 5 % OP_BLOCKS_MAX;
}

static void choose_place(struct worker *worker, struct op *op)
{
	struct driver *driver = worker->driver;
	const struct options *options = &driver->options;
	unsigned place = (unsigned)driver_random(driver, options->registers + options->counters);
	op->lun = (uint16_t)(options->bound ? worker->number % options->luns
	                                    : driver_random(driver, options->luns));
	if (worker->initiator >= options->initiators - 2 && options->duel_lun >= 0)
		op->lun = (uint16_t)options->duel_lun;
	if (place >= options->registers) {
		op->lba = COUNTERS_LBA + (place - options->registers) * COUNTERS_STRIDE;
		op->blocks = 1;
		return;
	}
	op->lba = register_lba(place);
	op->blocks = (uint8_t)register_blocks(place);
}

static bool is_counter(const struct driver *driver, uint64_t lba)
{
	return lba >= COUNTERS_LBA &&
	       lba < COUNTERS_LBA + driver->options.counters * COUNTERS_STRIDE;
}

/* Some writes cover a part of the register only. */
static void narrow(struct driver *driver, struct op *op)
{
	if (driver_random(driver, 3))
		return;
	uint8_t skip = (uint8_t)driver_random(driver, op->blocks);
	op->lba += skip;
	op->blocks = (uint8_t)(1 + driver_random(driver, op->blocks - skip));
}

static void choose(struct worker *worker)
{
	struct driver *driver = worker->driver;
	struct op *op = &worker->op;
	if (worker->increment) { /* of the counter that was read */
		op->kind = OP_SWAP;
		op->expected = worker->seen;
	} else {
		choose_place(worker, op);
		op->kind = is_counter(driver, op->lba) || driver_random(driver, 100) <
		                                                  driver->options.reads_percent
		                   ? OP_READ
		                   : OP_WRITE;
		if (op->kind == OP_WRITE)
			narrow(driver, op);
	}
	worker->increment = false;
}

static struct stamp stamp_of(const struct worker *worker, unsigned block)
{
	return (struct stamp){ .id = worker->op.id,
		               .lba = worker->op.lba + block,
		               .run = worker->driver->options.seed,
		               .lun = worker->op.lun };
}

static void fill_data(struct worker *worker)
{
	struct initiator_request *request = &worker->command.request;
	const struct op *op = &worker->op;
	uint8_t *at = worker->buffer;
	request->data = worker->buffer;
	initiator_request_transfer(request, op->kind != OP_READ, op->lba, op->blocks, BLOCK_BYTES);
	if (op->kind == OP_READ)
		return;
	if (op->kind == OP_SWAP) {
		request->cdb[0] = 0x89; /* COMPARE AND WRITE [SBC-3 5.3] */
		memset(request->cdb + 10, 0, 6);
		request->cdb[13] = 1;
		request->len_bytes = 2 * BLOCK_BYTES;
		memcpy(at, worker->seen_block, BLOCK_BYTES);
		at += BLOCK_BYTES;
	}
	for (unsigned i = 0; i < op->blocks; i++) {
		struct stamp stamp = stamp_of(worker, i);
		stamp_put(&stamp, at + (size_t)i * BLOCK_BYTES);
	}
}

static void take_data(struct worker *worker)
{
	struct op *op = &worker->op;
	for (unsigned i = 0; i < op->blocks; i++) {
		struct stamp stamp = stamp_of(worker, i);
		op->values[i] = stamp_get(&stamp, worker->buffer + (size_t)i * BLOCK_BYTES);
	}
	worker->increment = is_counter(worker->driver, op->lba) && op->values[0] < VALUE_ALIEN &&
	                    !worker->driver->finishing;
	worker->seen = op->values[0];
	memcpy(worker->seen_block, worker->buffer, BLOCK_BYTES);
}

static const uint8_t outcomes[ANSWER_COUNT] = {
	[ANSWER_GOOD] = OUTCOME_OK,
	[ANSWER_BUSY] = OUTCOME_NEVER,
	[ANSWER_ATTENTION] = OUTCOME_NEVER,
	[ANSWER_CONFLICT] = OUTCOME_NEVER,
	[ANSWER_MISCOMPARE] = OUTCOME_DIFFERS,
	[ANSWER_MAYBE] = OUTCOME_MAYBE,
	[ANSWER_ABORTED] = OUTCOME_MAYBE,
	[ANSWER_ERROR] = OUTCOME_MAYBE,
	[ANSWER_NONE] = OUTCOME_LOST,
};

/* From one operation of a worker to its next, on the average: --rate in all. */
static uint64_t mean_pause_ns(struct worker *worker)
{
	const struct options *options = &worker->driver->options;
	unsigned rate = options->rate, workers = worker->driver->worker_count;
	if (!options->follow)
		return 1000000000ul * workers / rate;
	if (gauge_follows(worker->driver, worker->op.lun))
		return 1000000000ul / options->follow_rate;
	gauge_idle(worker->driver, worker->op.lun);
	unsigned followed = options->follow * options->follow_rate;
	return 1000000000ul * (workers - options->follow) / (rate > followed ? rate - followed : 1);
}

static uint64_t pause_ns(struct worker *worker)
{
	const struct options *options = &worker->driver->options;
	if (worker->increment)
		return 0;
	uint64_t mean = mean_pause_ns(worker);
	uint64_t spread = options->bound ? mean / 10 : mean / 2;
	return mean - spread + driver_random(worker->driver, 2 * spread + 1);
}

/* As initiators do, at once after a unit attention. Hundreds that hear BUSY and ask again at once
 * would take the processors from who takes over. */
static uint64_t retry_ns(const struct driver *driver, enum answer answer)
{
	return answer == ANSWER_ATTENTION ? 0 : RETRY_NS * (1 + driver->worker_count / 32);
}

static void work_done(struct command *command, enum answer answer)
{
	struct worker *worker = container_of(command, struct worker, command);
	struct driver *driver = worker->driver;
	struct op *op = &worker->op;
	op->start = command->start;
	op->end = command->end;
	op->outcome = outcomes[answer];
	worker->busy = false;
	driver->operations++;
	driver_count(driver, command, answer);
	if (op->kind == OP_READ && answer == ANSWER_GOOD)
		take_data(worker);
	/* A read that failed says nothing. */
	if (op->kind != OP_READ || answer == ANSWER_GOOD)
		history_write_op(driver->history, op);
	if (driver->finishing && answer == ANSWER_GOOD)
		worker->final_next += driver->worker_count;
	bool again = answer != ANSWER_GOOD && answer != ANSWER_MISCOMPARE;
	worker->due = command->end + (driver->finishing && !again ? 0
	                              : again                     ? retry_ns(driver, answer)
	                                                          : pause_ns(worker));
	/* The one that did not serve is not asked first. */
	if (answer == ANSWER_ATTENTION)
		path_ask_states(command->path, command->lun, 0);
}

/* The register, then the counter, then the next LUN. False: nothing is left. */
static bool choose_final(struct worker *worker)
{
	const struct options *options = &worker->driver->options;
	unsigned places = options->registers + options->counters;
	unsigned luns = options->luns + (options->duel_lun >= 0 ? 1 : 0);
	unsigned lun = worker->final_next / places, place = worker->final_next % places;
	struct op *op = &worker->op;
	if (lun >= luns)
		return false;
	op->lun = (uint16_t)(lun < options->luns ? lun : (unsigned)options->duel_lun);
	op->kind = OP_READ;
	op->lba = place < options->registers
	                  ? register_lba(place)
	                  : COUNTERS_LBA + (place - options->registers) * COUNTERS_STRIDE;
	op->blocks = (uint8_t)(place < options->registers ? register_blocks(place) : 1);
	return true;
}

static void start_operation(struct worker *worker, uint64_t now)
{
	struct driver *driver = worker->driver;
	uint16_t lun = worker->op.lun;
	struct path *path = driver_choose(driver, worker->initiator, lun, worker->last_portal);
	if (!path) {
		worker->due = now + NO_PATH_NS;
		return;
	}
	worker->op.id = ++driver->next_id;
	worker->op.initiator = worker->initiator;
	worker->op.path = (uint16_t)path->portal;
	worker->last_portal = path->portal;
	worker->command.lun = lun;
	worker->command.done = work_done;
	fill_data(worker);
	worker->busy = true;
	driver_ask(driver, &worker->command, now);
	path_submit(path, &worker->command);
}

static void tick_worker(struct worker *worker, uint64_t now)
{
	struct driver *driver = worker->driver;
	bool some = true;
	if (driver->finishing)
		some = choose_final(worker);
	else
		choose(worker);
	gauge_begin(driver, worker->op.lun, now);
	if (some)
		start_operation(worker, now);
	else
		worker->due = UINT64_MAX;
}

uint64_t work_tick(struct driver *driver, uint64_t now)
{
	uint64_t next = UINT64_MAX;
	for (unsigned i = 0; i < driver->worker_count; i++) {
		struct worker *worker = &driver->workers[i];
		if (!worker->busy && worker->due <= now)
			tick_worker(worker, now);
		if (!worker->busy && worker->due < next)
			next = worker->due;
	}
	return next;
}

int work_start(struct driver *driver, struct error *err)
{
	const struct options *options = &driver->options;
	driver->worker_count = options->initiators * options->workers;
	driver->workers = calloc(driver->worker_count, sizeof(*driver->workers));
	if (!driver->workers)
		return error_set(err, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < driver->worker_count; i++) {
		struct worker *worker = &driver->workers[i];
		worker->driver = driver;
		worker->number = i;
		worker->initiator = i % options->initiators;
		worker->last_portal = (unsigned)driver_random(driver, options->portal_count);
		list_init(&worker->command.link);
	}
	return 0;
}

void work_finish(struct driver *driver)
{
	driver->finishing = true;
	for (unsigned i = 0; i < driver->worker_count; i++) {
		struct worker *worker = &driver->workers[i];
		worker->increment = false;
		worker->final_next = i;
		worker->due = 0;
	}
}

bool work_finished(const struct driver *driver)
{
	for (unsigned i = 0; i < driver->worker_count; i++)
		if (driver->workers[i].busy || driver->workers[i].due != UINT64_MAX)
			return false;
	return true;
}

void work_end(struct driver *driver)
{
	for (unsigned i = 0; i < driver->worker_count; i++)
		assert(!driver->workers[i].busy); /* all paths have ended their commands */
	free(driver->workers);
}
