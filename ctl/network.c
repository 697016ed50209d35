// SPDX-License-Identifier: GPL-2.0
/* Networks: an address and the length of its prefix. */
#include <arpa/inet.h>
#include <string.h>

#include "tftpkctl.h"

/**
 * read_network() - read NETWORK or NETWORK/LEN
 * @string: the network
 * @network: where it goes
 *
 * Prints an error by itself.
 *
 * Return: 0, or an exit code.
 */
int read_network(const char *string, struct network *network)
{
	auto_free char *copy = check_alloc(strdup(string));
	char *slash = strchr(copy, '/');
	uint64_t prefix = 0;
	const char *rest;
	size_t i;

	set_error_word(string);
	network->len = 0;
	if (slash)
		*slash = '\0';
	if (inet_pton(AF_INET, copy, &network->address) == 1)
		network->len = sizeof(struct in_addr);
	else if (inet_pton(AF_INET6, copy, &network->address) == 1 &&
		 !IN6_IS_ADDR_V4MAPPED(&network->address))
		network->len = sizeof(struct in6_addr);
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

/* network_has() - is an address of 4 or 16 bytes in the network? */
bool network_has(const struct network *network, const struct in6_addr *address,
		 size_t len)
{
	size_t bytes = network->prefix / 8U, bits = network->prefix % 8U;
	unsigned int differ;

	if (len != network->len ||
	    memcmp(address, &network->address, bytes) != 0)
		return false;
	if (!bits)
		return true;
	differ = address->s6_addr[bytes] ^ network->address.s6_addr[bytes];
	return !(differ & (0xff00U >> bits) & 0xff);
}
