/* Inside this room only. */
#pragma once

#include "cluster/client.h"

#include "base/json.h"
#include "cluster/together.h"

#include <pthread.h>
#include <rados/librados.h>

/* What this client has fenced. A few for each gateway that died while we live. */
struct fenced {
	struct fenced *next;
	char address[];
};

struct cluster_client {
	rados_t rados;
	char *name, *address;
	struct together map; /* waits for the newest one: of all images, when they are taken over */
	pthread_mutex_t lock; /* of the rest */
	struct fenced *fenced;
	bool time_is_known;
	int64_t time_ahead_s; /* the monitors' clock, less CLOCK_BOOTTIME */
};

/* Takes command. free() both: what the monitors answer with, and what they say for people. */
int command_ask(struct cluster_client *client, json_t *command, char **ret_answer,
                char **ret_status) MUST_CHECK;
