/* Marks of when which StatSN was sent, and what their acknowledgement proves. */
#include "iscsi/freshness.h"

static struct freshness_mark *mark_at(struct freshness *freshness, unsigned index)
{
	return &freshness->marks[index % FRESHNESS_MARKS];
}

void freshness_init(struct freshness *freshness, uint32_t age_max_ms, uint64_t now_ms)
{
	*freshness = (struct freshness){
		.age_max_ms = age_max_ms,
		.alive_ms = now_ms,
		.ping_tag = TAG_NONE,
	};
}

void freshness_mark(struct freshness *freshness, uint32_t stat_sn, uint64_t now_ms)
{
	if (freshness->first != freshness->next) {
		struct freshness_mark *newest = mark_at(freshness, freshness->next - 1);
		if (newest->stat_sn == stat_sn) {
			newest->at_ms = now_ms; /* still not sent: the later mark says more */
			return;
		}
		if (now_ms - newest->at_ms < freshness->age_max_ms / FRESHNESS_STEPS)
			return;
		if (freshness->next - freshness->first == FRESHNESS_MARKS)
			freshness->first++;
	}
	*mark_at(freshness, freshness->next++) =
	        (struct freshness_mark){ .at_ms = now_ms, .stat_sn = stat_sn };
}

bool freshness_acknowledge(struct freshness *freshness, uint32_t exp_stat_sn)
{
	uint64_t alive_ms = 0;

	while (freshness->first != freshness->next) {
		const struct freshness_mark *oldest = mark_at(freshness, freshness->first);
		if (!serial_lt(oldest->stat_sn, exp_stat_sn))
			break;
		alive_ms = oldest->at_ms;
		freshness->first++;
	}
	return freshness_answered(freshness, alive_ms);
}

void freshness_ping(struct freshness *freshness, uint32_t tag, uint64_t now_ms)
{
	freshness->ping_tag = tag;
	freshness->ping_ms = now_ms;
}

bool freshness_answered(struct freshness *freshness, uint64_t at_ms)
{
	if (at_ms <= freshness->alive_ms)
		return false;
	freshness->alive_ms = at_ms;
	return true;
}

bool freshness_young(const struct freshness *freshness, uint64_t alive_ms, uint64_t now_ms)
{
	return !freshness->age_max_ms || now_ms - alive_ms <= freshness->age_max_ms;
}
