// SPDX-License-Identifier: GPL-2.0
/*
 * fold-case: the file whose name differs from the one that was asked for by the
 * case of ASCII letters alone. Folders are read, but for so many entries only.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "below.h"
#include "tftpkd.h"

/* Folders deep, and names of one folder that are alike. */
#define MAX_DEPTH	32
#define MAX_ALIKE	16

struct folder_search {
	int root;		/* of the export */
	uint32_t left;		/* entries that may be read */
};

/* A name without what the server does not look at, or NULL if it leads up. */
static char *clean_name(const char *name)
{
	char *clean = check_alloc(malloc(strlen(name) + 1)), *to = clean;
	bool up = false;

	while (*name) {
		size_t len = strcspn(name, "/");

		up |= len == 2 && !strncmp(name, "..", 2);
		if (len && !(len == 1 && *name == '.')) {
			if (to != clean)
				*to++ = '/';
			memcpy(to, name, len);
			to += len;
		}
		name += len;
		name += strspn(name, "/");
	}
	*to = '\0';
	if (!up && *clean)
		return clean;
	free(clean);
	return NULL;
}

static DIR *open_folder(int root, const char *path)
{
	int fd = open_below(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (fd >= 0 && !dir)
		close(fd);
	return dir;
}

/* The better one first: as it was asked for, then in the order of bytes. */
static bool is_better(const char *one, const char *other, const char *wanted)
{
	bool exact = !strcmp(one, wanted);

	return exact || (strcmp(other, wanted) != 0 && strcmp(one, other) < 0);
}

/* Names in a folder that fit @wanted, in order, for the caller to free. */
static size_t read_alike(struct folder_search *search, const char *folder,
			 const char *wanted, bool is_last, char *alike[])
{
	DIR *dir = open_folder(search->root, *folder ? folder : ".");
	struct dirent *entry;
	size_t n = 0, i;

	while (dir && search->left && n < MAX_ALIKE && (entry = readdir(dir))) {
		search->left--;
		if (strcasecmp(entry->d_name, wanted) != 0 ||
		    (is_last ? entry->d_type == DT_DIR : entry->d_type == DT_REG))
			continue;
		for (i = n++; i && is_better(entry->d_name, alike[i - 1], wanted); i--)
			alike[i] = alike[i - 1];
		alike[i] = check_alloc(strdup(entry->d_name));
	}
	if (dir)
		closedir(dir);
	return n;
}

/* The path of what fits @rest below @folder, or NULL. */
static char *find_below(struct folder_search *search, const char *folder,
			const char *rest, unsigned int depth)
{
	size_t len = strcspn(rest, "/"), n, i;
	bool is_last = !rest[len];
	auto_free char *wanted = check_alloc(strndup(rest, len));
	char *alike[MAX_ALIKE], *found = NULL;

	if (depth == MAX_DEPTH)
		return NULL;
	n = read_alike(search, folder, wanted, is_last, alike);
	for (i = 0; i < n; i++) {
		auto_free char *path = xasprintf("%s%s%s", folder,
						 depth ? "/" : "", alike[i]);

		if (!found && is_last)
			found = check_alloc(strdup(path));
		else if (!found)
			found = find_below(search, path, rest + len + 1, depth + 1);
		free(alike[i]);
	}
	return found;
}

/* Look below one export. Returns the name to ask for, or NULL. */
static char *find_in_export(struct folder_search *search, const json_t *export,
			    const char *name)
{
	auto_free char *path = raw_text(export, "path");
	auto_free char *raw = raw_text(export, "prefix");
	auto_free char *prefix = clean_name(raw);
	size_t len = prefix ? strlen(prefix) : 0;
	auto_free char *found = NULL;

	if (len && (strncasecmp(name, prefix, len) != 0 || name[len] != '/'))
		return NULL;
	search->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (search->root < 0)
		return NULL;
	found = find_below(search, "", name + len + (len ? 1 : 0), 0);
	close(search->root);
	return found ? xasprintf("%s%s%s", len ? prefix : "", len ? "/" : "",
				 found) : NULL;
}

/*
 * The first that the client would get: exports may be for others. Sets @hidden where
 * there is one that it does not get.
 */
static char *find_folded(struct question *question, const char *name,
			 bool *hidden)
{
	struct folder_search search = {
		.left = question->config->bounds[BOUND_FOLD_ENTRIES],
	};
	json_auto_t *exports = source->exports();
	char *found = NULL;
	json_t *export;
	size_t i;

	json_array_foreach(exports, i, export) {
		found = find_in_export(&search, export, name);
		/* What is there by that name is not to be had for another reason. */
		if (found && strcmp(found, name) != 0) {
			if (source->probe(question, found))
				break;
			*hidden = true;
		}
		free(found);
		found = NULL;
	}
	return found;
}

static bool ask_fold(void *directive, struct question *question)
{
	struct memory *memory = directive;
	const uint32_t *bounds = question->config->bounds;
	struct answer answer = { .kind = ANSWER_NAME, .ttl = bounds[BOUND_TTL] };
	auto_free char *name = clean_name(question->name);
	auto_free char *found = NULL;
	bool hidden = false;

	if (!name || is_write(question) || is_remembered(memory, name))
		return false;
	found = find_folded(question, name, &hidden);
	/* Another client may get what is hidden from this one. */
	if (!found && !hidden)
		remember(memory, name, bounds[BOUND_NEGATIVE_TTL]);
	if (!found)
		return false;
	answer.text = found;
	answer_question(question, &answer);
	return true;
}

static void *read_fold(struct config *config, int argc, char **argv)
{
	return make_memory();
}

static void free_fold(void *directive)
{
	free_memory(directive);
}

const struct directive_type fold_directive = {
	.name = "fold-case", .args = "", .read = read_fold, .ask = ask_fold,
	.free = free_fold,
};
