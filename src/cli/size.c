/* Sizes for people. See size.h. */
#include "cli/size.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

const char *size_text(uint64_t bytes, char ret_text[SIZE_TEXT_MAX])
{
	/* decimals: compat, "2.0T" */
	static const struct {
		char letter;
		int decimals;
	} units[] = { { 'b', 0 }, { 'K', 0 }, { 'M', 0 }, { 'G', 0 },
		      { 'T', 1 }, { 'P', 1 }, { 'E', 2 } };
	size_t unit = 0;
	uint64_t value = bytes;
	while (value && value % 1024 == 0) {
		value /= 1024;
		unit++;
	}
	if (units[unit].decimals)
		snprintf(ret_text, SIZE_TEXT_MAX, "%.*f%c", units[unit].decimals, (double)value,
		         units[unit].letter);
	else
		snprintf(ret_text, SIZE_TEXT_MAX, "%" PRIu64 "%c", value, units[unit].letter);
	return ret_text;
}

static bool size_split(const char *text, uint64_t *ret_count, char *ret_unit)
{
	size_t digits = strspn(text, "0123456789");
	char number[16];
	if (digits == 0 || digits >= sizeof number)
		return false;
	memcpy(number, text, digits);
	number[digits] = '\0';
	const char *unit = text + digits;
	if (!*unit || !strchr("KMGTPkmgtp", *unit) || (unit[1] && strcasecmp(unit + 1, "iB") != 0))
		return false;
	*ret_unit = (char)(*unit & ~0x20);
	return text_to_uint(number, 0, UINT64_MAX >> 10, ret_count) == 0;
}

bool size_is_valid(const char *text)
{
	uint64_t count;
	char unit;
	return size_split(text, &count, &unit);
}

bool size_for_api(const char *text, char ret_text[SIZE_TEXT_MAX])
{
	uint64_t count;
	char unit;
	if (!size_split(text, &count, &unit))
		return false;
	if (unit == 'K') {
		if (count % 1024)
			return false;
		count /= 1024;
		unit = 'M';
	} else if (unit == 'P') {
		count *= 1024;
		unit = 'T';
	}
	snprintf(ret_text, SIZE_TEXT_MAX, "%" PRIu64 "%c", count, unit);
	return true;
}
