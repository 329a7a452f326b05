/* Reads rows and copies them: what a look finds is looked at elsewhere, on the manager. */
#include "target/look.h"

#include "base/array.h"
#include "ownership/maintenance.h"
#include "store/store.h"

#include <errno.h>
#include <string.h>

struct visitor {
	struct look *look;
	bool failed;
};

static int copy_row(const struct registration_row *row, struct registration_row *ret_row)
{
	*ret_row = *row;
	ret_row->client_count = 0;
	ret_row->clients = calloc(row->client_count + 1, sizeof *ret_row->clients);
	for (size_t i = 0; ret_row->clients && i < row->client_count; i++) {
		ret_row->clients[i] = strdup(row->clients[i]);
		if (!ret_row->clients[i])
			return -ENOMEM;
		ret_row->client_count++;
	}
	return ret_row->clients ? 0 : -ENOMEM;
}

static void visit_row(void *argument, const struct registration_row *row)
{
	struct visitor *visitor = argument;
	struct look *look = visitor->look;
	if (!array_grow(&look->rows, look->row_count) ||
	    copy_row(row, &look->rows[look->row_count++]) < 0)
		visitor->failed = true;
}

static void visit_record(void *argument, const char *lun, const struct owner_record *record)
{
	struct visitor *visitor = argument;
	struct look *look = visitor->look;
	if (!array_grow(&look->records, look->record_count)) {
		visitor->failed = true;
		return;
	}
	struct look_record *added = &look->records[look->record_count];
	*added = (struct look_record){ .lun = strdup(lun) };
	if (!added->lun || owner_record_copy(record, &added->record) < 0) {
		free(added->lun);
		visitor->failed = true;
		return;
	}
	look->record_count++;
}

static void visit_maintenance(void *argument, const char *gateway)
{
	struct visitor *visitor = argument;
	struct look *look = visitor->look;
	char *name =
	        array_grow(&look->maintenance, look->maintenance_count) ? strdup(gateway) : NULL;
	if (name)
		look->maintenance[look->maintenance_count++] = name;
	visitor->failed |= !name;
}

static void visit_rollback(void *argument, const char *lun, const char *text)
{
	struct visitor *visitor = argument;
	struct look *look = visitor->look;
	struct look_rollback added = { .lun = strdup(lun) };
	if (!added.lun || !array_grow(&look->rollbacks, look->rollback_count) ||
	    rollback_parse(text, &added.rollback) < 0) {
		free(added.lun);
		visitor->failed = true;
		return;
	}
	look->rollbacks[look->rollback_count++] = added;
}

static bool nothing_new(const struct look *look, const struct look *before)
{
	return before && look->version && look->version == before->version && look->own == 0;
}

int look_make(struct store *store, struct registration *registration, const struct look *before,
              struct look **ret_look, struct error *err)
{
	AUTO(look) struct look *look = calloc(1, sizeof *look);
	struct visitor visitor = { .look = look };
	if (!look)
		return error_set(err, -ENOMEM, "rows of the gateways: out of memory");
	int r = store_rows_version(store, &look->version, err);
	if (r < 0)
		return r;
	r = registration_check(registration, err);
	look->own = r;
	if (nothing_new(look, before)) {
		*ret_look = NULL;
		return 0;
	}
	if (r == 0 || r == -EOWNERDEAD)
		r = registration_list(store, visit_row, &visitor, err);
	if (r == 0)
		r = owner_record_list(store, visit_record, &visitor, err);
	if (r == 0)
		r = maintenance_list(store, visit_maintenance, &visitor, err);
	if (r == 0)
		r = rollback_list(store, visit_rollback, &visitor, err);
	if (r == 0 && visitor.failed)
		r = error_set(err, -ENOMEM, "rows of the gateways: out of memory");
	if (r == 0)
		*ret_look = steal(&look);
	return r;
}

void look_free(struct look *look)
{
	if (!look)
		return;
	for (size_t i = 0; i < look->row_count; i++)
		registration_row_done(&look->rows[i]);
	for (size_t i = 0; i < look->record_count; i++) {
		free(look->records[i].lun);
		owner_record_done(&look->records[i].record);
	}
	for (size_t i = 0; i < look->rollback_count; i++) {
		free(look->rollbacks[i].lun);
		rollback_done(&look->rollbacks[i].rollback);
	}
	for (size_t i = 0; i < look->maintenance_count; i++)
		free(look->maintenance[i]);
	free(look->rows);
	free(look->records);
	free(look->rollbacks);
	free(look->maintenance);
	free(look);
}
