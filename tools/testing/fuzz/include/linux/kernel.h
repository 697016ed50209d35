/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FUZZ_LINUX_KERNEL_H
#define _FUZZ_LINUX_KERNEL_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <linux/types.h>

#define fallthrough	__attribute__((__fallthrough__))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define BIT(n)		(1UL << (n))
#define U8_MAX		UINT8_MAX
#define U16_MAX		0xffffU
#define U32_MAX		0xffffffffU
#define U64_MAX		(~0ULL)

#define min_t(type, a, b) ({		\
	type _a = (a), _b = (b);	\
	_a < _b ? _a : _b; })
#define max_t(type, a, b) ({		\
	type _a = (a), _b = (b);	\
	_a > _b ? _a : _b; })
#define min(a, b)	min_t(typeof((a) + (b)), a, b)
#define max(a, b)	max_t(typeof((a) + (b)), a, b)
#define max3(a, b, c) max(max(a, b), c)
#define clamp(v, lo, hi) min(max(v, lo), hi)
#define clamp_t(type, v, lo, hi) min_t(type, max_t(type, v, lo), hi)

/* Returns what was written, not what should have been. */
__attribute__((format(printf, 3, 4)))
static inline int scnprintf(char *buf, size_t size, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(buf, size, format, args);
	va_end(args);
	if (!size)
		return 0;
	return (size_t)n < size ? n : (int)size - 1;
}

static inline void put_unaligned_be16(u16 value, void *to)
{
	u8 *p = to;

	p[0] = value >> 8;
	p[1] = value;
}

static inline u16 get_unaligned_be16(const void *from)
{
	const u8 *p = from;

	return p[0] << 8 | p[1];
}

static inline u64 div_u64(u64 dividend, u32 divisor)
{
	return dividend / divisor;
}

static inline u64 div64_u64_rem(u64 dividend, u64 divisor, u64 *remainder)
{
	*remainder = dividend % divisor;
	return dividend / divisor;
}

#endif
