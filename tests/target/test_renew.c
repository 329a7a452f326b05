/* A process starts anew in place while its threads do what they do. */
#include "target/renew.h"

#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS  20
#define RENEWED 77

/* The new life of a child ends here. */
static void __attribute__((constructor)) end_if_renewed(void)
{
	if (renewed_from())
		_exit(RENEWED);
}

static atomic_uint begun;

static void *begin(void *argument)
{
	atomic_fetch_add(&begun, 1);
	return NULL;
}

/* As librados starts its own. */
static void *start_threads(void *argument)
{
	for (;;) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, begin, NULL) != 0)
			abort();
		(void)pthread_join(thread, NULL);
	}
	return NULL;
}

static void __attribute__((noreturn)) child(void)
{
	pthread_t threads[2];
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		if (pthread_create(&threads[i], NULL, start_threads, NULL) != 0)
			_exit(1);
	}
	while (atomic_load(&begun) < 2 * ARRAY_LEN(threads))
		(void)sched_yield();
	renew("instance");
}

TEST(a_library_that_aborts_for_want_of_threads_does_not_end_it)
{
	for (int round = 0; round < ROUNDS; round++) {
		int status = 0;
		pid_t pid = fork();
		ASSERT_TRUE(pid >= 0);
		if (pid == 0)
			child();
		ASSERT_EQ(waitpid(pid, &status, 0), pid);
		ASSERT_TRUE(WIFEXITED(status));
		ASSERT_EQ(WEXITSTATUS(status), RENEWED);
	}
}
