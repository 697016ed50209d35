// SPDX-License-Identifier: GPL-2.0
/* --map-test: what in.tftpd --map-test prints. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "map.h"
#include "tftpkd.h"

/* As in.tftpd has it: longer lines are several names. */
#define NAME_ROOM	65465

/* The client that in.tftpd makes up. */
static const unsigned char ipv4[] = { 192, 0, 2, 34 };
static const unsigned char ipv6[] = { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0,
				      0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef };

/* Print what becomes of each name. No file is looked for: in.tftpd takes none to be there. */
static void test_names(const struct map *map, const struct map_asker *asker,
		       FILE *in)
{
	static char line[NAME_ROOM];

	while (fgets(line, sizeof(line), in)) {
		char *end = strchr(line, '\n');
		char *name, *reason;

		if (!end)
			continue;
		*end = '\0';
		name = map_name(map, asker, line, &reason);
		if (name)
			puts(name);
		else
			printf("ERROR: %s\n", reason ? reason : "(null)");
		free(name);
		free(reason);
	}
}

/**
 * run_map_test() - print what a map file makes of names
 * @test: the map file, and who asks
 * @names: a file of names, a line each
 *
 * Return: an exit code.
 */
int run_map_test(const struct map_test *test, const char *names)
{
	struct map_asker asker = {
		.address = test->ipv6 ? ipv6 : ipv4,
		.len = test->ipv6 ? sizeof(ipv6) : sizeof(ipv4),
		.write = test->write,
		.steps = test->steps,
	};
	struct map *map = map_read(test->file ? test->file : "/dev/null");
	FILE *in;

	if (!map)
		return EXIT_FAILURE;
	in = fopen(names, "re");
	if (!in) {
		print_error("cannot open %s: %s", names, strerror(errno));
		map_free(map);
		return EXIT_FAILURE;
	}
	test_names(map, &asker, in);
	fclose(in);
	map_free(map);
	return EXIT_SUCCESS;
}
