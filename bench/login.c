/* The login of the initiator: security negotiation with CHAP if there are credentials, then the
 * operational keys, checked against what was offered [RFC 7143 6, 11.12, 11.13, 13]. */
#include "base/bytes.h"
#include "base/text.h"
#include "initiator_internal.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>

enum stage { SECURITY = 0, OPERATIONAL = 1, FULL_FEATURE = 3 };

#define LOGIN_TRANSIT  0x80
#define LOGIN_CONTINUE 0x40
#define ANSWER_MAX     (4 * LOGIN_DATA_MAX)

struct login {
	struct initiator *initiator;
	struct error *err;
	uint32_t tag;
	bool named;  /* InitiatorName and so on were sent */
	bool begun;  /* exp_stat_sn is known */
	bool joined; /* the answer to the last request took the transit */
	size_t keys_len, answer_len;
	char keys[LOGIN_DATA_MAX + 4]; /* and padding */
	char answer[ANSWER_MAX + 1];
};

/* How the answer to a key follows from the offer. */
enum key_rule {
	KEY_MIN,
	KEY_MAX,
	KEY_OR,
	KEY_AND,
	KEY_DIGEST,
	KEY_OURS,   /* declared by us; the member below it is the target's */
	KEY_NUMBER, /* declared by the target */
	KEY_TEXT,   /* declared by the target, of no interest */
};

#define PARAMETER(name) offsetof(struct parameters, name)
static const struct key {
	const char *name;
	enum key_rule rule;
	size_t offset; /* in struct parameters: the offer, then the result */
} keys[] = {
	{ "HeaderDigest", KEY_DIGEST, PARAMETER(header_digest) },
	{ "DataDigest", KEY_DIGEST, PARAMETER(data_digest) },
	{ "MaxConnections", KEY_MIN, PARAMETER(max_connections) },
	{ "InitialR2T", KEY_OR, PARAMETER(initial_r2t) },
	{ "ImmediateData", KEY_AND, PARAMETER(immediate_data) },
	{ "MaxBurstLength", KEY_MIN, PARAMETER(max_burst_length) },
	{ "FirstBurstLength", KEY_MIN, PARAMETER(first_burst_length) },
	{ "DefaultTime2Wait", KEY_MAX, PARAMETER(time2wait) },
	{ "DefaultTime2Retain", KEY_MIN, PARAMETER(time2retain) },
	{ "MaxOutstandingR2T", KEY_MIN, PARAMETER(max_outstanding_r2t) },
	{ "DataPDUInOrder", KEY_OR, PARAMETER(data_pdu_in_order) },
	{ "DataSequenceInOrder", KEY_OR, PARAMETER(data_sequence_in_order) },
	{ "ErrorRecoveryLevel", KEY_MIN, PARAMETER(error_recovery_level) },
	{ "MaxRecvDataSegmentLength", KEY_OURS, PARAMETER(max_recv_data_segment_length) },
	{ "TargetPortalGroupTag", KEY_NUMBER, PARAMETER(portal_group_tag) },
	{ "TargetAlias", KEY_TEXT },
	{ "TargetAddress", KEY_TEXT },
};

static uint32_t *parameter(struct parameters *parameters, const struct key *key)
{
	return (uint32_t *)(void *)((char *)parameters + key->offset);
}

static void add_key(struct login *login, const char *name, const char *value)
{
	size_t room = LOGIN_DATA_MAX - login->keys_len;
	int n = snprintf(login->keys + login->keys_len, room, "%s=%s", name, value);
	if ((size_t)n < room)
		login->keys_len += (size_t)n + 1;
}

static void offer_key(struct login *login, const struct key *key, uint32_t value)
{
	char number[16];
	switch (key->rule) {
	case KEY_MIN:
	case KEY_MAX:
	case KEY_OURS:
		snprintf(number, sizeof(number), "%u", value);
		add_key(login, key->name, number);
		break;
	case KEY_OR:
	case KEY_AND:
		add_key(login, key->name, value ? "Yes" : "No");
		break;
	case KEY_DIGEST:
		add_key(login, key->name, value ? "CRC32C" : "None");
		break;
	case KEY_NUMBER:
	case KEY_TEXT:
		break;
	}
}

/* -EINVAL if value is not a legal answer to the offer in *member. */
static int take_value(struct parameters *parameters, const struct key *key, const char *value)
{
	uint32_t *member = parameter(parameters, key);
	uint64_t number = 0;
	bool yes = !strcmp(value, "Yes");
	switch (key->rule) {
	case KEY_MIN:
		if (text_to_uint(value, 0, *member, &number) < 0)
			return -EINVAL;
		break;
	case KEY_MAX:
		if (text_to_uint(value, *member, 3600, &number) < 0)
			return -EINVAL;
		break;
	case KEY_OR:
	case KEY_AND:
		if ((!yes && strcmp(value, "No")) ||
		    (key->rule == KEY_OR ? *member && !yes : !*member && yes))
			return -EINVAL;
		number = yes;
		break;
	case KEY_DIGEST:
		if (strcmp(value, *member ? "CRC32C" : "None"))
			return -EINVAL;
		return 0;
	case KEY_OURS:
		member = &parameters->max_send_data_segment_length;
		if (text_to_uint(value, 512, 0xffffff, &number) < 0)
			return -EINVAL;
		break;
	case KEY_NUMBER:
		if (text_to_uint(value, 0, 65535, &number) < 0)
			return -EINVAL;
		break;
	case KEY_TEXT:
		return 0;
	}
	*member = (uint32_t)number;
	return 0;
}

static int send_all(struct login *login, const void *data, size_t len)
{
	const char *bytes = data;
	while (len) {
		ssize_t n = send(login->initiator->fd, bytes, len, MSG_NOSIGNAL);
		if (n < 0)
			return error_set(login->err, -errno, "sending the login request");
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static int receive_all(struct login *login, void *data, size_t len)
{
	ssize_t n = len ? recv(login->initiator->fd, data, len, MSG_WAITALL) : 0;
	if (n == (ssize_t)len)
		return 0;
	if (n < 0 && errno == EAGAIN)
		return error_set(login->err, -ETIMEDOUT, "no answer to the login request");
	return error_set(login->err, n < 0 ? -errno : -ECONNRESET,
	                 "the target dropped the connection in login");
}

static int send_request(struct login *login, uint8_t flags)
{
	struct initiator *initiator = login->initiator;
	uint8_t bhs[BHS_BYTES] = { LOGIN_REQUEST | OPCODE_IMMEDIATE, flags };
	put_be24(bhs + 5, (uint32_t)login->keys_len);
	memcpy(bhs + 8, initiator->config.isid, 6);
	put_be32(bhs + 16, login->tag);
	put_be32(bhs + 24, initiator->cmd_sn);
	put_be32(bhs + 28, initiator->exp_stat_sn);
	int r = send_all(login, bhs, sizeof(bhs));
	if (r < 0)
		return r;
	uint32_t padding = pad_bytes((uint32_t)login->keys_len);
	memset(login->keys + login->keys_len, 0, padding);
	r = send_all(login, login->keys, login->keys_len + padding);
	login->keys_len = 0;
	return r;
}

static const struct {
	uint16_t code;
	const char *text;
} refusals[] = {
	{ 0x0101, "the target has moved (temporarily)" },
	{ 0x0102, "the target has moved (permanently)" },
	{ 0x0200, "initiator error" },
	{ 0x0201, "authentication failure" },
	{ 0x0202, "not authorized for this target" },
	{ 0x0203, "no such target" },
	{ 0x0204, "the target was removed" },
	{ 0x0205, "unsupported version" },
	{ 0x0206, "too many connections" },
	{ 0x0207, "missing parameter" },
	{ 0x0209, "session type not supported" },
	{ 0x020a, "session does not exist" },
	{ 0x020b, "invalid during login" },
	{ 0x0300, "target error" },
	{ 0x0301, "service unavailable" },
	{ 0x0302, "out of resources" },
};

static int refused(struct login *login, uint16_t code)
{
	const char *text = "unknown status";
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
		if (refusals[i].code == code)
			text = refusals[i].text;
	return error_set(login->err, -EACCES, "login to %s refused: %s (status %04x)",
	                 login->initiator->config.target_name, text, code);
}

static int check_response(struct login *login, const uint8_t *bhs, uint8_t request_flags)
{
	struct initiator *initiator = login->initiator;
	if (bhs[0] != LOGIN_RESPONSE || bhs[4])
		return error_set(login->err, -EPROTO, "not a Login Response: opcode %02x, AHS %u",
		                 bhs[0], bhs[4]);
	if (get_be16(bhs + 36))
		return refused(login, get_be16(bhs + 36));
	if (get_be32(bhs + 16) != login->tag || memcmp(bhs + 8, initiator->config.isid, 6) != 0)
		return error_set(login->err, -EPROTO, "Login Response with a wrong ITT or ISID");
	uint32_t stat_sn = get_be32(bhs + 24);
	if (login->begun && stat_sn != initiator->exp_stat_sn)
		return error_set(login->err, -EPROTO, "Login Response with StatSN %u, expected %u",
		                 stat_sn, initiator->exp_stat_sn);
	if (get_be32(bhs + 28) != initiator->cmd_sn)
		return error_set(login->err, -EPROTO,
		                 "Login Response with ExpCmdSN %u, expected %u", get_be32(bhs + 28),
		                 initiator->cmd_sn);
	if (bhs[2] || bhs[3])
		return error_set(login->err, -EPROTO, "Login Response with version %u, %u", bhs[2],
		                 bhs[3]);
	if ((bhs[1] & LOGIN_TRANSIT &&
	     (!(request_flags & LOGIN_TRANSIT) || (bhs[1] & 3) != (request_flags & 3))) ||
	    (bhs[1] >> 2 & 3) != (request_flags >> 2 & 3))
		return error_set(login->err, -EPROTO, "Login Response with flags %02x to %02x",
		                 bhs[1], request_flags);
	login->begun = true;
	initiator->exp_stat_sn = stat_sn + 1;
	initiator->max_cmd_sn = get_be32(bhs + 32);
	initiator->tsih = get_be16(bhs + 14);
	return 0;
}

/* Sends the keys gathered and collects the whole answer, however many PDUs it takes. */
static int exchange(struct login *login, enum stage stage, enum stage next)
{
	uint8_t flags = (uint8_t)(stage << 2);
	if (next != stage)
		flags |= LOGIN_TRANSIT | (uint8_t)next;
	login->answer_len = 0;
	for (;;) {
		uint8_t bhs[BHS_BYTES];
		int r = send_request(login, flags);
		if (r == 0)
			r = receive_all(login, bhs, sizeof(bhs));
		if (r == 0)
			r = check_response(login, bhs, flags);
		if (r < 0)
			return r;
		uint32_t len = get_be24(bhs + 5);
		if (len > LOGIN_DATA_MAX || login->answer_len + len + 3 > ANSWER_MAX)
			return error_set(login->err, -EPROTO, "a Login Response of %u bytes", len);
		r = receive_all(login, login->answer + login->answer_len, len + pad_bytes(len));
		if (r < 0)
			return r;
		login->answer_len += len;
		login->answer[login->answer_len] = '\0';
		login->joined = bhs[1] & LOGIN_TRANSIT;
		if (!(bhs[1] & LOGIN_CONTINUE))
			return 0;
	}
}

/* The value of a key in the answer, or NULL. */
static const char *answer_value(const struct login *login, const char *name)
{
	size_t len = strlen(name);
	for (size_t at = 0; at < login->answer_len; at += strlen(login->answer + at) + 1)
		if (!strncmp(login->answer + at, name, len) && login->answer[at + len] == '=')
			return login->answer + at + len + 1;
	return NULL;
}

static void add_names(struct login *login)
{
	const struct initiator_config *config = &login->initiator->config;
	if (login->named)
		return;
	login->named = true;
	add_key(login, "InitiatorName", config->initiator_name);
	add_key(login, "TargetName", config->target_name);
	add_key(login, "SessionType", "Normal");
}

static int decode_binary(const char *text, uint8_t *ret_data, size_t max_bytes, size_t *ret_len)
{
	if (!strncmp(text, "0x", 2) || !strncmp(text, "0X", 2))
		return text_get_hex(text + 2, strlen(text + 2), ret_data, max_bytes, ret_len);
	if (!strncmp(text, "0b", 2) || !strncmp(text, "0B", 2))
		return text_get_base64(text + 2, strlen(text + 2), ret_data, max_bytes, ret_len);
	return -EINVAL;
}

static void add_binary(struct login *login, const char *name, const uint8_t *data, size_t len)
{
	char text[2 + 2 * CHAP_CHALLENGE_MAX + 1] = "0x";
	text_put_hex(data, len, text + 2);
	add_key(login, name, text);
}

/* Our own challenge to the target, for mutual CHAP. */
struct challenge {
	uint8_t identifier, bytes[16];
};

static int add_challenge(struct login *login, struct challenge *ret_challenge)
{
	char number[8];
	if (getrandom(ret_challenge, sizeof(*ret_challenge), 0) != sizeof(*ret_challenge))
		return error_set(login->err, -EIO, "no random numbers");
	snprintf(number, sizeof(number), "%u", ret_challenge->identifier);
	add_key(login, "CHAP_I", number);
	add_binary(login, "CHAP_C", ret_challenge->bytes, sizeof(ret_challenge->bytes));
	return 0;
}

static int check_target(struct login *login, unsigned algorithm, const struct challenge *challenge)
{
	const struct initiator_config *config = &login->initiator->config;
	const char *name = answer_value(login, "CHAP_N"), *response = answer_value(login, "CHAP_R");
	uint8_t expected[CHAP_DIGEST_MAX], got[CHAP_DIGEST_MAX];
	size_t expected_len = 0, got_len = 0;
	if (!name || !response || strcmp(name, config->mutual_user_name) != 0)
		return error_set(login->err, -EACCES, "the target did not name itself %s",
		                 config->mutual_user_name);
	int r = chap_respond(algorithm, challenge->identifier, config->mutual_secret,
	                     challenge->bytes, sizeof(challenge->bytes), expected, &expected_len);
	if (r == 0)
		r = decode_binary(response, got, sizeof(got), &got_len);
	if (r < 0 || got_len != expected_len || memcmp(got, expected, got_len) != 0)
		return error_set(login->err, -EACCES, "the target's proof (CHAP_R) is wrong");
	return 0;
}

/* Answers the challenge that the last exchange brought. */
static int answer_challenge(struct login *login)
{
	const struct initiator_config *config = &login->initiator->config;
	const char *algorithm_text = answer_value(login, "CHAP_A");
	const char *identifier_text = answer_value(login, "CHAP_I");
	const char *challenge_text = answer_value(login, "CHAP_C");
	uint64_t algorithm, identifier;
	uint8_t challenge[CHAP_CHALLENGE_MAX], response[CHAP_DIGEST_MAX];
	size_t challenge_len, response_len;
	if (!algorithm_text || !identifier_text || !challenge_text ||
	    text_to_uint(algorithm_text, 0, 255, &algorithm) < 0 ||
	    text_to_uint(identifier_text, 0, 255, &identifier) < 0 ||
	    decode_binary(challenge_text, challenge, sizeof(challenge), &challenge_len) < 0)
		return error_set(login->err, -EPROTO, "a CHAP challenge that cannot be read");
	int r = chap_respond((unsigned)algorithm, (uint8_t)identifier, config->secret, challenge,
	                     challenge_len, response, &response_len);
	if (r < 0)
		return error_set(login->err, r, "CHAP algorithm %u cannot be computed",
		                 (unsigned)algorithm);
	add_key(login, "CHAP_N", config->user_name);
	add_binary(login, "CHAP_R", response, response_len);

	bool mutual = config->mutual_user_name[0];
	struct challenge ours;
	if (mutual && (r = add_challenge(login, &ours)) < 0)
		return r;
	r = exchange(login, SECURITY, OPERATIONAL);
	if (r == 0 && mutual)
		r = check_target(login, (unsigned)algorithm, &ours);
	return r;
}

static int authenticate(struct login *login)
{
	add_names(login);
	add_key(login, "AuthMethod", "CHAP");
	int r = exchange(login, SECURITY, SECURITY);
	if (r < 0)
		return r;
	const char *method = answer_value(login, "AuthMethod");
	if (!method || strcmp(method, "CHAP") != 0)
		return error_set(login->err, -EACCES, "the target answers AuthMethod=%s",
		                 method ? method : "(nothing)");
	add_key(login, "CHAP_A", login->initiator->config.chap_algorithms);
	r = exchange(login, SECURITY, SECURITY);
	if (r == 0)
		r = answer_challenge(login);
	while (r == 0 && !login->joined)
		r = exchange(login, SECURITY, OPERATIONAL);
	return r;
}

static int take_answer(struct login *login, struct parameters *parameters)
{
	for (size_t at = 0; at < login->answer_len; at += strlen(login->answer + at) + 1) {
		char *pair = login->answer + at, *value = strchr(pair, '=');
		const struct key *key = NULL;
		for (size_t i = 0; value && i < ARRAY_LEN(keys); i++)
			if (!strncmp(keys[i].name, pair, (size_t)(value - pair)) &&
			    !keys[i].name[value - pair])
				key = &keys[i];
		if (*pair && (!key || take_value(parameters, key, value + 1) < 0))
			return error_set(login->err, -EPROTO, "not an answer to our offer: %s",
			                 pair);
	}
	return 0;
}

static int negotiate(struct login *login)
{
	struct parameters *parameters = &login->initiator->parameters;
	add_names(login);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		offer_key(login, &keys[i], *parameter(parameters, &keys[i]));
	do {
		int r = exchange(login, OPERATIONAL, FULL_FEATURE);
		if (r == 0)
			r = take_answer(login, parameters);
		if (r < 0)
			return r;
	} while (!login->joined);
	if (parameters->first_burst_length > parameters->max_burst_length)
		return error_set(login->err, -EPROTO, "FirstBurstLength above MaxBurstLength");
	if (!login->initiator->tsih)
		return error_set(login->err, -EPROTO, "the session got no TSIH");
	return 0;
}

int initiator_login(struct initiator *initiator)
{
	struct login *login = calloc(1, sizeof(*login));
	if (!login)
		return error_set(&initiator->err, -ENOMEM, "out of memory");
	login->initiator = initiator;
	login->err = &initiator->err;
	login->tag = 1;
	int r = initiator->config.user_name[0] ? authenticate(login) : 0;
	if (r == 0)
		r = negotiate(login);
	free(login);
	return r;
}
