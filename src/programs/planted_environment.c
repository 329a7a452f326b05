/* rbd-target-io-planted: faults as RBDGATE_PLANTED names them, separated by commas. Never
 * installed.
 */
#include "target/planted.h"

#include <stdlib.h>
#include <string.h>

bool planted(const char *fault)
{
	const char *at = getenv("RBDGATE_PLANTED");
	size_t len = strlen(fault);
	for (; at && *at; at += strcspn(at, ","), at += *at == ',') {
		if (strcspn(at, ",") == len && strncmp(at, fault, len) == 0)
			return true;
	}
	return false;
}
