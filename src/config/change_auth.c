/* CHAP names and passwords of clients, targets and discovery; ACLs on or off. */
#include "config/change_parts.h"

#include <string.h>

struct credentials {
	const char *username, *password, *mutual_username, *mutual_password; /* "" = none */
};

static struct credentials read_credentials(const struct change *change)
{
	return (struct credentials){
		.username = json_text(change->arguments, "username", ""),
		.password = json_text(change->arguments, "password", ""),
		.mutual_username = json_text(change->arguments, "mutual_username", ""),
		.mutual_password = json_text(change->arguments, "mutual_password", ""),
	};
}

/* ---- rules ---- */

static bool only_of(const char *text, const char *others)
{
	for (const char *c = text; *c; c++) {
		bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
		if (!letter && !(*c >= '0' && *c <= '9') && !strchr(others, *c))
			return false;
	}
	return true;
}

static int check_text(struct change *change, const char *noun, const char *text, size_t min,
                      size_t max, const char *others)
{
	size_t len = strlen(text);
	if (len == 0)
		return 0;
	if (len < min)
		return refuse(change, 400, "Minimum length of %s is %zu characters", noun, min);
	if (len > max)
		return refuse(change, 400, "Maximum length of %s is %zu characters", noun, max);
	if (!only_of(text, others))
		return refuse(change, 400, "Invalid %s", noun);
	return 0;
}

static int check_credentials(struct change *change, const struct credentials *given)
{
	static const char user_others[] = "_.:@-\\", password_others[] = "_@-/";
	if (*given->username && !*given->password)
		return refuse(change, 400, "Password is required");
	if (!*given->username && (*given->password || *given->mutual_username))
		return refuse(change, 400, "Username is required");
	if (*given->mutual_username && !*given->mutual_password)
		return refuse(change, 400, "Mutual password is required");
	if (!*given->mutual_username && *given->mutual_password)
		return refuse(change, 400, "Mutual username is required");
	int r = check_text(change, "username", given->username, 8, 64, user_others);
	if (r == 0)
		r = check_text(change, "mutual username", given->mutual_username, 8, 64,
		               user_others);
	if (r == 0)
		r = check_text(change, "password", given->password, 12, 16, password_others);
	if (r == 0)
		r = check_text(change, "mutual password", given->mutual_password, 12, 16,
		               password_others);
	/* Else what the initiator proves could be reflected as the target's proof [RFC 7143 9.2].
	 */
	if (r == 0 && *given->password && strcmp(given->password, given->mutual_password) == 0)
		r = refuse(change, 400, "Mutual password must differ from password");
	return r;
}

/* ---- storing ---- */

static int put_password(struct change *change, json_t *auth, const char *name, const char *flag,
                        const char *plain)
{
	const struct secret_keys *keys = change->context->keys;
	int r = put_new(change, auth, flag, json_boolean(keys != NULL));
	if (r < 0)
		return r;
	if (!keys || !*plain)
		return put_new(change, auth, name, json_string(plain));
	AUTO_FREE char *text = NULL;
	struct error err = { 0 };
	if (secret_encrypt(keys, plain, &text, &err) < 0)
		return refuse(change, 500, "Encoding password failed: %s", err.text);
	return put_new(change, auth, name, json_string(text));
}

/* True if the stored password is this one. */
static bool same_password(const struct change *change, const json_t *auth, const char *name,
                          const char *flag, const char *plain)
{
	const char *stored = json_text(auth, name, "");
	if (!*stored || !json_flag(auth, flag, false))
		return strcmp(stored, plain) == 0;
	AUTO_FREE char *text = NULL;
	if (!change->context->keys ||
	    secret_decrypt(change->context->keys, stored, &text, NULL) < 0)
		return false;
	bool same = strcmp(text, plain) == 0;
	wipe(text, strlen(text));
	return same;
}

static int put_user(struct change *change, json_t *auth, const char *name, const char *user)
{
	return put_new(change, auth, name, json_string(user));
}

/* All of it: targets and discovery. */
static int put_all(struct change *change, json_t *auth, const struct credentials *given)
{
	int r = put_user(change, auth, "username", given->username);
	if (r == 0)
		r = put_password(change, auth, "password", "password_encryption_enabled",
		                 given->password);
	if (r == 0)
		r = put_user(change, auth, "mutual_username", given->mutual_username);
	if (r == 0)
		r = put_password(change, auth, "mutual_password",
		                 "mutual_password_encryption_enabled", given->mutual_password);
	return r;
}

/* Only what differs: clients. So the flag of a password that stays stays. */
static int put_changed(struct change *change, json_t *auth, const char *name, const char *flag,
                       const char *plain)
{
	if (same_password(change, auth, name, flag, plain))
		return 0;
	return put_password(change, auth, name, flag, plain);
}

int change_client_auth(struct change *change)
{
	char iqn[IQN_MAX], client_iqn[IQN_MAX];
	json_t *target, *client;
	struct credentials given = read_credentials(change);
	change->doing = "client auth ";
	change->takes_away = true;
	int r = find_target(change, iqn, &target);
	if (r == 0)
		r = find_client(change, target, client_iqn, &client);
	if (r == 0)
		r = need_local_portal(change, target);
	if (r == 0 && !client)
		r = refuse(change, 404, "Client %s does not exist", client_iqn);
	if (r == 0)
		r = check_credentials(change, &given);
	if (r < 0)
		return r;
	json_t *auth = object_member(client, "auth");
	r = put_user(change, auth, "username", given.username);
	if (r == 0)
		r = put_changed(change, auth, "password", "password_encryption_enabled",
		                given.password);
	if (r == 0)
		r = put_user(change, auth, "mutual_username", given.mutual_username);
	if (r == 0)
		r = put_changed(change, auth, "mutual_password",
		                "mutual_password_encryption_enabled", given.mutual_password);
	if (r == 0)
		r = stamp(change, target);
	return r < 0 ? r : succeed(change, "client auth successful");
}

/* ---- target ---- */

static int set_acl(struct change *change, json_t *target, bool enable)
{
	if (!enable && json_object_size(json_object_get(target, "clients")))
		return refuse(change, 400,
		              "Cannot disable ACL authentication because target has clients");
	if (enable && *json_text(json_object_get(target, "auth"), "username", ""))
		return refuse(
		        change, 400,
		        "Cannot enable ACL authentication because target CHAP authentication is "
		        "enabled");
	int r = need_local_portal(change, target);
	return r < 0 ? r : put_new(change, target, "acl_enabled", json_boolean(enable));
}

static int set_target_auth(struct change *change, json_t *target)
{
	struct credentials given = read_credentials(change);
	if (*given.username && *given.password && json_flag(target, "acl_enabled", true))
		return refuse(
		        change, 400,
		        "Cannot enable target CHAP authentication because ACL authentication is "
		        "enabled");
	int r = check_credentials(change, &given);
	if (r == 0)
		r = need_local_portal(change, target);
	return r < 0 ? r : put_all(change, object_member(target, "auth"), &given);
}

int change_target_auth(struct change *change)
{
	char iqn[IQN_MAX];
	json_t *target;
	const char *action = argument(change, "action");
	change->doing = "target auth ";
	change->takes_away = true;
	int r = find_target(change, iqn, &target);
	if (r < 0)
		return r;
	bool enable = action && strcmp(action, "enable_acl") == 0;
	if (action && !enable && strcmp(action, "disable_acl") != 0)
		return refuse(change, 400, "Invalid auth %s", action);
	r = action ? set_acl(change, target, enable) : set_target_auth(change, target);
	if (r == 0)
		r = stamp(change, target);
	/* compat: the word None stands for no action. */
	return r < 0 ? r : succeed(change, "target auth %s - successful", action ? action : "None");
}

int change_discovery_auth(struct change *change)
{
	struct credentials given = read_credentials(change);
	change->doing = "discovery auth ";
	change->takes_away = true;
	int r = check_credentials(change, &given);
	if (r == 0)
		r = put_all(change, object_member(change->object, "discovery_auth"), &given);
	return r < 0 ? r : succeed(change, "discovery auth successful");
}
