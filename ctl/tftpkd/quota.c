// SPDX-License-Identifier: GPL-2.0
/*
 * Who holds inboxes, and what lies in their folders: it is counted at the start, and
 * again when it matters, because others remove files.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inbox.h"
#include "workers.h"

/* Bounds of a count: entries, seconds and folders deep; of one in a thread, more. */
#define MAX_ENTRIES	100000
#define MAX_SECONDS	1
#define MAX_DEPTH	32
#define PATIENCE	20

/* Seconds between counts. */
#define PAUSE		30

/* A folder, by whatever paths. */
struct place {
	struct place *next;
	unsigned int references;
	dev_t device;
	ino_t inode;
	pthread_mutex_t names;	/* of the files below it */
	uint64_t used, reserved;
	uint64_t added;		/* by uploads */
	unsigned int jobs;	/* of uploads, that began or wait */
};

/* A path that inboxes have. */
struct account {
	struct account *next;
	unsigned int references;
	char *dir;
	struct place *place;	/* where it led when it was found, or NULL */
	double counted;		/* when */
	bool started;		/* counted once, or tried to */
	bool found;		/* the last start found it */
	bool counting;
	bool again;		/* start once more when that is done */
	struct job job;
	struct count {
		const char *dir;
		dev_t device;	/* that the folder is or should be on */
		ino_t inode;	/* its, that was found */
		bool start;	/* find both out, and remove what uploads left */
		int error;	/* errno of the start */
		uint64_t charge;
		uint64_t added;	/* to the place, before */
		unsigned int patience;	/* how often the bounds may be had */
		unsigned long left;	/* entries */
		double end;
		bool given_up;	/* at a bound, or the storage failed: there is more */
		bool partial;	/* a folder may not be read, or is too deep */
	} count;
};

/* All of them: they stay while a new configuration takes the place of an old one. */
static struct account *accounts;
static struct place *places;

/* A reference to that of a folder. */
static struct place *get_place(dev_t device, ino_t inode)
{
	struct place *place;

	for (place = places; place; place = place->next) {
		if (place->device == device && place->inode == inode) {
			place->references++;
			return place;
		}
	}
	place = check_alloc(calloc(1, sizeof(*place)));
	place->references = 1;
	place->device = device;
	place->inode = inode;
	pthread_mutex_init(&place->names, NULL);
	place->next = places;
	places = place;
	return place;
}

/* put_place() - drop a reference, if there is one. */
void put_place(struct place *place)
{
	struct place **link = &places;

	if (!place || --place->references)
		return;
	while (*link != place)
		link = &(*link)->next;
	*link = place->next;
	pthread_mutex_destroy(&place->names);
	free(place);
}

/* get_account() - a reference to that of a path. */
struct account *get_account(const char *dir)
{
	struct account *account;

	for (account = accounts; account; account = account->next) {
		if (!strcmp(account->dir, dir)) {
			account->references++;
			return account;
		}
	}
	account = check_alloc(calloc(1, sizeof(*account)));
	account->references = 1;
	account->dir = check_alloc(strdup(dir));
	account->next = accounts;
	accounts = account;
	return account;
}

void put_account(struct account *account)
{
	struct account **link = &accounts;

	if (--account->references)
		return;
	while (*link != account)
		link = &(*link)->next;
	*link = account->next;
	put_place(account->place);
	free(account->dir);
	free(account);
}

/**
 * find_place() - the folder that a path leads to
 * @account: the path's
 * @error: takes an errno, EBUSY until it is known
 *
 * Return: a reference, or NULL.
 */
struct place *find_place(struct account *account, int *error)
{
	*error = !account->started ? EBUSY : account->found ? 0 : ENODEV;
	if (*error)
		return NULL;
	account->place->references++;
	return account->place;
}

/* device_of() - that a folder is on. */
dev_t device_of(const struct place *place)
{
	return place->device;
}

/* names_of() - the lock of the names in a folder. */
pthread_mutex_t *names_of(struct place *place)
{
	return &place->names;
}

/* count_jobs() - so many more of uploads; returns how many there are. */
unsigned int count_jobs(struct place *place, int more)
{
	place->jobs += (unsigned int)more;
	return place->jobs;
}

/* hold_inbox() - another reference. */
struct inbox *hold_inbox(struct inbox *inbox)
{
	inbox->references++;
	return inbox;
}

/* release_inbox() - drop a reference. */
void release_inbox(struct inbox *inbox)
{
	if (--inbox->references)
		return;
	put_account(inbox->account);
	free(inbox->networks);
	free(inbox->names);
	free(inbox->prefix);
	free(inbox->dir);
	free(inbox);
}

/* An upload that goes on holds its file's lock, in whatever process. */
static void remove_left(int dir, const char *name)
{
	int fd = openat(dir, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	/* Where it was about to get its name, it has its mode. */
	if (fd < 0 && errno == EACCES)
		fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return;
	if (!flock(fd, LOCK_EX | LOCK_NB))
		unlinkat(dir, name, 0);
	close(fd);
}

static void count_folder(struct count *count, int fd, unsigned int depth);

/* What is gone meanwhile does not matter. */
static void take_failure(struct count *count)
{
	if (errno == EACCES)
		count->partial = true;
	else if (errno != ENOENT)
		count->given_up = true;
}

/* The device of files is another one on some kinds of overlays. */
static void count_entry(struct count *count, int dir, const char *name,
			unsigned int depth)
{
	struct stat stat;

	if (fstatat(dir, name, &stat, AT_SYMLINK_NOFOLLOW)) {
		take_failure(count);
	} else if (S_ISREG(stat.st_mode) && is_hidden(name)) {
		if (count->start)
			remove_left(dir, name);
	} else if (S_ISREG(stat.st_mode)) {
		count->charge += charge_of((uint64_t)stat.st_size);
	} else if (S_ISDIR(stat.st_mode) && stat.st_dev == count->device) {
		count_folder(count, openat(dir, name, O_RDONLY | O_DIRECTORY |
					   O_NOFOLLOW | O_CLOEXEC), depth + 1);
	}
}

static void read_folder(struct count *count, DIR *dir, unsigned int depth)
{
	struct dirent *entry;

	while (!count->given_up) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			break;
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		count_entry(count, dirfd(dir), entry->d_name, depth);
		if (!--count->left || monotonic_seconds() > count->end)
			count->given_up = true;
	}
	if (!count->given_up && errno)
		take_failure(count);
}

static void count_folder(struct count *count, int fd, unsigned int depth)
{
	DIR *dir = fd >= 0 && depth < MAX_DEPTH ? fdopendir(fd) : NULL;

	if (dir) {
		read_folder(count, dir, depth);
		closedir(dir);
		return;
	}
	if (fd < 0 || depth < MAX_DEPTH)
		take_failure(count);
	else
		count->partial = true;
	if (fd >= 0)
		close(fd);
}

static void count_all(void *data)
{
	struct account *account = data;
	struct count *count = &account->count;
	int fd = open_inbox(count->dir);
	struct stat stat;

	if (fd < 0 || fstat(fd, &stat)) {
		count->error = errno;
		count->given_up = true;
		if (fd >= 0)
			close(fd);
		return;
	}
	/* It may have waited for a thread. */
	count->left = (unsigned long)MAX_ENTRIES * count->patience;
	count->end = monotonic_seconds() + MAX_SECONDS * count->patience;
	if (count->start) {
		count->device = stat.st_dev;
		count->inode = stat.st_ino;
	}
	if (count->device == stat.st_dev) {
		count_folder(count, fd, 0);
	} else {
		count->given_up = true;
		close(fd);
	}
}

/* Returns whether the path leads to the same folder as before. */
static bool take_place(struct account *account)
{
	struct place *before = account->place;

	account->place = get_place(account->count.device, account->count.inode);
	put_place(before);
	return account->place == before;
}

/*
 * There is as much as was seen, at least, and what was known stays known. What was
 * added to another folder meanwhile is not known.
 */
static void take_count(struct account *account)
{
	const struct count *count = &account->count;
	bool whole = !count->given_up, same = true;
	uint64_t seen = count->charge;

	if (count->start && !count->error)
		same = take_place(account);
	if (!account->place)
		return;
	if (same)
		seen += account->place->added - count->added;
	if ((whole && same) || seen > account->place->used)
		account->place->used = seen;
}

static void take_start(struct account *account)
{
	const struct count *count = &account->count;

	account->started = true;
	account->found = !count->error;
	if (count->error)
		print_warning("inbox %s: cannot open it: %s: uploads are refused until it is there, and 'systemctl reload tftpkd'",
			      account->dir, strerror(count->error));
	else if (count->given_up || count->partial)
		print_warning("inbox %s: not all that lies there could be counted: its quota is of what was, and of what comes",
			      account->dir);
}

static void on_counted(void *data)
{
	struct account *account = data;

	account->counting = false;
	take_count(account);
	if (account->count.start)
		take_start(account);
	if (account->again)
		start_account(account);
	put_account(account);
}

/* In a thread: storage may hang. */
static void begin_count(struct account *account, unsigned int patience, bool start)
{
	account->references++;
	account->counting = true;
	account->again = false;
	account->counted = monotonic_seconds();
	account->count = (struct count){
		.dir = account->dir, .start = start, .patience = patience,
	};
	if (account->place) {
		account->count.device = account->place->device;
		account->count.added = account->place->added;
	}
	account->job = (struct job){
		.work = count_all, .done = on_counted, .data = account,
		.storage = account,
	};
	run_job(CREW_LOOK, &account->job);
}

/**
 * start_account() - find a folder, count what lies there, remove what uploads left
 * @account: the folder's; one that is known is used meanwhile
 */
void start_account(struct account *account)
{
	if (!account->counting)
		begin_count(account, 1, true);
	else if (!account->count.start ||
		 monotonic_seconds() - account->counted > MAX_SECONDS)
		account->again = true;
}

/* Whoever asks meanwhile goes by what is known. */
static void count_again(struct account *account)
{
	if (!account->counting && monotonic_seconds() - account->counted >= PAUSE)
		begin_count(account, PATIENCE, false);
}

/* account_room() - bytes of one more file that an inbox takes, or -1 for no file. */
int64_t account_room(struct account *account, const struct inbox *inbox)
{
	uint64_t taken = account->place->used + account->place->reserved, room;

	if (taken > inbox->quota / 2)
		count_again(account);
	room = taken < inbox->quota ? (inbox->quota - taken) / CHARGE_UNIT : 0;
	return room ? (int64_t)((room - 1) * CHARGE_UNIT) : -1;
}

/* reserve() - room of an upload that will have so many bytes. */
void reserve(struct place *place, uint64_t size)
{
	place->reserved += charge_of(size);
}

void unreserve(struct place *place, uint64_t size)
{
	place->reserved -= charge_of(size);
}

/* add_stored() - a file is there, and maybe a charge of another one is not any more. */
void add_stored(struct place *place, uint64_t size, uint64_t replaced)
{
	uint64_t stored = charge_of(size);

	place->used += stored;
	place->added += stored;
	place->used -= replaced < place->used ? replaced : place->used;
}
