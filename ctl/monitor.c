// SPDX-License-Identifier: GPL-2.0
/* monitor: what happens, as it happens. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "spec.h"
#include "tftpkctl.h"

/* Bytes of events that wait while the output is slow. */
#define ROOM	(4 << 20)

/* A transfer's age when it is told of. One that never began took no time. */
static void add_duration(json_t *event)
{
	bool began = json_is_integer(object_get(event, "acknowledged"));

	object_put(event, "duration",
		   began ? json_incref(object_get(event, "age")) : json_null());
	object_remove(event, "age");
}

/* A string that others chose, in quotes if it could be read as several. */
static char *quoted_string(const json_t *event, const char *name)
{
	char *raw = raw_text(event, name), *string;

	string = json_is_string(object_get(event, name)) ? quote_word(raw) :
							   xasprintf("-");
	free(raw);
	return string;
}

/*
 * "/srv/tftp/a as a": the file, and what was asked for if that is known; of an upload
 * after "write".
 */
static void print_file(const json_t *event)
{
	char *file = quoted_string(event, "file");
	char *name = quoted_string(event, "name");

	if (is_upload(event))
		printf(" write");
	if (strcmp(file, "-") != 0 && strcmp(name, "-") != 0)
		printf(" %s as %s", file, name);
	else
		printf(" %s", strcmp(file, "-") != 0 ? file : name);
	free(name);
	free(file);
}

static void print_options(const json_t *event)
{
	long long timeout = object_number(event, "timeout");

	printf(", blocks of %lld, window %lld", object_number(event, "block-size"),
	       object_number(event, "window-size"));
	if (timeout > 0)
		printf(", timeout %lld s", timeout);
}

static void print_end(const json_t *event, const char *why)
{
	char *speed = amount_text(transfer_rate(event, "duration"));
	char *rtt = rtt_column(event, "rtt");
	long long acknowledged = object_number(event, "acknowledged");
	long long size = object_number(event, "size");
	char *reason = string_text(event, "reason");
	long long code = object_number(event, "error-code");

	if (acknowledged == size || size < 0)
		printf(", %lld bytes", acknowledged);
	else
		printf(", %lld of %lld bytes", acknowledged, size);
	printf(" in %.3f s, %s/s, %lld resent, RTT %s",
	       (double)object_number(event, "duration") / 1000.0, speed,
	       object_number(event, "blocks-retransmitted"), rtt);
	print_options(event);
	if (code >= 0)
		printf(": ERROR %lld, %s", code, reason);
	else if (json_is_string(object_get(event, "reason")))
		printf(": %s", reason);
	else if (why)
		printf(": %s", why);
	free(reason);
	free(rtt);
	free(speed);
}

static void print_progress(const json_t *event)
{
	char *speed = amount_text(transfer_rate(event, "duration"));
	long long acknowledged = object_number(event, "acknowledged");
	long long size = object_number(event, "size");

	if (size < 0)
		printf(", %lld bytes, %s/s", acknowledged, speed);
	else
		printf(", %.0f%% of %lld bytes, %s/s", size > 0 ?
		       100.0 * (double)acknowledged / (double)size : 0.0, size, speed);
	free(speed);
}

/* All of it is here, though the last block is acknowledged when it is stored. */
static void print_received(const json_t *event)
{
	long long size = object_number(event, "size");

	printf(", %lld bytes in %.3f s, to be stored",
	       size >= 0 ? size : object_number(event, "acknowledged"),
	       (double)object_number(event, "duration") / 1000.0);
}

/* What the line of an ended transfer begins with. */
static const char *ending(const char *outcome)
{
	if (!strcmp(outcome, outcome_words[TFTPK_OUTCOME_COMPLETED]))
		return "complete";
	if (!strcmp(outcome, outcome_words[TFTPK_OUTCOME_PROBED]))
		return "probe";
	return "abort";
}

/* What is of no client. Returns whether it was that. */
static bool print_state(const json_t *event)
{
	const char *type = json_string_value(object_get(event, "type"));

	if (!type)
		return false;
	if (!strcmp(type, event_type_words[TFTPK_EVENT_TYPE_DRAIN]))
		puts("drain    no requests are taken any more");
	else if (!strcmp(type, event_type_words[TFTPK_EVENT_TYPE_UNDRAIN]))
		puts("undrain  requests are taken again");
	else
		return false;
	return true;
}

static void print_event(const json_t *event)
{
	const char *type = json_string_value(object_get(event, "type"));
	const char *outcome = json_string_value(object_get(event, "outcome"));
	long long code = object_number(event, "error-code");
	char *client = endpoint_text(event, "client-");
	char *reason = string_text(event, "reason");
	long long size = object_number(event, "size");
	long long id = object_number(event, "id");
	const char *why = NULL;
	bool ended = false;
	size_t i;

	type = type ? type : "unknown";
	for (i = 0; outcome && outcome_words[i]; i++) {
		if (!strcmp(outcome_words[i], outcome)) {
			ended = strcmp(type, "end") == 0;
			type = ended ? ending(outcome) : type;
			why = outcome_docs[i];
		}
	}

	printf("%-8s %s", type, client);
	if (id >= 0)
		printf(" #%lld", id);
	print_file(event);
	if (!strcmp(type, "start") || !strcmp(type, "probe")) {
		/* Not all clients tell how much they will write. */
		if (size >= 0)
			printf(", %lld bytes", size);
		print_options(event);
	} else if (!strcmp(type, "received")) {
		print_received(event);
	} else if (ended) {
		print_end(event, strcmp(type, "abort") != 0 ? NULL : why);
	} else if (!strcmp(type, "progress")) {
		print_progress(event);
	} else if (!strcmp(type, "refused")) {
		if (code > 0)
			printf(": ERROR %lld, %s", code, reason);
		else
			printf(": %s", code < 0 && why ? why : reason);
	} else if (!strcmp(type, "bounded")) {
		printf(": %s; 'tftpkctl trust' lifts that", reason);
	}
	putchar('\n');
	free(reason);
	free(client);
}

static void print_loss(const json_t *event)
{
	long long dropped = object_number(event, "events-dropped");

	fputs("lost     events came faster than they were read", stdout);
	if (dropped >= 0)
		printf(", %lld so far with those of other monitors", dropped);
	putchar('\n');
}

/* Print what happened, and when. */
static void print_any_event(const struct ctl *ctl, const json_t *event)
{
	struct timespec now;
	struct tm tm;
	char stamp[32];

	clock_gettime(CLOCK_REALTIME, &now);
	if (ctl->json) {
		json_t *line = check_alloc(json_object());
		double speed = transfer_rate(event, "duration");

		object_put(line, "time",
			   json_integer((json_int_t)now.tv_sec * 1000 +
					now.tv_nsec / 1000000));
		json_object_update(line, (json_t *)event);
		if (object_get(event, "acknowledged"))
			object_put(line, "rate", speed < 0 ? json_null() :
					  json_integer((json_int_t)speed));
		print_json_line(line);
		return;
	}
	if (ctl->option[OPTION_TIMESTAMP]) {
		strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S",
			 localtime_r(&now.tv_sec, &tm));
		printf("%s.%03ld ", stamp, now.tv_nsec / 1000000);
	}
	if (object_get(event, "events-dropped"))
		print_loss(event);
	else if (!print_state(event))
		print_event(event);
}

/* The socket's buffer was full: say so and go on. */
static void print_lost_events(struct ctl *ctl)
{
	json_t *event = check_alloc(json_object()), *stats;

	object_put(event, "type", json_string("lost"));
	if (read_stats(ctl, &stats)) {
		object_put(event, "events-dropped", json_null());
	} else {
		object_put(event, "events-dropped",
			   json_incref(object_get(stats, "events-dropped")));
		json_decref(stats);
	}
	print_any_event(ctl, event);
	json_decref(event);
}

/* Wait for events, or for nobody to be left who reads of them. */
static bool wait_for_event(const struct ctl *ctl)
{
	struct pollfd fds[] = {
		{ .fd = mnl_socket_get_fd(ctl->events), .events = POLLIN },
		{ .fd = STDOUT_FILENO },
	};

	while (poll(fds, COUNT(fds), -1) < 0) {
		if (errno != EINTR)
			return false;
	}
	return !(fds[1].revents & (POLLERR | POLLNVAL));
}

int run_monitor(struct ctl *ctl, int argc, char **argv)
{
	json_t *events;
	size_t i;

	if (nl_subscribe(ctl, TFTPK_MCGRP_EVENTS, ROOM))
		return nl_fail(ctl, "monitor");

	while (wait_for_event(ctl)) {
		if (!nl_events(ctl, event_fields, COUNT(event_fields),
			       &events)) {
			for (i = 0; i < json_array_size(events); i++) {
				json_t *event = json_array_get(events, i);

				complete_direction(event);
				add_name(event);
				add_duration(event);
				print_any_event(ctl, event);
			}
			json_decref(events);
		} else if (ctl->error == ENOBUFS) {
			print_lost_events(ctl);
		} else if (ctl->error == ENODEV) {
			print_error("monitor: the tftpk module was unloaded");
			return EXIT_FAILURE;
		} else if (ctl->error != EINTR && ctl->error != EAGAIN) {
			return nl_fail(ctl, "monitor");
		}
		if (fflush(stdout)) {
			print_error("cannot write the output: %s",
				    strerror(errno));
			clearerr(stdout);
			return EXIT_FAILURE;
		}
	}
	return EXIT_SUCCESS;
}
