// SPDX-License-Identifier: GPL-2.0
/* inbox: folders that take uploads, of whom, by which names. */
#include <errno.h>
#include <fnmatch.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "inbox.h"

/* What holds, beside INBOX_*, where the line does not say otherwise. */
#define PER_CLIENT	4
#define MODE		0640

/* The longest name leaves room for the number of a version. */
#define NAME_BYTES	240

/* TFTP's error code. */
#define TFTP_ACCESS	2

static const char *const existing_words[] = {
	[EXISTING_REFUSE] = "refuse",
	[EXISTING_VERSION] = "version",
	[EXISTING_REPLACE] = "replace",
	NULL
};

static const char *const sync_words[] = {
	[SYNC_NONE] = "none",
	[SYNC_DATA] = "data",
	[SYNC_FULL] = "full",
	NULL
};

static bool is_part_good(const char *part, size_t len)
{
	size_t i;

	/* Hidden names are tftpkd's own. */
	if (!len || len > NAME_BYTES || *part == '.')
		return false;
	for (i = 0; i < len; i++) {
		if ((unsigned char)part[i] < ' ' || part[i] == 0x7f)
			return false;
	}
	return true;
}

/*
 * A name as a path that leads nowhere but down, with slashes for backslashes and
 * without those that it begins with; NULL where it has parts that no upload has.
 */
static char *clean_name(const char *name)
{
	char *clean, *c;
	const char *part;

	name += strspn(name, "/\\");
	clean = check_alloc(strdup(name));
	for (c = clean; *c; c++) {
		if (*c == '\\')
			*c = '/';
	}
	for (part = clean;; part++) {
		size_t len = strcspn(part, "/");

		if (!is_part_good(part, len)) {
			free(clean);
			return NULL;
		}
		part += len;
		if (!*part)
			return clean;
	}
}

static int read_prefix(struct inbox *inbox, const char *word)
{
	auto_free char *prefix = check_alloc(strdup(word + strspn(word, "/")));
	size_t len = strlen(prefix);

	while (len && prefix[len - 1] == '/')
		prefix[--len] = '\0';
	free(inbox->prefix);
	inbox->prefix = len ? clean_name(prefix) : check_alloc(strdup(""));
	if (inbox->prefix)
		return 0;
	print_error("as %s: must be names between slashes, without . at their beginning",
		    word);
	return -1;
}

static int read_for(struct inbox *inbox, const char *word)
{
	struct network network = { 0 };

	if (read_network(word, &network))
		return -1;
	inbox->networks = check_alloc(reallocarray(inbox->networks,
						   inbox->network_count + 1,
						   sizeof(network)));
	inbox->networks[inbox->network_count++] = network;
	return 0;
}

static int read_names(struct inbox *inbox, const char *word)
{
	free(inbox->names);
	inbox->names = check_alloc(strdup(word));
	return 0;
}

static int read_bytes(const char *key, const char *word, uint64_t *bytes)
{
	if (parse_scaled(word, "bytes", bytes) && *bytes)
		return 0;
	print_error("%s %s: must be bytes, such as 512K, 64M or 2G", key, word);
	return -1;
}

static int read_max_size(struct inbox *inbox, const char *word)
{
	return read_bytes("max-size", word, &inbox->max_size);
}

static int read_quota(struct inbox *inbox, const char *word)
{
	return read_bytes("quota", word, &inbox->quota);
}

static int read_per_client(struct inbox *inbox, const char *word)
{
	const char *rest;
	uint64_t count;

	if (!parse_number(word, &rest, &count) || *rest || !count ||
	    count > UINT32_MAX) {
		print_error("per-client %s: must be 1 or more uploads", word);
		return -1;
	}
	inbox->per_client = (uint32_t)count;
	return 0;
}

/* The number of a word among those that there are, or -1 after an error message. */
static int read_choice(const char *key, const char *word, const char *const *words)
{
	int i;

	for (i = 0; words[i]; i++) {
		if (!strcmp(words[i], word))
			return i;
	}
	print_error("%s %s: there are %s, %s and %s", key, word, words[0], words[1],
		    words[2]);
	return -1;
}

static int read_existing(struct inbox *inbox, const char *word)
{
	int choice = read_choice("existing", word, existing_words);

	inbox->existing = (enum existing)choice;
	return choice < 0 ? -1 : 0;
}

static int read_sync(struct inbox *inbox, const char *word)
{
	int choice = read_choice("sync", word, sync_words);

	inbox->sync = (enum sync_kind)choice;
	return choice < 0 ? -1 : 0;
}

static int read_mode(struct inbox *inbox, const char *word)
{
	size_t digits = strspn(word, "01234567");
	unsigned long mode = strtoul(word, NULL, 8);

	if (!digits || word[digits] || digits > 4 || mode > 0777) {
		print_error("mode %s: must be octal, up to 0777", word);
		return -1;
	}
	inbox->mode = (mode_t)mode;
	return 0;
}

/* A number, or what a name stands for. */
static bool read_id(const char *word, bool is_group, uint32_t *id)
{
	const struct passwd *user;
	const struct group *group;
	const char *rest;
	uint64_t number;

	if (parse_number(word, &rest, &number) && !*rest && number < UINT32_MAX) {
		*id = (uint32_t)number;
		return true;
	}
	if (is_group) {
		group = getgrnam(word);
		*id = group ? group->gr_gid : 0;
		return group;
	}
	user = getpwnam(word);
	*id = user ? user->pw_uid : 0;
	return user;
}

static int read_owner(struct inbox *inbox, const char *word)
{
	auto_free char *user = check_alloc(strdup(word));
	char *group = strchr(user, ':');

	if (group)
		*group++ = '\0';
	if (*user && !read_id(user, false, &inbox->uid)) {
		print_error("owner %s: there is no user %s", word, user);
		return -1;
	}
	if (group && *group && !read_id(group, true, &inbox->gid)) {
		print_error("owner %s: there is no group %s", word, group);
		return -1;
	}
	return 0;
}

static const struct {
	const char *key;
	/* Returns -1 after an error message. */
	int (*read)(struct inbox *inbox, const char *word);
} keys[] = {
	{ "as", read_prefix },
	{ "for", read_for },
	{ "names", read_names },
	{ "max-size", read_max_size },
	{ "quota", read_quota },
	{ "per-client", read_per_client },
	{ "existing", read_existing },
	{ "mode", read_mode },
	{ "owner", read_owner },
	{ "sync", read_sync },
};

static const char *key_name(size_t index)
{
	return index < COUNT(keys) ? keys[index].key : NULL;
}

static int read_key(struct inbox *inbox, const char *key, const char *word)
{
	const char *meant = nearest_word(key, key_name);
	size_t i;

	set_error_word(key);
	for (i = 0; i < COUNT(keys) && strcmp(keys[i].key, key) != 0;)
		i++;
	if (i == COUNT(keys)) {
		print_error("no word '%s' here%s%s%s", key, meant ?
			    ": did you mean '" : ": tftpkd.conf(5) has them all",
			    meant ? meant : "", meant ? "'?" : "");
		return -1;
	}
	if (!word) {
		print_error("%s: the value is missing", key);
		return -1;
	}
	set_error_word(word);
	return keys[i].read(inbox, word);
}

/* Storage that hangs would hold up all: whether it is there is found out later. */
static int read_dir(const struct config *config, const char *word)
{
	int fd;

	set_error_word(word);
	if (*word != '/') {
		print_error("%s: must be an absolute path", word);
		return -1;
	}
	fd = config->check ? open_inbox(word) : -1;
	if (config->check && fd < 0) {
		print_error("cannot open %s: %s", word, strerror(errno));
		return -1;
	}
	if (fd >= 0)
		close(fd);
	return 0;
}

static void *read_inbox(struct config *config, int argc, char **argv)
{
	struct inbox *inbox = check_alloc(calloc(1, sizeof(*inbox)));
	int i, ret;

	inbox->references = 1;
	inbox->dir = check_alloc(strdup(argv[1]));
	inbox->prefix = check_alloc(strdup(""));
	read_max_size(inbox, INBOX_MAX_SIZE);
	read_quota(inbox, INBOX_QUOTA);
	inbox->per_client = PER_CLIENT;
	inbox->mode = MODE;
	inbox->sync = SYNC_DATA;
	inbox->uid = (uid_t)-1;
	inbox->gid = (gid_t)-1;
	inbox->account = get_account(argv[1]);
	ret = read_dir(config, argv[1]);
	for (i = 2; !ret && i < argc; i += 2)
		ret = read_key(inbox, argv[i], argv[i + 1]);
	if (!ret)
		return inbox;
	release_inbox(inbox);
	return NULL;
}

static void free_inbox(void *directive)
{
	release_inbox(directive);
}

static bool has_chown(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = { 0 };

	return !syscall(SYS_capget, &header, data) &&
	       data[0].effective & BIT(CAP_CHOWN);
}

static bool may_set_owner(const struct inbox *inbox)
{
	return has_chown() ||
	       ((inbox->uid == (uid_t)-1 || inbox->uid == geteuid()) &&
		(inbox->gid == (gid_t)-1 || group_member(inbox->gid)));
}

static void start_inbox(void *directive)
{
	struct inbox *inbox = directive;

	start_account(inbox->account);
	if (may_set_owner(inbox))
		return;
	print_warning("inbox %s: no owner is set: that takes CAP_CHOWN, see tftpkd(8)",
		      inbox->dir);
	inbox->uid = (uid_t)-1;
	inbox->gid = (gid_t)-1;
}

/* The longest network of an inbox that a client is in, as bits and 1; 0 for none. */
static unsigned int network_rank(const struct inbox *inbox,
				 const struct question *question)
{
	unsigned int rank = !inbox->network_count;
	size_t i;

	for (i = 0; i < inbox->network_count; i++) {
		const struct network *network = &inbox->networks[i];

		if (network_has(network, &question->address, question->address_len) &&
		    network->prefix + 2U > rank)
			rank = network->prefix + 2U;
	}
	return rank;
}

/* What is below the prefix of an inbox, or NULL. */
static const char *below_prefix(const struct inbox *inbox, const char *name)
{
	size_t len = strlen(inbox->prefix);

	if (!len)
		return name;
	return !strncmp(name, inbox->prefix, len) && name[len] == '/' ?
	       name + len + 1 : NULL;
}

static bool has_name(const struct inbox *inbox, const char *path)
{
	return !inbox->names || !fnmatch(inbox->names, path, 0);
}

/*
 * The inbox for a name and a client, or NULL: of those with the longest prefix, that
 * with the longest network, then one that takes the name.
 */
static struct inbox *choose_inbox(const struct question *question, const char *name)
{
	const struct config *config = question->config;
	struct inbox *best = NULL;
	unsigned int best_rank = 0;
	size_t i, best_len = 0;

	for (i = 0; i < config->count; i++) {
		struct inbox *inbox = config->directives[i].state;
		const char *path;
		unsigned int rank;
		size_t len;

		if (config->directives[i].type != &inbox_directive)
			continue;
		path = below_prefix(inbox, name);
		len = strlen(inbox->prefix);
		if (!path || len < best_len)
			continue;
		if (len > best_len) {
			best = NULL;
			best_rank = 0;
			best_len = len;
		}
		rank = network_rank(inbox, question);
		if (rank)
			rank = 2 * rank + has_name(inbox, path);
		if (rank > best_rank) {
			best = inbox;
			best_rank = rank;
		}
	}
	return best;
}

/* Would the name be taken for that of a version? */
static bool is_version(const struct inbox *inbox, const char *path)
{
	size_t len = strlen(path), digits = 0;

	if (inbox->existing != EXISTING_VERSION || path[len - 1] != '~')
		return false;
	while (digits + 1 < len && strchr("0123456789", path[len - 2 - digits]))
		digits++;
	return digits && digits + 3 <= len &&
	       !strncmp(path + len - digits - 3, ".~", 2);
}

static bool ask_inbox(void *directive, struct question *question)
{
	struct answer refusal = { .kind = ANSWER_ERROR, .code = TFTP_ACCESS };
	auto_free char *name = NULL;
	const char *path;
	struct inbox *inbox;

	if (!is_write(question))
		return false;
	name = clean_name(question->name);
	inbox = name ? choose_inbox(question, name) : NULL;
	path = inbox ? below_prefix(inbox, name) : NULL;
	if (!name || (path && (!has_name(inbox, path) || is_version(inbox, path))))
		refusal.text = "no uploads by such a name";
	else if (!path)
		refusal.text = "no uploads here";
	if (refusal.text)
		answer_question(question, &refusal);
	else
		begin_upload(question, inbox, path);
	return true;
}

const struct directive_type inbox_directive = {
	.name = "inbox",
	.args = "DIR [as PREFIX] [for NETWORK]... [names PATTERN] [max-size BYTES] [quota BYTES] [per-client N] [existing refuse|version|replace] [mode MODE] [owner USER:GROUP] [sync none|data|full]",
	.min_args = 1, .max_args = INT_MAX,
	.read = read_inbox, .start = start_inbox, .ask = ask_inbox,
	.free = free_inbox, .takes_uploads = true,
};
