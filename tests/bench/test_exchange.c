/* The bare exchange: whole messages there and back, in both directions, and an end of it. */
#include "exchange.h"

#include "test.h"

#include <errno.h>
#include <signal.h>

static void exchange_some(bool writes, uint64_t size_bytes)
{
	struct exchange exchange;
	ASSERT_EQ(exchange_start(writes, size_bytes, -1, &exchange), 0);
	for (int i = 0; i < 20; i++)
		ASSERT_EQ(exchange_one(&exchange), 0);
	ASSERT_EQ(exchange.client.owed, 0);
	ASSERT_EQ(exchange.client.received, 0);
	pid_t server = exchange.server;
	exchange_end(&exchange);
	ASSERT_EQ(kill(server, 0), -1);
	ASSERT_EQ(errno, ESRCH);
	exchange_end(&exchange);
}

TEST(one_message_goes_there_and_one_comes_back)
{
	exchange_some(false, 4096);
	exchange_some(true, 4096);
	exchange_some(true, 0);
}

TEST(messages_may_be_larger_than_a_socket_takes_at_once)
{
	exchange_some(false, EXCHANGE_DATA_MAX);
	exchange_some(true, EXCHANGE_DATA_MAX);
}

TEST(a_server_that_has_died_is_an_error)
{
	struct exchange exchange;
	ASSERT_EQ(exchange_start(true, 4096, -1, &exchange), 0);
	ASSERT_EQ(kill(exchange.server, SIGKILL), 0);
	int r = 0;
	for (int i = 0; i < 1000000 && r == 0; i++)
		r = exchange_one(&exchange);
	ASSERT_TRUE(r == -ECONNRESET || r == -EPIPE);
	exchange_end(&exchange);
}
