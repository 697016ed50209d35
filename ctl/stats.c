// SPDX-License-Identifier: GPL-2.0
/* stats: the counters of the network namespace. */
#include <stdio.h>

#include "spec.h"
#include "tftpkctl.h"

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
		char *name = xasprintf("tftpk_%s", counter->name), *c;

		for (c = name; *c; c++) {
			if (*c == '-')
				*c = '_';
		}
		printf("# TYPE %s %s\n# HELP %s %s\n", name,
		       gauge ? "gauge" : "counter", name, counter->doc);
		if (object_number(stats, counter->name) >= 0)
			printf("%s%s %lld\n", name, gauge ? "" : "_total",
			       object_number(stats, counter->name));
		free(name);
	}
	puts("# EOF");
}

int run_stats(struct ctl *ctl, int argc, char **argv)
{
	json_t *stats;
	size_t i;

	if (ctl->json && ctl->option[OPTION_OPENMETRICS])
		return usage_error("stats: either -j or --openmetrics");
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
