/* The request that has been with the backend for longest, whoever asks and wherever it came from.
 */
#include "fixture.h"

static struct command a, b, c;

struct answer {
	unsigned count;
	struct lun_request oldest;
};

static void found(void *argument, const struct lun_request *oldest)
{
	struct answer *answer = argument;
	answer->count++;
	answer->oldest = *oldest;
}

static struct lun_request find(struct rig *rig)
{
	struct answer answer = { 0 };
	ASSERT_EQ(lun_find_oldest(rig->lun, rig->reactors[0], found, &answer), 0);
	ASSERT_EQ(answer.count, 0); /* never inside */
	rig_turn(rig);
	ASSERT_EQ(answer.count, 1);
	return answer.oldest;
}

/* Until the clock of the reactors has gone on. */
static void pass_time(struct rig *rig)
{
	uint64_t then_ms = clock_monotonic_ms();
	while (clock_monotonic_ms() <= then_ms + 1)
		rig_turn(rig);
	rig_turn(rig);
}

TEST(of_what_several_nexuses_have_in_the_backend_the_oldest_is_found)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	ASSERT_TRUE(!lun_has_requests(rig->lun));
	ASSERT_EQ(find(rig).since_ms, 0);
	rig->fake->hold = true;
	read_start(&a, rig->nexuses[1], 7, 2, 512);
	rig_turn(rig);
	pass_time(rig);
	read_start(&b, rig->nexuses[0], 30, 1, 512);
	write_start(&c, rig->nexuses[1], 50, 1, 512, NULL);
	rig_turn(rig);
	ASSERT_TRUE(lun_has_requests(rig->lun));
	struct lun_request first = find(rig);
	ASSERT_TRUE(first.since_ms > 0);
	ASSERT_EQ(first.offset, 7 * 512);
	ASSERT_EQ(first.length, 2 * 512);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	struct lun_request second = find(rig);
	ASSERT_TRUE(second.since_ms > first.since_ms);
	ASSERT_TRUE(second.offset == 30 * 512 || second.offset == 50 * 512);
	fake_complete(rig->fake, 0);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	ASSERT_EQ(a.done + b.done + c.done, 3);
	ASSERT_EQ(find(rig).since_ms, 0);
}

TEST(a_flush_has_no_place_that_could_be_read)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	rig->fake->hold = true;
	command_fill(&a, rig->nexuses[0], CDB(0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0);
	command_start(&a, NULL);
	rig_turn(rig);
	ASSERT_EQ(rig->fake->held_count, 1);
	ASSERT_EQ(find(rig).since_ms, 0);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	ASSERT_EQ(a.done, 1);
}
