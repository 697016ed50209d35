// SPDX-License-Identifier: GPL-2.0
/* Questions go from one directive to the next, until one has an answer. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "tftpkd.h"

const struct source *source;

/*
 * At most so many wait at once. The kernel has a bound of its own, but gives up
 * before commands do, and asks anew.
 */
#define MAX_QUESTIONS	4000

/* Those without an answer yet. */
static struct question *questions;
static size_t question_count;

/* is_asked() - is a question of that number without an answer yet? */
bool is_asked(uint32_t id)
{
	const struct question *question;

	for (question = questions; question; question = question->next) {
		if (question->id == id)
			return true;
	}
	return false;
}

static void free_question(struct question *question)
{
	struct question **link = &questions;

	while (*link != question)
		link = &(*link)->next;
	*link = question->next;
	question_count--;
	json_decref(question->facts);
	release_config(question->config);
	free(question->name);
	free(question);
}

/* Ask the directives, from the one whose turn it is. */
static void ask_directives(struct question *question)
{
	const struct config *config = question->config;
	const struct answer none = {
		.kind = ANSWER_DEFAULT,
		.ttl = config->bounds[BOUND_NEGATIVE_TTL],
	};

	for (; question->directive < config->count; question->directive++) {
		const struct directive *directive =
			&config->directives[question->directive];

		if (directive->type->ask(directive->state, question))
			return;
	}
	answer_question(question, &none);
}

/**
 * ask_question() - have a question answered, now or later
 * @config: who answers
 * @facts: what is known of the request; the caller's
 *
 * source->answer() is called once.
 */
void ask_question(struct config *config, json_t *facts)
{
	struct question *question = check_alloc(calloc(1, sizeof(*question)));
	const char *operation =
		json_string_value(object_get(facts, "operation"));
	const char *address =
		json_string_value(object_get(facts, "client-address"));
	bool v6 = address && strchr(address, ':');
	const struct answer none = { .kind = ANSWER_DEFAULT };

	question->config = hold_config(config);
	question->facts = json_incref(facts);
	question->name = raw_text(facts, "name");
	question->id = (uint32_t)object_number(facts, "id");
	question->write = operation && strcmp(operation, "read") != 0;
	question->address_len = v6 ? sizeof(struct in6_addr) :
				     sizeof(struct in_addr);
	if (address)
		inet_pton(v6 ? AF_INET6 : AF_INET, address, &question->address);
	question->next = questions;
	questions = question;
	if (++question_count > MAX_QUESTIONS) {
		question->unsure = true;
		answer_question(question, &none);
		return;
	}
	ask_directives(question);
}

/* answer_question() - a directive has an answer; the question is gone then. */
void answer_question(struct question *question, const struct answer *answer)
{
	struct answer told = *answer;

	/* Another time it may be another one. */
	if (question->unsure)
		told.ttl = 0;
	source->answer(question, &told);
	free_question(question);
}

/* pass_question() - a directive that took the question has no answer to it. */
void pass_question(struct question *question)
{
	question->directive++;
	ask_directives(question);
}
