// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes windows and retransmission (net/tftpk/window.c): an input is a
 * network and a client, and then what chance does to each packet. See
 * window-model.h for what is asserted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kernel.h>
#include <linux/time64.h>

#include "chance.h"
#include "window-model.h"

struct input {
	u8 blocks;
	u8 windowsize;
	u8 flags;
	u8 loss;
	u8 copies;
	u8 jitter;
	u8 jitter_ms;
	u8 delay_ms;
};

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct model m;
	struct model_case c = {};
	struct chance chance;
	const char *failure;
	struct input in;

	if (size < sizeof(in))
		return 0;
	memcpy(&in, data, sizeof(in));
	c.blocks = in.blocks + 1;
	c.windowsize = in.windowsize % 80 + 1;
	c.rollover = in.flags & 1;
	/* Some begin shortly before the numbers roll over. */
	c.first = in.flags & 2 ? 65500 : in.flags & 4 ? 131000 : 1;
	c.reack_old = in.flags & 8;
	c.reack_all = in.flags & 16;
	/* A client that does neither waits for ever once its ACK is lost. */
	if (in.flags & 32 || !c.reack_old)
		c.retry_us = in.flags & 64 ? 250000 : 5000000;
	c.loss = in.loss % 200;
	c.copies = in.copies * 4;
	c.jitter = in.jitter;
	c.jitter_us = in.jitter_ms * 1000;
	c.delay_us = in.delay_ms * 1000;
	/* What takes long may come to take far longer. */
	c.reack_last = in.flags & 128;
	if (c.reack_last)
		c.later_us = c.delay_us * 32;
	/* The client of such a window says nothing of blocks ahead. */
	if (c.windowsize == 1) {
		c.ahead = in.windowsize / 80 * 15;
		c.keeps = in.flags & 16;
		c.silent = in.flags & 32;
	}
	chance.pos = data + sizeof(in);
	chance.left = size - sizeof(in);
	chance.state = 1;
	failure = model_run(&m, &c, draw, &chance);
	if (failure) {
		fprintf(stderr, "%s: %u blocks from %llu on, window of %u, rollover %u, ",
			failure, c.blocks, c.first, c.windowsize, c.rollover);
		fprintf(stderr, "delay %u us, then %u us, jitter %u us for %u, loss %u, copies %u, ",
			c.delay_us, c.later_us, c.jitter_us, c.jitter, c.loss, c.copies);
		fprintf(stderr, "retries after %u us, %s, %s: ", c.retry_us,
			c.reack_old ? "re-ACKs" : "no re-ACKs",
			c.reack_all ? "ACKs all" : "ACKs once");
		fprintf(stderr, "%llu sent, %llu acknowledged, %llu received\n",
			m.data_sent, m.window.acked, m.received);
		abort();
	}
	return 0;
}
