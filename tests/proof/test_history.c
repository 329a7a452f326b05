/* What the driver writes, the checker reads; what nobody writes is refused with its line. */
#include "history.h"
#include "test.h"

#include <string.h>

static int read_text(const char *text, struct history *h, struct error *err)
{
	FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	assert_non_null(file);
	int r = history_read(file, h, err);
	fclose(file);
	return r;
}

TEST(a_written_history_reads_back_the_same)
{
	char text[4096] = "";
	struct op read = { .id = 9,
		           .initiator = 3,
		           .path = 1,
		           .lun = 2,
		           .kind = OP_READ,
		           .lba = 4000000000,
		           .blocks = 3,
		           .start = 10,
		           .end = 20,
		           .values = { 7, VALUE_TORN, VALUE_ALIEN } };
	struct op swap = {
		.id = 10, .kind = OP_SWAP, .blocks = 1, .outcome = OUTCOME_LOST, .expected = 9
	};
	struct op same = read;
	same.values[1] = same.values[2] = 7;
	FILE *file = fmemopen(text, sizeof(text), "w");
	history_write_op(file, &read);
	history_write_mark(file, 15, "killed gateway 2");
	history_write_op(file, &swap);
	history_write_fence(file, 1, 5, true, 30);
	history_write_fence(file, 1, 5, false, 40);
	history_write_op(file, &same);
	fclose(file);

	AUTO_HISTORY struct history h = { 0 };
	struct error err;
	ASSERT_EQ(read_text(text, &h, &err), 0);
	ASSERT_EQ(h.op_count, 3);
	ASSERT_MEM_EQ(&h.ops[0], &read, sizeof(read));
	ASSERT_MEM_EQ(&h.ops[1], &swap, sizeof(swap));
	ASSERT_MEM_EQ(&h.ops[2], &same, sizeof(same));
	ASSERT_EQ(h.fence_count, 1);
	ASSERT_EQ(h.fences[0].start, 30);
	ASSERT_EQ(h.fences[0].end, 40);
	ASSERT_EQ(h.mark_count, 1);
	ASSERT_STR_EQ(h.marks[0].text, "killed gateway 2");
}

TEST(what_is_no_history_is_refused)
{
	static const char *const texts[] = {
		"op",
		"nonsense 1",
		"op 1 1 0 0 write 0 1 5",
		"op 0 1 0 0 write 0 1 5 6 ok",
		"op 1 1 0 0 write 0 1 6 5 ok",
		"op 1 1 0 0 write 0 9 5 6 ok",
		"op 1 1 0 0 write 0 0 5 6 ok",
		"op 1 1 0 0 erase 0 1 5 6 ok",
		"op 1 1 0 0 write 0 1 5 6 perhaps",
		"op 1 1 0 0 write 0 1 5 6 ok 7",
		"op 1 1 0 0 read 0 1 5 6 ok",
		"op 1 1 0 0 read 0 3 5 6 ok 1 2",
		"op 1 1 0 0 swap 0 1 5 6 ok",
		"fence 0 1",
		"mark x",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		AUTO_HISTORY struct history h = { 0 };
		struct error err;
		TEST_ROW("%s", texts[i]);
		ASSERT_EQ(read_text(texts[i], &h, &err), -22);
		ASSERT_NOT_NULL(strstr(err.text, "line 1"));
	}
}
