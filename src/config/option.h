/* The options of the settings file: one row each says section, name, type, bounds, default and
 * whether it enters the hash. Reading the file, the hash, the limits that the API shows and the
 * checks of `controls` all walk this table. */
#pragma once

#include "base/json.h"
#include "config/settings.h"

enum option_type {
	OPTION_INT,
	OPTION_BOOL,
	OPTION_YES_NO, /* a bool that is asked for and shown as yes and no */
	OPTION_TEXT,
	OPTION_ADDRESS, /* a text: "", or an address that others can connect to */
	OPTION_LIST,    /* char **, NULL terminated */
	OPTION_CHOICE   /* one of choices */
};

enum option_section {
	OPTION_CONFIG,        /* [config] */
	OPTION_TARGET,        /* [target], a control of targets */
	OPTION_DISK,          /* [target], a control of disks */
	OPTION_DEVICE_STATUS, /* [device_status] */
	OPTION_RBDGATE        /* [rbdgate], ours, never in the hash */
};

struct option {
	enum option_section section;
	enum option_type type;
	const char *name;
	const char *fallback;       /* the default, as it would stand in the file */
	int min, max;               /* OPTION_INT */
	const char *const *choices; /* OPTION_CHOICE, NULL terminated */
	bool unhashed;
	size_t offset; /* in struct settings */
};

/* In the order of the hash, ours last. */
extern const struct option settings_options[];
extern const size_t settings_option_count;

/* NULL: no such option in that section. */
const struct option *option_find(enum option_section section, const char *name);
/* The name of the section in the file. */
const char *option_section_name(enum option_section section);

/* A value, whichever the type; texts belong to the one who parsed it. */
union option_value {
	int number;
	bool flag;
	char *text;
	char **list;
};
/* -EINVAL with upstream's sentence, e.g. "expected integer >= 2 for dataout_timeout". */
int option_parse(const struct option *option, const char *text, union option_value *ret_value,
                 struct error *err) MUST_CHECK;
/* Puts the value into the settings and frees what stood there. Takes the texts. */
void option_put(struct settings *settings, const struct option *option, union option_value value);
void option_clear(struct settings *settings, const struct option *option);
/* What the settings hold, as JSON of the option's type. NULL: no memory. */
json_t *option_json(const struct settings *settings, const struct option *option) MUST_CHECK;

/* ---- controls: values that stand in the object or in a request ---- */

/* A value of a control as the object keeps it: an integer or a boolean. Accepts what upstream does
 * (texts, 1.9 for 1). -EINVAL as option_parse(). */
int control_normalize(const struct option *option, const json_t *value, json_t **ret_value,
                      struct error *err) MUST_CHECK;
/* The settings' defaults with the overrides of `controls` (may be NULL) on top; overrides that are
 * not valid or not known count as not there. */
void controls_of_target(const struct settings *settings, const json_t *controls,
                        struct target_controls *ret_controls);
void controls_of_disk(const struct settings *settings, const json_t *controls,
                      struct disk_controls *ret_controls);
