/* Asks the API of another gateway. */
#pragma once

#include "api/request.h"

/* GET of a path, at most 2 s for each place: the gateway's name, then, if that leads nowhere, each
 * of addresses (its portals, an array; NULL is fine). False: no answer, or none with status 200. */
bool peer_get(const struct rest *api, const char *gateway, const json_t *addresses,
              const char *path, json_t **ret_body);
