// SPDX-License-Identifier: GPL-2.0
/* trust, untrust: the networks that are treated as if they were on the link. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tftpkctl.h"

static const struct field trust_fields[] = {
	FIELD(TFTPK_A_TRUST_ADDRESS, FIELD_ADDRESS, "address"),
	FIELD(TFTPK_A_TRUST_PREFIX_LENGTH, FIELD_NUMBER, "prefix-length"),
};

struct network {
	struct in6_addr address;	/* of an IPv4 address the first 4 bytes */
	size_t len;			/* 4 or 16 */
	uint8_t prefix;			/* leading bits; the others are clear */
};

/* The trusted networks as an array of strings. */
int dump_trusted(struct ctl *ctl, json_t **list)
{
	json_t *rows;
	size_t i;

	if (nl_dump(ctl, TFTPK_CMD_TRUST_GET, trust_fields, COUNT(trust_fields),
		    &rows))
		return -1;

	*list = checked(json_array());
	for (i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		char *address = string_text(row, "address");
		char *prefix = number_text(row, "prefix-length");

		append(*list, json_sprintf("%s/%s", address, prefix));
		free(prefix);
		free(address);
	}
	json_decref(rows);
	return 0;
}

static char *network_column(const json_t *row, const char *name)
{
	(void)name;
	return text("%s", json_string_value(row));
}

void print_trusted(const json_t *list)
{
	static const struct column columns[] = {
		{ "TRUSTED", false, network_column, "" },
	};

	print_table(columns, COUNT(columns), list);
}

/* Read NETWORK or NETWORK/LEN. Returns 0 or an exit code. */
static int parse_network(const char *string, struct network *network)
{
	char *copy = checked(strdup(string)), *slash = strchr(copy, '/');
	uint64_t prefix = 0;
	const char *rest;
	size_t i;

	if (slash)
		*slash = '\0';
	if (inet_pton(AF_INET, copy, &network->address) == 1)
		network->len = sizeof(struct in_addr);
	else if (inet_pton(AF_INET6, copy, &network->address) == 1 &&
		 !IN6_IS_ADDR_V4MAPPED(&network->address))
		network->len = sizeof(struct in6_addr);
	free(copy);
	if (!network->len)
		return usage_error("'%s' is not a network: give 192.0.2.0/24 or 2001:db8::/32",
				   string);

	network->prefix = (uint8_t)(network->len * 8);
	if (slash) {
		string = strchr(string, '/') + 1;
		if (!parse_number(string, &rest, &prefix) || *rest ||
		    prefix > network->prefix)
			return usage_error("prefix length '%s': must be 0 to %u",
					   string, network->prefix);
		network->prefix = (uint8_t)prefix;
	}

	for (i = 0; i < network->len; i++) {
		size_t kept = network->prefix > i * 8 ?
				      network->prefix - i * 8 : 0;

		if (kept < 8)
			network->address.s6_addr[i] &=
				(uint8_t)(0xff00 >> kept);
	}
	return 0;
}

/**
 * parse_trust() - read the argument of 'trust'
 * @string: NETWORK or NETWORK/LEN
 * @shown: where it goes, as dump_trusted() has it, for the caller to free
 *
 * Complains by itself.
 *
 * Return: 0, or an exit code.
 */
int parse_trust(const char *string, char **shown)
{
	struct network network = { 0 };
	json_t *address;
	int ret;

	blame(string);
	ret = parse_network(string, &network);
	if (ret)
		return ret;
	address = checked(json_address(&network.address, network.len));
	*shown = text("%s/%u", json_string_value(address), network.prefix);
	json_decref(address);
	return 0;
}

static int request(struct ctl *ctl, uint8_t command, const char *shown)
{
	struct network network = { 0 };
	struct nlmsghdr *nlh;

	if (parse_network(shown, &network)) {
		ctl->error = EPROTO;
		return -1;
	}
	nlh = nl_request(ctl, command);
	mnl_attr_put(nlh, TFTPK_A_TRUST_ADDRESS, network.len, &network.address);
	mnl_attr_put_u8(nlh, TFTPK_A_TRUST_PREFIX_LENGTH, network.prefix);
	return nl_do(ctl, NULL, 0, NULL);
}

int add_trust(struct ctl *ctl, const char *shown)
{
	return request(ctl, TFTPK_CMD_TRUST_ADD, shown);
}

int delete_trust(struct ctl *ctl, const char *shown)
{
	return request(ctl, TFTPK_CMD_TRUST_DEL, shown);
}

static int change(struct ctl *ctl, const char *arg, bool trust)
{
	char *shown = NULL;
	int ret;

	ret = parse_trust(arg, &shown);
	if (ret)
		return ret;
	ret = EXIT_FAILURE;
	if (nl_open(ctl))
		goto out;
	if ((trust ? add_trust : delete_trust)(ctl, shown)) {
		nl_fail(ctl, "%s %s", trust ? "trust" : "untrust", arg);
		goto out;
	}
	ret = EXIT_SUCCESS;
	if (ctl->json)
		print_json(json_pack("{s:s}", trust ? "trust" : "untrust",
				     shown));
	else
		printf("%strusting %s\n", trust ? "" : "no longer ", shown);
out:
	free(shown);
	return ret;
}

int run_trust(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	return change(ctl, argv[0], true);
}

int run_untrust(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	return change(ctl, argv[0], false);
}

/**
 * configure_trust() - take a line of a file, for a configuration to be
 * @ctl: the context, with the line's options
 * @config: takes what the line says
 * @argc: number of words after the command
 * @argv: these words, and a NULL
 *
 * Return: 0, or an exit code after a complaint.
 */
int configure_trust(struct ctl *ctl, json_t *config, int argc, char **argv)
{
	json_t *list = look_up(config, "trusted");
	char *network;
	size_t i;
	int ret;

	(void)ctl;
	(void)argc;
	ret = parse_trust(argv[0], &network);
	if (ret)
		return ret;
	for (i = 0; i < json_array_size(list); i++) {
		if (!strcmp(json_string_value(json_array_get(list, i)),
			    network))
			ret = usage_error("trust %s: given twice", argv[0]);
	}
	if (!ret)
		append(list, json_string(network));
	free(network);
	return ret;
}
