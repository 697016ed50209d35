/* SPDX-License-Identifier: GPL-2.0 */
/* tftpkctl: configure and observe the in-kernel TFTP server. */
#ifndef TFTPKCTL_H
#define TFTPKCTL_H

#if !__has_include(<libmnl/libmnl.h>) || !__has_include(<jansson.h>)
#error "apt-get install libmnl-dev libjansson-dev"
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <jansson.h>
#include <libmnl/libmnl.h>
#include <linux/tftpk.h>

#define EXIT_USAGE	2
#define TFTP_PORT	69

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define BIT(n)		(1U << (n))

/* Long options that belong to a command; their texts are in ctl.option[]. */
enum command_option {
	OPTION_UID,
	OPTION_GID,
	OPTION_SINGLE_PORT,
	OPTION_BROADCAST,
	OPTION_LIST,
	OPTION_COUNT,
};

struct ctl {
	bool json;
	const char *netns;
	const char *option[OPTION_COUNT];

	struct mnl_socket *nl;
	uint16_t family;
	uint32_t seq;
	int error;		/* errno of the last request, 0 if it went well */
	char extack[256];	/* what the kernel said about it, or empty */

	/* An alignment that suits struct nlmsghdr. */
	uint64_t request[1024];
	uint64_t answer[4096];
};

enum field_type {
	FIELD_NUMBER,		/* unsigned integer of 1, 2, 4 or 8 bytes */
	FIELD_PORT,		/* u16, big endian */
	FIELD_BOOLEAN,		/* u8 */
	FIELD_FLAG,		/* true where the attribute is present */
	FIELD_STRING,
	FIELD_ADDRESS,
	FIELD_INTERFACE,	/* ifindex; adds a key "interface" */
	FIELD_STATE,
	FIELD_RANGE,		/* two u32, @attr and the one after it; 0 is any */
};

/*
 * An attribute of the netlink family. Its name is the one in the spec; in JSON
 * the dashes become underscores. The members below @doc are for settings; an
 * amount that may be 0 is not limited then.
 */
struct field {
	uint16_t attr;
	enum field_type type;
	const char *name;
	const char *doc;
	const char *unit;
	uint32_t min, max, preset;
	const char *preset_text;	/* of a default that is no constant */
};

#define FIELD(a, t, n)	{ .attr = (a), .type = (t), .name = (n) }

struct command {
	const char *name;
	const char *args;
	const char *summary;
	const char *details;
	void (*explain)(void);	/* prints what follows the details, or NULL */
	unsigned int options;	/* BIT(OPTION_...) of those that it takes */
	int min_args, max_args;
	int (*run)(struct ctl *ctl, int argc, char **argv);
};

struct column {
	const char *title;
	bool right;
	char *(*text)(const json_t *row, const char *name);
	const char *name;
};

/* nl.c: requests; they return 0, or -1 with ctl->error and ctl->extack set. */
int nl_open(struct ctl *ctl);
void nl_close(struct ctl *ctl);
struct nlmsghdr *nl_request(struct ctl *ctl, uint8_t command);
int nl_do(struct ctl *ctl, const struct field *fields, size_t count,
	  json_t **reply);
int nl_dump(struct ctl *ctl, uint8_t command, const struct field *fields,
	    size_t count, json_t **list);
int nl_fail(const struct ctl *ctl, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* text.c: text in and out, human and JSON. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define usage_error(...)	(complain(__VA_ARGS__), EXIT_USAGE)
void *checked(void *pointer);
char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool parse_number(const char *string, const char **rest, uint64_t *value);
json_t *json_bytes(const void *bytes, size_t len);
json_t *json_address(const void *address, size_t len);
json_t *json_range(uint32_t low, uint32_t high);
void append(json_t *list, json_t *value);
void put(json_t *object, const char *name, json_t *value);
json_t *look_up(const json_t *object, const char *name);
void put_interface(json_t *object, uint32_t ifindex);
long long number(const json_t *object, const char *name);
char *number_text(const json_t *object, const char *name);
char *string_text(const json_t *object, const char *name);
char *endpoint_text(const json_t *object, const char *prefix);
void print_table(const struct column *columns, size_t count,
		 const json_t *rows);
int print_json(json_t *value);
const char *nearest(const char *word, const char *(*name)(size_t index));

/* One file a command group. */
int run_export(struct ctl *ctl, int argc, char **argv);
int run_unexport(struct ctl *ctl, int argc, char **argv);
int dump_exports(struct ctl *ctl, json_t **list);
void print_exports(const json_t *list);

int run_listen(struct ctl *ctl, int argc, char **argv);
int run_unlisten(struct ctl *ctl, int argc, char **argv);
int dump_listeners(struct ctl *ctl, json_t **list);
void print_listeners(const json_t *list);

int run_trust(struct ctl *ctl, int argc, char **argv);
int run_untrust(struct ctl *ctl, int argc, char **argv);
int dump_trusted(struct ctl *ctl, json_t **list);
void print_trusted(const json_t *list);

int run_transfers(struct ctl *ctl, int argc, char **argv);

int run_stats(struct ctl *ctl, int argc, char **argv);
void explain_stats(void);

int run_set(struct ctl *ctl, int argc, char **argv);
int run_get(struct ctl *ctl, int argc, char **argv);
int run_show(struct ctl *ctl, int argc, char **argv);
void explain_settings(void);
void list_settings(void);

#endif /* TFTPKCTL_H */
