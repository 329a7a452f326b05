#include "base/array.h"

#include "test.h"

static bool no_memory;

void *reallocarray(void *array, size_t count, size_t item_bytes)
{
	return no_memory ? NULL : realloc(array, count * item_bytes);
}

/* Nothing is touched that gcc may take for freed, if it could not grow. */
static void append(int **numbers, size_t *count, int number)
{
	bool grown = array_grow(numbers, *count);
	ASSERT_TRUE(grown);
	if (grown)
		(*numbers)[(*count)++] = number;
}

TEST(an_array_grows_and_keeps_what_is_in_it)
{
	int *numbers = NULL;
	size_t count = 0;
	for (int i = 0; i < 100; i++)
		append(&numbers, &count, i);
	count = 10; /* the others are taken out */
	for (int i = 10; i < 100; i++)
		append(&numbers, &count, -i);
	for (int i = 0; i < 100; i++)
		ASSERT_EQ(numbers[i], i < 10 ? i : -i);
	free(numbers);
}

TEST(an_array_for_which_there_is_no_memory_stays_as_it_is)
{
	int *numbers = NULL;
	ASSERT_TRUE(array_grow(&numbers, 0));
	numbers[0] = 7;
	const int *before = numbers;
	no_memory = true;
	ASSERT_FALSE(array_grow(&numbers, 1));
	no_memory = false;
	ASSERT_TRUE(numbers == before);
	ASSERT_EQ(numbers[0], 7);
	free(numbers);
}
