/* SPDX-License-Identifier: GPL-2.0 */
/* Inboxes: folders that take uploads. */
#ifndef INBOX_H
#define INBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "tftpkd.h"

struct account;
struct place;

/* What becomes of a file that is there by the name of an upload. */
enum existing {
	EXISTING_REFUSE,
	EXISTING_VERSION,
	EXISTING_REPLACE,
};

/* What is on the disk before the client is told that all is done. */
enum sync_kind {
	SYNC_NONE,
	SYNC_DATA,
	SYNC_FULL,
};

/* Stays as it is while anybody holds it. */
struct inbox {
	unsigned int references;
	char *dir;
	char *prefix;		/* without slashes at its ends */
	struct network *networks;	/* of clients; without any, all */
	size_t network_count;
	char *names;		/* a pattern, or NULL */
	uint64_t max_size, quota;
	uint32_t per_client;
	enum existing existing;
	enum sync_kind sync;
	mode_t mode;
	uid_t uid;		/* -1: as it comes */
	gid_t gid;
	struct account *account;
};

/* store.c: files of uploads. What it does may take long, and prints nothing. */
#define HIDDEN_PREFIX	".tftpkd."
#define HIDDEN_RANDOM	8
#define HIDDEN_ROOM	(sizeof(HIDDEN_PREFIX) + HIDDEN_RANDOM)

struct target {
	const struct inbox *inbox;
	char *path;		/* below the inbox */
	const char *name;	/* the last part of that */
	dev_t device;		/* that the inbox is on */
	pthread_mutex_t *names;	/* held to look at names there, and take them */
	uint64_t size;		/* that the client told; 0 if it did not */
	int dir, fd;		/* -1 while there is none */
	char hidden[HIDDEN_ROOM];	/* its name, or empty */
	atomic_bool abandoned;	/* not to be stored any more */
	uint64_t stored;	/* bytes that it has */
	uint64_t replaced;	/* charge of a file that is gone for it */
	bool named;		/* it has its name, whatever failed then */
	int error;		/* errno of what was done last */
};

bool is_hidden(const char *name);
int open_inbox(const char *dir);
void check_target(struct target *target);
void open_target(struct target *target);
void store_target(struct target *target);
void flush_target(struct target *target);
void close_target(struct target *target);

/*
 * quota.c: inboxes in memory, and what their folders have of the quota. Files without
 * a byte take room, too: each is charged its blocks, and one more.
 */
#define CHARGE_UNIT	4096

static inline uint64_t charge_of(uint64_t size)
{
	return size / CHARGE_UNIT * CHARGE_UNIT + (size % CHARGE_UNIT ? 2 : 1) * CHARGE_UNIT;
}

struct inbox *hold_inbox(struct inbox *inbox);
void release_inbox(struct inbox *inbox);
struct account *get_account(const char *dir);
void put_account(struct account *account);
void start_account(struct account *account);
struct place *find_place(struct account *account, int *error);
void put_place(struct place *place);
dev_t device_of(const struct place *place);
pthread_mutex_t *names_of(struct place *place);
unsigned int count_jobs(struct place *place, int more);
int64_t account_room(struct account *account, const struct inbox *inbox);
void reserve(struct place *place, uint64_t size);
void unreserve(struct place *place, uint64_t size);
void add_stored(struct place *place, uint64_t size, uint64_t replaced);

/* Seconds until inboxes that are not counted yet refuse what comes. */
#define START_PATIENCE	2

/* upload.c: uploads that are going on. */
void begin_upload(struct question *question, struct inbox *inbox,
		  const char *path);
bool ask_upload(struct config *config, json_t *facts);
void tell_upload(json_t *event);
bool has_uploads(void);
void keep_uploads(const json_t *transfers);
void finish_uploads(void);

#endif /* INBOX_H */
