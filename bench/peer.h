/* The interconnect of bench-target: one process owns the LUN, another one forwards to it. */
#pragma once

#include "base/error.h"

struct bench_peer;
struct lun;
struct reactor;

struct bench_peer_config {
	struct reactor *const *reactors; /* running */
	unsigned reactor_count;
	const char *listen; /* the owner: "HOST:PORT"; NULL: this one forwards */
	const char *owner;  /* who forwards: "HOST:PORT" of the owner's interconnect */
};

/* Makes the interconnect. The calling thread is its manager until bench_peer_run(). */
int bench_peer_new(const struct bench_peer_config *config, struct bench_peer **ret_peer,
                   struct error *err) MUST_CHECK;
/* What the LUN is made with. */
struct relay *bench_peer_relay(struct bench_peer *peer);
/* The owner: `lun` is what peers find. Who forwards: waits for the owner, and forwards `lun` to it.
 * From then on the manager has a thread of its own. */
int bench_peer_run(struct bench_peer *peer, struct lun *lun, struct error *err) MUST_CHECK;
/* After the server has ended. NULL is fine. */
void bench_peer_free(struct bench_peer *peer);
