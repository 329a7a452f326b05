/* One request inside the room: what came in, what goes out, and what handlers share. */
#pragma once

#include "api/api.h"
#include "base/json.h"
#include "config/change.h"

#include <pthread.h>
#include <stdatomic.h>

struct history_writer;
struct names;
struct MHD_Daemon;

struct rest {
	struct rest_config config;
	struct names *names;            /* look-ups that were made */
	struct history_writer *history; /* of what people ask for */
	struct MHD_Daemon *daemon;
	unsigned port;
	atomic_bool stopping;        /* requests that wait for long end */
	pthread_mutex_t commit_lock; /* one change of this process at a time */
};

enum method { METHOD_GET, METHOD_PUT, METHOD_DELETE, METHOD_COUNT };

struct route;
struct request {
	struct rest *api;
	const struct route *route;
	json_t *arguments; /* name -> text: pieces of the path, fields of the form, the query */
	int status;
	json_t *body; /* of the answer */
};

/* Both take one answer a request. body is taken over; NULL: no memory. */
void answer(struct request *request, int status, json_t *body);
void answer_message(struct request *request, int status, const char *format, ...) PRINTF_LIKE(3, 4);

/* The object as it stands, seeded or upgraded in memory. False: answered with 503. */
bool request_load(struct request *request, json_t **ret_object);
/* Argument target_iqn and its entry in the object. False: answered. */
bool request_target(struct request *request, const json_t *object, char ret_iqn[IQN_MAX],
                    json_t **ret_target);
const char *request_argument(const struct request *request, const char *name);
void time_text(char ret_text[20]);
