/* Sense data: the codes this target gives and their two wire formats [SPC-4 4.5]. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sense key, ASC and ASCQ in one number: 0xKKAAQQ. */
enum sense_code {
	SENSE_NONE = 0x000000,
	SENSE_BECOMING_READY = 0x020401,
	SENSE_OPERATION_IN_PROGRESS = 0x020407,
	SENSE_TRANSITIONING = 0x02040a,
	SENSE_STANDBY = 0x02040b,
	SENSE_UNAVAILABLE = 0x02040c,
	SENSE_WRITE_ERROR = 0x030c00,
	SENSE_READ_ERROR = 0x031100,
	SENSE_INTERNAL_FAILURE = 0x044400,
	SENSE_INVALID_INFORMATION_UNIT = 0x050e03,
	SENSE_PARAMETER_LIST_LENGTH = 0x051a00,
	SENSE_INVALID_OPCODE = 0x052000,
	SENSE_LBA_OUT_OF_RANGE = 0x052100,
	SENSE_INVALID_FIELD_IN_CDB = 0x052400,
	SENSE_LUN_NOT_SUPPORTED = 0x052500,
	SENSE_INVALID_FIELD_IN_LIST = 0x052600,
	SENSE_INVALID_RELEASE = 0x052604,
	SENSE_SAVING_NOT_SUPPORTED = 0x053900,
	SENSE_NO_REGISTRATION_RESOURCES = 0x055504,
	SENSE_POWER_ON = 0x062901,
	SENSE_LUN_RESET = 0x062903,
	SENSE_NEXUS_LOSS = 0x062907,
	SENSE_RESERVATIONS_PREEMPTED = 0x062a03,
	SENSE_RESERVATIONS_RELEASED = 0x062a04,
	SENSE_REGISTRATIONS_PREEMPTED = 0x062a05,
	SENSE_ACCESS_STATE_CHANGED = 0x062a06,
	SENSE_CAPACITY_CHANGED = 0x062a09,
	SENSE_INQUIRY_CHANGED = 0x063f03,
	SENSE_LUNS_CHANGED = 0x063f0e,
	SENSE_WRITE_PROTECTED = 0x072700,
	SENSE_SPACE_EXHAUSTED = 0x072707,
	SENSE_COMMUNICATION_FAILURE = 0x0b0800,
	SENSE_MISCOMPARE = 0x0e1d00,
};

/* What goes beyond the code. Zeroed memory: nothing. */
struct sense_detail {
	bool has_information;
	uint64_t information;
	bool has_pointer;
	bool in_cdb; /* the pointer is into the CDB, else into the parameter list */
	uint16_t byte;
	uint8_t bit; /* 8: the whole byte */
};

#define SENSE_FIXED_LEN 18u
#define SENSE_MAX_LEN   32u

/* Writes current sense data of at most SENSE_MAX_LEN bytes; returns the length. */
size_t sense_put(uint8_t *ret_sense, enum sense_code code, bool descriptor,
                 const struct sense_detail *detail);
