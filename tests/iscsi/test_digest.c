/* CRC32C: the vectors of RFC 7143 and others that are widely known. */
#include "iscsi/digest.h"

#include "base/bytes.h"
#include "test.h"

TEST(known_vectors_give_their_values)
{
	static const struct {
		const char *name;
		int first, step;
		size_t len;
		uint32_t value;
	} rows[] = {
		{ "32 zeroes", 0, 0, 32, 0x8A9136AA },
		{ "32 ones", 0xff, 0, 32, 0x62A8AB43 },
		{ "ascending", 0, 1, 32, 0x46DD794E },
		{ "descending", 31, -1, 32, 0x113FDB5C },
		{ "the ASCII digits", '1', 1, 9, 0xE3069283 },
		{ "nothing", 0, 0, 0, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t data[32];
		for (size_t k = 0; k < rows[i].len; k++)
			data[k] = (uint8_t)(rows[i].first + (int)k * rows[i].step);
		TEST_ROW("%s", rows[i].name);
		ASSERT_EQ(digest_crc32c(data, rows[i].len), rows[i].value);
	}
}

TEST(a_read_command_header_gives_the_bytes_of_the_standard)
{
	uint8_t bhs[48] = { 0x01,        0xc0,        [16] = 0x14, [22] = 0x04,
		            [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02 };
	uint8_t wire[4];

	put_le32(wire, digest_crc32c(bhs, sizeof(bhs)));
	ASSERT_MEM_EQ(wire, "\x56\x3a\x96\xd9", 4);
}

TEST(pieces_give_the_same_as_the_whole)
{
	uint8_t data[1000];
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	for (size_t cut = 0; cut <= sizeof(data); cut += 37) {
		uint32_t crc = digest_add(DIGEST_BEGIN, data, cut);
		crc = digest_add(crc, data + cut, sizeof(data) - cut);
		ASSERT_EQ(digest_end(crc), digest_crc32c(data, sizeof(data)));
	}
}
