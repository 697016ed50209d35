// SPDX-License-Identifier: GPL-2.0
/* stats: counters and histograms of the network namespace. */
#include <errno.h>
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
 * The histograms as an object by their names, empty where an older module knows of
 * none. Returns 0, or -1.
 */
static int read_histograms(struct ctl *ctl, json_t **histograms)
{
	json_auto_t *list = NULL;
	json_t *entry;
	size_t i;

	if (nl_dump_once(ctl, TFTPK_CMD_HISTOGRAM_GET, histogram_fields,
			 COUNT(histogram_fields), &list, NULL)) {
		if (ctl->error != EOPNOTSUPP)
			return -1;
	}
	*histograms = check_alloc(json_object());
	json_array_foreach(list, i, entry) {
		json_t *own = check_alloc(json_object());
		const char *what = json_string_value(object_get(entry, "what"));

		object_put(own, "sum", json_incref(object_get(entry, "sum")));
		object_put(own, "buckets", json_incref(object_get(entry, "bucket")));
		object_put(*histograms, what, own);
	}
	return 0;
}

/* With underscores, as metrics are named. */
static char *metric_name(const char *name, const char *unit)
{
	char *metric = xasprintf("tftpk_%s%s", name, unit), *c;

	for (c = metric; *c; c++) {
		if (*c == '-')
			*c = '_';
	}
	return metric;
}

/*
 * A family has its type, its help and one sample. A counter's ends in _total: so does
 * its family's name in Prometheus' format, but not in OpenMetrics. What is not told has
 * no sample.
 */
static void print_counter(const json_t *stats, const struct field *counter, bool open)
{
	bool gauge = counter->attr == TFTPK_A_STATS_TRANSFERS_ACTIVE ||
		     counter->attr == TFTPK_A_STATS_BYTES_PINNED;
	auto_free char *name = metric_name(counter->name, "");
	const char *total = gauge ? "" : "_total";

	printf("# TYPE %s%s %s\n# HELP %s%s %s\n", name, open ? "" : total,
	       gauge ? "gauge" : "counter", name, open ? "" : total, counter->doc);
	if (object_number(stats, counter->name) >= 0)
		printf("%s%s %lld\n", name, total, object_number(stats, counter->name));
}

/* An amount of what a histogram has as Prometheus wants it, in seconds or bytes. */
static char *base_amount(bool seconds, long long amount)
{
	return seconds ? xasprintf("%lld.%06lld", amount / 1000000, amount % 1000000) :
			 xasprintf("%lld.0", amount);
}

/*
 * Buckets are cumulative there, and the last one is the count. No label but "le": a
 * client's address would make as many series as there are clients, or forgers.
 */
static void print_histogram(const json_t *histogram, size_t what)
{
	bool seconds = what != TFTPK_HISTOGRAM_RATE;
	const char *unit = seconds ? "_seconds" : "_bytes_per_second";
	auto_free char *name = metric_name(histogram_words[what], unit);
	auto_free char *sum = base_amount(seconds, object_number(histogram, "sum"));
	long long count = 0;
	json_t *bucket;
	size_t i;

	printf("# TYPE %s histogram\n# HELP %s %s\n", name, name, histogram_docs[what]);
	json_array_foreach(object_get(histogram, "buckets"), i, bucket) {
		long long at_most = object_number(bucket, "at-most");
		auto_free char *bound = base_amount(seconds, at_most);

		count += object_number(bucket, "count");
		printf("%s_bucket{le=\"%s\"} %lld\n", name,
		       at_most < 0 ? "+Inf" : bound, count);
	}
	printf("%s_sum %s\n%s_count %lld\n", name, sum, name, count);
}

static void print_metrics(const json_t *stats, const json_t *histograms, bool open)
{
	size_t i;

	for (i = 0; i < COUNT(counters); i++)
		print_counter(stats, &counters[i], open);
	for (i = 0; histogram_words[i]; i++) {
		json_t *histogram = object_get(histograms, histogram_words[i]);

		if (histogram)
			print_histogram(histogram, i);
	}
	if (open)
		puts("# EOF");
}

/* "12 ms", or of the rate "1.5 MB/s". */
static char *bound_text(size_t what, long long amount)
{
	if (what == TFTPK_HISTOGRAM_RATE) {
		auto_free char *rate = amount_text((double)amount);

		return xasprintf("%s/s", rate);
	}
	if (amount < 1000)
		return xasprintf("%lld us", amount);
	if (amount < 1000000)
		return xasprintf("%g ms", (double)amount / 1e3);
	return xasprintf("%g s", (double)amount / 1e6);
}

/* The buckets that the median and the 99th of 100 are in, by their bounds. */
static void print_quantiles(const json_t *histogram, size_t what)
{
	static const unsigned int percent[] = { 50, 99 };
	json_t *buckets = object_get(histogram, "buckets"), *bucket;
	long long count = 0, so_far, last;
	size_t i, q;

	json_array_foreach(buckets, i, bucket)
		count += object_number(bucket, "count");
	printf("%-21s %lld", histogram_words[what], count);
	for (q = 0; count && q < COUNT(percent); q++) {
		auto_free char *text = NULL;

		so_far = last = 0;
		json_array_foreach(buckets, i, bucket) {
			long long at_most = object_number(bucket, "at-most");

			so_far += object_number(bucket, "count");
			last = at_most >= 0 ? at_most : last;
			if (so_far * 100 >= count * percent[q]) {
				text = bound_text(what, last);
				printf(", %u%% %s %s", percent[q],
				       at_most < 0 ? "beyond" : "within", text);
				break;
			}
		}
	}
	putchar('\n');
}

static void print_stats(const json_t *stats, const json_t *histograms)
{
	long long blocks = object_number(stats, "blocks-sent");
	long long skbs = object_number(stats, "skbs-sent");
	size_t i;

	for (i = 0; i < COUNT(counters); i++) {
		auto_free char *value = number_text(stats, counters[i].name);

		printf("%-21s %s\n", counters[i].name, value);
	}
	if (blocks >= 0 && skbs > 0)
		printf("%-21s %.2f\n", "blocks/skb", (double)blocks / (double)skbs);
	for (i = 0; histogram_words[i]; i++) {
		json_t *histogram = object_get(histograms, histogram_words[i]);

		if (histogram)
			print_quantiles(histogram, i);
	}
}

int run_stats(struct ctl *ctl, int argc, char **argv)
{
	bool open = ctl->option[OPTION_OPENMETRICS];
	bool prometheus = ctl->option[OPTION_PROMETHEUS];
	json_auto_t *stats = NULL, *histograms = NULL;

	if (ctl->json + open + prometheus > 1)
		return usage_error("stats: either -j, --prometheus or --openmetrics");
	if (read_stats(ctl, &stats) || read_histograms(ctl, &histograms))
		return nl_fail(ctl, "stats");
	if (ctl->json) {
		object_put(stats, "histograms", json_incref(histograms));
		return print_json(json_incref(stats));
	}
	if (open || prometheus)
		print_metrics(stats, histograms, open);
	else
		print_stats(stats, histograms);
	return EXIT_SUCCESS;
}
