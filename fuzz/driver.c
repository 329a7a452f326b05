/* A small stand-in for libFuzzer: runs the seeds, then mutations of them, as many as told, the same
 * ones each time. Takes libFuzzer's own options, so that tests call both alike:
 *
 *   fuzz_NAME [-runs=N] [-seed=N] [-max_len=N] FILE-OR-FOLDER...
 *
 * The input that broke something is left in the file `crash-input`. */
#include "fuzz.h"

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SEEDS_MAX 256

struct input {
	uint8_t *bytes;
	size_t len;
};

static struct input seeds[SEEDS_MAX];
static size_t seed_count;
static size_t max_len = 32768;
static uint64_t random_state = 1;
static struct input current; /* what runs now */

static uint64_t next_random(uint64_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return below ? random_state % below : 0;
}

static void save_input(void)
{
	FILE *file = fopen("crash-input", "wb");
	if (!file)
		return;
	fwrite(current.bytes, 1, current.len, file);
	fclose(file);
}

static void on_abort(int number)
{
	save_input();
	signal(number, SIG_DFL);
	raise(number);
}

static void add_seed(const char *path)
{
	FILE *file = fopen(path, "rb");
	if (!file || seed_count == SEEDS_MAX) {
		fprintf(stderr, "cannot take the seed %s\n", path);
		exit(2);
	}
	struct input *seed = &seeds[seed_count++];
	seed->bytes = malloc(max_len);
	seed->len = seed->bytes ? fread(seed->bytes, 1, max_len, file) : 0;
	fclose(file);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void add_seeds(const char *path)
{
	struct stat about;
	struct dirent **entries;
	if (stat(path, &about) == 0 && !S_ISDIR(about.st_mode)) {
		add_seed(path);
		return;
	}
	int count = scandir(path, &entries, NULL, by_name);
	if (count < 0) {
		perror(path);
		exit(2);
	}
	for (int i = 0; i < count; i++) {
		char name[4096];
		snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			add_seed(name);
		free(entries[i]);
	}
	free(entries);
}

/* ---- mutations: each changes the input in place, within max_len ---- */

static void flip_bit(struct input *input)
{
	if (input->len)
		input->bytes[next_random(input->len)] ^= (uint8_t)(1u << next_random(8));
}

static void set_byte(struct input *input)
{
	static const uint8_t favourites[] = { 0, 1, 0x7f, 0x80, 0xff, '=', ',', '0', 'x' };
	if (input->len)
		input->bytes[next_random(input->len)] =
		        next_random(2) ? favourites[next_random(sizeof(favourites))]
		                       : (uint8_t)next_random(256);
}

static void remove_piece(struct input *input)
{
	size_t at = next_random(input->len), len = next_random(input->len - at + 1);
	if (next_random(4))
		len = len < 4 ? len : next_random(4);
	memmove(input->bytes + at, input->bytes + at + len, input->len - at - len);
	input->len -= len;
}

static void insert_piece(struct input *input, const uint8_t *piece, size_t len)
{
	size_t at = next_random(input->len + 1);
	if (len > max_len - input->len)
		return;
	memmove(input->bytes + at + len, input->bytes + at, input->len - at);
	memcpy(input->bytes + at, piece, len);
	input->len += len;
}

static void repeat_piece(struct input *input)
{
	uint8_t piece[64];
	size_t at = next_random(input->len);
	size_t len = next_random(sizeof(piece));
	len = len < input->len - at ? len : input->len - at;
	memcpy(piece, input->bytes + at, len);
	insert_piece(input, piece, len);
}

static void insert_from_seed(struct input *input)
{
	const struct input *seed = &seeds[next_random(seed_count)];
	size_t at = next_random(seed->len), len = next_random(128);
	len = len < seed->len - at ? len : seed->len - at;
	insert_piece(input, seed->bytes + at, len);
}

static void mutate(struct input *input)
{
	static void (*const mutations[])(struct input *) = { flip_bit, set_byte, remove_piece,
		                                             repeat_piece, insert_from_seed };
	for (uint64_t i = 0, count = 1 + next_random(6); i < count; i++)
		mutations[next_random(sizeof(mutations) / sizeof(mutations[0]))](input);
}

/* The target gets a copy of the exact size, so that the sanitizer sees every read outside. */
static void run(const struct input *input)
{
	uint8_t *copy = malloc(input->len ? input->len : 1);
	if (!copy)
		exit(2);
	memcpy(copy, input->bytes, input->len);
	current = *input;
	LLVMFuzzerTestOneInput(copy, input->len);
	free(copy);
}

/* Defined by the sanitizers, if they are there. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

int main(int argc, char **argv)
{
	unsigned long runs = 10000;
	for (int i = 1; i < argc; i++) {
		if (sscanf(argv[i], "-runs=%lu", &runs) == 1 ||
		    sscanf(argv[i], "-seed=%lu", &random_state) == 1 ||
		    sscanf(argv[i], "-max_len=%zu", &max_len) == 1)
			continue;
		add_seeds(argv[i]);
	}
	if (!seed_count || !random_state || !max_len) {
		fprintf(stderr, "usage: %s [-runs=N] [-seed=N] [-max_len=N] SEEDS...\n", argv[0]);
		return 2;
	}
	signal(SIGABRT, on_abort);
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(save_input);

	for (size_t i = 0; i < seed_count; i++)
		run(&seeds[i]);
	struct input input = { .bytes = malloc(max_len) };
	if (!input.bytes)
		return 2;
	for (unsigned long i = 0; i < runs; i++) {
		const struct input *seed = &seeds[next_random(seed_count)];
		memcpy(input.bytes, seed->bytes, seed->len);
		input.len = seed->len;
		mutate(&input);
		run(&input);
	}
	printf("%zu seeds and %lu mutations of them ran\n", seed_count, runs);
	free(input.bytes);
	for (size_t i = 0; i < seed_count; i++)
		free(seeds[i].bytes);
	return 0;
}
