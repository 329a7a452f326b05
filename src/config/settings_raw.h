/* Values of the file that the fields of struct settings cannot hold: config:// references until
 * they are resolved, and '' of cephadm, which means unset but enters the hash as it stands. */
#pragma once

#include "config/option.h"

#define SETTINGS_REFERENCE "config://"

struct settings_raw {
	struct settings_raw *next;
	const struct option *option;
	char text[];
};

/* NULL: the option has no raw value. */
const struct settings_raw *settings_raw_find(const struct settings *settings,
                                             const struct option *option);
