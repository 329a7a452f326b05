/* When may an operation have taken effect? What was answered: until the answer. What was not: see
 * checker.h. What a fence forbids is taken away from the window of its victim. */
#include "block.h"

#include <errno.h>
#include <string.h>

static bool reached_the_disk(const struct op *op)
{
	return op->outcome == OUTCOME_OK || op->outcome == OUTCOME_DIFFERS;
}

/* For access i: the earliest answer to a command that was sent at accesses[i].start or later. */
static uint64_t *earliest_answers(const struct block *block)
{
	uint64_t *answers = malloc((block->count + 1) * sizeof(*answers));
	if (!answers)
		return NULL;
	answers[block->count] = UINT64_MAX;
	for (size_t i = block->count; i-- > 0;) {
		const struct op *op = block->accesses[i].op;
		answers[i] = answers[i + 1];
		if (reached_the_disk(op) && op->end < answers[i])
			answers[i] = op->end;
	}
	return answers;
}

static uint64_t answer_after(const struct block *block, const uint64_t *answers, uint64_t time)
{
	size_t low = 0, high = block->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (block->accesses[middle].op->start < time)
			low = middle + 1;
		else
			high = middle;
	}
	return answers[low];
}

static void set_window(const struct block *block, struct access *access, const uint64_t *answers,
                       uint64_t age_ns)
{
	const struct op *op = access->op;
	access->start = op->start;
	access->end = op->end;
	access->never = op->outcome == OUTCOME_NEVER || op->outcome == OUTCOME_DIFFERS;
	access->must = op->outcome == OUTCOME_OK;
	if (op->outcome == OUTCOME_LOST) {
		uint64_t old = op->start + age_ns;
		access->end = answer_after(block, answers, old > op->end ? old : op->end);
	}
}

static void apply_fence(struct block *block, struct access *access, const struct fence *fence)
{
	/* What may have been executed after the fence ended is not told apart. */
	if (access->never || access->end > fence->end || access->end < fence->start)
		return;
	if (access->start <= fence->start) {
		access->end = fence->start;
		return;
	}
	if (access->must)
		block_violation(block, violation_fenced,
		                "%s, but that initiator was fenced from %.6f s on",
		                block_describe(block, access->op).text,
		                (double)(fence->start - block->origin) / 1e9);
	access->never = !access->must;
}

int block_set_windows(struct block *block, const struct history *history, uint64_t age_ns)
{
	AUTO_FREE uint64_t *answers = earliest_answers(block);
	if (!answers)
		return -ENOMEM;
	for (size_t i = 0; i < block->count; i++)
		set_window(block, &block->accesses[i], answers, age_ns);
	for (size_t f = 0; f < history->fence_count; f++) {
		const struct fence *fence = &history->fences[f];
		for (size_t i = 0; fence->lun == block->lun && i < block->count; i++)
			if (block->accesses[i].op->initiator == fence->victim &&
			    block->accesses[i].op->kind != OP_READ)
				apply_fence(block, &block->accesses[i], fence);
	}
	return 0;
}
