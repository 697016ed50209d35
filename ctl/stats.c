// SPDX-License-Identifier: GPL-2.0
/* stats: the counters of the network namespace. */
#include <stdio.h>

#include "tftpkctl.h"

#define COUNTER(a, n, d) \
	{ .attr = TFTPK_A_STATS_##a, .type = FIELD_NUMBER, .name = (n), .doc = (d) }

static const struct field counters[] = {
	COUNTER(REQUESTS, "requests",
		"well-formed read requests, repeated ones included"),
	COUNTER(REQUESTS_REPEATED, "requests-repeated",
		"requests for a transfer that was already running"),
	COUNTER(REQUESTS_REFUSED, "requests-refused",
		"requests answered by an ERROR before a transfer started"),
	COUNTER(REQUESTS_DROPPED, "requests-dropped",
		"requests dropped by a limit, for memory, or at a single port"),
	COUNTER(WRITES_REFUSED, "writes-refused",
		"write requests, which are all refused"),
	COUNTER(PACKETS_MALFORMED, "packets-malformed",
		"packets dropped because they are not TFTP, or from nobody"),
	COUNTER(PACKETS_UNKNOWN, "packets-unknown",
		"packets dropped because they belong to no transfer"),
	COUNTER(TRANSFERS_STARTED, "transfers-started",
		"transfers whose file was opened"),
	COUNTER(TRANSFERS_COMPLETED, "transfers-completed",
		"transfers whose last block was acknowledged"),
	COUNTER(TRANSFERS_FAILED, "transfers-failed",
		"transfers ended by a timeout, an error or a command"),
	COUNTER(TRANSFERS_ABORTED, "transfers-aborted",
		"transfers ended by their client, mere probes not included"),
	COUNTER(TRANSFERS_ACTIVE, "transfers-active",
		"transfers that are running now"),
	COUNTER(BLOCKS_SENT, "blocks-sent",
		"DATA packets sent, retransmitted ones included"),
	COUNTER(BLOCKS_RETRANSMITTED, "blocks-retransmitted",
		"DATA packets sent more than once"),
	COUNTER(BYTES_SENT, "bytes-sent",
		"payload bytes sent, retransmitted ones included"),
	COUNTER(BYTES_COPIED, "bytes-copied",
		"payload bytes that the module copied; the rest left uncopied"),
	COUNTER(SKBS_SENT, "skbs-sent",
		"socket buffers that carried the DATA packets"),
	COUNTER(ACKS_RECEIVED, "acks-received",
		"ACKs that belonged to a transfer"),
	COUNTER(ACKS_IGNORED, "acks-ignored",
		"those of them that changed nothing"),
	COUNTER(TIMEOUTS, "timeouts",
		"retransmission timeouts"),
	COUNTER(PROBES, "probes",
		"tail-loss probes sent"),
	COUNTER(REFILLS, "refills",
		"times a transfer read ahead from its file"),
	COUNTER(SEND_ERRORS, "send-errors",
		"bursts that could not be built or routed"),
	COUNTER(REQUESTS_LIMITED, "requests-limited",
		"requests beyond what their source may send"),
	COUNTER(TRANSFERS_EVICTED, "transfers-evicted",
		"unverified transfers that made room for newer ones"),
	COUNTER(PACKETS_STRANGE, "packets-strange",
		"packets to a transfer's port from elsewhere, answered by ERROR 5"),
	COUNTER(CLIENTS_UNREACHABLE, "clients-unreachable",
		"transfers ended by an ICMP port unreachable"),
	COUNTER(CLIENTS_PROBING, "clients-probing",
		"transfers ended by their client right after the OACK"),
	COUNTER(EVENTS_DROPPED, "events-dropped",
		"events that a monitor missed, or of a flood of refusals"),
	COUNTER(TRANSFERS_BOUNDED, "transfers-bounded",
		"transfers slowed down at a single port, as not trusted"),
};

void explain_stats(void)
{
	size_t i;

	for (i = 0; i < COUNT(counters); i++)
		printf("  %-21s %s\n", counters[i].name, counters[i].doc);
}

/* read_stats() - the counters as an object. Returns 0, or -1. */
int read_stats(struct ctl *ctl, json_t **stats)
{
	nl_request(ctl, TFTPK_CMD_STATS_GET);
	return nl_do(ctl, counters, COUNT(counters), stats);
}

/*
 * OpenMetrics 1.0: a family has its type, its help and one sample; a counter's
 * ends in _total. What is not told has no sample.
 */
static void print_openmetrics(const json_t *stats)
{
	size_t i;

	for (i = 0; i < COUNT(counters); i++) {
		const struct field *counter = &counters[i];
		bool gauge = counter->attr == TFTPK_A_STATS_TRANSFERS_ACTIVE;
		char *name = text("tftpk_%s", counter->name), *c;

		for (c = name; *c; c++) {
			if (*c == '-')
				*c = '_';
		}
		printf("# TYPE %s %s\n# HELP %s %s\n", name,
		       gauge ? "gauge" : "counter", name, counter->doc);
		if (number(stats, counter->name) >= 0)
			printf("%s%s %lld\n", name, gauge ? "" : "_total",
			       number(stats, counter->name));
		free(name);
	}
	puts("# EOF");
}

int run_stats(struct ctl *ctl, int argc, char **argv)
{
	json_t *stats;
	size_t i;

	(void)argc;
	(void)argv;
	if (ctl->json && ctl->option[OPTION_OPENMETRICS])
		return usage_error("stats: either -j or --openmetrics");
	if (nl_open(ctl))
		return EXIT_FAILURE;
	if (read_stats(ctl, &stats))
		return nl_fail(ctl, "stats");
	if (ctl->json)
		return print_json(stats);

	if (ctl->option[OPTION_OPENMETRICS]) {
		print_openmetrics(stats);
		json_decref(stats);
		return EXIT_SUCCESS;
	}
	for (i = 0; i < COUNT(counters); i++) {
		char *value = number_text(stats, counters[i].name);

		printf("%-21s %s\n", counters[i].name, value);
		free(value);
	}
	json_decref(stats);
	return EXIT_SUCCESS;
}
