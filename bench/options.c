/* The command line of iscsi-bench. */
#include "options.h"
#include "base/text.h"
#include "measure.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define TRANSFER_MAX     (64u << 20)
#define DEALLOCATION_MAX (1u << 30)

static const char help[] =
        "usage: iscsi-bench [OPTION]... iscsi://[USER%SECRET@]HOST[:PORT]/TARGET/LUN\n"
        "Measures random reads or writes of an iSCSI LUN. Writes destroy what is on it.\n"
        "\n"
        "  --read             reads only (the default)\n"
        "  --write            writes only\n"
        "  --mix N            N reads of 100 requests, the others are writes\n"
        "  --unmap            UNMAP only, one range of --size each\n"
        "  --write-same       WRITE SAME of zeros with UNMAP only, of --size each\n"
        "  --sequential       ascending addresses instead of random ones\n"
        "  --size BYTES       of a request; 4k, 1m, ... (4k)\n"
        "  --range BYTES      use only the first BYTES of the LUN (all)\n"
        "  --depth N          requests in flight on each connection (32)\n"
        "  --connections N    sessions of one connection each (1)\n"
        "  --seconds N        how long to measure; 0.5 is fine (3)\n"
        "  --cpu N            stay on that CPU\n"
        "  --verify           write a pattern over the range (at most 256m unless --range says\n"
        "                     more) first, then check every block that is read\n"
        "  --digests          header and data digests\n"
        "  --chap LIST        CHAP algorithms to offer: 5 is MD5, 7 SHA-256 (5)\n"
        "  --mutual USER%SECRET  the target must prove that it knows SECRET\n"
        "  --initiator NAME   name to log in with\n"
        "  --initial-r2t      ask for InitialR2T=Yes\n"
        "  --no-immediate     ask for ImmediateData=No\n"
        "  --server-pid PID   show also what the target's process spent\n"
        "  --json             one line of JSON\n"
        "  --help             this text\n";

enum option_id {
	OPTION_READ = 256,
	OPTION_WRITE,
	OPTION_MIX,
	OPTION_UNMAP,
	OPTION_WRITE_SAME,
	OPTION_SEQUENTIAL,
	OPTION_SIZE,
	OPTION_RANGE,
	OPTION_DEPTH,
	OPTION_CONNECTIONS,
	OPTION_SECONDS,
	OPTION_CPU,
	OPTION_SPIN,
	OPTION_VERIFY,
	OPTION_DIGESTS,
	OPTION_CHAP,
	OPTION_MUTUAL,
	OPTION_INITIATOR,
	OPTION_INITIAL_R2T,
	OPTION_NO_IMMEDIATE,
	OPTION_SERVER_PID,
	OPTION_JSON,
	OPTION_HELP,
};

static const struct option long_options[] = {
	{ "read", no_argument, NULL, OPTION_READ },
	{ "write", no_argument, NULL, OPTION_WRITE },
	{ "mix", required_argument, NULL, OPTION_MIX },
	{ "unmap", no_argument, NULL, OPTION_UNMAP },
	{ "write-same", no_argument, NULL, OPTION_WRITE_SAME },
	{ "sequential", no_argument, NULL, OPTION_SEQUENTIAL },
	{ "size", required_argument, NULL, OPTION_SIZE },
	{ "range", required_argument, NULL, OPTION_RANGE },
	{ "depth", required_argument, NULL, OPTION_DEPTH },
	{ "connections", required_argument, NULL, OPTION_CONNECTIONS },
	{ "seconds", required_argument, NULL, OPTION_SECONDS },
	{ "cpu", required_argument, NULL, OPTION_CPU },
	{ "spin", no_argument, NULL, OPTION_SPIN },
	{ "verify", no_argument, NULL, OPTION_VERIFY },
	{ "digests", no_argument, NULL, OPTION_DIGESTS },
	{ "chap", required_argument, NULL, OPTION_CHAP },
	{ "mutual", required_argument, NULL, OPTION_MUTUAL },
	{ "initiator", required_argument, NULL, OPTION_INITIATOR },
	{ "initial-r2t", no_argument, NULL, OPTION_INITIAL_R2T },
	{ "no-immediate", no_argument, NULL, OPTION_NO_IMMEDIATE },
	{ "server-pid", required_argument, NULL, OPTION_SERVER_PID },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL },
};

static bool take_text(const char *text, char *ret_field, size_t room)
{
	return (size_t)snprintf(ret_field, room, "%s", text) < room && *text;
}

static bool take_credentials(const char *text, struct initiator_config *config)
{
	const char *percent = strchr(text, '%');
	size_t len = percent ? (size_t)(percent - text) : 0;
	if (!len || len >= sizeof(config->mutual_user_name))
		return false;
	memcpy(config->mutual_user_name, text, len);
	return take_text(percent + 1, config->mutual_secret, sizeof(config->mutual_secret));
}

static bool take_number(enum option_id id, const char *text, struct options *options)
{
	static const struct {
		enum option_id id;
		uint64_t min, max;
	} ranges[] = {
		{ OPTION_MIX, 0, 100 },
		{ OPTION_DEPTH, 1, INITIATOR_DEPTH_MAX },
		{ OPTION_CONNECTIONS, 1, CONNECTIONS_MAX },
		{ OPTION_CPU, 0, 1023 },
		{ OPTION_SERVER_PID, 1, INT32_MAX },
	};
	uint64_t value = 0;
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
		if (ranges[i].id == id &&
		    text_to_uint(text, ranges[i].min, ranges[i].max, &value) < 0)
			return false;
	switch (id) {
	case OPTION_MIX:
		options->reads_percent = (unsigned)value;
		return true;
	case OPTION_DEPTH:
		options->config.depth = (unsigned)value;
		return true;
	case OPTION_CONNECTIONS:
		options->connections = (unsigned)value;
		return true;
	case OPTION_CPU:
		options->cpu = (int)value;
		return true;
	case OPTION_SERVER_PID:
		options->server_pid = (pid_t)value;
		return true;
	default:
		return false;
	}
}

static bool take_option(enum option_id id, const char *text, struct options *options)
{
	struct initiator_config *config = &options->config;
	switch (id) {
	case OPTION_READ:
		options->reads_percent = 100;
		return true;
	case OPTION_WRITE:
		options->reads_percent = 0;
		return true;
	case OPTION_UNMAP:
		options->reads_percent = 0;
		return options->unmap = true;
	case OPTION_WRITE_SAME:
		options->reads_percent = 0;
		return options->write_same = true;
	case OPTION_SEQUENTIAL:
		return options->sequential = true;
	case OPTION_SIZE:
		return measure_parse_size(text, &options->size_bytes) &&
		       options->size_bytes <= DEALLOCATION_MAX;
	case OPTION_RANGE:
		return measure_parse_size(text, &options->range_bytes);
	case OPTION_SPIN:
		return options->spin = true;
	case OPTION_SECONDS:
		return measure_parse_seconds(text, &options->duration_ns);
	case OPTION_VERIFY:
		return options->verify = true;
	case OPTION_DIGESTS:
		return config->header_digest = config->data_digest = true;
	case OPTION_CHAP:
		return take_text(text, config->chap_algorithms, sizeof(config->chap_algorithms));
	case OPTION_MUTUAL:
		return take_credentials(text, config);
	case OPTION_INITIATOR:
		return take_text(text, config->initiator_name, sizeof(config->initiator_name));
	case OPTION_INITIAL_R2T:
		return config->initial_r2t = true;
	case OPTION_NO_IMMEDIATE:
		return !(config->immediate_data = false);
	case OPTION_JSON:
		return options->json = true;
	default:
		return take_number(id, text, options);
	}
}

static int take_url(const char *url, struct options *options)
{
	struct error err;
	int r = initiator_config_parse(&options->config, url, &err);
	if (r < 0)
		fprintf(stderr, "iscsi-bench: %s\n", err.text);
	return r;
}

int options_parse(int argc, char **argv, struct options *ret_options)
{
	struct options options = { .reads_percent = 100,
		                   .connections = 1,
		                   .size_bytes = 4096,
		                   .duration_ns = 3000000000u,
		                   .warmup_ns = 100000000u,
		                   .cpu = -1 };
	initiator_config_default(&options.config);
	options.config.depth = 32;
	for (int id, index = 0; (id = getopt_long(argc, argv, "", long_options, &index)) != -1;) {
		if (id == OPTION_HELP) {
			fputs(help, stdout);
			return 1;
		}
		if (id < OPTION_READ) /* getopt has said what is wrong */
			return -EINVAL;
		if (!take_option((enum option_id)id, optarg, &options)) {
			fprintf(stderr, "iscsi-bench: --%s: not a valid value: %s\n",
			        long_options[index].name, optarg);
			return -EINVAL;
		}
	}
	if (optind + 1 != argc) {
		fprintf(stderr, "iscsi-bench: expected one iscsi:// URL; see --help\n");
		return -EINVAL;
	}
	if (options.size_bytes > TRANSFER_MAX && !options_deallocate(&options)) {
		fprintf(stderr, "iscsi-bench: --size: that much is no read or write\n");
		return -EINVAL;
	}
	int r = take_url(argv[optind], &options);
	if (r == 0)
		*ret_options = options;
	return r;
}
