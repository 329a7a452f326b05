/* Mode pages [SPC-4 7.5, SBC-3 6.5]. None of their bits may be changed. */
#pragma once

#include "base/auto.h"
#include "scsi/lun_private.h"

#define MODE_PAGE_MAX 32

struct mode_page {
	uint8_t code, subpage;
	uint8_t len; /* of the whole page */
	uint8_t current[MODE_PAGE_MAX];
};

/* NULL: there is none. */
const struct mode_page *mode_page_find(uint8_t code, uint8_t subpage);
/* The page as it is now: ret_page has room for MODE_PAGE_MAX bytes. */
void mode_page_get(struct lun *lun, const struct mode_page *page, uint8_t *ret_page);
