/* The fake relay: lists of what is at the owner. */
#include "fake_relay.h"

#include "scsi/lun.h"
#include "test.h"

#include <string.h>

static struct fake_relay *fake_of(struct relay *relay)
{
	return container_of(relay, struct fake_relay, relay);
}

static void fake_begin(struct relay *relay, struct scsi_task *task, const struct lun_route *route)
{
	struct fake_relay *fake = fake_of(relay);
	assert_true(fake->task_count < FAKE_RELAY_MAX);
	fake->tasks[fake->task_count++] = task;
	fake->route = *route;
	fake->begun++;
}

static void fake_cancel(struct relay *relay, struct scsi_task *task)
{
	struct fake_relay *fake = fake_of(relay);
	fake->cancelled++;
	fake->cancelled_task = task;
}

static void fake_manage(struct relay *relay, struct relay_request *request,
                        const struct lun_route *route)
{
	struct fake_relay *fake = fake_of(relay);
	assert_true(fake->request_count < FAKE_RELAY_MAX);
	fake->requests[fake->request_count++] = request;
	fake->route = *route;
	fake->managed++;
}

static void fake_nexus_ended(struct relay *relay, uint64_t nexus_serial)
{
	fake_of(relay)->ended = nexus_serial;
}

static void fake_row_ended(struct relay *relay, uint64_t nexus_serial, uint16_t number,
                           const struct lun *lun)
{
	(void)nexus_serial;
	(void)number;
	(void)lun;
	fake_of(relay)->rows_ended++;
}

static const struct relay_ops fake_ops = {
	.begin = fake_begin,
	.cancel = fake_cancel,
	.manage = fake_manage,
	.nexus_ended = fake_nexus_ended,
	.row_ended = fake_row_ended,
};

void fake_relay_init(struct fake_relay *fake)
{
	memset(fake, 0, sizeof *fake);
	fake->relay.ops = &fake_ops;
}

static struct scsi_task *take(struct fake_relay *fake, size_t i)
{
	assert_true(i < fake->task_count);
	struct scsi_task *task = fake->tasks[i];
	fake->task_count--;
	memmove(&fake->tasks[i], &fake->tasks[i + 1],
	        (fake->task_count - i) * sizeof fake->tasks[0]);
	return task;
}

void fake_relay_answer(struct fake_relay *fake, size_t i, enum scsi_status status, uint8_t fill)
{
	struct scsi_task *task = take(fake, i);
	task->status = (uint8_t)status;
	if (task->wants_read && status == SCSI_GOOD) {
		task->data =
		        buffer_get(reactor_buffers(nexus_reactor(task->nexus)), task->expected_len);
		assert_non_null(task->data);
		memset(task->data->data, fill, task->expected_len);
		task->data_in_len = task->expected_len;
	}
	scsi_task_relayed(task, RELAY_ANSWERED);
}

void fake_relay_return(struct fake_relay *fake, size_t i, enum relay_outcome outcome)
{
	scsi_task_relayed(take(fake, i), outcome);
}

void fake_relay_managed(struct fake_relay *fake, size_t i, enum relay_outcome outcome,
                        enum task_function_response response)
{
	assert_true(i < fake->request_count);
	struct relay_request *request = fake->requests[i];
	fake->request_count--;
	memmove(&fake->requests[i], &fake->requests[i + 1],
	        (fake->request_count - i) * sizeof fake->requests[0]);
	request->outcome = outcome;
	request->response = response;
	request->done(request);
}
