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
	/* Of the nexus object; 0: not known. No part of the name: a login of the same initiator
	 * port makes another object of the same name. */
	uint64_t serial;
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

/* What is kept of a LUN's reservations. Guarded by lun->lock; changed on a copy, which takes its
 * place when it has been saved. Zeroed memory must be initialized. */
struct reservations {
	struct list registrations; /* struct registration, in order of arrival */
	size_t count;
	uint32_t generation;
	bool aptpl; /* of the last REGISTER: the LUN's state survives a power loss */
	enum reservation_type type;
	struct registration *holder; /* NULL when none, or when all registrants hold it */

	bool reserved; /* RESERVE(6) */
	struct reservation_port reserver;
	bool reserver_here; /* by a session of the owner's own, which ends with it */
};

/* A unit attention that was raised for a nexus and is not reported yet. The next owner raises it
 * again. */
struct reservation_notice {
	struct list link;
	struct reservation_port port;
	uint32_t code; /* enum sense_code */
};
#define RESERVATION_NOTICES_MAX 1024

void reservations_init(struct reservations *reservations);
void reservations_done(struct reservations *reservations);
/* Into an initialized, empty one; -ENOMEM leaves it so. */
int reservations_copy(struct reservations *copy, const struct reservations *from) MUST_CHECK;
/* Puts `from` in the place of what was there; `from` is empty then. */
void reservations_replace(struct reservations *reservations, struct reservations *from);
/* -ENOSPC (REGISTRATIONS_MAX), -ENOMEM. */
int reservations_add(struct reservations *reservations, const struct reservation_port *port,
                     uint64_t key, bool all_target_ports) MUST_CHECK;

/* With lun->lock held: computes itl->reserved of all nexuses of the LUN. */
void reservations_apply(struct lun *lun);
bool reservation_port_equal(const struct reservation_port *a, const struct reservation_port *b);
/* Whether it is the registration of this nexus. */
bool registration_is(const struct registration *registration, const struct reservation_port *port);
/* The registration of this nexus, or NULL. */
struct registration *registration_find(const struct reservations *reservations,
                                       const struct reservation_port *port);
static inline bool reservation_all_registrants(enum reservation_type type)
{
	return type == RESERVATION_WRITE_EXCLUSIVE_ALL || type == RESERVATION_EXCLUSIVE_ACCESS_ALL;
}
bool reservation_type_valid(unsigned type);
static inline bool reservation_holds(const struct reservations *reservations,
                                     const struct registration *registration)
{
	return reservations->type != RESERVATION_NONE &&
	       (reservation_all_registrants(reservations->type) ||
	        reservations->holder == registration);
}
void reservation_set(struct reservations *reservations, enum reservation_type type,
                     struct registration *holder);
/* The reservation goes with its holder, or with the last registrant. */
void registration_drop(struct reservations *reservations, struct registration *registration);

/* Frees the notices of a list. */
void reservation_notices_free(struct list *notices);
