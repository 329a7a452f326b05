/* Guarded commits: load -> upgrade -> change -> work -> commit (again from a fresh load if another
 * was faster) -> announce -> wait until the gateways work by it -> answer. */
#include "api/commit.h"

#include "api/host.h"
#include "api/run.h"
#include "base/log.h"
#include "config/object.h"
#include "ownership/record.h"
#include "store/image.h"

#include <errno.h>
#include <rados/librados.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define TRIES_MAX        10
#define ASK_TIMEOUT_MS   1000
#define APPLY_TIMEOUT_MS 10000
#define BUSY_TRIES_MAX   10
#define EXCLUSIVE_LOCK   (1u << 2) /* bit of RBD's features */

/* The object as it was loaded. */
struct loaded {
	json_t *object;
	struct store_version version;
	bool upgraded; /* or seeded: commit it even if the change changes nothing */
};

static void loaded_done(struct loaded *loaded)
{
	json_decref(loaded->object);
}

/* What gateways said. */
struct answers {
	struct store_answer *list;
	size_t count;
};

static void answers_done(struct answers *answers)
{
	free(answers->list);
}

/* ---- what a change needs to know of the world ---- */

static int find_image(void *argument, const char *pool, const char *image,
                      struct change_image *ret_image, struct error *err)
{
	struct rest *api = argument;
	struct image_info info;
	*ret_image = (struct change_image){ .exclusive_lock = true, .pool_id = 1 };
	if (api->config.cluster) {
		void *handle;
		int r = cluster_pool_open(api->config.cluster, pool, NULL, &handle, err);
		if (r < 0)
			return r == -ENOENT ? -ENODEV : r;
		ret_image->pool_id = rados_ioctx_get_id(handle);
		cluster_pool_close(handle);
	}
	int r = image_stat(api->config.store, pool, image, &info, err);
	if (r < 0)
		return r;
	ret_image->size_bytes = info.size_bytes;
	if (api->config.cluster)
		ret_image->exclusive_lock = info.features & EXCLUSIVE_LOCK;
	return 0;
}

/* Version 4, as text. */
static void make_uuid(void *argument, char ret_uuid[37])
{
	uint8_t bytes[16];
	char hex[33];
	while (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
		; /* a signal came in between */
	bytes[6] = (bytes[6] & 0x0f) | 0x40;
	bytes[8] = (bytes[8] & 0x3f) | 0x80;
	text_put_hex(bytes, sizeof bytes, hex);
	(void)snprintf(ret_uuid, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
	               hex + 20);
}

static json_t *answer_names(const struct answers *answers)
{
	json_t *names = json_array();
	for (size_t i = 0; i < answers->count; i++)
		(void)json_array_append_new(names, json_string(answers->list[i].gateway));
	return names;
}

/* Sessions of the local gateway; one that does not answer has none to tell. */
static json_t *local_sessions(const struct request *request)
{
	AUTO_JSON json_t *status = local_status(request);
	json_t *sessions = json_object_get(status, "sessions");
	return json_is_array(sessions) ? json_incref(sessions) : json_array();
}

/* ---- load ---- */

static int load(struct rest *api, struct loaded *loaded, struct error *err)
{
	AUTO_FREE char *text = NULL;
	char now[20];
	time_text(now);
	struct object_context context = { api->config.gateway_name, now, api->config.keys != NULL };
	int r = store_load(api->config.store, &text, &loaded->version, err);
	if (r < 0)
		return r;
	if (!*text) {
		loaded->object = object_seed(&context);
		loaded->upgraded = true;
		return loaded->object ? 0 : error_set(err, -ENOMEM, "out of memory");
	}
	r = object_parse(text, &loaded->object, err);
	if (r < 0)
		return r;
	if (object_is_newer(loaded->object))
		return error_set(err, -EROFS,
		                 "The configuration object is of version %d, newer than this "
		                 "rbdgate knows (%d): it is read only. Update rbdgate",
		                 (int)json_number(loaded->object, "version", 0), OBJECT_VERSION);
	json_int_t before = json_number(loaded->object, "version", 0);
	r = object_upgrade(loaded->object, &context, &loaded->upgraded, err);
	if (r < 0 || !loaded->upgraded || before == OBJECT_VERSION)
		return r;
	/* A copy of what was there before, in case that somebody wants to go back. */
	char key[64];
	(void)snprintf(key, sizeof key, "upgraded/%d.%d", (int)before, (int)loaded->version.epoch);
	r = store_put_row(api->config.store, key, NULL, text, err);
	return r == -ECANCELED ? 0 : r; /* it is there since an earlier try */
}

/* ---- work on images ---- */

static unsigned apply_timeout_ms(const struct rest *api)
{
	return api->config.apply_timeout_ms ? api->config.apply_timeout_ms : APPLY_TIMEOUT_MS;
}

/* A gateway that still works by an older object may have the image open. */
static int need_all_applied(struct rest *api, uint64_t epoch, struct error *err)
{
	__attribute__((cleanup(answers_done))) struct answers answers = { 0 };
	int r = store_announce(api->config.store, epoch, apply_timeout_ms(api), &answers.list,
	                       &answers.count, err);
	for (size_t i = 0; r == 0 && i < answers.count; i++)
		if (answers.list[i].state == STORE_MEMBER_SILENT)
			r = error_set(err, -EAGAIN,
			              "gateway %s does not answer and may still use the image; try "
			              "again when it does, or stop it",
			              answers.list[i].gateway);
	return r;
}

static int remove_image(struct rest *api, const struct change_work *work, uint64_t epoch,
                        struct error *err)
{
	static const struct timespec pause = { .tv_sec = 1 };
	int r = need_all_applied(api, epoch, err);
	for (int i = 0; r == 0 && i < BUSY_TRIES_MAX; i++) {
		r = image_remove(api->config.store, work->pool, work->image, err);
		if (r != -EBUSY || i + 1 == BUSY_TRIES_MAX)
			break;
		(void)nanosleep(&pause, NULL);
		r = 0;
	}
	if (r == -ENOENT)
		return 0; /* an earlier try got as far as this */
	if (r == -ENOTEMPTY)
		return error_set(
		        err, r,
		        "Unable to delete the underlying rbd image %s - Image has snapshots",
		        work->image);
	return r < 0 ? error_wrap(err, "Unable to delete the underlying rbd image %s", work->image)
	             : 0;
}

static int forget_disk(struct rest *api, const struct change_work *work,
                       const struct store_version *object, struct error *err)
{
	AUTO_FREE char *lun = NULL;
	if (asprintf(&lun, "%s/%s", work->pool, work->image) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	int r = need_all_applied(api, object->epoch, err);
	return r == 0 ? owner_record_remove(api->config.store, lun, object, err) : r;
}

static int do_work(struct rest *api, const struct change *change,
                   const struct store_version *object, struct error *err)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < change->work_count; i++) {
		const struct change_work *work = &change->work[i];
		struct store *store = api->config.store;
		switch (work->kind) {
		case CHANGE_IMAGE_CREATE:
			r = image_create(store, work->pool, work->image, work->size_bytes, err);
			r = r == -EEXIST ? 0 : r;
			break;
		case CHANGE_IMAGE_GROW:
			r = image_resize(store, work->pool, work->image, work->size_bytes, err);
			break;
		case CHANGE_IMAGE_REMOVE:
			r = remove_image(api, work, object->epoch, err);
			break;
		case CHANGE_DISK_FORGET:
			r = forget_disk(api, work, object, err);
			break;
		}
	}
	return r;
}

/* ---- commit ---- */

static int commit_object(struct rest *api, json_t *object, const struct store_version *expected,
                         uint64_t *ret_epoch, struct error *err)
{
	char now[20];
	time_text(now);
	uint64_t epoch = object_touch(object, now);
	AUTO_FREE char *text = object_format(object);
	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	int r = store_commit(api->config.store, text, epoch, expected, err);
	if (r == 0)
		*ret_epoch = epoch;
	return r;
}

/* What one change came to. */
struct outcome {
	struct change change;
	struct answers before; /* what gateways said of the object that was loaded */
	uint64_t epoch;        /* of the commit; 0: nothing was committed */
};

static int run_change(struct request *request, change_fn run, const struct loaded *loaded,
                      struct outcome *outcome)
{
	struct rest *api = request->api;
	char now[20];
	time_text(now);
	AUTO_JSON json_t *members = answer_names(&outcome->before);
	AUTO_JSON json_t *addresses = host_addresses();
	AUTO_JSON json_t *sessions = local_sessions(request);
	struct change_context context = {
		.gateway_name = api->config.gateway_name,
		.now = now,
		.settings = api->config.settings,
		.keys = api->config.keys,
		.members = members,
		.addresses = addresses,
		.sessions = sessions,
		.find_image = find_image,
		.make_uuid = make_uuid,
		.argument = api,
	};
	int r = change_run(run, loaded->object, request->arguments, &context, &outcome->change);
	outcome->change.context = NULL; /* it ends here */
	return r;
}

/* One try. -ECANCELED: another was faster. Any other error is in the change's message. */
static int try_change(struct request *request, change_fn run, struct outcome *outcome)
{
	struct rest *api = request->api;
	struct change *change = &outcome->change;
	struct error err = { 0 };
	__attribute__((cleanup(loaded_done))) struct loaded loaded = { 0 };
	int r = load(api, &loaded, &err);
	if (r == 0)
		r = store_announce(api->config.store, loaded.version.epoch, ASK_TIMEOUT_MS,
		                   &outcome->before.list, &outcome->before.count, &err);
	if (r < 0) {
		change->status = 503;
		(void)snprintf(change->message, sizeof change->message, "%s", err.text);
		return r;
	}
	r = run_change(request, run, &loaded, outcome);
	if (r < 0 || (change->unchanged && !loaded.upgraded))
		return r;
	r = do_work(api, change, &loaded.version, &err);
	if (r == 0)
		r = commit_object(api, change->object, &loaded.version, &outcome->epoch, &err);
	if (r < 0 && r != -ECANCELED) {
		change->status = 500;
		(void)snprintf(change->message, sizeof change->message, "%sfailed on %s. %s",
		               change->doing, api->config.gateway_name, err.text);
	}
	return r;
}

static void outcome_done(struct outcome *outcome)
{
	change_done(&outcome->change);
	answers_done(&outcome->before);
	*outcome = (struct outcome){ 0 };
}

/* ---- the answer ---- */

/* True if the gateway had this very trouble before the change. */
static bool old_trouble(const struct answers *before, const struct store_answer *now)
{
	for (size_t i = 0; i < before->count; i++)
		if (strcmp(before->list[i].gateway, now->gateway) == 0)
			return before->list[i].state == STORE_MEMBER_FAILED &&
			       strcmp(before->list[i].text, now->text) == 0;
	return false;
}

static void add_name(struct string *names, const char *name)
{
	string_format(names, "%s%s", names->len ? "," : "", name);
}

/* compat: "failed on GW, applied to A,B. why" */
static void answer_failed(struct request *request, const struct outcome *outcome,
                          const struct answers *after, const struct store_answer *failed)
{
	AUTO_STRING struct string applied = { 0 };
	for (size_t i = 0; i < after->count; i++)
		if (after->list[i].state == STORE_MEMBER_APPLIED)
			add_name(&applied, after->list[i].gateway);
	bool silent = failed->state == STORE_MEMBER_SILENT;
	answer_message(
	        request, silent ? 503 : 500, "%sfailed on %s%s%s. %s", outcome->change.doing,
	        failed->gateway, applied.len ? ", applied to " : "",
	        applied.len ? applied.text : "",
	        silent ? "The change is stored, but the gateway does not answer: there it is "
	                 "not yet in force"
	               : failed->text);
}

static void answer_outcome(struct request *request, const struct outcome *outcome,
                           const struct answers *after)
{
	AUTO_STRING struct string warnings = { 0 };
	for (size_t i = 0; i < after->count; i++) {
		const struct store_answer *gateway = &after->list[i];
		bool old = old_trouble(&outcome->before, gateway);
		if (gateway->state == STORE_MEMBER_APPLIED)
			continue;
		if (gateway->state == STORE_MEMBER_FAILED ? !old : outcome->change.takes_away) {
			answer_failed(request, outcome, after, gateway);
			return;
		}
		string_format(&warnings, "; warning: %s %s", gateway->gateway,
		              gateway->state == STORE_MEMBER_FAILED
		                      ? "reports as before: "
		                      : "does not answer, there it is not yet in force");
		if (gateway->state == STORE_MEMBER_FAILED)
			string_add(&warnings, gateway->text);
	}
	answer_message(request, outcome->change.status, "%s%s", outcome->change.message,
	               warnings.text ? warnings.text : "");
}

bool commit_change(struct request *request, change_fn run)
{
	struct rest *api = request->api;
	__attribute__((cleanup(outcome_done))) struct outcome outcome = { 0 };
	__attribute__((cleanup(answers_done))) struct answers after = { 0 };
	int r = -ECANCELED;
	(void)pthread_mutex_lock(&api->commit_lock);
	for (int i = 0; i < TRIES_MAX && r == -ECANCELED; i++) {
		outcome_done(&outcome);
		r = try_change(request, run, &outcome);
	}
	(void)pthread_mutex_unlock(&api->commit_lock);
	if (r == -ECANCELED) {
		answer_message(request, 503,
		               "Other gateways change the configuration all the time; try again");
		return false;
	}
	if (r < 0 || !outcome.epoch) {
		answer_message(request, outcome.change.status, "%s", outcome.change.message);
		return false;
	}
	struct error err = { 0 };
	r = store_announce(api->config.store, outcome.epoch, apply_timeout_ms(api), &after.list,
	                   &after.count, &err);
	if (r < 0) {
		log_warning("epoch %llu is stored, but gateways could not be told: %s",
		            (unsigned long long)outcome.epoch, err.text);
		answer_message(request, 503, "%sfailed on %s. The change is stored, but: %s",
		               outcome.change.doing, api->config.gateway_name, err.text);
		return true;
	}
	answer_outcome(request, &outcome, &after);
	return true;
}

int commit_upgrade(struct rest *api, struct error *err)
{
	int r = -ECANCELED;
	for (int i = 0; i < TRIES_MAX && r == -ECANCELED; i++) {
		__attribute__((cleanup(loaded_done))) struct loaded loaded = { 0 };
		uint64_t epoch;
		r = load(api, &loaded, err);
		if (r == -EROFS)
			return 0; /* newer: it can be looked at */
		if (r < 0 || !loaded.upgraded)
			return r;
		if (loaded.version.exists) {
			r = commit_object(api, loaded.object, &loaded.version, &epoch, err);
			continue;
		}
		AUTO_FREE char *seed = object_format(loaded.object);
		r = seed ? store_commit(api->config.store, seed, 0, &loaded.version, err)
		         : error_set(err, -ENOMEM, "out of memory");
	}
	return r;
}
