// SPDX-License-Identifier: GPL-2.0
/*
 * Map files of tftpd-hpa. Its in.tftpd(8) is the language's description; where
 * that says nothing, what version 7.2 does is right, and a test compares.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "map.h"
#include "../tftpkctl.h"

/* What \0 to \9 stand for. */
#define MATCHES		10

/* Bytes that a name may grow to: no path has more than half of them. */
#define NAME_ROOM	8192

static const char failure[] = "Remap table failure";

enum rule_flag {
	RULE_REWRITE = BIT(0),
	RULE_REPEAT = BIT(1),	/* from the beginning */
	RULE_ONWARD = BIT(2),	/* only what follows, with RULE_REPEAT */
	RULE_END = BIT(3),
	RULE_END_IF_FILE = BIT(4),
	RULE_RESTART = BIT(5),
	RULE_REFUSE = BIT(6),
	RULE_JUMP = BIT(7),
	RULE_UNLESS = BIT(8),
	RULE_GET = BIT(9),
	RULE_PUT = BIT(10),
	RULE_IPV4 = BIT(11),
	RULE_IPV6 = BIT(12),
	RULE_LABEL = BIT(13),
	RULE_ICASE = BIT(14),
};

struct rule {
	unsigned int flags;
	regex_t regex;		/* of all but labels */
	char *text;		/* replacement, message or label */
};

struct map {
	struct rule *rules;
	size_t count;
};

static const struct {
	char letter;
	unsigned int flag;
} letters[] = {
	{ 'r', RULE_REWRITE }, { 'g', RULE_REPEAT }, { 'e', RULE_END },
	{ 'E', RULE_END_IF_FILE }, { 's', RULE_RESTART }, { 'a', RULE_REFUSE },
	{ 'j', RULE_JUMP }, { '~', RULE_UNLESS }, { 'G', RULE_GET },
	{ 'P', RULE_PUT }, { '4', RULE_IPV4 }, { '6', RULE_IPV6 },
	{ 'i', RULE_ICASE },
};

/* Letters that exclude each other. */
static const char excluding[][3] = {
	"r~", "ra", "rj", "aj", "as", "ej", "ae", "es", "eE", "Ej", "aE", "Es",
};

static unsigned int letter_flag(char letter)
{
	size_t i;

	for (i = 0; i < COUNT(letters); i++) {
		if (letters[i].letter == letter)
			return letters[i].flag;
	}
	return 0;
}

/*
 * The next word of @line, ended in place, which is empty if there is none. A
 * backslash keeps blanks and # within a word, and stays in it.
 */
static char *next_word(char **line)
{
	char *word = *line, *end;

	while (isspace((unsigned char)*word))
		word++;
	for (end = word; *end && *end != '#' && !isspace((unsigned char)*end); end++) {
		if (*end == '\\' && end[1])
			end++;
	}
	/* All that follows # is a comment. */
	*line = *end && *end != '#' ? end + 1 : end;
	*end = '\0';
	return word;
}

static int read_letters(struct rule *rule, char *word)
{
	size_t i;

	for (; *word; word++) {
		unsigned int flag = letter_flag(*word);

		if (!flag) {
			set_error_word(word);
			print_error("no operation '%c': there are r, g, i, e, E, s, a, j, G, P, 4, 6 and ~",
				    *word);
			return -1;
		}
		if (flag == RULE_REPEAT && (rule->flags & RULE_REPEAT))
			flag = RULE_ONWARD;
		rule->flags |= flag;
	}
	for (i = 0; i < COUNT(excluding); i++) {
		unsigned int both = letter_flag(excluding[i][0]) |
				    letter_flag(excluding[i][1]);

		if ((rule->flags & both) == both) {
			print_error("%c and %c exclude each other",
				    excluding[i][0], excluding[i][1]);
			return -1;
		}
	}
	return 0;
}

static int read_regex(struct rule *rule, char *word)
{
	int flags = REG_EXTENDED, ret;
	char why[256];

	set_error_word(word);
	if (!*word) {
		print_error("the regular expression is missing");
		return -1;
	}
	if (rule->flags & RULE_ICASE)
		flags |= REG_ICASE;
	if (rule->flags & RULE_UNLESS)
		flags |= REG_NOSUB;
	ret = regcomp(&rule->regex, word, flags);
	if (!ret)
		return 0;
	regerror(ret, &rule->regex, why, sizeof(why));
	print_error("%s: %s", word, why);
	return -1;
}

/* Returns 1 if the line held a rule, 0 if it held none, -1 after an error message. */
static int read_rule(struct rule *rule, char *line)
{
	char *word = next_word(&line);

	memset(rule, 0, sizeof(*rule));
	if (!*word)
		return 0;
	set_error_word(word);
	if (*word == ':') {
		rule->flags = RULE_LABEL;
		rule->text = check_alloc(strdup(word[1] ? word + 1 : next_word(&line)));
		return 1;
	}
	if (read_letters(rule, word) || read_regex(rule, next_word(&line)))
		return -1;
	rule->text = check_alloc(strdup(next_word(&line)));
	return 1;
}

static void free_rule(struct rule *rule)
{
	if (!(rule->flags & RULE_LABEL))
		regfree(&rule->regex);
	free(rule->text);
}

/* map_free() - forget the rules of map_read(). */
void map_free(struct map *map)
{
	size_t i;

	for (i = 0; map && i < map->count; i++)
		free_rule(&map->rules[i]);
	if (map)
		free(map->rules);
	free(map);
}

/* Drop what is not looked at: the ends of lines of all systems, and NULs. */
static void clean_line(char *line, ssize_t len)
{
	char *to = line;
	ssize_t i;

	for (i = 0; i < len; i++) {
		if (line[i] && line[i] != '\r' && line[i] != '\n')
			*to++ = line[i];
	}
	*to = '\0';
}

static int read_rules(struct map *map, FILE *in, const char *file)
{
	auto_free char *line = NULL;
	unsigned int number = 0;
	size_t size = 0;
	ssize_t len;
	int ret = 0;

	while (ret >= 0 && (len = getline(&line, &size, in)) >= 0) {
		clean_line(line, len);
		set_error_line(file, ++number, line, strlen(line));
		map->rules = check_alloc(reallocarray(map->rules, map->count + 1,
						      sizeof(*map->rules)));
		ret = read_rule(&map->rules[map->count], line);
		map->count += ret > 0;
	}
	set_error_line(NULL, 0, NULL, 0);
	return ret < 0 ? -1 : 0;
}

/**
 * map_read() - read a map file
 * @file: its name
 *
 * Return: the rules, for map_free(), or NULL after an error message.
 */
struct map *map_read(const char *file)
{
	struct map *map = check_alloc(calloc(1, sizeof(*map)));
	FILE *in = fopen(file, "re");
	int ret = -1;

	if (!in) {
		print_error("cannot open %s: %s", file, strerror(errno));
	} else {
		errno = 0;
		ret = read_rules(map, in, file);
		if (!ret && ferror(in)) {
			print_error("cannot read %s: %s", file,
				    strerror(errno ? errno : EIO));
			ret = -1;
		}
		fclose(in);
	}
	if (!ret)
		return map;
	map_free(map);
	return NULL;
}

enum fold {
	FOLD_NONE,
	FOLD_UPPER,
	FOLD_LOWER,
};

/* A name that is being made. */
struct text {
	char *bytes;		/* with a NUL behind them */
	size_t len;
	bool failed;		/* too long, or no text of this locale */
	enum fold fold;
};

static void add_bytes(struct text *text, const char *from, size_t len)
{
	if (len > NAME_ROOM - text->len) {
		text->failed = true;
		return;
	}
	text->bytes = check_alloc(realloc(text->bytes, text->len + len + 1));
	if (len)
		memcpy(text->bytes + text->len, from, len);
	text->len += len;
	text->bytes[text->len] = '\0';
}

static wchar_t fold_wide(wchar_t c, enum fold fold)
{
	wint_t folded = fold == FOLD_UPPER ? towupper((wint_t)c) :
					     towlower((wint_t)c);

	return fold == FOLD_NONE ? c : (wchar_t)folded;
}

/* Add the character at @from in the case that was asked for. Returns its length. */
static size_t add_character(struct text *text, const char *from, size_t len)
{
	mbstate_t in = { 0 }, out = { 0 };
	char character[MB_LEN_MAX];
	size_t n, written;
	wchar_t wide;

	n = mbrtowc(&wide, from, len, &in);
	if (n > len) {
		text->failed = true;
		return len;
	}
	written = wcrtomb(character, fold_wide(wide, text->fold), &out);
	if (written <= sizeof(character))
		add_bytes(text, character, written);
	return n;
}

/*
 * Add characters, in the case that was asked for, up to @end or a backslash,
 * which ends them even where it came from the client. Returns where it ended.
 */
static const char *add_folded(struct text *text, const char *from,
			      const char *end)
{
	while (from < end && *from && *from != '\\' && !text->failed)
		from += add_character(text, from, (size_t)(end - from));
	return from;
}

/* The client's address as \i and \x write it. */
static void add_address(struct text *text, const struct map_asker *asker,
			bool hex)
{
	const unsigned char *address = asker->address;
	char string[INET6_ADDRSTRLEN] = "", *to = string;
	size_t i;

	if (!hex)
		inet_ntop(asker->len == sizeof(struct in_addr) ? AF_INET : AF_INET6,
			  address, string, sizeof(string));
	for (i = 0; hex && i < asker->len; i++)
		to += sprintf(to, "%02X", address[i]);
	add_folded(text, string, string + strlen(string));
}

/* Add what the escape stands for. Returns what follows it. */
static const char *add_escape(struct text *text, const char *escape,
			      const char *input, const regmatch_t *match,
			      const struct map_asker *asker)
{
	switch (*escape) {
	case '0' ... '9':
		match += *escape - '0';
		if (match->rm_so >= 0)
			add_folded(text, input + match->rm_so, input + match->rm_eo);
		return escape + 1;
	case 'L':
		text->fold = FOLD_LOWER;
		return escape + 1;
	case 'U':
		text->fold = FOLD_UPPER;
		return escape + 1;
	case 'E':
		text->fold = FOLD_NONE;
		return escape + 1;
	case 'i':
	case 'x':
		add_address(text, asker, *escape == 'x');
		return escape + 1;
	case '\\':
	case '\0':
		add_bytes(text, "\\", 1);
		return *escape ? escape + 1 : escape;
	default:
		/* The character itself, and those after it. */
		return add_folded(text, escape, escape + strlen(escape));
	}
}

/* Add a replacement for what matched in @input. */
static void add_replacement(struct text *text, const char *pattern,
			    const char *input, const regmatch_t *match,
			    const struct map_asker *asker)
{
	while (*pattern && !text->failed) {
		if (*pattern == '\\')
			pattern = add_escape(text, pattern + 1, input, match,
					     asker);
		else
			pattern = add_folded(text, pattern,
					     pattern + strlen(pattern));
	}
	text->fold = FOLD_NONE;
}

/* The state of rewriting one name. */
struct run {
	const struct map *map;
	const struct map_asker *asker;
	unsigned int steps;	/* that are left */
	char *name;
	regmatch_t match[MATCHES];
};

static bool take_step(struct run *run)
{
	double deadline = run->asker->deadline;

	if (!run->steps || (deadline > 0 && monotonic_seconds() > deadline))
		return false;
	run->steps--;
	return true;
}

static bool matches(struct run *run, const struct rule *rule, const char *input,
		    int flags)
{
	bool unless = rule->flags & RULE_UNLESS;
	size_t i;

	for (i = 0; i < MATCHES; i++)
		run->match[i].rm_so = run->match[i].rm_eo = -1;
	return !regexec(&rule->regex, input, unless ? 0 : MATCHES, run->match,
			flags) != unless;
}

/* Replace what matched, as often as the rule says. Returns the new name or NULL. */
static char *rewrite(struct run *run, const struct rule *rule)
{
	char *name = check_alloc(strdup(run->name));
	size_t start = 0;

	for (;;) {
		const regmatch_t *whole = &run->match[0];
		const char *input = name + start;
		struct text text = { 0 };
		bool failed;

		add_bytes(&text, name, start + (size_t)whole->rm_so);
		add_replacement(&text, rule->text, input, run->match, run->asker);
		start = text.len;
		add_bytes(&text, input + whole->rm_eo, strlen(input + whole->rm_eo));
		free(name);
		name = text.bytes;
		failed = text.failed;
		if (!failed && !(rule->flags & RULE_REPEAT))
			return name;
		if (!(rule->flags & RULE_ONWARD))
			start = 0;
		else if (!failed && start >= text.len)
			return name;
		if (!failed && !matches(run, rule, name + start, start ? REG_NOTBOL : 0))
			return name;
		if (failed || !take_step(run)) {
			free(name);
			return NULL;
		}
	}
}

/* The message or label of a rule that matched, or NULL if it is empty. */
static char *rule_text(struct run *run, const struct rule *rule)
{
	struct text text = { 0 };

	add_replacement(&text, rule->text, run->name, run->match, run->asker);
	if (!text.failed && text.len)
		return text.bytes;
	free(text.bytes);
	return NULL;
}

/* The index of a label, or -1. */
static ssize_t find_label(struct run *run, const struct rule *rule)
{
	auto_free char *label = rule_text(run, rule);
	size_t i;

	for (i = 0; label && i < run->map->count; i++) {
		if ((run->map->rules[i].flags & RULE_LABEL) &&
		    !strcmp(run->map->rules[i].text, label))
			return (ssize_t)i;
	}
	return -1;
}

/*
 * Rewrite the name if the rule does. Returns 1 if the rule is to be carried out
 * further, 0 if not, because it would be by a file that is not there, -1 if this
 * ends in a failure.
 */
static int apply(struct run *run, const struct rule *rule)
{
	char *name = NULL;
	bool probed;

	if (rule->flags & RULE_REWRITE) {
		name = rewrite(run, rule);
		if (!name)
			return -1;
	}
	probed = !(rule->flags & RULE_END_IF_FILE) ||
		 (run->asker->probe &&
		  run->asker->probe(run->asker->data, name ? name : run->name));
	if (!probed) {
		free(name);
		return 0;
	}
	if (name) {
		free(run->name);
		run->name = name;
	}
	return 1;
}

/*
 * Carry out the rules. Returns true if the name stands; else the reason is there,
 * unless the rule has none.
 */
static bool run_rules(struct run *run, char **reason)
{
	const struct map_asker *asker = run->asker;
	unsigned int other = RULE_LABEL |
		(asker->write ? RULE_GET : RULE_PUT) |
		(asker->len == sizeof(struct in_addr) ? RULE_IPV6 : RULE_IPV4);
	size_t i = 0;

	*reason = check_alloc(strdup(failure));
	while (i < run->map->count) {
		const struct rule *rule = &run->map->rules[i++];
		ssize_t label;
		int ret;

		if (rule->flags & other)
			continue;
		if (!take_step(run))
			return false;
		if (!matches(run, rule, run->name, 0))
			continue;
		ret = apply(run, rule);
		if (ret < 0)
			return false;
		if (!ret)
			continue;
		if (rule->flags & RULE_REFUSE) {
			free(*reason);
			*reason = rule_text(run, rule);
			return false;
		}
		if (rule->flags & (RULE_END | RULE_END_IF_FILE))
			break;
		if (rule->flags & RULE_RESTART) {
			i = 0;
		} else if (rule->flags & RULE_JUMP) {
			label = find_label(run, rule);
			if (label < 0)
				return false;
			i = (size_t)label;
		}
	}
	return true;
}

/**
 * map_name() - what a name becomes
 * @map: the rules
 * @asker: who asks
 * @name: the name as it was asked for
 * @reason: where the text of a refusal goes, for the caller to free; NULL if it
 *	has none
 *
 * Return: the name, for the caller to free, or NULL if it is refused.
 */
char *map_name(const struct map *map, const struct map_asker *asker,
	       const char *name, char **reason)
{
	struct run run = { .map = map, .asker = asker, .steps = asker->steps,
			   .name = check_alloc(strdup(name)) };

	if (run_rules(&run, reason)) {
		free(*reason);
		*reason = NULL;
		return run.name;
	}
	free(run.name);
	return NULL;
}
