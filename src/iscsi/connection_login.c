/* Drives the login of a connection: feeds the state machine, waits where it says so, asks the
 * session table, and hands over to the session. [RFC 7143 6.3] */
#include "iscsi/connection.h"

#include "iscsi/barrier.h"
#include "iscsi/session.h"
#include "iscsi/worker.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#define LOG_INTERVAL_MS 1000

_Static_assert(sizeof(struct connection) + TX_SLOTS_LOGIN * sizeof(struct tx_slot) +
                               LOGIN_MEMORY_MAX <=
                       CONNECTION_MEMORY_MAX,
               "an outsider's connection is bounded");

static int random_bytes(void *argument, uint8_t *ret_bytes, size_t len)
{
	return getrandom(ret_bytes, len, 0) == (ssize_t)len ? 0 : -EIO;
}

static enum login_status check_session(void *argument, const struct login_result *result)
{
	struct connection *connection = argument;
	return session_table_check(connection->worker->server->sessions, result);
}

static bool emit_login_response(struct outgoing *outgoing, struct tx_slot *slot)
{
	struct connection *connection = container_of(outgoing, struct connection, login_outgoing);
	const struct login_response *response = &connection->login_response;
	memcpy(slot->header, response->bhs, BHS_BYTES);
	slot_set_data(slot, response->data, response->data_len);
	slot->ended_with = outgoing;
	return true;
}

static void login_response_left(struct outgoing *outgoing)
{
	struct connection *connection = container_of(outgoing, struct connection, login_outgoing);
	if (connection->login_complete)
		connection_login_done(connection);
}

static int ensure_login(struct connection *connection)
{
	struct worker *worker = connection->worker;
	if (connection->login)
		return 0;
	if (!worker->config)
		return -ENOENT;
	connection->config = iscsi_config_get(worker->config);
	struct login_environment environment = {
		.config = connection->config,
		.local_address = connection->local_address,
		.challenges = worker->server->challenges,
		.random_bytes = random_bytes,
		.check_session = check_session,
		.argument = connection,
	};
	return login_new(&environment, &connection->login);
}

static void log_failure(struct connection *connection)
{
	const char *why = NULL;
	enum login_status status = login_failure(connection->login, &why);
	const char *initiator = login_result(connection->login)->initiator_name;
	const char *target = login_target_name(connection->login);
	log_limited(LOG_LEVEL_WARNING, LOG_INTERVAL_MS,
	            "%s: login of %s to %s at %s refused (%04x): %s", connection->peer_address,
	            *initiator ? initiator : "an unnamed initiator", *target ? target : "no target",
	            connection->local_address, (unsigned)status, why);
}

static void take_outcome(struct connection *connection, enum login_outcome outcome);

static void admit(struct connection *connection, const struct login_admission *admission)
{
	take_outcome(connection,
	             login_admit(connection->login, admission, &connection->login_response));
}

static void refuse(struct connection *connection, enum login_status status)
{
	struct login_admission admission = { .status = status };
	admit(connection, &admission);
}

/* Since the login began, a new snapshot may have taken away what it was granted. */
static enum login_status check_snapshot(struct connection *connection)
{
	const struct login_result *login = login_result(connection->login);
	struct iscsi_config *config = connection->worker->config;

	if (config == connection->config)
		return LOGIN_SUCCESS;
	if (login->discovery)
		return session_credentials_equal(&connection->config->discovery_auth,
		                                 &config->discovery_auth)
		               ? LOGIN_SUCCESS
		               : LOGIN_SERVICE_UNAVAILABLE;
	bool same = session_rights_equal(login->target, login->acl, config, login->initiator_name,
	                                 connection->local_address);
	return same ? LOGIN_SUCCESS : LOGIN_SERVICE_UNAVAILABLE;
}

static void become_full_feature(struct connection *connection, struct session *session,
                                uint32_t exp_cmd_sn)
{
	int r = session_start(session, exp_cmd_sn);

	if (r < 0 || transmitter_resize(&connection->tx, TX_SLOTS_FULL_FEATURE) < 0) {
		session_connection_lost(session);
		refuse(connection, LOGIN_OUT_OF_RESOURCES);
		return;
	}
	connection->session = session;
	struct login_admission admission = {
		.status = LOGIN_SUCCESS,
		.tsih = session->entry.tsih,
		.exp_cmd_sn = session->window.exp_cmd_sn,
		.max_cmd_sn = session->window.max_cmd_sn,
	};
	admit(connection, &admission);
}

/* For a target that is not ready, or for an old session that has not ended: in all ready_wait_s. */
static void start_waiting(struct connection *connection)
{
	struct worker *worker = connection->worker;
	uint64_t now = reactor_now_ms(worker->reactor);

	connection->state = CONNECTION_WAITING;
	if (!connection->wait_until_ms)
		connection->wait_until_ms = now + worker->server->limits.ready_wait_s * 1000ull;
	uint64_t left = connection->wait_until_ms > now ? connection->wait_until_ms - now : 1;
	reactor_arm(worker->reactor, &connection->timer, left);
	connection_update_watch(connection);
}

/* The login is authenticated and negotiated: now, and only now, it may end an old session. */
static void claim_session(struct connection *connection)
{
	struct worker *worker = connection->worker;
	const struct login_result *login = login_result(connection->login);
	enum login_status status = check_snapshot(connection);
	struct session *session = NULL;
	uint32_t exp_cmd_sn;

	if (status == LOGIN_SUCCESS &&
	    (worker->stopping || session_new(connection, login, &session) < 0))
		status = LOGIN_OUT_OF_RESOURCES;
	if (status != LOGIN_SUCCESS) {
		refuse(connection, status);
		return;
	}
	int r = session_table_claim(worker->server->sessions, &session->entry, login,
	                            &connection->waiter, &exp_cmd_sn, &status);
	if (r == 0) {
		become_full_feature(connection, session, exp_cmd_sn);
		return;
	}
	session_discard(session);
	if (r != -EAGAIN) {
		refuse(connection, status);
		return;
	}
	log_info("%s: %s logs in again at %s: its old session is ended first",
	         connection->peer_address, login->initiator_name, connection->local_address);
	connection->waits_for_session = true;
	start_waiting(connection);
}

static void old_session_ended(struct message *message)
{
	struct connection *connection = container_of(message, struct connection, waiter.message);
	connection->waits_for_session = false;
	connection->waiter.posted = false;
	if (connection->state == CONNECTION_WAITING)
		claim_session(connection);
}

/* The final response is on its way: everything behind it follows the negotiated rules. */
static void complete_login(struct connection *connection)
{
	struct session *session = connection->session;

	session->stat_sn = login_result(connection->login)->stat_sn;
	barrier_start(session);
	connection->login_complete = true;
	connection_send(connection, &connection->login_outgoing);
	connection->state = CONNECTION_FULL_FEATURE;
	if (!list_empty(&connection->login_link)) {
		list_remove(&connection->login_link);
		connection->worker->logging_in_count--;
	}
	/* Emitted now, so that it goes without digests even if the socket is full. */
	connection_flush(connection);
	if (connection->state == CONNECTION_CLOSED)
		return;
	connection->tx.header_digest = session->values.header_digest;
	connection->tx.data_digest = session->values.data_digest;
	connection->rx.ops = &session_receiver_ops;
	connection->rx.header_digest = session->values.header_digest;
	connection->rx.data_digest = session->values.data_digest;
	reactor_arm(connection->worker->reactor, &connection->timer, 1000);
	log_info("%s: %s logged in to %s at %s (TSIH %u)", connection->peer_address,
	         session->entry.initiator_name,
	         session->target ? session->target->name : "discovery", connection->local_address,
	         session->entry.tsih);
}

static void take_outcome(struct connection *connection, enum login_outcome outcome)
{
	switch (outcome) {
	case LOGIN_RESPOND:
		connection->state = CONNECTION_LOGIN;
		connection_send(connection, &connection->login_outgoing);
		break;
	case LOGIN_RESPOND_AND_CLOSE:
		log_failure(connection);
		connection_send(connection, &connection->login_outgoing);
		connection_finish(connection);
		break;
	case LOGIN_CLOSE:
		log_failure(connection);
		connection_close(connection);
		break;
	case LOGIN_WAIT_READY:
		start_waiting(connection);
		break;
	case LOGIN_ADMIT:
		claim_session(connection);
		break;
	case LOGIN_COMPLETE:
		complete_login(connection);
		break;
	}
}

void connection_login_timeout(struct connection *connection)
{
	if (connection->waits_for_session) {
		if (!session_waiter_cancel(connection->worker->server->sessions,
		                           &connection->waiter))
			return; /* its end is being told just now */
		connection->waits_for_session = false;
		refuse(connection, LOGIN_OUT_OF_RESOURCES);
		return;
	}
	connection->wait_until_ms = 0;
	take_outcome(connection, login_resume(connection->login, connection->config,
	                                      &connection->login_response));
}

void connection_config_changed(struct connection *connection)
{
	struct iscsi_config *config = connection->worker->config;

	if (connection->state != CONNECTION_WAITING || connection->waits_for_session)
		return;
	const struct iscsi_target *target =
	        iscsi_config_find(config, login_target_name(connection->login));
	if (!config->loaded || (target && !target->ready))
		return;
	struct iscsi_config *old = connection->config;
	connection->config = iscsi_config_get(config);
	connection->wait_until_ms = 0;
	/* The wait for the target does not count for the login's own deadline. */
	connection->deadline_ms = reactor_now_ms(connection->worker->reactor) +
	                          connection->worker->server->limits.login_timeout_s * 1000ull;
	take_outcome(connection,
	             login_resume(connection->login, config, &connection->login_response));
	iscsi_config_put(old);
}

static int login_header(struct receiver *rx)
{
	struct connection *connection = container_of(rx, struct connection, rx);
	uint32_t len = pdu_data_len(rx->header);

	connection->sent_something = true;
	if (ensure_login(connection) < 0)
		return -ENOMEM;
	if (pdu_ahs_len(rx->header) || len > LOGIN_DATA_MAX) {
		/* Answered before any of it is read: the answer is to close. */
		take_outcome(connection, login_request(connection->login, rx->header,
		                                       &connection->login_response));
		return -EPROTO;
	}
	rx->data = login_place(connection->login, rx->header);
	return 0;
}

static int login_complete_pdu(struct receiver *rx, bool data_digest_ok)
{
	struct connection *connection = container_of(rx, struct connection, rx);
	take_outcome(connection,
	             login_request(connection->login, rx->header, &connection->login_response));
	return 0;
}

static const struct receiver_ops login_receiver_ops = {
	.header = login_header,
	.complete = login_complete_pdu,
};

void connection_login_init(struct connection *connection)
{
	receiver_init(&connection->rx, &login_receiver_ops);
	connection->login_outgoing.emit = emit_login_response;
	connection->login_outgoing.ended = login_response_left;
	list_init(&connection->login_outgoing.link);
	list_init(&connection->waiter.link);
	connection->waiter.reactor = connection->worker->reactor;
	connection->waiter.message.run = old_session_ended;
}

void connection_login_done(struct connection *connection)
{
	login_free(steal(&connection->login));
	iscsi_config_put(steal(&connection->config));
}

void connection_login_read(struct connection *connection)
{
	while (connection->state == CONNECTION_LOGIN && transmitter_empty(&connection->tx)) {
		uint8_t *bytes = connection->worker->receive_buffer;
		size_t wants = receiver_wants(&connection->rx);
		ssize_t n = recv(connection->watch.fd, bytes, wants, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			connection_close(connection);
			return;
		}
		connection->received_ms = reactor_now_ms(connection->worker->reactor);
		if (receiver_take(&connection->rx, bytes, (size_t)n) < 0)
			connection_close(connection);
	}
}
