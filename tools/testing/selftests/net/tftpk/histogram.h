/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Quantiles of many samples in little room: buckets that are 1/64 of a power
 * of two wide, so that what is read back is less than 2% off.
 */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS 64

struct histogram {
	uint64_t bucket[60 * HISTOGRAM_STEPS];
	uint64_t samples;
	uint64_t max;
};

void histogram_add(struct histogram *h, uint64_t value);
uint64_t histogram_quantile(const struct histogram *h, double q);

#endif
