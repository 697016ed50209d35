// SPDX-License-Identifier: GPL-2.0
/*
 * A transfer's life: references, what it holds of its namespace's limits, and its
 * end.
 *
 * An ACK, an ERROR, the timer or a command ends a transfer: whichever comes first
 * marks it dead under its lock. It is reaped at once, or when the work has left what
 * uses the network namespace: nothing finds it any more. The last reference has it
 * closed. The work may hold one as long as storage does not answer.
 *
 * Work is queued only under the lock and only while the transfer is not dead, and
 * queued work owns a reference. A reader that found the transfer in the table may
 * come late, but sees it dead and leaves.
 */
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "answer.h"
#include "question.h"
#include "storage.h"
#include "transfer.h"
#include "trace.h"

static struct kmem_cache *tftpk_transfer_cache;

static void tftpk_transfer_reap_work(struct work_struct *work);

/**
 * tftpk_transfer_alloc() - make an object for a transfer
 * @tn: namespace's server
 * @key: of its request
 *
 * The caller sets up its timer and its work.
 *
 * Context: softirq. Return: the transfer with one reference, or NULL.
 */
struct tftpk_transfer *tftpk_transfer_alloc(struct tftpk_net *tn,
					    const struct tftpk_key *key)
{
	struct tftpk_transfer *t;

	t = kmem_cache_alloc(tftpk_transfer_cache, GFP_ATOMIC | __GFP_NOWARN);
	if (!t)
		return NULL;
	memset(t, 0, offsetof(struct tftpk_transfer, source.small));
	spin_lock_init(&t->lock);
	refcount_set(&t->ref, 1);
	INIT_WORK(&t->reap, tftpk_transfer_reap_work);
	INIT_LIST_HEAD(&t->peer.unvalidated);
	t->tn = tn;
	t->peer.request.key = *key;
	t->phase = TFTPK_PHASE_OPENING;
	t->started_ns = ktime_get_ns();
	t->progress = jiffies;
	return t;
}

/**
 * tftpk_transfer_discard() - free a transfer that nobody has seen
 * @t: transfer; never in a list or a table
 *
 * At once: refused requests come at the rate of a flood.
 *
 * Context: any.
 */
void tftpk_transfer_discard(struct tftpk_transfer *t)
{
	kmem_cache_free(tftpk_transfer_cache, t);
}

static void tftpk_transfer_free(struct rcu_head *rcu)
{
	struct tftpk_transfer *t = container_of(rcu, struct tftpk_transfer,
						rcu);

	kmem_cache_free(tftpk_transfer_cache, t);
}

/**
 * tftpk_transfer_forget_request() - free the request, and what the agent said of it
 * @t: transfer that does not want it any more
 *
 * Context: process, the transfer's work.
 */
void tftpk_transfer_forget_request(struct tftpk_transfer *t)
{
	if (!t->request_skb)
		return;
	tftpk_answer_put(TFTPK_WAITING(t->request_skb)->answer);
	consume_skb(t->request_skb);
	t->request_skb = NULL;
}

/**
 * tftpk_transfer_close() - close and free a transfer, where it is time
 * @t: transfer
 *
 * Context: process, the transfer's work. Return: whether it was.
 */
bool tftpk_transfer_close(struct tftpk_transfer *t)
{
	struct tftpk_export *export = t->source.export;

	if (refcount_read(&t->ref))
		return false;
	if (t->writing)
		tftpk_sink_close(t);
	else
		tftpk_file_close(&t->source);
	tftpk_transfer_forget_request(t);
	tftpk_net_put(t->tn);
	if (t->stuck)
		module_put(THIS_MODULE);
	call_rcu(&t->rcu, tftpk_transfer_free);
	/* Whoever unloads the module waits for that. */
	if (export)
		tftpk_export_put(export);
	return true;
}

/* Nothing waits there for the storage of another export. */
static struct workqueue_struct *tftpk_transfer_wq(const struct tftpk_transfer *t)
{
	if (t->source.export)
		return t->source.export->wq;
	/* Before it has a file, and after, an upload waits for no storage. */
	if (t->writing)
		return t->source.file ? tftpk_upload_wq : tftpk_wq;
	return t->source.foreign ? tftpk_foreign_wq : tftpk_wq;
}

/**
 * tftpk_transfer_put() - drop a reference to a transfer
 * @t: transfer; the last one has it closed and freed
 *
 * Context: any.
 */
void tftpk_transfer_put(struct tftpk_transfer *t)
{
	/* Without a file nothing waits for storage, and works that do may occupy the
	 * workqueue of the export.
	 */
	if (refcount_dec_and_test(&t->ref))
		queue_work(t->source.file ? tftpk_transfer_wq(t) : tftpk_wq,
			   &t->work);
}

/**
 * tftpk_transfer_queue() - have the work run, once more if it is running
 * @t: transfer, locked and not dead
 */
void tftpk_transfer_queue(struct tftpk_transfer *t)
{
	lockdep_assert_held(&t->lock);

	refcount_inc(&t->ref);
	if (!queue_work(tftpk_transfer_wq(t), &t->work))
		refcount_dec(&t->ref);
}

/**
 * tftpk_transfer_requeue() - have the work run, of another export than before
 * @t: transfer, locked and not dead
 *
 * Once it has left: on another workqueue it could run twice at the same time.
 */
void tftpk_transfer_requeue(struct tftpk_transfer *t)
{
	lockdep_assert_held(&t->lock);

	if (t->working)
		t->again = true;
	else
		tftpk_transfer_queue(t);
}

/**
 * tftpk_transfer_reap() - have a dead transfer reaped
 * @t: transfer, locked; the work does not use the network namespace
 */
void tftpk_transfer_reap(struct tftpk_transfer *t)
{
	lockdep_assert_held(&t->lock);

	queue_work(tftpk_wq, &t->reap);
}

/**
 * tftpk_transfer_enter() - begin to use the network namespace, with the work
 * @t: transfer
 *
 * The namespace, the listener and what is known of the client stay until
 * tftpk_transfer_leave(), which comes before all that waits for storage.
 *
 * Context: process, the transfer's work. Return: false where the transfer is dead.
 */
bool tftpk_transfer_enter(struct tftpk_transfer *t)
{
	bool entered;

	spin_lock_bh(&t->lock);
	entered = !t->dead;
	t->working = entered;
	spin_unlock_bh(&t->lock);
	return entered;
}

/**
 * tftpk_transfer_leave() - end what tftpk_transfer_enter() began
 * @t: transfer, which may have ended meanwhile
 *
 * Context: process, the transfer's work.
 */
void tftpk_transfer_leave(struct tftpk_transfer *t)
{
	spin_lock_bh(&t->lock);
	t->working = false;
	if (t->dead)
		tftpk_transfer_reap(t);
	else if (t->again)
		tftpk_transfer_queue(t);
	t->again = false;
	spin_unlock_bh(&t->lock);
}

/* The counter of each outcome, if the transfer had begun. */
static const u8 tftpk_outcome_counters[] = {
	[TFTPK_OUTCOME_COMPLETED]	= TFTPK_A_STATS_TRANSFERS_COMPLETED,
	[TFTPK_OUTCOME_PROBED]		= TFTPK_A_STATS_CLIENTS_PROBING,
	[TFTPK_OUTCOME_ABORTED]		= TFTPK_A_STATS_TRANSFERS_ABORTED,
	[TFTPK_OUTCOME_UNREACHABLE]	= TFTPK_A_STATS_CLIENTS_UNREACHABLE,
	[TFTPK_OUTCOME_TIMED_OUT]	= TFTPK_A_STATS_TRANSFERS_FAILED,
	[TFTPK_OUTCOME_CHANGED]		= TFTPK_A_STATS_TRANSFERS_FAILED,
	[TFTPK_OUTCOME_UNREADABLE]	= TFTPK_A_STATS_TRANSFERS_FAILED,
	[TFTPK_OUTCOME_KILLED]		= TFTPK_A_STATS_TRANSFERS_FAILED,
	[TFTPK_OUTCOME_EVICTED]		= TFTPK_A_STATS_TRANSFERS_EVICTED,
	[TFTPK_OUTCOME_DENIED]		= TFTPK_A_STATS_TRANSFERS_FAILED,
	[TFTPK_OUTCOME_UNWRITABLE]	= TFTPK_A_STATS_TRANSFERS_FAILED,
};

/**
 * tftpk_transfer_hold() - note whether a block waits for a rate
 * @t: transfer, locked
 * @hold: does it?
 */
void tftpk_transfer_hold(struct tftpk_transfer *t, bool hold)
{
	lockdep_assert_held(&t->lock);

	if (t->peer.held != hold && t->peer.paced)
		atomic_add(hold ? 1 : -1, &t->source.export->waiting);
	else if (t->peer.held != hold)
		tftpk_limit_count_waiting(t->tn, hold);
	t->peer.held = hold;
}

/**
 * tftpk_transfer_reserve() - take pages out of what max-pinned allows
 * @t: transfer, locked, that has none
 * @pages: how many
 *
 * Return: 0, -ENOSPC, or -EDQUOT if it would be more than the client's share.
 */
int tftpk_transfer_reserve(struct tftpk_transfer *t, u32 pages)
{
	struct tftpk_net *tn = t->tn;
	long max = tftpk_max_pinned(tn);
	int err = -ENOSPC;

	lockdep_assert_held(&t->lock);

	if (atomic_long_add_return(pages, &tn->pinned) <= max)
		err = tftpk_client_reserve(t, pages, max);
	if (err)
		atomic_long_sub(pages, &tn->pinned);
	else
		t->source.reserved = pages;
	return err;
}

/**
 * tftpk_transfer_unreserve() - give back what was reserved of max-pinned
 * @t: transfer, locked
 */
void tftpk_transfer_unreserve(struct tftpk_transfer *t)
{
	lockdep_assert_held(&t->lock);

	if (!t->source.reserved)
		return;
	atomic_long_sub(t->source.reserved, &t->tn->pinned);
	tftpk_client_unreserve(t, t->source.reserved);
	t->source.reserved = 0;
}

/* What stands for the last block of an upload that was stored, else 0. */
static u32 tftpk_transfer_stored(const struct tftpk_transfer *t)
{
	const struct tftpk_rwindow *w = &t->source.sink.window;

	return t->writing && t->outcome == TFTPK_OUTCOME_COMPLETED ?
		       TFTPK_STORED | tftpk_rwindow_wire(w, w->last) : 0;
}

/**
 * tftpk_transfer_validate() - note that the client of a transfer is validated
 * @t: transfer, locked and not dead, whose client was not
 *
 * Context: softirq, within rcu_read_lock().
 */
void tftpk_transfer_validate(struct tftpk_transfer *t)
{
	lockdep_assert_held(&t->lock);

	tftpk_unvalidated_del(t);
	t->peer.validated = true;
	if (!t->peer.near)
		tftpk_limit_validated(t->tn, &t->peer.request.key);
}

/* Once in a transfer's life: its blocks and ACKs pay nothing for histograms. */
static void tftpk_transfer_observe(const struct tftpk_transfer *t)
{
	u64 us, bytes;

	if (t->peer.rtt.srtt)
		tftpk_stats_observe(t->tn, TFTPK_HISTOGRAM_ROUND_TRIP,
				    t->peer.rtt.srtt);
	if (t->outcome != TFTPK_OUTCOME_COMPLETED)
		return;
	us = div_u64(ktime_get_ns() - t->started_ns, NSEC_PER_USEC);
	bytes = min_t(u64, tftpk_transfer_acked_bytes(t),
		      div_u64(U64_MAX, USEC_PER_SEC));
	tftpk_stats_observe(t->tn, TFTPK_HISTOGRAM_DURATION, us);
	tftpk_stats_observe(t->tn, TFTPK_HISTOGRAM_RATE,
			    div64_u64(bytes * USEC_PER_SEC, max_t(u64, us, 1)));
}

/**
 * tftpk_transfer_end() - end a transfer
 * @t: transfer, locked and not dead
 * @outcome: how it ends
 */
void tftpk_transfer_end(struct tftpk_transfer *t, enum tftpk_outcome outcome)
{
	int counter = tftpk_outcome_counters[outcome];

	lockdep_assert_held(&t->lock);

	t->dead = true;
	t->outcome = outcome;
	if (t->phase == TFTPK_PHASE_OPENING &&
	    outcome != TFTPK_OUTCOME_EVICTED)
		counter = t->limited ? TFTPK_A_STATS_REQUESTS_LIMITED :
				       TFTPK_A_STATS_REQUESTS_REFUSED;
	if (!tftpk_transfer_validated(t))
		tftpk_unvalidated_del(t);
	tftpk_question_drop(t);
	tftpk_transfer_hold(t, false);
	tftpk_turn_leave(t);
	tftpk_transfer_unreserve(t);
	tftpk_client_del(t);
	tftpk_limit_note_ended(t->tn, &t->peer.tid.key,
			       tftpk_transfer_stored(t));
	tftpk_stats_inc(t->tn, counter);
	tftpk_transfer_observe(t);
	if (!t->working)
		tftpk_transfer_reap(t);
}

/**
 * tftpk_transfer_fail() - end a transfer with an ERROR to its client
 * @t: transfer, locked and not dead
 * @outcome: how it ends
 * @code: enum tftpk_error
 * @text: of the ERROR; stays as long as the transfer's request
 * @out: takes the ERROR
 */
void tftpk_transfer_fail(struct tftpk_transfer *t, enum tftpk_outcome outcome,
			 u16 code, const char *text, struct tftpk_out *out)
{
	u8 buf[TFTPK_ERROR_MAX];

	tftpk_output_packet(t->tn->net, &t->peer, buf,
			    tftpk_put_error(buf, code, text), out);
	t->error_code = code;
	t->reason = text;
	tftpk_transfer_end(t, outcome);
}

/**
 * tftpk_transfer_end_unreadable() - end a transfer whose file cannot be read
 * @t: transfer, locked and not dead
 * @err: why; -ESTALE if the file changed
 * @out: takes the ERROR
 */
void tftpk_transfer_end_unreadable(struct tftpk_transfer *t, int err,
				   struct tftpk_out *out)
{
	enum tftpk_outcome outcome = TFTPK_OUTCOME_UNREADABLE;
	const char *text;
	u16 code;

	/* A transfer holds its export until it is closed. */
	text = t->phase == TFTPK_PHASE_OPENING ?
		       tftpk_file_refusal(t->source.export, err, &code) :
		       tftpk_file_error(err, &code);
	if (t->writing)
		outcome = TFTPK_OUTCOME_UNWRITABLE;
	else if (err == -ESTALE)
		outcome = TFTPK_OUTCOME_CHANGED;
	tftpk_transfer_fail(t, outcome, code, text, out);
}

/**
 * tftpk_transfer_timed_out() - end a transfer whose storage does not answer
 * @t: transfer, locked and not dead
 * @out: takes the ERROR
 */
void tftpk_transfer_timed_out(struct tftpk_transfer *t,
			      struct tftpk_out *out)
{
	/* To unload the module would take as long. */
	__module_get(THIS_MODULE);
	t->stuck = true;
	tftpk_transfer_end_unreadable(t, -ETIMEDOUT, out);
}

/**
 * tftpk_transfer_evict() - end a transfer whose client is still unvalidated
 * @t: transfer
 *
 * A real client that is hit by this asks again.
 *
 * Context: softirq, within rcu_read_lock().
 */
void tftpk_transfer_evict(struct tftpk_transfer *t)
{
	spin_lock(&t->lock);
	if (!t->dead && !tftpk_transfer_validated(t))
		tftpk_transfer_end(t, TFTPK_OUTCOME_EVICTED);
	spin_unlock(&t->lock);
}

/**
 * tftpk_unvalidated_evict_oldest() - make room in max-pinned
 * @t: transfer that wants it, not locked
 *
 * An unvalidated transfer gives way once it is older than a client takes, so
 * that forged requests cannot use up the budget.
 *
 * Context: process. Return: whether there was one.
 */
bool tftpk_unvalidated_evict_oldest(struct tftpk_transfer *t)
{
	struct tftpk_net *tn = t->tn;
	struct tftpk_transfer *oldest;

	rcu_read_lock();
	local_bh_disable();
	spin_lock(&tn->unvalidated_lock);
	oldest = tftpk_unvalidated_oldest(t, HZ);
	spin_unlock(&tn->unvalidated_lock);
	if (oldest)
		tftpk_transfer_evict(oldest);
	local_bh_enable();
	rcu_read_unlock();
	return oldest;
}

/**
 * tftpk_transfer_all_sent() - has the client been sent every byte?
 * @t: transfer
 *
 * Some clients do not wait for the empty block that ends a file of whole
 * blocks, since they know the size. Some never acknowledge the final block.
 */
bool tftpk_transfer_all_sent(const struct tftpk_transfer *t)
{
	const struct tftpk_window *w = &t->window;

	if (t->phase != TFTPK_PHASE_SENDING)
		return false;
	return w->high > w->last ||
	       (!t->netascii && (w->high - 1) * t->blksize >= t->source.size);
}

/**
 * tftpk_transfer_end_former() - end the transfer that made way for this one
 * @t: transfer whose client was just validated, not locked any more
 * @key: of its request, as it was under the lock
 *
 * Context: softirq, within rcu_read_lock().
 */
void tftpk_transfer_end_former(const struct tftpk_transfer *t,
			       struct tftpk_key key)
{
	struct tftpk_transfer *old;

	key.former = 1;
	old = tftpk_table_find(&key);
	if (!old || old == t)
		return;
	spin_lock(&old->lock);
	if (!old->dead)
		tftpk_transfer_end(old, tftpk_transfer_all_sent(old) ?
				      TFTPK_OUTCOME_COMPLETED :
				      TFTPK_OUTCOME_ABORTED);
	/* Its place is for the next one. */
	tftpk_table_del_request(old);
	spin_unlock(&old->lock);
}

/**
 * tftpk_transfer_note_minding() - its client may mind blocks ahead of its ACKs
 * @t: transfer, locked; its client gave up, asked again or sent an ERROR
 *
 * If it had some, no client of its source gets any for a while.
 *
 * Context: softirq or BH disabled.
 */
void tftpk_transfer_note_minding(struct tftpk_transfer *t)
{
	if (t->window.eager)
		tftpk_limit_note_minding(t->tn, &t->peer.request.key,
					 t->peer.near);
}

/**
 * tftpk_transfer_abort() - the client sent an ERROR
 * @key: client, and the transfer identifier
 * @code: code of the ERROR
 *
 * Any ERROR ends a transfer; it is never answered (RFC 1350 section 7). Boot
 * ROMs ask for a file's size and end the transfer once they have it, or say
 * ERROR 0 when they have the file.
 *
 * Context: softirq, within rcu_read_lock().
 */
void tftpk_transfer_abort(const struct tftpk_key *key, u16 code)
{
	struct tftpk_transfer *t = tftpk_table_find_tid(key);
	enum tftpk_outcome outcome = TFTPK_OUTCOME_ABORTED;
	bool live = false;

	if (t) {
		spin_lock(&t->lock);
		live = tftpk_transfer_live(t);
		if (live) {
			if (t->phase == TFTPK_PHASE_OACK &&
			    (code == TFTPK_ERR_UNDEFINED ||
			     code == TFTPK_ERR_OPTION))
				outcome = TFTPK_OUTCOME_PROBED;
			else if (code == TFTPK_ERR_UNDEFINED &&
				 tftpk_transfer_all_sent(t))
				outcome = TFTPK_OUTCOME_COMPLETED;
			/* Clients that have what they want say ERROR 0, too. */
			if (code != TFTPK_ERR_UNDEFINED)
				tftpk_transfer_note_minding(t);
			t->error_code = code;
			t->reason = "the client sent an ERROR";
			tftpk_transfer_end(t, outcome);
		}
		spin_unlock(&t->lock);
	}
	if (!live)
		tftpk_stats_inc(key->port->listener->tn,
				TFTPK_A_STATS_PACKETS_UNKNOWN);
}

/**
 * tftpk_transfer_end_unreachable() - the client's host says that nobody listens
 * @key: client, and the transfer identifier
 *
 * A client that has gone after its last block got what it wanted.
 *
 * Context: softirq, within rcu_read_lock().
 */
void tftpk_transfer_end_unreachable(const struct tftpk_key *key)
{
	struct tftpk_transfer *t = tftpk_table_find_tid(key);

	if (!t)
		return;
	spin_lock(&t->lock);
	if (tftpk_transfer_live(t))
		tftpk_transfer_end(t, tftpk_transfer_all_sent(t) ?
				      TFTPK_OUTCOME_COMPLETED :
				      TFTPK_OUTCOME_UNREACHABLE);
	spin_unlock(&t->lock);
}

/* Take a dead transfer apart, but for what waits for storage. Readers may still look
 * at its lock, and that it is dead.
 */
static void tftpk_transfer_reap_work(struct work_struct *work)
{
	struct tftpk_transfer *t = container_of(work, struct tftpk_transfer,
						reap);
	struct tftpk_listener *listener = t->peer.request.key.port->listener;
	struct tftpk_net *tn = t->tn;
	struct dst_entry *dst;

	timer_shutdown_sync(&t->timer);

	spin_lock_bh(&t->lock);
	tftpk_table_del(t);
	dst = t->peer.dst;
	t->peer.dst = NULL;
	spin_unlock_bh(&t->lock);
	tftpk_table_unnumber(t);
	dst_release(dst);
	if (t->writing)
		tftpk_sink_drop(t);

	/* One that lost the race for its key was never announced. */
	trace_tftpk_end(t);
	if (t->announced)
		tftpk_event_transfer(t, t->phase == TFTPK_PHASE_OPENING ?
				     TFTPK_EVENT_TYPE_REFUSED :
				     TFTPK_EVENT_TYPE_END);
	/* What others do not wait for any more need not be begun. */
	if (cancel_work(&t->work))
		tftpk_transfer_put(t);
	tftpk_transfer_put(t);

	/* The listener may go, and the namespace, once they see the last transfer
	 * gone. wake_up_var() only hashes the address, so the object may be gone
	 * already. It looks for sleepers without a lock: on a weakly ordered
	 * machine one that sees no zero, and goes to sleep, is found only since
	 * atomic_dec_and_test() is a full barrier, which refcount_dec_and_test()
	 * is not.
	 */
	if (atomic_dec_and_test(&listener->users))
		wake_up_var(&listener->users);
	if (atomic_dec_and_test(&tn->active))
		wake_up_var(&tn->active);
}

/**
 * tftpk_transfer_init() - make cache and table
 *
 * Context: process. Return: 0 or a negative errno.
 */
int tftpk_transfer_init(void)
{
	int err;

	BUILD_BUG_ON(sizeof(struct tftpk_waiting) >
		     sizeof_field(struct sk_buff, cb));

	/* Its counts in /proc/slabinfo are to be those of transfers. */
	tftpk_transfer_cache =
		kmem_cache_create("tftpk_transfer",
				  sizeof(struct tftpk_transfer), 0,
				  SLAB_HWCACHE_ALIGN | SLAB_NO_MERGE, NULL);
	if (!tftpk_transfer_cache)
		return -ENOMEM;
	err = tftpk_table_init();
	if (err)
		kmem_cache_destroy(tftpk_transfer_cache);
	return err;
}

/**
 * tftpk_transfer_exit() - undo tftpk_transfer_init()
 *
 * All transfers have ended.
 */
void tftpk_transfer_exit(void)
{
	tftpk_table_exit();
	/* Transfers are freed by RCU. */
	rcu_barrier();
	kmem_cache_destroy(tftpk_transfer_cache);
}
