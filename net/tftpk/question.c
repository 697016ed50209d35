// SPDX-License-Identifier: GPL-2.0
/*
 * Questions that wait for the agent. Whoever takes one out of the table owns it: the
 * answer, its deadline, or the end of its transfer.
 */
#include <linux/jiffies.h>
#include <linux/slab.h>

#include "question.h"

/**
 * tftpk_question_new() - make a question
 * @tn: namespace's server
 * @key: names the client and the listener
 * @req: what it asks for
 * @gfp: as for kmalloc()
 *
 * Return: the question, for tftpk_question_add() or kfree(), or NULL.
 */
struct tftpk_question *tftpk_question_new(const struct tftpk_net *tn,
					  const struct tftpk_key *key,
					  const struct tftpk_request *req,
					  gfp_t gfp)
{
	size_t len = strlen(req->name) + 1;
	struct tftpk_question *question;

	question = kzalloc(struct_size(question, name, len), gfp | __GFP_NOWARN);
	if (!question)
		return NULL;
	init_completion(&question->done);
	question->operation = TFTPK_OPERATION_READ;
	question->size = TFTPK_SIZE_UNKNOWN;
	question->key = *key;
	if (key->port) {
		question->listener = key->port->listener->id;
		question->port = key->port->listener->main.port;
	}
	question->asked = jiffies;
	question->flushes = READ_ONCE(tn->flushes);
	question->req = *req;
	question->req.name = question->name;
	memcpy(question->name, req->name, len);
	return question;
}

/* One half is for those who are near. Who writes has proved itself: forgers shall not
 * keep what it wrote from being stored. It has one question at a time.
 */
static bool tftpk_question_fits(const struct tftpk_net *tn,
				const struct tftpk_question *question)
{
	u32 max = READ_ONCE(tn->settings.max_pending);

	return question->proved ||
	       (tn->n_questions < max &&
		(question->near || tn->n_far < max - max / 2));
}

/* Count it, or count it no longer. */
static void tftpk_question_count(struct tftpk_net *tn,
				 const struct tftpk_question *question, int n)
{
	if (question->proved)
		return;
	tn->n_questions += n;
	if (!question->near)
		tn->n_far += n;
}

/**
 * tftpk_question_add() - let a question wait
 * @tn: namespace's server
 * @question: question; gets an id
 *
 * Context: any but hard interrupts. Return: 0, -EDQUOT if there are too many, or another
 * errno.
 */
int tftpk_question_add(struct tftpk_net *tn, struct tftpk_question *question)
{
	int err = -EDQUOT;

	xa_lock_bh(&tn->questions);
	if (tftpk_question_fits(tn, question))
		err = __xa_alloc_cyclic(&tn->questions, &question->id, question,
					xa_limit_32b, &tn->next_question,
					GFP_ATOMIC | __GFP_NOWARN);
	if (err >= 0) {
		tftpk_question_count(tn, question, 1);
		err = 0;
	}
	xa_unlock_bh(&tn->questions);
	return err;
}

/**
 * tftpk_question_operation() - what a question is about
 * @tn: namespace's server
 * @id: its number
 *
 * Context: any but hard interrupts. Return: enum tftpk_operation, or -ENOENT where the
 * question is gone.
 */
int tftpk_question_operation(struct tftpk_net *tn, u32 id)
{
	const struct tftpk_question *question;
	int operation;

	xa_lock_bh(&tn->questions);
	question = xa_load(&tn->questions, id);
	operation = question ? question->operation : -ENOENT;
	xa_unlock_bh(&tn->questions);
	return operation;
}

/**
 * tftpk_question_take() - take a question out of the table
 * @tn: namespace's server
 * @id: its number
 *
 * Its transfer is held then.
 *
 * Context: any but hard interrupts. Return: the question, or NULL where it is gone.
 */
struct tftpk_question *tftpk_question_take(struct tftpk_net *tn, u32 id)
{
	struct tftpk_question *question;

	xa_lock_bh(&tn->questions);
	question = __xa_erase(&tn->questions, id);
	if (question) {
		tftpk_question_count(tn, question, -1);
		/* It drops its question before its own reference. */
		if (question->t)
			refcount_inc(&question->t->ref);
	}
	xa_unlock_bh(&tn->questions);
	return question;
}

/**
 * tftpk_question_drop() - wait no longer
 * @t: transfer, locked, that may wait
 */
void tftpk_question_drop(struct tftpk_transfer *t)
{
	struct tftpk_question *question;
	struct tftpk_waiting *waiting;

	lockdep_assert_held(&t->lock);

	if (!tftpk_transfer_asks(t))
		return;
	waiting = TFTPK_WAITING(t->request_skb);
	if (!waiting->question)
		return;
	if (t->phase == TFTPK_PHASE_OPENING)
		tftpk_client_forget(t);
	question = tftpk_question_take(t->tn, waiting->question);
	waiting->question = 0;
	if (!question)
		return;		/* somebody answers it just now */
	refcount_dec(&t->ref);
	kfree(question);
}

/**
 * tftpk_questions_retell() - tell the agent of all questions, once more
 * @tn: namespace's server
 *
 * Context: process.
 */
void tftpk_questions_retell(struct tftpk_net *tn)
{
	struct tftpk_question *question;
	unsigned long id;

	xa_lock_bh(&tn->questions);
	xa_for_each(&tn->questions, id, question)
		question->told = false;
	xa_unlock_bh(&tn->questions);
	WRITE_ONCE(tn->noticed, false);
}

/**
 * tftpk_question_notice() - let the agent know that there are questions
 * @tn: namespace's server
 *
 * Once, until it looks.
 *
 * Context: any but hard interrupts.
 */
void tftpk_question_notice(struct tftpk_net *tn)
{
	if (!xchg(&tn->noticed, true))
		tftpk_event_notice(tn);
}
