/* The parameter list of PERSISTENT RESERVE OUT [SPC-4 6.16.3, 6.16.4]. */
#pragma once

#include "scsi/persistent.h"

#include <stdbool.h>

struct scsi_task;

#define PERSISTENT_LIST_LEN      24u
#define PERSISTENT_LIST_MOVE_MIN 48u
#define PERSISTENT_LIST_MAX      65536u

/* What is wrong with a list. */
struct persistent_fault {
	enum sense_code code; /* PARAMETER_LIST_LENGTH, or INVALID_FIELD_IN_LIST with its place */
	uint16_t byte;
	uint8_t bit;
};

/* Fills the order from the task's CDB and data; free(order->others). */
bool persistent_list_parse(struct scsi_task *task, struct persistent_order *order,
                           struct persistent_fault *ret_fault);
