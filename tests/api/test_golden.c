/* Captures of upstream's daemon, request by request: the same status and the same body, times and
 * random numbers aside, wherever rbdgate has not decided otherwise. */
#include "api_world.h"
#include "store/image.h"

#define ARGUMENTS_MAX 32

#define IQN       "iqn.2003-01.com.redhat.iscsi-gw:iscsi-igw"
#define NONE      "iqn.2003-01.com.redhat.iscsi-gw:none"
#define WHY(text) "{\"message\":\"" text "\"}"

/* Gateways and disks of this world have no rows of ours. */
#define NO_GATEWAY "{\"luns\":0,\"maintenance\":false,\"state\":\"unregistered\"}"
#define OWNERS(disk)                                                                     \
	"{\"num_sessions\":0,\"rbdgate\":{\"gateways\":{\"gw1.example.com\":" NO_GATEWAY \
	",\"gw2.example.com\":" NO_GATEWAY "},\"luns\":{\"" disk "\":{\"epoch\":0,"      \
	"\"owner\":\"\",\"preferred_owner\":\"gw1.example.com\",\"state\":\"none\"}}}}"

/* Where rbdgate answers otherwise, and what. status 0: the request is not made. */
struct deviation {
	const char *file, *command; /* capture, a piece of the command */
	long status;
	const char *body;  /* NULL: any */
	const char *extra; /* one more field in the form */
};

static const struct deviation deviations[] = {
	/* real errors instead of 500 and a Python text */
	{ "errors", "/api/nosuch", 404, WHY("There is no /api/nosuch") },
	{ "errors", "-X POST", 405, WHY("/api/targets does not know the method POST") },
	{ "errors", "/api/clients/", 404, WHY("Target " IQN " does not exist") },
	{ "errors", "/api/targets/", 404, WHY("There is no /api/targets/") },
	{ "gateway", "-X PUT http", 400, WHY("Parameter 'ip_address' is missing") },
	{ "gateway", ":none/", 404, WHY("Target " NONE " does not exist") },
	{ "disk", "-d mode=frob", 400, WHY("disk operation mode 'frob' is invalid") },
	{ "disk", "-X PUT http", 400, WHY("disk operation mode 'None' is invalid") },
	{ "disk", "-X PUT -d mode=resize http", 400, WHY("Size is invalid") },
	{ "disk", "-d size=4G", 404, WHY("rbd rbd/none is not defined to the configuration") },
	{ "disk", "-X DELETE http://127.0.0.1:5000/api/disk/rbd/none", 404,
	  WHY("rbd image rbd/none not found") },
	{ "sources", "disk_j", 400, WHY("disk operation mode 'None' is invalid") },
	{ "clientauth", "nobody", 404, WHY("Client iqn.1994-05.com.redhat:nobody does not exist") },
	{ "targetauth", ":none", 404, WHY("Target " NONE " does not exist") },
	{ "target", "notjson", 500, NULL },
	/* the host's own addresses are trusted, its own work is done without HTTP */
	{ "target",
	  "-X DELETE http://127.0.0.1:5000/api/target/iqn.2003-01.com.redhat.iscsi-gw:upper", 200,
	  WHY("Target deleted.") },
	{ "target", ":none", 404, WHY("Target " NONE " does not exist") },
	/* a gateway is a running one, not what a resolver knows */
	{ "gateway", "nohost.example.com", 400, NULL },
	{ "gateway", "gw3.example.com", 400, NULL },
	/* validated before the first change, here */
	{ "clientlun", "-X DELETE -d disk=rbd/disk_1 http://127.0.0.1:5000/api/targetlun", 400,
	  WHY("Delete target LUN mapping failed - failed on gw1.example.com. Failed to remove the "
	      "LUN - Unable to delete rbd/disk_1 - allocated to "
	      "iqn.1994-05.com.redhat:rh7-client") },
	/* addresses of this host differ */
	{ "gateway", "-d ip_address=10.9.0.77", 0, NULL },
	{ "gateway", "-d ip_address=10.9.0.1 http://127.0.0.1:5000/api/gateway/" IQN, 200,
	  WHY("Gateway creation successful"), "skipchecks=true" },
	{ "sysinfo", "ip_addresses", 200, NULL },
	{ "auth", "--interface 10.9.0.10", 0, NULL },
	/* a folder has every pool */
	{ "disk", "nopool", 0, NULL },
	/* states that this world does not have: nothing listens, sessions on both gateways */
	{ "gateway", "/api/_ping", 0, NULL },
	{ "gateway", "-d ip_address=10.9.0.2 -d skipchecks=true", 0, NULL },
	{ "info", "/api/clientinfo/" IQN "/iqn.1994-05.com.redhat:rh7-client", 200,
	  "{\"alias\":\"\",\"ip_address\":[],\"state\":{}}" },
	{ "info", "/api/_clientinfo/", 200, "{\"alias\":\"\",\"ip_address\":[],\"state\":\"\"}" },
	{ "info", "-X DELETE", 0, NULL },
	{ "info", "/api/disk/", 0, NULL },
	/* a new client is one commit, not two */
	{ "dashboard_flow", "decrypt_passwords", 200,
	  "{\"created\":\"T\",\"discovery_auth\":{\"mutual_password\":\"\","
	  "\"mutual_password_encryption_enabled\":false,\"mutual_username\":\"\",\"password\":\"\","
	  "\"password_encryption_enabled\":false,\"username\":\"\"},\"disks\":{},\"epoch\":18,"
	  "\"gateways\":{},\"targets\":{},\"updated\":\"T\",\"version\":11}" },
	/* one member more */
	{ "info", "/api/gatewayinfo", 200, OWNERS("rbd/disk_1") },
	{ "dashboard_flow", "/api/gatewayinfo", 200, OWNERS("rbd/vol1") },
	/* internal routes that peers of ours do not need */
	{ "errors", "/api/_gateway/", 405, NULL },
	{ "errors", "/api/_discoveryauth", 0, NULL },
};

/* ---- the command line ---- */

struct command {
	char *arguments[ARGUMENTS_MAX];
	size_t count;
	char *room; /* what they point into */
};

/* Splits at blanks; '...' keeps them. */
static void split(const char *line, size_t len, struct command *command)
{
	char *out = command->room = malloc(len + 1);
	const char *end = line + len;
	while (line < end && command->count < ARGUMENTS_MAX) {
		bool quoted = false;
		command->arguments[command->count++] = out;
		for (; line < end && (quoted || *line != ' '); line++) {
			if (*line == '\'')
				quoted = !quoted;
			else
				*out++ = *line;
		}
		*out++ = '\0';
		line += line < end;
	}
}

static void add_field(struct string *form, const char *field, bool encode)
{
	if (form->len)
		string_add_char(form, '&');
	for (const char *c = field; *c; c++) {
		bool plain = (*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') ||
		             (*c >= 'A' && *c <= 'Z') || strchr("=-_.", *c);
		if (plain || !encode)
			string_add_char(form, *c);
		else
			string_format(form, "%%%02X", (unsigned char)*c);
	}
}

/* Options that matter: what each does with its value. */
static void read_command(const struct command *command, struct call *call, struct string *form)
{
	*call = (struct call){ .method = "GET" };
	for (size_t i = 1; i < command->count; i++) {
		const char *option = command->arguments[i];
		const char *value = i + 1 < command->count ? command->arguments[i + 1] : "";
		if (strncmp(option, "http://", 7) == 0) {
			call->path = strchr(option + 7, '/');
			continue;
		}
		if (strcmp(option, "-I") == 0)
			call->method = "HEAD";
		if (!strchr("XudFH", option[1]) && strcmp(option, "--data-urlencode") != 0 &&
		    strcmp(option, "--interface") != 0)
			continue;
		i++;
		if (strcmp(option, "-X") == 0)
			call->method = value;
		else if (strcmp(option, "-u") == 0)
			call->user = value;
		else if (strcmp(option, "-H") == 0)
			call->header = value;
		else if (strcmp(option, "--interface") != 0)
			add_field(form, value, strcmp(option, "--data-urlencode") == 0);
		call->multipart |= strcmp(option, "-F") == 0;
	}
}

/* ---- comparison ---- */

static bool masked_by(const char *text, const char *shape)
{
	for (; *shape; text++, shape++) {
		bool hex = (*text >= '0' && *text <= '9') || (*text >= 'a' && *text <= 'f');
		if (*shape == 'x' ? !hex : *shape != *text)
			return false;
	}
	return true;
}

/* Times, UUIDs and numbers of pools give way to a letter. */
static void mask(char *text)
{
	static const char *const shapes[] = { "xxxx/xx/xx xx:xx:xx",
		                              "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
		                              "\"pool_id\":x" };
	char *out = text;
	while (*text) {
		size_t skipped = 0;
		for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
			if (masked_by(text, shapes[i]))
				skipped = strlen(shapes[i]);
		*out++ = skipped ? 'T' : *text;
		text += skipped ? skipped : 1;
	}
	*out = '\0';
}

static const struct deviation *find_deviation(const char *file, const char *line, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(deviations); i++)
		if (strcmp(deviations[i].file, file) == 0 &&
		    memmem(line, len, deviations[i].command, strlen(deviations[i].command)))
			return &deviations[i];
	return NULL;
}

static unsigned check(const struct api_world *world, const char *file, const char *line, size_t len,
                      const char *answer)
{
	struct command command = { 0 };
	AUTO_STRING struct string form = { 0 };
	struct call call;
	AUTO_FREE char *expected = NULL;
	AUTO_FREE char *actual = NULL;
	const struct deviation *deviation = find_deviation(file, line, len);
	long wanted = strtol(answer + strlen("HTTP/1.1 "), NULL, 10);
	const char *body = strstr(answer, "\n\n") + 2;
	expected = strndup(body, strcspn(body, "\n"));
	if (deviation && !deviation->status)
		return 0;
	split(line, len, &command);
	read_command(&command, &call, &form);
	if (deviation && deviation->extra)
		add_field(&form, deviation->extra, false);
	call.form = form.text;
	long status = world_call(world, &call, &actual, NULL);
	actual[strcspn(actual, "\n")] = '\0';
	mask(expected);
	mask(actual);
	if (deviation) {
		wanted = deviation->status;
		free(expected);
		expected = strdup(deviation->body ? deviation->body : actual);
	}
	unsigned bad = status != wanted || strcmp(actual, expected) != 0;
	if (bad)
		print_message("# %s: %.*s\n#   wanted %ld %s\n#   got    %ld %s\n", file, (int)len,
		              line, wanted, expected, status, actual);
	free(command.room);
	return bad;
}

static unsigned replay(const struct api_world *world, const char *file)
{
	char path[128];
	unsigned bad = 0;
	(void)snprintf(path, sizeof path, "golden/rest/%s.txt", file);
	AUTO_FREE char *text = test_read_file(path, NULL);
	for (const char *at = text; (at = strstr(at, "\n$ curl"));) {
		at += strlen("\n$ ");
		size_t len = strcspn(at, "\n");
		const char *answer = at + len + 1;
		if (strncmp(answer, "HTTP/1.1 ", strlen("HTTP/1.1 ")) == 0)
			bad += check(world, file, at, len, answer);
		at += len;
	}
	return bad;
}

static void start_pair(struct api_world *world, const char *settings)
{
	world_start(world, settings, NULL);
	world_add_member(world, "gw1.example.com");
	world_add_member(world, "gw2.example.com");
	world_serve_control(world, "gw1.example.com");
}

TEST(what_upstream_answered_in_the_life_of_a_target_is_answered)
{
	static const char *const files[] = {
		"auth",       "errors",        "ping",
		"target",     "gateway",       "target_reconfigure",
		"disk",       "targetlun",     "client",
		"clientauth", "clientlun",     "hostgroup",
		"targetauth", "discoveryauth", "settings",
		"info",       "sysinfo",       "sources",
	};
	AUTO_API_WORLD struct api_world world = { 0 };
	unsigned bad = 0;
	start_pair(&world, "trusted_ip_list = 10.9.0.9");
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		bad += replay(&world, files[i]);
	ASSERT_EQ(bad, 0);
}

TEST(the_dashboard_creates_looks_and_deletes)
{
	AUTO_API_WORLD struct api_world world = { 0 };
	start_pair(&world, "");
	ASSERT_EQ(image_create(world.store, "rbd", "vol1", 1 << 20, NULL), 0);
	ASSERT_EQ(replay(&world, "dashboard_flow"), 0);
}
