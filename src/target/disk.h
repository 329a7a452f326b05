/* One disk on this gateway: a LUN, the image below it, and the record that says who owns it. Told
 * what is wanted (serve, forward, wait, ...), it gets there by itself, however often opening fails,
 * and says when it has settled. The image is open on every gateway, so that taking it is quick; it
 * is written to only by its owner. Lives on the manager's reactor; what may block runs on workers.
 */
#pragma once

#include "base/error.h"
#include "base/reactor.h"
#include "ownership/decide.h"
#include "ownership/record.h"
#include "ownership/rollback.h"
#include "scsi/lun.h"

#include <stdbool.h>
#include <stdint.h>

struct data_clients;
struct disk;
struct fence;
struct job_queues;
struct lun_registry;
struct relay;
struct store;

/* What all disks of a gateway share. Borrowed by each disk for life. */
struct disk_host {
	struct reactor *manager;
	struct job_queues *jobs; /* by pool */
	struct store *store;
	struct data_clients *clients; /* NULL with a store without cluster */
	struct registration *registration;
	struct fence *fence;
	struct relay *relay;       /* NULL: nothing is ever forwarded */
	struct lun_registry *luns; /* where peers find LUNs by name */
	const char *gateway;
	bool ending; /* disks that are closed then give back what they can, and do not insist */
	/* On the manager: the disk has settled, or what it says about itself has changed. */
	void (*changed)(struct disk_host *host, struct disk *disk);
	/* On the manager: its record was changed by this gateway. */
	void (*moved)(struct disk_host *host, struct disk *disk);
	/* On the manager: its cluster client was fenced. */
	void (*fenced)(struct disk_host *host, struct disk *disk);
	/* On the manager: OFFER, and a command wants it. */
	void (*wanted)(struct disk_host *host, struct disk *disk);
};

struct disk_config {
	const char *pool, *image;
	struct lun_config lun; /* name is "pool/image"; relay and keeper are the disk's business */
	const struct port_group *groups;
	size_t group_count;
};

/* What is wanted of a disk. */
enum disk_role {
	DISK_WAIT,        /* nobody knows yet who will own it: commands wait */
	DISK_SERVE,       /* own it: take it if need be */
	DISK_FORWARD,     /* another gateway owns it */
	DISK_GIVE,        /* give it back, to `next` or to nobody in particular; then wait */
	DISK_UNAVAILABLE, /* its owner lives and cannot be reached */
	DISK_STANDBY,     /* this gateway takes nothing, and forwards to nobody */
	DISK_OFFER,       /* nobody here owns it: open, and taken when a command wants it */
	DISK_KEEP_OFF,    /* the same, but it moves too often: commands are told BUSY */
	DISK_ROLL_BACK,   /* its image is rolled back: nobody serves it until that is over */
};
struct disk_order {
	enum disk_role role;
	struct lun_route route; /* FORWARD */
	const char *next;       /* GIVE: a gateway, or "" */
	const char *why;        /* SERVE, GIVE: for log and record; constant */
	bool others_up;         /* SERVE: sessions of other gateways may live */
	/* Gateways that know nothing of all this share it, and break its lock when they want it: it
	 * is on a cluster client of its own, is never taken again without a new order, and SERVE
	 * fences who has it, unless that is one of ours. */
	bool on_demand;
};

#define DISK_LOST "lost its lock" /* why a record on demand was given back */

/* On the manager, as all calls below. Strings are copied. It waits until it is ordered. */
int disk_new(struct disk_host *host, const struct disk_config *config,
             struct disk **ret_disk) MUST_CHECK;
/* What may change of a disk that is there: limits. Also looks for a new size. */
int disk_change(struct disk *disk, const struct disk_config *config) MUST_CHECK;
/* As all gateways agree on; NULL memory is told in the log. */
void disk_set_port_groups(struct disk *disk, const struct port_group *groups, size_t count);
void disk_give_order(struct disk *disk, const struct disk_order *order);
/* Takes it out of service: waits for what is in flight, gives lock and record back, closes the
 * image. closed() comes on the manager, never inside; the disk is freed then. */
void disk_close(struct disk *disk, void (*closed)(void *argument), void *argument);

/* The record as it stands in the store, or was told by a peer. One that is older than what is known
 * changes nothing. True: it was news. */
bool disk_saw_record(struct disk *disk, const struct owner_record *record);
/* What stands in the row of its reservations: as this gateway, which had the disk last, knows it
 * (NULL: it does not), and as the last owner has told it: a guess, which spares who takes the disk
 * to read it. */
const char *disk_reservations(const struct disk *disk);
void disk_told_reservations(struct disk *disk, const char *text);
const struct owner_record *disk_record(const struct disk *disk);
uint64_t disk_record_seen_ms(const struct disk *disk);
/* It should be served here, and cannot be since then; 0: nothing is known against it. */
uint64_t disk_fails_since_ms(const struct disk *disk);

/* What stands in its row of a rollback (NULL: there is none), as it was looked up after since_ms.
 */
void disk_saw_rollback(struct disk *disk, const struct rollback *rollback, uint64_t since_ms);
/* Never NULL; borrowed. Seen: when this text came. */
const struct rollback *disk_rollback(const struct disk *disk);
uint64_t disk_rollback_seen_ms(const struct disk *disk);
/* It was rolled back here, or could not be: the row has changed. */
bool disk_was_rolled_back(const struct disk *disk);

const char *disk_name(const struct disk *disk);
/* Borrowed. */
struct lun *disk_lun(const struct disk *disk);
/* What commands meet here. */
enum lun_state disk_state(const struct disk *disk);
/* False while the first opening is under way, or a change (size, owner) is. */
bool disk_settled(const struct disk *disk);
/* A login to a target waits for it: it is being opened for the first time, for 10 s at most. */
bool disk_awaited(const struct disk *disk);
/* Why it does not do what is wanted, or "". */
const char *disk_problem(const struct disk *disk);
/* There is none under its name, or another one, or one that may not be written here. */
bool disk_image_is_gone(const struct disk *disk);
/* What it was ordered last, and since when it is of that kind. */
enum disk_role disk_role(const struct disk *disk);
uint64_t disk_role_since_ms(const struct disk *disk);
/* A mark of who gives orders: it is to be decided about anew. */
void disk_mark(struct disk *disk, bool marked);
bool disk_marked(const struct disk *disk);
/* The record says that this very instance owns it. */
bool disk_record_is_own(const struct disk *disk);
/* On demand: a command waits that needs it. */
bool disk_is_demanded(const struct disk *disk);
/* When its lock moved last, while on demand. */
const struct demand_moves *disk_moves(const struct disk *disk);
/* Another preferred owner has been chosen, while it is ours. */
void disk_note_request(struct disk *disk);
bool disk_is_requested(const struct disk *disk);
/* A gateway that cannot reach this one wants it, for `next`: itself, or one that it can reach. */
void disk_ask_for(struct disk *disk, const char *next);
/* That gateway, until somebody has taken the LUN since. "": none. Borrowed. */
const char *disk_asked_for(const struct disk *disk, uint64_t *ret_asked_ms);
/* It is open for writing here. */
bool disk_is_owner(const struct disk *disk);
/* It is the owner, or the record says so, or both. */
bool disk_is_ours(const struct disk *disk);
/* Taking or giving is under way. */
bool disk_is_moving(const struct disk *disk);
/* It is being taken, rolled back or given back: it may be served when that has ended, whatever its
 * LUN says now. */
bool disk_record_moves(const struct disk *disk);
/* Its owner, which is known already, says that it serves it now: commands that came too early are
 * sent again with the next order. */
void disk_heard_owner(struct disk *disk);
/* Its owner itself sent the record, as soon as it had what stands there. `kept`: it gave the LUN
 * back having served it without a break. */
void disk_told_record(struct disk *disk, const struct owner_record *record, bool kept);
/* The same of what this gateway gave back. */
bool disk_was_kept(const struct disk *disk);
/* Commands go to an owner that may not be ready for them yet: for a second since they do. */
bool disk_forwards_anew(const struct disk *disk);
/* Initiators wait for it here, or were told that its owner cannot be reached since
 * disk_note_refusals(). */
bool disk_commands_wait(const struct disk *disk);
void disk_note_refusals(struct disk *disk);
/* Sessions of this gateway use it: commands of theirs are with its owner, which has not answered
 * them, or the last one that went to the medium came not long ago. */
bool disk_is_used(const struct disk *disk);

/* ---- disk_try.c: does the storage answer? ---- */

/* Looks for the oldest request that it has not answered; the next look tells. */
void disk_look_for_oldest(struct disk *disk);
/* As found by the last look that has ended; while the disk is being taken or given back, that,
 * which has no range. */
struct lun_request disk_oldest(const struct disk *disk);
/* Who wants to know. What has no answer for one is not in the way of the other. */
enum disk_asker {
	DISK_OWN_QUESTION,
	DISK_PEER_QUESTION,
	DISK_ASKER_COUNT,
};
/* Reads there, owner or not, at most DISK_TRY_BYTES_MAX; without a length, what the image needs to
 * be taken. done() on the manager, never inside, with 0 or -errno, however long it takes. -EBUSY:
 * another one of this asker has no answer yet; -ENOTCONN: the image is not open; -ENOMEM. */
#define DISK_TRY_BYTES_MAX (4u << 20)
int disk_try(struct disk *disk, enum disk_asker asker, uint64_t offset, uint64_t length,
             void (*done)(void *argument, int result), void *argument) MUST_CHECK;
