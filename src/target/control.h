/* The control socket RUN_DIR/GATEWAY.sock: one JSON request a line, one JSON answer a line.
 *   {"ask": "status"} -> {"gateway", "serving", "epoch", "luns": [...], "sessions": [...]} */
#pragma once

#include "base/error.h"

struct control;
struct gateway;
struct reactor;

/* On the manager's thread. Takes the place of a socket left by a dead process; -EADDRINUSE if
 * somebody answers on it. */
int control_open(struct reactor *manager, struct gateway *gateway, const char *run_dir,
                 struct control **ret_control, struct error *err) MUST_CHECK;
/* On the manager's thread, when its loop has ended and before gateway_free(): turns the manager
 * until the requests under way, which are jobs of the gateway, have ended. NULL is fine. */
void control_close(struct control *control);
