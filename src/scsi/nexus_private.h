/* What the device server itself knows of an I_T nexus. All on its reactor. */
#pragma once

#include "scsi/lun_private.h"
#include "scsi/nexus.h"

struct nexus {
	char *initiator_name;
	uint8_t isid[6];
	struct scsi_port port;
	struct reservation_port identity; /* constant: who this is for reservations */
	struct reactor *reactor;
	uint64_t serial;
	bool proxy;          /* constant */
	struct relay *relay; /* that knows of this nexus; NULL: none does */

	struct itl **itls; /* by ascending LUN number */
	size_t itl_count;
	unsigned task_count; /* begun and not done */

	/* A change of the map or the end: waits for the tasks of what goes. */
	struct list leaving; /* itl.link */
	bool stopping, settle_posted;
	void (*changed)(void *argument);
	void (*ended)(void *argument);
	void *changed_argument, *ended_argument;
	struct message settle;
};

enum lun_address { LUN_ADDRESS_NUMBER, LUN_ADDRESS_WELL_KNOWN, LUN_ADDRESS_INVALID };

/* Decodes the 8 bytes of a LUN [SAM-5 4.7]. */
enum lun_address lun_address_get(const uint8_t *lun, uint16_t *ret_number);
void lun_address_put(uint8_t *ret_lun, uint16_t number);

struct itl *nexus_find(const struct nexus *nexus, uint16_t number);
/* A task of this nexus has ended, or task management: lets what waits for that go on, never inside.
 */
void nexus_task_ended(struct nexus *nexus);
/* The nexus, or this row of its map, is about to go. */
static inline bool itl_ending(const struct itl *itl)
{
	return !itl->nexus || itl->nexus->stopping || itl->leaving;
}
