// SPDX-License-Identifier: GPL-2.0
/*
 * rewrite-socket: another process says what names become, by the protocol of
 * OpenBSD's tftpd(8): "ADDRESS read NAME" a line, and a name a line in answer, in
 * the same order.
 */
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "tftpkd.h"

/* Bytes of a line, and of what a slow process has not read. */
#define LINE_ROOM	8192
#define UNREAD_ROOM	(256UL << 10)

/* Seconds between two attempts to connect. */
#define RETRY		1

struct request {
	struct request *next;
	struct question *question;
	char *name;		/* as it was sent */
	double since;
};

struct rewriter {
	char *path;
	uint32_t timeout;	/* seconds, for each answer */
	struct bufferevent *stream;	/* or NULL */
	struct event *timer;
	double tried;		/* when it was last connected */
	bool told;		/* of a failure, once until it works */
	struct request *first, **last;
};

static struct question *take_request(struct rewriter *rewriter)
{
	struct request *request = rewriter->first;
	struct question *question = request->question;

	rewriter->first = request->next;
	if (!rewriter->first)
		rewriter->last = &rewriter->first;
	free(request->name);
	free(request);
	return question;
}

/* Answers may end all that holds the configuration, and this with it. */
static struct config *hold_waiting(struct rewriter *rewriter)
{
	return rewriter->first ? hold_config(rewriter->first->question->config) :
				 NULL;
}

static void release_waiting(struct config *config)
{
	if (config)
		release_config(config);
}

/*
 * Give the connection up, and with it those who wait: an answer that comes late
 * would be taken for another one's.
 */
static void disconnect(struct rewriter *rewriter, const char *why)
{
	struct request *waiting = rewriter->first;
	struct config *config = hold_waiting(rewriter);

	if (!rewriter->told)
		print_error("rewrite-socket %s: %s", rewriter->path, why);
	rewriter->told = true;
	if (rewriter->stream)
		bufferevent_free(rewriter->stream);
	rewriter->stream = NULL;
	event_del(rewriter->timer);
	rewriter->first = NULL;
	rewriter->last = &rewriter->first;
	while (waiting) {
		struct request *request = waiting;

		waiting = request->next;
		request->question->unsure = true;
		pass_question(request->question);
		free(request->name);
		free(request);
	}
	release_waiting(config);
}

/* The first one's time is over when it says so. */
static void set_timer(struct rewriter *rewriter)
{
	struct timeval left = { 0 };
	double until;

	if (!rewriter->first) {
		event_del(rewriter->timer);
		return;
	}
	until = rewriter->first->since + rewriter->timeout - monotonic_seconds();
	if (until > 0) {
		left.tv_sec = (time_t)until;
		left.tv_usec = (suseconds_t)((until - (double)left.tv_sec) * 1e6);
	}
	event_add(rewriter->timer, &left);
}

static void on_time_out(evutil_socket_t fd, short what, void *data)
{
	disconnect(data, "no answer in time");
}

static void take_answer(struct rewriter *rewriter, const char *line)
{
	bool same = !strcmp(line, rewriter->first->name);
	struct question *question = take_request(rewriter);
	const struct answer answer = {
		.kind = *line ? ANSWER_NAME : ANSWER_ERROR,
		.text = *line ? line : "File not found",
		.code = 1,
		.ttl = question->config->bounds[*line ? BOUND_TTL :
							BOUND_NEGATIVE_TTL],
	};

	rewriter->told = false;
	if (same)
		pass_question(question);
	else
		answer_question(question, &answer);
}

static void on_readable(struct bufferevent *stream, void *data)
{
	struct evbuffer *input = bufferevent_get_input(stream);
	struct rewriter *rewriter = data;
	struct config *config = hold_waiting(rewriter);
	char *line = NULL;

	while (rewriter->first &&
	       (line = evbuffer_readln(input, NULL, EVBUFFER_EOL_LF))) {
		take_answer(rewriter, line);
		free(line);
	}
	if (!rewriter->first && evbuffer_get_length(input))
		disconnect(rewriter, "an answer to no question");
	else if (evbuffer_get_length(input) > LINE_ROOM)
		disconnect(rewriter, "a line without an end");
	else
		set_timer(rewriter);
	release_waiting(config);
}

static void on_ended(struct bufferevent *stream, short what, void *data)
{
	disconnect(data, what & BEV_EVENT_EOF ? "was closed" : strerror(errno));
}

static bool connect_socket(struct rewriter *rewriter)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (rewriter->stream)
		return true;
	if (rewriter->tried && monotonic_seconds() - rewriter->tried < RETRY)
		return false;
	rewriter->tried = monotonic_seconds();
	memcpy(address.sun_path, rewriter->path, strlen(rewriter->path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		disconnect(rewriter, strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	rewriter->stream = check_alloc(bufferevent_socket_new(loop, fd,
							      BEV_OPT_CLOSE_ON_FREE));
	bufferevent_setcb(rewriter->stream, on_readable, NULL, on_ended, rewriter);
	bufferevent_enable(rewriter->stream, EV_READ | EV_WRITE);
	return true;
}

/*
 * The name as OpenBSD's tftpd(8) writes it: like vis(3) with VIS_SAFE and
 * VIS_OCTAL. That leaves some controls alone; but a line may end at any of them,
 * as Python's do at a carriage return, and would forge a request.
 */
static char *encode_name(const char *name)
{
	char *encoded = check_alloc(malloc(4 * strlen(name) + 1)), *to = encoded;

	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		if (c == '\\')
			to += sprintf(to, "\\\\");
		else if (c >= ' ' && c < 0x7f)
			*to++ = (char)c;
		else
			to += sprintf(to, "\\%03o", c);
	}
	*to = '\0';
	return encoded;
}

/* The client's address, with its interface where it means nothing without. */
static char *client_text(const struct question *question)
{
	auto_free char *address = string_text(question->facts, "client-address");
	auto_free char *interface = string_text(question->facts, "interface");
	bool scoped = !strncmp(address, "fe80:", 5) && *interface != '-';

	return xasprintf("%s%s%s", address, scoped ? "%" : "",
			 scoped ? interface : "");
}

static bool ask_rewriter(void *directive, struct question *question)
{
	struct rewriter *rewriter = directive;
	auto_free char *client = client_text(question);
	struct request *request;
	struct evbuffer *output;

	question->unsure |= !connect_socket(rewriter);
	if (!rewriter->stream)
		return false;
	output = bufferevent_get_output(rewriter->stream);
	if (evbuffer_get_length(output) > UNREAD_ROOM) {
		question->unsure = true;
		return false;
	}
	request = check_alloc(calloc(1, sizeof(*request)));
	request->question = question;
	request->name = encode_name(question->name);
	request->since = monotonic_seconds();
	rewriter->timeout = question->config->bounds[BOUND_REWRITE_TIMEOUT];
	if (evbuffer_add_printf(output, "%s %s %s\n", client,
				is_write(question) ? "write" : "read",
				request->name) < 0)
		check_alloc(NULL);
	*rewriter->last = request;
	rewriter->last = &request->next;
	if (rewriter->first == request)
		set_timer(rewriter);
	return true;
}

static void *read_rewriter(struct config *config, int argc, char **argv)
{
	const size_t room = sizeof(((struct sockaddr_un *)NULL)->sun_path);
	struct rewriter *rewriter;

	set_error_word(argv[1]);
	if (*argv[1] != '/' || strlen(argv[1]) >= room) {
		print_error("%s: must be an absolute path of at most %zu bytes",
			    argv[1], room - 1);
		return NULL;
	}
	rewriter = check_alloc(calloc(1, sizeof(*rewriter)));
	rewriter->path = check_alloc(strdup(argv[1]));
	rewriter->last = &rewriter->first;
	rewriter->timer = check_alloc(evtimer_new(loop, on_time_out, rewriter));
	return rewriter;
}

static void free_rewriter(void *directive)
{
	struct rewriter *rewriter = directive;

	/* Whoever waits holds the configuration: nobody does. */
	if (rewriter->stream)
		bufferevent_free(rewriter->stream);
	event_free(rewriter->timer);
	free(rewriter->path);
	free(rewriter);
}

const struct directive_type rewrite_directive = {
	.name = "rewrite-socket", .args = "PATH", .min_args = 1, .max_args = 1,
	.read = read_rewriter, .ask = ask_rewriter, .free = free_rewriter,
};
