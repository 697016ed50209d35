/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Waiting for storage, and having somebody else wait.
 */
#ifndef _TFTPK_STORAGE_H
#define _TFTPK_STORAGE_H

#include <linux/completion.h>
#include <linux/refcount.h>
#include <linux/workqueue.h>

struct cred;

/**
 * struct tftpk_errand - what a work does for a command, with its credentials
 * @work: does it
 * @done: it is done
 * @ref: the command holds one, so does the work
 * @cred: the command's
 * @stuck: the command did not wait for its end, and it holds the module
 * @run: does it
 * @free: frees it
 */
struct tftpk_errand {
	struct work_struct work;
	struct completion done;
	refcount_t ref;
	const struct cred *cred;
	bool stuck;
	void (*run)(struct tftpk_errand *errand);
	void (*free)(struct tftpk_errand *errand);
};

extern struct workqueue_struct *tftpk_wq;
extern struct workqueue_struct *tftpk_errand_wq;
extern struct workqueue_struct *tftpk_foreign_wq;
extern struct workqueue_struct *tftpk_upload_wq;

int tftpk_storage_init(void);
void tftpk_storage_exit(void);
int tftpk_storage_wait(struct completion *done);
void tftpk_errand_init(struct tftpk_errand *errand,
		       void (*run)(struct tftpk_errand *errand),
		       void (*free)(struct tftpk_errand *errand));
int tftpk_errand_run(struct tftpk_errand *errand, struct workqueue_struct *wq);
void tftpk_errand_put(struct tftpk_errand *errand);

#endif /* _TFTPK_STORAGE_H */
