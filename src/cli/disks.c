/* The nodes below /disks: images that the gateways know, by pool. */
#include "cli/kinds.h"
#include "cli/owners.h"
#include "cli/render.h"
#include "cli/size.h"

#include <string.h>

/* --- what verbs of several nodes do --- */

/* "pool/image" as pool: compat: the second parameter is then the size, the third the count. */
static bool take_short_form(struct shell *shell, struct disk_request *request, char **ret_pool)
{
	const char *slash = request->pool ? strchr(request->pool, '/') : NULL;
	uint64_t number;
	*ret_pool = NULL;
	if (!slash)
		return true;
	if (request->image && request->size) {
		if (text_to_uint(request->size, 0, UINT64_MAX, &number) < 0) {
			say(&shell->output, SAY_ERROR, "Invalid count provided (%s ?)",
			    request->size);
			return false;
		}
		request->count = request->size;
	}
	if (request->image && !request->attach)
		request->size = request->image;
	*ret_pool = strndup(request->pool, (size_t)(slash - request->pool));
	request->image = slash + 1;
	request->pool = *ret_pool;
	return true;
}

/* Only replicated pools, as far as the gateway tells which there are. */
static bool pool_is_usable(struct shell *shell, const char *pool)
{
	json_t *pools = model_overview(&shell->model, "pools");
	if (json_object_size(pools) == 0)
		return true;
	return strcmp(json_text(model_member(pools, pool), "type", ""), "replicated") == 0;
}

enum outcome disk_define(struct shell *shell, const struct disk_request *request)
{
	struct disk_request wanted = *request;
	AUTO_FREE char *pool = NULL;
	char size[SIZE_TEXT_MAX] = "";
	uint64_t number;
	if (!take_short_form(shell, &wanted, &pool))
		return OUTCOME_FAILED;
	if (!wanted.pool || !wanted.image)
		return shell_refuse(shell, "Invalid create: pool and image parameters are needed");
	if (wanted.size && !size_for_api(wanted.size, size))
		return shell_refuse(shell,
		                    "Invalid size requested. Must be an integer, suffixed by "
		                    "M, G or T. See help for more info");
	if (wanted.count && text_to_uint(wanted.count, 0, UINT64_MAX, &number) < 0)
		return shell_refuse(shell, "invalid count format, must be an integer");
	if (!pool_is_usable(shell, wanted.pool))
		return shell_refuse(shell,
		                    "Invalid pool (%s). Must already exist and be replicated",
		                    wanted.pool);
	const struct field fields[] = {
		{ "pool", wanted.pool },
		{ "owner", shell->options.gateway_name },
		{ "count", wanted.count ? wanted.count : "1" },
		{ "mode", "create" },
		{ "create_image", wanted.attach ? "false" : "true" },
		{ "backstore", wanted.backstore },
		{ "wwn", wanted.wwn },
		{ "size", wanted.size ? size : NULL },
		{ NULL },
	};
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_PUT, fields, &reply, "/disk/%s/%s", wanted.pool, wanted.image);
	if (strcmp(reply.message, "pool name is invalid") == 0)
		return shell_refuse(shell,
		                    "Invalid pool (%s). Must already exist and be replicated",
		                    wanted.pool);
	return shell_report(shell, &reply, "Failed : ");
}

static bool disk_is_known(struct shell *shell, const char *id)
{
	if (json_object_get(model_disks(&shell->model), id))
		return true;
	say(&shell->output, SAY_ERROR, "the disk '%s' does not exist in this configuration", id);
	return false;
}

static const char *pool_of(struct shell *shell, const char *id)
{
	return json_text(json_object_get(model_disks(&shell->model), id), "pool", "");
}

enum outcome disk_resize(struct shell *shell, const char *id, const char *size)
{
	char text[SIZE_TEXT_MAX];
	if (!disk_is_known(shell, id))
		return OUTCOME_FAILED;
	if (!size_for_api(size, text))
		return shell_refuse(shell, "Size is invalid");
	const struct field fields[] = {
		{ "pool", pool_of(shell, id) },
		{ "size", text },
		{ "owner", shell->options.gateway_name },
		{ "mode", "resize" },
		{ NULL },
	};
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_PUT, fields, &reply, "/disk/%s", id);
	return shell_report(shell, &reply, "Failed to resize : ");
}

enum outcome disk_reconfigure(struct shell *shell, const char *id, const char *attribute,
                              const char *value)
{
	if (!disk_is_known(shell, id))
		return OUTCOME_FAILED;
	const char *owner = json_text(json_object_get(model_disks(&shell->model), id), "owner", "");
	if (!*owner)
		return shell_refuse(shell, "Cannot reconfigure until disk assigned to target");
	AUTO_FREE char *controls = controls_json(attribute, value);
	const struct field fields[] = {
		{ "pool", pool_of(shell, id) }, { "owner", owner }, { "controls", controls },
		{ "mode", "reconfigure" },      { NULL },
	};
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_PUT, fields, &reply, "/disk/%s", id);
	return shell_report(shell, &reply, "Failed to reconfigure : ");
}

static json_t *snapshots_shown(const json_t *state)
{
	json_t *shown = json_array(), *snapshot;
	size_t i;
	json_array_foreach (json_object_get(state, "snapshots"), i, snapshot) {
		char size[SIZE_TEXT_MAX];
		AUTO_STRING struct string text = { 0 };
		string_format(&text, "%s (%s)", json_text(snapshot, "name", ""),
		              size_text((uint64_t)json_number(snapshot, "size", 0), size));
		json_array_append_new(shown, json_string(text.text ? text.text : ""));
	}
	return shown;
}

void disk_info(struct shell *shell, const char *id)
{
	const json_t *disk = json_object_get(model_disks(&shell->model), id);
	const json_t *state = model_disk(&shell->model, id);
	const json_t *status = model_member(state, "status");
	json_t *features = json_object_get(state, "features");
	uint64_t bytes;
	char size[SIZE_TEXT_MAX] = "";
	if (model_disk_size(&shell->model, id, &bytes) == DISK_SIZE_KNOWN)
		size_text(bytes, size);
	const char *backstore = json_text(disk, "backstore", "user:rbd");
	AUTO_JSON json_t *fields = json_pack(
	        "{ss ss ss ss ss so so ss ss ss ss ss so}", "Image", json_text(disk, "image", id),
	        "Ceph Cluster", shell->options.cluster_name, "Pool", json_text(disk, "pool", ""),
	        "Wwn", json_text(disk, "wwn", ""), "Size H", size, "Feature List",
	        features ? json_incref(features) : json_array(), "Snapshots",
	        snapshots_shown(state), "Owner", json_text(disk, "owner", ""), "Lock Owner",
	        json_text(status, "lock_owner", "Unknown"), "State",
	        json_text(status, "state", "State unknown"), "Backstore", backstore,
	        "Backstore Object Name", json_text(disk, "backstore_object_name", ""),
	        "Control Values",
	        controls_shown(shell, "disk_default_controls", backstore,
	                       model_member(disk, "controls"), true));
	owners_add_disk_fields(shell, id, fields);
	render_fields(&shell->output, fields);
}

/* --- /disks --- */

static void expand_disks(struct shell *shell, struct node *node)
{
	const char *id;
	json_t *disk;
	AUTO_JSON json_t *pools = json_object();
	json_object_foreach (node->data, id, disk)
		json_object_set_new(pools, json_text(disk, "pool", ""), json_true());
	json_object_foreach (pools, id, disk)
		(void)node_add(node, &kind_disk_pool, id, node->data);
}

static void disks_summary(struct shell *shell, struct node *node, struct summary *ret_summary)
{
	char size[SIZE_TEXT_MAX];
	summary_set(ret_summary, HEALTH_UNKNOWN, "%s, Disks: %zu",
	            size_text(model_disks_size(&shell->model, node->data), size),
	            json_object_size(node->data));
}

static enum outcome run_create(struct shell *shell, struct call *call)
{
	const struct disk_request request = {
		.pool = call->arg[0],
		.image = call->arg[1],
		.size = call->arg[2],
		.backstore = call->arg[3],
		.wwn = call->arg[4],
		.count = call->arg[5],
	};
	return disk_define(shell, &request);
}

static enum outcome run_attach(struct shell *shell, struct call *call)
{
	const struct disk_request request = {
		.pool = call->arg[0],
		.image = call->arg[1],
		.backstore = call->arg[2],
		.wwn = call->arg[3],
		.attach = true,
	};
	return disk_define(shell, &request);
}

static enum outcome run_info(struct shell *shell, struct call *call)
{
	AUTO_FREE char *id = parse_disk_id(shell, call->arg[0]);
	if (!id || !json_object_get(model_disks(&shell->model), id))
		return shell_refuse(shell, "disk name provided does not exist");
	disk_info(shell, id);
	return OUTCOME_DONE;
}

static enum outcome run_resize(struct shell *shell, struct call *call)
{
	AUTO_FREE char *id = parse_disk_id(shell, call->arg[0]);
	return disk_resize(shell, id ? id : "", call->arg[1]);
}

static enum outcome run_reconfigure(struct shell *shell, struct call *call)
{
	AUTO_FREE char *id = parse_disk_id(shell, call->arg[0]);
	return disk_reconfigure(shell, id ? id : "", call->arg[1], call->arg[2]);
}

/* A person is asked before data are destroyed; a script says what it means. */
static bool person_agrees(struct shell *shell, const char *id)
{
	char answer[16];
	if (!shell->output.interactive)
		return true;
	fprintf(shell->output.out, "Delete the image %s and all its data? [y/N] ", id);
	fflush(shell->output.out);
	return fgets(answer, sizeof answer, stdin) && (answer[0] | 32) == 'y';
}

static enum outcome remove_disk(struct shell *shell, const char *typed, bool keep_image,
                                bool confirmed)
{
	AUTO_FREE char *id = parse_disk_id(shell, typed);
	if (!id || !json_object_get(model_disks(&shell->model), id))
		return shell_refuse(shell, "Disk '%s' is not defined to the configuration", typed);
	if (!keep_image && !confirmed && !person_agrees(shell, id))
		return shell_refuse(shell, "Nothing was deleted");
	const struct field fields[] = {
		{ "purge_host", shell->options.gateway_name },
		{ "preserve_image", keep_image ? "true" : "false" },
		{ NULL },
	};
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_DELETE, fields, &reply, "/disk/%s", id);
	return shell_report(shell, &reply, "");
}

static enum outcome run_delete(struct shell *shell, struct call *call)
{
	bool confirmed;
	if (!parse_flag(shell, call->arg[1], &confirmed))
		return OUTCOME_USAGE;
	return remove_disk(shell, call->arg[0], false, confirmed);
}

static enum outcome run_detach(struct shell *shell, struct call *call)
{
	return remove_disk(shell, call->arg[0], true, true);
}

#define CONTROLS_HELP                                                                         \
	"Change max_data_area_mb, qfull_timeout, osd_op_timeout or hw_max_sectors of a disk " \
	"that is on a target; an empty value= takes the default."

static const struct verb disks_verbs[] = {
	{ "create", "[pool] [image] [size] [backstore] [wwn] [count=1]",
	  "Create an image and make it a disk: pool=rbd image=disk_1 size=90G, or short: "
	  "rbd/disk_1 "
	  "90G [count].\nSizes are integers with M, G or T. An image that exists is taken as it "
	  "is.",
	  run_create },
	{ "attach", "[pool] [image] [backstore] [wwn]",
	  "Make a disk of an image that exists: rbd/disk_1.", run_attach },
	{ "info", "image_id", "Show a disk (pool/image).", run_info, .json = true },
	{ "resize", "image_id size", "Grow a disk to the new size.", run_resize },
	{ "reconfigure", "image_id attribute value", CONTROLS_HELP, run_reconfigure },
	{ "delete", "image_id [confirm=false]",
	  "Delete a disk and its image with all data. At a terminal you are asked, unless "
	  "confirm=true.",
	  run_delete },
	{ "detach", "image_id", "Take a disk out of the configuration; its image stays.",
	  run_detach },
};

const struct node_kind kind_disks = {
	.intro = "The disks: RBD images that the gateways may export.",
	.expand = expand_disks,
	.summary = disks_summary,
	KIND_VERBS(disks_verbs),
};

/* --- /disks/POOL --- */

/* ID -> entry of the disks of this pool; json_decref() it. */
static json_t *disks_of_pool(const struct node *node)
{
	json_t *found = json_object(), *disk;
	const char *id;
	json_object_foreach (node->data, id, disk) {
		if (strcmp(json_text(disk, "pool", ""), node->name) == 0)
			json_object_set(found, id, disk);
	}
	return found;
}

static void expand_pool(struct shell *shell, struct node *node)
{
	AUTO_JSON json_t *disks = disks_of_pool(node);
	const char *id;
	json_t *disk;
	json_object_foreach (disks, id, disk)
		(void)node_add(node, &kind_disk, json_text(disk, "image", id), disk);
}

static void pool_summary(struct shell *shell, struct node *node, struct summary *ret_summary)
{
	AUTO_JSON json_t *disks = disks_of_pool(node);
	char size[SIZE_TEXT_MAX];
	summary_set(ret_summary, HEALTH_UNKNOWN, "%s (%s)", node->name,
	            size_text(model_disks_size(&shell->model, disks), size));
}

const struct node_kind kind_disk_pool = {
	.intro = "The disks of one pool.",
	.expand = expand_pool,
	.summary = pool_summary,
};
