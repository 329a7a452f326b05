/* The configuration and the scripted initiator of login_world.h. */
#include "login_world.h"

#include "test.h"

#include <stdio.h>
#include <string.h>

static int count_up(void *argument, uint8_t *ret_bytes, size_t len)
{
	struct world *world = argument;
	for (size_t i = 0; i < len; i++)
		ret_bytes[i] = world->next_random++;
	return 0;
}

static enum login_status check_session(void *argument, const struct login_result *result)
{
	const struct world *world = argument;
	assert_true(result->requested_tsih != 0);
	assert_true(*result->initiator_name);
	return world->session_status;
}

static void make_targets(struct world *world)
{
	static const struct iscsi_controls controls = {
		.first_burst_length = 262144,
		.max_burst_length = 524288,
		.max_recv_data_segment_length = 262144,
		.max_xmit_data_segment_length = 262144,
		.max_outstanding_r2t = 1,
		.command_window = 128,
		.immediate_data = true,
		.initial_r2t = true,
	};
	world->acls[0] = (struct iscsi_acl){
		.initiator_name = (char *)WORLD_MUTUAL,
		.auth = { WORLD_USER, WORLD_SECRET, WORLD_MU_USER, WORLD_MU_SECRET },
	};
	world->acls[1] = (struct iscsi_acl){ .initiator_name = (char *)WORLD_NO_CHAP };
	world->acls[2] = (struct iscsi_acl){ .initiator_name = (char *)WORLD_CLIENT,
		                             .auth = { WORLD_USER, WORLD_SECRET, "", "" } };
	world->targets[0] = (struct iscsi_target){
		.name = (char *)WORLD_TARGET,
		.acl_enabled = true,
		.ready = true,
		.controls = controls,
		.acls = world->acls,
		.acl_count = ARRAY_LEN(world->acls),
		.groups = world->groups,
		.group_count = 2,
	};
	world->targets[1] = (struct iscsi_target){ .name = (char *)WORLD_OPEN,
		                                   .ready = true,
		                                   .controls = controls,
		                                   .groups = world->groups,
		                                   .group_count = 1 };
}

void world_reset(struct world *world)
{
	*world = (struct world){ 0 };
	world->addresses[0] = (char *)WORLD_LOCAL;
	world->addresses[1] = (char *)"10.77.0.12:3260";
	for (size_t i = 0; i < 2; i++)
		world->groups[i] = (struct iscsi_portal_group){ .tag = (uint16_t)(i + 1),
			                                        .local = i == 0,
			                                        .addresses = &world->addresses[i],
			                                        .address_count = 1 };
	make_targets(world);
	world->config = (struct iscsi_config){ .loaded = true,
		                               .targets = world->targets,
		                               .target_count = 2 };
	ASSERT_EQ(chap_challenges_new(4, &world->challenges), 0);
	world->environment = (struct login_environment){
		.config = &world->config,
		.local_address = WORLD_LOCAL,
		.challenges = world->challenges,
		.random_bytes = count_up,
		.check_session = check_session,
		.argument = world,
	};
	world_connect(world);
}

void world_done(struct world *world)
{
	login_free(world->login);
	ASSERT_EQ(chap_challenges_count(world->challenges), 0);
	chap_challenges_free(world->challenges);
}

void world_connect(struct world *world)
{
	login_free(world->login);
	world->login = NULL;
	ASSERT_EQ(login_new(&world->environment, &world->login), 0);
}

void world_keep_text(struct world *world)
{
	size_t len = 0;
	if (world->outcome != LOGIN_CLOSE && world->outcome != LOGIN_WAIT_READY &&
	    world->outcome != LOGIN_ADMIT) {
		len = world->response.data_len;
		ASSERT_TRUE(len < sizeof(world->text));
		ASSERT_EQ(pdu_data_len(world->response.bhs), len);
		if (len)
			memcpy(world->text, world->response.data, len);
	}
	for (size_t i = 0; i < len; i++)
		if (world->text[i] == '\0')
			world->text[i] = '\n';
	world->text[len] = '\0';
}

enum login_outcome world_send_bytes(struct world *world, uint8_t flags, const void *data,
                                    uint32_t len)
{
	static const uint8_t isid[6] = { 0x80, 0, 0, 0, 0, 1 };
	uint8_t bhs[BHS_BYTES];
	pdu_start(bhs, PDU_LOGIN, flags, 0x0a0b0c0d);
	bhs[BHS_OPCODE] |= PDU_IMMEDIATE;
	memcpy(bhs + BHS_ISID, isid, sizeof(isid));
	put_be16(bhs + BHS_TSIH, world->tsih);
	put_be32(bhs + BHS_CMD_SN, 100);
	pdu_put_data_len(bhs, len);
	uint8_t *place = login_place(world->login, bhs);
	if (place)
		memcpy(place, data, len);
	world->outcome = login_request(world->login, bhs, &world->response);
	world_keep_text(world);
	return world->outcome;
}

enum login_outcome world_send(struct world *world, uint8_t flags, const char *text)
{
	char wire[9000];
	size_t len = strlen(text);
	ASSERT_TRUE(len < sizeof(wire));
	for (size_t i = 0; i < len; i++)
		wire[i] = text[i] == '\n' ? '\0' : text[i];
	return world_send_bytes(world, flags, wire, (uint32_t)len);
}

enum login_outcome world_admit(struct world *world, enum login_status status)
{
	const struct login_admission admission = {
		.status = status, .tsih = 7, .exp_cmd_sn = 100, .max_cmd_sn = 227
	};
	world->outcome = login_admit(world->login, &admission, &world->response);
	world_keep_text(world);
	return world->outcome;
}

uint8_t world_flags(const struct world *world)
{
	return world->response.bhs[BHS_FLAGS];
}

enum login_status world_status(const struct world *world)
{
	return (enum login_status)get_be16(world->response.bhs + BHS_STATUS_CLASS);
}

const char *world_value(const struct world *world, const char *key)
{
	static char value[4096];
	value[0] = '\0';
	size_t key_len = strlen(key);
	for (const char *line = world->text; *line;) {
		size_t len = strcspn(line, "\n");
		if (strncmp(line, key, key_len) == 0 && line[key_len] == '=')
			snprintf(value, sizeof(value), "%.*s", (int)(len - key_len - 1),
			         line + key_len + 1);
		line += len + (line[len] == '\n');
	}
	return value;
}

const char *world_chap_answer(const struct world *world, unsigned algorithm, const char *user,
                              const char *secret, bool base64)
{
	static char answer[1024];
	uint8_t challenge[CHAP_CHALLENGE_MAX], digest[CHAP_DIGEST_MAX];
	char encoded[2 * CHAP_DIGEST_MAX + 1];
	size_t len;
	const struct chap_algorithm *row = chap_algorithm(algorithm);
	uint8_t identifier = (uint8_t)atoi(world_value(world, "CHAP_I"));
	const char *text = world_value(world, "CHAP_C");
	ASSERT_EQ(text_get_hex(text + 2, strlen(text) - 2, challenge, sizeof(challenge), &len), 0);
	ASSERT_EQ(chap_digest(row, identifier, secret, challenge, len, digest), 0);
	if (base64)
		text_put_base64(digest, row->digest_len, encoded);
	else
		text_put_hex(digest, row->digest_len, encoded);
	snprintf(answer, sizeof(answer), "CHAP_N=%s\nCHAP_R=%s%s\n", user, base64 ? "0b" : "0x",
	         encoded);
	return answer;
}
