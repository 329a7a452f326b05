/* Reads the configuration object from the store and makes the plan of this gateway. */
#pragma once

#include "target/plan.h"

struct store;

/* Blocks. An object that is not there yet gives an empty plan; an old one is upgraded for this look
 * only (the API commits upgrades). A damaged one is an error. */
int plan_load(struct store *store, const struct plan_context *context, struct plan **ret_plan,
              struct error *err) MUST_CHECK;
