/* Vital product data pages [SPC-4 7.8, SBC-3 6.6]. Pages 80h and 83h are byte for byte what
 * tcmu-runner gave, but for the relative target port, which is the tag of the portal group. */
#include "base/bytes.h"
#include "scsi/execute.h"
#include "scsi/handlers.h"
#include "scsi/limits.h"

#include <ctype.h>
#include <stdio.h>

#define VPD_MAX 2048

struct vpd_page {
	uint8_t code;
	/* Writes what follows the 4-byte header; returns its length. */
	size_t (*put)(const struct scsi_task *task, uint8_t *p);
};

static size_t put_supported(const struct scsi_task *task, uint8_t *p);

static size_t put_serial(const struct scsi_task *task, uint8_t *p)
{
	const char *wwn = task_lun(task)->wwn;
	size_t len = strnlen(wwn, 254) + 1; /* compat: with its NUL */
	memcpy(p, wwn, len - 1);
	return len;
}

/* NAA 6, OUI 00-14-05, then the hex digits of the wwn until 25 are placed. */
static void put_naa(uint8_t *p, const char *wwn)
{
	static const uint8_t oui[4] = { 0x60, 0x01, 0x40, 0x50 };
	memset(p, 0, 16);
	memcpy(p, oui, sizeof oui);
	unsigned nibble = 7; /* the first seven are fixed */
	for (; *wwn && nibble < 32; wwn++) {
		if (!isxdigit((unsigned char)*wwn))
			continue;
		unsigned value = (unsigned)(isdigit((unsigned char)*wwn)
		                                    ? *wwn - '0'
		                                    : tolower((unsigned char)*wwn) - 'a' + 10);
		p[nibble / 2] |= (uint8_t)(nibble % 2 ? value : value << 4);
		nibble++;
	}
}

/* The header of a designator whose len bytes stand behind it; returns the whole length. */
static size_t put_designator(uint8_t *p, uint8_t protocol_and_code_set, uint8_t kind, size_t len)
{
	p[0] = protocol_and_code_set;
	p[1] = kind;
	p[2] = 0;
	p[3] = (uint8_t)len;
	return 4 + len;
}

/* A SCSI name string: NUL terminated, padded to a multiple of 4. */
static size_t put_name(uint8_t *p, uint8_t kind, const char *name)
{
	size_t len = strlen(name) + 1;
	size_t padded = (len + 3) & ~(size_t)3;
	memcpy(p + 4, name, len);
	memset(p + 4 + len, 0, padded - len);
	return put_designator(p, 0x53, kind, padded);
}

static size_t put_port(const struct scsi_port *port, uint8_t *p)
{
	char name[sizeof port->target_name + sizeof ",t,0x0000"];
	size_t n = 0;
	put_be32(p + n + 4, port->tag);
	n += put_designator(p + n, 0x51, 0x94, 4); /* relative target port */
	put_be32(p + n + 4, port->tag);
	n += put_designator(p + n, 0x51, 0x95, 4); /* target port group */
	(void)snprintf(name, sizeof name, "%s,t,0x%04x", port->target_name, port->tag);
	n += put_name(p + n, 0x98, name);
	n += put_name(p + n, 0xa8, port->target_name);
	return n;
}

static size_t put_identification(const struct scsi_task *task, uint8_t *p)
{
	const struct lun *lun = task_lun(task);
	size_t n = 0;

	size_t len = strnlen(lun->wwn, 240) + 1;
	memcpy(p + 4, "LIO-ORG ", 8);
	memcpy(p + 12, lun->wwn, len - 1);
	n += put_designator(p, 0x02, 0x01, 8 + len);

	put_naa(p + n + 4, lun->wwn);
	n += put_designator(p + n, 0x01, 0x03, 16);

	len = strnlen(lun->vendor_id, 254) + 1;
	memcpy(p + n + 4, lun->vendor_id, len - 1);
	n += put_designator(p + n, 0x02, 0x00, len);

	return n + put_port(&task->nexus->port, p + n);
}

static size_t put_extended_inquiry(const struct scsi_task *task, uint8_t *p)
{
	struct backend_info info;
	itl_copy_info(task->state.itl, &info);
	p[1] = 0x07;                        /* HEADSUP, ORDSUP, SIMPSUP */
	p[2] = info.write_cache ? 0x01 : 0; /* V_SUP */
	p[3] = 0x01;                        /* LUICLR */
	return 0x3c;
}

static size_t put_limits(const struct scsi_task *task, uint8_t *p)
{
	const struct lun *lun = task_lun(task);
	struct backend_info info;
	itl_copy_info(task->state.itl, &info);
	uint32_t transfer = (uint32_t)(((uint64_t)lun->max_sectors * 512) >> lun->block_shift);

	p[0] = 0x01; /* WSNZ */
	p[1] = COMPARE_MAX_BLOCKS;
	put_be32(p + 4, transfer);
	put_be32(p + 8, transfer);
	if (info.discard_granularity) {
		put_be32(p + 16, unmap_max_blocks(lun, &info));
		put_be32(p + 20, UNMAP_MAX_DESCRIPTORS);
		put_be32(p + 24, info.discard_granularity >> lun->block_shift);
		put_be32(p + 28, 0x80000000); /* UGAVALID, alignment 0 */
	}
	put_be64(p + 32, WRITE_SAME_MAX_BLOCKS);
	return 0x3c;
}

static size_t put_characteristics(const struct scsi_task *task, uint8_t *p)
{
	struct backend_info info;
	itl_copy_info(task->state.itl, &info);
	put_be16(p, info.rotational ? 0 : 1);
	return 0x3c;
}

static size_t put_provisioning(const struct scsi_task *task, uint8_t *p)
{
	struct backend_info info;
	itl_copy_info(task->state.itl, &info);
	bool thin = info.discard_granularity != 0;
	p[1] = thin ? 0xe4 : 0x04; /* LBPU, LBPWS, LBPWS10; LBPRZ */
	p[2] = thin ? 2 : 1;       /* compat: upstream says 0 where thin is true */
	return 4;
}

static const struct vpd_page pages[] = {
	{ 0x00, put_supported },        { 0x80, put_serial }, { 0x83, put_identification },
	{ 0x86, put_extended_inquiry }, { 0xb0, put_limits }, { 0xb1, put_characteristics },
	{ 0xb2, put_provisioning },
};

static size_t put_supported(const struct scsi_task *task, uint8_t *p)
{
	if (!task->state.itl)
		return 1; /* page 00h itself */
	for (size_t i = 0; i < ARRAY_LEN(pages); i++)
		p[i] = pages[i].code;
	return ARRAY_LEN(pages);
}

static const struct vpd_page *find_page(const struct scsi_task *task)
{
	if (!task->state.itl)
		return task->cdb[2] == 0 ? &pages[0] : NULL;
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		if (pages[i].code == task->cdb[2])
			return &pages[i];
	}
	return NULL;
}

void vpd_run(struct scsi_task *task)
{
	const struct vpd_page *page = find_page(task);
	if (!page) {
		task_end_bad_cdb(task, 2, 8);
		return;
	}
	uint8_t *p = task_reply_start(task, VPD_MAX);
	if (!p)
		return;
	p[0] = task->state.itl ? 0x00 : 0x7f;
	p[1] = page->code;
	size_t len = page->put(task, p + 4);
	put_be16(p + 2, (uint16_t)len);
	task_reply_end(task, 4 + len);
}
