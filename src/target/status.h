/* Rows of what the control socket tells. */
#pragma once

#include "base/json.h"

struct iscsi_server;

/* Adds the array `sessions`. Any thread but a reactor's: waits for the reactors. -ENOMEM. */
int status_add_sessions(struct iscsi_server *server, json_t *status) MUST_CHECK;
