/* SPDX-License-Identifier: GPL-2.0 */
/* Until 6.12 this was among the architecture's. */
#include <asm/unaligned.h>
