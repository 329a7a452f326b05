/* Text and proofs of the handshake. */
#include "interconnect/handshake.h"

#include "base/text.h"
#include "iscsi/text.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>

#define PROOF_INPUT_MAX (256 + 4 * (2 + INTERCONNECT_NAME_MAX))

int handshake_party_init(struct handshake_party *party, const char *gateway, const char *instance)
{
	if (!*gateway || strlen(gateway) >= sizeof(party->gateway) || !*instance ||
	    strlen(instance) >= sizeof(party->instance))
		return -EINVAL;
	memset(party, 0, sizeof(*party));
	strcpy(party->gateway, gateway);
	strcpy(party->instance, instance);
	party->version_min = INTERCONNECT_VERSION_MIN;
	party->version_max = INTERCONNECT_VERSION_MAX;
	return RAND_bytes(party->nonce, sizeof(party->nonce)) == 1 ? 0 : -EIO;
}

/* ---- text ---- */

static uint32_t put_pair(char *text, uint32_t at, const char *key, const char *value)
{
	int len = snprintf(text + at, HANDSHAKE_TEXT_MAX - at, "%s=%s", key, value);
	assert(len > 0 && at + (uint32_t)len + 1 <= HANDSHAKE_TEXT_MAX);
	return at + (uint32_t)len + 1;
}

static uint32_t put_bytes(char *text, uint32_t at, const char *key, const uint8_t *bytes)
{
	char hex[2 + 2 * HANDSHAKE_NONCE_BYTES + 1] = "0x";
	text_put_hex(bytes, HANDSHAKE_NONCE_BYTES, hex + 2);
	return put_pair(text, at, key, hex);
}

static int block_of(const struct handshake_pdu *pdu, struct text_block *ret_block)
{
	uint32_t len = pdu_data_len(pdu->bhs);
	if (len > HANDSHAKE_TEXT_MAX)
		return -EINVAL;
	*ret_block = (struct text_block){ pdu->text, len };
	return text_block_check(ret_block);
}

static int take_name(const struct text_block *block, const char *key, char *ret_name, size_t size)
{
	struct text_slice value;
	if (!text_block_find(block, key, &value) || value.len == 0)
		return -EINVAL;
	return text_slice_copy(value, ret_name, size) < 0 ? -EINVAL : 0;
}

/* A nonce or a proof: both have 32 bytes. */
static int take_bytes(const struct text_block *block, const char *key, uint8_t *ret_bytes)
{
	struct text_slice value;
	size_t len = 0;
	if (!text_block_find(block, key, &value) ||
	    text_slice_binary(value, ret_bytes, HANDSHAKE_NONCE_BYTES, &len) < 0 ||
	    len != HANDSHAKE_NONCE_BYTES)
		return -EINVAL;
	return 0;
}
_Static_assert(HANDSHAKE_NONCE_BYTES == HANDSHAKE_PROOF_BYTES, "take_bytes and put_bytes");

/* ---- proofs ---- */

static size_t add_bytes(uint8_t *input, size_t at, const void *bytes, size_t len)
{
	assert(at + 2 + len <= PROOF_INPUT_MAX);
	put_be16(input + at, (uint16_t)len);
	memcpy(input + at + 2, bytes, len);
	return at + 2 + len;
}

static int make_proof(const struct handshake *handshake, const uint8_t *secret,
                      enum handshake_role role, uint8_t *ret_proof)
{
	static const char *const labels[] = {
		[HANDSHAKE_ORIGIN] = "rbdgate interconnect: origin",
		[HANDSHAKE_OWNER] = "rbdgate interconnect: owner",
	};
	uint8_t input[PROOF_INPUT_MAX], numbers[9];
	size_t len = add_bytes(input, 0, labels[role], strlen(labels[role]));

	for (unsigned i = 0; i < HANDSHAKE_ROLE_COUNT; i++) {
		const struct handshake_party *party = &handshake->party[i];
		len = add_bytes(input, len, party->gateway, strlen(party->gateway));
		len = add_bytes(input, len, party->instance, strlen(party->instance));
		len = add_bytes(input, len, party->nonce, sizeof(party->nonce));
		numbers[2 * i] = party->version_min;
		numbers[2 * i + 1] = party->version_max;
	}
	numbers[4] = handshake->version;
	put_be32(numbers + 5, handshake->reactor);
	len = add_bytes(input, len, numbers, sizeof(numbers));
	unsigned proof_len = 0;
	if (!HMAC(EVP_sha256(), secret, INTERCONNECT_SECRET_BYTES, input, len, ret_proof,
	          &proof_len))
		return -EIO;
	assert(proof_len == HANDSHAKE_PROOF_BYTES);
	return 0;
}

static int check_proof(const struct text_block *block, const struct handshake *handshake,
                       const uint8_t *secret, enum handshake_role role)
{
	uint8_t proof[HANDSHAKE_PROOF_BYTES], right[HANDSHAKE_PROOF_BYTES];
	int r = take_bytes(block, "Proof", proof);
	if (r == 0)
		r = make_proof(handshake, secret, role, right);
	if (r < 0)
		return r;
	return CRYPTO_memcmp(proof, right, sizeof(right)) == 0 ? 0 : -EACCES;
}

/* ---- the four PDUs ---- */

void handshake_put_hello(const struct handshake *handshake, struct handshake_pdu *ret_pdu)
{
	const struct handshake_party *origin = &handshake->party[HANDSHAKE_ORIGIN];
	const struct handshake_party *owner = &handshake->party[HANDSHAKE_OWNER];
	char *text = ret_pdu->text, reactor[16];

	pdu_start(ret_pdu->bhs, PDU_LOGIN, FLAG_STAGES(STAGE_SECURITY, STAGE_SECURITY), 0);
	ret_pdu->bhs[BHS_OPCODE] |= PDU_IMMEDIATE;
	ret_pdu->bhs[BHS_VERSION_MIN] = origin->version_min;
	ret_pdu->bhs[BHS_VERSION_MAX] = origin->version_max;
	(void)snprintf(reactor, sizeof(reactor), "%u", handshake->reactor);
	uint32_t len = put_pair(text, 0, "Gateway", origin->gateway);
	len = put_pair(text, len, "Instance", origin->instance);
	len = put_pair(text, len, "Peer", owner->gateway);
	len = put_pair(text, len, "PeerInstance", owner->instance);
	len = put_pair(text, len, "Reactor", reactor);
	len = put_bytes(text, len, "Nonce", origin->nonce);
	pdu_put_data_len(ret_pdu->bhs, len);
}

int handshake_take_hello(const struct handshake_pdu *pdu, struct handshake *ret_handshake)
{
	struct handshake handshake = { 0 };
	struct handshake_party *origin = &handshake.party[HANDSHAKE_ORIGIN];
	struct handshake_party *owner = &handshake.party[HANDSHAKE_OWNER];
	struct text_block block;
	struct text_slice value;
	uint64_t reactor = 0;
	int r = pdu_opcode(pdu->bhs) == PDU_LOGIN ? block_of(pdu, &block) : -EINVAL;

	if (r == 0)
		r = take_name(&block, "Gateway", origin->gateway, sizeof(origin->gateway));
	if (r == 0)
		r = take_name(&block, "Instance", origin->instance, sizeof(origin->instance));
	if (r == 0)
		r = take_name(&block, "Peer", owner->gateway, sizeof(owner->gateway));
	if (r == 0)
		r = take_name(&block, "PeerInstance", owner->instance, sizeof(owner->instance));
	if (r == 0)
		r = take_bytes(&block, "Nonce", origin->nonce);
	if (r == 0 && (!text_block_find(&block, "Reactor", &value) ||
	               text_slice_number(value, 0, HANDSHAKE_REACTOR_MAX, &reactor) < 0))
		r = -EINVAL;
	if (r < 0)
		return r;
	origin->version_min = pdu->bhs[BHS_VERSION_MIN];
	origin->version_max = pdu->bhs[BHS_VERSION_MAX];
	handshake.reactor = (uint32_t)reactor;
	*ret_handshake = handshake;
	return 0;
}

uint8_t handshake_choose_version(const struct handshake *handshake)
{
	const struct handshake_party *a = &handshake->party[HANDSHAKE_ORIGIN];
	const struct handshake_party *b = &handshake->party[HANDSHAKE_OWNER];
	uint8_t min = a->version_min > b->version_min ? a->version_min : b->version_min;
	uint8_t max = a->version_max < b->version_max ? a->version_max : b->version_max;
	return min <= max ? max : 0;
}

int handshake_put_answer(const struct handshake *handshake, const uint8_t *secret,
                         struct handshake_pdu *ret_pdu)
{
	const struct handshake_party *owner = &handshake->party[HANDSHAKE_OWNER];
	uint8_t proof[HANDSHAKE_PROOF_BYTES];
	int r = make_proof(handshake, secret, HANDSHAKE_OWNER, proof);
	if (r < 0)
		return r;
	pdu_start(ret_pdu->bhs, PDU_LOGIN_RESPONSE, FLAG_STAGES(STAGE_SECURITY, STAGE_SECURITY), 0);
	ret_pdu->bhs[BHS_VERSION_MAX] = owner->version_max;
	ret_pdu->bhs[BHS_VERSION_MIN] = handshake->version; /* Version-active */
	char minimum[8];
	(void)snprintf(minimum, sizeof(minimum), "%u", owner->version_min);
	uint32_t len = put_pair(ret_pdu->text, 0, "Gateway", owner->gateway);
	len = put_pair(ret_pdu->text, len, "Instance", owner->instance);
	len = put_pair(ret_pdu->text, len, "VersionMin", minimum);
	len = put_bytes(ret_pdu->text, len, "Nonce", owner->nonce);
	len = put_bytes(ret_pdu->text, len, "Proof", proof);
	pdu_put_data_len(ret_pdu->bhs, len);
	return 0;
}

static int take_owner(const struct text_block *block, struct handshake_party *ret_owner)
{
	struct text_slice value;
	uint64_t version_min = 0;
	int r = take_name(block, "Gateway", ret_owner->gateway, sizeof(ret_owner->gateway));
	if (r == 0)
		r = take_name(block, "Instance", ret_owner->instance, sizeof(ret_owner->instance));
	if (r == 0)
		r = take_bytes(block, "Nonce", ret_owner->nonce);
	if (r == 0 && (!text_block_find(block, "VersionMin", &value) ||
	               text_slice_number(value, 0, UINT8_MAX, &version_min) < 0))
		r = -EINVAL;
	ret_owner->version_min = (uint8_t)version_min;
	return r;
}

int handshake_take_answer(const struct handshake_pdu *pdu, const uint8_t *secret,
                          struct handshake *handshake)
{
	const struct handshake_party *wanted = &handshake->party[HANDSHAKE_OWNER];
	struct handshake_party owner = { .version_max = pdu->bhs[BHS_VERSION_MAX] };
	struct text_block block;
	int r = block_of(pdu, &block);

	if (r == 0)
		r = take_owner(&block, &owner);
	if (r < 0)
		return r;
	if (strcmp(owner.gateway, wanted->gateway) != 0 ||
	    strcmp(owner.instance, wanted->instance) != 0)
		return -ENODEV;
	handshake->party[HANDSHAKE_OWNER] = owner;
	handshake->version = pdu->bhs[BHS_VERSION_MIN];
	if (handshake->version == 0 || handshake->version != handshake_choose_version(handshake))
		return -EPROTONOSUPPORT;
	return check_proof(&block, handshake, secret, HANDSHAKE_OWNER);
}

int handshake_put_proof(const struct handshake *handshake, const uint8_t *secret, bool resume,
                        uint32_t exp_stat_sn, struct handshake_pdu *ret_pdu)
{
	uint8_t proof[HANDSHAKE_PROOF_BYTES];
	int r = make_proof(handshake, secret, HANDSHAKE_ORIGIN, proof);
	if (r < 0)
		return r;
	uint8_t flags = FLAG_TRANSIT | FLAG_STAGES(STAGE_SECURITY, STAGE_FULL_FEATURE);
	pdu_start(ret_pdu->bhs, PDU_LOGIN, flags, 0);
	ret_pdu->bhs[BHS_OPCODE] |= PDU_IMMEDIATE;
	ret_pdu->bhs[BHS_VERSION_MIN] = handshake->version;
	ret_pdu->bhs[BHS_VERSION_MAX] = handshake->version;
	put_be32(ret_pdu->bhs + BHS_EXP_STAT_SN, exp_stat_sn);
	uint32_t len = put_bytes(ret_pdu->text, 0, "Proof", proof);
	len = put_pair(ret_pdu->text, len, "Resume", resume ? "Yes" : "No");
	pdu_put_data_len(ret_pdu->bhs, len);
	return 0;
}

int handshake_take_proof(const struct handshake_pdu *pdu, const struct handshake *handshake,
                         const uint8_t *secret, bool *ret_resume, uint32_t *ret_exp_stat_sn)
{
	struct text_block block;
	struct text_slice value;
	int r = pdu_opcode(pdu->bhs) == PDU_LOGIN ? block_of(pdu, &block) : -EINVAL;

	if (r == 0 &&
	    (!(pdu->bhs[BHS_FLAGS] & FLAG_TRANSIT) || !text_block_find(&block, "Resume", &value) ||
	     (!text_slice_is(value, "Yes") && !text_slice_is(value, "No"))))
		r = -EINVAL;
	if (r == 0)
		r = check_proof(&block, handshake, secret, HANDSHAKE_ORIGIN);
	if (r < 0)
		return r;
	*ret_resume = text_slice_is(value, "Yes");
	*ret_exp_stat_sn = get_be32(pdu->bhs + BHS_EXP_STAT_SN);
	return 0;
}

void handshake_put_refusal(enum login_status status, struct handshake_pdu *ret_pdu)
{
	pdu_start(ret_pdu->bhs, PDU_LOGIN_RESPONSE, FLAG_STAGES(STAGE_SECURITY, STAGE_SECURITY), 0);
	put_be16(ret_pdu->bhs + BHS_STATUS_CLASS, (uint16_t)status);
}
