// SPDX-License-Identifier: GPL-2.0
/*
 * Room for the pages of a file that a transfer sends: how many it may hold, of those
 * that all may.
 */
#include <linux/log2.h>
#include <linux/slab.h>

#include "transfer.h"

/* Evict at most this many unvalidated transfers for one reservation of pages. */
#define TFTPK_EVICT_TRIES	4

/* Take @pages out of what the namespace may pin, and evict up to @tries unvalidated
 * transfers for it. Nothing is taken before the client answers whose request may be
 * forged from anywhere.
 */
static bool tftpk_ring_reserve(struct tftpk_transfer *t, u32 pages, int tries)
{
	struct tftpk_net *tn = t->tn;
	int err;

	if (!t->peer.near) {
		t->source.wanted = pages;
		return atomic_long_read(&tn->pinned) + pages <=
		       tftpk_max_pinned(tn);
	}
	do {
		spin_lock_bh(&t->lock);
		err = t->dead ? -ENOENT : tftpk_transfer_reserve(t, pages);
		spin_unlock_bh(&t->lock);
	} while (err == -ENOSPC && tries-- && tftpk_unvalidated_evict_oldest(t));
	return !err;
}

/**
 * tftpk_ring_make() - make a transfer's ring
 * @t: transfer, which opens; its file is open
 * @blksize: payload bytes of a block
 * @windowsize: blocks that may be in flight
 *
 * It is for the window and some pages ahead of it, or for as many as the file has. The
 * window shrinks to what fits the largest ring. Where the budget is short, nothing is
 * read ahead, and nobody is evicted for that. If the window does not fit either, or
 * memory is short, it is one block.
 *
 * Context: process, the transfer's work. Return: the window.
 */
u32 tftpk_ring_make(struct tftpk_transfer *t, u32 blksize, u32 windowsize)
{
	u32 most = (TFTPK_RING_MAX - TFTPK_RING_AHEAD - 2) * PAGE_SIZE;
	u64 all = DIV_ROUND_UP_ULL(t->source.size, PAGE_SIZE);
	u32 ahead, window, size;

	/* It may begin and end within a page. */
	windowsize = clamp(windowsize, 1U, most / blksize);
	window = DIV_ROUND_UP(windowsize * blksize, PAGE_SIZE) + 2;
	window = min_t(u64, window, all);
	ahead = min_t(u64, TFTPK_RING_AHEAD, all - window);
	/* Rather read less ahead than have a ring of its own. */
	if (window <= TFTPK_RING_SMALL / 2)
		ahead = min(ahead, TFTPK_RING_SMALL - window);

	if (!tftpk_ring_reserve(t, window + ahead, 0)) {
		ahead = 0;
		if (!tftpk_ring_reserve(t, window, TFTPK_EVICT_TRIES))
			goto one;
	}
	size = roundup_pow_of_two(max(window + ahead, TFTPK_RING_SMALL));
	t->source.ring.pages = size > TFTPK_RING_SMALL ?
		kmalloc_array(size, sizeof(struct page *), GFP_KERNEL) :
		t->source.small;
	if (!t->source.ring.pages)
		goto one;
	t->source.ring.mask = size - 1;
	t->source.ahead = ahead * PAGE_SIZE;
	return windowsize;

one:
	t->source.wanted = 0;
	spin_lock_bh(&t->lock);
	tftpk_transfer_unreserve(t);
	spin_unlock_bh(&t->lock);
	t->source.ring.pages = t->source.small;
	t->source.ring.mask = TFTPK_RING_SMALL - 1;
	return 1;
}
