/* CRC32C of headers and data [RFC 7143 13.1]. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* The value; on the wire it goes least significant byte first: put_le32(), get_le32(). */
uint32_t digest_crc32c(const void *data, size_t len);

/* Piece by piece: begin, add any number of pieces, end. */
#define DIGEST_BEGIN 0xffffffffu
uint32_t digest_add(uint32_t state, const void *data, size_t len);
static inline uint32_t digest_end(uint32_t state)
{
	return state ^ 0xffffffffu;
}
