/* What managers say to each other, through the interconnect or the store, as JSON:
 *
 *   {"wake": why}    the rows have changed
 *   {"record": ...}  this LUN was taken or given back: what stands in its row, and whether it was
 *                    served without a break until then
 *   {"ask": ...}     are you there, and may these gateways have these LUNs?
 *   {"answer": ...}  I am
 *   {"try": ...}     can you read this place? (hung.c)
 *   {"tried": ...}   I can
 *   {"leaves": ...}, {"paths": ...}  which of my initiators have a path at you? (paths.c)
 *   {"unanswered": ...}, {"fates": ...}  what became of my commands? (fates.c)
 *
 * All of it is only a hint to look or to decide: what counts stands in the rows. */
#include "target/owners_private.h"

#include "base/log.h"
#include "interconnect/interconnect.h"
#include "store/store.h"
#include "target/disk_set.h"
#include "target/peers.h"
#include "target/probe.h"

#include <stdio.h>
#include <string.h>

#define LETTERS_MAX 32
#define OWN_IO_MS   2000 /* a LUN with commands of own sessions in that time is kept */
#define PROBES_MAX  64
#define ASK_BYTES   30000 /* of names: JSON at most doubles them, and the store takes 64 KiB */
#define ASK_MARKS   6     /* quotes and commas of a name and its taker */

/* ---- letters: through the store ---- */

struct letter {
	struct job job;
	struct owners *owners;
	char *text;
};

static void letter_work(struct job *job)
{
	struct letter *letter = container_of(job, struct letter, job);
	struct error err = { 0 };
	if (store_tell(letter->owners->store, letter->text, &err) < 0)
		log_limited(LOG_LEVEL_WARNING, 10000, "other gateways not told: %s", err.text);
}

static void letter_done(struct job *job)
{
	struct letter *letter = container_of(job, struct letter, job);
	struct owners *owners = letter->owners;
	free(letter->text);
	free(letter);
	owners->letters--;
	owners_check_stopped(owners);
}

/* Takes the message over. False: it is not sent. */
static bool send_letter_then(struct owners *owners, json_t *message, void (*done)(struct job *job))
{
	AUTO_JSON json_t *owned = message;
	struct letter *letter = calloc(1, sizeof *letter);
	char *text = owned ? json_format(owned, &json_style_compact) : NULL;
	if (!letter || !text || owners->letters >= LETTERS_MAX || owners->stopping) {
		free(letter);
		free(text);
		return false; /* what it was about is said again, or looked up */
	}
	letter->owners = owners;
	letter->text = text;
	letter->job = (struct job){ .work = letter_work,
		                    .done = done,
		                    .reactor = owners->config.manager };
	owners->letters++;
	job_queue_submit_first(owners->jobs, &letter->job);
	return true;
}

void talk_send(struct owners *owners, json_t *message)
{
	(void)send_letter_then(owners, message, letter_done); /* said again, or looked up */
}

static void wake_done(struct job *job)
{
	struct owners *owners = container_of(job, struct letter, job)->owners;
	bool again = owners->wake_wanted;
	owners->waking = owners->wake_wanted = false;
	if (again)
		talk_wake(owners);
	letter_done(job);
}

/* One at a time, whatever moves meanwhile: each holds a worker for as long as a dead watcher lets
 * it, and answers need workers, too. */
void talk_wake(struct owners *owners)
{
	if (owners->waking)
		owners->wake_wanted = true; /* the one under way may have been read before */
	else
		owners->waking = send_letter_then(
		        owners, json_pack("{s:s}", "wake", owners->config.gateway), wake_done);
}

/* ---- records ---- */

static char *format_record(const struct disk *disk, const char *reservations)
{
	AUTO_JSON json_t *message = json_pack(
	        "{s:{s:s, s:s, s:s*, s:b}}", "record", "lun", disk_name(disk), "row",
	        disk_record(disk)->text, "reservations", reservations, "kept", disk_was_kept(disk));
	return message ? json_format(message, &json_style_compact) : NULL;
}

/* The reservations spare the next owner a question. Only of a LUN that was given back: nobody here
 * changes them any more, while those of one that is served may change on another thread. */
static char *format_news(const struct disk *disk)
{
	bool given_back = disk_record(disk)->state == OWNER_CLEAN;
	char *text = format_record(disk, given_back ? disk_reservations(disk) : NULL);
	if (text && strlen(text) > INTERCONNECT_TELL_MAX) {
		free(text);
		text = format_record(disk, NULL);
	}
	return text;
}

void talk_record(struct owners *owners, const struct disk *disk)
{
	struct interconnect *interconnect = peers_interconnect(owners->config.peers);
	AUTO_FREE char *text = format_news(disk);
	const struct member *member;
	uint64_t asked_ms;
	list_for_each (member, &owners->members.list, link) {
		/* Who is not up, or misses it, looks every second. */
		if (text && interconnect && member->has_peer)
			(void)!interconnect_tell(interconnect, member->peer, text);
	}
	if (*disk_asked_for(disk, &asked_ms))
		talk_wake(owners); /* he cannot be reached otherwise */
}

static void heard_record(struct owners *owners, const json_t *message)
{
	struct disk *disk = disk_set_find(owners->config.disks, json_text(message, "lun", ""));
	struct owner_record record;
	if (!disk || owner_record_parse(json_text(message, "row", ""), &record) < 0)
		return;
	/* A look at the rows may have been faster: then this is no news of the record, but that the
	 * owner has the lock as well. */
	if (disk_saw_record(disk, &record))
		disk_told_reservations(disk, json_text(message, "reservations", NULL));
	else
		disk_heard_owner(disk);
	disk_told_record(disk, &record, json_flag(message, "kept", false));
	owners_disk_changed(owners, disk);
	owner_record_done(&record);
}

/* ---- ask ---- */

static bool is_connected(const struct owners *owners, const struct member *member)
{
	struct interconnect *interconnect = peers_interconnect(owners->config.peers);
	struct peer_info peer;
	return interconnect && member->has_peer &&
	       interconnect_get_peer(interconnect, member->peer, &peer) && peer.state == PEER_UP;
}

/* What is used through one that cannot be reached will be missed: an initiator without another path
 * has nothing of a refusal. */
static bool is_wanted(const struct owners *owners, const struct disk *disk,
                      const struct member *owner)
{
	return disk && strcmp(disk_record(disk)->instance, owner->instance) == 0 &&
	       (disk_commands_wait(disk) || (disk_is_used(disk) && !is_connected(owners, owner)));
}

/* Those of LUNs that nobody would take stay where they are. As many as a message holds; the next
 * question begins with the others. */
static void list_wanted(const struct owners *owners, struct member *member, json_t *luns,
                        json_t *takers)
{
	const struct disk_set *set = owners->config.disks;
	size_t count = set->plan ? set->plan->disk_count : 0, first = member->ask_from, bytes = 0;
	for (size_t i = 0; i < count; i++) {
		size_t at = (first + i) % count;
		struct disk *disk = disk_set_at(set, at);
		char taker[GATEWAY_NAME_MAX] = "";
		if (!is_wanted(owners, disk, member))
			continue;
		bool named = owners_find_taker(owners, &set->plan->disks[at], taker);
		bytes += named ? strlen(disk_name(disk)) + strlen(taker) + ASK_MARKS : 0;
		if (bytes > ASK_BYTES) {
			member->ask_from = at;
			return;
		}
		disk_note_refusals(disk);
		if (!named)
			continue;
		(void)json_array_append_new(luns, json_string(disk_name(disk)));
		(void)json_array_append_new(takers, json_string(taker));
	}
}

void talk_ask(struct owners *owners, struct member *member)
{
	uint64_t now_ms = reactor_now_ms(owners->config.manager);
	member->ask_number = ++owners->ask_number;
	member->asked_ms = now_ms;
	member->heard_ms = 0;
	json_t *luns = json_array(), *takers = json_array();
	list_wanted(owners, member, luns, takers);
	talk_send(owners,
	          json_pack("{s:{s:I, s:s, s:s, s:s, s:s, s:o, s:o}}", "ask", "number",
	                    (json_int_t)member->ask_number, "from", owners->config.gateway,
	                    "from_instance", owners->members.instance, "to", member->gateway,
	                    "to_instance", member->instance, "luns", luns, "takers", takers));
}

/* ---- answer ---- */

static void consider_lun(struct owners *owners, const char *name, const char *from,
                         const char *taker)
{
	struct disk *disk = disk_set_find(owners->config.disks, name);
	struct lun_counters counters;
	if (!disk || !disk_is_owner(disk))
		return;
	lun_get_counters(disk_lun(disk), &counters);
	if (counters.last_own_io_ms && clock_monotonic_ms() < counters.last_own_io_ms + OWN_IO_MS)
		return; /* kept */
	log_info("%s: given to %s: %s, which cannot reach this gateway, asked for it", name, taker,
	         from);
	disk_ask_for(disk, taker);
}

/* Every I/O reactor has turned since the question came. The answer goes through the cluster, which
 * proves that this gateway reaches it. */
static void probed(void *argument, json_t *question)
{
	struct owners *owners = argument;
	AUTO_JSON json_t *ask = question;
	owners->probes--;
	if (owners->stopping) {
		owners_check_stopped(owners);
		return;
	}
	if (owners->condemned)
		return;
	talk_send(owners, json_pack("{s:{s:I, s:s, s:s}}", "answer", "number",
	                            json_number(ask, "number", 0), "to", json_text(ask, "from", ""),
	                            "to_instance", json_text(ask, "from_instance", "")));
	const char *from = json_text(ask, "from", "");
	size_t index;
	json_t *lun;
	json_array_foreach (json_object_get(ask, "luns"), index, lun) {
		/* Who speaks an earlier version means itself. */
		const char *taker =
		        json_string_value(json_array_get(json_object_get(ask, "takers"), index));
		if (json_is_string(lun))
			consider_lun(owners, json_string_value(lun), from, taker ? taker : from);
	}
	owners_changed(owners);
}

static void heard_ask(struct owners *owners, json_t *message)
{
	if (strcmp(json_text(message, "from_instance", ""), owners->members.instance) == 0)
		members_heard(&owners->members, (uint64_t)json_number(message, "number", 0));
	if (strcmp(json_text(message, "to_instance", ""), owners->members.instance) != 0)
		return;
	log_warning("%s asks whether this gateway lives", json_text(message, "from", "?"));
	owners_look(owners);
	if (owners->probes < PROBES_MAX &&
	    probe_start(owners->config.manager, owners->config.reactors,
	                owners->config.reactor_count, probed, owners, json_incref(message)) == 0)
		owners->probes++;
}

void talk_heard(struct owners *owners, const json_t *message)
{
	json_t *part;
	if ((part = json_object_get(message, "record"))) {
		heard_record(owners, part);
	} else if ((part = json_object_get(message, "ask"))) {
		heard_ask(owners, part);
	} else if ((part = json_object_get(message, "answer"))) {
		if (strcmp(json_text(part, "to_instance", ""), owners->members.instance) == 0)
			members_answered(&owners->members,
			                 (uint64_t)json_number(part, "number", 0));
	} else if ((part = json_object_get(message, "try"))) {
		hung_heard_try(owners, part);
	} else if ((part = json_object_get(message, "tried"))) {
		hung_heard_tried(owners, part);
	} else if ((part = json_object_get(message, "leaves"))) {
		paths_heard_leaves(owners, part);
	} else if ((part = json_object_get(message, "paths"))) {
		paths_heard(owners, part);
	} else if ((part = json_object_get(message, "unanswered"))) {
		fates_heard_unanswered(owners, part);
	} else if ((part = json_object_get(message, "fates"))) {
		fates_heard(owners, part);
	} else if (json_object_get(message, "wake")) {
		owners_look(owners);
	}
}
