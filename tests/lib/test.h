/* Unit tests: TEST(name_as_a_sentence) { ... }, registered by itself, run by cmocka, TAP on stdout.
 * A failure prints both values. Link with test_lib; no main needed. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/auto.h"

struct test_case {
	const char *name;
	void (*run)(void **state);
	struct test_case *next;
};
void test_register(struct test_case *test);

#define TEST(test_name)                                                              \
	static void test_name(void **state);                                         \
	__attribute__((constructor)) static void test_name##_register(void)          \
	{                                                                            \
		static struct test_case test_case = { #test_name, test_name, NULL }; \
		test_register(&test_case);                                           \
	}                                                                            \
	static void test_name(__attribute__((unused)) void **state)

#define ASSERT_TRUE(condition)   assert_true(condition)
#define ASSERT_FALSE(condition)  assert_false(condition)
#define ASSERT_EQ(a, b)          assert_int_equal((a), (b))
#define ASSERT_NE(a, b)          assert_int_not_equal((a), (b))
#define ASSERT_STR_EQ(a, b)      assert_string_equal((a), (b))
#define ASSERT_MEM_EQ(a, b, len) assert_memory_equal((a), (b), (len))
#define ASSERT_NULL(pointer)     assert_null(pointer)
#define ASSERT_NOT_NULL(pointer) assert_non_null(pointer)
/* Say which row of a table fails: call before the asserts of the row. */
#define TEST_ROW(...) print_message("# row: " __VA_ARGS__), print_message("\n")

/* The whole of a file below tests/, NUL terminated, free() it; fails the test if it is not there.
 */
char *test_read_file(const char *name, size_t *ret_len);
/* A folder of this test's own, removed at exit. Borrowed. */
const char *test_folder(void);
