// SPDX-License-Identifier: GPL-2.0
/*
 * From a request to a transfer: admission in softirq; then, by the transfer's
 * work, the file, the options and the first answer.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <net/ipv6.h>

#include "ahead.h"
#include "resolve.h"
#include "transfer.h"
#include "trace.h"

/* A repeated request from a client that was last heard of this long ago is
 * not a retransmission: it has begun anew, from the same port.
 */
#define TFTPK_RESTART_MS	1000

/* Why a source beyond its rate gets no answer. */
#define TFTPK_TOO_MANY		"too many requests of this source"

/* What the export has, or else the setting. */
static u32 tftpk_request_choose(u32 option, const u32 *setting)
{
	return option != TFTPK_UNSET ? option : READ_ONCE(*setting);
}

/* The largest block that goes out in one packet. */
static u32 tftpk_request_mtu_blksize(const struct tftpk_key *key,
				     const struct dst_entry *dst)
{
	return max_t(int, dst_mtu(dst) - tftpk_output_overhead(key),
		     TFTPK_BLKSIZE_MIN);
}

/* How the agent's own files are served. */
static const struct tftpk_export_options tftpk_foreign = {
	.max_blksize	= TFTPK_UNSET,
	.min_timeout	= TFTPK_UNSET,
	.send_ahead	= TFTPK_UNSET,
};

/* Bound the limits by what the route allows, and the client's class. */
static int tftpk_request_bound(struct tftpk_transfer *t,
			       const struct tftpk_request *req,
			       struct tftpk_limits *limits)
{
	const struct tftpk_settings *set = &t->tn->settings;
	const struct tftpk_key *key = &t->peer.request.key;
	struct tftpk_out out;
	struct dst_entry *dst;

	/* Nothing is sent; the route wants BH disabled, and RCU. */
	tftpk_transfer_lock(t, &out);
	dst = tftpk_route_get(t->tn->net, &t->peer);
	limits->windowsize = min(READ_ONCE(set->max_windowsize),
				 tftpk_limit_window(key->port->listener,
						    t->peer.bounded));
	if (t->peer.bounded && req->windowsize > 1)
		tftpk_charge_note_bounded(t);
	if (dst && READ_ONCE(set->clamp_mtu))
		limits->blksize = min(limits->blksize,
				      tftpk_request_mtu_blksize(key, dst));
	tftpk_transfer_unlock_send(t, &out);
	return dst ? 0 : -ENETUNREACH;
}

/* How many blocks may be sent beyond the ACK? None to who might be anybody, nor to who
 * had trouble with it.
 */
static u32 tftpk_request_ahead(struct tftpk_transfer *t,
			       const struct tftpk_request *req,
			       const struct tftpk_export_options *options)
{
	const struct tftpk_settings *set = &t->tn->settings;
	u32 most = tftpk_request_choose(options->send_ahead, &set->send_ahead);

	most = tftpk_ahead_most(req, t->options.blksize, most,
				READ_ONCE(set->send_ahead_to) ==
				TFTPK_SEND_AHEAD_TO_ALL);
	if (!most || t->peer.bounded ||
	    tftpk_limit_minds_ahead(t->tn, &t->peer.request.key, t->peer.near))
		return 0;
	return most;
}

/**
 * tftpk_request_negotiate() - choose the options of a transfer, and make its ring
 * @t: transfer, entered; its file is open
 * @req: what its client asked for
 *
 * Context: process. Return: 0 or -ENETUNREACH.
 */
int tftpk_request_negotiate(struct tftpk_transfer *t,
			    const struct tftpk_request *req)
{
	const struct tftpk_export_options *options =
		t->source.export ? &t->source.export->options : &tftpk_foreign;
	const struct tftpk_settings *set = &t->tn->settings;
	struct tftpk_limits limits = {
		.size		= t->source.size,
		.blksize	= tftpk_request_choose(options->max_blksize,
						       &set->max_blksize),
		.rollover	= options->rollover,
		.no_tsize	= options->no_tsize,
	};
	int err = tftpk_request_bound(t, req, &limits);
	u32 blksize, ahead, window;

	if (err)
		return err;

	/* Where a block of text begins is known for two blocks only. */
	t->netascii = req->mode == TFTPK_MODE_NETASCII;
	if (t->netascii)
		limits.windowsize = 1;
	/* The ring wants to know the block size first. */
	tftpk_negotiate(req, &limits, &t->options);
	blksize = t->options.blksize;
	ahead = tftpk_request_ahead(t, req, options);
	window = tftpk_ring_make(t, blksize, t->options.windowsize + ahead);
	limits.windowsize = window;
	tftpk_negotiate(req, &limits, &t->options);

	t->blksize = blksize;
	t->utimeout = t->options.utimeout;
	t->peer.tos = options->dscp << 2;
	t->peer.paced = options->max_rate;
	t->peer.rtt.floor = tftpk_request_choose(options->min_timeout,
						 &set->min_timeout) *
			    USEC_PER_MSEC;
	tftpk_netascii_init(&t->text[0]);
	tftpk_window_init(&t->window, t->source.size, blksize,
			  t->options.windowsize, t->options.rollover);
	if (ahead)
		t->window.ahead = window - 1;
	if (t->netascii)
		t->window.last = U64_MAX;
	return 0;
}

/* May the request be answered by a block at once? */
static bool tftpk_request_block(const struct tftpk_transfer *t)
{
	bool admitted;

	local_bh_disable();
	rcu_read_lock();
	admitted = tftpk_limit_block(t->tn, &t->peer.request.key,
				     t->peer.near);
	rcu_read_unlock();
	local_bh_enable();
	return admitted;
}

/* Who asks for what? @mac is room for the address of the client's link layer. */
static struct tftpk_query tftpk_request_query(const struct tftpk_transfer *t,
					      u8 mac[ETH_ALEN])
{
	const struct in6_addr *client = &t->peer.request.key.client;
	const struct tftpk_export *export = t->source.export;
	int iif = TFTPK_WAITING(t->request_skb)->iif;
	struct tftpk_query query = {
		.name	= tftpk_resolve_name(t),
		.client	= client,
		.last	= t->last,
	};

	if (!export || export->options.root_by != TFTPK_ROOT_BY_MAC)
		return query;
	rcu_read_lock();
	if (tftpk_route_mac(t->tn->net, client, iif, mac))
		query.mac = mac;
	rcu_read_unlock();
	return query;
}

/* Go on to the next export that may have the file, or to what has the last word, by the
 * work there.
 */
static bool tftpk_request_elsewhere(struct tftpk_transfer *t,
				    const struct tftpk_query *query, bool last)
{
	struct tftpk_export *export = NULL, *before = t->source.export;

	if (!before || query->last)
		return false;
	/* Whoever ends an export finds the transfer under its lock. */
	rcu_read_lock();
	spin_lock_bh(&t->lock);
	if (!t->dead)
		export = last ? tftpk_export_last(t->tn, query) :
				tftpk_export_next(t->tn, query, before);
	if (export) {
		t->last = last;
		t->source.export = export;
		tftpk_transfer_requeue(t);
	}
	spin_unlock_bh(&t->lock);
	rcu_read_unlock();
	if (export)
		tftpk_export_put(before);
	return export;
}

/* Ask the agent about a file that no export has, where that is wanted. Returns whether
 * the work is at its end.
 */
static bool tftpk_request_ask(struct tftpk_transfer *t)
{
	bool ended, asks = false;

	rcu_read_lock();
	spin_lock_bh(&t->lock);
	ended = t->dead || tftpk_resolve_missing(t);
	if (!t->dead && TFTPK_WAITING(t->request_skb)->question) {
		tftpk_transfer_arm(t, tftpk_resolve_wait(t->tn));
		asks = true;
	}
	spin_unlock_bh(&t->lock);
	rcu_read_unlock();
	if (asks)
		tftpk_question_notice(t->tn);
	return ended;
}

/* Open the file. Returns false where the work is at its end: it comes again, or the
 * transfer has ended, and is not entered any more.
 */
static bool tftpk_request_find(struct tftpk_transfer *t, int *err)
{
	u8 mac[ETH_ALEN];
	struct tftpk_query query = tftpk_request_query(t, mac);

	tftpk_transfer_leave(t);
	*err = tftpk_file_open(&t->source, &t->lock,
			       READ_ONCE(t->tn->settings.detect_changes),
			       TFTPK_WAITING(t->request_skb)->answer, &query);
	if (tftpk_is_missing(*err) && tftpk_request_elsewhere(t, &query, false))
		return false;
	if (!tftpk_transfer_enter(t))
		return false;
	if (!tftpk_is_missing(*err) ||
	    (!tftpk_request_ask(t) && !tftpk_request_elsewhere(t, &query, true)))
		return true;
	tftpk_transfer_leave(t);
	return false;
}

/* The transfer begins, and its client is to be answered. */
static void tftpk_request_begin(struct tftpk_transfer *t)
{
	trace_tftpk_start(t);
	tftpk_stats_inc(t->tn, TFTPK_A_STATS_TRANSFERS_STARTED);
	tftpk_stats_observe(t->tn, TFTPK_HISTOGRAM_FIRST_BLOCK,
			    div_u64(ktime_get_ns() - t->started_ns,
				    NSEC_PER_USEC));
	t->phase = t->options.nopts ? TFTPK_PHASE_OACK : TFTPK_PHASE_FIRST;
	t->progress = jiffies;
}

static void tftpk_request_open(struct tftpk_transfer *t)
{
	struct tftpk_answer *answer = TFTPK_WAITING(t->request_skb)->answer;
	const struct tftpk_request *req = TFTPK_REQUEST(t->request_skb);
	bool started = false, admitted = true;
	struct tftpk_out out;
	int err;

	if (!t->asked)
		tftpk_event_transfer(t, TFTPK_EVENT_TYPE_REQUEST);
	t->asked = true;

	if (answer && answer->kind == TFTPK_ANSWER_ERROR) {
		tftpk_resolve_deny(t, answer);
		return;
	}
	if (!tftpk_request_find(t, &err))
		return;
	if (!err)
		err = tftpk_request_negotiate(t, req);
	if (!err && !t->options.nopts)
		admitted = tftpk_request_block(t);
	if (!err && admitted && !tftpk_send_fill(t, tftpk_send_goal(t), &err))
		return;

	tftpk_transfer_lock(t, &out);
	if (t->dead) {
		/* Killed meanwhile. */
	} else if (err) {
		tftpk_transfer_end_unreadable(t, err, &out);
	} else if (!admitted) {
		t->limited = true;
		t->reason = TFTPK_TOO_MANY;
		tftpk_transfer_end(t, TFTPK_OUTCOME_ABORTED);
	} else {
		tftpk_request_begin(t);
		started = true;
		tftpk_send_answer(t, &out);
	}
	tftpk_transfer_unlock_send(t, &out);

	/* A refusal still wants to tell the name. */
	if (started) {
		tftpk_event_transfer(t, TFTPK_EVENT_TYPE_START);
		tftpk_charge_tell(t);
		tftpk_transfer_forget_request(t);
	}
	tftpk_transfer_leave(t);
}

/* The upload is welcome: as large as the client says that it will be? */
static int tftpk_request_grant(struct tftpk_transfer *t)
{
	const struct tftpk_request *req = TFTPK_REQUEST(t->request_skb);
	struct tftpk_sink *sink = &t->source.sink;
	struct tftpk_limits limits = {
		.blksize = READ_ONCE(t->tn->settings.max_blksize),
		.writes = true,
	};
	int err = tftpk_request_bound(t, req, &limits);

	if (err)
		return err;
	if (sink->size != TFTPK_SIZE_UNKNOWN) {
		limits.size = sink->size;
		if (sink->size > sink->max_size)
			return -EFBIG;
	}
	tftpk_negotiate(req, &limits, &t->options);
	limits.windowsize = min(limits.windowsize,
				tftpk_sink_window(t->options.blksize));
	tftpk_negotiate(req, &limits, &t->options);
	t->netascii = req->mode == TFTPK_MODE_NETASCII;
	t->blksize = t->options.blksize;
	t->utimeout = t->options.utimeout;
	t->peer.rtt.floor = READ_ONCE(t->tn->settings.min_timeout) *
			    USEC_PER_MSEC;
	tftpk_rwindow_init(&sink->window, t->options.windowsize,
			   t->options.rollover,
			   tftpk_has_option(req, TFTPK_OPT_ROLLOVER),
			   ktime_get_ns());
	return 0;
}

/* The agent says whether a client may write. */
static void tftpk_request_accept(struct tftpk_transfer *t)
{
	struct tftpk_answer *answer;
	struct tftpk_out out;
	const char *text;
	bool started;
	u16 code;
	int err;

	if (!t->asked)
		tftpk_event_transfer(t, TFTPK_EVENT_TYPE_REQUEST);
	t->asked = true;
	spin_lock_bh(&t->lock);
	answer = t->dead ? NULL : tftpk_resolve_answer(t);
	spin_unlock_bh(&t->lock);
	if (!answer) {
		tftpk_transfer_leave(t);
		return;
	}
	if (answer->kind != TFTPK_ANSWER_WELCOME) {
		tftpk_resolve_deny(t, answer);
		return;
	}
	t->source.sink.max_size = answer->max_size;
	tftpk_answer_put(answer);
	err = tftpk_request_grant(t);

	tftpk_transfer_lock(t, &out);
	started = !t->dead && !err;
	if (!t->dead && err) {
		text = tftpk_sink_error(err, &code);
		tftpk_transfer_fail(t, TFTPK_OUTCOME_DENIED, code, text, &out);
	} else if (started) {
		tftpk_request_begin(t);
		tftpk_recv_answer(t, &out);
	}
	tftpk_transfer_unlock_send(t, &out);
	if (started) {
		tftpk_event_transfer(t, TFTPK_EVENT_TYPE_START);
		tftpk_charge_tell(t);
	}
	tftpk_transfer_leave(t);
}

/* The file is open, or is to be. */
static void tftpk_request_go_on(struct tftpk_transfer *t)
{
	/* Only this work ends that phase. */
	if (READ_ONCE(t->phase) != TFTPK_PHASE_OPENING)
		t->writing ? tftpk_recv_run(t) : tftpk_send_refill(t);
	else
		t->writing ? tftpk_request_accept(t) : tftpk_request_open(t);
}

static void tftpk_request_work(struct work_struct *work)
{
	struct tftpk_transfer *t = container_of(work, struct tftpk_transfer,
						work);

	if (tftpk_transfer_close(t))
		return;
	if (tftpk_transfer_enter(t))
		tftpk_request_go_on(t);
	tftpk_transfer_put(t);
}

/* Let a transfer in. Returns why it may not begin now, or NULL. */
static const char *tftpk_request_admit(struct tftpk_transfer *t)
{
	const struct tftpk_key *key = &t->peer.request.key;
	struct tftpk_key former = *key;
	struct tftpk_net *tn = t->tn;
	int err;

	lockdep_assert_held(&tn->transfers.xa_lock);

	if (READ_ONCE(tn->settings.draining))
		return "server is draining";
	/* Pairs with tftpk_listener_renew() and tftpk_listener_follow(). */
	if (tn->closing || smp_load_acquire(&key->port->listener->dead))
		return "server busy";
	if (atomic_read(&tn->active) >= READ_ONCE(tn->settings.max_transfers))
		return "too many transfers";
	/* Without the transfer that this one replaces. */
	former.former = 1;
	err = tftpk_client_add(t, tftpk_table_find(&former));
	if (err == -EDQUOT)
		return "too many transfers of this client";
	if (err)
		return "server busy";
	if (tftpk_table_number(t)) {
		tftpk_client_del(t);
		return "server busy";
	}
	return NULL;
}

/**
 * tftpk_request_setup() - set up the timer and the work of a transfer
 * @t: transfer that nobody has seen
 * @writes: an upload
 */
void tftpk_request_setup(struct tftpk_transfer *t, bool writes)
{
	timer_setup(&t->timer, writes ? tftpk_recv_timer : tftpk_send_timer, 0);
	INIT_WORK(&t->work, tftpk_request_work);
	t->writing = writes;
}

/**
 * tftpk_request_let_in() - let a transfer in, if it may begin now, and lock it
 * @t: transfer that nobody has seen; locked
 *
 * Context: softirq, or BH disabled, within rcu_read_lock(). Return: NULL; or why it
 * may not, for people, and still nobody has seen it.
 */
const char *tftpk_request_let_in(struct tftpk_transfer *t)
	__acquires(&t->lock)
{
	struct tftpk_net *tn = t->tn;
	const char *refusal;

	xa_lock(&tn->transfers);
	/* Commands that find it wait for this lock. */
	spin_lock(&t->lock);
	refusal = tftpk_request_admit(t);
	if (!refusal) {
		tftpk_net_get(tn);
		atomic_inc(&tn->active);
		atomic_inc(&t->peer.request.key.port->listener->users);
	}
	xa_unlock(&tn->transfers);
	return refusal;
}

/* Begin a transfer. Returns -EEXIST where another one has this key. Where it may
 * not begin, @reason says why.
 */
static int tftpk_request_start(struct tftpk_net *tn,
			       const struct tftpk_key *key,
			       struct sk_buff *skb,
			       const struct tftpk_arrival *arrival,
			       const char **reason)
{
	bool asks = false;
	struct tftpk_transfer *t, *oldest = NULL;
	const char *refusal;
	int err;

	t = tftpk_transfer_alloc(tn, key);
	if (!t)
		return -ENOMEM;
	tftpk_request_setup(t, arrival->writes);
	if (t->writing)
		tftpk_sink_init(&t->source.sink, arrival->size);
	t->request_hash = arrival->hash;
	t->peer.near = arrival->near;
	t->peer.bounded = tftpk_limit_bounded(key, arrival->near);

	refusal = tftpk_request_let_in(t);
	if (refusal) {
		spin_unlock(&t->lock);
		*reason = refusal;
		tftpk_transfer_discard(t);
		return -EBUSY;
	}
	err = tftpk_table_add(t);
	if (!err) {
		t->request_skb = skb;
		t->announced = true;
		asks = tftpk_resolve_begin(t);
		tftpk_transfer_arm(t, asks ? tftpk_resolve_wait(tn) :
					 TFTPK_RTO_FIRST);
		oldest = tftpk_unvalidated_add(t);
	} else {
		t->dead = true;
		tftpk_client_del(t);
		tftpk_transfer_reap(t);
	}
	trace_tftpk_request(t);
	spin_unlock(&t->lock);
	if (oldest)
		tftpk_transfer_evict(oldest);
	if (asks)
		tftpk_question_notice(tn);
	return err;
}

/* What a request is to the transfer that its client and port have. */
enum tftpk_meeting {
	TFTPK_MEETS_NEW,	/* another one: a transfer begins */
	TFTPK_MEETS_REPEATED,	/* the same */
	TFTPK_MEETS_IGNORED,	/* another one, for which there is no place */
};

/* Has the client said more than its request? */
static bool tftpk_request_goes_on(const struct tftpk_transfer *t)
{
	return t->phase == TFTPK_PHASE_SENDING ||
	       t->phase == TFTPK_PHASE_RECEIVING;
}

static void tftpk_request_repeat(struct tftpk_transfer *t,
				 struct tftpk_out *out)
{
	tftpk_stats_inc(t->tn, TFTPK_A_STATS_REQUESTS_REPEATED);
	if ((t->phase != TFTPK_PHASE_OACK && t->phase != TFTPK_PHASE_FIRST) ||
	    t->peer.tries >= TFTPK_UNVALIDATED_TRIES)
		return;
	if (t->writing) {
		tftpk_recv_answer(t, out);
	} else {
		tftpk_window_timeout(&t->window, &t->peer.rtt);
		tftpk_send_answer(t, out);
	}
}

/* A request meets the transfer @t of its client and port. A repeated one gets its
 * answer again, within what an unvalidated client may be sent. Anybody may have
 * forged another one: so a validated transfer makes way and goes on, and an
 * unvalidated one ends. With a single port @t cannot make way: it stays as long as
 * it makes progress.
 */
static enum tftpk_meeting tftpk_request_meet(struct tftpk_transfer *t, u32 hash,
					     struct tftpk_out *out)
{
	enum tftpk_meeting meets = TFTPK_MEETS_NEW;
	bool fresh;

	spin_lock(&t->lock);
	fresh = time_before(jiffies, t->progress +
			    msecs_to_jiffies(TFTPK_RESTART_MS));
	if (!t->dead)
		tftpk_transfer_note_minding(t);
	if (t->dead) {
		tftpk_table_make_way(t);
	} else if (t->request_hash == hash && (!tftpk_request_goes_on(t) || fresh)) {
		meets = TFTPK_MEETS_REPEATED;
		tftpk_request_repeat(t, out);
	} else if (!tftpk_transfer_validated(t) ||
		   (tftpk_single_port(t) && !fresh)) {
		tftpk_transfer_end(t, TFTPK_OUTCOME_ABORTED);
		tftpk_table_make_way(t);
	} else if (tftpk_single_port(t)) {
		meets = TFTPK_MEETS_IGNORED;
	} else {
		tftpk_table_make_way(t);
	}
	spin_unlock(&t->lock);
	return meets;
}

/* Could somebody write blindly in the name of a client that is not near? With a single
 * port there is nothing to guess, and after a wrong guess the next one may be right.
 */
static bool tftpk_request_unsafe(const struct tftpk_key *key,
				 const struct tftpk_arrival *arrival)
{
	return arrival->writes && tftpk_limit_bounded(key, arrival->near);
}

/* Refuse a request for good. */
static void tftpk_request_refuse(const struct tftpk_key *key,
				 struct sk_buff *skb, int counter, u16 code,
				 const char *reason, bool reply)
{
	struct tftpk_net *tn = key->port->listener->tn;

	tftpk_stats_inc(tn, counter);
	tftpk_event_refused(key, TFTPK_REQUEST(skb)->name, code, reason);
	if (reply)
		tftpk_output_error(key, tn->net, code, reason);
	kfree_skb(skb);
}

/**
 * tftpk_request() - a request arrived that may begin a transfer
 * @key: client, and the port that takes requests
 * @skb: the packet, with the parsed request in it; consumed
 * @arrival: what else is known of it; takes whether the client is near
 *
 * A request from a client and port whose transfer is running is the same
 * request again, or begins another one beside it (RFC 1350 section 4 gives every
 * transfer a port of its own).
 *
 * Context: softirq, within rcu_read_lock().
 */
void tftpk_request(const struct tftpk_key *key, struct sk_buff *skb,
		   struct tftpk_arrival *arrival)
{
	struct tftpk_net *tn = key->port->listener->tn;
	const char *reason = "server busy";
	enum tftpk_meeting meets = TFTPK_MEETS_NEW;
	struct tftpk_transfer *old;
	struct tftpk_out out;
	int err, tries = 0;

	tftpk_stats_inc(tn, TFTPK_A_STATS_REQUESTS);
	TFTPK_WAITING(skb)->answer = NULL;
	TFTPK_WAITING(skb)->question = 0;
	TFTPK_WAITING(skb)->iif = arrival->iif;
	tftpk_out_init(&out);
	do {
		old = tftpk_table_find(key);
		if (old)
			meets = tftpk_request_meet(old, arrival->hash, &out);
		if (meets == TFTPK_MEETS_IGNORED) {
			tftpk_request_refuse(key, skb,
					     TFTPK_A_STATS_REQUESTS_DROPPED,
					     TFTPK_ERR_UNDEFINED,
					     "a transfer of this client and port is running",
					     false);
			return;
		}
		if (meets == TFTPK_MEETS_REPEATED) {
			tftpk_output_send(tn->net, &out);
			consume_skb(skb);
			return;
		}
		if (!tries)
			arrival->near = tftpk_limit_near(tn, key, arrival->iif);
		if (!tries && !tftpk_limit_answer(tn, key, arrival->near,
						  TFTPK_REPLY_REQUEST)) {
			tftpk_request_refuse(key, skb,
					     TFTPK_A_STATS_REQUESTS_LIMITED,
					     TFTPK_ERR_UNDEFINED,
					     TFTPK_TOO_MANY, false);
			return;
		}
		if (tftpk_request_unsafe(key, arrival)) {
			tftpk_request_refuse(key, skb,
					     TFTPK_A_STATS_WRITES_REFUSED,
					     TFTPK_ERR_ACCESS,
					     "who writes here has to be trusted",
					     true);
			return;
		}
		err = tftpk_request_start(tn, key, skb, arrival, &reason);
	} while (err == -EEXIST && ++tries < 3);
	if (err)
		tftpk_request_refuse(key, skb, TFTPK_A_STATS_REQUESTS_DROPPED,
				     TFTPK_ERR_UNDEFINED, reason,
				     READ_ONCE(tn->settings.reply_at_limit));
}
