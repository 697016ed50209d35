// SPDX-License-Identifier: GPL-2.0
/* export, unexport: the folders that are served. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spec.h"
#include "tftpkctl.h"

#define UNPRIVILEGED	65534

static int parse_default(const char *word, json_t **value);
static int parse_refusal(const char *word, json_t **value);
static int parse_root_by(const char *word, json_t **value);
static int parse_dscp(const char *word, json_t **value);

/* Options of an export that are the same as words, as JSON and as attributes. */
static const struct {
	enum command_option option;
	uint16_t attr;
	const char *name;
	/* Of a number its range; of a string what reads it; of a flag neither. */
	uint32_t min, max;
	int (*parse)(const char *word, json_t **value);
} switches[] = {
	{ OPTION_NO_SYMLINKS, TFTPK_A_EXPORT_NO_SYMLINKS, "no-symlinks", 0, 0, NULL },
	{ OPTION_MAX_BLKSIZE, TFTPK_A_EXPORT_MAX_BLKSIZE, "max-blksize", 512,
	  65464, NULL },
	{ OPTION_MIN_TIMEOUT, TFTPK_A_EXPORT_MIN_TIMEOUT, "min-timeout", 0,
	  60000, NULL },
	{ OPTION_SEND_AHEAD, TFTPK_A_EXPORT_SEND_AHEAD, "send-ahead", 0, 63, NULL },
	{ OPTION_DSCP, TFTPK_A_EXPORT_DSCP, "dscp", 0, 63, parse_dscp },
	{ OPTION_MAX_RATE, TFTPK_A_EXPORT_MAX_RATE, "max-rate", 1, UINT32_MAX, NULL },
	{ OPTION_ROLLOVER, TFTPK_A_EXPORT_ROLLOVER, "rollover", 0, 1, NULL },
	{ OPTION_NO_TSIZE, TFTPK_A_EXPORT_NO_TSIZE, "no-tsize", 0, 0, NULL },
	{ OPTION_ROOT_BY, TFTPK_A_EXPORT_ROOT_BY, "root-by", 0, 0, parse_root_by },
	{ OPTION_ONLY, TFTPK_A_EXPORT_ONLY, "only", 0, 0, NULL },
	{ OPTION_DROP_FIRST_FOLDER, TFTPK_A_EXPORT_DROP_FIRST_FOLDER,
	  "drop-first-folder", 0, 0, NULL },
	{ OPTION_DEFAULT, TFTPK_A_EXPORT_DEFAULT, "default", 0, 0, parse_default },
	{ OPTION_REFUSAL, TFTPK_A_EXPORT_REFUSAL, "refusal", 0, 0, parse_refusal },
};

/* Those that may be given several times: arrays of networks. */
static const struct {
	enum command_option option;
	uint16_t attr;
	const char *name;
} audiences[] = {
	{ OPTION_FOR, TFTPK_A_EXPORT_FOR, "for" },
	{ OPTION_NOT_FOR, TFTPK_A_EXPORT_NOT_FOR, "not-for" },
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

/* Options as text: each after @before, and @between two of them. */
struct options {
	char *all;
	const char *before;
	const char *between;
};

/* One more, with a value or NULL. */
static void add_option(struct options *options, const char *name, const char *value)
{
	char *longer = xasprintf("%s%s%s%s%s%s", options->all,
				 *options->all ? options->between : "",
				 options->before, name, value ? " " : "",
				 value ? value : "");

	free(options->all);
	options->all = longer;
}

/* The options that an export has. */
static char *options_text(const json_t *export, const char *before,
			  const char *between)
{
	struct options options = { xasprintf("%s", ""), before, between };
	json_t *network;
	size_t i, j;

	for (i = 0; i < COUNT(switches); i++) {
		const char *name = switches[i].name;
		const json_t *value = object_get(export, name);
		auto_free char *raw = raw_text(export, name);
		auto_free char *word = json_is_integer(value) ?
					       number_text(export, name) :
					       quote_word(raw);

		if (json_is_true(value))
			add_option(&options, name, NULL);
		else if (json_is_integer(value) || json_is_string(value))
			add_option(&options, name, word);
	}
	for (i = 0; i < COUNT(audiences); i++) {
		json_array_foreach(object_get(export, audiences[i].name), j, network)
			add_option(&options, audiences[i].name,
				   json_string_value(network));
	}
	return options.all;
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

/* What a word stands for, or TFTPK_ROOT_BY_NONE. */
static uint32_t root_by(const char *word)
{
	uint32_t by = TFTPK_ROOT_BY_MAC;

	while (by != TFTPK_ROOT_BY_NONE && strcmp(word, root_by_words[by]) != 0)
		by--;
	return by;
}

/* A code point by its name, or -1: csN (RFC 2474), afNM (RFC 2597), ef (RFC 3246), le
 * (RFC 8622).
 */
static int named_dscp(const char *word)
{
	if (!strncmp(word, "cs", 2) && word[2] >= '0' && word[2] <= '7' && !word[3])
		return (word[2] - '0') * 8;
	if (!strncmp(word, "af", 2) && word[2] >= '1' && word[2] <= '4' &&
	    word[3] >= '1' && word[3] <= '3' && !word[4])
		return (word[2] - '0') * 8 + (word[3] - '0') * 2;
	return !strcmp(word, "ef") ? 46 : !strcmp(word, "le") ? 1 : -1;
}

static int parse_dscp(const char *word, json_t **value)
{
	int named = named_dscp(word);
	uint64_t number;
	const char *rest;

	if (named >= 0)
		number = (uint64_t)named;
	else if (!parse_number(word, &rest, &number) || *rest || number > 63)
		return usage_error("export: --dscp %s: must be 0 to 63, or a name such as af11, cs1, ef or le",
				   word);
	/* The kernel does not tell of what is so by default. */
	if (number)
		*value = json_integer((json_int_t)number);
	return 0;
}

static int parse_root_by(const char *word, json_t **value)
{
	if (root_by(word) == TFTPK_ROOT_BY_NONE)
		return usage_error("export: --root-by %s: must be ip or mac", word);
	*value = json_string(word);
	return 0;
}

static int parse_default(const char *word, json_t **value)
{
	size_t len = strlen(word);

	if (!len || len > TFTPK_PATH_MAX)
		return usage_error("export: --default: the path of a file has 1 to %u bytes",
				   TFTPK_PATH_MAX);
	*value = json_bytes(word, len);
	return 0;
}

static int parse_refusal(const char *word, json_t **value)
{
	size_t len = strlen(word), i;

	if (!len || len > TFTPK_REFUSAL_MAX)
		return usage_error("export: --refusal: the text has 1 to %u bytes, and this has %zu",
				   TFTPK_REFUSAL_MAX, len);
	for (i = 0; i < len; i++) {
		if (word[i] < ' ' || word[i] > '~')
			return usage_error("export: --refusal: the text must be printable ASCII, as clients show it");
	}
	*value = json_bytes(word, len);
	return 0;
}

/* The number that an option gives. Returns 0, or an exit code after a message. */
static int parse_amount(size_t i, const char *word, json_t **number)
{
	const char *rest;
	uint64_t value;

	if (!parse_number(word, &rest, &value) || *rest ||
	    value < switches[i].min || value > switches[i].max)
		return usage_error("export: --%s %s: must be %u to %u",
				   switches[i].name, word,
				   switches[i].min, switches[i].max);
	/* The kernel does not tell of what is so by default. */
	if (switches[i].option != OPTION_ROLLOVER || value)
		*number = json_integer((json_int_t)value);
	return 0;
}

/* Read the options that are the same everywhere. Returns 0, or an exit code after a
 * message.
 */
static int parse_switches(const struct ctl *ctl, json_t *export)
{
	size_t i;

	for (i = 0; i < COUNT(switches); i++) {
		const char *word = ctl->option[switches[i].option];
		json_t *value = json_null();
		int ret = 0;

		if (word)
			set_error_word(word);
		if (switches[i].parse && word)
			ret = switches[i].parse(word, &value);
		else if (switches[i].max && word)
			ret = parse_amount(i, word, &value);
		else if (!switches[i].parse && !switches[i].max)
			value = json_boolean(word);
		if (ret)
			return ret;
		object_put(export, switches[i].name, value);
	}
	if (ctl->option[OPTION_ONLY] && !ctl->option[OPTION_ROOT_BY])
		return usage_error("export: --only: say by --root-by what the folders of clients are named by");
	return 0;
}

/* Read the networks. Returns 0, or an exit code after a message. */
static int parse_audiences(const struct ctl *ctl, json_t *export)
{
	json_auto_t *all = check_alloc(json_array());
	size_t i, j;

	for (i = 0; i < COUNT(audiences); i++) {
		json_t *list = check_alloc(json_array());

		object_put(export, audiences[i].name, list);
		for (j = 0; j < ctl->networks; j++) {
			const char *word = ctl->network[j].text;
			json_auto_t *network = NULL;
			auto_free char *text = NULL;
			int ret;

			if (ctl->network[j].option != audiences[i].option)
				continue;
			ret = parse_network(word, &network);
			if (ret)
				return ret;
			text = network_text(network);
			if (!array_sort_in(all, json_string(text)))
				return usage_error("export: --%s %s: this network is given twice",
						   audiences[i].name, word);
			array_sort_in(list, json_string(text));
		}
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
	int ret;

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
	ret = parse_switches(ctl, *export);
	return ret ? ret : parse_audiences(ctl, *export);
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

static void put_switch(struct nlmsghdr *nlh, size_t i, const json_t *export)
{
	const json_t *value = object_get(export, switches[i].name);
	uint32_t number = (uint32_t)json_integer_value(value);

	if (json_is_true(value))
		mnl_attr_put(nlh, switches[i].attr, 0, NULL);
	else if (switches[i].option == OPTION_ROOT_BY && json_is_string(value))
		mnl_attr_put_u32(nlh, switches[i].attr,
				 root_by(json_string_value(value)));
	else if (json_is_string(value))
		put_string(nlh, switches[i].attr, export, switches[i].name);
	else if (json_is_integer(value) && switches[i].max <= UINT8_MAX)
		mnl_attr_put_u8(nlh, switches[i].attr, (uint8_t)number);
	else if (json_is_integer(value))
		mnl_attr_put_u32(nlh, switches[i].attr, number);
}

/* Add networks, which were read before. */
static void put_audience(struct nlmsghdr *nlh, size_t i, const json_t *export)
{
	json_t *text;
	size_t j;

	json_array_foreach(object_get(export, audiences[i].name), j, text) {
		struct nlattr *nest = mnl_attr_nest_start(nlh, audiences[i].attr);
		json_auto_t *network = NULL;

		parse_network(json_string_value(text), &network);
		put_network(nlh, network, TFTPK_A_NETWORK_ADDRESS,
			    TFTPK_A_NETWORK_PREFIX_LENGTH);
		mnl_attr_nest_end(nlh, nest);
	}
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
	for (i = 0; i < COUNT(switches); i++)
		put_switch(nlh, i, export);
	for (i = 0; i < COUNT(audiences); i++)
		put_audience(nlh, i, export);
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
