/* A command that has waited for its storage for long, or a take-over that has, raises a question
 * about its LUN: the owner reads that place itself, and asks its peers, once a second, to do the
 * same. While neither its own read nor that command has an answer, and each of several questions in
 * a row was answered by a peer that could read it, the owner is the one who is cut off: it condemns
 * itself. Each LUN is asked for by itself, since one may hang for all and another for its owner.
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
#define POOL_MAX   16 /* LUNs of a pool in question at a time: each costs a read here and there */

/* From the moment at which this gateway reads the place itself until that is answered. */
struct question {
	struct list link;
	struct owners *owners;
	struct hung_place place;
	bool reading;              /* itself; else a doubt does */
	uint64_t since_ms;         /* of the own read */
	uint64_t command_ms;       /* since when the oldest command waits */
	uint64_t number, asked_ms; /* of the last one to the peers */
	uint64_t answered;         /* the last one that a peer has answered */
	unsigned answers;          /* to questions in a row */
	uint64_t told_ms;          /* in the log; 0: not yet */
};

static uint64_t now_of(const struct owners *owners)
{
	return reactor_now_ms(owners->config.manager);
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

/* The next life doubts every place that a peer has read and this one has not. */
static void leave_note(const struct owners *owners)
{
	AUTO_STRING struct string note = { 0 };
	const struct question *question;
	hung_note_doubts(owners, &note);
	list_for_each (question, &owners->hung.questions, link) {
		if (question->answers)
			hung_note_place(&note, &question->place);
	}
	renew_set_note(note.text);
}

static void give_up(struct question *question, const char *by)
{
	struct owners *owners = question->owners;
	struct hung *hung = &owners->hung;
	const char *lun = question->place.lun;
	(void)snprintf(hung->why, sizeof hung->why, "the storage answers %.40s, but not this one",
	               by);
	log_error("%s: no answer of the storage here, but at %s: this gateway gives its LUNs up",
	          lun, by);
	history_write(owners->members.history, "hung", lun, "%s gives its LUNs up: %s",
	              owners->config.gateway, hung->why);
	leave_note(owners);
	hung->busy = true;
	hung->job = (struct job){ .work = give_up_work,
		                  .done = give_up_done,
		                  .reactor = owners->config.manager };
	job_queue_submit_first(owners->jobs, &hung->job);
}

/* ---- the questions ---- */

static void question_free(struct question *question)
{
	list_remove(&question->link);
	free(question->place.lun);
	free(question);
}

static void question_answered(struct question *question)
{
	if (question->told_ms)
		log_info("%s: the storage answers again", question->place.lun);
	question_free(question);
}

static void own_read_answered(void *argument, int result)
{
	question_answered(argument);
}

void hung_doubt_read(struct owners *owners, const char *lun)
{
	struct question *question, *following;
	list_for_each_safe (question, following, &owners->hung.questions, link) {
		if (!question->reading && strcmp(question->place.lun, lun) == 0)
			question_answered(question);
	}
}

static int read_place(struct question *question, struct disk *disk)
{
	const struct hung_place *doubted = hung_being_read(question->owners, disk_name(disk));
	struct lun_request oldest = disk_oldest(disk);
	char *lun = strdup(disk_name(disk));
	if (!lun)
		return -ENOMEM;
	question->place = (struct hung_place){ lun, oldest.offset, oldest.length };
	question->command_ms = oldest.since_ms;
	question->reading = !doubted;
	if (!doubted)
		return disk_try(disk, DISK_OWN_QUESTION, oldest.offset, oldest.length,
		                own_read_answered, question);
	question->place.offset = doubted->offset;
	question->place.length = doubted->length;
	return 0;
}

static void begin_question(struct owners *owners, struct disk *disk)
{
	struct question *question = calloc(1, sizeof *question);
	if (!question)
		return;
	question->owners = owners;
	question->since_ms = now_of(owners);
	list_append(&owners->hung.questions, &question->link);
	if (read_place(question, disk) < 0)
		question_free(question); /* at the next look */
}

/* Storage that is slow, not hung, answers one command after the other. */
static void notice_progress(struct question *question)
{
	const struct disk *disk =
	        disk_set_find(question->owners->config.disks, question->place.lun);
	uint64_t command_ms = disk ? disk_oldest(disk).since_ms : 0;
	if (command_ms != question->command_ms)
		question->answers = 0;
	question->command_ms = command_ms;
}

static json_t *question_text(const struct question *question)
{
	const struct owners *owners = question->owners;
	return json_pack("{s:{s:I, s:s, s:s, s:s, s:I, s:I}}", "try", "number",
	                 (json_int_t)question->number, "from", owners->config.gateway,
	                 "from_instance", owners->members.instance, "lun", question->place.lun,
	                 "offset", (json_int_t)question->place.offset, "length",
	                 (json_int_t)question->place.length);
}

static void ask_peers(struct question *question)
{
	struct owners *owners = question->owners;
	struct interconnect *interconnect = peers_interconnect(owners->config.peers);
	if (question->answered != question->number)
		question->answers = 0;
	question->number = ++owners->hung.number;
	question->asked_ms = now_of(owners);
	AUTO_JSON json_t *message = question_text(question);
	AUTO_FREE char *text = message ? json_format(message, &json_style_compact) : NULL;
	const struct member *member;
	list_for_each (member, &owners->members.list, link) {
		if (text && interconnect && member->has_peer && member->health == MEMBER_UP)
			(void)!interconnect_tell(interconnect, member->peer, text);
	}
}

static void tell_people(struct question *question)
{
	uint64_t now_ms = now_of(question->owners);
	bool due = !question->told_ms ? now_ms >= question->since_ms + TELL_AFTER
	                              : now_ms >= question->told_ms + TELL_MS;
	if (!due || !disk_set_find(question->owners->config.disks, question->place.lun))
		return;
	question->told_ms = now_ms;
	log_warning("%s: no answer of the storage for %" PRIu64
	            " s, and no other gateway that could read there",
	            question->place.lun, (now_ms - question->since_ms + HUNG_MS) / 1000);
}

/* As many bytes of a LUN's name are its pool's. */
static size_t pool_len(const char *lun)
{
	return strcspn(lun, "/");
}

static bool may_ask(const struct owners *owners, const char *lun)
{
	const struct question *question;
	unsigned of_pool = 0;
	size_t len = pool_len(lun);
	list_for_each (question, &owners->hung.questions, link) {
		const char *other = question->place.lun;
		if (strcmp(other, lun) == 0)
			return false;
		of_pool += pool_len(other) == len && memcmp(other, lun, len) == 0;
	}
	return of_pool < POOL_MAX;
}

static void look_at_disks(struct owners *owners)
{
	const struct disk_set *set = owners->config.disks;
	for (size_t i = 0; set->plan && i < set->plan->disk_count; i++) {
		struct disk *disk = disk_set_at(set, i);
		if (!disk)
			continue;
		if (hung_for_ms(owners, disk) && may_ask(owners, disk_name(disk)))
			begin_question(owners, disk);
		disk_look_for_oldest(disk);
	}
}

static void review_questions(struct owners *owners)
{
	struct question *question;
	look_at_disks(owners);
	list_for_each (question, &owners->hung.questions, link) {
		if (owners->hung.busy)
			return;
		notice_progress(question);
		tell_people(question);
		ask_peers(question);
	}
}

/* If gateways gave a LUN up in turn, that would help nobody. */
static bool may_give_up(const struct question *question)
{
	const struct owners *owners = question->owners;
	const struct disk *disk = disk_set_find(owners->config.disks, question->place.lun);
	return disk && question->command_ms &&
	       !(text_starts(disk_record(disk)->why, "take-over") &&
	         now_of(owners) < disk_record_seen_ms(disk) + STAY_MS);
}

static struct question *find_question(const struct owners *owners, uint64_t number)
{
	struct question *question;
	list_for_each (question, &owners->hung.questions, link) {
		if (question->number == number)
			return question;
	}
	return NULL;
}

void hung_heard_tried(struct owners *owners, const json_t *message)
{
	uint64_t number = (uint64_t)json_number(message, "number", 0);
	struct question *question = number ? find_question(owners, number) : NULL;
	if (!question || owners->hung.busy || owners->condemned || number == question->answered ||
	    now_of(owners) >= question->asked_ms + ASK_MS)
		return;
	question->answered = number;
	if (++question->answers >= ANSWERS && may_give_up(question))
		give_up(question, json_text(message, "from", "another gateway"));
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
	struct disk *disk = disk_set_find(owners->config.disks, json_text(message, "lun", ""));
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
	if (disk_try(disk, DISK_PEER_QUESTION, (uint64_t)json_number(message, "offset", 0),
	             (uint64_t)json_number(message, "length", 0), tried, answer) < 0)
		free(answer);
}

/* ---- the tick ---- */

void hung_review(struct owners *owners)
{
	struct hung *hung = &owners->hung;
	uint64_t now_ms = now_of(owners);
	if (now_ms < hung->looked_ms + LOOK_MS || owners->condemned)
		return;
	hung->looked_ms = now_ms;
	hung_review_doubts(owners);
	review_questions(owners);
}

void hung_init(struct owners *owners)
{
	list_init(&owners->hung.questions);
	list_init(&owners->hung.doubts);
}

void hung_done(struct owners *owners)
{
	struct question *question, *following;
	list_for_each_safe (question, following, &owners->hung.questions, link)
		question_free(question);
	hung_doubts_done(owners);
}
