// SPDX-License-Identifier: GPL-2.0
/* map: names by the rules of tftpd-hpa. */
#include <string.h>

#include "map.h"
#include "tftpkd.h"

/* As tftpd-hpa: access violation. */
#define TFTP_ACCESS	2

/* Seconds for one name: all others wait meanwhile. */
#define TIME		0.02

static void *read_map(struct config *config, int argc, char **argv)
{
	set_error_word(argv[1]);
	return map_read(argv[1]);
}

static bool probe(void *data, const char *name)
{
	return source->probe(data, name);
}

static bool ask_map(void *directive, struct question *question)
{
	struct map_asker asker = {
		.address = &question->address,
		.len = question->address_len,
		.write = is_write(question),
		.steps = question->config->bounds[BOUND_MAP_STEPS],
		.probe = probe,
		.data = question,
	};
	struct answer answer = {
		.kind = ANSWER_NAME,
		.ttl = question->config->bounds[BOUND_TTL],
	};
	auto_free char *reason = NULL;
	auto_free char *name = NULL;

	asker.deadline = monotonic_seconds() + TIME;
	name = map_name(directive, &asker, question->name, &reason);
	question->unsure |= monotonic_seconds() > asker.deadline;
	/* A name that stays leaves the answer to others. */
	if (name && !strcmp(name, question->name))
		return false;
	answer.text = name;
	if (!name) {
		answer.kind = ANSWER_ERROR;
		answer.code = TFTP_ACCESS;
		answer.text = reason ? reason : "Access violation";
		answer.ttl = question->config->bounds[BOUND_NEGATIVE_TTL];
	}
	answer_question(question, &answer);
	return true;
}

static void free_map(void *directive)
{
	map_free(directive);
}

const struct directive_type map_directive = {
	.name = "map", .args = "FILE", .min_args = 1, .max_args = 1,
	.read = read_map, .ask = ask_map, .free = free_map,
};
