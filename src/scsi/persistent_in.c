/* PERSISTENT RESERVE IN [SPC-4 6.15]. */
#include "base/bytes.h"
#include "scsi/execute.h"
#include "scsi/handlers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HEADER_LEN       8
#define STATUS_LEN       24
#define TRANSPORT_ID_MAX (4 + RESERVATION_NAME_MAX + 24)

enum service_action { READ_KEYS, READ_RESERVATION, REPORT_CAPABILITIES, READ_FULL_STATUS };

/* The bytes of the answer behind the header. */
typedef size_t put_fn(const struct reservations *reservations, uint8_t *p);

static size_t put_keys(const struct reservations *reservations, uint8_t *p)
{
	size_t n = 0;
	const struct registration *registration;
	list_for_each (registration, &reservations->registrations, link) {
		put_be64(p + 8 * n++, registration->key);
	}
	return 8 * n;
}

static size_t put_reservation(const struct reservations *reservations, uint8_t *p)
{
	if (reservations->type == RESERVATION_NONE)
		return 0;
	if (reservations->holder)
		put_be64(p, reservations->holder->key);
	p[13] = (uint8_t)reservations->type; /* scope: logical unit */
	return 16;
}

/* An iSCSI TransportID with the initiator's session id; returns its length. */
static size_t put_transport_id(uint8_t *p, const struct reservation_port *port)
{
	const uint8_t *isid = port->isid;
	int len = snprintf((char *)p + 4, TRANSPORT_ID_MAX - 4, "%s,i,0x%02x%02x%02x%02x%02x%02x",
	                   port->initiator, isid[0], isid[1], isid[2], isid[3], isid[4], isid[5]);
	size_t padded = ((size_t)len + 4) & ~(size_t)3; /* with its NUL */
	if (padded < 20)
		padded = 20;
	p[0] = 0x45;
	put_be16(p + 2, (uint16_t)padded);
	return 4 + padded;
}

static size_t put_status(const struct reservations *reservations, uint8_t *p)
{
	size_t at = 0;
	const struct registration *registration;
	list_for_each (registration, &reservations->registrations, link) {
		bool holds = reservation_holds(reservations, registration);
		uint8_t *d = p + at;
		put_be64(d, registration->key);
		d[12] = (uint8_t)((registration->all_target_ports ? 0x02 : 0) | (holds ? 0x01 : 0));
		d[13] = holds ? (uint8_t)reservations->type : 0;
		if (!registration->all_target_ports)
			put_be16(d + 18, registration->port.tag);
		size_t len = put_transport_id(d + STATUS_LEN, &registration->port);
		put_be32(d + 20, (uint32_t)len);
		at += STATUS_LEN + len;
	}
	return at;
}

static const struct {
	put_fn *put;
	size_t each; /* room for one registration */
} lists[] = {
	[READ_KEYS] = { put_keys, 8 },
	[READ_RESERVATION] = { put_reservation, 16 },
	[READ_FULL_STATUS] = { put_status, STATUS_LEN + TRANSPORT_ID_MAX },
};

/* CRH, SIP_C, ATP_C; with a keeper PTPL_C. TMV, types: all six. */
static void report_capabilities(struct scsi_task *task, const struct reservations *reservations)
{
	static const uint8_t capabilities[8] = { 0x00, 0x08, 0x1c, 0x90, 0xea, 0x01 };
	uint8_t *p = task_reply_start(task, sizeof capabilities);
	if (!p)
		return;
	memcpy(p, capabilities, sizeof capabilities);
	if (task_lun(task)->reservation_queue.keeper)
		p[2] |= 0x01; /* PTPL_C */
	if (reservations->aptpl)
		p[3] |= 0x01; /* PTPL_A */
	task_reply_end(task, sizeof capabilities);
}

static void report_list(struct scsi_task *task, const struct reservations *reservations)
{
	uint8_t action = task->state.opcode->service_action;
	size_t max_len = HEADER_LEN + (reservations->count + 1) * lists[action].each;
	uint8_t *p = task_reply_start(task, max_len);
	if (!p)
		return;
	put_be32(p, reservations->generation);
	size_t len = lists[action].put(reservations, p + HEADER_LEN);
	put_be32(p + 4, (uint32_t)len);
	task_reply_end(task, HEADER_LEN + len);
}

/* With the turn, which ends before the task does: the copy is what was true then. */
static void confirmed(struct scsi_task *task, int result)
{
	struct lun *lun = task_lun(task);
	AUTO(reservation_change) struct reservation_change *copy = NULL;
	if (result == 0) {
		copy = reservation_change_new(lun, NULL);
		if (!copy)
			result = -ENOMEM;
	}
	reservation_turn_end(lun);
	if (!copy)
		reservation_end_failed(task, result);
	else if (task->state.opcode->service_action == REPORT_CAPABILITIES)
		report_capabilities(task, &copy->draft);
	else
		report_list(task, &copy->draft);
}

static void confirm(struct scsi_task *task)
{
	reservation_confirm(task, confirmed);
}

void persistent_in_run(struct scsi_task *task)
{
	reservation_turn_take(task, confirm);
}
