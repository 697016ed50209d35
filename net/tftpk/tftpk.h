/* SPDX-License-Identifier: GPL-2.0 */
/*
 * tftpk - TFTP server in the kernel
 *
 * How a request travels:
 *
 *   input.c     softirq: takes packets from the sockets, parses
 *   request.c   from a request to a transfer: admission, file, options
 *   send.c      ACKs and the timer, bursts, refills
 *   recv.c      of uploads: DATA and the timer, ACKs, writing
 *   stray.c     packets that belong to no transfer
 *   kill.c      ending transfers by command
 *   transfer.c  a transfer's life: references, end
 *   table.c     transfers by client and port, and by id
 *   limit.c     admission: rates of sources, who guesses, who was just served
 *   silence.c   silence towards clients that may be another server's
 *   client.c    transfers of clients: how many, which are unvalidated
 *   trust.c     networks that are trusted
 *   resolve.c   asking the agent, and going on with its answer
 *   question.c  questions that wait for the agent
 *   answer.c    answers, and what is remembered of them
 *   file.c      process context: opens files, fills the page ring
 *   sink.c      uploads: packets that wait, and process context: writes them
 *   ring.c      process context: room for the pages of a file
 *   output.c    any context: turns ring entries into skbs and sends them
 *   route.c     routes to clients, and who is on a link; neighbours
 *   event.c     what netlink tells of a transfer: events, and entries of dumps
 *   net.c       life of what belongs to a network namespace
 *   name.c      what a name stands for: which file of which export
 *   export.c    folders that are served
 *   storage.c   waiting for storage
 *   ahead.c     pure: blocks beyond the ACK of a client without a window
 *   window.c    pure: what an ACK means, what to send next, how long to wait
 *   rwindow.c   pure: what a DATA packet means, when to acknowledge
 *   proto.c     pure: packets to structures and back
 *   netascii.c  pure: text as netascii
 *   stats.c     counters and histograms
 *   spec.c      generated: the settings' places and defaults
 *   trace.c     tracepoints
 *
 * and what is configured:
 *
 *   main.c      loading and unloading
 *   config.c    process context: commands and dumps of what is configured
 *   netlink.c   process context: other commands and dumps
 *   histogram.c process context: the dump of histograms
 *   save.c      process context: transfers as messages, sealed by a key
 *   adopt.c     process context: going on with transfers of another server
 *   agent.c     process context: commands and dumps of the agent
 *   save.c      process context: transfers for another server, and what proves them
 *   adopt.c     process context: transfers of another server
 *   genl.c      made from the specification: the family, and what it accepts
 *   server.c    process context: what each namespace serves, and where
 *   listener.c  process context: the sockets of a listener
 *
 * compat.h holds every difference between kernel versions.
 *
 * Locks, outermost first:
 *
 *   tftpk_net.mutex   configuration: exports, listeners, settings; never under
 *                     RTNL, as its owner may wait for transfers to end
 *   tftpk_net.transfers' own: transfers by id (BH)
 *   tftpk_transfer.lock (BH)
 *   tftpk_net.questions' own (BH), tftpk_net.unvalidated_lock (BH),
 *   tftpk_net.clients_lock, tftpk_net.answers_lock (BH), tftpk_limit.lock (softirq) and
 *   tftpk_silence.lock (softirq)
 *
 * Nothing is sent with a lock held.
 *
 * IPv4 addresses are in their mapped form (::ffff:192.0.2.1), but for packets and
 * netlink messages.
 */
#ifndef _TFTPK_H
#define _TFTPK_H

#include <linux/completion.h>
#include <linux/if.h>
#include <linux/in6.h>
#include <linux/kernel.h>
#include <linux/mutex.h>
#include <linux/path.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/ratelimit_types.h>
#include <linux/refcount.h>
#include <linux/rhashtable-types.h>
#include <linux/siphash.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/u64_stats_sync.h>
#include <linux/uidgid.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <uapi/linux/tftpk.h>

#include "proto.h"
#include "window.h"

#define TFTPK_PORT		69
#define TFTPK_POOL_SIZE		256	/* TID ports of a listener */
#define TFTPK_UNPRIVILEGED	65534	/* user and group that files are read as */

struct cred;
struct sock;
struct socket;
struct netlink_ext_ack;
struct tftpk_limit;
struct tftpk_lines;
struct tftpk_silence;
struct tftpk_transfer;

/* ---- counters (stats.c) ---- */

#define TFTPK_BUCKETS	12	/* of a histogram; the last one has no bound */

/* Of a histogram each bucket is a counter, and the sum another one. */
#define TFTPK_HISTOGRAM_CELL(what) \
	(__TFTPK_A_STATS_MAX + (what) * (TFTPK_BUCKETS + 1))
#define TFTPK_STATS_CELLS	TFTPK_HISTOGRAM_CELL(__TFTPK_HISTOGRAM_MAX)

/* By attribute of the netlink attribute set "stats", then the histograms. */
struct tftpk_stats {
	u64 count[TFTPK_STATS_CELLS];
	struct u64_stats_sync syncp;	/* where counters take two words */
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
	u32 min_timeout;	/* milliseconds */
	u32 resolve;		/* enum tftpk_resolve */
	u32 resolve_timeout;	/* seconds */
	u32 resolve_policy;	/* enum tftpk_resolve_policy */
	u32 max_pending;
	u32 max_unwritten;	/* MiB */
	u32 store_timeout;	/* seconds */
	u32 send_ahead;		/* blocks */
	u32 send_ahead_to;	/* enum tftpk_send_ahead_to */
	u32 crowd;		/* transfers */
	bool zerocopy;
	bool gso;
	bool detect_changes;
	bool strict_options;
	bool clamp_mtu;
	bool reply_at_limit;
	bool draining;
	bool discover_mtu;
	bool uploads;
};

#define TFTPK_UNSET	U32_MAX

/**
 * struct tftpk_network - addresses that begin with the same bits
 * @addr: address; its other bits are 0
 * @plen: bits that count, 96 and more for IPv4
 */
struct tftpk_network {
	struct in6_addr addr;
	u8 plen;
};

/**
 * struct tftpk_audience - a network whose clients see an export, or do not
 * @network: network
 * @excluded: they do not
 */
struct tftpk_audience {
	struct tftpk_network network;
	bool excluded;
};

/**
 * struct tftpk_export_options - how a folder is to be served
 * @prefix: folder that it appears as; slashes at its ends do not matter
 * @default_file: below the folder, for names that no export has, or NULL
 * @refusal: text of the ERROR to who gets nothing, or NULL
 * @audience: who sees it, the longest network first
 * @n_audience: how many of these there are; all clients see it if there is none
 * @uid: whom files are opened as
 * @gid: and with which group
 * @root_by: names are looked up in a folder of the client's own first
 * @max_blksize: largest block in bytes, or TFTPK_UNSET to go by the setting
 * @min_timeout: milliseconds, or TFTPK_UNSET
 * @send_ahead: blocks beyond the ACK, or TFTPK_UNSET
 * @max_rate: KiB per second that its clients are sent together, or 0 for any
 * @rollover: number of the block after 65535, for clients that do not say
 * @no_symlinks: follow none
 * @dscp: of the packets of its transfers
 * @no_tsize: do not grant that option
 * @only: in that folder alone
 * @drop_first_folder: where it is missing, look up names without it
 */
struct tftpk_export_options {
	const char *prefix;
	const char *default_file;
	const char *refusal;
	const struct tftpk_audience *audience;
	u32 n_audience;
	kuid_t uid;
	kgid_t gid;
	enum tftpk_root_by root_by;
	u32 max_blksize;
	u32 min_timeout;
	u32 send_ahead;
	u32 max_rate;
	u8 rollover;
	u8 dscp;
	bool no_symlinks;
	bool no_tsize;
	bool only;
	bool drop_first_folder;
};

/**
 * struct tftpk_setting - what an attribute of the set "settings" sets
 * @offset: of the member of struct tftpk_settings
 * @is_switch: the member is a bool; the others are u32
 * @preset: default
 */
struct tftpk_setting {
	u16 offset;
	bool is_switch;
	u32 preset;
};

/**
 * struct tftpk_export - a folder whose files are served
 * @list: in tftpk_net.exports; changed under the mutex, read under RCU
 * @ref: of this memory; one until it is closed, one for whoever took it off the list
 * @users: the list, transfers and commands that open files; the last one has it
 *	closed
 * @gone: it is closed: no file is open, and its mount is not used
 * @stuck: its storage did not answer when it was to be closed, and it holds the module
 * @wq: for all that may wait for its storage
 * @close: the last work there
 * @destroy: the work that follows, elsewhere
 * @id: number for people
 * @path: the folder; pins its mount
 * @cred: whom files are opened as
 * @name: absolute path when it was exported
 * @options: how it is served; what it points to follows this structure. The prefix
 *	has no slashes at its ends.
 * @rcu: frees it
 * @prefix_len: length of the prefix
 * @paced_ns: TAT of what is sent, where there is a rate, see limit.c
 * @waiting: its transfers that wait for that
 * @audience: that of @options
 */
struct tftpk_export {
	struct list_head list;
	refcount_t ref;
	refcount_t users;
	struct completion gone;
	bool stuck;
	struct workqueue_struct *wq;
	struct work_struct close;
	struct work_struct destroy;
	u32 id;
	struct path path;
	const struct cred *cred;
	char *name;
	struct tftpk_export_options options;
	struct rcu_head rcu;
	u32 prefix_len;
	atomic64_t paced_ns;
	atomic_t waiting;
	struct tftpk_audience audience[];
};

/**
 * struct tftpk_query - what is asked for, and by whom
 * @name: path as a client sends it
 * @client: its address, or NULL for nobody in particular
 * @mac: address of its link layer, or NULL where that is not known
 * @last: no export has the name: what is there for such names?
 */
struct tftpk_query {
	const char *name;
	const struct in6_addr *client;
	const u8 *mac;
	bool last;
};

/**
 * struct tftpk_listener_name - what tells listeners apart
 * @addr: local address; any one of a family is that of zeros
 * @family: AF_INET or AF_INET6
 * @port: UDP port of the requests
 * @interface: name of the interface or VRF that all its sockets are bound to, or ""
 * @ifindex: its number; 0 while there is none of that name
 */
struct tftpk_listener_name {
	struct in6_addr addr;
	u16 family;
	__be16 port;
	char interface[IFNAMSIZ];
	int ifindex;
};

/**
 * struct tftpk_listener_options - how a listener is to answer
 * @single_port: from its own port; transfers get none
 * @broadcast: requests to a broadcast address, too
 * @anycast: see struct tftpk_listener
 */
struct tftpk_listener_options {
	bool single_port;
	bool broadcast;
	u32 anycast;
};

/**
 * struct tftpk_port - a UDP socket of a listener
 * @listener: whose it is
 * @sock: kernel socket; its sk_user_data points here
 * @port: local port
 * @requests: takes requests; the others are transfer identifiers
 * @newest: of the transfers that have it as identifier, the one that began last, or
 *	NULL: it is looked at before the table. Set and cleared with its place there
 */
struct tftpk_port {
	struct tftpk_listener *listener;
	struct socket *sock;
	__be16 port;
	bool requests;
	struct tftpk_transfer __rcu *newest;
} __aligned(8);	/* the low bits of sk_user_data are flags */

/**
 * struct tftpk_listener - an address that requests are accepted on
 * @list: in tftpk_net.listeners, under the mutex
 * @tn: its namespace
 * @id: number, never used twice
 * @name: where it listens
 * @implicit: made by the first export
 * @single_port: its transfers have no port of their own
 * @broadcast: takes requests to a broadcast address, too
 * @anycast: seconds of silence towards who sends what belongs to no transfer, or
 *	TFTPK_ANYCAST_NEVER to answer that
 * @silence: who they are, if there is an end to it
 * @dead: no transfer may begin any more
 * @main: takes the requests; without a socket while there is no interface
 * @pool_size: how many @pool has
 * @users: transfers; waited for with wait_var_event()
 * @rcu: frees it
 * @pool: transfer identifiers (RFC 1350 section 4)
 */
struct tftpk_listener {
	struct list_head list;
	struct tftpk_net *tn;
	u32 id;
	struct tftpk_listener_name name;
	bool implicit;
	bool single_port;
	bool broadcast;
	u32 anycast;
	struct tftpk_silence *silence;
	bool dead;
	struct tftpk_port main;
	u32 pool_size;
	atomic_t users;
	struct rcu_head rcu;
	struct tftpk_port pool[TFTPK_POOL_SIZE];
};

/* Has it an interface, and that does not exist? */
static inline bool tftpk_listener_waits(const struct tftpk_listener *listener)
{
	return *listener->name.interface && !listener->name.ifindex;
}

/**
 * struct tftpk_trust - a network whose sources are trusted
 * @list: in tftpk_net.trusted
 * @network: network
 * @rcu: frees it
 */
struct tftpk_trust {
	struct list_head list;
	struct tftpk_network network;
	struct rcu_head rcu;
};

/**
 * struct tftpk_net - the server of a network namespace
 * @ref: the namespace holds one, so does every transfer
 * @net: the namespace; not for what waited for storage, see tftpk_transfer_enter()
 * @mutex: protects the configuration
 * @exports: struct tftpk_export; changed under @mutex, read under RCU
 * @listeners: struct tftpk_listener; changed under @mutex, read under RCU
 * @follow: work that binds listeners to the interfaces that there are
 * @settings: written under @mutex
 * @trusted: struct tftpk_trust; changed under @mutex, read under RCU
 * @limit: admission state, from the first listener on
 * @lines: who waits for others to send, likewise
 * @generation: counts changes of these lists, so that a dump can tell
 * @next_export: id of the next export, under @mutex
 * @next_listener: id of the next listener, likewise
 * @stats: counters
 * @refusals: how often to tell of requests that were refused
 * @transfers: struct tftpk_transfer by their ids; its lock protects what follows
 *	up to @closing
 * @next_transfer: least id of the next transfer
 * @last_transfer: id that a transfer no longer has but that keeps its place, or 0
 * @closing: no transfer may begin any more
 * @active: transfers that were not reaped; waited for with wait_var_event()
 * @pinned: pages that transfers may hold by what was reserved for them
 * @unwritten: bytes of memory of uploads' blocks that are not written yet
 * @clients: struct tftpk_peer, one for each client that has transfers
 * @clients_lock: protects what @clients leads to
 * @unvalidated_lock: protects @unvalidated and @n_unvalidated
 * @unvalidated: transfers whose client has not acknowledged a block, oldest
 *	first: those whose source may be forged, and the others
 * @n_unvalidated: how many
 * @agent: port of the netlink socket that answers questions, or 0; written under @mutex
 * @attached: how many agents there have been; likewise
 * @noticed: the agent was told that there are questions, and did not look yet
 * @questions: struct tftpk_question by their ids; its lock protects what follows up to
 *	@n_far
 * @next_question: least id of the next question
 * @n_questions: how many there are
 * @n_far: how many of them are of clients that are not near
 * @answers: struct tftpk_memory, by what they answer
 * @answers_lock: protects the lists of @remembered, and what follows them
 * @remembered: the same, oldest first: those that give something, and those that give
 *	nothing
 * @n_remembered: how many of each
 * @answers_pinned: pages of @pinned that their files take
 * @flushes: how often all were forgotten
 * @expire: work that forgets what is too old
 * @key: seals what is saved of transfers, under @mutex
 * @keyed: there is one, likewise
 */
struct tftpk_net {
	refcount_t ref;
	struct net *net;
	struct mutex mutex;	/* configuration */
	struct list_head exports;
	struct list_head listeners;
	struct work_struct follow;
	struct list_head trusted;
	struct tftpk_limit *limit;
	struct tftpk_lines *lines;
	struct tftpk_settings settings;
	u32 generation;
	u32 next_export;
	u32 next_listener;
	struct tftpk_stats __percpu *stats;
	struct ratelimit_state refusals;

	struct xarray transfers;
	u32 next_transfer;
	u32 last_transfer;
	bool closing;
	atomic_t active;
	atomic_long_t pinned;
	atomic_long_t unwritten;

	struct rhashtable clients;
	spinlock_t clients_lock;	/* struct tftpk_client */
	spinlock_t unvalidated_lock;	/* list of the unvalidated */
	struct list_head unvalidated[2];
	u32 n_unvalidated;

	u32 agent;
	u32 attached;
	bool noticed;
	struct xarray questions;
	u32 next_question;
	u32 n_questions;
	u32 n_far;
	struct rhashtable answers;
	spinlock_t answers_lock;	/* memory of answers */
	struct list_head remembered[2];
	u32 n_remembered[2];
	long answers_pinned;
	u32 flushes;
	struct delayed_work expire;
	siphash_key_t key;
	bool keyed;
};

/**
 * struct tftpk_match - which transfers a command means
 * @export: those of this export, if not NULL
 * @listener: those of this listener, if not NULL
 * @client: those of this address, if not NULL
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

/* A request waits for its work inside its own packet. */
#define TFTPK_REQUEST(skb) ((struct tftpk_request *)(skb)->cb)

/* listener.c */
int tftpk_listeners_init(void);
void tftpk_listeners_exit(void);
struct tftpk_listener *
tftpk_listener_make(struct tftpk_net *tn,
		    const struct tftpk_listener_name *name,
		    const struct tftpk_listener_options *options);
void tftpk_listener_detach(struct tftpk_listener *listener);
void tftpk_listener_free(struct tftpk_listener *listener);
void tftpk_listener_close(struct tftpk_listener *listener);
int tftpk_listener_renew(struct tftpk_listener *listener);
void tftpk_listener_follow(struct tftpk_listener *listener);

/* server.c */
int tftpk_server_init(void);
void tftpk_server_exit(void);
int tftpk_server_export(struct tftpk_net *tn, struct tftpk_export *export,
			struct netlink_ext_ack *extack);
int tftpk_server_unexport(struct tftpk_net *tn, const char *name,
			  const struct path *path, const char *prefix,
			  struct list_head *ended,
			  struct netlink_ext_ack *extack);
int tftpk_listener_add(struct tftpk_net *tn,
		       const struct tftpk_listener_name *names, int n,
		       const struct tftpk_listener_options *options,
		       struct netlink_ext_ack *extack);
int tftpk_listener_del(struct tftpk_net *tn,
		       const struct tftpk_listener_name *names, int n,
		       struct netlink_ext_ack *extack);
int tftpk_listeners_reopen(struct tftpk_net *tn, u32 low, u32 high,
			   struct netlink_ext_ack *extack);

/* export.c */
struct tftpk_export *
tftpk_export_make(const char *name, const struct tftpk_export_options *options,
		  struct netlink_ext_ack *extack);
void tftpk_export_unmake(struct tftpk_export *export);
void tftpk_export_put(struct tftpk_export *export);
int tftpk_export_end(struct tftpk_export *export, unsigned long deadline);
int tftpk_export_path(const char *name, struct path *path);
bool tftpk_export_has_prefix(const struct tftpk_export *export,
			     const char *prefix);
void tftpk_exports_exit(void);

/* name.c */
struct tftpk_export *tftpk_export_next(const struct tftpk_net *tn,
				       const struct tftpk_query *query,
				       const struct tftpk_export *prev);
struct tftpk_export *tftpk_export_last(const struct tftpk_net *tn,
				       const struct tftpk_query *query);
struct file *tftpk_open_path(const struct path *path, const struct cred *cred);
struct file *tftpk_export_open(const struct tftpk_export *export,
			       const struct tftpk_query *query);
struct file *tftpk_export_look_up(const struct tftpk_net *tn,
				  struct tftpk_query query, bool last,
				  struct tftpk_export **found);

/* Is there no file of that name? */
static inline bool tftpk_is_missing(long err)
{
	return err == -ENOENT || err == -ENOTDIR || err == -ENAMETOOLONG ||
	       err == -ELOOP;
}

/* net.c */
struct tftpk_net *tftpk_net_alloc(struct net *net);
void tftpk_net_get(struct tftpk_net *tn);
void tftpk_net_put(struct tftpk_net *tn);
void tftpk_net_changed(struct tftpk_net *tn);

/* netlink.c */
int tftpk_netlink_init(void);
void tftpk_netlink_exit(void);

/* agent.c */
int tftpk_agent_init(void);
void tftpk_agent_exit(void);

/* input.c */
void tftpk_input_attach(struct sock *sk, struct tftpk_port *port);

/* client.c */
int tftpk_client_init(struct tftpk_net *tn);
void tftpk_client_exit(struct tftpk_net *tn);

/* limit.c */
int tftpk_limit_init(struct tftpk_net *tn);
void tftpk_limit_exit(struct tftpk_net *tn);

/* turn.c */
int tftpk_turn_init(struct tftpk_net *tn,
		    void (*send)(struct tftpk_transfer *t));
void tftpk_turn_exit(struct tftpk_net *tn);

/* trust.c */
void tftpk_network_set(struct tftpk_network *network,
		       const struct in6_addr *addr, u8 plen);
bool tftpk_network_has(const struct tftpk_network *network,
		       const struct in6_addr *client);
int tftpk_trust_add(struct tftpk_net *tn, const struct tftpk_network *network);
int tftpk_trust_del(struct tftpk_net *tn, const struct tftpk_network *network);
const struct tftpk_trust *tftpk_trust_of(const struct tftpk_net *tn,
					 const struct in6_addr *client);
void tftpk_trust_exit(struct tftpk_net *tn);

/* stats.c */
int tftpk_stats_init(struct tftpk_net *tn);
void tftpk_stats_exit(struct tftpk_net *tn);
extern const u64 tftpk_bounds[__TFTPK_HISTOGRAM_MAX][TFTPK_BUCKETS - 1];
void tftpk_stats_observe(struct tftpk_net *tn, enum tftpk_histogram what,
			 u64 value);
void tftpk_stats_read(const struct tftpk_net *tn, u64 *count);
void tftpk_stats_read_histogram(const struct tftpk_net *tn,
				enum tftpk_histogram what, u64 *count);

/* Of this CPU; from any context. @cell: TFTPK_A_STATS_*, or of a histogram */
static inline void tftpk_stats_add(struct tftpk_net *tn, int cell, u64 n)
{
	struct tftpk_stats *stats;
	unsigned long flags;

	if (IS_ENABLED(CONFIG_64BIT)) {
		/* One instruction, where there is such a one. */
		this_cpu_add(tn->stats->count[cell], n);
		return;
	}
	local_irq_save(flags);
	stats = this_cpu_ptr(tn->stats);
	u64_stats_update_begin(&stats->syncp);
	stats->count[cell] += n;
	u64_stats_update_end(&stats->syncp);
	local_irq_restore(flags);
}

static inline void tftpk_stats_inc(struct tftpk_net *tn, int attr)
{
	tftpk_stats_add(tn, attr, 1);
}

/* spec.c */
extern const struct tftpk_setting tftpk_setting[__TFTPK_A_SETTINGS_MAX];

static inline u32 tftpk_setting_get(const struct tftpk_settings *set, int attr)
{
	const void *member = (void *)set + tftpk_setting[attr].offset;

	return tftpk_setting[attr].is_switch ? *(bool *)member : *(u32 *)member;
}

static inline void tftpk_setting_put(struct tftpk_settings *set, int attr,
				     u32 value)
{
	void *member = (void *)set + tftpk_setting[attr].offset;

	if (tftpk_setting[attr].is_switch)
		WRITE_ONCE(*(bool *)member, value);
	else
		WRITE_ONCE(*(u32 *)member, value);
}

extern unsigned int tftpk_net_id;

/* The server of a namespace. */
static inline struct tftpk_net *tftpk_net(const struct net *net)
{
	return *(struct tftpk_net **)net_generic(net, tftpk_net_id);
}

#endif /* _TFTPK_H */
