/* What is read ahead of many takes, and whom it is told to. All that ahead.c calls is the test's.
 */
#include "target/ahead.h"

#include "store/store.h"
#include "target/disk_set.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DISKS 20
#define DEAD  "00000000000000cc"

static struct owner_record records[DISKS];
static const char *told[DISKS];
static char texts[DISKS][32];
static unsigned questions, ends;
static int answer;
static struct job *waiting;

/* A disk is here only the address of its record. */
static size_t number_of(const struct disk *disk)
{
	return (size_t)((const struct owner_record *)(const void *)disk - records);
}

struct disk *disk_set_at(const struct disk_set *set, size_t i)
{
	return (struct disk *)(void *)&records[i];
}

struct disk *disk_set_find(const struct disk_set *set, const char *name)
{
	unsigned number;
	return sscanf(name, "rbd/%u", &number) == 1 && number < DISKS ? disk_set_at(set, number)
	                                                              : NULL;
}

const struct owner_record *disk_record(const struct disk *disk)
{
	return &records[number_of(disk)];
}

void disk_told_reservations(struct disk *disk, const char *text)
{
	size_t number = number_of(disk);
	(void)snprintf(texts[number], sizeof texts[number], "%s", text);
	told[number] = texts[number];
}

int store_list_rows(struct store *store, const char *prefix,
                    void (*visit)(void *argument, const char *key, const char *text),
                    void *argument, struct error *err)
{
	ASSERT_STR_EQ(prefix, "reservation/");
	questions++;
	for (unsigned i = 0; i <= DISKS; i++) { /* the last one is of no disk here */
		char key[32], text[32];
		(void)snprintf(key, sizeof key, "reservation/rbd/%u", i);
		(void)snprintf(text, sizeof text, "row %u", i);
		visit(argument, key, text);
	}
	return answer;
}

void job_queue_submit_first(struct job_queue *queue, struct job *job)
{
	waiting = job;
}

static void run_job(void)
{
	struct job *job = steal(&waiting);
	job->work(job);
	job->done(job);
}

static void count_end(struct ahead *ahead)
{
	ASSERT_FALSE(ahead->busy);
	ends++;
}

static struct plan plan = { .disk_count = DISKS };
static struct disk_set set = { .plan = &plan };

static struct ahead dead_has(unsigned luns)
{
	memset(told, 0, sizeof told);
	questions = ends = 0;
	answer = 0;
	for (unsigned i = 0; i < DISKS; i++)
		(void)snprintf(records[i].instance, sizeof records[i].instance, "%s",
		               i < luns ? DEAD : "00000000000000bb");
	return (struct ahead){ .disks = &set, .ended = count_end };
}

TEST(the_rows_of_many_luns_are_read_at_once_and_told_to_those_of_the_dead_owner)
{
	struct ahead ahead = dead_has(DISKS - 3);
	ahead_read(&ahead, DEAD);
	ASSERT_TRUE(ahead.busy);
	ahead_read(&ahead, DEAD); /* once at a time */
	run_job();
	ASSERT_NULL(waiting);
	ASSERT_EQ(questions, 1);
	ASSERT_EQ(ends, 1);
	for (unsigned i = 0; i < DISKS; i++) {
		TEST_ROW("%u", i);
		ASSERT_EQ(told[i] != NULL, i < DISKS - 3);
	}
	ASSERT_STR_EQ(told[7], "row 7");
}

TEST(a_few_ask_for_themselves)
{
	struct ahead ahead = dead_has(2);
	ahead_read(&ahead, DEAD);
	ASSERT_NULL(waiting);
	ASSERT_FALSE(ahead.busy);
}

TEST(nothing_is_told_when_the_gateway_stops_meanwhile)
{
	struct ahead ahead = dead_has(DISKS);
	ahead_read(&ahead, DEAD);
	ahead.unwanted = true;
	run_job();
	ASSERT_EQ(ends, 1);
	ASSERT_NULL(told[0]);
}

TEST(what_was_read_before_a_failure_is_a_guess_like_any_other)
{
	struct ahead ahead = dead_has(DISKS);
	answer = -EIO;
	ahead_read(&ahead, DEAD);
	run_job();
	ASSERT_EQ(ends, 1);
	ASSERT_STR_EQ(told[0], "row 0");
}
