/* A command that has waited for its storage for long, or a take-over that has, raises a question:
 * the owner reads that place itself, and asks its peers, once a second, to do the same. While
 * neither its own read nor that command has an answer, and each of several questions in a row was
 * answered by a peer that could read it, the owner is the one who is cut off: it condemns itself.
 * Nothing else follows from any time that passes here: the fence is what keeps late writes out, as
 * ever [H1, H5]. */
#include "target/hung.h"

#include "base/log.h"
#include "base/text.h"
#include "interconnect/interconnect.h"
#include "ownership/history_writer.h"
#include "store/store.h"
#include "target/disk_set.h"
#include "target/owners_private.h"
#include "target/peers.h"
#include "target/renew.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS    1000
#define HUNG_MS    4000 /* a command without an answer of the storage for so long */
#define ASK_MS     1000 /* an answer counts until the next question */
#define ANSWERS    3    /* to questions in a row */
#define TELL_MS    30000
#define STAY_MS    60000 /* what was just taken over is not given up: storage is slow for all */
#define TRUST_MS   5000  /* rows looked at within: this gateway can take what it reads */
#define TELL_AFTER (ANSWERS * ASK_MS)

static uint64_t now_of(const struct owners *owners)
{
	return reactor_now_ms(owners->config.manager);
}

static struct disk *find_disk(const struct owners *owners, const char *lun)
{
	const struct disk_set *set = owners->config.disks;
	size_t at = set->plan ? plan_find_disk(set->plan, lun) : SIZE_MAX;
	return at == SIZE_MAX ? NULL : disk_set_at(set, at);
}

static int place_set(struct hung_place *place, const char *lun, uint64_t offset, uint64_t length)
{
	char *copy = strdup(lun);
	if (!copy)
		return -ENOMEM;
	free(place->lun);
	*place = (struct hung_place){ .lun = copy, .offset = offset, .length = length };
	return 0;
}

uint64_t hung_for_ms(const struct owners *owners, const struct disk *disk)
{
	uint64_t since_ms = disk_oldest(disk).since_ms, now_ms = now_of(owners);
	return since_ms && now_ms >= since_ms + HUNG_MS ? now_ms - since_ms : 0;
}

/* ---- giving up ---- */

static void give_up_work(struct job *job)
{
	struct owners *owners = container_of(job, struct owners, hung.job);
	struct error err = { 0 };
	const char *gateway = owners->config.gateway;
	owners->hung.result = registration_condemn(owners->store, gateway, owners->members.instance,
	                                           gateway, owners->hung.why, &err);
	if (owners->hung.result < 0) {
		log_warning("LUNs cannot be given up: %s", err.text);
		return;
	}
	AUTO_JSON json_t *wake = json_pack("{s:s}", "wake", gateway);
	AUTO_FREE char *text = wake ? json_format(wake, &json_style_compact) : NULL;
	if (text && store_tell(owners->store, text, &err) < 0)
		log_warning("%s", err.text); /* they look every second */
}

static void give_up_done(struct job *job)
{
	struct owners *owners = container_of(job, struct owners, hung.job);
	owners->hung.busy = false;
	if (owners->hung.result == 0)
		owners_condemned(owners, "gave its LUNs up, whose storage answers others only");
	owners_check_stopped(owners);
}

static void give_up(struct owners *owners, const char *by)
{
	struct hung *hung = &owners->hung;
	char note[1024];
	(void)snprintf(hung->why, sizeof hung->why, "the storage answers %.40s, but not this one",
	               by);
	log_error("%s: no answer of the storage here, but at %s: this gateway gives its LUNs up",
	          hung->place.lun, by);
	history_write(owners->members.history, "hung", hung->place.lun, "%s gives its LUNs up: %s",
	              owners->config.gateway, hung->why);
	(void)snprintf(note, sizeof note, "%" PRIu64 " %" PRIu64 " %s", hung->place.offset,
	               hung->place.length, hung->place.lun);
	renew_set_note(note);
	hung->busy = true;
	hung->job = (struct job){ .work = give_up_work,
		                  .done = give_up_done,
		                  .reactor = owners->config.manager };
	job_queue_submit_first(owners->jobs, &hung->job);
}

/* ---- the question ---- */

static void own_read_answered(void *argument, int result)
{
	struct owners *owners = argument;
	struct hung *hung = &owners->hung;
	hung->reading = false;
	if (hung->told_ms)
		log_info("%s: the storage answers again", hung->place.lun);
}

static void begin_question(struct owners *owners, struct disk *disk)
{
	struct hung *hung = &owners->hung;
	struct lun_request oldest = disk_oldest(disk);
	if (place_set(&hung->place, disk_name(disk), oldest.offset, oldest.length) < 0 ||
	    disk_try(disk, oldest.offset, oldest.length, own_read_answered, owners) < 0)
		return; /* at the next look */
	hung->reading = true;
	hung->since_ms = now_of(owners);
	hung->asked_ms = hung->told_ms = 0;
	hung->command_ms = oldest.since_ms;
	hung->answers = 0;
}

/* Storage that is slow, not hung, answers one command after the other. */
static void notice_progress(struct owners *owners)
{
	struct hung *hung = &owners->hung;
	const struct disk *disk = find_disk(owners, hung->place.lun);
	uint64_t command_ms = disk ? disk_oldest(disk).since_ms : 0;
	if (command_ms != hung->command_ms)
		hung->answers = 0;
	hung->command_ms = command_ms;
}

static void ask_peers(struct owners *owners)
{
	struct hung *hung = &owners->hung;
	struct interconnect *interconnect = peers_interconnect(owners->config.peers);
	if (hung->answered != hung->number)
		hung->answers = 0;
	hung->number++;
	hung->asked_ms = now_of(owners);
	AUTO_JSON json_t *question =
	        json_pack("{s:{s:I, s:s, s:s, s:s, s:I, s:I}}", "try", "number",
	                  (json_int_t)hung->number, "from", owners->config.gateway, "from_instance",
	                  owners->members.instance, "lun", hung->place.lun, "offset",
	                  (json_int_t)hung->place.offset, "length", (json_int_t)hung->place.length);
	AUTO_FREE char *text = question ? json_format(question, &json_style_compact) : NULL;
	const struct member *member;
	list_for_each (member, &owners->members.list, link) {
		if (text && interconnect && member->has_peer && member->health == MEMBER_UP)
			(void)!interconnect_tell(interconnect, member->peer, text);
	}
}

static void tell_people(struct owners *owners)
{
	struct hung *hung = &owners->hung;
	uint64_t now_ms = now_of(owners);
	const struct disk *disk = find_disk(owners, hung->place.lun);
	bool due = !hung->told_ms ? now_ms >= hung->since_ms + TELL_AFTER
	                          : now_ms >= hung->told_ms + TELL_MS;
	if (!due || !disk)
		return;
	hung->told_ms = now_ms;
	log_warning("%s: no answer of the storage for %" PRIu64
	            " s, and no other gateway that could read there",
	            hung->place.lun, (now_ms - hung->since_ms + HUNG_MS) / 1000);
}

/* The LUN with the command that waits for longest. */
static struct disk *look_at_disks(const struct owners *owners)
{
	const struct disk_set *set = owners->config.disks;
	struct disk *worst = NULL;
	for (size_t i = 0; set->plan && i < set->plan->disk_count; i++) {
		struct disk *disk = disk_set_at(set, i);
		if (!disk)
			continue;
		uint64_t waits_ms = hung_for_ms(owners, disk);
		if (waits_ms && (!worst || waits_ms > hung_for_ms(owners, worst)))
			worst = disk;
		disk_look_for_oldest(disk);
	}
	return worst;
}

static void review_question(struct owners *owners)
{
	struct hung *hung = &owners->hung;
	struct disk *worst = look_at_disks(owners);
	if (!hung->reading && worst)
		begin_question(owners, worst);
	if (!hung->reading || hung->busy)
		return;
	notice_progress(owners);
	tell_people(owners);
	ask_peers(owners);
}

/* If gateways gave a LUN up in turn, that would help nobody. */
static bool may_give_up(const struct owners *owners)
{
	const struct disk *disk = find_disk(owners, owners->hung.place.lun);
	return disk && owners->hung.command_ms &&
	       !(text_starts(disk_record(disk)->why, "take-over") &&
	         now_of(owners) < disk_record_seen_ms(disk) + STAY_MS);
}

void hung_heard_tried(struct owners *owners, const json_t *message)
{
	struct hung *hung = &owners->hung;
	uint64_t number = (uint64_t)json_number(message, "number", 0);
	if (!hung->reading || hung->busy || owners->condemned || number != hung->number ||
	    number == hung->answered || now_of(owners) >= hung->asked_ms + ASK_MS)
		return;
	hung->answered = number;
	if (++hung->answers >= ANSWERS && may_give_up(owners))
		give_up(owners, json_text(message, "from", "another gateway"));
}

/* ---- questions of others ---- */

struct answer {
	struct owners *owners;
	char gateway[GATEWAY_NAME_MAX], instance[INSTANCE_MAX];
	uint64_t number;
};

/* Silence says no. */
static void tried(void *argument, int result)
{
	AUTO_FREE struct answer *answer = argument;
	struct owners *owners = answer->owners;
	struct interconnect *interconnect = peers_interconnect(owners->config.peers);
	const struct member *member =
	        members_find_instance(&owners->members, answer->gateway, answer->instance);
	if (result < 0 || owners->stopping || !interconnect || !member || !member->has_peer)
		return;
	AUTO_JSON json_t *message =
	        json_pack("{s:{s:I, s:s}}", "tried", "number", (json_int_t)answer->number, "from",
	                  owners->config.gateway);
	AUTO_FREE char *text = message ? json_format(message, &json_style_compact) : NULL;
	if (text)
		(void)!interconnect_tell(interconnect, member->peer, text);
}

/* Whether this gateway could take a LUN. */
static bool could_take(const struct owners *owners)
{
	return !owners->leaving && !owners->members.maintenance && !owners->hung.cautious &&
	       !owners->condemned && owners->looked_ms &&
	       now_of(owners) < owners->looked_ms + TRUST_MS;
}

void hung_heard_try(struct owners *owners, const json_t *message)
{
	struct disk *disk = find_disk(owners, json_text(message, "lun", ""));
	if (!disk || disk_role(disk) != DISK_FORWARD || !could_take(owners))
		return;
	struct answer *answer = calloc(1, sizeof *answer);
	if (!answer)
		return;
	answer->owners = owners;
	answer->number = (uint64_t)json_number(message, "number", 0);
	(void)snprintf(answer->gateway, sizeof answer->gateway, "%s",
	               json_text(message, "from", ""));
	(void)snprintf(answer->instance, sizeof answer->instance, "%s",
	               json_text(message, "from_instance", ""));
	if (disk_try(disk, (uint64_t)json_number(message, "offset", 0),
	             (uint64_t)json_number(message, "length", 0), tried, answer) < 0)
		free(answer);
}

/* ---- after having given up ---- */

static void end_caution(struct owners *owners, const char *why)
{
	struct hung *hung = &owners->hung;
	log_info("%s: %s: this gateway takes LUNs", hung->doubted.lun, why);
	hung->cautious = false;
	renew_set_note(NULL);
	owners_changed(owners);
}

static void proven(void *argument, int result)
{
	struct owners *owners = argument;
	bool answered = result == 0 || result == -ERANGE;
	if (answered && owners->hung.cautious && !owners->stopping)
		end_caution(owners, "the storage answers here again");
}

static void review_caution(struct owners *owners)
{
	struct hung *hung = &owners->hung;
	const struct disk_set *set = owners->config.disks;
	if (!hung->cautious || !set->plan)
		return;
	struct disk *disk = find_disk(owners, hung->doubted.lun);
	if (!disk)
		end_caution(owners, "is gone");
	else
		(void)!disk_try(disk, hung->doubted.offset, hung->doubted.length, proven, owners);
}

void hung_begin(struct owners *owners)
{
	struct hung *hung = &owners->hung;
	const char *note = renewed_note();
	uint64_t offset, length;
	int name_at = 0;
	if (!note || sscanf(note, "%" SCNu64 " %" SCNu64 " %n", &offset, &length, &name_at) != 2 ||
	    !name_at || !note[name_at] ||
	    place_set(&hung->doubted, note + name_at, offset, length) < 0)
		return;
	hung->cautious = true;
	renew_set_note(note); /* of a further life as well, until it is proven */
	log_warning("%s: the storage did not answer here: until it does this gateway takes no LUN "
	            "that another one can take",
	            hung->doubted.lun);
}

/* ---- the tick ---- */

void hung_review(struct owners *owners)
{
	struct hung *hung = &owners->hung;
	uint64_t now_ms = now_of(owners);
	if (now_ms < hung->looked_ms + LOOK_MS || owners->condemned)
		return;
	hung->looked_ms = now_ms;
	review_caution(owners);
	review_question(owners);
}

void hung_done(struct owners *owners)
{
	free(owners->hung.place.lun);
	free(owners->hung.doubted.lun);
}
