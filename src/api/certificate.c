/* Certificate and key of the API, where ceph-iscsi looks for them. */
#include "api/certificate.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX (1u << 20)

static int read_file(const char *dir, const char *name, char **ret_text)
{
	AUTO_STRING struct string path = { 0 }, text = { 0 };
	string_format(&path, "%s/%s", dir, name);
	FILE *file = path.text ? fopen(path.text, "re") : NULL;
	if (!file)
		return -ENOENT;
	char chunk[4096];
	size_t got;
	while (text.len < FILE_MAX && (got = fread(chunk, 1, sizeof chunk, file)) > 0)
		string_add_bytes(&text, chunk, got);
	wipe(chunk, sizeof chunk);
	(void)fclose(file);
	*ret_text = string_take(&text);
	return *ret_text ? 0 : -ENOMEM;
}

static int read_config_key(struct cluster_client *cluster, const struct settings *settings,
                           const char *name, char **ret_text, struct error *err)
{
	AUTO_STRING struct string key = { 0 };
	string_format(&key, "iscsi/%s/%s", settings->cluster_client_name, name);
	if (!key.text)
		return error_set(err, -ENOMEM, "out of memory");
	return cluster_config_key(cluster, key.text, ret_text, err);
}

int certificate_load(const struct settings *settings, struct cluster_client *cluster,
                     char **ret_certificate, char **ret_key, struct error *err)
{
	static const char certificate_name[] = "iscsi-gateway.crt",
	                  key_name[] = "iscsi-gateway.key";
	AUTO_FREE char *certificate = NULL;
	AUTO_FREE char *key = NULL;
	const char *dir = settings->ceph_config_dir;
	int r = read_file(dir, certificate_name, &certificate);
	if (r == 0)
		r = read_file(dir, key_name, &key);
	if (r == -ENOENT && cluster) {
		free(steal(&certificate));
		r = read_config_key(cluster, settings, certificate_name, &certificate, err);
		if (r == 0)
			r = read_config_key(cluster, settings, key_name, &key, err);
	}
	if (r < 0)
		return error_set(err, r,
		                 "Secure API requested but the crt/key files missing/incompatible? "
		                 "Put %s and %s into %s, or set api_secure = false",
		                 certificate_name, key_name, dir);
	*ret_certificate = steal(&certificate);
	*ret_key = steal(&key);
	return 0;
}
