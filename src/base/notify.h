/* systemd's notification protocol: READY=1, STATUS=..., without libsystemd. */
#pragma once

#include "base/auto.h"

/* Sends the lines (e.g. "READY=1\nSTATUS=serving") to NOTIFY_SOCKET; does nothing without it. */
void notify_service_manager(const char *format, ...) PRINTF_LIKE(1, 2);
