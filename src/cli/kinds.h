/* The kinds of nodes, one file each; and the verbs that several files share. */
#pragma once

#include "cli/shell.h"

extern const struct node_kind kind_root, kind_clusters, kind_cluster, kind_pools, kind_pool,
        kind_topology, kind_disks, kind_disk_pool, kind_disk, kind_targets, kind_target,
        kind_target_disks, kind_target_disk, kind_gateways, kind_gateway, kind_groups, kind_group,
        kind_group_member, kind_hosts, kind_host, kind_lun;

/* The verbs that every node has. */
extern const struct verb builtin_verbs[];
extern const size_t builtin_verb_count;

#define KIND_VERBS(table) .verbs = (table), .verb_count = ARRAY_LEN(table)

/* True for "true"/"false" of any case, yes/no, 1/0; false with words for anything else. */
bool parse_flag(struct shell *shell, const char *text, bool *ret_flag);
/* The name as the gateways keep it (lower case), or refused with words: NULL. free() it. */
char *parse_iqn(struct shell *shell, const char *name) MUST_CHECK;
/* Disk ids of ceph-iscsi before 3.0 had a dot: rbd.disk_1. free() it. */
char *parse_disk_id(struct shell *shell, const char *id) MUST_CHECK;

/* The four fields of CHAP: typed as four, as user/password, or as nochap. False: none given. */
struct chap {
	char text[4][128];
	struct field fields[5];
};
bool chap_from_call(const struct call *call, struct chap *ret_chap);
#define CHAP_ARGUMENTS "[username] [password] [mutual_username] [mutual_password]"
#define CHAP_ARGUMENTS_HELP                                                      \
	"Set CHAP: username=U password=P, for both ways also mutual_username=U " \
	"mutual_password=P; "                                                    \
	"`nochap` takes it away."
#define CHAP_MISSING                                                          \
	"To set authentication, specify username=<user> password=<password> " \
	"[mutual_username]=<user> [mutual_password]=<password> or nochap"
/* "None", "CHAP" or "CHAP_MUTUAL" of an auth object. */
const char *chap_state(const json_t *auth);
/* The auth object with its passwords as *** (json_decref() it). */
json_t *chap_shown(const json_t *auth, bool show_secrets);

/* Creates or attaches images (`/disks create`); says its own words. */
struct disk_request {
	const char *pool, *image, *size, *backstore, *wwn, *count;
	bool attach;
};
enum outcome disk_define(struct shell *shell, const struct disk_request *request);
enum outcome disk_resize(struct shell *shell, const char *id, const char *size);
enum outcome disk_reconfigure(struct shell *shell, const char *id, const char *attribute,
                              const char *value);
void disk_info(struct shell *shell, const char *id);
/* Maps the disk to the target if it is not there yet; says why not. */
bool target_ensure_disk(struct shell *shell, const char *target, const char *disk);
/* `gateways create`; also used by `target add_portal`. */
enum outcome gateway_create(struct shell *shell, const char *target, const char *name,
                            const char *addresses, bool nosync, bool skipchecks);
/* label -> value of all controls, defaults included (json_decref() it). */
json_t *controls_shown(struct shell *shell, const char *defaults_member, const char *backstore,
                       const json_t *controls, bool mark_overrides);
/* {"NAME": "VALUE"}; free() it. */
char *controls_json(const char *attribute, const char *value) MUST_CHECK;
