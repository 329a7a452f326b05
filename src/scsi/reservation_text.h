/* Reservations as text (JSON), and back. The text may come from another version, a torn write or
 * somebody's editor: whatever is not exactly right is refused, with a sentence that says where. */
#pragma once

#include "base/error.h"
#include "scsi/reservation.h"

/* What a text says. */
struct reservation_text {
	struct reservations reservations;
	struct list notices; /* struct reservation_notice */
	size_t notice_count;
	uint64_t epoch;
};
/* Zeroed memory is fine. */
void reservation_text_done(struct reservation_text *text);

/* More bytes than that are not looked at. */
#define RESERVATION_TEXT_MAX (4u << 20)

/* -EBADMSG, -ENOMEM; *ret_text is empty then. */
int reservation_text_parse(const char *text, struct reservation_text *ret_text,
                           struct error *err) MUST_CHECK;
/* more_notices may be NULL. NULL: no memory. */
char *reservation_text_format(const struct reservations *reservations, uint64_t epoch,
                              const struct list *notices,
                              const struct list *more_notices) MUST_CHECK;
