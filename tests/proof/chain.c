/* Counters. Every swap names the value that it replaced, so the swaps that took effect form a chain
 * from the initial value, and its order is the only one possible. A fork is a lost increment. */
#include "block.h"

#include <errno.h>

/* A swap that took effect and the one that it follows. */
struct link {
	struct cluster *cluster;
	struct link *next; /* what replaced this value */
	bool effective;
};

static struct link *link_of(const struct block *block, struct link *links, uint64_t value)
{
	struct cluster *cluster = block_find(block, value);
	return cluster ? &links[cluster - block->clusters] : NULL;
}

/* The swap of this link took effect: so it follows the value that it expected, which therefore was
 * there, and so on back to one that is known already. */
static void add_link(struct block *block, struct link *links, struct link *link)
{
	while (!link->effective) {
		const struct op *op = link->cluster->writer->op;
		struct link *previous = link_of(block, links, op->expected);
		link->effective = true;
		if (!previous) {
			block_violation(block, violation_unknown_value,
			                "%s replaced a value that nobody wrote",
			                block_describe(block, op).text);
			return;
		}
		if (previous->next) {
			block_violation(
			        block, violation_two_steps,
			        "%s and %s both replaced the same value: an increment is lost",
			        block_describe(block, previous->next->cluster->writer->op).text,
			        block_describe(block, op).text);
			return;
		}
		previous->next = link;
		if (previous->cluster->writer && previous->cluster->writer->never)
			block_violation(block, violation_phantom, "%s replaced the value of %s",
			                block_describe(block, op).text,
			                block_describe(block, previous->cluster->writer->op).text);
		link = previous;
	}
}

/* Nothing of an earlier value may begin after something of a later one has ended. */
static void check_order(struct block *block, const struct link *first)
{
	const struct cluster *latest = first->cluster;
	for (const struct link *link = first->next; link; link = link->next) {
		const struct cluster *cluster = link->cluster;
		if (cluster->first_end < latest->last_start && latest->last_starter) {
			block_violation(block, violation_order,
			                "%s saw a later value of the counter than %s, which began "
			                "after it had ended",
			                block_describe(block, cluster->first_ender).text,
			                block_describe(block, latest->last_starter).text);
			return;
		}
		if (cluster->last_start > latest->last_start)
			latest = cluster;
	}
}

static void check_miscompare(struct block *block, const struct op *op)
{
	const struct cluster *cluster = block_find(block, op->expected);
	if (cluster && cluster->first_end < op->start && op->end < cluster->last_start)
		block_violation(block, violation_miscompare,
		                "%s was answered MISCOMPARE, but the value was what it expected "
		                "all the time, as %s saw",
		                block_describe(block, op).text,
		                block_describe(block, cluster->last_starter).text);
}

int block_check_counter(struct block *block)
{
	AUTO_FREE struct link *links = calloc(block->cluster_count, sizeof(*links));
	if (!links)
		return -ENOMEM;
	for (size_t i = 0; i < block->cluster_count; i++) {
		const struct access *writer = block->clusters[i].writer;
		links[i].cluster = &block->clusters[i];
		links[i].effective = !writer;
		if (writer && writer->op->kind != OP_SWAP)
			return -EINVAL;
	}
	size_t effective = 0, chained = 0;
	for (size_t i = 1; i < block->cluster_count; i++)
		if (links[i].cluster->writer->must || links[i].cluster->seen)
			add_link(block, links, &links[i]);
	for (size_t i = 1; i < block->cluster_count; i++)
		effective += links[i].effective;
	for (const struct link *link = links->next; link; link = link->next)
		chained++;
	if (chained < effective && !block->verdict->violation_count)
		block_violation(block, violation_lost_step,
		                "%zu increments are not in the chain from the initial value",
		                effective - chained);
	check_order(block, links);
	for (size_t i = 0; i < block->count; i++)
		if (block->accesses[i].op->outcome == OUTCOME_DIFFERS)
			check_miscompare(block, block->accesses[i].op);
	return 0;
}
