/* The driver's parts: options, the state that they share, and the gauge that says how the disks
 * serve.
 *
 * Each initiator has a path to each gateway and some workers. A worker does one operation at a
 * time, on registers and counters that all initiators share, records it, and goes on through
 * another path when one fails. The duel is a pair of initiators that take a LUN from each other by
 * PERSISTENT RESERVE. Everything runs in one thread on one clock. */
#pragma once

#include "history.h"
#include "path.h"
#include "stamp.h"

#define PORTALS_MAX    8
#define INITIATORS_MAX 16

enum policy { POLICY_MIXED, POLICY_ROUND_ROBIN, POLICY_PREFERRED };

struct options {
	struct {
		char host[64], port[8];
	} portals[PORTALS_MAX];
	unsigned portal_count;
	const char *target, *history, *name;
	unsigned initiators, workers; /* workers of each initiator */
	unsigned luns, registers, counters;
	unsigned rate; /* operations a second, of all */
	unsigned seconds;
	unsigned reads_percent;
	unsigned seed;
	int duel_lun;                 /* -1: none */
	bool bound;                   /* worker n stays at LUN n */
	unsigned follow, follow_rate; /* 0: all LUNs alike */
	bool verbose;
	enum policy policy;
};
/* False: usage was printed. */
bool options_parse(int argc, char **argv, struct options *ret_options);

/* How the disks serve: since the last reset, per LUN. */
struct gauge {
	uint64_t since;
	uint64_t answers[ANSWER_COUNT];
	struct {
		uint64_t last, worst; /* completed I/O; the longest time without one */
		/* The same while somebody wanted one; since when that is so, 0: nobody does. */
		uint64_t waited, asked;
		unsigned asking; /* not answered yet */
		bool idle;       /* not followed, and nothing is asked: that is no gap */
		bool moved;      /* a unit attention told of a new owner */
		uint32_t good[PORTALS_MAX];
	} luns[LUNS_MAX];
	unsigned seen_moving; /* LUNs that were followed when they moved */
};

struct worker;
struct duel;

struct driver {
	struct options options;
	FILE *history;
	struct path *paths; /* initiator * portal_count + portal */
	struct path_events events;
	struct worker *workers;
	unsigned worker_count;
	struct duel *duel;
	struct gauge gauge;
	uint64_t next_id, random;
	uint64_t operations;
	uint64_t started;
	bool finishing; /* no new operations but the last reads */
	char last_error[200];
};

uint64_t driver_random(struct driver *driver, uint64_t below);
struct path *driver_path(struct driver *driver, unsigned initiator, unsigned portal);
/* The next path for a command, after `last`; NULL: none takes commands now. */
struct path *driver_choose(struct driver *driver, unsigned initiator, uint16_t lun, unsigned last);
/* An I/O is on its way: each is counted when it is answered. */
void driver_ask(struct driver *driver, const struct command *command, uint64_t now);
/* Counts an answer, and the I/O if it is good. */
void driver_count(struct driver *driver, const struct command *command, enum answer answer);

/* gauge.c */
void gauge_reset(struct driver *driver, uint64_t now);
/* Whether the LUN is one of those that move next; all are if none is to be followed. */
bool gauge_follows(const struct driver *driver, unsigned lun);
/* Nobody asks for a while. */
void gauge_idle(struct driver *driver, unsigned lun);
/* Somebody asks from now on. */
void gauge_begin(struct driver *driver, unsigned lun, uint64_t now);
/* One line of JSON. */
void gauge_print(const struct driver *driver, uint64_t now);

/* work.c */
int work_start(struct driver *driver, struct error *err) MUST_CHECK;
/* Starts what is due; returns when to come again. */
uint64_t work_tick(struct driver *driver, uint64_t now);
/* Every register is read once more; true when all have been. */
void work_finish(struct driver *driver);
bool work_finished(const struct driver *driver);
/* Writes what is without an answer into the history. */
void work_end(struct driver *driver);

/* duel.c */
int duel_start(struct driver *driver) MUST_CHECK;
void duel_tick(struct driver *driver, uint64_t now);
unsigned duel_rounds(const struct driver *driver);
bool duel_idle(const struct driver *driver);
void duel_end(struct driver *driver);
