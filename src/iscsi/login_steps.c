/* What the text of login requests means: who the initiator is and what it wants (first request
 * only), security negotiation, operational negotiation. [RFC 7143 6.3, 12.1] */
#include "iscsi/login_state.h"

#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum login_status login_fail(struct login *login, enum login_status status, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(login->why, sizeof(login->why), format, arguments);
	va_end(arguments);
	login->failure = status;
	return status;
}

/* ---- the first request: names ---- */

/* iSCSI names compare without case. */
static int copy_name(struct text_slice value, char *ret_name)
{
	int r = text_slice_copy(value, ret_name, ISCSI_NAME_MAX + 1);
	if (r < 0)
		return r;
	text_lower(ret_name);
	return nexus_may_be_named(ret_name) ? 0 : -EINVAL;
}

static enum login_status read_name(struct login *login, const struct text_block *block,
                                   const char *key, char *ret_name)
{
	struct text_slice value;
	if (!text_block_find(block, key, &value))
		return login_fail(login, LOGIN_MISSING_PARAMETER, "%s is missing", key);
	if (copy_name(value, ret_name) < 0)
		return login_fail(login, LOGIN_INITIATOR_ERROR, "%s is not an iSCSI name", key);
	return LOGIN_SUCCESS;
}

static enum login_status read_session_type(struct login *login, const struct text_block *block)
{
	struct text_slice type;
	if (!text_block_find(block, "SessionType", &type))
		return LOGIN_SUCCESS; /* the default is Normal */
	login->result.discovery = text_slice_is(type, "Discovery");
	if (!login->result.discovery && !text_slice_is(type, "Normal"))
		return login_fail(login, LOGIN_SESSION_TYPE_UNSUPPORTED, "unknown SessionType");
	return LOGIN_SUCCESS;
}

static enum login_status read_names(struct login *login, const struct text_block *block)
{
	enum login_status status =
	        read_name(login, block, "InitiatorName", login->result.initiator_name);
	if (status == LOGIN_SUCCESS)
		status = read_session_type(login, block);
	if (status == LOGIN_SUCCESS && !login->result.discovery)
		status = read_name(login, block, "TargetName", login->target_name);
	return status;
}

/* ---- the first request: what the snapshot says of them ---- */

static enum login_status find_target(struct login *login)
{
	const struct iscsi_config *config = login->environment.config;
	const struct iscsi_target *target = iscsi_config_find(config, login->target_name);
	if (!target)
		return login_fail(login, LOGIN_NOT_FOUND, "there is no target %s",
		                  login->target_name);
	const struct iscsi_portal_group *group = portal_group_of(target, &login->local);
	/* compat: LIO's answer for a portal group that is not up; initiators try again. */
	if (!group)
		return login_fail(login, LOGIN_SERVICE_UNAVAILABLE,
		                  "target %s is not served at this address", login->target_name);
	login->result.target = target;
	login->result.portal_group_tag = group->tag;
	login->keys.controls = &target->controls;
	return LOGIN_SUCCESS;
}

static enum login_status authorize(struct login *login)
{
	const struct iscsi_target *target = login->result.target;
	login->result.acl = NULL;
	if (target->acl_enabled) {
		login->result.acl = iscsi_target_find_acl(target, login->result.initiator_name);
		if (!login->result.acl)
			return login_fail(login, LOGIN_NOT_AUTHORIZED,
			                  "the initiator is not a client of the target");
	}
	return LOGIN_SUCCESS;
}

static enum login_status check_session(struct login *login)
{
	const struct login_environment *environment = &login->environment;
	if (login->result.requested_tsih == 0 || !environment->check_session)
		return LOGIN_SUCCESS;
	enum login_status status =
	        environment->check_session(environment->argument, &login->result);
	if (status != LOGIN_SUCCESS)
		login_fail(login, status, "TSIH %u does not fit the login",
		           login->result.requested_tsih);
	return status;
}

/* An empty user name: none are required. */
static const struct chap_credentials *credentials_of(const struct login *login)
{
	if (login->result.discovery)
		return &login->environment.config->discovery_auth;
	if (login->result.acl)
		return &login->result.acl->auth;
	return &login->result.target->auth;
}

static bool needs_authentication(const struct login *login)
{
	return *credentials_of(login)->user_name != '\0';
}

bool login_is_authenticated(const struct login *login)
{
	return !needs_authentication(login) || login->authentication == AUTHENTICATION_PASSED;
}

/* ---- security negotiation ---- */

static enum login_status choose_method(struct login *login, struct text_slice offer)
{
	const char *wanted = needs_authentication(login) ? "CHAP" : "None";
	struct text_slice element;
	if (login->authentication != AUTHENTICATION_OPEN)
		return login_fail(login, LOGIN_AUTHENTICATION_FAILED, "AuthMethod came late");
	while (text_slice_next_element(&offer, &element)) {
		if (!text_slice_is(element, wanted))
			continue;
		keys_add(&login->answers, "AuthMethod", wanted);
		login->authentication =
		        needs_authentication(login) ? AUTHENTICATION_CHAP : AUTHENTICATION_NONE;
		return LOGIN_SUCCESS;
	}
	string_clear(&login->answers);
	keys_add(&login->answers, "AuthMethod", "Reject");
	login->blames_key = true;
	return login_fail(login, LOGIN_AUTHENTICATION_FAILED,
	                  needs_authentication(login)
	                          ? "CHAP is required and the initiator does not offer it"
	                          : "the initiator insists on CHAP, for which no user name and "
	                            "password are configured here");
}

static enum login_status chap_result(struct login *login, enum chap_outcome outcome,
                                     const char *why)
{
	switch (outcome) {
	case CHAP_CONTINUE:
		login->authentication = AUTHENTICATION_CHALLENGED;
		return LOGIN_SUCCESS;
	case CHAP_PASSED:
		login->authentication = AUTHENTICATION_PASSED;
		login->result.authenticated = true;
		return LOGIN_SUCCESS;
	case CHAP_UNABLE:
		return login_fail(login, LOGIN_TARGET_ERROR, "%s", why);
	case CHAP_FAILED:
		break;
	}
	return login_fail(login, LOGIN_AUTHENTICATION_FAILED, "%s", why);
}

static bool has_response(const struct text_block *block)
{
	static const char *const names[] = { "CHAP_N", "CHAP_R", "CHAP_I", "CHAP_C" };
	struct text_slice value;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (text_block_find(block, names[i], &value))
			return true;
	return false;
}

/* Which keys a request brings must be what the exchange has come to. */
static enum login_status negotiate_security(struct login *login, const struct text_block *block)
{
	const struct login_environment *environment = &login->environment;
	struct text_slice method, algorithms;
	bool has_method = text_block_find(block, "AuthMethod", &method);
	bool has_algorithms = text_block_find(block, "CHAP_A", &algorithms);
	const char *why = "";
	enum login_authentication before = login->authentication;

	if (has_method + has_algorithms + has_response(block) > 1)
		return login_fail(login, LOGIN_AUTHENTICATION_FAILED,
		                  "keys of several CHAP steps in one request");
	if (has_method)
		return choose_method(login, method);
	if (has_algorithms && before == AUTHENTICATION_CHAP)
		return chap_result(login,
		                   chap_challenge(&login->chap, algorithms,
		                                  environment->random_bytes, environment->argument,
		                                  &login->answers, &why),
		                   why);
	if (has_response(block) && before == AUTHENTICATION_CHALLENGED)
		return chap_result(login,
		                   chap_verify(&login->chap, block, credentials_of(login),
		                               &login->answers, &why),
		                   why);
	if (has_algorithms || has_response(block))
		return login_fail(login, LOGIN_AUTHENTICATION_FAILED, "CHAP keys out of sequence");
	if (before == AUTHENTICATION_CHAP || before == AUTHENTICATION_CHALLENGED)
		return login_fail(login, LOGIN_AUTHENTICATION_FAILED, "CHAP keys are missing");
	if (login->flags & FLAG_TRANSIT && !login_is_authenticated(login))
		return login_fail(login, LOGIN_AUTHENTICATION_FAILED,
		                  "CHAP is required and the initiator wants to go on without");
	return LOGIN_SUCCESS;
}

/* ---- a whole text ---- */

static enum login_status check_pairs(struct login *login, const struct text_block *block)
{
	unsigned stage = login->stage == STAGE_SECURITY ? KEY_IN_SECURITY : KEY_IN_OPERATIONAL;
	struct text_pair pair;
	size_t offset = 0;
	int r;
	if (!login->identified)
		stage |= KEY_FIRST;
	while ((r = text_block_next(block, &offset, &pair)) > 0) {
		int checked = keys_check(&login->keys, &pair, stage);
		if (checked < 0)
			return login_fail(login, LOGIN_INITIATOR_ERROR, "key %.*s %s",
			                  (int)pair.key.len, pair.key.text,
			                  checked == -EEXIST ? "came twice"
			                                     : "has no place in this request");
	}
	if (r < 0)
		return login_fail(login, LOGIN_INITIATOR_ERROR, "malformed text");
	return LOGIN_SUCCESS;
}

static void take_alias(struct login *login, const struct text_block *block)
{
	struct text_slice alias;
	if (!text_block_find(block, "InitiatorAlias", &alias))
		return;
	/* One that is too long stays out: it is only for lists. */
	if (text_slice_copy(alias, login->result.initiator_alias,
	                    sizeof(login->result.initiator_alias)) < 0)
		login->result.initiator_alias[0] = '\0';
}

static enum login_status negotiate_keys(struct login *login, const struct text_block *block)
{
	int r = keys_negotiate(&login->keys, block, &login->answers);
	login->blames_key = r == -EPROTO;
	if (r == -EPROTO)
		return login_fail(login, LOGIN_INITIATOR_ERROR, "an illegal value: %s",
		                  login->answers.text);
	if (r == -E2BIG)
		return login_fail(login, LOGIN_INITIATOR_ERROR, "too many unknown keys");
	if (login->stage == STAGE_OPERATIONAL)
		keys_declare_segment(&login->keys, &login->answers);
	if (r < 0 || login->answers.failed)
		return login_fail(login, LOGIN_OUT_OF_RESOURCES, "out of memory");
	return LOGIN_SUCCESS;
}

static enum login_step negotiate(struct login *login, const struct text_block *block)
{
	enum login_status status = LOGIN_SUCCESS;
	if (!login->tag_sent) /* must be in the first answer [RFC 7143 13.9] */
		keys_add_number(&login->answers, "TargetPortalGroupTag",
		                login->result.portal_group_tag);
	login->tag_sent = true;
	take_alias(login, block);
	if (login->stage == STAGE_SECURITY)
		status = negotiate_security(login, block);
	else if (!login_is_authenticated(login))
		status = login_fail(login, LOGIN_AUTHENTICATION_FAILED,
		                    "CHAP is required and the initiator skips it");
	if (status == LOGIN_SUCCESS)
		status = negotiate_keys(login, block);
	return status == LOGIN_SUCCESS ? STEP_DONE : STEP_FAILED;
}

/* Checks of the first request that need the snapshot, in the order of their answers. */
static enum login_step identify(struct login *login, bool waited)
{
	enum login_status status = LOGIN_SUCCESS;
	if (!login->environment.config->loaded)
		status = login_fail(login, LOGIN_SERVICE_UNAVAILABLE,
		                    "the configuration is not loaded yet");
	else if (!login->result.discovery)
		status = find_target(login);
	else
		login->result.portal_group_tag = 1; /* compat: LIO's, belongs to no target */

	const struct iscsi_target *target = login->result.target;
	if (status == LOGIN_SUCCESS && target && !target->ready) {
		if (!waited)
			return STEP_WAIT;
		status = login_fail(login, LOGIN_SERVICE_UNAVAILABLE,
		                    "the target's LUNs are still being opened");
	}
	if (status == LOGIN_SUCCESS && target)
		status = authorize(login);
	if (status == LOGIN_SUCCESS)
		status = check_session(login);
	login->identified = true;
	return status == LOGIN_SUCCESS ? STEP_DONE : STEP_FAILED;
}

enum login_step login_take_text(struct login *login, const struct text_block *block)
{
	if (check_pairs(login, block) != LOGIN_SUCCESS)
		return STEP_FAILED;
	if (!login->identified) {
		if (read_names(login, block) != LOGIN_SUCCESS)
			return STEP_FAILED;
		enum login_step step = identify(login, false);
		if (step != STEP_DONE)
			return step;
	}
	return negotiate(login, block);
}

enum login_step login_take_text_again(struct login *login, const struct text_block *block)
{
	enum login_step step = identify(login, true);
	return step == STEP_DONE ? negotiate(login, block) : step;
}
