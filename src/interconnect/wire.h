/* A TCP connection of the interconnect on its reactor: bytes become PDUs, what is queued leaves at
 * the end of the turn with one sendmsg, or a few. What the PDUs mean is the owner's business. */
#pragma once

#include "base/reactor.h"
#include "iscsi/receive.h"
#include "iscsi/transmit.h"

#define WIRE_RECEIVE_BYTES (256u << 10)
#define WIRE_SLOTS         128
#define WIRE_SLOTS_LOGIN   4

struct wire;

struct wire_ops {
	struct receiver_ops receiver; /* their rx is wire->rx; after wire_close() they must fail */
	/* The connection that was begun is there. */
	void (*connected)(struct wire *wire);
	/* It has been closed: by the peer, by an error, or because a PDU was refused. Not called
	 * for wire_close(). */
	void (*broken)(struct wire *wire, const char *why);
};

struct wire {
	const struct wire_ops *ops;
	struct reactor *reactor;
	struct watch watch;
	struct receiver rx;
	struct transmitter tx;
	struct turn_hook flush;
	uint8_t *buffer;   /* WIRE_RECEIVE_BYTES, shared by all of a reactor; NULL: never reads
	                    * over the end of a PDU */
	uint64_t heard_ms; /* when the last bytes came */
	unsigned queued;   /* since something was sent */
	unsigned enough;   /* to be sent before the end of the turn */
	bool open, connecting;
	bool accepted; /* by us: what is unread ends with the connection */
};

/* A socket to connect, or to listen: those that it accepts are like it. Or -errno. */
int wire_socket(int family) MUST_CHECK;
/* Zeroed memory is a closed wire. A socket that is connected, or connecting; owned from now on,
 * also if this fails. */
int wire_open(struct wire *wire, struct reactor *reactor, int fd, bool connecting,
              unsigned slot_count, uint8_t *buffer, const struct wire_ops *ops) MUST_CHECK;
/* Drops all that was to be sent (ended() is called) and what was not read. Closed: nothing happens.
 */
void wire_close(struct wire *wire);
/* Queues something; it leaves at the end of this turn, or now: emit() and ended() may be called.
 * The wire must be open. */
void wire_send(struct wire *wire, struct outgoing *outgoing);
/* Sends what the socket takes, now. */
void wire_flush(struct wire *wire);

/* For small PDUs: a header, and data that stays where it is. */
struct wire_note {
	struct outgoing outgoing;
	uint8_t header[BHS_BYTES + TX_AHS_MAX];
	const void *data;
	uint32_t data_len;
};
/* ended may be NULL. */
void wire_note_init(struct wire_note *note, void (*ended)(struct outgoing *outgoing));
