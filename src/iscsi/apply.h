/* One iscsi_server_apply() on its way through reactors and sessions: counts what is not in force
 * yet. Any thread. */
#pragma once

#include "base/error.h"
#include "base/list.h"

struct apply;
struct iscsi_config;
struct iscsi_server;

/* What a session that is not done yet holds of an apply. */
struct apply_wait {
	struct list link; /* in session->apply_waits */
	struct apply *apply;
};

void apply_get(struct apply *apply);
/* The last one calls applied(). */
void apply_put(struct apply *apply);
/* The first problem is kept. */
void apply_problem(struct apply *apply, const struct error *err);
