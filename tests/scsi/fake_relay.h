/* A relay that the test plays the owner for: it keeps what it was given until told what became of
 * it. */
#pragma once

#include "scsi/lun.h"
#include "scsi/relay.h"

#include <stddef.h>

#define FAKE_RELAY_MAX 16

struct fake_relay {
	struct relay relay;
	struct scsi_task *tasks[FAKE_RELAY_MAX];
	size_t task_count;
	struct relay_request *requests[FAKE_RELAY_MAX];
	size_t request_count;
	struct lun_route route; /* of the last that came */
	unsigned begun, managed, cancelled;
	const struct scsi_task *cancelled_task; /* the last one */
	uint64_t ended;                         /* serial of the last nexus that ended */
	unsigned rows_ended;
};

void fake_relay_init(struct fake_relay *fake);
/* Gives task i back; later ones move up. ANSWERED: with this status, and with data-in of `fill` */
void fake_relay_answer(struct fake_relay *fake, size_t i, enum scsi_status status, uint8_t fill);
void fake_relay_return(struct fake_relay *fake, size_t i, enum relay_outcome outcome);
/* Ends request i. */
void fake_relay_managed(struct fake_relay *fake, size_t i, enum relay_outcome outcome,
                        enum task_function_response response);
