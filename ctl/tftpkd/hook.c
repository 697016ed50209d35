// SPDX-License-Identifier: GPL-2.0
/* hook: commands that are told what happened. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tftpkd.h"

int read_hook(struct config *config, int argc, char **argv)
{
	struct hook *hook, **link;

	set_error_word(argv[1]);
	if (strcmp(argv[1], "end") != 0 && strcmp(argv[1], "refused") != 0 &&
	    strcmp(argv[1], "received") != 0) {
		print_error("no event '%s': there are end, refused and received",
			    argv[1]);
		return -1;
	}
	if (check_program(argv[2]))
		return -1;
	hook = check_alloc(calloc(1, sizeof(*hook)));
	hook->type = check_alloc(strdup(argv[1]));
	hook->argv = copy_words(argc - 2, argv + 2);
	for (link = &config->hooks; *link;)
		link = &(*link)->next;
	*link = hook;
	return 0;
}

static bool take_token(struct hook *hook, double rate)
{
	double now = monotonic_seconds();

	hook->tokens += (now - hook->filled) * rate;
	hook->filled = now;
	if (hook->tokens > rate)
		hook->tokens = rate;
	if (hook->tokens < 1)
		return false;
	hook->tokens--;
	return true;
}

/* So many were left out; tell, but not of each. */
static void leave_out(struct hook *hook)
{
	hook->left_out++;
	if (claim_line(&hook->told))
		print_error("hook %s %s: %llu left out so far, see hook-rate, max-waiting and command-timeout",
			    hook->type, hook->argv[0], hook->left_out);
}

/* A hook that runs or waits. */
struct hook_run {
	struct config *config;	/* a reference */
	struct hook *hook;
};

static void on_end(void *data, int fd)
{
	struct hook_run *run = data;

	if (fd == NOT_RUN)
		leave_out(run->hook);
	release_config(run->config);
	free(run);
}

static void start_hook(struct config *config, struct hook *hook,
		       const json_t *event)
{
	struct hook_run *run = check_alloc(malloc(sizeof(*run)));
	const struct process command = {
		.argv = hook->argv,
		.environment = make_environment(event),
		.timeout = config->bounds[BOUND_COMMAND_TIMEOUT],
		.ended = on_end,
		.data = run,
	};

	run->config = hold_config(config);
	run->hook = hook;
	if (!run_pooled(config->hook_pool, &command))
		on_end(run, NOT_RUN);
}

/**
 * run_hooks() - tell commands of an event
 * @config: whose hooks
 * @event: as nl_events() has it
 */
void run_hooks(struct config *config, const json_t *event)
{
	const char *type = json_string_value(object_get(event, "type"));
	struct hook *hook;

	for (hook = config->hooks; type && hook; hook = hook->next) {
		if (strcmp(hook->type, type) != 0)
			continue;
		if (take_token(hook, config->bounds[BOUND_HOOK_RATE]))
			start_hook(config, hook, event);
		else
			leave_out(hook);
	}
}
