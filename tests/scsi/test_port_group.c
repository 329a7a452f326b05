/* What each initiator is told of the access states. */
#include "scsi/port_group.h"

#include "fixture.h"
#include "scsi/nexus_private.h"

static struct command c;

static void set_groups(struct rig *rig, enum alua_state first, enum alua_state second, bool leaves)
{
	const struct port_group groups[] = { { 1, first, leaves }, { 2, second, false } };
	ASSERT_EQ(lun_set_port_groups(rig->lun, groups, ARRAY_LEN(groups)), 0);
}

static void set_other_paths(struct rig *rig, const char *initiator)
{
	struct other_paths *paths = NULL;
	char name[OTHER_PATH_MAX];
	other_path_name(initiator, rig->port.target_name, name);
	const char *names[] = { name };
	ASSERT_EQ(other_paths_new(NULL, names, 1, &paths), 0);
	lun_set_other_paths(rig->lun, paths);
	other_paths_put(paths);
}

static void expect_attentions(struct rig *rig, unsigned nexus, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		command_run(rig, &c, nexus, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
		assert_sense(&c, 0x062a06);
	}
	command_run(rig, &c, nexus, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_good(&c);
}

static void expect_states(struct rig *rig, unsigned nexus, enum alua_state first,
                          enum alua_state second)
{
	command_run(rig, &c, nexus, CDB(0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0), 256, NULL);
	assert_good(&c);
	ASSERT_EQ(c.in[4], first);
	ASSERT_EQ(c.in[16], second);
}

/* The second nexus is of an initiator without another path. */
TEST(who_has_no_other_path_is_not_told_that_its_gateway_leaves)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	set_groups(rig, ALUA_OPTIMIZED, ALUA_NON_OPTIMIZED, false);
	set_other_paths(rig, RIG_INITIATOR);
	expect_attentions(rig, 0, 0);
	set_groups(rig, ALUA_OPTIMIZED, ALUA_NON_OPTIMIZED, true);
	expect_attentions(rig, 0, 1);
	expect_attentions(rig, 1, 0);
	expect_states(rig, 0, ALUA_UNAVAILABLE, ALUA_NON_OPTIMIZED);
	expect_states(rig, 1, ALUA_OPTIMIZED, ALUA_NON_OPTIMIZED);
	/* Another owner is there: told to both, and to each once. */
	set_groups(rig, ALUA_NON_OPTIMIZED, ALUA_OPTIMIZED, true);
	for (unsigned nexus = 0; nexus < RIG_NEXUSES; nexus++)
		expect_attentions(rig, nexus, 1);
	expect_states(rig, 0, ALUA_UNAVAILABLE, ALUA_OPTIMIZED);
	expect_states(rig, 1, ALUA_NON_OPTIMIZED, ALUA_OPTIMIZED);
}

TEST(another_path_that_becomes_known_later_changes_what_its_initiator_alone_is_told)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	set_groups(rig, ALUA_NON_OPTIMIZED, ALUA_OPTIMIZED, false);
	set_groups(rig, ALUA_NON_OPTIMIZED, ALUA_OPTIMIZED, true);
	expect_attentions(rig, 0, 0);
	expect_states(rig, 0, ALUA_NON_OPTIMIZED, ALUA_OPTIMIZED);
	for (unsigned i = 0; i < 2; i++)
		set_other_paths(rig, RIG_INITIATOR);
	expect_attentions(rig, 0, 1);
	expect_attentions(rig, 1, 0);
	expect_states(rig, 0, ALUA_UNAVAILABLE, ALUA_OPTIMIZED);
	expect_states(rig, 1, ALUA_NON_OPTIMIZED, ALUA_OPTIMIZED);
}

TEST(a_path_of_another_target_is_none_of_this_one)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct other_paths *paths = NULL;
	const char *names[] = { RIG_INITIATOR " iqn.2003-01.org.example:another" };
	ASSERT_EQ(other_paths_new(NULL, names, 1, &paths), 0);
	set_groups(rig, ALUA_OPTIMIZED, ALUA_NON_OPTIMIZED, true);
	lun_set_other_paths(rig->lun, paths);
	other_paths_put(paths);
	expect_attentions(rig, 0, 0);
	expect_states(rig, 0, ALUA_OPTIMIZED, ALUA_NON_OPTIMIZED);
}

static void note_port(void *argument, const char *initiator, const char *target)
{
	unsigned *seen = argument;
	*seen |= strcmp(initiator, RIG_INITIATOR) == 0 ? 1 : 2;
	ASSERT_TRUE(*target);
}

/* What a proxy stands for is logged in elsewhere. */
TEST(who_is_logged_in_here_can_be_looked_up)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	unsigned seen = 0;
	lun_visit_ports(rig->lun, note_port, &seen);
	ASSERT_EQ(seen, 3);
	rig_make_proxy(rig, 2);
	seen = 0;
	lun_visit_ports(rig->lun, note_port, &seen);
	ASSERT_EQ(seen, 1);
}

TEST(other_paths_are_joined_and_each_is_there_once)
{
	struct other_paths *first = NULL, *second = NULL;
	const char *names[] = { "b t", "a t", "b t" }, *more[] = { "c t", "a t" };
	ASSERT_TRUE(!other_paths_has(NULL, "a", "t"));
	ASSERT_EQ(other_paths_new(NULL, names, ARRAY_LEN(names), &first), 0);
	ASSERT_EQ(other_paths_count(first), 2);
	ASSERT_EQ(other_paths_new(first, more, ARRAY_LEN(more), &second), 0);
	ASSERT_EQ(other_paths_count(second), 3);
	for (const char *name = "abc"; *name; name++) {
		const char initiator[] = { *name, '\0' };
		ASSERT_TRUE(other_paths_has(second, initiator, "t"));
		ASSERT_TRUE(!other_paths_has(second, initiator, "u"));
	}
	ASSERT_TRUE(!other_paths_has(first, "c", "t"));
	other_paths_put(first);
	other_paths_put(second);
}
