/* SPDX-License-Identifier: GPL-2.0 */
/*
 * tftpk - TFTP server in the kernel
 *
 * How a request travels:
 *
 *   input.c     softirq: takes packets from the sockets, parses, finds the
 *               transfer
 *   transfer.c  a transfer's life, its lock and timer; the only room that
 *               crosses from softirq to process context, by queueing work
 *   file.c      process context: opens files, fills the page ring
 *   output.c    any context: turns ring entries into skbs and sends them
 *   window.c    pure: what an ACK means, what to send next
 *   proto.c     pure: packets to structures and back
 *   limit.c     softirq: admission
 *   server.c    process context: exports, listeners, namespaces
 *   netlink.c   process context: commands and dumps
 *   stats.c     counters
 *   event.c     events to listeners
 *   trace.c     tracepoints
 *
 * Locks, outermost first:
 *
 *   tftpk_net.mutex   configuration: exports, listeners, settings
 *   tftpk_net.lock    list of transfers (BH)
 *   tftpk_transfer.lock (BH)
 *   tftpk_net.unverified_lock (BH), tftpk_limit.lock (softirq)
 *
 * Nothing is sent with a lock held.
 */
#ifndef _TFTPK_H
#define _TFTPK_H

#include <linux/in6.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/path.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/ratelimit_types.h>
#include <linux/refcount.h>
#include <linux/rhashtable-types.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <linux/time64.h>
#include <linux/timer.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/workqueue.h>
#include <net/dst.h>
#include <net/net_namespace.h>
#include <uapi/linux/tftpk.h>

#include "proto.h"
#include "window.h"

#define TFTPK_PORT		69
#define TFTPK_POOL_SIZE		256	/* TID ports of a listener */
#define TFTPK_UNPRIVILEGED	65534	/* user and group that files are read as */

/* Pages that a transfer holds: of what is in flight and what comes next. */
#define TFTPK_RING_SMALL	32U	/* inside the transfer */
#define TFTPK_RING_MAX		256
#define TFTPK_RING_AHEAD	28	/* pages read beyond the window */

#define TFTPK_BURST_MAX		64	/* blocks sent in one go */
#define TFTPK_UNVERIFIED_TRIES	3	/* packets to a client that never ACKed */
#define TFTPK_UNVERIFIED_MS	5000	/* how long it is waited for */
#define TFTPK_UNPROVED_MS	10000	/* and if it has ACKed an OACK only */

struct file;
struct inode;
struct genl_info;
struct netlink_callback;
struct socket;
struct tftpk_limit;

/* ---- counters (stats.c) ---- */

/* One for each attribute of the netlink attribute set "stats". */
enum tftpk_counter {
	TFTPK_STAT_REQUESTS,
	TFTPK_STAT_REQUESTS_REPEATED,
	TFTPK_STAT_REQUESTS_REFUSED,
	TFTPK_STAT_REQUESTS_DROPPED,
	TFTPK_STAT_WRITES_REFUSED,
	TFTPK_STAT_PACKETS_MALFORMED,
	TFTPK_STAT_PACKETS_UNKNOWN,
	TFTPK_STAT_TRANSFERS_STARTED,
	TFTPK_STAT_TRANSFERS_COMPLETED,
	TFTPK_STAT_TRANSFERS_FAILED,
	TFTPK_STAT_TRANSFERS_ABORTED,
	TFTPK_STAT_TRANSFERS_ACTIVE,	/* not counted, but looked at */
	TFTPK_STAT_BLOCKS_SENT,
	TFTPK_STAT_BLOCKS_RETRANSMITTED,
	TFTPK_STAT_BYTES_SENT,
	TFTPK_STAT_BYTES_COPIED,
	TFTPK_STAT_SKBS_SENT,
	TFTPK_STAT_ACKS_RECEIVED,
	TFTPK_STAT_ACKS_IGNORED,
	TFTPK_STAT_TIMEOUTS,
	TFTPK_STAT_PROBES,
	TFTPK_STAT_REFILLS,
	TFTPK_STAT_SEND_ERRORS,
	TFTPK_STAT_REQUESTS_LIMITED,
	TFTPK_STAT_TRANSFERS_EVICTED,
	TFTPK_STAT_PACKETS_STRANGE,
	TFTPK_STAT_CLIENTS_UNREACHABLE,
	TFTPK_STAT_CLIENTS_PROBING,
	TFTPK_STAT_EVENTS_DROPPED,
	TFTPK_STAT_TRANSFERS_BOUNDED,
	__TFTPK_STAT_MAX
};

struct tftpk_stats {
	u64 count[__TFTPK_STAT_MAX];
};

/* ---- configuration (server.c) ---- */

/* What can be tuned; the netlink specification documents each member. Written
 * under the configuration's mutex, read with READ_ONCE() anywhere.
 */
struct tftpk_settings {
	u32 max_transfers;
	u32 max_blksize;
	u32 max_windowsize;
	u32 give_up;		/* seconds */
	u32 port_low;
	u32 port_high;
	u32 max_per_client;
	u32 max_unverified;
	u32 max_pinned;		/* MiB */
	u32 source_burst;
	u32 source_rate;	/* per second */
	u32 progress;		/* percent */
	u32 untrusted_rate;	/* KiB per second */
	u32 untrusted_total;	/* the same */
	bool zerocopy;
	bool gso;
	bool detect_changes;
	bool strict_options;
	bool clamp_mtu;
	bool reply_at_limit;
	bool draining;
};

/**
 * struct tftpk_export - a folder whose files are served
 * @list: in tftpk_net.exports; changed under the mutex, read under RCU
 * @ref: the list holds one, so does every transfer that opened a file
 * @dead: no transfer may begin any more
 * @id: number for people
 * @path: the folder; pins its mount
 * @cred: whom files are opened as
 * @name: absolute path when it was exported
 * @no_symlinks: follow none
 * @rcu: frees it
 * @prefix_len: length of @prefix
 * @prefix: folder that it appears as, without slashes at its ends
 */
struct tftpk_export {
	struct list_head list;
	refcount_t ref;
	bool dead;
	u32 id;
	struct path path;
	const struct cred *cred;
	char *name;
	bool no_symlinks;
	struct rcu_head rcu;
	u32 prefix_len;
	char prefix[];
};

/**
 * struct tftpk_export_options - how a folder is to be served
 * @prefix: folder that it appears as; slashes at its ends do not matter
 * @uid: whom files are opened as
 * @gid: and with which group
 * @no_symlinks: follow none
 */
struct tftpk_export_options {
	const char *prefix;
	kuid_t uid;
	kgid_t gid;
	bool no_symlinks;
};

/**
 * struct tftpk_listener_name - what tells listeners apart
 * @addr: local address, IPv4 in the last four bytes; all zero for any
 * @family: AF_INET or AF_INET6
 * @port: UDP port of the requests
 * @ifindex: interface or VRF that all its sockets are bound to, or 0
 */
struct tftpk_listener_name {
	struct in6_addr addr;
	u16 family;
	__be16 port;
	int ifindex;
};

/**
 * struct tftpk_port - a UDP socket of a listener
 * @listener: whose it is
 * @sock: kernel socket; its sk_user_data points here
 * @port: local port
 * @requests: takes requests; the others are transfer identifiers
 */
struct tftpk_port {
	struct tftpk_listener *listener;
	struct socket *sock;
	__be16 port;
	bool requests;
} __aligned(8);	/* the low bits of sk_user_data are flags */

/**
 * struct tftpk_listener - an address that requests are accepted on
 * @list: in tftpk_net.listeners, under the mutex
 * @tn: its namespace
 * @name: where it listens
 * @implicit: made by the first export
 * @single_port: its transfers have no port of their own
 * @broadcast: takes requests to a broadcast address, too
 * @dead: no transfer may begin any more
 * @main: takes the requests
 * @pool_size: how many @pool has
 * @users: transfers; waited for with wait_var_event()
 * @rcu: frees it
 * @pool: transfer identifiers (RFC 1350 section 4)
 */
struct tftpk_listener {
	struct list_head list;
	struct tftpk_net *tn;
	struct tftpk_listener_name name;
	bool implicit;
	bool single_port;
	bool broadcast;
	bool dead;
	struct tftpk_port main;
	u32 pool_size;
	atomic_t users;
	struct rcu_head rcu;
	struct tftpk_port pool[TFTPK_POOL_SIZE];
};

/**
 * struct tftpk_net - the server of a network namespace
 * @net: the namespace
 * @mutex: protects the configuration
 * @exports: struct tftpk_export; changed under @mutex, read under RCU
 * @listeners: struct tftpk_listener, under @mutex
 * @settings: written under @mutex
 * @trusted: networks; changed under @mutex, read under RCU
 * @limit: admission state, from the first listener on
 * @generation: counts changes of these lists, so that a dump can tell
 * @next_export: id of the next export, under @mutex
 * @stats: counters
 * @refusals: how often to tell of requests that were refused
 * @lock: protects @transfers, @next_transfer and @closing
 * @transfers: struct tftpk_transfer in the order of their ids
 * @next_transfer: id of the next transfer
 * @closing: no transfer may begin any more
 * @active: transfers that exist; waited for with wait_var_event()
 * @pinned: pages that transfers may hold by what was reserved for them
 * @unverified_lock: protects @unverified and @n_unverified
 * @unverified: transfers whose client has not acknowledged a block, oldest
 *	first: those whose source may be forged, and the others
 * @n_unverified: how many
 */
struct tftpk_net {
	struct net *net;
	struct mutex mutex;	/* configuration */
	struct list_head exports;
	struct list_head listeners;
	struct list_head trusted;
	struct tftpk_limit *limit;
	struct tftpk_settings settings;
	u32 generation;
	u32 next_export;
	struct tftpk_stats __percpu *stats;
	struct ratelimit_state refusals;

	spinlock_t lock;	/* list of transfers */
	struct list_head transfers;
	u32 next_transfer;
	bool closing;
	atomic_t active;
	atomic_long_t pinned;

	spinlock_t unverified_lock;	/* list of the unverified */
	struct list_head unverified[2];
	u32 n_unverified;
};

/* ---- transfers (transfer.c) ---- */

/**
 * struct tftpk_key - names a transfer
 * @client: address of the client, IPv4 in its mapped form
 * @port: socket that the client's packet arrived at
 * @scope: interface of a link-local client, or 0
 * @client_port: its UDP port
 * @former: 1 in the request's key of a transfer whose place a newer request of its
 *	client and port has taken, else 0
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

/**
 * struct tftpk_match - which transfers a command means
 * @export: those of this export, if not NULL
 * @listener: those of this listener, if not NULL
 * @client: those of this address, if not NULL; IPv4 in its mapped form
 * @client_port: those of this port, if not 0
 * @id: the one of this id, if not 0
 */
struct tftpk_match {
	const struct tftpk_export *export;
	const struct tftpk_listener *listener;
	const struct in6_addr *client;
	__be16 client_port;
	u32 id;
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

/**
 * struct tftpk_text - a place in a file that is sent as netascii
 * @pos: position in the file
 * @pending: second half of a pair whose first half was sent, or -1
 */
struct tftpk_text {
	u64 pos;
	int pending;
};

/**
 * struct tftpk_transfer - a file on its way to a client
 * @request: in the table, by the port that takes requests
 * @tid: in the table, by the server's transfer identifier
 * @lock: protects all below but what only the work touches
 * @ref: one for the tables, one for queued work
 * @dead: ended; nothing may be queued or sent any more
 * @reaped: the work has begun to take it apart
 * @hashed: bit 0: @request is in the table, bit 1: @tid is
 * @state: for people and for what a timeout means
 * @known: its source is not forged, see tftpk_limit_known()
 * @bounded: what is sent to its source is bounded, see tftpk_limit_bytes()
 * @held: a block waits for that
 * @held_back: that, or a smaller window, was noted
 * @tell: the work is to tell of that
 * @announced: listeners to events know of it
 * @oack: the client waits for an OACK, not for a block
 * @starved: the window had room, the ring had nothing
 * @filling: the work is reading into the ring, or was asked to
 * @tries: packets sent since the request, or since the ACK of the OACK, to a
 *	client that has not acknowledged a block
 * @netascii: the file is a text to be converted (RFC 764); such a transfer
 *	has one block in flight
 * @utimeout: the client's timeout option in microseconds, or 0
 * @blksize: payload bytes of a full block
 * @window: what was sent and acknowledged
 * @rtt: round-trip estimate
 * @retransmitted: blocks sent again
 * @outcome: how it ended, where it did
 * @error_code: of the ERROR that was sent or received, where there is a reason
 * @reason: for people, or NULL
 * @told: percent of the file that the last progress event told of
 * @options: what an OACK says
 * @text: where the block to be acknowledged begins, and the one after it
 * @dst: route, or NULL to look it up; checked with @dst_cookie
 * @dst_cookie: see dst_check()
 * @readers: dumps that look at @file; it stays open for them. They come under
 *	the lock and only while the transfer is not dead.
 * @timer: one timer for all that is waited for
 * @deadline: jiffies when @timer has something to do; it may fire earlier
 * @progress: jiffies of the last progress, and by how much timers were late since
 * @work: opens, fills, reaps
 * @tn: namespace's server
 * @list: in tftpk_net.transfers
 * @unverified: in tftpk_net.unverified
 * @id: number for people
 * @started: jiffies of the request
 * @request_hash: tells a repeated request from another one
 * @request_skb: the request, until the file is open
 * @export: where the file is
 * @file: the open file
 * @inode: the inode that holds the data
 * @cached: its page cache may be read without asking the file system
 * @size: its size at open
 * @mtime: its modification time at open
 * @ahead: bytes to read beyond the window
 * @reserved: pages of tftpk_net.pinned
 * @ring: the pages to send
 * @small: entries of a small ring
 * @rcu: frees it
 */
struct tftpk_transfer {
	struct tftpk_node request;
	struct tftpk_node tid;

	spinlock_t lock;	/* all below, but what only the work uses */
	refcount_t ref;
	bool dead;
	bool reaped;
	u8 hashed;
	u8 state;
	bool announced;
	bool known;
	bool bounded;
	bool held;
	bool held_back;
	bool tell;
	bool oack;
	bool starved;
	bool filling;
	u8 tries;
	bool netascii;
	u16 blksize;
	u32 utimeout;
	struct tftpk_window window;
	struct tftpk_rtt rtt;
	u32 retransmitted;
	u8 outcome;
	u8 told;
	u16 error_code;
	const char *reason;
	struct tftpk_options options;
	struct tftpk_text text[2];
	struct dst_entry *dst;
	u32 dst_cookie;
	atomic_t readers;

	struct timer_list timer;
	unsigned long deadline;
	unsigned long progress;
	struct work_struct work;

	struct tftpk_net *tn;
	struct list_head list;
	struct list_head unverified;
	u32 id;
	unsigned long started;
	u32 request_hash;
	struct sk_buff *request_skb;

	struct tftpk_export *export;
	struct file *file;
	struct inode *inode;
	bool cached;
	u64 size;
	struct timespec64 mtime;

	u32 ahead;
	u32 reserved;
	struct tftpk_ring ring;
	struct page *small[TFTPK_RING_SMALL];
	struct rcu_head rcu;
};

/* A request waits for its work inside its own packet. */
#define TFTPK_REQUEST(skb) ((struct tftpk_request *)(skb)->cb)

/* main.c */
extern unsigned int tftpk_net_id;
struct tftpk_net *tftpk_net(const struct net *net);

/* server.c */
int tftpk_server_init(void);
void tftpk_server_exit(void);
int tftpk_export_add(struct tftpk_net *tn, const char *name,
		     const struct tftpk_export_options *options,
		     struct tftpk_export **result,
		     struct netlink_ext_ack *extack);
int tftpk_export_del(struct tftpk_net *tn, const char *name,
		     const char *prefix, struct netlink_ext_ack *extack);
void tftpk_export_put(struct tftpk_export *export);
int tftpk_listener_add(struct tftpk_net *tn,
		       const struct tftpk_listener_name *names, int n,
		       bool single_port, bool broadcast,
		       struct netlink_ext_ack *extack);
int tftpk_listener_del(struct tftpk_net *tn,
		       const struct tftpk_listener_name *names, int n,
		       struct netlink_ext_ack *extack);
int tftpk_listeners_reopen(struct tftpk_net *tn, u32 low, u32 high,
			   struct netlink_ext_ack *extack);

/* netlink.c */
int tftpk_netlink_init(void);
void tftpk_netlink_exit(void);

/* input.c */
void tftpk_input_attach(struct sock *sk, struct tftpk_port *port);

/* limit.c */
int tftpk_limit_init(struct tftpk_net *tn);
void tftpk_limit_exit(struct tftpk_net *tn);
bool tftpk_limit_known(struct tftpk_net *tn, const struct tftpk_key *key);
bool tftpk_limit_request(struct tftpk_net *tn, const struct tftpk_key *key,
			 bool known);
u64 tftpk_limit_bytes(struct tftpk_net *tn, const struct tftpk_key *key,
		      u32 bytes);
void tftpk_limit_waits(struct tftpk_net *tn, bool waits);
bool tftpk_limit_tell(struct tftpk_net *tn, const struct tftpk_key *key);
void tftpk_limit_guessed(struct tftpk_net *tn);
u32 tftpk_limit_window(const struct tftpk_listener *listener, bool known);
void tftpk_limit_ended(struct tftpk_net *tn, const struct tftpk_key *key);
bool tftpk_limit_late(struct tftpk_net *tn, const struct tftpk_key *key);
int tftpk_trust_add(struct tftpk_net *tn, const struct in6_addr *addr,
		    u8 plen);
int tftpk_trust_del(struct tftpk_net *tn, const struct in6_addr *addr,
		    u8 plen);
const struct in6_addr *tftpk_trust_nth(struct tftpk_net *tn, u32 n, u8 *plen);

/* transfer.c */
int tftpk_transfer_init(void);
void tftpk_transfer_exit(void);
void tftpk_transfer_request(const struct tftpk_key *key, struct sk_buff *skb,
			    u32 hash);
void tftpk_transfer_ack(const struct tftpk_key *key, u16 block);
void tftpk_transfer_abort(const struct tftpk_key *key, u16 code);
void tftpk_transfer_unreachable(const struct tftpk_key *key);
bool tftpk_transfer_speaks(const struct tftpk_key *key);
u64 tftpk_transfer_acked_bytes(const struct tftpk_transfer *t);
void tftpk_transfer_put(struct tftpk_transfer *t);
u32 tftpk_transfers_get(struct tftpk_net *tn, u32 after,
			struct tftpk_transfer **found, u32 n);
u32 tftpk_transfers_kill(struct tftpk_net *tn, const struct tftpk_match *match);
void tftpk_transfers_close(struct tftpk_net *tn);

/* file.c */
struct file *tftpk_file_lookup(struct tftpk_net *tn, const char *name,
			       struct tftpk_export **export);
const char *tftpk_file_error(int err, u16 *code);
int tftpk_file_open(struct tftpk_transfer *t, const char *name);
int tftpk_file_fill(struct tftpk_transfer *t, u64 end);
bool tftpk_file_changed(const struct tftpk_transfer *t);
void tftpk_file_release(struct tftpk_transfer *t, u64 below);
void tftpk_file_close(struct tftpk_transfer *t);

/* output.c */
int tftpk_output_init(void);
void tftpk_output_exit(void);
struct dst_entry *tftpk_output_route(struct tftpk_transfer *t);
bool tftpk_output_onlink(struct net *net, const struct tftpk_key *key);
int tftpk_output_source(struct net *net, struct tftpk_key *key, int ifindex);
u32 tftpk_output_mtu_blksize(const struct tftpk_transfer *t,
			     const struct dst_entry *dst);
u32 tftpk_output_size(const struct tftpk_transfer *t);
u32 tftpk_output_blocks(struct tftpk_transfer *t, u64 first, u32 n,
			struct sk_buff_head *out);
int tftpk_output_packet(struct tftpk_transfer *t, const void *data, size_t len,
			struct sk_buff_head *out);
void tftpk_output_send(struct net *net, struct sk_buff_head *out);
void tftpk_output_error(const struct tftpk_key *key, struct net *net, u16 code,
			const char *text);

/* event.c */
void tftpk_event_transfer(struct tftpk_transfer *t,
			  enum tftpk_event_type type);
void tftpk_event_refused(const struct tftpk_key *key, const char *name,
			 u16 code, const char *reason);

/* stats.c */
int tftpk_stats_init(struct tftpk_net *tn);
void tftpk_stats_exit(struct tftpk_net *tn);
void tftpk_stats_read(const struct tftpk_net *tn, u64 *count);

/* Of this CPU; from any context. */
static inline void tftpk_stats_add(struct tftpk_net *tn, enum tftpk_counter c,
				   u64 n)
{
	this_cpu_add(tn->stats->count[c], n);
}

static inline void tftpk_stats_inc(struct tftpk_net *tn, enum tftpk_counter c)
{
	tftpk_stats_add(tn, c, 1);
}

#endif /* _TFTPK_H */
