/* What registration.c (our row) and registration_row.c (everybody's) share. */
#pragma once

#include "base/json.h"
#include "ownership/registration.h"

#define GATEWAY_ROWS "gateway/"

/* Arrays of texts; NULL is an empty one. */
bool row_array_has(const json_t *array, const char *text);
void row_array_remove(json_t *array, const char *text);
/* That life has not fenced its past yet, so it has no client of its own: all that stand in the row
 * are of the life `former`. */
bool row_fenced_nobody(const json_t *row);
