/* Sizes for people: how ceph-iscsi writes them, and what people may type. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SIZE_TEXT_MAX 32

/* "90G", "1536G", "2.0T", "20401094657b", "0b": the unit at which the number stops being a multiple
 * of 1024. Returns ret_text. */
const char *size_text(uint64_t bytes, char ret_text[SIZE_TEXT_MAX]);
/* An integer with K, M, G, T or P, of either case, also as KiB and so on. */
bool size_is_valid(const char *text);
/* The same size as the API reads it: "1024K" is "1M"; upper case. False: not a valid size, or not a
 * whole number of MiB. */
bool size_for_api(const char *text, char ret_text[SIZE_TEXT_MAX]);
