/* What leaves a connection: an ordered queue of things to send, a ring of PDUs that are on their
 * way, and one sendmsg at the end of each turn of the reactor. */
#pragma once

#include "base/list.h"
#include "base/reactor.h"
#include "iscsi/pdu.h"

struct transmitter;
struct tx_slot;

/* Something that wants to be sent, as one PDU or several: embedded in its object. Numbers (StatSN
 * and so on) are given when a PDU is emitted, so they follow the order on the wire. */
struct outgoing {
	struct list link; /* in the transmitter's queue; list_init() before first use */
	/* Writes the next PDU into slot: all of the header (with AHS, if its length says so, at
	 * most TX_AHS_MAX bytes) but data length, and slot_set_data().
	 * Returns true if nothing is left to emit; then the object may set slot->ended_with =
	 * itself to be told when that last PDU has left. */
	bool (*emit)(struct outgoing *outgoing, struct tx_slot *slot);
	/* The PDU that named it in ended_with has left, or everything was dropped while it was in
	 * the queue. */
	void (*ended)(struct outgoing *outgoing);
};

#define TX_AHS_MAX 64

struct tx_slot {
	uint8_t header[BHS_BYTES + TX_AHS_MAX + DIGEST_BYTES];
	uint8_t tail[3 + DIGEST_BYTES]; /* padding and digest */
	uint8_t header_len, tail_len;
	uint32_t data_len;
	const uint8_t *data; /* in place: untouched until ended() */
	struct outgoing *ended_with;
};

static inline void slot_set_data(struct tx_slot *slot, const uint8_t *data, uint32_t len)
{
	slot->data = data;
	slot->data_len = len;
}

struct transmitter {
	int fd;
	struct list queue; /* of struct outgoing */
	struct tx_slot *slots;
	unsigned slot_count;             /* a power of two */
	unsigned first, next;            /* free running: slots in use are [first, next) */
	uint32_t sent_of_first;          /* bytes of slots[first] that have left */
	bool header_digest, data_digest; /* for PDUs emitted from now on */
	uint64_t progress_ms; /* when the peer took something last, or the queue was empty */
};

#define TX_SLOTS_LOGIN        4
#define TX_SLOTS_FULL_FEATURE 128

int transmitter_init(struct transmitter *tx, int fd, unsigned slot_count) MUST_CHECK;
/* Keeps what is on its way. */
int transmitter_resize(struct transmitter *tx, unsigned slot_count) MUST_CHECK;
/* Drops everything (ended() is called) and frees the ring. */
void transmitter_done(struct transmitter *tx);
/* Drops everything; nothing may be added afterwards. */
void transmitter_drop(struct transmitter *tx);

static inline void transmitter_add(struct transmitter *tx, struct outgoing *outgoing)
{
	list_append(&tx->queue, &outgoing->link);
}
static inline bool transmitter_empty(const struct transmitter *tx)
{
	return tx->first == tx->next && list_empty(&tx->queue);
}
/* Sends what the socket takes. 1: all has left; 0: the socket is full; -errno: broken. */
int transmitter_flush(struct transmitter *tx, uint64_t now_ms) MUST_CHECK;
