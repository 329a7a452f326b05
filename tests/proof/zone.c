/* Registers. Every value is written once, so a history is linearizable if and only if its clusters
 * can be put one after the other [Gibbons and Korach, Testing Shared Memories, 1997, theorem 3.1]:
 * a cluster whose first answer comes before its last invocation holds the register all the time
 * between them (its zone); zones must not overlap, and a cluster that fits into a moment needs one
 * that is not inside the zone of another value. */
#include "block.h"

#include <errno.h>

static bool is_forward(const struct cluster *cluster)
{
	return cluster->first_end < cluster->last_start;
}

static bool took_effect(const struct cluster *cluster)
{
	const struct access *writer = cluster->writer;
	return !writer || (!writer->never && (writer->must || cluster->seen));
}

static int by_start(const void *a, const void *b)
{
	const struct cluster *x = *(const struct cluster *const *)a;
	const struct cluster *y = *(const struct cluster *const *)b;
	return x->first_end < y->first_end ? -1 : x->first_end > y->first_end;
}

static struct op_text describe_value(const struct block *block, const struct cluster *cluster)
{
	struct op_text text = { "the initial value" };
	return cluster->writer ? block_describe(block, cluster->writer->op) : text;
}

static double seconds(const struct block *block, uint64_t time)
{
	return time > block->origin ? (double)(time - block->origin) / 1e9 : 0;
}

static void tell(struct block *block, const struct cluster *held, const struct cluster *other)
{
	struct op_text first = { "" }, last = { "" };
	if (held->first_ender)
		first = block_describe(block, held->first_ender);
	if (held->last_starter)
		last = block_describe(block, held->last_starter);
	block_violation(
	        block, violation_order,
	        "[%s] was the value from %.6f s (%s) to %.6f s (%s), but in between so was [%s]: "
	        "it must have come after %.6f s and gone before %.6f s (%s; %s)",
	        describe_value(block, held).text, seconds(block, held->first_end), first.text,
	        seconds(block, held->last_start), last.text, describe_value(block, other).text,
	        seconds(block, is_forward(other) ? other->first_end : other->last_start),
	        seconds(block, is_forward(other) ? other->last_start : other->first_end),
	        other->first_ender ? block_describe(block, other->first_ender).text : "",
	        other->last_starter ? block_describe(block, other->last_starter).text : "");
}

/* The last of the zones that begins before `time`, NULL if none. */
static struct cluster *zone_before(struct cluster *const *zones, size_t count, uint64_t time)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (zones[middle]->first_end < time)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? zones[low - 1] : NULL;
}

int block_check_register(struct block *block)
{
	AUTO_FREE struct cluster **zones = calloc(block->cluster_count, sizeof(*zones));
	size_t count = 0;
	if (!zones)
		return -ENOMEM;
	for (size_t i = 0; i < block->cluster_count; i++)
		if (took_effect(&block->clusters[i]) && is_forward(&block->clusters[i]))
			zones[count++] = &block->clusters[i];
	qsort(zones, count, sizeof(struct cluster *), by_start);
	struct cluster *longest = NULL;
	for (size_t i = 0; i < count; i++) {
		if (longest && zones[i]->first_end < longest->last_start) {
			tell(block, longest, zones[i]); /* one of a block says enough */
			return 0;
		}
		if (!longest || zones[i]->last_start > longest->last_start)
			longest = zones[i];
	}
	for (size_t i = 0; i < block->cluster_count; i++) {
		struct cluster *cluster = &block->clusters[i];
		if (!took_effect(cluster) || is_forward(cluster))
			continue;
		struct cluster *zone = zone_before(zones, count, cluster->last_start);
		if (zone && cluster->first_end < zone->last_start) {
			tell(block, zone, cluster);
			return 0;
		}
	}
	return 0;
}
