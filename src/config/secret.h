/* CHAP passwords in the object: plain, or RSA-OAEP as ceph-iscsi encrypts them. */
#pragma once

#include "base/error.h"

#include <stdbool.h>

struct secret_keys;

/* Reads DIR/PRIVATE and DIR/PUBLIC. Both missing: 0 and *ret_keys = NULL (no encryption). */
int secret_keys_load(const char *dir, const char *private_file, const char *public_file,
                     struct secret_keys **ret_keys, struct error *err) MUST_CHECK;
void secret_keys_free(struct secret_keys *keys);
DEFINE_AUTO(secret_keys);

/* Base64 in, plain text out and back (free() after wipe()). */
int secret_decrypt(const struct secret_keys *keys, const char *text, char **ret_plain,
                   struct error *err) MUST_CHECK;
int secret_encrypt(const struct secret_keys *keys, const char *plain, char **ret_text,
                   struct error *err) MUST_CHECK;
