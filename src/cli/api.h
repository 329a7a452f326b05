/* The client of the REST API: one connection to the local gateway, and short calls to others.
 * Form bodies, Basic authentication, bounded time-outs. The certificate is not verified, as
 * ceph-iscsi's own shell never did: the API's certificates are self-signed. */
#pragma once

#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdio.h>

#define API_TIMEOUT_S      60
#define API_LONG_TIMEOUT_S 600 /* deletes and rollbacks */
#define API_PING_TIMEOUT_S 3

struct api_options {
	const char *host;     /* tried first: localhost */
	const char *fallback; /* tried when host does not answer; NULL = none */
	unsigned port;
	bool secure;
	const char *user, *password;
	FILE *trace;    /* requests are named here; NULL = not */
	FILE *progress; /* a terminal that shows that a long call is alive; NULL = none */
};

struct api;
/* Copies the texts of options. -ENOMEM. */
int api_new(const struct api_options *options, struct api **ret_api) MUST_CHECK;
void api_free(struct api *api); /* wipes the password */
DEFINE_AUTO(api);

/* "http://localhost:5000/api". Borrowed, until the next call. */
const char *api_endpoint(const struct api *api);
/* Takes the fallback host from now on. False if there is none. */
bool api_use_fallback(struct api *api);
/* Ends the call that is under way; async-signal-safe. */
void api_interrupt(void);

enum api_method { API_GET, API_PUT, API_DELETE };

/* One field of the form; a field without a value is not sent. The list ends with {NULL}. */
struct field {
	const char *name, *value;
};

struct reply {
	long status;                  /* of HTTP; 500 when there was no answer at all */
	bool answered;                /* false: refused, timed out, interrupted */
	bool nobody;                  /* the name does not resolve, or nobody listens there */
	json_t *body;                 /* NULL if it was not JSON */
	char message[ERROR_TEXT_MAX]; /* what went wrong, for people */
};
void reply_done(struct reply *reply);
#define AUTO_REPLY __attribute__((cleanup(reply_done)))
static inline bool reply_ok(const struct reply *reply)
{
	return reply->status == 200;
}

struct request {
	enum api_method method;
	const char *host;           /* NULL = the local gateway */
	const char *address;        /* where host is, if its name does not tell; NULL = it does */
	const struct field *fields; /* the form; of a GET the query */
	unsigned timeout_s;         /* 0 = API_TIMEOUT_S */
	const char *path;           /* below /api, starts with '/' */
};
/* Always fills *ret_reply. */
void api_call(struct api *api, const struct request *request, struct reply *ret_reply);
/* The same for many GETs at once, in parallel. */
void api_get_many(struct api *api, const struct request *requests, size_t count,
                  struct reply *ret_replies);
