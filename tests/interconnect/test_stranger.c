/* Who is not of the cluster gets nowhere and costs little; a peer that talks nonsense loses its
 * connection. */
#include "world.h"

#include "interconnect/handshake.h"
#include "interconnect/message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int call(const struct world *world)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	const char *address = interconnect_address(world->gateways[0].interconnect);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ASSERT_EQ(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

static void say(int fd, const void *bytes, size_t len)
{
	(void)!send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Received now; 0: closed; -1: nothing yet. */
static ssize_t hear(int fd, void *bytes, size_t len)
{
	ssize_t n = recv(fd, bytes, len, MSG_DONTWAIT);
	return n < 0 && errno != EAGAIN ? 0 : n;
}

static bool is_closed(int fd)
{
	uint8_t bytes[4096];
	ssize_t n;
	while ((n = hear(fd, bytes, sizeof bytes)) > 0)
		;
	return n == 0;
}

static void say_pdu(int fd, const struct handshake_pdu *pdu)
{
	uint8_t bytes[BHS_BYTES + HANDSHAKE_TEXT_MAX + 4] = { 0 };
	uint32_t len = pdu_data_len(pdu->bhs);
	memcpy(bytes, pdu->bhs, BHS_BYTES);
	memcpy(bytes + BHS_BYTES, pdu->text, len);
	say(fd, bytes, BHS_BYTES + len + pdu_pad(len));
}

/* One PDU; false: closed. */
static bool hear_pdu(struct world *world, int fd, uint8_t *header, char *text)
{
	uint8_t bytes[16384];
	size_t have = 0, need = BHS_BYTES;
	uint64_t until = clock_monotonic_ms() + 10000;
	while (have < need && clock_monotonic_ms() < until) {
		world_turn(world);
		ssize_t n = hear(fd, bytes + have, need - have);
		if (n == 0)
			return false;
		have += n > 0 ? (size_t)n : 0;
		if (have == BHS_BYTES && need == BHS_BYTES)
			need += pdu_ahs_len(bytes) + pdu_data_len(bytes) +
			        pdu_pad(pdu_data_len(bytes));
	}
	ASSERT_EQ(have, need);
	memcpy(header, bytes, BHS_BYTES + pdu_ahs_len(bytes));
	memcpy(text, bytes + BHS_BYTES + pdu_ahs_len(bytes), pdu_data_len(bytes));
	return true;
}

struct visitor {
	struct handshake handshake;
	struct handshake_pdu out, in;
	uint8_t header[BHS_BYTES + AHS_MAX_BYTES];
	uint8_t secret[INTERCONNECT_SECRET_BYTES];
	int fd;
};

static void visit(struct world *world, struct visitor *visitor)
{
	static const uint8_t secret[INTERCONNECT_SECRET_BYTES] = { 1, 2, 3 };
	memset(visitor, 0, sizeof *visitor);
	visitor->fd = call(world);
	memcpy(visitor->secret, secret, sizeof secret);
	struct handshake_party *party = visitor->handshake.party;
	ASSERT_EQ(handshake_party_init(&party[HANDSHAKE_ORIGIN], "visitor", "v1"), 0);
	strcpy(party[HANDSHAKE_OWNER].gateway, "gw0");
	strcpy(party[HANDSHAKE_OWNER].instance, "life0");
}

/* Until the last answer; the status, or -1: closed without a word. */
static int log_in(struct world *world, struct visitor *visitor, bool resume)
{
	handshake_put_hello(&visitor->handshake, &visitor->out);
	say_pdu(visitor->fd, &visitor->out);
	if (!hear_pdu(world, visitor->fd, visitor->header, visitor->in.text))
		return -1;
	memcpy(visitor->in.bhs, visitor->header, BHS_BYTES);
	if (handshake_status(visitor->in.bhs) != LOGIN_SUCCESS)
		return (int)handshake_status(visitor->in.bhs);
	int r = handshake_take_answer(&visitor->in, visitor->secret, &visitor->handshake);
	ASSERT_TRUE(r == 0 || r == -EACCES);
	ASSERT_EQ(
	        handshake_put_proof(&visitor->handshake, visitor->secret, resume, 1, &visitor->out),
	        0);
	say_pdu(visitor->fd, &visitor->out);
	if (!hear_pdu(world, visitor->fd, visitor->header, visitor->in.text))
		return -1;
	return (int)handshake_status(visitor->header);
}

TEST(the_right_secret_gets_in_and_a_wrong_one_does_not)
{
	AUTO(world) struct world *world = world_new_alone(1);
	struct visitor visitor;
	visit(world, &visitor);
	ASSERT_EQ(log_in(world, &visitor, false), LOGIN_SUCCESS);
	struct message_heartbeat heartbeat;
	ASSERT_EQ(message_take_heartbeat(visitor.header, &heartbeat), 0);
	ASSERT_EQ(get_be32(visitor.header + BHS_EXP_CMD_SN), 1);
	close(visitor.fd);
	visit(world, &visitor);
	visitor.secret[31] ^= 1;
	ASSERT_EQ(log_in(world, &visitor, false), LOGIN_AUTHENTICATION_FAILED);
	EVENTUALLY(world, is_closed(visitor.fd));
	close(visitor.fd);
}

TEST(a_gateway_of_a_later_version_talks_with_us)
{
	AUTO(world) struct world *world = world_new_alone(1);
	struct visitor visitor;
	visit(world, &visitor);
	visitor.handshake.party[HANDSHAKE_ORIGIN].version_max = 2;
	ASSERT_EQ(log_in(world, &visitor, false), LOGIN_SUCCESS);
	ASSERT_EQ(visitor.handshake.version, 1);
	close(visitor.fd);
	visit(world, &visitor);
	visitor.handshake.party[HANDSHAKE_ORIGIN].version_min = 2;
	visitor.handshake.party[HANDSHAKE_ORIGIN].version_max = 3;
	ASSERT_EQ(log_in(world, &visitor, false), LOGIN_UNSUPPORTED_VERSION);
	close(visitor.fd);
}

TEST(names_that_do_not_fit_are_refused)
{
	AUTO(world) struct world *world = world_new_alone(1);
	struct visitor visitor;
	visit(world, &visitor);
	strcpy(visitor.handshake.party[HANDSHAKE_OWNER].instance, "life7");
	ASSERT_EQ(log_in(world, &visitor, false), LOGIN_NOT_FOUND);
	close(visitor.fd);
	visit(world, &visitor);
	strcpy(visitor.handshake.party[HANDSHAKE_ORIGIN].gateway, "gw0");
	ASSERT_EQ(log_in(world, &visitor, false), LOGIN_NOT_AUTHORIZED);
	close(visitor.fd);
}

TEST(what_nobody_knows_here_cannot_be_resumed)
{
	AUTO(world) struct world *world = world_new_alone(1);
	struct visitor visitor;
	visit(world, &visitor);
	ASSERT_EQ(log_in(world, &visitor, true), LOGIN_NO_SESSION);
	EVENTUALLY(world, is_closed(visitor.fd));
	close(visitor.fd);
}

TEST(strangers_are_few_and_do_not_stay)
{
	static int fds[200];
	AUTO(world) struct world *world = world_new_alone(2);
	struct peer_info info;
	unsigned open = 0;
	for (unsigned i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = call(world);
		world_turn(world);
	}
	world_pass(world, 10);
	for (unsigned i = 0; i < ARRAY_LEN(fds); i++)
		open += !is_closed(fds[i]);
	ASSERT_EQ(open, 64);
	uint32_t id = world_connect(world, 1, 0);
	EVENTUALLY(world, world_peer(world, 1, id, &info) == PEER_UP);
	world_pass(world, 3010);
	for (unsigned i = 0; i < ARRAY_LEN(fds); i++) {
		ASSERT_TRUE(is_closed(fds[i]));
		close(fds[i]);
	}
}

TEST(who_sends_one_byte_at_a_time_gets_three_seconds)
{
	AUTO(world) struct world *world = world_new_alone(1);
	struct visitor visitor;
	visit(world, &visitor);
	handshake_put_hello(&visitor.handshake, &visitor.out);
	for (unsigned i = 0; i < 40; i++) {
		say(visitor.fd, visitor.out.bhs + i, 1);
		world_pass(world, 70);
	}
	ASSERT_FALSE(is_closed(visitor.fd));
	world_pass(world, 300);
	ASSERT_TRUE(is_closed(visitor.fd));
	close(visitor.fd);
}

TEST(garbage_ends_the_connection_before_and_after_the_login)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 1, 0, 1);
	uint8_t garbage[512];
	srand(3);
	for (unsigned i = 0; i < 600; i++) {
		struct visitor visitor;
		visit(world, &visitor);
		if (i & 1)
			ASSERT_EQ(log_in(world, &visitor, false), LOGIN_SUCCESS);
		for (size_t k = 0; k < sizeof garbage; k++)
			garbage[k] = (uint8_t)rand();
		if (i & 2) { /* a right opcode, and a length that may be huge */
			static const uint8_t opcodes[] = { 0, 1, 2, 3, 4, 5, 0x3f, 0x40, 0x43 };
			garbage[0] = opcodes[i / 4 % sizeof opcodes];
			garbage[4] = i & 4 ? 8 : 0;
			if (i & 8)
				garbage[5] = garbage[6] = 0;
		}
		say(visitor.fd, garbage, sizeof garbage);
		for (unsigned k = 0; k < 4; k++)
			world_turn(world);
		(void)shutdown(visitor.fd, SHUT_WR);
		EVENTUALLY(world, is_closed(visitor.fd));
		close(visitor.fd);
	}
	struct command command;
	write_start(&command, nexus, 1, 1, 1);
	command_wait(world, &command);
	assert_good(&command);
	world_nexus_end(world, nexus);
}
