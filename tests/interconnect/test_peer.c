/* What a gateway says of its peers: up, lost, silent; and what their managers tell each other. */
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct peer_info info;

#define STATE(id) world_peer(world, 0, id, &info)

TEST(a_peer_is_up_and_tells_its_version_and_how_its_storage_is)
{
	AUTO(world) struct world *world = world_new_alone(2);
	uint32_t id = world_connect(world, 0, 1);
	ASSERT_EQ(STATE(id), PEER_CONNECTING);
	EVENTUALLY(world, STATE(id) == PEER_UP);
	ASSERT_EQ(info.version, 1);
	ASSERT_STR_EQ(info.gateway, "gw1");
	ASSERT_STR_EQ(info.instance, "life1");
	ASSERT_EQ(info.stalled_ms, 0);
	interconnect_set_stalled(world->gateways[1].interconnect, 1234);
	EVENTUALLY(world, (STATE(id), info.stalled_ms == 1234));
	ASSERT_EQ(world->gateways[0].changed.stalled_ms, 1234);
	interconnect_set_stalled(world->gateways[1].interconnect, 0);
	EVENTUALLY(world, (STATE(id), info.stalled_ms == 0));
	ASSERT_EQ(world_connect(world, 0, 1), id);
	ASSERT_FALSE(interconnect_get_peer(world->gateways[0].interconnect, 99, &info));
}

TEST(a_peer_that_ends_is_lost_at_once_and_found_when_it_is_back)
{
	AUTO(world) struct world *world = world_new_alone(2);
	uint32_t id = world_connect(world, 0, 1);
	EVENTUALLY(world, STATE(id) == PEER_UP);
	uint64_t since = world_now_ms;
	world->gateways[1].cutter.reset = world->gateways[1].cutter.refuse = true;
	cutter_cut(&world->gateways[1].cutter);
	EVENTUALLY(world, STATE(id) == PEER_LOST);
	ASSERT_FALSE(info.silent);
	ASSERT_TRUE(world_now_ms - since < 100);
	ASSERT_TRUE(info.since_ms >= since);
	world_pass(world, 3000);
	world->gateways[1].cutter.refuse = false;
	since = world_now_ms;
	EVENTUALLY(world, STATE(id) == PEER_UP);
	ASSERT_TRUE(world_now_ms - since <= 1100);
	ASSERT_EQ(world->gateways[0].changes, 3);
}

TEST(a_peer_whose_connections_come_back_at_once_was_never_lost)
{
	AUTO(world) struct world *world = world_new_alone(2);
	uint32_t id = world_connect(world, 0, 1);
	EVENTUALLY(world, STATE(id) == PEER_UP);
	for (unsigned i = 0; i < 50; i++) {
		world->gateways[1].cutter.reset = i & 1;
		cutter_cut(&world->gateways[1].cutter);
		world_pass(world, 20);
		ASSERT_EQ(STATE(id), PEER_UP);
	}
	ASSERT_EQ(world->gateways[0].changes, 1);
}

TEST(a_silent_peer_is_lost_after_its_time_and_found_again)
{
	AUTO(world) struct world *world = world_new_alone(2);
	uint32_t id = world_connect(world, 0, 1);
	EVENTUALLY(world, STATE(id) == PEER_UP);
	world_pass(world, 5000);
	ASSERT_EQ(STATE(id), PEER_UP);
	world->gateways[1].cutter.stalled = true;
	world_pass(world, 1400);
	ASSERT_EQ(STATE(id), PEER_UP);
	world_pass(world, 1000);
	ASSERT_EQ(STATE(id), PEER_LOST);
	ASSERT_TRUE(info.silent);
	world->gateways[1].cutter.stalled = false;
	EVENTUALLY(world, STATE(id) == PEER_UP);
}

/* Like one of whose reactors hangs. */
TEST(a_peer_that_is_up_on_some_channels_only_is_reported_after_some_time)
{
	AUTO(world) struct world *world = world_new_alone(2);
	uint32_t id = world_connect(world, 0, 1);
	EVENTUALLY(world, STATE(id) == PEER_UP);
	world_pass(world, 10000);
	ASSERT_EQ(STATE(id), PEER_UP);
	ASSERT_FALSE(info.silent);
	ASSERT_EQ(world->gateways[0].changes, 1);
	world->gateways[1].cutter.only = 1;
	world_pass(world, 5000);
	ASSERT_EQ(STATE(id), PEER_UP);
	ASSERT_FALSE(info.silent);
	world_pass(world, 4500);
	ASSERT_EQ(STATE(id), PEER_UP);
	ASSERT_TRUE(info.silent);
	ASSERT_EQ(world->gateways[0].changes, 2);
	world->gateways[1].cutter.only = 0;
	EVENTUALLY(world, (STATE(id), !info.silent));
	ASSERT_EQ(info.state, PEER_UP);
	/* A pause of this gateway itself accuses nobody. */
	world->gateways[1].cutter.only = 1;
	world_pass(world, 4000);
	world->gateways[0].paused = true;
	world_pass(world, 20000);
	world->gateways[1].cutter.only = 0;
	world->gateways[0].paused = false;
	world_pass(world, 5000);
	ASSERT_EQ(STATE(id), PEER_UP);
	ASSERT_FALSE(info.silent);
}

/* When its connections were tried last, each for itself, tells nothing any more. */
TEST(a_peer_that_is_back_on_one_channel_is_tried_on_the_others_at_once)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexuses[] = { world_nexus(world, 0, 0, 1), world_nexus(world, 0, 1, 2) };
	struct cutter *cutter = &world->gateways[1].cutter;
	struct command commands[2] = { 0 };
	uint32_t id = world_connect(world, 0, 1); /* they know each other */
	cutter->only = 1;
	cutter->refuse = true; /* once a second in the end, the second since its silence */
	world_pass(world, 5600);
	cutter_cut(cutter); /* the first since now */
	world_pass(world, 6000);
	ASSERT_EQ(STATE(id), PEER_LOST);
	cutter->refuse = false;
	cutter->only = 0;
	EVENTUALLY(world, STATE(id) == PEER_UP);
	uint64_t up_ms = world_now_ms;
	for (unsigned i = 0; i < 2; i++)
		write_start(&commands[i], nexuses[i], 8 * i, 1, 1);
	for (unsigned i = 0; i < 2; i++) {
		command_wait(world, &commands[i]);
		assert_good(&commands[i]);
	}
	ASSERT_TRUE(world_now_ms < up_ms + 100);
	for (unsigned i = 0; i < 2; i++)
		world_nexus_end(world, nexuses[i]);
}

TEST(a_peer_that_was_never_there_is_lost)
{
	AUTO(world) struct world *world = world_new_alone(2);
	world->gateways[1].cutter.refuse = true;
	uint32_t id = world_connect(world, 0, 1);
	EVENTUALLY(world, STATE(id) == PEER_LOST);
	ASSERT_FALSE(info.silent);
	world->gateways[1].cutter.stalled = true;
	world->gateways[1].cutter.refuse = false;
	EVENTUALLY(world, (STATE(id), info.silent));
	ASSERT_EQ(info.state, PEER_LOST);
}

TEST(a_gateway_that_was_stopped_itself_accuses_nobody)
{
	AUTO(world) struct world *world = world_new_alone(2);
	uint32_t id = world_connect(world, 0, 1);
	EVENTUALLY(world, STATE(id) == PEER_UP);
	for (unsigned ms = 1000; ms < 20000; ms *= 2) {
		unsigned changes = world->gateways[0].changes;
		world->gateways[0].paused = true;
		world_pass(world, ms);
		world->gateways[0].paused = false;
		world_pass(world, 3000);
		ASSERT_EQ(STATE(id), PEER_UP);
		ASSERT_EQ(world->gateways[0].changes, changes);
	}
	/* The machine slept: nobody turned. */
	world_now_ms += 100000;
	world_pass(world, 3000);
	ASSERT_EQ(STATE(id), PEER_UP);
	ASSERT_EQ(world->gateways[0].changes, 1);
}

TEST(managers_tell_each_other_in_order)
{
	AUTO(world) struct world *world = world_new_alone(2);
	struct gateway *first = &world->gateways[0], *second = &world->gateways[1];
	uint32_t id = world_connect(world, 0, 1);
	ASSERT_EQ(interconnect_tell(first->interconnect, id, "x"), -ENOTCONN);
	uint32_t back = world_connect(world, 1, 0);
	EVENTUALLY(world, STATE(id) == PEER_UP);
	EVENTUALLY(world, world_peer(world, 1, back, &info) == PEER_UP);
	for (unsigned i = 0; i < 10; i++) {
		char text[32];
		(void)snprintf(text, sizeof text, "{\"say\": %u}\n", i);
		ASSERT_EQ(interconnect_tell(first->interconnect, id, text), 0);
		EVENTUALLY(world, second->told_count == i + 1);
		ASSERT_STR_EQ(second->told.text, text);
		ASSERT_STR_EQ(second->told.gateway, "gw0");
	}
	ASSERT_EQ(interconnect_tell(second->interconnect, back, ""), 0);
	EVENTUALLY(world, first->told_count == 1);
	ASSERT_STR_EQ(first->told.text, "");
	ASSERT_EQ(interconnect_tell(first->interconnect, 77, "x"), -ENOTCONN);
}

TEST(who_proves_another_secret_is_told_of_and_is_a_peer_when_both_have_one_again)
{
	static const uint8_t other[INTERCONNECT_SECRET_BYTES] = { 3, 2, 1 };
	AUTO(world) struct world *world = world_new_alone(2);
	struct gateway *first = &world->gateways[0], *second = &world->gateways[1];
	uint32_t id = world_connect(world, 0, 1), back = world_connect(world, 1, 0);
	EVENTUALLY(world, STATE(id) == PEER_UP && world_peer(world, 1, back, &info) == PEER_UP);
	ASSERT_EQ(first->unproven + second->unproven, 0);
	interconnect_set_secret(first->interconnect, other);
	world_pass(world, 3000);
	ASSERT_EQ(STATE(id), PEER_UP); /* it has proved itself by the one before */
	cutter_cut(&first->cutter);
	cutter_cut(&second->cutter);
	EVENTUALLY(world, STATE(id) == PEER_LOST && world_peer(world, 1, back, &info) == PEER_LOST);
	EVENTUALLY(world, first->unproven && second->unproven);
	interconnect_set_secret(second->interconnect, other);
	EVENTUALLY(world, STATE(id) == PEER_UP && world_peer(world, 1, back, &info) == PEER_UP);
}

TEST(who_is_forgotten_is_refused_but_its_next_life_is_not)
{
	AUTO(world) struct world *world = world_new_alone(2);
	struct gateway *first = &world->gateways[0];
	uint32_t id = world_connect(world, 0, 1), back = world_connect(world, 1, 0), next = 0;
	EVENTUALLY(world, STATE(id) == PEER_UP);
	EVENTUALLY(world, world_peer(world, 1, back, &info) == PEER_UP);
	interconnect_forget(first->interconnect, id);
	ASSERT_EQ(STATE(id), PEER_FORGOTTEN);
	EVENTUALLY(world, world_peer(world, 1, back, &info) == PEER_LOST);
	world_pass(world, 3000);
	ASSERT_EQ(world_peer(world, 1, back, &info), PEER_LOST);
	ASSERT_EQ(STATE(id), PEER_FORGOTTEN);
	ASSERT_EQ(interconnect_tell(first->interconnect, id, "x"), -ENOTCONN);
	interconnect_forget(first->interconnect, id);

	world_stop(world, 1);
	strcpy(world->gateways[1].instance, "life2");
	world_start(world, 1);
	next = world_connect(world, 0, 1);
	ASSERT_NE(next, id);
	back = world_connect(world, 1, 0);
	EVENTUALLY(world, STATE(next) == PEER_UP);
	EVENTUALLY(world, world_peer(world, 1, back, &info) == PEER_UP);
}

TEST(an_address_where_another_instance_answers_is_no_peer)
{
	AUTO(world) struct world *world = world_new_alone(2);
	uint32_t id = 0;
	struct gateway *first = &world->gateways[0], *second = &world->gateways[1];
	ASSERT_EQ(interconnect_add_peer(first->interconnect, "gw1", "life7", second->cutter.address,
	                                &id),
	          0);
	EVENTUALLY(world, STATE(id) == PEER_LOST);
	world_pass(world, 2000);
	ASSERT_EQ(STATE(id), PEER_LOST);
	ASSERT_EQ(interconnect_add_peer(first->interconnect, "gw0", "life1", second->cutter.address,
	                                &id),
	          -EINVAL);
	ASSERT_EQ(interconnect_add_peer(first->interconnect, "gw3", "life1", "nowhere", &id),
	          -EINVAL);
}

/* Also when its address has gone from its host. */
TEST(a_gateway_that_moves_listens_at_its_new_address_only_and_loses_nobody)
{
	AUTO(world) struct world *world = world_new_alone(2);
	struct gateway *first = &world->gateways[0], *second = &world->gateways[1];
	uint32_t id = world_connect(world, 0, 1), same = 0;
	EVENTUALLY(world, STATE(id) == PEER_UP);
	char old[64];
	(void)snprintf(old, sizeof old, "%s", interconnect_address(second->interconnect));
	struct error err = { 0 };
	ASSERT_EQ(interconnect_move(second->interconnect, "192.0.2.1", 0, &err), -EADDRNOTAVAIL);
	ASSERT_STR_EQ(interconnect_address(second->interconnect), old);
	ASSERT_EQ(interconnect_move(second->interconnect, "127.0.0.3", 0, &err), 0);
	ASSERT_EQ(strncmp(interconnect_address(second->interconnect), "127.0.0.3:", 10), 0);
	world_pass(world, 3000);
	ASSERT_EQ(STATE(id), PEER_UP);
	ASSERT_EQ(first->changes, 1);

	cutter_cut(&second->cutter); /* which goes on to the old address */
	EVENTUALLY(world, STATE(id) == PEER_LOST);
	ASSERT_EQ(interconnect_add_peer(first->interconnect, "gw1", "life1",
	                                interconnect_address(second->interconnect), &same),
	          0);
	ASSERT_EQ(same, id);
	EVENTUALLY(world, STATE(id) == PEER_UP);
}

TEST(a_peer_that_moves_is_followed_to_its_new_address)
{
	AUTO(world) struct world *world = world_new_alone(2);
	uint32_t id = 0, same = 0;
	struct gateway *first = &world->gateways[0], *second = &world->gateways[1];
	ASSERT_EQ(interconnect_add_peer(first->interconnect, "gw1", "life1", "127.0.0.1:1", &id),
	          0);
	EVENTUALLY(world, STATE(id) == PEER_LOST);
	ASSERT_EQ(interconnect_add_peer(first->interconnect, "gw1", "life1", second->cutter.address,
	                                &same),
	          0);
	ASSERT_EQ(same, id);
	EVENTUALLY(world, STATE(id) == PEER_UP);
}
