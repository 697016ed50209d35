/* SPDX-License-Identifier: GPL-2.0 */
/* What may wait for storage is done by threads. */
#ifndef WORKERS_H
#define WORKERS_H

enum crew {
	CREW_OPEN,		/* looks for folders, opens and drops files */
	CREW_STORE,		/* syncs and links */
	CREW_BACKGROUND,	/* nobody waits for it */
	CREW_LOOK,		/* counts what lies in folders */
	CREW_COUNT,
};

struct job {
	struct job *next;
	enum crew crew;
	/* In a thread: must not print, nor touch what others may. */
	void (*work)(void *data);
	/* From the event loop, when that is done. */
	void (*done)(void *data);
	void *data;
	/* What may hang: it has half of a crew's threads at most. */
	const void *storage;
};

void run_job(enum crew crew, struct job *job);
void wait_for_jobs(enum crew first, enum crew last, unsigned int seconds);
bool cancel_job(enum crew crew, struct job *job);

#endif /* WORKERS_H */
