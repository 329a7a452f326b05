/* One change, from the object as it is to an answer that says what is in force. */
#pragma once

#include "api/request.h"

/* Loads, upgrades, changes, works, commits, announces, waits, answers. True: something was changed,
 * whatever was answered. */
bool commit_change(struct request *request, change_fn run);
/* Seeds an empty object, upgrades an old one. At the start of the daemon. */
int commit_upgrade(struct rest *api, struct error *err) MUST_CHECK;
