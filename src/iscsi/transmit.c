/* Sending: emit PDUs into the ring while there is room, gather them into one sendmsg, repeat until
 * all has left or the socket is full. */
#include "iscsi/transmit.h"

#include "iscsi/digest.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define IOV_A_SLOT 3 /* header, data, tail */

static struct tx_slot *slot_at(const struct transmitter *tx, unsigned index)
{
	return &tx->slots[index & (tx->slot_count - 1)];
}

int transmitter_init(struct transmitter *tx, int fd, unsigned slot_count)
{
	*tx = (struct transmitter){ .fd = fd, .slot_count = slot_count };
	list_init(&tx->queue);
	tx->slots = malloc(slot_count * sizeof(*tx->slots));
	return tx->slots ? 0 : -ENOMEM;
}

int transmitter_resize(struct transmitter *tx, unsigned slot_count)
{
	unsigned used = tx->next - tx->first;
	assert(slot_count >= used);
	struct tx_slot *slots = malloc(slot_count * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (unsigned i = 0; i < used; i++)
		slots[i] = *slot_at(tx, tx->first + i);
	free(tx->slots);
	tx->slots = slots;
	tx->slot_count = slot_count;
	tx->first = 0;
	tx->next = used;
	return 0;
}

void transmitter_drop(struct transmitter *tx)
{
	while (tx->first != tx->next) {
		struct outgoing *ended = slot_at(tx, tx->first++)->ended_with;
		if (ended)
			ended->ended(ended);
	}
	tx->sent_of_first = 0;
	for (struct list *link; (link = list_take_first(&tx->queue));) {
		struct outgoing *outgoing = list_entry(link, struct outgoing, link);
		outgoing->ended(outgoing);
	}
}

void transmitter_done(struct transmitter *tx)
{
	if (!tx->slots)
		return;
	transmitter_drop(tx);
	free(tx->slots);
	tx->slots = NULL;
}

/* The object has written header and data; what is the same for all PDUs follows. */
static void finish_slot(const struct transmitter *tx, struct tx_slot *slot)
{
	uint32_t pad = pdu_pad(slot->data_len);
	uint32_t header_len = BHS_BYTES + pdu_ahs_len(slot->header);

	assert(header_len <= BHS_BYTES + TX_AHS_MAX);
	pdu_put_data_len(slot->header, slot->data_len);
	slot->header_len = (uint8_t)header_len;
	if (tx->header_digest) {
		put_le32(slot->header + header_len, digest_crc32c(slot->header, header_len));
		slot->header_len += DIGEST_BYTES;
	}
	slot->tail_len = (uint8_t)pad;
	if (pad)
		memset(slot->tail, 0, pad);
	if (tx->data_digest && slot->data_len) {
		uint32_t crc = digest_add(DIGEST_BEGIN, slot->data, slot->data_len);
		crc = digest_end(digest_add(crc, slot->tail, pad));
		put_le32(slot->tail + pad, crc);
		slot->tail_len += DIGEST_BYTES;
	}
}

static void fill_ring(struct transmitter *tx)
{
	while (tx->next - tx->first < tx->slot_count && !list_empty(&tx->queue)) {
		struct outgoing *outgoing = list_first(&tx->queue, struct outgoing, link);
		struct tx_slot *slot = slot_at(tx, tx->next++);
		slot->data_len = 0;
		slot->ended_with = NULL;
		if (outgoing->emit(outgoing, slot))
			list_remove(&outgoing->link);
		finish_slot(tx, slot);
	}
}

static size_t slot_bytes(const struct tx_slot *slot)
{
	return (size_t)slot->header_len + slot->data_len + slot->tail_len;
}

/* Adds a piece to the vector, less what has been sent of it. */
static unsigned add_piece(struct iovec *iov, const void *data, size_t len, size_t *skip)
{
	if (len <= *skip) {
		*skip -= len;
		return 0;
	}
	iov->iov_base = (uint8_t *)(uintptr_t)data + *skip;
	iov->iov_len = len - *skip;
	*skip = 0;
	return 1;
}

static unsigned gather(const struct transmitter *tx, struct iovec *iov)
{
	size_t skip = tx->sent_of_first;
	unsigned count = 0;
	for (unsigned i = tx->first; i != tx->next; i++) {
		const struct tx_slot *slot = slot_at(tx, i);
		count += add_piece(iov + count, slot->header, slot->header_len, &skip);
		if (slot->data_len)
			count += add_piece(iov + count, slot->data, slot->data_len, &skip);
		if (slot->tail_len)
			count += add_piece(iov + count, slot->tail, slot->tail_len, &skip);
	}
	return count;
}

static void take_sent(struct transmitter *tx, size_t sent)
{
	sent += tx->sent_of_first;
	while (tx->first != tx->next) {
		struct tx_slot *slot = slot_at(tx, tx->first);
		size_t bytes = slot_bytes(slot);
		if (sent < bytes)
			break;
		sent -= bytes;
		tx->first++;
		if (slot->ended_with)
			slot->ended_with->ended(slot->ended_with);
	}
	tx->sent_of_first = (uint32_t)sent;
}

int transmitter_flush(struct transmitter *tx, uint64_t now_ms)
{
	struct iovec iov[TX_SLOTS_FULL_FEATURE * IOV_A_SLOT];

	for (;;) {
		fill_ring(tx);
		if (tx->first == tx->next) {
			tx->progress_ms = now_ms;
			return 1;
		}
		struct msghdr message = { .msg_iov = iov, .msg_iovlen = gather(tx, iov) };
		ssize_t sent = sendmsg(tx->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0) {
			if (errno == EINTR)
				continue;
			return errno == EAGAIN ? 0 : -errno;
		}
		tx->progress_ms = now_ms;
		take_sent(tx, (size_t)sent);
	}
}
