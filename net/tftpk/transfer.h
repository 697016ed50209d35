/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A transfer, and what the files that serve it offer each other. CONTRIBUTING.md says
 * which of them calls which.
 *
 * Glossary:
 *
 *   transfer    a file on its way to or from one client, from the request to the
 *               last ACK
 *   block       the payload of a DATA packet; a short one ends the file (RFC 1350)
 *   window      blocks that may be in flight without an ACK (RFC 7440)
 *   flight      blocks sent and not acknowledged
 *   burst       blocks that one push sends; a train is an skb of several blocks
 *   TID         transfer identifier: the server's UDP port of a transfer, of a pool
 *   OACK        the answer to a request with options (RFC 2347)
 *   export      a folder whose files are served
 *   listener    an address and a port that take requests, and a pool of TIDs
 *   single port a listener without a pool: a transfer's TID is the port of requests
 *   validated   the client has acknowledged a block, so its address is not forged
 *               (RFC 9000 section 8)
 *   near        on a link of the server, or trusted: its address is hard to forge
 *   bounded     not near, and at a single port or while TIDs are guessed: its rate is
 *               limited
 *   peer        the client of a transfer, and how to reach it
 *   upload      a transfer that its client writes
 *   source      the file that a transfer sends
 *   sink        the file that an upload becomes, and the blocks on their way to it
 *   ring        references to the file's page-cache pages that are to be sent
 */
#ifndef _TFTPK_TRANSFER_H
#define _TFTPK_TRANSFER_H

#include <linux/bottom_half.h>
#include <linux/if_ether.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/rhashtable-types.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <linux/time64.h>
#include <linux/timer.h>
#include <linux/workqueue.h>
#include <net/dst.h>

#include "netascii.h"
#include "output.h"
#include "proto.h"
#include "route.h"
#include "rwindow.h"
#include "tftpk.h"
#include "window.h"

/* Pages that a transfer holds: of what is in flight and what comes next. */
#define TFTPK_RING_SMALL	32U	/* inside the transfer */
#define TFTPK_RING_MAX		256
#define TFTPK_RING_AHEAD	28	/* pages read beyond the window */

#define TFTPK_BURST_MAX		64	/* blocks sent in one go */
#define TFTPK_UNVALIDATED_TRIES	3	/* packets to an unvalidated client */
#define TFTPK_UNVALIDATED_MS	5000	/* how long it is waited for */
#define TFTPK_UNVALIDATED_OACK_MS	10000	/* and if it has ACKed an OACK only */

struct file;
struct inode;
struct tftpk_answer;

/**
 * struct tftpk_key - names a transfer
 * @client: address of the client
 * @port: socket that the client's packet arrived at
 * @scope: interface of a link-local client, or 0
 * @client_port: its UDP port
 * @former: 1 in the request's key of a transfer that made way for a newer request
 *	of its client and port, else 0
 * @local: address that the client sent to
 *
 * Compared as a whole.
 */
struct tftpk_key {
	struct in6_addr client;
	const struct tftpk_port *port;
	int scope;
	__be16 client_port;
	u16 former;
	struct in6_addr local;
};

struct tftpk_node {
	struct rhash_head head;
	struct tftpk_key key;
};

/**
 * struct tftpk_ring - pages of a file, from a page-aligned position on
 * @pages: page @index is at @pages[@index & @mask]; each holds a reference
 * @mask: number of entries less one; a power of two
 * @tail: index of the first page that is held
 * @filled: bytes of the file, from its start, that were read into the ring
 *
 * The owner's work adds pages beyond @filled without the lock, and moves
 * @filled under it; whoever holds the lock may drop pages from @tail on.
 */
struct tftpk_ring {
	struct page **pages;
	u32 mask;
	u64 tail;
	u64 filled;
};

/* How far a transfer is. What others are told is enum tftpk_state. */
enum tftpk_phase {
	TFTPK_PHASE_OPENING,	/* the work opens the file */
	TFTPK_PHASE_OACK,	/* an OACK waits for its ACK */
	TFTPK_PHASE_FIRST,	/* so does the first block, without an OACK */
	TFTPK_PHASE_SENDING,
	/* Of an upload, also OACK and FIRST, which is an ACK without an OACK: */
	TFTPK_PHASE_RECEIVING,
	TFTPK_PHASE_STORING,	/* all is written; the agent stores it */
};

/* One of the transfers of a client; under tftpk_net.clients_lock. */
struct tftpk_client {
	struct rhash_head head;	/* in tftpk_net.clients, of one of them */
	struct list_head others;	/* ring of them all */
	struct in6_addr addr;	/* see tftpk_client_addr() */
	u32 n;			/* how many there are, kept in that one */
	u32 pages;		/* that they have reserved, likewise */
	bool counted;
	u16 questions;		/* to the agent, likewise */
};

/* Who is sent to, and how to reach it. Of the transfer's lock where it does not say
 * otherwise.
 */
struct tftpk_peer {
	struct tftpk_client client;
	struct list_head unvalidated;	/* in tftpk_net.unvalidated, under
					 * tftpk_net.unvalidated_lock
					 */

	/* In the table: by the port that takes requests, and by the server's
	 * transfer identifier. Set before it is in there, but for @former.
	 */
	struct tftpk_node request;
	struct tftpk_node tid;
	bool request_hashed;	/* @request is in the table */
	bool tid_hashed;	/* @tid is */

	/* Who may be sent how much. */
	bool near;		/* see tftpk_limit_near(); set when it begins */
	bool bounded;		/* what is sent to it is, see tftpk_limit_charge_bytes();
				 * set when it begins
				 */
	bool paced;		/* and what its export sends, likewise */
	bool held;		/* a block waits for that */
	bool held_back;		/* that, or a smaller window, was noted */
	bool tell;		/* the work is to tell of that */
	u8 tos;			/* of what is sent, constant once it opens */
	bool validated;		/* see struct tftpk_transfer */
	u8 tries;		/* packets since the request, or since the ACK of
				 * the OACK, to an unvalidated client
				 */
	u16 turn;		/* blocks whose turn comes, or 0 */
	u64 turn_at;		/* and when, see tftpk_macroflow_charge() */
	struct list_head waiting;	/* for that, under the lock of its line */
	struct tftpk_macroflow *flow;	/* once it sends, else NULL */

	struct dst_entry *dst;	/* route, or NULL to look it up; no dst_cache,
				 * which has one for each CPU
				 */
	u32 dst_cookie;		/* see dst_check() */
	u32 hash;		/* of its packets, for queues */
	u16 ident;		/* of the next IPv4 packet */
	struct tftpk_rtt rtt;
};

/**
 * struct tftpk_sink - the file that an upload becomes, and what is on its way there
 * @window: what was received and acknowledged
 * @blocks: packets that are to be written, from their payload on; their locks are not
 *	used
 * @pack: the one of @blocks that has copies of small ones, or NULL
 * @size: bytes that the client will send, or TFTPK_SIZE_UNKNOWN
 * @max_size: bytes that the agent takes at most
 * @received: bytes that came in order
 * @written: bytes of them that are in the file; the work's own
 * @unwritten: memory of what came and is not written yet, see tftpk_net.unwritten
 * @attached: tftpk_net.attached when the file was opened
 * @held: an ACK waits until something is written
 * @cr: the last character written was a CR of netascii that stands for something
 *	with the next; the work's own
 * @text: room for converted text, or NULL; likewise
 *
 * Under the transfer's lock where it does not say otherwise.
 */
struct tftpk_sink {
	struct tftpk_rwindow window;
	struct sk_buff_head blocks;
	struct sk_buff *pack;
	u64 size;
	u64 max_size;
	u64 received;
	u64 written;
	u32 unwritten;
	u32 attached;
	bool held;
	bool cr;
	u8 *text;
};

#define TFTPK_SIZE_UNKNOWN	U64_MAX

/* Memory of an upload's blocks in bytes. ACKs wait above one half of it, which has room for a
 * window.
 */
#define TFTPK_SINK_MAX		BIT(20)
#define TFTPK_SINK_HIGH		(TFTPK_SINK_MAX / 2)
#define TFTPK_SINK_TEXT		4096U	/* bytes of room for text */

/* What is sent: an open file, and the pages of it that come next. */
struct tftpk_source {
	/* Written by the work alone, before the end of OPENING; but @inode and
	 * @cached also once a file of an overlay was copied up, under the lock.
	 */
	struct inode *inode;	/* that holds the data */
	u64 size;		/* at open */
	struct timespec64 mtime;	/* at open */
	struct tftpk_ring ring;	/* the pages to send */
	bool cached;		/* its page cache may be read without asking the
				 * file system
				 */
	bool foreign;		/* the file is the agent's */
	u32 ahead;		/* bytes to read beyond the window */
	struct file *file;
	struct tftpk_export *export;	/* where the file is, or may be; changed
					 * under the lock
					 */

	/* Under the lock. */
	u32 reserved;		/* pages of tftpk_net.pinned */
	u32 wanted;		/* pages to reserve once the client answers */
	union {			/* not cleared */
		struct page *small[TFTPK_RING_SMALL];	/* entries of a small
							 * ring
							 */
		struct tftpk_sink sink;	/* of an upload */
	};
};

/**
 * struct tftpk_waiting - a request whose file is not open yet, inside its own packet
 * @req: request; see TFTPK_REQUEST()
 * @answer: what the agent says, or NULL
 * @question: id of what it was asked and did not answer yet, or 0
 * @iif: interface that the request came in by
 *
 * Under the transfer's lock, but for @req.
 */
struct tftpk_waiting {
	struct tftpk_request req;
	struct tftpk_answer *answer;
	u32 question;
	int iif;
};

#define TFTPK_WAITING(skb) ((struct tftpk_waiting *)(skb)->cb)

/* A file on its way to a client, or from it. A client that reads is validated once it
 * has acknowledged a block: an OACK is small, and its ACK guessed at the cost of one
 * packet. One that writes is validated by its first block.
 */
struct tftpk_transfer {
	struct tftpk_peer peer;

	spinlock_t lock;	/* of what is said to be under it */
	refcount_t ref;		/* one until it is reaped, one for queued work;
				 * the last one has it closed
				 */

	/* Under the lock. */
	bool dead;		/* ended; nothing is queued or sent any more */
	bool working;		/* the work uses the network namespace, see
				 * tftpk_transfer_enter()
				 */
	bool again;		/* and is to run once more when it has left it */
	bool stuck;		/* its storage did not answer, and it holds the
				 * module
				 */
	bool announced;		/* events tell of it */
	bool limited;		/* its first block was beyond the source's rate */
	u8 phase;		/* enum tftpk_phase */
	bool awaits_refill;	/* the window had room that the ring cannot fill */
	bool filling;		/* the work reads into the ring, or writes blocks, or
				 * is to
				 */
	bool writing;		/* an upload: constant */

	/* What was negotiated: by the work alone, before the end of OPENING. */
	bool netascii;		/* a text to be converted (RFC 764): such a
				 * transfer has one block in flight
				 */
	u16 blksize;		/* payload bytes of a full block */
	u32 utimeout;		/* timeout option in microseconds, or 0 */

	u32 retransmitted;	/* blocks sent again; under the lock */

	/* What was sent and acknowledged: under the lock. */
	struct tftpk_window window;
	struct tftpk_netascii text[2];	/* where the block to be acknowledged
					 * begins, and the one after it
					 */
	struct timer_list timer;	/* for all that is waited for */
	unsigned long deadline;	/* jiffies when @timer has something to do; it
				 * may fire earlier
				 */
	unsigned long progress;	/* jiffies of the last progress, and by how
				 * much timers were late since
				 */

	/* Set when it begins, and constant. */
	struct tftpk_net *tn;
	u32 id;			/* number for people */
	u32 request_hash;	/* tells a repeated request from another one */
	u64 started_ns;		/* when it was asked for, by ktime_get_ns() */

	/* How it ended, where it did: under the lock. */
	const char *reason;	/* for people, or NULL */
	bool hint;		/* there was no ERROR: @reason says what may help */
	u16 error_code;		/* of the ERROR sent or received, with @reason */
	u8 outcome;		/* enum tftpk_outcome */

	/* The work's own. */
	u8 last_percent;	/* of the last progress event */
	bool asked;		/* events told of the request */
	bool last;		/* no export had the name; see struct tftpk_query */
	struct work_struct work;	/* opens, fills, closes */
	union {
		struct work_struct reap;	/* takes it apart, but for what waits
						 * for storage
						 */
		struct rcu_head rcu;	/* frees it, after that */
	};
	struct sk_buff *request_skb;	/* the request, until the file is open; of an
					 * upload to its end
					 */
	struct tftpk_options options;	/* what an OACK says */

	struct tftpk_source source;
};

/* Is the client asked by IPv4? */
static inline bool tftpk_is_v4(const struct tftpk_key *key)
{
	return key->port->listener->name.family == AF_INET;
}

/* Has the client shown that it got what was sent to it? */
static inline bool tftpk_transfer_validated(const struct tftpk_transfer *t)
{
	return t->peer.validated;
}

/* Does it wait for an answer of the agent, or may it? The request is there then. */
static inline bool tftpk_transfer_asks(const struct tftpk_transfer *t)
{
	return t->request_skb && (t->writing || t->phase == TFTPK_PHASE_OPENING);
}

/* Has it sent anything, and not ended? */
static inline bool tftpk_transfer_live(const struct tftpk_transfer *t)
{
	lockdep_assert_held(&t->lock);

	return !t->dead && t->phase != TFTPK_PHASE_OPENING;
}

/* Has it no port of its own? */
static inline bool tftpk_single_port(const struct tftpk_transfer *t)
{
	return t->peer.request.key.port->listener->single_port;
}

/* Pages that all transfers of a namespace may hold. */
static inline long tftpk_max_pinned(const struct tftpk_net *tn)
{
	return min_t(u64, LONG_MAX, (u64)READ_ONCE(tn->settings.max_pinned) <<
				    (20 - PAGE_SHIFT));
}

/* Position in the file of the first block that was not acknowledged. */
static inline u64 tftpk_transfer_acked_bytes(const struct tftpk_transfer *t)
{
	if (t->writing)
		return min(t->source.sink.window.acked * t->blksize,
			   t->source.sink.received);
	if (t->netascii)
		return t->text[0].pos;
	return min(t->window.acked * t->blksize, t->source.size);
}

/* Bytes of a full block's packet. */
static inline u32 tftpk_output_bytes(const struct tftpk_transfer *t)
{
	return t->blksize + tftpk_output_overhead(&t->peer.tid.key);
}

/* Payload bytes of a block, of a file that is not converted. */
static inline u32 tftpk_transfer_block_len(const struct tftpk_transfer *t,
					   u64 block)
{
	u64 left = t->source.size - (block - 1) * t->blksize;

	return min_t(u64, left, t->blksize);
}

/* The page that holds a position in the file. */
static inline struct page *tftpk_ring_page(const struct tftpk_ring *ring,
					   u64 pos)
{
	return ring->pages[(pos >> PAGE_SHIFT) & ring->mask];
}

/* limit.c */
#define TFTPK_STORED		0x10000	/* beside the number of a last block */

enum tftpk_reply {
	TFTPK_REPLY_REQUEST,	/* an OACK or an ERROR, to a read request */
	TFTPK_REPLY_OTHER,	/* an ERROR, to anything else */
};

bool tftpk_limit_near(struct tftpk_net *tn, const struct tftpk_key *key,
		      int iif);
bool tftpk_limit_answer(struct tftpk_net *tn, const struct tftpk_key *key,
			bool near, enum tftpk_reply kind);
u32 tftpk_limit_burst(const struct tftpk_net *tn, bool near);
bool tftpk_limit_block(struct tftpk_net *tn, const struct tftpk_key *key,
		       bool near);
u64 tftpk_limit_charge_bytes(struct tftpk_net *tn, const struct tftpk_key *key,
			     u32 bytes);
u64 tftpk_limit_charge_export(struct tftpk_export *export, u32 bytes);
void tftpk_limit_count_waiting(struct tftpk_net *tn, bool waits);
bool tftpk_limit_claim_event(struct tftpk_net *tn, const struct tftpk_key *key);
void tftpk_limit_note_guess(struct tftpk_net *tn, const struct tftpk_key *key);
void tftpk_limit_validated(struct tftpk_net *tn, const struct tftpk_key *key);
bool tftpk_limit_bounded(const struct tftpk_key *key, bool near);
u32 tftpk_limit_window(const struct tftpk_listener *listener, bool bounded);
void tftpk_limit_note_ended(struct tftpk_net *tn, const struct tftpk_key *key,
			    u32 stored);
void tftpk_limit_note_minding(struct tftpk_net *tn, const struct tftpk_key *key,
			      bool near);
bool tftpk_limit_minds_ahead(struct tftpk_net *tn, const struct tftpk_key *key,
			     bool near);
bool tftpk_limit_recently_ended(struct tftpk_net *tn, const struct tftpk_key *key,
				u32 *stored);

/* charge.c */
void tftpk_charge_note_bounded(struct tftpk_transfer *t);
void tftpk_charge_tell(struct tftpk_transfer *t);
bool tftpk_charge_blocks(struct tftpk_transfer *t, u32 *n, u64 now_ns);

/* turn.c */
void tftpk_turn_join(struct tftpk_transfer *t, u64 now_ns);
void tftpk_turn_leave(struct tftpk_transfer *t);
bool tftpk_turn_take(struct tftpk_transfer *t, u32 *n, u64 now_ns);
void tftpk_turn_note_ack(struct tftpk_transfer *t, u32 n, u32 us, u64 now_ns);
void tftpk_turn_note_loss(struct tftpk_transfer *t, u64 now_ns);

/* client.c */
int tftpk_client_add(struct tftpk_transfer *t,
		     const struct tftpk_transfer *former);
void tftpk_client_del(struct tftpk_transfer *t);
int tftpk_client_reserve(struct tftpk_transfer *t, u32 pages, long max);
void tftpk_client_unreserve(struct tftpk_transfer *t, u32 pages);
int tftpk_client_ask(struct tftpk_transfer *t);
void tftpk_client_forget(struct tftpk_transfer *t);
u32 tftpk_client_count(struct tftpk_transfer *t);
struct tftpk_transfer *tftpk_unvalidated_add(struct tftpk_transfer *t);
struct tftpk_transfer *tftpk_unvalidated_oldest(struct tftpk_transfer *t,
						unsigned long age);
void tftpk_unvalidated_del(struct tftpk_transfer *t);
void tftpk_unvalidated_touch(struct tftpk_transfer *t);

/* file.c */
const char *tftpk_file_error(int err, u16 *code);
const char *tftpk_file_refusal(const struct tftpk_export *export, int err,
			       u16 *code);
int tftpk_file_take(struct tftpk_source *source, spinlock_t *lock,
		    bool detect_changes, struct file *file);
int tftpk_file_open(struct tftpk_source *source, spinlock_t *lock,
		    bool detect_changes, const struct tftpk_answer *answer,
		    const struct tftpk_query *query);
int tftpk_file_fill(struct tftpk_source *source, spinlock_t *lock, u64 end,
		    u32 *copied);
bool tftpk_file_changed(const struct tftpk_source *source);
void tftpk_file_release(struct tftpk_source *source, u64 below);
void tftpk_file_close(struct tftpk_source *source);

/* A packet that waits for a work must hold nothing of the stack's. */
static inline void tftpk_keep_skb(struct sk_buff *skb)
{
	skb_orphan(skb);
	skb_dst_drop(skb);
	skb_ext_reset(skb);
	skb->dev = NULL;
}

/* sink.c */
const char *tftpk_sink_error(int err, u16 *code);
void tftpk_sink_init(struct tftpk_sink *sink, u64 size);
u32 tftpk_sink_window(u32 blksize);
bool tftpk_sink_put(struct tftpk_transfer *t, struct sk_buff *skb);
bool tftpk_sink_is_high(const struct tftpk_transfer *t);
u32 tftpk_sink_take(struct tftpk_transfer *t, struct sk_buff_head *batch);
int tftpk_sink_write(struct tftpk_source *source, struct sk_buff_head *batch,
		     bool netascii, bool end);
void tftpk_sink_free(struct sk_buff_head *batch);
void tftpk_sink_uncharge(struct tftpk_transfer *t, u32 truesize);
void tftpk_sink_drop(struct tftpk_transfer *t);
void tftpk_sink_close(struct tftpk_transfer *t);

/* ring.c */
u32 tftpk_ring_make(struct tftpk_transfer *t, u32 blksize, u32 windowsize);

/* event.c */
void tftpk_event_exit(void);
void tftpk_event_notice(struct tftpk_net *tn);
int tftpk_put_path(struct sk_buff *skb, int attr, const struct file *file);
int tftpk_put_transfer(struct sk_buff *skb, const struct tftpk_transfer *t);
void tftpk_event_transfer(struct tftpk_transfer *t,
			  enum tftpk_event_type type);
void tftpk_event_draining(struct tftpk_net *tn);
void tftpk_event_refused(const struct tftpk_key *key, const char *name,
			 u16 code, const char *reason);

/* table.c */
int tftpk_table_init(void);
void tftpk_table_exit(void);
struct tftpk_transfer *tftpk_table_find(const struct tftpk_key *key);
struct tftpk_transfer *tftpk_table_find_tid(const struct tftpk_key *key);
bool tftpk_table_sends_from(const struct tftpk_key *key);
int tftpk_table_add(struct tftpk_transfer *t);
int tftpk_table_add_known(struct tftpk_transfer *t);
void tftpk_table_make_way(struct tftpk_transfer *t);
void tftpk_table_del_request(struct tftpk_transfer *t);
void tftpk_table_del(struct tftpk_transfer *t);
int tftpk_table_number(struct tftpk_transfer *t);
void tftpk_table_unnumber(struct tftpk_transfer *t);
u32 tftpk_table_get(struct tftpk_net *tn, u32 after, u32 last,
		    struct tftpk_transfer **found, u32 n);

/* transfer.c */
int tftpk_transfer_init(void);
void tftpk_transfer_exit(void);
struct tftpk_transfer *tftpk_transfer_alloc(struct tftpk_net *tn,
					    const struct tftpk_key *key);
void tftpk_transfer_put(struct tftpk_transfer *t);
void tftpk_transfer_discard(struct tftpk_transfer *t);
void tftpk_transfer_queue(struct tftpk_transfer *t);
void tftpk_transfer_requeue(struct tftpk_transfer *t);
void tftpk_transfer_hold(struct tftpk_transfer *t, bool hold);
int tftpk_transfer_reserve(struct tftpk_transfer *t, u32 pages);
void tftpk_transfer_unreserve(struct tftpk_transfer *t);
bool tftpk_transfer_all_sent(const struct tftpk_transfer *t);
void tftpk_transfer_end(struct tftpk_transfer *t, enum tftpk_outcome outcome);
void tftpk_transfer_end_former(const struct tftpk_transfer *t,
			       struct tftpk_key key);
void tftpk_transfer_fail(struct tftpk_transfer *t, enum tftpk_outcome outcome,
			 u16 code, const char *text, struct tftpk_out *out);
void tftpk_transfer_end_unreadable(struct tftpk_transfer *t, int err,
				   struct tftpk_out *out);
void tftpk_transfer_evict(struct tftpk_transfer *t);
bool tftpk_unvalidated_evict_oldest(struct tftpk_transfer *t);
void tftpk_transfer_timed_out(struct tftpk_transfer *t,
			      struct tftpk_out *out);
void tftpk_transfer_reap(struct tftpk_transfer *t);
bool tftpk_transfer_enter(struct tftpk_transfer *t);
void tftpk_transfer_leave(struct tftpk_transfer *t);
bool tftpk_transfer_close(struct tftpk_transfer *t);
void tftpk_transfer_forget_request(struct tftpk_transfer *t);
void tftpk_transfer_note_minding(struct tftpk_transfer *t);
void tftpk_transfer_abort(const struct tftpk_key *key, u16 code);
void tftpk_transfer_end_unreachable(const struct tftpk_key *key);
void tftpk_transfer_validate(struct tftpk_transfer *t);

/* kill.c */
u32 tftpk_transfers_kill(struct tftpk_net *tn, const struct tftpk_match *match);
void tftpk_transfers_close(struct tftpk_net *tn);

/**
 * tftpk_transfer_arm() - let the timer do something
 * @t: transfer, locked
 * @us: microseconds until then
 *
 * A deadline that moves away leaves the timer alone: it finds out when it
 * fires. So an ACK that comes in time costs no timer operation.
 */
static inline void tftpk_transfer_arm(struct tftpk_transfer *t, u32 us)
{
	lockdep_assert_held(&t->lock);

	t->deadline = jiffies + usecs_to_jiffies(us) + 1;
	if (!timer_pending(&t->timer) ||
	    time_before(t->deadline, t->timer.expires))
		mod_timer(&t->timer, t->deadline);
}

/**
 * tftpk_transfer_lock() - lock a transfer, to send
 * @t: transfer
 * @out: takes what is to be sent
 *
 * Packets are built under the lock, and sent by tftpk_transfer_unlock_send() when
 * it is gone. Until then BH are disabled and RCU is read.
 *
 * Context: process or softirq.
 */
static inline void tftpk_transfer_lock(struct tftpk_transfer *t,
				       struct tftpk_out *out)
	__acquires(&t->lock)
{
	tftpk_out_init(out);
	local_bh_disable();
	rcu_read_lock();
	spin_lock(&t->lock);
}

/**
 * tftpk_transfer_unlock_send() - unlock a transfer, then send
 * @t: transfer; may go once this returns, unless the caller holds it
 * @out: what is to be sent
 *
 * Context: as tftpk_transfer_lock().
 */
static inline void tftpk_transfer_unlock_send(struct tftpk_transfer *t,
					      struct tftpk_out *out)
	__releases(&t->lock)
{
	struct net *net = t->tn->net;

	spin_unlock(&t->lock);
	tftpk_output_send(net, out);
	rcu_read_unlock();
	local_bh_enable();
}

/* send.c */
u64 tftpk_send_goal(const struct tftpk_transfer *t);
void tftpk_send_answer(struct tftpk_transfer *t, struct tftpk_out *out);
void tftpk_send_timer(struct timer_list *timer);
void tftpk_send_resume(struct tftpk_transfer *t, struct tftpk_out *out);
void tftpk_send_turn(struct tftpk_transfer *t);
bool tftpk_send_fill(struct tftpk_transfer *t, u64 goal, int *err);
void tftpk_send_refill(struct tftpk_transfer *t);
struct sk_buff *tftpk_send_ack(const struct tftpk_key *key, u16 block,
			       struct sk_buff *skb);

/* stray.c */
#define TFTPK_STRAY_ACK		U32_MAX

void tftpk_stray(const struct tftpk_key *key, const struct sk_buff *skb,
		 u32 data);

/* recv.c */
void tftpk_recv_answer(struct tftpk_transfer *t, struct tftpk_out *out);
void tftpk_recv_timer(struct timer_list *timer);
void tftpk_recv_run(struct tftpk_transfer *t);
void tftpk_recv_data(const struct tftpk_key *key, u16 block,
		     struct sk_buff *skb);

/* request.c */
/**
 * struct tftpk_arrival - a request as it came in
 * @hash: of its bytes
 * @iif: interface that it came in by
 * @near: see tftpk_limit_near()
 * @writes: it is a WRQ
 * @size: of a WRQ, bytes that the client will send, or TFTPK_SIZE_UNKNOWN
 */
struct tftpk_arrival {
	u32 hash;
	int iif;
	bool near;
	bool writes;
	u64 size;
};

int tftpk_request_negotiate(struct tftpk_transfer *t,
			    const struct tftpk_request *req);
void tftpk_request_setup(struct tftpk_transfer *t, bool writes);
const char *tftpk_request_let_in(struct tftpk_transfer *t)
	__acquires(&t->lock);
void tftpk_request(const struct tftpk_key *key, struct sk_buff *skb,
		   struct tftpk_arrival *arrival);

#endif /* _TFTPK_TRANSFER_H */
