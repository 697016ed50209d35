/* SPDX-License-Identifier: GPL-2.0 */
/* What net/tftpk/proto.c, netascii.c, window.c and rwindow.c take from the kernel's headers. */
#ifndef _FUZZ_LINUX_TYPES_H
#define _FUZZ_LINUX_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
/* As in the kernel: what %llu prints. */
typedef unsigned long long u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef long long s64;

typedef u16 __be16;
typedef u32 __be32;

#endif
