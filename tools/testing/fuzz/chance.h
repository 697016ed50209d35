/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What chance does in a model, as the input has it.
 */
#ifndef _FUZZ_CHANCE_H
#define _FUZZ_CHANCE_H

#include <linux/kernel.h>

struct chance {
	const u8 *pos;
	size_t left;
	u32 state;
};

/* Two bytes of the input for each draw; what comes after its end follows from
 * them.
 */
static inline u32 draw(void *state)
{
	struct chance *c = state;
	u32 bytes = 0;

	if (c->left >= 2) {
		bytes = get_unaligned_be16(c->pos);
		c->pos += 2;
		c->left -= 2;
		c->state = c->state * 1664525 + bytes;
		return bytes;
	}
	c->state ^= c->state << 13;
	c->state ^= c->state >> 17;
	c->state ^= c->state << 5;
	return c->state;
}

#endif
