// SPDX-License-Identifier: GPL-2.0
/*
 * Files of uploads. They have no name, or a hidden one, until all of them is there;
 * so nobody sees half of one. Called in threads.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "below.h"
#include "inbox.h"

/* Others may take the same name at the same time. */
#define TRIES		100

static const char letters[] =
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/* is_hidden() - is it a name that make_hidden() makes? */
bool is_hidden(const char *name)
{
	const size_t prefix = strlen(HIDDEN_PREFIX);

	return !strncmp(name, HIDDEN_PREFIX, prefix) &&
	       strlen(name + prefix) == HIDDEN_RANDOM &&
	       strspn(name + prefix, letters) == HIDDEN_RANDOM;
}

static void make_hidden(char hidden[HIDDEN_ROOM])
{
	unsigned char bytes[HIDDEN_RANDOM] = { 0 };
	size_t i, prefix = strlen(HIDDEN_PREFIX);

	/* Without, the first name that is free will do. */
	if (getrandom(bytes, sizeof(bytes), 0) < 0)
		memset(bytes, 0, sizeof(bytes));
	memcpy(hidden, HIDDEN_PREFIX, prefix);
	for (i = 0; i < HIDDEN_RANDOM; i++)
		hidden[prefix + i] = letters[bytes[i] % strlen(letters)];
	hidden[prefix + i] = '\0';
}

/* open_inbox() - the folder of an inbox, or -1 with errno set. */
int open_inbox(const char *dir)
{
	return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
}

/* Hand on a folder if it is on the inbox's device, else close it and fail so. */
static int check_device(const struct target *target, int dir, int error)
{
	struct stat stat;

	if (dir < 0 || (!fstat(dir, &stat) && stat.st_dev == target->device))
		return dir;
	close(dir);
	errno = error;
	return -1;
}

/*
 * The folder of the target, or -1 with errno set. A path has no part that leads up,
 * see inbox.c.
 */
static int open_folder(const struct target *target)
{
	const char *part = target->path;
	int dir = open_inbox(target->inbox->dir);

	if (dir < 0) {
		/* Those are for folders below it. */
		if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
			errno = ENODEV;
		return -1;
	}
	/* A disk that is not mounted would have its files beneath it. */
	dir = check_device(target, dir, ENODEV);
	while (dir >= 0 && part != target->name) {
		size_t len = strcspn(part, "/");

		/* A quota counts none of another disk. */
		dir = check_device(target, open_part(dir, part, len), EXDEV);
		part += len + 1;
	}
	return dir;
}

/* May the file be there, and has it room? Returns an errno. */
static int look_at(const struct target *target, int dir)
{
	struct statvfs room;
	struct stat stat;

	if (!fstatat(dir, target->name, &stat, AT_SYMLINK_NOFOLLOW)) {
		if (target->inbox->existing == EXISTING_REFUSE)
			return EEXIST;
		if (!S_ISREG(stat.st_mode))
			return EISDIR;
	} else if (errno != ENOENT) {
		return errno;
	}
	if (faccessat(dir, ".", W_OK | X_OK, AT_EACCESS))
		return errno;
	/* A file system without a bound has no blocks at all. */
	if (target->size && !fstatvfs(dir, &room) && room.f_blocks &&
	    target->size / room.f_frsize > room.f_bavail)
		return ENOSPC;
	return 0;
}

/* check_target() - could the upload be stored? */
void check_target(struct target *target)
{
	int dir = open_folder(target);

	target->error = dir < 0 ? errno : look_at(target, dir);
	if (dir >= 0)
		close(dir);
}

/*
 * So that nobody takes it for a left one. A sweep of another process may have been
 * faster: returns whether it did not. Some file systems have no such locks.
 */
static bool lock_hidden(int fd)
{
	struct stat stat;

	if (flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
		return false;
	return !fstat(fd, &stat) && stat.st_nlink;
}

/* A file with a hidden name. */
static int open_hidden(struct target *target)
{
	unsigned int i;

	for (i = 0; i < TRIES; i++) {
		int fd;

		make_hidden(target->hidden);
		fd = openat(target->dir, target->hidden,
			    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
		if (fd < 0 && errno == EEXIST)
			continue;
		if (fd < 0)
			break;
		if (lock_hidden(fd))
			return fd;
		close(fd);
		errno = EEXIST;
	}
	target->hidden[0] = '\0';
	return -1;
}

/* File systems without O_TMPFILE say so in several ways. */
static int open_file(struct target *target)
{
	int fd = openat(target->dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC,
			S_IRUSR | S_IWUSR);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT ||
		       errno == EINVAL || errno == ENOSYS))
		fd = open_hidden(target);
	return fd;
}

/* Returns an errno. */
static int prepare_file(const struct target *target)
{
	if (target->size &&
	    fallocate(target->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)target->size) &&
	    (errno == ENOSPC || errno == EDQUOT || errno == EFBIG || errno == EIO))
		return errno;
	return 0;
}

/* open_target() - make the file that the upload is written to. */
void open_target(struct target *target)
{
	target->dir = open_folder(target);
	target->error = target->dir < 0 ? errno : look_at(target, target->dir);
	if (target->error)
		return;
	target->fd = open_file(target);
	target->error = target->fd < 0 ? errno : prepare_file(target);
}

/* flush_target() - have written what is there, so that the last sync is short. */
void flush_target(struct target *target)
{
	sync_file_range(target->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

/* close_target() - give up what the upload holds. */
void close_target(struct target *target)
{
	if (target->hidden[0])
		unlinkat(target->dir, target->hidden, 0);
	target->hidden[0] = '\0';
	if (target->fd >= 0)
		close(target->fd);
	if (target->dir >= 0)
		close(target->dir);
	target->fd = target->dir = -1;
}

static int link_file(const struct target *target, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", target->fd);
	return linkat(AT_FDCWD, path, target->dir, name, AT_SYMLINK_FOLLOW);
}

/* Returns an errno. */
static int link_hidden(struct target *target)
{
	unsigned int i;

	if (target->hidden[0])
		return 0;
	/* No start is to take it for a left one. */
	flock(target->fd, LOCK_EX | LOCK_NB);
	for (i = 0; i < TRIES; i++) {
		make_hidden(target->hidden);
		if (!link_file(target, target->hidden))
			return 0;
		if (errno != EEXIST)
			break;
	}
	target->hidden[0] = '\0';
	return errno;
}

/* Returns an errno, EEXIST where the name is taken. */
static int rename_free(int dir, const char *from, const char *to)
{
	if (!renameat2(dir, from, dir, to, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return errno;
	/* Not all file systems can do that at once. */
	if (linkat(dir, from, dir, to, 0))
		return errno;
	return unlinkat(dir, from, 0) ? errno : 0;
}

/* The number of name.~N~, or 0. */
static unsigned long version_of(const char *entry, const char *name, size_t len)
{
	unsigned long n;
	char *end;

	if (strncmp(entry, name, len) != 0 || entry[len] != '.' ||
	    entry[len + 1] != '~' || entry[len + 2] < '1' || entry[len + 2] > '9')
		return 0;
	errno = 0;
	n = strtoul(entry + len + 2, &end, 10);
	return errno || strcmp(end, "~") != 0 ? 0 : n;
}

/* The highest number of those that are kept. */
static unsigned long last_version(const struct target *target)
{
	int fd = openat(target->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	size_t len = strlen(target->name);
	unsigned long last = 0;
	struct dirent *entry;

	if (fd >= 0 && !dir)
		close(fd);
	while (dir && (entry = readdir(dir))) {
		unsigned long n = version_of(entry->d_name, target->name, len);

		last = n > last ? n : last;
	}
	if (dir)
		closedir(dir);
	return last;
}

/*
 * Keep the file that is there as name.~N~. It keeps its name, too, until the new one
 * takes it; but not where there are no hard links, or none to files of others.
 * Returns an errno.
 */
static int keep_version(const struct target *target)
{
	unsigned long n = last_version(target);
	unsigned int i;
	int error = EEXIST;

	for (i = 0; error == EEXIST && i < TRIES; i++) {
		auto_free char *kept = xasprintf("%s.~%lu~", target->name, ++n);

		error = linkat(target->dir, target->name, target->dir, kept, 0) ?
				errno : 0;
		if (error == EPERM || error == EOPNOTSUPP || error == EMLINK)
			error = rename_free(target->dir, target->name, kept);
	}
	return error == ENOENT ? 0 : error;
}

/* What will be given back of the quota with the name. */
static uint64_t charge_of_name(const struct target *target)
{
	struct stat stat;

	if (fstatat(target->dir, target->name, &stat, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISREG(stat.st_mode) || stat.st_nlink > 1)
		return 0;
	return charge_of((uint64_t)stat.st_size);
}

/* Let the hidden file take the name. Returns an errno. */
static int rename_hidden(struct target *target)
{
	enum existing existing = target->inbox->existing;
	int error = 0;

	if (existing == EXISTING_REFUSE)
		error = rename_free(target->dir, target->hidden, target->name);
	else if (existing == EXISTING_VERSION)
		error = keep_version(target);
	else
		target->replaced = charge_of_name(target);
	if (!error && existing != EXISTING_REFUSE &&
	    renameat(target->dir, target->hidden, target->dir, target->name))
		error = errno;
	if (!error) {
		target->hidden[0] = '\0';
		target->named = true;
	}
	return error;
}

static bool wants_owner(const struct inbox *inbox)
{
	return inbox->uid != (uid_t)-1 || inbox->gid != (gid_t)-1;
}

/* Give the file its name. Returns an errno. */
static int name_file(struct target *target)
{
	const struct inbox *inbox = target->inbox;
	int error;

	if (!target->hidden[0] && !wants_owner(inbox)) {
		target->named = !link_file(target, target->name);
		if (target->named)
			return 0;
		if (errno != EEXIST || inbox->existing == EXISTING_REFUSE)
			return errno;
	}
	error = link_hidden(target);
	if (error)
		return error;
	/* Only now: a file of somebody else may not be linked. */
	if (wants_owner(inbox) && fchown(target->fd, inbox->uid, inbox->gid))
		return errno;
	if (wants_owner(inbox) && inbox->sync == SYNC_FULL && fsync(target->fd))
		return errno;
	return rename_hidden(target);
}

/*
 * Until now its owner could write it, as who removes left files must; and what "full"
 * syncs has the mode. Returns an errno.
 */
static int sync_file(const struct target *target)
{
	if (fchmod(target->fd, target->inbox->mode) && errno != EPERM)
		return errno;
	switch (target->inbox->sync) {
	case SYNC_DATA:
		return fdatasync(target->fd) ? errno : 0;
	case SYNC_FULL:
		return fsync(target->fd) ? errno : 0;
	default:
		return 0;
	}
}

/*
 * One at a time in an inbox where names are looked at, then taken. No lock of the
 * folder: whoever may read it could hold that. Returns an errno.
 */
static int name_in_turn(struct target *target)
{
	bool looks = target->inbox->existing != EXISTING_REFUSE;
	int error;

	if (looks)
		pthread_mutex_lock(target->names);
	error = atomic_load(&target->abandoned) ? ECANCELED : name_file(target);
	if (looks)
		pthread_mutex_unlock(target->names);
	return error;
}

/* Is all there, and nothing reserved beyond it? Returns an errno. */
static int trim_file(const struct target *target)
{
	struct stat stat;

	if (atomic_load(&target->abandoned))
		return ECANCELED;
	if (fstat(target->fd, &stat))
		return errno;
	if ((uint64_t)stat.st_size != target->stored)
		return EPROTO;
	if (target->size > target->stored && ftruncate(target->fd, stat.st_size))
		return errno;
	return 0;
}

/*
 * store_target() - sync the file, and give it its name.
 *
 * No other thread may have it. Who hears that it is there may read it at once: it is
 * not open for writing any more.
 */
void store_target(struct target *target)
{
	target->error = trim_file(target);
	if (!target->error)
		target->error = sync_file(target);
	if (!target->error)
		target->error = name_in_turn(target);
	if (target->named) {
		close(target->fd);
		target->fd = -1;
	}
	if (!target->error && target->inbox->sync == SYNC_FULL && fsync(target->dir))
		target->error = errno;
}
