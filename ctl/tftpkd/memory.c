// SPDX-License-Identifier: GPL-2.0
/*
 * Names that are known to have no answer, for a while. A new name takes the place
 * of an older one: nothing grows, whatever is asked for.
 */
#include <string.h>
#include <sys/random.h>

#include "tftpkd.h"

#define SLOTS	1024

struct memory {
	uint64_t seed;		/* so that nobody can choose the slot */
	struct {
		char *key;
		double until;
	} slots[SLOTS];
};

struct memory *make_memory(void)
{
	struct memory *memory = check_alloc(calloc(1, sizeof(*memory)));

	if (getrandom(&memory->seed, sizeof(memory->seed), 0) < 0)
		memory->seed = (uint64_t)(monotonic_seconds() * 1e9);
	return memory;
}

void free_memory(struct memory *memory)
{
	size_t i;

	for (i = 0; i < SLOTS; i++)
		free(memory->slots[i].key);
	free(memory);
}

/* FNV-1a, with a seed, and mixed so that all bits matter. */
static size_t find_slot(const struct memory *memory, const char *key)
{
	uint64_t hash = memory->seed ^ 0xcbf29ce484222325;

	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * 0x100000001b3;
	return (hash ^ hash >> 29 ^ hash >> 47) % SLOTS;
}

/* is_remembered() - is the key known, and its time not over? */
bool is_remembered(const struct memory *memory, const char *key)
{
	size_t slot = find_slot(memory, key);

	return memory->slots[slot].key && !strcmp(memory->slots[slot].key, key) &&
	       memory->slots[slot].until > monotonic_seconds();
}

/* remember() - know the key for so long. */
void remember(struct memory *memory, const char *key, unsigned int seconds)
{
	size_t slot = find_slot(memory, key);

	free(memory->slots[slot].key);
	memory->slots[slot].key = check_alloc(strdup(key));
	memory->slots[slot].until = monotonic_seconds() + seconds;
}
