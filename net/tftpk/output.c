// SPDX-License-Identifier: GPL-2.0
/*
 * From ring entries to the wire: skbs whose fragments are page-cache pages and
 * constant headers. A train is a GSO skb that holds several blocks.
 *
 * IP and UDP headers are written here: udp_tunnel_xmit_skb() is in another module.
 */
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/ipv6.h>
#include <net/route.h>
#include <net/udp.h>
#include <net/xfrm.h>

#include "transfer.h"

/* The DATA headers of all 65,536 block numbers. An skb refers to them as it does to
 * payload, so sending writes nothing, and queued packets never change. Separate
 * order-0 pages spread their reference counts.
 */
#define TFTPK_HDRS_PER_PAGE	(PAGE_SIZE / TFTPK_HDR_LEN)
#define TFTPK_HDR_PAGES		(65536 / TFTPK_HDRS_PER_PAGE)

static struct page *tftpk_hdr_pages[TFTPK_HDR_PAGES];

/* The largest UDP payload of an IPv4 packet; a train has to fit, too. */
#define TFTPK_TRAIN_MAX	(65535 - sizeof(struct iphdr) - sizeof(struct udphdr))
/* Copied blocks up to this size are in the skb's head, longer ones in pages. */
#define TFTPK_LINEAR_MAX	2048

/**
 * tftpk_output_init() - make the header table
 *
 * Context: process. Return: 0 or -ENOMEM.
 */
int tftpk_output_init(void)
{
	u32 i, k;

	for (i = 0; i < TFTPK_HDR_PAGES; i++) {
		struct page *page = alloc_page(GFP_KERNEL);

		if (!page) {
			tftpk_output_exit();
			return -ENOMEM;
		}
		tftpk_hdr_pages[i] = page;
		for (k = 0; k < TFTPK_HDRS_PER_PAGE; k++)
			tftpk_put_data(page_address(page) + k * TFTPK_HDR_LEN,
				       i * TFTPK_HDRS_PER_PAGE + k);
	}
	return 0;
}

/**
 * tftpk_output_exit() - release the header table
 *
 * Packets that are still queued hold references to its pages.
 */
void tftpk_output_exit(void)
{
	u32 i;

	for (i = 0; i < TFTPK_HDR_PAGES; i++) {
		if (tftpk_hdr_pages[i])
			put_page(tftpk_hdr_pages[i]);
		tftpk_hdr_pages[i] = NULL;
	}
}

static u32 tftpk_headers_len(const struct tftpk_key *key)
{
	return sizeof(struct udphdr) + (tftpk_is_v4(key) ?
		sizeof(struct iphdr) : sizeof(struct ipv6hdr));
}

/**
 * tftpk_output_overhead() - bytes of a block's packet besides its payload
 * @key: client
 */
u32 tftpk_output_overhead(const struct tftpk_key *key)
{
	return tftpk_headers_len(key) + TFTPK_HDR_LEN;
}

/* Does a packet that fits its route get DF? Some boot ROMs drop such packets, and a
 * server that never exceeds its route's MTU learns little from them. So only with
 * discover-mtu, as ip_dont_fragment() decides for sockets.
 */
static bool tftpk_dont_fragment(struct net *net, const struct tftpk_key *key,
				const struct dst_entry *dst)
{
	return READ_ONCE(key->port->listener->tn->settings.discover_mtu) &&
	       !READ_ONCE(net->ipv4.sysctl_ip_no_pmtu_disc) &&
	       !dst_metric_locked(dst, RTAX_MTU);
}

/* Set the IP ID of a packet without DF (RFC 6864). A train takes one for each of its
 * packets. A transfer counts by itself, as a connected socket does. A packet that is
 * fragmented here, or that belongs to no transfer, takes the stack's counter.
 */
static void tftpk_identify(struct net *net, struct sk_buff *skb, u16 *ident)
{
	u16 segs = skb_shinfo(skb)->gso_segs ?: 1;

	if (!ident || skb->ignore_df) {
		ip_select_ident_segs(net, skb, NULL, segs);
		return;
	}
	ip_hdr(skb)->id = htons(*ident);
	*ident += segs;
}

/* Push UDP and IP headers. The device computes the checksum, or the stack does. @ident
 * is the IP ID of the transfer's next packet, or NULL.
 */
static void tftpk_push_headers(struct net *net, const struct tftpk_key *key,
			       struct dst_entry *dst, u32 mtu,
			       struct sk_buff *skb, u16 *ident)
{
	bool gso = skb_is_gso(skb);
	struct udphdr *uh;
	bool fits;
	u32 len;

	uh = __skb_push(skb, sizeof(*uh));
	skb_reset_transport_header(skb);
	len = skb->len;
	uh->source = key->port->port;
	uh->dest = key->client_port;
	uh->len = htons(len);
	skb->ip_summed = CHECKSUM_PARTIAL;
	skb->csum_start = skb_transport_header(skb) - skb->head;
	skb->csum_offset = offsetof(struct udphdr, check);

	/* A block that exceeds the route's MTU is fragmented: the client asked
	 * for it, or the MTU has shrunk since.
	 */
	fits = gso || len + tftpk_headers_len(key) - sizeof(*uh) <= mtu;
	skb->ignore_df = !fits;

	if (tftpk_is_v4(key)) {
		struct iphdr *iph = __skb_push(skb, sizeof(*iph));

		skb_reset_network_header(skb);
		iph->version = 4;
		iph->ihl = sizeof(*iph) / 4;
		iph->tos = 0;
		iph->frag_off = fits && tftpk_dont_fragment(net, key, dst) ?
				htons(IP_DF) : 0;
		iph->ttl = ip4_dst_hoplimit(dst);
		iph->protocol = IPPROTO_UDP;
		iph->saddr = key->local.s6_addr32[3];
		iph->daddr = key->client.s6_addr32[3];
		tftpk_identify(net, skb, ident);
		uh->check = ~csum_tcpudp_magic(iph->saddr, iph->daddr, len,
					       IPPROTO_UDP, 0);
		skb->protocol = htons(ETH_P_IP);
	} else {
		struct ipv6hdr *ip6h = __skb_push(skb, sizeof(*ip6h));

		skb_reset_network_header(skb);
		ip6_flow_hdr(ip6h, 0, 0);
		ip6h->nexthdr = IPPROTO_UDP;
		ip6h->hop_limit = ip6_dst_hoplimit(dst);
		ip6h->saddr = key->local;
		ip6h->daddr = key->client;
		uh->check = ~csum_ipv6_magic(&ip6h->saddr, &ip6h->daddr, len,
					     IPPROTO_UDP, 0);
		skb->protocol = htons(ETH_P_IPV6);
	}
}

/* An skb with room for @len bytes in its head, from the caches of this CPU: device drivers
 * return skbs to one of them when they were sent.
 */
static struct sk_buff *tftpk_alloc_head(u32 len)
{
	u32 size = SKB_DATA_ALIGN(len) +
		   SKB_DATA_ALIGN(sizeof(struct skb_shared_info));
	struct sk_buff *skb;
	void *head;

	/* Some devices want much room for headers. */
	if (unlikely(size > PAGE_SIZE))
		return alloc_skb(len, GFP_ATOMIC);
	head = napi_alloc_frag(size);
	if (unlikely(!head))
		return NULL;
	skb = napi_build_skb(head, size);
	if (unlikely(!skb))
		skb_free_frag(head);
	return skb;
}

/* Has nobody else anything of an skb, and does nothing hang on it? Heads of a page pool
 * go back there.
 */
static bool tftpk_is_reusable(const struct sk_buff *skb, u32 len)
{
	const struct skb_shared_info *shinfo = skb_shinfo(skb);

	return !skb_shared(skb) && !skb_cloned(skb) && !skb->nohdr &&
	       skb->fclone == SKB_FCLONE_UNAVAILABLE && !skb->pp_recycle &&
	       !skb->sk && !skb->destructor && !skb_pfmemalloc(skb) &&
	       !skb->data_len && !shinfo->nr_frags && !shinfo->frag_list &&
	       !shinfo->flags && skb_end_offset(skb) >= len;
}

/* The spare skb as a new one, as build_skb() makes it, if @len bytes fit into its head. */
static struct sk_buff *tftpk_take_spare(struct tftpk_out *out, u32 len)
{
	struct sk_buff *skb = out->spare;
	bool head_frag;

	if (!skb || !tftpk_is_reusable(skb, len))
		return NULL;
	out->spare = NULL;
	skb_dst_drop(skb);
	skb_ext_reset(skb);
	nf_reset_ct(skb);
	head_frag = skb->head_frag;
	memset(skb, 0, offsetof(struct sk_buff, tail));
	skb->head_frag = head_frag;
	skb->alloc_cpu = raw_smp_processor_id();
	skb->mac_header = (typeof(skb->mac_header))~0U;
	skb->transport_header = (typeof(skb->transport_header))~0U;
	skb->truesize = SKB_TRUESIZE(skb_end_offset(skb));
	skb->data = skb->head;
	skb_reset_tail_pointer(skb);
	memset(skb_shinfo(skb), 0, offsetof(struct skb_shared_info, dataref));
	atomic_set(&skb_shinfo(skb)->dataref, 1);
	return skb;
}

/* An skb with room for IP and UDP headers, for @linear bytes in its head, and for
 * @paged bytes in order-0 pages of its own.
 */
static struct sk_buff *tftpk_alloc(const struct tftpk_key *key,
				   const struct dst_entry *dst,
				   u32 linear, u32 paged,
				   struct tftpk_out *out)
{
	u32 room = LL_RESERVED_SPACE(dst->dev) + dst->header_len +
		   tftpk_headers_len(key);
	struct sk_buff *skb;
	int err;

	if (paged)
		skb = alloc_skb_with_frags(room + linear, paged, 0, &err,
					   GFP_ATOMIC);
	else
		skb = tftpk_take_spare(out, room + linear) ?:
		      tftpk_alloc_head(room + linear);
	if (skb)
		skb_reserve(skb, room);
	return skb;
}

/* Append a block as fragments from @nr on: its header, unless @wire is negative, and the
 * pages that hold it. Adjacent pages of a large folio make one fragment. Returns the
 * number of fragments, or -1 if they do not fit.
 */
static int tftpk_append_block(struct skb_shared_info *shinfo, int nr,
			      const struct tftpk_ring *ring, u64 pos, u32 len,
			      int wire)
{
	u32 off = offset_in_page(pos), n;
	struct page *page, *prev = NULL;
	u64 index = pos >> PAGE_SHIFT;
	int first = nr;

	if (wire >= 0) {
		if (nr == MAX_SKB_FRAGS)
			return -1;
		page = tftpk_hdr_pages[wire / TFTPK_HDRS_PER_PAGE];
		page_ref_inc(page);
		__skb_fill_page_desc_noacc(shinfo, nr++, page, TFTPK_HDR_LEN *
					   (wire % TFTPK_HDRS_PER_PAGE),
					   TFTPK_HDR_LEN);
	}

	for (; len; len -= n, off = 0, prev = page) {
		n = min_t(u32, len, PAGE_SIZE - off);
		page = ring->pages[index++ & ring->mask];
		if (prev && page == prev + 1 &&
		    compound_head(page) == compound_head(prev)) {
			skb_frag_size_add(&shinfo->frags[nr - 1], n);
		} else if (nr < MAX_SKB_FRAGS) {
			get_page(page);
			__skb_fill_page_desc_noacc(shinfo, nr++, page, off, n);
		} else {
			while (nr > first)
				put_page(skb_frag_page(&shinfo->frags[--nr]));
			return -1;
		}
	}
	return nr;
}

/* Account @nr fragments to @part: @skb itself, or an skb on its frag_list. */
static void tftpk_close_part(struct sk_buff *skb, struct sk_buff *part, int nr,
			     u32 bytes)
{
	/* The file's pages: a writer has to copy them first. */
	skb_shinfo(part)->flags |= SKBFL_SHARED_FRAG;
	skb_shinfo(part)->nr_frags = nr;
	part->len += bytes;
	part->data_len += bytes;
	part->truesize += bytes;
	if (part != skb) {
		skb->len += bytes;
		skb->data_len += bytes;
		skb->truesize += part->truesize;
	}
}

/* A train of up to @max blocks from @block on. The first block's header is in the
 * head, everything else in fragments. If they do not suffice, the train ends, or, with
 * @list, goes on in skbs on its frag_list. Sets *@done to the number of blocks.
 */
static struct sk_buff *tftpk_build_train(const struct tftpk_transfer *t,
					 const struct dst_entry *dst,
					 u64 block, u32 max, bool list,
					 u32 *done, struct tftpk_out *out)
{
	u64 pos = (block - 1) * t->blksize, left = t->source.size - pos;
	struct sk_buff *skb, *part, *next, **link;
	u32 k = 0, bytes = 0, len;
	int nr = 0, end;

	skb = tftpk_alloc(&t->peer.tid.key, dst, TFTPK_HDR_LEN, 0, out);
	if (!skb)
		return NULL;
	tftpk_put_data(__skb_put(skb, TFTPK_HDR_LEN),
		       tftpk_window_wire(&t->window, block));

	part = skb;
	link = &skb_shinfo(skb)->frag_list;
	while (k < max) {
		len = min_t(u64, left, t->blksize);
		end = tftpk_append_block(skb_shinfo(part), nr, &t->source.ring,
					 pos, len, k ?
					 tftpk_window_wire(&t->window, block + k) :
					 -1);
		if (likely(end >= 0)) {
			nr = end;
			bytes += len + (k++ ? TFTPK_HDR_LEN : 0);
			pos += len;
			left -= len;
			continue;
		}
		/* Two blocks fit a datagram, so one block fits a part. */
		next = list && nr ? tftpk_alloc_head(0) : NULL;
		if (!next)
			break;
		tftpk_close_part(skb, part, nr, bytes);
		part = *link = next;
		link = &next->next;
		bytes = 0;
		nr = 0;
	}
	tftpk_close_part(skb, part, nr, bytes);

	if (k > 1) {
		skb_shinfo(skb)->gso_size = TFTPK_HDR_LEN + t->blksize;
		skb_shinfo(skb)->gso_type = SKB_GSO_UDP_L4;
		skb_shinfo(skb)->gso_segs = k;
	}
	*done = k;
	return skb;
}

/* An skb for one block whose @len bytes of payload are to be copied into it. */
static struct sk_buff *tftpk_alloc_copy(const struct tftpk_transfer *t,
					const struct dst_entry *dst, u64 block,
					u32 len, struct tftpk_out *out)
{
	u32 linear = len <= TFTPK_LINEAR_MAX ? len : 0, paged = len - linear;
	struct sk_buff *skb;

	skb = tftpk_alloc(&t->peer.tid.key, dst, TFTPK_HDR_LEN + linear, paged,
			  out);
	if (!skb)
		return NULL;
	tftpk_put_data(skb_put(skb, TFTPK_HDR_LEN + linear),
		       tftpk_window_wire(&t->window, block));
	skb->data_len = paged;
	skb->len += paged;
	return skb;
}

/* One block, its payload copied. */
static struct sk_buff *tftpk_build_copy(const struct tftpk_transfer *t,
					const struct dst_entry *dst, u64 block,
					struct tftpk_out *out)
{
	u64 pos = (block - 1) * t->blksize;
	u32 len = tftpk_transfer_block_len(t, block), off = TFTPK_HDR_LEN;
	struct sk_buff *skb;

	skb = tftpk_alloc_copy(t, dst, block, len, out);
	if (!skb)
		return NULL;
	while (len) {
		u32 n = min_t(u32, len, PAGE_SIZE - offset_in_page(pos));
		struct page *page = tftpk_ring_page(&t->source.ring, pos);
		void *from = kmap_local_page(page);

		skb_store_bits(skb, off, from + offset_in_page(pos), n);
		kunmap_local(from);
		off += n;
		pos += n;
		len -= n;
	}
	return skb;
}

/* Encode what the page at @at holds of the text, or the end of a pair behind the
 * text. Returns the bytes written, 0 at the end of the stream.
 */
static u32 tftpk_encode_text(const struct tftpk_source *source,
			     struct tftpk_netascii *at, u8 *buf, u32 room)
{
	u32 off = offset_in_page(at->pos), len, n;
	u8 *page;

	len = min_t(u64, source->size - at->pos, PAGE_SIZE - off);
	if (!len)
		return tftpk_netascii_encode(at, NULL, 0, buf, room);
	page = kmap_local_page(tftpk_ring_page(&source->ring, at->pos));
	n = tftpk_netascii_encode(at, page + off, len, buf, room);
	kunmap_local(page);
	return n;
}

/* The block of a text that begins at t->text[0]; sets t->text[1] to its end. A
 * transfer of text has one block in flight. The first one that is not full is the
 * last.
 */
static struct sk_buff *tftpk_build_text(struct tftpk_transfer *t,
					const struct dst_entry *dst, u64 block,
					struct tftpk_out *out)
{
	struct tftpk_netascii at = t->text[0];
	struct sk_buff *skb;
	u32 done = 0, n;
	u8 buf[128];

	skb = tftpk_alloc_copy(t, dst, block, t->blksize, out);
	if (!skb)
		return NULL;
	while (done < t->blksize) {
		n = min_t(u32, sizeof(buf), t->blksize - done);
		n = tftpk_encode_text(&t->source, &at, buf, n);
		if (!n)
			break;
		skb_store_bits(skb, TFTPK_HDR_LEN + done, buf, n);
		done += n;
	}
	if (pskb_trim(skb, TFTPK_HDR_LEN + done)) {
		kfree_skb(skb);
		return NULL;
	}
	t->text[1] = at;
	if (done < t->blksize)
		t->window.last = block;
	return skb;
}

/* Mark a packet by its transfer, as TCP marks its own, so that no queue has to dissect
 * it; and by the code point of its export.
 */
static void tftpk_mark(struct sk_buff *skb, const struct tftpk_peer *peer)
{
	__skb_set_sw_hash(skb, peer->hash, true);
	if (likely(!peer->tos))
		return;
	skb->priority = rt_tos2priority(peer->tos);
	if (tftpk_is_v4(&peer->tid.key))
		ip_hdr(skb)->tos = peer->tos;
	else
		ip6_flow_hdr(ipv6_hdr(skb), peer->tos, 0);
}

static int tftpk_lower_segments(struct net_device *dev,
				struct netdev_nested_priv *priv)
{
	return (dev->features & (NETIF_F_GSO_UDP_L4 | NETIF_F_FRAGLIST)) ==
	       NETIF_F_GSO_UDP_L4;
}

/* Is it a device that segments? If the stack does, a train may have a frag_list. Devices
 * that take both hand trains on: to another namespace, to a device below that may
 * segment, or to the stack.
 */
static bool tftpk_device_segments(struct net_device *dev)
{
	netdev_features_t features = dev->features;

	if (!(features & NETIF_F_GSO_UDP_L4))
		return false;
	return !(features & NETIF_F_FRAGLIST) ||
	       netdev_walk_all_lower_dev_rcu(dev, tftpk_lower_segments, NULL);
}

/**
 * tftpk_output_blocks() - build the packets of consecutive blocks
 * @t: transfer whose ring holds these blocks
 * @first: number of the first block
 * @n: how many
 * @out: takes them, for tftpk_output_send()
 *
 * Zero copy: the fragments are the page-cache pages. Blocks are copied only if zero
 * copy is off, if they exceed the MTU (IP fragmentation would copy them anyway), or
 * if a text is converted.
 *
 * Context: softirq or BH disabled, within rcu_read_lock(); the transfer's
 * lock is held.
 *
 * Return: how many blocks were built; fewer than @n without memory or a route.
 */
u32 tftpk_output_blocks(struct tftpk_transfer *t, u64 first, u32 n,
			struct tftpk_out *out)
{
	const struct tftpk_settings *set = &t->tn->settings;
	u32 done = 0, skbs = 0, max = 1, mtu;
	struct dst_entry *dst;
	u64 bytes = 0;
	bool zc, list;

	dst = tftpk_route_get(t->tn->net, &t->peer);
	if (!dst)
		return 0;
	mtu = dst_mtu(dst);
	zc = READ_ONCE(set->zerocopy) && !t->netascii &&
	     tftpk_output_bytes(t) <= mtu;
	/* The conditions of udp_send_skb() for GSO. */
	if (zc && READ_ONCE(set->gso) && !dst_xfrm(dst))
		max = min_t(u32, UDP_MAX_SEGMENTS, TFTPK_TRAIN_MAX /
			    (TFTPK_HDR_LEN + t->blksize));
	list = n > 1 && !tftpk_device_segments(dst->dev);

	while (done < n) {
		struct sk_buff *skb;
		u32 k = 1;

		if (zc)
			skb = tftpk_build_train(t, dst, first + done,
						min(max, n - done), list, &k,
						out);
		else if (t->netascii)
			skb = tftpk_build_text(t, dst, first + done, out);
		else
			skb = tftpk_build_copy(t, dst, first + done, out);
		if (!skb)
			break;
		bytes += skb->len - k * TFTPK_HDR_LEN;
		tftpk_push_headers(t->tn->net, &t->peer.tid.key, dst, mtu, skb,
				   &t->peer.ident);
		tftpk_mark(skb, &t->peer);
		skb_dst_set_noref(skb, dst);
		__skb_queue_tail(&out->queue, skb);
		done += k;
		skbs++;
	}
	if (!done)
		return 0;

	tftpk_stats_add(t->tn, TFTPK_A_STATS_BLOCKS_SENT, done);
	tftpk_stats_add(t->tn, TFTPK_A_STATS_BYTES_SENT, bytes);
	tftpk_stats_add(t->tn, TFTPK_A_STATS_SKBS_SENT, skbs);
	if (!zc)
		tftpk_stats_add(t->tn, TFTPK_A_STATS_BYTES_COPIED, bytes);
	return done;
}

static struct sk_buff *tftpk_build_packet(struct net *net,
					  const struct tftpk_key *key,
					  struct dst_entry *dst,
					  const void *data, size_t len,
					  u16 *ident, struct tftpk_out *out)
{
	struct sk_buff *skb = tftpk_alloc(key, dst, len, 0, out);

	if (!skb)
		return NULL;
	skb_put_data(skb, data, len);
	tftpk_push_headers(net, key, dst, dst_mtu(dst), skb, ident);
	return skb;
}

/**
 * tftpk_output_packet() - build an OACK or ERROR of a transfer
 * @net: network namespace
 * @peer: client of a transfer, locked
 * @data: the packet, from its opcode on
 * @len: its length
 * @out: takes it
 *
 * Context: as tftpk_output_blocks(). Return: 0, -ENETUNREACH or -ENOMEM.
 */
int tftpk_output_packet(struct net *net, struct tftpk_peer *peer,
			const void *data, size_t len,
			struct tftpk_out *out)
{
	struct dst_entry *dst = tftpk_route_get(net, peer);
	struct sk_buff *skb;

	if (!dst)
		return -ENETUNREACH;
	skb = tftpk_build_packet(net, &peer->tid.key, dst, data, len,
				 &peer->ident, out);
	if (!skb)
		return -ENOMEM;
	tftpk_mark(skb, peer);
	skb_dst_set_noref(skb, dst);
	__skb_queue_tail(&out->queue, skb);
	return 0;
}

/**
 * tftpk_output_send() - transmit packets
 * @net: network namespace
 * @out: packets; none afterwards
 *
 * Context: softirq or BH disabled, in the RCU section that built the packets; no
 * lock is held.
 */
void tftpk_output_send(struct net *net, struct tftpk_out *out)
{
	struct sk_buff *skb;

	while ((skb = __skb_dequeue(&out->queue))) {
		if (skb->protocol == htons(ETH_P_IP))
			ip_local_out(net, NULL, skb);
		else
			ip6_local_out(net, NULL, skb);
	}
}

/* Send a packet that belongs to no transfer. */
static void tftpk_output_once(const struct tftpk_key *key, struct net *net,
			      const void *data, size_t len)
{
	struct dst_entry *dst = tftpk_route_find(net, key);
	struct tftpk_out out;
	struct sk_buff *skb;

	if (!dst)
		return;
	tftpk_out_init(&out);
	skb = tftpk_build_packet(net, key, dst, data, len, NULL, &out);
	if (!skb) {
		dst_release(dst);
		return;
	}
	skb_dst_set(skb, dst);
	__skb_queue_tail(&out.queue, skb);
	tftpk_output_send(net, &out);
}

/**
 * tftpk_output_error() - send an ERROR that belongs to no transfer
 * @key: client, and the port to send from
 * @net: network namespace
 * @code: one of enum tftpk_error
 * @text: what people read
 *
 * Context: softirq, within rcu_read_lock(); no lock is held.
 */
void tftpk_output_error(const struct tftpk_key *key, struct net *net, u16 code,
			const char *text)
{
	u8 buf[TFTPK_ERROR_MAX];

	tftpk_output_once(key, net, buf, tftpk_put_error(buf, code, text));
}

/**
 * tftpk_output_ack() - send an ACK of an upload that has ended
 * @key: client, and the port to send from
 * @net: network namespace
 * @block: number of the block
 *
 * Context: as tftpk_output_error().
 */
void tftpk_output_ack(const struct tftpk_key *key, struct net *net, u16 block)
{
	u8 buf[TFTPK_HDR_LEN];

	tftpk_put_ack(buf, block);
	tftpk_output_once(key, net, buf, sizeof(buf));
}
