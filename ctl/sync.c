// SPDX-License-Identifier: GPL-2.0
/* save, restore, sync: the whole configuration to and from a file. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tftpkctl.h"

/* An export with its options is another one. */
static const char *const whole_export[] = {
	"path", "prefix", "uid", "gid", "no-symlinks", "max-blksize", "min-timeout",
	"send-ahead", "dscp", "max-rate", "rollover", "no-tsize", "for", "not-for", "root-by", "only",
	"drop-first-folder", "default", "refusal", NULL
};

static const char *const whole_listener[] = {
	"address", "port", "interface", "single-port", "broadcast", "anycast", NULL
};

struct sync {
	struct ctl *ctl;
	const char *what;	/* "sync FILE", for error messages */
	json_t *now;		/* the configuration as it was */
	const json_t *want;
	json_t *done;		/* commands that were carried out */
};

/* Note what was carried out, or why it was not; @command is given away. */
static int note_command(struct sync *sync, int ret, char *command)
{
	if (!ret)
		array_append(sync->done, json_string(command));
	else
		nl_fail(sync->ctl, "%s: %s", sync->what, command);
	free(command);
	return ret;
}

static int sync_settings(struct sync *sync)
{
	json_auto_t *values = different_settings(object_get(sync->now, "settings"),
						 object_get(sync->want, "settings"));
	json_auto_t *lines = setting_lines(values);
	json_t *line;
	int ret = 0;
	size_t i;

	if (json_object_size(values))
		ret = change_settings(sync->ctl, values);
	json_array_foreach(lines, i, line) {
		note_command(sync, ret, xasprintf("set %s", json_string_value(line)));
		/* All of them were refused, for one reason. */
		if (ret)
			break;
	}
	return ret;
}

static char *trust_command(const json_t *network, bool trust)
{
	auto_free char *name = network_text(network);

	return xasprintf("%strust %s", trust ? "" : "un", name);
}

static int sync_trust(struct sync *sync)
{
	const json_t *now = object_get(sync->now, "trusted");
	const json_t *want = object_get(sync->want, "trusted");
	json_t *network;
	int ret = 0;
	size_t i;

	json_array_foreach(now, i, network) {
		if (!ret && !array_find(want, network, network_name))
			ret = note_command(sync, delete_trust(sync->ctl, network),
					   trust_command(network, false));
	}
	json_array_foreach(want, i, network) {
		if (!ret && !array_find(now, network, network_name))
			ret = note_command(sync, add_trust(sync->ctl, network),
					   trust_command(network, true));
	}
	return ret;
}

/* "unlisten ..." or "listen ..." */
static char *listen_command(const json_t *listener, bool listen)
{
	auto_free char *words = listener_words(listener, false);

	if (!listen && strstr(words, " --"))
		*strstr(words, " --") = '\0';
	return xasprintf("%slisten %s", listen ? "" : "un", words);
}

/* What the first export listens on, unless something was configured. */
static json_t *implicit_listeners(void)
{
	static const char *const addresses[] = { "0.0.0.0", "::" };
	json_t *list = check_alloc(json_array());
	size_t i;

	for (i = 0; i < COUNT(addresses); i++) {
		json_t *listener = check_alloc(json_object());

		object_put(listener, "address", json_string(addresses[i]));
		object_put(listener, "port", json_integer(TFTP_PORT));
		put_interface(listener, 0);
		object_put(listener, "single-port", json_false());
		object_put(listener, "broadcast", json_false());
		object_put(listener, "anycast", json_null());
		array_append(list, listener);
	}
	return list;
}

/*
 * Close the listeners that are not wanted, then open those that are not there.
 * The module replaces implicit ones by itself.
 */
static int change_listeners(struct sync *sync, const json_t *want,
			    bool implicit)
{
	const json_t *now = object_get(sync->now, "listeners");
	struct ctl *ctl = sync->ctl;
	json_t *listener;
	int ret = 0;
	size_t i;

	json_array_foreach(now, i, listener) {
		if (!ret && !json_is_true(object_get(listener, "implicit")) &&
		    !array_find(want, listener, whole_listener))
			ret = note_command(sync, delete_listener(ctl, listener),
					   listen_command(listener, false));
	}
	json_array_foreach(want, i, listener) {
		const json_t *found = array_find(now, listener, whole_listener);

		if (ret)
			break;
		if (found && (implicit ||
			      !json_is_true(object_get(found, "implicit"))))
			continue;
		ret = add_listener(ctl, listener);
		/* Of "*", one family is enough where the other is off. */
		if (ret && ctl->error == EAFNOSUPPORT &&
		    other_family(want, listener))
			ret = 0;
		else
			note_command(sync, ret, listen_command(listener, true));
	}
	return ret;
}

static int sync_listeners(struct sync *sync)
{
	const json_t *now = object_get(sync->now, "listeners");
	const json_t *want = object_get(sync->want, "listeners");
	bool implicit = !json_array_size(want) &&
			json_array_size(object_get(sync->want, "exports"));
	json_auto_t *list = NULL;

	/* The first export does it. */
	if (implicit && !json_array_size(now) &&
	    !json_array_size(object_get(sync->now, "exports")))
		return 0;
	list = implicit ? implicit_listeners() : json_incref((json_t *)want);
	return change_listeners(sync, list, implicit);
}

static char *export_command(const json_t *export)
{
	auto_free char *words = export_words(export);

	return xasprintf("export %s", words);
}

static char *unexport_command(const json_t *export)
{
	auto_free char *raw = raw_text(export, "path");
	auto_free char *path = quote_word(raw);
	auto_free char *as = raw_text(export, "prefix");
	auto_free char *prefix = quote_word(as);

	return xasprintf("unexport %s --as %s", path, *as ? prefix : "/");
}

/*
 * Does the path of an export still lead to where it did? If not, adding it once
 * more does not fail, and the stale one is to go.
 */
static bool is_stale(struct ctl *ctl, const json_t *export)
{
	return !add_export(ctl, export, NULL);
}

/*
 * Mark by a key "keep" those exports of both configurations that stay.
 *
 * Of several exports with one prefix, the first that has a file serves it: so
 * one that stays must not have to move behind one that is added.
 */
static void mark_exports(struct sync *sync)
{
	json_t *export;
	static const char *const keys[] = { "prefix", NULL };
	const json_t *now = object_get(sync->now, "exports");
	const json_t *want = object_get(sync->want, "exports");
	json_auto_t *last = check_alloc(json_array());
	size_t i;

	json_array_foreach(want, i, export) {
		json_t *found = array_find(now, export, whole_export);
		json_t *before = array_find(last, export, keys);
		bool keep = found && (!before || object_number(before, "id") <
						 object_number(found, "id")) &&
			    !is_stale(sync->ctl, export);

		object_put(export, "keep", json_boolean(keep));
		if (found)
			object_put(found, "keep", json_boolean(keep));
		if (!before) {
			before = check_alloc(json_object());
			object_put(before, "prefix",
				   json_incref(object_get(export, "prefix")));
			array_append(last, before);
		}
		/* Behind one that is added, nothing can stay. */
		object_put(before, "id", json_integer(keep ? object_number(found, "id") :
							     INT64_MAX));
	}
}

/* End an export, be it that its files stay open until storage answers. */
static int end_export(struct sync *sync, const json_t *export)
{
	auto_free char *command = NULL;

	if (!delete_export(sync->ctl, export))
		return 0;
	if (sync->ctl->error != EINPROGRESS)
		return -1;
	command = unexport_command(export);
	print_warning("%s: %s", command, sync->ctl->extack);
	return 0;
}

static int sync_exports(struct sync *sync)
{
	const json_t *now = object_get(sync->now, "exports");
	const json_t *want = object_get(sync->want, "exports");
	json_t *export;
	int ret = 0;
	size_t i;

	mark_exports(sync);
	json_array_foreach(now, i, export) {
		if (!ret && !json_is_true(object_get(export, "keep")))
			ret = note_command(sync, end_export(sync, export),
					   unexport_command(export));
	}
	json_array_foreach(want, i, export) {
		if (!ret && !json_is_true(object_get(export, "keep")))
			ret = note_command(sync, add_export(sync->ctl, export, NULL),
					   export_command(export));
	}
	return ret;
}

/* Change what differs from @want; stops at the first failure. */
static int apply_config(struct sync *sync, const json_t *want)
{
	int ret;

	sync->want = want;
	if (read_config(sync->ctl, &sync->now))
		return nl_fail(sync->ctl, "%s", sync->what);
	ret = sync_settings(sync) || sync_trust(sync) ||
	      sync_listeners(sync) || sync_exports(sync);
	/* What the agent said may have been of the configuration before. An older
	 * module remembers nothing.
	 */
	if (!ret) {
		nl_request(sync->ctl, TFTPK_CMD_RESOLVE_FLUSH);
		nl_do(sync->ctl, NULL, 0, NULL);
		json_decref(sync->now);
		sync->now = NULL;
	}
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Put a configuration back after one that could not be had. */
static void restore_config(struct sync *sync)
{
	json_auto_t *done = check_alloc(json_array());
	json_auto_t *before = sync->now;
	struct sync back = {
		.ctl = sync->ctl,
		.what = "putting the configuration back",
		.done = done,
	};
	json_t *listeners = check_alloc(json_array()), *listener;
	size_t i;

	sync->now = NULL;
	/* Implicit listeners are what none stand for. */
	json_array_foreach(object_get(before, "listeners"), i, listener) {
		if (!json_is_true(object_get(listener, "implicit")))
			array_append(listeners, json_incref(listener));
	}
	object_put(before, "listeners", listeners);
	apply_config(&back, before);
	json_decref(back.now);
}

static bool is_empty(const json_t *config)
{
	return !json_array_size(object_get(config, "exports")) &&
	       !json_array_size(object_get(config, "listeners")) &&
	       !json_array_size(object_get(config, "trusted"));
}

/* May a configuration be restored, because there is none? */
static int check_empty(struct ctl *ctl, const char *what)
{
	json_auto_t *now = NULL;

	if (read_config(ctl, &now))
		return nl_fail(ctl, "%s", what);
	if (is_empty(now))
		return EXIT_SUCCESS;
	print_error("%s: something is configured already: 'tftpkctl sync' replaces it",
		    what);
	return EXIT_FAILURE;
}

static int configure_as(struct ctl *ctl, const char *file, bool restore)
{
	const char *name = restore ? "restore" : "sync";
	auto_free char *what = xasprintf("%s %s", name, file);
	json_auto_t *done = check_alloc(json_array());
	json_auto_t *want = NULL;
	struct sync sync = { .ctl = ctl, .what = what, .done = done };
	json_t *command;
	size_t i;

	if (read_file(ctl, file, &want) ||
	    (restore && check_empty(ctl, what)))
		return EXIT_FAILURE;
	if (apply_config(&sync, want)) {
		if (sync.now)
			restore_config(&sync);
		return EXIT_FAILURE;
	}
	if (ctl->json)
		return print_json(json_pack("{s:O}", name, done));
	warn_single_port(object_get(want, "listeners"), object_get(want, "trusted"));
	json_array_foreach(done, i, command)
		puts(json_string_value(command));
	if (!i)
		puts("nothing to change");
	return EXIT_SUCCESS;
}

int run_restore(struct ctl *ctl, int argc, char **argv)
{
	return configure_as(ctl, argv[0], true);
}

int run_sync(struct ctl *ctl, int argc, char **argv)
{
	return configure_as(ctl, argv[0], false);
}

static const char header[] =
"# Configuration of tftpk, the in-kernel TFTP server; see tftpk.conf(5).\n"
"# Written by 'tftpkctl save'. 'tftpkctl sync' makes it so again.\n";

int run_save(struct ctl *ctl, int argc, char **argv)
{
	json_auto_t *config = NULL;
	json_auto_t *lines = NULL;
	int error = 0;

	if (read_config(ctl, &config))
		return nl_fail(ctl, "save");
	if (json_array_size(object_get(config, "exports")) &&
	    !json_array_size(object_get(config, "listeners")))
		print_warning("nothing listens, but with this configuration something will");
	lines = config_lines(config);

	if (argc)
		error = write_file(argv[0], header, lines);
	if (error)
		print_error("save: cannot write %s: %s", argv[0],
			    strerror(error));
	else if (ctl->json)
		print_json(json_pack("{s:{s:o, s:O}}", "save", "file", argc ?
				     json_bytes(argv[0], strlen(argv[0])) :
				     json_null(), "lines", lines));
	else if (!argc)
		write_lines(stdout, header, lines);
	return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
