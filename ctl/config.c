// SPDX-License-Identifier: GPL-2.0
/*
 * A configuration as text: commands a line each, made of words. In memory it is
 * the object that 'show' prints.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tftpkctl.h"

/* More than all settings take. */
#define MAX_WORDS	128

static const char blanks[] = " \t\r\n\f\v";

/*
 * End the quoted word that begins at @from, and resolve its escapes, in place.
 * Returns what follows the word, or NULL after an error message.
 */
static char *split_quoted(char *from)
{
	char *start = from, *to = from;
	const char *escape;
	int c;

	for (from++; *from != '"'; *to++ = (char)c) {
		if (!*from || *from == '\n') {
			set_error_word(start);
			print_error("the quote is not closed");
			return NULL;
		}
		c = (unsigned char)*from++;
		if (c != '\\')
			continue;
		escape = from;
		c = parse_escape(&escape);
		if (c < 0) {
			set_error_word(from - 1);
			print_error("no such escape: there are \\\\, \\\" and \\xHH");
			return NULL;
		}
		from += escape - from;
	}
	*to = '\0';
	from++;
	if (!*from || strchr(blanks, *from))
		return from;
	set_error_word(from);
	print_error("a blank must follow the quote");
	return NULL;
}

/* End the bare word that begins at @from; as split_quoted(). */
static char *split_bare(char *from)
{
	for (; *from && !strchr(blanks, *from); from++) {
		if (*from == '"' || *from == '\\' ||
		    (unsigned char)*from < ' ' || *from == 0x7f) {
			set_error_word(from);
			print_error("a character that must be quoted: quote the word");
			return NULL;
		}
	}
	return from;
}

/*
 * Split a line into words, in place: each begins where it began in the line, a
 * quoted one with its quote. Returns their number, or -1 after an error message.
 */
static int split_line(char *line, char *words[MAX_WORDS])
{
	int n = 0;

	for (;;) {
		char *end;

		line += strspn(line, blanks);
		if (!*line || *line == '#')
			break;
		if (n == MAX_WORDS - 1) {
			set_error_word(line);
			print_error("too many words: begin another line");
			return -1;
		}
		words[n++] = line;
		end = *line == '"' ? split_quoted(line) : split_bare(line);
		if (!end)
			return -1;
		line = end;
		if (*line)
			*line++ = '\0';
	}
	words[n] = NULL;
	return n;
}

/* Carry out a line on @config. Returns -1 after an error message. */
static int read_line(struct ctl *ctl, json_t *config, char *line, size_t len)
{
	char *words[MAX_WORDS];
	int n;

	if (strlen(line) != len) {
		set_error_word(line + strlen(line));
		print_error("a NUL byte: this is no text");
		return -1;
	}
	n = split_line(line, words);
	if (n <= 0)
		return n;
	set_error_word(words[0]);
	return ctl->configure(ctl, config, n, words) ? -1 : 0;
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
	bool is_stdin = !strcmp(file, "-");
	FILE *in = is_stdin ? stdin : fopen(file, "re");
	json_auto_t *values = preset_settings();
	auto_free char *line = NULL;
	unsigned int number = 0;
	size_t size = 0;
	ssize_t len = 0;
	int ret = 0;

	if (!in) {
		print_error("cannot open %s: %s", file, strerror(errno));
		return -1;
	}
	*config = check_alloc(json_pack("{s:[], s:[], s:[], s:{}}", "exports",
					"listeners", "trusted", "settings"));
	errno = 0;
	while (!ret && (len = getline(&line, &size, in)) >= 0) {
		set_error_line(is_stdin ? "stdin" : file, ++number, line,
			       (size_t)len);
		ret = read_line(ctl, *config, line, (size_t)len);
		errno = 0;
	}
	set_error_line(NULL, 0, NULL, 0);
	if (!ret && ferror(in)) {
		print_error("cannot read %s: %s", file,
			    strerror(errno ? errno : EIO));
		ret = -1;
	}
	if (!is_stdin)
		fclose(in);

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
