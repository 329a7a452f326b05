/* bench-echo: a server and a client pass messages and do nothing else: the floor that a target's
 * speed is compared with. */
#include "base/text.h"
#include "exchange.h"
#include "measure.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEPTH_MAX 4096
#define WARMUP_NS 100000000u

struct options {
	bool writes, spin, json;
	uint64_t size_bytes;
	unsigned depth;
	uint64_t duration_ns;
	int cpu, server_cpu;
};

/* ---- the client ---- */

struct client {
	struct side side;
	uint64_t started_ns[DEPTH_MAX]; /* a ring: answers come in order */
	unsigned depth, oldest;
	bool measuring, spin;
	struct measurement result;
};

static void messages_came(struct client *client, int messages)
{
	uint64_t now_ns = measure_now_ns();
	client->side.owed += (unsigned)messages;
	for (; messages > 0; messages--) {
		uint64_t *started_ns = &client->started_ns[client->oldest];
		client->oldest = (client->oldest + 1) % client->depth;
		if (client->measuring)
			latencies_add(&client->result.latencies, now_ns - *started_ns);
		*started_ns = now_ns;
	}
}

static int exchange_until(struct client *client, uint64_t end_ns)
{
	while (measure_now_ns() < end_ns) {
		int r = side_send(&client->side);
		if (r < 0)
			return r;
		/* With output left over the socket is full both ways: never sleep then. */
		bool sleep = !client->side.owed && !client->spin;
		int messages = side_receive(&client->side, sleep ? 0 : MSG_DONTWAIT);
		if (messages < 0)
			return messages;
		messages_came(client, messages);
	}
	return 0;
}

static int run_client(struct client *client, const struct options *options, pid_t server)
{
	struct measurement *result = &client->result;
	struct process_usage own, before;
	client->depth = options->depth;
	client->side.owed = options->depth;
	client->spin = options->spin;
	uint64_t now_ns = measure_now_ns();
	for (unsigned i = 0; i < options->depth; i++)
		client->started_ns[i] = now_ns;
	int r = exchange_until(client, now_ns + WARMUP_NS);
	if (r < 0 || !process_usage_read(getpid(), &own) || !process_usage_read(server, &before))
		return r < 0 ? r : -ESRCH;
	client->measuring = true;
	now_ns = measure_now_ns();
	r = exchange_until(client, now_ns + options->duration_ns);
	result->elapsed_ns = measure_now_ns() - now_ns;
	result->has_server = process_usage_read(server, &result->server);
	(void)process_usage_read(getpid(), &result->own); /* it is there */
	result->own.cpu_ns -= own.cpu_ns;
	result->server.cpu_ns -= before.cpu_ns;
	result->server.switches -= before.switches;
	result->operations = result->latencies.count;
	result->bytes = result->operations * options->size_bytes;
	return r;
}

static int run(const struct options *options)
{
	static struct client client;
	struct exchange exchange;
	int r = exchange_start(options->writes, options->size_bytes, options->server_cpu,
	                       &exchange);
	if (r < 0)
		return r;
	client.side = exchange.client;
	r = options->cpu >= 0 && !measure_pin(options->cpu) ? -ENODEV : 0;
	if (r == 0)
		r = run_client(&client, options, exchange.server);
	exchange_end(&exchange);
	if (r == 0)
		measurement_print(&client.result, options->json);
	return r;
}

static const char help[] =
        "usage: bench-echo [OPTION]...\n"
        "Exchanges bare messages of iSCSI's sizes over loopback TCP between two processes.\n"
        "\n"
        "  --read            48 bytes there, 48 and the data back (the default)\n"
        "  --write           48 and the data there, 48 bytes back\n"
        "  --size BYTES      of the data; 4k, 256k, ... up to 1m (4k)\n"
        "  --depth N         messages in flight (32)\n"
        "  --seconds N       how long to measure (3)\n"
        "  --cpu N           CPU of the client\n"
        "  --server-cpu N    CPU of the server\n"
        "  --json            one line of JSON\n"
        "  --help            this text\n";

static const struct option long_options[] = {
	{ "read", no_argument, NULL, 'r' },
	{ "write", no_argument, NULL, 'w' },
	{ "size", required_argument, NULL, 's' },
	{ "depth", required_argument, NULL, 'd' },
	{ "seconds", required_argument, NULL, 't' },
	{ "cpu", required_argument, NULL, 'c' },
	{ "server-cpu", required_argument, NULL, 'S' },
	{ "spin", no_argument, NULL, 'p' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL },
};

static bool take_option(int id, const char *text, struct options *options)
{
	uint64_t value;
	switch (id) {
	case 'r':
		return !(options->writes = false);
	case 'w':
		return options->writes = true;
	case 'p':
		return options->spin = true;
	case 'j':
		return options->json = true;
	case 's':
		return measure_parse_size(text, &options->size_bytes) &&
		       options->size_bytes <= EXCHANGE_DATA_MAX;
	case 't':
		return measure_parse_seconds(text, &options->duration_ns);
	default:
		if (text_to_uint(text, id == 'd', DEPTH_MAX, &value) < 0)
			return false;
	}
	if (id == 'd')
		options->depth = (unsigned)value;
	if (id == 'c')
		options->cpu = (int)value;
	if (id == 'S')
		options->server_cpu = (int)value;
	return true;
}

int main(int argc, char **argv)
{
	struct options options = { .size_bytes = 4096,
		                   .depth = 32,
		                   .duration_ns = 3000000000u,
		                   .cpu = -1,
		                   .server_cpu = -1 };
	for (int id, index = 0; (id = getopt_long(argc, argv, "", long_options, &index)) != -1;) {
		if (id == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (id == '?' || !take_option(id, optarg, &options)) {
			if (id != '?')
				fprintf(stderr, "bench-echo: --%s: not a valid value: %s\n",
				        long_options[index].name, optarg);
			return 2;
		}
	}
	int r = run(&options);
	if (r < 0)
		fprintf(stderr, "bench-echo: %s\n", strerror(-r));
	return r == 0 ? 0 : 1;
}
