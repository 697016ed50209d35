// SPDX-License-Identifier: GPL-2.0
/* import: atftpd, of version 0.8. */
#include <stdio.h>
#include <string.h>

#include "import.h"

#define MAP_FILE	"/etc/tftpk/atftpd.map"

static const char no_process[] = "there is no process";
static const char log[] =
	"tftpk-log.service logs, or 'tftpkctl monitor --timestamp' into a file";
static const char no_multicast[] =
	"there is no multicast: clients that ask for it get what others get";
static const char asked_for[] =
	"cannot be refused: it is answered only where a client asks for it";

static void take_retry(struct import *import, const struct use *use)
{
	const char *rest;
	uint64_t seconds;

	if (!strcmp(use->value, "5"))
		note(import, use, NEEDLESS, "its default: the delay follows the client's round trips");
	else if (parse_number(use->value, &rest, &seconds) && !*rest)
		set_amount(import, use, "min-timeout", seconds * 1000);
	else
		note(import, use, LACKING, "no number of seconds: write 'set min-timeout MS'");
}

/* USER or USER.GROUP */
static void take_user(struct import *import, const struct use *use)
{
	size_t len = strcspn(use->value, ".");

	free(import->user);
	import->user = xasprintf("%.*s", (int)len, use->value);
	if (use->value[len]) {
		free(import->group);
		import->group = xasprintf("%s", use->value + len + 1);
	}
	note(import, use, BECOMES, "export --uid %s", import->user);
}

static void take_group(struct import *import, const struct use *use)
{
	free(import->group);
	import->group = xasprintf("%s", use->value);
	note(import, use, BECOMES, "export --gid %s", import->group);
}

/*
 * A pattern of Perl as a rule of a map file has it, or NULL where it says what only
 * Perl's can.
 */
static char *map_pattern(const char *pattern)
{
	char *string = NULL;
	size_t size, i;
	FILE *out = check_alloc(open_memstream(&string, &size));
	bool known = true, bracket = false;

	for (i = 0; known && pattern[i]; i++) {
		char c = pattern[i], next = pattern[i + 1];

		if (c == '\\' && next && strchr("wds", next) && !bracket)
			fputs(next == 'w' ? "[[:alnum:]_]" : next == 'd' ? "[0-9]" :
			      "[[:space:]]", out);
		else if (c == '\\' && next && strchr(".\\/^$*+?()[]{}|-", next) && !bracket)
			fprintf(out, next == '/' || next == '-' ? "%c" : "\\%c", next);
		else if (c == '\\' || (c & 0x80) || (c == '(' && next == '?' && !bracket) ||
			 (strchr("*+?}", c) && strchr("?+", next) && next && !bracket))
			known = false;
		else
			fputc(c, out);
		i += c == '\\';
		if (c == '[')
			bracket = true;
		else if (c == ']' && i && pattern[i - 1] != '[')
			bracket = false;
	}
	if (fclose(out))
		check_alloc(NULL);
	if (known)
		return check_alloc(string);
	free(string);
	return NULL;
}

/* A replacement of Perl, with $1, as a rule of a map file has it, with \1; or NULL. */
static char *map_replacement(const char *replacement)
{
	char *string = NULL;
	const char *c;
	size_t size;
	FILE *out;

	for (c = replacement; *c; c++) {
		if (*c & 0x80)
			return NULL;
	}
	out = check_alloc(open_memstream(&string, &size));

	for (; *replacement; replacement++) {
		if (*replacement == '$' && strchr("0123456789", replacement[1]) &&
		    replacement[1])
			fputc('\\', out);
		else if (strchr("\\#", *replacement))
			fprintf(out, "\\%c", *replacement);
		else
			fputc(*replacement, out);
	}
	if (fclose(out))
		check_alloc(NULL);
	return check_alloc(string);
}

/* A line of a file of patterns. */
static void take_pattern(struct import *import, const struct use *use,
			 const struct words *words)
{
	auto_free char *pattern = words->count == 2 ? map_pattern(words->at[0].text) :
						      NULL;
	auto_free char *replacement = pattern ? map_replacement(words->at[1].text) :
						NULL;

	if (replacement) {
		array_append(import->map_lines, json_sprintf("re %s %s", pattern, replacement));
		note(import, use, BECOMES, "re %s %s", pattern, replacement);
	} else {
		note(import, use, LACKING,
		     "no rule of a map file can say this: write others in its place in " MAP_FILE);
	}
}

/* Patterns for what was not found become a map file for what was not found. */
static void take_pcre(struct import *import, const struct use *use)
{
	auto_free char *text = read_text(use->value);
	unsigned int number = 0;
	char *line, *rest = text;

	if (!text) {
		note(import, use, LACKING,
		     "cannot be read: write its patterns as rules of a file, name that by 'map FILE' in tftpkd.conf, and 'set resolve missing'");
		return;
	}
	json_array_clear(import->map_lines);
	while ((line = strsep(&rest, "\n"))) {
		struct words words = { 0 };
		struct use rule = {
			.file = use->value, .line = ++number, .shown = line,
		};

		split_text(&words, line, number);
		if (words.count && *words.at[0].text != '#')
			take_pattern(import, &rule, &words);
		free_words(&words);
	}
	json_array_clear(import->agent_lines);
	array_append(import->agent_lines, json_string("map " MAP_FILE));
	put_setting(import, "resolve", "missing");
	note(import, use, BECOMES, "map " MAP_FILE);
}

static void take_folder(struct import *import, const struct use *use)
{
	auto_free char *word = quote_word(use->value);

	if (*use->value != '/') {
		note(import, use, LACKING, "no absolute path: write 'export DIR'");
		return;
	}
	/* A client may give the whole path, too. */
	json_array_clear(import->folders);
	add_whole_folder(import, use->value, "");
	note(import, use, BECOMES, "export %s", word);
}

static const struct old_option options[] = {
	TAKES("retry-timeout", 'r', A_VALUE, take_retry),
	SETS("maxthread", 'm', "max-transfers"),
	TAKES("no-tsize", 0, NO_VALUE, take_no_tsize),
	SETS_TO("no-blksize", 0, "max-blksize", "512"),
	SETS_TO("no-windowsize", 0, "max-windowsize", "1"),
	TAKES("user", 0, A_VALUE, take_user),
	TAKES("group", 0, A_VALUE, take_group),
	TAKES("port", 0, A_VALUE, take_port),
	TAKES("bind-address", 0, A_VALUE, take_address),
	TAKES("pcre", 0, A_VALUE, take_pcre),
	HAS_NONE("rate", 0, A_VALUE,
		 "there is no bound of all requests: 'set source-rate' bounds each client's"),
	HAS_NONE("no-timeout", 0, NO_VALUE, asked_for),
	HAS_NONE("mcast-ttl", 0, A_VALUE, no_multicast),
	HAS_NONE("mcast_ttl", 0, A_VALUE, no_multicast),
	HAS_NONE("mcast-addr", 0, A_VALUE, no_multicast),
	HAS_NONE("mcast_addr", 0, A_VALUE, no_multicast),
	HAS_NONE("mcast-port", 0, A_VALUE, no_multicast),
	HAS_NONE("mcast_port", 0, A_VALUE, no_multicast),
	HAS_NONE("mcast-switch-client", 0, NO_VALUE, no_multicast),
	HAS_NONE("mtftp", 0, A_VALUE,
		 "there is no MTFTP: firmware that has it asks by plain TFTP where DHCP does not offer it"),
	HAS_NONE("mtftp-port", 0, A_VALUE,
		 "there is no MTFTP: firmware that has it asks by plain TFTP where DHCP does not offer it"),
	HAS_NONE("no-source-port-checking", 0, NO_VALUE,
		 "a transfer belongs to an address and a port: for NAT write 'listen * --single-port'"),
	NEEDS_NONE("no-multicast", 0, NO_VALUE, "there is no multicast"),
	NEEDS_NONE("prevent-sas", 0, NO_VALUE, "it is always so"),
	NEEDS_NONE("listen-local", 0, NO_VALUE,
		   "requests to a broadcast address are not answered unless 'listen' has --broadcast"),
	NEEDS_NONE("tftpd-timeout", 't', A_VALUE, "nothing waits to exit"),
	NEEDS_NONE("verbose", 'v', MAYBE_VALUE, log),
	NEEDS_NONE("trace", 0, NO_VALUE, "the tracepoints tftpk:* tell of packets"),
	NEEDS_NONE("logfile", 0, A_VALUE, log),
	NEEDS_NONE("pidfile", 0, A_VALUE, no_process),
	NEEDS_NONE("daemon", 0, NO_VALUE, no_process),
	NEEDS_NONE("no-fork", 0, NO_VALUE, no_process),
	NEEDS_NONE("pcre-test", 0, A_VALUE, "'tftpkd --map-test' does so"),
	NEEDS_NONE("version", 'V', NO_VALUE, "'tftpkctl --version' tells it"),
	NEEDS_NONE("help", 'h', NO_VALUE, "'tftpkctl help' explains"),
	{ 0 }
};

static void take_run(struct import *import, const struct use *use)
{
	note(import, use, NEEDLESS, "'systemctl enable --now tftpk' serves");
}

static const struct old_option variables[] = {
	TAKES("OPTIONS", 0, A_VALUE, take_arguments),
	TAKES("ATFTPD_OPTIONS", 0, A_VALUE, take_arguments),
	TAKES("ATFTPD_USE_INETD", 0, A_VALUE, take_run),
	TAKES("USE_INETD", 0, A_VALUE, take_run),
	{ 0 }
};

static void finish(struct import *import)
{
	bool given = import->user || import->group;
	auto_free char *user = given ? user_words(import->user ? import->user : "nobody",
						  import->group) :
			       xasprintf("%s", "");

	if (!json_array_size(import->folders))
		add_whole_folder(import, "/tftpboot", "");
	finish_lines(import, user);
}

static const char *const programs[] = { "atftpd", "in.tftpd", NULL };
static const char *const files[] = {
	"/etc/default/atftpd", "/etc/xinetd.d/tftp", "/etc/sysconfig/atftpd", NULL
};

const struct old_server atftpd_server = {
	.name = "atftpd", .programs = programs, .files = files,
	.options = options, .variables = variables, .read = read_starter,
	.take_folder = take_folder, .finish = finish,
};
