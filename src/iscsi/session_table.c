/* Sessions by I_T nexus. A claim finds the nexus free, or tells its session to stop and waits until
 * it lingers, at most.
 * [RFC 7143 6.3.1, 6.3.5] */
#include "iscsi/session_table.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

struct session_table {
	pthread_mutex_t lock;
	unsigned sessions_max; /* constant */
	struct list entries;   /* everything below: under the lock */
	unsigned live, lingering;
	uint16_t last_tsih;
};

int session_table_new(unsigned sessions_max, struct session_table **ret_table)
{
	struct session_table *table = calloc(1, sizeof(*table));
	if (!table)
		return -ENOMEM;
	int r = pthread_mutex_init(&table->lock, NULL);
	if (r) {
		free(table);
		return -r;
	}
	table->sessions_max = sessions_max;
	list_init(&table->entries);
	/* Random, so that a TSIH of before a restart is hardly ever valid; 0 would do as well. */
	(void)!getrandom(&table->last_tsih, sizeof(table->last_tsih), 0);
	*ret_table = table;
	return 0;
}

void session_table_free(struct session_table *table)
{
	if (!table)
		return;
	pthread_mutex_destroy(&table->lock);
	free(table);
}

static const char *target_of(const struct login_result *login)
{
	return login->discovery ? "" : login->target->name;
}

static bool is_of_initiator(const struct session_entry *entry, const struct login_result *login)
{
	return strcmp(entry->initiator_name, login->initiator_name) == 0 &&
	       strcmp(entry->target_name, target_of(login)) == 0;
}

static bool is_of_nexus(const struct session_entry *entry, const struct login_result *login)
{
	return memcmp(entry->isid, login->isid, sizeof(entry->isid)) == 0 &&
	       entry->portal_group_tag == login->portal_group_tag && is_of_initiator(entry, login);
}

static bool is_same_initiator(const struct session_entry *a, const struct session_entry *b)
{
	return strcmp(a->initiator_name, b->initiator_name) == 0 &&
	       strcmp(a->target_name, b->target_name) == 0;
}

static struct session_entry *find_nexus(const struct session_table *table,
                                        const struct login_result *login)
{
	struct session_entry *entry;
	if (login->discovery)
		return NULL; /* each discovery login is a session of its own */
	list_for_each (entry, &table->entries, link) {
		if (!entry->lingering && is_of_nexus(entry, login))
			return entry;
	}
	return NULL;
}

/* The initiator's oldest session that lingers, if it or this port of it has as many as may be. */
static struct session_entry *find_crowd(const struct session_table *table,
                                        const struct login_result *login)
{
	struct session_entry *entry, *oldest = NULL;
	unsigned of_initiator = 0, of_port = 0;
	if (login->discovery)
		return NULL;
	list_for_each (entry, &table->entries, link) {
		if (!entry->lingering || !is_of_initiator(entry, login))
			continue;
		if (!oldest)
			oldest = entry;
		of_initiator++;
		of_port += is_of_nexus(entry, login);
	}
	bool crowded = of_initiator >= INITIATOR_LINGERING_MAX || of_port >= SESSIONS_LINGERING_MAX;
	return crowded ? oldest : NULL;
}

/* Those that linger are no part of the sessions that may be, so that storage which hangs for some
 * initiators keeps nobody else out; only memory bounds them. */
static bool is_full(const struct session_table *table)
{
	return table->live >= table->sessions_max ||
	       table->lingering / SESSIONS_LINGERING_MAX >= table->sessions_max;
}

static bool tsih_in_use(const struct session_table *table, uint16_t tsih)
{
	const struct session_entry *entry;
	list_for_each (entry, &table->entries, link) {
		if (!entry->lingering && entry->tsih == tsih)
			return true;
	}
	return false;
}

/* 0: all 65535 are taken. */
static uint16_t new_tsih(struct session_table *table)
{
	for (unsigned tries = 0; tries <= UINT16_MAX; tries++) {
		uint16_t tsih = ++table->last_tsih;
		if (tsih && !tsih_in_use(table, tsih))
			return tsih;
	}
	return 0;
}

static enum login_status check_join(const struct session_table *table,
                                    const struct login_result *login)
{
	const struct session_entry *entry = find_nexus(table, login);
	if (!entry || entry->tsih != login->requested_tsih)
		return LOGIN_NO_SESSION;
	/* One connection a session: a second one may only take the place of the first. */
	return entry->cid == login->cid ? LOGIN_SUCCESS : LOGIN_TOO_MANY_CONNECTIONS;
}

enum login_status session_table_check(struct session_table *table, const struct login_result *login)
{
	if (!login->requested_tsih)
		return LOGIN_SUCCESS;
	pthread_mutex_lock(&table->lock);
	enum login_status status = check_join(table, login);
	pthread_mutex_unlock(&table->lock);
	return status;
}

static void run_stop(struct message *message)
{
	struct session_entry *entry = container_of(message, struct session_entry, stop_message);
	pthread_mutex_lock(&entry->table->lock);
	entry->stop_posted = false;
	pthread_mutex_unlock(&entry->table->lock);
	if (entry->removed)
		entry->freed(entry);
	else
		entry->stop(entry);
}

static void wait_for_stop(struct session_entry *old, struct session_waiter *waiter)
{
	waiter->admitted = true;
	list_append(&old->waiters, &waiter->link);
	if (old->stop_posted)
		return;
	old->stop_posted = true;
	old->stop_message.run = run_stop;
	reactor_post(old->reactor, &old->stop_message);
}

static void fill_entry(struct session_table *table, struct session_entry *entry,
                       const struct login_result *login)
{
	entry->table = table;
	strcpy(entry->initiator_name, login->initiator_name);
	strcpy(entry->target_name, target_of(login));
	memcpy(entry->isid, login->isid, sizeof(entry->isid));
	entry->portal_group_tag = login->portal_group_tag;
	entry->cid = login->cid;
	list_init(&entry->waiters);
}

static int claim_locked(struct session_table *table, struct session_entry *entry,
                        const struct login_result *login, struct session_waiter *waiter,
                        uint32_t *ret_exp_cmd_sn, enum login_status *ret_status)
{
	struct session_entry *old = find_nexus(table, login);
	struct session_entry *crowd = waiter->admitted ? NULL : find_crowd(table, login);
	if (login->requested_tsih && !waiter->admitted) {
		enum login_status status = check_join(table, login);
		if (status != LOGIN_SUCCESS) {
			*ret_status = status;
			return -ENOENT;
		}
	}
	if (crowd) {
		list_append(&crowd->waiters, &waiter->link);
		return -EAGAIN;
	}
	if (old) {
		wait_for_stop(old, waiter);
		return -EAGAIN;
	}
	if (is_full(table)) {
		*ret_status = LOGIN_OUT_OF_RESOURCES;
		return -ENOSPC;
	}
	fill_entry(table, entry, login);
	if (login->requested_tsih && !tsih_in_use(table, login->requested_tsih)) {
		entry->tsih = login->requested_tsih;
		*ret_exp_cmd_sn = waiter->exp_cmd_sn;
	} else {
		entry->tsih = new_tsih(table);
		*ret_exp_cmd_sn = login->cmd_sn;
	}
	if (!entry->tsih) {
		*ret_status = LOGIN_OUT_OF_RESOURCES;
		return -ENOSPC;
	}
	list_append(&table->entries, &entry->link);
	table->live++;
	return 0;
}

int session_table_claim(struct session_table *table, struct session_entry *entry,
                        const struct login_result *login, struct session_waiter *waiter,
                        uint32_t *ret_exp_cmd_sn, enum login_status *ret_status)
{
	pthread_mutex_lock(&table->lock);
	int r = claim_locked(table, entry, login, waiter, ret_exp_cmd_sn, ret_status);
	pthread_mutex_unlock(&table->lock);
	return r;
}

static void wake_waiters(struct session_entry *entry, uint32_t exp_cmd_sn)
{
	for (struct list *link; (link = list_take_first(&entry->waiters));) {
		struct session_waiter *waiter = list_entry(link, struct session_waiter, link);
		waiter->exp_cmd_sn = exp_cmd_sn;
		waiter->posted = true;
		reactor_post(waiter->reactor, &waiter->message);
	}
}

void session_table_linger(struct session_table *table, struct session_entry *entry,
                          uint32_t exp_cmd_sn)
{
	pthread_mutex_lock(&table->lock);
	entry->lingering = true;
	table->live--;
	table->lingering++;
	wake_waiters(entry, exp_cmd_sn);
	pthread_mutex_unlock(&table->lock);
}

/* One of many that lingered has ended: who waited for that is listed at any of them. */
static void wake_crowd(const struct session_table *table, const struct session_entry *ended)
{
	struct session_entry *entry;
	list_for_each (entry, &table->entries, link) {
		if (entry->lingering && is_same_initiator(entry, ended))
			wake_waiters(entry, 0);
	}
}

void session_table_unlist(struct session_table *table, struct session_entry *entry)
{
	pthread_mutex_lock(&table->lock);
	list_remove(&entry->link);
	wake_waiters(entry, 0);
	if (entry->lingering) {
		table->lingering--;
		wake_crowd(table, entry);
	} else {
		table->live--;
	}
	pthread_mutex_unlock(&table->lock);
}

void session_table_remove(struct session_table *table, struct session_entry *entry,
                          void (*freed)(struct session_entry *entry))
{
	pthread_mutex_lock(&table->lock);
	bool posted = entry->stop_posted;
	entry->freed = freed;
	entry->removed = posted;
	pthread_mutex_unlock(&table->lock);
	if (!posted)
		freed(entry);
}

bool session_table_is_used(struct session_table *table)
{
	pthread_mutex_lock(&table->lock);
	bool used = table->live > 0;
	pthread_mutex_unlock(&table->lock);
	return used;
}

bool session_waiter_cancel(struct session_table *table, struct session_waiter *waiter)
{
	pthread_mutex_lock(&table->lock);
	bool posted = waiter->posted;
	if (!posted)
		list_remove(&waiter->link);
	pthread_mutex_unlock(&table->lock);
	return !posted;
}
