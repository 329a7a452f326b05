/* The node /iscsi-targets/IQN/hosts/IQN: one initiator, its CHAP, its LUNs. */
#include "cli/kinds.h"
#include "cli/render.h"
#include "cli/size.h"

#include <inttypes.h>
#include <string.h>

static const char *target_of(const struct node *host)
{
	return host->parent->parent->name;
}

static json_t *luns_of(const struct node *host)
{
	return model_member(host->data, "luns");
}

static void expand(struct shell *shell, struct node *node)
{
	const char *id;
	json_t *lun;
	json_object_foreach (luns_of(node), id, lun) {
		char name[32];
		snprintf(name, sizeof name, "lun %lld", json_number(lun, "lun_id", -1));
		(void)node_add(node, &kind_lun, name, lun);
	}
}

static bool is_logged_in(const json_t *client)
{
	json_t *state = json_object_get(client, "state");
	if (json_is_string(state))
		return *json_string_value(state) != '\0';
	return json_object_size(state) > 0;
}

static void summary(struct shell *shell, struct node *node, struct summary *ret_summary)
{
	const char *auth = chap_state(model_member(node->data, "auth"));
	char size[SIZE_TEXT_MAX];
	const json_t *client = model_client(&shell->model, target_of(node), node->name);
	summary_set(ret_summary, strcmp(auth, "None") ? HEALTH_GOOD : HEALTH_BAD,
	            "%sAuth: %s, Disks: %zu(%s)", is_logged_in(client) ? "LOGGED-IN, " : "", auth,
	            json_object_size(luns_of(node)),
	            size_text(model_disks_size(&shell->model, luns_of(node)), size));
}

static enum outcome run_info(struct shell *shell, struct call *call)
{
	bool show_secrets;
	if (!parse_flag(shell, call->arg[0], &show_secrets))
		return OUTCOME_USAGE;
	const struct node *node = call->at;
	const json_t *client = model_client(&shell->model, target_of(node), node->name);
	json_t *addresses = json_object_get(client, "ip_address");
	AUTO_JSON json_t *fields =
	        json_pack("{ss so ss ss so ss sO}", "Client Iqn", node->name, "Ip Address",
	                  addresses ? json_incref(addresses) : json_array(), "Alias",
	                  json_text(client, "alias", ""), "Logged In",
	                  is_logged_in(client) ? "LOGGED_IN" : "", "Auth",
	                  chap_shown(model_member(node->data, "auth"), show_secrets), "Group Name",
	                  json_text(node->data, "group_name", ""), "Luns", luns_of(node));
	render_fields(&shell->output, fields);
	return OUTCOME_DONE;
}

static enum outcome run_auth(struct shell *shell, struct call *call)
{
	struct chap chap;
	if (!chap_from_call(call, &chap))
		return shell_refuse(shell, CHAP_MISSING);
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_PUT, chap.fields, &reply, "/clientauth/%s/%s", target_of(call->at),
	             call->at->name);
	wipe(&chap, sizeof chap);
	return shell_report(shell, &reply, "Failed to update the client's auth: ");
}

/* --- disks --- */

/* `disk add` of an image that is no disk yet makes it one first. */
static bool ensure_defined(struct shell *shell, const char *disk, const char *size)
{
	if (json_object_get(model_disks(&shell->model), disk))
		return true;
	const char *slash = strchr(disk, '/');
	if (!slash) {
		say(&shell->output, SAY_ERROR, "Invalid format. Use pool_name/disk_name");
		return false;
	}
	AUTO_FREE char *pool = strndup(disk, (size_t)(slash - disk));
	const struct disk_request request = { .pool = pool, .image = slash + 1, .size = size };
	if (disk_define(shell, &request) == OUTCOME_DONE)
		return true;
	say(&shell->output, SAY_ERROR,
	    "disk auto-define failed(8), try using the /disks create command");
	return false;
}

static size_t other_clients(const struct node *host, const char *disk)
{
	const char *iqn;
	json_t *client;
	size_t others = 0;
	json_object_foreach (host->parent->data, iqn, client)
		others += strcmp(iqn, host->name) != 0 &&
		          json_object_get(model_member(client, "luns"), disk) != NULL;
	return others;
}

static enum outcome map_disk(struct shell *shell, const struct node *host, enum api_method method,
                             const char *action, const char *disk)
{
	const struct field fields[] = { { "disk", disk }, { NULL } };
	AUTO_REPLY struct reply reply;
	shell_change(shell, method, fields, &reply, "/clientlun/%s/%s", target_of(host),
	             host->name);
	if (!reply_ok(&reply))
		return shell_refuse(shell, "disk %s for '%s' against %s failed\n%s", action, disk,
		                    host->name, reply.message);
	size_t others = method == API_PUT ? other_clients(host, disk) : 0;
	if (others)
		say(&shell->output, SAY_WARNING, "Warning: '%s' mapped to %zu other client(s)",
		    disk, others);
	return shell_report(shell, &reply, "");
}

static enum outcome run_disk(struct shell *shell, struct call *call)
{
	const char *action = call->arg[0];
	if (!call->arg[1])
		return shell_refuse(shell,
		                    "You must supply a disk name to add/remove for this client");
	bool adds = strcmp(action, "add") == 0;
	if (!adds && strcmp(action, "remove") != 0)
		return shell_refuse(shell, "you can only add and remove disks - %s is invalid ",
		                    action);
	AUTO_FREE char *disk = parse_disk_id(shell, call->arg[1]);
	if (!disk)
		return shell_refuse(shell, "Out of memory");
	bool mapped = json_object_get(luns_of(call->at), disk) != NULL;
	if (!adds && !mapped)
		return shell_refuse(shell, "disk '%s' is not mapped to this client ", disk);
	if (!adds)
		return map_disk(shell, call->at, API_DELETE, action, disk);
	if (mapped)
		return shell_refuse(shell, "Disk %s already mapped", disk);
	if (!ensure_defined(shell, disk, call->arg[2]) ||
	    !target_ensure_disk(shell, target_of(call->at), disk))
		return OUTCOME_FAILED;
	return map_disk(shell, call->at, API_PUT, action, disk);
}

static const struct verb verbs[] = {
	{ "info", "[show_secrets=false]",
	  "Show session, authentication and LUNs; show_secrets=true with passwords.", run_info,
	  .json = true },
	{ "auth", CHAP_ARGUMENTS, CHAP_ARGUMENTS_HELP, run_auth, .secret = true },
	{ "disk", "[action=add] [disk] [size]",
	  "disk add pool/image [size]: give the host a disk, which is created and put on the "
	  "target if "
	  "need be.\ndisk remove pool/image: take it away.",
	  run_disk },
};

const struct node_kind kind_host = {
	.intro = "A host (initiator) of this target and the LUNs that it sees.",
	.expand = expand,
	.summary = summary,
	KIND_VERBS(verbs),
};

/* --- lun N --- */

/* The disk behind a LUN: the key under which its entry stands. */
static const char *disk_of(const struct node *lun)
{
	const char *id;
	json_t *entry;
	json_object_foreach (luns_of(lun->parent), id, entry) {
		if (entry == lun->data)
			return id;
	}
	return "";
}

static void lun_summary(struct shell *shell, struct node *node, struct summary *ret_summary)
{
	const char *id = disk_of(node);
	uint64_t bytes = 0;
	char size[SIZE_TEXT_MAX] = "size unknown";
	if (model_disk_size(&shell->model, id, &bytes) == DISK_SIZE_KNOWN)
		size_text(bytes, size);
	summary_set(ret_summary, HEALTH_GOOD, "%s(%s), Owner: %s", id, size,
	            json_text(json_object_get(model_disks(&shell->model), id), "owner", ""));
}

static enum outcome lun_info(struct shell *shell, struct call *call)
{
	const char *id = disk_of(call->at);
	uint64_t bytes = 0;
	char size[SIZE_TEXT_MAX] = "";
	if (model_disk_size(&shell->model, id, &bytes) == DISK_SIZE_KNOWN)
		size_text(bytes, size);
	AUTO_JSON json_t *fields =
	        json_pack("{ss ss sI ss sI}", "Rbd Name", id, "Owner",
	                  json_text(json_object_get(model_disks(&shell->model), id), "owner", ""),
	                  "Size", (json_int_t)bytes, "Size H", size, "Lun Id",
	                  json_number(call->at->data, "lun_id", 0));
	render_fields(&shell->output, fields);
	return OUTCOME_DONE;
}

static const struct verb lun_verbs[] = {
	{ "info", "", "Show disk, owner and size.", lun_info, .json = true },
};

const struct node_kind kind_lun = {
	.intro = "A LUN that the host sees.",
	.summary = lun_summary,
	KIND_VERBS(lun_verbs),
};
