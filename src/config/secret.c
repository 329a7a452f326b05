/* RSA-OAEP with SHA-256, base64, as ceph-iscsi stores CHAP passwords; reads the SHA-1 of its old
 * releases too. */
#include "config/secret.h"

#include "base/text.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>

#define CIPHER_MAX 2048 /* bytes: RSA of 16384 bits */

struct secret_keys {
	EVP_PKEY *private_key, *public_key;
};

typedef EVP_PKEY *(*pem_reader)(BIO *bio, EVP_PKEY **key, pem_password_cb *callback,
                                void *argument);

/* A key with a pass phrase is an error; nobody is there to be asked. */
static int no_pass_phrase(char *room, int room_bytes, int writing, void *argument)
{
	return -1;
}

/* *ret_key stays NULL if there is no such file. */
static int read_key(const char *dir, const char *file, pem_reader read_pem, EVP_PKEY **ret_key,
                    struct error *err)
{
	char path[4096];
	if (snprintf(path, sizeof path, "%s/%s", dir, file) >= (int)sizeof path)
		return error_set(err, -ENAMETOOLONG, "the path of the key file %s is too long",
		                 file);
	FILE *stream = fopen(path, "re");
	if (!stream && errno == ENOENT)
		return 0;
	if (!stream)
		return error_set(err, -errno, "cannot read the key file %s: %s", path,
		                 strerror(errno));
	BIO *bio = BIO_new_fp(stream, BIO_CLOSE);
	EVP_PKEY *key = bio ? read_pem(bio, NULL, no_pass_phrase, NULL) : NULL;
	if (bio)
		(void)BIO_free(bio);
	else
		(void)fclose(stream);
	ERR_clear_error();
	if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
		EVP_PKEY_free(key);
		return error_set(err, -EINVAL,
		                 "the key file %s holds no RSA key in PEM without pass phrase",
		                 path);
	}
	*ret_key = key;
	return 0;
}

int secret_keys_load(const char *dir, const char *private_file, const char *public_file,
                     struct secret_keys **ret_keys, struct error *err)
{
	char path[4096];
	AUTO(secret_keys) struct secret_keys *keys = calloc(1, sizeof *keys);
	if (!keys)
		return error_set(err, -ENOMEM, "out of memory");
	/* compat: the private file alone is the TLS key of the API, whatever its kind. */
	(void)snprintf(path, sizeof path, "%s/%s", dir, public_file);
	if (access(path, F_OK) < 0 && errno == ENOENT) {
		*ret_keys = NULL;
		return 0;
	}
	int r = read_key(dir, private_file, PEM_read_bio_PrivateKey, &keys->private_key, err);
	if (r == 0)
		r = read_key(dir, public_file, PEM_read_bio_PUBKEY, &keys->public_key, err);
	if (r < 0)
		return r;
	*ret_keys = keys->private_key && keys->public_key ? steal(&keys) : NULL;
	return 0;
}

void secret_keys_free(struct secret_keys *keys)
{
	if (!keys)
		return;
	EVP_PKEY_free(keys->private_key);
	EVP_PKEY_free(keys->public_key);
	free(keys);
}

static bool set_oaep(EVP_PKEY_CTX *operation, const EVP_MD *digest)
{
	return EVP_PKEY_CTX_set_rsa_padding(operation, RSA_PKCS1_OAEP_PADDING) > 0 &&
	       EVP_PKEY_CTX_set_rsa_oaep_md(operation, digest) > 0 &&
	       EVP_PKEY_CTX_set_rsa_mgf1_md(operation, digest) > 0;
}

/* Room for CIPHER_MAX + 1 bytes. */
static bool decrypt(EVP_PKEY *key, const EVP_MD *digest, const uint8_t *cipher, size_t cipher_len,
                    uint8_t *ret_plain, size_t *ret_len)
{
	EVP_PKEY_CTX *operation = EVP_PKEY_CTX_new(key, NULL);
	size_t len = CIPHER_MAX;
	bool done = operation && EVP_PKEY_decrypt_init(operation) > 0 &&
	            set_oaep(operation, digest) &&
	            EVP_PKEY_decrypt(operation, ret_plain, &len, cipher, cipher_len) > 0;
	EVP_PKEY_CTX_free(operation);
	ERR_clear_error();
	if (done)
		*ret_len = len;
	return done;
}

int secret_decrypt(const struct secret_keys *keys, const char *text, char **ret_plain,
                   struct error *err)
{
	uint8_t cipher[CIPHER_MAX], plain[CIPHER_MAX + 1];
	size_t cipher_len, len;
	if (!keys)
		return error_set(err, -ENOKEY,
		                 "Problems decoding the encrypted password: this gateway lacks the "
		                 "key files");
	if (text_get_base64(text, strlen(text), cipher, sizeof cipher, &cipher_len) < 0 ||
	    (!decrypt(keys->private_key, EVP_sha256(), cipher, cipher_len, plain, &len) &&
	     !decrypt(keys->private_key, EVP_sha1(), cipher, cipher_len, plain, &len)) ||
	    memchr(plain, '\0', len))
		return error_set(err, -EBADMSG,
		                 "Problems decoding the encrypted password: it was not encrypted "
		                 "for the private key of this gateway");
	plain[len] = '\0';
	char *copy = strdup((char *)plain);
	wipe(plain, sizeof plain);
	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	*ret_plain = copy;
	return 0;
}

int secret_encrypt(const struct secret_keys *keys, const char *plain, char **ret_text,
                   struct error *err)
{
	uint8_t cipher[CIPHER_MAX];
	size_t len = sizeof cipher;
	EVP_PKEY_CTX *operation = keys ? EVP_PKEY_CTX_new(keys->public_key, NULL) : NULL;
	bool done = operation && EVP_PKEY_encrypt_init(operation) > 0 &&
	            set_oaep(operation, EVP_sha256()) &&
	            EVP_PKEY_encrypt(operation, cipher, &len, (const uint8_t *)plain,
	                             strlen(plain)) > 0;
	EVP_PKEY_CTX_free(operation);
	ERR_clear_error();
	if (!done)
		return error_set(err, -EIO, "Encoding password failed");
	char *text = malloc(4 * ((len + 2) / 3) + 1);
	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	text_put_base64(cipher, len, text);
	*ret_text = text;
	return 0;
}
