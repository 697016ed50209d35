// SPDX-License-Identifier: GPL-2.0
/* Logs of other servers: what clients asked for, and whether they got it. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "oldlog.h"

/* A line that is being read. */
struct line {
	struct old_log *log;
	char *rest;		/* what follows the marker */
	const char *before;	/* the line up to the marker */
	const char *tag;	/* what names the process or thread, or empty */
};

/* Words of a server's line, behind its name as the log has it. */
struct marker {
	const char *program;
	const char *words;
	void (*take)(struct line *line);
};

/* Cut @string at the last @words. Returns what follows, or NULL. */
static char *cut_last(char *string, const char *words)
{
	char *found = NULL, *next = string;

	while ((next = strstr(next, words)))
		found = next++;
	if (!found)
		return NULL;
	*found = '\0';
	return found + strlen(words);
}

/* Is it ASCII, and nothing that could not stand in the name of an interface? */
static bool is_word(const char *string)
{
	for (; *string > ' ' && *string < 0x7f; string++)
		;
	return !*string;
}

/*
 * The address of ADDR, ADDR:PORT or [ADDR]:PORT as it is usually written, or "-" for
 * none; @has_port is whether there is a port in any case.
 */
static char *client_text(const char *string, bool has_port)
{
	const char *bracket = *string == '[' ? strchr(string, ']') : NULL;
	const char *colon = strrchr(string, ':');
	bool single = colon && strchr(string, ':') == colon;
	size_t len = bracket ? (size_t)(bracket - string - 1) :
		     colon && (has_port || single) ? (size_t)(colon - string) :
		     strlen(string);
	auto_free char *host = xasprintf("%.*s", (int)len, string + !!bracket);
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;
	char *scope = strchr(host, '%');

	if (scope)
		*scope++ = '\0';
	if (inet_pton(AF_INET, host, &address) == 1)
		return xasprintf("%s", host);
	if (inet_pton(AF_INET6, host, &address) != 1)
		return xasprintf("-");
	if (IN6_IS_ADDR_V4MAPPED(&address))
		inet_ntop(AF_INET, &address.s6_addr[12], text, sizeof(text));
	else
		inet_ntop(AF_INET6, &address, text, sizeof(text));
	return scope && is_word(scope) ? xasprintf("%s%%%s", text, scope) :
					 xasprintf("%s", text);
}

/* The latest request of that client by that process. */
static json_t *latest(struct line *line, const char *client)
{
	auto_free char *key = xasprintf("%s %s", line->tag, client);

	return json_object_get(line->log->latest, key);
}

/*
 * Note a request: of a @name, or of a path, that is the file which was sent or
 * missed, if @name is NULL. Either may end with "\n".
 */
static void add_request(struct line *line, const char *client, const char *name,
			const char *file, bool served, bool upload)
{
	struct old_log *log = line->log;
	json_t *json_name = name ? json_bytes(name, strlen(name)) : json_null();
	json_t *json_file = file ? json_bytes(file, strlen(file)) : json_null();
	const json_t *which = name ? json_name : json_file;
	auto_free char *key = xasprintf("%s %s %d", client, json_string_value(which),
					upload);
	auto_free char *recent = xasprintf("%s %s", line->tag, client);
	json_t *request = json_object_get(log->requests, key);

	log->count++;
	if (!request) {
		request = check_alloc(json_object());
		json_object_set_new(log->requests, key, request);
		object_put(request, "client", json_string(client));
		object_put(request, "count", json_integer(0));
		object_put(request, "upload", json_boolean(upload));
	}
	object_put(request, "name", json_name);
	object_put(request, "file", json_file);
	object_put(request, "count", json_integer(object_number(request, "count") + 1));
	object_put(request, "served", json_boolean(served));
	json_object_set(log->latest, recent, request);
	log->tells_refusals |= !served;
}

/* tftpd-hpa: ADDR filename NAME [remapped to NAME] */
static void take_filename(struct line *line, bool upload)
{
	char *name = strstr(line->rest, " filename "), *file;
	auto_free char *client = NULL;

	if (!name)
		return;
	*name = '\0';
	name += strlen(" filename ");
	client = client_text(line->rest, false);
	file = cut_last(name, " remapped to ");
	line->log->silent |= !upload;
	add_request(line, client, name, file, true, upload);
}

static void take_rrq(struct line *line)
{
	take_filename(line, false);
}

static void take_wrq(struct line *line)
{
	take_filename(line, true);
}

/* A request that was noted was refused. */
static void refuse(struct line *line, const char *address)
{
	auto_free char *client = client_text(address, false);
	json_t *request = latest(line, client);

	line->log->tells_refusals = true;
	if (request)
		object_put(request, "served", json_false());
}

/* tftpd-hpa 5.2: CODE, TEXT) to ADDR */
static void take_nak(struct line *line)
{
	const char *address = cut_last(line->rest, " to ");

	if (address)
		refuse(line, address);
}

/* tftpd-hpa 7.2: ADDR:PORT: sending ERROR CODE: TEXT) */
static void take_error(struct line *line)
{
	auto_free char *copy = xasprintf("%.*s", (int)(line->rest - line->before),
					 line->before);
	char *end = strstr(copy, ": sending ERROR "), *start;

	if (!end)
		return;
	*end = '\0';
	start = strrchr(copy, ' ');
	refuse(line, start ? start + 1 : copy);
}

/* dnsmasq: FILE to ADDR */
static void take_sent(struct line *line)
{
	const char *address = cut_last(line->rest, " to ");
	auto_free char *client = address ? client_text(address, false) : NULL;

	if (client)
		add_request(line, client, NULL, line->rest, true, false);
}

/* dnsmasq: FILE not found for ADDR, or FILE not found */
static void take_missing(struct line *line)
{
	char *end = cut_last(line->rest, " not found");
	const char *address = end && !strncmp(end, " for ", 5) ? end + 5 : "";
	auto_free char *client = client_text(address, false);

	if (end)
		add_request(line, client, NULL, line->rest, false, false);
}

/* dnsmasq: FILE: REASON */
static void take_denied(struct line *line)
{
	if (cut_last(line->rest, ": "))
		add_request(line, "-", NULL, line->rest, false, false);
}

/* atftpd: NAME to ADDR:PORT */
static void take_serving(struct line *line)
{
	const char *address = cut_last(line->rest, " to ");
	auto_free char *client = address ? client_text(address, true) : NULL;

	line->log->silent = true;
	if (client)
		add_request(line, client, line->rest, NULL, true, false);
}

/* atftpd: ADDR to NAME */
static void take_fetching(struct line *line)
{
	char *name = strstr(line->rest, " to ");
	auto_free char *client = NULL;

	if (!name)
		return;
	*name = '\0';
	client = client_text(line->rest, false);
	add_request(line, client, name + strlen(" to "), NULL, true, true);
}

/* atftpd: FILE not found; of which request it is, only its name tells. */
static void take_not_found(struct line *line)
{
	size_t len, own;
	const char *key;
	json_t *request, *found = NULL;

	if (!cut_last(line->rest, " not found"))
		return;
	line->log->tells_refusals = true;
	len = strlen(line->rest);
	json_object_foreach(line->log->requests, key, request) {
		auto_free char *name = raw_text(request, "name");

		own = strlen(name);
		if (own && own <= len && !strcmp(line->rest + len - own, name))
			found = request;
	}
	if (found)
		object_put(found, "served", json_false());
}

static const struct marker markers[] = {
	{ "tftpd", "RRQ from ", take_rrq },
	{ "tftpd", "WRQ from ", take_wrq },
	{ "tftpd", "sending NAK (", take_nak },
	{ "tftpd", "sending ERROR ", take_error },
	{ "tftpd", "Serving ", take_serving },
	{ "tftpd", "Fetching from ", take_fetching },
	{ "tftpd", "File ", take_not_found },
	{ "dnsmasq-tftp", "sent ", take_sent },
	{ "dnsmasq-tftp", "failed sending ", take_sent },
	{ "dnsmasq-tftp", "timeout sending ", take_sent },
	{ "dnsmasq-tftp", "file ", take_missing },
	{ "dnsmasq-tftp", "cannot access ", take_denied },
	{ "dnsmasq-tftp", "cannot read ", take_denied },
};

/*
 * What follows the marker in the line: at its beginning, or behind the program's
 * name and a blank; or NULL.
 */
static char *find_marker(char *text, const struct marker *marker)
{
	char *program = strstr(text, marker->program), *found;

	if (!strncmp(text, marker->words, strlen(marker->words)))
		return text + strlen(marker->words);
	for (found = program; found && (found = strstr(found, marker->words)); found++) {
		if (found[-1] == ' ')
			return found + strlen(marker->words);
	}
	return NULL;
}

/* What stands in brackets behind the program's name, or "". */
static char *find_tag(const char *text, const char *program)
{
	const char *from = strstr(text, program);

	from = from ? from + strlen(program) : "";
	return *from == '[' ? xasprintf("%.*s", (int)strcspn(from, "]"), from) :
			      xasprintf("%s", "");
}

static void take_text(struct old_log *log, char *text)
{
	size_t i;

	for (i = 0; i < COUNT(markers); i++) {
		char *rest = find_marker(text, &markers[i]);
		auto_free char *tag = find_tag(text, markers[i].program);
		struct line line = {
			.log = log, .rest = rest, .before = text, .tag = tag,
		};

		if (rest) {
			markers[i].take(&line);
			break;
		}
	}
}

/**
 * read_log() - read the log of another server
 * @file: its name, or "-" for standard input
 * @log: takes what it tells; to be released by free_log() in any case
 *
 * Return: 0, or an exit code after an error message.
 */
int read_log(const char *file, struct old_log *log)
{
	bool is_stdin = !strcmp(file, "-");
	FILE *in = is_stdin ? stdin : fopen(file, "re");
	auto_free char *text = NULL;
	size_t size = 0;
	int ret = 0;

	log->requests = check_alloc(json_object());
	log->latest = check_alloc(json_object());
	if (!in) {
		print_error("cannot open %s: %s", file, strerror(errno));
		return EXIT_FAILURE;
	}
	errno = 0;
	while (getline(&text, &size, in) >= 0) {
		text[strcspn(text, "\r\n")] = '\0';
		log->lines++;
		take_text(log, text);
		errno = 0;
	}
	if (ferror(in)) {
		print_error("cannot read %s: %s", file, strerror(errno ? errno : EIO));
		ret = EXIT_FAILURE;
	}
	if (!is_stdin)
		fclose(in);
	return ret;
}

void free_log(struct old_log *log)
{
	json_decref(log->requests);
	json_decref(log->latest);
}
