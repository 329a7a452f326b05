/* The duel: two initiators share a LUN by a reservation (write exclusive, registrants only). Again
 * and again one of them, drawn by lot, throws the other out by PREEMPT AND ABORT. From its answer
 * on no write of the victim may take effect, until the victim begins to register again; the history
 * says when. The workers of both write all the time. */
#include "base/bytes.h"
#include "driver.h"

#include <assert.h>
#include <errno.h>

#define RESERVATION_TYPE 5 /* write exclusive, registrants only [SPC-4 6.15.3] */
/* A command that was abandoned may still be executed for so long. */
#define SETTLE_NS 6000000000ul

enum service_action { REGISTER_AND_IGNORE = 6, RESERVE = 1, PREEMPT_AND_ABORT = 5 };

enum step { STEP_REGISTER, STEP_RESERVE, STEP_FIGHT, STEP_PREEMPT, STEP_FENCED, STEP_SETTLE };

struct duel {
	struct driver *driver;
	struct command command;
	uint8_t data[24];
	enum step step;
	unsigned next;      /* registration to make: side and portal */
	unsigned aggressor; /* 0 or 1 */
	bool busy, fenced;
	bool no_aptpl; /* this target cannot keep reservations */
	uint64_t due;
	unsigned rounds;
};

static uint32_t initiator_of(const struct duel *duel, unsigned side)
{
	return duel->driver->options.initiators - 2 + side;
}

static uint64_t key_of(unsigned side)
{
	return 0x70726f6f66000001ul + side;
}

/* ---- commands ---- */

static void send(struct duel *duel, struct path *path, enum service_action action, uint64_t key,
                 uint64_t action_key, void (*done)(struct command *command, enum answer answer))
{
	struct initiator_request *request = &duel->command.request;
	memset(duel->data, 0, sizeof(duel->data));
	put_be64(duel->data, key);
	put_be64(duel->data + 8, action_key);
	duel->data[20] = action == REGISTER_AND_IGNORE && !duel->no_aptpl; /* APTPL */
	memset(request->cdb, 0, sizeof(request->cdb));
	request->cdb[0] = 0x5f; /* PERSISTENT RESERVE OUT */
	request->cdb[1] = (uint8_t)action;
	request->cdb[2] = action == REGISTER_AND_IGNORE ? 0 : RESERVATION_TYPE;
	put_be32(request->cdb + 5, sizeof(duel->data));
	request->writes = true;
	request->data = duel->data;
	request->len_bytes = sizeof(duel->data);
	duel->command.lun = (uint16_t)duel->driver->options.duel_lun;
	duel->command.done = done;
	duel->busy = true;
	driver_ask(duel->driver, &duel->command, now_ns());
	path_submit(path, &duel->command);
}

static void go(struct duel *duel, enum step step, uint64_t after_ns)
{
	duel->step = step;
	duel->due = now_ns() + after_ns;
}

static uint64_t some_time(struct duel *duel, uint64_t at_most_ns)
{
	return at_most_ns / 4 + driver_random(duel->driver, at_most_ns * 3 / 4);
}

/* Takes back the turn. True: the step goes on; else it was ended or will be tried again. */
static bool take_answer(struct duel *duel, enum answer answer)
{
	duel->busy = false;
	driver_count(duel->driver, &duel->command, answer);
	if (answer == ANSWER_NONE) { /* it may still come, and must not meet the next round */
		go(duel, STEP_SETTLE, SETTLE_NS);
		return false;
	}
	if (answer == ANSWER_BUSY || answer == ANSWER_ATTENTION || answer == ANSWER_ABORTED) {
		duel->due = now_ns() + 20000000;
		return false;
	}
	return true;
}

/* ---- steps ---- */

static void unfence(struct duel *duel)
{
	if (duel->fenced)
		history_write_fence(duel->driver->history, duel->command.lun,
		                    initiator_of(duel, !duel->aggressor), false, now_ns());
	duel->fenced = false;
}

static void registered(struct command *command, enum answer answer)
{
	struct duel *duel = container_of(command, struct duel, command);
	if (!take_answer(duel, answer))
		return;
	if (answer == ANSWER_ERROR && !duel->no_aptpl)
		duel->no_aptpl = true;
	else
		duel->next++;
}

static void step_register(struct duel *duel)
{
	unsigned portals = duel->driver->options.portal_count;
	if (duel->next == 0) {
		unfence(duel);
		duel->aggressor = (unsigned)driver_random(duel->driver, 2);
	}
	while (duel->next < 2 * portals) {
		unsigned side = duel->next / portals;
		struct path *path =
		        driver_path(duel->driver, initiator_of(duel, side), duel->next % portals);
		if (path_takes_commands(path)) {
			send(duel, path, REGISTER_AND_IGNORE, 0, key_of(side), registered);
			return;
		}
		duel->next++; /* what comes over it will be refused */
	}
	duel->next = 0;
	go(duel, STEP_RESERVE, 0);
}

static struct path *aggressors_path(struct duel *duel)
{
	struct driver *driver = duel->driver;
	return driver_choose(driver, initiator_of(duel, duel->aggressor), duel->command.lun,
	                     (unsigned)driver_random(driver, driver->options.portal_count));
}

static void reserved(struct command *command, enum answer answer)
{
	struct duel *duel = container_of(command, struct duel, command);
	/* CONFLICT: the other one holds the reservation; so it is taken with the preemption. */
	if (take_answer(duel, answer))
		go(duel, STEP_FIGHT, some_time(duel, 800000000));
}

static void step_reserve(struct duel *duel)
{
	struct path *path = aggressors_path(duel);
	if (path)
		send(duel, path, RESERVE, key_of(duel->aggressor), 0, reserved);
}

static void step_fight(struct duel *duel)
{
	go(duel, STEP_PREEMPT, 0);
}

static void preempted(struct command *command, enum answer answer)
{
	struct duel *duel = container_of(command, struct duel, command);
	if (!take_answer(duel, answer))
		return;
	if (answer != ANSWER_GOOD) {
		go(duel, STEP_REGISTER, 100000000);
		return;
	}
	duel->rounds++;
	duel->fenced = true;
	history_write_fence(duel->driver->history, command->lun,
	                    initiator_of(duel, !duel->aggressor), true, command->end);
	go(duel, STEP_FENCED, some_time(duel, 1200000000));
}

static void step_preempt(struct duel *duel)
{
	struct path *path = aggressors_path(duel);
	if (path)
		send(duel, path, PREEMPT_AND_ABORT, key_of(duel->aggressor),
		     key_of(!duel->aggressor), preempted);
}

static void step_again(struct duel *duel)
{
	duel->next = 0;
	go(duel, STEP_REGISTER, 0);
}

static void (*const steps[])(struct duel *duel) = {
	[STEP_REGISTER] = step_register, [STEP_RESERVE] = step_reserve, [STEP_FIGHT] = step_fight,
	[STEP_PREEMPT] = step_preempt,   [STEP_FENCED] = step_again,    [STEP_SETTLE] = step_again,
};

/* ---- outside ---- */

int duel_start(struct driver *driver)
{
	if (driver->options.duel_lun < 0)
		return 0;
	driver->duel = calloc(1, sizeof(*driver->duel));
	if (!driver->duel)
		return -ENOMEM;
	driver->duel->driver = driver;
	driver->duel->command.lun = (uint16_t)driver->options.duel_lun;
	list_init(&driver->duel->command.link);
	return 0;
}

void duel_tick(struct driver *driver, uint64_t now)
{
	struct duel *duel = driver->duel;
	if (duel && !duel->busy && !driver->finishing && now >= duel->due)
		steps[duel->step](duel);
}

unsigned duel_rounds(const struct driver *driver)
{
	return driver->duel ? driver->duel->rounds : 0;
}

bool duel_idle(const struct driver *driver)
{
	return !driver->duel || !driver->duel->busy;
}

void duel_end(struct driver *driver)
{
	assert(duel_idle(driver));
	free(driver->duel);
}
