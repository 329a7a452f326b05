#include "base/json.h"
#include "base/text.h"
#include "config/secret.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void write_file(const char *name, const char *text)
{
	char path[512];
	(void)snprintf(path, sizeof path, "%s/%s", test_folder(), name);
	FILE *file = fopen(path, "w");
	ASSERT_NOT_NULL(file);
	(void)fputs(text, file);
	(void)fclose(file);
}

static void copy_file(const char *name)
{
	char path[128];
	(void)snprintf(path, sizeof path, "golden/config/%s", name);
	AUTO_FREE char *text = test_read_file(path, NULL);
	write_file(name, text);
}

static struct secret_keys *test_keys(void)
{
	struct secret_keys *keys = NULL;
	struct error err = { 0 };
	copy_file("test-only-priv.pem");
	copy_file("test-only-pub.pem");
	if (secret_keys_load(test_folder(), "test-only-priv.pem", "test-only-pub.pem", &keys,
	                     &err) < 0)
		fail_msg("%s", err.text);
	ASSERT_NOT_NULL(keys);
	return keys;
}

TEST(what_upstream_encrypted_is_decrypted)
{
	AUTO(secret_keys) struct secret_keys *keys = test_keys();
	AUTO_FREE char *text = test_read_file("golden/config/chap-vectors.json", NULL);
	AUTO_JSON json_t *rows = json_loads(text, 0, NULL);
	size_t i;
	json_t *row;
	ASSERT_TRUE(json_array_size(rows) >= 2);
	json_array_foreach (rows, i, row) {
		char *plain = NULL;
		TEST_ROW("%zu %s", i, json_text(row, "oaep", ""));
		ASSERT_EQ(secret_decrypt(keys, json_text(row, "cipher", ""), &plain, NULL), 0);
		ASSERT_STR_EQ(plain, json_text(row, "plain", ""));
		free(plain);
	}
}

TEST(what_is_encrypted_decrypts_to_itself_and_differs_each_time)
{
	AUTO(secret_keys) struct secret_keys *keys = test_keys();
	AUTO_FREE char *first = NULL, *second = NULL, *plain = NULL;
	ASSERT_EQ(secret_encrypt(keys, "my-password-12", &first, NULL), 0);
	ASSERT_EQ(secret_encrypt(keys, "my-password-12", &second, NULL), 0);
	ASSERT_EQ(strlen(first), 344);
	ASSERT_TRUE(strcmp(first, second) != 0);
	ASSERT_EQ(secret_decrypt(keys, first, &plain, NULL), 0);
	ASSERT_STR_EQ(plain, "my-password-12");
}

TEST(what_is_no_ciphertext_of_ours_is_an_error)
{
	static const char *const texts[] = { "", "plain", "AAAA", "====", "not base64!" };
	AUTO(secret_keys) struct secret_keys *keys = test_keys();
	char *plain = NULL;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		TEST_ROW("%zu", i);
		ASSERT_EQ(secret_decrypt(keys, texts[i], &plain, NULL), -EBADMSG);
	}
	AUTO_FREE char *huge = malloc(100001);
	memset(huge, 'A', 100000);
	huge[100000] = '\0';
	ASSERT_EQ(secret_decrypt(keys, huge, &plain, NULL), -EBADMSG);
	ASSERT_EQ(secret_decrypt(NULL, "AAAA", &plain, NULL), -ENOKEY);
	ASSERT_NULL(plain);
}

TEST(missing_key_files_mean_no_encryption_and_bad_ones_are_an_error)
{
	struct secret_keys *keys = (struct secret_keys *)1;
	struct error err = { 0 };
	ASSERT_EQ(secret_keys_load(test_folder(), "a.key", "a.pub", &keys, &err), 0);
	ASSERT_NULL(keys);
	write_file("b.key", "a TLS key of any kind");
	ASSERT_EQ(secret_keys_load(test_folder(), "b.key", "b.pub", &keys, &err), 0);
	ASSERT_NULL(keys);
	write_file("b.pub", "nonsense");
	ASSERT_EQ(secret_keys_load(test_folder(), "b.key", "b.pub", &keys, &err), -EINVAL);
	ASSERT_TRUE(strstr(err.text, "b.key") != NULL);
}
