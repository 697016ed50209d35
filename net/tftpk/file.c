// SPDX-License-Identifier: GPL-2.0
/*
 * Files: opened beneath an export as an unprivileged user, read into a ring
 * of references to their page-cache pages. Process context, but for the
 * release of pages.
 */
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/namei.h>
#include <linux/pipe_fs_i.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/splice.h>

#include "tftpk.h"

/* A lookup that raced with a rename is repeated this often. */
#define TFTPK_LOOKUP_TRIES	16

static struct file *tftpk_open_beneath(const struct tftpk_export *export,
				       const char *name)
{
	const struct cred *old = override_creds(export->cred);
	int err, tries = 0;
	struct file *file;
	struct path path;

	do {
		err = vfs_path_lookup(export->path.dentry, export->path.mnt,
				      name, LOOKUP_FOLLOW | LOOKUP_IN_ROOT,
				      &path);
	} while (err == -EAGAIN && ++tries < TFTPK_LOOKUP_TRIES);
	if (err) {
		file = ERR_PTR(err);
		goto out;
	}

	/* dentry_open() checks neither; opening a FIFO could also block. */
	if (!S_ISREG(d_inode(path.dentry)->i_mode))
		err = -EACCES;
	else
		err = path_permission(&path, MAY_OPEN | MAY_READ);
	if (err)
		file = ERR_PTR(err);
	else
		file = dentry_open(&path, O_RDONLY | O_NONBLOCK | O_NOATIME |
				   O_LARGEFILE, export->cred);
	path_put(&path);
out:
	revert_creds(old);
	return file;
}

/* The export after @prev, with a reference; drops that of @prev. */
static struct tftpk_export *tftpk_next_export(struct tftpk_net *tn,
					      struct tftpk_export *prev)
{
	struct tftpk_export *export, *found = NULL;
	u32 after = prev ? prev->id : 0;

	rcu_read_lock();
	list_for_each_entry_rcu(export, &tn->exports, list) {
		if (export->id > after && refcount_inc_not_zero(&export->ref)) {
			found = export;
			break;
		}
	}
	rcu_read_unlock();
	if (prev)
		tftpk_export_put(prev);
	return found;
}

/* The first export that has the file serves it. */
static int tftpk_open_any(struct tftpk_transfer *t, const char *name,
			  struct tftpk_export **exportp, struct file **filep)
{
	struct tftpk_export *export = NULL;
	struct file *file;

	while ((export = tftpk_next_export(t->tn, export))) {
		file = tftpk_open_beneath(export, name);
		if (!IS_ERR(file)) {
			*exportp = export;
			*filep = file;
			return 0;
		}
		if (PTR_ERR(file) != -ENOENT) {
			tftpk_export_put(export);
			return PTR_ERR(file);
		}
	}
	return -ENOENT;
}

/* As Windows clients write paths. */
static int tftpk_open_backslashed(struct tftpk_transfer *t, const char *name,
				  struct tftpk_export **export,
				  struct file **file)
{
	char *copy = kstrdup(name, GFP_KERNEL);
	int err;

	if (!copy)
		return -ENOMEM;
	strreplace(copy, '\\', '/');
	err = tftpk_open_any(t, copy, export, file);
	kfree(copy);
	return err;
}

/**
 * tftpk_file_open() - open what a request names
 * @t: transfer that has no file yet
 * @name: path relative to the exports' roots; absolute paths and symbolic
 *	links stay inside, as in a chroot
 *
 * Fixes size, modification time and identity of the data. Where no file has
 * the very name, backslashes count as slashes.
 *
 * Context: process, the transfer's work. Return: 0 or a negative errno.
 */
int tftpk_file_open(struct tftpk_transfer *t, const char *name)
{
	struct tftpk_export *export;
	struct file *file;
	int err;

	err = tftpk_open_any(t, name, &export, &file);
	if (err == -ENOENT && strchr(name, '\\'))
		err = tftpk_open_backslashed(t, name, &export, &file);
	if (err)
		return err;

	spin_lock_bh(&t->lock);
	t->export = export;
	t->file = file;
	t->inode = d_real_inode(file->f_path.dentry);
	t->size = i_size_read(t->inode);
	t->mtime = inode_get_mtime(t->inode);
	/* Pairs with tftpk_export_del(): either it finds this transfer, or
	 * this transfer finds it dead.
	 */
	if (READ_ONCE(export->dead))
		err = -ENOENT;
	spin_unlock_bh(&t->lock);
	return err;
}

/**
 * tftpk_file_changed() - was the file written to or cut since it was opened?
 * @t: transfer with an open file
 *
 * Looks at size and modification time only, since renaming a file changes
 * its ctime and reading it its version. Misses changes within a tick of the
 * file system's clock and stores to a mapping that were not yet noticed.
 *
 * Context: any.
 */
bool tftpk_file_changed(const struct tftpk_transfer *t)
{
	struct timespec64 mtime = inode_get_mtime(t->inode);

	return i_size_read(t->inode) != t->size ||
	       !timespec64_equal(&mtime, &t->mtime);
}

/**
 * struct tftpk_fill - a fill of the ring in progress
 * @ring: the ring
 * @pos: position in the file that the next page belongs to
 */
struct tftpk_fill {
	struct tftpk_ring *ring;
	u64 pos;
};

/* Keep the pages of a pipe buffer instead of sending them. */
static int tftpk_fill_actor(struct pipe_inode_info *pipe,
			    struct pipe_buffer *buf, struct splice_desc *sd)
{
	struct tftpk_fill *fill = sd->u.data;
	struct tftpk_ring *ring = fill->ring;
	/* A compound page's buffer may begin in any of its pages. */
	struct page *page = buf->page + buf->offset / PAGE_SIZE;
	u32 off = offset_in_page(buf->offset);
	u32 left = sd->len;

	if (off != offset_in_page(fill->pos))
		return -EIO;

	for (; left; page++) {
		struct page **slot = &ring->pages[(fill->pos >> PAGE_SHIFT) &
						  ring->mask];
		u32 n = min_t(u32, left, PAGE_SIZE - off);

		if (!off) {
			get_page(page);
			*slot = page;
		} else if (*slot != page) {
			/* The rest of a page that is not the cached one any
			 * more: the file was cut or rewritten.
			 */
			return -ESTALE;
		}
		fill->pos += n;
		left -= n;
		off = 0;
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

/**
 * tftpk_file_fill() - read ahead into the ring
 * @t: transfer with an open file
 * @upto: position in the file up to which to read; the ring has room for it
 *
 * Context: process, the transfer's work and nobody else.
 *
 * Return: 0; -ESTALE where the file ended early or changed; or the error of
 * the file system.
 */
int tftpk_file_fill(struct tftpk_transfer *t, u64 upto)
{
	struct tftpk_ring *ring = &t->ring;
	struct tftpk_fill fill = { .ring = ring, .pos = ring->filled };

	while (fill.pos < upto) {
		struct splice_desc sd = {
			.total_len	= upto - fill.pos,
			.pos		= fill.pos,
			.u.data		= &fill,
		};
		loff_t pos = fill.pos;
		u64 from = fill.pos;
		ssize_t n;

		n = rw_verify_area(READ, t->file, &pos, sd.total_len);
		if (n >= 0)
			n = splice_direct_to_actor(t->file, &sd,
						   tftpk_fill_direct);
		if (n <= 0 || from + n != fill.pos) {
			tftpk_ring_drop(ring, from, fill.pos);
			return n < 0 ? n : -ESTALE;
		}

		spin_lock_bh(&t->lock);
		ring->filled = fill.pos;
		spin_unlock_bh(&t->lock);
	}

	/* A file of an overlay may have been copied up, to be written to. */
	if (READ_ONCE(t->tn->settings.detect_changes) &&
	    d_real_inode(t->file->f_path.dentry) != t->inode)
		return -ESTALE;
	return 0;
}

/**
 * tftpk_file_release() - drop the pages before a position
 * @t: transfer
 * @below: position in the file; not beyond what the ring holds
 *
 * Context: any; the transfer's lock is held.
 */
void tftpk_file_release(struct tftpk_transfer *t, u64 below)
{
	struct tftpk_ring *ring = &t->ring;
	u64 end = below >> PAGE_SHIFT;

	lockdep_assert_held(&t->lock);
	for (; ring->tail < end; ring->tail++)
		put_page(ring->pages[ring->tail & ring->mask]);
}

/**
 * tftpk_file_close() - drop all pages and close the file, if there is one
 * @t: transfer that is dead, so that nothing else uses its file
 *
 * Context: process, a kernel thread.
 */
void tftpk_file_close(struct tftpk_transfer *t)
{
	if (t->ring.pages)
		tftpk_ring_drop(&t->ring, t->ring.tail << PAGE_SHIFT,
				t->ring.filled);
	/* At once, so that the file system can be unmounted after this. */
	if (t->file)
		__fput_sync(t->file);
	if (t->export)
		tftpk_export_put(t->export);
}
