/* PERSISTENT RESERVE IN [SPC-4 6.15]. */
#include "base/bytes.h"
#include "scsi/execute.h"
#include "scsi/handlers.h"

#include <stdio.h>
#include <string.h>

#define HEADER_LEN       8
#define STATUS_LEN       24
#define TRANSPORT_ID_MAX (4 + RESERVATION_NAME_MAX + 24)

enum service_action { READ_KEYS, READ_RESERVATION, REPORT_CAPABILITIES, READ_FULL_STATUS };

/* The bytes of the answer behind the header; with lun->lock held. */
typedef size_t put_fn(const struct reservations *reservations, uint8_t *p, size_t max_count);

static size_t put_keys(const struct reservations *reservations, uint8_t *p, size_t max_count)
{
	size_t n = 0;
	const struct registration *registration;
	list_for_each (registration, &reservations->registrations, link) {
		if (n == max_count)
			break;
		put_be64(p + 8 * n++, registration->key);
	}
	return 8 * n;
}

static size_t put_reservation(const struct reservations *reservations, uint8_t *p, size_t max_count)
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

static size_t put_status(const struct reservations *reservations, uint8_t *p, size_t max_count)
{
	size_t at = 0, n = 0;
	const struct registration *registration;
	list_for_each (registration, &reservations->registrations, link) {
		if (n++ == max_count)
			break;
		bool holds = reservations->type != RESERVATION_NONE &&
		             (reservation_all_registrants(reservations->type) ||
		              reservations->holder == registration);
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

static void report_capabilities(struct scsi_task *task)
{
	/* CRH, ATP_C; no PTPL_C: nothing outlives the gateway. Types: all six. */
	static const uint8_t capabilities[8] = { 0x00, 0x08, 0x14, 0x90, 0xea, 0x01 };
	uint8_t *p = task_reply_start(task, sizeof capabilities);
	if (!p)
		return;
	memcpy(p, capabilities, sizeof capabilities);
	task_reply_end(task, sizeof capabilities);
}

void persistent_in_run(struct scsi_task *task)
{
	uint8_t action = task->state.opcode->service_action;
	if (action == REPORT_CAPABILITIES) {
		report_capabilities(task);
		return;
	}
	struct lun *lun = task_lun(task);
	(void)pthread_mutex_lock(&lun->lock);
	size_t count = lun->reservations.count;
	(void)pthread_mutex_unlock(&lun->lock);

	uint8_t *p = task_reply_start(task, HEADER_LEN + (count + 1) * lists[action].each);
	if (!p)
		return;
	(void)pthread_mutex_lock(&lun->lock);
	put_be32(p, lun->reservations.generation);
	size_t len = lists[action].put(&lun->reservations, p + HEADER_LEN, count);
	(void)pthread_mutex_unlock(&lun->lock);
	put_be32(p + 4, (uint32_t)len);
	task_reply_end(task, HEADER_LEN + len);
}
