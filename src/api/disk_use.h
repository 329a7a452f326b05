/* Who uses a disk: which sessions may see it, by the object, asked of all gateways of its targets.
 */
#pragma once

#include "api/request.h"

struct disk_survey {
	unsigned count, takers; /* gateways that can have it, and that may take it */
	char serves[256];       /* one that does not know yet that it must not; "": none */
	char problem[512];      /* why it cannot be taken away from its hosts; "": it can */
};
/* id: "pool/image". Blocks. */
void disk_survey_make(const struct request *request, const json_t *object, const char *id,
                      struct disk_survey *ret_survey);
