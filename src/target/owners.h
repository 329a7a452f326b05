/* Who owns which LUN, as this gateway sees it: looks at the rows, follows the other gateways, asks
 * ownership/decide.h about each disk and gives the disks their orders. On the manager. */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "scsi/lun.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk;
struct disk_set;
struct fence;
struct history_writer;
struct owners;
struct peers;
struct plan_disk;
struct reactor;
struct registration;
struct store;

struct owners_config {
	struct reactor *manager;
	struct reactor *const *reactors; /* borrowed for life, as all below */
	unsigned reactor_count;
	struct disk_set *disks;
	const char *gateway;
	struct peers *peers;
	/* This instance was condemned, or fenced as a whole: it must not go on. Once. */
	void (*condemned)(void *argument, const char *why);
	/* All was given away after owners_leave(), or nobody is there to take the rest. */
	void (*left)(void *argument);
	void *argument;
};

int owners_new(const struct owners_config *config, struct owners **ret_owners) MUST_CHECK;
/* After owners_stop(). NULL is fine. */
void owners_free(struct owners *owners);

/* The store is there: it begins. Borrowed until owners_stop() has ended. */
void owners_begin(struct owners *owners, struct store *store, struct registration *registration,
                  struct fence *fence, struct history_writer *history);
void owners_set_return_after(struct owners *owners, uint64_t return_after_ms);
/* Something has changed: decides anew, soon. */
void owners_changed(struct owners *owners);
/* The same, about one disk only. */
void owners_disk_changed(struct owners *owners, struct disk *disk);
/* Looks at the rows now. */
void owners_look(struct owners *owners);
/* A message of another manager, or the own echo. */
void owners_told(struct owners *owners, const char *text);
/* A disk took or gave its LUN: peers should know. */
void owners_moved(struct owners *owners, struct disk *disk);
/* The access states of a disk's portal groups: how many there are. disk may be NULL. */
#define PORT_GROUPS_MAX 256
size_t owners_port_groups(const struct owners *owners, const struct plan_disk *wanted,
                          const struct disk *disk, struct port_group groups[PORT_GROUPS_MAX]);

/* Somebody is there who would take LUNs of this gateway. */
bool owners_have_heir(const struct owners *owners);
/* This gateway is being stopped: it gives all its LUNs away, and takes none. */
void owners_leave(struct owners *owners);
/* Nothing is decided any more, also if it never began. stopped() on the manager, never inside. */
void owners_stop(struct owners *owners, void (*stopped)(void *argument), void *argument);

/* Adds `members`: a row for each gateway. -ENOMEM. */
int owners_add_status(const struct owners *owners, json_t *status) MUST_CHECK;
/* Adds what is known of the disk's ownership to its row. -ENOMEM. */
int owners_add_disk_status(const struct owners *owners, const struct plan_disk *wanted,
                           const struct disk *disk, json_t *row) MUST_CHECK;
