// SPDX-License-Identifier: GPL-2.0
/* Uploads that go on, by the number of the transfer. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "inbox.h"
#include "workers.h"

/* TFTP's error codes. */
enum {
	TFTP_OTHER = 0,
	TFTP_ACCESS = 2,
	TFTP_FULL = 3,
	TFTP_EXISTS = 6,
};

#define BUCKETS		1024

/* Seconds between two writings of what came. */
#define FLUSH_PERIOD	1

/* So many may wait for one inbox: one that hangs must not have all questions. */
#define MAX_JOBS	500

/* Seconds that files may take to be stored when the agent is to end. */
#define PATIENCE	5

enum upload_state {
	UPLOAD_ACCEPTED,	/* as far as is known its client is a forger */
	UPLOAD_OPEN,
	UPLOAD_STORED,		/* or failed: its end is still to be told */
};

struct upload {
	struct upload *next;	/* of its bucket */
	struct upload *next_open;
	struct inbox *inbox;	/* a reference */
	struct place *place;	/* likewise, of its folder; NULL where that is not known */
	struct target target;
	struct in6_addr address;	/* of the client */
	size_t same_bytes;	/* of addresses that are that client's, too */
	uint32_t transfer;
	enum upload_state state;
	uint64_t promised;	/* bytes that the kernel takes at most */
	bool counted;		/* one of open_uploads, with that reserved */
	struct question *question;	/* that is to be answered, or NULL */
	bool working, flushing;	/* threads have it */
	bool ended;
	bool seen;		/* in a list of the transfers that there are */
	struct job job, flush;
};

/* Why an upload is refused. */
struct refusal {
	unsigned int code;
	const char *text;	/* or NULL where it is not */
};

static struct upload *buckets[BUCKETS];

/* Those whose clients have sent something: each is in next_open of another one. */
static struct upload *open_uploads;
static struct event *flush_timer;
static unsigned int upload_count;

static struct upload **find_link(uint32_t transfer)
{
	struct upload **link = &buckets[transfer % BUCKETS];

	while (*link && (*link)->transfer != transfer)
		link = &(*link)->next;
	return link;
}

static struct upload *find_upload(uint32_t transfer)
{
	return *find_link(transfer);
}

/* Where the file is, or would be, for the log and hooks. */
static char *file_path(const struct upload *upload)
{
	return xasprintf("%s/%s", upload->inbox->dir, upload->target.path);
}

static char *shown_path(const struct upload *upload)
{
	auto_free char *path = file_path(upload);

	return quote_word(path);
}

/* Its quota, and its part of the client's uploads, are for others. */
static void leave_open(struct upload *upload)
{
	struct upload **link = &open_uploads;

	if (!upload->counted)
		return;
	upload->counted = false;
	unreserve(upload->place, upload->promised);
	while (*link != upload)
		link = &(*link)->next_open;
	*link = upload->next_open;
}

static void free_upload(struct upload *upload)
{
	struct upload **link = &buckets[upload->transfer % BUCKETS];

	while (*link && *link != upload)
		link = &(*link)->next;
	if (*link)
		*link = upload->next;
	upload_count--;
	put_place(upload->place);
	release_inbox(upload->inbox);
	free(upload->target.path);
	free(upload);
}

static void close_files(void *data)
{
	struct upload *upload = data;

	close_target(&upload->target);
}

static void on_closed(void *data);

static void start_job(struct upload *upload, enum crew crew, void (*work)(void *),
		      void (*done)(void *))
{
	upload->job = (struct job){
		.work = work, .done = done, .data = upload,
		.storage = upload->place,
	};
	upload->working = true;
	count_jobs(upload->place, 1);
	run_job(crew, &upload->job);
}

static void end_job(struct upload *upload)
{
	upload->working = false;
	count_jobs(upload->place, -1);
}

/*
 * Close what nobody needs any more, and forget what has ended, once no thread has
 * it. To close a file may take long, too.
 */
static void settle_upload(struct upload *upload)
{
	if (upload->working || upload->flushing ||
	    (!upload->ended && upload->state != UPLOAD_STORED))
		return;
	leave_open(upload);
	if (upload->target.dir >= 0 || upload->target.fd >= 0)
		start_job(upload, CREW_OPEN, close_files, on_closed);
	else if (upload->ended)
		free_upload(upload);
}

static void on_closed(void *data)
{
	struct upload *upload = data;

	end_job(upload);
	settle_upload(upload);
}

static void end_upload(struct upload *upload)
{
	upload->ended = true;
	atomic_store(&upload->target.abandoned, true);
	leave_open(upload);
	settle_upload(upload);
}

/* Tell of what is the server's fault, but not of each. */
static void tell_failure(const struct upload *upload)
{
	auto_free char *path = NULL;
	static double told;

	if (!claim_line(&told))
		return;
	path = shown_path(upload);
	if (upload->target.error == EPROTO)
		print_error("%s: has not the size that was written", path);
	else if (upload->target.error == ENODEV)
		print_error("%s: the folder is not there, or on another file system than it was: 'systemctl reload tftpkd' if that is right",
			    path);
	else
		print_error("%s: %s", path, strerror(upload->target.error));
}

static struct refusal failure_of(const struct upload *upload)
{
	static const struct {
		int error;
		bool told;
		struct refusal refusal;
	} known[] = {
		{ EEXIST, false, { TFTP_EXISTS, "file already exists" } },
		{ ENOENT, false, { TFTP_ACCESS, "no such folder for uploads" } },
		{ ENOTDIR, false, { TFTP_ACCESS, "no such folder for uploads" } },
		{ EXDEV, false, { TFTP_ACCESS, "no such folder for uploads" } },
		{ ELOOP, false, { TFTP_ACCESS, "no such folder for uploads" } },
		{ EISDIR, false, { TFTP_ACCESS, "no uploads by such a name" } },
		{ ENAMETOOLONG, false, { TFTP_ACCESS, "no uploads by such a name" } },
		{ EBUSY, false, { TFTP_OTHER, "busy" } },
		{ ECANCELED, false, { TFTP_OTHER, "too late" } },
		{ ENOSPC, true, { TFTP_FULL, "no space left" } },
		{ EDQUOT, true, { TFTP_FULL, "no space left" } },
		{ EFBIG, true, { TFTP_FULL, "file too large" } },
		{ EROFS, true, { TFTP_ACCESS, "the server's storage is read-only" } },
		{ EACCES, true, { TFTP_ACCESS, "the server may not write there" } },
		{ EPERM, true, { TFTP_ACCESS, "the server may not write there" } },
		{ ENODEV, true, { TFTP_OTHER, "the server's storage is not there" } },
	};
	size_t i;

	for (i = 0; i < COUNT(known); i++) {
		if (known[i].error != upload->target.error)
			continue;
		if (known[i].told)
			tell_failure(upload);
		return known[i].refusal;
	}
	tell_failure(upload);
	return (struct refusal){ TFTP_OTHER, "the server's storage failed" };
}

static bool tell_answer(struct upload *upload, const struct answer *answer)
{
	struct question *question = upload->question;

	upload->question = NULL;
	return answer_question(question, answer);
}

static bool tell_refusal(struct upload *upload, struct refusal refusal)
{
	const struct answer answer = {
		.kind = ANSWER_ERROR, .code = refusal.code, .text = refusal.text,
	};

	return tell_answer(upload, &answer);
}

/* Answer what was asked; where nobody waits for it, the upload has ended. */
static void answer_upload(struct upload *upload, const struct answer *answer)
{
	if (tell_answer(upload, answer))
		settle_upload(upload);
	else
		end_upload(upload);
}

static void refuse_upload(struct upload *upload, struct refusal refusal)
{
	tell_refusal(upload, refusal);
	end_upload(upload);
}

/* May it come, as far as that can be said without a look at the disk? */
static struct refusal check_limits(const struct upload *upload)
{
	const struct inbox *inbox = upload->inbox;
	const struct upload *other;
	uint32_t count = 0;

	for (other = open_uploads; other; other = other->next_open) {
		bool same = !memcmp(&other->address, &upload->address,
				    sizeof(other->address));

		if (other->place == upload->place)
			count += !memcmp(&other->address, &upload->address,
					 upload->same_bytes);
		if (!same && inbox->existing == EXISTING_REFUSE &&
		    other->place == upload->place &&
		    !strcmp(other->target.path, upload->target.path))
			return (struct refusal){ TFTP_EXISTS, "file is being uploaded by another client" };
	}
	if (count >= inbox->per_client)
		return (struct refusal){ TFTP_OTHER, "too many uploads of this client" };
	if (upload->target.size > inbox->max_size)
		return (struct refusal){ TFTP_FULL, "file too large" };
	return (struct refusal){ 0 };
}

/* What the kernel may be told to take. */
static struct refusal promise_room(struct upload *upload)
{
	int64_t room = account_room(upload->inbox->account, upload->inbox);
	uint64_t wanted = upload->target.size ? upload->target.size :
						upload->inbox->max_size;

	/* Without a size it gets what is left. */
	upload->promised = wanted;
	if (room < (int64_t)wanted)
		upload->promised = room > 0 ? (uint64_t)room : 0;
	if (!upload->promised || upload->promised < upload->target.size)
		return (struct refusal){ TFTP_FULL, "no room for more uploads" };
	return (struct refusal){ 0 };
}

static void on_opened(void *data)
{
	struct upload *upload = data;
	const struct answer answer = { .kind = ANSWER_FILE, .fd = upload->target.fd };

	end_job(upload);
	if (upload->target.error)
		refuse_upload(upload, failure_of(upload));
	else
		answer_upload(upload, &answer);
}

static void open_files(void *data)
{
	struct upload *upload = data;

	open_target(&upload->target);
}

static void store_upload(struct upload *upload);

static void on_flushed(void *data)
{
	struct upload *upload = data;

	upload->flushing = false;
	/* It was to be stored meanwhile. */
	if (upload->question)
		store_upload(upload);
	else
		settle_upload(upload);
}

static void flush_files(void *data)
{
	struct upload *upload = data;

	flush_target(&upload->target);
}

/* What is written by now need not be waited for at the end. */
static void on_flush_time(evutil_socket_t fd, short what, void *data)
{
	const struct timeval period = { .tv_sec = FLUSH_PERIOD };
	struct upload *upload;

	for (upload = open_uploads; upload; upload = upload->next_open) {
		if (upload->working || upload->flushing ||
		    upload->inbox->sync == SYNC_NONE)
			continue;
		upload->flush = (struct job){
			.work = flush_files, .done = on_flushed, .data = upload,
			.storage = upload->place,
		};
		upload->flushing = true;
		run_job(CREW_BACKGROUND, &upload->flush);
	}
	if (open_uploads)
		event_add(flush_timer, &period);
}

/* The client has sent a block, so that it is no forger: now it counts. */
static void open_upload(struct upload *upload)
{
	const struct timeval period = { .tv_sec = FLUSH_PERIOD };
	struct refusal refusal = check_limits(upload);

	if (!refusal.text && (int64_t)upload->promised >
			     account_room(upload->inbox->account, upload->inbox))
		refusal = (struct refusal){ TFTP_FULL, "no room for more uploads" };
	if (refusal.text) {
		refuse_upload(upload, refusal);
		return;
	}
	upload->state = UPLOAD_OPEN;
	upload->counted = true;
	reserve(upload->place, upload->promised);
	upload->next_open = open_uploads;
	open_uploads = upload;
	if (!flush_timer)
		flush_timer = check_alloc(evtimer_new(loop, on_flush_time, NULL));
	if (!event_pending(flush_timer, EV_TIMEOUT, NULL))
		event_add(flush_timer, &period);
	start_job(upload, CREW_OPEN, open_files, on_opened);
}

static void on_checked(void *data)
{
	struct upload *upload = data;
	const struct answer answer = {
		.kind = ANSWER_WELCOME, .max_size = upload->promised,
	};

	end_job(upload);
	if (upload->target.error)
		refuse_upload(upload, failure_of(upload));
	else if (upload->question->operation == TFTPK_OPERATION_OPEN)
		open_upload(upload);
	else
		answer_upload(upload, &answer);
}

static void check_files(void *data)
{
	struct upload *upload = data;

	check_target(&upload->target);
}

/* Beyond a router a client has all addresses of its link. */
static size_t same_bytes(const struct question *question)
{
	bool near = IN6_IS_ADDR_LINKLOCAL(&question->address) ||
		    json_is_string(object_get(question->facts, "mac"));

	return question->address_len == sizeof(struct in6_addr) && !near ?
	       sizeof(struct in6_addr) / 2 : sizeof(struct in6_addr);
}

static struct upload *make_upload(const struct question *question,
				  struct inbox *inbox, const char *path)
{
	struct upload *upload = check_alloc(calloc(1, sizeof(*upload)));
	long long size = object_number(question->facts, "size");
	struct target *target = &upload->target;
	const char *slash;

	upload->inbox = hold_inbox(inbox);
	upload->address = question->address;
	upload->same_bytes = same_bytes(question);
	upload->transfer = question->transfer;
	target->inbox = inbox;
	target->path = check_alloc(strdup(path));
	slash = strrchr(target->path, '/');
	target->name = slash ? slash + 1 : target->path;
	/* Some clients ask for 0 bytes where they do not know. */
	target->size = size > 0 ? (uint64_t)size : 0;
	target->dir = target->fd = -1;
	return upload;
}

/**
 * begin_upload() - have an upload come in
 * @question: whether it may, or where to, is answered
 * @inbox: that is to have it
 * @path: its name there
 */
void begin_upload(struct question *question, struct inbox *inbox, const char *path)
{
	struct upload *upload = make_upload(question, inbox, path);
	struct upload *before = find_upload(question->transfer);
	struct refusal refusal;

	/* The number is another one's now, whatever was told of its end. */
	if (before)
		end_upload(before);
	upload->question = question;
	upload->next = buckets[upload->transfer % BUCKETS];
	buckets[upload->transfer % BUCKETS] = upload;
	upload_count++;
	upload->place = find_place(inbox->account, &upload->target.error);
	if (!upload->place) {
		refuse_upload(upload, failure_of(upload));
		return;
	}
	upload->target.device = device_of(upload->place);
	upload->target.names = names_of(upload->place);
	refusal = check_limits(upload);
	if (!refusal.text && count_jobs(upload->place, 0) >= MAX_JOBS)
		refusal = (struct refusal){ TFTP_OTHER, "busy" };
	if (!refusal.text)
		refusal = promise_room(upload);
	if (refusal.text)
		refuse_upload(upload, refusal);
	else
		start_job(upload, CREW_OPEN, check_files, on_checked);
}

/* The commit has its answer. */
static void finish_store(struct upload *upload)
{
	const struct target *target = &upload->target;
	const struct answer welcome = { .kind = ANSWER_WELCOME };
	auto_free char *path = shown_path(upload);
	bool waited;

	leave_open(upload);
	upload->state = UPLOAD_STORED;
	if (target->named)
		add_stored(upload->place, target->stored, target->replaced);
	waited = target->error ? tell_refusal(upload, failure_of(upload)) :
				 tell_answer(upload, &welcome);
	if (target->named && (target->error || !waited))
		print_error("%s: stored, but its client heard an ERROR", path);
	if (waited)
		settle_upload(upload);
	else
		end_upload(upload);
}

static void on_stored(void *data)
{
	struct upload *upload = data;

	end_job(upload);
	finish_store(upload);
}

static void store_files(void *data)
{
	struct upload *upload = data;

	store_target(&upload->target);
}

static void store_upload(struct upload *upload)
{
	long long size = object_number(upload->question->facts, "size");

	upload->target.stored = size > 0 ? (uint64_t)size : 0;
	/* The kernel may have another promise, of an agent before this one. */
	if (upload->target.stored > upload->promised) {
		upload->target.error = EFBIG;
		finish_store(upload);
		return;
	}
	start_job(upload, CREW_STORE, store_files, on_stored);
}

/**
 * ask_upload() - have a question answered about an upload that goes on
 * @config: the configuration as it is now
 * @facts: the question's
 *
 * The upload stays with the rules that it began by.
 *
 * Return: whether it is one; else the directives are to be asked.
 */
bool ask_upload(struct config *config, json_t *facts)
{
	static const struct answer lost = {
		.kind = ANSWER_ERROR, .text = "the server has lost this upload",
	};
	enum tftpk_operation operation = get_operation(facts);
	bool is_open = operation == TFTPK_OPERATION_OPEN;
	long long transfer = object_number(facts, "transfer");
	struct question *question;
	struct upload *upload;

	if (!is_open && operation != TFTPK_OPERATION_COMMIT)
		return false;
	upload = find_upload(transfer < 0 ? 0 : (uint32_t)transfer);
	/* An agent before this one may have accepted it. */
	if (!upload && is_open)
		return false;
	question = make_question(config, facts);
	if (!upload || upload->working || upload->question ||
	    upload->state != (is_open ? UPLOAD_ACCEPTED : UPLOAD_OPEN)) {
		answer_question(question, &lost);
		return true;
	}
	upload->question = question;
	if (upload->flushing && cancel_job(CREW_BACKGROUND, &upload->flush))
		upload->flushing = false;
	if (is_open)
		open_upload(upload);
	else if (!upload->flushing)
		store_upload(upload);
	return true;
}

/**
 * tell_upload() - take note of an event, and say which file it is about
 * @event: as nl_events() has it
 */
void tell_upload(json_t *event)
{
	const char *type = json_string_value(object_get(event, "type"));
	long long id = object_number(event, "id");
	struct upload *upload = type && id >= 0 ? find_upload((uint32_t)id) : NULL;
	auto_free char *path = NULL;

	if (!upload)
		return;
	path = file_path(upload);
	object_put(event, "file", json_bytes(path, strlen(path)));
	/* Before the client was answered, an end is told as a refusal. */
	if (!strcmp(type, "end") || !strcmp(type, "refused"))
		end_upload(upload);
}

/* has_uploads() - are there some whose ends are still to be told? */
bool has_uploads(void)
{
	return upload_count;
}

/* Call @fn for all uploads, of which it may free the one that it gets. */
static void for_each_upload(void (*fn)(struct upload *upload))
{
	struct upload *upload, *next;
	size_t i;

	for (i = 0; i < BUCKETS; i++) {
		for (upload = buckets[i]; upload; upload = next) {
			next = upload->next;
			fn(upload);
		}
	}
}

static void end_unseen(struct upload *upload)
{
	if (!upload->seen)
		end_upload(upload);
	else
		upload->seen = false;
}

/**
 * keep_uploads() - forget the uploads whose end was not told
 * @transfers: that there are
 */
void keep_uploads(const json_t *transfers)
{
	json_t *transfer;
	size_t i;

	json_array_foreach(transfers, i, transfer) {
		long long id = object_number(transfer, "id");
		struct upload *upload = id < 0 ? NULL : find_upload((uint32_t)id);

		if (upload)
			upload->seen = true;
	}
	for_each_upload(end_unseen);
}

static void close_upload(struct upload *upload)
{
	if (!upload->working && !upload->flushing)
		close_target(&upload->target);
}

/* finish_uploads() - store what is to be stored now, and give up the others. */
void finish_uploads(void)
{
	wait_for_jobs(CREW_OPEN, CREW_BACKGROUND, PATIENCE);
	for_each_upload(close_upload);
}
