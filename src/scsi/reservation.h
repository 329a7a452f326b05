/* Reservations of a logical unit: RESERVE(6) and persistent ones. Every change computes anew what
 * each nexus may not do, so that a command pays one load [SPC-4 5.13, SPC-2 5.5]. */
#pragma once

#include "base/auto.h"
#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct itl;
struct lun;

/* Bits of itl->reserved: what another nexus' reservation forbids. */
#define RESERVED_READS     (1u << 0)
#define RESERVED_WRITES    (1u << 1)
#define RESERVED_ALL       (1u << 2) /* RESERVE(6) of another nexus */
#define RESERVED_RESERVING (1u << 3) /* PERSISTENT RESERVE: a RESERVE(6) is there */

#define RESERVATION_NAME_MAX 224

/* An I_T nexus as persistent reservations name it. */
struct reservation_port {
	char initiator[RESERVATION_NAME_MAX];
	char target[RESERVATION_NAME_MAX];
	uint8_t isid[6];
	uint16_t tag;
};

/* One registered I_T nexus. */
struct registration {
	struct list link;
	struct reservation_port port;
	uint64_t key;
	bool all_target_ports;
};

enum reservation_type {
	RESERVATION_NONE = 0,
	RESERVATION_WRITE_EXCLUSIVE = 1,
	RESERVATION_EXCLUSIVE_ACCESS = 3,
	RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS = 5,
	RESERVATION_EXCLUSIVE_ACCESS_REGISTRANTS = 6,
	RESERVATION_WRITE_EXCLUSIVE_ALL = 7,
	RESERVATION_EXCLUSIVE_ACCESS_ALL = 8,
};

#define REGISTRATIONS_MAX 1024

/* Guarded by lun->lock. */
struct reservations {
	struct itl *reserver;      /* RESERVE(6); NULL: nobody */
	struct list registrations; /* struct registration, in order of arrival */
	size_t count;
	uint32_t generation;
	enum reservation_type type;
	struct registration *holder; /* NULL when none, or when all registrants hold it */
};

void reservations_init(struct reservations *reservations);
void reservations_done(struct reservations *reservations);

/* With lun->lock held: computes itl->reserved of all nexuses of the LUN. */
void reservations_apply(struct lun *lun);
/* With lun->lock held: drops the RESERVE(6) of this itl, or of anybody (NULL). */
void reservations_release6(struct lun *lun, const struct itl *itl);
/* Whether it is the registration of this nexus. */
bool registration_is(const struct registration *registration, const struct reservation_port *port);
/* With lun->lock held: the registration of this nexus, or NULL. */
struct registration *registration_find(const struct reservations *reservations,
                                       const struct reservation_port *port);
static inline bool reservation_all_registrants(enum reservation_type type)
{
	return type == RESERVATION_WRITE_EXCLUSIVE_ALL || type == RESERVATION_EXCLUSIVE_ACCESS_ALL;
}
