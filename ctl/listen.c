// SPDX-License-Identifier: GPL-2.0
/* listen, unlisten: the addresses that requests are accepted on. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "tftpkctl.h"

static const struct field listener_fields[] = {
	FIELD(TFTPK_A_LISTENER_ADDRESS, FIELD_ADDRESS, "address"),
	FIELD(TFTPK_A_LISTENER_PORT, FIELD_PORT, "port"),
	FIELD(TFTPK_A_LISTENER_IFINDEX, FIELD_INTERFACE, "ifindex"),
	FIELD(TFTPK_A_LISTENER_IMPLICIT, FIELD_FLAG, "implicit"),
	FIELD(TFTPK_A_LISTENER_SINGLE_PORT, FIELD_FLAG, "single-port"),
	FIELD(TFTPK_A_LISTENER_BROADCAST, FIELD_FLAG, "broadcast"),
};

struct endpoint {
	struct in6_addr address;	/* of an IPv4 address the first 4 bytes */
	size_t len;			/* 4 or 16, 0 for any of both families */
	uint32_t ifindex;		/* 0 for any */
	uint16_t port;
	bool single_port, broadcast;
};

int dump_listeners(struct ctl *ctl, json_t **list)
{
	return nl_dump(ctl, TFTPK_CMD_LISTENER_GET, listener_fields,
		       COUNT(listener_fields), list);
}

static char *origin_column(const json_t *row, const char *name)
{
	return text(json_is_true(look_up(row, name)) ? "export" : "listen");
}

/* What the listener was told to do otherwise than others. */
static char *options_column(const json_t *row, const char *name)
{
	bool single_port = json_is_true(look_up(row, "single-port"));
	bool broadcast = json_is_true(look_up(row, "broadcast"));

	(void)name;
	if (!single_port && !broadcast)
		return text("-");
	return text("%s%s%s", single_port ? "single-port" : "",
		    single_port && broadcast ? ", " : "",
		    broadcast ? "broadcast" : "");
}

void print_listeners(const json_t *list)
{
	static const struct column columns[] = {
		{ "LISTENER", false, endpoint_text, "" },
		{ "DEV", false, string_text, "interface" },
		{ "MADE BY", false, origin_column, "implicit" },
		{ "OPTIONS", false, options_column, "" },
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

/* The index of an interface, which must not contradict the one found before. */
static int parse_interface(const char *name, uint32_t *ifindex)
{
	uint32_t found = if_nametoindex(name);

	if (!found) {
		complain("no interface %s in this network namespace ('ip link' lists them)",
			 name);
		return EXIT_FAILURE;
	}
	if (*ifindex && *ifindex != found)
		return usage_error("dev %s: not the interface of the address",
				   name);
	*ifindex = found;
	return 0;
}

/*
 * Read ADDR, ADDR:PORT, [ADDR]:PORT or *:PORT, where an IPv6 address may carry
 * its interface after a percent sign. Returns 0 or an exit code.
 */
static int parse_endpoint(const char *string, struct endpoint *endpoint)
{
	char *copy = checked(strdup(string));
	char *host = copy, *port = NULL, *scope, *colon = strchr(copy, ':');
	int ret = 0;

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
		ret = parse_interface(scope, &endpoint->ifindex);
	free(copy);
	return ret;
bad:
	free(copy);
	return usage_error("'%s' is not an address: give 192.0.2.1, 192.0.2.1:69, 2001:db8::1, [2001:db8::1]:69, * or *:69",
			   string);
}

static int parse_args(int argc, char **argv, struct endpoint *endpoint)
{
	int ret;

	if (argc == 2 || (argc == 3 && strcmp(argv[1], "dev") != 0))
		return usage_error("unexpected '%s': give ADDR[:PORT] [dev IF]",
				   argv[1]);
	ret = parse_endpoint(argv[0], endpoint);
	if (!ret && argc == 3)
		ret = parse_interface(argv[2], &endpoint->ifindex);
	if (!ret && endpoint->len == sizeof(struct in6_addr) &&
	    IN6_IS_ADDR_LINKLOCAL(&endpoint->address) && !endpoint->ifindex)
		ret = usage_error("%s: a link-local address needs its interface: add 'dev IF'",
				  argv[0]);
	if (!ret && endpoint->len == sizeof(struct in6_addr) &&
	    endpoint->broadcast)
		ret = usage_error("%s: IPv6 has no broadcast: leave --broadcast away",
				  argv[0]);
	return ret;
}

static json_t *endpoint_json(const struct endpoint *endpoint, bool listen)
{
	json_t *object = checked(json_object());

	put(object, "address", json_address(&endpoint->address, endpoint->len));
	put(object, "port", json_integer(endpoint->port));
	put_interface(object, endpoint->ifindex);
	if (listen) {
		put(object, "single-port", json_boolean(endpoint->single_port));
		put(object, "broadcast", json_boolean(endpoint->broadcast));
	}
	return object;
}

static int request(struct ctl *ctl, uint8_t command,
		   const struct endpoint *endpoint)
{
	struct nlmsghdr *nlh = nl_request(ctl, command);

	mnl_attr_put(nlh, TFTPK_A_LISTENER_ADDRESS, endpoint->len,
		     &endpoint->address);
	mnl_attr_put_u16(nlh, TFTPK_A_LISTENER_PORT, htons(endpoint->port));
	if (endpoint->ifindex)
		mnl_attr_put_u32(nlh, TFTPK_A_LISTENER_IFINDEX,
				 endpoint->ifindex);
	if (endpoint->single_port)
		mnl_attr_put(nlh, TFTPK_A_LISTENER_SINGLE_PORT, 0, NULL);
	if (endpoint->broadcast)
		mnl_attr_put(nlh, TFTPK_A_LISTENER_BROADCAST, 0, NULL);
	return nl_do(ctl, NULL, 0, NULL);
}

/* Tell of the listeners made or closed; @done is given away. */
static int report(const struct ctl *ctl, bool listen, json_t *done)
{
	size_t i;

	if (ctl->json)
		return print_json(json_pack("{s:o}",
					    listen ? "listen" : "unlisten",
					    done));
	for (i = 0; i < json_array_size(done); i++) {
		const json_t *row = json_array_get(done, i);
		char *where = endpoint_text(row, "");
		char *dev = string_text(row, "interface");
		char *options = options_column(row, "");
		bool named = strcmp(dev, "-") != 0 && !strchr(where, '%');
		bool special = strcmp(options, "-") != 0;

		printf("%slistening on %s%s%s%s%s\n",
		       listen ? "" : "no longer ", where,
		       named ? " dev " : "", named ? dev : "",
		       special ? ", " : "", special ? options : "");
		free(options);
		free(dev);
		free(where);
	}
	json_decref(done);
	return EXIT_SUCCESS;
}

/*
 * "*" is an IPv6 and an IPv4 listener, but for machines that lack one of the
 * families: split it, with IPv6, which has no broadcast, first.
 */
static int split(const struct endpoint *endpoint, struct endpoint each[2])
{
	each[0] = *endpoint;
	each[1] = *endpoint;
	if (endpoint->len)
		return 1;
	each[0].len = sizeof(struct in6_addr);
	each[0].broadcast = false;
	each[1].len = sizeof(struct in_addr);
	return 2;
}

/* Ask for one or both families; @done holds those that were granted. */
static int change(struct ctl *ctl, int argc, char **argv, bool listen)
{
	struct endpoint endpoint = {
		.port = TFTP_PORT,
		.single_port = ctl->option[OPTION_SINGLE_PORT],
		.broadcast = ctl->option[OPTION_BROADCAST],
	};
	struct endpoint each[2];
	json_t *done;
	int i, n, ret;

	ret = parse_args(argc, argv, &endpoint);
	if (ret)
		return ret;
	if (nl_open(ctl))
		return EXIT_FAILURE;

	done = checked(json_array());
	n = split(&endpoint, each);
	for (i = 0; i < n; i++) {
		if (!request(ctl, listen ? TFTPK_CMD_LISTENER_ADD :
					   TFTPK_CMD_LISTENER_DEL, &each[i]))
			append(done, endpoint_json(&each[i], listen));
		else if (ctl->error != EAFNOSUPPORT &&
			 (listen || ctl->error != ENOENT))
			break;
	}
	if (i == n && json_array_size(done))
		return report(ctl, listen, done);

	ret = nl_fail(ctl, "%s %s%s%s", listen ? "listen" : "unlisten",
		      argv[0], argc > 2 ? " dev " : "", argc > 2 ? argv[2] : "");
	if (listen && json_array_size(done) &&
	    request(ctl, TFTPK_CMD_LISTENER_DEL, &each[0]))
		nl_fail(ctl, "listen %s: the IPv6 half remains", argv[0]);
	json_decref(done);
	return ret;
}

int run_listen(struct ctl *ctl, int argc, char **argv)
{
	return change(ctl, argc, argv, true);
}

int run_unlisten(struct ctl *ctl, int argc, char **argv)
{
	return change(ctl, argc, argv, false);
}
