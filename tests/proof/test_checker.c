/* The checker finds what it is there to find: each kind of violation planted in a small history,
 * the same history without it, and random histories judged by a search through all orders too. */
#include "checker.h"
#include "test.h"

#include <string.h>

#define AGE_NS 50ul

/* Adds an operation on block 100 of LUN 0; times are small numbers. */
static struct op *add(struct history *history, enum op_kind kind, uint64_t id, uint64_t start,
                      uint64_t end, enum op_outcome outcome, uint64_t value)
{
	struct op op = { .id = id,
		         .kind = (uint8_t)kind,
		         .start = start,
		         .end = end,
		         .outcome = (uint8_t)outcome,
		         .lba = 100,
		         .blocks = 1,
		         .initiator = 1 };
	if (kind == OP_SWAP)
		op.expected = value;
	op.values[0] = value;
	assert_int_equal(history_add(history, &op), 0);
	return &history->ops[history->op_count - 1];
}
static struct op *add_write(struct history *history, uint64_t id, uint64_t start, uint64_t end)
{
	return add(history, OP_WRITE, id, start, end, OUTCOME_OK, 0);
}
static struct op *add_read(struct history *history, uint64_t value, uint64_t start, uint64_t end)
{
	return add(history, OP_READ, 1000 + history->op_count, start, end, OUTCOME_OK, value);
}
static struct op *add_swap(struct history *history, uint64_t expected, uint64_t id, uint64_t start,
                           uint64_t end)
{
	return add(history, OP_SWAP, id, start, end, OUTCOME_OK, expected);
}

static struct verdict check(const struct history *history)
{
	struct verdict verdict;
	struct error err;
	assert_int_equal(check_history(history, AGE_NS, &verdict, &err), 0);
	return verdict;
}
static void expect_violation(const struct history *history, const char *kind)
{
	struct verdict verdict = check(history);
	if (!verdict.violation_count)
		fail_msg("no violation, expected: %s", kind);
	if (verdict.violations[0].kind != kind)
		fail_msg("expected %s, got %s: %s", kind, verdict.violations[0].kind,
		         verdict.violations[0].text);
}
static void expect_none(const struct history *history)
{
	struct verdict verdict = check(history);
	if (verdict.violation_count)
		fail_msg("%s: %s", verdict.violations[0].kind, verdict.violations[0].text);
}

TEST(what_was_written_is_read_until_something_else_is)
{
	AUTO_HISTORY struct history h = { 0 };
	add_read(&h, 0, 1, 2);
	add_write(&h, 1, 3, 4);
	add_read(&h, 1, 5, 6);
	add_write(&h, 2, 7, 12);
	add_read(&h, 1, 8, 9);
	add_read(&h, 2, 10, 11);
	add_read(&h, 2, 13, 14);
	expect_none(&h);
}

TEST(a_lost_write_is_found)
{
	AUTO_HISTORY struct history h = { 0 };
	add_write(&h, 1, 1, 2);
	add_write(&h, 2, 3, 4);
	add_read(&h, 1, 5, 6);
	expect_violation(&h, violation_order);
}

TEST(a_lost_first_write_is_found)
{
	AUTO_HISTORY struct history h = { 0 };
	add_write(&h, 1, 1, 2);
	add_read(&h, 0, 3, 4);
	expect_violation(&h, violation_order);
}

TEST(a_stale_read_is_found)
{
	AUTO_HISTORY struct history h = { 0 };
	add_write(&h, 1, 1, 2);
	add_write(&h, 2, 3, 10);
	add_read(&h, 2, 4, 5);
	add_read(&h, 1, 6, 7);
	expect_violation(&h, violation_order);
}

TEST(an_old_write_that_comes_back_is_found)
{
	AUTO_HISTORY struct history h = { 0 };
	add_write(&h, 1, 1, 2);
	add_write(&h, 2, 3, 4);
	add_read(&h, 2, 5, 6);
	add_read(&h, 1, 7, 8);
	expect_violation(&h, violation_order);
}

TEST(a_write_that_is_executed_twice_with_another_in_between_is_found)
{
	AUTO_HISTORY struct history h = { 0 };
	add_write(&h, 1, 1, 20);
	add_read(&h, 1, 2, 3);
	add_write(&h, 2, 4, 5);
	add_read(&h, 2, 6, 7);
	add_read(&h, 1, 8, 9);
	expect_violation(&h, violation_order);
}

TEST(an_unanswered_write_may_have_happened_or_not)
{
	AUTO_HISTORY struct history h = { 0 };
	add_write(&h, 1, 1, 2);
	add(&h, OP_WRITE, 2, 3, 5, OUTCOME_LOST, 0);
	add_read(&h, 1, 6, 7);
	expect_none(&h);
	add_read(&h, 2, 8, 9);
	expect_none(&h);
	add_read(&h, 1, 10, 11);
	expect_violation(&h, violation_order);
}

TEST(an_abandoned_write_that_lands_late_is_found)
{
	AUTO_HISTORY struct history h = { 0 };
	add_write(&h, 1, 1, 2);
	add(&h, OP_WRITE, 2, 3, 10, OUTCOME_LOST, 0);
	/* It is old when this is sent: what is not there at the answer never will be. */
	add_read(&h, 1, 3 + AGE_NS, 5 + AGE_NS);
	expect_none(&h);
	add_read(&h, 1, 6 + AGE_NS, 7 + AGE_NS);
	expect_none(&h);
	add_read(&h, 2, 60 + AGE_NS, 70 + AGE_NS);
	expect_violation(&h, violation_order);
}

TEST(a_write_answered_maybe_happens_before_the_answer_or_never)
{
	AUTO_HISTORY struct history h = { 0 };
	add(&h, OP_WRITE, 1, 1, 3, OUTCOME_MAYBE, 0);
	add_read(&h, 0, 4, 5);
	expect_none(&h);
	add_read(&h, 1, 6, 7);
	expect_violation(&h, violation_order);
}

TEST(a_refused_write_that_took_effect_is_found)
{
	AUTO_HISTORY struct history h = { 0 };
	add(&h, OP_WRITE, 1, 1, 3, OUTCOME_NEVER, 0);
	add_read(&h, 1, 6, 7);
	expect_violation(&h, violation_phantom);
}

TEST(a_value_before_its_write_is_found)
{
	AUTO_HISTORY struct history h = { 0 };
	add_read(&h, 1, 1, 2);
	add_write(&h, 1, 3, 4);
	expect_violation(&h, violation_future);
}

TEST(torn_and_unknown_values_are_found)
{
	AUTO_HISTORY struct history h = { 0 };
	add_write(&h, 1, 1, 2);
	add_read(&h, 1, 3, 4)->values[0] = VALUE_TORN;
	expect_violation(&h, violation_torn);
	h.ops[1].values[0] = VALUE_ALIEN;
	expect_violation(&h, violation_unknown_value);
	h.ops[1].values[0] = 77;
	expect_violation(&h, violation_unknown_value);
}

TEST(blocks_of_one_write_are_judged_alone)
{
	AUTO_HISTORY struct history h = { 0 };
	add_write(&h, 1, 1, 9)->blocks = 2;
	struct op *read = add_read(&h, 1, 2, 3);
	read->blocks = 2;
	read->values[1] = 0;
	expect_none(&h);
	h.ops[0].end = 2;
	h.ops[1].start = 3;
	h.ops[1].end = 4;
	expect_violation(&h, violation_order);
	ASSERT_EQ(check(&h).violations[0].lba, 101);
}

TEST(a_counter_counts)
{
	AUTO_HISTORY struct history h = { 0 };
	add_swap(&h, 0, 1, 1, 5);
	add(&h, OP_SWAP, 2, 2, 6, OUTCOME_DIFFERS, 0);
	add_swap(&h, 1, 3, 7, 9);
	add_read(&h, 3, 8, 10);
	expect_none(&h);
	ASSERT_EQ(check(&h).counters, 1);
}

TEST(an_unanswered_increment_counts_if_another_follows_it)
{
	AUTO_HISTORY struct history h = { 0 };
	add(&h, OP_SWAP, 1, 1, 2, OUTCOME_LOST, 0);
	add_swap(&h, 1, 2, 5, 6);
	expect_none(&h);
	/* Then nothing else can have followed what it followed. */
	add_swap(&h, 0, 3, 8, 9);
	expect_violation(&h, violation_two_steps);
}

TEST(a_lost_increment_is_found)
{
	AUTO_HISTORY struct history h = { 0 };
	add_swap(&h, 0, 1, 1, 5);
	add_swap(&h, 0, 2, 2, 6);
	expect_violation(&h, violation_two_steps);
}

TEST(an_increment_that_is_gone_at_the_end_is_found)
{
	AUTO_HISTORY struct history h = { 0 };
	add_swap(&h, 0, 1, 1, 2);
	add_swap(&h, 1, 2, 3, 4);
	add_read(&h, 1, 5, 6);
	expect_violation(&h, violation_order);
}

TEST(a_swap_executed_twice_is_answered_miscompare_although_it_counted)
{
	AUTO_HISTORY struct history h = { 0 };
	add_swap(&h, 0, 1, 1, 2);
	add(&h, OP_SWAP, 2, 3, 4, OUTCOME_DIFFERS, 1);
	add_read(&h, 2, 5, 6);
	expect_violation(&h, violation_phantom);
}

TEST(a_miscompare_without_reason_is_found)
{
	AUTO_HISTORY struct history h = { 0 };
	add_swap(&h, 0, 1, 1, 2);
	add(&h, OP_SWAP, 2, 3, 4, OUTCOME_DIFFERS, 1);
	add_read(&h, 1, 5, 6);
	expect_violation(&h, violation_miscompare);
}

static void add_victims_write(struct history *h, uint64_t id, uint64_t start, uint64_t end,
                              enum op_outcome outcome)
{
	add(h, OP_WRITE, id, start, end, outcome, 0)->initiator = 2;
}

TEST(a_victims_write_in_flight_may_land_before_the_fence)
{
	AUTO_HISTORY struct history h = { 0 };
	add_write(&h, 1, 1, 2);
	add_victims_write(&h, 2, 3, 20, OUTCOME_LOST);
	assert_int_equal(history_add_fence(&h, &(struct fence){ 2, 0, 10, 200 }), 0);
	add_read(&h, 2, 11, 12);
	expect_none(&h);
}

TEST(a_victims_write_after_the_preempt_is_found)
{
	AUTO_HISTORY struct history h = { 0 };
	add_write(&h, 1, 1, 2);
	add_victims_write(&h, 2, 3, 20, OUTCOME_OK);
	assert_int_equal(history_add_fence(&h, &(struct fence){ 2, 0, 10, 200 }), 0);
	add_read(&h, 1, 11, 12);
	add_read(&h, 2, 13, 14);
	expect_violation(&h, violation_order);
}

TEST(a_fenced_initiators_write_that_is_answered_good_is_found)
{
	AUTO_HISTORY struct history h = { 0 };
	add_victims_write(&h, 2, 13, 20, OUTCOME_OK);
	assert_int_equal(history_add_fence(&h, &(struct fence){ 2, 0, 10, 200 }), 0);
	expect_violation(&h, violation_fenced);
	h.fences[0].end = 15; /* it may register again, and then write */
	expect_none(&h);
}

TEST(a_mixed_block_and_a_double_id_are_refused)
{
	AUTO_HISTORY struct history h = { 0 };
	struct verdict verdict;
	struct error err;
	add_swap(&h, 0, 1, 1, 2);
	add_write(&h, 2, 3, 4);
	ASSERT_EQ(check_history(&h, AGE_NS, &verdict, &err), -22);
	h.ops[1].kind = OP_SWAP;
	h.ops[1].id = 1;
	ASSERT_EQ(check_history(&h, AGE_NS, &verdict, &err), -22);
}

/* ---- against a search through all orders ---- */

#define SEARCH_MAX 9

struct search {
	const struct op *ops[SEARCH_MAX];
	size_t count;
};

static bool is_sure(const struct op *op)
{
	return op->outcome == OUTCOME_OK;
}

/* Can the operations that are not in `done` follow, the value being `value`? */
static bool order_exists(const struct search *search, unsigned done, uint64_t value)
{
	bool left = false;
	for (size_t i = 0; i < search->count; i++)
		left |= !(done & 1u << i) && is_sure(search->ops[i]);
	if (!left)
		return true;
	for (size_t i = 0; i < search->count; i++) {
		const struct op *op = search->ops[i];
		unsigned after = done | 1u << i;
		bool possible = !(done & 1u << i);
		if (op->kind == OP_READ && op->values[0] != value)
			possible = false;
		if (op->kind == OP_SWAP && op->expected != value)
			possible = false;
		for (size_t j = 0; possible && j < search->count; j++) {
			const struct op *other = search->ops[j];
			if (done & 1u << j || other->end >= op->start)
				continue;
			if (is_sure(other))
				possible = false; /* must have come first */
			else
				after |= 1u << j; /* has not happened, and will not */
		}
		if (possible && order_exists(search, after, op->kind == OP_READ ? value : op->id))
			return true;
	}
	return false;
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Operations with random windows; reads and swaps name values that exist. */
static void add_random(struct history *h, uint32_t *seed, bool swaps)
{
	unsigned writes = 1 + next_random(seed) % 4, reads = next_random(seed) % 5;
	for (unsigned i = 0; i < writes + reads; i++) {
		uint64_t start = 1 + next_random(seed) % 24,
		         end = start + 1 + next_random(seed) % 8;
		if (i >= writes) {
			add_read(h, next_random(seed) % (writes + 1), start, end);
			continue;
		}
		bool sure = next_random(seed) % 4;
		uint64_t expected = next_random(seed) % 3 ? i : next_random(seed) % (writes + 1);
		if (expected == i + 1)
			expected = 0; /* a swap does not replace itself */
		add(h, swaps ? OP_SWAP : OP_WRITE, i + 1, start, end,
		    sure ? OUTCOME_OK : OUTCOME_MAYBE, expected);
	}
}

static void compare_with_search(bool swaps, unsigned rounds, unsigned *ret_possible)
{
	uint32_t seed = swaps ? 11 : 7;
	*ret_possible = 0;
	for (unsigned round = 0; round < rounds; round++) {
		AUTO_HISTORY struct history h = { 0 };
		struct search search = { .count = 0 };
		add_random(&h, &seed, swaps);
		for (size_t i = 0; i < h.op_count; i++)
			search.ops[search.count++] = &h.ops[i];
		bool possible = order_exists(&search, 0, 0);
		struct verdict verdict = check(&h);
		*ret_possible += possible;
		if (possible == !verdict.violation_count)
			continue;
		for (size_t i = 0; i < h.op_count; i++)
			history_write_op(stderr, &h.ops[i]);
		fail_msg("round %u: possible %d, but the checker says: %s", round, possible,
		         verdict.violations[0].text);
	}
}

TEST(random_registers_are_judged_as_a_search_through_all_orders_does)
{
	unsigned possible;
	compare_with_search(false, 40000, &possible);
	assert_in_range(possible, 4000, 36000);
}

TEST(random_counters_are_judged_as_a_search_through_all_orders_does)
{
	unsigned possible;
	compare_with_search(true, 40000, &possible);
	assert_in_range(possible, 2000, 38000);
}
