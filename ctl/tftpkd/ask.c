// SPDX-License-Identifier: GPL-2.0
/* Questions go from one directive to the next, until one has an answer. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "tftpkd.h"

const struct source *source;

/* TFTP's error code. */
#define TFTP_ACCESS	2

/*
 * At most so many wait at once. The kernel has a bound of its own, but gives up
 * before commands do, and asks anew.
 */
#define MAX_QUESTIONS	4000

/* Those without an answer yet. */
static struct question *questions;
static size_t question_count;

const char *const operation_words[] = {
	[TFTPK_OPERATION_READ] = "read",
	[TFTPK_OPERATION_ACCEPT] = "accept",
	[TFTPK_OPERATION_OPEN] = "open",
	[TFTPK_OPERATION_COMMIT] = "commit",
	NULL
};

/* get_operation() - what a question is about; of any other word, a read. */
enum tftpk_operation get_operation(const json_t *facts)
{
	const char *word = json_string_value(object_get(facts, "operation"));
	size_t i;

	for (i = 0; word && operation_words[i]; i++) {
		if (!strcmp(operation_words[i], word))
			return (enum tftpk_operation)i;
	}
	return TFTPK_OPERATION_READ;
}

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
 * make_question() - a question that nobody was asked yet
 * @config: who is to answer
 * @facts: what is known of the request; the caller's
 *
 * Return: the question, for which answer_question() is to be called.
 */
struct question *make_question(struct config *config, json_t *facts)
{
	struct question *question = check_alloc(calloc(1, sizeof(*question)));
	long long transfer = object_number(facts, "transfer");
	const char *address =
		json_string_value(object_get(facts, "client-address"));
	bool v6 = address && strchr(address, ':');

	question->config = hold_config(config);
	question->facts = json_incref(facts);
	question->name = raw_text(facts, "name");
	question->id = (uint32_t)object_number(facts, "id");
	question->transfer = transfer < 0 ? 0 : (uint32_t)transfer;
	question->operation = get_operation(facts);
	question->address_len = v6 ? sizeof(struct in6_addr) :
				     sizeof(struct in_addr);
	if (address)
		inet_pton(v6 ? AF_INET6 : AF_INET, address, &question->address);
	question->next = questions;
	questions = question;
	question_count++;
	return question;
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
	struct question *question = make_question(config, facts);
	const struct answer none = { .kind = ANSWER_DEFAULT };

	if (question_count > MAX_QUESTIONS) {
		question->unsure = true;
		answer_question(question, &none);
		return;
	}
	ask_directives(question);
}

/* Those that come next are to know the upload by its new name. */
static void rename_upload(struct question *question, const char *name)
{
	char *copy = check_alloc(strdup(name));

	free(question->name);
	question->name = copy;
	pass_question(question);
}

/**
 * answer_question() - a directive has an answer; the question is gone then
 * @question: what was asked
 * @answer: the answer; a name for an upload is one for the next directives
 *
 * Return: whether somebody still waited for it.
 */
bool answer_question(struct question *question, const struct answer *answer)
{
	struct answer told = *answer;
	bool waited;

	if (is_write(question) && answer->kind == ANSWER_NAME) {
		rename_upload(question, answer->text);
		return true;
	}
	/* The kernel has nothing else for an upload that began. */
	if (answer->kind == ANSWER_DEFAULT &&
	    (question->operation == TFTPK_OPERATION_OPEN ||
	     question->operation == TFTPK_OPERATION_COMMIT))
		told = (struct answer){
			.kind = ANSWER_ERROR, .code = TFTP_ACCESS,
			.text = "no uploads here",
		};
	/* Another time it may be another one. */
	if (question->unsure || is_write(question))
		told.ttl = 0;
	waited = source->answer(question, &told);
	free_question(question);
	return waited;
}

/* pass_question() - a directive that took the question has no answer to it. */
void pass_question(struct question *question)
{
	question->directive++;
	ask_directives(question);
}
