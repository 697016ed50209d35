// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of another server's options: each use of one is noted once, as lines
 * of tftpk's files, as needless, or as lacking.
 */
#include <arpa/inet.h>
#include <grp.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "import.h"

static const char *const fate_words[] = { "becomes", "needless", "lacking" };

/* Text for people, of which backslashes are not doubled. */
static json_t *plain_string(const char *text)
{
	json_t *value = json_string(text);

	return value ? value : json_bytes(text, strlen(text));
}

static void put_fate(json_t *item, enum fate fate, const char *format, va_list args)
{
	char *text = NULL;

	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	text = check_alloc(text);
	object_put(item, "fate", json_string(fate_words[fate]));
	object_put(item, "text", plain_string(text));
	free(text);
}

/* note() - what became of an option, and why. */
void note(struct import *import, const struct use *use, enum fate fate,
	  const char *format, ...)
{
	json_t *item = check_alloc(json_object());
	va_list args;

	object_put(item, "file", json_bytes(use->file, strlen(use->file)));
	object_put(item, "line", json_integer(use->line));
	object_put(item, "option", plain_string(use->shown));
	va_start(args, format);
	put_fate(item, fate, format, args);
	va_end(args);
	array_append(import->items, item);
}

/* change_note() - of an option that another one decided about. */
void change_note(json_t *item, enum fate fate, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put_fate(item, fate, format, args);
	va_end(args);
}

/* put_setting() - set it, instead of what was set before. */
void put_setting(struct import *import, const char *name, const char *value)
{
	/* Not by object_put(), which makes underscores of the dashes. */
	if (json_object_set_new(import->settings, name, json_string(value)))
		check_alloc(NULL);
}

/* set_amount() - set a number if the setting may have it, and note so or not. */
void set_amount(struct import *import, const struct use *use,
		const char *name, uint64_t amount)
{
	auto_free char *value = xasprintf("%llu", (unsigned long long)amount);
	uint32_t min, max;

	setting_bounds(name, &min, &max);
	if (amount < min || amount > max) {
		note(import, use, LACKING,
		     "%s is from %u to %u, and at its default without this line: set another value if that is not right",
		     name, min, max);
		return;
	}
	put_setting(import, name, value);
	note(import, use, BECOMES, "set %s %s", name, value);
}

static void set_value(struct import *import, const struct use *use,
		      const char *name, const char *value)
{
	uint64_t amount;
	const char *rest;

	if (value && parse_number(value, &rest, &amount) && !*rest)
		set_amount(import, use, name, amount);
	else
		note(import, use, LACKING, "no number: write 'set %s NUMBER'", name);
}

/* set_range() - the option's value is two ports with that character between. */
void set_range(struct import *import, const struct use *use, char between)
{
	auto_free char *value = NULL;
	uint64_t low, high;
	const char *rest;
	uint32_t min, max;

	setting_bounds("port-range", &min, &max);
	if (!use->value || !parse_number(use->value, &rest, &low) ||
	    *rest != between || !parse_number(rest + 1, &rest, &high) || *rest ||
	    low < min || high < min || low > max || high > max) {
		note(import, use, LACKING, "no range of ports: write 'set port-range LOW-HIGH'");
		return;
	}
	value = low < high ? xasprintf("%u-%u", (uint32_t)low, (uint32_t)high) :
			     xasprintf("%u-%u", (uint32_t)high, (uint32_t)low);
	put_setting(import, "port-range", value);
	note(import, use, BECOMES, "set port-range %s", value);
}

/* apply_option() - note what becomes of an option. */
void apply_option(struct import *import, const struct old_option *option,
		  const struct use *use)
{
	if (option->take)
		option->take(import, use);
	else if (option->fate == BECOMES)
		set_value(import, use, option->text,
			  option->value ? option->value : use->value);
	else
		note(import, use, option->fate, "%s", option->text);
}

/* is_program() - is it a path or a name of the server's program? */
bool is_program(const struct import *import, const char *path)
{
	const char *const *name = import->server->programs;
	const char *base = strrchr(path, '/');

	base = base ? base + 1 : path;
	while (*name && strcmp(*name, base) != 0)
		name++;
	return *name;
}

/* find_option() - by a name of @len bytes, or the only one that begins so; or NULL. */
const struct old_option *find_option(const struct old_option *table,
				     const char *name, size_t len)
{
	const struct old_option *found = NULL;
	bool several = false;

	for (; table->name; table++) {
		if (strncmp(table->name, name, len) != 0)
			continue;
		if (!table->name[len])
			return table;
		/* Several names may mean the same. */
		several |= found && (found->take != table->take ||
				     found->text != table->text ||
				     found->takes != table->takes);
		found = table;
	}
	return several || !len ? NULL : found;
}

/* A command line that is being read. */
struct command_line {
	struct import *import;
	const char *file;
	const struct words *words;
	size_t next;
};

/*
 * Apply an option as @shown, whose value is the rest of the word, from @rest on, or
 * the next word.
 */
static void take_option(struct command_line *line, const struct old_option *option,
			const char *shown, const char *rest)
{
	const struct words *words = line->words;
	struct use use = {
		.file = line->file, .line = words->at[line->next - 1].line,
		.value = rest,
	};
	auto_free char *whole = NULL;

	if (option && option->takes == A_VALUE && !rest &&
	    line->next < words->count) {
		use.value = words->at[line->next++].text;
		whole = xasprintf("%s %s", shown, use.value);
	}
	use.shown = whole ? whole : shown;
	if (!option && !line->import->server->variables)
		line->import->others++;
	else if (!option)
		note(line->import, &use, LACKING,
		     "no option of %s that is known here: look it up in its manual",
		     line->import->server->name);
	else if (option->takes == A_VALUE && !use.value)
		note(line->import, &use, LACKING, "its value is missing");
	else
		apply_option(line->import, option, &use);
}

static void take_long(struct command_line *line, const char *word)
{
	const char *name = word + 2;
	size_t len = strcspn(name, "=");

	take_option(line, find_option(line->import->server->options, name, len),
		    word, name[len] ? name + len + 1 : NULL);
}

/* Take -x, -xVALUE or -xyz. */
static void take_short(struct command_line *line, const char *word)
{
	const char *at;

	for (at = word + 1; *at; at++) {
		const struct old_option *option = line->import->server->options;
		auto_free char *shown = xasprintf("-%c", *at);
		auto_free char *whole = xasprintf("-%s", at);
		const char *rest = at[1] ? at + 1 : NULL;

		while (option->name && option->letter != *at)
			option++;
		if (!option->name)
			option = NULL;
		if (!option || option->takes == NO_VALUE) {
			take_option(line, option, shown, NULL);
			continue;
		}
		take_option(line, option, rest ? whole : shown, rest);
		break;
	}
}

/**
 * read_command() - read a command line
 * @import: the server whose it is
 * @file: where it stands
 * @words: its words
 * @first: the first one after the program
 */
void read_command(struct import *import, const char *file,
		  const struct words *words, size_t first)
{
	struct command_line line = { import, file, words, first };
	bool options = true;

	import->found = true;
	while (line.next < words->count) {
		const struct word *word = &words->at[line.next++];
		struct use use = {
			.file = file, .line = word->line, .shown = word->text,
			.value = word->text,
		};

		if (options && !strcmp(word->text, "--"))
			options = false;
		else if (options && !strncmp(word->text, "--", 2))
			take_long(&line, word->text);
		else if (options && *word->text == '-' && word->text[1])
			take_short(&line, word->text);
		else
			import->server->take_folder(import, &use);
	}
}

/* add_folder() - export a folder with options of its own, each after a blank. */
void add_folder(struct import *import, const char *path, const char *options)
{
	auto_free char *word = quote_word(path);

	array_append(import->folders, json_pack("{s:s, s:s}", "path", word,
						"options", options));
}

/* add_whole_folder() - the same, and for clients that give its whole path. */
void add_whole_folder(struct import *import, const char *path, const char *options)
{
	auto_free char *word = quote_word(path);
	auto_free char *as = xasprintf(" --as %s%s", word, options);

	add_folder(import, path, options);
	if (strspn(path, "/") < strlen(path))
		add_folder(import, path, as);
}

/* Is it an IPv4 or IPv6 address? */
static bool is_address(const char *string)
{
	struct in6_addr address;

	return inet_pton(AF_INET, string, &address) == 1 ||
	       inet_pton(AF_INET6, string, &address) == 1;
}

/* A port by number or name, or 0. */
static unsigned int parse_service(const char *string)
{
	const struct servent *service;
	const char *rest;
	uint64_t port;

	if (parse_number(string, &rest, &port) && !*rest)
		return port <= UINT16_MAX ? (unsigned int)port : 0;
	service = getservbyname(string, "udp");
	if (service)
		return ntohs((uint16_t)service->s_port);
	return strcmp(string, "tftp") != 0 ? 0 : TFTP_PORT;
}

/* take_port() - the port of addresses that have none. */
void take_port(struct import *import, const struct use *use)
{
	unsigned int port = parse_service(use->value);

	if (!port) {
		note(import, use, LACKING,
		     "no port that is known here: write 'listen *:PORT'");
		return;
	}
	import->port = port;
	if (port == TFTP_PORT)
		note(import, use, NEEDLESS, "port 69 is the default");
	else
		note(import, use, BECOMES, "listen ADDR:%u", port);
}

/* take_address() - listen on ADDR:PORT, of which either may be missing. */
void take_address(struct import *import, const struct use *use)
{
	auto_free char *copy = xasprintf("%s", use->value);
	char *host = copy, *port = strrchr(copy, ':'), *end = strchr(copy, ']');
	unsigned int number = 0;

	if (*copy == '[' && end) {
		host = copy + 1;
		*end++ = '\0';
		port = *end == ':' ? end : NULL;
	} else if (is_address(copy)) {
		port = NULL;
	}
	if (port) {
		*port++ = '\0';
		number = parse_service(port);
	}
	if (*host && strcmp(host, "*") != 0 && !is_address(host)) {
		note(import, use, LACKING,
		     "a name: write 'listen ADDR' with the address that it has");
	} else if (port && !number) {
		note(import, use, LACKING,
		     "no port that is known here: write 'listen ADDR:PORT'");
	} else if (!*host && (!port || number == TFTP_PORT)) {
		note(import, use, NEEDLESS,
		     "the first export listens on port 69 of all addresses");
	} else {
		array_append(import->addresses, json_pack("{s:s, s:i}", "host",
				*host ? host : "*", "port", (int)number));
		note(import, use, BECOMES, "listen %s", use->value);
	}
}

/* take_interface() - listen on an interface. */
void take_interface(struct import *import, const struct use *use, const char *name)
{
	if (strpbrk(name, "*:/ ") || !*name || strlen(name) >= IFNAMSIZ) {
		note(import, use, LACKING,
		     "not the name of one interface: write 'listen * dev IF' for each");
		return;
	}
	array_append(import->interfaces, json_bytes(name, strlen(name)));
	note(import, use, BECOMES, "listen * dev %s", name);
}

/* Bits of a netmask. */
static unsigned int mask_length(const unsigned char *mask, size_t len)
{
	unsigned int bits = 0;

	while (bits < 8 * len && mask[bits / 8] & 0x80 >> bits % 8)
		bits++;
	return bits;
}

/* The network of an address of an interface, or NULL. */
static char *interface_network(const struct ifaddrs *entry)
{
	unsigned char address[sizeof(struct in6_addr)];
	char text[INET6_ADDRSTRLEN];
	const unsigned char *mask;
	size_t len, i;

	if (!entry->ifa_addr || !entry->ifa_netmask)
		return NULL;
	if (entry->ifa_addr->sa_family == AF_INET) {
		len = sizeof(struct in_addr);
		memcpy(address, &((struct sockaddr_in *)entry->ifa_addr)->sin_addr, len);
		mask = (void *)&((struct sockaddr_in *)entry->ifa_netmask)->sin_addr;
	} else if (entry->ifa_addr->sa_family == AF_INET6) {
		len = sizeof(struct in6_addr);
		memcpy(address, &((struct sockaddr_in6 *)entry->ifa_addr)->sin6_addr, len);
		mask = (void *)&((struct sockaddr_in6 *)entry->ifa_netmask)->sin6_addr;
	} else {
		return NULL;
	}
	for (i = 0; i < len; i++)
		address[i] &= mask[i];
	if (!inet_ntop(entry->ifa_addr->sa_family, address, text, sizeof(text)))
		return NULL;
	return xasprintf("%s/%u", text, mask_length(mask, len));
}

/* network_words() - " --for NETWORK" of each network of an interface, or NULL. */
char *network_words(const char *interface)
{
	struct ifaddrs *list = NULL, *entry;
	char *all = NULL;

	if (getifaddrs(&list))
		return NULL;
	for (entry = list; entry; entry = entry->ifa_next) {
		auto_free char *network = strcmp(entry->ifa_name, interface) != 0 ?
					  NULL : interface_network(entry);
		auto_free char *before = network ? all : NULL;

		if (network)
			all = xasprintf("%s --for %s", before ? before : "", network);
	}
	freeifaddrs(list);
	return all;
}

void take_ipv4(struct import *import, const struct use *use)
{
	import->family = 4;
	note(import, use, BECOMES, "listen 0.0.0.0");
}

void take_ipv6(struct import *import, const struct use *use)
{
	import->family = 6;
	note(import, use, BECOMES, "listen ::");
}

void take_no_tsize(struct import *import, const struct use *use)
{
	import->no_tsize = true;
	note(import, use, BECOMES, "export --no-tsize");
}

/*
 * user_words() - options of an export whose files are opened as @user, and as
 * @group or else the user's own one.
 */
char *user_words(const char *user, const char *group)
{
	const struct passwd *entry = getpwnam(user);
	const struct group *own = entry && !group ? getgrgid(entry->pw_gid) : NULL;
	auto_free char *uid = quote_word(user);
	auto_free char *number = xasprintf("%u", entry ? entry->pw_gid : 0);
	const char *name = group ? group : own ? own->gr_name : entry ? number : NULL;
	auto_free char *gid = quote_word(name ? name : "");

	return xasprintf(" --uid %s%s%s", uid, name ? " --gid " : "", name ? gid : "");
}

/* A line of 'listen', unless that is what is so without it. */
static void listen_line(struct import *import, const char *host, unsigned int port,
			const char *interface)
{
	bool all = !strcmp(host, "*"), v6;
	auto_free char *tail = NULL;
	auto_free char *dev = interface ? quote_word(interface) : NULL;

	if (all && import->family)
		host = import->family == 4 ? "0.0.0.0" : "::";
	v6 = strchr(host, ':');
	port = port ? port : import->port ? import->port : TFTP_PORT;
	if (port != TFTP_PORT)
		tail = xasprintf("%s:%u", v6 ? "]" : "", port);
	if (all && !import->family && !tail && !dev && !import->single_port)
		return;
	array_append(import->lines,
		     json_sprintf("listen %s%s%s%s%s%s", tail && v6 ? "[" : "", host,
				  tail ? tail : "", dev ? " dev " : "",
				  dev ? dev : "",
				  import->single_port ? " --single-port" : ""));
}

static void listen_lines(struct import *import)
{
	json_t *address, *interface;
	size_t i;

	json_array_foreach(import->addresses, i, address)
		listen_line(import, json_string_value(json_object_get(address, "host")),
			    (unsigned int)object_number(address, "port"), import->device);
	json_array_foreach(import->interfaces, i, interface)
		listen_line(import, "*", 0, json_string_value(interface));
	if (!json_array_size(import->addresses) &&
	    !json_array_size(import->interfaces))
		listen_line(import, "*", 0, import->device);
}

/* finish_lines() - tftpk.conf, of exports with these options beside their own. */
void finish_lines(struct import *import, const char *options)
{
	const char *name;
	json_t *value;
	size_t i;

	json_object_foreach(import->settings, name, value)
		array_append(import->lines,
			     json_sprintf("set %s %s", name, json_string_value(value)));
	listen_lines(import);
	json_array_foreach(import->folders, i, value)
		array_append(import->lines,
			     json_sprintf("export %s%s%s%s%s",
					  json_string_value(json_object_get(value, "path")),
					  json_string_value(json_object_get(value, "options")),
					  options,
					  import->no_tsize ? " --no-tsize" : "",
					  import->clients ? import->clients : ""));
}
