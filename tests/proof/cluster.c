/* Values and who saw them. A read that saw what it cannot have seen is told here. */
#include "block.h"

#include <errno.h>

static int by_value(const void *a, const void *b)
{
	uint64_t x = ((const struct cluster *)a)->value, y = ((const struct cluster *)b)->value;
	return x < y ? -1 : x > y;
}

struct cluster *block_find(const struct block *block, uint64_t value)
{
	struct cluster key = { .value = value };
	return bsearch(&key, block->clusters, block->cluster_count, sizeof(key), by_value);
}

void cluster_take(struct cluster *cluster, const struct access *access)
{
	if (access->end < cluster->first_end) {
		cluster->first_end = access->end;
		cluster->first_ender = access->op;
	}
	if (access->start > cluster->last_start || !cluster->last_starter) {
		cluster->last_start = access->start;
		cluster->last_starter = access->op;
	}
}

static void take_read(struct block *block, const struct access *read)
{
	uint64_t value = read->op->values[read->index];
	struct op_text reader = block_describe(block, read->op);
	struct cluster *cluster = block_find(block, value);
	if (value == VALUE_TORN) {
		block_violation(block, violation_torn, "%s found parts of several writes in it",
		                reader.text);
	} else if (!cluster) {
		block_violation(block, violation_unknown_value,
		                "%s found what nobody wrote there%s", reader.text,
		                value == VALUE_ALIEN ? "" : " in this block");
	} else if (cluster->writer && cluster->writer->never) {
		block_violation(block, violation_phantom, "%s found the value of %s", reader.text,
		                block_describe(block, cluster->writer->op).text);
	} else if (cluster->writer && read->end < cluster->writer->start) {
		block_violation(block, violation_future, "%s found the value of %s", reader.text,
		                block_describe(block, cluster->writer->op).text);
	} else {
		cluster->seen = true;
		cluster_take(cluster, read);
	}
}

int block_make_clusters(struct block *block)
{
	block->clusters = calloc(block->count + 1, sizeof(*block->clusters));
	if (!block->clusters)
		return -ENOMEM;
	block->cluster_count = 1;
	block->clusters[0] = (struct cluster){ .value = VALUE_INITIAL, .seen = true };
	for (size_t i = 0; i < block->count; i++) {
		const struct access *access = &block->accesses[i];
		if (access->op->kind == OP_READ)
			continue;
		struct cluster *cluster = &block->clusters[block->cluster_count++];
		*cluster = (struct cluster){ .value = access->op->id,
			                     .writer = access,
			                     .first_end = UINT64_MAX };
		cluster_take(cluster, access);
	}
	qsort(block->clusters, block->cluster_count, sizeof(*block->clusters), by_value);
	for (size_t i = 1; i < block->cluster_count; i++)
		if (block->clusters[i].value == block->clusters[i - 1].value)
			return -EINVAL;
	for (size_t i = 0; i < block->count; i++)
		if (block->accesses[i].op->kind == OP_READ &&
		    block->accesses[i].op->outcome == OUTCOME_OK)
			take_read(block, &block->accesses[i]);
	return 0;
}
