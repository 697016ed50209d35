// SPDX-License-Identifier: GPL-2.0
/*
 * stallfs - a file system that stops answering
 *
 * usage: stallfs MOUNTPOINT FOLDER
 *
 * Serves the regular files of FOLDER, by the protocol of /dev/fuse, until it is
 * unmounted. Lines on standard input tell it how, each is answered by "ok":
 *
 *   hold [OP]...  keep requests of these kinds (LOOKUP, OPEN, READ, WRITE, RELEASE)
 *                 from now on, and print a line "OP NAME UID" for each
 *   go            answer those that are kept
 *   fail N        answer those by that errno, and others of these kinds from now on
 *   short N       answer reads past the page cache, N bytes at a time, of files that
 *                 are opened from now on; 0 to end that
 *
 * Names are never kept by the kernel, so every lookup asks.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define MESSAGE_MAX	(1 << 20)
#define FILES_MAX	16
#define FIRST_ID	2		/* node of the first file; 1 is the root */
#define ATTR_SECONDS	3600

struct request {
	STAILQ_ENTRY(request) list;
	size_t len;
	char bytes[];
};

static STAILQ_HEAD(, request) held = STAILQ_HEAD_INITIALIZER(held);
static const char *folder;
static char *files[FILES_MAX];
static unsigned int n_files, chunk, holding;	/* a bit for each of @kinds */
static int failing;
static int device;

static const struct {
	const char *name;
	uint32_t opcode;
} kinds[] = {
	{ "LOOKUP", FUSE_LOOKUP },
	{ "OPEN", FUSE_OPEN },
	{ "READ", FUSE_READ },
	{ "WRITE", FUSE_WRITE },
	{ "RELEASE", FUSE_RELEASE },
};

#define KINDS	(sizeof(kinds) / sizeof(*kinds))

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* A request that was interrupted is not waited for any more. */
static void answer(const struct fuse_in_header *in, int error, const void *data,
		   size_t len)
{
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + len),
		.error = -error,
		.unique = in->unique,
	};
	struct iovec parts[] = {
		{ &out, sizeof(out) },
		{ (void *)data, len },
	};

	if (writev(device, parts, 2) < 0 && errno != ENOENT)
		die("answer");
}

static int open_file(uint64_t node, int flags)
{
	char path[4096];

	if (node < FIRST_ID || node >= FIRST_ID + n_files)
		return -1;
	snprintf(path, sizeof(path), "%s/%s", folder, files[node - FIRST_ID]);
	return open(path, flags);
}

static bool attributes(uint64_t node, struct fuse_attr *attr)
{
	struct stat st;
	int fd;

	*attr = (struct fuse_attr){
		.ino = node, .nlink = 2, .mode = S_IFDIR | 0755, .blksize = 4096,
	};
	if (node == FUSE_ROOT_ID)
		return true;
	fd = open_file(node, O_RDONLY);
	if (fd < 0)
		return false;
	if (fstat(fd, &st))
		die("stat");
	close(fd);
	attr->nlink = 1;
	attr->mode = st.st_mode;
	attr->size = (uint64_t)st.st_size;
	attr->mtime = (uint64_t)st.st_mtim.tv_sec;
	attr->mtimensec = (uint32_t)st.st_mtim.tv_nsec;
	return true;
}

static void look_up(const struct fuse_in_header *in, const char *name)
{
	struct fuse_entry_out entry = { .attr_valid = ATTR_SECONDS };
	unsigned int i;

	for (i = 0; i < n_files; i++) {
		if (strcmp(files[i], name))
			continue;
		entry.nodeid = FIRST_ID + i;
		attributes(entry.nodeid, &entry.attr);
		answer(in, 0, &entry, sizeof(entry));
		return;
	}
	answer(in, ENOENT, NULL, 0);
}

static void read_file(const struct fuse_in_header *in,
		      const struct fuse_read_in *read)
{
	static char data[MESSAGE_MAX];
	int fd = open_file(in->nodeid, O_RDONLY);
	size_t size = read->size;
	ssize_t got;

	/* What goes by the page cache must not be short. */
	if (read->fh && read->fh < size)
		size = read->fh;
	got = pread(fd, data, size, (off_t)read->offset);
	if (got < 0)
		die("read");
	close(fd);
	answer(in, 0, data, (size_t)got);
}

static void write_file(const struct fuse_in_header *in,
		       const struct fuse_write_in *write)
{
	int fd = open_file(in->nodeid, O_WRONLY);
	struct fuse_write_out out = { 0 };
	ssize_t put;

	put = pwrite(fd, write + 1, write->size, (off_t)write->offset);
	if (put < 0)
		die("write");
	close(fd);
	out.size = (uint32_t)put;
	answer(in, 0, &out, sizeof(out));
}

static void serve(const struct fuse_in_header *in)
{
	const void *body = in + 1;
	struct fuse_attr_out attr = { .attr_valid = ATTR_SECONDS };
	const struct fuse_init_in *asked = body;
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.flags = FUSE_ASYNC_READ | FUSE_PARALLEL_DIROPS,
		.max_write = 4096,
	};
	struct fuse_open_out open = {
		.fh = chunk,
		.open_flags = chunk ? FOPEN_DIRECT_IO : 0,
	};

	switch (in->opcode) {
	case FUSE_INIT:
		init.max_readahead = asked->max_readahead;
		answer(in, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		look_up(in, body);
		break;
	case FUSE_GETATTR:
		if (attributes(in->nodeid, &attr.attr))
			answer(in, 0, &attr, sizeof(attr));
		else
			answer(in, ENOENT, NULL, 0);
		break;
	case FUSE_OPEN:
		answer(in, 0, &open, sizeof(open));
		break;
	case FUSE_READ:
		read_file(in, body);
		break;
	case FUSE_WRITE:
		write_file(in, body);
		break;
	case FUSE_RELEASE:
	case FUSE_FLUSH:
		answer(in, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		/* No answer is waited for, or it comes when it comes. */
		break;
	default:
		answer(in, ENOSYS, NULL, 0);
	}
}

/* Keep a request, if its kind is held. */
static bool hold(const struct fuse_in_header *in, size_t len)
{
	const char *name = in->opcode == FUSE_LOOKUP ? (const char *)(in + 1) :
			   in->nodeid >= FIRST_ID ? files[in->nodeid - FIRST_ID] : "/";
	struct request *request;
	unsigned int i;

	for (i = 0; i < KINDS && kinds[i].opcode != in->opcode; i++)
		;
	if (i == KINDS || !(holding & 1U << i))
		return false;
	if (failing) {
		answer(in, failing, NULL, 0);
		return true;
	}
	request = malloc(sizeof(*request) + len);
	if (!request)
		die("malloc");
	request->len = len;
	memcpy(request->bytes, in, len);
	STAILQ_INSERT_TAIL(&held, request, list);
	printf("%s %s %u\n", kinds[i].name, name, in->uid);
	return true;
}

static void obey(char *line)
{
	const char *word = strtok(line, " \n");
	const struct fuse_in_header *in;
	struct request *request;
	unsigned int i;

	if (word && !strcmp(word, "hold")) {
		holding = 0;
		failing = 0;
		while ((word = strtok(NULL, " \n"))) {
			for (i = 0; i < KINDS; i++)
				holding |= !strcmp(kinds[i].name, word) ? 1U << i : 0;
		}
	} else if (word && (!strcmp(word, "go") || !strcmp(word, "fail"))) {
		failing = *word == 'f' ? atoi(strtok(NULL, " \n")) : 0;
		while ((request = STAILQ_FIRST(&held))) {
			in = (struct fuse_in_header *)request->bytes;
			STAILQ_REMOVE_HEAD(&held, list);
			if (failing)
				answer(in, failing, NULL, 0);
			else
				serve(in);
			free(request);
		}
	} else if (word && !strcmp(word, "short")) {
		word = strtok(NULL, " \n");
		chunk = word ? (unsigned int)strtoul(word, NULL, 10) : 0;
	} else {
		fprintf(stderr, "stallfs: what?\n");
		exit(2);
	}
	puts("ok");
}

static void find_files(void)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	if (!dir)
		die(folder);
	while ((entry = readdir(dir)) && n_files < FILES_MAX)
		if (entry->d_type == DT_REG)
			files[n_files++] = strdup(entry->d_name);
	closedir(dir);
}

int main(int argc, char **argv)
{
	struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
	static char message[MESSAGE_MAX], line[256];
	char options[128];
	ssize_t got;

	if (argc != 3) {
		fprintf(stderr, "usage: stallfs MOUNTPOINT FOLDER\n");
		return 2;
	}
	setlinebuf(stdout);
	folder = argv[2];
	find_files();
	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (device < 0)
		die("/dev/fuse");
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other,default_permissions",
		 device);
	if (mount("stallfs", argv[1], "fuse.stallfs", 0, options))
		die(argv[1]);
	puts("ok");

	fds[0].fd = device;
	fds[1].fd = STDIN_FILENO;
	for (;;) {
		if (poll(fds, 2, -1) < 0)
			die("poll");
		if (fds[0].revents) {
			const struct fuse_in_header *in = (void *)message;

			got = read(device, message, sizeof(message));
			if (got < 0 && errno == ENODEV)
				return 0;	/* unmounted */
			if (got < 0 && errno != ENOENT && errno != EINTR && errno != EAGAIN)
				die("read");
			if (got > 0 && !hold(in, (size_t)got))
				serve(in);
		}
		if (fds[1].revents) {
			if (!fgets(line, sizeof(line), stdin))
				return 0;
			obey(line);
		}
	}
}
