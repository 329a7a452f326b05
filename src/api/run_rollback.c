/* Rolling a disk back to a snapshot (docs/availability.md): refused while an initiator that may see
 * the disk is logged in at any gateway; then whoever owns it does it, before he serves it again, or
 * this API, if no gateway of ours is there. */
#include "api/disk_use.h"
#include "api/run.h"
#include "base/log.h"
#include "base/reactor.h"
#include "ownership/history_writer.h"
#include "ownership/record.h"
#include "ownership/registration.h"
#include "ownership/rollback.h"
#include "store/image.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* store_tell() reaches members, which the API is not: their names are those of gateways. */
#define LOOK_EVERY_MS 100
#define STOP_MS       8000   /* gateways stop serving it; before they forget the request */
#define ROLLBACK_MS   590000 /* then it goes on without this request: clients wait for 600 s */
#define JOIN_MS       1000   /* who gave the order has begun by then, or is gone */

struct course {
	struct request *request;
	struct store *store;
	const json_t *object;
	json_t *fresh; /* that is it, once it was read anew */
	const char *pool, *image, *snapshot;
	char id[512];
	struct rollback row;
	uint64_t asked_ms;
};

static void look_again_later(void)
{
	static const struct timespec pause = { .tv_nsec = LOOK_EVERY_MS * 1000000L };
	(void)nanosleep(&pause, NULL);
}

static void survey_hosts(const struct course *course, struct disk_survey *ret_survey)
{
	disk_survey_make(course->request, course->object, course->id, ret_survey);
}

/* ---- the row ---- */

static bool refuse(struct course *course, const char *what, const char *why)
{
	answer_message(course->request, 400, "failed to %s: %s", what, why);
	return false;
}

/* What another request left, or works on. False: answered. */
static bool place_row(struct course *course)
{
	const char *by = course->request->api->config.gateway_name;
	char token[ROLLBACK_TOKEN_MAX] = "";
	uint64_t since_ms = clock_monotonic_ms();
	struct error err = { 0 };
	for (;;) {
		struct rollback *row = &course->row;
		rollback_done(row);
		int r = rollback_read(course->store, course->id, row, &err);
		if (r < 0)
			return refuse(course, "rollback snapshot", err.text);
		if (strcmp(row->token, token) != 0)
			since_ms = clock_monotonic_ms();
		memcpy(token, row->token, sizeof token);
		bool dead = clock_monotonic_ms() > since_ms + ROLLBACK_ASKED_MS;
		if (row->state == ROLLBACK_UNKNOWN)
			return refuse(
			        course, "rollback snapshot",
			        "the row of an earlier one is damaged, or of a later release");
		if (row->state == ROLLBACK_ORDERED)
			return strcmp(row->snapshot, course->snapshot) == 0 ||
			       refuse(course, "rollback snapshot",
			              "one to another snapshot is under way");
		if (row->state != ROLLBACK_ASKED || dead) {
			r = rollback_ask(course->store, course->id, course->snapshot, by, row,
			                 &err);
			if (r != -ECANCELED)
				return r == 0 || refuse(course, "rollback snapshot", err.text);
		}
		if (atomic_load(&course->request->api->stopping))
			return refuse(course, "rollback snapshot", "rbd-target-api is stopped");
		look_again_later();
	}
}

static void take_row_back(struct course *course)
{
	struct error err = { 0 };
	int r = rollback_end(course->store, course->id, &course->row, NULL, NULL, &err);
	if (r == 0)
		(void)!store_tell(course->store, ROLLBACK_WAKE, NULL); /* else they look */
	else if (r != -ECANCELED)
		log_warning("%s: the request for its rollback is still there: %s", course->id,
		            err.text);
}

/* Targets and clients may have got the disk meanwhile. False: answered. */
static bool read_object_anew(struct course *course)
{
	json_t *object = NULL;
	if (!request_load(course->request, &object))
		return false;
	json_decref(course->fresh);
	course->object = course->fresh = object;
	return true;
}

/* Nobody serves it from then on. Who logged in before that, or was given the disk, is found now, by
 * a survey that began after all had stopped; who does so later can read nothing of the old state.
 * False: answered. */
static bool await_stop(struct course *course, struct disk_survey *survey)
{
	uint64_t deadline_ms = clock_monotonic_ms() + STOP_MS;
	bool all_stopped = false;
	for (;;) {
		if (!read_object_anew(course)) {
			take_row_back(course);
			return false;
		}
		survey_hosts(course, survey);
		if (*survey->problem || (all_stopped && !*survey->serves))
			break;
		all_stopped = !*survey->serves;
		if (all_stopped)
			continue;
		if (clock_monotonic_ms() >= deadline_ms) {
			(void)snprintf(survey->problem, sizeof survey->problem,
			               "failed on %.200s. It still serves the LUN", survey->serves);
			break;
		}
		look_again_later();
	}
	if (!*survey->problem)
		return true;
	take_row_back(course);
	return refuse(course, "deactivate disk", survey->problem);
}

/* ---- carrying it out ---- */

static void answer_done(struct course *course)
{
	const char *gateway = course->request->api->config.gateway_name;
	log_info("%s: rolled back to the snapshot %s, asked for at %s", course->id,
	         course->snapshot, gateway);
	history_write_at(course->request->api->history, course->asked_ms, "rollback", course->id,
	                 "rolled back to the snapshot %s, asked for at %s", course->snapshot,
	                 gateway);
	answer_message(course->request, 200, "disk snapshot rolled back to snapshot");
}

/* Until the row is gone, or tells why not. False: not yet. */
static bool await_end(struct course *course, unsigned wait_ms)
{
	uint64_t deadline_ms = clock_monotonic_ms() + wait_ms;
	while (clock_monotonic_ms() < deadline_ms &&
	       !atomic_load(&course->request->api->stopping)) {
		AUTO_ROLLBACK struct rollback now = { 0 };
		/* A store that does not answer now may do so later. */
		if (rollback_read(course->store, course->id, &now, NULL) == 0) {
			if (now.state == ROLLBACK_NONE) {
				answer_done(course);
				return true;
			}
			if (strcmp(now.token, course->row.token) != 0) {
				answer_message(course->request, 503,
				               "Another rollback of %s was asked for since: the "
				               "log of its gateways tells how this one ended",
				               course->id);
				return true;
			}
			if (now.state == ROLLBACK_FAILED) { /* it stays: others may wait too */
				(void)refuse(course, "rollback snapshot", now.problem);
				return true;
			}
		}
		look_again_later();
	}
	return false;
}

static void answer_goes_on(struct course *course)
{
	answer_message(course->request, 503,
	               "The rollback of %s to the snapshot %s goes on: no host can use the disk "
	               "before it has ended",
	               course->id, course->snapshot);
}

static void await_gateway(struct course *course)
{
	if (!await_end(course, ROLLBACK_MS))
		answer_goes_on(course);
}

/* Whether the order is still this API's to be carried out: asked before the lock, so that nobody's
 * is touched in vain, and again with it. */
enum look {
	LOOK_OURS,
	LOOK_THEIRS,     /* somebody else has ended it, or is at it */
	LOOK_UNRELEASED, /* a gateway died with the disk: only a gateway knows what that left */
	LOOK_FAILED,
};

struct attempt {
	struct course *course;
	struct owner_record record; /* as it was at the last look */
	enum look look;
	unsigned looks;
};

/* Who lives and has the record waits for the lock, and then carries it out. In doubt: true. */
static bool owner_lives(struct store *store, const struct owner_record *record)
{
	struct registration_row row;
	int r = registration_read(store, record->gateway, &row, NULL);
	if (r < 0)
		return r != -ENOENT;
	bool lives = strcmp(row.instance, record->instance) == 0 && !row.fenced &&
	             row.state != GATEWAY_STOPPED;
	registration_row_done(&row);
	return lives;
}

static enum look look_at_order(struct attempt *attempt, struct error *err)
{
	const struct course *course = attempt->course;
	const struct owner_record *record = &attempt->record;
	AUTO_ROLLBACK struct rollback now = { 0 };
	owner_record_done(&attempt->record);
	/* As long as the order stands there nobody has served the LUN (rollback_guard()). */
	if (rollback_read(course->store, course->id, &now, err) < 0 ||
	    owner_record_read(course->store, course->id, &attempt->record, err) < 0)
		return LOOK_FAILED;
	if (now.state != ROLLBACK_ORDERED || strcmp(now.token, course->row.token) != 0)
		return LOOK_THEIRS;
	if (record->state != OWNER_ACTIVE)
		return LOOK_OURS;
	if (owner_lives(course->store, record))
		return LOOK_THEIRS;
	(void)error_set(err, -EBUSY,
	                "gateway %s had the disk last, and has not given it back: start any "
	                "gateway of its target",
	                record->gateway);
	return LOOK_UNRELEASED;
}

static int look(void *argument, struct error *err)
{
	struct attempt *attempt = argument;
	attempt->looks++;
	attempt->look = look_at_order(attempt, err);
	return attempt->look == LOOK_OURS ? 0 : -ECANCELED;
}

/* False: somebody else was faster, and it is his. */
static bool end_here(const struct attempt *attempt, const char *problem)
{
	struct course *course = attempt->course;
	int r = rollback_end(course->store, course->id, &course->row, problem, &attempt->record,
	                     NULL);
	if (r == -ECANCELED)
		return false;
	if (problem)
		(void)refuse(course,
		             attempt->look == LOOK_UNRELEASED ? "deactivate disk"
		                                              : "rollback snapshot",
		             problem);
	else if (r < 0)
		(void)refuse(course, "rollback snapshot", "its row cannot be removed: try again");
	else
		answer_done(course);
	return true;
}

/* Somebody has the lock, or has taken it away. Who gave the order himself takes it back if nobody
 * is to have it. */
static bool is_elsewhere(const struct attempt *attempt, int r, bool joined)
{
	bool had_lock = attempt->looks > 1;
	return attempt->look == LOOK_THEIRS || (r == -EROFS && (joined || had_lock)) ||
	       (r == -ESHUTDOWN && had_lock);
}

/* No gateway of ours is there, or one comes just now. False: somebody else works on the same order,
 * so it is not ours to be ended. */
static bool roll_back_here(struct course *course, bool joined)
{
	struct attempt attempt = { .course = course };
	const struct image_consent consent = { look, &attempt };
	struct error err = { 0 };
	bool answered = true;
	int r = look(&attempt, &err);
	if (r == 0)
		r = image_snapshot_rollback(course->store, course->pool, course->image,
		                            course->snapshot, &consent, &err);
	if (attempt.look == LOOK_FAILED)
		(void)refuse(course, "rollback snapshot", err.text);
	else
		answered = !is_elsewhere(&attempt, r, joined) &&
		           end_here(&attempt, r < 0 ? err.text : NULL);
	owner_record_done(&attempt.record);
	return answered;
}

/* Who is at it may carry it out, or die. */
static void join(struct course *course)
{
	uint64_t deadline_ms = clock_monotonic_ms() + ROLLBACK_MS;
	while (clock_monotonic_ms() < deadline_ms && !atomic_load(&course->request->api->stopping))
		if (await_end(course, JOIN_MS) || roll_back_here(course, true))
			return;
	answer_goes_on(course);
}

/* False: answered. An order whose answer was lost is one all the same. */
static bool give_order(struct course *course)
{
	AUTO_ROLLBACK struct rollback now = { 0 };
	struct error err = { 0 };
	int r = rollback_order(course->store, course->id, &course->row, &err);
	if (r == 0)
		return true;
	if (rollback_read(course->store, course->id, &now, NULL) == 0 &&
	    now.state == ROLLBACK_ORDERED && strcmp(now.token, course->row.token) == 0) {
		rollback_move(&course->row, &now);
		return true;
	}
	take_row_back(course);
	return refuse(course, "rollback snapshot", err.text);
}

static void carry_out(struct course *course)
{
	struct disk_survey survey;
	survey_hosts(course, &survey); /* first: hosts that use the disk notice nothing */
	if (*survey.problem) {
		(void)refuse(course, "deactivate disk", survey.problem);
		return;
	}
	if (!place_row(course))
		return;
	bool joined = course->row.state == ROLLBACK_ORDERED;
	if (!joined && (!await_stop(course, &survey) || !give_order(course)))
		return;
	if (survey.count > 0)
		await_gateway(course);
	else if (joined || !roll_back_here(course, false))
		join(course);
}

/* False: answered. */
static bool check(struct course *course)
{
	struct request *request = course->request;
	const char *name = request->api->config.gateway_name;
	struct error err = { 0 };
	if (!json_object_get(json_object_get(course->object, "gateways"), name)) {
		answer_message(request, 400,
		               "%s cannot be used to perform this operation because it is not "
		               "defined within the gateways configuration",
		               name);
		return false;
	}
	int r = image_snapshot_check(course->store, course->pool, course->image, course->snapshot,
	                             &err);
	if (r == -ENOENT)
		answer_message(request, 404, "snapshot %s does not exist", course->snapshot);
	else if (r < 0)
		return refuse(course, "rollback snapshot", err.text);
	return r == 0;
}

void run_rollback(struct request *request, const json_t *object)
{
	struct course course = {
		.request = request,
		.store = request->api->config.store,
		.object = object,
		.pool = request_argument(request, "pool"),
		.image = request_argument(request, "image"),
		.snapshot = request_argument(request, "name"),
		.asked_ms = history_now_ms(),
	};
	(void)snprintf(course.id, sizeof course.id, "%s/%s", course.pool, course.image);
	if (check(&course))
		carry_out(&course);
	rollback_done(&course.row);
	json_decref(course.fresh);
}
