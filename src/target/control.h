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
/* After gateway_free(), which waits for jobs of requests. NULL is fine. */
void control_close(struct control *control);
