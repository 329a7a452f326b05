/* A keeper of reservations that the test steps, and orders to try it with. */
#include "keeper.h"

#include <stdlib.h>
#include <string.h>

static void replace(struct keeper *keeper, const char *text)
{
	free(keeper->row);
	keeper->row = strdup(text);
}

static void hold(struct keeper *keeper, const char *text, void (*ended)(void *argument, int result),
                 void *argument)
{
	assert_true(keeper->held_count < KEEPER_HELD_MAX);
	keeper->held[keeper->held_count].text = text ? strdup(text) : NULL;
	keeper->held[keeper->held_count].saved = ended;
	keeper->held[keeper->held_count++].argument = argument;
}

static void keeper_save(struct reservation_keeper *base, struct lun *lun, const char *text,
                        void (*saved)(void *argument, int result), void *argument)
{
	(void)lun;
	struct keeper *keeper = container_of(base, struct keeper, keeper);
	keeper->saves++;
	if (keeper->hold) {
		hold(keeper, text, saved, argument);
		return;
	}
	if (keeper->result == 0)
		replace(keeper, text);
	saved(argument, keeper->result);
}

static void keeper_confirm(struct reservation_keeper *base, struct lun *lun,
                           void (*confirmed)(void *argument, int result), void *argument)
{
	(void)lun;
	struct keeper *keeper = container_of(base, struct keeper, keeper);
	keeper->confirms++;
	if (keeper->hold_confirms)
		hold(keeper, NULL, confirmed, argument);
	else
		confirmed(argument, keeper->confirm);
}

void keeper_init(struct keeper *keeper)
{
	memset(keeper, 0, sizeof *keeper);
	keeper->keeper.save = keeper_save;
	keeper->keeper.confirm = keeper_confirm;
}

void keeper_done(struct keeper *keeper)
{
	assert_int_equal(keeper->held_count, 0);
	free(keeper->row);
}

void keeper_complete(struct keeper *keeper, int result)
{
	assert_true(keeper->held_count > 0);
	AUTO_FREE char *text = keeper->held[0].text;
	void (*saved)(void *argument, int result) = keeper->held[0].saved;
	void *argument = keeper->held[0].argument;
	keeper->held_count--;
	memmove(&keeper->held[0], &keeper->held[1], keeper->held_count * sizeof keeper->held[0]);
	if (result == 0 && text)
		replace(keeper, text);
	saved(argument, result);
}

void order_start(struct command *command, struct nexus *nexus, enum order_action action,
                 uint8_t type, uint64_t key, uint64_t action_key, uint8_t flags)
{
	uint8_t list[24] = { [20] = flags };
	put_be64(list, key);
	put_be64(list + 8, action_key);
	command_fill(command, nexus, CDB(0x5f, (uint8_t)action, type, 0, 0, 0, 0, 0, 24, 0), -24);
	command_start(command, list);
}

void order_run(struct rig *rig, struct command *command, unsigned nexus, enum order_action action,
               uint8_t type, uint64_t key, uint64_t action_key)
{
	order_start(command, rig->nexuses[nexus], action, type, key, action_key, 0);
	rig_turn(rig);
}

void reserve6_run(struct rig *rig, struct command *command, unsigned nexus)
{
	command_run(rig, command, nexus, CDB(0x16, 0, 0, 0, 0, 0), 0, NULL);
	assert_good(command);
}

void ask(struct rig *rig, struct command *command, unsigned nexus, uint8_t action)
{
	command_run(rig, command, nexus, CDB(0x5e, action, 0, 0, 0, 0, 0, 0x40, 0, 0), 16384, NULL);
	assert_good(command);
}

bool is_allowed(struct rig *rig, unsigned nexus, bool writes)
{
	static struct command c;
	command_run(rig, &c, nexus, CDB(writes ? 0x2a : 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0),
	            writes ? -512 : 512, NULL);
	if (c.task.status != SCSI_RESERVATION_CONFLICT)
		assert_good(&c);
	return c.task.status == SCSI_GOOD;
}

uint32_t attention_of(struct rig *rig, struct nexus *nexus)
{
	static struct command c;
	command_fill(&c, nexus, CDB(0, 0, 0, 0, 0, 0), 0);
	command_start(&c, NULL);
	rig_turn(rig);
	assert_int_equal(c.done, 1);
	if (c.task.status == SCSI_GOOD)
		return 0;
	assert_status(&c, SCSI_CHECK_CONDITION);
	return (uint32_t)(c.task.sense[2] & 0x0f) << 16 | (uint32_t)c.task.sense[12] << 8 |
	       c.task.sense[13];
}

static void quiesced(void *argument)
{
	((struct rig *)argument)->ended = true;
}

void rig_reload(struct rig *rig, const char *text, enum reservation_load how, uint64_t epoch)
{
	if (lun_get_state(rig->lun) == LUN_READY) {
		rig->ended = false;
		lun_quiesce(rig->lun, LUN_HELD, quiesced, rig);
		rig_turn(rig);
		assert_true(rig->ended);
	}
	struct error err = { 0 };
	lun_set_epoch(rig->lun, epoch);
	int r = lun_load_reservations(rig->lun, text, how, &err);
	if (r < 0)
		print_message("# %s\n", err.text);
	assert_int_equal(r, 0);
	lun_serve(rig->lun, &rig->fake->backend);
	rig_turn(rig);
}

void assert_same_answers(struct rig *one, struct rig *other, bool generation)
{
	static struct command first, second;
	for (uint8_t action = 0; action < 4; action++) {
		TEST_ROW("PERSISTENT RESERVE IN %u", action);
		ask(one, &first, A, action);
		ask(other, &second, A, action);
		assert_int_equal(first.task.data_in_len, second.task.data_in_len);
		size_t from = generation || action == 2 ? 0 : 4;
		assert_memory_equal(first.in + from, second.in + from,
		                    first.task.data_in_len - from);
	}
}
