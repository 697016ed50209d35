// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes the receive window (net/tftpk/rwindow.c): an input is a network and a client,
 * and then what chance does to each packet. See rwindow-model.h for what is asserted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kernel.h>
#include <linux/time64.h>

#include "chance.h"
#include "rwindow-model.h"

struct input {
	u8 blocks;
	u8 windowsize;
	u8 flags;
	u8 loss;
	u8 copies;
	u8 jitter;
	u8 jitter_ms;
	u8 delay_ms;
	u8 spacing;
	u8 pause_ms;
	u8 store;
};

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct upload u;
	struct upload_case c = {};
	struct chance chance;
	const char *failure;
	struct input in;

	if (size < sizeof(in))
		return 0;
	memcpy(&in, data, sizeof(in));
	c.net.blocks = in.blocks + 1;
	c.net.windowsize = in.windowsize % 80 + 1;
	c.net.rollover = in.flags & 1;
	/* Some begin shortly before the numbers roll over. */
	c.net.first = in.flags & 2 ? 65500 : in.flags & 4 ? 131000 : 1;
	c.unknown = in.flags & 8;
	/* Before the client shows it by a whole window, the file ends. */
	if (c.unknown && c.net.rollover && c.net.first == 65500 &&
	    c.net.first + c.net.blocks <= 65536U + c.net.windowsize)
		return 0;
	c.repeats = in.flags & 16;
	c.net.retry_us = in.flags & 32 ? 250000 : 5000000;
	c.net.loss = in.loss % 200;
	c.net.copies = in.copies * 4;
	c.net.jitter = in.jitter;
	/* A shuffled window is a report for each block, and a window for each report. */
	if (c.repeats && c.net.jitter) {
		c.net.copies %= 100;
		c.net.jitter %= 50;
	}
	c.net.jitter_us = in.jitter_ms * 1000;
	c.net.delay_us = in.delay_ms * 1000;
	c.spacing_us = in.spacing * 16;
	c.pause_us = in.pause_ms * 1000;
	c.store_us = in.store * 50000;
	chance.pos = data + sizeof(in);
	chance.left = size - sizeof(in);
	chance.state = 1;
	failure = upload_run(&u, &c, draw, &chance);
	if (failure) {
		fprintf(stderr, "%s: %u blocks from %llu on, window of %u, rollover %u%s, ",
			failure, c.net.blocks, c.net.first, c.net.windowsize,
			c.net.rollover, c.unknown ? " unknown" : "");
		fprintf(stderr, "delay %u us, jitter %u us for %u, loss %u, copies %u, ",
			c.net.delay_us, c.net.jitter_us, c.net.jitter, c.net.loss,
			c.net.copies);
		fprintf(stderr, "retries after %u us, %s, spacing %u us, ",
			c.net.retry_us, c.repeats ? "repeats" : "no repeats",
			c.spacing_us);
		fprintf(stderr, "pauses %u us, stored in %u us: ", c.pause_us,
			c.store_us);
		fprintf(stderr, "%llu sent, %llu ACKs, %llu received\n",
			u.net.data_sent, u.net.acks_sent, u.net.received);
		abort();
	}
	return 0;
}
