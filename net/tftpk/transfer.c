// SPDX-License-Identifier: GPL-2.0
/*
 * A transfer's life.
 *
 * It begins in softirq, with a request. Its work opens the file and answers.
 * From then on ACKs are answered where they arrive, from the pages in the
 * ring; the work only refills it. The end comes from an ACK, an ERROR, the
 * timer or a command: whichever it is marks the transfer dead under its lock
 * and queues the work, which alone takes it apart.
 *
 * Work is queued only under the lock and only while the transfer is not dead,
 * and queued work owns a reference. A reader that found the transfer in the
 * table may come late, but sees it dead and leaves.
 */
#include <linux/jiffies.h>
#include <linux/jhash.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/random.h>
#include <linux/rhashtable.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>
#include <net/ipv6.h>

#include "tftpk.h"
#include "trace.h"

/* A repeated request from a client that was last heard of this long ago is
 * not a retransmission: it has begun anew, from the same port.
 */
#define TFTPK_RESTART_MS	1000

/* So many unverified transfers give way to one that wants pages. */
#define TFTPK_EVICT_TRIES	4

/* A block that has to wait asks again within that time, in microseconds. */
#define TFTPK_HOLD_MAX		5000000

/* Refills are worth it from here on. */
#define TFTPK_REFILL_MIN	(16 * PAGE_SIZE)

static struct kmem_cache *tftpk_transfer_cache;
static struct workqueue_struct *tftpk_wq;
static struct rhashtable tftpk_table;

/* Clients differ in what is hashed; the rest is compared. */
static u32 tftpk_key_hash(const void *data, u32 len, u32 seed)
{
	const struct tftpk_key *key = data;
	const u32 *client = (__force const u32 *)key->client.s6_addr32;
	const u32 words[] = {
		client[0], client[1], client[2], client[3],
		(__force u16)key->client_port, (unsigned long)key->port >> 3,
	};

	return jhash2(words, ARRAY_SIZE(words), seed);
}

static int tftpk_key_compare(struct rhashtable_compare_arg *arg,
			     const void *node)
{
	const u64 *a = arg->key;
	const u64 *b = (const u64 *)&((const struct tftpk_node *)node)->key;
	u64 differ = 0;
	int i;

	for (i = 0; i < sizeof(struct tftpk_key) / sizeof(u64); i++)
		differ |= a[i] ^ b[i];
	return differ != 0;
}

static const struct rhashtable_params tftpk_table_params = {
	.head_offset		= offsetof(struct tftpk_node, head),
	.key_offset		= offsetof(struct tftpk_node, key),
	.key_len		= sizeof(struct tftpk_key),
	.hashfn			= tftpk_key_hash,
	.obj_cmpfn		= tftpk_key_compare,
	.automatic_shrinking	= true,
};

static struct tftpk_transfer *tftpk_find(const struct tftpk_key *key)
{
	struct tftpk_node *node;

	node = rhashtable_lookup(&tftpk_table, key, tftpk_table_params);
	if (!node)
		return NULL;
	return key->port->requests ?
		container_of(node, struct tftpk_transfer, request) :
		container_of(node, struct tftpk_transfer, tid);
}

static void tftpk_transfer_free(struct rcu_head *rcu)
{
	struct tftpk_transfer *t = container_of(rcu, struct tftpk_transfer,
						rcu);

	kmem_cache_free(tftpk_transfer_cache, t);
}

/**
 * tftpk_transfer_put() - drop a reference to a transfer
 * @t: transfer; may be freed after a grace period
 *
 * Context: any.
 */
void tftpk_transfer_put(struct tftpk_transfer *t)
{
	if (refcount_dec_and_test(&t->ref))
		call_rcu(&t->rcu, tftpk_transfer_free);
}

/* Have the work run, once more if it is running. */
static void tftpk_transfer_queue(struct tftpk_transfer *t)
{
	lockdep_assert_held(&t->lock);

	refcount_inc(&t->ref);
	if (!queue_work(tftpk_wq, &t->work))
		refcount_dec(&t->ref);
}

/* Has the client acknowledged a block? Only that proves that it is there: an
 * OACK is small, and its ACK guessed at the cost of one packet.
 */
static bool tftpk_transfer_proved(const struct tftpk_transfer *t)
{
	return t->window.acked;
}

/* Its client has proved to be there, or it ends: no longer unverified. */
static void tftpk_transfer_verified(struct tftpk_transfer *t)
{
	struct tftpk_net *tn = t->tn;

	lockdep_assert_held(&t->lock);

	spin_lock(&tn->unverified_lock);
	if (!list_empty(&t->unverified)) {
		list_del_init(&t->unverified);
		tn->n_unverified--;
	}
	spin_unlock(&tn->unverified_lock);
}

/* Its client may be there: others give way before it does. */
static void tftpk_transfer_heard(struct tftpk_transfer *t)
{
	struct tftpk_net *tn = t->tn;

	lockdep_assert_held(&t->lock);

	spin_lock(&tn->unverified_lock);
	if (!list_empty(&t->unverified))
		list_move_tail(&t->unverified, &tn->unverified[t->known]);
	spin_unlock(&tn->unverified_lock);
}

/* The counter of each outcome, if the transfer had begun. */
static const u8 tftpk_outcome_counters[] = {
	[TFTPK_OUTCOME_COMPLETED]	= TFTPK_STAT_TRANSFERS_COMPLETED,
	[TFTPK_OUTCOME_PROBED]		= TFTPK_STAT_CLIENTS_PROBING,
	[TFTPK_OUTCOME_ABORTED]		= TFTPK_STAT_TRANSFERS_ABORTED,
	[TFTPK_OUTCOME_UNREACHABLE]	= TFTPK_STAT_CLIENTS_UNREACHABLE,
	[TFTPK_OUTCOME_TIMED_OUT]	= TFTPK_STAT_TRANSFERS_FAILED,
	[TFTPK_OUTCOME_CHANGED]		= TFTPK_STAT_TRANSFERS_FAILED,
	[TFTPK_OUTCOME_UNREADABLE]	= TFTPK_STAT_TRANSFERS_FAILED,
	[TFTPK_OUTCOME_KILLED]		= TFTPK_STAT_TRANSFERS_FAILED,
	[TFTPK_OUTCOME_EVICTED]		= TFTPK_STAT_TRANSFERS_EVICTED,
};

/* A block waits until its source may be sent more, or does so no longer. */
static void tftpk_transfer_hold(struct tftpk_transfer *t, bool hold)
{
	lockdep_assert_held(&t->lock);

	if (t->held != hold)
		tftpk_limit_waits(t->tn, hold);
	t->held = hold;
}

/* Give back what was reserved of what the namespace may pin. */
static void tftpk_transfer_unreserve(struct tftpk_transfer *t)
{
	lockdep_assert_held(&t->lock);

	atomic_long_sub(t->reserved, &t->tn->pinned);
	t->reserved = 0;
}

/* End the transfer. */
static void tftpk_transfer_finish(struct tftpk_transfer *t,
				  enum tftpk_outcome outcome)
{
	enum tftpk_counter counter = tftpk_outcome_counters[outcome];

	lockdep_assert_held(&t->lock);

	t->dead = true;
	t->outcome = outcome;
	if (t->state == TFTPK_STATE_OPENING &&
	    outcome != TFTPK_OUTCOME_EVICTED)
		counter = TFTPK_STAT_REQUESTS_REFUSED;
	if (!tftpk_transfer_proved(t))
		tftpk_transfer_verified(t);
	tftpk_transfer_hold(t, false);
	tftpk_transfer_unreserve(t);
	tftpk_limit_ended(t->tn, &t->tid.key);
	tftpk_stats_inc(t->tn, counter);
	tftpk_transfer_queue(t);
}

/* End the transfer with an ERROR to its client. */
static void tftpk_transfer_fail(struct tftpk_transfer *t,
				enum tftpk_outcome outcome, u16 code,
				const char *text, struct sk_buff_head *out)
{
	u8 buf[TFTPK_ERROR_MAX];

	tftpk_output_packet(t, buf, tftpk_put_error(buf, code, text), out);
	t->error_code = code;
	t->reason = text;
	tftpk_transfer_finish(t, outcome);
}

/* End the transfer because its file cannot be read, or not any more. */
static void tftpk_transfer_unreadable(struct tftpk_transfer *t, int err,
				      struct sk_buff_head *out)
{
	const char *text;
	u16 code;

	text = tftpk_file_error(err, &code);
	tftpk_transfer_fail(t, err == -ESTALE ? TFTPK_OUTCOME_CHANGED :
			    TFTPK_OUTCOME_UNREADABLE, code, text, out);
}

/* ---- timer ---- */

/* Let something happen in @us microseconds. A deadline that moves away leaves
 * the timer alone: it finds out when it fires. So an ACK that comes in time
 * costs no timer operation.
 */
static void tftpk_transfer_arm(struct tftpk_transfer *t, u32 us)
{
	lockdep_assert_held(&t->lock);

	t->deadline = jiffies + usecs_to_jiffies(us) + 1;
	if (!timer_pending(&t->timer) ||
	    time_before(t->deadline, t->timer.expires))
		mod_timer(&t->timer, t->deadline);
}

/* Wait for the client: first for as long as a lost tail takes to notice. */
static void tftpk_transfer_await(struct tftpk_transfer *t)
{
	/* Whose packets may be forged does not say how often to repeat. */
	u32 rto = tftpk_rtt_rto(&t->rtt, t->bounded ? 0 : t->utimeout);
	u32 probe = tftpk_rtt_probe(&t->rtt, tftpk_window_inflight(&t->window));

	if (probe && !t->window.probed)
		rto = min(rto, probe);
	if (t->window.suspect)
		rto = min(rto, tftpk_rtt_suspect(&t->rtt));
	tftpk_transfer_arm(t, rto);
}

/* ---- sending ---- */

/**
 * tftpk_transfer_acked_bytes() - where the first block lies that was not
 *	acknowledged
 * @t: transfer
 *
 * Return: position in the file.
 */
u64 tftpk_transfer_acked_bytes(const struct tftpk_transfer *t)
{
	if (t->netascii)
		return t->text[0].pos;
	return min(t->window.acked * t->blksize, t->size);
}

/* The last block that the ring holds completely. */
static u64 tftpk_transfer_ready(const struct tftpk_transfer *t)
{
	if (t->ring.filled == t->size)
		return t->window.last;
	/* A block of text is made of at most as many bytes. */
	if (t->netascii)
		return t->window.acked +
		       (t->ring.filled - t->text[0].pos >= t->blksize);
	return div_u64(t->ring.filled, t->blksize);
}

/* How far the ring should be filled: the window and some more, or one block
 * for a client that has not proved to be there.
 */
static u64 tftpk_transfer_goal(const struct tftpk_transfer *t)
{
	u64 acked = tftpk_transfer_acked_bytes(t);
	u64 goal, room;

	if (t->state != TFTPK_STATE_SENDING)
		return min_t(u64, PAGE_ALIGN((u32)t->blksize), t->size);

	goal = acked + (u32)t->window.size * t->blksize + t->ahead;
	room = (t->ring.tail + t->ring.mask + 1) << PAGE_SHIFT;
	goal = min(PAGE_ALIGN(goal), room);
	return min(goal, t->size);
}

/* Is a refill worth it, or does the end of the file fit now? */
static bool tftpk_transfer_low(const struct tftpk_transfer *t)
{
	u64 goal = tftpk_transfer_goal(t);

	return goal >= t->ring.filled + TFTPK_REFILL_MIN ||
	       (goal == t->size && goal > t->ring.filled);
}

/* Has the file changed? Then the transfer ends: what is sent are its pages as
 * they are now.
 */
static bool tftpk_transfer_changed(struct tftpk_transfer *t,
				   struct sk_buff_head *out)
{
	if (!READ_ONCE(t->tn->settings.detect_changes) ||
	    !tftpk_file_changed(t))
		return false;
	tftpk_transfer_unreadable(t, -ESTALE, out);
	return true;
}

/* Note that the source is sent less than it could be. */
static void tftpk_transfer_held_back(struct tftpk_transfer *t)
{
	lockdep_assert_held(&t->lock);

	if (!t->held_back)
		tftpk_stats_inc(t->tn, TFTPK_STAT_TRANSFERS_BOUNDED);
	t->held_back = true;
	t->tell |= tftpk_limit_tell(t->tn, &t->request.key);
}

/* Tell of that; the work. */
static void tftpk_transfer_tell(struct tftpk_transfer *t)
{
	bool tell;

	spin_lock_bh(&t->lock);
	tell = t->tell;
	t->tell = false;
	spin_unlock_bh(&t->lock);
	if (tell)
		tftpk_event_transfer(t, TFTPK_EVENT_TYPE_BOUNDED);
}

/* May a block be sent now? If not, the timer asks again. While nothing is out that
 * the client could answer, this is no silence of his.
 */
static bool tftpk_transfer_may_send(struct tftpk_transfer *t)
{
	u64 wait;

	lockdep_assert_held(&t->lock);

	if (likely(!t->bounded))
		return true;
	wait = tftpk_limit_bytes(t->tn, &t->request.key, tftpk_output_size(t));
	tftpk_transfer_hold(t, wait);
	if (!wait)
		return true;
	if (t->window.high == t->window.acked + 1)
		t->progress = jiffies;
	tftpk_transfer_held_back(t);
	tftpk_transfer_arm(t, min_t(u64, div_u64(wait, NSEC_PER_USEC),
				    TFTPK_HOLD_MAX));
	return false;
}

/* Send what the window allows, if the ring holds all of it. If not, the work
 * fills the ring and sends: a client answers the end of a window, so half of
 * one gains nothing, and two CPUs sending one window could reorder it.
 */
static void tftpk_transfer_push(struct tftpk_transfer *t, u64 now_ns,
				struct sk_buff_head *out)
{
	struct tftpk_window *w = &t->window;
	u64 ready, first = w->next;
	u32 room, n, sent, again;
	bool await = true;

	lockdep_assert_held(&t->lock);

	if (tftpk_transfer_changed(t, out))
		return;

	room = tftpk_window_room(w);
	ready = tftpk_transfer_ready(t);
	n = ready < first ? 0 : min_t(u64, room, ready + 1 - first);
	t->starved = n < room || room > TFTPK_BURST_MAX;
	n = n < room ? 0 : min_t(u32, room, TFTPK_BURST_MAX);

	if (n && !tftpk_transfer_may_send(t)) {
		await = false;
	} else if (n) {
		sent = tftpk_output_blocks(t, first, n, out);
		again = tftpk_window_sent(w, sent, now_ns);
		trace_tftpk_send(t, first, sent, again);
		if (again) {
			t->retransmitted += again;
			tftpk_stats_add(t->tn,
					TFTPK_STAT_BLOCKS_RETRANSMITTED,
					again);
		}
		if (sent < n) {
			/* The timer tries again. */
			tftpk_stats_inc(t->tn, TFTPK_STAT_SEND_ERRORS);
			t->starved = false;
		}
	}
	if (await)
		tftpk_transfer_await(t);

	/* Work that is filling the ring looks again before it goes, and work
	 * that was asked for need not be asked twice.
	 */
	if (!t->filling &&
	    (t->starved || t->tell || tftpk_transfer_low(t))) {
		t->filling = true;
		tftpk_transfer_queue(t);
	}
}

/* Send the OACK or, without one, the first block. */
static void tftpk_transfer_answer(struct tftpk_transfer *t,
				  struct sk_buff_head *out)
{
	u8 buf[TFTPK_OACK_MAX];

	lockdep_assert_held(&t->lock);

	t->window.flight_ns = ktime_get_ns();
	if (!t->oack) {
		tftpk_transfer_push(t, t->window.flight_ns, out);
		t->tries += !t->held;
		return;
	}
	t->tries++;
	if (tftpk_output_packet(t, buf, tftpk_put_oack(buf, &t->options), out))
		tftpk_stats_inc(t->tn, TFTPK_STAT_SEND_ERRORS);
	tftpk_transfer_await(t);
}

/* Resend the flight's last block: if that is what was lost, the client has
 * all now; if more was, its ACK tells. Nothing else is repeated, and that a few
 * times, to a client that has not proved to be there.
 */
static void tftpk_transfer_probe(struct tftpk_transfer *t,
				 struct sk_buff_head *out)
{
	struct tftpk_window *w = &t->window;

	if (tftpk_transfer_changed(t, out) || !tftpk_transfer_may_send(t))
		return;
	trace_tftpk_retransmit(t, true);
	if (!tftpk_transfer_proved(t)) {
		t->tries++;
		if (w->probed)
			tftpk_rtt_backoff(&t->rtt);
	}
	tftpk_window_probe(w);
	if (tftpk_output_blocks(t, w->next - 1, 1, out)) {
		t->retransmitted++;
		tftpk_stats_inc(t->tn, TFTPK_STAT_PROBES);
		tftpk_stats_inc(t->tn, TFTPK_STAT_BLOCKS_RETRANSMITTED);
	}
	tftpk_transfer_await(t);
}

/* Has the client been sent every byte? Some do not wait for the empty block
 * that ends a file of whole blocks, since they know the size, and some never
 * acknowledge the final block.
 */
static bool tftpk_transfer_all_sent(const struct tftpk_transfer *t)
{
	const struct tftpk_window *w = &t->window;

	if (t->state != TFTPK_STATE_SENDING)
		return false;
	return w->high > w->last ||
	       (!t->netascii && (w->high - 1) * t->blksize >= t->size);
}

/* How long a client may be silent, in jiffies. */
static unsigned long tftpk_transfer_patience(const struct tftpk_transfer *t)
{
	unsigned long give_up = READ_ONCE(t->tn->settings.give_up) *
				(unsigned long)HZ;

	if (tftpk_transfer_proved(t))
		return give_up;
	return min(give_up, msecs_to_jiffies(t->state == TFTPK_STATE_SENDING ?
					     TFTPK_UNPROVED_MS :
					     TFTPK_UNVERIFIED_MS));
}

static void tftpk_transfer_expired(struct tftpk_transfer *t,
				   struct sk_buff_head *out)
{
	struct tftpk_window *w = &t->window;
	bool sending = t->state == TFTPK_STATE_SENDING;
	bool proved = tftpk_transfer_proved(t);

	if (t->state == TFTPK_STATE_OPENING) {
		/* Storage may take its time. */
		tftpk_transfer_arm(t, TFTPK_RTO_FIRST);
		return;
	}
	/* How late the timer is was no silence of the client: the machine stood
	 * still, or had too much to do. What it was to wait adds up all the same.
	 */
	t->progress += jiffies - t->deadline;
	if (time_after_eq(jiffies, t->progress + tftpk_transfer_patience(t))) {
		tftpk_transfer_finish(t, tftpk_transfer_all_sent(t) ?
				      TFTPK_OUTCOME_COMPLETED :
				      TFTPK_OUTCOME_TIMED_OUT);
		return;
	}

	if (t->held && tftpk_window_room(w)) {
		tftpk_transfer_push(t, ktime_get_ns(), out);
		/* The answer to a request without options. */
		t->tries += !sending && !t->held;
	} else if ((!proved && t->tries >= TFTPK_UNVERIFIED_TRIES) ||
		   (t->starved && !tftpk_window_inflight(w))) {
		/* Nothing to repeat: listen, or wait for the file. */
		tftpk_transfer_arm(t, TFTPK_RTO_FIRST);
	} else if (sending && tftpk_window_room(w)) {
		/* A burst was cut short for want of memory or a route. */
		tftpk_transfer_push(t, ktime_get_ns(), out);
	} else if (sending && w->suspect) {
		trace_tftpk_retransmit(t, false);
		tftpk_window_back(w);
		tftpk_transfer_push(t, ktime_get_ns(), out);
	} else if (sending && tftpk_window_inflight(w) &&
		   (!proved || (!w->probed && !t->rtt.backoff))) {
		tftpk_transfer_probe(t, out);
	} else {
		tftpk_stats_inc(t->tn, TFTPK_STAT_TIMEOUTS);
		trace_tftpk_retransmit(t, false);
		tftpk_window_timeout(w, &t->rtt);
		if (sending)
			tftpk_transfer_push(t, ktime_get_ns(), out);
		else
			tftpk_transfer_answer(t, out);
	}
}

static void tftpk_transfer_timer(struct timer_list *timer)
{
	struct tftpk_transfer *t = container_of(timer, struct tftpk_transfer,
						timer);
	struct net *net = t->tn->net;
	struct sk_buff_head out;

	__skb_queue_head_init(&out);
	rcu_read_lock();
	spin_lock(&t->lock);
	if (!t->dead) {
		if (time_before(jiffies, t->deadline))
			mod_timer(&t->timer, t->deadline);
		else
			tftpk_transfer_expired(t, &out);
	}
	spin_unlock(&t->lock);
	tftpk_output_send(net, &out);
	rcu_read_unlock();
}

/* ---- work ---- */

/* A real client that is hit by this asks again. */
static void tftpk_transfer_evict(struct tftpk_transfer *t)
{
	spin_lock(&t->lock);
	if (!t->dead && !tftpk_transfer_proved(t))
		tftpk_transfer_finish(t, TFTPK_OUTCOME_EVICTED);
	spin_unlock(&t->lock);
}

/* Take the oldest unverified transfer but @t off its list, if there is one that
 * old, in jiffies: of those whose source may be forged, or else of the others.
 * It is valid within the RCU section.
 */
static struct tftpk_transfer *tftpk_unverified_oldest(struct tftpk_transfer *t,
						      unsigned long age)
{
	struct tftpk_transfer *oldest;
	struct tftpk_net *tn = t->tn;

	lockdep_assert_held(&tn->unverified_lock);

	oldest = list_first_entry_or_null(&tn->unverified[false],
					  struct tftpk_transfer, unverified);
	if (!oldest || oldest == t)
		oldest = list_first_entry_or_null(&tn->unverified[true],
						  struct tftpk_transfer,
						  unverified);
	if (!oldest || oldest == t ||
	    time_before(jiffies, oldest->started + age))
		return NULL;
	list_del_init(&oldest->unverified);
	tn->n_unverified--;
	return oldest;
}

/* Take @pages out of what the namespace may pin. With @tries, that many of those
 * give way who have not proved to be there for longer than a client takes, so
 * that forged requests cannot use it up.
 */
static bool tftpk_transfer_reserve(struct tftpk_transfer *t, u32 pages,
				   int tries)
{
	struct tftpk_net *tn = t->tn;
	long max = (long)READ_ONCE(tn->settings.max_pinned) <<
		   (20 - PAGE_SHIFT);
	struct tftpk_transfer *oldest;

	while (atomic_long_add_return(pages, &tn->pinned) > max) {
		atomic_long_sub(pages, &tn->pinned);
		if (!tries--)
			return false;
		rcu_read_lock();
		local_bh_disable();
		spin_lock(&tn->unverified_lock);
		oldest = tftpk_unverified_oldest(t, HZ);
		spin_unlock(&tn->unverified_lock);
		if (oldest)
			tftpk_transfer_evict(oldest);
		local_bh_enable();
		rcu_read_unlock();
		if (!oldest)
			return false;
	}
	spin_lock_bh(&t->lock);
	t->reserved = pages;
	spin_unlock_bh(&t->lock);
	return true;
}

/* Make a ring for the window and some pages ahead of it, or for as many as the
 * file has. The window shrinks to what fits the largest ring. Where the budget
 * is short, nothing is read ahead, which nobody has to give way for; where it is
 * used up, or memory is, one block at a time is sent, which nobody is denied.
 * Returns the window.
 */
static u32 tftpk_transfer_ring(struct tftpk_transfer *t, u32 blksize,
			       u32 windowsize)
{
	u32 most = (TFTPK_RING_MAX - TFTPK_RING_AHEAD - 2) * PAGE_SIZE;
	u64 all = DIV_ROUND_UP_ULL(t->size, PAGE_SIZE);
	u32 ahead, window, size;

	/* It may begin and end within a page. */
	windowsize = clamp(windowsize, 1U, most / blksize);
	window = DIV_ROUND_UP(windowsize * blksize, PAGE_SIZE) + 2;
	window = min_t(u64, window, all);
	ahead = min_t(u64, TFTPK_RING_AHEAD, all - window);

	if (!tftpk_transfer_reserve(t, window + ahead, 0)) {
		ahead = 0;
		if (!tftpk_transfer_reserve(t, window, TFTPK_EVICT_TRIES))
			goto one;
	}
	size = roundup_pow_of_two(max(window + ahead, TFTPK_RING_SMALL));
	t->ring.pages = size > TFTPK_RING_SMALL ?
		kmalloc_array(size, sizeof(struct page *), GFP_KERNEL) :
		t->small;
	if (!t->ring.pages)
		goto one;
	t->ring.mask = size - 1;
	t->ahead = ahead * PAGE_SIZE;
	return windowsize;

one:
	spin_lock_bh(&t->lock);
	tftpk_transfer_unreserve(t);
	spin_unlock_bh(&t->lock);
	t->ring.pages = t->small;
	t->ring.mask = TFTPK_RING_SMALL - 1;
	return 1;
}

static int tftpk_transfer_negotiate(struct tftpk_transfer *t,
				    const struct tftpk_request *req)
{
	const struct tftpk_settings *set = &t->tn->settings;
	struct tftpk_limits limits = {
		.size		= t->size,
		.blksize	= READ_ONCE(set->max_blksize),
	};
	struct dst_entry *dst;
	u32 blksize;

	local_bh_disable();
	rcu_read_lock();
	spin_lock(&t->lock);
	dst = tftpk_output_route(t);
	limits.windowsize = min(READ_ONCE(set->max_windowsize),
				tftpk_limit_window(t->request.key.port->listener,
						   t->known));
	if (t->bounded && req->windowsize > 1)
		tftpk_transfer_held_back(t);
	if (dst && READ_ONCE(set->clamp_mtu))
		limits.blksize = min(limits.blksize,
				     tftpk_output_mtu_blksize(t, dst));
	spin_unlock(&t->lock);
	rcu_read_unlock();
	local_bh_enable();
	if (!dst)
		return -ENETUNREACH;

	/* Where a block of text begins is known for two blocks only. */
	t->netascii = req->mode == TFTPK_MODE_NETASCII;
	if (t->netascii)
		limits.windowsize = 1;
	/* The ring wants to know the block size first. */
	tftpk_negotiate(req, &limits, &t->options);
	blksize = t->options.blksize;
	limits.windowsize = tftpk_transfer_ring(t, blksize,
						t->options.windowsize);
	tftpk_negotiate(req, &limits, &t->options);

	t->blksize = blksize;
	t->utimeout = t->options.utimeout;
	t->oack = t->options.nopts;
	t->text[0].pending = -1;
	tftpk_window_init(&t->window, t->size, blksize, t->options.windowsize,
			  t->options.rollover);
	if (t->netascii)
		t->window.last = U64_MAX;
	return 0;
}

static void tftpk_transfer_open(struct tftpk_transfer *t)
{
	const struct tftpk_request *req = TFTPK_REQUEST(t->request_skb);
	struct sk_buff_head out;
	bool started = false;
	int err;

	tftpk_event_transfer(t, TFTPK_EVENT_TYPE_REQUEST);
	err = tftpk_file_open(t, req->name);
	if (!err)
		err = tftpk_transfer_negotiate(t, req);
	if (!err)
		err = tftpk_file_fill(t, tftpk_transfer_goal(t));

	__skb_queue_head_init(&out);
	local_bh_disable();
	rcu_read_lock();
	spin_lock(&t->lock);
	if (t->dead) {
		/* Killed meanwhile: the work is queued again. */
	} else if (err) {
		tftpk_transfer_unreadable(t, err, &out);
	} else {
		trace_tftpk_start(t);
		tftpk_stats_inc(t->tn, TFTPK_STAT_TRANSFERS_STARTED);
		t->state = TFTPK_STATE_NEGOTIATING;
		t->progress = jiffies;
		started = true;
		tftpk_transfer_answer(t, &out);
	}
	spin_unlock(&t->lock);
	tftpk_output_send(t->tn->net, &out);
	rcu_read_unlock();
	local_bh_enable();

	/* A refusal still wants to tell the name. */
	if (!started)
		return;
	tftpk_event_transfer(t, TFTPK_EVENT_TYPE_START);
	tftpk_transfer_tell(t);
	kfree_skb(t->request_skb);
	t->request_skb = NULL;
}

/* Tell of progress, where that is asked for. */
static void tftpk_transfer_progress(struct tftpk_transfer *t)
{
	u32 step = READ_ONCE(t->tn->settings.progress);
	u32 percent;

	if (!step || !t->size)
		return;
	percent = div64_u64(tftpk_transfer_acked_bytes(t) * 100, t->size);
	percent -= percent % step;
	if (percent <= t->told || percent >= 100)
		return;
	t->told = percent;
	tftpk_event_transfer(t, TFTPK_EVENT_TYPE_PROGRESS);
}

/* Fill the ring, and send what had to wait for that; so asked by a push, which
 * noted that it did.
 */
static void tftpk_transfer_feed(struct tftpk_transfer *t)
{
	struct sk_buff_head out;
	u64 goal, from;
	bool again;
	int err;

	do {
		spin_lock_bh(&t->lock);
		goal = tftpk_transfer_goal(t);
		from = t->ring.filled;
		spin_unlock_bh(&t->lock);
		err = tftpk_file_fill(t, goal);

		__skb_queue_head_init(&out);
		local_bh_disable();
		rcu_read_lock();
		spin_lock(&t->lock);
		tftpk_stats_inc(t->tn, TFTPK_STAT_REFILLS);
		trace_tftpk_refill(t, from, err);
		if (!t->dead && err)
			tftpk_transfer_unreadable(t, err, &out);
		else if (!t->dead && t->starved)
			tftpk_transfer_push(t, ktime_get_ns(), &out);
		again = !t->dead && (t->starved || tftpk_transfer_low(t));
		t->filling = again;
		spin_unlock(&t->lock);
		tftpk_output_send(t->tn->net, &out);
		rcu_read_unlock();
		local_bh_enable();
		tftpk_transfer_progress(t);
		tftpk_transfer_tell(t);
		cond_resched();
	} while (again);
}

/* Take a transfer's request out of the table. */
static void tftpk_transfer_forget(struct tftpk_transfer *t)
{
	lockdep_assert_held(&t->lock);

	if (t->hashed & BIT(0))
		rhashtable_remove_fast(&tftpk_table, &t->request.head,
				       tftpk_table_params);
	t->hashed &= ~BIT(0);
}

/* Take a dead transfer apart. What readers may still look at is its lock and
 * that it is dead.
 */
static void tftpk_transfer_reap(struct tftpk_transfer *t)
{
	struct tftpk_listener *listener = t->request.key.port->listener;
	struct tftpk_net *tn = t->tn;

	timer_shutdown_sync(&t->timer);

	spin_lock_bh(&t->lock);
	tftpk_transfer_forget(t);
	if (t->hashed & BIT(1))
		rhashtable_remove_fast(&tftpk_table, &t->tid.head,
				       tftpk_table_params);
	t->hashed = 0;
	tftpk_transfer_unreserve(t);
	spin_unlock_bh(&t->lock);

	spin_lock_bh(&tn->lock);
	list_del(&t->list);
	spin_unlock_bh(&tn->lock);

	/* One that lost the race for its key was never announced. */
	trace_tftpk_end(t);
	if (t->announced)
		tftpk_event_transfer(t, t->state == TFTPK_STATE_OPENING ?
				     TFTPK_EVENT_TYPE_REFUSED :
				     TFTPK_EVENT_TYPE_END);
	wait_var_event(&t->readers, !atomic_read(&t->readers));
	tftpk_file_close(t);
	if (t->ring.pages && t->ring.pages != t->small)
		kfree(t->ring.pages);
	kfree_skb(t->request_skb);
	dst_release(t->dst);
	pr_debug("transfer %u destroyed\n", t->id);
	tftpk_transfer_put(t);

	/* The listener and the namespace may go once they see the last
	 * transfer gone. To wake somebody takes no more than an address.
	 */
	if (atomic_dec_and_test(&listener->users))
		wake_up_var(&listener->users);
	if (atomic_dec_and_test(&tn->active))
		wake_up_var(&tn->active);
}

static void tftpk_transfer_work(struct work_struct *work)
{
	struct tftpk_transfer *t = container_of(work, struct tftpk_transfer,
						work);
	bool dead, reap;
	u8 state;

	spin_lock_bh(&t->lock);
	dead = t->dead;
	state = t->state;
	/* The end may come between this work's beginning and this lock, and
	 * queues it once more.
	 */
	reap = dead && !t->reaped;
	t->reaped = dead;
	spin_unlock_bh(&t->lock);

	if (reap)
		tftpk_transfer_reap(t);
	else if (!dead && state == TFTPK_STATE_OPENING)
		tftpk_transfer_open(t);
	else if (!dead)
		tftpk_transfer_feed(t);
	tftpk_transfer_put(t);
}

/* ---- requests ---- */

/* Has it no port of its own? */
static bool tftpk_single_port(const struct tftpk_transfer *t)
{
	return t->request.key.port->listener->single_port;
}

/* Insert into the table: the request if nothing has that key, and one of the
 * pool's ports at random that this client does not use yet. With a single
 * port the request's key is the only one.
 */
static int tftpk_transfer_insert(struct tftpk_transfer *t)
{
	const struct tftpk_listener *listener = t->request.key.port->listener;
	u32 start = get_random_u32();
	int err, i;

	lockdep_assert_held(&t->lock);

	err = rhashtable_lookup_insert_fast(&tftpk_table, &t->request.head,
					    tftpk_table_params);
	if (err)
		return err;
	t->hashed |= BIT(0);

	t->tid.key = t->request.key;
	if (tftpk_single_port(t))
		return 0;
	for (i = 0; i < listener->pool_size; i++) {
		t->tid.key.port = &listener->pool[(start + i) %
						  listener->pool_size];
		err = rhashtable_lookup_insert_fast(&tftpk_table, &t->tid.head,
						    tftpk_table_params);
		if (!err) {
			t->hashed |= BIT(1);
			return 0;
		}
		if (err != -EEXIST)
			break;
	}
	return -EBUSY;
}

/* May a client have one more transfer? Counted only where that is limited, and but
 * for one whose place this one is to take.
 */
static bool tftpk_client_may(struct tftpk_net *tn, const struct tftpk_key *key)
{
	u32 max = READ_ONCE(tn->settings.max_per_client), n = 0;
	struct tftpk_transfer *t;

	lockdep_assert_held(&tn->lock);

	if (!max)
		return true;
	list_for_each_entry(t, &tn->transfers, list)
		if (!READ_ONCE(t->dead) &&
		    ipv6_addr_equal(&t->request.key.client, &key->client) &&
		    !(READ_ONCE(t->request.key.former) &&
		      t->request.key.client_port == key->client_port))
			n++;
	return n < max;
}

/* Note an unverified transfer. Where there are too many, the oldest one is to
 * give way: it is returned, valid within the RCU section.
 */
static struct tftpk_transfer *
tftpk_transfer_unverified(struct tftpk_transfer *t)
{
	struct tftpk_transfer *oldest = NULL;
	struct tftpk_net *tn = t->tn;

	lockdep_assert_held(&t->lock);

	spin_lock(&tn->unverified_lock);
	list_add_tail(&t->unverified, &tn->unverified[t->known]);
	if (++tn->n_unverified > READ_ONCE(tn->settings.max_unverified))
		oldest = tftpk_unverified_oldest(t, 0);
	spin_unlock(&tn->unverified_lock);
	return oldest;
}

/* Why no transfer may begin now, or NULL. */
static const char *tftpk_transfer_obstacle(struct tftpk_net *tn,
					   const struct tftpk_key *key)
{
	lockdep_assert_held(&tn->lock);

	if (READ_ONCE(tn->settings.draining))
		return "server is draining";
	/* Pairs with the renewal of its ports. */
	if (tn->closing || smp_load_acquire(&key->port->listener->dead))
		return "server busy";
	if (atomic_read(&tn->active) >= READ_ONCE(tn->settings.max_transfers))
		return "too many transfers";
	if (!tftpk_client_may(tn, key))
		return "too many transfers of this client";
	return NULL;
}

/* Begin a transfer. Returns -EEXIST where another one has this key. Where it may
 * not begin, @reason says why.
 */
static int tftpk_transfer_start(struct tftpk_net *tn,
				const struct tftpk_key *key,
				struct sk_buff *skb, u32 hash, bool known,
				const char **reason)
{
	struct tftpk_transfer *t, *oldest = NULL;
	const char *obstacle;
	int err;

	t = kmem_cache_alloc(tftpk_transfer_cache, GFP_ATOMIC | __GFP_NOWARN);
	if (!t)
		return -ENOMEM;
	memset(t, 0, offsetof(struct tftpk_transfer, small));
	spin_lock_init(&t->lock);
	refcount_set(&t->ref, 1);
	timer_setup(&t->timer, tftpk_transfer_timer, 0);
	INIT_WORK(&t->work, tftpk_transfer_work);
	t->tn = tn;
	t->request.key = *key;
	t->request_hash = hash;
	t->known = known;
	t->bounded = !known && key->port->listener->single_port;
	t->state = TFTPK_STATE_OPENING;
	t->started = jiffies;
	t->progress = jiffies;

	INIT_LIST_HEAD(&t->unverified);

	spin_lock(&tn->lock);
	obstacle = tftpk_transfer_obstacle(tn, key);
	if (obstacle) {
		*reason = obstacle;
		spin_unlock(&tn->lock);
		kmem_cache_free(tftpk_transfer_cache, t);
		return -EBUSY;
	}
	atomic_inc(&tn->active);
	atomic_inc(&key->port->listener->users);
	t->id = ++tn->next_transfer;
	list_add_tail(&t->list, &tn->transfers);
	/* From here on commands find it; they wait for this lock. */
	spin_lock(&t->lock);
	spin_unlock(&tn->lock);

	err = tftpk_transfer_insert(t);
	if (!err) {
		t->request_skb = skb;
		t->announced = true;
		tftpk_transfer_arm(t, TFTPK_RTO_FIRST);
		oldest = tftpk_transfer_unverified(t);
	} else {
		t->dead = true;
	}
	pr_debug("transfer %u created\n", t->id);
	trace_tftpk_request(t);
	tftpk_transfer_queue(t);
	spin_unlock(&t->lock);
	if (oldest)
		tftpk_transfer_evict(oldest);
	return err;
}

/* Make way for a newer request, and go on by the transfer identifier. Where the new
 * transfer proves itself it looks for this one: see tftpk_transfer_succeed().
 */
static void tftpk_transfer_step_aside(struct tftpk_transfer *t)
{
	tftpk_transfer_forget(t);
	WRITE_ONCE(t->request.key.former, 1);
	if (!rhashtable_lookup_insert_fast(&tftpk_table, &t->request.head,
					   tftpk_table_params))
		t->hashed |= BIT(0);
}

/* What a request is to the transfer that its client and port have. */
enum tftpk_again {
	TFTPK_AGAIN_NEW,	/* another one: a transfer begins */
	TFTPK_AGAIN_REPEATED,	/* the same */
	TFTPK_AGAIN_IGNORED,	/* another one, for which there is no place */
};

/* Does this request repeat that of @t? Then it gets its answer again, within
 * what an unverified client may be sent. If not, anybody may have forged it: so @t
 * steps aside where its client has proved to be there, and ends where not. With a
 * single port there is no place aside: @t stays as long as it gets on.
 */
static enum tftpk_again tftpk_transfer_again(struct tftpk_transfer *t, u32 hash,
					     struct sk_buff_head *out)
{
	enum tftpk_again again = TFTPK_AGAIN_NEW;
	bool fresh;

	spin_lock(&t->lock);
	fresh = time_before(jiffies, t->progress +
			    msecs_to_jiffies(TFTPK_RESTART_MS));
	if (t->dead) {
		tftpk_transfer_forget(t);
	} else if (t->request_hash == hash &&
		   (t->state != TFTPK_STATE_SENDING || fresh)) {
		again = TFTPK_AGAIN_REPEATED;
		tftpk_stats_inc(t->tn, TFTPK_STAT_REQUESTS_REPEATED);
		if (t->state == TFTPK_STATE_NEGOTIATING &&
		    t->tries < TFTPK_UNVERIFIED_TRIES) {
			tftpk_window_timeout(&t->window, &t->rtt);
			tftpk_transfer_answer(t, out);
		}
	} else if (!tftpk_transfer_proved(t) ||
		   (tftpk_single_port(t) && !fresh)) {
		tftpk_transfer_finish(t, TFTPK_OUTCOME_ABORTED);
		tftpk_transfer_forget(t);
	} else if (tftpk_single_port(t)) {
		again = TFTPK_AGAIN_IGNORED;
	} else {
		tftpk_transfer_step_aside(t);
	}
	spin_unlock(&t->lock);
	return again;
}

/* @t has proved itself: the transfer of its client and port that it took the place
 * of ends, @key is that of @t's request. Meanwhile @t may have stepped aside itself.
 */
static void tftpk_transfer_succeed(const struct tftpk_transfer *t,
				   struct tftpk_key key)
{
	struct tftpk_transfer *old;

	key.former = 1;
	old = tftpk_find(&key);
	if (!old || old == t)
		return;
	spin_lock(&old->lock);
	if (!old->dead)
		tftpk_transfer_finish(old, tftpk_transfer_all_sent(old) ?
				      TFTPK_OUTCOME_COMPLETED :
				      TFTPK_OUTCOME_ABORTED);
	/* So that the next one can step aside. */
	tftpk_transfer_forget(old);
	spin_unlock(&old->lock);
}

/**
 * tftpk_transfer_request() - a read request arrived
 * @key: client, and the port that takes requests
 * @skb: the packet, with the parsed request in it; consumed
 * @hash: of the request's bytes
 *
 * A request from a client and port whose transfer is running is the same
 * request again, or begins another one beside it (RFC 1350 section 4 gives every
 * transfer a port of its own).
 *
 * Context: softirq, within rcu_read_lock().
 */
void tftpk_transfer_request(const struct tftpk_key *key, struct sk_buff *skb,
			    u32 hash)
{
	struct tftpk_net *tn = key->port->listener->tn;
	const char *reason = "server busy";
	enum tftpk_again again = TFTPK_AGAIN_NEW;
	struct tftpk_transfer *old;
	struct sk_buff_head out;
	bool known = false;
	int err, tries = 0;

	tftpk_stats_inc(tn, TFTPK_STAT_REQUESTS);
	__skb_queue_head_init(&out);
	do {
		old = tftpk_find(key);
		if (old)
			again = tftpk_transfer_again(old, hash, &out);
		if (again == TFTPK_AGAIN_IGNORED) {
			tftpk_stats_inc(tn, TFTPK_STAT_REQUESTS_DROPPED);
			tftpk_event_refused(key, TFTPK_REQUEST(skb)->name,
					    TFTPK_ERR_UNDEFINED,
					    "a transfer of this client and port is running");
		}
		if (again != TFTPK_AGAIN_NEW) {
			tftpk_output_send(tn->net, &out);
			goto drop;
		}
		if (!tries)
			known = tftpk_limit_known(tn, key);
		if (!tries && !tftpk_limit_request(tn, key, known)) {
			tftpk_stats_inc(tn, TFTPK_STAT_REQUESTS_LIMITED);
			tftpk_event_refused(key, TFTPK_REQUEST(skb)->name,
					    TFTPK_ERR_UNDEFINED,
					    "too many requests of this source");
			goto drop;
		}
		err = tftpk_transfer_start(tn, key, skb, hash, known, &reason);
	} while (err == -EEXIST && ++tries < 3);
	if (!err)
		return;

	tftpk_stats_inc(tn, TFTPK_STAT_REQUESTS_DROPPED);
	tftpk_event_refused(key, TFTPK_REQUEST(skb)->name, TFTPK_ERR_UNDEFINED,
			    reason);
	if (READ_ONCE(tn->settings.reply_at_limit))
		tftpk_output_error(key, tn->net, TFTPK_ERR_UNDEFINED, reason);
drop:
	kfree_skb(skb);
}

/* ---- what clients send ---- */

/* The transfer that a packet may belong to, if it is live. */
static struct tftpk_transfer *tftpk_find_tid(const struct tftpk_key *key)
{
	if (key->port->requests && !key->port->listener->single_port)
		return NULL;
	return tftpk_find(key);
}

/**
 * tftpk_transfer_speaks() - does a transfer send from this port to this client?
 * @key: client, and the port that takes requests
 *
 * It may where there is a single port. What else comes from there, the client would
 * take for the transfer's.
 *
 * Context: softirq, within rcu_read_lock().
 */
bool tftpk_transfer_speaks(const struct tftpk_key *key)
{
	struct tftpk_transfer *t = tftpk_find_tid(key);

	return t && !READ_ONCE(t->dead);
}

/* Has it sent anything, and not ended? */
static bool tftpk_transfer_live(const struct tftpk_transfer *t)
{
	lockdep_assert_held(&t->lock);

	return !t->dead && t->state != TFTPK_STATE_OPENING;
}

/* An ACK that belongs to no transfer gets ERROR 5 (RFC 1350 section 4), unless
 * it is merely late. One from a client whose transfer has another port is a
 * guess by somebody who never saw our answer: that transfer ends.
 */
static void tftpk_transfer_stranger(const struct tftpk_key *key)
{
	struct tftpk_listener *listener = key->port->listener;
	struct tftpk_net *tn = listener->tn;
	struct tftpk_key request = *key;
	struct tftpk_transfer *t;

	tftpk_stats_inc(tn, TFTPK_STAT_PACKETS_UNKNOWN);
	if (tftpk_limit_late(tn, key))
		return;

	request.port = &listener->main;
	t = tftpk_find(&request);
	if (t) {
		spin_lock(&t->lock);
		if (!t->dead && !tftpk_transfer_proved(t)) {
			tftpk_limit_guessed(tn);
			tftpk_transfer_finish(t, TFTPK_OUTCOME_ABORTED);
		}
		spin_unlock(&t->lock);
		return;
	}
	if (tftpk_limit_request(tn, key, tftpk_limit_known(tn, key))) {
		tftpk_stats_inc(tn, TFTPK_STAT_PACKETS_STRANGE);
		tftpk_output_error(key, tn->net, TFTPK_ERR_TID,
				   "unknown transfer ID");
	}
}

/* The ACK of an OACK is that of block 0 (RFC 2347). */
static void tftpk_transfer_accepted(struct tftpk_transfer *t, u16 block,
				    u64 now_ns, struct sk_buff_head *out)
{
	if (block) {
		tftpk_stats_inc(t->tn, TFTPK_STAT_ACKS_IGNORED);
		return;
	}
	if (t->tries == 1)
		tftpk_rtt_sample(&t->rtt, div_u64(now_ns -
						  t->window.flight_ns,
						  NSEC_PER_USEC));
	t->rtt.backoff = 0;
	t->oack = false;
	t->tries = 0;
	tftpk_transfer_heard(t);
	t->state = TFTPK_STATE_SENDING;
	t->progress = jiffies;
	tftpk_transfer_push(t, now_ns, out);
}

/**
 * tftpk_transfer_ack() - an ACK arrived
 * @key: client, and the transfer identifier
 * @block: its block number
 *
 * The fast path: one lookup, one lock, the next blocks built from the ring
 * and sent; nothing is queued but a refill when the ring runs low.
 *
 * Context: softirq, within rcu_read_lock().
 */
void tftpk_transfer_ack(const struct tftpk_key *key, u16 block)
{
	struct tftpk_transfer *t = tftpk_find_tid(key);
	struct tftpk_key request;
	struct sk_buff_head out;
	u64 acked, now_ns;
	enum tftpk_ack ack;
	bool first = false;

	if (!t) {
		tftpk_transfer_stranger(key);
		return;
	}
	__skb_queue_head_init(&out);
	now_ns = ktime_get_ns();
	spin_lock(&t->lock);
	if (!tftpk_transfer_live(t)) {
		spin_unlock(&t->lock);
		tftpk_transfer_stranger(key);
		return;
	}
	tftpk_stats_inc(t->tn, TFTPK_STAT_ACKS_RECEIVED);
	if (t->bounded && tftpk_window_unsent(&t->window, block)) {
		/* Whoever sees what is sent does not do that. */
		tftpk_transfer_finish(t, TFTPK_OUTCOME_ABORTED);
		goto out;
	}
	if (t->oack) {
		tftpk_transfer_accepted(t, block, now_ns, &out);
		goto out;
	}

	acked = t->window.acked;
	ack = tftpk_window_ack(&t->window, &t->rtt, block, now_ns);
	trace_tftpk_ack(t, block, ack);
	if (t->window.acked != acked) {
		t->text[0] = t->text[1];
		if (!acked) {
			tftpk_transfer_verified(t);
			first = true;
			request = t->request.key;
		}
		t->state = TFTPK_STATE_SENDING;
		t->progress = jiffies;
		tftpk_file_release(t, tftpk_transfer_acked_bytes(t));
	} else if (!acked && t->state == TFTPK_STATE_SENDING) {
		/* It asks for the first window, and may be asked again. */
		t->tries = 0;
	}
	switch (ack) {
	case TFTPK_ACK_SUSPECT:
		tftpk_transfer_await(t);
		fallthrough;
	case TFTPK_ACK_STALE:
		tftpk_stats_inc(t->tn, TFTPK_STAT_ACKS_IGNORED);
		break;
	case TFTPK_ACK_DONE:
		tftpk_transfer_finish(t, TFTPK_OUTCOME_COMPLETED);
		break;
	case TFTPK_ACK_PROGRESS:
	case TFTPK_ACK_GAP:
		tftpk_transfer_push(t, now_ns, &out);
		break;
	}
out:
	spin_unlock(&t->lock);
	tftpk_output_send(t->tn->net, &out);
	if (first)
		tftpk_transfer_succeed(t, request);
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
	struct tftpk_transfer *t = tftpk_find_tid(key);
	enum tftpk_outcome outcome = TFTPK_OUTCOME_ABORTED;
	bool live = false;

	if (t) {
		spin_lock(&t->lock);
		live = tftpk_transfer_live(t);
		if (live) {
			if (t->oack && (code == TFTPK_ERR_UNDEFINED ||
					code == TFTPK_ERR_OPTION))
				outcome = TFTPK_OUTCOME_PROBED;
			else if (code == TFTPK_ERR_UNDEFINED &&
				 tftpk_transfer_all_sent(t))
				outcome = TFTPK_OUTCOME_COMPLETED;
			t->error_code = code;
			t->reason = "the client sent an ERROR";
			tftpk_transfer_finish(t, outcome);
		}
		spin_unlock(&t->lock);
	}
	if (!live)
		tftpk_stats_inc(key->port->listener->tn,
				TFTPK_STAT_PACKETS_UNKNOWN);
}

/**
 * tftpk_transfer_unreachable() - the client's host says that nobody listens
 * @key: client, and the transfer identifier
 *
 * A client that has gone after its last block got what it wanted.
 *
 * Context: softirq, within rcu_read_lock().
 */
void tftpk_transfer_unreachable(const struct tftpk_key *key)
{
	struct tftpk_transfer *t = tftpk_find_tid(key);

	if (!t)
		return;
	spin_lock(&t->lock);
	if (tftpk_transfer_live(t))
		tftpk_transfer_finish(t, tftpk_transfer_all_sent(t) ?
				      TFTPK_OUTCOME_COMPLETED :
				      TFTPK_OUTCOME_UNREACHABLE);
	spin_unlock(&t->lock);
}

/* ---- commands ---- */

/**
 * tftpk_transfers_get() - some transfers, for a dump
 * @tn: namespace's server
 * @after: id that theirs are above, ascending
 * @found: takes them, each with a reference
 * @n: room in @found
 *
 * Context: process. Return: how many there are.
 */
u32 tftpk_transfers_get(struct tftpk_net *tn, u32 after,
			struct tftpk_transfer **found, u32 n)
{
	struct tftpk_transfer *t;
	u32 i = 0;

	spin_lock_bh(&tn->lock);
	list_for_each_entry(t, &tn->transfers, list) {
		if (i == n)
			break;
		/* What is in the list has not dropped its own reference. */
		if (t->id > after) {
			refcount_inc(&t->ref);
			found[i++] = t;
		}
	}
	spin_unlock_bh(&tn->lock);
	return i;
}

static bool tftpk_transfer_matches(const struct tftpk_transfer *t,
				   const struct tftpk_match *match)
{
	const struct tftpk_key *key = &t->request.key;

	return (!match->export || t->export == match->export) &&
	       (!match->listener || key->port->listener == match->listener) &&
	       (!match->client ||
		ipv6_addr_equal(&key->client, match->client)) &&
	       (!match->client_port ||
		key->client_port == match->client_port) &&
	       (!match->id || t->id == match->id);
}

/**
 * tftpk_transfers_kill() - end transfers
 * @tn: namespace's server
 * @match: which ones
 *
 * Every client gets an ERROR. Whoever wants to see them gone makes new ones
 * impossible before, and waits after.
 *
 * Context: process; the configuration's mutex may be held.
 *
 * Return: how many there were.
 */
u32 tftpk_transfers_kill(struct tftpk_net *tn, const struct tftpk_match *match)
{
	struct tftpk_transfer *t;
	struct sk_buff_head out;
	u32 n = 0;

	__skb_queue_head_init(&out);
	local_bh_disable();
	rcu_read_lock();
	spin_lock(&tn->lock);
	list_for_each_entry(t, &tn->transfers, list) {
		spin_lock(&t->lock);
		if (!t->dead && tftpk_transfer_matches(t, match)) {
			tftpk_transfer_fail(t, TFTPK_OUTCOME_KILLED,
					    TFTPK_ERR_UNDEFINED,
					    "no longer served", &out);
			n++;
		}
		spin_unlock(&t->lock);
	}
	spin_unlock(&tn->lock);
	tftpk_output_send(tn->net, &out);
	rcu_read_unlock();
	local_bh_enable();
	return n;
}

/**
 * tftpk_transfers_close() - end all transfers of a namespace, for good
 * @tn: namespace's server
 *
 * Context: process.
 */
void tftpk_transfers_close(struct tftpk_net *tn)
{
	static const struct tftpk_match all;

	spin_lock_bh(&tn->lock);
	tn->closing = true;
	spin_unlock_bh(&tn->lock);

	tftpk_transfers_kill(tn, &all);
	wait_var_event(&tn->active, !atomic_read(&tn->active));
}

/**
 * tftpk_transfer_init() - make caches, table and workqueue
 *
 * Context: process. Return: 0 or a negative errno.
 */
int tftpk_transfer_init(void)
{
	int err;

	BUILD_BUG_ON(sizeof(struct tftpk_key) % sizeof(u64));
	BUILD_BUG_ON(__alignof__(struct tftpk_key) != sizeof(u64));
	BUILD_BUG_ON(sizeof(struct tftpk_request) >
		     sizeof_field(struct sk_buff, cb));

	tftpk_transfer_cache =
		tftpk_cache_create("tftpk_transfer",
				   sizeof(struct tftpk_transfer), 0,
				   SLAB_HWCACHE_ALIGN);
	if (!tftpk_transfer_cache)
		return -ENOMEM;
	err = -ENOMEM;
	/* Reading may wait for a disk or unpack a squashfs: any CPU may do it. */
	tftpk_wq = alloc_workqueue("tftpk", WQ_UNBOUND, 0);
	if (!tftpk_wq)
		goto err_wq;
	err = rhashtable_init(&tftpk_table, &tftpk_table_params);
	if (err)
		goto err_table;
	return 0;

err_table:
	destroy_workqueue(tftpk_wq);
err_wq:
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
	destroy_workqueue(tftpk_wq);
	rhashtable_destroy(&tftpk_table);
	/* Transfers are freed by RCU. */
	rcu_barrier();
	kmem_cache_destroy(tftpk_transfer_cache);
}
