/* What the owner was told at this channel: nexuses, and rows of their LUN maps. A handle is used
 * again once the end of its nexus is on its way, because what is said arrives in order. */
#include "interconnect/channel.h"

#include "scsi/lun.h"
#include "scsi/nexus.h"

#include <errno.h>
#include <stdio.h>

struct handles {
	uint32_t *free;
	uint32_t free_count, next;
};

struct origin_nexus {
	struct list link; /* bucket by serial */
	struct list rows;
	uint64_t serial;
	uint32_t handle;
};

struct origin_row {
	struct list link; /* bucket by serial and number */
	struct list nexus_link;
	struct origin_nexus *nexus;
	struct lun *lun; /* a reference: no other LUN gets its address */
	uint32_t handle;
	uint16_t number;
	bool read_only;
};

struct rows {
	struct handles nexus_handles, row_handles;
	struct list nexuses[CHANNEL_BUCKETS], rows[CHANNEL_BUCKETS];
};

static unsigned bucket_of(uint64_t serial, uint16_t number)
{
	return (unsigned)((serial * 0x9e3779b97f4a7c15u + number * 0x85ebca6bu) >> 20) &
	       (CHANNEL_BUCKETS - 1);
}

/* ---- handles ---- */

/* Room for all handles to come back is made beforehand, so that giving back cannot fail. */
static int handle_take(struct handles *handles, uint32_t *ret_handle)
{
	if (handles->free_count) {
		*ret_handle = handles->free[--handles->free_count];
		return 0;
	}
	if ((handles->next & (handles->next - 1)) == 0) {
		size_t room = handles->next ? 2 * (size_t)handles->next : 1;
		uint32_t *more = realloc(handles->free, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		handles->free = more;
	}
	*ret_handle = handles->next++;
	return 0;
}

static void handle_give(struct handles *handles, uint32_t handle)
{
	handles->free[handles->free_count++] = handle;
}

/* ---- saying it ---- */

static int send_text(struct channel *channel, enum relayed_kind kind, const char *text, int len)
{
	struct relayed *relayed = relayed_get(channel->hub, kind);
	if (!relayed)
		return -ENOMEM;
	relayed->text = malloc((size_t)len);
	if (!relayed->text) {
		relayed_put(channel->hub, relayed);
		return -ENOMEM;
	}
	memcpy(relayed->text, text, (size_t)len);
	relayed->text_len = (uint32_t)len;
	relayed_send(channel, relayed);
	return 0;
}

static int say_nexus(struct channel *channel, const struct nexus *nexus, uint32_t handle)
{
	struct message_nexus message = { .handle = handle, .tag = nexus_port(nexus)->tag };
	char text[MESSAGE_TEXT_MAX];
	(void)snprintf(message.initiator, sizeof(message.initiator), "%s",
	               nexus_initiator_name(nexus));
	(void)snprintf(message.target, sizeof(message.target), "%s",
	               nexus_port(nexus)->target_name);
	memcpy(message.isid, nexus_isid(nexus), sizeof(message.isid));
	int len = message_put_nexus(&message, text);
	return len < 0 ? len : send_text(channel, RELAYED_NEXUS, text, len);
}

static int say_row(struct channel *channel, const struct origin_row *row)
{
	struct message_row message = { .handle = row->handle,
		                       .nexus = row->nexus->handle,
		                       .read_only = row->read_only };
	char text[MESSAGE_TEXT_MAX];
	(void)snprintf(message.name, sizeof(message.name), "%s", lun_name(row->lun));
	(void)snprintf(message.wwn, sizeof(message.wwn), "%s", lun_wwn(row->lun));
	int len = message_put_row(&message, text);
	return len < 0 ? len : send_text(channel, RELAYED_ROW, text, len);
}

/* ---- nexuses ---- */

static struct origin_nexus *find_nexus(struct rows *rows, uint64_t serial)
{
	struct origin_nexus *nexus;
	list_for_each (nexus, &rows->nexuses[bucket_of(serial, 0)], link) {
		if (nexus->serial == serial)
			return nexus;
	}
	return NULL;
}

static int add_nexus(struct channel *channel, const struct nexus *nexus,
                     struct origin_nexus **ret_nexus)
{
	struct rows *rows = channel->rows;
	struct origin_nexus *added = calloc(1, sizeof(*added));
	if (!added)
		return -ENOMEM;
	int r = handle_take(&rows->nexus_handles, &added->handle);
	if (r < 0) {
		free(added);
		return r;
	}
	r = say_nexus(channel, nexus, added->handle);
	if (r < 0) {
		handle_give(&rows->nexus_handles, added->handle);
		free(added);
		return r;
	}
	added->serial = nexus_serial(nexus);
	list_init(&added->rows);
	list_append(&rows->nexuses[bucket_of(added->serial, 0)], &added->link);
	*ret_nexus = added;
	return 0;
}

/* ---- rows ---- */

static void row_free(struct rows *rows, struct origin_row *row)
{
	list_remove(&row->link);
	list_remove(&row->nexus_link);
	handle_give(&rows->row_handles, row->handle);
	lun_put(row->lun);
	free(row);
}

static int add_row(struct channel *channel, struct origin_nexus *nexus, const struct relay_row *row,
                   uint32_t *ret_handle)
{
	struct rows *rows = channel->rows;
	struct origin_row *added = calloc(1, sizeof(*added));
	if (!added)
		return -ENOMEM;
	int r = handle_take(&rows->row_handles, &added->handle);
	if (r < 0) {
		free(added);
		return r;
	}
	added->nexus = nexus;
	added->lun = lun_get(row->lun);
	added->number = row->number;
	added->read_only = row->read_only;
	list_append(&rows->rows[bucket_of(nexus->serial, row->number)], &added->link);
	list_append(&nexus->rows, &added->nexus_link);
	r = say_row(channel, added);
	if (r < 0)
		row_free(rows, added);
	else
		*ret_handle = added->handle;
	return r;
}

int rows_declare(struct channel *channel, const struct nexus *nexus, const struct relay_row *row,
                 bool any_access, uint32_t *ret_handle)
{
	struct rows *rows = channel->rows;
	uint64_t serial = nexus_serial(nexus);
	struct origin_row *known;

	list_for_each (known, &rows->rows[bucket_of(serial, row->number)], link) {
		if (known->number == row->number && known->lun == row->lun &&
		    known->nexus->serial == serial &&
		    (any_access || known->read_only == row->read_only)) {
			*ret_handle = known->handle;
			return 0;
		}
	}
	struct origin_nexus *declared = find_nexus(rows, serial);
	if (!declared) {
		int r = add_nexus(channel, nexus, &declared);
		if (r < 0)
			return r;
	}
	return add_row(channel, declared, row, ret_handle);
}

static void nexus_entry_free(struct rows *rows, struct origin_nexus *nexus)
{
	while (!list_empty(&nexus->rows))
		row_free(rows, list_first(&nexus->rows, struct origin_row, nexus_link));
	list_remove(&nexus->link);
	free(nexus);
}

void rows_end_nexus(struct channel *channel, uint64_t serial)
{
	struct rows *rows = channel->rows;
	struct origin_nexus *nexus = find_nexus(rows, serial);
	if (!nexus)
		return;
	uint32_t handle = nexus->handle;
	struct relayed *relayed = relayed_get(channel->hub, RELAYED_NO_NEXUS);
	if (!relayed)
		return; /* the proxy stays until this process ends: it does nothing */
	nexus_entry_free(rows, nexus);
	relayed->handle = handle;
	relayed_send(channel, relayed);
	handle_give(&rows->nexus_handles, handle);
}

/* False: no memory. The proxy keeps what it has there until the nexus ends. */
static bool end_row(struct channel *channel, struct origin_row *row)
{
	struct relayed *relayed = relayed_get(channel->hub, RELAYED_NO_ROW);
	if (!relayed)
		return false;
	relayed->handle = row->handle;
	relayed_send(channel, relayed);
	row_free(channel->rows, row);
	return true;
}

void rows_end_row(struct channel *channel, uint64_t serial, uint16_t number, const struct lun *lun)
{
	struct origin_row *row, *following;
	list_for_each_safe (row, following, &channel->rows->rows[bucket_of(serial, number)], link) {
		bool same = row->nexus->serial == serial && row->number == number;
		if (same && row->lun == lun && !end_row(channel, row))
			return;
	}
}

int rows_new(struct rows **ret_rows)
{
	struct rows *rows = calloc(1, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	for (unsigned i = 0; i < CHANNEL_BUCKETS; i++) {
		list_init(&rows->nexuses[i]);
		list_init(&rows->rows[i]);
	}
	*ret_rows = rows;
	return 0;
}

void rows_free(struct rows *rows)
{
	if (!rows)
		return;
	for (unsigned i = 0; i < CHANNEL_BUCKETS; i++) {
		while (!list_empty(&rows->nexuses[i]))
			nexus_entry_free(rows,
			                 list_first(&rows->nexuses[i], struct origin_nexus, link));
	}
	free(rows->nexus_handles.free);
	free(rows->row_handles.free);
	free(rows);
}
