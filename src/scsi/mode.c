/* MODE SENSE(6) and (10) [SPC-4 6.13, 6.14]. */
#include "scsi/mode.h"

#include "base/bytes.h"
#include "scsi/execute.h"
#include "scsi/handlers.h"

#define MODE_REPLY_MAX 512
#define ALL_PAGES      0x3f
#define ALL_SUBPAGES   0xff
#define PAGE_CACHING   0x08
#define PAGE_CONTROL   0x0a
#define WP             0x80
#define DPOFUA         0x10

enum page_control { PC_CURRENT, PC_CHANGEABLE, PC_DEFAULT, PC_SAVED };

/* By page code and subpage. */
static const struct mode_page pages[] = {
	{ 0x01, 0x00, 12, { 0x01, 0x0a } },
	{ 0x02, 0x00, 16, { 0x02, 0x0e } },
	{ PAGE_CACHING, 0x00, 20, { PAGE_CACHING, 0x12, [12] = 0x20 /* DRA */ } },
	{ PAGE_CONTROL,
	  0x00,
	  12,
	  { PAGE_CONTROL, 0x0a, 0x02 /* GLTSD */,
	    0x10 /* unrestricted reordering */, [5] = 0x40 /* TAS */, [8] = 0xff, 0xff, 0x00,
	    0x1e } },
	{ PAGE_CONTROL, 0x01, 32, { 0x4a, 0x01, 0x00, 0x1c, 0x01 /* IALUAE */ } },
	{ 0x1c, 0x00, 12, { 0x1c, 0x0a, 0x08 /* DEXCPT */ } },
};

const struct mode_page *mode_page_find(uint8_t code, uint8_t subpage)
{
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		if (pages[i].code == code && pages[i].subpage == subpage)
			return &pages[i];
	}
	return NULL;
}

void mode_page_get(struct lun *lun, const struct mode_page *page, uint8_t *ret_page)
{
	memcpy(ret_page, page->current, page->len);
	if (page->code == PAGE_CACHING) {
		struct backend_info info;
		lun_copy_info(lun, &info);
		if (info.write_cache)
			ret_page[2] |= 0x04; /* WCE */
	}
}

static size_t put_page(struct lun *lun, const struct mode_page *page, enum page_control control,
                       uint8_t *p)
{
	if (control == PC_CURRENT) {
		mode_page_get(lun, page, p);
		return page->len;
	}
	memcpy(p, page->current, page->len);
	if (control == PC_CHANGEABLE) {
		size_t header = page->current[0] & 0x40 ? 4 : 2;
		memset(p + header, 0, page->len - header);
	}
	return page->len;
}

static bool page_wanted(const struct mode_page *page, uint8_t code, uint8_t subpage)
{
	return (code == ALL_PAGES || code == page->code) &&
	       (subpage == ALL_SUBPAGES || subpage == page->subpage);
}

static size_t put_block_descriptor(const struct lun *lun, bool long_lba, uint8_t *p)
{
	uint64_t blocks = lun_blocks(lun);
	if (long_lba) {
		put_be64(p, blocks);
		put_be32(p + 12, lun->block_size);
		return 16;
	}
	put_be32(p, blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)blocks);
	put_be24(p + 5, lun->block_size);
	return 8;
}

static uint8_t device_specific(const struct itl *itl)
{
	const struct lun *lun = itl->lun;
	bool protected = itl->read_only || lun->read_only;
	return (uint8_t)(DPOFUA | (protected ? WP : 0));
}

static void put_header(uint8_t *p, bool ten, const struct itl *itl, size_t descriptor, size_t len)
{
	if (ten) {
		put_be16(p, (uint16_t)(len - 2));
		p[3] = device_specific(itl);
		p[4] = descriptor == 16 ? 0x01 : 0x00; /* LONGLBA */
		put_be16(p + 6, (uint16_t)descriptor);
	} else {
		p[0] = (uint8_t)(len - 1);
		p[2] = device_specific(itl);
		p[3] = (uint8_t)descriptor;
	}
}

void mode_sense_run(struct scsi_task *task)
{
	struct itl *itl = task->state.itl;
	bool ten = task->cdb[0] == 0x5a;
	enum page_control control = task->cdb[2] >> 6;
	uint8_t code = task->cdb[2] & 0x3f, subpage = task->cdb[3];
	if (control == PC_SAVED) {
		task_end_check(task, SENSE_SAVING_NOT_SUPPORTED);
		return;
	}
	uint8_t *p = task_reply_start(task, MODE_REPLY_MAX);
	if (!p)
		return;
	size_t header = ten ? 8 : 4;
	size_t descriptor = 0;
	if (!(task->cdb[1] & 0x08)) /* DBD */
		descriptor =
		        put_block_descriptor(itl->lun, ten && (task->cdb[1] & 0x10), p + header);
	size_t start = header + descriptor, len = start;
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		if (page_wanted(&pages[i], code, subpage))
			len += put_page(itl->lun, &pages[i], control, p + len);
	}
	if (len == start) {
		task_end_bad_cdb(task, 2, 5); /* no such page */
		return;
	}
	put_header(p, ten, itl, descriptor, len);
	task_reply_end(task, len);
}
