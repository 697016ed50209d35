/* SPDX-License-Identifier: GPL-2.0 */
/* below.c: what is below a folder. */
#ifndef BELOW_H
#define BELOW_H

#include <stddef.h>

int open_part(int dir, const char *part, size_t len);
int open_below(int root, const char *path, int flags);

#endif /* BELOW_H */
