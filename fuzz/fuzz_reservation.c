/* Fuzzes kept reservations: the input is the text. What is read must be written as it was read. */
#include "fuzz.h"

#include "scsi/reservation_text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = calloc(size + 1, 1);
	struct reservation_text read = { 0 }, again = { 0 };
	struct error err;
	if (!text)
		return 0;
	memcpy(text, data, size);
	if (reservation_text_parse(text, &read, &err) == 0) {
		AUTO_FREE char *first = reservation_text_format(&read.reservations, read.epoch,
		                                                &read.notices, NULL);
		if (!first || reservation_text_parse(first, &again, &err) < 0)
			abort();
		AUTO_FREE char *second = reservation_text_format(&again.reservations, again.epoch,
		                                                 &again.notices, NULL);
		if (!second || strcmp(first, second) != 0)
			abort();
	}
	reservation_text_done(&read);
	reservation_text_done(&again);
	return 0;
}
