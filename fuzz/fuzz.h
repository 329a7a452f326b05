/* What a fuzz target is: the entry point that libFuzzer calls, and that driver.c calls where
 * libFuzzer is not to be had. It returns 0 and aborts if an invariant is broken. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void check(int holds)
{
	if (!holds)
		abort();
}
