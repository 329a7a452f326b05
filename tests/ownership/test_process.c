#include "ownership/process.h"

#include "test.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

TEST(this_process_is_not_gone)
{
	AUTO_JSON json_t *own = process_describe();
	ASSERT_FALSE(process_is_gone(own));
}

TEST(a_process_is_gone_when_its_pid_is_nobodys_or_a_younger_ones_or_its_host_booted)
{
	static const struct {
		const char *name;
		json_int_t number; /* 0: text instead */
		const char *text;
		bool gone;
	} rows[] = {
		{ "boot", 0, "11111111-2222-3333-4444-555555555555", true },
		{ "start", 1, NULL, true },
		{ "machine", 0, "another", false },
		{ "space", 0, "pid:[1]", false },
		{ "boot", 0, "", false },
		{ "machine", 0, "", false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].name);
		AUTO_JSON json_t *process = process_describe();
		json_t *value =
		        rows[i].number ? json_integer(rows[i].number) : json_string(rows[i].text);
		ASSERT_EQ(json_object_set_new(process, rows[i].name, value), 0);
		ASSERT_EQ(process_is_gone(process), rows[i].gone);
	}
	ASSERT_FALSE(process_is_gone(NULL));
}

TEST(a_process_that_ended_is_gone)
{
	int ends[2];
	ASSERT_EQ(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		json_t *own = process_describe();
		char *text = own ? json_format(own, &json_style_compact) : NULL;
		ssize_t written = text ? write(ends[1], text, strlen(text)) : -1;
		(void)written;
		(void)pause();
		_exit(0);
	}
	ASSERT_TRUE(child > 0);
	char text[1024];
	ssize_t len = read(ends[0], text, sizeof text - 1);
	ASSERT_TRUE(len > 0);
	AUTO_JSON json_t *process = json_loadb(text, (size_t)len, 0, NULL);
	ASSERT_FALSE(process_is_gone(process));
	ASSERT_EQ(kill(child, SIGKILL), 0);
	ASSERT_EQ(waitpid(child, NULL, 0), child);
	ASSERT_TRUE(process_is_gone(process));
	close(ends[0]);
	close(ends[1]);
}
