/* The main of every unit test: runs what TEST() registered, in order of the source. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct test_case *first, **last = &first;
static unsigned test_count;

void test_register(struct test_case *test)
{
	*last = test;
	last = &test->next;
	test_count++;
}

char *test_read_file(const char *name, size_t *ret_len)
{
	char path[1024];
	(void)snprintf(path, sizeof path, "%s/%s", TESTS_SOURCE, name);
	FILE *file = fopen(path, "rb");
	if (!file)
		fail_msg("%s: %s", path, strerror(errno));
	(void)fseek(file, 0, SEEK_END);
	long len = ftell(file);
	(void)fseek(file, 0, SEEK_SET);
	assert_true(len >= 0);
	char *text = malloc((size_t)len + 1);
	assert_non_null(text);
	assert_int_equal(fread(text, 1, (size_t)len, file), len);
	text[len] = '\0';
	(void)fclose(file);
	if (ret_len)
		*ret_len = (size_t)len;
	return text;
}

static char folder[] = "/tmp/rbdgate-test-XXXXXX";
static int folder_made;

static void remove_folder(void)
{
	char command[64];
	(void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
	if (system(command) != 0)
		(void)fprintf(stderr, "could not remove %s\n", folder);
}

const char *test_folder(void)
{
	if (!folder_made) {
		assert_non_null(mkdtemp(folder));
		folder_made = 1;
		(void)atexit(remove_folder);
	}
	return folder;
}

int main(int argc, char **argv)
{
	struct CMUnitTest *tests = calloc(test_count, sizeof *tests);
	if (!tests)
		return 1;
	size_t count = 0;
	for (struct test_case *test = first; test; test = test->next) {
		if (argc > 1 && !strstr(test->name, argv[1]))
			continue;
		tests[count++] = (struct CMUnitTest){ .name = test->name, .test_func = test->run };
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	int failed = _cmocka_run_group_tests("tests", tests, count, NULL, NULL);
	free(tests);
	return failed ? 1 : 0;
}
