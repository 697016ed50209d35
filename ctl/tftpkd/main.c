// SPDX-License-Identifier: GPL-2.0
/* tftpkd: options. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "map.h"
#include "tftpkd.h"

#define CONFIG_FILE	"/etc/tftpk/tftpkd.conf"

enum {
	OPTION_MAP_TEST = 256,
	OPTION_MAP_STEPS,
	OPTION_ANSWER,
	OPTION_CHECK,
	OPTION_ROOT,
	OPTION_WORDS,
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'f' },
	{ "check", no_argument, NULL, OPTION_CHECK },
	{ "answer", no_argument, NULL, OPTION_ANSWER },
	{ "root", required_argument, NULL, OPTION_ROOT },
	{ "map-test", required_argument, NULL, OPTION_MAP_TEST },
	{ "map-file", required_argument, NULL, 'm' },
	{ "map-steps", required_argument, NULL, OPTION_MAP_STEPS },
	{ "ipv4", no_argument, NULL, '4' },
	{ "ipv6", no_argument, NULL, '6' },
	{ "create", no_argument, NULL, 'c' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ "list", no_argument, NULL, OPTION_WORDS },
	{ 0 }
};

/* What is to be done. */
struct task {
	const char *config;
	const char *root;
	const char *names;	/* of a map test */
	struct map_test test;
	bool answer, check;
};

static void explain(void)
{
	puts("Usage: tftpkd [--config FILE] [--check | --answer [--root DIR]]\n"
	     "       tftpkd [-46c] [-m RULES] [--map-steps N] --map-test NAMES\n\n"
	     "Answer the questions of the in-kernel TFTP server about names and uploads.\n\n"
	     "Options:\n"
	     "  -f, --config FILE  read FILE instead of " CONFIG_FILE "\n"
	     "      --check        only tell what is wrong with the configuration\n"
	     "      --answer       answer questions on standard input: JSON, a line each\n"
	     "      --root DIR     the files that there are then\n"
	     "      --map-test NAMES\n"
	     "                     print what the rules make of the names in a file, a line\n"
	     "                     each, as in.tftpd does\n"
	     "  -m, --map-file RULES\n"
	     "                     the rules\n"
	     "      --map-steps N  fail after N rules, 4096 by default\n"
	     "  -4, -6, -c         for an IPv4 client, an IPv6 client, a client that puts\n"
	     "                     files\n"
	     "  -h, --help         explain\n"
	     "  -V, --version      print the version\n\n"
	     "Exit status: 0 done, 1 failed, 2 wrong usage. See tftpkd(8).");
}

/* For completion and tests. */
static void list_all(void)
{
	const struct option *option;

	for (option = long_options; option->name; option++)
		printf("--%s\n", option->name);
	list_words();
}

static int read_steps(struct map_test *test, const char *string)
{
	const char *rest;
	uint64_t steps;

	if (!parse_number(string, &rest, &steps) || *rest || !steps ||
	    steps > INT_MAX)
		return usage_error("--map-steps %s: must be 1 to %d", string,
				   INT_MAX);
	test->steps = (unsigned int)steps;
	return 0;
}

/* Returns 0, or an exit code, or -1 where all is done. */
static int read_option(struct task *task, int option, const char *word)
{
	switch (option) {
	case 'f':
		task->config = optarg;
		return 0;
	case OPTION_CHECK:
		task->check = true;
		return 0;
	case OPTION_ANSWER:
		task->answer = true;
		return 0;
	case OPTION_ROOT:
		task->root = optarg;
		return 0;
	case OPTION_MAP_TEST:
		task->names = optarg;
		return 0;
	case 'm':
		task->test.file = optarg;
		return 0;
	case OPTION_MAP_STEPS:
		return read_steps(&task->test, optarg);
	case '4':
	case '6':
		task->test.ipv6 = option == '6';
		return 0;
	case 'c':
		task->test.write = true;
		return 0;
	case 'h':
		explain();
		return -1;
	case 'V':
		puts("tftpkd " VERSION);
		return -1;
	case OPTION_WORDS:
		list_all();
		return -1;
	case ':':
		return usage_error("%s: the value is missing", word);
	default:
		return usage_error("no option '%s': 'tftpkd --help' lists them",
				   word);
	}
}

static int run_task(const struct task *task)
{
	struct config *config;
	int ret;

	if (task->names)
		return run_map_test(&task->test, task->names);
	loop = check_alloc(event_base_new());
	config = read_tftpkd_conf(task->config, task->check);
	if (!config)
		return EXIT_FAILURE;
	if (!task->check && !task->answer)
		return run_agent(config, task->config);
	ret = task->answer ? run_try(config, task->root) : EXIT_SUCCESS;
	release_config(config);
	event_base_free(loop);
	return ret;
}

int main(int argc, char **argv)
{
	struct task task = {
		.config = CONFIG_FILE,
		.test = { .steps = MAP_STEPS },
	};
	int option, ret;

	program = "tftpkd";
	/* Letters and their case are those of the locale, as with in.tftpd. */
	setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_IGN);
	/* Ignored, it would have ends of commands forgotten. */
	signal(SIGCHLD, SIG_DFL);
	/* A closed stdout must not become a socket. */
	do {
		ret = open("/dev/null", O_RDWR);
	} while (ret >= 0 && ret <= STDERR_FILENO);
	if (ret > STDERR_FILENO)
		close(ret);

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":f:m:46chV", long_options, NULL)) != -1) {
		ret = read_option(&task, option, argv[optind - 1]);
		if (ret)
			return ret < 0 ? EXIT_SUCCESS : ret;
	}
	if (optind < argc)
		return usage_error("unexpected '%s': 'tftpkd --help' explains",
				   argv[optind]);
	ret = run_task(&task);
	errno = 0;
	if (ferror(stdout) | fclose(stdout)) {
		print_error("cannot write the output: %s",
			    strerror(errno ? errno : EIO));
		ret = ret ? ret : EXIT_FAILURE;
	}
	return ret;
}
