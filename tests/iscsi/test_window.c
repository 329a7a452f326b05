/* Command numbering: what is taken, held, ignored, and how the window opens. */
#include "iscsi/window.h"

#include "test.h"

TEST(numbers_are_judged_against_the_window_across_the_wrap)
{
	static const struct {
		uint32_t first, depth, cmd_sn;
		enum window_verdict verdict;
	} rows[] = {
		{ 10, 4, 10, WINDOW_TAKE },          { 10, 4, 11, WINDOW_HOLD },
		{ 10, 4, 13, WINDOW_HOLD },          { 10, 4, 14, WINDOW_IGNORE },
		{ 10, 4, 9, WINDOW_IGNORE },         { 0xfffffffe, 4, 0xfffffffe, WINDOW_TAKE },
		{ 0xfffffffe, 4, 1, WINDOW_HOLD },   { 0xfffffffe, 4, 2, WINDOW_IGNORE },
		{ 0, 1, 0xffffffff, WINDOW_IGNORE },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct command_window window;
		TEST_ROW("%zu", i);
		window_init(&window, rows[i].first, rows[i].depth);
		ASSERT_EQ(window_check(&window, rows[i].cmd_sn), rows[i].verdict);
	}
}

TEST(the_window_closes_with_commands_in_flight_and_opens_with_answers)
{
	struct command_window window;
	window_init(&window, 0xffffffff, 2);
	window_take(&window);
	window_take(&window);
	window_advance(&window, 2);
	ASSERT_EQ(window_check(&window, window.exp_cmd_sn), WINDOW_IGNORE);
	window_give_back(&window);
	window_advance(&window, 2);
	ASSERT_EQ(window_check(&window, window.exp_cmd_sn), WINDOW_TAKE);
	ASSERT_EQ(window.max_cmd_sn, window.exp_cmd_sn);
}

TEST(a_smaller_depth_never_takes_back_what_was_given)
{
	struct command_window window;
	window_init(&window, 100, 64);
	window_advance(&window, 1);
	ASSERT_EQ(window.max_cmd_sn, 163);
	for (unsigned i = 0; i < 64; i++) {
		window_take(&window);
		window_give_back(&window);
		window_advance(&window, 1);
	}
	ASSERT_EQ(window.exp_cmd_sn, 164);
	ASSERT_EQ(window.max_cmd_sn, 164);
}
