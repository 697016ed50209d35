/* SPDX-License-Identifier: GPL-2.0 */
/* Map files of tftpd-hpa: rules that rewrite and refuse names. */
#ifndef MAP_H
#define MAP_H

#include <stdbool.h>
#include <stddef.h>

/* Rules that are tried for a name, as tftpd-hpa has it by default. */
#define MAP_STEPS	4096

struct map;

/* Who asks, and for what. */
struct map_asker {
	const void *address;	/* of the client */
	size_t len;		/* 4 or 16 bytes */
	bool write;		/* puts a file */
	unsigned int steps;
	double deadline;	/* by monotonic_seconds(), 0 for none */
	/* Is there such a file for this client? */
	bool (*probe)(void *data, const char *name);
	void *data;
};

struct map *map_read(const char *file);
void map_free(struct map *map);
char *map_name(const struct map *map, const struct map_asker *asker,
	       const char *name, char **reason);

#endif /* MAP_H */
