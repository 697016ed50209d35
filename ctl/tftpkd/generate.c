// SPDX-License-Identifier: GPL-2.0
/* generate: files that a command makes when they are asked for. */
#include <fnmatch.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tftpkd.h"

/* Who waits. */
struct waiter {
	struct waiter *next;
	struct question *question;
};

/* A command that makes one file, and who waits for it. */
struct job {
	struct job *next;
	struct generator *generator;
	struct config *config;	/* a reference */
	struct in6_addr address;	/* of who asked first */
	char *key;
	struct waiter *waiters;
	unsigned int waiter_count;
};

struct generator {
	char *pattern;
	char **argv;
	bool for_all;
	uint32_t ttl, timeout, max_size;
	struct job *jobs;
	struct memory *failures;
};

/* How long a file is remembered if the line does not say. */
#define TTL	10

/* One client may have the PARTth part of the processes, but one at least. */
#define PART	4

/* Questions that one command answers. */
#define MAX_WAITERS	1000

enum {
	OPTION_GENERATE_TTL,
	OPTION_GENERATE_FOR_ALL,
	OPTION_GENERATE_TIMEOUT,
	OPTION_GENERATE_MAX_SIZE,
};

static const struct option options[] = {
	{ "ttl", required_argument, NULL, OPTION_GENERATE_TTL },
	{ "for-all", no_argument, NULL, OPTION_GENERATE_FOR_ALL },
	{ "timeout", required_argument, NULL, OPTION_GENERATE_TIMEOUT },
	{ "max-size", required_argument, NULL, OPTION_GENERATE_MAX_SIZE },
	{ 0 }
};

static void free_generator(void *directive)
{
	struct generator *generator = directive;

	free(generator->pattern);
	free_words(generator->argv);
	free_memory(generator->failures);
	free(generator);
}

static int read_option(struct generator *generator, int option, const char *word)
{
	set_error_word(optarg ? optarg : word);
	switch (option) {
	case OPTION_GENERATE_TTL:
		return parse_bound(BOUND_TTL, optarg, &generator->ttl);
	case OPTION_GENERATE_TIMEOUT:
		return parse_bound(BOUND_COMMAND_TIMEOUT, optarg,
				   &generator->timeout);
	case OPTION_GENERATE_MAX_SIZE:
		return parse_bound(BOUND_MAX_SIZE, optarg,
				   &generator->max_size);
	case OPTION_GENERATE_FOR_ALL:
		generator->for_all = true;
		return 0;
	case ':':
		print_error("%s: the value is missing", word);
		return -1;
	default:
		print_error("no option '%s' here: there are --ttl, --timeout, --max-size and --for-all",
			    word);
		return -1;
	}
}

static int read_options(struct generator *generator, int argc, char **argv)
{
	int option;

	opterr = 0;
	optind = 0;
	/* The command has options of its own. */
	while ((option = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
		if (read_option(generator, option, argv[optind - 1]))
			return -1;
	}
	if (argc - optind >= 2)
		return 0;
	set_error_word(argv[0]);
	print_error("usage: generate %s", generate_directive.args);
	return -1;
}

static void *read_generate(struct config *config, int argc, char **argv)
{
	struct generator *generator = check_alloc(calloc(1, sizeof(*generator)));

	generator->failures = make_memory();
	generator->ttl = TTL;
	if (read_options(generator, argc, argv) ||
	    check_program(argv[optind + 1])) {
		free_generator(generator);
		return NULL;
	}
	generator->pattern = check_alloc(strdup(argv[optind]));
	generator->argv = copy_words(argc - optind - 1, argv + optind + 1);
	return generator;
}

/* What makes two requests one: the name, and who asks if that matters. */
static char *make_key(const struct generator *generator,
		      const struct question *question)
{
	auto_free char *address = string_text(question->facts, "client-address");

	return xasprintf("%s %s", generator->for_all ? "*" : address,
			 question->name);
}

/* Returns false where too many wait. */
static bool wait_for_job(struct job *job, struct question *question)
{
	struct waiter *waiter;

	if (job->waiter_count >= MAX_WAITERS) {
		question->unsure = true;
		return false;
	}
	waiter = check_alloc(malloc(sizeof(*waiter)));
	job->waiter_count++;
	waiter->question = question;
	waiter->next = job->waiters;
	job->waiters = waiter;
	return true;
}

static void free_job(struct job *job)
{
	struct job **link = &job->generator->jobs;

	while (*link != job)
		link = &(*link)->next;
	*link = job->next;
	while (job->waiters) {
		struct waiter *next = job->waiters->next;

		free(job->waiters);
		job->waiters = next;
	}
	free(job->key);
	release_config(job->config);
	free(job);
}

static void on_file(void *data, int fd)
{
	struct job *job = data;
	const struct answer answer = {
		.kind = ANSWER_FILE, .fd = fd, .ttl = job->generator->ttl,
		.for_all = job->generator->for_all,
	};
	const struct waiter *waiter;

	if (fd == -1)
		remember(job->generator->failures, job->key,
			 job->config->bounds[BOUND_NEGATIVE_TTL]);
	for (waiter = job->waiters; waiter; waiter = waiter->next) {
		waiter->question->unsure |= fd == NOT_RUN;
		if (fd >= 0)
			answer_question(waiter->question, &answer);
		else
			pass_question(waiter->question);
	}
	if (fd >= 0)
		close(fd);
	free_job(job);
}

/*
 * Has the client its part of the processes? A forger's names must not take those
 * of all others.
 */
static bool has_its_part(const struct question *question)
{
	const struct config *config = question->config;
	uint32_t part = config->bounds[BOUND_MAX_PROCESSES] / PART;
	uint32_t n = 0;
	size_t i;

	for (i = 0; i < config->count; i++) {
		const struct generator *generator = config->directives[i].state;
		const struct job *job;

		if (config->directives[i].type != &generate_directive)
			continue;
		for (job = generator->jobs; job; job = job->next)
			n += !memcmp(&job->address, &question->address,
				     sizeof(job->address));
	}
	return n >= (part ? part : 1);
}

/* Returns false where too many wait. */
static bool start_job(struct generator *generator, struct question *question,
		      const char *key)
{
	const uint32_t *bounds = question->config->bounds;
	struct job *job = check_alloc(calloc(1, sizeof(*job)));
	const struct process command = {
		.argv = generator->argv,
		.environment = make_environment(question->facts),
		.timeout = generator->timeout ? generator->timeout :
						bounds[BOUND_COMMAND_TIMEOUT],
		.max_size = generator->max_size ? generator->max_size :
						  bounds[BOUND_MAX_SIZE],
		.urgent = true,
		.near = json_is_string(object_get(question->facts, "mac")),
		.ended = on_file,
		.data = job,
	};

	job->generator = generator;
	job->config = hold_config(question->config);
	job->address = question->address;
	job->key = check_alloc(strdup(key));
	job->next = generator->jobs;
	generator->jobs = job;
	wait_for_job(job, question);
	if (run_pooled(job->config->generators, &command))
		return true;
	free_job(job);
	question->unsure = true;
	return false;
}

static bool ask_generate(void *directive, struct question *question)
{
	struct generator *generator = directive;
	const char *name = question->name;
	auto_free char *key = NULL;
	struct job *job;

	name += strspn(name, "/");
	if (is_write(question) || fnmatch(generator->pattern, name, 0))
		return false;
	key = make_key(generator, question);
	if (is_remembered(generator->failures, key))
		return false;
	for (job = generator->jobs; job; job = job->next) {
		if (!strcmp(job->key, key))
			return wait_for_job(job, question);
	}
	if (has_its_part(question)) {
		question->unsure = true;
		return false;
	}
	return start_job(generator, question, key);
}

const struct directive_type generate_directive = {
	.name = "generate",
	.args = "[--ttl TIME] [--for-all] [--timeout TIME] [--max-size BYTES] PATTERN COMMAND [ARG]...",
	.min_args = 0, .max_args = INT32_MAX,
	.read = read_generate, .ask = ask_generate, .free = free_generator,
};
