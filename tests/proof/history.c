/* Writing and reading the history of a run. */
#include "history.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const char *const kind_names[] = { "write", "read", "swap" };
static const char *const outcome_names[] = { "ok", "never", "differs", "maybe", "lost" };

const char *op_kind_name(uint8_t kind)
{
	return kind_names[kind];
}

const char *op_outcome_name(uint8_t outcome)
{
	return outcome_names[outcome];
}

/* ---- writing ---- */

static void write_value(FILE *file, uint64_t value)
{
	if (value == VALUE_TORN)
		fputs(" torn", file);
	else if (value == VALUE_ALIEN)
		fputs(" alien", file);
	else
		fprintf(file, " %" PRIu64, value);
}

static void write_values(FILE *file, const struct op *op)
{
	unsigned count = 1;
	for (unsigned i = 1; i < op->blocks; i++)
		if (op->values[i] != op->values[0])
			count = op->blocks;
	for (unsigned i = 0; i < count; i++)
		write_value(file, op->values[i]);
}

void history_write_op(FILE *file, const struct op *op)
{
	fprintf(file,
	        "op %" PRIu64 " %" PRIu32 " %u %u %s %" PRIu64 " %u %" PRIu64 " %" PRIu64 " %s",
	        op->id, op->initiator, op->path, op->lun, kind_names[op->kind], op->lba, op->blocks,
	        op->start, op->end, outcome_names[op->outcome]);
	if (op->kind == OP_SWAP)
		write_value(file, op->expected);
	if (op->kind == OP_READ && op->outcome == OUTCOME_OK)
		write_values(file, op);
	putc('\n', file);
}

void history_write_fence(FILE *file, uint16_t lun, uint32_t victim, bool fenced, uint64_t time)
{
	fprintf(file, "%s %u %" PRIu32 " %" PRIu64 "\n", fenced ? "fence" : "unfence", lun, victim,
	        time);
}

void history_write_mark(FILE *file, uint64_t time, const char *text)
{
	fprintf(file, "mark %" PRIu64 " %s\n", time, text);
}

/* ---- reading ---- */

static int make_room(void **array, size_t count, size_t *room, size_t item_size)
{
	if (count < *room)
		return 0;
	size_t more = *room ? *room * 2 : 256;
	void *bigger = reallocarray(*array, more, item_size);
	if (!bigger)
		return -ENOMEM;
	*array = bigger;
	*room = more;
	return 0;
}
#define MAKE_ROOM(history, what)                                                                  \
	make_room((void **)&(history)->what##s, (history)->what##_count, &(history)->what##_room, \
	          sizeof(*(history)->what##s))

int history_add(struct history *history, const struct op *op)
{
	int r = MAKE_ROOM(history, op);
	if (r == 0)
		history->ops[history->op_count++] = *op;
	return r;
}

int history_add_fence(struct history *history, const struct fence *fence)
{
	int r = MAKE_ROOM(history, fence);
	if (r == 0)
		history->fences[history->fence_count++] = *fence;
	return r;
}

static int add_mark(struct history *history, uint64_t time, const char *text)
{
	int r = MAKE_ROOM(history, mark);
	char *copy = r == 0 ? strdup(text) : NULL;
	if (!copy)
		return -ENOMEM;
	history->marks[history->mark_count++] = (struct mark){ time, copy };
	return 0;
}

/* The next word of a line, NULL at its end. */
static const char *next_word(char **at)
{
	char *word;
	do
		word = strsep(at, " ");
	while (word && !*word);
	return word;
}

static bool take_number(char **at, uint64_t max, uint64_t *ret_number)
{
	const char *word = next_word(at);
	return word && text_to_uint(word, 0, max, ret_number) == 0;
}

static bool take_name(char **at, const char *const *names, size_t count, uint8_t *ret_index)
{
	const char *word = next_word(at);
	for (size_t i = 0; word && i < count; i++) {
		if (strcmp(word, names[i]) == 0) {
			*ret_index = (uint8_t)i;
			return true;
		}
	}
	return false;
}

/* *ret_value is untouched at the end of the line. */
static bool take_value(char **at, uint64_t *ret_value, bool *ret_end)
{
	const char *word = next_word(at);
	*ret_end = !word;
	if (!word)
		return true;
	if (strcmp(word, "torn") == 0)
		*ret_value = VALUE_TORN;
	else if (strcmp(word, "alien") == 0)
		*ret_value = VALUE_ALIEN;
	else
		return text_to_uint(word, 0, VALUE_ALIEN - 1, ret_value) == 0;
	return true;
}

static bool take_values(char **at, struct op *op)
{
	unsigned count = 0;
	bool end = false;
	while (count < op->blocks && !end) {
		if (!take_value(at, &op->values[count], &end))
			return false;
		count += end ? 0 : 1;
	}
	if (count == 1)
		for (unsigned i = 1; i < op->blocks; i++)
			op->values[i] = op->values[0];
	return count == 1 || count == op->blocks;
}

static int take_op(struct history *history, char *at)
{
	struct op op = { 0 };
	uint64_t initiator, path, lun, blocks;
	bool end = false;
	if (!take_number(&at, VALUE_ALIEN - 1, &op.id) || !take_number(&at, 1 << 20, &initiator) ||
	    !take_number(&at, UINT16_MAX, &path) || !take_number(&at, UINT16_MAX, &lun) ||
	    !take_name(&at, kind_names, ARRAY_LEN(kind_names), &op.kind) ||
	    !take_number(&at, UINT64_MAX, &op.lba) || !take_number(&at, OP_BLOCKS_MAX, &blocks) ||
	    !take_number(&at, UINT64_MAX, &op.start) || !take_number(&at, UINT64_MAX, &op.end) ||
	    !take_name(&at, outcome_names, ARRAY_LEN(outcome_names), &op.outcome))
		return -EINVAL;
	if (!op.id || !blocks || op.end < op.start)
		return -EINVAL;
	op.initiator = (uint32_t)initiator;
	op.path = (uint16_t)path;
	op.lun = (uint16_t)lun;
	op.blocks = (uint8_t)blocks;
	if (op.kind == OP_SWAP && (!take_value(&at, &op.expected, &end) || end))
		return -EINVAL;
	if (op.kind == OP_READ && op.outcome == OUTCOME_OK && !take_values(&at, &op))
		return -EINVAL;
	return next_word(&at) ? -EINVAL : history_add(history, &op);
}

static int take_fence(struct history *history, char *at)
{
	uint64_t lun, victim, time;
	if (!take_number(&at, UINT16_MAX, &lun) || !take_number(&at, 1 << 20, &victim) ||
	    !take_number(&at, UINT64_MAX, &time))
		return -EINVAL;
	struct fence fence = { (uint32_t)victim, (uint16_t)lun, time, UINT64_MAX };
	return history_add_fence(history, &fence);
}

static int take_unfence(struct history *history, char *at)
{
	uint64_t lun, victim, time;
	if (!take_number(&at, UINT16_MAX, &lun) || !take_number(&at, 1 << 20, &victim) ||
	    !take_number(&at, UINT64_MAX, &time))
		return -EINVAL;
	for (size_t i = 0; i < history->fence_count; i++) {
		struct fence *fence = &history->fences[i];
		if (fence->lun == lun && fence->victim == victim && fence->end == UINT64_MAX)
			fence->end = time;
	}
	return 0;
}

static int take_mark(struct history *history, char *at)
{
	uint64_t time;
	if (!take_number(&at, UINT64_MAX, &time))
		return -EINVAL;
	return add_mark(history, time, at ? at : "");
}

static const struct {
	const char *word;
	int (*take)(struct history *history, char *at);
} lines[] = {
	{ "op", take_op },
	{ "fence", take_fence },
	{ "unfence", take_unfence },
	{ "mark", take_mark },
};

static int take_line(struct history *history, char *line)
{
	char *at = line;
	const char *word = next_word(&at);
	for (size_t i = 0; word && i < ARRAY_LEN(lines); i++)
		if (strcmp(word, lines[i].word) == 0)
			return lines[i].take(history, at);
	return word ? -EINVAL : 0;
}

int history_read(FILE *file, struct history *ret_history, struct error *err)
{
	AUTO_FREE char *line = NULL;
	size_t room = 0;
	ssize_t len;
	for (unsigned number = 1; (len = getline(&line, &room, file)) > 0; number++) {
		line[strcspn(line, "\n")] = '\0';
		int r = take_line(ret_history, line);
		if (r < 0)
			return error_set(err, r, "line %u: %s", number,
			                 r == -EINVAL ? "not understood" : strerror(-r));
	}
	return 0;
}

void history_clear(struct history *history)
{
	for (size_t i = 0; i < history->mark_count; i++)
		free(history->marks[i].text);
	free(history->ops);
	free(history->fences);
	free(history->marks);
	*history = (struct history){ 0 };
}
