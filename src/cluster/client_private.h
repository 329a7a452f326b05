/* Inside this room only. */
#pragma once

#include "cluster/client.h"

#include "base/json.h"
#include "cluster/together.h"

#include <pthread.h>
#include <rados/librados.h>

/* What this client has fenced. A few for each gateway that died while we live; beside upstream
 * gateways more and more, so the list begins anew when it is long. */
#define FENCED_MAX 1024
struct fenced {
	struct fenced *next;
	char address[];
};

struct cluster_client {
	char *conf_path; /* NULL: as librados finds it */
	rados_t rados;
	char *name, *address;
	struct together map; /* waits for the newest one: of all images, when they are taken over */
	pthread_mutex_t lock; /* of the rest */
	struct fenced *fenced;
	unsigned fenced_count;
	bool time_is_known;
	int64_t time_ahead_s; /* the monitors' clock, less CLOCK_BOOTTIME */
};

/* With the lock held, or nobody else there. */
void fenced_forget(struct cluster_client *client);
/* Takes command. free() both: what the monitors answer with, and what they say for people. */
int command_ask(struct cluster_client *client, json_t *command, char **ret_answer,
                char **ret_status) MUST_CHECK;
