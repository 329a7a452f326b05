/* The PDUs of a login: headers are checked, texts are collected over C-bit chains and handed to the
 * steps, answers go out in pieces that the initiator can take. [RFC 7143 6.3, 11.12, 11.13] */
#include "iscsi/login.h"

#include "iscsi/login_state.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* The answer's string doubles: while it grows, the half of it is there, too. */
_Static_assert(sizeof(struct login) + LOGIN_TEXT_MAX + KEYS_ANSWERS_ROOM / 2 * 3 <=
                       LOGIN_MEMORY_MAX,
               "object, collected text and answer together");

int login_new(const struct login_environment *environment, struct login **ret_login)
{
	AUTO(login) struct login *login = calloc(1, sizeof(*login));
	uint8_t stat_sn[4];
	if (!login)
		return -ENOMEM;
	login->environment = *environment;
	login->chap.challenges = environment->challenges;
	keys_start(&login->keys);
	int r = environment->random_bytes(environment->argument, stat_sn, sizeof(stat_sn));
	if (r < 0)
		return r;
	login->result.stat_sn = get_be32(stat_sn);
	r = portal_address_parse(environment->local_address, &login->local);
	if (r < 0)
		return r;
	*ret_login = steal(&login);
	return 0;
}

void login_free(struct login *login)
{
	if (!login)
		return;
	chap_done(&login->chap);
	string_clear(&login->answers);
	free(login->text);
	wipe(login, sizeof(*login));
	free(login);
}

const struct login_result *login_result(const struct login *login)
{
	return &login->result;
}

enum login_status login_failure(const struct login *login, const char **ret_why)
{
	*ret_why = login->why;
	return login->failure;
}

const char *login_target_name(const struct login *login)
{
	return login->target_name;
}

/* ---- responses ---- */

static void start_response(const struct login *login, uint8_t flags,
                           struct login_response *ret_response)
{
	*ret_response = (struct login_response){ 0 };
	pdu_start(ret_response->bhs, PDU_LOGIN_RESPONSE, flags, login->itt);
}

static void put_session(struct login *login, uint16_t tsih, uint32_t exp_cmd_sn,
                        uint32_t max_cmd_sn, uint8_t *bhs)
{
	memcpy(bhs + BHS_ISID, login->result.isid, sizeof(login->result.isid));
	put_be16(bhs + BHS_TSIH, tsih);
	pdu_put_sn(bhs, login->result.stat_sn++, exp_cmd_sn, max_cmd_sn);
}

static uint32_t answer_left(const struct login *login)
{
	return (uint32_t)(login->answers.len - login->answers_sent);
}

/* The data of a response: the next piece of the answer. */
static void put_piece(struct login *login, uint32_t len, struct login_response *ret_response)
{
	if (len) {
		ret_response->data = (const uint8_t *)login->answers.text + login->answers_sent;
		ret_response->data_len = len;
		login->answers_sent += len;
	}
	pdu_put_data_len(ret_response->bhs, len);
}

/* As LIO answers: all of the header is zero but tag and status. Text goes along only where it names
 * the key that was at fault. */
static enum login_outcome refuse(struct login *login, struct login_response *ret_response)
{
	login->wait = WAIT_NOTHING;
	start_response(login, 0, ret_response);
	put_be16(ret_response->bhs + BHS_STATUS_CLASS, (uint16_t)login->failure);
	if (login->blames_key)
		put_piece(login, answer_left(login), ret_response);
	return LOGIN_RESPOND_AND_CLOSE;
}

static enum login_outcome close_silently(struct login *login, const char *why)
{
	login_fail(login, LOGIN_SUCCESS, "%s", why);
	login->wait = WAIT_NOTHING;
	return LOGIN_CLOSE;
}

static enum login_outcome respond(struct login *login, uint8_t flags, uint32_t len,
                                  struct login_response *ret_response)
{
	start_response(login, flags, ret_response);
	put_session(login, login->result.requested_tsih, login->result.cmd_sn, login->result.cmd_sn,
	            ret_response->bhs);
	put_piece(login, len, ret_response);
	return LOGIN_RESPOND;
}

static enum login_outcome finish(struct login *login)
{
	const struct iscsi_controls *controls =
	        login->result.target ? &login->result.target->controls : keys_discovery_controls();
	login->result.values = keys_finish(&login->keys);
	login->result.send_limit = keys_send_limit(&login->result.values, controls);
	login->wait = WAIT_ADMISSION;
	return LOGIN_ADMIT;
}

/* Sends what there is to send; with the last piece goes the step to the next stage, if the request
 * asked for it. */
static enum login_outcome send_answer(struct login *login, struct login_response *ret_response)
{
	uint32_t room = login->keys.values.initiator_segment;
	room = room < LOGIN_DATA_MAX ? room : LOGIN_DATA_MAX;
	uint8_t stages = FLAG_STAGES(login->stage, 0);
	if (answer_left(login) > room)
		return respond(login, FLAG_CONTINUE | stages, room, ret_response);

	bool leaves = login->flags & FLAG_TRANSIT &&
	              (login->stage == STAGE_OPERATIONAL || login_is_authenticated(login));
	if (!leaves)
		return respond(login, stages, answer_left(login), ret_response);
	enum login_stage next = (enum login_stage)FLAG_NSG(login->flags);
	if (next == STAGE_FULL_FEATURE)
		return finish(login);
	stages = FLAG_STAGES(login->stage, next);
	login->stage = next;
	return respond(login, FLAG_TRANSIT | stages, answer_left(login), ret_response);
}

/* ---- requests ---- */

static const char *close_reason(const struct login *login, const uint8_t *bhs)
{
	if (login->wait != WAIT_REQUEST)
		return "a request that nobody waits for";
	if (pdu_opcode(bhs) != PDU_LOGIN)
		return "not a login request";
	if (pdu_ahs_len(bhs) || pdu_data_len(bhs) > LOGIN_DATA_MAX)
		return "a login request with AHS or more than 8192 bytes";
	if (login->pdu_count == LOGIN_PDUS_MAX)
		return "too many login requests";
	return NULL;
}

static enum login_status check_flags(struct login *login, const uint8_t *bhs)
{
	uint8_t flags = bhs[BHS_FLAGS];
	unsigned csg = FLAG_CSG(flags), nsg = FLAG_NSG(flags);
	bool stage_ok = login->pdu_count == 0 ? csg <= STAGE_OPERATIONAL : csg == login->stage;
	if (!stage_ok)
		return login_fail(login, LOGIN_INITIATOR_ERROR, "wrong stage");
	if (flags & FLAG_TRANSIT && (flags & FLAG_CONTINUE || nsg <= csg || nsg == 2))
		return login_fail(login, LOGIN_INITIATOR_ERROR, "illegal T, C and NSG");
	return LOGIN_SUCCESS;
}

static void take_first_header(struct login *login, const uint8_t *bhs)
{
	struct login_result *result = &login->result;
	memcpy(result->isid, bhs + BHS_ISID, sizeof(result->isid));
	result->requested_tsih = get_be16(bhs + BHS_TSIH);
	result->cid = get_be16(bhs + BHS_CID);
	result->cmd_sn = get_be32(bhs + BHS_CMD_SN);
	login->itt = pdu_itt(bhs);
	login->stage = (enum login_stage)FLAG_CSG(bhs[BHS_FLAGS]);
}

/* What may not change from request to request. */
static bool is_same_login(const struct login *login, const uint8_t *bhs)
{
	return memcmp(login->result.isid, bhs + BHS_ISID, sizeof(login->result.isid)) == 0 &&
	       get_be16(bhs + BHS_TSIH) == login->result.requested_tsih &&
	       get_be16(bhs + BHS_CID) == login->result.cid && pdu_itt(bhs) == login->itt;
}

static enum login_status take_header(struct login *login, const uint8_t *bhs)
{
	if (login->pdu_count == 0)
		login->itt = pdu_itt(bhs); /* also a refusal carries it */
	if (bhs[BHS_VERSION_MIN] > 0)
		return login_fail(login, LOGIN_UNSUPPORTED_VERSION, "version %u and up",
		                  bhs[BHS_VERSION_MIN]);
	enum login_status status = check_flags(login, bhs);
	if (status != LOGIN_SUCCESS)
		return status;
	if (login->pdu_count == 0)
		take_first_header(login, bhs);
	else if (!is_same_login(login, bhs))
		return login_fail(login, LOGIN_INITIATOR_ERROR, "ISID, TSIH, CID or tag changed");
	login->pdu_count++;
	login->flags = bhs[BHS_FLAGS];
	return LOGIN_SUCCESS;
}

/* A chain gets all that it may need at once: growing would need both sizes for a moment. */
static size_t room_for_text(const uint8_t *bhs)
{
	return bhs[BHS_FLAGS] & FLAG_CONTINUE ? LOGIN_TEXT_MAX : pdu_data_len(bhs);
}

uint8_t *login_place(struct login *login, const uint8_t *bhs)
{
	uint32_t len = pdu_data_len(bhs);

	login->placed = 0;
	if (login->wait != WAIT_REQUEST || len == 0 || len > LOGIN_TEXT_MAX)
		return NULL;
	if (!login->text) {
		login->text = malloc(room_for_text(bhs));
		login->text_room = login->text ? room_for_text(bhs) : 0;
	}
	if (len > login->text_room - login->text_len)
		return NULL;
	login->placed = len;
	return (uint8_t *)login->text + login->text_len;
}

/* The data of the request joins the text. */
static enum login_status collect(struct login *login, const uint8_t *bhs)
{
	uint32_t len = pdu_data_len(bhs);

	if (len > LOGIN_TEXT_MAX - login->text_len)
		return login_fail(login, LOGIN_INITIATOR_ERROR, "more than %u bytes of text",
		                  LOGIN_TEXT_MAX);
	if (login->placed != len)
		return login_fail(login, LOGIN_OUT_OF_RESOURCES, "out of memory");
	login->text_len += len;
	login->placed = 0;
	return LOGIN_SUCCESS;
}

static void drop_text(struct login *login)
{
	free(login->text);
	login->text = NULL;
	login->text_len = login->text_room = 0;
	login->placed = 0;
}

static enum login_outcome after_step(struct login *login, enum login_step step,
                                     struct login_response *ret_response)
{
	if (step == STEP_WAIT) {
		login->wait = WAIT_READY;
		return LOGIN_WAIT_READY;
	}
	drop_text(login);
	login->wait = WAIT_REQUEST;
	return step == STEP_DONE ? send_answer(login, ret_response) : refuse(login, ret_response);
}

/* A text that is whole. */
static enum login_outcome take_text(struct login *login, struct login_response *ret_response)
{
	const struct text_block block = { login->text, login->text_len };
	string_clear(&login->answers);
	login->answers_sent = 0;
	return after_step(login, login_take_text(login, &block), ret_response);
}

enum login_outcome login_request(struct login *login, const uint8_t *bhs,
                                 struct login_response *ret_response)
{
	const char *reason = close_reason(login, bhs);
	if (reason)
		return close_silently(login, reason);
	if (take_header(login, bhs) != LOGIN_SUCCESS)
		return refuse(login, ret_response);
	if (answer_left(login)) { /* our C bit: the initiator asks for the rest */
		if (pdu_data_len(bhs) == 0 && !(login->flags & FLAG_CONTINUE))
			return send_answer(login, ret_response);
		login_fail(login, LOGIN_INITIATOR_ERROR, "text before our answer was complete");
		return refuse(login, ret_response);
	}
	if (collect(login, bhs) != LOGIN_SUCCESS)
		return refuse(login, ret_response);
	if (login->flags & FLAG_CONTINUE)
		return respond(login, FLAG_STAGES(login->stage, 0), 0, ret_response);
	return take_text(login, ret_response);
}

enum login_outcome login_resume(struct login *login, const struct iscsi_config *config,
                                struct login_response *ret_response)
{
	assert(login->wait == WAIT_READY);
	const struct text_block block = { login->text, login->text_len };
	login->environment.config = config;
	login->result.target = NULL;
	return after_step(login, login_take_text_again(login, &block), ret_response);
}

enum login_outcome login_admit(struct login *login, const struct login_admission *admission,
                               struct login_response *ret_response)
{
	assert(login->wait == WAIT_ADMISSION);
	if (admission->status != LOGIN_SUCCESS) {
		login_fail(login, admission->status, "the session could not be made");
		return refuse(login, ret_response);
	}
	login->wait = WAIT_NOTHING;
	start_response(login, FLAG_TRANSIT | FLAG_STAGES(login->stage, STAGE_FULL_FEATURE),
	               ret_response);
	put_session(login, admission->tsih, admission->exp_cmd_sn, admission->max_cmd_sn,
	            ret_response->bhs);
	put_piece(login, answer_left(login), ret_response);
	return LOGIN_COMPLETE;
}
