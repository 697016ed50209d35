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

static const struct field export_fields[] = {
	FIELD(TFTPK_A_EXPORT_ID, FIELD_NUMBER, "id"),
	FIELD(TFTPK_A_EXPORT_PATH, FIELD_STRING, "path"),
	FIELD(TFTPK_A_EXPORT_UID, FIELD_NUMBER, "uid"),
	FIELD(TFTPK_A_EXPORT_GID, FIELD_NUMBER, "gid"),
};

int dump_exports(struct ctl *ctl, json_t **list)
{
	return nl_dump(ctl, TFTPK_CMD_EXPORT_GET, export_fields,
		       COUNT(export_fields), list);
}

static char *user_column(const json_t *row, const char *name)
{
	(void)name;
	char *uid = number_text(row, "uid");
	char *gid = number_text(row, "gid");
	char *user = text("%s:%s", uid, gid);

	free(gid);
	free(uid);
	return user;
}

void print_exports(const json_t *list)
{
	static const struct column columns[] = {
		{ "ID", true, number_text, "id" },
		{ "UID:GID", false, user_column, "" },
		{ "FOLDER", false, string_text, "path" },
	};

	print_table(columns, COUNT(columns), list);
}

/* The folder as the kernel is to see it, or NULL after a complaint. */
static char *resolve(const char *dir)
{
	char *path = realpath(dir, NULL);
	struct stat st = { 0 };

	if (path && !stat(path, &st) && S_ISDIR(st.st_mode))
		return path;

	if (path && S_ISREG(st.st_mode))
		complain("export %s: not a folder (export the folder that holds the file)",
			 dir);
	else if (path || errno == ENOTDIR)
		complain("export %s: not a folder", dir);
	else if (errno == ENOENT)
		complain("export %s: no such folder (create it first)", dir);
	else if (errno == EACCES)
		complain("export %s: no permission to look it up (run this as root)",
			 dir);
	else
		complain("export %s: %s", dir, strerror(errno));
	free(path);
	return NULL;
}

/* A user or group by number or name; -1 is the kernel's "none". */
static bool parse_id(const char *string, bool group, uint32_t *id)
{
	const char *rest;
	uint64_t value;

	if (parse_number(string, &rest, &value) && !*rest) {
		*id = (uint32_t)value;
		return value < UINT32_MAX;
	}
	if (group) {
		const struct group *entry = getgrnam(string);

		*id = entry ? entry->gr_gid : 0;
		return entry;
	} else {
		const struct passwd *entry = getpwnam(string);

		*id = entry ? entry->pw_uid : 0;
		return entry;
	}
}

/* The end of "serving /srv/tftp on [::]:69, 0.0.0.0:69". */
static void print_places(const json_t *listeners)
{
	size_t i;

	for (i = 0; i < json_array_size(listeners); i++) {
		char *where = endpoint_text(json_array_get(listeners, i), "");

		printf("%s %s", i ? "," : " on", where);
		free(where);
	}
	if (listeners && !i)
		fputs(", but nothing listens: tftpkctl listen '*'", stdout);
	putchar('\n');
}

int run_export(struct ctl *ctl, int argc, char **argv)
{
	const char *user = ctl->option[OPTION_UID];
	const char *group = ctl->option[OPTION_GID];
	json_t *export = NULL, *listeners = NULL;
	uint32_t uid = 0, gid = 0;
	struct nlmsghdr *nlh;
	char *path;

	(void)argc;
	if (user && !parse_id(user, false, &uid))
		return usage_error("export: --uid %s: no such user", user);
	if (group && !parse_id(group, true, &gid))
		return usage_error("export: --gid %s: no such group", group);
	path = resolve(argv[0]);
	if (!path)
		return EXIT_FAILURE;
	if (nl_open(ctl)) {
		free(path);
		return EXIT_FAILURE;
	}

	nlh = nl_request(ctl, TFTPK_CMD_EXPORT_ADD);
	mnl_attr_put_strz(nlh, TFTPK_A_EXPORT_PATH, path);
	if (user)
		mnl_attr_put_u32(nlh, TFTPK_A_EXPORT_UID, uid);
	if (group)
		mnl_attr_put_u32(nlh, TFTPK_A_EXPORT_GID, gid);
	if (nl_do(ctl, export_fields, COUNT(export_fields), &export)) {
		nl_fail(ctl, "export %s", argv[0]);
		free(path);
		return EXIT_FAILURE;
	}
	free(path);

	/* The export stands, even if nobody can tell where it is served. */
	if (dump_listeners(ctl, &listeners))
		listeners = NULL;
	if (ctl->json)
		return print_json(json_pack("{s:o, s:o?}", "export", export,
					    "listeners", listeners));
	path = string_text(export, "path");
	printf("serving %s", path);
	print_places(listeners);
	free(path);
	json_decref(listeners);
	json_decref(export);
	return EXIT_SUCCESS;
}

/*
 * @dir as an absolute path without empty and "." components, for the kernel to
 * compare with the names of exports whose folder is gone.
 */
static char *absolute(const char *dir)
{
	char *cwd = *dir == '/' ? NULL : getcwd(NULL, 0);
	char *path, *from, *to;

	if (*dir != '/' && !cwd)
		return NULL;
	path = text("%s/%s", cwd ? cwd : "", dir);
	free(cwd);

	for (from = to = path; *from;) {
		size_t len;

		from += strspn(from, "/");
		len = strcspn(from, "/");
		if (len && !(len == 1 && *from == '.')) {
			*to++ = '/';
			memmove(to, from, len);
			to += len;
		}
		from += len;
	}
	if (to == path)
		*to++ = '/';
	*to = '\0';
	return path;
}

int run_unexport(struct ctl *ctl, int argc, char **argv)
{
	char *path = absolute(argv[0]), *shown;
	int ret = EXIT_FAILURE;
	struct nlmsghdr *nlh;
	json_t *export;

	(void)argc;
	if (!path || strlen(path) > TFTPK_PATH_MAX) {
		complain("unexport %s: %s", argv[0], path ?
			 "the path is too long" :
			 "the current folder is gone (give an absolute path)");
		goto out;
	}
	if (nl_open(ctl))
		goto out;
	nlh = nl_request(ctl, TFTPK_CMD_EXPORT_DEL);
	mnl_attr_put_strz(nlh, TFTPK_A_EXPORT_PATH, path);
	if (nl_do(ctl, NULL, 0, NULL)) {
		nl_fail(ctl, "unexport %s", argv[0]);
		goto out;
	}

	export = checked(json_object());
	put(export, "path", json_bytes(path, strlen(path)));
	shown = string_text(export, "path");
	if (ctl->json)
		print_json(json_pack("{s:O}", "unexport", export));
	else
		printf("no longer serving %s\n", shown);
	free(shown);
	json_decref(export);
	ret = EXIT_SUCCESS;
out:
	free(path);
	return ret;
}
