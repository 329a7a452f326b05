/* What several kinds of nodes need: names, flags, CHAP, controls. */
#include "cli/kinds.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

bool parse_flag(struct shell *shell, const char *text, bool *ret_flag)
{
	static const struct {
		const char *word;
		bool flag;
	} words[] = {
		{ "true", true },   { "yes", true }, { "1", true },
		{ "false", false }, { "no", false }, { "0", false },
	};
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcasecmp(text, words[i].word) != 0)
			continue;
		*ret_flag = words[i].flag;
		return true;
	}
	say_shell_error(&shell->output, "Syntax error, '%s' is not true|false.", text);
	return false;
}

/* iqn.YYYY-MM.domain with at least two dots behind the month; no blank, no '_'. */
static bool iqn_is_valid(const char *iqn)
{
	static const char form[] = "iqn.dddd-md.";
	for (size_t i = 0; form[i]; i++) {
		bool fits = form[i] == 'd'   ? isdigit((unsigned char)iqn[i])
		            : form[i] == 'm' ? iqn[i] == '0' || iqn[i] == '1'
		                             : iqn[i] == form[i];
		if (!fits)
			return false;
	}
	return strchr(iqn + sizeof form - 1, '.') && !strpbrk(iqn, " _");
}

char *parse_iqn(struct shell *shell, const char *name)
{
	AUTO_FREE char *iqn = strdup(name);
	if (!iqn)
		return NULL;
	text_lower(iqn);
	if (iqn_is_valid(iqn))
		return steal(&iqn);
	say(&shell->output, SAY_ERROR, "IQN name '%s' is not valid for iSCSI", name);
	return NULL;
}

char *parse_disk_id(struct shell *shell, const char *id)
{
	const char *known, *found = NULL;
	json_t *disk;
	size_t matches = 0;
	json_object_foreach (model_disks(&shell->model), known, disk) {
		const char *slash = strchr(known, '/');
		if (strchr(id, '/') || !slash)
			break;
		size_t len = (size_t)(slash - known);
		if (strncmp(id, known, len) == 0 && id[len] == '.' &&
		    strcmp(id + len + 1, slash + 1) == 0) {
			found = known;
			matches++;
		}
	}
	return strdup(matches == 1 ? found : id);
}

/* --- CHAP --- */

static const char *const chap_names[] = { "username", "password", "mutual_username",
	                                  "mutual_password" };

static void chap_set(struct chap *chap, size_t at, const char *value, size_t len)
{
	if (len >= sizeof chap->text[0])
		len = sizeof chap->text[0] - 1; /* longer than any that is allowed: refused there */
	memcpy(chap->text[at], value, len);
	chap->text[at][len] = '\0';
	chap->fields[at].value = chap->text[at];
}

/* The form of ceph-iscsi before 3.0: user/password as one word. */
static bool chap_split(struct chap *chap, size_t at, const char *word)
{
	const char *slash = word ? strchr(word, '/') : NULL;
	if (!slash)
		return false;
	chap_set(chap, at, word, (size_t)(slash - word));
	chap_set(chap, at + 1, slash + 1, strlen(slash + 1));
	return true;
}

bool chap_from_call(const struct call *call, struct chap *ret_chap)
{
	*ret_chap = (struct chap){ 0 };
	for (size_t i = 0; i < ARRAY_LEN(chap_names); i++)
		ret_chap->fields[i].name = chap_names[i];
	if (!call->arg[0])
		return false;
	if (strcmp(call->arg[0], "nochap") == 0) {
		for (size_t i = 0; i < ARRAY_LEN(chap_names); i++)
			chap_set(ret_chap, i, "", 0);
		return true;
	}
	if (!call->arg[2] && !call->arg[3] && chap_split(ret_chap, 0, call->arg[0])) {
		(void)chap_split(ret_chap, 2, call->arg[1]); /* mutual is optional */
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(chap_names); i++) {
		if (call->arg[i])
			chap_set(ret_chap, i, call->arg[i], strlen(call->arg[i]));
	}
	return true;
}

const char *chap_state(const json_t *auth)
{
	if (!*json_text(auth, "username", ""))
		return "None";
	return *json_text(auth, "mutual_username", "") ? "CHAP_MUTUAL" : "CHAP";
}

json_t *chap_shown(const json_t *auth, bool show_secrets)
{
	json_t *shown = json_copy((json_t *)auth);
	static const char *const secrets[] = { "password", "mutual_password" };
	for (size_t i = 0; i < ARRAY_LEN(secrets) && !show_secrets; i++) {
		if (*json_text(shown, secrets[i], ""))
			json_object_set_new(shown, secrets[i], json_string("***"));
	}
	return shown;
}

/* --- controls --- */

static void add_control_value(struct string *text, const json_t *value)
{
	if (json_is_boolean(value))
		string_add(text, json_is_true(value) ? "yes" : "no");
	else if (json_is_string(value))
		string_add(text, json_string_value(value));
	else
		string_format(text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
}

json_t *controls_shown(struct shell *shell, const char *defaults_member, const char *backstore,
                       const json_t *controls, bool mark_overrides)
{
	json_t *shown = json_object();
	const json_t *defaults = model_settings(&shell->model, defaults_member);
	if (backstore)
		defaults = model_member(defaults, backstore);
	const char *name;
	json_t *value;
	json_object_foreach ((json_t *)defaults, name, value) {
		AUTO_STRING struct string text = { 0 };
		json_t *own = json_object_get(controls, name);
		bool is_override = own && !json_equal(own, value);
		add_control_value(&text, own ? own : value);
		if (is_override && mark_overrides)
			string_add(&text, " (override)");
		json_object_set_new(shown, name, json_string(text.text ? text.text : ""));
	}
	return shown;
}

char *controls_json(const char *attribute, const char *value)
{
	AUTO_JSON json_t *controls = json_pack("{ss}", attribute, value);
	return controls ? json_format(controls, &json_style_plain) : NULL;
}
