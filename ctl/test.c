// SPDX-License-Identifier: GPL-2.0
/* test: what a client would get, and how much it may ask for. */
#include <stdio.h>
#include <string.h>

#include "spec.h"
#include "tftpkctl.h"

#define TFTP_NOT_FOUND	1
#define TFTP_ACCESS	2

/* Move keys, up to a NULL, from one object to another. */
static void move_keys(json_t *from, json_t *to, const char *const *names)
{
	for (; *names; names++) {
		object_put(to, *names, json_incref(object_get(from, *names)));
		object_remove(from, *names);
	}
}

/* Take from the reply what it tells of the client. */
static json_t *take_source(json_t *reply, const struct endpoint *from,
			   const json_t *values)
{
	static const char *const names[] = {
		"source", "gateway", "ifindex", "interface", "burst",
		"window-size", NULL
	};
	auto_free char *network = string_text(reply, "network");
	json_t *source = check_alloc(json_object());

	object_put(source, "address", json_address(&from->address, from->len));
	move_keys(reply, source, names);
	object_put(source, "network",
		   json_is_null(object_get(reply, "network")) ? json_null() :
		   json_sprintf("%s/%lld", network, object_number(reply, "prefix-length")));
	object_put(source, "rate", json_incref(object_get(values, "source-rate")));
	return source;
}

/* The rest of a line about a client that may ask. */
static void print_limits(const json_t *source, const json_t *values)
{
	long long burst = object_number(source, "burst");
	long long window = object_number(source, "window-size");

	if (burst)
		printf(": %lld requests without options at once, %lld per second after that",
		       burst, object_number(source, "rate"));
	else
		printf(": any number of requests");
	if (window < object_number(values, "max-windowsize"))
		printf(", windows of %lld", window);
	putchar('\n');
}

static void print_source(const json_t *source, const json_t *values)
{
	const char *kind = json_string_value(object_get(source, "source"));
	auto_free char *address = string_text(source, "address");
	auto_free char *network = string_text(source, "network");
	auto_free char *gateway = string_text(source, "gateway");
	auto_free char *interface = string_text(source, "interface");

	if (!strcmp(kind, "unserved"))
		printf("%s cannot ask: no listener takes its requests ('tftpkctl show' lists them)\n",
		       address);
	else if (!strcmp(kind, "unreachable"))
		printf("%s cannot be reached: there is no route to it ('ip route' lists them)\n",
		       address);
	else if (!strcmp(kind, "trusted"))
		printf("%s is trusted with %s", address, network);
	else if (!strcmp(kind, "link"))
		printf("%s is on the link of %s", address, interface);
	else if (json_is_string(object_get(source, "gateway")))
		printf("%s is behind the router %s", address, gateway);
	else
		printf("%s is neither on the link nor trusted", address);
	if (object_number(source, "burst") >= 0)
		print_limits(source, values);
}

/* Does it depend on who asks which exports there are? */
static bool is_for_some(const json_t *config)
{
	json_t *export;
	size_t i;

	json_array_foreach(object_get(config, "exports"), i, export) {
		if (json_array_size(object_get(export, "for")))
			return true;
	}
	return false;
}

static char *served_text(const json_t *result, const char *file)
{
	long long id = object_number(result, "export-id");
	long long size = object_number(result, "size");

	if (id >= 0)
		return xasprintf("served: %s, %lld bytes, by export %lld", file, size, id);
	return xasprintf("served: %s, %lld bytes, opened by the agent", file, size);
}

/* result_text() - what a client gets, as a line. */
char *result_text(const json_t *result)
{
	long long code = object_number(result, "error-code");
	auto_free char *reason = string_text(result, "reason");
	auto_free char *file = string_text(result, "file");
	const char *by = json_string_value(object_get(result, "answered-by"));
	const char *hint = "";

	if (by && strcmp(by, "kernel") != 0)
		hint = "";
	else if (code == TFTP_NOT_FOUND)
		hint = " (in no export that 'tftpkctl show' lists)";
	else if (code == TFTP_ACCESS)
		hint = " (no regular file, or not for the user in 'tftpkctl show')";

	if (json_is_true(object_get(result, "served")))
		return served_text(result, file);
	if (code >= 0)
		return xasprintf("refused: ERROR %lld, %s%s", code, reason, hint);
	return xasprintf("refused: %s", reason);
}

/* @anybody: nobody was said to ask, and that matters. */
static void print_result(const json_t *result, bool anybody)
{
	const char *by = json_string_value(object_get(result, "answered-by"));
	auto_free char *text = result_text(result);

	puts(text);
	if (anybody && object_number(result, "error-code") == TFTP_NOT_FOUND)
		puts("some exports are for some clients only: name one by --from");
	if (by && !strcmp(by, "memory"))
		puts("the agent said so, some time ago");
	else if (by && !strcmp(by, "agent"))
		puts("the agent said so");
	else if (by && !strcmp(by, "policy"))
		puts("the agent did not answer, so resolve-policy holds");
}

static bool all_wait(const json_t *listeners)
{
	json_t *listener;
	size_t i;

	json_array_foreach(listeners, i, listener) {
		if (!json_is_true(object_get(listener, "waiting")))
			return false;
	}
	return true;
}

/* request_obstacle() - why no request is taken at all, whatever its file, or NULL. */
const char *request_obstacle(const json_t *config)
{
	if (!json_array_size(object_get(config, "exports")))
		return "nothing is exported: tftpkctl export DIR";
	if (!json_array_size(object_get(config, "listeners")))
		return "nothing listens: tftpkctl listen '*'";
	if (all_wait(object_get(config, "listeners")))
		return "all listeners wait for their interfaces: 'ip link' lists those that there are";
	if (json_is_true(object_get(object_get(config, "settings"), "draining")))
		return "draining, no requests are taken: tftpkctl undrain";
	return NULL;
}

/* parse_client() - read the address of a client. Returns 0 or an exit code. */
int parse_client(const char *string, struct endpoint *from)
{
	int ret = parse_endpoint(string, from);

	if (!ret && (!from->len || from->port))
		ret = usage_error("--from %s: give an address alone, such as 192.0.2.7",
				  string);
	return ret;
}

bool is_file_name(const char *name)
{
	return *name && strlen(name) <= TFTPK_PATH_MAX;
}

/* look_up_file() - ask what a client gets; its length is 0 if none is given. */
int look_up_file(struct ctl *ctl, const char *name, const struct endpoint *from,
		 json_t **reply)
{
	struct nlmsghdr *nlh = nl_request(ctl, TFTPK_CMD_LOOKUP);

	mnl_attr_put_strz(nlh, TFTPK_A_LOOKUP_NAME, name);
	if (from->len)
		mnl_attr_put(nlh, TFTPK_A_LOOKUP_CLIENT_ADDRESS, from->len,
			     &from->address);
	if (from->ifindex)
		mnl_attr_put_u32(nlh, TFTPK_A_LOOKUP_IFINDEX, from->ifindex);
	if (ctl->option[OPTION_NO_AGENT])
		mnl_attr_put(nlh, TFTPK_A_LOOKUP_NO_AGENT, 0, NULL);
	return nl_do(ctl, lookup_fields, COUNT(lookup_fields), reply);
}

/* make_result() - what a client gets, by what was found and whether requests are taken. */
json_t *make_result(json_t *reply, const json_t *config, const char *name)
{
	static const char *const names[] = {
		"export-id", "file", "size", "error-code", "reason",
		"answered-by", NULL
	};
	json_t *result = check_alloc(json_object());
	const char *why = request_obstacle(config);

	move_keys(reply, result, names);
	if (why && (json_is_null(object_get(result, "error-code")) ||
		    !json_array_size(object_get(config, "exports")))) {
		object_put(result, "error-code", json_null());
		object_put(result, "reason", json_string(why));
	}
	object_put(result, "served",
		   json_boolean(json_is_null(object_get(result, "reason"))));
	object_put(result, "name", json_bytes(name, strlen(name)));
	return result;
}

int run_test(struct ctl *ctl, int argc, char **argv)
{
	const char *address = ctl->option[OPTION_FROM];
	json_auto_t *reply = NULL;
	json_auto_t *config = NULL;
	json_auto_t *result = NULL;
	json_auto_t *source = json_null();
	struct endpoint from = { 0 };
	const json_t *values;
	int ret;

	if (!is_file_name(argv[0]))
		return usage_error("test: the name of a file has 1 to %u bytes",
				   TFTPK_PATH_MAX);
	if (ctl->option[OPTION_WRITE] && (address || ctl->option[OPTION_NO_AGENT]))
		return usage_error("test: --write asks as this machine, and the agent: neither --from nor --no-agent");
	if (ctl->option[OPTION_WRITE])
		return run_test_write(ctl, argc, argv);
	if (argc > 1)
		return usage_error("test: '%s': only --write takes a size", argv[1]);
	ret = address ? parse_client(address, &from) : 0;
	if (ret)
		return ret;
	if (look_up_file(ctl, argv[0], &from, &reply) ||
	    read_config(ctl, &config))
		return nl_fail(ctl, "test %s", argv[0]);

	values = object_get(config, "settings");
	if (address)
		source = take_source(reply, &from, values);
	result = make_result(reply, config, argv[0]);
	ret = json_is_true(object_get(result, "served")) ? EXIT_SUCCESS :
							EXIT_FAILURE;
	if (ctl->json) {
		object_put(result, "from", json_incref(source));
		print_json(json_incref(result));
		return ret;
	}
	print_result(result, !address && is_for_some(config));
	if (address)
		print_source(source, values);
	return ret;
}
