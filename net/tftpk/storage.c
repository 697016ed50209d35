// SPDX-License-Identifier: GPL-2.0
/*
 * Storage may never answer: an NFS server that is gone, a FUSE daemon that stopped,
 * a device that is suspended. So nobody waits for it but works: those of an export,
 * on a workqueue of its own, and those that do errands for commands, which leave
 * after a while.
 */
#include <linux/completion.h>
#include <linux/cred.h>
#include <linux/module.h>
#include <linux/workqueue.h>

#include "storage.h"

/* A command waits that long for storage that gets nowhere. Others wait for it: it
 * holds the lock of all generic netlink families.
 */
#define TFTPK_STORAGE_WAIT_MS	5000

/* For what never waits for storage. */
struct workqueue_struct *tftpk_wq;
/* For errands that concern no export yet. */
struct workqueue_struct *tftpk_errand_wq;
/* For files that are of no export, but the agent's. */
struct workqueue_struct *tftpk_foreign_wq;
/* For files that uploads are written to. */
struct workqueue_struct *tftpk_upload_wq;

/**
 * tftpk_storage_wait() - wait for what waits for storage
 * @done: it is done
 *
 * Context: process.
 *
 * Return: 0; -EINTR where the task is killed; -ETIMEDOUT where it takes too long.
 */
int tftpk_storage_wait(struct completion *done)
{
	long left = wait_for_completion_killable_timeout(done,
			msecs_to_jiffies(TFTPK_STORAGE_WAIT_MS));

	if (left < 0)
		return -EINTR;
	return left ? 0 : -ETIMEDOUT;
}

static void tftpk_errand_work(struct work_struct *work)
{
	struct tftpk_errand *errand = container_of(work, struct tftpk_errand,
						   work);
	const struct cred *old = override_creds(errand->cred);

	errand->run(errand);
	revert_creds(old);
	complete(&errand->done);
	tftpk_errand_put(errand);
}

/**
 * tftpk_errand_init() - set up an errand
 * @errand: errand
 * @run: does it
 * @free: frees it, with all that it brought and nobody took
 *
 * Context: process. It is the caller's until tftpk_errand_put().
 */
void tftpk_errand_init(struct tftpk_errand *errand,
		       void (*run)(struct tftpk_errand *),
		       void (*free)(struct tftpk_errand *))
{
	INIT_WORK(&errand->work, tftpk_errand_work);
	init_completion(&errand->done);
	refcount_set(&errand->ref, 1);
	errand->cred = get_current_cred();
	errand->stuck = false;
	errand->run = run;
	errand->free = free;
}

/**
 * tftpk_errand_run() - have an errand done
 * @errand: errand
 * @wq: where
 *
 * Context: process.
 *
 * Return: 0; or as tftpk_storage_wait(), and it is done some time later, or never.
 */
int tftpk_errand_run(struct tftpk_errand *errand, struct workqueue_struct *wq)
{
	int err;

	refcount_inc(&errand->ref);
	queue_work(wq, &errand->work);
	err = tftpk_storage_wait(&errand->done);
	if (!err)
		return 0;
	if (cancel_work(&errand->work)) {
		refcount_dec(&errand->ref);
	} else {
		/* To unload the module would take as long. */
		errand->stuck = true;
		__module_get(THIS_MODULE);
	}
	return err;
}

/**
 * tftpk_errand_put() - leave an errand
 * @errand: errand; may be freed
 *
 * Context: process.
 */
void tftpk_errand_put(struct tftpk_errand *errand)
{
	bool stuck;

	if (!refcount_dec_and_test(&errand->ref))
		return;
	stuck = errand->stuck;
	put_cred(errand->cred);
	errand->free(errand);
	if (stuck)
		module_put(THIS_MODULE);
}

/**
 * tftpk_storage_init() - make the workqueues
 *
 * Context: process. Return: 0 or -ENOMEM.
 */
int tftpk_storage_init(void)
{
	tftpk_wq = alloc_workqueue("tftpk", WQ_UNBOUND, 0);
	if (!tftpk_wq)
		return -ENOMEM;
	tftpk_errand_wq = alloc_workqueue("tftpk-errands", WQ_UNBOUND, 0);
	if (!tftpk_errand_wq)
		goto err_wq;
	tftpk_foreign_wq = alloc_workqueue("tftpk-foreign", WQ_UNBOUND, 0);
	if (!tftpk_foreign_wq)
		goto err_errand;
	tftpk_upload_wq = alloc_workqueue("tftpk-uploads", WQ_UNBOUND, 0);
	if (!tftpk_upload_wq)
		goto err_foreign;
	return 0;

err_foreign:
	destroy_workqueue(tftpk_foreign_wq);
err_errand:
	destroy_workqueue(tftpk_errand_wq);
err_wq:
	destroy_workqueue(tftpk_wq);
	return -ENOMEM;
}

/**
 * tftpk_storage_exit() - undo tftpk_storage_init()
 *
 * Waits for all works.
 */
void tftpk_storage_exit(void)
{
	destroy_workqueue(tftpk_upload_wq);
	destroy_workqueue(tftpk_foreign_wq);
	destroy_workqueue(tftpk_errand_wq);
	destroy_workqueue(tftpk_wq);
}
