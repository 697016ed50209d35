// SPDX-License-Identifier: GPL-2.0
/* warm: read files into the page cache ahead of those who ask for them. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tftpkctl.h"

#define CHUNK	(256 << 10)
#define MAX_FDS	16	/* of a walk; deeper folders are read again */
#define BAR	30

/* nftw() hands nothing to its callbacks. */
static struct {
	bool counting;		/* the first of two walks */
	bool bar;		/* tell of progress on stderr */
	long long files, skipped;
	uint64_t bytes, total;
	double begun, shown;
} warming;

static char chunk[CHUNK];

static void print_bar(bool last)
{
	double time = monotonic_seconds(), part = 1.0;
	auto_free char *bytes = NULL;
	auto_free char *speed = NULL;
	int i;

	if (!warming.bar || (!last && time < warming.shown + 0.1))
		return;
	warming.shown = time;
	if (warming.total)
		part = (double)warming.bytes / (double)warming.total;
	/* A file that grows is not waited for. */
	if (part > 1.0)
		part = 1.0;
	bytes = amount_text((double)warming.bytes);
	speed = amount_text((double)warming.bytes /
			    (time - warming.begun + 0.001));
	fputs("\r[", stderr);
	for (i = 0; i < BAR; i++)
		fputc(i < part * BAR ? '#' : '-', stderr);
	fprintf(stderr, "] %3.0f%%  %s, %s/s \033[K%s", part * 100.0, bytes,
		speed, last ? "\n" : "");
}

/* An error below the bar. */
static void skip_file(const char *path, const char *why)
{
	auto_free char *raw = quote_word(path);

	if (warming.bar)
		fputs("\r\033[K", stderr);
	print_error("warm %s: %s (left out)", raw, why);
	warming.skipped++;
}

static void read_whole_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	uint64_t left;
	struct stat st;
	ssize_t n = 0;

	if (fd < 0 || fstat(fd, &st)) {
		skip_file(path, strerror(errno));
		goto out;
	}
	if (!S_ISREG(st.st_mode))
		goto out;
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	for (left = (uint64_t)st.st_size; left; left -= (uint64_t)n) {
		n = read(fd, chunk, sizeof(chunk));
		if (n <= 0 || (uint64_t)n > left)
			break;
		warming.bytes += (uint64_t)n;
		print_bar(false);
	}
	if (n < 0)
		skip_file(path, strerror(errno));
	else
		warming.files++;
out:
	if (fd >= 0)
		close(fd);
}

/* Links are left alone: what they lead to in the tree is read by its name. */
static int visit_file(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	if (type == FTW_DNR || type == FTW_NS) {
		if (!warming.counting)
			skip_file(path, strerror(EACCES));
	} else if (type == FTW_F && S_ISREG(st->st_mode)) {
		if (warming.counting)
			warming.total += (uint64_t)st->st_size;
		else
			read_whole_file(path);
	}
	return 0;
}

/* What the kernel could use for files, or the largest number if it hides it. */
static uint64_t available_memory(void)
{
	FILE *in = fopen("/proc/meminfo", "re");
	uint64_t kib = UINT64_MAX / 1024;
	auto_free char *line = NULL;
	const char *rest;
	size_t size = 0;

	while (in && getline(&line, &size, in) >= 0) {
		if (!strncmp(line, "MemAvailable:", 13))
			parse_number(line + 13 + strspn(line + 13, " "), &rest,
				     &kib);
	}
	if (in)
		fclose(in);
	return kib * 1024;
}

static int print_report(const struct ctl *ctl, const char *path)
{
	long long ms = (long long)((monotonic_seconds() - warming.begun) * 1000.0);
	json_t *result;

	if (!ctl->json) {
		auto_free char *bytes = amount_text((double)warming.bytes);
		auto_free char *word = quote_word(path);

		printf("%s: %lld file%s, %llu bytes (%s) in %lld.%03lld s\n",
		       word, warming.files, warming.files == 1 ? "" : "s",
		       (unsigned long long)warming.bytes, bytes, ms / 1000,
		       ms % 1000);
		return EXIT_SUCCESS;
	}
	result = check_alloc(json_object());
	object_put(result, "path", json_bytes(path, strlen(path)));
	object_put(result, "files", json_integer(warming.files));
	object_put(result, "skipped", json_integer(warming.skipped));
	object_put(result, "bytes", json_integer((json_int_t)warming.bytes));
	object_put(result, "duration", json_integer(ms));
	return print_json(json_pack("{s:o}", "warm", result));
}

int run_warm(struct ctl *ctl, int argc, char **argv)
{
	auto_free char *path = realpath(argv[0], NULL);
	struct stat st;

	if (!path || stat(path, &st)) {
		print_error("warm %s: %s", argv[0], strerror(errno));
		return EXIT_FAILURE;
	}
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		print_error("warm %s: neither a file nor a folder", argv[0]);
		return EXIT_FAILURE;
	}
	warming.bar = isatty(STDERR_FILENO);
	warming.counting = true;
	nftw(path, visit_file, MAX_FDS, FTW_PHYS);
	if (warming.total > available_memory()) {
		auto_free char *total = amount_text((double)warming.total);
		auto_free char *room = amount_text((double)available_memory());

		print_warning("%s holds %s, but memory only %s: the first will be dropped",
			      argv[0], total, room);
	}

	warming.counting = false;
	warming.begun = monotonic_seconds();
	if (nftw(path, visit_file, MAX_FDS, FTW_PHYS)) {
		print_error("warm %s: %s", argv[0], strerror(errno));
		warming.skipped++;
	}
	print_bar(true);
	print_report(ctl, argv[0]);
	return warming.skipped ? EXIT_FAILURE : EXIT_SUCCESS;
}
