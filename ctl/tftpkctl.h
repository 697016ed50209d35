/* SPDX-License-Identifier: GPL-2.0 */
/* tftpkctl: configure and observe the in-kernel TFTP server. */
#ifndef TFTPKCTL_H
#define TFTPKCTL_H

#if !__has_include("libmnl/libmnl.h") || !__has_include("jansson.h") || \
	!__has_include("curses.h")
#error "apt-get install libmnl-dev libjansson-dev libncurses-dev"
#endif

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>
#include <libmnl/libmnl.h>
#include <linux/tftpk.h>

#define EXIT_USAGE	2
#define TFTP_PORT	69

/* What is freed where its scope ends; json_auto_t is the same of JSON. */
#define auto_free	__attribute__((cleanup(free_pointer)))

static inline void free_pointer(void *pointer)
{
	free(*(void **)pointer);
}

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define BIT(n)		(1U << (n))

/* Long options that belong to a command; their texts are in ctl.option[]. */
enum command_option {
	OPTION_AS,
	OPTION_UID,
	OPTION_GID,
	OPTION_NO_SYMLINKS,
	OPTION_MAX_BLKSIZE,
	OPTION_MIN_TIMEOUT,
	OPTION_SEND_AHEAD,
	OPTION_DSCP,
	OPTION_MAX_RATE,
	OPTION_ROLLOVER,
	OPTION_NO_TSIZE,
	OPTION_FOR,
	OPTION_NOT_FOR,
	OPTION_ROOT_BY,
	OPTION_ONLY,
	OPTION_DROP_FIRST_FOLDER,
	OPTION_DEFAULT,
	OPTION_REFUSAL,
	OPTION_SINGLE_PORT,
	OPTION_BROADCAST,
	OPTION_ANYCAST,
	OPTION_WAIT,
	OPTION_FROM,
	OPTION_NO_AGENT,
	OPTION_WRITE,
	OPTION_TIMESTAMP,
	OPTION_OPENMETRICS,
	OPTION_PROMETHEUS,
	OPTION_LIST,
	OPTION_OUT,
	OPTION_FORCE,
	OPTION_SAVE,
	OPTION_COUNT,
};

struct ctl {
	bool json;
	bool quiet;		/* warn of nothing */
	const char *netns;
	const char *option[OPTION_COUNT];
	/* Those of them that may be given several times. */
	struct {
		enum command_option option;
		const char *text;
	} network[TFTPK_NETWORKS_MAX];
	size_t networks;
	/* Carries out a line of a file; see struct command. */
	int (*configure)(struct ctl *ctl, json_t *config, int argc,
			 char **argv);

	struct mnl_socket *nl;		/* for requests */
	struct mnl_socket *events;	/* for what comes unasked, or NULL */
	uint16_t family;
	uint32_t seq;
	int error;		/* errno of the last request, 0 if it went well */
	char extack[256];	/* what the kernel said about it, or empty */

	/* An alignment that suits struct nlmsghdr. */
	uint64_t request[2048];
	uint64_t answer[4096];
};

enum field_type {
	FIELD_NUMBER,		/* unsigned integer of 1, 2, 4 or 8 bytes */
	FIELD_PORT,		/* u16, big endian */
	FIELD_BOOLEAN,		/* u8 */
	FIELD_FLAG,		/* true where the attribute is present */
	FIELD_STRING,
	FIELD_ADDRESS,
	FIELD_MAC,
	FIELD_HEX,		/* bytes, as digits */
	FIELD_INTERFACE,	/* ifindex; adds a key "interface" */
	FIELD_WORD,		/* a number that stands for one of .words[] */
	FIELD_RANGE,		/* two u32, @attr and the one after it; 0 is any */
	FIELD_NETWORKS,		/* any number of nests of the set "network" */
	FIELD_BUCKETS,		/* likewise of the set "bucket" */
};

/*
 * An attribute of the netlink family. Its name is the one in the spec; in JSON
 * the dashes become underscores. The members below @doc are for settings.
 */
struct field {
	uint16_t attr;
	enum field_type type;
	const char *name;
	const char *const *words;	/* up to a NULL */
	const char *doc;
	const char *unit;
	const char *zero;	/* what an amount of 0 means if it may be 0 */
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
	/* As a line of a file: add to what the file configures. */
	int (*configure)(struct ctl *ctl, json_t *config, int argc,
			 char **argv);
};

struct endpoint {
	struct in6_addr address;	/* of an IPv4 address the first 4 bytes */
	size_t len;			/* 4 or 16, 0 for any of both families */
	char interface[IFNAMSIZ];	/* empty for any */
	uint32_t ifindex;		/* its number, 0 if there is none yet */
	bool may_wait;			/* then that is no fault */
	uint16_t port;
};

struct network {
	struct in6_addr address;	/* of an IPv4 address the first 4 bytes */
	size_t len;			/* 4 or 16 */
	uint8_t prefix;			/* leading bits; the others are clear */
};

struct column {
	const char *title;
	bool right;
	char *(*text)(const json_t *row, const char *name);
	const char *name;
};

/* nl.c: requests; they return 0, or -1 with ctl->error and ctl->extack set. */
void nl_close(struct ctl *ctl);
struct nlmsghdr *nl_request(struct ctl *ctl, uint8_t command);
void put_address(struct nlmsghdr *nlh, uint16_t attr, const char *address);
int nl_do(struct ctl *ctl, const struct field *fields, size_t count,
	  json_t **reply);
int nl_dump(struct ctl *ctl, uint8_t command, const struct field *fields,
	    size_t count, json_t **list);
int nl_dump_once(struct ctl *ctl, uint8_t command, const struct field *fields,
		 size_t count, json_t **list, bool *torn);
int nl_subscribe(struct ctl *ctl, const char *group, int room);
int nl_join(struct ctl *ctl, const char *group);
int nl_events(struct ctl *ctl, const struct field *fields, size_t count,
	      json_t **list);
int nl_fail(const struct ctl *ctl, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* decode.c: messages as JSON. */
struct decoder {
	const struct field *fields;
	size_t count;
	json_t *list;
};

void decode_message(const struct nlmsghdr *nlh, void *data);

/* What an inbox of tftpkd takes of a file and of all where its line does not say. */
#define INBOX_MAX_SIZE	"16M"
#define INBOX_QUOTA	"2G"

/* text.c: text in and out, human and JSON. */
extern const char *program;
void set_error_line(const char *file, unsigned int number, const char *line,
		    size_t len);
void set_error_word(const char *word);
void print_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define print_warning(...)	print_error("warning: " __VA_ARGS__)
#define usage_error(...)	(print_error(__VA_ARGS__), EXIT_USAGE)
void *check_alloc(void *pointer);
double monotonic_seconds(void);
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool parse_number(const char *string, const char **rest, uint64_t *value);
bool parse_scaled(const char *string, const char *unit, uint64_t *amount);
int parse_escape(const char **string);
json_t *json_bytes(const void *bytes, size_t len);
char *raw_text(const json_t *object, const char *name);
char *quote_word(const char *raw);
json_t *json_address(const void *address, size_t len);
json_t *json_mac(const unsigned char *address, size_t len);
json_t *json_hex(const unsigned char *bytes, size_t len);
bool parse_hex(const char *string, unsigned char *bytes, size_t len);
json_t *json_range(uint32_t low, uint32_t high);
void array_append(json_t *list, json_t *value);
bool array_sort_in(json_t *list, json_t *string);
void object_put(json_t *object, const char *name, json_t *value);
json_t *object_get(const json_t *object, const char *name);
void object_remove(json_t *object, const char *name);
json_t *array_find(const json_t *list, const json_t *wanted,
		   const char *const *keys);
void put_interface(json_t *object, uint32_t ifindex);
long long object_number(const json_t *object, const char *name);
char *number_text(const json_t *object, const char *name);
double transfer_rate(const json_t *object, const char *duration);
char *amount_text(double bytes);
char *string_text(const json_t *object, const char *name);
char *endpoint_text(const json_t *object, const char *prefix);
void print_table(const struct column *columns, size_t count,
		 const json_t *rows);
int print_json(json_t *value);
void print_json_line(json_t *value);
const char *nearest_word(const char *word, const char *(*name)(size_t index));

/* network.c */
int read_network(const char *string, struct network *network);
bool network_has(const struct network *network, const struct in6_addr *address,
		 size_t len);

/* names.c: the names that ended transfers were asked for. */
void add_name(json_t *event);

/* lines.c: files of lines. */
typedef int (*line_fn)(void *data, int argc, char **argv);
int read_lines(const char *file, line_fn fn, void *data);

/* config.c: a configuration as text. */
int read_file(struct ctl *ctl, const char *file, json_t **config);
json_t *config_lines(const json_t *config);

/* write.c: lines as a file. */
void write_lines(FILE *out, const char *header, const json_t *lines);
int write_file(const char *file, const char *header, const json_t *lines);

/* One file a command group. */
int run_export(struct ctl *ctl, int argc, char **argv);
int run_unexport(struct ctl *ctl, int argc, char **argv);
int configure_export(struct ctl *ctl, json_t *config, int argc, char **argv);
int parse_export(const struct ctl *ctl, const char *dir, json_t **export);
char *export_words(const json_t *export);
int add_export(struct ctl *ctl, const json_t *export, json_t **reply);
int delete_export(struct ctl *ctl, const json_t *export);
int dump_exports(struct ctl *ctl, json_t **list);
void print_exports(const json_t *list);

int run_listen(struct ctl *ctl, int argc, char **argv);
int run_unlisten(struct ctl *ctl, int argc, char **argv);
int configure_listen(struct ctl *ctl, json_t *config, int argc, char **argv);
json_t *other_family(const json_t *list, const json_t *listener);
int parse_endpoint(const char *string, struct endpoint *endpoint);
int parse_listeners(const struct ctl *ctl, int argc, char **argv,
		    json_t **list);
char *listener_words(const json_t *listener, bool both);
int add_listener(struct ctl *ctl, const json_t *listener);
int delete_listener(struct ctl *ctl, const json_t *listener);
void warn_single_port(const json_t *listeners, const json_t *trusted);
int dump_listeners(struct ctl *ctl, json_t **list);
void print_listeners(const json_t *list);

int run_trust(struct ctl *ctl, int argc, char **argv);
int run_untrust(struct ctl *ctl, int argc, char **argv);
int configure_trust(struct ctl *ctl, json_t *config, int argc, char **argv);
extern const char *const network_name[];
char *network_text(const json_t *network);
int parse_network(const char *string, json_t **network);
void put_network(struct nlmsghdr *nlh, const json_t *network, uint16_t address_attr,
		 uint16_t length_attr);
int add_trust(struct ctl *ctl, const json_t *network);
int delete_trust(struct ctl *ctl, const json_t *network);
int dump_trusted(struct ctl *ctl, json_t **list);
void print_trusted(const json_t *list);

int run_transfers(struct ctl *ctl, int argc, char **argv);
int run_kill(struct ctl *ctl, int argc, char **argv);
int dump_transfers(struct ctl *ctl, json_t **list);
void complete_direction(json_t *transfer);
bool is_upload(const json_t *transfer);
bool is_stored(const json_t *transfer);
char *file_column(const json_t *row, const char *name);
char *rtt_column(const json_t *row, const char *name);

int save_transfers(struct ctl *ctl);
int run_adopt(struct ctl *ctl, int argc, char **argv);
int run_key(struct ctl *ctl, int argc, char **argv);

int run_show(struct ctl *ctl, int argc, char **argv);
int read_config(struct ctl *ctl, json_t **config);

int run_drain(struct ctl *ctl, int argc, char **argv);
int run_undrain(struct ctl *ctl, int argc, char **argv);

int run_health(struct ctl *ctl, int argc, char **argv);

int run_save(struct ctl *ctl, int argc, char **argv);
int run_restore(struct ctl *ctl, int argc, char **argv);
int run_sync(struct ctl *ctl, int argc, char **argv);

int run_test(struct ctl *ctl, int argc, char **argv);
bool is_file_name(const char *name);
int parse_client(const char *string, struct endpoint *from);
const char *request_obstacle(const json_t *config);
int look_up_file(struct ctl *ctl, const char *name, const struct endpoint *from,
		 json_t **reply);
json_t *make_result(json_t *reply, const json_t *config, const char *name);
char *result_text(const json_t *result);
int run_test_write(struct ctl *ctl, int argc, char **argv);

int run_shadow(struct ctl *ctl, int argc, char **argv);

int run_import(struct ctl *ctl, int argc, char **argv);

int run_monitor(struct ctl *ctl, int argc, char **argv);

int run_top(struct ctl *ctl, int argc, char **argv);

int run_warm(struct ctl *ctl, int argc, char **argv);

int run_stats(struct ctl *ctl, int argc, char **argv);
int read_stats(struct ctl *ctl, json_t **stats);
void explain_stats(void);

int run_set(struct ctl *ctl, int argc, char **argv);
int run_get(struct ctl *ctl, int argc, char **argv);
int configure_set(struct ctl *ctl, json_t *config, int argc, char **argv);
int parse_settings(int argc, char **argv, json_t *values);
json_t *preset_settings(void);
json_t *different_settings(const json_t *from, const json_t *to);
json_t *setting_lines(const json_t *values);
int change_settings(struct ctl *ctl, const json_t *values);
int read_settings(struct ctl *ctl, json_t **values);
void print_settings(const json_t *values);
void setting_bounds(const char *name, uint32_t *min, uint32_t *max);
void explain_settings(void);
void list_settings(void);

#endif /* TFTPKCTL_H */
