/* The sockets of connections between gateways. */
#include "interconnect/wire.h"

#include "test.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

static void read_congestion(int fd, char *ret_name)
{
	socklen_t len = 16;
	memset(ret_name, 0, 17);
	ASSERT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, ret_name, &len), 0);
}

/* What this host gives to one that asks for cubic. */
static void expected_congestion(char *ret_name)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ASSERT_TRUE(fd >= 0);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
	read_congestion(fd, ret_name);
	close(fd);
}

TEST(the_congestion_control_is_chosen_before_a_connection_begins)
{
	char expected[17], found[17];
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	int listening = wire_socket(AF_INET), connecting = wire_socket(AF_INET);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ASSERT_TRUE(listening >= 0 && connecting >= 0);
	expected_congestion(expected);
	read_congestion(connecting, found);
	ASSERT_STR_EQ(found, expected);
	ASSERT_EQ(bind(listening, (struct sockaddr *)&address, len), 0);
	ASSERT_EQ(listen(listening, 1), 0);
	ASSERT_EQ(getsockname(listening, (struct sockaddr *)&address, &len), 0);
	(void)connect(connecting, (struct sockaddr *)&address, len); /* it is in progress */
	int accepted = -1;
	for (unsigned i = 0; i < 1000 && accepted < 0; i++) {
		struct pollfd poll_listening = { .fd = listening, .events = POLLIN };
		(void)poll(&poll_listening, 1, 10);
		accepted = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	}
	ASSERT_TRUE(accepted >= 0);
	read_congestion(accepted, found);
	ASSERT_STR_EQ(found, expected);
	close(accepted);
	close(connecting);
	close(listening);
}
