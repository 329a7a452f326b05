/* A row for each session: every reactor writes its own, the caller waits for all. */
#include "iscsi/connection.h"
#include "iscsi/session.h"
#include "iscsi/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct session_query {
	pthread_mutex_t lock;
	pthread_cond_t answered;
	/* Under the lock. */
	struct iscsi_session_info *rows;
	size_t count, room;
	unsigned missing; /* reactors */
	int result;
};

struct query_share {
	struct message message;
	struct worker *worker;
	struct session_query *query;
};

static void fill_row(const struct session *session, struct iscsi_session_info *row)
{
	memset(row, 0, sizeof(*row));
	strcpy(row->initiator_name, session->entry.initiator_name);
	strcpy(row->initiator_alias, session->initiator_alias);
	strcpy(row->target_name, session->entry.target_name);
	strcpy(row->peer_address, session->connection->peer_address);
	strcpy(row->local_address, session->connection->local_address);
	row->portal_group_tag = session->entry.portal_group_tag;
	row->tsih = session->entry.tsih;
	memcpy(row->isid, session->entry.isid, sizeof(row->isid));
}

static int add_row(struct session_query *query, const struct session *session)
{
	if (query->count == query->room) {
		size_t room = query->room ? query->room * 2 : 16;
		void *rows = realloc(query->rows, room * sizeof(*query->rows));
		if (!rows)
			return -ENOMEM;
		query->rows = rows;
		query->room = room;
	}
	fill_row(session, &query->rows[query->count++]);
	return 0;
}

static void answer(struct message *message)
{
	struct query_share *share = container_of(message, struct query_share, message);
	struct session_query *query = share->query;
	const struct session *session;

	pthread_mutex_lock(&query->lock);
	list_for_each (session, &share->worker->sessions, link) {
		if (session->connection && query->result == 0)
			query->result = add_row(query, session);
	}
	if (--query->missing == 0)
		pthread_cond_signal(&query->answered);
	pthread_mutex_unlock(&query->lock);
}

int iscsi_server_list(struct iscsi_server *server, struct iscsi_session_info **ret_sessions,
                      size_t *ret_count)
{
	struct session_query query = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.answered = PTHREAD_COND_INITIALIZER,
		.missing = server->worker_count,
	};
	AUTO_FREE struct query_share *shares = calloc(server->worker_count, sizeof(*shares));
	if (!shares)
		return -ENOMEM;
	for (unsigned i = 0; i < server->worker_count; i++) {
		shares[i].worker = &server->workers[i];
		shares[i].query = &query;
		shares[i].message.run = answer;
		reactor_post(shares[i].worker->reactor, &shares[i].message);
	}
	pthread_mutex_lock(&query.lock);
	while (query.missing)
		pthread_cond_wait(&query.answered, &query.lock);
	pthread_mutex_unlock(&query.lock);
	if (query.result < 0) {
		free(query.rows);
		return query.result;
	}
	*ret_sessions = query.rows;
	*ret_count = query.count;
	return 0;
}
