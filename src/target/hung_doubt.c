/* The life after one that gave its LUNs up: the places that hung are noted for it, and until it has
 * read each of them it takes no LUN that another gateway can take. */
#include "target/hung.h"

#include "base/log.h"
#include "base/text.h"
#include "target/disk_set.h"
#include "target/owners_private.h"
#include "target/renew.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct doubt {
	struct list link;
	struct owners *owners;
	struct hung_place place;
	bool reading;
};

/* ---- the note: a line for each place ---- */

void hung_note_place(struct string *note, const struct hung_place *place)
{
	string_format(note, "%" PRIu64 " %" PRIu64 " %s\n", place->offset, place->length,
	              place->lun);
}

void hung_note_doubts(const struct owners *owners, struct string *note)
{
	const struct doubt *doubt;
	list_for_each (doubt, &owners->hung.doubts, link)
		hung_note_place(note, &doubt->place);
}

/* For a further life as well. */
static void note_again(const struct owners *owners)
{
	AUTO_STRING struct string note = { 0 };
	hung_note_doubts(owners, &note);
	renew_set_note(note.text);
}

static void doubt_free(struct doubt *doubt)
{
	list_remove(&doubt->link);
	free(doubt->place.lun);
	free(doubt);
}

static struct doubt *find_doubt(const struct owners *owners, const char *lun)
{
	struct doubt *doubt;
	list_for_each (doubt, &owners->hung.doubts, link) {
		if (strcmp(doubt->place.lun, lun) == 0)
			return doubt;
	}
	return NULL;
}

const struct hung_place *hung_being_read(const struct owners *owners, const char *lun)
{
	const struct doubt *doubt = find_doubt(owners, lun);
	return doubt && doubt->reading ? &doubt->place : NULL;
}

/* What cannot be read, or kept, is not doubted; one place on each LUN is. */
static void read_line(struct owners *owners, const char *line, size_t len)
{
	struct hung_place place = { 0 };
	int name_at = 0;
	AUTO_FREE char *text = strndup(line, len);
	AUTO_FREE struct doubt *doubt = calloc(1, sizeof *doubt);
	if (!text || !doubt ||
	    sscanf(text, "%" SCNu64 " %" SCNu64 " %n", &place.offset, &place.length, &name_at) !=
	            2 ||
	    !name_at || !text[name_at] || find_doubt(owners, text + name_at))
		return;
	place.lun = strdup(text + name_at);
	if (!place.lun)
		return;
	doubt->owners = owners;
	doubt->place = place;
	list_append(&owners->hung.doubts, &steal(&doubt)->link);
	owners->hung.cautious = true;
	log_warning("%s: the storage did not answer here: until it does this gateway takes no LUN "
	            "that another one can take",
	            place.lun);
}

void hung_begin(struct owners *owners)
{
	const char *note = renewed_note();
	for (size_t len; note && *note; note += len + (note[len] == '\n')) {
		len = strcspn(note, "\n");
		read_line(owners, note, len);
	}
	note_again(owners);
}

/* ---- until each place was read ---- */

static void end_doubt(struct doubt *doubt, const char *why)
{
	struct owners *owners = doubt->owners;
	log_info("%s: %s", doubt->place.lun, why);
	doubt_free(doubt);
	note_again(owners);
	owners->hung.cautious = !list_empty(&owners->hung.doubts);
	if (owners->hung.cautious)
		return;
	log_info("all of the storage that hung answers or is gone: this gateway takes LUNs");
	owners_changed(owners);
}

static void proven(void *argument, int result)
{
	struct doubt *doubt = argument;
	bool answered = result == 0 || result == -ERANGE;
	doubt->reading = false;
	hung_doubt_read(doubt->owners, doubt->place.lun);
	if (answered && !doubt->owners->stopping)
		end_doubt(doubt, "the storage answers here again");
}

void hung_review_doubts(struct owners *owners)
{
	struct doubt *doubt, *following;
	list_for_each_safe (doubt, following, &owners->hung.doubts, link) {
		if (!owners->config.disks->plan)
			return;
		struct disk *disk = disk_set_find(owners->config.disks, doubt->place.lun);
		if (doubt->reading)
			continue;
		if (!disk || disk_image_is_gone(disk))
			end_doubt(doubt, "is gone");
		else
			doubt->reading = disk_try(disk, DISK_OWN_QUESTION, doubt->place.offset,
			                          doubt->place.length, proven, doubt) == 0;
	}
}

void hung_doubts_done(struct owners *owners)
{
	struct doubt *doubt, *following;
	list_for_each_safe (doubt, following, &owners->hung.doubts, link)
		doubt_free(doubt);
}
