/* Changes of the configuration object as pure functions: (object, arguments, context) -> (new
 * object, work to do before the commit) or a refusal with its HTTP status. No I/O, no clock, no
 * random numbers: all that a change needs of the world stands in its context. Words of refusals are
 * those of ceph-iscsi, because its shell and the dashboard show them. */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "config/option.h"
#include "config/secret.h"
#include "config/settings.h"

#include <stdint.h>

#define CHANGE_MESSAGE_MAX 1024

/* What is known of an image and its pool. */
struct change_image {
	uint64_t size_bytes;
	bool exclusive_lock; /* it has the feature, or needs none */
	int64_t pool_id;     /* also filled if only the image is missing */
};

struct change_context {
	const char *gateway_name; /* of the gateway that took the request */
	const char *now;          /* "2026/11/21 12:00:00", UTC */
	const struct settings *settings;
	const struct secret_keys *keys; /* NULL: passwords are stored as they are */
	const json_t *members;          /* names of the live gateways */
	const json_t *addresses;        /* texts: addresses of this host */
	const json_t *sessions;         /* of this gateway: {"initiator", "target", ...} */
	/* 0, -ENOENT: no such image, -ENODEV: no such pool, else another error: in err. */
	int (*find_image)(void *argument, const char *pool, const char *image,
	                  struct change_image *ret_image, struct error *err);
	void (*make_uuid)(void *argument, char ret_uuid[37]);
	void *argument;
};

/* Work outside the object, done before the commit: each step may be repeated, so a crash leaves
 * the old object, and a retry finishes the change. */
enum change_work_kind {
	CHANGE_IMAGE_CREATE, /* being there already is fine */
	CHANGE_IMAGE_GROW,
	CHANGE_IMAGE_REMOVE, /* only when all gateways follow the object that was loaded */
	CHANGE_DISK_FORGET,  /* likewise: who owned it, and its reservations */
};
struct change_work {
	enum change_work_kind kind;
	char *pool, *image;
	uint64_t size_bytes;
};

struct change {
	json_t *object;          /* the new object; without epoch and time of the commit */
	const json_t *arguments; /* name -> text: pieces of the path and fields of the form */
	const struct change_context *context;

	int status;                       /* HTTP */
	char message[CHANGE_MESSAGE_MAX]; /* what went wrong, or the words of success */
	const char *doing; /* stands in front of "failed on GATEWAY. ...": "client auth " */
	bool unchanged;    /* nothing to commit */
	bool takes_away;   /* done only when no gateway works by the old object any more */
	struct change_work *work;
	size_t work_count;
};

/* 0, or a negative errno with status and message filled. */
typedef int (*change_fn)(struct change *change);

/* Runs a change on a copy of object. change_done() it whatever came back. */
int change_run(change_fn run, const json_t *object, const json_t *arguments,
               const struct change_context *context, struct change *ret_change) MUST_CHECK;
void change_done(struct change *change);

/* In brackets: the arguments; those that end in ? may be missing. */
int change_target_put(struct change *change);    /* target_iqn mode? controls? */
int change_target_delete(struct change *change); /* target_iqn */
int change_gateway_put(struct change *change); /* target_iqn gateway_name ip_address skipchecks? */
int change_gateway_delete(struct change *change); /* target_iqn gateway_name */
int change_disk_put(struct change *change);       /* pool image mode size? count? controls?
                                                     create_image? backstore? wwn? */
int change_disk_delete(struct change *change);    /* pool image preserve_image? */
/* pool image owner: the gateway that the disk's LUN prefers */
int change_disk_owner(struct change *change);
/* target_iqn: with the least moves, no gateway of it prefers two disks more than another */
int change_target_balance(struct change *change);
int change_target_lun_put(struct change *change);    /* target_iqn disk lun_id? */
int change_target_lun_delete(struct change *change); /* target_iqn disk */
int change_client_put(struct change *change);        /* target_iqn client_iqn */
int change_client_delete(struct change *change);     /* target_iqn client_iqn */
int change_client_auth(struct change *change);       /* target_iqn client_iqn, credentials */
int change_client_lun_put(struct change *change);    /* target_iqn client_iqn disk */
int change_client_lun_delete(struct change *change); /* target_iqn client_iqn disk */
int change_target_auth(struct change *change);       /* target_iqn action?, credentials */
int change_discovery_auth(struct change *change);    /* credentials */
int change_group_put(struct change *change);    /* target_iqn group_name action? members? disks? */
int change_group_delete(struct change *change); /* target_iqn group_name */

/* ---- controls: overrides of settings for one target or one disk ---- */

json_t *control_defaults(enum option_section section, const struct settings *settings) MUST_CHECK;
/* name -> {"type", "min", "max"} */
json_t *control_limits(enum option_section section) MUST_CHECK;

/* "iqn.YYYY-MM.domain.name:...", lower case. -EINVAL. */
#define IQN_MAX 224
int iqn_normalize(const char *text, char ret_iqn[IQN_MAX]) MUST_CHECK;
