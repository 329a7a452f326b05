/* Asks decide() about each disk, and makes an order of the answer. What happens to one disk leads
 * to a decision about that disk; about all of them it is decided when gateways change, and as time
 * goes by. */
#include "target/owners_private.h"

#include "base/array.h"
#include "target/disk_set.h"
#include "target/hung.h"
#include "target/look.h"

#include <stdio.h>
#include <string.h>

#define LEAVE_MS  10000 /* without a LUN that could be given away: nobody takes the rest */
#define MOVES_MAX 1     /* at a time: initiators of each wait for its own move only */
#define MOVE_MS   1000  /* one that takes longer does not keep the others */
#define REST_MS   50    /* at most, from one to the next */
#define YIELD_MS  5000  /* what was given to one who asked is not taken back at once */

/* ---- members as decide() wants them ---- */

struct roll {
	struct decide_member *rows;
	struct called {
		bool takes; /* any LUN; rows say it of the one that call_for() was about */
		const struct member *member; /* of this gateway, the first one: NULL */
	} * called;
	size_t count;
};

static void roll_done(struct roll *roll)
{
	free(roll->rows);
	free(roll->called);
}
#define AUTO_ROLL __attribute__((cleanup(roll_done)))

/* Who says that its storage makes no progress is given nothing, even if it has answered since; but
 * if none is made here either, that says nothing. */
static bool may_take(const struct owners *owners, const struct member *member)
{
	return member->current && member->state == GATEWAY_UP && !member->maintenance &&
	       !member->cautious && (!member->stalled || owners->members.stalled);
}

static void describe_own(const struct owners *owners, struct decide_member *row)
{
	(void)snprintf(row->gateway, sizeof row->gateway, "%s", owners->config.gateway);
	(void)snprintf(row->instance, sizeof row->instance, "%s",
	               registration_instance(owners->registration));
	row->health = MEMBER_UP;
	row->takes = !owners->leaving && !owners->members.maintenance;
	row->up_since_ms = owners->start_ms;
}

static void describe(const struct owners *owners, const struct member *member,
                     struct decide_member *row)
{
	memcpy(row->gateway, member->gateway, sizeof row->gateway);
	memcpy(row->instance, member->instance, sizeof row->instance);
	row->health = member->health;
	row->takes = may_take(owners, member);
	row->up_since_ms = member->up_since_ms;
	row->since_ms = member->since_ms;
}

/* NULL is this gateway. False: no memory. */
static bool call(const struct owners *owners, struct roll *roll, const struct member *member)
{
	if (!array_grow(&roll->rows, roll->count) || !array_grow(&roll->called, roll->count))
		return false;
	struct decide_member *row = &roll->rows[roll->count];
	*row = (struct decide_member){ 0 };
	if (member)
		describe(owners, member, row);
	else
		describe_own(owners, row);
	roll->called[roll->count++] = (struct called){ row->takes, member };
	return true;
}

/* Without memory nothing can be decided now; the next tick tries again. */
static bool call_roll(const struct owners *owners, struct roll *roll)
{
	const struct member *member;
	*roll = (struct roll){ 0 };
	bool all = call(owners, roll, NULL);
	list_for_each (member, &owners->members.list, link)
		all = all && call(owners, roll, member);
	return all;
}

/* Unless it is certain that no other gateway is there, or was since this one is: then sessions of
 * its initiators, and what they have reserved, did not all end at once. */
static bool others_up(const struct owners *owners, const struct roll *roll)
{
	if (owners->members.company)
		return true;
	for (size_t i = 1; i < roll->count; i++) {
		enum member_health health = roll->rows[i].health;
		if (health != MEMBER_ABSENT && health != MEMBER_FENCED)
			return true;
	}
	return false;
}

/* One that can take LUNs, or will say soon. Not who says that it cannot: if all who are cautious
 * waited for each other, nobody would take any. */
static bool others_take(const struct roll *roll)
{
	for (size_t i = 1; i < roll->count; i++) {
		const struct decide_member *row = &roll->rows[i];
		const struct member *member = roll->called[i].member;
		if (row->takes && row->health != MEMBER_ABSENT && row->health != MEMBER_FENCED &&
		    !member->condemned && !member->stalled)
			return true;
	}
	return false;
}

/* A gateway has the disks of its own targets only. */
static bool has_disk(const char *gateway, const struct plan_disk *wanted)
{
	for (size_t i = 0; i < wanted->group_count; i++) {
		if (strcmp(wanted->groups[i].gateway, gateway) == 0)
			return true;
	}
	return false;
}

static void call_for(const struct owners *owners, struct roll *roll, const struct plan_disk *wanted)
{
	for (size_t i = 1; i < roll->count; i++)
		roll->rows[i].takes =
		        roll->called[i].takes && has_disk(roll->rows[i].gateway, wanted);
	roll->rows[0].takes =
	        roll->called[0].takes && !(owners->hung.cautious && others_take(roll));
}

/* For itself. What is on demand stays so while this gateway is being stopped, until its sessions
 * have ended: an initiator without another path goes on to write. */
static void call_for_own(const struct owners *owners, struct roll *roll,
                         const struct plan_disk *wanted, bool on_demand)
{
	call_for(owners, roll, wanted);
	if (on_demand && owners->leaving)
		roll->rows[0].takes = !owners->members.maintenance;
}

/* Another one would take that LUN. */
static bool has_heir(const struct owners *owners, struct roll *roll, const struct plan_disk *wanted)
{
	call_for(owners, roll, wanted);
	roll->rows[0].takes = false;
	return decide_heir(wanted->name, roll->rows, roll->count) != SIZE_MAX;
}

static bool any_has_heir(const struct owners *owners, struct roll *roll)
{
	const struct plan *plan = owners->config.disks->plan;
	for (size_t i = 0; plan && i < plan->disk_count; i++) {
		if (has_heir(owners, roll, &plan->disks[i]))
			return true;
	}
	return false;
}

bool owners_find_taker(const struct owners *owners, const struct plan_disk *wanted,
                       char ret_gateway[GATEWAY_NAME_MAX])
{
	AUTO_ROLL struct roll roll;
	if (!call_roll(owners, &roll))
		return false;
	call_for(owners, &roll, wanted);
	size_t taker = 0;
	if (!roll.rows[0].takes)
		taker = owners_on_demand(owners, wanted)
		                ? SIZE_MAX
		                : decide_next(wanted->name, wanted->preferred, roll.rows,
		                              roll.count);
	if (taker == SIZE_MAX)
		return false;
	memcpy(ret_gateway, roll.rows[taker].gateway, GATEWAY_NAME_MAX);
	return true;
}

static void set_port_groups(struct owners *owners, const struct plan_disk *wanted,
                            struct disk *disk)
{
	struct port_group groups[PORT_GROUPS_MAX];
	disk_set_port_groups(disk, groups, owners_port_groups(owners, wanted, disk, groups));
}

/* ---- orders ---- */

/* An active record whose owner is not there, and was not there when it was looked for later; or is
 * known to be over. */
static void find_past(struct owners *owners, const struct disk *disk)
{
	const struct owner_record *record = disk_record(disk);
	if (record->state != OWNER_ACTIVE || strcmp(record->gateway, owners->config.gateway) == 0)
		return;
	const struct member *member =
	        members_find_instance(&owners->members, record->gateway, record->instance);
	bool over = member && !member->current && member->health != MEMBER_ABSENT;
	if (!over && owners->known_since_ms <= disk_record_seen_ms(disk))
		return;
	/* Each record of one of the past may name another client of it. */
	if (!member || member->health == MEMBER_ABSENT || !member->current)
		members_add_past(&owners->members, record);
}

static struct disk_order order_from(const struct owners *owners,
                                    const struct decision_result *result, const struct roll *roll,
                                    const struct disk *disk)
{
	static const enum disk_role roles[] = {
		[DECIDE_SERVE] = DISK_SERVE,      [DECIDE_TAKE] = DISK_SERVE,
		[DECIDE_FORWARD] = DISK_FORWARD,  [DECIDE_HOLD] = DISK_WAIT,
		[DECIDE_HAND_OVER] = DISK_GIVE,   [DECIDE_UNAVAILABLE] = DISK_UNAVAILABLE,
		[DECIDE_OFFER] = DISK_OFFER,      [DECIDE_KEEP_OFF] = DISK_KEEP_OFF,
		[DECIDE_STAND_BY] = DISK_STANDBY,
	};
	struct disk_order order = { .role = roles[result->decision], .why = result->why };
	if (result->decision == DECIDE_HAND_OVER)
		order.next = roll->rows[result->member].gateway;
	if (result->decision == DECIDE_FORWARD) {
		const struct member *member = roll->called[result->member].member;
		order.route = (struct lun_route){ .peer = member->peer,
			                          .epoch = disk_record(disk)->epoch };
		if (!member->has_peer)
			order.role = DISK_WAIT;
	}
	/* Else reservations are dropped; by mistake, that would let somebody in. */
	order.others_up = others_up(owners, roll);
	return order;
}

/* A gateway that cannot reach us asked for it: it has initiators that wait, and we have none. Not
 * any more when somebody has had it since, who may be giving it to us. */
static void yield_to_asker(struct owners *owners, struct disk *disk, struct disk_order *order)
{
	uint64_t asked_ms;
	const char *next = disk_asked_for(disk, &asked_ms);
	uint64_t now_ms = reactor_now_ms(owners->config.manager);
	if (!*next || now_ms >= asked_ms + YIELD_MS)
		return;
	if (disk_record_is_own(disk))
		*order = (struct disk_order){ .role = DISK_GIVE,
			                      .next = next,
			                      .why = DECIDE_ASKED_FOR };
	else if (order->role == DISK_SERVE && !disk_commands_wait(disk))
		order->role = DISK_WAIT;
}

static void note_again(struct owners *owners, uint64_t again_ms)
{
	if (again_ms && (!owners->again_ms || again_ms < owners->again_ms))
		owners->again_ms = again_ms;
}

/* NULL: there is none. */
static const struct rollback *find_rollback(const struct look *look, const char *lun)
{
	for (size_t i = 0; look && i < look->rollback_count; i++)
		if (strcmp(look->rollbacks[i].lun, lun) == 0)
			return &look->rollbacks[i].rollback;
	return NULL;
}

/* Nobody serves a LUN that is rolled back, but for who takes it, and does it first. Beside upstream
 * gateways none is asked for. */
static void heed_rollback(struct owners *owners, struct disk *disk, struct disk_order *order)
{
	disk_saw_rollback(disk, find_rollback(owners->seen, disk_name(disk)),
	                  owners->known_since_ms);
	const struct rollback *rollback = disk_rollback(disk);
	uint64_t since_ms = disk_rollback_seen_ms(disk);
	bool takes = order->role == DISK_SERVE && !disk_is_owner(disk);
	if (rollback_allows(rollback, takes, since_ms, reactor_now_ms(owners->config.manager)))
		return;
	if (rollback->state == ROLLBACK_ASKED)
		note_again(owners, since_ms + ROLLBACK_ASKED_MS);
	*order = (struct disk_order){ .role = DISK_ROLL_BACK, .why = "rollback" };
}

/* ---- turns ---- */

/* Given away, and its next owner has not said yet that it has it. */
static bool is_moving(const struct owners *owners, const struct disk *disk)
{
	const struct owner_record *record = disk_record(disk);
	uint64_t now_ms = reactor_now_ms(owners->config.manager);
	if (disk_role(disk) == DISK_GIVE)
		return now_ms < disk_role_since_ms(disk) + MOVE_MS;
	return record->state == OWNER_CLEAN && *record->next &&
	       now_ms < disk_record_seen_ms(disk) + MOVE_MS &&
	       strcmp(record->instance, owners->members.instance) == 0;
}

/* A move leaves work behind, at the cluster and at both gateways, which the next one would wait for
 * together with its initiators: it comes after a rest as long as the move was. */
static void note_rest(struct owners *owners)
{
	uint64_t now_ms = reactor_now_ms(owners->config.manager);
	uint64_t took_ms = now_ms - owners->turn_ms;
	owners->rested_ms = now_ms + (took_ms < REST_MS ? took_ms : REST_MS);
}

static void count_moving(struct owners *owners)
{
	const struct disk_set *set = owners->config.disks;
	bool moved = owners->moving > 0;
	owners->moving = 0;
	for (size_t i = 0; set->plan && i < set->plan->disk_count; i++) {
		const struct disk *disk = disk_set_at(set, i);
		owners->moving += disk && is_moving(owners, disk);
	}
	if (moved && owners->moving == 0)
		note_rest(owners);
}

/* It cannot be drained, and a stop does not wait for ever. */
static bool is_hopeless(const struct owners *owners, const struct disk *disk)
{
	return owners->leaving && hung_for_ms(owners, disk) > 0;
}

/* True: it is not its turn, and it is served here until then. */
static bool await_turn(struct owners *owners, const struct disk *disk, struct disk_order *order)
{
	uint64_t now_ms = reactor_now_ms(owners->config.manager);
	bool rests = now_ms < owners->rested_ms && !owners->leaving;
	if (disk_role(disk) == DISK_GIVE || !disk_is_owner(disk))
		return false;
	if (owners->moving < MOVES_MAX && !is_hopeless(owners, disk) && !rests) {
		owners->moving++;
		owners->turn_ms = now_ms;
		return false;
	}
	if (rests)
		note_again(owners, owners->rested_ms);
	*order = (struct disk_order){ .role = DISK_SERVE, .why = "others are moving" };
	return true;
}

static void decide_disk(struct owners *owners, struct roll *roll, const struct plan_disk *wanted,
                        struct disk *disk)
{
	struct decision_result result;
	bool on_demand = owners_on_demand(owners, wanted);
	call_for_own(owners, roll, wanted, on_demand);
	struct decide_input input = {
		.lun = wanted->name,
		.record = disk_record(disk),
		.preferred = wanted->preferred,
		.members = roll->rows,
		.member_count = roll->count,
		.now_ms = reactor_now_ms(owners->config.manager),
		.seen_ms = disk_record_seen_ms(disk),
		.start_ms = owners->start_ms,
		.return_after_ms = owners->return_after_ms,
		.fails_since_ms = disk_fails_since_ms(disk),
		.commands_wait = on_demand ? disk_is_demanded(disk) : disk_commands_wait(disk),
		.serves = disk_is_owner(disk),
		.requested = disk_is_requested(disk),
		.on_demand = on_demand ? disk_moves(disk) : NULL,
	};
	bool waits = false;
	decide(&input, &result);
	note_again(owners, result.again_ms);
	struct disk_order order = order_from(owners, &result, roll, disk);
	waits = order.role == DISK_GIVE && await_turn(owners, disk, &order);
	yield_to_asker(owners, disk, &order);
	if (!on_demand)
		heed_rollback(owners, disk, &order);
	order.on_demand = on_demand;
	waits |= order.role == DISK_WAIT || order.role == DISK_GIVE ||
	         (order.role == DISK_SERVE && !disk_is_owner(disk)) ||
	         (order.role == DISK_FORWARD && disk_commands_wait(disk));
	owners->undecided |= waits;
	disk_mark(disk, waits); /* by its order it may be marked again */
	disk_give_order(disk, &order);
	if (disk_forwards_anew(disk)) { /* what comes back too early is not waited for till then */
		owners->undecided = true;
		disk_mark(disk, true);
	}
	set_port_groups(owners, wanted, disk);
}

/* ---- leaving ---- */

/* Something that another one may still get. */
static bool gives_any(const struct owners *owners, struct roll *roll)
{
	const struct disk_set *set = owners->config.disks;
	for (size_t i = 0; set->plan && i < set->plan->disk_count; i++) {
		const struct disk *disk = disk_set_at(set, i);
		const struct plan_disk *wanted = &set->plan->disks[i];
		if (disk && disk_is_ours(disk) && !is_hopeless(owners, disk) &&
		    !owners_on_demand(owners, wanted) && has_heir(owners, roll, wanted))
			return true;
	}
	return false;
}

/* A peer that takes is not forwarded to before it has: only then initiators miss nothing. */
static bool all_forwarded(const struct disk_set *set)
{
	for (size_t i = 0; set->plan && i < set->plan->disk_count; i++) {
		const struct disk *disk = disk_set_at(set, i);
		if (disk && disk_role(disk) == DISK_WAIT)
			return false;
	}
	return true;
}

bool owners_have_heir(const struct owners *owners)
{
	AUTO_ROLL struct roll roll;
	return call_roll(owners, &roll) && any_has_heir(owners, &roll);
}

static void check_left(struct owners *owners, struct roll *roll)
{
	if (!owners->leaving || owners->left)
		return;
	bool nobody = !any_has_heir(owners, roll);
	bool over = reactor_now_ms(owners->config.manager) >= owners->leave_ms + LEAVE_MS;
	if (!nobody && !over && (gives_any(owners, roll) || !all_forwarded(owners->config.disks)))
		return;
	owners->left = true;
	owners->config.left(owners->config.argument);
}

void owners_decide(struct owners *owners)
{
	AUTO_ROLL struct roll roll = { 0 };
	const struct disk_set *set = owners->config.disks;
	bool all = owners->all_wanted;
	owners->undecided = false;
	if (!owners->members.known || owners->condemned)
		return; /* nobody knows anything yet, or any more */
	owners->all_wanted = false;
	if (all) {
		owners->all_ms = reactor_now_ms(owners->config.manager);
		owners->again_ms = 0;
	}
	/* First: who turns out to have more that must be fenced is not fenced yet, for any disk. */
	for (size_t i = 0; set->plan && i < set->plan->disk_count; i++) {
		const struct disk *disk = disk_set_at(set, i);
		if (disk && (all || disk_marked(disk)))
			find_past(owners, disk);
	}
	if (!call_roll(owners, &roll)) {
		owners->all_wanted = owners->undecided = true;
		return;
	}
	count_moving(owners);
	for (size_t i = 0; set->plan && i < set->plan->disk_count; i++) {
		struct disk *disk = disk_set_at(set, i);
		if (disk && (all || disk_marked(disk)))
			decide_disk(owners, &roll, &set->plan->disks[i], disk);
	}
	check_left(owners, &roll);
}
