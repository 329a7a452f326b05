/* The gateway moves by steps, like a disk: gateway_step() looks at what is missing and starts it.
 *
 *   connect -> load (object -> plan) -> apply (disks, then the server's snapshot) -> report
 *
 * A change that comes while a step is under way is looked at when that step has ended; nothing is
 * ever interrupted, and applying twice is the same as applying once. */
#include "target/gateway_private.h"

#include "base/log.h"
#include "base/notify.h"
#include "config/settings.h"
#include "iscsi/server.h"
#include "target/lun_registry.h"
#include "target/owners.h"
#include "target/peers.h"
#include "target/plan_load.h"
#include "target/restart.h"
#include "target/snapshot.h"
#include "target/status.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RETRY_MS     1000
#define PATIENCE_MS  2000 /* for commands of sessions and LUNs that an apply takes away */
#define SETTLE_MS    8000 /* a disk that has not settled by then is reported as it is */
#define STEP_WORKERS 2    /* the gateway's own steps, and status */
#define POOL_WORKERS 32   /* opening, taking and closing images of one pool */

const char *gateway_get_name(const struct gateway *gateway)
{
	return gateway->name;
}

const char *gateway_run_dir(const struct gateway *gateway)
{
	return gateway->settings->run_dir;
}

struct job_queue *gateway_jobs(struct gateway *gateway)
{
	return gateway->jobs;
}

void gateway_step_later(struct gateway *gateway)
{
	if (gateway->step_posted)
		return;
	gateway->step_posted = true;
	reactor_deliver(gateway->manager, &gateway->step_message);
}

static void step_message(struct message *message)
{
	struct gateway *gateway = container_of(message, struct gateway, step_message);
	gateway->step_posted = false;
	gateway_step(gateway);
}

static void retry_expired(struct timer *timer)
{
	gateway_step(container_of(timer, struct gateway, retry));
}

/* The end of a job may come after the order to stop, when nothing is tried again. */
static void retry_later(struct gateway *gateway)
{
	if (!gateway->stopping)
		reactor_arm(gateway->manager, &gateway->retry, RETRY_MS);
}

static void settle_expired(struct timer *timer)
{
	gateway_step(container_of(timer, struct gateway, settle));
}

static void store_changed(struct store_listener *listener)
{
	struct gateway *gateway = container_of(listener, struct gateway, listener);
	if (!atomic_exchange(&gateway->changed_posted, true))
		reactor_post(gateway->manager, &gateway->changed_message);
}

static void changed_message(struct message *message)
{
	struct gateway *gateway = container_of(message, struct gateway, changed_message);
	atomic_store(&gateway->changed_posted, false);
	gateway->load_wanted = true;
	gateway_step(gateway);
}

void gateway_reload(struct gateway *gateway, struct settings *settings)
{
	restart_warn(gateway->settings, settings);
	settings_free(gateway->next_settings);
	gateway->next_settings = settings;
	gateway->load_wanted = true;
	gateway_step_later(gateway);
}

void gateway_start_job(struct gateway *gateway, void (*work)(struct job *),
                       void (*done)(struct job *))
{
	assert(!gateway->job_busy);
	gateway->job_busy = true;
	gateway->job_error = (struct error){ 0 };
	gateway->job.work = work;
	gateway->job.done = done;
	gateway->job.reactor = gateway->manager;
	job_queue_submit(gateway->jobs, &gateway->job);
}

void gateway_set_job_result(struct gateway *gateway, int r)
{
	struct error *err = &gateway->job_error;
	if (r == 0)
		*err = (struct error){ 0 };
	else if (!err->code)
		(void)error_set(err, r, "%s", strerror(-r));
}

/* ---- connect ---- */

static void connect_work(struct job *job)
{
	struct gateway *gateway = container_of(job, struct gateway, job);
	gateway_set_job_result(gateway,
	                       connection_make(gateway->settings, gateway->name, &gateway->listener,
	                                       &gateway->connection, &gateway->job_error));
}

static void connect_done(struct job *job)
{
	struct gateway *gateway = container_of(job, struct gateway, job);
	gateway->job_busy = false;
	if (gateway->job_error.code) {
		log_limited(LOG_LEVEL_WARNING, 10000, "waiting: %s", gateway->job_error.text);
		notify_service_manager("STATUS=waiting: %s", gateway->job_error.text);
		retry_later(gateway);
	} else {
		gateway->connected = true;
		gateway->load_wanted = true;
		gateway_begin_ownership(gateway);
		log_info("%s: configuration store connected", gateway->name);
	}
	gateway_step(gateway);
}

/* ---- load ---- */

static void load_work(struct job *job)
{
	struct gateway *gateway = container_of(job, struct gateway, job);
	struct plan_context context = {
		.settings = gateway->settings,
		.keys = gateway->connection.keys,
		.gateway_name = gateway->name,
	};
	gateway_set_job_result(gateway, plan_load(gateway->connection.store, &context,
	                                          &gateway->job_plan, &gateway->job_error));
}

static void load_done(struct job *job)
{
	struct gateway *gateway = container_of(job, struct gateway, job);
	gateway->job_busy = false;
	if (gateway->job_error.code) {
		log_limited(LOG_LEVEL_ERROR, 10000, "configuration not read, what runs goes on: %s",
		            gateway->job_error.text);
		gateway->load_wanted = true;
		retry_later(gateway);
	} else if (!gateway->stopping) {
		(void)snprintf(gateway->load_problem, sizeof gateway->load_problem, "%s",
		               gateway->job_plan->problem);
		disk_set_adopt(&gateway->disks, steal(&gateway->job_plan));
		gateway_tell_ownership(gateway);
		gateway->apply_wanted = true;
		gateway->report_wanted = true;
		gateway->settle_deadline_ms = reactor_now_ms(gateway->manager) + SETTLE_MS;
	}
	plan_free(steal(&gateway->job_plan));
	gateway_step(gateway);
}

/* ---- apply ---- */

static void disks_emptied(struct disk_set *set)
{
	struct gateway *gateway = container_of(set, struct gateway, disks);
	if (gateway->stopping)
		gateway_stop_moves(gateway);
	gateway_step_later(gateway);
}

/* One apply, from its start to the message that it has ended. */
struct apply_note {
	struct gateway *gateway;
	uint64_t number;
	struct message message;
	struct error err;
};

static void server_applied(void *argument, const struct error *err)
{
	struct apply_note *note = argument;
	note->err = *err;
	reactor_post(note->gateway->manager, &note->message);
}

static void apply_over(struct gateway *gateway, const char *problem)
{
	(void)snprintf(gateway->apply_problem, sizeof gateway->apply_problem, "%s", problem);
	gateway->apply_busy = false;
	reactor_disarm(gateway->manager, &gateway->patience);
	/* No session maps them any more, unless a newer plan retired them meanwhile. */
	if (!gateway->apply_wanted)
		disk_set_close_retired(&gateway->disks);
}

static void applied_message(struct message *message)
{
	struct apply_note *note = container_of(message, struct apply_note, message);
	struct gateway *gateway = note->gateway;
	gateway->applies--;
	if (note->number == gateway->apply_number && !gateway->stopping) {
		gateway->report_wanted |= !gateway->apply_busy && note->err.code;
		apply_over(gateway, note->err.code ? note->err.text : "");
	}
	free(note);
	gateway_step(gateway);
}

/* A command that hangs below must not hold up what is configured next. A disk that is closed now
 * waits itself until its last command has ended. */
static void patience_expired(struct timer *timer)
{
	struct gateway *gateway = container_of(timer, struct gateway, patience);
	log_limited(LOG_LEVEL_WARNING, 60000,
	            "commands of sessions or LUNs that are gone have not ended yet");
	apply_over(gateway, "");
	gateway_step(gateway);
}

static void start_apply(struct gateway *gateway)
{
	struct iscsi_config *config = NULL;
	struct apply_note *note = calloc(1, sizeof *note);
	if (!note || snapshot_make(&gateway->disks, gateway->settings, &config) < 0) {
		free(note);
		log_error("configuration not applied: out of memory; trying again");
		retry_later(gateway);
		return;
	}
	gateway->apply_wanted = false;
	gateway->apply_busy = true;
	gateway->applies++;
	*note = (struct apply_note){ .gateway = gateway, .number = ++gateway->apply_number };
	note->message.run = applied_message;
	reactor_arm(gateway->manager, &gateway->patience, PATIENCE_MS);
	gateway->snapshot_unready = false;
	for (size_t i = 0; i < config->target_count; i++)
		gateway->snapshot_unready |= !config->targets[i].ready;
	iscsi_server_apply(gateway->server, config, server_applied, note);
}

/* ---- report ---- */

static void collect_problems(struct gateway *gateway, char *ret_text, size_t size)
{
	AUTO_STRING struct string problems = { 0 };
	string_add(&problems, gateway->load_problem);
	if (*gateway->apply_problem)
		string_format(&problems, "%s%s", problems.len ? "; " : "", gateway->apply_problem);
	disk_set_add_problems(&gateway->disks, &problems);
	(void)snprintf(ret_text, size, "%s", problems.len ? problems.text : ""); /* cut is fine */
}

static void report_work(struct job *job)
{
	struct gateway *gateway = container_of(job, struct gateway, job);
	gateway_set_job_result(gateway,
	                       store_report(gateway->connection.store, gateway->reported_epoch,
	                                    gateway->job_report, &gateway->job_error));
}

static void report_done(struct job *job)
{
	struct gateway *gateway = container_of(job, struct gateway, job);
	gateway->job_busy = false;
	if (gateway->job_error.code) {
		log_limited(LOG_LEVEL_WARNING, 10000,
		            "epoch %llu is in force, but not reported: %s",
		            (unsigned long long)gateway->reported_epoch, gateway->job_error.text);
		gateway->report_wanted = true;
		retry_later(gateway);
	}
	gateway_step(gateway);
}

static void start_report(struct gateway *gateway)
{
	uint64_t epoch = gateway->disks.plan->epoch;
	char report[ERROR_TEXT_MAX];
	collect_problems(gateway, report, sizeof report);
	/* An answer that is asked for twice is given twice, but said once. */
	if (!gateway->announced_ready || epoch != gateway->reported_epoch ||
	    strcmp(report, gateway->job_report) != 0)
		log_info("epoch %llu is in force%s%s", (unsigned long long)epoch,
		         *report ? ", but: " : "", report);
	gateway->report_wanted = false;
	gateway->reported_epoch = epoch;
	memcpy(gateway->job_report, report, sizeof report);
	if (!gateway->announced_ready) {
		gateway->announced_ready = true;
		notify_service_manager("READY=1\nSTATUS=serving");
	}
	gateway_start_job(gateway, report_work, report_done);
}

/* True if the report is due; else sees to it that somebody steps again. */
static bool report_due(struct gateway *gateway)
{
	if (!gateway->report_wanted || gateway->apply_busy || gateway->apply_wanted)
		return false;
	if (disk_set_settled(&gateway->disks))
		return true;
	uint64_t now_ms = reactor_now_ms(gateway->manager);
	if (now_ms >= gateway->settle_deadline_ms)
		return true;
	reactor_arm(gateway->manager, &gateway->settle, gateway->settle_deadline_ms - now_ms);
	return false;
}

/* ---- the step ---- */

void gateway_step(struct gateway *gateway)
{
	if (gateway->stopping) {
		gateway_step_stopping(gateway);
		return;
	}
	if (gateway->apply_wanted && !gateway->apply_busy && gateway->disks.plan)
		start_apply(gateway);
	if (gateway->job_busy || timer_armed(&gateway->retry))
		return;
	if (gateway->next_settings) {
		settings_free(gateway->settings);
		gateway->settings = steal(&gateway->next_settings);
		gateway_tell_ownership(gateway);
	}
	if (!gateway->connected) {
		gateway_start_job(gateway, connect_work, connect_done);
	} else if (gateway->load_wanted) {
		gateway->load_wanted = false;
		gateway_start_job(gateway, load_work, load_done);
	} else if (report_due(gateway)) {
		start_report(gateway);
	}
}

void gateway_free(struct gateway *gateway)
{
	if (!gateway)
		return;
	assert(!gateway->connected);
	job_queue_free(gateway->jobs);
	job_queues_free(gateway->disk_jobs);
	iscsi_server_free(gateway->server);
	for (unsigned i = 0; i < gateway->reactor_count; i++) {
		reactor_stop(gateway->reactors[i]);
		reactor_free(gateway->reactors[i]);
	}
	disk_set_done(&gateway->disks);
	owners_free(gateway->owners);
	peers_free(gateway->peers);
	lun_registry_free(gateway->luns);
	settings_free(gateway->settings);
	settings_free(gateway->next_settings);
	free(gateway->name);
	free(gateway);
}
DEFINE_AUTO(gateway);

static int start_reactors(struct gateway *gateway)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned count = (unsigned)gateway->settings->io_threads;
	if (count == 0)
		count = cores > 0 ? (unsigned)cores : 1;
	if (count > REACTOR_COUNT_MAX)
		count = REACTOR_COUNT_MAX;
	for (unsigned i = 0; i < count; i++) {
		char name[16];
		(void)snprintf(name, sizeof name, "io-%u", i);
		int r = reactor_new(name, NULL, &gateway->reactors[i]);
		if (r < 0)
			return r;
		gateway->reactor_count++;
		reactor_set_busy_poll_us(gateway->reactors[i],
		                         (unsigned)gateway->settings->busy_poll_us);
		r = reactor_start(gateway->reactors[i], -1);
		if (r < 0)
			return r;
	}
	return 0;
}

static int start_threads(struct gateway *gateway)
{
	int r = start_reactors(gateway);
	if (r < 0)
		return r;
	r = job_queue_new(STEP_WORKERS, &gateway->jobs);
	if (r == 0)
		r = job_queues_new(POOL_WORKERS, &gateway->disk_jobs);
	if (r < 0)
		return r;
	struct iscsi_limits limits;
	iscsi_limits_default(&limits);
	limits.max_inflight_bytes = (uint64_t)gateway->settings->max_inflight_mb << 20;
	return iscsi_server_new(gateway->reactors, gateway->reactor_count, &limits,
	                        &gateway->server);
}

int gateway_new(struct reactor *manager, struct settings *settings, struct gateway **ret_gateway,
                struct error *err)
{
	AUTO(gateway) struct gateway *gateway = calloc(1, sizeof *gateway);
	if (!gateway) {
		settings_free(settings);
		return error_set(err, -ENOMEM, "gateway: out of memory");
	}
	gateway->manager = manager;
	gateway->settings = settings;
	disk_set_init(&gateway->disks, &gateway->host, disks_emptied);
	gateway->retry.expired = retry_expired;
	gateway->settle.expired = settle_expired;
	gateway->listener.changed = store_changed;
	gateway->listener.told = gateway_store_told;
	gateway->changed_message.run = changed_message;
	gateway->step_message.run = step_message;
	gateway->patience.expired = patience_expired;
	gateway_init_stop(gateway);
	gateway->name = settings_gateway_name(settings);
	if (!gateway->name)
		return error_set(err, -ENOMEM, "gateway: out of memory");
	int r = start_threads(gateway);
	if (r == 0)
		r = gateway_make_ownership(gateway);
	if (r < 0)
		return error_set(err, r, "gateway %s: cannot start its threads: %s", gateway->name,
		                 strerror(-r));
	log_info("gateway %s: store %s, %u I/O threads", gateway->name, settings->store,
	         gateway->reactor_count);
	*ret_gateway = steal(&gateway);
	gateway_step_later(*ret_gateway);
	return 0;
}

json_t *gateway_status(struct gateway *gateway)
{
	AUTO_JSON json_t *luns = disk_set_status(&gateway->disks);
	if (!luns)
		return NULL;
	AUTO_JSON json_t *status =
	        json_pack("{s:s, s:b, s:I, s:O}", "gateway", gateway->name, "serving",
	                  gateway->announced_ready && !gateway->stopping, "epoch",
	                  (json_int_t)gateway->reported_epoch, "luns", luns);
	if (!status || owners_add_status(gateway->owners, status) < 0)
		return NULL;
	return steal(&status);
}

int gateway_add_sessions(struct gateway *gateway, json_t *status)
{
	return status_add_sessions(gateway->server, status);
}
