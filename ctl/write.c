// SPDX-License-Identifier: GPL-2.0
/* Files of lines, replaced as a whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tftpkctl.h"

/* write_lines() - the configuration as a file. */
void write_lines(FILE *out, const char *header, const json_t *lines)
{
	json_t *line;
	size_t i;

	fputs(header, out);
	if (!json_array_size(lines))
		fputs("# Nothing is configured.\n", out);
	json_array_foreach(lines, i, line)
		fprintf(out, "%s\n", json_string_value(line));
}

/* Write and close. Returns 0 or an errno. */
static int write_all(FILE *out, const char *header, const json_t *lines)
{
	int error = 0;

	write_lines(out, header, lines);
	if (fflush(out) || (fsync(fileno(out)) && errno != EINVAL &&
			    errno != EROFS))
		error = errno;
	if (fclose(out) && !error)
		error = errno;
	return error;
}

/*
 * Write a file beside @target and rename it, so that there is always a whole
 * one. It keeps mode and owner, as far as that may be. Returns 0 or an errno.
 */
static int replace_file(const char *target, mode_t mode, const struct stat *old,
			const char *header, const json_t *lines)
{
	auto_free char *name = xasprintf("%s.XXXXXX", target);
	int fd = mkostemp(name, O_CLOEXEC), error = 0;
	FILE *out;

	if (fd < 0)
		return errno;
	if ((old && fchown(fd, old->st_uid, old->st_gid) && errno != EPERM) ||
	    fchmod(fd, mode))
		error = errno;
	out = error ? NULL : fdopen(fd, "w");
	if (out) {
		error = write_all(out, header, lines);
	} else {
		error = error ? error : errno;
		close(fd);
	}
	if (!error && rename(name, target))
		error = errno;
	if (error)
		unlink(name);
	return error;
}

/* write_file() - write to a file, or to what else bears its name; 0 or an errno. */
int write_file(const char *file, const char *header, const json_t *lines)
{
	mode_t mask = umask(0);
	struct stat st;
	auto_free char *real = NULL;
	FILE *out;

	umask(mask);
	if (lstat(file, &st) && errno == ENOENT)
		return replace_file(file, 0666 & ~mask, NULL, header, lines);
	real = !stat(file, &st) && S_ISREG(st.st_mode) ? realpath(file, NULL) :
							 NULL;
	if (real)
		return replace_file(real, st.st_mode & 07777, &st, header,
				    lines);
	out = fopen(file, "we");
	return out ? write_all(out, header, lines) : errno;
}
