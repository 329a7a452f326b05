/* The installed program: no mistakes. */
#include "target/planted.h"

bool planted(const char *fault)
{
	return false;
}

void planted_filters(struct backend **stack)
{
}
