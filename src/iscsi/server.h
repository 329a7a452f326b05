/* The iSCSI server: listens on portals, logs initiators in, runs their sessions on reactors.
 * What it may do comes as one immutable snapshot of the configuration; a new snapshot replaces the
 * old one as a whole, and every session adapts to it. */
#pragma once

#include "base/error.h"
#include "base/reactor.h"
#include "scsi/nexus.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iscsi_server;

#define ISCSI_NAME_MAX  223
#define CHAP_TEXT_MAX   255
#define PORTAL_TEXT_MAX 64

/* One direction pair of CHAP credentials. An empty user_name = not required (in that direction). */
struct chap_credentials {
	char user_name[CHAP_TEXT_MAX + 1], secret[CHAP_TEXT_MAX + 1];
	char mutual_user_name[CHAP_TEXT_MAX + 1], mutual_secret[CHAP_TEXT_MAX + 1];
};

/* Controls of a target, as in spec: lengths in bytes, times in seconds. */
struct iscsi_controls {
	uint32_t first_burst_length, max_burst_length;
	uint32_t max_recv_data_segment_length; /* LIO's max_xmit...: what the target declares */
	uint32_t max_xmit_data_segment_length; /* bound on what it sends whatever was declared */
	uint32_t max_outstanding_r2t, command_window;
	uint32_t dataout_timeout_s, nopin_timeout_s, nopin_response_timeout_s;
	bool immediate_data, initial_r2t;
};

/* An initiator that may log in, and what it sees. */
struct iscsi_acl {
	char *initiator_name; /* lower case */
	struct chap_credentials auth;
	struct lun_mapping *mappings; /* with references */
	size_t mapping_count;
};

struct iscsi_portal_group {
	uint16_t tag;
	bool local;       /* this gateway listens on its portals */
	char **addresses; /* "10.77.0.1:3260", "[fd00::1]:3260": as in TargetAddress */
	size_t address_count;
};

struct iscsi_target {
	char *name; /* lower case */
	bool acl_enabled;
	bool ready;                   /* false: logins wait, then 0301 (spec: 10 s at most) */
	struct chap_credentials auth; /* acl_enabled false: of every initiator */
	struct iscsi_controls controls;
	struct iscsi_acl *acls; /* sorted by name */
	size_t acl_count;
	struct lun_mapping *mappings; /* acl_enabled false: what everyone sees */
	size_t mapping_count;
	struct iscsi_portal_group *groups;
	size_t group_count;
};

/* The whole snapshot. Built by the caller with iscsi_config_new() and plain assignment of malloc'd
 * members; read only once applied; reference counted. */
struct iscsi_config {
	int references;        /* atomic */
	bool loaded;           /* false: the configuration was not read yet; logins get 0301 */
	bool discovery_by_acl; /* SendTargets shows a target only to initiators with an ACL */
	struct chap_credentials discovery_auth;
	struct iscsi_target *targets; /* sorted by name */
	size_t target_count;
};
struct iscsi_config *iscsi_config_new(void);
struct iscsi_config *iscsi_config_get(struct iscsi_config *config);
/* The last put frees it, with all members and LUN references, and wipes the secrets. */
void iscsi_config_put(struct iscsi_config *config);
const struct iscsi_target *iscsi_config_find(const struct iscsi_config *config, const char *name);
const struct iscsi_acl *iscsi_target_find_acl(const struct iscsi_target *target,
                                              const char *initiator_name);

struct iscsi_limits {
	unsigned connections_max;       /* logged in, those that linger not counted; default 1024 */
	unsigned login_connections_max; /* not yet logged in: the oldest gives way; 256 */
	unsigned login_timeout_s;       /* 15 */
	/* A login waits for its target to be ready, or for one of too many old sessions of its
	 * initiator to end; 10 */
	unsigned ready_wait_s;
	unsigned slow_reader_s;      /* a peer that takes nothing of what waits for it; 30 */
	unsigned command_gap_s;      /* a gap in CmdSN that nothing fills; 10 */
	uint64_t max_inflight_bytes; /* data buffers of the whole gateway; 1 GiB */
	/* A command that changes something and may be older than this waits until its initiator has
	 * answered a ping; 2000. 0: none waits. */
	unsigned age_max_ms;
	clock_fn boot_clock; /* clock_boottime_ms; tests hand in their own */
};
void iscsi_limits_default(struct iscsi_limits *ret_limits);

/* The reactors are running (or turned by a test) and outlive the server. Borrowed. */
int iscsi_server_new(struct reactor *const *reactors, unsigned reactor_count,
                     const struct iscsi_limits *limits,
                     struct iscsi_server **ret_server) MUST_CHECK;

/* Any thread, one at a time. Takes over the caller's reference. Opens and closes portals, and makes
 * every session follow: sessions of removed targets, ACLs or changed credentials are ended (async
 * message, then drop), LUN maps are changed. applied() is called, on any thread, when all of it is
 * in force, with the first problem, e.g. an address that cannot be bound (yet), or code 0; what did
 * not work is tried again each second until the next apply. */
void iscsi_server_apply(struct iscsi_server *server, struct iscsi_config *config,
                        void (*applied)(void *argument, const struct error *err), void *argument);

/* Ends all sessions politely (async logout request, grace_ms, drop), closes the portals; stopped()
 * is called when nothing is left, on any thread. Then iscsi_server_free(). */
void iscsi_server_stop(struct iscsi_server *server, unsigned grace_ms,
                       void (*stopped)(void *argument), void *argument);
void iscsi_server_free(struct iscsi_server *server);

/* A row for each session, for the API. Any thread but a reactor's; waits for the reactors. */
struct iscsi_session_info {
	char initiator_name[ISCSI_NAME_MAX + 1], initiator_alias[CHAP_TEXT_MAX + 1];
	char target_name[ISCSI_NAME_MAX + 1]; /* "" = discovery */
	char peer_address[PORTAL_TEXT_MAX], local_address[PORTAL_TEXT_MAX];
	uint16_t portal_group_tag, tsih;
	uint8_t isid[6];
};
int iscsi_server_list(struct iscsi_server *server, struct iscsi_session_info **ret_sessions,
                      size_t *ret_count) MUST_CHECK;

/* Any thread. How long no command that goes to the medium has come in, on any session; from the
 * start on if none ever has. Path checkers, which ask for ever, do not count. */
uint64_t iscsi_server_idle_ms(const struct iscsi_server *server);
/* Any thread. Whether anybody is logged in. */
bool iscsi_server_is_used(const struct iscsi_server *server);
