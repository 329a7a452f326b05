/* The disks of a gateway: those of the plan in force, those that the next snapshot does not have
 * any more (retired), and those being closed. On the manager. */
#pragma once

#include "base/json.h"
#include "base/list.h"
#include "target/disk.h"
#include "target/plan.h"

#include <stdbool.h>

struct disk_set {
	struct disk_host *host;
	const struct owners *owners; /* before the first plan */
	struct plan *plan;           /* in force; NULL before the first */
	struct slot **slots; /* slots[i] belongs to plan->disks[i]; NULL: it could not be made */
	struct list retired, closing;
	/* A disk that was being closed is gone. */
	void (*emptied)(struct disk_set *set);
};

void disk_set_init(struct disk_set *set, struct disk_host *host,
                   void (*emptied)(struct disk_set *set));
/* Nothing may be open any more. */
void disk_set_done(struct disk_set *set);

/* Takes the plan over. Makes and changes disks; those that the plan does not have are retired. */
void disk_set_adopt(struct disk_set *set, struct plan *plan);
/* No session maps the retired disks any more: closes them. */
void disk_set_close_retired(struct disk_set *set);
/* Retires and closes all. */
void disk_set_close_all(struct disk_set *set);
bool disk_set_closing(const struct disk_set *set);

/* Every disk is as the plan wants it or has said why not, and none waits to be closed. */
bool disk_set_settled(const struct disk_set *set);
/* The i-th disk of the plan, or NULL. */
struct disk *disk_set_at(const struct disk_set *set, size_t i);
/* The disk of that name ("pool/image") in the plan, or NULL. */
struct disk *disk_set_find(const struct disk_set *set, const char *name);
/* Adds the names of those that are ours, also while they are being closed, for a line of the log:
 * not more than fit there. Returns how many there are. */
size_t disk_set_add_ours(const struct disk_set *set, struct string *names);
/* Adds what disks have to complain about, separated by "; ". */
void disk_set_add_problems(const struct disk_set *set, struct string *problems);
/* An array with a row for each disk. A new reference, NULL: no memory. */
json_t *disk_set_status(const struct disk_set *set) MUST_CHECK;
