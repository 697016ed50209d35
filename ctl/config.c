// SPDX-License-Identifier: GPL-2.0
/*
 * A configuration as text: commands a line each, made of words. In memory it is
 * the object that 'show' prints.
 */
#include <string.h>

#include "tftpkctl.h"

/* What a line is carried out on. */
struct target {
	struct ctl *ctl;
	json_t *config;
};

static int configure_words(void *data, int argc, char **argv)
{
	const struct target *target = data;

	return target->ctl->configure(target->ctl, target->config, argc, argv);
}

/**
 * read_file() - read a configuration
 * @ctl: the context; its command's options are lost
 * @file: name of the file, or "-" for standard input
 * @config: where it goes, for the caller to release in any case, as an object
 *	like that of read_config(); the settings are complete, of the listeners
 *	none stand for those of the first export
 *
 * Prints an error by itself, with file, line and column.
 *
 * Return: 0, or -1.
 */
int read_file(struct ctl *ctl, const char *file, json_t **config)
{
	json_auto_t *values = preset_settings();
	struct target target = { .ctl = ctl };
	int ret;

	*config = check_alloc(json_pack("{s:[], s:[], s:[], s:{}}", "exports",
					"listeners", "trusted", "settings"));
	target.config = *config;
	ret = read_lines(file, configure_words, &target);

	/* What the file does not set is as it was at first. */
	json_object_update(values, object_get(*config, "settings"));
	json_object_set(*config, "settings", values);
	return ret;
}

static void listen_lines(json_t *lines, const json_t *list)
{
	json_t *listener;
	size_t i;

	json_array_foreach(list, i, listener) {
		const json_t *other = other_family(list, listener);
		auto_free char *address = string_text(listener, "address");
		auto_free char *words = NULL;

		/* Only IPv4 may have broadcasts: that half tells of both. */
		if (!json_is_true(object_get(listener, "implicit")) &&
		    (!other || !strchr(address, ':')))
			words = listener_words(listener, other);
		if (words)
			array_append(lines, json_sprintf("listen %s", words));
	}
}

/* Lines of a command, with the words of each object of a list. */
static void add_lines(json_t *lines, const char *command, const json_t *list,
		      char *(*words_of)(const json_t *object))
{
	json_t *object;
	size_t i;

	json_array_foreach(list, i, object) {
		auto_free char *words = words_of(object);

		array_append(lines, json_sprintf("%s %s", command, words));
	}
}

static char *setting_words(const json_t *line)
{
	return xasprintf("%s", json_string_value(line));
}

/**
 * config_lines() - a configuration as lines of a file
 * @config: as of read_config()
 *
 * Return: an array of strings: what differs from a server that serves nothing.
 */
json_t *config_lines(const json_t *config)
{
	json_t *lines = check_alloc(json_array());
	json_auto_t *presets = preset_settings();
	json_auto_t *values = different_settings(presets,
						 object_get(config, "settings"));
	json_auto_t *settings = NULL;

	/* A state that should not outlive a restart. */
	object_remove(values, "draining");
	settings = setting_lines(values);
	add_lines(lines, "set", settings, setting_words);
	add_lines(lines, "trust", object_get(config, "trusted"), network_text);
	listen_lines(lines, object_get(config, "listeners"));
	add_lines(lines, "export", object_get(config, "exports"), export_words);
	return lines;
}
