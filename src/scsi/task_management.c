/* Task management [SAM-5 7]. The answer comes when no affected task can change the medium any more:
 * every LUN concerned is walked, each nexus on its reactor, and its tasks are waited for. */
#include "scsi/execute.h"
#include "scsi/walk.h"

struct tmf_row {
	/* What happens at each nexus of the LUN; NULL: not supported. */
	const struct walk_ops *ops;
	bool all_nexuses; /* else only the requester's */
	bool all_luns;    /* else only the addressed one */
	bool resets;
	enum task_function_response refusal; /* without ops */
};

static void arrive(void *argument, struct itl *itl)
{
	const struct task_management *request = argument;
	bool own = itl->nexus == request->nexus;
	struct scsi_task *task;
	list_for_each (task, &itl->tasks, state.link) {
		if (request->function != TMF_ABORT_TASK || task == request->task)
			task_abort(task, own ? ABORT_SILENT : ABORT_STATUS);
	}
	bool resets =
	        request->function == TMF_LUN_RESET || request->function == TMF_TARGET_WARM_RESET;
	if (resets)
		itl->prevents_removal = false;
}

/* Tasks that were aborted: later ones are none of its business. */
static bool holds(const void *argument, const struct scsi_task *task)
{
	const struct task_management *request = argument;
	if (request->function == TMF_ABORT_TASK)
		return task == request->task;
	return task->state.abort != ABORT_NOT;
}

static void finish(struct task_management *request)
{
	if (--request->waiting == 0)
		request->done(request);
}

static void walked(void *argument)
{
	finish(argument);
}

static void run_finish(struct message *message)
{
	finish(container_of(message, struct task_management, message));
}

static const struct walk_ops abort_ops = { .arrive = arrive, .holds = holds, .finished = walked };

static const struct tmf_row rows[] = {
	[TMF_ABORT_TASK] = { .ops = &abort_ops },
	[TMF_ABORT_TASK_SET] = { .ops = &abort_ops },
	[TMF_CLEAR_ACA] = { .refusal = TMF_NOT_SUPPORTED },
	[TMF_CLEAR_TASK_SET] = { .ops = &abort_ops, .all_nexuses = true },
	[TMF_LUN_RESET] = { .ops = &abort_ops, .all_nexuses = true, .resets = true },
	[TMF_TARGET_WARM_RESET] = { .ops = &abort_ops,
	                            .all_nexuses = true,
	                            .all_luns = true,
	                            .resets = true },
	[TMF_TARGET_COLD_RESET] = { .refusal = TMF_NOT_SUPPORTED },
	[TMF_TASK_REASSIGN] = { .refusal = TMF_NO_REASSIGN },
};

static void manage_itl(struct nexus *nexus, struct task_management *request, struct itl *itl,
                       const struct tmf_row *row)
{
	int r = row->all_nexuses ? walk_lun(itl->lun, nexus->reactor, row->ops, request)
	                         : walk_itl(itl, nexus->reactor, row->ops, request);
	if (r < 0) {
		request->response = TMF_REJECTED; /* no memory: the initiator tries harder */
		return;
	}
	request->waiting++;
	if (row->resets)
		lun_reset(itl->lun);
}

/* The tasks to look for; NULL and a response if there are none. */
static struct itl *find_itl(struct nexus *nexus, struct task_management *request)
{
	uint16_t number;
	struct itl *itl = NULL;
	if (lun_address_get(request->lun, &number) == LUN_ADDRESS_NUMBER)
		itl = nexus_find(nexus, number);
	if (!itl)
		request->response = TMF_NO_LUN;
	if (request->function != TMF_ABORT_TASK)
		return itl;

	const struct scsi_task *task = request->task;
	if (!task || task->nexus != nexus || task->state.phase >= TASK_DONE) {
		request->response = TMF_NO_TASK;
		return NULL;
	}
	if (!task->state.itl)
		request->response = TMF_NO_TASK; /* of a LUN that is not there: it has ended */
	return task->state.itl;
}

void nexus_manage(struct nexus *nexus, struct task_management *request)
{
	request->nexus = nexus;
	request->response = TMF_COMPLETE;
	request->waiting = 1; /* this call */
	request->message.run = run_finish;

	const struct tmf_row *row = NULL;
	if (request->function < ARRAY_LEN(rows))
		row = &rows[request->function];
	if (!row || !row->ops) {
		bool known = row && row->refusal;
		request->response = known ? row->refusal : TMF_NOT_SUPPORTED;
	} else if (row->all_luns) {
		for (size_t i = 0; i < nexus->itl_count; i++)
			manage_itl(nexus, request, nexus->itls[i], row);
	} else {
		struct itl *itl = find_itl(nexus, request);
		if (itl)
			manage_itl(nexus, request, itl, row);
	}
	reactor_defer(nexus->reactor, &request->message);
}
