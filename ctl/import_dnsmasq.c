// SPDX-License-Identifier: GPL-2.0
/*
 * import: the TFTP server of dnsmasq, of version 2.93. What else its files hold stays
 * there, and is only counted.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "import.h"

/* Stands for a comma that was quoted. */
#define QUOTED_COMMA	'\001'

static int read_path(struct import *import, const char *path);

/* Cut the first of what commas separate off, or return NULL. */
static char *next_part(char **rest)
{
	char *part = strsep(rest, ","), *c;

	if (!part)
		return NULL;
	part += strspn(part, " ");
	for (c = part + strlen(part); c > part && c[-1] == ' ';)
		*--c = '\0';
	while ((c = strchr(part, QUOTED_COMMA)))
		*c = ',';
	return part;
}

static void take_enable(struct import *import, const struct use *use)
{
	auto_free char *copy = xasprintf("%s", use->value ? use->value : "");
	char *rest = use->value ? copy : NULL, *part;

	import->enabled = import->found = true;
	if (!use->value) {
		note(import, use, NEEDLESS, "'systemctl enable --now tftpk' serves");
		return;
	}
	import->own_interfaces = true;
	while ((part = next_part(&rest)))
		take_interface(import, use, part);
}

static void take_root(struct import *import, const struct use *use)
{
	auto_free char *copy = xasprintf("%s", use->value);
	char *rest = copy, *folder = next_part(&rest), *interface = next_part(&rest);
	auto_free char *path = xasprintf("%s%s", *folder == '/' ? "" : "/", folder);
	auto_free char *options = NULL;
	auto_free char *word = quote_word(path);

	if (!interface) {
		add_whole_folder(import, path, "");
		note(import, use, BECOMES, "export %s", word);
		return;
	}
	options = network_words(interface);
	if (options) {
		add_whole_folder(import, path, options);
		note(import, use, BECOMES, "export %s%s", word, options);
	} else {
		note(import, use, LACKING,
		     "no such interface here, or none with an address: write 'export %s --for NETWORK' with its clients' network",
		     word);
	}
}

static void take_unique(struct import *import, const struct use *use)
{
	const char *by = use->value && !strcasecmp(use->value, "mac") ? "mac" : "ip";

	if (import->root_by && strcmp(import->root_by, by) != 0) {
		note(import, use, LACKING,
		     "a folder by both address and MAC: export each folder by its name, with --for its client");
		return;
	}
	import->root_by = by;
	note(import, use, BECOMES, "export --root-by %s", by);
}

static void take_lowercase(struct import *import, const struct use *use)
{
	array_append(import->agent_lines, json_string("fold-case"));
	put_setting(import, "resolve", "missing");
	note(import, use, BECOMES, "fold-case");
}

static void take_mtu(struct import *import, const struct use *use)
{
	/* The headers of IPv4, UDP and DATA. */
	const uint64_t headers = 20 + 8 + 4;
	const char *rest;
	uint64_t mtu;

	if (parse_number(use->value, &rest, &mtu) && !*rest && mtu > headers)
		set_amount(import, use, "max-blksize", mtu - headers);
	else
		note(import, use, LACKING, "no number of bytes: write 'set max-blksize BYTES'");
}

static void take_ports(struct import *import, const struct use *use)
{
	set_range(import, use, ',');
}

static void take_single_port(struct import *import, const struct use *use)
{
	import->single_port = true;
	note(import, use, BECOMES, "listen --single-port");
}

static void take_secure(struct import *import, const struct use *use)
{
	import->secure_files = true;
	note(import, use, LACKING,
	     "owners do not matter: 'export --uid' is written, so that all files that this user may read are served");
}

/* dnsmasq's own, but counts for TFTP. */

static void take_shared(struct import *import, const struct use *use)
{
	json_t *entry = check_alloc(json_object());

	object_put(entry, "file", json_bytes(use->file, strlen(use->file)));
	object_put(entry, "line", json_integer(use->line));
	object_put(entry, "option", json_bytes(use->shown, strlen(use->shown)));
	if (use->value)
		object_put(entry, "value", json_bytes(use->value, strlen(use->value)));
	array_append(import->shared, entry);
}

static void take_user(struct import *import, const struct use *use)
{
	char **which = strncmp(use->shown + strspn(use->shown, "-"), "g", 1) != 0 ?
		       &import->user : &import->group;

	import->others++;
	free(*which);
	*which = use->value ? xasprintf("%s", use->value) : NULL;
}

/* Files that a file names. */

static void take_file(struct import *import, const struct use *use)
{
	if (use->value)
		import->failed |= read_path(import, use->value) != 0;
	note(import, use, NEEDLESS, "it was read");
}

/* Is it what dnsmasq takes from a folder, by the ends of names that it was told? */
static bool is_wanted(const char *name, const char *ends)
{
	auto_free char *copy = xasprintf("%s", ends);
	bool wanted = false, choosy = false;
	size_t len = strlen(name);
	char *rest = copy, *end;

	if (*name == '.' || name[len - 1] == '~' ||
	    (*name == '#' && name[len - 1] == '#'))
		return false;
	while ((end = next_part(&rest))) {
		bool only = *end == '*';
		size_t n = strlen(end += only);
		bool same = n && len > n && !strcmp(name + len - n, end);

		if (!only && same)
			return false;
		wanted |= only && same;
		choosy |= only && n;
	}
	return wanted || !choosy;
}

/* Read a folder, given as DIR[,END]... Returns 0, or an exit code. */
static int read_folder(struct import *import, const char *value)
{
	auto_free char *copy = xasprintf("%s", value);
	char *ends = copy, *folder = next_part(&ends);
	struct dirent **entries;
	int count = folder ? scandir(folder, &entries, NULL, alphasort) : -1;
	int i, ret = 0;

	if (count < 0) {
		print_error("cannot read %s: %s", folder, strerror(errno));
		return EXIT_FAILURE;
	}
	for (i = 0; i < count; i++) {
		auto_free char *path = xasprintf("%s/%s", folder, entries[i]->d_name);
		struct stat st;

		if (!ret && is_wanted(entries[i]->d_name, ends ? ends : "") &&
		    !stat(path, &st) && S_ISREG(st.st_mode))
			ret = read_path(import, path);
		free(entries[i]);
	}
	free(entries);
	return ret;
}

static void take_dir(struct import *import, const struct use *use)
{
	import->failed |= read_folder(import, use->value) != 0;
	note(import, use, NEEDLESS, "its files were read");
}

static void take_other(struct import *import, const struct use *use)
{
	import->others++;
}

static const struct old_option options[] = {
	TAKES("enable-tftp", 0, MAYBE_VALUE, take_enable),
	TAKES("tftp-root", 0, A_VALUE, take_root),
	TAKES("tftp-unique-root", 0, MAYBE_VALUE, take_unique),
	TAKES("tftp-lowercase", 0, NO_VALUE, take_lowercase),
	TAKES("tftp-secure", 0, NO_VALUE, take_secure),
	SETS("tftp-max", 0, "max-transfers"),
	TAKES("tftp-mtu", 0, A_VALUE, take_mtu),
	SETS_TO("tftp-no-blocksize", 0, "max-blksize", "512"),
	TAKES("tftp-port-range", 0, A_VALUE, take_ports),
	TAKES("tftp-single-port", 0, NO_VALUE, take_single_port),
	HAS_NONE("tftp-no-fail", 0, NO_VALUE,
		 "a folder that is missing is a mistake in tftpk.conf: create it"),
	NEEDS_NONE("quiet-tftp", 0, NO_VALUE,
		   "the log is a service of its own, tftpk-log: leave it disabled"),
	HAS_NONE("dhcp-script", '6', A_VALUE,
		 "dnsmasq runs it for leases as before, but no longer for files: 'hook end COMMAND' in tftpkd.conf does"),
	HAS_NONE("dhcp-luascript", 0, A_VALUE,
		 "dnsmasq runs it for leases as before, but no longer for files: 'hook end COMMAND' in tftpkd.conf does"),
	HAS_NONE("conf-script", 0, A_VALUE,
		 "not run: write what it prints to a file, and import that, too"),
	TAKES("conf-file", 'C', MAYBE_VALUE, take_file),
	TAKES("conf-dir", '7', A_VALUE, take_dir),
	TAKES("interface", 'i', A_VALUE, take_shared),
	TAKES("except-interface", 'I', A_VALUE, take_shared),
	TAKES("listen-address", 'a', A_VALUE, take_shared),
	TAKES("user", 'u', MAYBE_VALUE, take_user),
	TAKES("group", 'g', MAYBE_VALUE, take_user),
	{ 0 }
};

/* Take KEY or KEY=VALUE, a line of a file without comment and quotes. */
static void take_line(struct import *import, const char *file, unsigned int number,
		      char *line)
{
	size_t len = strcspn(line, " =");
	const struct old_option *option = find_option(options, line, len);
	const char *value = strchr(line, '=');
	struct use use = { .file = file, .line = number, .shown = line };
	struct words words = { 0 };
	bool first;

	use.value = value ? value + 1 + strspn(value + 1, " ") : NULL;
	split_text(&words, line, number);
	first = is_program(import, words.at[0].text);
	if (first || !strncmp(line, "DNSMASQ_OPTS=", 13)) {
		free_words(&words);
		split_text(&words, first ? line : use.value, number);
		read_command(import, file, &words, first);
	} else if (!strncmp(line, "CONFIG_DIR=", 11)) {
		take_dir(import, &use);
	} else if (option && strlen(option->name) == len &&
		   option->takes == A_VALUE && (!use.value || !*use.value)) {
		note(import, &use, LACKING, "its value is missing");
	} else if (option && strlen(option->name) == len) {
		apply_option(import, option, &use);
	} else if (!strncmp(line, "tftp-", 5)) {
		note(import, &use, LACKING, "no option of dnsmasq that is known here");
	} else {
		import->others++;
	}
	free_words(&words);
}

/*
 * Take quotes and a comment from a line, in place, as dnsmasq does. Returns the
 * line, or NULL if a quote is not closed, of which @open tells.
 */
static char *strip_line(char *line, char **open)
{
	char *from = line, *to = line;
	bool white = true, quoted = false;

	for (; *from; from++) {
		char c = *from;

		if (c == '"') {
			quoted = !quoted;
			*open = from;
			continue;
		}
		if (quoted && c == '\\' && from[1] && strchr("\"\\", from[1]))
			c = *++from;
		else if (!quoted && white && c == '#')
			break;
		white = !quoted && strchr(" \t\r\f\v", c);
		if (quoted && c == ',')
			c = QUOTED_COMMA;
		*to++ = c;
		if (white)
			to[-1] = ' ';
	}
	if (quoted)
		return NULL;
	while (to > line && to[-1] == ' ')
		to--;
	*to = '\0';
	return line + strspn(line, " ");
}

/* Was the file read already? dnsmasq reads each once. */
static bool was_read(struct import *import, const struct stat *st)
{
	auto_free char *key = xasprintf("%lu:%lu", (unsigned long)st->st_dev,
					(unsigned long)st->st_ino);
	bool known = json_object_get(import->seen, key);

	if (json_object_set_new(import->seen, key, json_true()))
		check_alloc(NULL);
	return known;
}

/* Read a file or a folder. Returns 0, or an exit code after an error message. */
static int read_path(struct import *import, const char *path)
{
	auto_free char *text = NULL;
	unsigned int number = 0;
	char *rest, *line, *open = NULL;
	struct stat st;

	if (!stat(path, &st) && S_ISDIR(st.st_mode)) {
		auto_free char *value = xasprintf("%s,.dpkg-dist,.dpkg-old,.dpkg-new",
						  path);

		return read_folder(import, value);
	}
	if (strcmp(path, "-") != 0 && !stat(path, &st) && was_read(import, &st))
		return 0;
	text = read_text(path);
	if (!text)
		return EXIT_FAILURE;
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		char *stripped;

		set_error_line(path, ++number, line, strlen(line) + 1);
		stripped = strip_line(line, &open);
		if (!stripped) {
			set_error_word(open);
			print_error("the quote is not closed");
		}
		set_error_line(NULL, 0, NULL, 0);
		if (!stripped)
			return EXIT_FAILURE;
		if (*stripped)
			take_line(import, path, number, stripped);
	}
	return 0;
}

/* Let 'interface' and its like count, where enable-tftp names none. */
static void finish_shared(struct import *import)
{
	json_t *entry;
	size_t i;

	json_array_foreach(import->shared, i, entry) {
		auto_free char *file = raw_text(entry, "file");
		auto_free char *shown = raw_text(entry, "option");
		auto_free char *value = raw_text(entry, "value");
		const char *name = shown + strspn(shown, "-");
		struct use use = {
			.file = file, .shown = shown, .value = value,
			.line = (unsigned int)object_number(entry, "line"),
		};
		char *rest = value, *part;

		if (import->own_interfaces) {
			import->others++;
			continue;
		}
		while ((part = next_part(&rest))) {
			use.value = part;
			if (*name == 'i')
				take_interface(import, &use, part);
			else if (*name == 'l' || *name == 'a')
				take_address(import, &use);
			else
				note(import, &use, LACKING,
				     "listeners are named, not left out: write 'listen * dev IF' for each other interface");
		}
	}
}

static void finish(struct import *import)
{
	auto_free char *user = import->secure_files ?
			       user_words(import->user ? import->user : "dnsmasq",
					  import->group) : xasprintf("%s", "");
	auto_free char *tail = xasprintf("%s%s%s", user,
					 import->root_by ? " --root-by " : "",
					 import->root_by ? import->root_by : "");
	struct use use = { .file = import->last_file, .shown = "tftp-root" };

	finish_shared(import);
	if (!json_array_size(import->folders))
		note(import, &use, LACKING,
		     "there is none: every file is served by its whole path; write 'export DIR --as DIR' for folders that are meant to be");
	finish_lines(import, tail);
}

static const char *const programs[] = { "dnsmasq", NULL };
static const char *const files[] = {
	"/etc/dnsmasq.conf", "/etc/dnsmasq.d", NULL
};

const struct old_server dnsmasq_server = {
	.name = "dnsmasq", .programs = programs, .files = files, .all_files = true,
	.options = options, .read = read_path, .take_folder = take_other,
	.finish = finish,
};
