// SPDX-License-Identifier: GPL-2.0
/* transfers: the files on their way. */
#include <stdio.h>

#include "tftpkctl.h"

static const struct field transfer_fields[] = {
	FIELD(TFTPK_A_TRANSFER_ID, FIELD_NUMBER, "id"),
	FIELD(TFTPK_A_TRANSFER_STATE, FIELD_STATE, "state"),
	FIELD(TFTPK_A_TRANSFER_CLIENT_ADDRESS, FIELD_ADDRESS, "client-address"),
	FIELD(TFTPK_A_TRANSFER_CLIENT_PORT, FIELD_PORT, "client-port"),
	FIELD(TFTPK_A_TRANSFER_SERVER_ADDRESS, FIELD_ADDRESS, "server-address"),
	FIELD(TFTPK_A_TRANSFER_SERVER_PORT, FIELD_PORT, "server-port"),
	FIELD(TFTPK_A_TRANSFER_IFINDEX, FIELD_INTERFACE, "ifindex"),
	FIELD(TFTPK_A_TRANSFER_EXPORT_ID, FIELD_NUMBER, "export-id"),
	FIELD(TFTPK_A_TRANSFER_FILE, FIELD_STRING, "file"),
	FIELD(TFTPK_A_TRANSFER_SIZE, FIELD_NUMBER, "size"),
	FIELD(TFTPK_A_TRANSFER_ACKNOWLEDGED, FIELD_NUMBER, "acknowledged"),
	FIELD(TFTPK_A_TRANSFER_BLOCK_SIZE, FIELD_NUMBER, "block-size"),
	FIELD(TFTPK_A_TRANSFER_WINDOW_SIZE, FIELD_NUMBER, "window-size"),
	FIELD(TFTPK_A_TRANSFER_TIMEOUT, FIELD_NUMBER, "timeout"),
	FIELD(TFTPK_A_TRANSFER_RTT, FIELD_NUMBER, "rtt"),
	FIELD(TFTPK_A_TRANSFER_BLOCKS_RETRANSMITTED, FIELD_NUMBER,
	      "blocks-retransmitted"),
	FIELD(TFTPK_A_TRANSFER_AGE, FIELD_NUMBER, "age"),
};

static char *percent_column(const json_t *row, const char *name)
{
	long long size = number(row, "size");
	long long acknowledged = number(row, name);

	if (size <= 0 || acknowledged < 0)
		return text("-");
	return text("%.0f", 100.0 * (double)acknowledged / (double)size);
}

static char *rtt_column(const json_t *row, const char *name)
{
	long long rtt = number(row, name);

	return rtt <= 0 ? text("-") : text("%.2fms", (double)rtt / 1000.0);
}

static char *age_column(const json_t *row, const char *name)
{
	long long age = number(row, name);

	return age < 0 ? text("-") : text("%lld.%llds", age / 1000,
					  age % 1000 / 100);
}

int run_transfers(struct ctl *ctl, int argc, char **argv)
{
	static const struct column columns[] = {
		{ "ID", true, number_text, "id" },
		{ "CLIENT", false, endpoint_text, "client-" },
		{ "FILE", false, string_text, "file" },
		{ "SIZE", true, number_text, "size" },
		{ "%", true, percent_column, "acknowledged" },
		{ "BLKSIZE", true, number_text, "block-size" },
		{ "WINDOW", true, number_text, "window-size" },
		{ "RTT", true, rtt_column, "rtt" },
		{ "RETRANS", true, number_text, "blocks-retransmitted" },
		{ "STATE", false, string_text, "state" },
		{ "AGE", true, age_column, "age" },
	};
	json_t *list;

	(void)argc;
	(void)argv;
	if (nl_open(ctl))
		return EXIT_FAILURE;
	if (nl_dump(ctl, TFTPK_CMD_TRANSFER_GET, transfer_fields,
		    COUNT(transfer_fields), &list))
		return nl_fail(ctl, "transfers");
	if (ctl->json)
		return print_json(list);
	print_table(columns, COUNT(columns), list);
	json_decref(list);
	return EXIT_SUCCESS;
}
