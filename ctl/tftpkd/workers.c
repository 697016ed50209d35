// SPDX-License-Identifier: GPL-2.0
/* Threads for what may wait for storage: all questions would wait with it. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tftpkd.h"
#include "workers.h"

/* A list that ends at its @last. */
struct jobs {
	struct job *first, **last;
};

#define MAX_THREADS	8

static struct {
	struct jobs jobs;
	pthread_cond_t wanted;
	const struct job *running[MAX_THREADS];	/* of a thread each, or NULL */
	const unsigned int max_threads;
	unsigned int threads, idle, queued;
} crews[CREW_COUNT] = {
	[CREW_OPEN] = { .max_threads = 4, .wanted = PTHREAD_COND_INITIALIZER },
	[CREW_STORE] = { .max_threads = 8, .wanted = PTHREAD_COND_INITIALIZER },
	[CREW_BACKGROUND] = { .max_threads = 2,
			      .wanted = PTHREAD_COND_INITIALIZER },
	[CREW_LOOK] = { .max_threads = 4, .wanted = PTHREAD_COND_INITIALIZER },
};

/* Protects all of the above but for the numbers of threads to be, and finished. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct jobs finished;

/* Jobs whose done() is still to be called; for the event loop alone. */
static unsigned int pending[CREW_COUNT];

/* Wakes the event loop. */
static int wake_fd = -1;

static void push_job(struct jobs *jobs, struct job *job)
{
	job->next = NULL;
	if (!jobs->first)
		jobs->last = &jobs->first;
	*jobs->last = job;
	jobs->last = &job->next;
}

static struct job *pop_job(struct jobs *jobs)
{
	struct job *job = jobs->first;

	if (job)
		jobs->first = job->next;
	return job;
}

static bool remove_job(struct jobs *jobs, const struct job *job)
{
	struct job **link = &jobs->first;

	while (*link && *link != job)
		link = &(*link)->next;
	if (!*link)
		return false;
	*link = job->next;
	if (!*link)
		jobs->last = link;
	return true;
}

static bool has_its_part(enum crew crew, const void *storage)
{
	unsigned int i, count = 0;

	for (i = 0; i < crews[crew].max_threads; i++)
		count += crews[crew].running[i] &&
			 crews[crew].running[i]->storage == storage;
	return count >= crews[crew].max_threads / 2;
}

/* The first job that may begin, or NULL. */
static struct job *take_job(enum crew crew)
{
	struct job *job;

	/* Most often, no more than the first is looked at. */
	for (job = crews[crew].jobs.first; job; job = job->next) {
		if (has_its_part(crew, job->storage))
			continue;
		remove_job(&crews[crew].jobs, job);
		crews[crew].queued--;
		break;
	}
	return job;
}

static void *run_thread(void *data)
{
	uintptr_t number = (uintptr_t)data;
	enum crew crew = (enum crew)(number / MAX_THREADS);
	const struct job **running = &crews[crew].running[number % MAX_THREADS];
	struct job *job;

	pthread_mutex_lock(&lock);
	for (;;) {
		while (!(job = take_job(crew))) {
			crews[crew].idle++;
			pthread_cond_wait(&crews[crew].wanted, &lock);
			crews[crew].idle--;
		}
		*running = job;
		pthread_mutex_unlock(&lock);
		job->work(job->data);
		pthread_mutex_lock(&lock);
		*running = NULL;
		push_job(&finished, job);
		eventfd_write(wake_fd, 1);
	}
	return NULL;
}

static void on_finished(evutil_socket_t fd, short what, void *data)
{
	struct job *job;
	eventfd_t count;

	eventfd_read(fd, &count);
	for (;;) {
		pthread_mutex_lock(&lock);
		job = pop_job(&finished);
		pthread_mutex_unlock(&lock);
		if (!job)
			break;
		pending[job->crew]--;
		job->done(job->data);
	}
}

static void watch_finished(void)
{
	struct event *event;

	if (wake_fd >= 0)
		return;
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake_fd < 0)
		check_alloc(NULL);
	event = check_alloc(event_new(loop, wake_fd, EV_READ | EV_PERSIST,
				      on_finished, NULL));
	event_add(event, NULL);
}

/* Signals are for the event loop. */
static void add_thread(enum crew crew)
{
	sigset_t all, before;
	pthread_t thread;
	uintptr_t number = (uintptr_t)crew * MAX_THREADS + crews[crew].threads;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (!pthread_create(&thread, NULL, run_thread, (void *)number)) {
		pthread_detach(thread);
		crews[crew].threads++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/**
 * run_job() - have something done by a thread
 * @crew: whose threads
 * @job: what; it must stay until its done() is called
 *
 * Jobs of a crew begin in order, but for those whose storage has its part.
 */
void run_job(enum crew crew, struct job *job)
{
	watch_finished();
	job->crew = crew;
	pending[crew]++;
	pthread_mutex_lock(&lock);
	push_job(&crews[crew].jobs, job);
	crews[crew].queued++;
	if (crews[crew].queued > crews[crew].idle &&
	    crews[crew].threads < crews[crew].max_threads)
		add_thread(crew);
	if (!crews[crew].threads) {
		print_error("no thread can be started");
		exit(EXIT_FAILURE);
	}
	pthread_cond_signal(&crews[crew].wanted);
	pthread_mutex_unlock(&lock);
}

/* cancel_job() - whether no thread has it yet, nor will. done() is not called then. */
bool cancel_job(enum crew crew, struct job *job)
{
	bool removed;

	pthread_mutex_lock(&lock);
	removed = remove_job(&crews[crew].jobs, job);
	crews[crew].queued -= removed;
	pthread_mutex_unlock(&lock);
	pending[crew] -= removed;
	return removed;
}

static bool has_jobs(enum crew first, enum crew last)
{
	unsigned int count = 0, crew;

	for (crew = first; crew <= last; crew++)
		count += pending[crew];
	return count;
}

static void on_over(evutil_socket_t fd, short what, void *data)
{
	*(bool *)data = true;
}

/**
 * wait_for_jobs() - run the event loop until no jobs are left
 * @first: of the crews
 * @last: of these
 * @seconds: to wait at most
 */
void wait_for_jobs(enum crew first, enum crew last, unsigned int seconds)
{
	const struct timeval patience = { .tv_sec = seconds };
	bool over = false;
	struct event *timer = check_alloc(evtimer_new(loop, on_over, &over));

	event_add(timer, &patience);
	while (!over && has_jobs(first, last))
		event_base_loop(loop, EVLOOP_ONCE);
	event_free(timer);
}
