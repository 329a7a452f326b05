/* gwcli: the shell that manages gateways. Reads the settings file, then runs one command
 * (gwcli PATH COMMAND ...), the lines of a pipe, or a session at the terminal. */
#include "cli/console.h"
#include "config/settings.h"

#include "base/text.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EXIT_OPTIONS 2
#define EXIT_NO_API  255

struct program_options {
	const char *settings;
	bool debug, legacy_exit, json, done;
	char **words;
};

static const char usage_line[] = "usage: gwcli [-h] [-c FILE] [-d] [-t THREADS] [-v] ...\n";

static const char help_text[] =
        "\nManage iSCSI gateways\n\n"
        "positional arguments:\n"
        "  cli_command           a command: [PATH] COMMAND [PARAMETER ...]; none: a session\n\n"
        "options:\n"
        "  -h, --help            show this help message and exit\n"
        "  -c FILE, --config FILE\n"
        "                        settings file (default " SETTINGS_DEFAULT_PATH ")\n"
        "  -d, --debug           name every request on stderr\n"
        "  -t THREADS, --threads THREADS\n"
        "                        accepted and not used\n"
        "  --json                the command's data as JSON (also behind the command): ls, info,\n"
        "                        owners, history, owner, drain, undrain\n"
        "  --legacy-exit         as ceph-iscsi: no words, status 0 whatever a command achieved\n"
        "  -v, --version         show the version and exit\n";

static int refuse_option(const char *format, const char *what)
{
	fputs(usage_line, stderr);
	fputs("gwcli: error: ", stderr);
	fprintf(stderr, format, what);
	fputc('\n', stderr);
	return EXIT_OPTIONS;
}

/* compat: -c POOL/OBJECT, which ceph-iscsi never used, is taken and ignored. */
static void take_settings(struct program_options *options, const char *value)
{
	if (access(value, F_OK) == 0 || *value == '/' || *value == '.')
		options->settings = value;
}

static int parse_options(int argc, char **argv, struct program_options *ret_options)
{
	static const struct option long_options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "config", required_argument, NULL, 'c' },
		{ "config-object", required_argument, NULL, 'c' },
		{ "debug", no_argument, NULL, 'd' },
		{ "threads", required_argument, NULL, 't' },
		{ "legacy-exit", no_argument, NULL, 'L' },
		{ "json", no_argument, NULL, 'j' },
		{ "version", no_argument, NULL, 'v' },
		{ 0 },
	};
	uint64_t number;
	*ret_options = (struct program_options){ .settings = SETTINGS_DEFAULT_PATH };
	opterr = 0;
	/* '+': the first word that is no option begins the command. */
	for (int c; (c = getopt_long(argc, argv, "+:hc:dt:v", long_options, NULL)) != -1;) {
		if (c == 'c')
			take_settings(ret_options, optarg);
		else if (c == 'd')
			ret_options->debug = true;
		else if (c == 'L')
			ret_options->legacy_exit = true;
		else if (c == 'j')
			ret_options->json = true;
		else if (c == 't' && text_to_uint(optarg, 0, 10000, &number) < 0)
			return refuse_option("argument -t/--threads: invalid int value: '%s'",
			                     optarg);
		else if (c == 'h')
			ret_options->done = printf("%s%s", usage_line, help_text) > 0;
		else if (c == 'v')
			ret_options->done =
			        printf("gwcli - 2.7 (rbdgate " RBDGATE_VERSION ")\n") > 0;
		else if (c == ':')
			return refuse_option("argument %s: expected one argument",
			                     argv[optind - 1]);
		else if (c == '?')
			return refuse_option("unrecognized arguments: %s", argv[optind - 1]);
		if (ret_options->done)
			return 0;
	}
	ret_options->words = argv + optind;
	if (ret_options->json && !ret_options->words[0])
		return refuse_option("argument %s: expected a command", "--json");
	return 0;
}

/* Nothing to say: the daemons warn about the file. */
static void ignore_warning(void *argument, const char *text)
{
}

static char *folder_of_user(void)
{
	char *folder = NULL;
	const char *home = getenv("HOME");
	if (!home || asprintf(&folder, "%s/.gwcli", home) < 0)
		return NULL;
	return folder;
}

static int run_words(struct shell *shell, char **words, bool json)
{
	AUTO_STRING struct string line = { 0 };
	for (; *words; words++)
		string_format(&line, "%s%s", line.len ? " " : "", *words);
	if (json)
		string_add(&line, " --json");
	enum outcome outcome = shell_run(shell, line.text ? line.text : "");
	return outcome == OUTCOME_EXIT ? 0 : (int)outcome;
}

static int run(const struct program_options *options, const struct settings *settings)
{
	AUTO_FREE char *name = settings_gateway_name(settings);
	AUTO_FREE char *ceph_conf = settings_ceph_conf(settings);
	AUTO_FREE char *folder = folder_of_user();
	AUTO(shell) struct shell *shell = NULL;
	struct error err = { 0 };
	bool one_shot = options->words[0] != NULL;
	bool interactive = !one_shot && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	bool any_host = !*settings->api_host || strcmp(settings->api_host, "::") == 0 ||
	                strcmp(settings->api_host, "0.0.0.0") == 0;
	if (!name || !ceph_conf) {
		fputs("gwcli: out of memory\n", stderr);
		return EXIT_FAILURE;
	}
	const struct shell_options shell_options = {
		.api = {
			.host = "localhost",
			.fallback = any_host ? NULL : settings->api_host,
			.port = (unsigned)settings->api_port,
			.secure = settings->api_secure,
			.user = settings->api_user,
			.password = settings->api_password,
			.trace = options->debug ? stderr : NULL,
			.progress = isatty(STDERR_FILENO) ? stderr : NULL,
		},
		.gateway_name = name,
		.cluster_name = settings->cluster_name,
		.ceph_conf = ceph_conf,
		.client_name = settings->cluster_client_name,
		.trusted_ip_list = settings->trusted_ip_list,
		.folder = folder,
		.interactive = interactive,
		.silent = one_shot && options->legacy_exit,
	};
	if (shell_new(&shell_options, &shell, &err) < 0) {
		/* compat: on stdout */
		printf("%s\n", err.text);
		return EXIT_NO_API;
	}
	if (one_shot)
		return run_words(shell, options->words, options->json);
	return interactive ? console_run(shell) : console_run_pipe(shell, stdin);
}

int main(int argc, char **argv)
{
	struct program_options options;
	struct error err = { 0 };
	AUTO(settings) struct settings *settings = NULL;
	int status = parse_options(argc, argv, &options);
	if (status || options.done)
		return status;
	if (settings_load(options.settings, ignore_warning, NULL, &settings, &err) < 0) {
		fprintf(stderr, "gwcli: %s\n", err.text);
		return EXIT_OPTIONS;
	}
	return run(&options, settings);
}
