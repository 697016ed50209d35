// SPDX-License-Identifier: GPL-2.0
/* Text in and out: messages, numbers, tables and JSON, all safe to show. */
#include <arpa/inet.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tftpkctl.h"

#define MAX_COLUMNS	16

/* What messages begin with. */
const char *program = "tftpkctl";

static const struct {
	const char *unit;
	const char *suffix;
	uint32_t factor;
} scales[] = {
	{ "seconds", "s", 1 },
	{ "seconds", "m", 60 },
	{ "seconds", "h", 3600 },
	{ "bytes", "B", 1 },
	{ "bytes", "K", 1024 },
	{ "bytes", "KiB", 1024 },
	{ "bytes", "M", 1 << 20 },
	{ "bytes", "MiB", 1 << 20 },
	{ "bytes", "G", 1 << 30 },
	{ "bytes", "GiB", 1 << 30 },
	{ "MiB", "M", 1 },
	{ "MiB", "MiB", 1 },
	{ "MiB", "G", 1024 },
	{ "MiB", "GiB", 1024 },
};

/* The line of a file that is being carried out, if it is one. */
static struct {
	const char *file;
	unsigned int number;
	const char *start, *end;
	const char *word;
} origin;

/**
 * set_error_line() - say where the next words come from
 * @file: name of the file, or NULL for the command line
 * @number: number of the line, from 1 on
 * @line: the line
 * @len: its length
 *
 * Errors begin with file, line and column then.
 */
void set_error_line(const char *file, unsigned int number, const char *line,
		    size_t len)
{
	origin.file = file;
	origin.number = number;
	origin.start = line;
	origin.end = line + len;
	origin.word = line;
}

/* set_error_word() - the next error is about this word, of which it tells the column. */
void set_error_word(const char *word)
{
	if (origin.file && word >= origin.start && word <= origin.end)
		origin.word = word;
}

/* print_error() - one line on stderr. */
void print_error(const char *format, ...)
{
	auto_free char *line = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&line, format, args) < 0)
		line = NULL;
	va_end(args);
	fprintf(stderr, "%s: ", program);
	if (origin.file)
		fprintf(stderr, "%s:%u:%td: ", origin.file, origin.number,
			origin.word - origin.start + 1);
	fprintf(stderr, "%s\n", line ? line : "out of memory");
}

/* check_alloc() - @pointer, if there was memory for it. */
void *check_alloc(void *pointer)
{
	if (!pointer) {
		print_error("out of memory");
		exit(EXIT_FAILURE);
	}
	return pointer;
}

/* monotonic_seconds() - seconds since some time in the past. */
double monotonic_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* xasprintf() - a formatted string, for the caller to free. */
char *xasprintf(const char *format, ...)
{
	va_list args;
	char *string;

	va_start(args, format);
	if (vasprintf(&string, format, args) < 0)
		string = NULL;
	va_end(args);
	return check_alloc(string);
}

/**
 * parse_number() - read an unsigned decimal number
 * @string: the number, without sign or space before it
 * @rest: where what follows the number goes
 * @value: where the number goes
 *
 * Return: whether there was a number below 10^18.
 */
bool parse_number(const char *string, const char **rest, uint64_t *value)
{
	size_t digits = strspn(string, "0123456789");
	size_t i;

	*value = 0;
	for (i = 0; i < digits; i++)
		*value = *value * 10 + (uint64_t)(string[i] - '0');
	*rest = string + digits;
	return digits && digits <= 18;
}

/**
 * parse_scaled() - read an amount that may have a unit behind it
 * @string: the amount
 * @unit: what it is counted in: seconds, bytes, MiB, or something else
 * @amount: where it goes
 *
 * Return: whether it was one, of at most 32 bits before its unit.
 */
bool parse_scaled(const char *string, const char *unit, uint64_t *amount)
{
	uint64_t factor;
	const char *rest;
	size_t i;

	if (!parse_number(string, &rest, amount))
		return false;
	factor = !*rest;
	for (i = 0; i < COUNT(scales); i++) {
		if (!strcmp(scales[i].unit, unit) &&
		    !strcmp(scales[i].suffix, rest))
			factor = scales[i].factor;
	}
	if (!factor || *amount > UINT32_MAX)
		return false;
	*amount *= factor;
	return true;
}

/* Length of the UTF-8 character at @s and its @code, or 0 if there is none. */
static size_t utf8_at(const unsigned char *s, size_t len, uint32_t *code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c = s[0];
	size_t n = 1, i;

	if (c >= 0x80) {
		n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
		if (c < 0xc0 || c > 0xf4 || n > len)
			return 0;
		c &= 0x7fU >> n;
		for (i = 1; i < n; i++) {
			if ((s[i] & 0xc0) != 0x80)
				return 0;
			c = c << 6 | (s[i] & 0x3fU);
		}
		if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return 0;
	}
	*code = c;
	return n;
}

/* Would a terminal obey the character, or be led to show others in disorder? */
static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x61c ||
	       c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

/* What escape() does besides writing as \xHH what is not UTF-8. */
enum escape {
	ESCAPE_BACKSLASH = 1,	/* put a backslash before backslashes */
	ESCAPE_QUOTE = 2,	/* and before double quotes */
	ESCAPE_CONTROL = 4,	/* write control characters as \xHH, too */
};

/*
 * Copy @bytes. With ESCAPE_BACKSLASH nothing is lost; a string that went
 * through this once takes ESCAPE_CONTROL alone.
 */
static char *escape(const unsigned char *bytes, size_t len, unsigned int how)
{
	size_t size, n, i;
	char *string = NULL;
	FILE *out = check_alloc(open_memstream(&string, &size));

	for (; len; bytes += n, len -= n) {
		uint32_t code = 0;

		n = utf8_at(bytes, len, &code);
		if (!n || ((how & ESCAPE_CONTROL) && is_control(code))) {
			n = n ? n : 1;
			for (i = 0; i < n; i++)
				fprintf(out, "\\x%02x", bytes[i]);
		} else {
			if (((how & ESCAPE_BACKSLASH) && code == '\\') ||
			    ((how & ESCAPE_QUOTE) && code == '"'))
				fputc('\\', out);
			fwrite(bytes, 1, n, out);
		}
	}
	if (fclose(out))
		check_alloc(NULL);
	return check_alloc(string);
}

/* json_bytes() - a string of bytes that need not be UTF-8, see escape(). */
json_t *json_bytes(const void *bytes, size_t len)
{
	auto_free char *string = escape(bytes, len, ESCAPE_BACKSLASH);

	return json_string(string);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/**
 * parse_escape() - the byte that an escape stands for
 * @string: what follows a backslash; moved past the escape
 *
 * A backslash and a double quote stand for themselves, xHH for any byte but 0.
 *
 * Return: the byte, or -1 if this is no escape.
 */
int parse_escape(const char **string)
{
	const char *s = *string;

	if (*s == '\\' || *s == '"') {
		*string = s + 1;
		return *s;
	}
	if (*s != 'x' || hex_digit(s[1]) < 0 || hex_digit(s[2]) < 0 ||
	    (s[1] == '0' && s[2] == '0'))
		return -1;
	*string = s + 3;
	return hex_digit(s[1]) << 4 | hex_digit(s[2]);
}

/* raw_text() - the bytes that json_bytes() made a string of, or "". */
char *raw_text(const json_t *object, const char *name)
{
	const char *from = json_string_value(object_get(object, name));
	char *raw, *to;

	raw = check_alloc(strdup(from ? from : ""));
	for (from = to = raw; *from; to++) {
		int c = (unsigned char)*from++;

		if (c == '\\')
			c = parse_escape(&from);
		*to = (char)c;
	}
	*to = '\0';
	return raw;
}

/* quote_word() - a word as a file holds it, within quotes if it needs them. */
char *quote_word(const char *raw)
{
	size_t len = strlen(raw);
	char *inner = escape((const unsigned char *)raw, len, ESCAPE_BACKSLASH |
			     ESCAPE_QUOTE | ESCAPE_CONTROL);
	char *word;

	/* Whatever had to be escaped made it longer. */
	if (len && strlen(inner) == len && !strpbrk(raw, " #"))
		return inner;
	word = xasprintf("\"%s\"", inner);
	free(inner);
	return word;
}

/* json_address() - an IP address of 4 or 16 bytes as a string, or null. */
json_t *json_address(const void *address, size_t len)
{
	char string[INET6_ADDRSTRLEN];

	if ((len != sizeof(struct in_addr) && len != sizeof(struct in6_addr)) ||
	    !inet_ntop(len == sizeof(struct in_addr) ? AF_INET : AF_INET6,
		       address, string, sizeof(string)))
		return json_null();
	return json_string(string);
}

/* json_mac() - a hardware address of 6 bytes as a string, or null. */
json_t *json_mac(const unsigned char *address, size_t len)
{
	if (len != 6)
		return json_null();
	return json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", address[0],
			    address[1], address[2], address[3], address[4],
			    address[5]);
}

/* json_hex() - bytes as a string of digits, two a byte. */
json_t *json_hex(const unsigned char *bytes, size_t len)
{
	char *digits = check_alloc(calloc(len + 1, 2));
	json_t *hex;
	size_t i;

	for (i = 0; i < len; i++)
		snprintf(digits + 2 * i, 3, "%02x", bytes[i]);
	hex = json_string(digits);
	free(digits);
	return hex;
}

/* parse_hex() - the bytes of a string of so many digits; false where it is another. */
bool parse_hex(const char *string, unsigned char *bytes, size_t len)
{
	char pair[3] = "";
	size_t i;

	if (strlen(string) != 2 * len ||
	    strspn(string, "0123456789abcdefABCDEF") != 2 * len)
		return false;
	for (i = 0; i < len; i++) {
		memcpy(pair, string + 2 * i, 2);
		bytes[i] = (unsigned char)strtoul(pair, NULL, 16);
	}
	return true;
}

/* json_range() - LOW-HIGH as a string, or null for any. */
json_t *json_range(uint32_t low, uint32_t high)
{
	return low ? json_sprintf("%u-%u", low, high) : json_null();
}

/* A name of the netlink spec as a JSON key. */
static const char *key_of(const char *name)
{
	static char key[64];
	char *c;

	snprintf(key, sizeof(key), "%s", name);
	for (c = key; *c; c++) {
		if (*c == '-')
			*c = '_';
	}
	return key;
}

/* array_append() - add to an array a value that is given away. */
void array_append(json_t *list, json_t *value)
{
	if (json_array_append_new(list, value))
		check_alloc(NULL);
}

/*
 * array_sort_in() - add a string that is given away, in the order of the bytes.
 * Returns false, and adds nothing, where it is there already.
 */
bool array_sort_in(json_t *list, json_t *string)
{
	const char *value = json_string_value(string);
	int order = 1;
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		order = strcmp(json_string_value(json_array_get(list, i)), value);
		if (order >= 0)
			break;
	}
	if (!order)
		json_decref(string);
	else if (json_array_insert_new(list, i, string))
		check_alloc(NULL);
	return order;
}

/* object_put() - set a key, by the spec's name, to a value that is given away. */
void object_put(json_t *object, const char *name, json_t *value)
{
	if (json_object_set_new(object, key_of(name), value))
		check_alloc(NULL);
}

/* object_get() - the value of a key by the spec's name, or NULL. */
json_t *object_get(const json_t *object, const char *name)
{
	return json_object_get(object, key_of(name));
}

/* object_remove() - remove a key, by the spec's name. */
void object_remove(json_t *object, const char *name)
{
	json_object_del(object, key_of(name));
}

/*
 * put_interface() - set "ifindex" and "interface": the name, null for none, or
 * as ip(8) does "if7" for one that is gone.
 */
void put_interface(json_t *object, uint32_t ifindex)
{
	char name[IF_NAMESIZE];

	if (ifindex && !if_indextoname(ifindex, name))
		snprintf(name, sizeof(name), "if%u", ifindex);
	object_put(object, "ifindex", json_integer(ifindex));
	object_put(object, "interface",
		   ifindex ? json_bytes(name, strlen(name)) : json_null());
}

/* object_number() - the value of an integer, or -1 if it is not told. */
long long object_number(const json_t *object, const char *name)
{
	const json_t *value = object_get(object, name);

	return json_is_integer(value) ? json_integer_value(value) : -1;
}

char *number_text(const json_t *object, const char *name)
{
	long long value = object_number(object, name);

	return value < 0 ? xasprintf("-") : xasprintf("%lld", value);
}

/*
 * transfer_rate() - bytes acknowledged per second of a duration, whose name is
 * given, or -1 where either is missing.
 */
double transfer_rate(const json_t *object, const char *duration)
{
	long long bytes = object_number(object, "acknowledged");
	long long ms = object_number(object, duration);

	if (bytes < 0 || ms < 0)
		return -1;
	/* The clock has ticks of milliseconds. */
	return (double)bytes * 1000.0 / (double)(ms ? ms : 1);
}

/* amount_text() - "3.4 GB", in decimal units. */
char *amount_text(double bytes)
{
	static const char units[] = " kMGTPE";
	size_t i = 0;

	while (bytes >= 999.95 && units[i + 1]) {
		bytes /= 1000.0;
		i++;
	}
	return i ? xasprintf("%.1f %cB", bytes, units[i]) : xasprintf("%.0f B", bytes);
}

char *string_text(const json_t *object, const char *name)
{
	const json_t *value = object_get(object, name);
	const char *string = json_string_value(value);

	if (!string)
		return xasprintf("-");
	return escape((const unsigned char *)string, json_string_length(value),
		      ESCAPE_CONTROL);
}

/*
 * endpoint_text() - "address" and "port", or those with a prefix such as
 * "client-", as ADDR:PORT.
 */
char *endpoint_text(const json_t *object, const char *prefix)
{
	auto_free char *address = xasprintf("%saddress", prefix);
	auto_free char *port = xasprintf("%sport", prefix);
	const char *host = json_string_value(object_get(object, address));
	bool v6 = host && strchr(host, ':');
	bool scoped = v6 && !strncmp(host, "fe80:", 5) &&
		      !json_is_null(object_get(object, "interface"));
	auto_free char *scope = string_text(object, "interface");
	auto_free char *tail = number_text(object, port);

	return xasprintf("%s%s%s%s%s:%s", v6 ? "[" : "", host ? host : "-",
			 scoped ? "%" : "", scoped ? scope : "", v6 ? "]" : "",
			 tail);
}

/* Columns that a string takes: its characters, roughly. */
static int text_width(const char *string)
{
	int n = 0;

	for (; *string; string++)
		n += ((unsigned char)*string & 0xc0) != 0x80;
	return n;
}

/* A cell of the table, whose line 0 are the titles. */
static char *cell_text(const struct column *column, const json_t *rows,
		       size_t line)
{
	return line ? column->text(json_array_get(rows, line - 1),
				   column->name) :
		      xasprintf("%s", column->title);
}

/* print_table() - an array of objects, a line each, below a line of titles. */
void print_table(const struct column *columns, size_t count,
		 const json_t *rows)
{
	size_t lines = json_array_size(rows) + 1, line, i;
	int room[MAX_COLUMNS] = { 0 };

	for (line = 0; line < lines; line++) {
		for (i = 0; i < count; i++) {
			auto_free char *cell = cell_text(&columns[i], rows,
							 line);

			if (text_width(cell) > room[i])
				room[i] = text_width(cell);
		}
	}
	for (line = 0; line < lines; line++) {
		for (i = 0; i < count; i++) {
			auto_free char *cell = cell_text(&columns[i], rows,
							 line);
			bool last = i == count - 1;
			int pad = room[i] - text_width(cell);

			if (columns[i].right)
				printf("%*s%s", pad, "", cell);
			else
				printf("%s%*s", cell, last ? 0 : pad, "");
			fputs(last ? "\n" : "  ", stdout);
		}
	}
}

/*
 * print_json() - print a value that is given away.
 *
 * ASCII only: a file name must not reach a terminal as a control sequence here
 * either. A failed write is noticed when main() closes stdout.
 */
int print_json(json_t *value)
{
	check_alloc(value);
	json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(value);
	return EXIT_SUCCESS;
}

/* print_json_line() - print a value that is given away on a line of its own. */
void print_json_line(json_t *value)
{
	check_alloc(value);
	json_dumpf(value, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(value);
}

/* Levenshtein's distance; words beyond the table's size are far off. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[33], i, j, n = strlen(b);

	if (n >= COUNT(row))
		return n;
	for (j = 0; j <= n; j++)
		row[j] = j;
	for (i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (j = 1; j <= n; j++) {
			size_t cost = diagonal + (a[i] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < cost)
				cost = row[j] + 1;
			if (row[j - 1] + 1 < cost)
				cost = row[j - 1] + 1;
			row[j] = cost;
		}
	}
	return row[n];
}

/**
 * nearest_word() - what an unknown word was probably meant to be
 * @word: the word
 * @name: the known words by index, NULL past the last
 *
 * Return: a known word, or NULL if none is near.
 */
const char *nearest_word(const char *word, const char *(*name)(size_t index))
{
	size_t best = strlen(word) / 3 + 2, i;
	const char *found = NULL;

	for (i = 0; name(i); i++) {
		size_t d = edit_distance(word, name(i));

		if (*word && !strncmp(word, name(i), strlen(word)))
			return name(i);
		if (d < best) {
			best = d;
			found = name(i);
		}
	}
	return found;
}

/* The entry with the same values of keys as @wanted, or NULL. */
json_t *array_find(const json_t *list, const json_t *wanted,
		   const char *const *keys)
{
	json_t *entry;
	size_t i, k;

	json_array_foreach(list, i, entry) {
		for (k = 0; keys[k]; k++) {
			if (!json_equal(object_get(entry, keys[k]),
					object_get(wanted, keys[k])))
				break;
		}
		if (!keys[k])
			return entry;
	}
	return NULL;
}
