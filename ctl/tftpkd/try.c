// SPDX-License-Identifier: GPL-2.0
/* --answer: questions and events as JSON, a line each, to try a configuration. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "below.h"
#include "inbox.h"
#include "workers.h"

/* So much of a file's content is shown. */
#define SHOWN	4096

/* What stands for the only export, or NULL. */
static const char *root_path;

static void put_file(json_t *object, int fd)
{
	char content[SHOWN];
	ssize_t got = pread(fd, content, sizeof(content), 0);
	struct stat stat = { 0 };

	if (!fstat(fd, &stat))
		object_put(object, "size", json_integer(stat.st_size));
	object_put(object, "content", json_bytes(content, got > 0 ? (size_t)got : 0));
}

/* Write what stands in the question, as the kernel does what the client sent. */
static void write_content(const struct question *question, int fd)
{
	auto_free char *content = raw_text(question->facts, "content");

	if (pwrite(fd, content, strlen(content), 0) < 0)
		print_error("cannot write: %s", strerror(errno));
}

static bool print_answer(const struct question *question,
			 const struct answer *answer)
{
	static const char *const kinds[] = { "default", "name", "file", "error",
					     "welcome" };
	json_t *object = check_alloc(json_object());

	object_put(object, "id", json_integer(question->id));
	object_put(object, "answer", json_string(kinds[answer->kind]));
	if (answer->kind == ANSWER_NAME)
		object_put(object, "name",
			   json_bytes(answer->text, strlen(answer->text)));
	if (answer->kind == ANSWER_ERROR) {
		object_put(object, "error-code", json_integer(answer->code));
		object_put(object, "reason",
			   json_bytes(answer->text, strlen(answer->text)));
	}
	if (answer->kind == ANSWER_WELCOME &&
	    question->operation == TFTPK_OPERATION_ACCEPT)
		object_put(object, "max-size",
			   json_integer((json_int_t)answer->max_size));
	if (answer->kind == ANSWER_FILE && is_write(question))
		write_content(question, answer->fd);
	if (answer->kind == ANSWER_FILE)
		put_file(object, answer->fd);
	object_put(object, "ttl", json_integer(answer->ttl));
	object_put(object, "scope",
		   json_string(answer->for_all ? "all" : "client"));
	print_json_line(object);
	fflush(stdout);
	return true;
}

/* A file below the folder that stands for the export? */
static bool probe_root(struct question *question, const char *name)
{
	struct stat stat;
	int root, fd = -1;

	root = root_path ? open(root_path, O_PATH | O_CLOEXEC) : -1;
	if (root >= 0) {
		fd = open_below(root, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		close(root);
	}
	if (fd < 0)
		return false;
	if (fstat(fd, &stat))
		stat.st_mode = 0;
	close(fd);
	return S_ISREG(stat.st_mode);
}

static json_t *root_export(void)
{
	json_t *list = check_alloc(json_array());

	if (root_path)
		array_append(list, json_pack("{s:o, s:s}", "path",
					     json_bytes(root_path, strlen(root_path)),
					     "prefix", "/"));
	return list;
}

static const struct source tries = {
	.answer = print_answer,
	.probe = probe_root,
	.exports = root_export,
};

/* Until all questions are answered and all hooks have ended. */
static void wait_for_answers(const struct config *config)
{
	while (config->references > 1)
		event_base_loop(loop, EVLOOP_ONCE);
}

static int take_line(struct config *config, const char *line, unsigned int number)
{
	json_error_t error;
	json_auto_t *object = json_loads(line, 0, &error);

	if (!json_is_object(object)) {
		print_error("stdin:%u:%d: not a JSON object: %s", number,
			    object ? 1 : error.column, object ? "" : error.text);
		return -1;
	}
	if (json_is_string(object_get(object, "type"))) {
		tell_upload(object);
		run_hooks(config, object);
	} else if (!ask_upload(config, object)) {
		ask_question(config, object);
	}
	return 0;
}

/**
 * run_try() - answer the questions on standard input
 * @config: who answers
 * @root: a folder that stands for what is exported, or NULL
 *
 * An empty line waits for what was asked before it.
 *
 * Return: an exit code.
 */
int run_try(struct config *config, const char *root)
{
	auto_free char *line = NULL;
	unsigned int number = 0;
	size_t size = 0;
	int ret = 0;

	source = &tries;
	root_path = root;
	start_config(config);
	wait_for_jobs(CREW_LOOK, CREW_LOOK, START_PATIENCE);
	while (!ret && getline(&line, &size, stdin) > 0) {
		number++;
		if (*line == '\n')
			wait_for_answers(config);
		else
			ret = take_line(config, line, number);
	}
	wait_for_answers(config);
	finish_uploads();
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}
