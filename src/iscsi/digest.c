/* CRC32C through ISA-L, which picks the best code for this CPU at run time. */
#include "iscsi/digest.h"

#include <isa-l/crc.h>

#include <limits.h>

uint32_t digest_add(uint32_t state, const void *data, size_t len)
{
	const unsigned char *at = data;

	/* crc32_iscsi takes an int, and no const; it does not write. */
	while (len) {
		size_t piece = len < INT_MAX ? len : INT_MAX;
		state = crc32_iscsi((unsigned char *)(uintptr_t)at, (int)piece, state);
		at += piece;
		len -= piece;
	}
	return state;
}

uint32_t digest_crc32c(const void *data, size_t len)
{
	return digest_end(digest_add(DIGEST_BEGIN, data, len));
}
