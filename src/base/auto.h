/* Locals that clean up after themselves: AUTO(noun) frees with noun_free at the end of the scope,
 * steal() hands the object on. */
#pragma once

#include <stdlib.h>
#include <unistd.h>

/* Declares what AUTO(noun) needs; noun_free must take NULL. Put it below noun_free's prototype. */
#define DEFINE_AUTO(noun)                                         \
	static inline void noun##_auto_free(struct noun **object) \
	{                                                         \
		noun##_free(*object);                             \
	}                                                         \
	struct noun

#define AUTO(noun) __attribute__((cleanup(noun##_auto_free)))

static inline void auto_free_memory(void *pointer)
{
	free(*(void **)pointer);
}
static inline void auto_close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define AUTO_FREE  __attribute__((cleanup(auto_free_memory)))
#define AUTO_CLOSE __attribute__((cleanup(auto_close_fd)))

#define steal(pointer)                                       \
	({                                                   \
		__typeof__(*(pointer)) stolen_ = *(pointer); \
		*(pointer) = NULL;                           \
		stolen_;                                     \
	})

#define container_of(pointer, type, member) \
	((type *)((char *)(pointer) - __builtin_offsetof(type, member)))

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#define MUST_CHECK                   __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, arguments) __attribute__((format(printf, text, arguments)))
