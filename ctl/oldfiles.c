// SPDX-License-Identifier: GPL-2.0
/*
 * What starts another server: shell variables of an init script, units of systemd,
 * files of xinetd and inetd, or a bare command line.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "import.h"

/* Lines of a file, each as @text; those that end with a backslash are one. */
struct lines {
	const char *file;
	const char *next;
	unsigned int next_number;
	char *text;
	unsigned int number;
	bool joined;		/* by backslashes */
};

static bool next_line(struct lines *lines)
{
	const char *from = lines->next;
	size_t len;

	free(lines->text);
	lines->text = NULL;
	if (!*from)
		return false;
	lines->number = lines->next_number;
	for (len = strcspn(from, "\n"); from[len]; len += strcspn(from + len, "\n")) {
		lines->next_number++;
		if (!lines->joined || !len || from[len - 1] != '\\')
			break;
		len++;
	}
	lines->text = xasprintf("%.*s", (int)len, from);
	lines->next = from + len + (from[len] == '\n');
	return true;
}

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " \t\r\f\v");
}

static bool is_comment(const char *text)
{
	text = skip_blanks(text);
	return !*text || *text == '#' || *text == ';';
}

/* Apply an option of the server's command line that another file has. */
static void apply_named(struct import *import, const char *name,
			const struct use *use)
{
	const struct old_option *option =
		find_option(import->server->options, name, strlen(name));

	if (option)
		apply_option(import, option, use);
	else
		note(import, use, NEEDLESS, "%s changes to its user by itself",
		     import->server->name);
}

/* take_arguments() - of a variable that holds options. */
void take_arguments(struct import *import, const struct use *use)
{
	read_command(import, use->file, use->words, 0);
}

/* xinetd: its attributes. */

static void take_server(struct import *import, const struct use *use)
{
	if (is_program(import, use->value))
		note(import, use, NEEDLESS, "there is no process");
	else
		note(import, use, LACKING, "no program of %s that is known here",
		     import->server->name);
}

static void take_disable(struct import *import, const struct use *use)
{
	note(import, use, NEEDLESS, strcmp(use->value, "yes") != 0 ?
	     "'systemctl enable --now tftpk' serves" :
	     "xinetd does not start it; 'systemctl enable --now tftpk' serves");
}

static void take_flags(struct import *import, const struct use *use)
{
	if (strstr(use->value, "IPv4"))
		take_ipv4(import, use);
	else if (strstr(use->value, "IPv6"))
		take_ipv6(import, use);
	else
		note(import, use, NEEDLESS, "there is no xinetd");
}

/*
 * A network as xinetd has it, for --for: ADDR/LEN, or ADDR of which bytes that are
 * 0 at the end count for nothing; or NULL.
 */
static char *xinetd_network(const char *word)
{
	size_t len = strcspn(word, "/");
	auto_free char *host = xasprintf("%.*s", (int)len, word);
	unsigned char address[sizeof(struct in6_addr)];
	const char *rest = "";
	uint64_t bits;
	int n = 4;

	if (word[len] && (!parse_number(word + len + 1, &rest, &bits) || *rest))
		return NULL;
	if (inet_pton(AF_INET6, host, address) == 1)
		return xasprintf("%s", word);
	if (inet_pton(AF_INET, host, address) != 1)
		return NULL;
	while (n && !address[n - 1])
		n--;
	if (word[len] || n == 4)
		return xasprintf("%s", word);
	return xasprintf("%s/%d", host, 8 * n);
}

/* Who may see the exports, or may not. */
static void take_clients(struct import *import, const struct use *use,
			 const char *option)
{
	size_t i;

	for (i = 0; i < use->words->count; i++) {
		const struct word *word = &use->words->at[i];
		struct use part = *use;
		auto_free char *network = xinetd_network(word->text);
		auto_free char *before = import->clients;

		part.shown = part.value = word->text;
		import->clients = xasprintf("%s%s%s%s%s", before ? before : "",
					    network ? " " : "", network ? option : "",
					    network ? " " : "", network ? network : "");
		if (network)
			note(import, &part, BECOMES, "export %s %s", option, network);
		else
			note(import, &part, LACKING,
			     "neither an address nor a network: write 'export ... %s NETWORK'",
			     option);
	}
}

static void take_only_from(struct import *import, const struct use *use)
{
	take_clients(import, use, "--for");
}

static void take_no_access(struct import *import, const struct use *use)
{
	take_clients(import, use, "--not-for");
}

static void take_starting_user(struct import *import, const struct use *use)
{
	if (!strcmp(use->value, "root"))
		note(import, use, NEEDLESS, "%s changes to its user by itself",
		     import->server->name);
	else
		apply_named(import, "user", use);
}

static const char xinetds[] = "there is no xinetd";

static const struct old_option xinetd_attributes[] = {
	TAKES("server", 0, A_VALUE, take_server),
	TAKES("server_args", 0, A_VALUE, take_arguments),
	TAKES("disable", 0, A_VALUE, take_disable),
	TAKES("flags", 0, A_VALUE, take_flags),
	TAKES("bind", 0, A_VALUE, take_address),
	TAKES("interface", 0, A_VALUE, take_address),
	TAKES("port", 0, A_VALUE, take_port),
	TAKES("only_from", 0, A_VALUE, take_only_from),
	TAKES("no_access", 0, A_VALUE, take_no_access),
	TAKES("user", 0, A_VALUE, take_starting_user),
	HAS_NONE("access_times", 0, A_VALUE,
		 "no times of day: a timer of systemd can start and stop tftpk"),
	HAS_NONE("redirect", 0, A_VALUE,
		 "nothing is passed on: export the folder that the other server has"),
	HAS_NONE("include", 0, A_VALUE, "not followed: give that file, too"),
	HAS_NONE("includedir", 0, A_VALUE, "not followed: give its files, too"),
	NEEDS_NONE("group", 0, A_VALUE, "files are opened as the group of an export"),
	NEEDS_NONE("groups", 0, A_VALUE, "files are opened as the group of an export"),
	NEEDS_NONE("umask", 0, A_VALUE, "'inbox' has a mode instead"),
	NEEDS_NONE("socket_type", 0, A_VALUE, xinetds),
	NEEDS_NONE("protocol", 0, A_VALUE, xinetds),
	NEEDS_NONE("wait", 0, A_VALUE, xinetds),
	NEEDS_NONE("type", 0, A_VALUE, xinetds),
	NEEDS_NONE("id", 0, A_VALUE, xinetds),
	NEEDS_NONE("instances", 0, A_VALUE, xinetds),
	NEEDS_NONE("per_source", 0, A_VALUE,
		   "'set source-burst' and 'set source-rate' bound what a client asks for"),
	NEEDS_NONE("cps", 0, A_VALUE,
		   "'set source-burst' and 'set source-rate' bound what a client asks for"),
	NEEDS_NONE("nice", 0, A_VALUE, "there is no process"),
	NEEDS_NONE("max_load", 0, A_VALUE, xinetds),
	NEEDS_NONE("env", 0, A_VALUE, "there is no process"),
	NEEDS_NONE("passenv", 0, A_VALUE, "there is no process"),
	NEEDS_NONE("rlimit_as", 0, A_VALUE, "there is no process"),
	NEEDS_NONE("rlimit_files", 0, A_VALUE, "there is no process"),
	NEEDS_NONE("rlimit_cpu", 0, A_VALUE, "there is no process"),
	NEEDS_NONE("rlimit_data", 0, A_VALUE, "there is no process"),
	NEEDS_NONE("rlimit_rss", 0, A_VALUE, "there is no process"),
	NEEDS_NONE("rlimit_stack", 0, A_VALUE, "there is no process"),
	NEEDS_NONE("log_type", 0, A_VALUE, "tftpk-log.service logs"),
	NEEDS_NONE("log_on_success", 0, A_VALUE, "tftpk-log.service logs"),
	NEEDS_NONE("log_on_failure", 0, A_VALUE, "tftpk-log.service logs"),
	NEEDS_NONE("libwrap", 0, A_VALUE, xinetds),
	NEEDS_NONE("mdns", 0, A_VALUE, xinetds),
	NEEDS_NONE("v6only", 0, A_VALUE, xinetds),
	NEEDS_NONE("deny_time", 0, A_VALUE, xinetds),
	NEEDS_NONE("banner", 0, A_VALUE, xinetds),
	NEEDS_NONE("banner_success", 0, A_VALUE, xinetds),
	NEEDS_NONE("banner_fail", 0, A_VALUE, xinetds),
	{ 0 }
};

/* Take an attribute of the service, NAME = VALUE or NAME += VALUE. */
static void take_attribute(struct import *import, const struct lines *lines)
{
	const char *from = skip_blanks(lines->text);
	size_t len = strcspn(from, " \t=+-");
	const char *value = from + len;
	const struct old_option *option;
	struct words words = { 0 };
	auto_free char *joined = NULL;
	auto_free char *shown = NULL;
	struct use use = {
		.file = lines->file, .line = lines->number, .words = &words,
	};

	value += strcspn(value, "=");
	value = skip_blanks(*value ? value + 1 : value);
	split_text(&words, value, lines->number);
	joined = xasprintf("%s", words.count ? words.at[0].text : "");
	if (words.count > 1) {
		free(joined);
		joined = xasprintf("%.*s", (int)strcspn(value, "\r"), value);
	}
	shown = xasprintf("%.*s %s", (int)len, from, joined);
	use.shown = shown;
	use.value = joined;
	option = find_option(xinetd_attributes, from, len);
	if (!option || strlen(option->name) != len)
		note(import, &use, LACKING, "no attribute of xinetd that is known here");
	else if (!words.count)
		note(import, &use, NEEDLESS, "it is empty");
	else
		apply_option(import, option, &use);
	free_words(&words);
}

static int read_xinetd(struct import *import, struct lines *lines)
{
	bool ours = false;

	while (next_line(lines)) {
		const char *from = skip_blanks(lines->text);
		struct words words = { 0 };

		if (is_comment(from))
			continue;
		split_text(&words, from, lines->number);
		if (!strcmp(words.at[0].text, "service"))
			ours = words.count > 1 && !strcmp(words.at[1].text, "tftp");
		else if (*from == '}')
			ours = false;
		else if (*from != '{' && (ours || !strncmp(from, "include", 7)))
			take_attribute(import, lines);
		else if (*from != '{')
			import->others++;
		free_words(&words);
	}
	return 0;
}

/* Take what follows "tftp" in a line of inetd. */
static void take_inetd(struct import *import, const struct lines *lines,
		       const struct words *words)
{
	struct use use = { .file = lines->file, .line = lines->number };
	const char *protocol = words->at[2].text;
	const char *user = words->at[4].text;
	auto_free char *name = xasprintf("%.*s", (int)strcspn(user, ".:"), user);

	use.shown = use.value = words->at[0].text;
	if (strchr(use.value, ':'))
		take_address(import, &use);
	use.shown = use.value = protocol;
	if (strchr(protocol, '4'))
		take_ipv4(import, &use);
	else if (strchr(protocol, '6'))
		take_ipv6(import, &use);
	use.shown = user;
	use.value = name;
	take_starting_user(import, &use);
	use.shown = use.value = words->at[5].text;
	if (!is_program(import, use.value))
		note(import, &use, LACKING,
		     "hosts.allow and hosts.deny are not read: write 'export ... --for NETWORK'");
	read_command(import, lines->file, words, 7);
}

/* inetd.conf, or a command line. */
static int read_inetd(struct import *import, struct lines *lines)
{
	while (next_line(lines)) {
		struct words words = { 0 };
		const char *service;
		size_t i = 0;

		if (is_comment(lines->text))
			continue;
		split_text(&words, lines->text, lines->number);
		service = strrchr(words.at[0].text, ':');
		service = service ? service + 1 : words.at[0].text;
		while (i < words.count && !is_program(import, words.at[i].text))
			i++;
		if (words.count > 6 && i <= 6 &&
		    (!strcmp(service, "tftp") || !strcmp(service, "69")))
			take_inetd(import, lines, &words);
		else if (!i)
			read_command(import, lines->file, &words, 1);
		else
			import->others++;
		free_words(&words);
	}
	return 0;
}

/* Units of systemd. */

static void take_socket(struct import *import, const struct use *use)
{
	const char *rest;
	uint64_t port;

	if (parse_number(use->value, &rest, &port) && !*rest)
		take_port(import, use);
	else
		take_address(import, use);
}

static void take_device(struct import *import, const struct use *use)
{
	free(import->device);
	import->device = xasprintf("%s", use->value);
	note(import, use, BECOMES, "listen ADDR dev %s", use->value);
}

static void take_group(struct import *import, const struct use *use)
{
	apply_named(import, "group", use);
}

static const struct old_option unit_keys[] = {
	TAKES("User", 0, A_VALUE, take_starting_user),
	TAKES("Group", 0, A_VALUE, take_group),
	TAKES("ListenDatagram", 0, A_VALUE, take_socket),
	TAKES("BindToDevice", 0, A_VALUE, take_device),
	HAS_NONE("RootDirectory", 0, A_VALUE,
		 "write it before the folder: 'export ROOT/FOLDER'"),
	HAS_NONE("BindReadOnlyPaths", 0, A_VALUE,
		 "mount it below the folder in /etc/fstab"),
	HAS_NONE("BindPaths", 0, A_VALUE, "mount it below the folder in /etc/fstab"),
	HAS_NONE("IPAddressAllow", 0, A_VALUE, "write 'export ... --for NETWORK'"),
	HAS_NONE("IPAddressDeny", 0, A_VALUE, "write 'export ... --not-for NETWORK'"),
	HAS_NONE("ExecStartPre", 0, A_VALUE, "not run: 'systemctl edit tftpk' can have it"),
	HAS_NONE("ExecStartPost", 0, A_VALUE, "not run: 'systemctl edit tftpk' can have it"),
	{ 0 }
};

/* Environment="NAME=VALUE" ... */
static int take_environment(struct import *import, const struct lines *lines,
			    const char *value)
{
	struct words words = { 0 };
	int ret = split_shell(import, lines->file, lines->number, value, &words);
	size_t i;

	for (i = 0; !ret && i < words.count; i++) {
		const char *word = words.at[i].text, *at;
		size_t len = strcspn(word, "=");
		auto_free char *name = xasprintf("%.*s", (int)len, word);
		struct chars chars = { 0 };

		for (at = word + len + (word[len] == '='); *at; at++)
			add_char(&chars, *at, words.at[i].line);
		set_variable(import, lines->file, name, &chars, words.at[i].line);
	}
	free_words(&words);
	return ret;
}

static int take_environment_file(struct import *import, const char *file)
{
	bool optional = *file == '-';
	auto_free char *text = NULL;

	if (optional && access(file + 1, F_OK))
		return 0;
	text = read_text(file + optional);
	return text ? read_shell(import, file + optional, text) : -1;
}

/* Take KEY=VALUE. Returns 0, or -1 after an error message. */
static int take_key(struct import *import, const struct lines *lines)
{
	const char *from = skip_blanks(lines->text);
	size_t len = strcspn(from, " \t=");
	const char *value = strchr(from, '=');
	const struct old_option *option = find_option(unit_keys, from, len);
	auto_free char *trimmed = NULL;
	auto_free char *shown = NULL;
	struct use use = { .file = lines->file, .line = lines->number };

	value = skip_blanks(value ? value + 1 : "");
	trimmed = xasprintf("%.*s", (int)strcspn(value, "\r"), value);
	shown = xasprintf("%.*s=%s", (int)len, from, trimmed);
	use.shown = shown;
	use.value = trimmed;
	if (!strncmp(shown, "Environment=", 12))
		return take_environment(import, lines, value);
	if (!strncmp(shown, "EnvironmentFile=", 16))
		return take_environment_file(import, trimmed);
	if (!strncmp(shown, "ExecStart=", 10)) {
		free(import->command);
		import->command = *trimmed ? xasprintf("%s", trimmed) : NULL;
		import->command_line = lines->number;
		import->command_file = lines->file;
		return 0;
	}
	if (!option || strlen(option->name) != len) {
		import->others++;
	} else if (!*trimmed && option->take == take_socket) {
		json_array_clear(import->addresses);
		import->port = 0;
		note(import, &use, NEEDLESS, "it forgets those before it");
	} else if (*trimmed) {
		apply_option(import, option, &use);
		import->found = true;
	} else {
		note(import, &use, NEEDLESS, "it is empty");
	}
	return 0;
}

static int read_unit(struct import *import, struct lines *lines)
{
	int ret = 0;

	lines->joined = true;
	while (!ret && next_line(lines)) {
		const char *from = skip_blanks(lines->text);

		if (is_comment(from) || *from == '[')
			continue;
		ret = take_key(import, lines);
	}
	return ret;
}

/* What the first line that says anything is of. */
static int (*find_reader(const char *file, const char *text))(struct import *, struct lines *)
{
	struct lines lines = { .file = file, .next = text, .next_number = 1 };
	int (*reader)(struct import *import, struct lines *lines) = NULL;
	struct words words = { 0 };

	while (next_line(&lines) && is_comment(lines.text))
		;
	if (!lines.text)
		return NULL;
	split_text(&words, lines.text, lines.number);
	if (*words.at[0].text == '[')
		reader = read_unit;
	else if (!strcmp(words.at[0].text, "service") ||
		 !strcmp(words.at[0].text, "defaults") ||
		 !strncmp(words.at[0].text, "include", 7))
		reader = read_xinetd;
	else if (*words.at[0].text == '/' ||
		 (words.count > 5 && (!strcmp(words.at[1].text, "dgram") ||
				      !strcmp(words.at[1].text, "stream"))))
		reader = read_inetd;
	free_words(&words);
	free(lines.text);
	return reader;
}

/**
 * read_starter() - read a file that starts a server, whatever its kind
 * @import: takes what it holds
 * @file: its name, or "-" for standard input
 *
 * finish_starter() is to be called when all files were read.
 *
 * Return: 0, or an exit code after an error message.
 */
int read_starter(struct import *import, const char *file)
{
	auto_free char *text = read_text(file);
	struct lines lines = { .file = file, .next_number = 1 };
	int (*reader)(struct import *import, struct lines *lines);
	int ret;

	if (!text)
		return EXIT_FAILURE;
	lines.next = text;
	reader = find_reader(file, text);
	ret = reader ? reader(import, &lines) : read_shell(import, file, text);
	free(lines.text);
	return ret ? EXIT_FAILURE : 0;
}

/* Note what becomes of the variables, the first one first. */
static void apply_variables(struct import *import, const struct variable *variable)
{
	const struct old_option *option;
	auto_free char *shown = NULL;
	struct words words = { 0 };
	struct use use;

	if (!variable)
		return;
	apply_variables(import, variable->next);
	shown = xasprintf("%s=\"%s\"", variable->name,
			  variable->value.text ? variable->value.text : "");
	split_words(&words, &variable->value);
	use = (struct use){
		.file = variable->file, .line = variable->line, .shown = shown,
		.value = words.count ? words.at[0].text : "", .words = &words,
	};
	option = find_option(import->server->variables, variable->name,
			     strlen(variable->name));
	if (find_variable(import, variable->name) != variable)
		note(import, &use, NEEDLESS, "it is set again in line %u",
		     find_variable(import, variable->name)->line);
	else if (variable->used)
		note(import, &use, NEEDLESS, "it counts where it is used");
	else if (!option || strcmp(option->name, variable->name) != 0)
		note(import, &use, LACKING, "no variable of %s that is known here",
		     import->server->name);
	else if (!words.count)
		note(import, &use, NEEDLESS, "it is empty");
	else
		apply_option(import, option, &use);
	import->found |= option != NULL;
	free_words(&words);
}

/* finish_starter() - take what the last of the files decided. */
int finish_starter(struct import *import)
{
	struct words words = { 0 };
	int ret = 0;

	if (import->command) {
		size_t i = 0;

		ret = split_shell(import, import->command_file, import->command_line,
				  import->command + strspn(import->command, "-@:+!"),
				  &words);
		while (i < words.count && !is_program(import, words.at[i].text))
			i++;
		if (!ret && i == words.count) {
			print_error("%s:%u: no program of %s that is known here",
				    import->command_file, import->command_line,
				    import->server->name);
			ret = -1;
		}
		if (!ret)
			read_command(import, import->command_file, &words, i + 1);
		free_words(&words);
	}
	if (!ret)
		apply_variables(import, import->variables);
	return ret ? EXIT_FAILURE : 0;
}

/* take_each() - let an option take each word of a variable. */
void take_each(struct import *import, const struct use *use,
	       void (*take)(struct import *import, const struct use *use))
{
	size_t i;

	for (i = 0; i < use->words->count; i++) {
		struct use part = *use;

		part.line = use->words->at[i].line;
		part.value = use->words->at[i].text;
		take(import, &part);
	}
}
