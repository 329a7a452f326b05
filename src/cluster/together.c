/* See together.h. */
#include "cluster/together.h"

#include "base/reactor.h"

void together_init(struct together *together)
{
	*together = (struct together){ 0 };
	(void)pthread_mutex_init(&together->lock, NULL);
	(void)pthread_cond_init(&together->answered, NULL);
}

void together_done(struct together *together)
{
	(void)pthread_cond_destroy(&together->answered);
	(void)pthread_mutex_destroy(&together->lock);
}

int together_ask_since(struct together *together, uint64_t since_ms, int (*ask)(void *argument),
                       void *argument)
{
	(void)pthread_mutex_lock(&together->lock);
	uint64_t wanted = together->begun + 1;
	while (together->ended < wanted && together->good_ms <= since_ms) {
		if (together->begun != together->ended) {
			(void)pthread_cond_wait(&together->answered, &together->lock);
			continue;
		}
		together->begun++;
		together->begun_ms = clock_monotonic_ms();
		(void)pthread_mutex_unlock(&together->lock);
		int result = ask(argument);
		(void)pthread_mutex_lock(&together->lock);
		together->result = result;
		together->ended = together->begun;
		if (result == 0)
			together->good_ms = together->begun_ms;
		(void)pthread_cond_broadcast(&together->answered);
	}
	int result = together->good_ms > since_ms ? 0 : together->result;
	(void)pthread_mutex_unlock(&together->lock);
	return result;
}

int together_ask(struct together *together, int (*ask)(void *argument), void *argument)
{
	return together_ask_since(together, UINT64_MAX, ask, argument);
}
