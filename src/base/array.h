/* Arrays that grow item by item. Their room is always a power of two, so nobody has to note it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

static inline void *array_grown(void *array, size_t count, size_t item_bytes)
{
	if (count & (count - 1)) /* not full yet */
		return array;
	return reallocarray(array, count ? 2 * count : 1, item_bytes);
}

/* Makes room for one item more than count in the array that *array points at (NULL: none yet);
 * free() it. False: no memory, and all is as it was. */
#define array_grow(array, count)                                                 \
	({                                                                       \
		void *grown_ = array_grown(*(array), (count), sizeof **(array)); \
		if (grown_)                                                      \
			*(array) = grown_;                                       \
		grown_ != NULL;                                                  \
	})
