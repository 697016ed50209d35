// SPDX-License-Identifier: GPL-2.0
/* transfers, kill: the files on their way. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "spec.h"
#include "tftpkctl.h"

/* complete_direction() - modules that take no uploads do not tell which way a file goes. */
void complete_direction(json_t *transfer)
{
	if (!json_is_string(object_get(transfer, "direction")))
		object_put(transfer, "direction",
			   json_string(direction_words[TFTPK_DIRECTION_READ]));
}

/* is_upload() - does the client write? */
bool is_upload(const json_t *transfer)
{
	const char *word = json_string_value(object_get(transfer, "direction"));

	return word && !strcmp(word, direction_words[TFTPK_DIRECTION_WRITE]);
}

/* is_stored() - has the client sent all, and the agent not said yet that it is kept? */
bool is_stored(const json_t *transfer)
{
	const char *word = json_string_value(object_get(transfer, "state"));

	return word && !strcmp(word, state_words[TFTPK_STATE_STORING]);
}

int dump_transfers(struct ctl *ctl, json_t **list)
{
	int ret = nl_dump(ctl, TFTPK_CMD_TRANSFER_GET, transfer_fields,
			  COUNT(transfer_fields), list);
	json_t *transfer;
	size_t i;

	if (ret)
		return ret;
	json_array_foreach(*list, i, transfer)
		complete_direction(transfer);
	return 0;
}

/* file_column() - the file, or what was asked for where none is open yet. */
char *file_column(const json_t *row, const char *name)
{
	return string_text(row, json_is_string(object_get(row, name)) ? name : "name");
}

static char *percent_column(const json_t *row, const char *name)
{
	long long size = object_number(row, "size");
	long long acknowledged = object_number(row, name);

	if (size <= 0 || acknowledged < 0)
		return xasprintf("-");
	return xasprintf("%.0f", 100.0 * (double)acknowledged / (double)size);
}

/* rtt_column() - microseconds as milliseconds, of which 0 are not known. */
char *rtt_column(const json_t *row, const char *name)
{
	long long rtt = object_number(row, name);

	return rtt <= 0 ? xasprintf("-") : xasprintf("%.2fms", (double)rtt / 1000.0);
}

static char *age_column(const json_t *row, const char *name)
{
	long long age = object_number(row, name);

	return age < 0 ? xasprintf("-") : xasprintf("%lld.%llds", age / 1000,
						    age % 1000 / 100);
}

static char *rate_column(const json_t *row, const char *name)
{
	double bytes = transfer_rate(row, "age");
	char *amount, *column;

	if (bytes < 0)
		return xasprintf("-");
	amount = amount_text(bytes);
	column = xasprintf("%s/s", amount);
	free(amount);
	return column;
}

int run_transfers(struct ctl *ctl, int argc, char **argv)
{
	static const struct column columns[] = {
		{ "ID", true, number_text, "id" },
		{ "CLIENT", false, endpoint_text, "client-" },
		{ "DIRECTION", false, string_text, "direction" },
		{ "FILE", false, file_column, "file" },
		{ "SIZE", true, number_text, "size" },
		{ "%", true, percent_column, "acknowledged" },
		{ "RATE", true, rate_column, "acknowledged" },
		{ "BLKSIZE", true, number_text, "block-size" },
		{ "WINDOW", true, number_text, "window-size" },
		{ "RTT", true, rtt_column, "rtt" },
		{ "RETRANS", true, number_text, "blocks-retransmitted" },
		{ "STATE", false, string_text, "state" },
		{ "AGE", true, age_column, "age" },
	};
	json_t *list;
	size_t i;

	if (ctl->option[OPTION_SAVE])
		return save_transfers(ctl);
	if (dump_transfers(ctl, &list))
		return nl_fail(ctl, "transfers");
	for (i = 0; i < json_array_size(list); i++) {
		json_t *row = json_array_get(list, i);
		double bytes = transfer_rate(row, "age");

		object_put(row, "rate", bytes < 0 ? json_null() :
				 json_integer((json_int_t)bytes));
	}
	if (ctl->json)
		return print_json(list);
	print_table(columns, COUNT(columns), list);
	json_decref(list);
	return EXIT_SUCCESS;
}

/* Which transfers are to end: the one of an id, or all of a client. */
struct kill_target {
	uint32_t id;			/* 0 if a client is given */
	struct endpoint client;		/* port 0 for all */
};

static int parse_kill_target(const char *string, struct kill_target *target)
{
	const char *rest;
	uint64_t id;
	int ret;

	if (parse_number(string, &rest, &id) && !*rest) {
		if (!id || id > UINT32_MAX)
			return usage_error("kill %s: a transfer's number is 1 to %u",
					   string, UINT32_MAX);
		target->id = (uint32_t)id;
		return 0;
	}
	ret = parse_endpoint(string, &target->client);
	if (!ret && !target->client.len)
		ret = usage_error("kill %s: give a transfer's number or a client's ADDR[:PORT]",
				  string);
	return ret;
}

int run_kill(struct ctl *ctl, int argc, char **argv)
{
	struct kill_target target = { 0 };
	const struct endpoint *client = &target.client;
	struct nlmsghdr *nlh;
	json_t *killed;
	int ret;

	ret = parse_kill_target(argv[0], &target);
	if (ret)
		return ret;

	nlh = nl_request(ctl, TFTPK_CMD_TRANSFER_KILL);
	if (target.id) {
		mnl_attr_put_u32(nlh, TFTPK_A_TRANSFER_ID, target.id);
	} else {
		mnl_attr_put(nlh, TFTPK_A_TRANSFER_CLIENT_ADDRESS, client->len,
			     &client->address);
		if (client->port)
			mnl_attr_put_u16(nlh, TFTPK_A_TRANSFER_CLIENT_PORT,
					 htons(client->port));
	}
	ret = nl_do(ctl, NULL, 0, NULL);
	if (ret && ctl->error == ENOENT) {
		print_error("kill %s: no such transfer ('tftpkctl transfers' lists them)",
			    argv[0]);
		return EXIT_FAILURE;
	}
	if (ret)
		return nl_fail(ctl, "kill %s", argv[0]);

	killed = check_alloc(json_object());
	object_put(killed, "id", target.id ? json_integer(target.id) : json_null());
	object_put(killed, "client-address",
		   json_address(&client->address, client->len));
	object_put(killed, "client-port",
		   client->port ? json_integer(client->port) : json_null());
	if (ctl->json)
		return print_json(json_pack("{s:o}", "kill", killed));
	json_decref(killed);
	printf("ended %s %s\n", target.id || client->port ?
	       "transfer" : "all transfers of", argv[0]);
	return EXIT_SUCCESS;
}
