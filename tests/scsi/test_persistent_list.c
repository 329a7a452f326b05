/* Orders that name other nexuses: SPEC_I_PT and REGISTER AND MOVE. */
#include "keeper.h"

#include <stdio.h>
#include <string.h>

static struct command c;

#define NAME_A "iqn.1994-05.com.redhat:rh7-client"
#define NAME_B "iqn.1994-05.com.redhat:client2"

/* Appends a TransportID; returns its length. */
static size_t put_id(uint8_t *p, uint8_t format, const char *text)
{
	size_t len = (strlen(text) + 4) & ~(size_t)3;
	if (len < 20)
		len = 20;
	memset(p, 0, 4 + len);
	p[0] = format;
	put_be16(p + 2, (uint16_t)len);
	memcpy(p + 4, text, strlen(text));
	return 4 + len;
}

static void send(struct rig *rig, uint8_t action, const uint8_t *list, size_t len)
{
	uint8_t cdb[10] = { 0x5f, action };
	put_be32(cdb + 5, (uint32_t)len);
	command_run(rig, &c, A, cdb, sizeof cdb, -(int64_t)len, list);
}

static void send_move(struct rig *rig, uint64_t key, uint64_t action_key, uint8_t flags,
                      uint16_t port, const char *name)
{
	uint8_t list[512] = { 0 };
	put_be64(list, key);
	put_be64(list + 8, action_key);
	list[17] = flags;
	put_be16(list + 18, port);
	size_t len = put_id(list + 24, 0x45, name);
	put_be32(list + 20, (uint32_t)len);
	send(rig, MOVE, list, 24 + len);
}

static unsigned count_keys(struct rig *rig, unsigned nexus)
{
	ask(rig, &c, nexus, 0);
	return get_be32(c.in + 4) / 8;
}

TEST(a_register_can_name_further_nexuses)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	uint8_t list[1024] = { [15] = 0x77, [20] = 0x08 };
	size_t len = put_id(list + 28, 0x45, NAME_B ",i,0x00023d000001");
	len += put_id(list + 28 + len, 0x45, "iqn.2000-01.test:absent,i,0x00023D0000ff");
	put_be32(list + 24, (uint32_t)len);
	send(rig, REGISTER, list, 28 + len);
	assert_good(&c);
	ASSERT_EQ(count_keys(rig, A), 3);
	order_run(rig, &c, B, RESERVE, 5, 0x77, 0);
	assert_good(&c);
	send(rig, REGISTER, list, 28 + len); /* it is registered already: conflict of keys */
	assert_status(&c, SCSI_RESERVATION_CONFLICT);
	list[7] = 0x77;
	send(rig, REGISTER, list, 28 + len);
	assert_sense(&c, 0x052600);
}

TEST(a_name_alone_means_the_sessions_of_that_initiator)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct nexus *more = rig_nexus(rig, 0, NAME_B, 9);
	uint8_t list[1024] = { [15] = 0x77, [20] = 0x08 };
	size_t len = put_id(list + 28, 0x05, NAME_B);
	put_be32(list + 24, (uint32_t)len);
	send(rig, REGISTER, list, 28 + len);
	assert_good(&c);
	ASSERT_EQ(count_keys(rig, A), 3);
	rig_stop(rig, more);
}

TEST(lists_that_are_not_right_register_nobody)
{
	static const struct {
		const char *name;
		uint8_t format;
		uint32_t sense;
	} rows[] = {
		{ "iqn.2000-01.test:absent", 0x05, 0x052600 },
		{ "iqn.2000-01.test:absent", 0x45, 0x052600 },
		{ ",i,0x00023d000001", 0x45, 0x052600 },
		{ "iqn.2000-01.test:absent,i,0x", 0x45, 0x052600 },
		{ "iqn.2000-01.test:absent,i,0x00023d0000010", 0x45, 0x052600 },
		{ "iqn.2000-01.test:absent,i,0xzz", 0x45, 0x052600 },
		{ "iqn.2000-01.test:absent,i,0x00023d000001", 0x46, 0x052600 },
		{ "iqn.2000-01.test:absent,i,0x00023d000001", 0x85, 0x052600 },
	};
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%02x %s", rows[i].format, rows[i].name);
		uint8_t list[1024] = { [15] = 0x77, [20] = 0x08 };
		size_t len = put_id(list + 28, rows[i].format, rows[i].name);
		put_be32(list + 24, (uint32_t)len);
		send(rig, REGISTER, list, 28 + len);
		assert_sense(&c, rows[i].sense);
	}
	uint8_t list[1024] = { [15] = 0x77, [20] = 0x08 };
	size_t len = put_id(list + 28, 0x45, NAME_B ",i,0x00023d000001");
	for (size_t cut = 1; cut <= len; cut++) {
		put_be32(list + 24, (uint32_t)(len - cut));
		send(rig, REGISTER, list, 28 + len - cut);
		if (cut < len)
			assert_sense(&c, 0x052600);
		else
			assert_good(&c); /* an empty list */
	}
	put_be32(list + 24, (uint32_t)len + 4);
	send(rig, REGISTER, list, 28 + len);
	assert_sense(&c, 0x051a00);
	list[20] = 0x00;
	send(rig, REGISTER, list, 28 + len);
	assert_sense(&c, 0x051a00);
	list[20] = 0x08;
	put_be32(list + 24, (uint32_t)len);
	send(rig, REGISTER_AND_IGNORE, list, 28 + len);
	assert_sense(&c, 0x052600);
	ASSERT_EQ(count_keys(rig, B), 1);
}

/* Nobody can log in with such a name, and what is not UTF-8 could not be kept. */
TEST(names_that_nobody_can_have_are_refused)
{
	static const char *const names[] = {
		"iqn.2000-01.test:\xff\xfe,i,0x00023d000001",
		"iqn.2000-01.test:\xc3,i,0x00023d000001",
		"iqn.2000-01.test: a,i,0x00023d000001",
		"iqn.2000-01.test:\n,i,0x00023d000001",
		"iqn.2000-01.test:a/b,i,0x00023d000001",
		"iqn.2000-01.test,t,i,0x00023d000001",
	};
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		TEST_ROW("name %zu", i);
		uint8_t list[1024] = { [15] = 0x77, [20] = 0x08 };
		size_t len = put_id(list + 28, 0x45, names[i]);
		put_be32(list + 24, (uint32_t)len);
		send(rig, REGISTER, list, 28 + len);
		assert_sense(&c, 0x052600);
	}
	ASSERT_EQ(keeper.saves, 0);
}

TEST(the_holder_moves_the_reservation_to_another_nexus)
{
	for (unsigned unregister = 0; unregister < 2; unregister++) {
		AUTO(rig) struct rig *rig = rig_new(512, 100);
		order_run(rig, &c, A, REGISTER, 0, 0, 0x11);
		order_run(rig, &c, A, RESERVE, 3, 0x11, 0);
		send_move(rig, 0x11, 0x22, unregister ? 2 : 0, 1, NAME_B ",i,0x00023d000001");
		assert_good(&c);
		ASSERT_TRUE(is_allowed(rig, B, true));
		ASSERT_FALSE(is_allowed(rig, A, false));
		ASSERT_EQ(count_keys(rig, B), unregister ? 1 : 2);
		ask(rig, &c, B, 1);
		ASSERT_EQ(get_be64(c.in + 8), 0x22);
		ASSERT_EQ(c.in[21], 3);
		ASSERT_EQ(get_be32(c.in), 2);
	}
}

TEST(a_move_that_may_not_be_changes_nothing)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	static const char other[] = NAME_B ",i,0x00023d000001";
	send_move(rig, 0x11, 0x22, 0, 1, other);
	assert_status(&c, SCSI_RESERVATION_CONFLICT); /* not registered */
	order_run(rig, &c, A, REGISTER, 0, 0, 0x11);
	send_move(rig, 0x11, 0x22, 0, 1, other);
	assert_status(&c, SCSI_RESERVATION_CONFLICT); /* holds nothing */
	order_run(rig, &c, A, RESERVE, 7, 0x11, 0);
	send_move(rig, 0x11, 0x22, 0, 1, other);
	assert_status(&c, SCSI_RESERVATION_CONFLICT); /* all registrants hold */
	order_run(rig, &c, A, RELEASE, 7, 0x11, 0);
	order_run(rig, &c, A, RESERVE, 1, 0x11, 0);
	send_move(rig, 0x11, 0, 0, 1, other);
	assert_sense(&c, 0x052600);
	send_move(rig, 0x11, 0x22, 0, 7, other);
	assert_sense(&c, 0x052600); /* no such port */
	send_move(rig, 0x11, 0x22, 1, 1, other);
	assert_sense(&c, 0x052600); /* APTPL without a keeper */
	send_move(rig, 0x11, 0x22, 0, 1, NAME_A ",i,0x00023d000001");
	assert_sense(&c, 0x052600); /* itself */
	send_move(rig, 0x12, 0x22, 0, 1, other);
	assert_status(&c, SCSI_RESERVATION_CONFLICT);
	ASSERT_EQ(count_keys(rig, A), 1);
	ask(rig, &c, A, 0);
	ASSERT_EQ(get_be32(c.in), 1);
}
