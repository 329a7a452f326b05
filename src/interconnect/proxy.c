/* Proxies: nexuses of peers, as the device server here sees them, and the rows of their LUN maps. A
 * row gets its number here, a new one whenever another LUN comes to be behind its name. */
#include "interconnect/inbound.h"

#include "interconnect/channel.h"
#include "scsi/lun.h"
#include "scsi/nexus.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NUMBERS_MAX 16384

struct proxy {
	struct inbound *inbound;
	struct nexus *nexus;
	struct list rows;
	uint16_t next_number;
	unsigned managing; /* requests of task management under way */
	bool ending;
};

struct proxy_row {
	struct list link; /* in the proxy's */
	struct proxy *proxy;
	struct lun *lun; /* a reference; NULL: not found yet */
	uint16_t number;
	bool read_only, mistrusted;
	uint32_t handle;
	char *name, *wwn;
};

/* A table by handle that grows; its slots begin empty. */
static int grow(void ***table, uint32_t *size, uint32_t handle)
{
	if (handle >= INBOUND_HANDLES_MAX)
		return -E2BIG;
	if (handle < *size)
		return (*table)[handle] ? -EEXIST : 0;
	uint32_t more = *size ? *size : 16;
	while (more <= handle)
		more *= 2;
	void **grown = realloc(*table, more * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + *size, 0, (more - *size) * sizeof(*grown));
	*table = grown;
	*size = more;
	return 0;
}

int proxy_declare(struct inbound *inbound, const struct message_nexus *message)
{
	int r = grow((void ***)&inbound->proxies, &inbound->proxies_size, message->handle);
	if (r < 0)
		return r;
	struct scsi_port port = { .tag = message->tag };
	(void)snprintf(port.target_name, sizeof(port.target_name), "%s", message->target);
	struct nexus_config config = {
		.initiator_name = message->initiator,
		.port = &port,
		.reactor = inbound->hub->reactor,
		.proxy = true,
	};
	memcpy(config.isid, message->isid, sizeof(config.isid));
	struct proxy *proxy = calloc(1, sizeof(*proxy));
	if (!proxy)
		return -ENOMEM;
	r = nexus_new(&config, &proxy->nexus);
	if (r < 0) {
		free(proxy);
		return r;
	}
	proxy->inbound = inbound;
	list_init(&proxy->rows);
	inbound->proxies[message->handle] = proxy;
	return 0;
}

static void row_free(struct proxy_row *row)
{
	list_remove(&row->link);
	lun_put(row->lun);
	free(row->name);
	free(row->wwn);
	free(row);
}

int proxy_declare_row(struct inbound *inbound, const struct message_row *message)
{
	struct proxy *proxy =
	        message->nexus < inbound->proxies_size ? inbound->proxies[message->nexus] : NULL;
	if (!proxy)
		return -EINVAL;
	int r = grow((void ***)&inbound->rows, &inbound->rows_size, message->handle);
	if (r < 0)
		return r;
	struct proxy_row *row = calloc(1, sizeof(*row));
	if (!row)
		return -ENOMEM;
	list_init(&row->link);
	row->name = strdup(message->name);
	row->wwn = strdup(message->wwn);
	if (!row->name || !row->wwn) {
		row_free(row);
		return -ENOMEM;
	}
	row->proxy = proxy;
	row->handle = message->handle;
	row->read_only = message->read_only;
	list_append(&proxy->rows, &row->link);
	inbound->rows[message->handle] = row;
	return 0;
}

struct proxy_row *proxy_row_get(const struct inbound *inbound, uint32_t handle)
{
	return handle < inbound->rows_size ? inbound->rows[handle] : NULL;
}

static int add_mapping(struct proxy_row *row, struct lun *lun)
{
	struct proxy *proxy = row->proxy;
	if (proxy->next_number == NUMBERS_MAX)
		return -ENOSPC;
	const struct lun_mapping mapping = {
		.number = proxy->next_number,
		.lun = lun,
		.read_only = row->read_only,
	};
	int r = nexus_add_mapping(proxy->nexus, &mapping);
	if (r == 0)
		row->number = proxy->next_number++;
	return r;
}

int proxy_row_resolve(struct proxy_row *row, struct nexus **ret_nexus, uint16_t *ret_number)
{
	if (!row->lun || row->mistrusted) {
		struct interconnect_listener *listener =
		        row->proxy->inbound->hub->interconnect->listener;
		struct lun *lun = listener->find_lun(listener, row->name, row->wwn);
		if (!lun)
			return -ENOENT;
		int r = lun == row->lun ? 0 : add_mapping(row, lun);
		if (r < 0) {
			lun_put(lun);
			return r;
		}
		lun_put(row->lun);
		row->lun = lun;
		row->mistrusted = false;
	}
	*ret_nexus = row->proxy->nexus;
	*ret_number = row->number;
	return 0;
}

void proxy_row_mistrust(struct proxy_row *row)
{
	row->mistrusted = true;
}

/* ---- the end ---- */

static void ended(void *argument)
{
	struct proxy *proxy = argument;
	struct inbound *inbound = proxy->inbound;

	nexus_free(proxy->nexus);
	free(proxy);
	inbound->proxies_ending--;
	inbound_check_end(inbound);
}

static void stop_if_idle(struct proxy *proxy)
{
	if (proxy->ending && proxy->managing == 0)
		nexus_stop(proxy->nexus, ended, proxy);
}

struct proxy *proxy_hold(const struct proxy_row *row)
{
	row->proxy->managing++;
	return row->proxy;
}

void proxy_release(struct proxy *proxy)
{
	proxy->managing--;
	stop_if_idle(proxy);
}

static void forget_row(const struct inbound *inbound, const struct proxy_row *row)
{
	struct executed *executed;
	list_for_each (executed, &inbound->running, link) {
		if (executed->row == row)
			executed->row = NULL;
	}
}

static void row_end(struct inbound *inbound, struct proxy_row *row)
{
	forget_row(inbound, row);
	inbound->rows[row->handle] = NULL;
	row_free(row);
}

void proxy_row_end(struct inbound *inbound, uint32_t handle)
{
	struct proxy_row *row = proxy_row_get(inbound, handle);
	if (!row)
		return;
	if (row->lun)
		nexus_remove_mapping(row->proxy->nexus, row->number);
	row_end(inbound, row);
}

void proxy_end(struct inbound *inbound, uint32_t handle)
{
	struct proxy *proxy = handle < inbound->proxies_size ? inbound->proxies[handle] : NULL;
	if (!proxy)
		return;
	inbound->proxies[handle] = NULL;
	while (!list_empty(&proxy->rows))
		row_end(inbound, list_first(&proxy->rows, struct proxy_row, link));
	inbound->proxies_ending++;
	proxy->ending = true;
	stop_if_idle(proxy);
}

void proxies_end(struct inbound *inbound)
{
	for (uint32_t handle = 0; handle < inbound->proxies_size; handle++)
		proxy_end(inbound, handle);
}

void proxies_done(struct inbound *inbound)
{
	free(inbound->proxies);
	free(inbound->rows);
}
