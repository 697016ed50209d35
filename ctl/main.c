// SPDX-License-Identifier: GPL-2.0
/* Options, the table of commands, and help. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tftpkctl.h"

#define NETNS_DIR	"/run/netns"

static int run_help(struct ctl *ctl, int argc, char **argv);

static const struct command commands[] = {
	{
		.name = "export",
		.args = "DIR [--as PREFIX] [--uid USER] [--gid GROUP] [OPTION]...",
		.summary = "serve the files beneath a folder",
		.details =
"The first export listens on UDP port 69 of all addresses, IPv4 and IPv6,\n"
"unless a listener was configured before.\n\n"
"--as PREFIX serves the folder as if it were PREFIX: of --as /boot a client gets\n"
"DIR/x by asking for boot/x. The longest PREFIX that fits a request wins; of\n"
"several exports with one PREFIX, the first that has the file.\n"
"--uid, --gid: files are opened as USER and GROUP, by name or number, 65534\n"
"(nobody) by default: what these may not read is not served. Others than these and\n"
"one's own take CAP_SETUID and CAP_SETGID.\n"
"--no-symlinks follows no symbolic links. Else they are followed, and stay\n"
"beneath DIR as in a chroot.\n"
"--max-blksize BYTES grants no larger blocks, --min-timeout MS sends nothing again\n"
"sooner, and --send-ahead N sends no more blocks beyond the ACK of a client that\n"
"asked for no window; each instead of the setting of that name. --rollover 1 lets\n"
"the number 1 follow block 65535, for clients that do not say. --no-tsize does not\n"
"tell the size of files.\n"
"--max-rate N sends no more than N KiB per second to all clients of the export\n"
"together. --dscp CODE marks what is sent, by a number or a name such as af11, cs1,\n"
"ef or le.\n\n"
"--for NETWORK[/LEN], which may be given several times: only its clients see the\n"
"export; --not-for: they do not. Of the NETWORKs of a client the longest counts,\n"
"and of exports with one PREFIX the one whose NETWORK is the longest wins.\n"
"--root-by ip|mac looks up names in DIR/ADDRESS first, such as DIR/192.0.2.7, or\n"
"DIR/52-54-00-12-34-56 and DIR/01-52-54-00-12-34-56; with --only nowhere else.\n"
"--drop-first-folder looks up a name without its first folder where that is\n"
"missing.\n"
"--default FILE is sent where no export has what is asked for. --refusal TEXT is\n"
"the text of an ERROR that tells of no such file, or of one not to be read.\n",
		.options = BIT(OPTION_AS) | BIT(OPTION_UID) | BIT(OPTION_GID) |
			   BIT(OPTION_NO_SYMLINKS) | BIT(OPTION_MAX_BLKSIZE) |
			   BIT(OPTION_MIN_TIMEOUT) | BIT(OPTION_SEND_AHEAD) |
			   BIT(OPTION_DSCP) | BIT(OPTION_MAX_RATE) |
			   BIT(OPTION_ROLLOVER) |
			   BIT(OPTION_NO_TSIZE) | BIT(OPTION_FOR) |
			   BIT(OPTION_NOT_FOR) | BIT(OPTION_ROOT_BY) |
			   BIT(OPTION_ONLY) | BIT(OPTION_DROP_FIRST_FOLDER) |
			   BIT(OPTION_DEFAULT) | BIT(OPTION_REFUSAL),
		.min_args = 1, .max_args = 1, .run = run_export,
		.configure = configure_export,
	}, {
		.name = "unexport", .args = "DIR [--as PREFIX]",
		.summary = "stop serving a folder, ending its transfers",
		.details =
"--as PREFIX ends the export under that PREFIX only, which is / for one that was\n"
"made without --as. Else the folder is no longer served at all.\n",
		.options = BIT(OPTION_AS),
		.min_args = 1, .max_args = 1, .run = run_unexport,
	}, {
		.name = "listen",
		.args = "ADDR[:PORT] [dev IF] [--single-port [--anycast[=TIME]]] [--broadcast]",
		.summary = "accept requests on an address",
		.details =
"ADDR is an IPv4 or IPv6 address, the latter in brackets if a port follows, or\n"
"* for all addresses. PORT is 69 by default. IF is an interface or a VRF; a\n"
"link-local address needs it, and may carry it as in fe80::1%eth0.\n"
"Replaces the listeners that the first export made.\n\n"
"--single-port answers from PORT instead of a port of each transfer's own, for\n"
"NAT, containers and load balancers. Clients beyond a router are slow then, unless\n"
"'trust' names their network: whoever forges their packets needs no guess.\n"
"--anycast is for an address that other servers have, too: who sends what belongs to\n"
"no transfer here is met with silence for TIME, 3s by default, and told after that;\n"
"'never' is for ever. For the other server may go on with it.\n"
"--broadcast answers requests that were sent to a broadcast address, too.\n",
		.options = BIT(OPTION_SINGLE_PORT) | BIT(OPTION_BROADCAST) |
			   BIT(OPTION_ANYCAST),
		.min_args = 1, .max_args = 3, .run = run_listen,
		.configure = configure_listen,
	}, {
		.name = "unlisten", .args = "ADDR[:PORT] [dev IF]",
		.summary = "close a listener, ending its transfers",
		.details = "The listener is named as it was to 'listen'.\n",
		.min_args = 1, .max_args = 3, .run = run_unlisten,
	}, {
		.name = "trust", .args = "NETWORK[/LEN]",
		.summary = "treat a network's clients like those on the link",
		.details =
"NETWORK is an IPv4 or IPv6 address of which the leading LEN bits count, all by\n"
"default. Clients on the link and in NETWORK may each request source-burst files\n"
"at once and source-rate per second after that. Others may request a quarter of\n"
"the burst, and those of an IPv6 /64 share it.\n",
		.min_args = 1, .max_args = 1, .run = run_trust,
		.configure = configure_trust,
	}, {
		.name = "untrust", .args = "NETWORK[/LEN]",
		.summary = "trust a network no longer",
		.details = "The network is named as it was to 'trust'.\n",
		.min_args = 1, .max_args = 1, .run = run_untrust,
	}, {
		.name = "show", .args = "",
		.summary = "list exports, listeners, trusted networks and settings",
		.run = run_show,
	}, {
		.name = "transfers", .args = "[--save]",
		.summary = "list the transfers that are running",
		.details =
"--save prints those that another server can go on with, as 'adopt' reads them: a\n"
"JSON object a line. Uploads, texts, and files that an agent gave or that were\n"
"removed are not among them.\n",
		.options = BIT(OPTION_SAVE), .run = run_transfers,
	}, {
		.name = "adopt", .args = "[FILE]",
		.summary = "go on with the transfers of another server",
		.details =
"FILE has what 'transfers --save' printed there; without one, or of -, standard\n"
"input is read. The server has to export the same files, to listen on the same\n"
"ports, and to have the address that the clients asked; see port-range of 'set'.\n"
"What it does not take is told, and the exit status is 1 then.\n",
		.max_args = 1, .run = run_adopt,
	}, {
		.name = "key", .args = "FILE|none",
		.summary = "set the key that proves saved transfers",
		.details =
"FILE has the key, as 32 hexadecimal digits, or is - for standard input. Servers that\n"
"go on with each other's transfers have the same key; without one their clients get\n"
"one block at first. It is never told again, and forgotten with the module.\n"
"A new one: head -c 16 /dev/urandom | od -A n -t x1 | tr -d ' '\n",
		.min_args = 1, .max_args = 1, .run = run_key,
	}, {
		.name = "save", .args = "[FILE]",
		.summary = "print the configuration, or write it to FILE",
		.details =
"As commands that 'restore' and 'sync' understand, see tftpk.conf(5). FILE is\n"
"replaced as a whole or not at all.\n",
		.max_args = 1, .run = run_save,
	}, {
		.name = "restore", .args = "FILE",
		.summary = "configure a server that serves nothing yet",
		.details =
"FILE is a configuration as of 'save', or - for standard input. All of it is\n"
"checked first. Fails if there are exports, listeners or trusted networks.\n",
		.min_args = 1, .max_args = 1, .run = run_restore,
	}, {
		.name = "sync", .args = "FILE",
		.summary = "make the configuration what FILE says",
		.details =
"FILE is a configuration as of 'save', or - for standard input. All of it is\n"
"checked first. What FILE has is added, what it lacks is removed, settings that\n"
"it lacks get their defaults; what does not differ is left alone, and so are its\n"
"transfers. Prints what it changed, as commands.\n",
		.min_args = 1, .max_args = 1, .run = run_sync,
	}, {
		.name = "kill", .args = "ID|CLIENT[:PORT]",
		.summary = "end transfers",
		.details =
"ID is the number of a transfer, as 'transfers' and 'monitor' tell it. CLIENT is\n"
"an address: all of its transfers end, or the one from PORT. The clients are told\n"
"by an ERROR; most ask anew.\n",
		.min_args = 1, .max_args = 1, .run = run_kill,
	}, {
		.name = "drain", .args = "[--wait[=TIME]]",
		.summary = "take no requests and let the running transfers end",
		.details =
"--wait waits until no transfer is running, but not longer than TIME, such as 30s\n"
"or 5m, if that is given: it fails then, and requests are still not taken.\n",
		.options = BIT(OPTION_WAIT), .run = run_drain,
	}, {
		.name = "undrain", .args = "",
		.summary = "take requests again after 'drain'",
		.run = run_undrain,
	}, {
		.name = "health", .args = "[NAME [--from ADDR] [--no-agent]]",
		.summary = "tell whether clients may be sent here, by the exit status",
		.details =
"For the checks of balancers and routers: 0 if requests are taken and, with NAME, if\n"
"the file would be served, to ADDR if that is given, as 'test' tells it. Else 1, and a\n"
"line says why: from the beginning of 'drain' on, for one. Nothing is sent.\n",
		.options = BIT(OPTION_FROM) | BIT(OPTION_NO_AGENT),
		.max_args = 1, .run = run_health,
	}, {
		.name = "test",
		.args = "NAME [--from ADDR] [--no-agent] | --write NAME [SIZE]",
		.summary = "tell what a client would get that asks for NAME",
		.details =
"Prints the file, its size and its export, or why NAME would be refused; the exit\n"
"status is 1 then. Nothing is sent.\n"
"--from asks as the client ADDR. It also tells how many requests without options\n"
"this one may send, and whether it is trusted, on the link, or behind a router.\n"
"Where requests are questions to an agent (see 'resolve' of 'tftpkctl help set'), so is\n"
"this, unless --no-agent is given.\n"
"--write writes a file instead, as a client on this machine: SIZE bytes of text, or 1024.\n"
"Prints whether it was stored, or why not; the exit status is 1 then. The file stays.\n",
		.options = BIT(OPTION_FROM) | BIT(OPTION_NO_AGENT) | BIT(OPTION_WRITE),
		.min_args = 1, .max_args = 2, .run = run_test,
	}, {
		.name = "monitor", .args = "[--timestamp]",
		.summary = "print events as they happen, a line each",
		.details =
"A line begins with request, start, progress, complete, probe, abort, refused,\n"
"bounded, drain, undrain or lost. A client's line is made of its address, the number of the transfer, the\n"
"file and what was asked for. For lines of progress say how often, in percent:\n"
"'tftpkctl set progress 10'.\n"
"--timestamp puts the local time before each line. JSON is one object a line.\n",
		.options = BIT(OPTION_TIMESTAMP), .run = run_monitor,
	}, {
		.name = "top", .args = "",
		.summary = "watch the transfers on the terminal",
		.details =
"A line for each: client, file, how much of it the client has acknowledged, rate,\n"
"round-trip time, and blocks that were sent again. q quits, the arrows and the\n"
"page keys scroll.\n",
		.run = run_top,
	}, {
		.name = "warm", .args = "PATH",
		.summary = "read a file, or the files of a folder, into the page cache",
		.details =
"So that those who boot first do not wait for the disk. Symbolic links within a\n"
"folder are not followed.\n",
		.min_args = 1, .max_args = 1, .run = run_warm,
	}, {
		.name = "stats", .args = "[--prometheus | --openmetrics]",
		.summary = "print the counters and histograms",
		.details =
"--prometheus prints them in the text format of Prometheus, --openmetrics as others\n"
"read them. They count since the network namespace began or the module was loaded:\n\n",
		.options = BIT(OPTION_OPENMETRICS) | BIT(OPTION_PROMETHEUS),
		.explain = explain_stats, .run = run_stats,
	}, {
		.name = "set", .args = "KEY VALUE [KEY VALUE]...",
		.summary = "change settings, all of those given or none",
		.details =
"Seconds may be written as 30, 30s, 5m or 1h, bytes as 1024, 1024B, 1K or 1KiB,\n"
"mebibytes as 512, 512M, 512MiB, 2G or 2GiB. The settings are:\n\n",
		.explain = explain_settings,
		.min_args = 2, .max_args = INT_MAX, .run = run_set,
		.configure = configure_set,
	}, {
		.name = "get", .args = "[KEY]",
		.summary = "print the settings, or the value of one",
		.details = "The settings are:\n\n",
		.explain = explain_settings, .max_args = 1, .run = run_get,
	}, {
		.name = "import",
		.args = "tftpd-hpa|dnsmasq|atftpd [FILE]... [--out DIR [--force]]",
		.summary = "translate the configuration of another server",
		.details =
"FILE is what starts the server or configures it, or - for standard input; without\n"
"one, the usual file. Prints what tftpk.conf and tftpkd.conf would be, then each\n"
"option that has no equivalent or needs none, with its file and line. The exit\n"
"status is 1 if any has no equivalent. Nothing is executed.\n"
"--out DIR writes the files into DIR, such as /etc/tftpk. Files that are there\n"
"already are left alone, unless --force is given.\n",
		.options = BIT(OPTION_OUT) | BIT(OPTION_FORCE),
		.min_args = 1, .max_args = INT_MAX, .run = run_import,
	}, {
		.name = "shadow", .args = "LOG [--list]",
		.summary = "compare another server's log with what would be answered",
		.details =
"LOG is what tftpd-hpa, dnsmasq or atftpd logged, or - for standard input. Prints\n"
"each request that would be answered otherwise than it was; the exit status is 1\n"
"then. Nothing is sent.\n"
"--list prints the requests that LOG tells of, and asks nothing.\n",
		.options = BIT(OPTION_LIST),
		.min_args = 1, .max_args = 1, .run = run_shadow,
	}, {
		.name = "help", .args = "[COMMAND]",
		.summary = "explain a command",
		.options = BIT(OPTION_LIST), .max_args = 1, .run = run_help,
	},
};

/* Command options have the value 256 + enum command_option. */
static const struct option long_options[] = {
	{ "netns", required_argument, NULL, 'n' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ "as", required_argument, NULL, 256 + OPTION_AS },
	{ "uid", required_argument, NULL, 256 + OPTION_UID },
	{ "gid", required_argument, NULL, 256 + OPTION_GID },
	{ "no-symlinks", no_argument, NULL, 256 + OPTION_NO_SYMLINKS },
	{ "max-blksize", required_argument, NULL, 256 + OPTION_MAX_BLKSIZE },
	{ "min-timeout", required_argument, NULL, 256 + OPTION_MIN_TIMEOUT },
	{ "send-ahead", required_argument, NULL, 256 + OPTION_SEND_AHEAD },
	{ "dscp", required_argument, NULL, 256 + OPTION_DSCP },
	{ "max-rate", required_argument, NULL, 256 + OPTION_MAX_RATE },
	{ "rollover", required_argument, NULL, 256 + OPTION_ROLLOVER },
	{ "no-tsize", no_argument, NULL, 256 + OPTION_NO_TSIZE },
	{ "for", required_argument, NULL, 256 + OPTION_FOR },
	{ "not-for", required_argument, NULL, 256 + OPTION_NOT_FOR },
	{ "root-by", required_argument, NULL, 256 + OPTION_ROOT_BY },
	{ "only", no_argument, NULL, 256 + OPTION_ONLY },
	{ "drop-first-folder", no_argument, NULL, 256 + OPTION_DROP_FIRST_FOLDER },
	{ "default", required_argument, NULL, 256 + OPTION_DEFAULT },
	{ "refusal", required_argument, NULL, 256 + OPTION_REFUSAL },
	{ "single-port", no_argument, NULL, 256 + OPTION_SINGLE_PORT },
	{ "broadcast", no_argument, NULL, 256 + OPTION_BROADCAST },
	{ "anycast", optional_argument, NULL, 256 + OPTION_ANYCAST },
	{ "wait", optional_argument, NULL, 256 + OPTION_WAIT },
	{ "from", required_argument, NULL, 256 + OPTION_FROM },
	{ "no-agent", no_argument, NULL, 256 + OPTION_NO_AGENT },
	{ "write", no_argument, NULL, 256 + OPTION_WRITE },
	{ "timestamp", no_argument, NULL, 256 + OPTION_TIMESTAMP },
	{ "openmetrics", no_argument, NULL, 256 + OPTION_OPENMETRICS },
	{ "prometheus", no_argument, NULL, 256 + OPTION_PROMETHEUS },
	{ "list", no_argument, NULL, 256 + OPTION_LIST },
	{ "out", required_argument, NULL, 256 + OPTION_OUT },
	{ "save", no_argument, NULL, 256 + OPTION_SAVE },
	{ "force", no_argument, NULL, 256 + OPTION_FORCE },
	{ 0 }
};

static const char *command_name(size_t index)
{
	return index < COUNT(commands) ? commands[index].name : NULL;
}

/* The command of that name, or NULL after an error message. */
static const struct command *find_command(const char *name)
{
	const char *meant;
	size_t i;

	for (i = 0; i < COUNT(commands); i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}
	meant = nearest_word(name, command_name);
	if (meant)
		print_error("no command '%s': did you mean '%s'?", name, meant);
	else
		print_error("no command '%s': 'tftpkctl help' lists them", name);
	return NULL;
}

static void explain(const struct command *command)
{
	printf("Usage: tftpkctl [OPTION]... %s%s%s\n\nTo %s.\n", command->name,
	       *command->args ? " " : "", command->args, command->summary);
	if (command->details)
		printf("\n%s", command->details);
	if (command->explain)
		command->explain();
}

static void explain_all(void)
{
	size_t i;

	puts("Usage: tftpkctl [OPTION]... COMMAND\n\n"
	     "Configure and observe the in-kernel TFTP server.\n\nCommands:");
	for (i = 0; i < COUNT(commands); i++) {
		printf("  %s%s%s\n      %s\n", commands[i].name,
		       *commands[i].args ? " " : "", commands[i].args,
		       commands[i].summary);
	}
	puts("\nOptions:\n"
	     "  -n, --netns NETNS  work in a network namespace: a name of 'ip netns'\n"
	     "                     or a path\n"
	     "  -j, --json         print JSON\n"
	     "  -h, --help         explain, the command if there is one\n"
	     "  -V, --version      print the version\n\n"
	     "Exit status: 0 done, 1 failed, 2 wrong usage. See tftpkctl(8).");
}

/* For completion and tests: a line each, the kind of word and the word first. */
static void list_all(void)
{
	const struct option *option;
	size_t i;

	for (i = 0; i < COUNT(commands); i++)
		printf("command %s\n", commands[i].name);
	for (option = long_options; option->name; option++) {
		if (option->val < 256)
			printf("option --%s\n", option->name);
		for (i = 0; option->val >= 256 && i < COUNT(commands); i++) {
			if (commands[i].options & BIT(option->val - 256))
				printf("option --%s %s\n", option->name,
				       commands[i].name);
		}
	}
	list_settings();
}

static int run_help(struct ctl *ctl, int argc, char **argv)
{
	const struct command *command;

	if (ctl->option[OPTION_LIST]) {
		list_all();
		return EXIT_SUCCESS;
	}
	if (!argc) {
		explain_all();
		return EXIT_SUCCESS;
	}
	command = find_command(argv[0]);
	if (!command)
		return EXIT_USAGE;
	explain(command);
	return EXIT_SUCCESS;
}

/*
 * The network namespace only: an export pins the mount that its path is on, and
 * a mount namespace entered for this one command would end with it.
 */
static int enter_netns(const char *name)
{
	bool is_path = strchr(name, '/');
	auto_free char *path = xasprintf("%s%s", is_path ? "" : NETNS_DIR "/", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int ret = -1;

	if (fd < 0 && errno == ENOENT && !is_path)
		print_error("-n %s: no such network namespace ('ip netns' lists them)",
			    name);
	else if (fd < 0)
		print_error("-n %s: cannot open %s: %s", name, path,
			    strerror(errno));
	else if (!setns(fd, CLONE_NEWNET))
		ret = 0;
	else if (errno == EINVAL)
		print_error("-n %s: %s is not a network namespace", name, path);
	else if (errno == EPERM)
		print_error("-n %s: entering a network namespace needs CAP_SYS_ADMIN: run it as root",
			    name);
	else
		print_error("-n %s: %s", name, strerror(errno));

	if (fd >= 0)
		close(fd);
	return ret;
}

/* Are these options, and so many other words, what the command takes? */
static int check_usage(const struct ctl *ctl, const struct command *command,
		       int argc)
{
	const struct option *option;

	for (option = long_options; option->name; option++) {
		int own = option->val - 256;

		if (own >= 0 && ctl->option[own] &&
		    !(command->options & BIT(own)))
			return usage_error("%s takes no --%s", command->name,
					   option->name);
	}
	if (argc < command->min_args || argc > command->max_args)
		return usage_error("usage: tftpkctl %s%s%s", command->name,
				   *command->args ? " " : "", command->args);
	return 0;
}

static int run_command(struct ctl *ctl, int argc, char **argv)
{
	const struct command *command;
	int ret;

	if (!argc)
		return usage_error("no command given: 'tftpkctl help' lists them");
	command = find_command(argv[0]);
	if (!command)
		return EXIT_USAGE;
	ret = check_usage(ctl, command, argc - 1);
	if (ret)
		return ret;
	if (ctl->netns && enter_netns(ctl->netns))
		return EXIT_FAILURE;
	ret = command->run(ctl, argc - 1, argv + 1);
	nl_close(ctl);
	return ret;
}

/* Keep an option of a command. Returns 0 or an exit code. */
static int keep_option(struct ctl *ctl, enum command_option option, const char *text)
{
	ctl->option[option] = text;
	if (option != OPTION_FOR && option != OPTION_NOT_FOR)
		return 0;
	if (ctl->networks == COUNT(ctl->network))
		return usage_error("--for, --not-for: %zu networks are the most",
				   COUNT(ctl->network));
	ctl->network[ctl->networks].option = option;
	ctl->network[ctl->networks++].text = text;
	return 0;
}

/*
 * Read the options into @ctl: those of commands and, unless this is the line of
 * a file, those of the tool. Puts the other words last, from optind on, and
 * returns 0 or an exit code; @ending takes -h or -V.
 */
static int parse_options(struct ctl *ctl, int argc, char **argv, bool is_line,
			 int *ending)
{
	int option, ret;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, is_line ? ":" : ":n:jhV",
				     long_options, NULL)) != -1) {
		const char *word = argv[optind - 1];

		if (is_line) {
			/* Its value, if it has one, may be the next word. */
			if (option < 256 && optarg == word)
				word = argv[optind - 2];
			set_error_word(word);
			if (option < 256 && option != ':')
				option = '?';
		}
		switch (option) {
		case 'n':
			ctl->netns = optarg;
			break;
		case 'j':
			ctl->json = true;
			break;
		case 'h':
		case 'V':
			*ending = option;
			break;
		case ':':
			return usage_error("%s: the value is missing", word);
		case '?':
			if (!is_line && optopt && optopt < 256 &&
			    !strchr("njhV", optopt))
				return usage_error("no option '-%c': 'tftpkctl help' lists them",
						   optopt);
			return usage_error("no option '%s'%s: 'tftpkctl help' lists them",
					   word, is_line ? " here" : "");
		default:
			ret = keep_option(ctl, (enum command_option)(option - 256),
					  optarg ? optarg : "");
			if (ret)
				return ret;
			break;
		}
	}
	return 0;
}

/*
 * configure_line() - carry out a line of a file
 * @ctl: the context; takes the line's options
 * @config: what takes the configuration
 * @argc: number of words
 * @argv: the words, a command first, and a NULL
 *
 * Prints an error by itself.
 *
 * Return: 0, or an exit code.
 */
static int configure_line(struct ctl *ctl, json_t *config, int argc, char **argv)
{
	const struct command *command = find_command(argv[0]);
	int ending = 0, ret;

	if (!command)
		return EXIT_USAGE;
	if (!command->configure)
		return usage_error("'%s' is not for files: export, listen, set and trust are",
				   argv[0]);
	memset(ctl->option, 0, sizeof(ctl->option));
	ctl->networks = 0;
	ret = parse_options(ctl, argc, argv, true, &ending);
	if (ret)
		return ret;
	set_error_word(argv[0]);
	ret = check_usage(ctl, command, argc - optind);
	if (ret)
		return ret;
	return command->configure(ctl, config, argc - optind, argv + optind);
}

static int run_line(struct ctl *ctl, int argc, char **argv)
{
	int ending = 0, ret;

	ret = parse_options(ctl, argc, argv, false, &ending);
	if (ret)
		return ret;
	if (ending == 'h')
		return run_help(ctl, optind < argc, argv + optind);
	if (ending != 'V')
		return run_command(ctl, argc - optind, argv + optind);
	puts("tftpkctl " VERSION);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static struct ctl ctl = { .configure = configure_line };
	int ret;

	/* A closed stdout must not become the netlink socket. */
	do {
		ret = open("/dev/null", O_RDONLY | O_CLOEXEC);
	} while (ret >= 0 && ret <= STDERR_FILENO);
	if (ret > STDERR_FILENO)
		close(ret);
	/* Noticed when stdout is closed, like a full disk. */
	signal(SIGPIPE, SIG_IGN);

	ret = run_line(&ctl, argc, argv);

	errno = 0;
	if (ferror(stdout) | fclose(stdout)) {
		print_error("cannot write the output: %s",
			    strerror(errno ? errno : EIO));
		if (!ret)
			ret = EXIT_FAILURE;
	}
	return ret;
}
