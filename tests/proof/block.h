/* What the parts of the checker share: the operations of one block, each with the window of time in
 * which it may have taken effect, and the clusters of those that share a value. */
#pragma once

#include "checker.h"

/* One operation on one block. */
struct access {
	const struct op *op;
	uint8_t index; /* of the block in the operation */
	/* It took effect in [start, end], or (unless it must have) never. */
	uint64_t start, end;
	bool never, must;
};

/* A value: its write, and the reads that saw it. Somewhere in [.., first_end] it came, and until
 * last_start it was there. */
struct cluster {
	uint64_t value;
	const struct access *writer; /* NULL: the initial value */
	uint64_t first_end, last_start;
	const struct op *first_ender, *last_starter;
	bool seen;
};

struct block {
	uint16_t lun;
	uint64_t lba;
	struct access *accesses; /* by start */
	size_t count;
	struct cluster *clusters; /* by value; the initial one is the first */
	size_t cluster_count;
	uint64_t origin; /* time 0 for people */
	struct verdict *verdict;
};

/* Adds a violation; the text is printf's. */
void block_violation(struct block *block, const char *kind, const char *format, ...)
        PRINTF_LIKE(3, 4);
/* "write 17 of initiator 2 over path 1 (3.012345 to 3.017000 s, ok)", in a buffer of its own. */
struct op_text {
	char text[192];
};
struct op_text block_describe(const struct block *block, const struct op *op);

/* window.c: sets the windows of all accesses. */
int block_set_windows(struct block *block, const struct history *history,
                      uint64_t age_ns) MUST_CHECK;
/* cluster.c: makes the clusters and puts the reads into them. */
int block_make_clusters(struct block *block) MUST_CHECK;
struct cluster *block_find(const struct block *block, uint64_t value);
void cluster_take(struct cluster *cluster, const struct access *access);
/* zone.c, chain.c */
int block_check_register(struct block *block) MUST_CHECK;
int block_check_counter(struct block *block) MUST_CHECK;
