/* Sending: order, batching, and every way in which a socket takes less than all. */
#include "iscsi/transmit.h"

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Emits `left` PDUs with data of its own, numbered in the tag. */
struct source {
	struct outgoing outgoing;
	uint32_t left, *number;
	unsigned ended;
	uint8_t data[1001];
};

static bool emit(struct outgoing *outgoing, struct tx_slot *slot)
{
	struct source *source = container_of(outgoing, struct source, outgoing);
	uint32_t number = (*source->number)++;
	pdu_start(slot->header, PDU_DATA_IN, 0, number);
	slot_set_data(slot, source->data, number % sizeof(source->data));
	if (--source->left)
		return false;
	slot->ended_with = outgoing;
	return true;
}

static void ended(struct outgoing *outgoing)
{
	container_of(outgoing, struct source, outgoing)->ended++;
}

static void source_init(struct source *source, uint32_t count, uint32_t *number)
{
	*source = (struct source){ .left = count, .number = number };
	source->outgoing.emit = emit;
	source->outgoing.ended = ended;
	list_init(&source->outgoing.link);
	memset(source->data, 7, sizeof(source->data));
}

static void open_pair(int *fds)
{
	int small = 4096;
	ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ASSERT_EQ(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
}

/* Reads what is there and checks that the tags count up. */
struct sink {
	uint8_t bytes[1u << 20];
	size_t have, parsed;
	uint32_t next;
};

static void drain(struct sink *sink, int fd, size_t max)
{
	ssize_t n = recv(fd, sink->bytes + sink->have, max, MSG_DONTWAIT);
	if (n > 0)
		sink->have += (size_t)n;
	while (sink->have - sink->parsed >= BHS_BYTES) {
		const uint8_t *bhs = sink->bytes + sink->parsed;
		uint32_t len = pdu_data_len(bhs);
		size_t whole = BHS_BYTES + len + pdu_pad(len);
		if (sink->have - sink->parsed < whole)
			return;
		ASSERT_EQ(pdu_itt(bhs), sink->next++);
		for (uint32_t i = 0; i < len; i++)
			ASSERT_EQ(bhs[BHS_BYTES + i], 7);
		sink->parsed += whole;
	}
}

TEST(everything_arrives_in_order_through_a_narrow_socket)
{
	static struct sink sink;
	static struct source sources[20];
	struct transmitter tx;
	uint32_t number = 0;
	int fds[2], r = 0;

	memset(&sink, 0, sizeof(sink));
	open_pair(fds);
	ASSERT_EQ(transmitter_init(&tx, fds[0], TX_SLOTS_LOGIN), 0);
	for (unsigned i = 0; i < ARRAY_LEN(sources); i++) {
		source_init(&sources[i], i + 1, &number);
		transmitter_add(&tx, &sources[i].outgoing);
	}
	for (size_t piece = 1; r == 0; piece = piece * 3 % 1009) {
		r = transmitter_flush(&tx, piece);
		drain(&sink, fds[1], piece + 100);
		if (piece == 27) /* in the middle of a PDU, maybe */
			ASSERT_EQ(transmitter_resize(&tx, TX_SLOTS_FULL_FEATURE), 0);
	}
	ASSERT_EQ(r, 1);
	while (sink.next < 210)
		drain(&sink, fds[1], 4096);
	for (unsigned i = 0; i < ARRAY_LEN(sources); i++)
		ASSERT_EQ(sources[i].ended, 1);
	ASSERT_TRUE(transmitter_empty(&tx));
	transmitter_done(&tx);
	close(fds[0]);
	close(fds[1]);
}

TEST(dropping_tells_everyone_exactly_once)
{
	static struct source sources[3];
	struct transmitter tx;
	uint32_t number = 1000;
	int fds[2];

	open_pair(fds);
	ASSERT_EQ(transmitter_init(&tx, fds[0], TX_SLOTS_LOGIN), 0);
	for (unsigned i = 0; i < ARRAY_LEN(sources); i++) {
		source_init(&sources[i], 100 * i + 1, &number);
		transmitter_add(&tx, &sources[i].outgoing);
	}
	ASSERT_EQ(transmitter_flush(&tx, 1), 0);
	transmitter_done(&tx);
	for (unsigned i = 0; i < ARRAY_LEN(sources); i++)
		ASSERT_EQ(sources[i].ended, 1);
	close(fds[0]);
	close(fds[1]);
}

TEST(a_peer_that_is_gone_is_an_error_not_a_signal)
{
	static struct source source;
	struct transmitter tx;
	uint32_t number = 0;
	int fds[2];

	open_pair(fds);
	close(fds[1]);
	ASSERT_EQ(transmitter_init(&tx, fds[0], TX_SLOTS_LOGIN), 0);
	source_init(&source, 1, &number);
	transmitter_add(&tx, &source.outgoing);
	ASSERT_EQ(transmitter_flush(&tx, 1), -EPIPE);
	transmitter_done(&tx);
	ASSERT_EQ(source.ended, 1);
	close(fds[0]);
}
