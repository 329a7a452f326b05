/* Fuzzes whole logins. The input: one byte of options, then login requests, each as flags (1 byte),
 * length (2 bytes, big-endian) and text. The config is fixed, random bytes count up from 0: seeds
 * can hold right CHAP answers. */
#include "fuzz.h"

#include "iscsi/login.h"

#include <stdlib.h>
#include <string.h>

#define OPTION_NOT_READY 1
#define OPTION_TSIH      2
#define OPTION_VERSION   4
#define OPTION_NOT_LOGIN 8 /* the second PDU is no login request */

static const struct iscsi_controls controls = {
	.first_burst_length = 262144,
	.max_burst_length = 524288,
	.max_recv_data_segment_length = 262144,
	.max_xmit_data_segment_length = 262144,
	.max_outstanding_r2t = 1,
	.immediate_data = true,
	.initial_r2t = true,
};
static char *addresses[] = { (char *)"10.77.0.11:3260" };
static struct iscsi_portal_group groups[] = { { 1, true, addresses, 1 } };
static struct iscsi_acl acls[] = {
	{ .initiator_name = (char *)"iqn.free" },
	{ .initiator_name = (char *)"iqn.user",
	  .auth = { "myusername", "mypassword12", "mytgtusername", "mytgtpassword" } },
};

struct run {
	struct iscsi_target targets[2];
	struct iscsi_config config;
	struct login *login;
	uint8_t options, next_random;
};

static int count_up(void *argument, uint8_t *ret_bytes, size_t len)
{
	struct run *run = argument;
	for (size_t i = 0; i < len; i++)
		ret_bytes[i] = run->next_random++;
	return 0;
}

static enum login_status check_session(void *argument, const struct login_result *result)
{
	check(result->requested_tsih != 0 && *result->initiator_name);
	return LOGIN_SUCCESS;
}

static void make_config(struct run *run)
{
	for (int i = 0; i < 2; i++)
		run->targets[i] = (struct iscsi_target){
			.controls = controls, .groups = groups, .group_count = 1, .ready = true
		};
	run->targets[0].name = (char *)"iqn.acl";
	run->targets[0].acl_enabled = true;
	run->targets[0].acls = acls;
	run->targets[0].acl_count = 2;
	run->targets[0].ready = !(run->options & OPTION_NOT_READY);
	run->targets[1].name = (char *)"iqn.open";
	run->config =
	        (struct iscsi_config){ .loaded = true, .targets = run->targets, .target_count = 2 };
}

/* Nobody gets in without the authentication that is required. */
static void check_admitted(const struct login_result *result)
{
	const struct login_values *values = &result->values;
	check(*result->initiator_name);
	check(result->discovery == !result->target);
	if (result->acl && *result->acl->auth.user_name)
		check(result->authenticated);
	if (result->target && result->target->acl_enabled)
		check(result->acl &&
		      strcmp(result->acl->initiator_name, result->initiator_name) == 0);
	check(values->first_burst <= values->max_burst && values->max_burst <= 524288);
	check(values->max_connections == 1 && values->error_recovery_level == 0);
	check(result->send_limit >= 512);
}

static void check_response(uint8_t request_flags, const struct login_response *response)
{
	uint8_t flags = response->bhs[BHS_FLAGS];
	check(pdu_opcode(response->bhs) == PDU_LOGIN_RESPONSE);
	check(response->data_len == pdu_data_len(response->bhs));
	check(response->data_len <= LOGIN_DATA_MAX);
	check(!(flags & FLAG_TRANSIT) || request_flags & FLAG_TRANSIT);
	check((flags & (FLAG_TRANSIT | FLAG_CONTINUE)) != (FLAG_TRANSIT | FLAG_CONTINUE));
	if (response->data_len) { /* the sanitizer checks that all of it is there */
		uint8_t *copy = malloc(response->data_len);
		check(copy != NULL);
		memcpy(copy, response->data, response->data_len);
		free(copy);
	}
}

static enum login_outcome request(struct run *run, unsigned number, uint8_t flags,
                                  const uint8_t *text, uint32_t len)
{
	struct login_response response = { 0 };
	uint8_t bhs[BHS_BYTES];
	pdu_start(bhs, PDU_LOGIN, flags, 1);
	if (number == 1 && run->options & OPTION_NOT_LOGIN)
		bhs[BHS_OPCODE] = PDU_TEXT;
	bhs[BHS_VERSION_MIN] = run->options & OPTION_VERSION ? 1 : 0;
	put_be16(bhs + BHS_TSIH, run->options & OPTION_TSIH ? 9 : 0);
	pdu_put_data_len(bhs, len);
	uint8_t *place = login_place(run->login, bhs);
	if (place)
		memcpy(place, text, len);
	enum login_outcome outcome = login_request(run->login, bhs, &response);
	if (outcome == LOGIN_WAIT_READY) {
		run->targets[0].ready = len & 1;
		outcome = login_resume(run->login, &run->config, &response);
		check(outcome != LOGIN_WAIT_READY);
	}
	if (outcome == LOGIN_ADMIT) {
		const struct login_admission admission = { .tsih = 1 };
		check_admitted(login_result(run->login));
		outcome = login_admit(run->login, &admission, &response);
		check(outcome == LOGIN_COMPLETE);
	}
	if (outcome != LOGIN_CLOSE)
		check_response(flags, &response);
	if (outcome == LOGIN_RESPOND_AND_CLOSE)
		check(get_be16(response.bhs + BHS_STATUS_CLASS) >= LOGIN_INITIATOR_ERROR);
	return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	AUTO(chap_challenges) struct chap_challenges *challenges = NULL;
	struct run run = { .options = data[0] };
	make_config(&run);
	check(chap_challenges_new(2, &challenges) == 0);
	const struct login_environment environment = { &run.config, "10.77.0.11:3260", challenges,
		                                       count_up,    check_session,     &run };
	check(login_new(&environment, &run.login) == 0);
	enum login_outcome outcome = LOGIN_RESPOND;
	size_t at = 1;
	for (unsigned number = 0; size - at >= 3 && outcome == LOGIN_RESPOND; number++) {
		uint32_t len = get_be16(data + at + 1);
		uint8_t flags = data[at];
		at += 3;
		len = len < size - at ? len : (uint32_t)(size - at);
		outcome = request(&run, number, flags, data + at, len);
		at += len;
	}
	login_free(run.login);
	check(chap_challenges_count(challenges) == 0);
	return 0;
}
