// SPDX-License-Identifier: GPL-2.0
/*
 * Files of other servers as words. Variables are those that the file itself sets,
 * and nothing is executed.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "import.h"

static const char blanks[] = " \t\r\n\f\v";

/* Where a reader is. */
struct cursor {
	struct import *import;
	const char *file;
	const char *at;
	const char *start;	/* of its line */
	unsigned int line;
};

/* Print what is wrong at the cursor. Returns -1. */
static int complain(const struct cursor *cursor, const char *what)
{
	set_error_line(cursor->file, cursor->line, cursor->start,
		       strcspn(cursor->start, "\n") + 1);
	set_error_word(cursor->at);
	print_error("%s", what);
	set_error_line(NULL, 0, NULL, 0);
	return -1;
}

/* read_text() - a file, or "-" for standard input; NULL after an error message. */
char *read_text(const char *file)
{
	bool is_stdin = !strcmp(file, "-");
	FILE *in = is_stdin ? stdin : fopen(file, "re");
	char *text = NULL;
	size_t size = 0;
	ssize_t len;

	if (!in) {
		print_error("cannot open %s: %s", file, strerror(errno));
		return NULL;
	}
	errno = 0;
	len = getdelim(&text, &size, '\0', in);
	if (len < 0 && (errno || ferror(in))) {
		print_error("cannot read %s: %s", file,
			    strerror(errno ? errno : EIO));
		free(text);
		text = NULL;
	} else if (len < 0) {
		free(text);
		text = xasprintf("%s", "");
	} else if (strlen(text) < (size_t)len) {
		print_error("%s: a NUL byte: this is no text", file);
		free(text);
		text = NULL;
	}
	if (!is_stdin)
		fclose(in);
	return text;
}

/* add_char() - a byte, and the line that it is from. */
void add_char(struct chars *chars, char c, unsigned int line)
{
	size_t room = chars->len + 2;

	chars->text = check_alloc(realloc(chars->text, room));
	chars->line = check_alloc(realloc(chars->line, room * sizeof(*chars->line)));
	chars->text[chars->len] = c;
	chars->line[chars->len] = line;
	chars->text[++chars->len] = '\0';
}

void free_chars(struct chars *chars)
{
	free(chars->text);
	free(chars->line);
	*chars = (struct chars){ 0 };
}

void add_word(struct words *words, const char *text, unsigned int line)
{
	words->at = check_alloc(realloc(words->at, (words->count + 1) *
					sizeof(*words->at)));
	words->at[words->count++] = (struct word){ xasprintf("%s", text), line };
}

/* split_words() - as the shell does with a variable that is not quoted. */
void split_words(struct words *words, const struct chars *chars)
{
	const char *from = chars->text;

	if (!from)
		return;
	for (from += strspn(from, blanks); *from; from += strspn(from, blanks)) {
		size_t len = strcspn(from, blanks);
		auto_free char *text = xasprintf("%.*s", (int)len, from);

		add_word(words, text, chars->line[from - chars->text]);
		from += len;
	}
}

/* split_text() - the words of one line. */
void split_text(struct words *words, const char *text, unsigned int line)
{
	struct chars chars = { 0 };

	for (; *text; text++)
		add_char(&chars, *text, line);
	split_words(words, &chars);
	free_chars(&chars);
}

void free_words(struct words *words)
{
	size_t i;

	for (i = 0; i < words->count; i++)
		free(words->at[i].text);
	free(words->at);
	*words = (struct words){ 0 };
}

/* find_variable() - one that the file has set, or NULL. */
struct variable *find_variable(const struct import *import, const char *name)
{
	struct variable *variable = import->variables;

	while (variable && strcmp(variable->name, name) != 0)
		variable = variable->next;
	return variable;
}

void free_variables(struct import *import)
{
	while (import->variables) {
		struct variable *variable = import->variables;

		import->variables = variable->next;
		free(variable->name);
		free(variable->file);
		free_chars(&variable->value);
		free(variable);
	}
}

/*
 * set_variable() - the value is given away. The latest is the first in the list.
 */
void set_variable(struct import *import, const char *file, const char *name,
		  struct chars *value, unsigned int line)
{
	struct variable *variable = check_alloc(calloc(1, sizeof(*variable)));

	variable->name = xasprintf("%s", name);
	variable->value = *value;
	variable->file = xasprintf("%s", file);
	variable->line = line;
	variable->next = import->variables;
	import->variables = variable;
	*value = (struct chars){ 0 };
}

/* Length of the name that begins here. */
static size_t name_length(const char *text)
{
	size_t len = 0;

	if (!isdigit((unsigned char)*text)) {
		while (isalnum((unsigned char)text[len]) || text[len] == '_')
			len++;
	}
	return len;
}

/* Take $NAME or ${NAME}, of which the cursor is at the dollar. */
static int take_reference(struct cursor *cursor, struct chars *into)
{
	bool braces = cursor->at[1] == '{';
	const char *name = cursor->at + 1 + braces;
	size_t len = name_length(name), i;
	auto_free char *copy = xasprintf("%.*s", (int)len, name);
	struct variable *variable;

	if (!len || (braces && name[len] != '}'))
		return complain(cursor, "nothing is executed or computed here: write the value itself");
	variable = find_variable(cursor->import, copy);
	if (!variable)
		return complain(cursor, "no variable that this file has set: write the value itself");
	variable->used = true;
	for (i = 0; i < variable->value.len; i++)
		add_char(into, variable->value.text[i], variable->value.line[i]);
	cursor->at = name + len + braces;
	return 0;
}

/* Move past a byte that is taken as it is. */
static void take_char(struct cursor *cursor, struct chars *into)
{
	char c = *cursor->at++;

	add_char(into, c, cursor->line);
	if (c == '\n') {
		cursor->line++;
		cursor->start = cursor->at;
	}
}

/* Take what follows a backslash; @special are the characters that it quotes. */
static void take_escaped(struct cursor *cursor, struct chars *into,
			 const char *special)
{
	char next = cursor->at[1];

	if (next == '\n') {
		cursor->at += 2;
		cursor->line++;
		cursor->start = cursor->at;
	} else if (next && (!special || strchr(special, next))) {
		cursor->at++;
		take_char(cursor, into);
	} else {
		take_char(cursor, into);
	}
}

static int take_quoted(struct cursor *cursor, struct chars *into)
{
	struct cursor open = *cursor;
	char quote = *cursor->at++;
	int ret = 0;

	while (!ret && *cursor->at != quote) {
		if (!*cursor->at)
			return complain(&open, "the quote is not closed");
		if (quote == '"' && *cursor->at == '\\')
			take_escaped(cursor, into, "$`\"\\");
		else if (quote == '"' && *cursor->at == '`')
			return complain(cursor, "nothing is executed here: write the value itself");
		else if (quote == '"' && *cursor->at == '$')
			ret = take_reference(cursor, into);
		else
			take_char(cursor, into);
	}
	cursor->at += !ret;
	return ret;
}

/* Take a word, up to a blank or the end of a command. Returns 0, or -1. */
static int take_word(struct cursor *cursor, struct chars *into)
{
	int ret = 0;

	while (!ret && *cursor->at && !strchr(" \t\r\n\f\v;", *cursor->at)) {
		switch (*cursor->at) {
		case '"':
		case '\'':
			ret = take_quoted(cursor, into);
			break;
		case '\\':
			take_escaped(cursor, into, NULL);
			break;
		case '$':
			ret = take_reference(cursor, into);
			break;
		case '`':
		case '&':
		case '|':
		case '<':
		case '>':
		case '(':
		case ')':
			return complain(cursor, "nothing is executed here: write the value itself");
		default:
			take_char(cursor, into);
			break;
		}
	}
	return ret;
}

/* Move to the next word or the end of the command, past blanks and comments. */
static void skip_blanks(struct cursor *cursor)
{
	for (;;) {
		cursor->at += strspn(cursor->at, " \t\r\f\v");
		if (cursor->at[0] != '\\' || cursor->at[1] != '\n')
			break;
		cursor->at += 2;
		cursor->line++;
		cursor->start = cursor->at;
	}
	if (*cursor->at == '#')
		cursor->at += strcspn(cursor->at, "\n");
}

/* Note a command, which is not an assignment, and move past its line. */
static void skip_command(struct cursor *cursor)
{
	size_t len = strcspn(cursor->at, "\n");
	auto_free char *shown = xasprintf("%.*s", (int)len, cursor->at);
	struct use use = {
		.file = cursor->file, .line = cursor->line, .shown = shown,
	};

	note(cursor->import, &use, LACKING,
	     "a command of the shell: nothing is executed here; write the values that it leads to as assignments");
	cursor->at += len;
}

/* Read NAME=VALUE. Returns 1 if there was none, or -1 after an error message. */
static int read_assignment(struct cursor *cursor)
{
	size_t len = name_length(cursor->at);
	auto_free char *name = xasprintf("%.*s", (int)len, cursor->at);
	unsigned int line = cursor->line;
	struct chars value = { 0 };

	if (!len || cursor->at[len] != '=')
		return 1;
	cursor->at += len + 1;
	if (take_word(cursor, &value)) {
		free_chars(&value);
		return -1;
	}
	set_variable(cursor->import, cursor->file, name, &value, line);
	return 0;
}

/**
 * read_shell() - read a file of shell variables
 * @import: takes the variables, and a note of each line that sets none
 * @file: its name
 * @text: what it holds
 *
 * Prints an error by itself.
 *
 * Return: 0, or -1.
 */
int read_shell(struct import *import, const char *file, const char *text)
{
	struct cursor cursor = { import, file, text, text, 1 };
	int ret;

	for (;;) {
		skip_blanks(&cursor);
		if (*cursor.at == '\n' || *cursor.at == ';') {
			cursor.line += *cursor.at++ == '\n';
			cursor.start = cursor.at[-1] == '\n' ? cursor.at : cursor.start;
			continue;
		}
		if (!*cursor.at)
			return 0;
		if (!strncmp(cursor.at, "export", 6) && strchr(" \t", cursor.at[6]))
			cursor.at += 6 + strspn(cursor.at + 6, " \t");
		ret = read_assignment(&cursor);
		if (ret < 0)
			return ret;
		if (ret)
			skip_command(&cursor);
	}
}

/**
 * split_shell() - split a line into words
 * @import: the variables
 * @file: name of the file
 * @number: the line's number
 * @text: the line, with quotes, backslashes and variables as the shell has them
 * @words: takes the words
 *
 * A variable that makes a whole word without braces is split at its blanks.
 *
 * Return: 0, or -1 after an error message.
 */
int split_shell(struct import *import, const char *file, unsigned int number,
		const char *text, struct words *words)
{
	struct cursor cursor = { import, file, text, text, number };

	for (;;) {
		struct chars chars = { 0 };
		unsigned int line;
		const char *from;
		size_t len;
		int ret;

		skip_blanks(&cursor);
		cursor.at += strspn(cursor.at, " \t\r\n\f\v;");
		if (!*cursor.at)
			return 0;
		from = cursor.at;
		line = cursor.line;
		len = *from == '$' ? name_length(from + 1) : 0;
		ret = take_word(&cursor, &chars);
		if (!ret && len && cursor.at == from + 1 + len)
			split_words(words, &chars);
		else if (!ret)
			add_word(words, chars.text ? chars.text : "", line);
		free_chars(&chars);
		if (ret)
			return ret;
	}
}
