// SPDX-License-Identifier: GPL-2.0
#include "histogram.h"

/* Values below HISTOGRAM_STEPS have a bucket each. */
static unsigned int index_of(uint64_t value)
{
	unsigned int shift;

	if (value < HISTOGRAM_STEPS)
		return value;
	shift = 63 - __builtin_clzll(value) - 6;
	return (shift + 1) * HISTOGRAM_STEPS + (value >> shift) -
	       HISTOGRAM_STEPS;
}

static uint64_t value_of(unsigned int index)
{
	unsigned int shift = index / HISTOGRAM_STEPS;

	if (!shift)
		return index;
	return (uint64_t)(HISTOGRAM_STEPS + index % HISTOGRAM_STEPS)
	       << (shift - 1);
}

void histogram_add(struct histogram *h, uint64_t value)
{
	h->bucket[index_of(value)]++;
	h->samples++;
	if (value > h->max)
		h->max = value;
}

/* The smallest value that a share of @q of the samples does not exceed. */
uint64_t histogram_quantile(const struct histogram *h, double q)
{
	uint64_t left = q * h->samples;
	unsigned int i;

	for (i = 0; i < sizeof(h->bucket) / sizeof(h->bucket[0]); i++) {
		if (h->bucket[i] > left)
			return value_of(i);
		left -= h->bucket[i];
	}
	return h->max;
}
