/* Which process an instance is, so that a successor on the same host can prove it gone: the host
 * (machine-id and boot id), the space of pids, the pid and when it started. */
#pragma once

#include "base/json.h"

/* {"machine", "boot", "space", "pid", "start"} of this process; NULL: no memory. What /proc does
 * not tell is missing. */
json_t *process_describe(void) MUST_CHECK;
/* True only if a process of that description cannot exist any more: it ran on this host before it
 * booted, or its pid is nobody's or a younger one's. In doubt false: another host, other pids. */
bool process_is_gone(const json_t *process);
