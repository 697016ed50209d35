// SPDX-License-Identifier: GPL-2.0
/* Files of lines, which are made of words. */
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

/* Have a line carried out. Returns -1 after an error message. */
static int read_line(char *line, size_t len, line_fn fn, void *data)
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
	return fn(data, n, words) ? -1 : 0;
}

/**
 * read_lines() - carry out the lines of a file
 * @file: name of the file, or "-" for standard input
 * @fn: called for each line that holds words; returns 0, or else after an error
 *	message, which ends the reading
 * @data: for @fn
 *
 * Prints an error by itself, with file, line and column.
 *
 * Return: 0, or -1.
 */
int read_lines(const char *file, line_fn fn, void *data)
{
	bool is_stdin = !strcmp(file, "-");
	FILE *in = is_stdin ? stdin : fopen(file, "re");
	auto_free char *line = NULL;
	unsigned int number = 0;
	size_t size = 0;
	ssize_t len = 0;
	int ret = 0;

	if (!in) {
		print_error("cannot open %s: %s", file, strerror(errno));
		return -1;
	}
	errno = 0;
	while (!ret && (len = getline(&line, &size, in)) >= 0) {
		set_error_line(is_stdin ? "stdin" : file, ++number, line,
			       (size_t)len);
		ret = read_line(line, (size_t)len, fn, data);
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
	return ret;
}
