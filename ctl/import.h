/* SPDX-License-Identifier: GPL-2.0 */
/* import: what the configuration of another server becomes. */
#ifndef IMPORT_H
#define IMPORT_H

#include "tftpkctl.h"

/* Text with the line that each of its bytes is from. */
struct chars {
	char *text;		/* ends with a NUL, or is NULL */
	unsigned int *line;
	size_t len;
};

struct word {
	char *text;
	unsigned int line;
};

struct words {
	struct word *at;
	size_t count;
};

struct variable {
	char *name;
	struct chars value;
	char *file;
	unsigned int line;
	bool used;		/* by another one, or a command line */
	struct variable *next;
};

enum fate {
	BECOMES,	/* a line of tftpk's files */
	NEEDLESS,	/* nothing: tftpk does so anyhow, or has no use for it */
	LACKING,	/* nothing: there is no equivalent */
};

enum takes {
	NO_VALUE,
	A_VALUE,
	MAYBE_VALUE,	/* on a command line, only right behind the option */
};

struct import;

/* An option where it is used. */
struct use {
	const char *file;
	unsigned int line;
	const char *shown;	/* as it is written there, or nearly so */
	const char *value;	/* or NULL */
	const struct words *words;	/* of a variable's value, or NULL */
};

/* An option of a server: of its command line or of a file. */
struct old_option {
	const char *name;
	char letter;
	enum takes takes;
	enum fate fate;
	/* Why it needs nothing, what to do instead, or what is set. */
	const char *text;
	const char *value;	/* what it is set to, or NULL for the option's */
	/* Takes the place of the three before, and notes one fate. */
	void (*take)(struct import *import, const struct use *use);
};

#define SETS(n, l, setting) \
	{ .name = (n), .letter = (l), .takes = A_VALUE, .text = (setting) }
#define SETS_TO(n, l, setting, v) \
	{ .name = (n), .letter = (l), .text = (setting), .value = (v) }
#define TAKES(n, l, t, function) \
	{ .name = (n), .letter = (l), .takes = (t), .take = (function) }
#define NEEDS_NONE(n, l, t, why) \
	{ .name = (n), .letter = (l), .takes = (t), .fate = NEEDLESS, .text = (why) }
#define HAS_NONE(n, l, t, instead) \
	{ .name = (n), .letter = (l), .takes = (t), .fate = LACKING, .text = (instead) }

struct old_server {
	const char *name;
	const char *const *programs;	/* its name as a file, up to a NULL */
	const char *const *files;	/* where its configuration is, up to a NULL */
	bool all_files;		/* all of those that there are, not the first */
	const struct old_option *options;	/* up to one without a name */
	/* Of a file of shell variables; NULL where it has options that stay. */
	const struct old_option *variables;
	/* Reads a file. Returns 0 or an exit code. */
	int (*read)(struct import *import, const char *file);
	void (*take_folder)(struct import *import, const struct use *use);
	void (*finish)(struct import *import);
};

struct import {
	const struct old_server *server;
	json_t *items;		/* what became of each option */
	json_t *settings;	/* values by name */
	json_t *addresses;	/* of listeners: ADDR:PORT, as for 'listen' */
	json_t *interfaces;	/* of listeners */
	json_t *folders;	/* objects of "path", a word, and "options" */
	json_t *lines;		/* of tftpk.conf */
	json_t *agent_lines;	/* of tftpkd.conf */
	json_t *map_lines;	/* of a map file */
	char *clients;		/* options of all exports: who sees them */
	struct variable *variables;
	json_t *seen;		/* files that were read */

	unsigned int others;	/* lines that are not about TFTP */
	unsigned int family;	/* 4, 6 or 0 for both */
	unsigned int port;
	const char *last_file;
	bool failed;		/* after an error message */
	bool found;		/* anything about this server */
	bool single_port;
	bool no_tsize;

	/* tftpd-hpa and atftpd */
	bool secure;
	bool permissive;
	bool create;
	char *umask;
	char *prefix, *user, *group;
	json_t *user_item;	/* its note */

	char *device;		/* of all listeners, or NULL */
	char *command;		/* of a unit, or NULL */
	const char *command_file;
	unsigned int command_line;

	/* dnsmasq */
	bool enabled;		/* enable-tftp */
	bool own_interfaces;	/* it names interfaces itself */
	bool secure_files;
	json_t *shared;		/* interface and listen-address */
	const char *root_by;
};

/* words.c: files as words. */
char *read_text(const char *file);
void add_char(struct chars *chars, char c, unsigned int line);
void free_chars(struct chars *chars);
void add_word(struct words *words, const char *text, unsigned int line);
void split_text(struct words *words, const char *text, unsigned int line);
void split_words(struct words *words, const struct chars *chars);
void free_words(struct words *words);
struct variable *find_variable(const struct import *import, const char *name);
void free_variables(struct import *import);
void set_variable(struct import *import, const char *file, const char *name,
		  struct chars *value, unsigned int line);
int read_shell(struct import *import, const char *file, const char *text);
int split_shell(struct import *import, const char *file, unsigned int number,
		const char *text, struct words *words);

/* fates.c: what becomes of options. */
void note(struct import *import, const struct use *use, enum fate fate,
	  const char *format, ...) __attribute__((format(printf, 4, 5)));
void change_note(json_t *item, enum fate fate, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void apply_option(struct import *import, const struct old_option *option,
		  const struct use *use);
const struct old_option *find_option(const struct old_option *table,
				     const char *name, size_t len);
void read_command(struct import *import, const char *file,
		  const struct words *words, size_t first);
void put_setting(struct import *import, const char *name, const char *value);
void set_amount(struct import *import, const struct use *use,
		const char *name, uint64_t amount);
void set_range(struct import *import, const struct use *use, char between);
void add_folder(struct import *import, const char *path, const char *options);
void add_whole_folder(struct import *import, const char *path, const char *options);
bool is_program(const struct import *import, const char *path);
void take_interface(struct import *import, const struct use *use, const char *name);
char *network_words(const char *interface);
void take_address(struct import *import, const struct use *use);
void take_port(struct import *import, const struct use *use);
void take_ipv4(struct import *import, const struct use *use);
void take_ipv6(struct import *import, const struct use *use);
void take_no_tsize(struct import *import, const struct use *use);
void finish_lines(struct import *import, const char *options);
char *user_words(const char *user, const char *group);

/* oldfiles.c: what starts a server. */
int read_starter(struct import *import, const char *file);
int finish_starter(struct import *import);
void take_arguments(struct import *import, const struct use *use);
void take_each(struct import *import, const struct use *use,
	       void (*take)(struct import *import, const struct use *use));

extern const struct old_server tftpd_hpa_server, atftpd_server, dnsmasq_server;

#endif /* IMPORT_H */
