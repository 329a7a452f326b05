/* Renews the entries of the fence debt when they are due (H13): one job at a time, on a worker. */
#pragma once

#include "base/error.h"
#include "target/job.h"

#include <stdbool.h>
#include <stdint.h>

struct fence;

struct debt_renewal {
	struct job job;
	struct job_queue *jobs;
	struct fence *fence;
	/* On the manager, after each renewal: for who waits until none is under way. */
	void (*ended)(struct debt_renewal *renewal);
	bool busy;
	uint64_t again_ms; /* after a failure: not before that */
	int result;
	char why[ERROR_TEXT_MAX];
};

/* On the manager, from time to time. now_ms: of its reactor. */
void debt_renew_if_due(struct debt_renewal *renewal, struct reactor *manager, uint64_t now_ms);
