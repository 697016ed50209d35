/* SPDX-License-Identifier: GPL-2.0 */
/* tftpkd: answer the kernel's questions about names and uploads. */
#ifndef TFTPKD_H
#define TFTPKD_H

#if !__has_include("event2/event.h")
#error "apt-get install libevent-dev"
#endif

#include <event2/event.h>

#include "../tftpkctl.h"

#define MS_PER_SECOND	1000

/* What is answered. */
enum answer_kind {
	ANSWER_DEFAULT,		/* as without an agent */
	ANSWER_NAME,		/* another name */
	ANSWER_FILE,		/* a descriptor */
	ANSWER_ERROR,
	ANSWER_WELCOME,		/* to what an upload asks but its file */
};

struct answer {
	enum answer_kind kind;
	const char *text;	/* the name, or what an ERROR says */
	unsigned int code;	/* of an ERROR */
	int fd;			/* the caller's */
	uint64_t max_size;	/* with a welcome to "accept" */
	unsigned int ttl;	/* seconds that the kernel is to remember it */
	bool for_all;		/* else for this client */
};

struct config;

/* A request that waits for an answer. */
struct question {
	struct question *next;	/* of those that wait */
	struct config *config;	/* a reference */
	json_t *facts;		/* by the names of the spec */
	char *name;		/* raw */
	struct in6_addr address;	/* of the client */
	size_t address_len;	/* 4 or 16 */
	uint32_t id;
	uint32_t transfer;	/* of an upload */
	enum tftpk_operation operation;
	size_t directive;	/* that is asked */
	bool unsure;		/* somebody had no time for it: do not remember */
};

/* Is it about an upload? */
static inline bool is_write(const struct question *question)
{
	return question->operation != TFTPK_OPERATION_READ;
}

/* Where questions come from: the kernel, or somebody who tries things out. */
struct source {
	/* Returns whether somebody still waited for it. */
	bool (*answer)(const struct question *question,
		       const struct answer *answer);
	/* Would the client get that file, if it asked for it? */
	bool (*probe)(struct question *question, const char *name);
	/* An array of objects with "path" and "prefix", to be released. */
	json_t *(*exports)(void);
};

/* ask.c: questions go from one directive to the next. */
extern const struct source *source;
extern const char *const operation_words[];
enum tftpk_operation get_operation(const json_t *facts);
struct question *make_question(struct config *config, json_t *facts);
void ask_question(struct config *config, json_t *facts);
bool answer_question(struct question *question, const struct answer *answer);
void pass_question(struct question *question);
bool is_asked(uint32_t id);

/* conf.c: what /etc/tftpk/tftpkd.conf says. */
enum bound {
	BOUND_TTL,
	BOUND_NEGATIVE_TTL,
	BOUND_MAP_STEPS,
	BOUND_FOLD_ENTRIES,
	BOUND_REWRITE_TIMEOUT,
	BOUND_COMMAND_TIMEOUT,
	BOUND_MAX_SIZE,
	BOUND_MAX_PROCESSES,
	BOUND_MAX_WAITING,
	BOUND_MAX_HOOKS,
	BOUND_HOOK_RATE,
	BOUND_COUNT,
};

/* A kind of line that may have an answer. */
struct directive_type {
	const char *name;
	const char *args;
	int min_args, max_args;
	/* Prints an error by itself, and returns NULL then. */
	void *(*read)(struct config *config, int argc, char **argv);
	/* Before it is asked for the first time; or NULL. */
	void (*start)(void *directive);
	/*
	 * Whether the question is taken: it is to be answered or passed on, now
	 * or later.
	 */
	bool (*ask)(void *directive, struct question *question);
	void (*free)(void *directive);
	bool takes_uploads;
};

struct directive {
	const struct directive_type *type;
	void *state;
};

struct hook {
	struct hook *next;
	char *type;		/* of events */
	char **argv;
	double tokens, filled;	/* at most hook-rate of them, and when */
	unsigned long long left_out;
	double told;		/* of those, when */
};

struct config {
	unsigned int references;
	bool check;		/* read to find mistakes */
	uint32_t bounds[BOUND_COUNT];
	struct directive *directives;
	size_t count;
	struct hook *hooks;
	struct pool *generators, *hook_pool;
};

struct config *read_tftpkd_conf(const char *file, bool check);
void list_words(void);

/* config.c: the configuration in memory. */
struct config *make_config(void);
struct config *hold_config(struct config *config);
void release_config(struct config *config);
void start_config(struct config *config);
bool takes_uploads(const struct config *config);
bool answers_reads(const struct config *config);
const char *bound_name(size_t index);
int parse_bound(enum bound bound, const char *string, uint32_t *value);

/* child.c: commands, of which some run at once and some wait. */
extern struct event_base *loop;

/* Instead of an output: there was no time or no process for the command. */
#define NOT_RUN		(-2)

struct process {
	char **argv;		/* up to a NULL, of the caller */
	char **environment;	/* likewise, is freed */
	unsigned int timeout;	/* seconds, for waiting and again for running */
	bool urgent;		/* for both, of which it may wait half */
	bool near;		/* goes ahead of those that are not */
	size_t max_size;	/* of the output; 0 if none is wanted */
	/*
	 * @fd is the output, for the callee to close, or -1 after a failure, or
	 * NOT_RUN.
	 */
	void (*ended)(void *data, int fd);
	void *data;
};

bool claim_line(double *last);
struct pool *make_pool(unsigned int running, unsigned int waiting);
void free_pool(struct pool *pool);
bool run_pooled(struct pool *pool, const struct process *command);
char **make_environment(const json_t *facts);
char **copy_words(int argc, char **argv);
void free_words(char **words);
int check_program(const char *path);

/* memory.c: names that are known to have no answer, for a while. */
struct memory *make_memory(void);
void free_memory(struct memory *memory);
bool is_remembered(const struct memory *memory, const char *key);
void remember(struct memory *memory, const char *key, unsigned int seconds);

/* One file for each directive. */
extern const struct directive_type map_directive, rewrite_directive,
	fold_directive, generate_directive, inbox_directive;

int read_hook(struct config *config, int argc, char **argv);
void run_hooks(struct config *config, const json_t *event);

/* try.c: questions of somebody who tries things out. */
int run_try(struct config *config, const char *root);

/* agent.c: questions of the kernel. */
int run_agent(struct config *config, const char *file);

/* maptest.c: what in.tftpd --map-test does. */
struct map_test {
	const char *file;	/* the rules, or NULL for none */
	unsigned int steps;
	bool ipv6, write;
};

int run_map_test(const struct map_test *test, const char *names);

#endif /* TFTPKD_H */
