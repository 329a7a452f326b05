/* The ordered set of pending unit attentions [SAM-5 5.14]. */
#include "scsi/unit_attention.h"

#include <string.h>

/* Lower is reported first; what is not listed comes last, in order of arrival. */
static const struct {
	uint8_t asc, ascq, rank;
} ranks[] = {
	{ 0x29, 0x00, 0 }, { 0x29, 0x01, 1 }, { 0x29, 0x04, 1 }, { 0x29, 0x02, 2 },
	{ 0x3f, 0x01, 3 }, { 0x29, 0x03, 4 }, { 0x29, 0x07, 5 },
};
#define RANK_OTHERS 6

/* What an initiator must not miss: nothing else tells it. */
static const struct {
	uint8_t asc, ascq;
} kept[] = {
	{ 0x2a, 0x03 }, { 0x2a, 0x04 }, { 0x2a, 0x05 },
	{ 0x2a, 0x06 }, { 0x2a, 0x09 }, { 0x3f, 0x0e },
};

static unsigned rank_of(uint8_t asc, uint8_t ascq)
{
	for (size_t i = 0; i < ARRAY_LEN(ranks); i++) {
		if (ranks[i].asc == asc && ranks[i].ascq == ascq)
			return ranks[i].rank;
	}
	return RANK_OTHERS;
}

static bool is_kept(uint8_t asc, uint8_t ascq)
{
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		if (kept[i].asc == asc && kept[i].ascq == ascq)
			return true;
	}
	return false;
}

/* 29/07 is a loss of the nexus, not a reset of the logical unit. */
static bool is_reset(uint8_t asc, uint8_t ascq)
{
	return asc == 0x29 && ascq != 0x07;
}

static unsigned count_of(const struct ua_set *set)
{
	return atomic_load_explicit(&set->count, memory_order_relaxed);
}

static void set_count(struct ua_set *set, unsigned count)
{
	atomic_store_explicit(&set->count, count, memory_order_release);
}

static void remove_at(struct ua_set *set, unsigned i)
{
	unsigned count = count_of(set);
	memmove(set->asc + i, set->asc + i + 1, count - i - 1);
	memmove(set->ascq + i, set->ascq + i + 1, count - i - 1);
	set_count(set, count - 1);
}

static int find(const struct ua_set *set, uint8_t asc, uint8_t ascq)
{
	for (unsigned i = 0; i < count_of(set); i++) {
		if (set->asc[i] == asc && set->ascq[i] == ascq)
			return (int)i;
	}
	return -1;
}

/* Makes room for one more; false if only kept ones are there. */
static bool drop_newest_unimportant(struct ua_set *set)
{
	for (unsigned i = count_of(set); i-- > 0;) {
		if (!is_kept(set->asc[i], set->ascq[i])) {
			remove_at(set, i);
			return true;
		}
	}
	return false;
}

/* What a reset makes meaningless: lower rank, and not about things a reset leaves as they are. */
static void drop_below(struct ua_set *set, unsigned rank)
{
	for (unsigned i = count_of(set); i-- > 0;) {
		bool kept_one = is_kept(set->asc[i], set->ascq[i]);
		if (!kept_one && rank_of(set->asc[i], set->ascq[i]) > rank)
			remove_at(set, i);
	}
}

void ua_add(struct ua_set *set, enum sense_code code)
{
	uint8_t asc = (uint8_t)(code >> 8), ascq = (uint8_t)code;
	if (find(set, asc, ascq) >= 0)
		return;

	unsigned rank = rank_of(asc, ascq);
	if (is_reset(asc, ascq))
		drop_below(set, rank);
	if (count_of(set) == UA_MAX) {
		if (rank == RANK_OTHERS && !is_kept(asc, ascq))
			return; /* the newest of the least important is this one */
		if (!drop_newest_unimportant(set))
			return;
	}

	unsigned count = count_of(set), at = 0;
	while (at < count && rank_of(set->asc[at], set->ascq[at]) <= rank)
		at++;
	memmove(set->asc + at + 1, set->asc + at, count - at);
	memmove(set->ascq + at + 1, set->ascq + at, count - at);
	set->asc[at] = asc;
	set->ascq[at] = ascq;
	set_count(set, count + 1);
}

enum sense_code ua_take(struct ua_set *set)
{
	if (count_of(set) == 0)
		return SENSE_NONE;
	enum sense_code code = (enum sense_code)(0x060000 | set->asc[0] << 8 | set->ascq[0]);
	remove_at(set, 0);
	return code;
}

void ua_remove(struct ua_set *set, enum sense_code code)
{
	int i = find(set, (uint8_t)(code >> 8), (uint8_t)code);
	if (i >= 0)
		remove_at(set, (unsigned)i);
}
