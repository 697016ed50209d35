// SPDX-License-Identifier: GPL-2.0
/* import: tftpd-hpa, of version 5.2 and 7.2. */
#include <stdio.h>
#include <string.h>

#include "import.h"

static const char no_process[] = "there is no process";
static const char log[] =
	"tftpk-log.service logs, or 'tftpkctl monitor --timestamp' into a file";
static const char no_uploads[] = "nothing is taken without an inbox";
static const char inbox_line[] =
	"a word of 'inbox' in tftpkd.conf: write 'max-size BYTES' or 'quota BYTES' there";

static void take_secure(struct import *import, const struct use *use)
{
	import->secure = true;
	note(import, use, NEEDLESS, "clients always see a folder as /");
}

static void take_prefix(struct import *import, const struct use *use)
{
	free(import->prefix);
	import->prefix = xasprintf("%s", use->value);
	note(import, use, BECOMES, "export %s...", use->value);
}

/* The user counts where files may be read that not everybody may. */
static void take_user(struct import *import, const struct use *use)
{
	free(import->user);
	import->user = xasprintf("%s", use->value);
	note(import, use, NEEDLESS,
	     "what everybody may read is served, and nothing else, as without --permissive");
	import->user_item = json_array_get(import->items,
					   json_array_size(import->items) - 1);
}

static void take_permissive(struct import *import, const struct use *use)
{
	import->permissive = true;
	note(import, use, NEEDLESS, "files are checked as for any process of their user");
}

static void take_retransmit(struct import *import, const struct use *use)
{
	const char *rest;
	uint64_t us;

	if (!strcmp(use->value, "1000000"))
		note(import, use, NEEDLESS, "its default: the delay follows the client's round trips");
	else if (parse_number(use->value, &rest, &us) && !*rest)
		set_amount(import, use, "min-timeout", (us + 999) / 1000);
	else
		note(import, use, LACKING, "no number of microseconds: write 'set min-timeout MS'");
}

static void take_map(struct import *import, const struct use *use)
{
	auto_free char *word = quote_word(use->value);

	if (*use->value != '/') {
		note(import, use, LACKING,
		     "no absolute path: write 'map FILE' in tftpkd.conf and 'set resolve all'");
		return;
	}
	json_array_clear(import->agent_lines);
	array_append(import->agent_lines, json_sprintf("map %s", word));
	put_setting(import, "resolve", "all");
	note(import, use, BECOMES, "map %s", word);
}

static void take_refuse(struct import *import, const struct use *use)
{
	if (!strcmp(use->value, "blksize"))
		set_amount(import, use, "max-blksize", 512);
	else if (!strcmp(use->value, "windowsize"))
		set_amount(import, use, "max-windowsize", 1);
	else if (!strcmp(use->value, "tsize"))
		take_no_tsize(import, use);
	else if (!strcmp(use->value, "timeout") || !strcmp(use->value, "utimeout") ||
		 !strcmp(use->value, "rollover"))
		note(import, use, LACKING,
		     "cannot be refused: it is answered only where a client asks for it");
	else
		note(import, use, NEEDLESS, "this option is never answered");
}

static void take_refuse_all(struct import *import, const struct use *use)
{
	put_setting(import, "max-blksize", "512");
	put_setting(import, "max-windowsize", "1");
	import->no_tsize = true;
	note(import, use, LACKING,
	     "'set max-blksize 512 max-windowsize 1' and 'export --no-tsize' are written; other options are answered where a client asks for them");
}

static void take_blocksize(struct import *import, const struct use *use)
{
	const char *rest;
	uint64_t bytes;

	if (!strcmp(use->value, "mtu"))
		note(import, use, NEEDLESS, "blocks never exceed the route's MTU, see 'clamp-mtu'");
	else if (parse_number(use->value, &rest, &bytes) && !*rest)
		set_amount(import, use, "max-blksize", bytes);
	else
		note(import, use, LACKING,
		     "blocks are bound by the route's MTU, or by a number: write 'set max-blksize BYTES'");
}

static void take_window_bytes(struct import *import, const struct use *use)
{
	const char *rest;
	uint64_t bytes;

	if (parse_number(use->value, &rest, &bytes) && !*rest && !bytes)
		note(import, use, NEEDLESS, "a window has no bound in bytes");
	else
		note(import, use, LACKING,
		     "a window is bound in blocks: write 'set max-windowsize BLOCKS' of these bytes by the block size");
}

static void take_ports(struct import *import, const struct use *use)
{
	set_range(import, use, ':');
}

static void take_folder(struct import *import, const struct use *use)
{
	auto_free char *path = NULL;
	auto_free char *word = NULL;

	if (*use->value != '/') {
		note(import, use, LACKING, "no absolute path: write 'export DIR'");
		return;
	}
	path = xasprintf("%s%s", import->prefix ? import->prefix : "", use->value);
	word = quote_word(path);
	array_append(import->folders, json_bytes(use->value, strlen(use->value)));
	note(import, use, BECOMES, "export %s", word);
}

/* Where what is put goes is known at the end. */
static void take_create(struct import *import, const struct use *use)
{
	import->create = true;
	note(import, use, BECOMES,
	     "inbox, in whose quota the other files of the folder count, too");
}

/* The mode of files that are put, in octal. */
static void take_umask(struct import *import, const struct use *use)
{
	size_t digits = strspn(use->value, "01234567");

	if (!digits || use->value[digits]) {
		note(import, use, LACKING,
		     "no octal number: write 'mode MODE' at 'inbox' in tftpkd.conf");
		return;
	}
	free(import->umask);
	import->umask = xasprintf("%s", use->value);
	note(import, use, NEEDLESS, "'inbox' has a mode instead, if there is --create");
}

static const struct old_option options[] = {
	TAKES("ipv4", '4', NO_VALUE, take_ipv4),
	TAKES("ipv6", '6', NO_VALUE, take_ipv6),
	TAKES("address", 'a', A_VALUE, take_address),
	TAKES("service", 'S', A_VALUE, take_port),
	TAKES("port", 0, A_VALUE, take_port),
	TAKES("secure", 's', NO_VALUE, take_secure),
	TAKES("chroot", 0, NO_VALUE, take_secure),
	TAKES("jail", 'j', NO_VALUE, take_secure),
	TAKES("path-prefix", 0, A_VALUE, take_prefix),
	TAKES("user", 'u', A_VALUE, take_user),
	TAKES("permissive", 'p', NO_VALUE, take_permissive),
	TAKES("retransmit", 'T', A_VALUE, take_retransmit),
	TAKES("map-file", 'm', A_VALUE, take_map),
	TAKES("refuse", 'r', A_VALUE, take_refuse),
	TAKES("reject", 0, A_VALUE, take_refuse),
	TAKES("refuse-all", 0, NO_VALUE, take_refuse_all),
	TAKES("reject-all", 0, NO_VALUE, take_refuse_all),
	TAKES("blocksize", 'B', A_VALUE, take_blocksize),
	SETS("windowsize", 'W', "max-windowsize"),
	TAKES("window-bytes", 0, A_VALUE, take_window_bytes),
	TAKES("port-range", 'R', A_VALUE, take_ports),
	TAKES("ports", 0, A_VALUE, take_ports),
	TAKES("create", 'c', NO_VALUE, take_create),
	HAS_NONE("map-steps", 0, A_VALUE, "tftpkd has a bound of its own, see tftpkd.conf(5)"),
	TAKES("umask", 'U', A_VALUE, take_umask),
	NEEDS_NONE("read-only", 0, NO_VALUE, no_uploads),
	NEEDS_NONE("ro", 0, NO_VALUE, no_uploads),
	HAS_NONE("max-upload", 0, A_VALUE, inbox_line),
	HAS_NONE("max-size", 0, A_VALUE, inbox_line),
	NEEDS_NONE("validate", 0, NO_VALUE, "no name leads out of a folder"),
	NEEDS_NONE("normalize", 0, MAYBE_VALUE,
		   "slashes and dots of names count as in a chroot"),
	NEEDS_NONE("listen", 'l', NO_VALUE, no_process),
	NEEDS_NONE("standalone", 0, NO_VALUE, no_process),
	NEEDS_NONE("foreground", 'L', NO_VALUE, no_process),
	NEEDS_NONE("systemd", 0, NO_VALUE, no_process),
	NEEDS_NONE("pidfile", 'P', A_VALUE, no_process),
	NEEDS_NONE("timeout", 't', A_VALUE, "nothing waits to exit"),
	NEEDS_NONE("map-test", 0, A_VALUE, "'tftpkd --map-test' does so"),
	NEEDS_NONE("verbose", 'v', NO_VALUE, log),
	NEEDS_NONE("verbosity", 0, A_VALUE, log),
	NEEDS_NONE("syslog", 0, NO_VALUE, log),
	NEEDS_NONE("stderr", 0, MAYBE_VALUE, log),
	NEEDS_NONE("stdout", 0, MAYBE_VALUE, log),
	NEEDS_NONE("logfile", 0, A_VALUE, log),
	NEEDS_NONE("logformat", 0, A_VALUE, log),
	NEEDS_NONE("version", 'V', NO_VALUE, "'tftpkctl --version' tells it"),
	{ 0 }
};

static void take_folders(struct import *import, const struct use *use)
{
	take_each(import, use, take_folder);
}

/* Debian's unit has --jail. */
static void take_home(struct import *import, const struct use *use)
{
	import->secure = true;
	take_each(import, use, take_folder);
}

static void take_addresses(struct import *import, const struct use *use)
{
	take_each(import, use, take_address);
}

static void take_run(struct import *import, const struct use *use)
{
	note(import, use, NEEDLESS, "'systemctl enable --now tftpk' serves");
}

/* Debian's, and those of other distributions. */
static const struct old_option variables[] = {
	TAKES("TFTP_USERNAME", 0, A_VALUE, take_user),
	TAKES("TFTP_DIRECTORY", 0, A_VALUE, take_folders),
	TAKES("TFTP_ADDRESS", 0, A_VALUE, take_addresses),
	TAKES("TFTP_OPTIONS", 0, A_VALUE, take_arguments),
	TAKES("OPTIONS", 0, A_VALUE, take_arguments),
	TAKES("RUN_DAEMON", 0, A_VALUE, take_run),
	TAKES("USE_INETD", 0, A_VALUE, take_run),
	TAKES("TFTPD_HOME", 0, A_VALUE, take_home),
	TAKES("TFTPD_OPTS", 0, A_VALUE, take_arguments),
	TAKES("TFTPD_ARGS", 0, A_VALUE, take_arguments),
	TAKES("TFTP_USER", 0, A_VALUE, take_user),
	TAKES("INTFTPD_PATH", 0, A_VALUE, take_folders),
	TAKES("INTFTPD_USER", 0, A_VALUE, take_user),
	TAKES("INTFTPD_OPTS", 0, A_VALUE, take_arguments),
	{ 0 }
};

/* A path as a prefix of names that an inbox may have, or NULL. */
static char *clean_prefix(const char *path)
{
	char *clean = check_alloc(malloc(strlen(path) + 2)), *to = clean;

	*to = '\0';
	for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
		size_t len = strcspn(path, "/");

		if (*path == '.' && len > 1) {
			free(clean);
			return NULL;
		}
		if (*path != '.')
			to += sprintf(to, "/%.*s", (int)len, path);
		path += len;
	}
	return clean;
}

/* What clients put goes into the first folder, under the names that they give. */
static void add_inbox(struct import *import, const char *path, const char *as)
{
	unsigned long mask = import->umask ? strtoul(import->umask, NULL, 8) : 022;
	struct use use = { .file = import->last_file, .shown = "--create" };
	auto_free char *clean = clean_prefix(as ? as : "");
	auto_free char *as_word = clean ? quote_word(clean) : NULL;
	auto_free char *word = quote_word(path);
	auto_free char *prefix = as ? xasprintf(" as %s", as_word) : xasprintf("%s", "");

	if (!clean) {
		note(import, &use, LACKING,
		     "no part of a name may begin with a dot: write 'inbox %s as PREFIX'", word);
		return;
	}
	put_setting(import, "uploads", "on");
	array_append(import->agent_lines,
		     json_sprintf("# tftpkd must be able to write there, see tftpkd(8). The quota counts all that lies there."));
	array_append(import->agent_lines,
		     json_sprintf("inbox %s%s existing replace mode 0%lo max-size " INBOX_MAX_SIZE " quota " INBOX_QUOTA,
				  word, prefix, 0666 & ~mask));
}

/* Without --secure clients give the whole path. */
static void finish_folders(struct import *import)
{
	const char *prefix = import->prefix ? import->prefix : "";
	json_auto_t *folders = import->folders;
	json_t *folder;
	size_t i;

	import->folders = check_alloc(json_array());
	json_array_foreach(folders, i, folder) {
		json_auto_t *object = check_alloc(json_object());
		auto_free char *raw = NULL;
		auto_free char *path = NULL;
		auto_free char *word = NULL;
		auto_free char *as = NULL;

		object_put(object, "path", json_incref(folder));
		raw = raw_text(object, "path");
		word = quote_word(raw);
		path = xasprintf("%s%s", prefix, raw);
		if (!import->secure && strspn(raw, "/") < strlen(raw))
			as = xasprintf(" --as %s", word);
		add_folder(import, path, as ? as : "");
		/* With --secure, all of them would be for the same names. */
		if (import->create && (as || !i))
			add_inbox(import, path, as ? raw : NULL);
	}
}

static void finish(struct import *import)
{
	bool by_user = import->permissive && import->user;
	auto_free char *user = by_user ? user_words(import->user, NULL) :
					 xasprintf("%s", "");
	struct use use = { .file = import->last_file, .shown = "the folder" };

	if (by_user)
		change_note(import->user_item, BECOMES, "export%s", user);
	if (!json_array_size(import->folders))
		note(import, &use, LACKING,
		     "none is named: give the file that names it, too, or write 'export DIR'");
	finish_folders(import);
	finish_lines(import, user);
}

static const char *const programs[] = { "in.tftpd", "tftpd", "in.tftp", NULL };
static const char *const files[] = {
	"/etc/default/tftpd-hpa", "/etc/xinetd.d/tftp", "/etc/sysconfig/tftp",
	"/etc/conf.d/tftpd", "/etc/conf.d/in.tftpd",
	"/usr/lib/systemd/system/tftpd-hpa.service", NULL
};

const struct old_server tftpd_hpa_server = {
	.name = "tftpd-hpa", .programs = programs, .files = files,
	.options = options, .variables = variables, .read = read_starter,
	.take_folder = take_folder, .finish = finish,
};
