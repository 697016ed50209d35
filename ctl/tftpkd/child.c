// SPDX-License-Identifier: GPL-2.0
/*
 * Commands of the configuration: how many run at once, how long, with what
 * rights, and where their output goes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tftpkd.h"

#define TELL_SECONDS	10
#define CHUNK		65536
#define MAX_FILES	256
#define MAX_DATA	(512UL << 20)

/* What all wait in. */
struct event_base *loop;

/* A command that waits or runs. */
struct child {
	struct child *next;	/* of those that wait */
	struct pool *pool;
	struct process command;
	double since;		/* when it was wanted */
	pid_t pid;
	bool run, exited, failed;
	int pidfd, output, pipe;	/* -1 if there is none */
	size_t size;
	struct event *exit_event, *pipe_event, *timer;
};

struct pool {
	unsigned int running, max_running;
	unsigned int waiting, max_waiting;
	struct child *first, **last;
};

/* claim_line() - may there be such a line again? One in TELL_SECONDS is enough. */
bool claim_line(double *last)
{
	double now = monotonic_seconds();

	if (*last > 0 && now - *last < TELL_SECONDS)
		return false;
	*last = now;
	return true;
}

struct pool *make_pool(unsigned int running, unsigned int waiting)
{
	struct pool *pool = check_alloc(calloc(1, sizeof(*pool)));

	pool->max_running = running;
	pool->max_waiting = waiting;
	pool->last = &pool->first;
	return pool;
}

/* free_pool() - whoever waits holds the configuration, and it the pool. */
void free_pool(struct pool *pool)
{
	free(pool);
}

/* copy_words() - a copy up to a NULL, for free_words(). */
char **copy_words(int argc, char **argv)
{
	char **words = check_alloc(calloc((size_t)argc + 1, sizeof(*words)));
	int i;

	for (i = 0; i < argc; i++)
		words[i] = check_alloc(strdup(argv[i]));
	return words;
}

void free_words(char **words)
{
	char **word;

	for (word = words; word && *word; word++)
		free(*word);
	free(words);
}

/* check_program() - may it be run? Returns 0, or -1 after an error message. */
int check_program(const char *path)
{
	set_error_word(path);
	if (*path != '/')
		print_error("%s: must be an absolute path; there is no shell",
			    path);
	else if (access(path, X_OK))
		print_error("%s: %s", path, strerror(errno));
	else
		return 0;
	return -1;
}

/*
 * make_environment() - what a command is told: each fact that is known, by its
 * name in the spec, as TFTPK_CLIENT_ADDRESS
 */
char **make_environment(const json_t *facts)
{
	size_t n = json_object_size(facts), i = 0;
	char **words = check_alloc(calloc(n + 2, sizeof(*words)));
	const char *key;
	json_t *value;

	words[i++] = xasprintf("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	json_object_foreach((json_t *)facts, key, value) {
		auto_free char *raw = raw_text(facts, key);
		char *c;

		if (json_is_integer(value))
			words[i] = xasprintf("TFTPK_%s=%lld", key,
					     json_integer_value(value));
		else if (json_is_string(value))
			words[i] = xasprintf("TFTPK_%s=%s", key, raw);
		else
			continue;
		for (c = words[i]; *c != '='; c++) {
			if (*c >= 'a' && *c <= 'z')
				*c = (char)(*c - 'a' + 'A');
		}
		i++;
	}
	return words;
}

static void limit(int resource, rlim_t value)
{
	const struct rlimit both = { value, value };

	setrlimit((__rlimit_resource_t)resource, &both);
}

/* Give up all rights, and get none back by what is executed. */
static int drop_rights(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[2] = { 0 };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
		return -1;
	return (int)syscall(SYS_capset, &header, none);
}

/* In the child. What it says on stderr goes to the journal. */
static _Noreturn void become(const struct process *command, int output,
			     pid_t parent)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(output >= 0 ? output : null, STDOUT_FILENO) < 0 ||
	    syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0) || chdir("/"))
		_exit(EXIT_FAILURE);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_CPU, command->timeout + 1);
	limit(RLIMIT_NOFILE, MAX_FILES);
	limit(RLIMIT_DATA, MAX_DATA);
	if (drop_rights())
		_exit(EXIT_FAILURE);
	execve(command->argv[0], command->argv, command->environment);
	print_error("%s: %s", command->argv[0], strerror(errno));
	_exit(EXIT_FAILURE);
}

static void start_next(struct pool *pool);

static void close_descriptor(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void free_event(struct event *event)
{
	if (event)
		event_free(event);
}

/* Hand over what came of it. */
static void end_child(struct child *child)
{
	const struct process command = child->command;
	int output = child->output;

	free_event(child->exit_event);
	free_event(child->pipe_event);
	free_event(child->timer);
	close_descriptor(child->pidfd);
	close_descriptor(child->pipe);
	free_words(command.environment);
	if (output >= 0 && (child->failed ||
			    fcntl(output, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK |
				  F_SEAL_GROW | F_SEAL_WRITE))) {
		close(output);
		output = -1;
	}
	if (!child->run)
		output = NOT_RUN;
	free(child);
	command.ended(command.data, output);
}

/* Nothing of its group outlives it, whose number is its own until it is reaped. */
static void reap_child(struct child *child)
{
	struct pool *pool = child->pool;
	siginfo_t info = { 0 };

	kill(-child->pid, SIGKILL);
	if (waitid(P_PID, (id_t)child->pid, &info, WEXITED) ||
	    info.si_code != CLD_EXITED || info.si_status)
		child->failed = true;
	pool->running--;
	start_next(pool);
	end_child(child);
}

static void on_exit_of_child(evutil_socket_t fd, short what, void *data)
{
	struct child *child = data;

	child->exited = true;
	/* What it wrote may still be on its way. */
	if (child->pipe < 0)
		reap_child(child);
}

/* End it early. It may be in a state in which it cannot die yet. */
static void kill_child(struct child *child)
{
	child->failed = true;
	event_del(child->timer);
	if (child->pipe >= 0) {
		event_del(child->pipe_event);
		close(child->pipe);
		child->pipe = -1;
	}
	if (child->exited) {
		reap_child(child);
		return;
	}
	kill(-child->pid, SIGKILL);
	/* It may have left its group. */
	kill(child->pid, SIGKILL);
}

static void on_time_out(evutil_socket_t fd, short what, void *data)
{
	struct child *child = data;

	print_error("%s: takes longer than %u s: killed",
		    child->command.argv[0], child->command.timeout);
	kill_child(child);
}

/* It could not be started, or waited for too long. */
static void on_failed(evutil_socket_t fd, short what, void *data)
{
	end_child(data);
}

/* Take what the command writes, up to what it may. */
static void on_output(evutil_socket_t fd, short what, void *data)
{
	static char chunk[CHUNK];
	struct child *child = data;
	ssize_t got = read(child->pipe, chunk, sizeof(chunk));

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (got > 0 && (size_t)got > child->command.max_size - child->size) {
		print_error("%s: writes more than %zu bytes: killed",
			    child->command.argv[0], child->command.max_size);
		kill_child(child);
		return;
	}
	if (got > 0 && write(child->output, chunk, (size_t)got) != got) {
		print_error("%s: no memory for its output: killed",
			    child->command.argv[0]);
		kill_child(child);
		return;
	}
	if (got > 0) {
		child->size += (size_t)got;
		return;
	}
	event_del(child->pipe_event);
	close(child->pipe);
	child->pipe = -1;
	if (child->exited)
		reap_child(child);
}

/* Make what its output goes to. Returns what the command writes to, or -1. */
static int open_output(struct child *child)
{
	int ends[2];

	child->output = memfd_create("tftpkd", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (child->output < 0 || pipe2(ends, O_CLOEXEC))
		return -1;
	child->pipe = ends[0];
	return ends[1];
}

static void watch(struct child *child)
{
	double left = child->command.timeout - (child->command.urgent ?
				monotonic_seconds() - child->since : 0);
	struct timeval timeout = { 0 };

	if (left > 0) {
		timeout.tv_sec = (time_t)left;
		timeout.tv_usec = (suseconds_t)((left - (double)timeout.tv_sec) * 1e6);
	}
	child->exit_event = check_alloc(event_new(loop, child->pidfd, EV_READ,
						  on_exit_of_child, child));
	event_add(child->exit_event, NULL);
	child->timer = check_alloc(evtimer_new(loop, on_time_out, child));
	event_add(child->timer, &timeout);
	if (child->pipe < 0)
		return;
	child->pipe_event = check_alloc(event_new(loop, child->pipe,
						  EV_READ | EV_PERSIST,
						  on_output, child));
	event_add(child->pipe_event, NULL);
}

/* Returns -1 where there are no more processes or descriptors to be had. */
static int start(struct child *child)
{
	pid_t parent = getpid();
	int end = -1;

	if (child->command.max_size) {
		end = open_output(child);
		if (end < 0)
			return -1;
	}
	child->pid = fork();
	if (!child->pid)
		become(&child->command, end, parent);
	close_descriptor(end);
	if (child->pid < 0)
		return -1;
	/* As the child does: whoever comes first. */
	setpgid(child->pid, child->pid);
	child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	if (child->pidfd < 0) {
		kill(child->pid, SIGKILL);
		waitpid(child->pid, NULL, 0);
		return -1;
	}
	child->run = true;
	child->pool->running++;
	watch(child);
	return 0;
}

/* It may run as long as it could have waited, at least. */
static bool waited_too_long(const struct child *child)
{
	double may = child->command.timeout / (child->command.urgent ? 2.0 : 1.0);

	return monotonic_seconds() - child->since >= may;
}

/* Let those that wait run, as far as they may. */
static void start_next(struct pool *pool)
{
	const struct timeval now = { 0 };
	static double told;

	while (pool->first && pool->running < pool->max_running) {
		struct child *child = pool->first;

		pool->first = child->next;
		if (!pool->first)
			pool->last = &pool->first;
		pool->waiting--;
		if (!waited_too_long(child)) {
			if (!start(child))
				continue;
			if (claim_line(&told))
				print_error("%s: cannot be started: %s",
					    child->command.argv[0], strerror(errno));
		}
		child->failed = true;
		/* Later: whoever waits may be the last one to need the pool. */
		child->timer = check_alloc(evtimer_new(loop, on_failed, child));
		event_add(child->timer, &now);
	}
}

static void queue_child(struct pool *pool, struct child *child)
{
	struct child **link = pool->last;

	if (child->command.near) {
		for (link = &pool->first; *link && (*link)->command.near;)
			link = &(*link)->next;
	}
	child->next = *link;
	*link = child;
	if (!child->next)
		pool->last = &child->next;
	pool->waiting++;
}

/**
 * run_pooled() - run a command, now or later
 * @pool: those that run at once
 * @command: what; is copied, its environment is freed
 *
 * Return: whether it will have an end that is told; false where too many wait.
 */
bool run_pooled(struct pool *pool, const struct process *command)
{
	struct child *child;

	if (pool->running >= pool->max_running &&
	    pool->waiting >= pool->max_waiting) {
		free_words(command->environment);
		return false;
	}
	child = check_alloc(calloc(1, sizeof(*child)));
	child->pool = pool;
	child->command = *command;
	child->since = monotonic_seconds();
	child->pidfd = child->output = child->pipe = -1;
	queue_child(pool, child);
	start_next(pool);
	return true;
}
