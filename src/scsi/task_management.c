/* Task management [SAM-5 7]. The answer comes when no affected task can change the medium any more:
 * every LUN concerned is walked, each nexus on its reactor, and its tasks are waited for. What
 * concerns the LUN itself is done where it is served: here, at the owner, or, while nobody serves
 * it, by and by. */
#include "scsi/execute.h"
#include "scsi/relay.h"
#include "scsi/succession.h"
#include "scsi/walk.h"

#include <stdlib.h>

struct tmf_row {
	bool supported;
	bool all_nexuses; /* else only the requester's */
	bool all_luns;    /* else only the addressed one */
	bool resets;
	bool relayed;                        /* the owner does it, too */
	enum task_function_response refusal; /* unless supported */
};

static const struct tmf_row rows[] = {
	[TMF_ABORT_TASK] = { .supported = true },
	[TMF_ABORT_TASK_SET] = { .supported = true, .relayed = true },
	[TMF_CLEAR_ACA] = { .refusal = TMF_NOT_SUPPORTED },
	[TMF_CLEAR_TASK_SET] = { .supported = true, .all_nexuses = true, .relayed = true },
	[TMF_LUN_RESET] = { .supported = true,
	                    .all_nexuses = true,
	                    .resets = true,
	                    .relayed = true },
	[TMF_TARGET_WARM_RESET] = { .supported = true,
	                            .all_nexuses = true,
	                            .all_luns = true,
	                            .resets = true,
	                            .relayed = true },
	[TMF_TARGET_COLD_RESET] = { .refusal = TMF_NOT_SUPPORTED },
	[TMF_TASK_REASSIGN] = { .refusal = TMF_NO_REASSIGN },
};

/* The share of one LUN in a request. On the nexus' reactor. */
struct share {
	struct task_management *request;
	const struct tmf_row *row;
	struct itl *itl;  /* a reference */
	unsigned waiting; /* walks, and the part of the LUN itself */
	struct list link; /* in itl->shares: waits for the state of the LUN */
	uint64_t started_ms;
	/* The situation in which the owner was asked last, also if it is this gateway. */
	uint64_t sent;
	bool later; /* the tasks of this gateway have been seen to before */
	struct relay_request relay;
	struct reservation_proof proof;
};

static void request_less(struct task_management *request)
{
	if (--request->waiting == 0)
		request->done(request);
}

static void share_less(struct share *share)
{
	if (--share->waiting)
		return;
	struct task_management *request = share->request;
	itl_put(share->itl);
	free(share);
	request_less(request);
}

/* ---- the tasks of this gateway ---- */

static void arrive(void *argument, struct itl *itl)
{
	const struct share *share = argument;
	const struct task_management *request = share->request;
	bool own = itl->nexus == request->nexus;
	if (!share->row->all_nexuses && itl != share->itl)
		return; /* a predecessor: it has aborted its tasks itself */
	struct scsi_task *task;
	list_for_each (task, &itl->tasks, state.link) {
		if (own && share->later)
			break; /* what came after the request is none of its business */
		if (request->function != TMF_ABORT_TASK || task == request->task)
			task_abort(task, own ? ABORT_SILENT : ABORT_STATUS);
	}
	if (share->row->resets)
		itl->prevents_removal = false;
}

/* Tasks that were aborted: later ones are none of its business. */
static bool holds(const void *argument, const struct scsi_task *task)
{
	const struct share *share = argument;
	if (share->request->function == TMF_ABORT_TASK)
		return task == share->request->task;
	if (!share->row->all_nexuses && !succession_same_nexus(task->state.itl, share->itl))
		return false;
	return task->state.abort != ABORT_NOT;
}

/* Those of the session before this one, too, belong to the task set of the nexus. */
static bool reaches_others(const struct share *share)
{
	return share->row->all_nexuses ||
	       (share->request->function == TMF_ABORT_TASK_SET && succession_pending(share->itl));
}

static void walked(void *argument)
{
	share_less(argument);
}

static void share_walk(struct share *share)
{
	static const struct walk_ops ops = { .arrive = arrive, .holds = holds, .finished = walked };
	struct itl *itl = share->itl;
	int r = reaches_others(share) ? walk_lun(itl->lun, itl->reactor, &ops, share)
	                              : walk_itl(itl, itl->reactor, &ops, share);
	if (r < 0)
		share->request->response = TMF_REJECTED; /* the initiator tries harder */
	else
		share->waiting++;
}

/* ---- the part of the LUN itself ---- */

static bool share_relay(struct share *share);
static void share_settle(struct share *share);

/* It counts as a command that waits: who forwards the LUN sends again what the owner did not do
 * because it does not serve yet, and nothing else would tell of that. */
static void share_wait(struct share *share)
{
	if (!share->row->all_nexuses) {
		share_less(share); /* only tasks from here, which have been seen to */
		return;
	}
	list_append(&share->itl->shares, &share->link);
	counter_add(&share->itl->counters.held, 1);
}

/* It was not the owner that did it. */
static void share_unproven(struct share *share)
{
	struct task_management *request = share->request;
	struct itl *itl = share->itl;
	if (request->nexus->proxy) {
		request->not_executed = true;
		share_less(share);
	} else if (itl_ending(itl) || lun_situation(itl->lun) != share->sent) {
		share_settle(share);
	} else {
		share_wait(share);
	}
}

/* What could not be kept is kept with the next change: the reset has been done all the same. */
static void share_judge(struct share *share)
{
	if (reservation_means_lost(share->proof.result))
		share_unproven(share);
	else
		share_less(share);
}

static void share_proven(struct reservation_proof *proof)
{
	struct share *share = container_of(proof, struct share, proof);
	struct itl *itl = itl_get(share->itl);
	itl->relaying--;
	share_judge(share);
	if (itl->nexus)
		nexus_task_ended(itl->nexus);
	itl_put(itl);
}

/* An owner of the past must not say that it has ended what others do, and a RESERVE(6) that ends
 * with a reset must not come back with the next owner. */
static void share_prove(struct share *share)
{
	if (!share->row->all_nexuses)
		return;
	share->proof.done = share_proven;
	share->proof.reactor = share->itl->reactor;
	share->waiting++;
	if (reservation_prove(share->itl->lun, &share->proof))
		share->itl->relaying++;
	else
		share_judge(share);
}

/* What was entered is left. */
static void share_execute(struct share *share, uint64_t situation)
{
	struct lun *lun = share->itl->lun;
	share->sent = situation;
	share_walk(share);
	if (share->row->resets)
		lun_reset(lun);
	share_prove(share);
	lun_leave(lun, true, 0);
}

/* The LUN is served here: its reset and a change of ownership exclude each other. False: it is not
 * any more. */
static bool share_serve(struct share *share)
{
	uint64_t situation = lun_enter(share->itl->lun);
	if (!situation)
		return false;
	share_execute(share, situation);
	share_less(share);
	return true;
}

/* Nobody serves it, and nobody will soon: what can be reset is here. But an owner that lives and is
 * not to be reached still executes what it has of others: "complete" would be a lie. */
static void share_give_up(struct share *share)
{
	if (share->row->all_nexuses && lun_is_owned_elsewhere(share->itl->lun))
		share->request->response = TMF_REJECTED;
	else if (share->row->resets)
		lun_reset(share->itl->lun);
	share_less(share);
}

/* False: the state has changed meanwhile. */
static bool share_try(struct share *share)
{
	uint64_t situation = lun_situation(share->itl->lun);
	switch (situation_state(situation)) {
	case LUN_READY:
		return share_serve(share);
	case LUN_FORWARDED:
		if (situation != share->sent)
			return share_relay(share);
		share_wait(share);
		return true;
	case LUN_HELD:
	case LUN_BUSY:
	case LUN_TRANSITIONING:
	case LUN_OPERATION:
		share_wait(share);
		return true;
	default:
		share_give_up(share);
		return true;
	}
}

/* It ends what others do, and reservations: whoever asked for it may have given up since, and
 * another have begun anew (H35). */
static bool share_is_late(const struct share *share)
{
	return share->row->all_nexuses && hold_is_over(share->itl->reactor, share->started_ms);
}

static void share_settle(struct share *share)
{
	if (itl_ending(share->itl)) {
		share_less(share);
		return;
	}
	if (share_is_late(share)) {
		share->request->response = TMF_REJECTED;
		share_less(share);
		return;
	}
	while (!share_try(share))
		;
}

static void relay_done(struct relay_request *relay)
{
	struct share *share = container_of(relay, struct share, relay);
	struct itl *itl = itl_get(share->itl);
	itl->relaying--;
	if (relay->outcome == RELAY_ANSWERED) {
		if (relay->response != TMF_COMPLETE)
			share->request->response = relay->response;
		share_less(share);
	} else {
		share_settle(share); /* the next owner does it */
	}
	if (itl->nexus)
		nexus_task_ended(itl->nexus);
	itl_put(itl);
}

static bool share_relay(struct share *share)
{
	struct task_management *request = share->request;
	struct lun *lun = share->itl->lun;
	struct lun_route route;
	share->sent = lun_route_now(lun, &route);
	if (!share->sent)
		return false;
	share->relay = (struct relay_request){
		.function = share->row->all_luns ? TMF_LUN_RESET : request->function,
		.nexus = request->nexus,
		.number = share->itl->number,
		.lun = lun,
		.done = relay_done,
	};
	share->itl->relaying++;
	request->nexus->relay = lun->relay;
	lun->relay->ops->manage(lun->relay, &share->relay, &route);
	return true;
}

void management_wake(struct itl *itl)
{
	struct list due = LIST_INIT(due);
	list_splice(&due, &itl->shares);
	struct list *link;
	while ((link = list_take_first(&due))) {
		counter_add(&itl->counters.held, -1);
		share_settle(list_entry(link, struct share, link));
	}
	if (itl->nexus)
		nexus_task_ended(itl->nexus);
}

/* ---- requests ---- */

/* A peer's request is for the owner of that epoch, or for nobody. */
static bool is_meant(const struct task_management *request, const struct lun *lun, bool entered)
{
	return !request->nexus->proxy || (entered && lun_get_epoch(lun) == request->epoch);
}

static void share_start(struct share *share)
{
	struct task_management *request = share->request;
	struct lun *lun = share->itl->lun;
	if (!share->row->relayed) {
		share_walk(share);
		share_less(share);
		return;
	}
	uint64_t situation = lun_enter(lun);
	if (!is_meant(request, lun, situation)) {
		request->not_executed = true;
		if (situation)
			lun_leave(lun, true, 0);
	} else if (situation) {
		share_execute(share, situation);
	} else {
		share_walk(share);
	}
	share->later = true;
	if (situation || request->nexus->proxy)
		share_less(share);
	else
		share_settle(share);
}

static void manage_itl(struct task_management *request, struct itl *itl, const struct tmf_row *row)
{
	struct share *share = calloc(1, sizeof *share);
	if (!share) {
		request->response = TMF_REJECTED; /* the initiator tries harder */
		return;
	}
	share->request = request;
	share->row = row;
	share->itl = itl_get(itl);
	share->started_ms = reactor_now_ms(itl->reactor);
	share->waiting = 1; /* this call */
	list_init(&share->link);
	request->waiting++;
	share_start(share);
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

static void run_finish(struct message *message)
{
	request_less(container_of(message, struct task_management, message));
}

void nexus_manage(struct nexus *nexus, struct task_management *request)
{
	request->nexus = nexus;
	request->response = TMF_COMPLETE;
	request->not_executed = false;
	request->waiting = 1; /* this call */
	request->message.run = run_finish;

	const struct tmf_row *row = NULL;
	if (request->function < ARRAY_LEN(rows))
		row = &rows[request->function];
	if (!row || !row->supported) {
		bool known = row && row->refusal;
		request->response = known ? row->refusal : TMF_NOT_SUPPORTED;
	} else if (row->all_luns) {
		for (size_t i = 0; i < nexus->itl_count; i++)
			manage_itl(request, nexus->itls[i], row);
	} else {
		struct itl *itl = find_itl(nexus, request);
		if (itl)
			manage_itl(request, itl, row);
	}
	reactor_defer(nexus->reactor, &request->message);
}
