/* The installed program: no faults. */
#include "target/planted.h"

bool planted(const char *fault)
{
	return false;
}
