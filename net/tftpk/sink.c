// SPDX-License-Identifier: GPL-2.0
/*
 * The file that an upload becomes: packets that wait for it, and writing them, from
 * where the network driver put them, in process context.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/slab.h>
#include <linux/udp.h>
#include <linux/uio.h>

#include "transfer.h"

/* Pieces and bytes of one write. */
#define TFTPK_SINK_PIECES	64
#define TFTPK_SINK_BATCH	65536U

/* A packet that takes so much beside four times its bytes is copied. */
#define TFTPK_SINK_FAT		4096

/* Once so much waits, those of less than half their memory are, to lie close. */
#define TFTPK_SINK_PACK_FROM	(TFTPK_SINK_HIGH / 2)
#define TFTPK_SINK_PACK		SKB_WITH_OVERHEAD(8192)

/**
 * tftpk_sink_error() - the ERROR for a file that cannot be written
 * @err: negative errno
 * @code: takes one of enum tftpk_error
 *
 * Return: text of the ERROR.
 */
const char *tftpk_sink_error(int err, u16 *code)
{
	*code = TFTPK_ERR_FULL;
	switch (err) {
	case -EFBIG:
		return "file too large";
	case -ENOSPC:
	case -EDQUOT:
		return "no space left";
	}
	*code = err == -EROFS || err == -EACCES || err == -EPERM ?
		TFTPK_ERR_ACCESS : TFTPK_ERR_UNDEFINED;
	return err == -ENETUNREACH ? "no route" : "cannot write file";
}

/**
 * tftpk_sink_init() - begin an upload
 * @sink: of a new transfer
 * @size: see struct tftpk_sink
 *
 * Context: any.
 */
void tftpk_sink_init(struct tftpk_sink *sink, u64 size)
{
	memset(sink, 0, sizeof(*sink));
	__skb_queue_head_init(&sink->blocks);
	sink->size = size;
	sink->max_size = U64_MAX;
}

/**
 * tftpk_sink_window() - the largest window of an upload
 * @blksize: bytes of a block
 *
 * Its packets fit half of what an upload may have, as drivers allocate them.
 *
 * Return: blocks.
 */
u32 tftpk_sink_window(u32 blksize)
{
	return TFTPK_SINK_HIGH / (2 * blksize + 2048);
}

static long tftpk_sink_total(const struct tftpk_net *tn)
{
	return min_t(u64, LONG_MAX,
		     (u64)READ_ONCE(tn->settings.max_unwritten) << 20);
}

/* Who has nothing waiting always has room for one block. Once most of the room is taken,
 * a client has a quarter of it.
 */
static bool tftpk_sink_has_room(struct tftpk_transfer *t, u32 truesize)
{
	const struct tftpk_sink *sink = &t->source.sink;
	long total = tftpk_sink_total(t->tn);
	long used = atomic_long_read(&t->tn->unwritten);
	u32 own = sink->unwritten + truesize;

	if (!sink->unwritten)
		return true;
	if (own > TFTPK_SINK_MAX || used + truesize > total)
		return false;
	return used <= total - total / 4 ||
	       own <= total / 4 / tftpk_client_count(t) ||
	       tftpk_trust_of(t->tn, &t->peer.request.key.client);
}

static void tftpk_sink_queue(struct tftpk_transfer *t, struct sk_buff *skb)
{
	struct tftpk_sink *sink = &t->source.sink;

	__skb_queue_tail(&sink->blocks, skb);
	sink->unwritten += skb->truesize;
	atomic_long_add(skb->truesize, &t->tn->unwritten);
}

/* Where copies are put, with room for so many bytes, or NULL. */
static struct sk_buff *tftpk_sink_pack(struct tftpk_transfer *t, u32 len)
{
	struct tftpk_sink *sink = &t->source.sink;
	struct sk_buff *pack = sink->pack;
	u32 size = len;

	if (pack && pack == skb_peek_tail(&sink->blocks) &&
	    skb_tailroom(pack) >= len)
		return pack;
	if (sink->unwritten > TFTPK_SINK_PACK_FROM)
		size = max_t(u32, len, TFTPK_SINK_PACK);
	if (!tftpk_sink_has_room(t, SKB_TRUESIZE(size)))
		return NULL;
	pack = alloc_skb(size, GFP_ATOMIC | __GFP_NOWARN);
	if (!pack)
		return NULL;
	tftpk_sink_queue(t, pack);
	sink->pack = pack;
	return pack;
}

/* Keep a copy of a block instead. Returns whether there was room. */
static bool tftpk_sink_copy(struct tftpk_transfer *t, struct sk_buff *skb)
{
	struct sk_buff *pack = tftpk_sink_pack(t, skb->len);
	u32 len = skb->len;

	if (!pack || skb_copy_bits(skb, 0, skb_tail_pointer(pack), len))
		return false;
	skb_put(pack, len);
	consume_skb(skb);
	return true;
}

/**
 * tftpk_sink_put() - keep a block until it is written
 * @t: upload, locked
 * @skb: DATA packet, from its UDP header on; consumed if it is kept
 *
 * Nobody else accounts what an encapsulation's socket keeps.
 *
 * Context: softirq, within rcu_read_lock(). Return: whether it is kept.
 */
bool tftpk_sink_put(struct tftpk_transfer *t, struct sk_buff *skb)
{
	const u32 headers = sizeof(struct udphdr) + TFTPK_HDR_LEN;
	bool fat, loose;

	lockdep_assert_held(&t->lock);

	/* Reserves are not for keeping. */
	if (skb_pfmemalloc(skb) || !skb_frags_readable(skb))
		return false;
	__skb_pull(skb, headers);
	/* Of fragments, it may take a hundred times the memory of its bytes. */
	fat = skb->truesize > 4 * skb->len + TFTPK_SINK_FAT;
	loose = skb->truesize > 2 * skb->len &&
		t->source.sink.unwritten > TFTPK_SINK_PACK_FROM;
	if ((fat || loose) && tftpk_sink_copy(t, skb))
		return true;
	if (!fat && tftpk_sink_has_room(t, skb->truesize)) {
		tftpk_keep_skb(skb);
		tftpk_sink_queue(t, skb);
		return true;
	}
	__skb_push(skb, headers);
	return false;
}

/**
 * tftpk_sink_is_high() - is the client to be made to wait?
 * @t: upload, locked
 *
 * Return: whether so much of it waits to be written that no more is to be acknowledged.
 * Something of it does, then: what is written next ends that.
 */
bool tftpk_sink_is_high(const struct tftpk_transfer *t)
{
	const struct tftpk_sink *sink = &t->source.sink;
	long total = tftpk_sink_total(t->tn);

	lockdep_assert_held(&t->lock);

	return sink->unwritten > TFTPK_SINK_HIGH ||
	       (sink->unwritten &&
		atomic_long_read(&t->tn->unwritten) > total - total / 4);
}

/**
 * tftpk_sink_take() - take blocks to be written
 * @t: upload, locked
 * @batch: takes what one write has, or nothing
 *
 * Return: their memory, for tftpk_sink_uncharge().
 */
u32 tftpk_sink_take(struct tftpk_transfer *t, struct sk_buff_head *batch)
{
	struct sk_buff_head *blocks = &t->source.sink.blocks;
	u32 bytes = 0, truesize = 0;
	struct sk_buff *skb;

	lockdep_assert_held(&t->lock);

	__skb_queue_head_init(batch);
	while ((skb = skb_peek(blocks)) &&
	       (!bytes || bytes + skb->len <= TFTPK_SINK_BATCH) &&
	       skb_queue_len(batch) < TFTPK_SINK_PIECES) {
		__skb_unlink(skb, blocks);
		__skb_queue_tail(batch, skb);
		if (skb == t->source.sink.pack)
			t->source.sink.pack = NULL;
		bytes += skb->len;
		truesize += skb->truesize;
	}
	return truesize;
}

/**
 * tftpk_sink_uncharge() - account blocks no longer
 * @t: upload, locked
 * @truesize: their memory
 */
void tftpk_sink_uncharge(struct tftpk_transfer *t, u32 truesize)
{
	lockdep_assert_held(&t->lock);

	t->source.sink.unwritten -= truesize;
	atomic_long_sub(truesize, &t->tn->unwritten);
}

/**
 * struct tftpk_gather - a vectored write that is being gathered
 * @source: its sink is written
 * @n: pieces
 * @bytes: in all of them
 * @pieces: they
 */
struct tftpk_gather {
	struct tftpk_source *source;
	u32 n;
	size_t bytes;
	struct kvec pieces[TFTPK_SINK_PIECES];
};

/* Older kernels' vfs_iter_write() leaves it to the caller to hold off a freeze, newer
 * ones' does not. What fcntl() may set meanwhile is for files of processes.
 */
static int tftpk_sink_write_iter(struct file *file, struct iov_iter *iter,
				 loff_t pos)
{
	struct kiocb kiocb;
	ssize_t n;

	init_sync_kiocb(&kiocb, file);
	kiocb.ki_flags &= ~(IOCB_DIRECT | IOCB_APPEND);
	kiocb.ki_pos = pos;
	n = rw_verify_area(WRITE, file, &pos, iov_iter_count(iter));
	if (n < 0)
		return n;
	file_start_write(file);
	n = file->f_op->write_iter(&kiocb, iter);
	if (n > 0)
		fsnotify_modify(file);
	file_end_write(file);
	return n ?: -EIO;
}

static int tftpk_gather_write(struct tftpk_gather *gather)
{
	struct tftpk_source *source = gather->source;
	struct iov_iter iter;
	int n;

	if (source->sink.written + gather->bytes > source->sink.max_size)
		return -EFBIG;
	iov_iter_kvec(&iter, ITER_SOURCE, gather->pieces, gather->n,
		      gather->bytes);
	while (iov_iter_count(&iter)) {
		n = tftpk_sink_write_iter(source->file, &iter,
					  source->sink.written);
		if (n < 0)
			return n;
		source->sink.written += n;
	}
	gather->n = 0;
	gather->bytes = 0;
	return 0;
}

static int tftpk_gather_add(struct tftpk_gather *gather, void *data, u32 len)
{
	int err = 0;

	if (!len)
		return 0;
	if (gather->n == TFTPK_SINK_PIECES)
		err = tftpk_gather_write(gather);
	if (err)
		return err;
	gather->pieces[gather->n].iov_base = data;
	gather->pieces[gather->n++].iov_len = len;
	gather->bytes += len;
	return 0;
}

/* Text has room of its own to be converted in: others may see the packet's bytes. */
static int tftpk_gather_text(struct tftpk_gather *gather, const u8 *data,
			     u32 len)
{
	struct tftpk_sink *sink = &gather->source->sink;
	u32 part, n;
	int err = 0;

	for (; len && !err; data += part, len -= part) {
		part = min_t(u32, len, TFTPK_SINK_TEXT - 1);
		n = tftpk_netascii_decode(&sink->cr, data, part, sink->text);
		err = tftpk_gather_add(gather, sink->text, n) ?:
		      tftpk_gather_write(gather);
	}
	return err;
}

static int tftpk_gather_piece(struct tftpk_gather *gather, void *data, u32 len)
{
	return gather->source->sink.text ? tftpk_gather_text(gather, data, len) :
					   tftpk_gather_add(gather, data, len);
}

/* Without what its list of fragments holds. */
static int tftpk_gather_one(struct tftpk_gather *gather, struct sk_buff *skb)
{
	int i, err = tftpk_gather_piece(gather, skb->data, skb_headlen(skb));

	for (i = 0; i < skb_shinfo(skb)->nr_frags && !err; i++) {
		skb_frag_t *frag = &skb_shinfo(skb)->frags[i];

		err = tftpk_gather_piece(gather, skb_frag_address(frag),
					 skb_frag_size(frag));
	}
	return err;
}

/* Has it a fragment without an address? A driver has none of those, but a program of
 * this machine that sends its file's pages does.
 */
static bool tftpk_skb_in_highmem(const struct sk_buff *skb)
{
	int i;

	if (!IS_ENABLED(CONFIG_HIGHMEM))
		return false;
	for (i = 0; i < skb_shinfo(skb)->nr_frags; i++)
		if (PageHighMem(skb_frag_page(&skb_shinfo(skb)->frags[i])))
			return true;
	return false;
}

/* That, or is it reassembled of what was reassembled, which a tunnel can make? */
static bool tftpk_gather_needs_copy(const struct sk_buff *skb)
{
	const struct sk_buff *part;

	if (tftpk_skb_in_highmem(skb))
		return true;
	skb_walk_frags(skb, part)
		if (skb_has_frag_list(part) || tftpk_skb_in_highmem(part))
			return true;
	return false;
}

static int tftpk_gather_skb(struct tftpk_gather *gather, struct sk_buff *skb)
{
	struct sk_buff *part;
	int err;

	if (tftpk_gather_needs_copy(skb) && skb_linearize(skb))
		return -ENOMEM;
	err = tftpk_gather_one(gather, skb);
	skb_walk_frags(skb, part)
		err = err ?: tftpk_gather_one(gather, part);
	return err;
}

/**
 * tftpk_sink_write() - write blocks
 * @source: of an upload, with an open file
 * @batch: blocks; stay
 * @netascii: they are text, to be converted
 * @end: they are the last ones
 *
 * Context: process, the upload's work, not entered. May wait for storage.
 *
 * Return: 0 or a negative errno.
 */
int tftpk_sink_write(struct tftpk_source *source, struct sk_buff_head *batch,
		     bool netascii, bool end)
{
	struct tftpk_gather gather = { .source = source };
	struct tftpk_sink *sink = &source->sink;
	const struct cred *old;
	struct sk_buff *skb;
	int err = 0;

	if (netascii && !sink->text) {
		sink->text = kmalloc(TFTPK_SINK_TEXT, GFP_KERNEL);
		if (!sink->text)
			return -ENOMEM;
	}
	/* A work is root: file systems would let it use their reserves. */
	old = override_creds(source->file->f_cred);
	skb_queue_walk(batch, skb) {
		err = tftpk_gather_skb(&gather, skb);
		if (err)
			break;
	}
	if (!err && end && netascii)
		err = tftpk_gather_add(&gather, sink->text,
				       tftpk_netascii_decode_end(&sink->cr,
								 sink->text));
	if (!err && gather.n)
		err = tftpk_gather_write(&gather);
	revert_creds(old);
	return err;
}

/**
 * tftpk_sink_free() - free blocks
 * @batch: they
 *
 * Context: process.
 */
void tftpk_sink_free(struct sk_buff_head *batch)
{
	struct sk_buff *skb;

	/* As in NAPI: the driver takes the next ones from there. */
	local_bh_disable();
	while ((skb = __skb_dequeue(batch)))
		napi_consume_skb(skb, 1);
	local_bh_enable();
}

/**
 * tftpk_sink_drop() - free the blocks that nobody writes any more
 * @t: upload that is dead; its work may still be writing others
 *
 * Context: process.
 */
void tftpk_sink_drop(struct tftpk_transfer *t)
{
	struct sk_buff_head blocks;
	struct sk_buff *skb;
	u32 truesize = 0;

	__skb_queue_head_init(&blocks);
	spin_lock_bh(&t->lock);
	skb_queue_walk(&t->source.sink.blocks, skb)
		truesize += skb->truesize;
	skb_queue_splice_init(&t->source.sink.blocks, &blocks);
	t->source.sink.pack = NULL;
	tftpk_sink_uncharge(t, truesize);
	spin_unlock_bh(&t->lock);
	tftpk_sink_free(&blocks);
}

/**
 * tftpk_sink_close() - close the file, if there is one
 * @t: upload that was reaped
 *
 * Context: process, a kernel thread.
 */
void tftpk_sink_close(struct tftpk_transfer *t)
{
	kfree(t->source.sink.text);
	if (t->source.file)
		__fput_sync(t->source.file);
}
