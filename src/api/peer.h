/* Asks the API of another gateway. */
#pragma once

#include "api/request.h"

/* GET of a path, at most 2 s. False: no answer, or none with status 200. */
bool peer_get(const struct rest *api, const char *gateway, const char *path, json_t **ret_body);
