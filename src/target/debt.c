/* An entry that somebody else made for a short time ends before our ten years: it must not end
 * unnoticed while the process that it keeps out is frozen. */
#include "target/debt.h"

#include "base/log.h"
#include "ownership/fence.h"

#include <stdio.h>

#define RETRY_MS 5000

static void renew_work(struct job *job)
{
	struct debt_renewal *renewal = container_of(job, struct debt_renewal, job);
	struct error err = { 0 };
	renewal->result = fence_renew(renewal->fence, &err);
	(void)snprintf(renewal->why, sizeof renewal->why, "%s", err.text);
}

static void renew_done(struct job *job)
{
	struct debt_renewal *renewal = container_of(job, struct debt_renewal, job);
	renewal->busy = false;
	if (renewal->result < 0) {
		renewal->again_ms = reactor_now_ms(job->reactor) + RETRY_MS;
		log_limited(LOG_LEVEL_ERROR, 60000, "fences are not looked after: %s",
		            renewal->why);
	}
	renewal->ended(renewal);
}

void debt_renew_if_due(struct debt_renewal *renewal, struct reactor *manager, uint64_t now_ms)
{
	if (renewal->busy || now_ms < renewal->again_ms ||
	    clock_monotonic_ms() < fence_due_ms(renewal->fence))
		return;
	renewal->busy = true;
	renewal->job = (struct job){ .work = renew_work, .done = renew_done, .reactor = manager };
	job_queue_submit(renewal->jobs, &renewal->job);
}
