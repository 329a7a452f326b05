#include "base/log.h"

#include "test.h"

#include <stdio.h>
#include <string.h>

/* What was written to stderr while the text stood there. */
static char *captured(void (*speak)(void))
{
	int kept = dup(STDERR_FILENO);
	FILE *file = tmpfile();
	ASSERT_NOT_NULL(file);
	(void)dup2(fileno(file), STDERR_FILENO);
	speak();
	(void)dup2(kept, STDERR_FILENO);
	close(kept);
	char *text = calloc(1, 4096);
	ASSERT_NOT_NULL(text);
	(void)fseek(file, 0, SEEK_SET);
	(void)!fread(text, 1, 4095, file);
	(void)fclose(file);
	return text;
}

static void speak_with_control_characters(void)
{
	log_setup(LOG_LEVEL_INFO, "debug");
	log_info("initiator \x1b[2J\nforged: line");
	log_debug("not shown");
}

TEST(a_line_cannot_be_forged_and_lower_levels_are_not_shown)
{
	AUTO_FREE char *text = captured(speak_with_control_characters);
	ASSERT_EQ(strncmp(text, "debug 2", 7), 0);
	ASSERT_NOT_NULL(strstr(text, "info program: initiator ?[2J?forged: line\n"));
	ASSERT_NULL(strstr(text, "not shown"));
}

static void speak_too_long(void)
{
	char text[3000];
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	log_error("%s", text);
}

TEST(a_long_line_is_cut_and_still_ends)
{
	AUTO_FREE char *text = captured(speak_too_long);
	ASSERT_TRUE(strlen(text) <= 1024);
	ASSERT_EQ(text[strlen(text) - 1], '\n');
}

TEST(a_limit_lets_one_through_and_counts_the_rest)
{
	struct log_limit limit = { 0 };
	unsigned suppressed = 99;
	ASSERT_TRUE(log_limit_pass(&limit, 1000000, &suppressed));
	ASSERT_EQ(suppressed, 0);
	ASSERT_FALSE(log_limit_pass(&limit, 1000000, &suppressed));
	ASSERT_FALSE(log_limit_pass(&limit, 1000000, &suppressed));
	limit.next_ms = 0;
	ASSERT_TRUE(log_limit_pass(&limit, 1000000, &suppressed));
	ASSERT_EQ(suppressed, 2);
}
