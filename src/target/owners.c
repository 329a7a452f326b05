/* The course of things: a look at the rows each second, a tick in which everybody's health and
 * every disk is reviewed, and both at once when something has changed. */
#include "target/owners_private.h"

#include "base/log.h"
#include "interconnect/interconnect.h"
#include "scsi/other_paths.h"
#include "target/disk_set.h"
#include "target/look.h"
#include "target/peers.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WORKERS      8
#define LOOK_MS      1000
#define TICK_MS      500
#define TICK_FAST_MS 50   /* while somebody waits for something */
#define STALLED_MS   1500 /* without a good look for so long: peers are told */

/* ---- looks ---- */

static void look_work(struct job *job)
{
	struct owners *owners = container_of(job, struct owners, look_job);
	owners->look_error = (struct error){ 0 };
	int r = look_make(owners->store, owners->registration, owners->seen, &owners->look,
	                  &owners->look_error);
	if (r == 0)
		owners->look_error = (struct error){ 0 };
	else if (!owners->look_error.code)
		(void)error_set(&owners->look_error, r, "%s", strerror(-r));
}

/* Also if nothing is new there: a disk may be new, or was busy when the record came. */
static void see_records(struct owners *owners, const struct look *look)
{
	for (size_t i = 0; i < look->record_count; i++) {
		struct disk *disk = disk_set_find(owners->config.disks, look->records[i].lun);
		if (disk && disk_saw_record(disk, &look->records[i].record))
			owners_disk_changed(owners, disk);
	}
}

void owners_condemned(struct owners *owners, const char *why)
{
	if (owners->condemned)
		return;
	owners->condemned = true;
	owners->config.condemned(owners->config.argument, why);
}

/* A client of the cluster that is blocklisted stays so: without a new one this gateway would never
 * learn anything again, nor that it was condemned. */
static void look_failed(struct owners *owners)
{
	log_limited(LOG_LEVEL_WARNING, 10000, "rows of the gateways not read: %s",
	            owners->look_error.text);
	if (owners->look_error.code == -ESHUTDOWN)
		owners_condemned(owners,
		                 "was fenced: its client for the configuration is blocklisted");
}

static void look_done(struct job *job)
{
	struct owners *owners = container_of(job, struct owners, look_job);
	AUTO(look) struct look *look = steal(&owners->look);
	bool fresh = look != NULL;
	owners->look_busy = false;
	if (owners->stopping) {
		owners_check_stopped(owners);
		return;
	}
	if (owners->look_error.code) {
		look_failed(owners);
		return;
	}
	if (fresh) {
		look_free(owners->seen);
		owners->seen = steal(&look);
	}
	owners->looked_ms = reactor_now_ms(owners->config.manager);
	owners->known_since_ms = owners->look_started_ms;
	if (owners->seen->own == -EOWNERDEAD) {
		owners_condemned(owners, "was condemned by another gateway");
		return;
	}
	owners->members.interconnect = peers_interconnect(owners->config.peers);
	members_update(&owners->members, owners->seen);
	see_records(owners, owners->seen);
	if (fresh)
		owners_changed(owners);
}

static void start_look(struct owners *owners)
{
	owners->look_wanted = false;
	owners->look_busy = true;
	owners->look_started_ms = reactor_now_ms(owners->config.manager);
	owners->look_job = (struct job){ .work = look_work,
		                         .done = look_done,
		                         .reactor = owners->config.manager };
	job_queue_submit_first(owners->jobs, &owners->look_job);
}

void owners_look(struct owners *owners)
{
	owners->look_wanted = true;
	if (owners->store && !owners->look_busy && !owners->stopping)
		start_look(owners);
}

/* ---- the tick ---- */

static void reactor_turned(struct watchdog *watchdog)
{
	owners_check_stopped(container_of(watchdog, struct owners, watchdog));
}

/* A gateway without the cluster, or with a reactor that hangs, says so to its peers, which look
 * after its LUNs then. */
static void tell_stalled(struct owners *owners)
{
	uint32_t hangs_ms = watchdog_check(&owners->watchdog);
	uint64_t now_ms = reactor_now_ms(owners->config.manager);
	uint64_t age_ms = owners->looked_ms ? now_ms - owners->looked_ms : 0;
	owners->members.stalled = age_ms > STALLED_MS;
	uint32_t stalled_ms =
	        age_ms > STALLED_MS && age_ms > hangs_ms ? (uint32_t)age_ms : hangs_ms;
	if (owners->hung.cautious && stalled_ms <= MEMBER_STALLED_MS)
		stalled_ms = INTERCONNECT_CAUTIOUS; /* so nobody gives it a LUN */
	peers_set_stalled(owners->config.peers, stalled_ms);
}

/* A stream of decisions, as when hundreds of LUNs move, does not put it off. */
static void arm_tick_in(struct owners *owners, uint64_t delay_ms)
{
	uint64_t at_ms = reactor_now_ms(owners->config.manager) + delay_ms;
	if (timer_armed(&owners->tick) && owners->tick_ms <= at_ms)
		return;
	owners->tick_ms = at_ms;
	reactor_arm(owners->config.manager, &owners->tick, delay_ms);
}

static void arm_tick(struct owners *owners)
{
	uint64_t now_ms = reactor_now_ms(owners->config.manager);
	uint64_t delay_ms =
	        owners->undecided || owners->leaving || members_unsettled(&owners->members)
	                ? TICK_FAST_MS
	                : TICK_MS;
	uint64_t due_ms = members_due_ms(&owners->members);
	if (due_ms && due_ms < now_ms + delay_ms)
		delay_ms = due_ms - now_ms;
	if (owners->again_ms && owners->again_ms < now_ms + delay_ms)
		delay_ms = owners->again_ms > now_ms ? owners->again_ms - now_ms : 1;
	arm_tick_in(owners, delay_ms);
}

static void tick(struct timer *timer)
{
	struct owners *owners = container_of(timer, struct owners, tick);
	uint64_t now_ms = reactor_now_ms(owners->config.manager);
	if (!owners->look_busy &&
	    (owners->look_wanted || now_ms >= owners->look_started_ms + LOOK_MS))
		start_look(owners);
	owners->all_wanted |= now_ms >= owners->all_ms + TICK_MS ||
	                      (owners->again_ms && now_ms >= owners->again_ms);
	debt_renew_if_due(&owners->debt, owners->config.manager, now_ms);
	hung_review(owners);
	tell_stalled(owners);
	members_review(&owners->members);
	fates_review(owners);
	paths_review(owners);
	owners_decide(owners);
	arm_tick(owners);
}

static void decide_message(struct message *message)
{
	struct owners *owners = container_of(message, struct owners, decide_message);
	owners->decide_posted = false;
	if (owners->stopping) {
		owners_check_stopped(owners);
		return;
	}
	if (!owners->store)
		return;
	members_review(&owners->members);
	owners_decide(owners);
	arm_tick(owners);
}

static void decide_soon(struct owners *owners)
{
	if (owners->decide_posted)
		return;
	owners->decide_posted = true;
	reactor_deliver(owners->config.manager, &owners->decide_message);
}

void owners_changed(struct owners *owners)
{
	owners->all_wanted = true;
	decide_soon(owners);
}

void owners_disk_changed(struct owners *owners, struct disk *disk)
{
	disk_mark(disk, true);
	decide_soon(owners);
}

void owners_moved(struct owners *owners, struct disk *disk)
{
	if (owners->stopping)
		return;
	if (owners->leaving)
		owners->leave_ms = reactor_now_ms(owners->config.manager);
	if (disk_was_rolled_back(disk))
		talk_wake(owners); /* they forward when they know that it is over */
	talk_record(owners, disk);
	owners_disk_changed(owners, disk);
}

void owners_told(struct owners *owners, const char *text)
{
	AUTO_JSON json_t *message = json_loads(text, 0, NULL);
	if (message && owners->store && !owners->stopping)
		talk_heard(owners, message);
}

/* ---- what members ask for ---- */

static void member_changed(struct members *members)
{
	owners_changed(container_of(members, struct owners, members));
}

static void member_look(struct members *members)
{
	owners_look(container_of(members, struct owners, members));
}

static void member_ask(struct members *members, struct member *member)
{
	talk_ask(container_of(members, struct owners, members), member);
}

static bool member_wanted(struct members *members, const struct member *member)
{
	struct owners *owners = container_of(members, struct owners, members);
	struct disk_set *set = owners->config.disks;
	for (size_t i = 0; set->plan && i < set->plan->disk_count; i++) {
		struct disk *disk = disk_set_at(set, i);
		if (disk && disk_commands_wait(disk) &&
		    strcmp(disk_record(disk)->instance, member->instance) == 0)
			return true;
	}
	return false;
}

static void member_fences(struct members *members, const struct member *member)
{
	ahead_read(&container_of(members, struct owners, members)->ahead, member->instance);
}

static void ahead_ended(struct ahead *ahead)
{
	owners_check_stopped(container_of(ahead, struct owners, ahead));
}

static void debt_renewed(struct debt_renewal *renewal)
{
	owners_check_stopped(container_of(renewal, struct owners, debt));
}

/* ---- life ---- */

int owners_new(const struct owners_config *config, struct owners **ret_owners)
{
	struct owners *owners = calloc(1, sizeof *owners);
	if (!owners)
		return -ENOMEM;
	owners->config = *config;
	owners->tick.expired = tick;
	owners->decide_message.run = decide_message;
	owners->watchdog = (struct watchdog){ .manager = config->manager,
		                              .reactors = config->reactors,
		                              .reactor_count = config->reactor_count,
		                              .turned = reactor_turned };
	int r = watchdog_init(&owners->watchdog);
	if (r == 0)
		r = job_queue_new(WORKERS, &owners->jobs);
	if (r < 0) {
		watchdog_done(&owners->watchdog);
		free(owners);
		return r;
	}
	owners->members = (struct members){
		.manager = config->manager,
		.jobs = owners->jobs,
		.gateway = config->gateway,
		.changed = member_changed,
		.look = member_look,
		.ask = member_ask,
		.wanted = member_wanted,
		.fences = member_fences,
	};
	members_init(&owners->members);
	hung_init(owners);
	*ret_owners = owners;
	return 0;
}

void owners_begin(struct owners *owners, struct store *store, struct registration *registration,
                  struct fence *fence, struct history_writer *history)
{
	owners->store = store;
	owners->registration = registration;
	owners->members.store = store;
	owners->members.fence = fence;
	owners->members.history = history;
	owners->debt = (struct debt_renewal){
		.jobs = owners->jobs,
		.fence = fence,
		.ended = debt_renewed,
	};
	owners->ahead = (struct ahead){
		.jobs = owners->jobs,
		.manager = owners->config.manager,
		.store = store,
		.disks = owners->config.disks,
		.ended = ahead_ended,
	};
	(void)snprintf(owners->members.instance, sizeof owners->members.instance, "%s",
	               registration_instance(registration));
	owners->start_ms = reactor_now_ms(owners->config.manager);
	hung_begin(owners);
	tell_stalled(owners); /* before anybody can connect */
	start_look(owners);
	arm_tick_in(owners, TICK_FAST_MS);
}

void owners_free(struct owners *owners)
{
	if (!owners)
		return;
	job_queue_free(owners->jobs);
	hung_done(owners);
	members_done(&owners->members);
	watchdog_done(&owners->watchdog);
	look_free(owners->seen);
	other_paths_put(owners->paths);
	free(owners);
}

void owners_set_return_after(struct owners *owners, uint64_t return_after_ms)
{
	owners->return_after_ms = return_after_ms;
	owners_changed(owners);
}

void owners_leave(struct owners *owners)
{
	owners->leaving = true;
	owners->leave_ms = reactor_now_ms(owners->config.manager);
	paths_review(owners);
	talk_wake(owners);
	owners_changed(owners);
}

void owners_check_stopped(struct owners *owners)
{
	if (!owners->stopping || owners->look_busy || owners->members.fencings || owners->letters ||
	    owners->probes || owners->rounds || owners->watchdog.waiting || owners->debt.busy ||
	    owners->ahead.busy || owners->hung.busy || owners->decide_posted || !owners->stopped)
		return;
	void (*stopped)(void *) = owners->stopped;
	owners->stopped = NULL;
	stopped(owners->stopped_argument);
}

void owners_stop(struct owners *owners, void (*stopped)(void *argument), void *argument)
{
	owners->stopping = owners->ahead.unwanted = true;
	owners->stopped = stopped;
	owners->stopped_argument = argument;
	reactor_disarm(owners->config.manager, &owners->tick);
	if (!owners->decide_posted) { /* stopped() comes with it, or later */
		owners->decide_posted = true;
		reactor_post(owners->config.manager, &owners->decide_message);
	}
}
