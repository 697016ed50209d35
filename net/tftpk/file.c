// SPDX-License-Identifier: GPL-2.0
/*
 * Files: read into a ring of references to their page-cache pages. Process context,
 * unless a function says otherwise.
 */
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/pagemap.h>
#include <linux/pipe_fs_i.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include <linux/swap.h>

#include "answer.h"
#include "transfer.h"

/* No write() takes longer, in seconds. */
#define TFTPK_WRITE_MAX_S	60

/**
 * tftpk_file_error() - the ERROR for a file that cannot be opened or read
 * @err: negative errno
 * @code: takes one of enum tftpk_error
 *
 * Return: text of the ERROR.
 */
const char *tftpk_file_error(int err, u16 *code)
{
	if (tftpk_is_missing(err)) {
		*code = TFTPK_ERR_NOT_FOUND;
		return "file not found";
	}
	switch (err) {
	case -EACCES:
	case -EISDIR:
	case -EPERM:
	case -EXDEV:
		*code = TFTPK_ERR_ACCESS;
		return "access violation";
	}
	*code = TFTPK_ERR_UNDEFINED;
	switch (err) {
	case -ESTALE:
		return "file changed";
	case -ETXTBSY:
		return "file is being written";
	case -ETIMEDOUT:
		return "the storage does not answer";
	}
	return "cannot read file";
}

/**
 * tftpk_file_refusal() - the ERROR for a name that stands for no file to be sent
 * @export: where that was found out, or NULL
 * @err: negative errno
 * @code: takes one of enum tftpk_error
 *
 * Return: text of the ERROR, which the export may own.
 */
const char *tftpk_file_refusal(const struct tftpk_export *export, int err,
			       u16 *code)
{
	const char *text = tftpk_file_error(err, code);

	if (!export || !export->options.refusal ||
	    (*code != TFTPK_ERR_NOT_FOUND && *code != TFTPK_ERR_ACCESS))
		return text;
	return export->options.refusal;
}

/* Set the inode that holds the data. */
static void tftpk_file_data(struct tftpk_source *source, struct inode *inode)
{
	source->inode = inode;
	/* For local data, the page cache is always valid. */
	source->cached = !IS_DAX(inode) &&
			 (inode->i_sb->s_bdev ||
			  inode->i_sb->s_magic == TMPFS_MAGIC);
}

/* Is it being written, now? A write() sets the time at its beginning, and may take
 * long. A file that is only held open, as images are by loop devices, is not.
 */
static bool tftpk_file_being_written(const struct inode *inode)
{
	struct timespec64 mtime = inode_get_mtime(inode);
	time64_t age = ktime_get_real_seconds() - mtime.tv_sec;

	return inode_is_open_for_write(inode) && age < TFTPK_WRITE_MAX_S &&
	       age > -TFTPK_WRITE_MAX_S;
}

/**
 * tftpk_file_take() - let a transfer have its file
 * @source: of a transfer that has none yet
 * @lock: the transfer's, not held
 * @detect_changes: refuse what is being written
 * @file: open file; closed with the transfer
 *
 * Context: process. Return: 0 or -ETXTBSY.
 */
int tftpk_file_take(struct tftpk_source *source, spinlock_t *lock,
		    bool detect_changes, struct file *file)
{
	struct inode *inode = d_real_inode(file->f_path.dentry); /* may sleep */

	spin_lock_bh(lock);
	source->file = file;
	tftpk_file_data(source, inode);
	source->size = i_size_read(inode);
	source->mtime = inode_get_mtime(inode);
	spin_unlock_bh(lock);
	return detect_changes && tftpk_file_being_written(inode) ? -ETXTBSY : 0;
}

/**
 * tftpk_file_open() - open the file that a request names
 * @source: of a transfer that has no file yet
 * @lock: the transfer's, not held
 * @detect_changes: refuse what is being written
 * @answer: what the agent says, or NULL
 * @query: who asks for what
 *
 * Records size, modification time and inode of the data.
 *
 * Context: process, the transfer's work. Return: 0 or a negative errno.
 */
int tftpk_file_open(struct tftpk_source *source, spinlock_t *lock,
		    bool detect_changes, const struct tftpk_answer *answer,
		    const struct tftpk_query *query)
{
	struct file *file;

	if (source->foreign)
		file = tftpk_answer_open(answer);
	else if (source->export)
		file = tftpk_export_open(source->export, query);
	else
		return -ENOENT;
	if (IS_ERR(file))
		return PTR_ERR(file);
	return tftpk_file_take(source, lock, detect_changes, file);
}

/**
 * tftpk_file_changed() - was the file written or truncated since it was opened?
 * @source: with an open file
 *
 * Compares size and modification time only: renaming a file changes its ctime, and
 * reading it changes its version. Misses changes within one tick of the file system's
 * clock, and stores to a mapping until the kernel notices them.
 *
 * Context: any.
 */
bool tftpk_file_changed(const struct tftpk_source *source)
{
	struct timespec64 mtime = inode_get_mtime(source->inode);

	/* Not i_size_read(): where a size takes two words, that waits for its writer,
	 * which this softirq may have interrupted. Half of a new size and half of the
	 * old one are the size at open only if the half that is new is the same.
	 */
	return READ_ONCE(source->inode->i_size) != source->size ||
	       !timespec64_equal(&mtime, &source->mtime);
}

/**
 * struct tftpk_fill - a fill of the ring in progress
 * @ring: the ring
 * @lock: the transfer's
 * @pos: position in the file of the next page
 * @copied: bytes that had to be
 */
struct tftpk_fill {
	struct tftpk_ring *ring;
	spinlock_t *lock;	/* not held */
	u64 pos;
	u32 copied;
};

/* Put bytes of a page behind what its slot of the ring holds, in a page of our own:
 * the one there may be on its way to the client.
 */
static int tftpk_fill_copy(struct tftpk_fill *fill, struct page *from, u32 off,
			   u32 n)
{
	struct page **slot = &fill->ring->pages[(fill->pos >> PAGE_SHIFT) &
						fill->ring->mask];
	u32 before = offset_in_page(fill->pos);
	struct page *page = alloc_page(GFP_KERNEL);
	struct page *old = NULL;

	if (!page)
		return -ENOMEM;
	if (before)
		memcpy_page(page, 0, *slot, 0, before);
	memcpy_page(page, before, from, off, n);
	spin_lock_bh(fill->lock);
	if (before)
		old = *slot;
	*slot = page;
	spin_unlock_bh(fill->lock);
	if (old)
		put_page(old);
	fill->copied += n;
	return 0;
}

/* Put the pages of a pipe buffer into the ring. */
static int tftpk_fill_actor(struct pipe_inode_info *pipe,
			    struct pipe_buffer *buf, struct splice_desc *sd)
{
	struct tftpk_fill *fill = sd->u.data;
	struct tftpk_ring *ring = fill->ring;
	/* A compound page's buffer may begin in any of its pages. */
	struct page *page = buf->page + buf->offset / PAGE_SIZE;
	u32 off = offset_in_page(buf->offset);
	u32 left = sd->len;
	int err;

	while (left) {
		struct page **slot = &ring->pages[(fill->pos >> PAGE_SHIFT) &
						  ring->mask];
		u32 to = offset_in_page(fill->pos);
		u32 n = min3(left, (u32)PAGE_SIZE - off, (u32)PAGE_SIZE - to);

		if (!off && !to) {
			get_page(page);
			*slot = page;
		} else if (off != to) {
			/* Read without the page cache, after a short read. */
			err = tftpk_fill_copy(fill, page, off, n);
			if (err)
				return err;
		} else if (*slot != page) {
			/* The page in the cache is another one now: the file
			 * was truncated or rewritten.
			 */
			return -ESTALE;
		}
		fill->pos += n;
		left -= n;
		off += n;
		page += off / PAGE_SIZE;
		off = offset_in_page(off);
	}
	return sd->len;
}

static int tftpk_fill_direct(struct pipe_inode_info *pipe,
			     struct splice_desc *sd)
{
	return __splice_from_pipe(pipe, sd, tftpk_fill_actor);
}

/* Drop the pages that hold only bytes from @from up to @to. */
static void tftpk_ring_drop(struct tftpk_ring *ring, u64 from, u64 to)
{
	u64 i;

	for (i = DIV_ROUND_UP_ULL(from, PAGE_SIZE);
	     i < DIV_ROUND_UP_ULL(to, PAGE_SIZE); i++)
		put_page(ring->pages[i & ring->mask]);
}

/* May the pages of a folio be sent without the file system? */
static bool tftpk_folio_usable(struct folio *folio,
			       const struct address_space *mapping)
{
	return folio_test_uptodate(folio) && !folio_test_readahead(folio) &&
	       !folio_test_hwpoison(folio) &&
	       !(folio_test_large(folio) && folio_test_has_hwpoisoned(folio)) &&
	       folio->mapping == mapping;
}

/* Take pages that are in the page cache, without the file system. Stops at a page
 * that needs it: one that is missing, not read yet, or marked to start the next
 * readahead.
 *
 * Not filemap_get_folios_contig(): before 6.12 it can take an entry within a large
 * folio, added meanwhile, for a folio.
 */
static void tftpk_fill_cached(const struct inode *inode,
			      struct tftpk_fill *fill, u64 end)
{
	struct address_space *mapping = inode->i_mapping;
	pgoff_t last = (end - 1) >> PAGE_SHIFT;
	pgoff_t index = fill->pos >> PAGE_SHIFT;
	XA_STATE(xas, &mapping->i_pages, index);
	struct folio *folio;

	rcu_read_lock();
	for (folio = xas_load(&xas); folio && index <= last;
	     folio = xas_next(&xas)) {
		if (xas_retry(&xas, folio))
			continue;
		/* Not in memory; or an entry within a large folio, added
		 * after the walk had passed its beginning.
		 */
		if (xa_is_value(folio) || xa_is_sibling(folio))
			break;
		if (!folio_try_get(folio)) {
			xas_reset(&xas);
			continue;
		}
		if (unlikely(folio != xas_reload(&xas))) {
			folio_put(folio);
			xas_reset(&xas);
			continue;
		}
		if (!tftpk_folio_usable(folio, mapping)) {
			folio_put(folio);
			break;
		}
		folio_mark_accessed(folio);
		/* The first page takes this reference over. */
		for (;;) {
			fill->ring->pages[index & fill->ring->mask] =
				folio_file_page(folio, index);
			if (++index > last || !folio_contains(folio, index))
				break;
			folio_get(folio);
		}
		xas_advance(&xas, index - 1);
	}
	rcu_read_unlock();
	fill->pos = min_t(u64, (u64)index << PAGE_SHIFT, end);
}

static int tftpk_fill(struct tftpk_source *source, struct tftpk_fill *fill,
		      u64 end)
{
	while (fill->pos < end) {
		struct splice_desc sd = {
			.total_len	= end - fill->pos,
			.pos		= fill->pos,
			.u.data		= fill,
		};
		loff_t pos = fill->pos;
		u64 from = fill->pos;
		ssize_t n;

		n = rw_verify_area(READ, source->file, &pos, sd.total_len);
		if (n >= 0 && source->cached && !offset_in_page(pos)) {
			tftpk_fill_cached(source->inode, fill, end);
			n = fill->pos - from;
		}
		/* The way that suits every file system, and reads. */
		if (n >= 0 && fill->pos == from)
			n = splice_direct_to_actor(source->file, &sd,
						   tftpk_fill_direct);
		if (n <= 0 || from + n != fill->pos) {
			tftpk_ring_drop(fill->ring, from, fill->pos);
			return n < 0 ? n : -ESTALE;
		}

		spin_lock_bh(fill->lock);
		fill->ring->filled = fill->pos;
		spin_unlock_bh(fill->lock);
	}
	return 0;
}

/**
 * tftpk_file_fill() - read ahead into the ring
 * @source: with an open file
 * @lock: the transfer's, not held
 * @end: position in the file up to which to read; the ring has room for it
 * @copied: takes how many bytes had to be copied
 *
 * Context: process, the transfer's work and nobody else. May wait for storage.
 *
 * Return: 0; -ESTALE if the file ended early; or an error of the file system.
 */
int tftpk_file_fill(struct tftpk_source *source, spinlock_t *lock, u64 end,
		    u32 *copied)
{
	struct tftpk_fill fill = {
		.ring	= &source->ring,
		.lock	= lock,
		.pos	= source->ring.filled,
	};
	const struct cred *old;
	struct inode *inode;
	int err;

	/* Some file systems ask who reads, not who opened. */
	old = override_creds(source->file->f_cred);
	err = tftpk_fill(source, &fill, end);
	revert_creds(old);
	*copied = fill.copied;
	if (err)
		return err;

	/* After overlayfs copied a file up, the data has a new inode with the
	 * same content. tftpk_file_changed() compares that one from now on.
	 */
	inode = d_real_inode(source->file->f_path.dentry);
	if (unlikely(inode != source->inode)) {
		spin_lock_bh(lock);
		tftpk_file_data(source, inode);
		spin_unlock_bh(lock);
	}
	return 0;
}

/**
 * tftpk_file_release() - drop the pages before a position
 * @source: of a transfer, locked
 * @below: position in the file, not beyond the ring's end
 *
 * Context: any.
 */
void tftpk_file_release(struct tftpk_source *source, u64 below)
{
	struct tftpk_ring *ring = &source->ring;
	u64 end = below >> PAGE_SHIFT;

	for (; ring->tail < end; ring->tail++)
		put_page(ring->pages[ring->tail & ring->mask]);
}

/**
 * tftpk_file_close() - drop all pages and close the file, if there is one
 * @source: of a transfer that is dead, so that nothing else uses its file
 *
 * Context: process, a kernel thread.
 */
void tftpk_file_close(struct tftpk_source *source)
{
	struct tftpk_ring *ring = &source->ring;

	if (ring->pages)
		tftpk_ring_drop(ring, ring->tail << PAGE_SHIFT, ring->filled);
	if (ring->pages != source->small)
		kfree(ring->pages);
	/* At once, so that the file system can be unmounted after this. */
	if (source->file)
		__fput_sync(source->file);
}
