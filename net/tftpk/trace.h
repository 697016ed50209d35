/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints, for perf, ftrace and bpftrace. Times are in microseconds. Blocks are
 * counted from 1 in 64 bits, unless they are said to be numbers on the wire.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM tftpk

#if !defined(_TFTPK_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TFTPK_TRACE_H

#include <linux/tracepoint.h>

#include "transfer.h"

DECLARE_EVENT_CLASS(tftpk_transfer,
		    TP_PROTO(const struct tftpk_transfer *t),
	TP_ARGS(t),
	TP_STRUCT__entry(
		__field(u32, id)
		__array(u8, client, sizeof(struct in6_addr))
		__field(u16, port)
		__field(u8, outcome)
		__field(u64, size)
		__field(u64, acked)
		__field(u32, blksize)
		__field(u32, windowsize)
		__field(u32, retransmitted)
		__field(u32, rtt)
	),
	TP_fast_assign(
		__entry->id = t->id;
		memcpy(__entry->client, &t->peer.request.key.client,
		       sizeof(__entry->client));
		__entry->port = ntohs(t->peer.request.key.client_port);
		__entry->outcome = t->outcome;
		__entry->size = t->writing ? t->source.sink.received :
					     t->source.size;
		__entry->acked = t->writing ? t->source.sink.window.acked :
					      t->window.acked;
		__entry->blksize = t->blksize;
		__entry->windowsize = t->options.windowsize;
		__entry->retransmitted = t->retransmitted;
		__entry->rtt = t->peer.rtt.srtt;
	),
	TP_printk("id=%u client=[%pI6c]:%u outcome=%u size=%llu acked=%llu blksize=%u windowsize=%u retransmitted=%u rtt=%u",
		  __entry->id, __entry->client, __entry->port,
		  __entry->outcome, __entry->size, __entry->acked,
		  __entry->blksize, __entry->windowsize,
		  __entry->retransmitted, __entry->rtt)
);

/* A request became a transfer. Only its client is known yet. */
DEFINE_EVENT(tftpk_transfer, tftpk_request,
	     TP_PROTO(const struct tftpk_transfer *t), TP_ARGS(t));
/* The file is open, and the first answer comes next. */
DEFINE_EVENT(tftpk_transfer, tftpk_start,
	     TP_PROTO(const struct tftpk_transfer *t), TP_ARGS(t));
/* The transfer ended; @outcome is an enum tftpk_outcome. */
DEFINE_EVENT(tftpk_transfer, tftpk_end,
	     TP_PROTO(const struct tftpk_transfer *t), TP_ARGS(t));

/* @n blocks were sent, from @first on; @again of them had been sent before. */
TRACE_EVENT(tftpk_send,
	    TP_PROTO(const struct tftpk_transfer *t, u64 first, u32 n, u32 again),
	TP_ARGS(t, first, n, again),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(u64, first)
		__field(u32, n)
		__field(u32, again)
	),
	TP_fast_assign(
		__entry->id = t->id;
		__entry->first = first;
		__entry->n = n;
		__entry->again = again;
	),
	TP_printk("id=%u first=%llu n=%u again=%u", __entry->id,
		  __entry->first, __entry->n, __entry->again)
);

/* An ACK arrived: @block is its number on the wire, @ack an enum tftpk_ack. */
TRACE_EVENT(tftpk_ack,
	    TP_PROTO(const struct tftpk_transfer *t, u16 block, u8 ack),
	TP_ARGS(t, block, ack),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(u16, block)
		__field(u8, ack)
		__field(u64, acked)
		__field(u32, rtt)
	),
	TP_fast_assign(
		__entry->id = t->id;
		__entry->block = block;
		__entry->ack = ack;
		__entry->acked = t->window.acked;
		__entry->rtt = t->peer.rtt.srtt;
	),
	TP_printk("id=%u block=%u ack=%u acked=%llu rtt=%u", __entry->id,
		  __entry->block, __entry->ack, __entry->acked, __entry->rtt)
);

/* A block of an upload arrived: @block is its number on the wire, @what an enum
 * tftpk_data.
 */
TRACE_EVENT(tftpk_data,
	    TP_PROTO(const struct tftpk_transfer *t, u16 block, u8 what),
	TP_ARGS(t, block, what),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(u16, block)
		__field(u8, what)
		__field(u64, taken)
		__field(u32, unwritten)
	),
	TP_fast_assign(
		__entry->id = t->id;
		__entry->block = block;
		__entry->what = what;
		__entry->taken = t->source.sink.window.taken;
		__entry->unwritten = t->source.sink.unwritten;
	),
	TP_printk("id=%u block=%u what=%u taken=%llu unwritten=%u",
		  __entry->id, __entry->block, __entry->what,
		  __entry->taken, __entry->unwritten)
);

/* @n blocks of an upload were written. */
TRACE_EVENT(tftpk_write,
	    TP_PROTO(const struct tftpk_transfer *t, u32 n, int err),
	TP_ARGS(t, n, err),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(u32, n)
		__field(u64, written)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->id = t->id;
		__entry->n = n;
		__entry->written = t->source.sink.written;
		__entry->err = err;
	),
	TP_printk("id=%u n=%u written=%llu err=%d", __entry->id, __entry->n,
		  __entry->written, __entry->err)
);

/* The client was silent: a probe or a retransmission follows. @backoff counts the
 * timeouts before this one.
 */
TRACE_EVENT(tftpk_retransmit,
	    TP_PROTO(const struct tftpk_transfer *t, bool probe),
	TP_ARGS(t, probe),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(bool, probe)
		__field(u64, acked)
		__field(u64, next)
		__field(u8, backoff)
	),
	TP_fast_assign(
		__entry->id = t->id;
		__entry->probe = probe;
		__entry->acked = t->window.acked;
		__entry->next = t->window.next;
		__entry->backoff = t->peer.rtt.backoff;
	),
	TP_printk("id=%u probe=%d acked=%llu next=%llu backoff=%u",
		  __entry->id, __entry->probe, __entry->acked, __entry->next,
		  __entry->backoff)
);

/* The work filled the ring, from one position in the file to another. */
TRACE_EVENT(tftpk_refill,
	    TP_PROTO(const struct tftpk_transfer *t, u64 from, int err),
	TP_ARGS(t, from, err),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(u64, from)
		__field(u64, to)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->id = t->id;
		__entry->from = from;
		__entry->to = t->source.ring.filled;
		__entry->err = err;
	),
	TP_printk("id=%u from=%llu to=%llu err=%d", __entry->id,
		  __entry->from, __entry->to, __entry->err)
);

#endif /* _TFTPK_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
