/* Who may ask: the address first, then name and password. */
#pragma once

#include "api/route.h"

#include <sys/socket.h>

/* Look-ups of names, kept for a while: a slow resolver must not slow every request. */
struct names *names_new(void) MUST_CHECK;
void names_free(struct names *names);

/* authorization: the header's value, or NULL. False: answered with 403 or 401. */
bool access_check(struct request *request, const struct sockaddr *peer, const char *authorization);
