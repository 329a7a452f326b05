/* The rules of ownership, in the order of the record: nobody's, ours, a peer's. Each gives what to
 * do now, and when to look again if nothing happens until then. */
#include "ownership/decide.h"

#include "base/text.h"

#include <string.h>

#define NEXT_MS        1000  /* the one that a LUN was handed to has it for himself */
#define HEIR_MS        1000  /* likewise the heir of a dead owner */
#define WAITING_MS     500   /* then who has commands waiting does not wait for a candidate */
#define RELEASE_MS     1000  /* an owner out of reach that lives gives back what it does not use */
#define START_MS       5000  /* peers that start with us get to say that they are there */
#define START_TAKES_MS 1500  /* but nobody's commands wait longer for that: BUSY would begin */
#define MOVES_MS       10000 /* so many moves of a LUN on demand in that time: */
#define KEEP_MS        2000  /* who has it then keeps it for so long */
#define READY_MS       3000  /* to have its images open, for one that people choose */
#define FAILS_MS       10000 /* what cannot be served here for so long is given to another one */
#define FAILS_TOO_MS   60000 /* the same, if the one before could not serve it either */

/* ---- members ---- */

static size_t find_gateway(const struct decide_input *input, const char *gateway)
{
	for (size_t i = 0; gateway && gateway[0] && i < input->member_count; i++)
		if (strcmp(input->members[i].gateway, gateway) == 0)
			return i;
	return SIZE_MAX;
}

/* The instance that the record names; SIZE_MAX: superseded, or not known. */
static size_t find_owner(const struct decide_input *input)
{
	const struct owner_record *record = input->record;
	for (size_t i = 0; i < input->member_count; i++)
		if (strcmp(input->members[i].gateway, record->gateway) == 0 &&
		    strcmp(input->members[i].instance, record->instance) == 0)
			return i;
	return SIZE_MAX;
}

static bool can_take(const struct decide_member *member)
{
	return member->takes && member->health == MEMBER_UP;
}

/* The member of that name if it can take, else SIZE_MAX. */
static size_t find_able(const char *gateway, const struct decide_member *members, size_t count)
{
	for (size_t i = 0; gateway && gateway[0] && i < count; i++)
		if (strcmp(members[i].gateway, gateway) == 0 && can_take(&members[i]))
			return i;
	return SIZE_MAX;
}

static size_t find_taker(const struct decide_input *input, const char *gateway)
{
	return find_able(gateway, input->members, input->member_count);
}

/* Rendezvous hashing: everybody computes the same weights, the greatest wins; losing a gateway
 * moves only what it had. FNV-1a over both names, then a finalizer that spreads the last bytes. */
static uint64_t weigh(const char *lun, const char *gateway)
{
	uint64_t hash = 0xcbf29ce484222325;
	for (const char *at = lun; *at; at++)
		hash = (hash ^ (uint8_t)*at) * 0x100000001b3;
	hash *= 0x100000001b3; /* a zero byte between them */
	for (const char *at = gateway; *at; at++)
		hash = (hash ^ (uint8_t)*at) * 0x100000001b3;
	hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
	hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
	return hash ^ (hash >> 31);
}

size_t decide_heir(const char *lun, const struct decide_member *members, size_t member_count)
{
	size_t heir = SIZE_MAX;
	uint64_t heaviest = 0;
	for (size_t i = 0; i < member_count; i++) {
		if (!can_take(&members[i]))
			continue;
		uint64_t weight = weigh(lun, members[i].gateway);
		bool wins = heir == SIZE_MAX || weight > heaviest ||
		            (weight == heaviest &&
		             strcmp(members[i].gateway, members[heir].gateway) < 0);
		if (wins) {
			heir = i;
			heaviest = weight;
		}
	}
	return heir;
}

size_t decide_next(const char *lun, const char *preferred, const struct decide_member *members,
                   size_t member_count)
{
	size_t member = find_able(preferred, members, member_count);
	return member != SIZE_MAX ? member : decide_heir(lun, members, member_count);
}

static size_t heir_of(const struct decide_input *input)
{
	return decide_heir(input->lun, input->members, input->member_count);
}

/* ---- answers ---- */

static struct decision_result simply(enum decision decision, const char *why)
{
	return (struct decision_result){ .decision = decision, .member = SIZE_MAX, .why = why };
}

static struct decision_result hold(uint64_t again_ms, const char *why)
{
	return (struct decision_result){
		.decision = DECIDE_HOLD, .member = SIZE_MAX, .again_ms = again_ms, .why = why
	};
}

static struct decision_result to_member(enum decision decision, size_t member, const char *why)
{
	return (struct decision_result){ .decision = decision, .member = member, .why = why };
}

/* ---- ours ---- */

/* We are being stopped, or are in maintenance. */
static struct decision_result give_away(const struct decide_input *input)
{
	size_t member =
	        decide_next(input->lun, input->preferred, input->members, input->member_count);
	if (member == SIZE_MAX)
		return simply(DECIDE_SERVE, "nobody else can take it");
	return to_member(DECIDE_HAND_OVER, member, "drain");
}

/* Reasons to give a LUN away that the preferred owner may still have when another one has it. */
static const char *lasting_reason(const struct owner_record *record)
{
	static const char *const reasons[] = { DECIDE_ASKED_FOR, DECIDE_FAILED };
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (text_starts(record->why, reasons[i]))
			return reasons[i];
	}
	return NULL;
}

/* The image does not open at this gateway, for example, as it does elsewhere, perhaps. */
static struct decision_result give_up(const struct decide_input *input)
{
	const char *lasting = lasting_reason(input->record);
	bool in_turn = lasting && strcmp(lasting, DECIDE_FAILED) == 0;
	uint64_t gives_ms = input->fails_since_ms + (in_turn ? FAILS_TOO_MS : FAILS_MS);
	struct decision_result result = simply(DECIDE_SERVE, "ours, and cannot be served");
	size_t next = decide_next(input->lun, input->preferred, input->members + 1,
	                          input->member_count - 1);
	if (next == SIZE_MAX)
		return result;
	if (input->now_ms >= gives_ms)
		return to_member(DECIDE_HAND_OVER, next + 1, DECIDE_FAILED);
	result.again_ms = gives_ms;
	return result;
}

/* When its preferred owner gets it back. Not at once what it gave away when a gateway asked that
 * cannot reach it: that one would ask again; nor what it could not serve. But if people choose
 * another one they need not wait for longer than it takes to get ready. */
static uint64_t returns_at_ms(const struct decide_input *input, size_t preferred)
{
	uint64_t since_ms = input->members[preferred].up_since_ms;
	if (input->requested && input->return_after_ms > READY_MS)
		return since_ms + READY_MS;
	if (!input->requested && lasting_reason(input->record) && input->seen_ms > since_ms)
		since_ms = input->seen_ms;
	return since_ms + input->return_after_ms;
}

static struct decision_result decide_ours(const struct decide_input *input)
{
	if (!input->members[0].takes)
		return give_away(input);
	if (input->fails_since_ms)
		return give_up(input);
	size_t member = find_taker(input, input->preferred);
	if (member == SIZE_MAX || member == 0)
		return simply(DECIDE_SERVE, "ours");
	uint64_t returns_ms = returns_at_ms(input, member);
	if (input->now_ms >= returns_ms)
		return to_member(DECIDE_HAND_OVER, member, input->requested ? "request" : "return");
	struct decision_result result = simply(DECIDE_SERVE, "ours until its preferred owner is "
	                                                     "healthy long enough");
	result.again_ms = returns_ms;
	return result;
}

/* ---- a peer's ---- */

static struct decision_result decide_fenced(const struct decide_input *input,
                                            const struct decide_member *owner)
{
	uint64_t everybody_ms = owner->since_ms + HEIR_MS;
	if (!input->members[0].takes)
		return hold(0, "its owner is gone, and this gateway takes nothing");
	if (input->commands_wait || heir_of(input) == 0 || input->now_ms >= everybody_ms)
		return simply(DECIDE_TAKE, "take-over");
	return hold(everybody_ms, "its owner is gone, and another gateway is its heir");
}

static struct decision_result decide_peers(const struct decide_input *input)
{
	static const struct {
		enum decision decision;
		const char *why;
	} rules[] = {
		[MEMBER_ABSENT] = { DECIDE_HOLD, "its owner is gone and not fenced yet" },
		[MEMBER_CONNECTING] = { DECIDE_HOLD, "its owner is being connected" },
		[MEMBER_UP] = { DECIDE_FORWARD, "forwarded to its owner" },
		[MEMBER_SUSPECT] = { DECIDE_HOLD, "its owner does not answer" },
		[MEMBER_UNREACHABLE] = { DECIDE_UNAVAILABLE,
		                         "its owner lives, but cannot be reached from here" },
	};
	size_t owner = find_owner(input);
	if (owner == SIZE_MAX)
		return hold(0, rules[MEMBER_ABSENT].why);
	const struct decide_member *member = &input->members[owner];
	if (member->health == MEMBER_FENCED)
		return decide_fenced(input, member);
	/* Who waits would take another path, or give up if it has none. */
	uint64_t released_ms = member->since_ms + RELEASE_MS;
	if (member->health == MEMBER_UNREACHABLE && input->now_ms < released_ms)
		return hold(released_ms, "its owner lives, and may give it back");
	return to_member(rules[member->health].decision, owner, rules[member->health].why);
}

static struct decision_result decide_active(const struct decide_input *input)
{
	const struct decide_member *own = &input->members[0];
	if (strcmp(input->record->gateway, own->gateway) != 0)
		return decide_peers(input);
	if (strcmp(input->record->instance, own->instance) == 0)
		return decide_ours(input);
	if (own->takes)
		return simply(DECIDE_TAKE, "restart");
	return hold(0, "it was ours, and this gateway takes nothing");
}

/* ---- nobody's ---- */

/* Who should take it. SIZE_MAX: nobody can, or it is not known yet; then *ret_until_ms says until
 * when that may change by itself (0: by events only). */
static size_t find_candidate(const struct decide_input *input, uint64_t *ret_until_ms)
{
	*ret_until_ms = 0;
	uint64_t next_until_ms = input->seen_ms + NEXT_MS;
	size_t next = find_taker(input, input->record->next);
	if (next != SIZE_MAX && input->now_ms < next_until_ms) {
		*ret_until_ms = next_until_ms;
		return next;
	}
	size_t preferred = find_taker(input, input->preferred);
	if (preferred != SIZE_MAX)
		return preferred;
	size_t member = find_gateway(input, input->preferred);
	bool may_come = input->preferred && input->preferred[0] &&
	                (member == SIZE_MAX || input->members[member].health == MEMBER_ABSENT ||
	                 input->members[member].health == MEMBER_CONNECTING);
	if (may_come && input->now_ms < input->start_ms + START_MS) {
		*ret_until_ms = input->start_ms + START_MS;
		return SIZE_MAX;
	}
	return heir_of(input);
}

static uint64_t sooner(uint64_t a_ms, uint64_t b_ms)
{
	if (!a_ms || !b_ms)
		return a_ms ? a_ms : b_ms;
	return a_ms < b_ms ? a_ms : b_ms;
}

static struct decision_result decide_free(const struct decide_input *input)
{
	uint64_t until_ms;
	size_t candidate = find_candidate(input, &until_ms);
	bool is_next = strcmp(input->record->next, input->members[0].gateway) == 0;
	const char *lasting = lasting_reason(input->record);
	if (candidate == 0)
		return simply(DECIDE_TAKE, !is_next ? "start" : lasting ? lasting : "hand-over");
	if (!input->members[0].takes)
		return hold(0, "nobody's, and this gateway takes nothing");
	const char *why = candidate == SIZE_MAX ? "its preferred owner may be starting"
	                                        : "another gateway is about to take it";
	if (!input->commands_wait)
		return hold(until_ms, why);
	uint64_t ours_ms = input->seen_ms + (candidate == SIZE_MAX ? START_TAKES_MS : WAITING_MS);
	if (input->now_ms >= ours_ms)
		return simply(DECIDE_TAKE, "start");
	return hold(sooner(until_ms, ours_ms), why);
}

/* ---- on demand: beside upstream gateways ---- */

void demand_note_move(struct demand_moves *moves, uint64_t now_ms)
{
	memmove(&moves->at_ms[1], &moves->at_ms[0], sizeof moves->at_ms - sizeof moves->at_ms[0]);
	moves->at_ms[0] = now_ms;
}

uint64_t demand_keep_until_ms(const struct demand_moves *moves, uint64_t now_ms)
{
	uint64_t oldest_ms = moves->at_ms[DEMAND_MOVES - 1], until_ms = moves->at_ms[0] + KEEP_MS;
	bool often = oldest_ms && moves->at_ms[0] - oldest_ms < MOVES_MS;
	return often && now_ms < until_ms ? until_ms : 0;
}

/* No living gateway of ours has it. An upstream one may. */
static struct decision_result decide_offered(const struct decide_input *input)
{
	uint64_t until_ms = demand_keep_until_ms(input->on_demand, input->now_ms);
	if (!input->members[0].takes)
		return simply(DECIDE_STAND_BY, "this gateway takes nothing");
	if (until_ms) {
		struct decision_result result = simply(DECIDE_KEEP_OFF, "it moves too often");
		result.again_ms = until_ms;
		return result;
	}
	return input->commands_wait ? simply(DECIDE_TAKE, "demand")
	                            : simply(DECIDE_OFFER, "on demand");
}

/* Nobody has it for longer than initiators want it there: it neither returns to the preferred owner
 * nor goes to an heir. Among ours the record holds as ever. */
static struct decision_result decide_on_demand(const struct decide_input *input)
{
	const struct owner_record *record = input->record;
	if (record->state != OWNER_ACTIVE)
		return decide_offered(input);
	if (strcmp(record->gateway, input->members[0].gateway) == 0) {
		bool ours = input->serves && input->members[0].takes &&
		            strcmp(record->instance, input->members[0].instance) == 0;
		return ours ? simply(DECIDE_SERVE, "ours") : decide_offered(input);
	}
	size_t owner = find_owner(input);
	if (owner != SIZE_MAX && input->members[owner].health == MEMBER_FENCED)
		return decide_offered(input);
	return decide_peers(input);
}

void decide(const struct decide_input *input, struct decision_result *ret_result)
{
	if (input->on_demand)
		*ret_result = decide_on_demand(input);
	else if (input->record->state == OWNER_ACTIVE)
		*ret_result = decide_active(input);
	else
		*ret_result = decide_free(input);
}
