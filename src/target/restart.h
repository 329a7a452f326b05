/* Which settings a running gateway cannot take up. */
#pragma once

struct settings;

/* Names each of them that differs, in the log. */
void restart_warn(const struct settings *old, const struct settings *new);
