/* Telling all watchers and learning who they are: each acknowledges with its gateway's name. */
#include "store/rados.h"

#include "base/cond.h"
#include "base/reactor.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define GRACE_MS 2000 /* for the cluster to end a notification whose time is over */

/* Shared by the caller and the completion; the last one frees it, so that a hung cluster holds up
 * nobody. */
struct notice {
	pthread_mutex_t mutex;
	pthread_cond_t done;
	rados_ioctx_t pool;
	rados_completion_t completion;
	char *reply;
	size_t reply_len;
	int result;
	bool finished;
	unsigned users; /* under mutex */
};

static void notice_put(struct notice *notice)
{
	(void)pthread_mutex_lock(&notice->mutex);
	bool last = --notice->users == 0;
	(void)pthread_mutex_unlock(&notice->mutex);
	if (!last)
		return;
	if (notice->reply)
		rados_buffer_free(notice->reply);
	if (notice->completion)
		rados_aio_release(notice->completion);
	if (notice->pool)
		cluster_pool_close(notice->pool);
	(void)pthread_cond_destroy(&notice->done);
	(void)pthread_mutex_destroy(&notice->mutex);
	free(notice);
}

static struct notice *notice_new(void)
{
	struct notice *notice = calloc(1, sizeof *notice);
	if (!notice)
		return NULL;
	cond_init_monotonic(&notice->done);
	(void)pthread_mutex_init(&notice->mutex, NULL);
	notice->users = 1;
	return notice;
}

static void notice_done(rados_completion_t completion, void *argument)
{
	struct notice *notice = argument;
	(void)pthread_mutex_lock(&notice->mutex);
	notice->result = rados_aio_get_return_value(completion);
	notice->finished = true;
	(void)pthread_cond_signal(&notice->done);
	(void)pthread_mutex_unlock(&notice->mutex);
	notice_put(notice);
}

static bool notice_wait(struct notice *notice, unsigned timeout_ms)
{
	const uint64_t until_ms = clock_monotonic_ms() + timeout_ms;
	bool in_time = true;
	(void)pthread_mutex_lock(&notice->mutex);
	while (!notice->finished && in_time)
		in_time = cond_wait_until(&notice->done, &notice->mutex, until_ms);
	bool finished = notice->finished;
	(void)pthread_mutex_unlock(&notice->mutex);
	return finished;
}

void rados_watchers_done(struct rados_watchers *watchers)
{
	for (size_t i = 0; i < watchers->count; i++)
		free(watchers->list[i].gateway);
	free(watchers->list);
	*watchers = (struct rados_watchers){ 0 };
}

static int take_watchers(const struct notify_ack_t *acks, size_t ack_count,
                         const struct notify_timeout_t *timeouts, size_t timeout_count,
                         struct rados_watchers *ret_watchers)
{
	struct rados_watchers watchers = { 0 };
	watchers.list = calloc(ack_count + timeout_count + 1, sizeof *watchers.list);
	if (!watchers.list)
		return -ENOMEM;
	for (size_t i = 0; i < ack_count; i++) {
		struct rados_watcher *watcher = &watchers.list[watchers.count++];
		watcher->client = acks[i].notifier_id;
		watcher->cookie = acks[i].cookie;
		watcher->gateway = text_from_bytes(acks[i].payload, acks[i].payload_len);
		if (!watcher->gateway) {
			rados_watchers_done(&watchers);
			return -ENOMEM;
		}
	}
	for (size_t i = 0; i < timeout_count; i++)
		watchers.list[watchers.count++] =
		        (struct rados_watcher){ timeouts[i].notifier_id, timeouts[i].cookie, NULL };
	*ret_watchers = watchers;
	return 0;
}

static int decode_reply(struct notice *notice, struct rados_watchers *ret_watchers)
{
	struct notify_ack_t *acks = NULL;
	struct notify_timeout_t *timeouts = NULL;
	size_t ack_count = 0, timeout_count = 0;
	/* -ETIMEDOUT: somebody did not acknowledge; the reply says who. */
	if (notice->result < 0 && notice->result != -ETIMEDOUT)
		return notice->result;
	if (!notice->reply || notice->reply_len == 0)
		return notice->result;
	int r = rados_decode_notify_response(notice->reply, notice->reply_len, &acks, &ack_count,
	                                     &timeouts, &timeout_count);
	if (r < 0)
		return r;
	r = take_watchers(acks, ack_count, timeouts, timeout_count, ret_watchers);
	rados_free_notify_response(acks, ack_count, timeouts);
	return r;
}

int rados_tell(const struct rados_store *rados, const char *message, unsigned timeout_s,
               struct rados_watchers *ret_watchers, struct error *err)
{
	struct notice *notice = notice_new();
	if (!notice)
		return error_set(err, -ENOMEM, "out of memory");
	int r = rados_open_pool(rados, &notice->pool, err);
	if (r == 0)
		r = rados_aio_create_completion2(notice, notice_done, &notice->completion);
	if (r == 0) {
		notice->users = 2;
		r = rados_aio_notify(notice->pool, rados->side, notice->completion, message,
		                     (int)strlen(message), timeout_s * 1000ull, &notice->reply,
		                     &notice->reply_len);
		if (r < 0)
			notice->users = 1;
		else if (!notice_wait(notice, timeout_s * 1000 + GRACE_MS))
			r = -ETIMEDOUT;
		else
			r = decode_reply(notice, ret_watchers);
	}
	notice_put(notice);
	if (r == -ENOENT) { /* no side object: nobody watches it */
		*ret_watchers = (struct rados_watchers){ 0 };
		return 0;
	}
	return r < 0 ? rados_failed(rados, r, "notify the gateways of", err) : 0;
}
