/* Logins captured from an upstream gateway (LIO), played again: its requests, its random bytes, and
 * its answers compared with ours. What we do otherwise, on purpose, is a row of the table. */
#include "login_world.h"

#include "test.h"

#include <stdio.h>
#include <string.h>

/* The login request (counted from 0 in its conversation, these from 1 in the file) at which we
 * answer with a status of our own; the conversation is not followed further. */
struct difference {
	int conversation, request;
	enum login_status status;
	const char *why;
};

enum setup {
	CLIENT_ONE_WAY,
	CLIENT_NO_CHAP,
	CLIENT_MUTUAL,
	ACL_DISABLED,
	DISCOVERY_AUTH,
	GATEWAY_2
};

static const struct capture {
	const char *file;
	enum setup setup;
	struct difference difference;
} captures[] = {
	{ "login_chap", CLIENT_ONE_WAY },
	{ "login_chap_algorithms", CLIENT_ONE_WAY },
	{ "login_chap_one_pdu_keys", CLIENT_ONE_WAY },
	{ "login_second_gateway", GATEWAY_2 },
	{ "login_no_chap_on_client", CLIENT_NO_CHAP },
	{ "login_acl_disabled", ACL_DISABLED },
	{ "login_mutual", CLIENT_MUTUAL },
	{ "login_oneway_where_mutual", CLIENT_MUTUAL },
	{ "login_mutual_reflection_mutual_set", CLIENT_MUTUAL },
	{ "login_mutual_reflection",
	  CLIENT_ONE_WAY,
	  { 1, 2, LOGIN_AUTHENTICATION_FAILED, "LIO lets mutual CHAP fall under the table" } },
	{ "login_mutual_unconfigured",
	  CLIENT_ONE_WAY,
	  { 1, 2, LOGIN_AUTHENTICATION_FAILED, "LIO lets mutual CHAP fall under the table" } },
	{ "login_wrong_secret", CLIENT_ONE_WAY },
	{ "login_wrong_user", CLIENT_ONE_WAY },
	{ "login_straight_to_operational_where_chap_needed", CLIENT_ONE_WAY },
	{ "login_authmethod_none_where_chap_needed",
	  CLIENT_ONE_WAY,
	  { 1, 0, LOGIN_AUTHENTICATION_FAILED, "LIO closes without a word" } },
	{ "login_bad_session_type",
	  CLIENT_ONE_WAY,
	  { 1, 0, LOGIN_SESSION_TYPE_UNSUPPORTED, "LIO closes without a word" } },
	{ "login_no_initiator_name", CLIENT_ONE_WAY },
	{ "login_no_target_name", CLIENT_ONE_WAY },
	{ "login_no_session_type",
	  CLIENT_ONE_WAY,
	  { 1, 0, LOGIN_SUCCESS, "the default is Normal" } },
	{ "login_split_text",
	  CLIENT_ONE_WAY,
	  { 1, 0, LOGIN_SUCCESS, "LIO cannot put texts together" } },
	{ "login_unknown_keys", CLIENT_ONE_WAY },
	{ "login_unknown_target",
	  CLIENT_ONE_WAY,
	  { 1, 0, LOGIN_NOT_FOUND, "LIO says 0301 of unknown targets too" } },
	{ "login_unmapped_initiator", CLIENT_ONE_WAY },
	{ "login_version", CLIENT_ONE_WAY },
	{ "discovery", CLIENT_ONE_WAY },
	{ "discovery_chap",
	  DISCOVERY_AUTH,
	  { 3, 0, LOGIN_AUTHENTICATION_FAILED, "LIO closes without a word" } },
	{ "discovery_chap_where_none",
	  CLIENT_ONE_WAY,
	  { 1, 0, LOGIN_SUCCESS, "LIO agrees on CHAP and then fails; we agree on None" } },
};

/* Where the capture is being read; random bytes are taken from what comes next in it. */
struct player {
	struct world world;
	const struct capture *capture;
	const char *next; /* the next line */
	int conversation, request;
	uint8_t bhs[BHS_BYTES];
	char text[4096]; /* '\n' for NUL */
	bool over;       /* the conversation is */
	bool differed;   /* the difference of the row was met */
};

static struct player player;

/* StatSN, CHAP_I and CHAP_C as LIO had them. */
static int random_of_capture(void *argument, uint8_t *ret_bytes, size_t len)
{
	struct player *p = argument;
	const char *at;
	size_t got;
	memset(ret_bytes, 0, len);
	if (len == 4 && (at = strstr(p->next, "StatSN="))) {
		put_be32(ret_bytes, (uint32_t)strtoul(at + 7, NULL, 10));
	} else if (len == 1 && (at = strstr(p->next, "CHAP_I="))) {
		*ret_bytes = (uint8_t)atoi(at + 7);
	} else if (len > 4 && (at = strstr(p->next, "CHAP_C=0x"))) {
		at += 9;
		ASSERT_EQ(text_get_hex(at, strcspn(at, "\n"), ret_bytes, len, &got), 0);
		ASSERT_EQ(got, len);
	}
	return 0;
}

static void set_up(struct player *p)
{
	struct world *world = &p->world;
	world_reset(world);
	world->environment.random_bytes = random_of_capture;
	world->environment.argument = p;
	world->environment.check_session = NULL;
	struct iscsi_acl *client = &world->acls[2];
	switch (p->capture->setup) {
	case CLIENT_ONE_WAY:
		break;
	case CLIENT_NO_CHAP:
		client->auth.user_name[0] = '\0';
		break;
	case CLIENT_MUTUAL:
		client->auth = world->acls[0].auth;
		break;
	case ACL_DISABLED:
		world->targets[0].acl_enabled = false;
		break;
	case DISCOVERY_AUTH:
		strcpy(world->config.discovery_auth.user_name, "discuser01");
		strcpy(world->config.discovery_auth.secret, "discpassword1");
		break;
	case GATEWAY_2:
		world->groups[0].local = false;
		world->groups[1].local = true;
		world->environment.local_address = "10.77.0.12:3260";
		break;
	}
	world_connect(world);
}

/* Takes the lines "   bhs WORDS" and "   KEY=VALUE" that follow. */
static void take_body(struct player *p)
{
	memset(p->bhs, 0, sizeof(p->bhs));
	p->text[0] = '\0';
	for (; strncmp(p->next, "   ", 3) == 0; p->next += strcspn(p->next, "\n") + 1) {
		const char *line = p->next + 3;
		size_t len = strcspn(line, "\n");
		if (strncmp(line, "bhs ", 4) == 0) {
			const char *word = line + 4;
			for (int i = 0; i < 12; i++, word += 9)
				put_be32(p->bhs + 4 * i, (uint32_t)strtoul(word, NULL, 16));
		} else if (memchr(line, '=', len) && line[0] != '(' && line[0] != '-') {
			strncat(p->text, line, len + 1);
		}
	}
}

/* Each of LIO's answers is ours too; it leaves out the optional ones. */
static void compare_text(const struct player *p)
{
	for (const char *line = p->text; *line; line += strcspn(line, "\n") + 1) {
		char key[64];
		const char *equals = strchr(line, '=');
		snprintf(key, sizeof(key), "%.*s", (int)(equals - line), line);
		if (strcmp(key, "TargetAlias") == 0)
			continue; /* ours sends none */
		char value[512];
		snprintf(value, sizeof(value), "%.*s", (int)strcspn(equals + 1, "\n"), equals + 1);
		TEST_ROW("%s", key);
		ASSERT_STR_EQ(world_value(&p->world, key), value);
	}
}

static bool is_different(const struct player *p)
{
	const struct difference *difference = &p->capture->difference;
	return difference->why && difference->conversation == p->conversation &&
	       difference->request == p->request;
}

static void send_request(struct player *p)
{
	struct world *world = &p->world;
	char wire[4096];
	size_t len = strlen(p->text);
	memcpy(wire, p->text, len);
	for (size_t i = 0; i < len; i++)
		if (wire[i] == '\n')
			wire[i] = '\0';
	ASSERT_EQ(pdu_data_len(p->bhs), len);
	uint8_t *place = login_place(world->login, p->bhs);
	if (place)
		memcpy(place, wire, len);
	world->outcome = login_request(world->login, p->bhs, &world->response);
}

/* The header of the capture is in p->bhs. */
static void compare_response(struct player *p)
{
	struct world *world = &p->world;
	if (world->outcome == LOGIN_ADMIT) {
		const struct login_admission admission = {
			.tsih = get_be16(p->bhs + BHS_TSIH),
			.exp_cmd_sn = get_be32(p->bhs + BHS_EXP_CMD_SN),
			.max_cmd_sn = get_be32(p->bhs + BHS_MAX_CMD_SN),
		};
		world->outcome = login_admit(world->login, &admission, &world->response);
	}
	world_keep_text(world);
	pdu_put_data_len(world->response.bhs, pdu_data_len(p->bhs)); /* we answer more keys */
	ASSERT_MEM_EQ(world->response.bhs, p->bhs, BHS_BYTES);
	compare_text(p);
	p->over = world->outcome != LOGIN_RESPOND;
}

static void play_line(struct player *p)
{
	const char *line = p->next;
	p->next += strcspn(line, "\n") + 1;
	if (strncmp(line, ">> LOGIN-REQ", 12) == 0 && !p->over) {
		take_body(p);
		send_request(p);
		if (is_different(p)) {
			world_keep_text(&p->world);
			ASSERT_EQ(world_status(&p->world), p->capture->difference.status);
			p->over = p->differed = true;
		}
		p->request++;
	} else if (strncmp(line, "<< LOGIN-RSP", 12) == 0 && !p->over) {
		take_body(p);
		compare_response(p);
	} else if (strncmp(line, ">> ", 3) == 0 || strncmp(line, "<< ", 3) == 0) {
		p->over = true; /* full feature phase, or the end */
	}
}

/* A login request that names its initiator when the last conversation is over is on a new
 * connection. */
static bool starts_conversation(const struct player *p)
{
	if (strncmp(p->next, ">> LOGIN-REQ", 12) != 0)
		return false;
	const char *name = strstr(p->next, "InitiatorName="), *answer = strstr(p->next, "\n<<");
	return p->conversation == 0 || (p->over && name && answer && name < answer);
}

TEST(captured_logins_get_the_answers_that_lio_gave)
{
	for (size_t i = 0; i < ARRAY_LEN(captures); i++) {
		char name[128];
		snprintf(name, sizeof(name), "golden/iscsi/%s.txt", captures[i].file);
		TEST_ROW("%s", captures[i].file);
		AUTO_FREE char *text = test_read_file(name, NULL);
		player = (struct player){ .capture = &captures[i], .next = text };
		while (*player.next) {
			if (starts_conversation(&player)) {
				if (player.conversation)
					world_done(&player.world);
				set_up(&player);
				player.conversation++;
				player.request = 0;
				player.over = false;
			}
			play_line(&player);
		}
		ASSERT_TRUE(player.conversation > 0);
		ASSERT_EQ(player.differed, captures[i].difference.why != NULL);
		world_done(&player.world);
	}
}
