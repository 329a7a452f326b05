/* The barrier in front of the device server. */
#include "iscsi/barrier.h"

#include "iscsi/command.h"
#include "iscsi/control.h"
#include "iscsi/session.h"
#include "iscsi/worker.h"

#define ANSWER_MS 5000 /* where the configuration sets no time-out for pings */

static uint64_t read_clock(struct worker *worker)
{
	worker->boot_ms = worker->server->limits.boot_clock();
	return worker->boot_ms;
}

void barrier_start(struct session *session)
{
	struct worker *worker = session->worker;

	freshness_init(&session->freshness, worker->server->limits.age_max_ms, read_clock(worker));
}

void barrier_received(struct worker *worker)
{
	(void)read_clock(worker);
}

void barrier_sending(struct session *session)
{
	if (session->freshness.age_max_ms)
		freshness_mark(&session->freshness, session->stat_sn, read_clock(session->worker));
}

/* ---- who waits ---- */

static void ask(struct session *session)
{
	struct connection *connection = session->connection;
	struct timer *timer = &connection->timer;
	uint64_t limit_ms = session->target->controls.nopin_response_timeout_s * 1000ull;

	if (!limit_ms)
		limit_ms = ANSWER_MS;
	session->waiting_since_ms = read_clock(session->worker);
	session->waiting_until_ms = reactor_now_ms(session->worker->reactor) + limit_ms;
	nop_in_send(session, true);
	if (!timer_armed(timer) || timer->deadline_ms > session->waiting_until_ms)
		reactor_arm(session->worker->reactor, timer, limit_ms);
}

/* The initiator was there at alive_ms: later than the first of those that wait had come? */
static void let_pass(struct session *session)
{
	const struct freshness *freshness = &session->freshness;

	if (list_empty(&session->waiting) || session->stopping ||
	    freshness->alive_ms < session->waiting_since_ms)
		return;
	if (!freshness_young(freshness, freshness->alive_ms, session->worker->boot_ms)) {
		ask(session); /* we were frozen between the ping and its answer */
		return;
	}
	for (struct list *link; (link = list_take_first(&session->waiting));) {
		struct waiter *waiter = list_entry(link, struct waiter, link);
		waiter->pass(waiter);
	}
}

void barrier_begin(struct command *command)
{
	command->alive_ms = command->session->freshness.alive_ms;
}

static bool young(const struct session *session, uint64_t alive_ms)
{
	return list_empty(&session->waiting) &&
	       freshness_young(&session->freshness, alive_ms, session->worker->boot_ms);
}

bool barrier_passes(const struct command *command)
{
	return young(command->session, command->alive_ms) ||
	       !scsi_command_changes(command->task.cdb);
}

bool barrier_open(const struct session *session)
{
	return young(session, session->freshness.alive_ms);
}

void barrier_wait(struct session *session, struct waiter *waiter)
{
	list_append(&session->waiting, &waiter->link);
	if (session->waiting.next == &waiter->link)
		ask(session); /* one ping for all that will wait with it */
}

void barrier_stop(struct session *session)
{
	struct waiter *waiter, *following;

	list_for_each_safe (waiter, following, &session->waiting, link) {
		list_remove(&waiter->link);
		if (waiter->drop)
			waiter->drop(waiter);
	}
}

/* ---- proof ---- */

void barrier_take_header(struct session *session, const uint8_t *bhs)
{
	uint32_t exp_stat_sn = get_be32(bhs + BHS_EXP_STAT_SN);

	if (serial_lt(session->stat_sn, exp_stat_sn))
		return; /* it cannot have seen what was not sent */
	if (freshness_acknowledge(&session->freshness, exp_stat_sn))
		let_pass(session);
}

void barrier_take_answer(struct session *session, uint32_t ttt)
{
	struct freshness *freshness = &session->freshness;

	if (ttt != TAG_NONE && ttt == freshness->ping_tag &&
	    freshness_answered(freshness, freshness->ping_ms))
		let_pass(session);
}

void barrier_take_data(struct command *command)
{
	struct session *session = command->session;

	if (command->alive_ms < command->r2t_ms)
		command->alive_ms = command->r2t_ms;
	if (freshness_answered(&session->freshness, command->r2t_ms))
		let_pass(session);
}

bool barrier_overdue(const struct session *session, uint64_t now_ms)
{
	return !list_empty(&session->waiting) && now_ms >= session->waiting_until_ms;
}
