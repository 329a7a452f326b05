/* Two reactors in threads of their own: compare-and-write as a counter, LUN resets among it. What
 * is checked does not depend on who runs when. */
#include "fixture.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS 10000
#define BLOCK  512

/* One initiator: reads block 0, swaps it for the next number, until it has added ROUNDS. */
struct adder {
	struct reactor *reactor;
	struct nexus *nexus;
	struct lun *lun;
	struct scsi_port port;
	struct message start;
	struct scsi_task task;
	struct task_management reset;
	uint8_t is[BLOCK];
	unsigned added, lost, unsure; /* unsure: aborted, it may have been written */
	bool resets, swapping;
	atomic_bool ended;
};

static void adder_next(struct adder *adder);

static void nexus_ended(void *argument)
{
	struct adder *adder = argument;
	nexus_free(adder->nexus);
	adder->ended = true;
}

static void reset_done(struct task_management *request)
{
	assert_int_equal(request->response, TMF_COMPLETE);
	adder_next(container_of(request, struct adder, reset));
}

static void swap_done(struct adder *adder)
{
	adder->swapping = false;
	if (adder->task.status == SCSI_TASK_ABORTED)
		adder->unsure++;
	else if (adder->task.status != SCSI_GOOD)
		adder->lost++; /* a miscompare, or a unit attention */
	else if (++adder->added % 100 == 0 && adder->resets) {
		adder->reset =
		        (struct task_management){ .function = TMF_LUN_RESET, .done = reset_done };
		nexus_manage(adder->nexus, &adder->reset);
		return;
	}
	adder_next(adder);
}

static void task_done(struct scsi_task *task)
{
	struct adder *adder = container_of(task, struct adder, task);
	bool good = task->status == SCSI_GOOD && !task->aborted;
	if (good && !adder->swapping)
		memcpy(adder->is, task->data->data, BLOCK);
	scsi_task_release(task);
	if (adder->swapping) {
		swap_done(adder);
		return;
	}
	adder->swapping = good;
	adder_next(adder);
}

static void adder_next(struct adder *adder)
{
	struct scsi_task *task = &adder->task;
	if (adder->added == ROUNDS) {
		nexus_stop(adder->nexus, nexus_ended, adder);
		return;
	}
	memset(task, 0, sizeof *task);
	task->nexus = adder->nexus;
	task->cdb[0] = adder->swapping ? 0x89 : 0x88;
	task->cdb[13] = 1;
	task->cdb_len = 16;
	task->wants_write = adder->swapping;
	task->wants_read = !adder->swapping;
	task->expected_len = adder->swapping ? 2 * BLOCK : BLOCK;
	task->done = task_done;
	if (scsi_task_begin(task) != SCSI_BEGIN_NEEDS_DATA)
		return;
	task->data = buffer_get(reactor_buffers(adder->reactor), task->data_out_len);
	assert_non_null(task->data);
	memcpy(task->data->data, adder->is, BLOCK);
	memset(task->data->data + BLOCK, 0, BLOCK);
	put_be64(task->data->data + BLOCK, get_be64(adder->is) + 1);
	scsi_task_execute(task);
}

static atomic_uint ready;

static void adder_start(struct message *message)
{
	struct adder *adder = container_of(message, struct adder, start);
	struct lun_mapping mapping = { .number = 0, .lun = adder->lun };
	struct nexus_config config = { .initiator_name = adder->resets ? "iqn.a" : "iqn.b",
		                       .port = &adder->port,
		                       .reactor = adder->reactor,
		                       .mappings = &mapping,
		                       .mapping_count = 1 };
	if (!adder->nexus) {
		assert_int_equal(nexus_new(&config, &adder->nexus), 0);
		(void)atomic_fetch_add(&ready, 1);
	}
	if (ready < 2) /* so that both run at the same time */
		reactor_post(adder->reactor, &adder->start);
	else
		adder_next(adder);
}

static void adders_run(struct lun *lun, struct adder *adders)
{
	for (unsigned i = 0; i < 2; i++) {
		struct adder *adder = &adders[i];
		adder->lun = lun;
		(void)snprintf(adder->port.target_name, sizeof adder->port.target_name, "iqn.t");
		adder->port.tag = 1;
		ASSERT_EQ(reactor_new("adder", NULL, &adder->reactor), 0);
		adder->start.run = adder_start;
		reactor_post(adder->reactor, &adder->start);
		ASSERT_EQ(reactor_start(adder->reactor, -1), 0);
	}
	uint64_t deadline_ms = clock_monotonic_ms() + 60000;
	while (!(adders[0].ended && adders[1].ended) && clock_monotonic_ms() < deadline_ms)
		(void)sched_yield();
	ASSERT_TRUE(adders[0].ended && adders[1].ended);
	for (unsigned i = 0; i < 2; i++) {
		reactor_stop(adders[i].reactor);
		reactor_free(adders[i].reactor);
	}
}

static void io_seen(struct io *io)
{
	assert_int_equal(io->result, 0);
}

/* The number in block 0, past the device server. */
static uint64_t number_in(struct backend *backend)
{
	struct reactor *reactor;
	uint8_t block[BLOCK];
	struct iovec iov = { block, sizeof block };
	struct io io = {
		.op = IO_READ, .length = BLOCK, .iov = &iov, .iov_count = 1, .done = io_seen
	};
	ASSERT_EQ(reactor_new("reader", NULL, &reactor), 0);
	io.reactor = reactor;
	backend_submit(backend, &io);
	(void)reactor_turn(reactor, 0);
	(void)reactor_turn(reactor, 0);
	reactor_free(reactor);
	return get_be64(block);
}

static void set_quiesced(void *argument)
{
	*(atomic_bool *)argument = true;
}

static void count_from_two_threads(bool resets)
{
	struct lun_config lun_config = { .name = "memory",
		                         .wwn = "ee982d1a-a657-4cf2-996c-a3d03a6f25a9",
		                         .vendor_id = "memory",
		                         .block_size = BLOCK,
		                         .max_sectors = 1024 };
	struct backend_config backend_config = { .kind = "memory",
		                                 .name = "memory",
		                                 .size_bytes = 1u << 20 };
	struct backend *backend;
	struct lun *lun;
	struct adder adders[2];
	memset(adders, 0, sizeof adders);
	ready = 0;
	ASSERT_EQ(backend_open(&backend_config, &backend, NULL), 0);
	ASSERT_EQ(lun_new(&lun_config, &lun), 0);
	lun_serve(lun, backend);
	adders[0].resets = resets;
	adders_run(lun, adders);

	struct lun_counters counters;
	lun_get_counters(lun, &counters);
	ASSERT_EQ(counters.in_flight, 0);
	atomic_bool quiesced = false;
	lun_quiesce(lun, LUN_FAILED, set_quiesced, &quiesced);
	ASSERT_TRUE(quiesced);
	lun_put(lun);
	uint64_t number = number_in(backend), unsure = adders[0].unsure + adders[1].unsure;
	print_message("# lost %u, %u; unsure %u, %u\n", adders[0].lost, adders[1].lost,
	              adders[0].unsure, adders[1].unsure);
	ASSERT_TRUE(number >= 2 * ROUNDS && number <= 2 * ROUNDS + unsure);
	backend_free(backend);
}

TEST(compare_and_write_counts_exactly_from_two_threads)
{
	count_from_two_threads(false);
}

TEST(lun_resets_lose_no_update_that_was_answered)
{
	count_from_two_threads(true);
}
