/* The bare exchange: messages of the sizes that iSCSI has for reads or writes, over loopback TCP,
 * with a server that does nothing else and sleeps in epoll. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define EXCHANGE_DATA_MAX (1u << 20)

/* One side: what it sends for each message that it gets. */
struct side {
	int fd;
	size_t receive_len, send_data_len; /* a whole message; the data of one to send */
	uint64_t owed;                     /* messages to send */
	size_t sent;                       /* bytes of the first of them that have left */
	size_t received;                   /* bytes of the message that is coming */
};

/* Sends what is owed, as far as the socket takes it. */
int side_send(struct side *side);
/* Takes what is there; the number of messages that became whole, or a negative errno. flags: of
 * recv(). */
int side_receive(struct side *side, int flags);

/* Zeroed memory is one that has ended. */
struct exchange {
	struct side client;
	pid_t server;
};
/* writes: the data go there, else they come back; EXCHANGE_DATA_MAX at most. server_cpu: -1 = any.
 */
int exchange_start(bool writes, uint64_t size_bytes, int server_cpu, struct exchange *ret_exchange);
/* One message there and one back; or a negative errno. */
int exchange_one(struct exchange *exchange);
void exchange_end(struct exchange *exchange);
