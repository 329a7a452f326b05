/* Adds events to the history behind the work, on a thread of its own and in order: nobody who takes
 * a LUN over waits for that. */
#pragma once

#include "ownership/history.h"

struct history_writer;

/* store and gateway (who tells) are borrowed. */
int history_writer_new(struct store *store, const char *gateway,
                       struct history_writer **ret_writer) MUST_CHECK;
/* Writes what still waits, for 2 s at most. NULL is fine. */
void history_writer_free(struct history_writer *writer);
DEFINE_AUTO(history_writer);
/* Any thread, never blocks; kind, lun and text are copied. Beyond 1,024 that wait events are
 * dropped, and counted in the log. NULL is fine. */
void history_write(struct history_writer *writer, const char *kind, const char *lun,
                   const char *format, ...) PRINTF_LIKE(4, 5);
/* The same, of what happened at at_ms (history_now_ms() then): events are listed by time, whenever
 * they are written. */
void history_write_at(struct history_writer *writer, uint64_t at_ms, const char *kind,
                      const char *lun, const char *format, ...) PRINTF_LIKE(5, 6);
