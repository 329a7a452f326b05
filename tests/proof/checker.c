/* Splits a history into its blocks and has each one judged. */
#include "checker.h"
#include "block.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

const char violation_unknown_value[] = "unknown value", violation_torn[] = "torn block",
           violation_phantom[] = "refused write took effect",
           violation_future[] = "value before its write", violation_order[] = "not linearizable",
           violation_lost_step[] = "lost increment", violation_two_steps[] = "forked counter",
           violation_miscompare[] = "false miscompare",
           violation_fenced[] = "write of a fenced initiator";

void block_violation(struct block *block, const char *kind, const char *format, ...)
{
	struct verdict *verdict = block->verdict;
	if (verdict->violation_count++ >= VIOLATIONS_MAX)
		return;
	struct violation *violation = &verdict->violations[verdict->violation_count - 1];
	va_list arguments;
	violation->lun = block->lun;
	violation->lba = block->lba;
	violation->kind = kind;
	va_start(arguments, format);
	vsnprintf(violation->text, sizeof(violation->text), format, arguments);
	va_end(arguments);
}

struct op_text block_describe(const struct block *block, const struct op *op)
{
	struct op_text text;
	snprintf(text.text, sizeof(text.text),
	         "%s %" PRIu64 " of initiator %" PRIu32 " over path %u (%.6f to %.6f s, %s)",
	         op_kind_name(op->kind), op->id, op->initiator, op->path,
	         (double)(op->start - block->origin) / 1e9, (double)(op->end - block->origin) / 1e9,
	         op_outcome_name(op->outcome));
	return text;
}

static int by_block(const void *a, const void *b)
{
	const struct access *x = a, *y = b;
	uint64_t x_lba = x->op->lba + x->index, y_lba = y->op->lba + y->index;
	if (x->op->lun != y->op->lun)
		return x->op->lun < y->op->lun ? -1 : 1;
	if (x_lba != y_lba)
		return x_lba < y_lba ? -1 : 1;
	return x->op->start < y->op->start ? -1 : x->op->start > y->op->start;
}

static int list_accesses(const struct history *history, struct access **ret_accesses,
                         size_t *ret_count)
{
	size_t count = 0;
	for (size_t i = 0; i < history->op_count; i++)
		count += history->ops[i].blocks;
	struct access *accesses = calloc(count + 1, sizeof(*accesses));
	if (!accesses)
		return -ENOMEM;
	count = 0;
	for (size_t i = 0; i < history->op_count; i++)
		for (uint8_t index = 0; index < history->ops[i].blocks; index++)
			accesses[count++] =
			        (struct access){ .op = &history->ops[i], .index = index };
	qsort(accesses, count, sizeof(*accesses), by_block);
	*ret_accesses = accesses;
	*ret_count = count;
	return 0;
}

static bool same_block(const struct access *a, const struct access *b)
{
	return a->op->lun == b->op->lun && a->op->lba + a->index == b->op->lba + b->index;
}

static int check_block(struct block *block, const struct history *history, uint64_t age_ns)
{
	bool counter = false;
	for (size_t i = 0; i < block->count; i++)
		counter |= block->accesses[i].op->kind == OP_SWAP;
	int r = block_set_windows(block, history, age_ns);
	if (r == 0)
		r = block_make_clusters(block);
	if (r == 0)
		r = counter ? block_check_counter(block) : block_check_register(block);
	free(block->clusters);
	block->verdict->blocks++;
	block->verdict->counters += counter;
	return r;
}

int check_history(const struct history *history, uint64_t age_ns, struct verdict *ret_verdict,
                  struct error *err)
{
	AUTO_FREE struct access *accesses = NULL;
	size_t count, first = 0;
	int r = list_accesses(history, &accesses, &count);
	uint64_t origin = UINT64_MAX;
	for (size_t i = 0; i < history->op_count; i++)
		if (history->ops[i].start < origin)
			origin = history->ops[i].start;
	memset(ret_verdict, 0, sizeof(*ret_verdict));
	while (r == 0 && first < count) {
		size_t end = first + 1;
		while (end < count && same_block(&accesses[first], &accesses[end]))
			end++;
		struct block block = { .lun = accesses[first].op->lun,
			               .lba = accesses[first].op->lba + accesses[first].index,
			               .accesses = accesses + first,
			               .count = end - first,
			               .origin = origin,
			               .verdict = ret_verdict };
		r = check_block(&block, history, age_ns);
		if (r < 0)
			return error_set(err, r, "LUN %u block %" PRIu64 ": %s", block.lun,
			                 block.lba,
			                 r == -EINVAL ? "operations that share an id, or writes "
			                                "on a counter"
			                              : strerror(-r));
		first = end;
	}
	return r < 0 ? error_set(err, r, "%s", strerror(-r)) : 0;
}
