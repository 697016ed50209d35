// SPDX-License-Identifier: GPL-2.0
/* Networks; trust, untrust: those that are treated as if they were on the link. */
#include <stdio.h>

#include "tftpkctl.h"

const char *const network_name[] = { "address", "prefix-length", NULL };

static const struct field trust_fields[] = {
	FIELD(TFTPK_A_TRUST_ADDRESS, FIELD_ADDRESS, "address"),
	FIELD(TFTPK_A_TRUST_PREFIX_LENGTH, FIELD_NUMBER, "prefix-length"),
};

int dump_trusted(struct ctl *ctl, json_t **list)
{
	return nl_dump(ctl, TFTPK_CMD_TRUST_GET, trust_fields,
		       COUNT(trust_fields), list);
}

/* network_text() - a network as NETWORK/LEN, for the caller to free. */
char *network_text(const json_t *network)
{
	auto_free char *address = string_text(network, "address");
	auto_free char *prefix = number_text(network, "prefix-length");

	return xasprintf("%s/%s", address, prefix);
}

static char *network_column(const json_t *row, const char *name)
{
	return network_text(row);
}

void print_trusted(const json_t *list)
{
	static const struct column columns[] = {
		{ "TRUSTED", false, network_column, "" },
	};

	print_table(columns, COUNT(columns), list);
}

/**
 * parse_network() - read a network
 * @string: NETWORK or NETWORK/LEN
 * @object: where it goes, as an object like those of dump_trusted()
 *
 * Prints an error by itself.
 *
 * Return: 0, or an exit code.
 */
int parse_network(const char *string, json_t **object)
{
	struct network network = { 0 };
	int ret;

	ret = read_network(string, &network);
	if (ret)
		return ret;
	*object = check_alloc(json_object());
	object_put(*object, "address", json_address(&network.address, network.len));
	object_put(*object, "prefix-length", json_integer(network.prefix));
	return 0;
}

/* put_network() - add a network, by two attributes. */
void put_network(struct nlmsghdr *nlh, const json_t *network, uint16_t address_attr,
		 uint16_t length_attr)
{
	put_address(nlh, address_attr,
		    json_string_value(object_get(network, "address")));
	mnl_attr_put_u8(nlh, length_attr,
			(uint8_t)object_number(network, "prefix-length"));
}

static int send_network(struct ctl *ctl, uint8_t command, const json_t *network)
{
	struct nlmsghdr *nlh = nl_request(ctl, command);

	put_network(nlh, network, TFTPK_A_TRUST_ADDRESS,
		    TFTPK_A_TRUST_PREFIX_LENGTH);
	return nl_do(ctl, NULL, 0, NULL);
}

int add_trust(struct ctl *ctl, const json_t *network)
{
	return send_network(ctl, TFTPK_CMD_TRUST_ADD, network);
}

int delete_trust(struct ctl *ctl, const json_t *network)
{
	return send_network(ctl, TFTPK_CMD_TRUST_DEL, network);
}

static int change_trust(struct ctl *ctl, const char *arg, bool trust)
{
	const char *name = trust ? "trust" : "untrust";
	json_auto_t *network = NULL;
	auto_free char *shown = NULL;
	int ret;

	ret = parse_network(arg, &network);
	if (ret)
		return ret;
	if ((trust ? add_trust : delete_trust)(ctl, network))
		return nl_fail(ctl, "%s %s", name, arg);
	shown = network_text(network);
	if (ctl->json)
		return print_json(json_pack("{s:s}", name, shown));
	printf("%strusting %s\n", trust ? "" : "no longer ", shown);
	return EXIT_SUCCESS;
}

int run_trust(struct ctl *ctl, int argc, char **argv)
{
	return change_trust(ctl, argv[0], true);
}

int run_untrust(struct ctl *ctl, int argc, char **argv)
{
	return change_trust(ctl, argv[0], false);
}

/**
 * configure_trust() - take a line of a file, for a configuration to be
 * @ctl: the context, with the line's options
 * @config: takes what the line says
 * @argc: number of words after the command
 * @argv: these words, and a NULL
 *
 * Return: 0, or an exit code after an error message.
 */
int configure_trust(struct ctl *ctl, json_t *config, int argc, char **argv)
{
	json_t *list = object_get(config, "trusted");
	json_auto_t *network = NULL;
	int ret;

	ret = parse_network(argv[0], &network);
	if (ret)
		return ret;
	if (array_find(list, network, network_name))
		return usage_error("trust %s: given twice", argv[0]);
	array_append(list, json_incref(network));
	return 0;
}
