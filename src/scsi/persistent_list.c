/* Parameter lists of PERSISTENT RESERVE OUT: keys, flags, and TransportIDs of other nexuses
 * [SPC-4 6.16.3, 6.16.4, 7.6.4.6]. */
#include "scsi/persistent_list.h"

#include "base/bytes.h"
#include "base/text.h"
#include "scsi/execute.h"
#include "scsi/reservation_keeper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Byte 20 of the basic list. */
#define SPEC_I_PT 0x08
#define ALL_TG_PT 0x04
#define APTPL     0x01
/* Byte 17 of the list of REGISTER AND MOVE. */
#define MOVE_UNREG 0x02
#define MOVE_APTPL 0x01

#define ISCSI_NAME_ONLY  0x05 /* FORMAT CODE 00b, PROTOCOL IDENTIFIER 5 */
#define ISCSI_WITH_ISID  0x45
#define TRANSPORT_ID_MIN 24u
#define ISID_SEPARATOR   ",i,0x"
#define OTHERS_MAX       REGISTRATIONS_MAX

struct others {
	struct reservation_port *list;
	size_t count;
};

static bool others_add(struct others *others, const struct reservation_port *port)
{
	if (others->count == OTHERS_MAX)
		return false;
	if (!others->list)
		others->list = calloc(OTHERS_MAX, sizeof *others->list);
	if (!others->list)
		return false;
	others->list[others->count++] = *port;
	return true;
}

/* ---- one TransportID ---- */

/* "name,i,0xISID" with 1 to 12 digits; false: not so. */
static bool split_name(const char *text, size_t len, struct reservation_port *ret_port)
{
	const char *separator = memmem(text, len, ISID_SEPARATOR, strlen(ISID_SEPARATOR));
	if (!separator || separator == text)
		return false;
	size_t name_len = (size_t)(separator - text);
	const char *digits = separator + strlen(ISID_SEPARATOR);
	size_t digit_count = (size_t)(text + len - digits), got;
	uint8_t isid[6];
	if (name_len >= sizeof ret_port->initiator || digit_count == 0 ||
	    text_get_hex(digits, digit_count, isid, sizeof isid, &got) < 0)
		return false;
	(void)snprintf(ret_port->initiator, sizeof ret_port->initiator, "%.*s", (int)name_len,
	               text);
	memset(ret_port->isid, 0, sizeof ret_port->isid);
	memcpy(ret_port->isid + sizeof isid - got, isid, got);
	return nexus_may_be_named(ret_port->initiator);
}

/* A name alone stands for all ports of that initiator that are logged in at this target port. */
static bool add_by_name(struct scsi_task *task, const char *name, size_t len,
                        const struct reservation_port *at, struct others *others)
{
	struct lun *lun = task_lun(task);
	size_t before = others->count;
	bool room = true;
	(void)pthread_mutex_lock(&lun->lock);
	const struct itl *itl;
	list_for_each (itl, &lun->itls, lun_link) {
		const struct reservation_port *port = itl->port;
		if (strlen(port->initiator) == len &&
		    strncasecmp(port->initiator, name, len) == 0 && port->tag == at->tag &&
		    strcasecmp(port->target, at->target) == 0)
			room = room && others_add(others, port);
	}
	(void)pthread_mutex_unlock(&lun->lock);
	return room && others->count > before;
}

/* Returns the length of the TransportID at p, or 0: it is not one that names anybody. */
static size_t take_transport_id(struct scsi_task *task, const uint8_t *p, size_t left,
                                const struct reservation_port *at, struct others *others)
{
	if (left < TRANSPORT_ID_MIN)
		return 0;
	size_t len = 4 + (size_t)get_be16(p + 2);
	if (len < TRANSPORT_ID_MIN || len > left || len % 4)
		return 0;
	const char *text = (const char *)p + 4;
	size_t text_len = strnlen(text, len - 4);
	if (text_len == len - 4)
		return 0; /* it must end with a NUL */
	struct reservation_port port = *at;
	bool taken = false;
	if (p[0] == ISCSI_NAME_ONLY)
		taken = text_len && add_by_name(task, text, text_len, at, others);
	else if (p[0] == ISCSI_WITH_ISID)
		taken = split_name(text, text_len, &port) && others_add(others, &port);
	return taken ? len : 0;
}

/* ---- the lists ---- */

static bool bad_field(struct persistent_fault *ret_fault, size_t byte, uint8_t bit)
{
	*ret_fault = (struct persistent_fault){ SENSE_INVALID_FIELD_IN_LIST, (uint16_t)byte, bit };
	return false;
}

static bool bad_length(struct persistent_fault *ret_fault)
{
	*ret_fault = (struct persistent_fault){ .code = SENSE_PARAMETER_LIST_LENGTH };
	return false;
}

static bool parse_spec_i_pt(struct scsi_task *task, struct persistent_order *order,
                            struct persistent_fault *ret_fault)
{
	const uint8_t *list = task->data->data;
	size_t len = task->data_out_len;
	if (order->action != PERSISTENT_REGISTER) {
		return bad_field(ret_fault, 20, 3);
	}
	if (len < PERSISTENT_LIST_LEN + 4 || get_be32(list + 24) != len - PERSISTENT_LIST_LEN - 4) {
		return bad_length(ret_fault);
	}
	struct others others = { 0 };
	size_t at = PERSISTENT_LIST_LEN + 4;
	while (at < len) {
		size_t took = take_transport_id(task, list + at, len - at, order->port, &others);
		if (took == 0) {
			free(others.list);
			return bad_field(ret_fault, at, 8);
		}
		at += took;
	}
	order->others = others.list;
	order->other_count = others.count;
	return true;
}

static bool parse_basic(struct scsi_task *task, struct persistent_order *order,
                        struct persistent_fault *ret_fault)
{
	const uint8_t *list = task->data->data;
	order->all_target_ports = list[20] & ALL_TG_PT;
	order->aptpl = list[20] & APTPL;
	if (order->aptpl && !task_lun(task)->reservation_queue.keeper) {
		return bad_field(ret_fault, 20, 0);
	}
	if (list[20] & SPEC_I_PT)
		return parse_spec_i_pt(task, order, ret_fault);
	if (task->data_out_len == PERSISTENT_LIST_LEN)
		return true;
	return bad_length(ret_fault);
}

/* The relative target port is the tag of a portal group, of the same target. */
static bool port_exists(struct lun *lun, uint16_t tag)
{
	bool found = false;
	(void)pthread_mutex_lock(&lun->lock);
	for (size_t i = 0; i < lun->group_count; i++)
		found = found || lun->groups[i].tag == tag;
	(void)pthread_mutex_unlock(&lun->lock);
	return found;
}

static bool parse_move(struct scsi_task *task, struct persistent_order *order,
                       struct persistent_fault *ret_fault)
{
	const uint8_t *list = task->data->data;
	order->unregister = list[17] & MOVE_UNREG;
	order->aptpl = list[17] & MOVE_APTPL;
	struct reservation_port at = *order->port;
	at.tag = get_be16(list + 18);
	if (order->aptpl && !task_lun(task)->reservation_queue.keeper) {
		return bad_field(ret_fault, 17, 0);
	}
	if (at.tag != order->port->tag && !port_exists(task_lun(task), at.tag)) {
		return bad_field(ret_fault, 18, 8);
	}
	size_t len = task->data_out_len - PERSISTENT_LIST_LEN;
	if (get_be32(list + 20) != len) {
		return bad_length(ret_fault);
	}
	struct others others = { 0 };
	size_t took = take_transport_id(task, list + PERSISTENT_LIST_LEN, len, &at, &others);
	if (took != len || others.count != 1) {
		free(others.list);
		return bad_field(ret_fault, PERSISTENT_LIST_LEN, 8);
	}
	order->others = others.list;
	order->other_count = others.count;
	return true;
}

bool persistent_list_parse(struct scsi_task *task, struct persistent_order *order,
                           struct persistent_fault *ret_fault)
{
	const uint8_t *list = task->data->data;
	order->port = task->state.itl->port;
	order->action = (enum persistent_action)task->state.opcode->service_action;
	order->type = (enum reservation_type)(task->cdb[2] & 0x0f);
	order->key = get_be64(list);
	order->action_key = get_be64(list + 8);
	return order->action == PERSISTENT_REGISTER_AND_MOVE ? parse_move(task, order, ret_fault)
	                                                     : parse_basic(task, order, ret_fault);
}
