// SPDX-License-Identifier: GPL-2.0
/* The kernel's questions and events, by netlink. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../spec.h"
#include "inbox.h"
#include "workers.h"

/* Bytes of notices and events that wait. */
#define ROOM		(4 << 20)

/* Seconds between looks for uploads whose ends were not told. */
#define LOOK_PERIOD	60

/* A look for a file that takes so many seconds stops these for so many. */
#define SLOW_PROBE	0.5
#define PROBE_PAUSE	5

/* Seconds of questions, until signals, timers and events have their turn. */
#define TURN		0.1

/* Seconds, less than the kernel waits, after which it is asked what still waits. */
#define STALE		0.8

/* The longest text of an ERROR. */
#define REASON_MAX	59

static const char *const modes[] = {
	[TFTPK_TRANSFER_MODE_OCTET] = "octet",
	[TFTPK_TRANSFER_MODE_NETASCII] = "netascii",
	NULL
};

static const struct field question_fields[] = {
	FIELD(TFTPK_A_QUESTION_ID, FIELD_NUMBER, "id"),
	{ .attr = TFTPK_A_QUESTION_OPERATION, .type = FIELD_WORD,
	  .name = "operation", .words = operation_words },
	FIELD(TFTPK_A_QUESTION_NAME, FIELD_STRING, "name"),
	{ .attr = TFTPK_A_QUESTION_MODE, .type = FIELD_WORD, .name = "mode",
	  .words = modes },
	FIELD(TFTPK_A_QUESTION_CLIENT_ADDRESS, FIELD_ADDRESS, "client-address"),
	FIELD(TFTPK_A_QUESTION_CLIENT_PORT, FIELD_PORT, "client-port"),
	FIELD(TFTPK_A_QUESTION_IFINDEX, FIELD_INTERFACE, "ifindex"),
	FIELD(TFTPK_A_QUESTION_MAC, FIELD_MAC, "mac"),
	FIELD(TFTPK_A_QUESTION_SERVER_ADDRESS, FIELD_ADDRESS, "server-address"),
	FIELD(TFTPK_A_QUESTION_SERVER_PORT, FIELD_PORT, "server-port"),
	FIELD(TFTPK_A_QUESTION_BLOCK_SIZE, FIELD_NUMBER, "block-size"),
	FIELD(TFTPK_A_QUESTION_WINDOW_SIZE, FIELD_NUMBER, "window-size"),
	FIELD(TFTPK_A_QUESTION_TIMEOUT, FIELD_NUMBER, "timeout"),
	FIELD(TFTPK_A_QUESTION_AGE, FIELD_NUMBER, "age"),
	FIELD(TFTPK_A_QUESTION_TRANSFER, FIELD_NUMBER, "transfer"),
	FIELD(TFTPK_A_QUESTION_SIZE, FIELD_NUMBER, "size"),
};

static const struct field asked_fields[] = {
	{ .attr = TFTPK_A_SETTINGS_RESOLVE, .type = FIELD_WORD,
	  .name = "resolve", .words = resolve_words },
	FIELD(TFTPK_A_SETTINGS_UPLOADS, FIELD_BOOLEAN, "uploads"),
};

static const struct field number_field[] = {
	FIELD(TFTPK_A_TRANSFER_ID, FIELD_NUMBER, "id"),
};

/* The socket for requests is the agent's. */
static struct ctl ctl = { .quiet = true };
static struct config *current;
static const char *config_file;
static int exit_code;

/* Questions that the kernel told, of which some are to be asked yet; or NULL. */
static json_t *told;
static size_t next_told;
static double told_at;
static bool told_more;		/* there are others, too */

/*
 * Messages were lost. Until the socket is empty, the kernel drops all that comes, and
 * does not tell so again.
 */
static bool behind;

static void stop(int code)
{
	exit_code = code;
	event_base_loopbreak(loop);
}

static void put_answer(struct nlmsghdr *nlh, const struct answer *answer,
		       enum tftpk_operation operation)
{
	switch (answer->kind) {
	case ANSWER_NAME:
		mnl_attr_put_strz(nlh, TFTPK_A_ANSWER_NAME, answer->text);
		break;
	case ANSWER_FILE:
		mnl_attr_put_u32(nlh, TFTPK_A_ANSWER_FD, (uint32_t)answer->fd);
		break;
	case ANSWER_ERROR: {
		auto_free char *reason =
			check_alloc(strndup(answer->text, REASON_MAX));

		mnl_attr_put_u32(nlh, TFTPK_A_ANSWER_ERROR_CODE, answer->code);
		mnl_attr_put_strz(nlh, TFTPK_A_ANSWER_REASON, reason);
		break;
	}
	case ANSWER_WELCOME:
		mnl_attr_put(nlh, TFTPK_A_ANSWER_WELCOME, 0, NULL);
		if (operation == TFTPK_OPERATION_ACCEPT)
			mnl_attr_put_u64(nlh, TFTPK_A_ANSWER_MAX_SIZE,
					 answer->max_size);
		break;
	case ANSWER_DEFAULT:
		mnl_attr_put(nlh, TFTPK_A_ANSWER_DEFAULT, 0, NULL);
		break;
	}
}

static bool answer_kernel(const struct question *question,
			  const struct answer *answer)
{
	static const struct answer none = { .kind = ANSWER_DEFAULT };
	auto_free char *name = string_text(question->facts, "name");
	struct nlmsghdr *nlh;

	if (answer->kind == ANSWER_NAME && strlen(answer->text) > TFTPK_PATH_MAX)
		answer = &none;
	nlh = nl_request(&ctl, TFTPK_CMD_RESOLVE_SET);
	mnl_attr_put_u32(nlh, TFTPK_A_ANSWER_ID, question->id);
	put_answer(nlh, answer, question->operation);
	/* Of rules that are gone, the flush came already. */
	if (answer->ttl && question->config == current) {
		mnl_attr_put_u32(nlh, TFTPK_A_ANSWER_TIME_TO_LIVE,
				 answer->ttl * MS_PER_SECOND);
		mnl_attr_put_u32(nlh, TFTPK_A_ANSWER_SCOPE,
				 answer->for_all ? TFTPK_SCOPE_ALL :
						   TFTPK_SCOPE_CLIENT);
	}
	if (!nl_do(&ctl, NULL, 0, NULL))
		return true;
	/* It may have waited for too long. */
	if (ctl.error != ENOENT)
		nl_fail(&ctl, "answer to %s", name);
	return false;
}

/* Would the client get that file? */
static bool look_up(const struct question *question, const char *name)
{
	long long ifindex = object_number(question->facts, "ifindex");
	struct nlmsghdr *nlh;
	json_auto_t *reply = NULL;

	if (!*name || strlen(name) > TFTPK_PATH_MAX)
		return false;
	nlh = nl_request(&ctl, TFTPK_CMD_LOOKUP);
	mnl_attr_put_strz(nlh, TFTPK_A_LOOKUP_NAME, name);
	mnl_attr_put(nlh, TFTPK_A_LOOKUP_CLIENT_ADDRESS, question->address_len,
		     &question->address);
	if (ifindex > 0)
		mnl_attr_put_u32(nlh, TFTPK_A_LOOKUP_IFINDEX, (uint32_t)ifindex);
	mnl_attr_put(nlh, TFTPK_A_LOOKUP_NO_AGENT, 0, NULL);
	return !nl_do(&ctl, lookup_fields, COUNT(lookup_fields), &reply) &&
	       json_is_string(object_get(reply, "file")) &&
	       json_is_null(object_get(reply, "reason"));
}

/* A look at storage that hangs holds up all questions: then do without for a while. */
static bool probe_kernel(struct question *question, const char *name)
{
	static double resume;
	double began = monotonic_seconds(), took;
	bool found;

	if (began < resume) {
		question->unsure = true;
		return false;
	}
	found = look_up(question, name);
	took = monotonic_seconds() - began;
	if (took <= SLOW_PROBE)
		return found;
	resume = began + took + PROBE_PAUSE;
	print_error("a look for a file took %.1f s: no more of these for %d s",
		    took, PROBE_PAUSE);
	return found;
}

static json_t *list_exports(void)
{
	json_t *list = NULL;

	if (nl_dump(&ctl, TFTPK_CMD_EXPORT_GET, export_fields,
		    COUNT(export_fields), &list))
		list = check_alloc(json_array());
	return list;
}

static const struct source kernel = {
	.answer = answer_kernel,
	.probe = probe_kernel,
	.exports = list_exports,
};

/* Become the agent; once more, and all questions are told again. */
static int attach(void)
{
	nl_request(&ctl, TFTPK_CMD_RESOLVE_ATTACH);
	if (!nl_do(&ctl, NULL, 0, NULL))
		return 0;
	if (ctl.error == EBUSY && !ctl.extack[0])
		print_error("another agent answers the questions of this network namespace");
	else
		nl_fail(&ctl, "attach");
	return -1;
}

static void take_questions(void);

/*
 * Go through those that were told, and on from the event loop if that takes long.
 * Those of a while ago may have been given up: ask the kernel again for what waits.
 */
static void ask_told(evutil_socket_t fd, short what, void *data)
{
	const struct timeval now = { 0 };
	double end = monotonic_seconds() + TURN;
	size_t count = json_array_size(told);

	while (next_told < count && monotonic_seconds() < end) {
		json_t *facts = json_array_get(told, next_told++);

		if (!is_asked((uint32_t)object_number(facts, "id")) &&
		    !ask_upload(current, facts))
			ask_question(current, facts);
	}
	if (next_told < count && end - told_at < STALE) {
		if (event_base_once(loop, -1, EV_TIMEOUT, ask_told, NULL, &now))
			check_alloc(NULL);
		return;
	}
	json_decref(told);
	told = NULL;
	if (next_told < count && attach())
		stop(EXIT_FAILURE);
	else if (next_told < count || told_more)
		take_questions();
}

/* Have all questions answered that this was not told of yet. */
static void take_questions(void)
{
	told_more = told != NULL;
	if (told)
		return;
	if (nl_dump_once(&ctl, TFTPK_CMD_RESOLVE_GET, question_fields,
			 COUNT(question_fields), &told, NULL)) {
		nl_fail(&ctl, "questions");
		stop(EXIT_FAILURE);
		return;
	}
	told_at = monotonic_seconds();
	next_told = 0;
	ask_told(-1, 0, NULL);
}

static void take_messages(const json_t *list)
{
	bool notice = false;
	json_t *event;
	size_t i;

	json_array_foreach(list, i, event) {
		/* A notice tells nothing but that it is one. */
		notice |= !json_is_string(object_get(event, "type"));
		add_name(event);
		tell_upload(event);
		run_hooks(current, event);
	}
	if (notice)
		take_questions();
}

/* Ends of uploads may be among what was lost, or could not be told at all. */
static void look_for_uploads(void)
{
	json_auto_t *transfers = NULL;

	if (!has_uploads())
		return;
	if (nl_dump(&ctl, TFTPK_CMD_TRANSFER_GET, number_field, COUNT(number_field),
		    &transfers))
		nl_fail(&ctl, "transfers");
	else
		keep_uploads(transfers);
}

static void on_look_time(evutil_socket_t fd, short what, void *data)
{
	look_for_uploads();
}

/* Returns whether there may be more. */
static bool read_message(void)
{
	json_auto_t *list = NULL;
	static double lost;

	if (!nl_events(&ctl, event_fields, COUNT(event_fields), &list)) {
		take_messages(list);
	} else if (ctl.error == ENODEV) {
		print_error("the tftpk module was unloaded: there is nothing more to answer");
		stop(EXIT_SUCCESS);
		return false;
	} else if (ctl.error == ENOBUFS) {
		if (claim_line(&lost))
			print_error("events were lost, and maybe notices");
		behind = true;
	} else if (ctl.error != EINTR) {
		nl_fail(&ctl, "events");
		stop(EXIT_FAILURE);
		return false;
	}
	return true;
}

static bool has_messages(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, 0) > 0;
}

static void on_messages(evutil_socket_t fd, short what, void *data)
{
	double end = monotonic_seconds() + TURN;

	do {
		if (!read_message())
			return;
	} while (behind && has_messages(fd) && monotonic_seconds() < end);
	if (behind && has_messages(fd)) {
		take_questions();
	} else if (behind) {
		behind = false;
		look_for_uploads();
		if (attach())
			stop(EXIT_FAILURE);
		else
			take_questions();
	}
}

/* Hooks and uploads want events, which cost something. */
static int want_events(const struct config *config)
{
	if ((!config->hooks && !takes_uploads(config)) || !nl_join(&ctl, TFTPK_MCGRP_EVENTS))
		return 0;
	nl_fail(&ctl, "events");
	return -1;
}

/* What was answered by the old rules is to be asked again. */
static void on_reload(evutil_socket_t fd, short what, void *data)
{
	struct config *config = read_tftpkd_conf(config_file, false);

	if (!config) {
		print_error("%s is wrong: the configuration stays as it was",
			    config_file);
		return;
	}
	release_config(current);
	current = config;
	start_config(config);
	want_events(config);
	nl_request(&ctl, TFTPK_CMD_RESOLVE_FLUSH);
	if (nl_do(&ctl, NULL, 0, NULL))
		nl_fail(&ctl, "flush");
}

static void on_stop(evutil_socket_t fd, short what, void *data)
{
	stop(EXIT_SUCCESS);
}

/* Tell systemd, if it started this, see sd_notify(3). */
static void tell_ready(void)
{
	static const char ready[] = "READY=1";
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (!len || len >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, len);
	if (*path == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, ready, strlen(ready), 0, (struct sockaddr *)&address,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		print_error("cannot tell systemd: %s", strerror(errno));
	close(fd);
}

/* Nobody would know why nothing is asked. */
static void warn_off(void)
{
	json_auto_t *settings = NULL;
	const char *resolve;

	nl_request(&ctl, TFTPK_CMD_SETTINGS_GET);
	if (nl_do(&ctl, asked_fields, COUNT(asked_fields), &settings))
		return;
	resolve = json_string_value(object_get(settings, "resolve"));
	if (answers_reads(current) && resolve && !strcmp(resolve, "off"))
		print_warning("no questions come while resolve is off: tftpkctl set resolve missing, or all");
	if (takes_uploads(current) && json_is_false(object_get(settings, "uploads")))
		print_warning("no uploads come while uploads is off: tftpkctl set uploads on");
}

/* Each upload has two descriptors; commands get a limit of their own. */
static void raise_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

static void watch_uploads(void)
{
	const struct timeval period = { .tv_sec = LOOK_PERIOD };
	struct event *event = check_alloc(event_new(loop, -1, EV_PERSIST,
						    on_look_time, NULL));

	event_add(event, &period);
}

static void watch_signal(int number, event_callback_fn fn)
{
	struct event *event = check_alloc(evsignal_new(loop, number, fn, NULL));

	event_add(event, NULL);
}

/**
 * run_agent() - answer the kernel's questions
 * @config: who answers, is released
 * @file: where it was read from
 *
 * Return: an exit code.
 */
int run_agent(struct config *config, const char *file)
{
	struct event *messages;

	source = &kernel;
	current = config;
	config_file = file;
	raise_limit();
	if (nl_subscribe(&ctl, TFTPK_MCGRP_RESOLVE, ROOM))
		return nl_fail(&ctl, "questions");
	start_config(config);
	wait_for_jobs(CREW_LOOK, CREW_LOOK, START_PATIENCE);
	if (want_events(config) || attach())
		return EXIT_FAILURE;
	warn_off();
	messages = check_alloc(event_new(loop, mnl_socket_get_fd(ctl.events),
					 EV_READ | EV_PERSIST, on_messages, NULL));
	event_add(messages, NULL);
	watch_uploads();
	watch_signal(SIGHUP, on_reload);
	watch_signal(SIGTERM, on_stop);
	watch_signal(SIGINT, on_stop);
	tell_ready();
	take_questions();
	event_base_dispatch(loop);
	event_del(messages);
	finish_uploads();
	/* Those who asked are the next agent's, or follow resolve-policy. */
	nl_close(&ctl);
	return exit_code;
}
