// SPDX-License-Identifier: GPL-2.0
/*
 * What the agent says that names stand for, and what is remembered of it: so that equal
 * questions are asked once.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/jhash.h>
#include <linux/jiffies.h>
#include <linux/magic.h>
#include <linux/rhashtable.h>
#include <linux/slab.h>
#include <net/ipv6.h>

#include "answer.h"
#include "storage.h"
#include "transfer.h"

/* Remembered are so many, and beside them so many that give nothing: forged names have
 * no other answers.
 */
#define TFTPK_ANSWERS_MAX	4096
#define TFTPK_NEGATIVE_MAX	1024

/* How often to look for what is too old. */
#define TFTPK_EXPIRE_EVERY	(10 * HZ)

/* An ERROR for everybody is remembered no longer than that, in milliseconds. */
#define TFTPK_ERROR_TTL_MAX	5000

/**
 * tftpk_answer_new() - make an answer
 * @kind: what it says
 * @text: name, or text of the ERROR, or ""
 *
 * Context: process. Return: the answer with one reference, or NULL.
 */
struct tftpk_answer *tftpk_answer_new(enum tftpk_answer_kind kind,
				      const char *text)
{
	size_t len = strlen(text) + 1;
	struct tftpk_answer *answer;

	answer = kzalloc(struct_size(answer, text, len), GFP_KERNEL_ACCOUNT);
	if (!answer)
		return NULL;
	refcount_set(&answer->ref, 1);
	answer->kind = kind;
	memcpy(answer->text, text, len);
	return answer;
}

/**
 * tftpk_answer_get() - hold an answer
 * @answer: that the caller holds
 *
 * Context: any. Return: the answer.
 */
struct tftpk_answer *tftpk_answer_get(struct tftpk_answer *answer)
{
	refcount_inc(&answer->ref);
	return answer;
}

/**
 * tftpk_answer_put() - leave an answer
 * @answer: answer, or NULL
 *
 * Context: any.
 */
void tftpk_answer_put(struct tftpk_answer *answer)
{
	if (!answer || !refcount_dec_and_test(&answer->ref))
		return;
	if (answer->file)
		fput(answer->file);
	kfree_rcu(answer, rcu);
}

/* May it be sent, or written? Its flags may change, by fcntl(). */
static int tftpk_answer_check(const struct file *file, bool writing)
{
	fmode_t mode = writing ? FMODE_WRITE | FMODE_CAN_WRITE : FMODE_READ;
	unsigned int flags = writing ? O_DIRECT | O_APPEND : O_DIRECT;

	if ((file->f_mode & mode) != mode || file->f_flags & flags)
		return -EBADF;
	if (writing && !file->f_op->write_iter)
		return -EACCES;
	if (!S_ISREG(file_inode(file)->i_mode))
		return -EACCES;
	/* /proc and its like. */
	if (file_inode(file)->i_sb->s_iflags & SB_I_NODEV)
		return -EACCES;
	return 0;
}

/**
 * tftpk_answer_set_file() - let an answer be a file
 * @answer: of that kind, without a file
 * @fd: descriptor of the calling process
 * @writing: it is to be written
 *
 * Context: process. Return: 0; -EBADF if it is not open for that, or with O_DIRECT,
 * O_PATH or, to write, O_APPEND; -EACCES if it is no regular file, or not a real one.
 */
int tftpk_answer_set_file(struct tftpk_answer *answer, unsigned int fd,
			  bool writing)
{
	struct file *file = fget(fd);
	int err;

	if (!file)
		return -EBADF;
	err = tftpk_answer_check(file, writing);
	if (err)
		fput(file);
	else
		answer->file = file;
	return err;
}

/**
 * tftpk_answer_open() - open the file of an answer
 * @answer: of that kind
 *
 * As who opened it for the agent, and apart from that: so a transfer has a position and
 * a read-ahead of its own.
 *
 * Context: a work, since storage may not answer. Return: the file, or an error pointer.
 */
struct file *tftpk_answer_open(const struct tftpk_answer *answer)
{
	const struct cred *cred = answer->file->f_cred, *old;
	int err = tftpk_answer_check(answer->file, false);
	struct file *file;

	if (err)
		return ERR_PTR(err);
	old = override_creds(cred);
	file = tftpk_open_path(&answer->file->f_path, cred);
	revert_creds(old);
	return file;
}

/**
 * tftpk_answer_sink() - the file of an answer, to write to
 * @answer: of that kind
 *
 * The agent's own: one without a name cannot be opened anew.
 *
 * Context: process. Return: the file, with a reference, or an error pointer.
 */
struct file *tftpk_answer_sink(const struct tftpk_answer *answer)
{
	int err = tftpk_answer_check(answer->file, true);

	return err ? ERR_PTR(err) : get_file(answer->file);
}

/* ---- memory ---- */

/**
 * struct tftpk_memory - an answer that is remembered
 * @head: in tftpk_net.answers
 * @list: in tftpk_net.remembered, oldest first
 * @rcu: frees it
 * @answer: answer
 * @expires: jiffies
 * @asked: what it answers
 * @name: of that
 */
struct tftpk_memory {
	struct rhash_head head;
	struct list_head list;
	struct rcu_head rcu;
	struct tftpk_answer *answer;
	unsigned long expires;
	struct tftpk_asked asked;
	char name[];
};

static u32 tftpk_asked_hash(const void *data, u32 len, u32 seed)
{
	const struct tftpk_asked *asked = data;

	seed = jhash_3words(asked->listener, asked->iif, asked->netascii, seed);
	seed = __ipv6_addr_jhash(&asked->client, seed);
	return jhash(asked->name, strlen(asked->name), seed);
}

static u32 tftpk_memory_hash(const void *data, u32 len, u32 seed)
{
	const struct tftpk_memory *memory = data;

	return tftpk_asked_hash(&memory->asked, len, seed);
}

static int tftpk_memory_compare(struct rhashtable_compare_arg *arg,
				const void *object)
{
	const struct tftpk_memory *memory = object;
	const struct tftpk_asked *asked = arg->key;

	return asked->listener != memory->asked.listener ||
	       asked->iif != memory->asked.iif ||
	       !ipv6_addr_equal(&asked->local, &memory->asked.local) ||
	       asked->netascii != memory->asked.netascii ||
	       !ipv6_addr_equal(&asked->client, &memory->asked.client) ||
	       strcmp(asked->name, memory->asked.name);
}

static const struct rhashtable_params tftpk_answers_params = {
	.head_offset		= offsetof(struct tftpk_memory, head),
	.hashfn			= tftpk_asked_hash,
	.obj_hashfn		= tftpk_memory_hash,
	.obj_cmpfn		= tftpk_memory_compare,
	.automatic_shrinking	= true,
};

/* Does it give nothing? */
static bool tftpk_answer_negative(const struct tftpk_answer *answer)
{
	return answer->kind == TFTPK_ANSWER_ERROR ||
	       answer->kind == TFTPK_ANSWER_DEFAULT;
}

/* Forget an answer; it is for tftpk_memory_free() then. */
static void tftpk_memory_del(struct tftpk_net *tn, struct tftpk_memory *memory,
			     struct list_head *gone)
{
	bool negative = tftpk_answer_negative(memory->answer);

	lockdep_assert_held(&tn->answers_lock);

	rhashtable_remove_fast(&tn->answers, &memory->head,
			       tftpk_answers_params);
	list_move(&memory->list, gone);
	tn->n_remembered[negative]--;
	tn->answers_pinned -= memory->answer->pinned;
	atomic_long_sub(memory->answer->pinned, &tn->pinned);
}

/* Without the lock: a command's fput() closes the file before the command returns, but
 * not with BH disabled.
 */
static void tftpk_memory_free(struct list_head *gone)
{
	struct tftpk_memory *memory, *next;

	list_for_each_entry_safe(memory, next, gone, list) {
		tftpk_answer_put(memory->answer);
		kfree_rcu(memory, rcu);
	}
}

/**
 * tftpk_memory_flush() - forget all answers
 * @tn: namespace's server
 *
 * Context: process.
 */
void tftpk_memory_flush(struct tftpk_net *tn)
{
	struct tftpk_memory *memory, *next;
	LIST_HEAD(gone);
	int i;

	spin_lock_bh(&tn->answers_lock);
	tn->flushes++;
	for (i = 0; i < ARRAY_SIZE(tn->remembered); i++)
		list_for_each_entry_safe(memory, next, &tn->remembered[i], list)
			tftpk_memory_del(tn, memory, &gone);
	spin_unlock_bh(&tn->answers_lock);
	tftpk_memory_free(&gone);
}

/* Forget what is too old. */
static void tftpk_memory_expire(struct work_struct *work)
{
	struct tftpk_net *tn = container_of(work, struct tftpk_net,
					    expire.work);
	struct tftpk_memory *memory, *next;
	LIST_HEAD(gone);
	int i;

	spin_lock_bh(&tn->answers_lock);
	for (i = 0; i < ARRAY_SIZE(tn->remembered); i++)
		list_for_each_entry_safe(memory, next, &tn->remembered[i], list)
			if (time_after_eq(jiffies, memory->expires))
				tftpk_memory_del(tn, memory, &gone);
	if (tn->n_remembered[false] + tn->n_remembered[true])
		queue_delayed_work(tftpk_wq, &tn->expire, TFTPK_EXPIRE_EVERY);
	spin_unlock_bh(&tn->answers_lock);
	tftpk_memory_free(&gone);
}

/**
 * tftpk_memory_init() - make the memory of answers
 * @tn: namespace's server
 *
 * Context: process. Return: 0 or an errno.
 */
int tftpk_memory_init(struct tftpk_net *tn)
{
	spin_lock_init(&tn->answers_lock);
	INIT_DELAYED_WORK(&tn->expire, tftpk_memory_expire);
	INIT_LIST_HEAD(&tn->remembered[false]);
	INIT_LIST_HEAD(&tn->remembered[true]);
	return rhashtable_init(&tn->answers, &tftpk_answers_params);
}

/**
 * tftpk_memory_close() - forget all, for good
 * @tn: namespace's server; nothing is remembered any more
 *
 * Context: process.
 */
void tftpk_memory_close(struct tftpk_net *tn)
{
	cancel_delayed_work_sync(&tn->expire);
	tftpk_memory_flush(tn);
}

/**
 * tftpk_memory_exit() - undo tftpk_memory_init()
 * @tn: namespace's server
 *
 * Context: process.
 */
void tftpk_memory_exit(struct tftpk_net *tn)
{
	rhashtable_destroy(&tn->answers);
}

/* Pages that stay in memory as long as the file is open. */
static u32 tftpk_answer_pages(const struct tftpk_answer *answer)
{
	const struct inode *inode;

	if (!answer->file)
		return 0;
	inode = file_inode(answer->file);
	if (inode->i_sb->s_magic != TMPFS_MAGIC && inode->i_nlink)
		return 0;
	return min_t(u64, DIV_ROUND_UP_ULL(i_size_read(inode), PAGE_SIZE),
		     U32_MAX);
}

/* Let the answer's file count, if there is room. Transfers need three quarters of it. */
static bool tftpk_memory_pin(struct tftpk_net *tn, struct tftpk_answer *answer,
			     struct list_head *gone)
{
	u32 pages = tftpk_answer_pages(answer);
	long most = tftpk_max_pinned(tn) / 4;

	if (pages > most)
		return false;
	while (tn->answers_pinned + pages > most)
		tftpk_memory_del(tn, list_first_entry(&tn->remembered[false],
						      struct tftpk_memory,
						      list), gone);
	if (atomic_long_add_return(pages, &tn->pinned) > tftpk_max_pinned(tn)) {
		atomic_long_sub(pages, &tn->pinned);
		return false;
	}
	tn->answers_pinned += pages;
	answer->pinned = pages;
	return true;
}

static void tftpk_memory_insert(struct tftpk_net *tn,
				struct tftpk_memory *memory,
				struct list_head *gone)
{
	bool negative = tftpk_answer_negative(memory->answer);
	struct list_head *list = &tn->remembered[negative];
	struct tftpk_memory *old;

	lockdep_assert_held(&tn->answers_lock);

	rcu_read_lock();
	old = rhashtable_lookup_fast(&tn->answers, &memory->asked,
				     tftpk_answers_params);
	if (old)
		tftpk_memory_del(tn, old, gone);
	rcu_read_unlock();
	if (tn->n_remembered[negative] >=
	    (negative ? TFTPK_NEGATIVE_MAX : TFTPK_ANSWERS_MAX))
		tftpk_memory_del(tn, list_first_entry(list, struct tftpk_memory,
						      list), gone);
	if (!tftpk_memory_pin(tn, memory->answer, gone)) {
		list_add(&memory->list, gone);
		return;
	}
	list_add_tail(&memory->list, list);
	tn->n_remembered[negative]++;
	if (rhashtable_insert_fast(&tn->answers, &memory->head,
				   tftpk_answers_params))
		tftpk_memory_del(tn, memory, gone);
}

/**
 * tftpk_memory_add() - remember an answer
 * @tn: namespace's server
 * @asked: what it answers
 * @answer: answer, that is not remembered yet
 * @ttl: for so many milliseconds
 * @flushes: tftpk_net.flushes when it was asked: what was forgotten since may have led
 *	to the answer
 *
 * Where that is not possible it is asked again. The oldest is forgotten where there are
 * too many.
 *
 * Context: process.
 */
void tftpk_memory_add(struct tftpk_net *tn, const struct tftpk_asked *asked,
		      struct tftpk_answer *answer, u32 ttl, u32 flushes)
{
	size_t len = strlen(asked->name) + 1;
	struct tftpk_memory *memory;
	LIST_HEAD(gone);

	if (answer->kind == TFTPK_ANSWER_ERROR && ipv6_addr_any(&asked->client))
		ttl = min_t(u32, ttl, TFTPK_ERROR_TTL_MAX);
	memory = kmalloc(struct_size(memory, name, len), GFP_KERNEL_ACCOUNT);
	if (!memory)
		return;
	memory->answer = tftpk_answer_get(answer);
	memory->expires = jiffies + msecs_to_jiffies(ttl);
	memory->asked = *asked;
	memory->asked.name = memory->name;
	memcpy(memory->name, asked->name, len);
	spin_lock_bh(&tn->answers_lock);
	if (flushes == tn->flushes)
		tftpk_memory_insert(tn, memory, &gone);
	else
		list_add(&memory->list, &gone);
	if (tn->n_remembered[false] + tn->n_remembered[true])
		queue_delayed_work(tftpk_wq, &tn->expire, TFTPK_EXPIRE_EVERY);
	spin_unlock_bh(&tn->answers_lock);
	tftpk_memory_free(&gone);
}

/**
 * tftpk_memory_find() - the answer that is remembered
 * @tn: namespace's server
 * @asked: question of a client
 *
 * Context: any. Return: the answer with a reference, or NULL.
 */
struct tftpk_answer *tftpk_memory_find(struct tftpk_net *tn,
				       const struct tftpk_asked *asked)
{
	struct tftpk_answer *answer = NULL;
	struct tftpk_asked key = *asked;
	struct tftpk_memory *memory;
	int i;

	rcu_read_lock();
	for (i = 0; i < 2 && !answer; i++) {
		memory = rhashtable_lookup(&tn->answers, &key,
					   tftpk_answers_params);
		if (memory && time_before(jiffies, memory->expires) &&
		    refcount_inc_not_zero(&memory->answer->ref))
			answer = memory->answer;
		/* What is so for all, second. */
		key.client = in6addr_any;
		key.local = in6addr_any;
		key.iif = 0;
	}
	rcu_read_unlock();
	return answer;
}
