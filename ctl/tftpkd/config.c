// SPDX-License-Identifier: GPL-2.0
/* The configuration in memory: who holds it, and its bounds. */
#include <stdio.h>

#include "tftpkd.h"

static const struct {
	const char *name;
	const char *unit;
	uint32_t min, max, preset;
} bounds[] = {
	[BOUND_TTL] = { "ttl", "seconds", 0, 86400, 60 },
	[BOUND_NEGATIVE_TTL] = { "negative-ttl", "seconds", 0, 3600, 5 },
	[BOUND_MAP_STEPS] = { "map-steps", "rules", 1, 1000000, 4096 },
	[BOUND_FOLD_ENTRIES] = { "fold-entries", "entries", 1, 10000000, 10000 },
	[BOUND_REWRITE_TIMEOUT] = { "rewrite-timeout", "seconds", 1, 3600, 1 },
	[BOUND_COMMAND_TIMEOUT] = { "command-timeout", "seconds", 1, 3600, 2 },
	[BOUND_MAX_SIZE] = { "max-size", "bytes", 1, 1 << 30, 16 << 20 },
	[BOUND_MAX_PROCESSES] = { "max-processes", "processes", 1, 1000, 8 },
	[BOUND_MAX_WAITING] = { "max-waiting", "commands", 0, 100000, 1000 },
	[BOUND_MAX_HOOKS] = { "max-hooks", "processes", 1, 1000, 4 },
	[BOUND_HOOK_RATE] = { "hook-rate", "hooks per second", 1, 100000, 20 },
};

/* bound_name() - the name of a bound by its number, NULL past the last. */
const char *bound_name(size_t index)
{
	return index < COUNT(bounds) ? bounds[index].name : NULL;
}

/**
 * parse_bound() - read the value of a bound
 * @bound: which
 * @string: the value, with or without a unit
 * @value: where it goes
 *
 * Return: 0, or -1 after an error message.
 */
int parse_bound(enum bound bound, const char *string, uint32_t *value)
{
	uint64_t amount;

	if (!parse_scaled(string, bounds[bound].unit, &amount) ||
	    amount < bounds[bound].min || amount > bounds[bound].max) {
		print_error("%s %s: must be %u to %u %s", bounds[bound].name,
			    string, bounds[bound].min, bounds[bound].max,
			    bounds[bound].unit);
		return -1;
	}
	*value = (uint32_t)amount;
	return 0;
}

/* make_config() - a configuration without a line; a reference to it. */
struct config *make_config(void)
{
	struct config *config = check_alloc(calloc(1, sizeof(*config)));
	size_t i;

	config->references = 1;
	for (i = 0; i < COUNT(bounds); i++)
		config->bounds[i] = bounds[i].preset;
	return config;
}

static void free_hooks(struct hook *hooks)
{
	while (hooks) {
		struct hook *next = hooks->next;

		free_words(hooks->argv);
		free(hooks->type);
		free(hooks);
		hooks = next;
	}
}

/* hold_config() - another reference. */
struct config *hold_config(struct config *config)
{
	config->references++;
	return config;
}

/* start_config() - have the directives get ready for questions. */
void start_config(struct config *config)
{
	size_t i;

	for (i = 0; i < config->count; i++) {
		if (config->directives[i].type->start)
			config->directives[i].type->start(config->directives[i].state);
	}
}

static bool has_directive(const struct config *config, bool takes_uploads)
{
	size_t i;

	for (i = 0; i < config->count; i++) {
		if (config->directives[i].type->takes_uploads == takes_uploads)
			return true;
	}
	return false;
}

bool takes_uploads(const struct config *config)
{
	return has_directive(config, true);
}

bool answers_reads(const struct config *config)
{
	return has_directive(config, false);
}

/* release_config() - drop a reference; the last one takes all with it. */
void release_config(struct config *config)
{
	size_t i;

	if (--config->references)
		return;
	for (i = 0; i < config->count; i++)
		config->directives[i].type->free(config->directives[i].state);
	free(config->directives);
	free_hooks(config->hooks);
	free_pool(config->generators);
	free_pool(config->hook_pool);
	free(config);
}
