// SPDX-License-Identifier: GPL-2.0
/* What the lines of tftpkd.conf are. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "tftpkd.h"

static const struct directive_type *const types[] = {
	&map_directive, &rewrite_directive, &fold_directive, &generate_directive,
	&inbox_directive,
};

static const char hook_args[] = "end|refused|received COMMAND [ARG]...";

/* All words that a line may begin with. */
static const char *line_name(size_t index)
{
	if (index < COUNT(types))
		return types[index]->name;
	index -= COUNT(types);
	if (!index)
		return "hook";
	index--;
	return bound_name(index);
}

/* list_words() - for tests: what a line may begin with, a line each. */
void list_words(void)
{
	size_t i;

	for (i = 0; line_name(i); i++)
		puts(line_name(i));
}

static int check_args(const char *name, const char *args, int argc, int min,
		      int max)
{
	if (argc >= min && argc <= max)
		return 0;
	print_error("usage: %s%s%s", name, *args ? " " : "", args);
	return -1;
}

static int read_bound(struct config *config, enum bound bound, int argc,
		      char **argv)
{
	if (check_args(argv[0], "VALUE", argc, 2, 2))
		return -1;
	set_error_word(argv[1]);
	return parse_bound(bound, argv[1], &config->bounds[bound]);
}

static int read_directive(struct config *config,
			  const struct directive_type *type, int argc,
			  char **argv)
{
	struct directive directive = { .type = type };

	if (check_args(type->name, type->args, argc - 1, type->min_args,
		       type->max_args))
		return -1;
	directive.state = type->read(config, argc, argv);
	if (!directive.state)
		return -1;
	config->directives = check_alloc(reallocarray(config->directives,
						      config->count + 1,
						      sizeof(directive)));
	config->directives[config->count++] = directive;
	return 0;
}

static int read_words(void *data, int argc, char **argv)
{
	struct config *config = data;
	const char *meant;
	size_t i;

	for (i = 0; i < COUNT(types); i++) {
		if (!strcmp(argv[0], types[i]->name))
			return read_directive(config, types[i], argc, argv);
	}
	for (i = 0; bound_name(i); i++) {
		if (!strcmp(argv[0], bound_name(i)))
			return read_bound(config, (enum bound)i, argc, argv);
	}
	if (!strcmp(argv[0], "hook"))
		return check_args("hook", hook_args, argc - 1, 2, INT32_MAX) ||
		       read_hook(config, argc, argv) ? -1 : 0;
	meant = nearest_word(argv[0], line_name);
	if (meant)
		print_error("no directive '%s': did you mean '%s'?", argv[0],
			    meant);
	else
		print_error("no directive '%s': tftpkd.conf(5) has them all",
			    argv[0]);
	return -1;
}

/**
 * read_tftpkd_conf() - read a configuration
 * @file: its name
 * @check: whether folders that are not there are mistakes, too
 *
 * Return: a reference to it, or NULL after an error message.
 */
struct config *read_tftpkd_conf(const char *file, bool check)
{
	struct config *config = make_config();

	config->check = check;
	if (read_lines(file, read_words, config)) {
		release_config(config);
		return NULL;
	}
	config->generators = make_pool(config->bounds[BOUND_MAX_PROCESSES],
				       config->bounds[BOUND_MAX_WAITING]);
	config->hook_pool = make_pool(config->bounds[BOUND_MAX_HOOKS],
				      config->bounds[BOUND_MAX_WAITING]);
	return config;
}
