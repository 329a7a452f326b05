/* CHAP as the initiator's side needs it: H(identifier, secret, challenge) [RFC 1994 4.1]. */
#include "initiator_internal.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

static const struct {
	unsigned number;
	const char *digest;
} algorithms[] = {
	{ 5, "MD5" },
	{ 6, "SHA1" },
	{ 7, "SHA256" },
	{ 8, "SHA3-256" },
};

int chap_respond(unsigned algorithm, uint8_t identifier, const char *secret,
                 const uint8_t *challenge, size_t challenge_len, uint8_t *ret_response,
                 size_t *ret_len)
{
	const char *name = NULL;
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++)
		if (algorithms[i].number == algorithm)
			name = algorithms[i].digest;
	if (!name)
		return -ENOTSUP;

	EVP_MD *digest = EVP_MD_fetch(NULL, name, NULL);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned len = 0;
	bool good = digest && context && EVP_DigestInit_ex(context, digest, NULL) &&
	            EVP_DigestUpdate(context, &identifier, 1) &&
	            EVP_DigestUpdate(context, secret, strlen(secret)) &&
	            EVP_DigestUpdate(context, challenge, challenge_len) &&
	            EVP_DigestFinal_ex(context, ret_response, &len);
	EVP_MD_CTX_free(context);
	EVP_MD_free(digest);
	if (!good)
		return -EIO;
	*ret_len = len;
	return 0;
}
