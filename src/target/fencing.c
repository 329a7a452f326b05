/* Condemns and fences one instance, on a worker. Whatever of it another survivor has done already
 * is done again: all of it may be repeated. */
#include "target/members.h"

#include "base/log.h"
#include "ownership/fence.h"
#include "ownership/history_writer.h"
#include "target/job.h"
#include "target/planted.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct fencing {
	struct job job;
	struct members *members;
	struct member *member;
	char gateway[GATEWAY_NAME_MAX], instance[INSTANCE_MAX], why[128];
	bool condemn;
	bool told;      /* that it is condemned */
	char **clients; /* of the past: copies */
	size_t client_count;
	int result;
};

static void fencing_free(struct fencing *fencing)
{
	for (size_t i = 0; fencing->clients && i < fencing->client_count; i++)
		free(fencing->clients[i]);
	free(fencing->clients);
	free(fencing);
}

static int fence_all(struct fencing *fencing, char *const *clients, size_t count, struct error *err)
{
	uint64_t started_ms = clock_monotonic_ms();
	int r = planted("no-fence") ? 0
	                            : fence_addresses(fencing->members->fence, clients, count,
	                                              fencing->gateway, fencing->instance, err);
	if (r < 0)
		return r;
	double took_s = (double)(clock_monotonic_ms() - started_ms) / 1000;
	log_warning("%s: fenced %zu clients in %.2f s", fencing->gateway, count, took_s);
	if (count)
		history_write(fencing->members->history, "fence", "",
		              "fenced %zu clients of %s in %.2f s", count, fencing->gateway,
		              took_s);
	return 0;
}

/* Once, however often the fence has to be tried. Whoever was first has said why. */
static void tell_condemned(struct fencing *fencing, const char *why)
{
	if (fencing->told)
		return;
	fencing->told = true;
	log_warning("%s is condemned: %s", fencing->gateway, why);
	history_write(fencing->members->history, "condemn", "", "%s is condemned: %s",
	              fencing->gateway, why);
}

static int condemn(struct fencing *fencing, struct error *err)
{
	const struct members *members = fencing->members;
	struct registration_row row = { 0 };
	int r = registration_condemn(members->store, fencing->gateway, fencing->instance,
	                             members->gateway, fencing->why, err);
	if (r == 0)
		r = registration_read(members->store, fencing->gateway, &row, err);
	if (r < 0)
		return r;
	if (strcmp(row.instance, fencing->instance) != 0) {
		registration_row_done(&row);
		return error_set(err, -ESTALE, "%s has started anew meanwhile", fencing->gateway);
	}
	tell_condemned(fencing, row.why);
	r = fence_all(fencing, row.clients, row.client_count, err);
	registration_row_done(&row);
	if (r == 0)
		r = registration_mark_fenced(members->store, fencing->gateway, fencing->instance,
		                             err);
	return r == -ESTALE ? 0 : r; /* fenced, and back already */
}

static void fencing_work(struct job *job)
{
	struct fencing *fencing = container_of(job, struct fencing, job);
	struct error err = { 0 };
	fencing->result = fencing->condemn ? condemn(fencing, &err)
	                                   : fence_all(fencing, fencing->clients,
	                                               fencing->client_count, &err);
	if (fencing->result < 0 && fencing->result != -ESTALE)
		log_limited(LOG_LEVEL_ERROR, 5000, "%s cannot be fenced, its LUNs wait: %s",
		            fencing->gateway, err.text);
}

static void fencing_done(struct job *job)
{
	struct fencing *fencing = container_of(job, struct fencing, job);
	struct members *members = fencing->members;
	members->fencings--;
	fencing->member->fencing = NULL;
	fencing->member->told_condemned = fencing->told;
	if (!fencing->condemn && fencing->client_count < fencing->member->client_count)
		fencing->result = -EAGAIN; /* more of its clients have become known meanwhile */
	member_fenced(members, fencing->member, fencing->result);
	fencing_free(fencing);
}

static int copy_clients(struct fencing *fencing, const struct member *member)
{
	fencing->clients = calloc(member->client_count + 1, sizeof *fencing->clients);
	for (size_t i = 0; fencing->clients && i < member->client_count; i++) {
		fencing->clients[i] = strdup(member->clients[i]);
		if (!fencing->clients[i])
			return -ENOMEM;
		fencing->client_count++;
	}
	return fencing->clients ? 0 : -ENOMEM;
}

void member_fence(struct members *members, struct member *member, const char *why)
{
	struct fencing *fencing = calloc(1, sizeof *fencing);
	if (!fencing || copy_clients(fencing, member) < 0) {
		if (fencing)
			fencing_free(fencing);
		member_fenced(members, member, -ENOMEM); /* tried again */
		return;
	}
	fencing->members = members;
	fencing->member = member;
	fencing->condemn = member->current;
	fencing->told = member->told_condemned;
	(void)snprintf(fencing->gateway, sizeof fencing->gateway, "%s", member->gateway);
	(void)snprintf(fencing->instance, sizeof fencing->instance, "%s", member->instance);
	(void)snprintf(fencing->why, sizeof fencing->why, "%s", why);
	fencing->job = (struct job){ .work = fencing_work,
		                     .done = fencing_done,
		                     .reactor = members->manager };
	member->fencing = fencing;
	members->fencings++;
	job_queue_submit_first(members->jobs, &fencing->job);
	if (members->fences)
		members->fences(members, member);
}
