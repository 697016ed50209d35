// SPDX-License-Identifier: GPL-2.0
/* import: another server's configuration as tftpk's files. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "import.h"

static const struct old_server *const servers[] = {
	&tftpd_hpa_server, &dnsmasq_server, &atftpd_server,
};

/* A file that comes of it. */
struct result {
	const char *name;
	const char *about;
	const json_t *lines;
};

static const char *server_name(size_t index)
{
	return index < COUNT(servers) ? servers[index]->name : NULL;
}

/* The server of that name, or NULL after an error message. */
static const struct old_server *find_server(const char *name)
{
	const char *meant = nearest_word(name, server_name);
	size_t i;

	for (i = 0; i < COUNT(servers); i++) {
		if (!strcmp(servers[i]->name, name))
			return servers[i];
	}
	if (meant)
		print_error("import: no server '%s': did you mean '%s'?", name, meant);
	else
		print_error("import: no server '%s': there are tftpd-hpa, dnsmasq and atftpd",
			    name);
	return NULL;
}

/* Read the files where the configuration usually is. Returns 0, or an exit code. */
static int read_usual(struct import *import)
{
	const char *const *file = import->server->files;
	bool any = false;
	int ret = 0;

	for (; !ret && *file && (!any || import->server->all_files); file++) {
		if (access(*file, F_OK))
			continue;
		any = true;
		import->last_file = *file;
		ret = import->server->read(import, *file);
	}
	if (!ret && !any) {
		print_error("import %s: %s is not there: give the file",
			    import->server->name, import->server->files[0]);
		ret = EXIT_FAILURE;
	}
	return ret;
}

static int read_files(struct import *import, int argc, char **argv)
{
	int ret = argc ? 0 : read_usual(import), i;

	for (i = 0; !ret && i < argc; i++) {
		import->last_file = argv[i];
		ret = import->server->read(import, argv[i]);
	}
	if (import->failed)
		ret = EXIT_FAILURE;
	if (!ret && import->server->variables)
		ret = finish_starter(import);
	if (!ret && !import->found) {
		print_error("import %s: %s tells nothing of its TFTP server",
			    import->server->name, import->last_file);
		ret = EXIT_FAILURE;
	}
	if (!ret)
		import->server->finish(import);
	return ret;
}

static size_t count_fate(const struct import *import, const char *fate)
{
	size_t count = 0, i;
	json_t *item;

	json_array_foreach(import->items, i, item)
		count += !strcmp(json_string_value(object_get(item, "fate")), fate);
	return count;
}

static void print_items(const struct import *import, const char *fate,
			const char *title)
{
	json_t *item;
	size_t i;

	json_array_foreach(import->items, i, item) {
		auto_free char *file = string_text(item, "file");
		auto_free char *option = string_text(item, "option");
		auto_free char *text = string_text(item, "text");
		auto_free char *line = NULL;

		if (strcmp(json_string_value(object_get(item, "fate")), fate) != 0)
			continue;
		line = number_text(item, "line");
		printf("# %s%s%s: %s: %s: %s\n", file, *line == '0' ? "" : ":",
		       *line == '0' ? "" : line, option, title, text);
	}
}

static void print_report(const struct import *import)
{
	print_items(import, "needless", "needless");
	print_items(import, "lacking", "no equivalent");
	printf("# options: %zu, translated: %zu, needless: %zu, without equivalent: %zu",
	       json_array_size(import->items), count_fate(import, "becomes"),
	       count_fate(import, "needless"), count_fate(import, "lacking"));
	if (import->others)
		printf(", lines that are not about TFTP: %u", import->others);
	putchar('\n');
}

/* Write the files, but none if one is there. Returns 0, or an exit code. */
static int write_results(const struct result *results, size_t count,
			 const char *folder, bool force)
{
	size_t i;

	for (i = 0; !force && i < count; i++) {
		auto_free char *path = xasprintf("%s/%s", folder, results[i].name);

		if (json_array_size(results[i].lines) && !access(path, F_OK)) {
			print_error("import: %s is there already: --force replaces it",
				    path);
			return EXIT_FAILURE;
		}
	}
	for (i = 0; i < count; i++) {
		auto_free char *path = xasprintf("%s/%s", folder, results[i].name);
		int error = json_array_size(results[i].lines) ?
			    write_file(path, results[i].about, results[i].lines) : 0;

		if (error) {
			print_error("import: cannot write %s: %s", path, strerror(error));
			return EXIT_FAILURE;
		}
		if (json_array_size(results[i].lines))
			printf("# %s is written\n", path);
	}
	return 0;
}

static void print_results(const struct result *results, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (!json_array_size(results[i].lines))
			continue;
		printf("# %s\n", results[i].name);
		write_lines(stdout, "", results[i].lines);
		putchar('\n');
	}
}

/* Print or write what came of it. Returns an exit code. */
static int finish_import(struct ctl *ctl, const struct import *import)
{
	auto_free char *header = xasprintf("# Written by 'tftpkctl import %s'; see tftpk.conf(5).\n",
					   import->server->name);
	auto_free char *agent_header = xasprintf("# Written by 'tftpkctl import %s'; see tftpkd.conf(5).\n",
						 import->server->name);
	const struct result results[] = {
		{ "tftpk.conf", header, import->lines },
		{ "tftpkd.conf", agent_header, import->agent_lines },
		{ "atftpd.map", agent_header, import->map_lines },
	};
	const char *folder = ctl->option[OPTION_OUT];
	int ret = count_fate(import, "lacking") ? EXIT_FAILURE : EXIT_SUCCESS;

	if (folder && write_results(results, COUNT(results), folder,
				    ctl->option[OPTION_FORCE]))
		return EXIT_FAILURE;
	if (ctl->json) {
		print_json(json_pack("{s:{s:s, s:O, s:O, s:O, s:O, s:i}}", "import",
				     "server", import->server->name, "tftpk_conf",
				     import->lines, "tftpkd_conf", import->agent_lines,
				     "map", import->map_lines, "options", import->items,
				     "other_lines", (int)import->others));
		return ret;
	}
	if (!folder)
		print_results(results, COUNT(results));
	print_report(import);
	return ret;
}

static void free_import(struct import *import)
{
	json_t *const values[] = {
		import->items, import->settings, import->addresses,
		import->interfaces, import->folders, import->lines,
		import->agent_lines, import->map_lines, import->seen, import->shared,
	};
	size_t i;

	for (i = 0; i < COUNT(values); i++)
		json_decref(values[i]);
	free_variables(import);
	free(import->clients);
	free(import->prefix);
	free(import->user);
	free(import->umask);
	free(import->group);
	free(import->command);
	free(import->device);
}

int run_import(struct ctl *ctl, int argc, char **argv)
{
	struct import import = { .server = find_server(argv[0]) };
	json_t **const arrays[] = {
		&import.items, &import.addresses, &import.interfaces,
		&import.folders, &import.lines, &import.agent_lines,
		&import.map_lines, &import.shared,
	};
	size_t i;
	int ret;

	if (!import.server)
		return EXIT_USAGE;
	if (ctl->option[OPTION_FORCE] && !ctl->option[OPTION_OUT])
		return usage_error("import: --force goes with --out");
	for (i = 0; i < COUNT(arrays); i++)
		*arrays[i] = check_alloc(json_array());
	import.settings = check_alloc(json_object());
	import.seen = check_alloc(json_object());
	ret = read_files(&import, argc - 1, argv + 1);
	if (!ret)
		ret = finish_import(ctl, &import);
	free_import(&import);
	return ret;
}
