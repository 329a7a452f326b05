/* Sense data in fixed and descriptor format [SPC-4 4.5.2, 4.5.3]. */
#include "scsi/sense.h"

#include "base/bytes.h"

#include <string.h>

/* SKSV, C/D, BPV, bit pointer, field pointer [SPC-4 4.5.2.4.2]. */
static void put_pointer(uint8_t *p, const struct sense_detail *detail)
{
	p[0] = (uint8_t)(0x80 | (detail->in_cdb ? 0x40 : 0));
	if (detail->bit < 8)
		p[0] |= (uint8_t)(0x08 | detail->bit);
	put_be16(p + 1, detail->byte);
}

static size_t put_fixed(uint8_t *p, enum sense_code code, const struct sense_detail *detail)
{
	memset(p, 0, SENSE_FIXED_LEN);
	p[0] = 0x70;
	p[2] = (uint8_t)(code >> 16);
	p[7] = SENSE_FIXED_LEN - 8;
	p[12] = (uint8_t)(code >> 8);
	p[13] = (uint8_t)code;
	/* An LBA above 32 bits does not fit: VALID stays 0. */
	if (detail->has_information && detail->information <= UINT32_MAX) {
		p[0] |= 0x80;
		put_be32(p + 3, (uint32_t)detail->information);
	}
	if (detail->has_pointer)
		put_pointer(p + 15, detail);
	return SENSE_FIXED_LEN;
}

static size_t put_descriptor(uint8_t *p, enum sense_code code, const struct sense_detail *detail)
{
	size_t len = 8;
	memset(p, 0, SENSE_MAX_LEN);
	p[0] = 0x72;
	p[1] = (uint8_t)(code >> 16);
	p[2] = (uint8_t)(code >> 8);
	p[3] = (uint8_t)code;
	if (detail->has_information) {
		p[len] = 0x00;
		p[len + 1] = 0x0a;
		p[len + 2] = 0x80;
		put_be64(p + len + 4, detail->information);
		len += 12;
	}
	if (detail->has_pointer) {
		p[len] = 0x02;
		p[len + 1] = 0x06;
		put_pointer(p + len + 4, detail);
		len += 8;
	}
	p[7] = (uint8_t)(len - 8);
	return len;
}

size_t sense_put(uint8_t *ret_sense, enum sense_code code, bool descriptor,
                 const struct sense_detail *detail)
{
	static const struct sense_detail nothing;
	if (!detail)
		detail = &nothing;
	return descriptor ? put_descriptor(ret_sense, code, detail)
	                  : put_fixed(ret_sense, code, detail);
}
