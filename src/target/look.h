/* A look at the rows beside the object: who is there, who owns what, who is in maintenance. */
#pragma once

#include "ownership/record.h"
#include "ownership/registration.h"
#include "ownership/rollback.h"

struct look_record {
	char *lun;
	struct owner_record record;
};

struct look_rollback {
	char *lun;
	struct rollback rollback;
};

struct look {
	struct registration_row *rows;
	size_t row_count;
	struct look_record *records;
	size_t record_count;
	struct look_rollback *rollbacks;
	size_t rollback_count;
	char **maintenance; /* names of gateways */
	size_t maintenance_count;
	int own;          /* what registration_check() said: 0 or -EOWNERDEAD */
	uint64_t version; /* of the rows, before they were read; 0: not known */
};

/* Blocks. before: the last look, or NULL; *ret_look NULL: nothing has changed since. -errno:
 * nothing is known of the rows now. */
int look_make(struct store *store, struct registration *registration, const struct look *before,
              struct look **ret_look, struct error *err) MUST_CHECK;
void look_free(struct look *look);
DEFINE_AUTO(look);
