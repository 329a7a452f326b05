/* The life of a session: start behind the final login response, numbers, deadlines, and an end that
 * waits for every task, while the next session of the same name may have begun (H9).
 * [RFC 7143 4.2, 6.3, 11.5] */
#include "iscsi/session.h"

#include "iscsi/barrier.h"
#include "iscsi/command.h"
#include "iscsi/control.h"
#include "iscsi/held.h"
#include "iscsi/text_request.h"
#include "iscsi/worker.h"

#include "base/buffer.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 1000 /* deadlines are looked at this often while something is open */

static void stop_entry(struct session_entry *entry)
{
	struct session *session = container_of(entry, struct session, entry);
	struct connection *connection = session->connection;

	if (connection)
		connection_drop(connection, "the initiator logged in again");
	else
		session_stop(session);
}

int session_new(struct connection *connection, const struct login_result *login,
                struct session **ret_session)
{
	struct worker *worker = connection->worker;
	struct session *session = calloc(1, sizeof(*session));

	if (!session)
		return -ENOMEM;
	session->worker = worker;
	session->connection = connection;
	session->entry.reactor = worker->reactor;
	session->entry.stop = stop_entry;
	session->config = iscsi_config_get(worker->config);
	if (!login->discovery) {
		session->target = iscsi_config_find(session->config, login->target->name);
		if (login->acl)
			session->acl =
			        iscsi_target_find_acl(session->target, login->initiator_name);
	}
	strcpy(session->initiator_alias, login->initiator_alias);
	session->values = login->values;
	session->send_limit = login->send_limit;
	list_init(&session->commands);
	list_init(&session->held);
	list_init(&session->waiting);
	list_init(&session->apply_waits);
	list_init(&session->link);
	*ret_session = session;
	return 0;
}

void session_discard(struct session *session)
{
	iscsi_config_put(session->config);
	free(session);
}

static uint32_t configured_window(const struct session *session)
{
	return session->target ? session->target->controls.command_window : 32;
}

static int start_nexus(struct session *session)
{
	struct scsi_port port = { .tag = session->entry.portal_group_tag };
	const struct iscsi_target *target = session->target;
	const struct iscsi_acl *acl = session->acl;

	snprintf(port.target_name, sizeof(port.target_name), "%s", target->name);
	struct nexus_config config = {
		.initiator_name = session->entry.initiator_name,
		.port = &port,
		.reactor = session->worker->reactor,
		.mappings = acl ? acl->mappings : target->mappings,
		.mapping_count = acl ? acl->mapping_count : target->mapping_count,
	};
	memcpy(config.isid, session->entry.isid, sizeof(config.isid));
	return nexus_new(&config, &session->nexus);
}

int session_start(struct session *session, uint32_t exp_cmd_sn)
{
	struct worker *worker = session->worker;
	uint32_t depth = worker_window_depth(worker, configured_window(session));

	window_init(&session->window, exp_cmd_sn, depth ? depth : 1);
	list_append(&worker->sessions, &session->link);
	if (!session->target)
		return 0;
	return start_nexus(session);
}

static void session_free(struct session_entry *entry)
{
	struct session *session = container_of(entry, struct session, entry);
	struct worker *worker = session->worker;

	nexus_free(session->nexus);
	iscsi_config_put(session->config);
	list_remove(&session->link);
	free(session);
	worker_check_stopped(worker);
}

void session_check_end(struct session *session)
{
	if (!session->ended || session->removed || session->connection || session->command_count ||
	    session->management_count || session->map_changing)
		return;
	session->removed = true;
	/* Out of the table already: this waits for a stop that is still on its way to us. */
	session_table_remove(session->entry.table, &session->entry, session_free);
}

static void nexus_has_ended(void *argument)
{
	struct session *session = argument;

	session->ended = true;
	session_table_unlist(session->entry.table, &session->entry);
	session_apply_waits_done(session);
	if (session->logout_response)
		control_send(steal(&session->logout_response));
	session_check_end(session);
}

static void end_without_nexus(struct message *message)
{
	nexus_has_ended(container_of(message, struct session, end_message));
}

void session_stop(struct session *session)
{
	if (session->stopping)
		return;
	session->stopping = true;
	command_stop_all(session);
	held_drop_all(session);
	barrier_stop(session);
	text_exchange_done(session);
	if (session->nexus) {
		nexus_stop(session->nexus, nexus_has_ended, session);
	} else {
		session->end_message.run = end_without_nexus;
		reactor_defer(session->worker->reactor, &session->end_message);
	}
	session_table_linger(session->entry.table, &session->entry, session->window.exp_cmd_sn);
}

void session_connection_lost(struct session *session)
{
	session->connection = NULL;
	session->receiving = NULL; /* also when the session was stopping already */
	buffer_put(steal(&session->pdu_data));
	free(steal(&session->logout_response));
	session_stop(session);
	session_check_end(session);
}

void session_expel(struct session *session, const char *why)
{
	if (!session->connection || session->connection->state != CONNECTION_FULL_FEATURE)
		return;
	log_info("%s: session with %s ended: %s", session->entry.initiator_name,
	         session->target ? session->entry.target_name : "discovery", why);
	async_send(session, ASYNC_DROP_SESSION, 0, (uint16_t)session->values.time2wait, 0);
	connection_finish(session->connection);
	session_stop(session);
}

bool session_expects_large_data(const struct session *session)
{
	return session->large_transfers > 0;
}

void session_put_sn(struct session *session, uint8_t *bhs, bool advance_stat_sn)
{
	window_advance(&session->window,
	               worker_window_depth(session->worker, configured_window(session)));
	pdu_put_sn(bhs, session->stat_sn, session->window.exp_cmd_sn, session->window.max_cmd_sn);
	session->stat_sn += advance_stat_sn;
}

void session_give_back(struct session *session)
{
	window_give_back(&session->window);
}

void session_give_back_unanswered(struct session *session)
{
	struct command_window *window = &session->window;
	bool closed = window->max_cmd_sn + 1 == window->exp_cmd_sn;

	window_give_back(window);
	/* The initiator can send nothing numbered, and no answer may be due that would tell it that
	 * it may again. */
	if (closed && window->in_flight == 0 && !session->stopping)
		nop_in_send(session, false);
}

/* Has an R2T been unanswered for too long? */
static bool data_overdue(const struct session *session, uint64_t now_ms)
{
	uint64_t limit_ms = session->target->controls.dataout_timeout_s * 1000ull;
	const struct command *command;

	if (!limit_ms)
		return false;
	list_for_each (command, &session->commands, link) {
		if (command->state == COMMAND_COLLECTING && command->r2t_sn > command->sequences &&
		    now_ms - command->data_ms >= limit_ms)
			return true;
	}
	return false;
}

static uint64_t check_ping(struct session *session, uint64_t now_ms)
{
	const struct iscsi_controls *controls = &session->target->controls;
	struct connection *connection = session->connection;

	if (!controls->nopin_timeout_s)
		return UINT64_MAX;
	uint64_t idle_end = connection->received_ms + controls->nopin_timeout_s * 1000ull;
	if (session->ping_open && connection->received_ms > session->ping_sent_ms)
		session->ping_open = false; /* whatever came is a sign of life */
	if (!session->ping_open) {
		if (now_ms < idle_end)
			return idle_end;
		nop_in_send(session, true);
		return now_ms + controls->nopin_response_timeout_s * 1000ull;
	}
	uint64_t answer_end = session->ping_sent_ms + controls->nopin_response_timeout_s * 1000ull;
	if (now_ms < answer_end)
		return answer_end;
	connection_drop(connection, "no answer to a NOP-In");
	return UINT64_MAX;
}

uint64_t session_check_time(struct session *session, uint64_t now_ms)
{
	uint64_t next = UINT64_MAX,
	         gap_ms = session->worker->server->limits.command_gap_s * 1000ull;

	if (session->held_count && now_ms - session->held_since_ms >= gap_ms) {
		connection_drop(session->connection, "a gap in the command numbers stays open");
		return next;
	}
	if (!session->target)
		return now_ms + TICK_MS * 60;
	if (barrier_overdue(session, now_ms)) {
		connection_drop(session->connection,
		                "no answer to a NOP-In that commands wait for");
		return next;
	}
	if (data_overdue(session, now_ms)) {
		connection_drop(session->connection, "data asked for with R2T does not come");
		return next;
	}
	data_out_retry(session->worker);
	next = check_ping(session, now_ms);
	bool busy = session->command_count || session->held_count;
	if (busy && next > now_ms + TICK_MS)
		next = now_ms + TICK_MS;
	/* A command may begin to wait for its data while nothing is looked at. */
	if (next > now_ms + 5 * TICK_MS)
		next = now_ms + 5 * TICK_MS;
	return next;
}
