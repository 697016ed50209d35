// SPDX-License-Identifier: GPL-2.0
/* Opens what is below a folder. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../tftpkctl.h"
#include "below.h"

static int open_name(int dir, const char *part, size_t len, int flags)
{
	auto_free char *name = check_alloc(strndup(part, len));

	return openat(dir, name, flags | O_NOFOLLOW);
}

/**
 * open_part() - a folder in a folder, which is no link
 * @dir: the folder that it is in; is closed
 * @part: where its name begins
 * @len: bytes of that
 *
 * Return: a descriptor, or -1 with errno set.
 */
int open_part(int dir, const char *part, size_t len)
{
	int next = open_name(dir, part, len, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	int error = errno;

	close(dir);
	errno = error;
	return next;
}

/* Without links, and without parts that lead up. */
static int open_by_parts(int root, const char *path, int flags)
{
	int dir = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = -1, error;

	for (; dir >= 0; path++) {
		size_t len = strcspn(path, "/");

		if (len == 2 && !strncmp(path, "..", 2)) {
			errno = EXDEV;
			break;
		}
		if (!path[len]) {
			fd = open_name(dir, path, len, flags);
			break;
		}
		dir = len ? open_part(dir, path, len) : dir;
		path += len;
	}
	error = errno;
	if (dir >= 0)
		close(dir);
	errno = error;
	return fd;
}

/**
 * open_below() - what a path leads to as if the folder were the root
 * @root: the folder
 * @path: the path
 * @flags: as for open()
 *
 * A service whose files may get no set-user-ID bit has no openat2(): then no links
 * are followed.
 *
 * Return: a descriptor, or -1 with errno set.
 */
int open_below(int root, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned int)flags, .resolve = RESOLVE_IN_ROOT,
	};
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd < 0 && errno == ENOSYS ? open_by_parts(root, path, flags) : fd;
}
