/* Owners of LUNs and the state of gateways, where the API tells them (ceph-iscsi's does not): what
 * listings add to upstream's texts, and the verbs that move LUNs.
 *
 * Member `owners` of the overview:
 *   {"gateways": {NAME: {"state", "maintenance", "interconnect", "luns"}},
 *    "luns": {ID: {"owner", "preferred_owner", "state", "epoch", "changed", "why", "on_demand"}}}
 */
#pragma once

#include "cli/shell.h"

/* Behind the text of a disk: ", Owner: NAME", with why if it is not the preferred one; beside which
 * upstream gateways it is on demand. */
void owners_add_disk(struct shell *shell, const char *id, struct summary *summary);
/* Behind "Owner: NAME, Lun: N": who it is now, if not the preferred one. */
void owners_add_target_disk(struct shell *shell, const char *id, struct summary *summary);
/* Behind the text of a gateway: ", LUNs: N", with its state if that is not `up`. */
void owners_add_gateway(struct shell *shell, const char *gateway, struct summary *summary);
/* More lines of `info`. */
void owners_add_disk_fields(struct shell *shell, const char *id, json_t *fields);
void owners_add_gateway_fields(struct shell *shell, const char *gateway, json_t *fields);

enum outcome owners_drain(struct shell *shell, const char *gateway, bool force);
enum outcome owners_balance(struct shell *shell, const char *target);
enum outcome owners_undrain(struct shell *shell, const char *gateway);
enum outcome owners_move(struct shell *shell, const char *id, const char *gateway);

/* The verb `history`, which several nodes have. */
enum outcome owners_run_history(struct shell *shell, struct call *call);
#define HISTORY_VERB                                                                         \
	{                                                                                    \
		"history", "[count=20]",                                                     \
		        "Show what happened to owners of LUNs last, the newest at the end: " \
		        "take-overs, hand-overs,\ngateways that were fenced or drained.",    \
		        owners_run_history, .json = true                                     \
	}
/* The verb `owners`. */
enum outcome owners_run_owners(struct shell *shell, struct call *call);
#define OWNERS_VERB                                                                             \
	{                                                                                       \
		"owners", "",                                                                   \
		        "Show which gateway owns which LUN, which one is preferred, and since " \
		        "when and why it is so.",                                               \
		        owners_run_owners, .json = true                                         \
	}
