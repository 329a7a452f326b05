/* The commands `target ...` and `lun ...`. See course.h. */
#include "cli/course.h"

#include "cli/kinds.h"

#include <stdarg.h>
#include <string.h>

#define WORDS_MAX   4
#define OPTIONS_MAX 6

struct course_call {
	const char *word[WORDS_MAX]; /* behind the two of the command */
	size_t count;
	const char *option[OPTIONS_MAX]; /* in the order of the row */
};

struct course_verb {
	const char *noun, *verb;
	size_t words;
	const char *usage;
	const char *options[OPTIONS_MAX]; /* a blank at the end: no value */
	enum outcome (*run)(struct shell *shell, const struct course_call *call);
};

static enum outcome run_in(struct shell *shell, const char *format, ...) PRINTF_LIKE(2, 3);
/* Runs a line of the ordinary shell. */
static enum outcome run_in(struct shell *shell, const char *format, ...)
{
	AUTO_FREE char *text = NULL;
	va_list values;
	va_start(values, format);
	if (vasprintf(&text, format, values) < 0)
		text = NULL;
	va_end(values);
	shell->fresh = true; /* read when the outer line began */
	enum outcome outcome = text ? shell_run(shell, text) : OUTCOME_FAILED;
	return outcome == OUTCOME_USAGE ? OUTCOME_FAILED : outcome;
}

static json_t *find_target(struct shell *shell, const char *iqn)
{
	json_t *target = json_object_get(model_targets(&shell->model), iqn);
	if (!target)
		say(&shell->output, SAY_ERROR, "Target %s not found", iqn);
	return target;
}

static enum outcome target_create(struct shell *shell, const struct course_call *call)
{
	return run_in(shell, "/iscsi-targets create %s", call->word[0]);
}

static enum outcome target_delete(struct shell *shell, const struct course_call *call)
{
	return run_in(shell, "/iscsi-targets delete %s", call->word[0]);
}

static enum outcome target_list(struct shell *shell, const struct course_call *call)
{
	const char *iqn;
	json_t *target;
	json_object_foreach (model_targets(&shell->model), iqn, target)
		fprintf(shell->output.out, "%s\n", iqn);
	return OUTCOME_DONE;
}

/* --- target add_portal --- */

/* "10.0.0.1:3260", "[fd00::1]:3260" or without the port. free() the address. */
static char *portal_address(struct shell *shell, const char *portal)
{
	const char *end = strrchr(portal, ']');
	const char *colon = strrchr(portal, ':');
	bool bare_v6 = !end && colon && strchr(portal, ':') != colon;
	if (bare_v6 || (end && colon && colon < end))
		colon = NULL;
	if (colon && strcmp(colon, ":3260") != 0) {
		say(&shell->output, SAY_ERROR, "Only port 3260 is supported");
		return NULL;
	}
	const char *start = *portal == '[' ? portal + 1 : portal;
	if (!end)
		end = colon ? colon : portal + strlen(portal);
	return strndup(start, (size_t)(end - start));
}

static bool host_has_address(struct shell *shell, const char *host, const char *address)
{
	AUTO_REPLY struct reply reply;
	struct request request = { API_GET, .host = host, .path = "/sysinfo/ip_addresses" };
	request.timeout_s = API_PING_TIMEOUT_S;
	size_t i;
	json_t *known;
	api_call(shell->model.api, &request, &reply);
	json_array_foreach (json_object_get(reply.body, "data"), i, known) {
		if (json_is_string(known) && strcmp(json_string_value(known), address) == 0)
			return true;
	}
	return false;
}

/* The gateway that has this address: this host, one that is known, one that is trusted. free(). */
static char *owner_of_address(struct shell *shell, const char *address)
{
	const char *name;
	json_t *gateway;
	if (host_has_address(shell, NULL, address))
		return strdup(shell->options.gateway_name);
	json_object_foreach (model_member(shell->model.config, "gateways"), name, gateway) {
		if (host_has_address(shell, name, address))
			return strdup(name);
	}
	for (char *const *ip = shell->options.trusted_ip_list; ip && *ip; ip++) {
		AUTO_REPLY struct reply reply;
		if (!host_has_address(shell, *ip, address))
			continue;
		api_call(shell->model.api,
		         &(struct request){ API_GET, .host = *ip, .path = "/sysinfo/hostname" },
		         &reply);
		if (reply_ok(&reply))
			return strdup(json_text(reply.body, "data", *ip));
	}
	say(&shell->output, SAY_ERROR, "No gateway owns %s", address);
	return NULL;
}

static enum outcome target_add_portal(struct shell *shell, const struct course_call *call)
{
	json_t *target = find_target(shell, call->word[0]);
	if (!target)
		return OUTCOME_FAILED;
	AUTO_FREE char *address = portal_address(shell, call->word[1]);
	if (!address)
		return OUTCOME_FAILED;
	AUTO_FREE char *gateway =
	        call->option[0] ? strdup(call->option[0]) : owner_of_address(shell, address);
	if (!gateway)
		return OUTCOME_FAILED;
	if (json_object_get(model_member(target, "portals"), gateway))
		return shell_refuse(shell, "Gateway %s already has portals", gateway);
	return gateway_create(shell, call->word[0], gateway, address, false, false);
}

/* --- target set_chap --- */

static enum outcome target_set_chap(struct shell *shell, const struct course_call *call)
{
	const char *iqn = call->word[0];
	json_t *target = find_target(shell, iqn);
	if (!target)
		return OUTCOME_FAILED;
	bool none = call->option[4] != NULL;
	if (!none && (!call->option[0] || !call->option[1]))
		return shell_refuse(shell, "Give --user and --password, or --none");
	if (json_object_size(json_object_get(target, "clients")))
		return shell_refuse(shell,
		                    "Target has hosts; set CHAP per host: gwcli "
		                    "/iscsi-targets/%s/hosts/HOST auth ...",
		                    iqn);
	if (!none && json_flag(target, "acl_enabled", true)) {
		static const struct field acl[] = { { "action", "disable_acl" }, { NULL } };
		AUTO_REPLY struct reply first;
		shell_change(shell, API_PUT, acl, &first, "/targetauth/%s", iqn);
		if (!reply_ok(&first))
			return shell_refuse(shell, "Failed to disable_acl: %s", first.message);
	}
	const struct field fields[] = {
		{ "username", none ? "" : call->option[0] },
		{ "password", none ? "" : call->option[1] },
		{ "mutual_username", none || !call->option[2] ? "" : call->option[2] },
		{ "mutual_password", none || !call->option[3] ? "" : call->option[3] },
		{ NULL },
	};
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_PUT, fields, &reply, "/targetauth/%s", iqn);
	return shell_report(shell, &reply, "Failed to update target auth: ");
}

/* --- lun --- */

static const char *disk_at(const json_t *target, uint64_t lun_id)
{
	const char *id;
	json_t *disk;
	json_object_foreach (model_member(target, "disks"), id, disk) {
		if (json_number(disk, "lun_id", -1) == (json_int_t)lun_id)
			return id;
	}
	return NULL;
}

static enum outcome lun_create(struct shell *shell, const struct course_call *call)
{
	json_t *target = find_target(shell, call->word[0]);
	const char *pool = call->option[0], *image = call->option[1];
	uint64_t lun_id;
	if (!target)
		return OUTCOME_FAILED;
	if (text_to_uint(call->word[1], 0, 255, &lun_id) < 0)
		return shell_refuse(shell, "Lun id must be a number of 0 to 255");
	if (!pool || !image)
		return shell_refuse(shell, "Give --pool and --image");
	if (strchr(image, '@'))
		return shell_refuse(shell, "%s/%s: LUNs of snapshots are not supported here", pool,
		                    image);
	AUTO_STRING struct string id = { 0 };
	string_format(&id, "%s/%s", pool, image);
	const char *there = disk_at(target, lun_id);
	if (there && id.text && strcmp(there, id.text) == 0) {
		say(&shell->output, SAY_OK, "ok");
		return OUTCOME_DONE;
	}
	if (!json_object_get(model_disks(&shell->model), id.text)) {
		const struct field define[] = {
			{ "pool", pool },
			{ "owner", shell->options.gateway_name },
			{ "count", "1" },
			{ "mode", "create" },
			{ "create_image", call->option[2] ? "true" : "false" },
			{ "size", call->option[2] },
			{ NULL },
		};
		AUTO_REPLY struct reply made;
		shell_change(shell, API_PUT, define, &made, "/disk/%s", id.text);
		if (!reply_ok(&made))
			return shell_refuse(shell, "Failed : %s", made.message);
	}
	const struct field fields[] = { { "disk", id.text },
		                        { "lun_id", call->word[1] },
		                        { NULL } };
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_PUT, fields, &reply, "/targetlun/%s", call->word[0]);
	return shell_report(shell, &reply, "Failed - ");
}

static enum outcome lun_delete(struct shell *shell, const struct course_call *call)
{
	json_t *target = find_target(shell, call->word[0]);
	uint64_t lun_id;
	if (!target)
		return OUTCOME_FAILED;
	if (text_to_uint(call->word[1], 0, 255, &lun_id) < 0)
		return shell_refuse(shell, "Lun id must be a number of 0 to 255");
	const char *id = disk_at(target, lun_id);
	if (!id)
		return shell_refuse(shell, "No LUN %s on %s", call->word[1], call->word[0]);
	const struct field fields[] = { { "disk", id }, { NULL } };
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_DELETE, fields, &reply, "/targetlun/%s", call->word[0]);
	return shell_report(shell, &reply, "Failed - ");
}

static enum outcome lun_list(struct shell *shell, const struct course_call *call)
{
	struct node *node;
	struct error err;
	AUTO_STRING struct string path = { 0 };
	string_format(&path, "/iscsi-targets/%s/disks", call->word[0]);
	if (node_find(shell, shell->root, shell->root, path.text, &node, &err) < 0)
		return shell_refuse(shell, "Target %s not found", call->word[0]);
	size_t count;
	struct node **disks = node_children(shell, node, &count);
	for (size_t i = 0; i < count; i++) {
		struct summary summary = { 0 };
		disks[i]->kind->summary(shell, disks[i], &summary);
		fprintf(shell->output.out, "%lld %s %s\n",
		        json_number(disks[i]->data, "lun_id", -1), disks[i]->name, summary.text);
	}
	return OUTCOME_DONE;
}

static const struct course_verb verbs[] = {
	{ "target", "create", 1, "IQN", { NULL }, target_create },
	{ "target", "delete", 1, "IQN", { NULL }, target_delete },
	{ "target", "list", 0, "", { NULL }, target_list },
	{ "target",
	  "add_portal",
	  2,
	  "IQN IP[:3260] [--gateway NAME]",
	  { "gateway" },
	  target_add_portal },
	{ "target",
	  "set_chap",
	  1,
	  "IQN --user U --password P [--mutual-user U --mutual-password P] | --none",
	  { "user", "password", "mutual-user", "mutual-password", "none " },
	  target_set_chap },
	{ "lun",
	  "create",
	  2,
	  "IQN LUN --pool POOL --image IMAGE [--size SIZE]",
	  { "pool", "image", "size" },
	  lun_create },
	{ "lun", "delete", 2, "IQN LUN", { NULL }, lun_delete },
	{ "lun", "list", 1, "IQN", { NULL }, lun_list },
};

/* The option's place in the row, or OPTIONS_MAX. */
static size_t find_option(const struct course_verb *verb, const char *name)
{
	for (size_t i = 0; i < OPTIONS_MAX && verb->options[i]; i++) {
		size_t len = strcspn(verb->options[i], " ");
		if (strncmp(verb->options[i], name, len) == 0 && !name[len])
			return i;
	}
	return OPTIONS_MAX;
}

static bool parse(const struct course_verb *verb, const struct line *line,
                  struct course_call *ret_call)
{
	*ret_call = (struct course_call){ 0 };
	for (size_t i = 1; i < line->count; i++) {
		const char *name = line->parameters[i].name, *value = line->parameters[i].value;
		const char *option = name ? name : value;
		if (!text_starts(option, "--")) {
			if (name || ret_call->count == WORDS_MAX)
				return false;
			ret_call->word[ret_call->count++] = value;
			continue;
		}
		size_t at = find_option(verb, option + 2);
		if (at == OPTIONS_MAX)
			return false;
		bool flag = text_ends(verb->options[at], " ");
		if (!name && !flag) {
			if (++i == line->count)
				return false;
			value = line->parameters[i].value;
		}
		ret_call->option[at] = value;
	}
	return ret_call->count == verb->words;
}

static enum outcome say_usage(struct shell *shell, const char *noun)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (strcmp(verbs[i].noun, noun) == 0)
			say_shell_error(&shell->output, "usage: gwcli %s %s %s", noun,
			                verbs[i].verb, verbs[i].usage);
	}
	return OUTCOME_OPTIONS;
}

bool course_run(struct shell *shell, const struct line *line, enum outcome *ret_outcome)
{
	const char *noun = line->path ? NULL : line->command;
	if (!noun || (strcmp(noun, "target") != 0 && strcmp(noun, "lun") != 0))
		return false;
	const char *word =
	        line->count && !line->parameters[0].name ? line->parameters[0].value : "";
	struct course_call call;
	for (size_t i = 0; i < ARRAY_LEN(verbs) && !shell->output.json; i++) {
		if (strcmp(verbs[i].noun, noun) != 0 || strcmp(verbs[i].verb, word) != 0)
			continue;
		if (!parse(&verbs[i], line, &call))
			break;
		*ret_outcome = verbs[i].run(shell, &call);
		return true;
	}
	*ret_outcome = say_usage(shell, noun);
	return true;
}
