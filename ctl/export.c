// SPDX-License-Identifier: GPL-2.0
/* export, unexport: the folders that are served. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tftpkctl.h"

#define UNPRIVILEGED	65534

static const struct field export_fields[] = {
	FIELD(TFTPK_A_EXPORT_ID, FIELD_NUMBER, "id"),
	FIELD(TFTPK_A_EXPORT_PATH, FIELD_STRING, "path"),
	FIELD(TFTPK_A_EXPORT_PREFIX, FIELD_STRING, "prefix"),
	FIELD(TFTPK_A_EXPORT_UID, FIELD_NUMBER, "uid"),
	FIELD(TFTPK_A_EXPORT_GID, FIELD_NUMBER, "gid"),
	FIELD(TFTPK_A_EXPORT_NO_SYMLINKS, FIELD_FLAG, "no-symlinks"),
	FIELD(TFTPK_A_EXPORT_MAX_BLKSIZE, FIELD_NUMBER, "max-blksize"),
	FIELD(TFTPK_A_EXPORT_MIN_TIMEOUT, FIELD_NUMBER, "min-timeout"),
	FIELD(TFTPK_A_EXPORT_ROLLOVER, FIELD_NUMBER, "rollover"),
	FIELD(TFTPK_A_EXPORT_NO_TSIZE, FIELD_FLAG, "no-tsize"),
};

/* Options of an export that are the same as words, as JSON and as attributes; flags
 * have no range.
 */
static const struct {
	enum command_option option;
	uint16_t attr;
	const char *name;
	uint32_t min, max;
} switches[] = {
	{ OPTION_NO_SYMLINKS, TFTPK_A_EXPORT_NO_SYMLINKS, "no-symlinks", 0, 0 },
	{ OPTION_MAX_BLKSIZE, TFTPK_A_EXPORT_MAX_BLKSIZE, "max-blksize", 512,
	  65464 },
	{ OPTION_MIN_TIMEOUT, TFTPK_A_EXPORT_MIN_TIMEOUT, "min-timeout", 0,
	  60000 },
	{ OPTION_ROLLOVER, TFTPK_A_EXPORT_ROLLOVER, "rollover", 0, 1 },
	{ OPTION_NO_TSIZE, TFTPK_A_EXPORT_NO_TSIZE, "no-tsize", 0, 0 },
};

int dump_exports(struct ctl *ctl, json_t **list)
{
	return nl_dump(ctl, TFTPK_CMD_EXPORT_GET, export_fields,
		       COUNT(export_fields), list);
}

static char *prefix_column(const json_t *row, const char *name)
{
	auto_free char *prefix = string_text(row, name);

	return xasprintf("/%s", json_is_string(object_get(row, name)) ? prefix : "");
}

static char *user_column(const json_t *row, const char *name)
{
	auto_free char *uid = number_text(row, "uid");
	auto_free char *gid = number_text(row, "gid");

	return xasprintf("%s:%s", uid, gid);
}

/* The options that an export has, each after @before and followed by its value. */
static char *options_text(const json_t *export, const char *before,
			  const char *between)
{
	char *all = xasprintf("%s", "");
	size_t i;

	for (i = 0; i < COUNT(switches); i++) {
		const json_t *value = object_get(export, switches[i].name);
		char *longer;

		if (json_is_true(value))
			longer = xasprintf("%s%s%s%s", all, *all ? between : "",
					   before, switches[i].name);
		else if (json_is_integer(value))
			longer = xasprintf("%s%s%s%s %lld", all, *all ? between : "",
					   before, switches[i].name,
					   (long long)json_integer_value(value));
		else
			continue;
		free(all);
		all = longer;
	}
	return all;
}

static char *export_options(const json_t *row, const char *name)
{
	char *all = options_text(row, "", ", ");

	if (*all)
		return all;
	free(all);
	return xasprintf("-");
}

void print_exports(const json_t *list)
{
	static const struct column columns[] = {
		{ "ID", true, number_text, "id" },
		{ "PREFIX", false, prefix_column, "prefix" },
		{ "UID:GID", false, user_column, "" },
		{ "OPTIONS", false, export_options, "" },
		{ "FOLDER", false, string_text, "path" },
	};

	print_table(columns, COUNT(columns), list);
}

/* The folder as the kernel is to see it, or NULL after an error message. */
static char *resolve_folder(const char *dir)
{
	char *path = realpath(dir, NULL);
	struct stat st = { 0 };

	if (path && !stat(path, &st) && S_ISDIR(st.st_mode))
		return path;

	set_error_word(dir);
	if (path && S_ISREG(st.st_mode))
		print_error("export %s: not a folder (export the folder that holds the file)",
			    dir);
	else if (path || errno == ENOTDIR)
		print_error("export %s: not a folder", dir);
	else if (errno == ENOENT)
		print_error("export %s: no such folder (create it first)", dir);
	else if (errno == EACCES)
		print_error("export %s: no permission to look it up (run this as root)",
			    dir);
	else
		print_error("export %s: %s", dir, strerror(errno));
	free(path);
	return NULL;
}

/* A user or group by number or name; -1 is the kernel's "none". */
static bool parse_id(const char *string, bool group, uint32_t *id)
{
	const char *rest;
	uint64_t value;
	bool known;

	if (parse_number(string, &rest, &value) && !*rest) {
		*id = (uint32_t)value;
		return value < UINT32_MAX;
	}
	if (group) {
		const struct group *entry = getgrnam(string);

		*id = entry ? entry->gr_gid : 0;
		known = entry;
	} else {
		const struct passwd *entry = getpwnam(string);

		*id = entry ? entry->pw_uid : 0;
		known = entry;
	}
	return known;
}

/*
 * Copy @path with one slash before each component, or only between them if it
 * is @relative, and without empty and "." components.
 */
static char *tidy_path(const char *path, bool relative)
{
	char *copy = xasprintf("/%s", path), *from, *to;

	for (from = to = copy; *from;) {
		size_t len;

		from += strspn(from, "/");
		len = strcspn(from, "/");
		if (len && !(len == 1 && *from == '.')) {
			if (to != copy || !relative)
				*to++ = '/';
			memmove(to, from, len);
			to += len;
		}
		from += len;
	}
	if (to == copy && !relative)
		*to++ = '/';
	*to = '\0';
	return copy;
}

/* The prefix that --as gives, or NULL after an error message. */
static char *parse_prefix(const char *string)
{
	char *prefix = tidy_path(string, true), *part = prefix;
	size_t len;

	set_error_word(string);
	if (strlen(prefix) > TFTPK_PATH_MAX) {
		print_error("--as: the path is too long: %u bytes are the most",
			    TFTPK_PATH_MAX);
		goto bad;
	}
	do {
		len = strcspn(part, "/");
		if (len == 2 && !strncmp(part, "..", len)) {
			print_error("--as %s: must be a path without '..', such as /boot/arm",
				    string);
			goto bad;
		}
		part += len;
	} while (*part++);
	return prefix;
bad:
	free(prefix);
	return NULL;
}

/* Read the options that are the same everywhere. Returns 0, or an exit code after a
 * message.
 */
static int parse_switches(const struct ctl *ctl, json_t *export)
{
	const char *rest;
	uint64_t value;
	size_t i;

	for (i = 0; i < COUNT(switches); i++) {
		const char *word = ctl->option[switches[i].option];

		if (!switches[i].max) {
			object_put(export, switches[i].name, json_boolean(word));
			continue;
		}
		if (!word) {
			object_put(export, switches[i].name, json_null());
			continue;
		}
		if (!parse_number(word, &rest, &value) || *rest ||
		    value < switches[i].min || value > switches[i].max) {
			set_error_word(word);
			return usage_error("export: --%s %s: must be %u to %u",
					   switches[i].name, word,
					   switches[i].min, switches[i].max);
		}
		/* The kernel does not tell of what is so by default. */
		object_put(export, switches[i].name,
			   switches[i].option == OPTION_ROLLOVER && !value ?
				   json_null() : json_integer((json_int_t)value));
	}
	return 0;
}

/**
 * parse_export() - read the arguments of an export
 * @ctl: its options
 * @dir: the folder
 * @export: where it goes, as an object like those of dump_exports()
 *
 * Prints an error by itself.
 *
 * Return: 0, or an exit code.
 */
int parse_export(const struct ctl *ctl, const char *dir, json_t **export)
{
	const char *as = ctl->option[OPTION_AS];
	const char *user = ctl->option[OPTION_UID];
	const char *group = ctl->option[OPTION_GID];
	uint32_t uid = UNPRIVILEGED, gid = UNPRIVILEGED;
	auto_free char *path = NULL;
	auto_free char *prefix = NULL;

	if (user && !parse_id(user, false, &uid)) {
		set_error_word(user);
		return usage_error("export: --uid %s: no such user", user);
	}
	if (group && !parse_id(group, true, &gid)) {
		set_error_word(group);
		return usage_error("export: --gid %s: no such group", group);
	}
	prefix = parse_prefix(as ? as : "");
	if (!prefix)
		return EXIT_USAGE;
	path = resolve_folder(dir);
	if (!path)
		return EXIT_FAILURE;

	*export = check_alloc(json_object());
	object_put(*export, "path", json_bytes(path, strlen(path)));
	object_put(*export, "prefix", json_bytes(prefix, strlen(prefix)));
	object_put(*export, "uid", json_integer(uid));
	object_put(*export, "gid", json_integer(gid));
	return parse_switches(ctl, *export);
}

/**
 * export_words() - an export as a line of a file
 * @export: an object as of dump_exports()
 *
 * Return: the arguments of 'export', for the caller to free.
 */
char *export_words(const json_t *export)
{
	long long uid = object_number(export, "uid"), gid = object_number(export, "gid");
	auto_free char *raw = raw_text(export, "path");
	auto_free char *path = quote_word(raw);
	auto_free char *as = raw_text(export, "prefix");
	auto_free char *prefix = quote_word(as);
	auto_free char *user = xasprintf(" --uid %lld", uid);
	auto_free char *group = xasprintf(" --gid %lld", gid);
	auto_free char *options = options_text(export, " --", "");

	return xasprintf("%s%s%s%s%s%s", path, *as ? " --as " : "",
			 *as ? prefix : "", uid == UNPRIVILEGED ? "" : user,
			 gid == UNPRIVILEGED ? "" : group, options);
}

static void put_string(struct nlmsghdr *nlh, uint16_t attr, const json_t *object,
		       const char *name)
{
	auto_free char *raw = raw_text(object, name);

	mnl_attr_put_strz(nlh, attr, raw);
}

/* add_export() - serve what parse_export() read; @reply may be NULL. */
int add_export(struct ctl *ctl, const json_t *export, json_t **reply)
{
	struct nlmsghdr *nlh = nl_request(ctl, TFTPK_CMD_EXPORT_ADD);
	size_t i;

	put_string(nlh, TFTPK_A_EXPORT_PATH, export, "path");
	put_string(nlh, TFTPK_A_EXPORT_PREFIX, export, "prefix");
	mnl_attr_put_u32(nlh, TFTPK_A_EXPORT_UID,
			 (uint32_t)object_number(export, "uid"));
	mnl_attr_put_u32(nlh, TFTPK_A_EXPORT_GID,
			 (uint32_t)object_number(export, "gid"));
	for (i = 0; i < COUNT(switches); i++) {
		const json_t *value = object_get(export, switches[i].name);
		uint32_t number = (uint32_t)json_integer_value(value);

		if (json_is_true(value))
			mnl_attr_put(nlh, switches[i].attr, 0, NULL);
		else if (json_is_integer(value) && switches[i].max == 1)
			mnl_attr_put_u8(nlh, switches[i].attr, (uint8_t)number);
		else if (json_is_integer(value))
			mnl_attr_put_u32(nlh, switches[i].attr, number);
	}
	return nl_do(ctl, export_fields, COUNT(export_fields), reply);
}

/* delete_export() - end "path" under "prefix", or under all if that is null. */
int delete_export(struct ctl *ctl, const json_t *export)
{
	struct nlmsghdr *nlh = nl_request(ctl, TFTPK_CMD_EXPORT_DEL);

	put_string(nlh, TFTPK_A_EXPORT_PATH, export, "path");
	if (!json_is_null(object_get(export, "prefix")))
		put_string(nlh, TFTPK_A_EXPORT_PREFIX, export, "prefix");
	return nl_do(ctl, NULL, 0, NULL);
}

/* "/srv/tftp as /boot", without what is the root or null. */
static char *export_text(const json_t *export)
{
	auto_free char *path = string_text(export, "path");
	auto_free char *prefix = prefix_column(export, "prefix");

	return xasprintf("%s%s%s", path, prefix[1] ? " as " : "",
			 prefix[1] ? prefix : "");
}

/* The end of "serving /srv/tftp on [::]:69, 0.0.0.0:69". */
static void print_listening(const json_t *listeners)
{
	json_t *listener;
	size_t i;

	json_array_foreach(listeners, i, listener) {
		auto_free char *where = endpoint_text(listener, "");

		printf("%s %s", i ? "," : " on", where);
	}
	if (listeners && !i)
		fputs(", but nothing listens: tftpkctl listen '*'", stdout);
	putchar('\n');
}

int run_export(struct ctl *ctl, int argc, char **argv)
{
	json_auto_t *wanted = NULL;
	json_auto_t *export = NULL;
	json_auto_t *listeners = NULL;
	auto_free char *what = NULL;
	int ret;

	ret = parse_export(ctl, argv[0], &wanted);
	if (ret)
		return ret;
	if (add_export(ctl, wanted, &export))
		return nl_fail(ctl, "export %s", argv[0]);

	/* The export stands, even if nobody can tell where it is served. */
	if (dump_listeners(ctl, &listeners))
		listeners = NULL;
	if (ctl->json)
		return print_json(json_pack("{s:O, s:O?}", "export", export,
					    "listeners", listeners));
	what = export_text(export);
	printf("serving %s", what);
	print_listening(listeners);
	return EXIT_SUCCESS;
}

/*
 * @dir as an absolute path, for the kernel to compare with the names of exports
 * whose folder is gone; or NULL after an error message.
 */
static char *absolute_path(const char *dir)
{
	auto_free char *cwd = *dir == '/' ? NULL : getcwd(NULL, 0);
	auto_free char *joined = NULL;
	char *path;

	if (*dir != '/' && !cwd) {
		print_error("unexport %s: the current folder is gone (give an absolute path)",
			    dir);
		return NULL;
	}
	joined = xasprintf("%s/%s", cwd ? cwd : "", dir);
	path = tidy_path(joined, false);
	if (strlen(path) <= TFTPK_PATH_MAX)
		return path;
	print_error("unexport %s: the path is too long", dir);
	free(path);
	return NULL;
}

int run_unexport(struct ctl *ctl, int argc, char **argv)
{
	const char *as = ctl->option[OPTION_AS];
	json_auto_t *export = check_alloc(json_object());
	auto_free char *prefix = NULL;
	auto_free char *path = NULL;
	auto_free char *what = NULL;

	if (as) {
		prefix = parse_prefix(as);
		if (!prefix)
			return EXIT_USAGE;
	}
	path = absolute_path(argv[0]);
	if (!path)
		return EXIT_FAILURE;
	object_put(export, "path", json_bytes(path, strlen(path)));
	object_put(export, "prefix",
		   prefix ? json_bytes(prefix, strlen(prefix)) : json_null());

	if (delete_export(ctl, export))
		return nl_fail(ctl, "unexport %s%s%s", argv[0],
			       as ? " --as " : "", as ? as : "");
	if (ctl->json)
		return print_json(json_pack("{s:O}", "unexport", export));
	what = export_text(export);
	printf("no longer serving %s\n", what);
	return EXIT_SUCCESS;
}

/**
 * configure_export() - take a line of a file, for a configuration to be
 * @ctl: the context, with the line's options
 * @config: takes what the line says
 * @argc: number of words after the command
 * @argv: these words, and a NULL
 *
 * Return: 0, or an exit code after an error message.
 */
int configure_export(struct ctl *ctl, json_t *config, int argc, char **argv)
{
	static const char *const export_name[] = { "path", "prefix", NULL };
	json_t *list = object_get(config, "exports");
	json_auto_t *export = NULL;
	int ret;

	set_error_word(argv[0]);
	if (*argv[0] != '/')
		return usage_error("export %s: must be an absolute path here",
				   argv[0]);
	ret = parse_export(ctl, argv[0], &export);
	if (ret)
		return ret;
	set_error_word(argv[0]);
	if (array_find(list, export, export_name))
		return usage_error("export %s: given twice", argv[0]);
	array_append(list, json_incref(export));
	return 0;
}
