// SPDX-License-Identifier: GPL-2.0
/*
 * Asking the agent what a name stands for, and going on with its answer. A request that
 * asks stays in TFTPK_PHASE_OPENING, without work; its timer ends that.
 */
#include <linux/file.h>
#include <linux/jiffies.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "resolve.h"
#include "storage.h"

/* Microseconds that a command waits for its answer: others wait for it, see
 * TFTPK_STORAGE_WAIT_MS.
 */
#define TFTPK_COMMAND_WAIT	(5 * USEC_PER_SEC)

static struct tftpk_answer tftpk_as_without = {
	.ref	= REFCOUNT_INIT(1),
	.kind	= TFTPK_ANSWER_DEFAULT,
};

/* As where there is no such file. */
static struct tftpk_answer tftpk_refused = {
	.ref	= REFCOUNT_INIT(1),
	.kind	= TFTPK_ANSWER_ERROR,
	.code	= TFTPK_ERR_NOT_FOUND,
	.text	= "file not found",
};

static struct tftpk_answer tftpk_unaccepted = {
	.ref	= REFCOUNT_INIT(1),
	.kind	= TFTPK_ANSWER_ERROR,
	.code	= TFTPK_ERR_ACCESS,
	.text	= TFTPK_READ_ONLY,
};

static struct tftpk_answer tftpk_busy = {
	.ref	= REFCOUNT_INIT(1),
	.kind	= TFTPK_ANSWER_ERROR,
	.code	= TFTPK_ERR_UNDEFINED,
	.text	= "server busy",
};

static struct tftpk_answer tftpk_unstored = {
	.ref	= REFCOUNT_INIT(1),
	.kind	= TFTPK_ANSWER_ERROR,
	.code	= TFTPK_ERR_UNDEFINED,
	.text	= "not stored in time",
};

/* What holds where nobody answers. */
static struct tftpk_answer *tftpk_resolve_policy(struct tftpk_net *tn)
{
	bool refuse = READ_ONCE(tn->settings.resolve_policy) ==
		      TFTPK_RESOLVE_POLICY_REFUSE;

	tftpk_stats_inc(tn, TFTPK_A_STATS_QUESTIONS_UNANSWERED);
	return tftpk_answer_get(refuse ? &tftpk_refused : &tftpk_as_without);
}

static struct tftpk_answer *tftpk_resolve_unanswered(struct tftpk_transfer *t)
{
	if (!t->writing)
		return tftpk_resolve_policy(t->tn);
	tftpk_stats_inc(t->tn, TFTPK_A_STATS_QUESTIONS_UNANSWERED);
	return tftpk_answer_get(t->phase == TFTPK_PHASE_OPENING ?
				&tftpk_unaccepted : &tftpk_unstored);
}

/* A client's question comes by a link, where others may be forged than on another. */
static struct tftpk_asked tftpk_asked(const struct tftpk_key *key, u32 listener,
				      int iif, const struct tftpk_request *req,
				      enum tftpk_scope scope)
{
	struct tftpk_asked asked = {
		.listener	= listener,
		.netascii	= req->mode == TFTPK_MODE_NETASCII,
		.name		= req->name,
	};

	if (scope == TFTPK_SCOPE_CLIENT) {
		asked.client = key->client;
		asked.local = key->local;
		asked.iif = iif;
	}
	return asked;
}

static struct tftpk_answer *tftpk_remembered(struct tftpk_net *tn,
					     const struct tftpk_key *key,
					     u32 listener, int iif,
					     const struct tftpk_request *req)
{
	struct tftpk_asked asked = tftpk_asked(key, listener, iif, req,
						TFTPK_SCOPE_CLIENT);
	struct tftpk_answer *answer;

	answer = tftpk_memory_find(tn, &asked);
	if (answer)
		tftpk_stats_inc(tn, TFTPK_A_STATS_ANSWERS_REMEMBERED);
	return answer;
}

static struct tftpk_answer *
tftpk_resolve_remembered(const struct tftpk_transfer *t)
{
	const struct tftpk_key *key = &t->peer.request.key;

	return tftpk_remembered(t->tn, key, key->port->listener->id,
				TFTPK_WAITING(t->request_skb)->iif,
				TFTPK_REQUEST(t->request_skb));
}

/**
 * tftpk_resolve_name() - the name of a transfer's file
 * @t: transfer in TFTPK_PHASE_OPENING
 *
 * Return: what the client asked for, or another one if the agent said so.
 */
const char *tftpk_resolve_name(const struct tftpk_transfer *t)
{
	const struct tftpk_answer *answer = TFTPK_WAITING(t->request_skb)->answer;

	return answer && answer->kind == TFTPK_ANSWER_NAME ?
		       answer->text : TFTPK_REQUEST(t->request_skb)->name;
}

/* Have the work of an upload go on with an answer. */
static void tftpk_resolve_write(struct tftpk_transfer *t,
				struct tftpk_answer *answer)
{
	lockdep_assert_held(&t->lock);

	/* Without an agent nobody is welcome. */
	if (answer->kind == TFTPK_ANSWER_DEFAULT) {
		tftpk_answer_put(answer);
		answer = tftpk_answer_get(&tftpk_unaccepted);
	}
	TFTPK_WAITING(t->request_skb)->answer = answer;
	t->progress = jiffies;
	tftpk_transfer_arm(t, TFTPK_RTO_FIRST);
	tftpk_transfer_requeue(t);
}

/* Have the file opened, by the answer if there is one. */
static void tftpk_resolve_read(struct tftpk_transfer *t,
			       struct tftpk_answer *answer)
{
	const struct tftpk_key *key = &t->peer.request.key;
	struct tftpk_export *before = t->source.export;
	struct tftpk_query query = { .client = &key->client };

	lockdep_assert_held(&t->lock);

	TFTPK_WAITING(t->request_skb)->answer = answer;
	t->source.foreign = answer && answer->kind == TFTPK_ANSWER_FILE;
	t->source.export = NULL;
	query.name = tftpk_resolve_name(t);
	if (!answer || answer->kind == TFTPK_ANSWER_NAME ||
	    answer->kind == TFTPK_ANSWER_DEFAULT)
		t->source.export = tftpk_export_next(t->tn, &query, NULL);
	t->last = false;
	/* Storage's time begins anew. */
	t->progress = jiffies;
	if (before)
		tftpk_export_put(before);
	tftpk_transfer_requeue(t);
}

static void tftpk_resolve_go(struct tftpk_transfer *t,
			     struct tftpk_answer *answer)
{
	if (t->writing)
		tftpk_resolve_write(t, answer);
	else
		tftpk_resolve_read(t, answer);
}

/**
 * tftpk_resolve_ask() - ask the agent about a transfer
 * @t: transfer, locked and not dead; it waits for no answer
 * @operation: what about
 * @size: bytes of an upload, or TFTPK_SIZE_UNKNOWN
 *
 * Context: any but hard interrupts, within rcu_read_lock(). Return: 0, and the caller
 * sees to it that the timer is set, and that the agent is told; or a negative errno.
 */
int tftpk_resolve_ask(struct tftpk_transfer *t, enum tftpk_operation operation,
		      u64 size)
{
	struct tftpk_waiting *waiting = TFTPK_WAITING(t->request_skb);
	struct tftpk_question *question;
	struct tftpk_net *tn = t->tn;
	int err;

	lockdep_assert_held(&t->lock);

	if (!READ_ONCE(tn->agent))
		return -ENOTCONN;
	question = tftpk_question_new(tn, &t->peer.request.key,
				      TFTPK_REQUEST(t->request_skb), GFP_ATOMIC);
	if (!question)
		return -ENOMEM;
	question->t = t;
	question->operation = operation;
	question->transfer = t->id;
	question->size = size;
	question->near = t->peer.near;
	question->proved = t->phase != TFTPK_PHASE_OPENING;
	question->iif = waiting->iif;
	err = question->proved ? 0 : tftpk_client_ask(t);
	if (err)
		goto err_free;
	err = tftpk_question_add(tn, question);
	if (err)
		goto err_forget;
	/* Who answers it waits for the lock. */
	waiting->question = question->id;
	tftpk_stats_inc(tn, TFTPK_A_STATS_QUESTIONS);
	return 0;

err_forget:
	if (!question->proved)
		tftpk_client_forget(t);
err_free:
	kfree(question);
	return err;
}

/**
 * tftpk_resolve_begin() - have a transfer's file opened, or ask about it first
 * @t: transfer, locked; new
 *
 * Context: softirq, within rcu_read_lock(). Return: whether the agent was asked: the
 * caller sees to it that the timer is set, and that the agent is told.
 */
bool tftpk_resolve_begin(struct tftpk_transfer *t)
{
	struct tftpk_answer *answer = NULL;
	struct tftpk_net *tn = t->tn;

	if (t->writing) {
		if (!tftpk_resolve_ask(t, TFTPK_OPERATION_ACCEPT,
				       t->source.sink.size))
			return true;
		answer = tftpk_answer_get(&tftpk_busy);
	} else if (unlikely(READ_ONCE(tn->settings.resolve) ==
			    TFTPK_RESOLVE_ALL)) {
		answer = tftpk_resolve_remembered(t);
		if (!answer && !tftpk_resolve_ask(t, TFTPK_OPERATION_READ,
						  TFTPK_SIZE_UNKNOWN))
			return true;
		answer = answer ?: tftpk_resolve_policy(tn);
	}
	tftpk_resolve_go(t, answer);
	return false;
}

/**
 * tftpk_resolve_missing() - no export has a transfer's file: ask about it, if that is
 * wanted
 * @t: transfer, locked and not dead
 *
 * Context: the transfer's work, within rcu_read_lock(). Return: whether that is wanted;
 * then the work is at its end, and comes again.
 */
bool tftpk_resolve_missing(struct tftpk_transfer *t)
{
	struct tftpk_answer *answer;
	struct tftpk_net *tn = t->tn;

	if (READ_ONCE(tn->settings.resolve) != TFTPK_RESOLVE_MISSING ||
	    TFTPK_WAITING(t->request_skb)->answer)
		return false;
	answer = tftpk_resolve_remembered(t);
	if (answer)
		tftpk_resolve_go(t, answer);
	else if (tftpk_resolve_ask(t, TFTPK_OPERATION_READ, TFTPK_SIZE_UNKNOWN))
		tftpk_resolve_go(t, tftpk_resolve_policy(tn));
	return true;
}

/**
 * tftpk_resolve_deny() - the agent said no: tell the client
 * @t: transfer, entered; left then
 * @answer: what it said; becomes the transfer's, until the event is told
 *
 * Context: process, the transfer's work.
 */
void tftpk_resolve_deny(struct tftpk_transfer *t, struct tftpk_answer *answer)
{
	struct tftpk_out out;

	tftpk_transfer_lock(t, &out);
	TFTPK_WAITING(t->request_skb)->answer = answer;
	if (!t->dead)
		tftpk_transfer_fail(t, TFTPK_OUTCOME_DENIED, answer->code,
				    answer->text, &out);
	tftpk_transfer_unlock_send(t, &out);
	tftpk_transfer_leave(t);
}

/**
 * tftpk_resolve_answer() - take the answer to an upload's question
 * @t: transfer, locked; an upload
 *
 * Return: the answer, with its reference, or NULL where there is none yet.
 */
struct tftpk_answer *tftpk_resolve_answer(struct tftpk_transfer *t)
{
	struct tftpk_waiting *waiting = TFTPK_WAITING(t->request_skb);
	struct tftpk_answer *answer = waiting->answer;

	lockdep_assert_held(&t->lock);

	waiting->answer = NULL;
	return answer;
}

/**
 * tftpk_resolve_wait() - how long a question waits
 * @tn: namespace's server
 *
 * Return: microseconds.
 */
u32 tftpk_resolve_wait(const struct tftpk_net *tn)
{
	return READ_ONCE(tn->settings.resolve_timeout) * USEC_PER_SEC;
}

/**
 * tftpk_resolve_expire() - a question's time is over
 * @t: transfer, locked, of tftpk_transfer_asks(); its deadline is reached
 *
 * Context: softirq, within rcu_read_lock(). Return: whether it had a question.
 */
bool tftpk_resolve_expire(struct tftpk_transfer *t)
{
	if (!TFTPK_WAITING(t->request_skb)->question)
		return false;
	tftpk_question_drop(t);
	tftpk_resolve_go(t, tftpk_resolve_unanswered(t));
	return true;
}

/**
 * tftpk_resolve_set() - the agent answers
 * @tn: namespace's server
 * @id: of the question
 * @answer: answer
 * @ttl: milliseconds to remember it, or 0
 * @scope: for whom
 *
 * Context: process. Return: 0, or -ENOENT if nobody waits for it.
 */
int tftpk_resolve_set(struct tftpk_net *tn, u32 id, struct tftpk_answer *answer,
		      u32 ttl, enum tftpk_scope scope)
{
	struct tftpk_question *question = tftpk_question_take(tn, id);
	struct tftpk_transfer *t;
	struct tftpk_asked asked;

	if (!question)
		return -ENOENT;
	t = question->t;
	asked = tftpk_asked(&question->key, question->listener, question->iif,
			    &question->req, scope);
	if (ttl && question->operation == TFTPK_OPERATION_READ)
		tftpk_memory_add(tn, &asked, answer, ttl, question->flushes);
	tftpk_answer_get(answer);
	if (!t) {
		question->answer = answer;
		complete(&question->done);
		return 0;
	}
	kfree(question);
	rcu_read_lock();
	spin_lock_bh(&t->lock);
	/* Or its time was over just now. Whoever ends the wait says so under the lock. */
	if (t->dead || !tftpk_transfer_asks(t) ||
	    TFTPK_WAITING(t->request_skb)->question != id) {
		tftpk_answer_put(answer);
	} else {
		TFTPK_WAITING(t->request_skb)->question = 0;
		if (t->phase == TFTPK_PHASE_OPENING)
			tftpk_client_forget(t);
		tftpk_resolve_go(t, answer);
	}
	spin_unlock_bh(&t->lock);
	rcu_read_unlock();
	tftpk_transfer_put(t);
	return 0;
}

/* Wait for the answer to a command's question. */
static struct tftpk_answer *tftpk_resolve_await(struct tftpk_net *tn,
						struct tftpk_question *question)
{
	struct tftpk_answer *answer;
	u32 id = question->id;
	long left;

	tftpk_question_notice(tn);
	left = usecs_to_jiffies(min_t(u32, tftpk_resolve_wait(tn),
				      TFTPK_COMMAND_WAIT));
	left = wait_for_completion_killable_timeout(&question->done, left);
	/* What somebody else has taken is answered in a moment. */
	if (left <= 0 && !tftpk_question_take(tn, id))
		wait_for_completion(&question->done);
	answer = question->answer;
	kfree(question);
	return answer;
}

/**
 * tftpk_resolve_command() - ask for a command, as for a request
 * @tn: namespace's server
 * @question: what to ask; consumed
 * @answer: takes the answer, with a reference
 * @by: takes who answered
 *
 * Context: process. Return: 0, or -EINTR where the task is killed.
 */
int tftpk_resolve_command(struct tftpk_net *tn, struct tftpk_question *question,
			  struct tftpk_answer **answer, enum tftpk_answerer *by)
{
	*by = TFTPK_ANSWERER_MEMORY;
	*answer = tftpk_remembered(tn, &question->key, question->listener,
				   question->iif, &question->req);
	if (*answer || !READ_ONCE(tn->agent) ||
	    tftpk_question_add(tn, question)) {
		kfree(question);
	} else {
		tftpk_stats_inc(tn, TFTPK_A_STATS_QUESTIONS);
		*by = TFTPK_ANSWERER_AGENT;
		*answer = tftpk_resolve_await(tn, question);
	}
	if (*answer)
		return 0;
	if (fatal_signal_pending(current))
		return -EINTR;
	*by = TFTPK_ANSWERER_POLICY;
	*answer = tftpk_resolve_policy(tn);
	return 0;
}

/**
 * struct tftpk_opening - the errand of opening the agent's file
 * @errand: errand
 * @answer: that has it
 * @file: what was opened, or an error pointer; NULL when it is taken
 */
struct tftpk_opening {
	struct tftpk_errand errand;
	struct tftpk_answer *answer;
	struct file *file;
};

static void tftpk_opening_run(struct tftpk_errand *errand)
{
	struct tftpk_opening *opening = container_of(errand,
						     struct tftpk_opening,
						     errand);

	opening->file = tftpk_answer_open(opening->answer);
}

static void tftpk_opening_free(struct tftpk_errand *errand)
{
	struct tftpk_opening *opening = container_of(errand,
						     struct tftpk_opening,
						     errand);

	if (!IS_ERR_OR_NULL(opening->file))
		fput(opening->file);
	tftpk_answer_put(opening->answer);
	kfree(opening);
}

/**
 * tftpk_resolve_open() - open the agent's file, for a command
 * @answer: that has it
 *
 * Context: process. Return: the file, or an error pointer, which is -ETIMEDOUT where
 * storage does not answer.
 */
struct file *tftpk_resolve_open(struct tftpk_answer *answer)
{
	struct tftpk_opening *opening = kzalloc(sizeof(*opening), GFP_KERNEL);
	struct file *file;
	int err;

	if (!opening)
		return ERR_PTR(-ENOMEM);
	opening->answer = tftpk_answer_get(answer);
	tftpk_errand_init(&opening->errand, tftpk_opening_run,
			  tftpk_opening_free);
	err = tftpk_errand_run(&opening->errand, tftpk_foreign_wq);
	file = err ? ERR_PTR(err) : opening->file;
	if (!err)
		opening->file = NULL;
	tftpk_errand_put(&opening->errand);
	return file;
}
