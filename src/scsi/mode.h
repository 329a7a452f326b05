/* Mode pages: what is there, what may be changed [SPC-4 7.5, SBC-3 6.5]. */
#pragma once

#include "base/auto.h"
#include "scsi/lun_private.h"

#define MODE_PAGE_MAX 32

struct mode_page {
	uint8_t code, subpage;
	uint8_t len; /* of the whole page */
	uint8_t current[MODE_PAGE_MAX], changeable[MODE_PAGE_MAX];
};

#define MODE_CONTROL 0x0a

size_t mode_page_count(void);
const struct mode_page *mode_page_at(size_t i);
const struct mode_page *mode_page_find(uint8_t code, uint8_t subpage);
/* The page as it is now: ret_page has room for MODE_PAGE_MAX bytes. */
void mode_page_get(struct lun *lun, const struct mode_page *page, uint8_t *ret_page);
