/* One gateway: follows the configuration object and makes disks, targets and portals equal to it.
 * Everything here lives on the manager's reactor, which is the calling thread's. */
#pragma once

#include "base/error.h"
#include "base/json.h"

struct gateway;
struct reactor;
struct settings;

/* manager is not running yet. Takes the settings over, also on failure. Starts the I/O reactors,
 * and begins to connect when the manager turns. */
int gateway_new(struct reactor *manager, struct settings *settings, struct gateway **ret_gateway,
                struct error *err) MUST_CHECK;
/* After stopped(). */
void gateway_free(struct gateway *gateway);

/* Takes new settings over, then reads the object again and applies both (SIGHUP). What needs a
 * restart (store, names, threads, sockets) is named in the log and stays as it is. */
void gateway_reload(struct gateway *gateway, struct settings *settings);
/* Ends sessions, gives locks back, leaves the store. stopped() comes on the manager. */
void gateway_stop(struct gateway *gateway, void (*stopped)(void *argument), void *argument);

/* What the control socket tells: gateway, epoch, luns. A new reference; on the manager. Sessions
 * are added by gateway_add_sessions(), on a worker (it waits for the reactors). */
json_t *gateway_status(struct gateway *gateway) MUST_CHECK;
int gateway_add_sessions(struct gateway *gateway, json_t *status) MUST_CHECK;
struct job_queue *gateway_jobs(struct gateway *gateway);
const char *gateway_get_name(const struct gateway *gateway);
const char *gateway_run_dir(const struct gateway *gateway);
