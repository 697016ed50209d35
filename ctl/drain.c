// SPDX-License-Identifier: GPL-2.0
/* drain, undrain: let the transfers end and take no new ones. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tftpkctl.h"

#define POLL_MS	200

static int set_draining(struct ctl *ctl, bool on)
{
	json_auto_t *values = check_alloc(json_object());

	object_put(values, "draining", json_boolean(on));
	return change_settings(ctl, values);
}

/* The transfers that are running, or -1. */
static long long count_transfers(struct ctl *ctl)
{
	json_auto_t *stats = NULL;

	if (read_stats(ctl, &stats))
		return -1;
	return object_number(stats, "transfers-active");
}

/* Wait until no transfer runs, or for @seconds unless they are 0. */
static long long wait_for_end(struct ctl *ctl, uint64_t seconds)
{
	const struct timespec nap = { .tv_nsec = POLL_MS * 1000000L };
	uint64_t naps = seconds * (1000 / POLL_MS);
	long long n = count_transfers(ctl);

	while (n > 0 && (!seconds || naps--)) {
		nanosleep(&nap, NULL);
		n = count_transfers(ctl);
	}
	return n;
}

int run_drain(struct ctl *ctl, int argc, char **argv)
{
	const char *wait = ctl->option[OPTION_WAIT];
	uint64_t seconds = 0;
	long long n;

	if (wait && *wait && (!parse_scaled(wait, "seconds", &seconds) || !seconds))
		return usage_error("drain --wait=%s: must be a time such as 30s, 5m or 1h",
				   wait);
	if (set_draining(ctl, true))
		return nl_fail(ctl, "drain");

	n = wait ? wait_for_end(ctl, seconds) : count_transfers(ctl);
	if (n < 0)
		return nl_fail(ctl, "drain: no requests are taken any more, but");
	if (wait && n) {
		print_error("drain: not done after %s: see 'tftpkctl transfers' and 'tftpkctl kill'",
			    wait);
		return EXIT_FAILURE;
	}
	if (ctl->json)
		return print_json(json_pack("{s:{s:I}}", "drain", "transfers",
					    (json_int_t)n));
	if (n)
		printf("taking no requests; %lld transfer%s running\n", n,
		       n == 1 ? " is" : "s are");
	else
		puts("taking no requests; no transfer is running");
	return EXIT_SUCCESS;
}

int run_undrain(struct ctl *ctl, int argc, char **argv)
{
	long long n;

	if (set_draining(ctl, false))
		return nl_fail(ctl, "undrain");
	if (!ctl->json) {
		puts("taking requests");
		return EXIT_SUCCESS;
	}
	n = count_transfers(ctl);
	return print_json(json_pack("{s:{s:I}}", "undrain", "transfers",
				    (json_int_t)(n < 0 ? 0 : n)));
}
