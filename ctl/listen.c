// SPDX-License-Identifier: GPL-2.0
/* listen, unlisten: the addresses that requests are accepted on. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "tftpkctl.h"

#define NEVER	"never"

static const char *const listener_name[] = { "address", "port", "interface", NULL };

static const struct field listener_fields[] = {
	FIELD(TFTPK_A_LISTENER_ADDRESS, FIELD_ADDRESS, "address"),
	FIELD(TFTPK_A_LISTENER_PORT, FIELD_PORT, "port"),
	FIELD(TFTPK_A_LISTENER_IFINDEX, FIELD_INTERFACE, "ifindex"),
	FIELD(TFTPK_A_LISTENER_INTERFACE, FIELD_STRING, "interface"),
	FIELD(TFTPK_A_LISTENER_IMPLICIT, FIELD_FLAG, "implicit"),
	FIELD(TFTPK_A_LISTENER_SINGLE_PORT, FIELD_FLAG, "single-port"),
	FIELD(TFTPK_A_LISTENER_BROADCAST, FIELD_FLAG, "broadcast"),
	FIELD(TFTPK_A_LISTENER_WAITING, FIELD_FLAG, "waiting"),
	FIELD(TFTPK_A_LISTENER_ANYCAST, FIELD_NUMBER, "anycast"),
};

/* Seconds, or "never"; a null where others do not have the address. */
static json_t *anycast_json(long long seconds)
{
	if (seconds == TFTPK_ANYCAST_NEVER)
		return check_alloc(json_string(NEVER));
	return seconds > 0 ? check_alloc(json_integer(seconds)) : json_null();
}

/* For a person and for files, before or after other text; for the caller to free. */
static char *anycast_text(const json_t *listener, const char *before,
			  const char *after)
{
	long long seconds = object_number(listener, "anycast");

	if (json_is_string(object_get(listener, "anycast")))
		return xasprintf("%s" NEVER, before);
	return seconds > 0 ? xasprintf("%s%lld%s", before, seconds, after) :
			     xasprintf("%s", "");
}

int dump_listeners(struct ctl *ctl, json_t **list)
{
	int ret = nl_dump(ctl, TFTPK_CMD_LISTENER_GET, listener_fields,
			  COUNT(listener_fields), list);
	json_t *listener;
	size_t i;

	json_array_foreach(ret ? NULL : *list, i, listener)
		object_put(listener, "anycast",
			   anycast_json(object_number(listener, "anycast")));
	return ret;
}

static char *origin_column(const json_t *row, const char *name)
{
	return xasprintf(json_is_true(object_get(row, name)) ? "export" : "listen");
}

/* What the listener was told to do otherwise than others. */
static char *listener_options(const json_t *row, const char *name)
{
	auto_free char *anycast = anycast_text(row, ", anycast ", "s");
	auto_free char *all = xasprintf("%s%s%s%s",
		json_is_true(object_get(row, "single-port")) ? ", single-port" : "",
		anycast,
		json_is_true(object_get(row, "broadcast")) ? ", broadcast" : "",
		json_is_true(object_get(row, "waiting")) ?
			", waiting for the interface" : "");

	return xasprintf("%s", *all ? all + strlen(", ") : "-");
}

void print_listeners(const json_t *list)
{
	static const struct column columns[] = {
		{ "LISTENER", false, endpoint_text, "" },
		{ "DEV", false, string_text, "interface" },
		{ "MADE BY", false, origin_column, "implicit" },
		{ "OPTIONS", false, listener_options, "" },
	};

	print_table(columns, COUNT(columns), list);
}

static int parse_port(const char *string, uint16_t *port)
{
	const char *rest;
	uint64_t value;

	if (!parse_number(string, &rest, &value) || *rest || !value ||
	    value > UINT16_MAX)
		return usage_error("port '%s': must be 1 to 65535", string);
	*port = (uint16_t)value;
	return 0;
}

/* Take the name of an interface, which must not contradict the one found before. */
static int parse_interface(const char *name, struct endpoint *endpoint)
{
	uint32_t found = if_nametoindex(name);

	if (!*name || strlen(name) >= IFNAMSIZ || strpbrk(name, "/ \t\n"))
		return usage_error("'%s' cannot be the name of an interface",
				   name);
	if (!found && !endpoint->may_wait) {
		print_error("no interface %s in this network namespace ('ip link' lists them)",
			    name);
		return EXIT_FAILURE;
	}
	if (*endpoint->interface && strcmp(endpoint->interface, name) != 0)
		return usage_error("dev %s: not the interface of the address",
				   name);
	snprintf(endpoint->interface, IFNAMSIZ, "%s", name);
	endpoint->ifindex = found;
	return 0;
}

/**
 * parse_endpoint() - read an address and a port
 * @string: ADDR, ADDR:PORT, [ADDR]:PORT or *:PORT, where an IPv6 address may
 *	carry its interface after a percent sign
 * @endpoint: takes what is given; the port stays if there is none
 *
 * Prints an error by itself.
 *
 * Return: 0, or an exit code.
 */
int parse_endpoint(const char *string, struct endpoint *endpoint)
{
	auto_free char *copy = check_alloc(strdup(string));
	char *host = copy, *port = NULL, *scope, *colon = strchr(copy, ':');
	int ret = 0;

	set_error_word(string);
	if (*copy == '[') {
		char *end = strchr(copy, ']');

		host = copy + 1;
		if (!end || (end[1] && end[1] != ':'))
			goto bad;
		if (end[1])
			port = end + 2;
		*end = '\0';
	} else if (colon && !strchr(colon + 1, ':')) {
		port = colon + 1;
		*colon = '\0';
	}
	scope = strchr(host, '%');
	if (scope)
		*scope++ = '\0';

	if (!strcmp(host, "*") && host == copy && !scope)
		endpoint->len = 0;
	else if (inet_pton(AF_INET, host, &endpoint->address) == 1 &&
		 host == copy && !scope)
		endpoint->len = sizeof(struct in_addr);
	else if (inet_pton(AF_INET6, host, &endpoint->address) == 1)
		endpoint->len = sizeof(struct in6_addr);
	else
		goto bad;

	if (port)
		ret = parse_port(port, &endpoint->port);
	if (!ret && scope)
		ret = parse_interface(scope, endpoint);
	return ret;
bad:
	return usage_error("'%s' is not an address: give 192.0.2.1, 192.0.2.1:69, [2001:db8::1]:69 or *",
			   string);
}

static int parse_listener(int argc, char **argv, struct endpoint *endpoint)
{
	int ret;

	if (argc == 2 || (argc == 3 && strcmp(argv[1], "dev") != 0)) {
		set_error_word(argv[1]);
		return usage_error("unexpected '%s': give ADDR[:PORT] [dev IF]",
				   argv[1]);
	}
	ret = parse_endpoint(argv[0], endpoint);
	if (!ret && argc == 3) {
		set_error_word(argv[2]);
		ret = parse_interface(argv[2], endpoint);
	}
	set_error_word(argv[0]);
	if (!ret && endpoint->len == sizeof(struct in6_addr) &&
	    IN6_IS_ADDR_LINKLOCAL(&endpoint->address) && !*endpoint->interface)
		ret = usage_error("%s: a link-local address needs its interface: add 'dev IF'",
				  argv[0]);
	return ret;
}

/* The option --anycast as JSON. Returns 0 or an exit code. */
static int parse_anycast(const struct ctl *ctl, json_t **anycast)
{
	const char *time = ctl->option[OPTION_ANYCAST];
	uint64_t seconds = time ? TFTPK_ANYCAST_GRACE : 0;

	if (time && !ctl->option[OPTION_SINGLE_PORT])
		return usage_error("--anycast: wants --single-port");
	if (time && !strcmp(time, NEVER))
		seconds = TFTPK_ANYCAST_NEVER;
	else if (time && *time && (!parse_scaled(time, "seconds", &seconds) ||
				   seconds > TFTPK_ANYCAST_MAX))
		return usage_error("--anycast=%s: must be 0 to %u seconds, such as 3s, or " NEVER,
				   time, TFTPK_ANYCAST_MAX);
	*anycast = anycast_json((long long)seconds);
	return 0;
}

static json_t *listener_json(const struct endpoint *endpoint,
			     const struct ctl *ctl, json_t *anycast)
{
	bool v6 = endpoint->len == sizeof(struct in6_addr);
	json_t *object = check_alloc(json_object());

	object_put(object, "address", json_address(&endpoint->address, endpoint->len));
	object_put(object, "port", json_integer(endpoint->port));
	object_put(object, "ifindex", json_integer(endpoint->ifindex));
	object_put(object, "interface", *endpoint->interface ?
		   json_bytes(endpoint->interface, strlen(endpoint->interface)) :
		   json_null());
	object_put(object, "single-port",
		   json_boolean(ctl->option[OPTION_SINGLE_PORT]));
	object_put(object, "broadcast",
		   json_boolean(ctl->option[OPTION_BROADCAST] && !v6));
	object_put(object, "anycast", json_incref(anycast));
	return object;
}

/**
 * parse_listeners() - read the arguments of a listener
 * @ctl: its options
 * @argc: number of arguments
 * @argv: ADDR[:PORT] [dev IF]
 * @list: where the listeners go, as an array of objects like those of
 *	dump_listeners(); of "*" two, for IPv6, which has no broadcast, and IPv4
 *
 * Prints an error by itself.
 *
 * Return: 0, or an exit code.
 */
int parse_listeners(const struct ctl *ctl, int argc, char **argv, json_t **list)
{
	struct endpoint endpoint = { .port = TFTP_PORT, .may_wait = true };
	int ret = parse_listener(argc, argv, &endpoint);
	json_auto_t *anycast = NULL;
	bool both = !endpoint.len;

	if (!ret)
		ret = parse_anycast(ctl, &anycast);
	if (ret)
		return ret;
	if (endpoint.len == sizeof(struct in6_addr) &&
	    ctl->option[OPTION_BROADCAST])
		return usage_error("%s: IPv6 has no broadcast: leave --broadcast away",
				   argv[0]);

	*list = check_alloc(json_array());
	if (both)
		endpoint.len = sizeof(struct in6_addr);
	array_append(*list, listener_json(&endpoint, ctl, anycast));
	if (both) {
		endpoint.len = sizeof(struct in_addr);
		array_append(*list, listener_json(&endpoint, ctl, anycast));
	}
	return 0;
}

/**
 * listener_words() - a listener as a line of a file
 * @listener: an object as of dump_listeners()
 * @both: it stands for both families, see parse_listeners()
 *
 * Return: the arguments of 'listen', for the caller to free.
 */
char *listener_words(const json_t *listener, bool both)
{
	auto_free char *raw = raw_text(listener, "interface");
	auto_free char *dev = quote_word(raw);
	auto_free char *address = string_text(listener, "address");
	auto_free char *anycast = anycast_text(listener, " --anycast=", "");
	bool v6 = strchr(address, ':');

	return xasprintf("%s%s%s:%lld%s%s%s%s%s", v6 && !both ? "[" : "",
			 both ? "*" : address, v6 && !both ? "]" : "",
			 object_number(listener, "port"), *raw ? " dev " : "",
			 *raw ? dev : "",
			 json_is_true(object_get(listener, "single-port")) ?
				 " --single-port" : "",
			 anycast,
			 json_is_true(object_get(listener, "broadcast")) ?
				 " --broadcast" : "");
}

/* Without an address: any of both families. */
static int send_listener(struct ctl *ctl, uint8_t command, const json_t *listener,
			 const char *address)
{
	struct nlmsghdr *nlh = nl_request(ctl, command);
	const json_t *anycast = object_get(listener, "anycast");
	auto_free char *interface = raw_text(listener, "interface");

	if (address)
		put_address(nlh, TFTPK_A_LISTENER_ADDRESS, address);
	mnl_attr_put_u16(nlh, TFTPK_A_LISTENER_PORT,
			 htons((uint16_t)object_number(listener, "port")));
	if (*interface)
		mnl_attr_put_strz(nlh, TFTPK_A_LISTENER_INTERFACE, interface);
	if (command == TFTPK_CMD_LISTENER_ADD &&
	    json_is_true(object_get(listener, "single-port")))
		mnl_attr_put(nlh, TFTPK_A_LISTENER_SINGLE_PORT, 0, NULL);
	if (command == TFTPK_CMD_LISTENER_ADD &&
	    json_is_true(object_get(listener, "broadcast")))
		mnl_attr_put(nlh, TFTPK_A_LISTENER_BROADCAST, 0, NULL);
	if (command == TFTPK_CMD_LISTENER_ADD && !json_is_null(anycast))
		mnl_attr_put_u32(nlh, TFTPK_A_LISTENER_ANYCAST,
				 json_is_string(anycast) ? TFTPK_ANYCAST_NEVER :
				 (uint32_t)json_integer_value(anycast));
	return nl_do(ctl, NULL, 0, NULL);
}

int add_listener(struct ctl *ctl, const json_t *listener)
{
	return send_listener(ctl, TFTPK_CMD_LISTENER_ADD, listener,
			     json_string_value(object_get(listener, "address")));
}

int delete_listener(struct ctl *ctl, const json_t *listener)
{
	return send_listener(ctl, TFTPK_CMD_LISTENER_DEL, listener,
			     json_string_value(object_get(listener, "address")));
}

/**
 * warn_single_port() - say that clients will be slow, where they will be
 * @listeners: as of dump_listeners()
 * @trusted: as of dump_trusted()
 */
void warn_single_port(const json_t *listeners, const json_t *trusted)
{
	bool single_port = false;
	json_t *listener;
	size_t i;

	json_array_foreach(listeners, i, listener)
		single_port |= json_is_true(object_get(listener, "single-port"));
	if (single_port && !json_array_size(trusted))
		print_warning("at a single port clients beyond a router are slow until 'tftpkctl trust NETWORK' names theirs");
}

/* Tell of the listeners made or closed. */
static int print_change(const struct ctl *ctl, bool listen, json_t *changed)
{
	json_t *row;
	size_t i;

	if (ctl->json)
		return print_json(json_pack("{s:O}",
					    listen ? "listen" : "unlisten",
					    changed));
	json_array_foreach(changed, i, row) {
		auto_free char *where = endpoint_text(row, "");
		auto_free char *dev = string_text(row, "interface");
		auto_free char *options = listener_options(row, "");
		bool named = strcmp(dev, "-") != 0 && !strchr(where, '%');
		bool special = strcmp(options, "-") != 0;

		printf("%slistening on %s%s%s%s%s\n",
		       listen ? "" : "no longer ", where,
		       named ? " dev " : "", named ? dev : "",
		       special ? ", " : "", special ? options : "");
	}
	return EXIT_SUCCESS;
}

/*
 * Those of @wanted that there are: listeners of any address are asked for as
 * one, and a family that is missing is left out.
 */
static json_t *existing_listeners(struct ctl *ctl, const json_t *wanted)
{
	json_t *list = check_alloc(json_array()), *listener;
	json_auto_t *all = NULL;
	size_t i;

	if (dump_listeners(ctl, &all))
		return list;
	json_array_foreach(wanted, i, listener) {
		const json_t *found = array_find(all, listener, listener_name);

		if (!found)
			continue;
		object_put(listener, "waiting", json_boolean(json_is_true(
					object_get(found, "waiting"))));
		array_append(list, json_incref(listener));
	}
	return list;
}

/* Have one request of both families: IPv4 comes last, with all options. */
static int send_listeners(struct ctl *ctl, uint8_t command, const json_t *list)
{
	size_t n = json_array_size(list);
	const json_t *last = json_array_get(list, n - 1);

	return send_listener(ctl, command, last, n > 1 ? NULL :
			     json_string_value(object_get(last, "address")));
}

int run_listen(struct ctl *ctl, int argc, char **argv)
{
	json_auto_t *list = NULL;
	json_auto_t *made = NULL;
	json_auto_t *trusted = NULL;
	int ret;

	ret = parse_listeners(ctl, argc, argv, &list);
	if (ret)
		return ret;
	if (send_listeners(ctl, TFTPK_CMD_LISTENER_ADD, list))
		return nl_fail(ctl, "listen %s%s%s", argv[0],
			       argc > 2 ? " dev " : "", argc > 2 ? argv[2] : "");
	made = existing_listeners(ctl, list);
	if (!dump_trusted(ctl, &trusted))
		warn_single_port(made, trusted);
	return print_change(ctl, true, made);
}

int run_unlisten(struct ctl *ctl, int argc, char **argv)
{
	json_auto_t *list = NULL;
	json_auto_t *closed = NULL;
	json_t *listener;
	size_t i;
	int ret;

	ret = parse_listeners(ctl, argc, argv, &list);
	if (ret)
		return ret;
	closed = existing_listeners(ctl, list);
	if (send_listeners(ctl, TFTPK_CMD_LISTENER_DEL, list))
		return nl_fail(ctl, "unlisten %s%s%s", argv[0],
			       argc > 2 ? " dev " : "", argc > 2 ? argv[2] : "");
	/* They are named without options. */
	json_array_foreach(closed, i, listener) {
		object_remove(listener, "single-port");
		object_remove(listener, "broadcast");
		object_remove(listener, "anycast");
		object_remove(listener, "waiting");
	}
	return print_change(ctl, false, closed);
}

/*
 * other_family() - the listener that makes "*" of this one, or NULL
 *
 * Where the kernel lacks one of the families, the other is enough then.
 */
json_t *other_family(const json_t *list, const json_t *listener)
{
	static const char *const alike[] = {
		"address", "port", "interface", "single-port", "anycast", NULL
	};
	const char *address = json_string_value(object_get(listener, "address"));
	bool v6 = !strcmp(address, "::");
	json_auto_t *half = NULL;

	if (!v6 && strcmp(address, "0.0.0.0") != 0)
		return NULL;
	half = check_alloc(json_copy((json_t *)listener));
	object_put(half, "address", json_string(v6 ? "0.0.0.0" : "::"));
	return array_find(list, half, alike);
}

/**
 * configure_listen() - take a line of a file, for a configuration to be
 * @ctl: the context, with the line's options
 * @config: takes what the line says
 * @argc: number of words after the command
 * @argv: these words, and a NULL
 *
 * Return: 0, or an exit code after an error message.
 */
int configure_listen(struct ctl *ctl, json_t *config, int argc, char **argv)
{
	json_t *list = object_get(config, "listeners"), *listener;
	json_auto_t *listeners = NULL;
	size_t i;
	int ret;

	ret = parse_listeners(ctl, argc, argv, &listeners);
	if (ret)
		return ret;
	set_error_word(argv[0]);
	json_array_foreach(listeners, i, listener) {
		if (array_find(list, listener, listener_name))
			return usage_error("listen %s: given twice", argv[0]);
		array_append(list, json_incref(listener));
	}
	return 0;
}
