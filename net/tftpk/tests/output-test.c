// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of what goes to the wire: how packets are laid out in skbs, and
 * which packets become of them once the stack has segmented them and filled
 * in checksums.
 */
#include <kunit/test.h>
#include <net/gso.h>

#include "../output.c"
#include "../route.c"
#include "../stats.c"

#define SERVER_PORT	1069
#define CLIENT_PORT	4711

#define PACKET_HASH	0x12345678

#define RING_SIZE	64

/* A transfer that comes without a server. */
struct output_state {
	struct tftpk_net tn;
	struct tftpk_listener listener;
	struct tftpk_transfer t;
	struct dst_metrics metrics;
	struct page *ring[RING_SIZE];
	struct page *pages[RING_SIZE];
	unsigned int order;
	struct tftpk_out out;
	u8 *packet;
};

#define PACKET_MAX	(65536 + 64)

struct output_case {
	const char *desc;
	u16 family;
	u16 blksize;
	u64 size;
	u64 first;		/* block */
	u32 n;			/* blocks */
	u32 mtu;
	u32 skbs;		/* that these make */
	u8 order;		/* of the pages */
	u8 rollover;
	bool no_gso;
	bool copy;
	bool no_uso;		/* the device cannot segment */
	bool hands_on;		/* nor does it, but it hands trains on */
};

/* What the file holds at a position */
static u8 output_byte(u64 pos)
{
	return pos * 7 + (pos >> 8) * 13 + (pos >> 16);
}

static bool output_copies(const struct output_case *c)
{
	u32 overhead = c->family == AF_INET ? 32 : 52;

	return c->copy || c->blksize + overhead > c->mtu;
}

static void output_fill_ring(struct kunit *test, u64 from, u64 to)
{
	struct output_state *s = test->priv;
	u64 i, first = from >> PAGE_SHIFT;
	unsigned int k, group;

	first = round_down(first, 1U << s->order);
	KUNIT_ASSERT_LE(test, DIV_ROUND_UP_ULL(to, PAGE_SIZE) - first,
			RING_SIZE);
	s->t.source.ring.pages = s->ring;
	s->t.source.ring.mask = RING_SIZE - 1;
	s->t.source.ring.tail = first;
	s->t.source.ring.filled = to;
	for (i = first, group = 0; i < DIV_ROUND_UP_ULL(to, PAGE_SIZE);
	     i += 1U << s->order, group++) {
		struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP,
						s->order);

		KUNIT_ASSERT_NOT_NULL(test, page);
		s->pages[group] = page;
		for (k = 0; k < 1U << s->order; k++) {
			u8 *data = page_address(page + k);
			u32 at;

			s->ring[(i + k) % RING_SIZE] = page + k;
			for (at = 0; at < PAGE_SIZE; at++)
				data[at] = output_byte((i + k) * PAGE_SIZE +
						       at);
		}
	}
}

static void output_set_up(struct kunit *test, const struct output_case *c)
{
	struct net_device *dev = init_net.loopback_dev;
	struct output_state *s = test->priv;
	struct tftpk_transfer *t = &s->t;
	struct tftpk_key *key = &t->peer.tid.key;

	/* As a network card; it is a device that hands on what it gets. */
	if (!c->hands_on)
		dev->features &= ~NETIF_F_FRAGLIST;
	if (c->no_uso)
		dev->features &= ~NETIF_F_GSO_UDP_L4;

	s->order = c->order;
	s->tn.settings.zerocopy = !c->copy;
	s->tn.settings.gso = !c->no_gso;
	s->listener.name.family = c->family;
	s->listener.main.port = htons(SERVER_PORT);

	t->peer.hash = PACKET_HASH;
	t->blksize = c->blksize;
	t->source.size = c->size;
	tftpk_window_init(&t->window, c->size, c->blksize, 64, c->rollover);
	key->client_port = htons(CLIENT_PORT);
	s->metrics.metrics[RTAX_MTU - 1] = c->mtu;
	s->metrics.metrics[RTAX_HOPLIMIT - 1] = 33;
	refcount_set(&s->metrics.refcnt, 2);
	if (c->family == AF_INET) {
		struct rtable *rt = rt_dst_alloc(dev, 0, RTN_UNICAST, true);

		KUNIT_ASSERT_NOT_NULL(test, rt);
		t->peer.dst = &rt->dst;
		ipv6_addr_set_v4mapped(htonl(0xc0000201), &key->local);
		ipv6_addr_set_v4mapped(htonl(0xc0000202), &key->client);
	} else {
		struct rt6_info *rt = ip6_dst_alloc(&init_net, dev, DST_NOXFRM);

		KUNIT_ASSERT_NOT_NULL(test, rt);
		t->peer.dst = &rt->dst;
		ipv6_addr_set(&key->local, htonl(0x20010db8), 0, 0, htonl(1));
		ipv6_addr_set(&key->client, htonl(0x20010db8), 0, 0, htonl(2));
	}
	/* This route is there for good. */
	t->peer.dst->obsolete = 0;
	dst_init_metrics(t->peer.dst, s->metrics.metrics, true);
}

/* As the module calls it, but for packets that stay longer than that. */
static u32 output_blocks(struct output_state *s, u64 first, u32 n)
{
	struct sk_buff *skb;
	u32 done;

	local_bh_disable();
	rcu_read_lock();
	spin_lock(&s->t.lock);
	done = tftpk_output_blocks(&s->t, first, n, &s->out);
	spin_unlock(&s->t.lock);
	skb_queue_walk(&s->out.queue, skb)
		skb_dst_force(skb);
	rcu_read_unlock();
	local_bh_enable();
	return done;
}

static int output_packet(struct output_state *s, const void *data, size_t len)
{
	struct sk_buff *skb;
	int err;

	local_bh_disable();
	rcu_read_lock();
	spin_lock(&s->t.lock);
	err = tftpk_output_packet(&init_net, &s->t.peer, data, len, &s->out);
	spin_unlock(&s->t.lock);
	skb_queue_walk(&s->out.queue, skb)
		skb_dst_force(skb);
	rcu_read_unlock();
	local_bh_enable();
	return err;
}

/* ---- packets, as they leave the machine ---- */

/* Check addresses, ports, lengths and the checksum of s->packet; returns where
 * TFTP begins.
 */
static u8 *output_check_headers(struct kunit *test, u16 family, u32 len)
{
	struct output_state *s = test->priv;
	const struct tftpk_key *key = &s->t.peer.tid.key;
	struct udphdr *uh;
	__sum16 csum;
	u32 udp_len;

	if (family == AF_INET) {
		const struct iphdr *iph = (const struct iphdr *)s->packet;

		uh = (struct udphdr *)(iph + 1);
		udp_len = len - sizeof(*iph);
		KUNIT_EXPECT_TRUE(test, iph->version == 4);
		KUNIT_EXPECT_TRUE(test, iph->ihl == 5);
		KUNIT_EXPECT_EQ(test, iph->ttl, 33);
		KUNIT_EXPECT_EQ(test, iph->protocol, IPPROTO_UDP);
		KUNIT_EXPECT_TRUE(test, iph->saddr == key->local.s6_addr32[3]);
		KUNIT_EXPECT_TRUE(test, iph->daddr == key->client.s6_addr32[3]);
		csum = csum_tcpudp_magic(iph->saddr, iph->daddr, udp_len,
					 IPPROTO_UDP,
					 csum_partial(uh, udp_len, 0));
	} else {
		const struct ipv6hdr *ip6h = (const struct ipv6hdr *)s->packet;

		uh = (struct udphdr *)(ip6h + 1);
		udp_len = len - sizeof(*ip6h);
		KUNIT_EXPECT_TRUE(test, ip6h->version == 6);
		KUNIT_EXPECT_EQ(test, ip6h->hop_limit, 33);
		KUNIT_EXPECT_EQ(test, ip6h->nexthdr, IPPROTO_UDP);
		KUNIT_EXPECT_MEMEQ(test, &ip6h->saddr, &key->local, 16);
		KUNIT_EXPECT_MEMEQ(test, &ip6h->daddr, &key->client, 16);
		csum = csum_ipv6_magic(&ip6h->saddr, &ip6h->daddr, udp_len,
				       IPPROTO_UDP,
				       csum_partial(uh, udp_len, 0));
	}
	KUNIT_EXPECT_EQ(test, ntohs(uh->source), SERVER_PORT);
	KUNIT_EXPECT_EQ(test, ntohs(uh->dest), CLIENT_PORT);
	KUNIT_EXPECT_EQ(test, ntohs(uh->len), udp_len);
	KUNIT_EXPECT_TRUE(test, uh->check);
	KUNIT_EXPECT_FALSE(test, csum);
	return (u8 *)(uh + 1);
}

/* Is this packet that block? */
static void output_check_block(struct kunit *test, const struct output_case *c,
			       struct sk_buff *skb, u64 block)
{
	u64 pos = (block - 1) * c->blksize, left = c->size - pos, i;
	struct output_state *s = test->priv;
	u32 len = min_t(u64, left, c->blksize);
	u64 wire = block;
	u8 *tftp;

	while (wire > 65535)
		wire = wire - 65536 + c->rollover;

	KUNIT_ASSERT_LE(test, skb->len, PACKET_MAX);
	KUNIT_ASSERT_EQ(test, skb_copy_bits(skb, 0, s->packet, skb->len), 0);
	tftp = output_check_headers(test, c->family, skb->len);
	KUNIT_ASSERT_EQ(test, s->packet + skb->len - tftp,
			TFTPK_HDR_LEN + len);
	KUNIT_EXPECT_EQ(test, get_unaligned_be16(tftp), TFTPK_OP_DATA);
	KUNIT_EXPECT_EQ(test, get_unaligned_be16(tftp + 2), wire);
	for (i = 0; i < len; i++) {
		if (tftp[4 + i] == output_byte(pos + i))
			continue;
		KUNIT_FAIL(test, "block %llu differs at byte %llu", block, i);
		break;
	}
}

/* ---- skbs, as they leave the module ---- */

static bool output_is_ours(const struct output_state *s,
			   const struct page *page)
{
	int i;

	for (i = 0; i < RING_SIZE; i++)
		if (s->ring[i] == page)
			return true;
	return false;
}

/* Returns the payload that lies in the file's own pages. */
static u32 output_check_frags(struct kunit *test, struct sk_buff *skb)
{
	const struct skb_shared_info *shinfo = skb_shinfo(skb);
	struct output_state *s = test->priv;
	u32 bytes = 0, ours = 0, n;
	struct sk_buff *part;
	int i;

	KUNIT_EXPECT_LE(test, (int)shinfo->nr_frags, (int)MAX_SKB_FRAGS);
	/* What skb_segment() wants of these. */
	skb_walk_frags(skb, part) {
		KUNIT_EXPECT_EQ(test, skb_headlen(part), 0);
		KUNIT_EXPECT_GT(test, (int)skb_shinfo(part)->nr_frags, 0);
		ours += output_check_frags(test, part);
		bytes += part->len;
	}
	for (i = 0; i < shinfo->nr_frags; i++) {
		const skb_frag_t *frag = &shinfo->frags[i];
		struct page *page = skb_frag_page(frag);

		n = skb_frag_size(frag);
		KUNIT_EXPECT_GT(test, n, 0);
		bytes += n;
		if (!output_is_ours(s, page))
			continue;
		ours += n;
		KUNIT_EXPECT_GT(test, page_ref_count(compound_head(page)), 1);
	}
	KUNIT_EXPECT_EQ(test, skb->data_len, bytes);
	KUNIT_EXPECT_GE(test, skb->truesize, skb->len);
	if (ours)
		KUNIT_EXPECT_TRUE(test, skb_has_shared_frag(skb));
	return ours;
}

/* Returns the number of blocks that @skb holds. */
static u32 output_check_skb(struct kunit *test, const struct output_case *c,
			    struct sk_buff *skb, u64 block)
{
	const struct skb_shared_info *shinfo = skb_shinfo(skb);
	u32 ip_len = c->family == AF_INET ? 20 : 40;
	struct output_state *s = test->priv;
	u32 segs = shinfo->gso_segs ?: 1;
	u32 payload = skb->len - ip_len - 8 - segs * TFTPK_HDR_LEN;
	u32 ours = output_check_frags(test, skb);

	KUNIT_EXPECT_EQ(test, ours, output_copies(c) ? 0 : payload);
	KUNIT_EXPECT_PTR_EQ(test, skb_dst(skb), s->t.peer.dst);
	KUNIT_EXPECT_GE(test, skb_headroom(skb),
			s->t.peer.dst->dev->hard_header_len);
	KUNIT_EXPECT_EQ(test, skb->hash, PACKET_HASH);
	KUNIT_EXPECT_TRUE(test, skb->sw_hash && skb->l4_hash);
	KUNIT_EXPECT_NULL(test, skb->sk);
	KUNIT_EXPECT_NULL(test, skb->destructor);
	KUNIT_EXPECT_TRUE(test, skb->ip_summed == CHECKSUM_PARTIAL);
	KUNIT_EXPECT_EQ(test, skb_network_offset(skb), 0);
	KUNIT_EXPECT_EQ(test, skb_transport_offset(skb), ip_len);
	KUNIT_EXPECT_EQ(test, skb_checksum_start_offset(skb), ip_len);
	KUNIT_EXPECT_EQ(test, skb->csum_offset,
			offsetof(struct udphdr, check));
	KUNIT_EXPECT_EQ(test, ntohs(skb->protocol),
			c->family == AF_INET ? ETH_P_IP : ETH_P_IPV6);
	if (segs == 1) {
		KUNIT_EXPECT_FALSE(test, skb_is_gso(skb));
		return 1;
	}
	KUNIT_EXPECT_FALSE(test, c->no_gso || output_copies(c));
	if (!c->no_uso && !c->hands_on)
		KUNIT_EXPECT_NULL(test, shinfo->frag_list);
	KUNIT_EXPECT_EQ(test, shinfo->gso_type, SKB_GSO_UDP_L4);
	KUNIT_EXPECT_EQ(test, shinfo->gso_size, TFTPK_HDR_LEN + c->blksize);
	KUNIT_EXPECT_LE(test, segs, UDP_MAX_SEGMENTS);
	KUNIT_EXPECT_LE(test, skb->len - ip_len, 65535 - 20);
	KUNIT_EXPECT_EQ(test, DIV_ROUND_UP(skb->len - ip_len - 8,
					   shinfo->gso_size), segs);
	return segs;
}

/* Let the stack do its part, as for a device that can do little. */
static void output_check_packets(struct kunit *test,
				 const struct output_case *c,
				 struct sk_buff *skb, u64 block, u32 n)
{
	struct sk_buff *segs, *seg, *next;

	if (!skb_is_gso(skb)) {
		KUNIT_EXPECT_EQ(test, skb_checksum_help(skb), 0);
		output_check_block(test, c, skb, block);
		kfree_skb(skb);
		return;
	}
	segs = __skb_gso_segment(skb, NETIF_F_SG, true);
	KUNIT_EXPECT_FALSE(test, IS_ERR_OR_NULL(segs));
	consume_skb(skb);
	if (IS_ERR_OR_NULL(segs))
		return;
	skb_list_walk_safe(segs, seg, next) {
		skb_mark_not_on_list(seg);
		output_check_block(test, c, seg, block++);
		consume_skb(seg);
		n--;
	}
	KUNIT_EXPECT_EQ(test, n, 0);
}

#define V4	.family = AF_INET
#define V6	.family = AF_INET6

static const struct output_case output_cases[] = {
	{ "one block", V4, 512, 512, 1, 1, 1500, 1 },
	{ "one block, v6", V6, 512, 512, 1, 1, 1500, 1 },
	{ "one byte", V4, 512, 1, 1, 1, 1500, 1 },
	{ "an empty file", V4, 512, 0, 1, 1, 1500, 1 },
	{ "an empty file, v6", V6, 512, 0, 1, 1, 1500, 1 },
	{ "a whole block and the empty one", V4, 512, 512, 1, 2, 1500, 1 },
	{ "only the empty one", V4, 512, 512, 2, 1, 1500, 1 },
	{ "blocks of 8 bytes", V4, 8, 800, 1, 64, 1500 },
	{ "blocks of 8 bytes and one of 7", V4, 8, 63 * 8 + 7, 1, 64, 1500 },
	{ "blocks of 512 bytes", V4, 512, 100000, 1, 16, 1500 },
	{ "blocks of 1428 bytes", V4, 1428, 200000, 1, 64, 1500 },
	{ "blocks of 1428 bytes, v6", V6, 1428, 200000, 1, 64, 1500 },
	{ "blocks that fit the MTU just so", V4, 1468, 200000, 1, 16, 1500 },
	{ "blocks that fit the MTU just so, v6", V6, 1448, 200000, 1, 16,
	  1500 },
	{ "blocks that do not fit", V4, 1469, 200000, 1, 8, 1500, 8 },
	{ "blocks that do not fit, v6", V6, 1449, 200000, 1, 8, 1500, 8 },
	{ "the last blocks", V4, 1428, 100000, 65, 7, 1500 },
	{ "from the middle of a page", V4, 1428, 200000, 50, 20, 1500 },
	{ "odd sizes", V4, 1427, 99991, 3, 60, 1500 },
	{ "jumbo frames", V4, 8192, 200000, 1, 20, 9000 },
	{ "jumbo frames, odd size", V4, 8191, 200000, 2, 20, 9000 },
	{ "blocks as large as can be", V4, 65464, 200000, 1, 3, 65535 },
	{ "blocks as large as can be, v6", V6, 65464, 200000, 1, 3, 65535 },
	{ "blocks as large as can be, copied", V4, 65464, 200000, 1, 3, 1500,
	  3 },
	{ "blocks as large as can be, copied, v6", V6, 65464, 200000, 2, 3,
	  1280, 3 },
	{ "large folios", V4, 1428, 200000, 1, 64, 1500, .order = 2 },
	{ "large folios, v6", V6, 1428, 200000, 1, 64, 1500, .order = 3 },
	{ "large folios, large blocks", V4, 8192, 200000, 1, 20, 9000,
	  .order = 4 },
	{ "large folios from their middle", V4, 1428, 200000, 31, 40, 1500,
	  .order = 4 },
	{ "a page to a block", V4, 4096, 200000, 1, 16, 9000 },
	{ "long trains", V4, 1428, 200000, 1, 64, 1500, 2, .no_uso = true },
	{ "long trains, v6", V6, 1428, 200000, 1, 64, 1500, 2,
	  .no_uso = true },
	{ "a long train to the end", V4, 1428, 1428 * 100, 70, 32, 1500, 1,
	  .no_uso = true },
	{ "long trains, odd size", V4, 1427, 99991, 3, 60, 1500, 2,
	  .no_uso = true },
	{ "long trains of small blocks", V4, 8, 63 * 8 + 7, 1, 64, 1500, 1,
	  .no_uso = true },
	{ "long trains of jumbo frames", V4, 8191, 200000, 2, 20, 9000, 3,
	  .no_uso = true },
	{ "long trains from large folios", V4, 1428, 200000, 31, 40, 1500, 1,
	  .order = 4, .no_uso = true },
	{ "long trains of a device that hands them on", V4, 1428, 200000, 1,
	  64, 1500, 2, .hands_on = true },
	{ "without segmentation", V4, 1428, 200000, 1, 16, 1500, 16,
	  .no_gso = true },
	{ "without segmentation, v6", V6, 1428, 200000, 1, 16, 1500, 16,
	  .no_gso = true },
	{ "copied", V4, 1428, 200000, 1, 16, 1500, 16, .copy = true },
	{ "copied, v6", V6, 1428, 200000, 1, 16, 1500, 16, .copy = true },
	{ "copied, the empty one", V4, 1428, 1428, 2, 1, 1500, 1,
	  .copy = true },
	{ "copied, into pages", V4, 4000, 200000, 7, 16, 9000, 16,
	  .copy = true },
	{ "copied, a boundary of head and pages", V4, 2048, 20000, 1, 10,
	  9000, 10, .copy = true },
	{ "copied from large folios", V4, 1428, 200000, 1, 16, 1500, 16,
	  .copy = true, .order = 3 },
	{ "rolling over", V4, 512, 65600 * 512, 65530, 16, 1500 },
	{ "rolling over to 1", V4, 512, 65600 * 512, 65530, 16, 1500,
	  .rollover = 1 },
	{ "rolling over at the end", V6, 512, 65536 * 512, 65530, 8, 1500 },
	{ "beyond 4 GiB", V4, 1428, 1ULL << 33, 3007776, 40, 1500 },
	{ "beyond 4 GiB, copied", V4, 1428, 1ULL << 33, 3007776, 40, 1500, 40,
	  .copy = true },
};

KUNIT_ARRAY_PARAM_DESC(output, output_cases, desc);

static void output_blocks_test(struct kunit *test)
{
	const struct output_case *c = test->param_value;
	struct output_state *s = test->priv;
	u64 count[__TFTPK_A_STATS_MAX], end;
	u32 n, done = 0, skbs = 0, copied = 0, bytes;
	struct sk_buff *skb;
	int i;

	output_set_up(test, c);
	end = min_t(u64, c->size, (c->first + c->n - 1) * c->blksize);
	output_fill_ring(test, (c->first - 1) * c->blksize, end);
	bytes = end - (c->first - 1) * c->blksize;

	KUNIT_ASSERT_EQ(test, output_blocks(s, c->first, c->n), c->n);
	while ((skb = __skb_dequeue(&s->out.queue))) {
		n = output_check_skb(test, c, skb, c->first + done);
		output_check_packets(test, c, skb, c->first + done, n);
		done += n;
		skbs++;
	}
	KUNIT_EXPECT_EQ(test, done, c->n);
	if (c->skbs)
		KUNIT_EXPECT_EQ(test, skbs, c->skbs);
	else
		kunit_info(test, "%u blocks in %u skbs", c->n, skbs);

	if (output_copies(c))
		copied = bytes;
	tftpk_stats_read(&s->tn, count);
	KUNIT_EXPECT_EQ(test, count[TFTPK_A_STATS_BLOCKS_SENT], c->n);
	KUNIT_EXPECT_EQ(test, count[TFTPK_A_STATS_BYTES_SENT], bytes);
	KUNIT_EXPECT_EQ(test, count[TFTPK_A_STATS_BYTES_COPIED], copied);
	KUNIT_EXPECT_EQ(test, count[TFTPK_A_STATS_SKBS_SENT], skbs);

	/* Nothing but the ring holds the pages any more. */
	for (i = 0; i < RING_SIZE && s->pages[i]; i++)
		KUNIT_EXPECT_EQ(test, page_ref_count(s->pages[i]), 1);
	for (i = 0; i < TFTPK_HDR_PAGES; i++)
		KUNIT_EXPECT_EQ(test, page_ref_count(tftpk_hdr_pages[i]), 1);
}

/* The table of headers holds every one of them. */
static void output_headers_test(struct kunit *test)
{
	u32 i;

	for (i = 0; i <= 65535; i++) {
		const u8 *hdr = page_address(tftpk_hdr_pages[i / TFTPK_HDRS_PER_PAGE]);

		hdr += i % TFTPK_HDRS_PER_PAGE * TFTPK_HDR_LEN;
		KUNIT_ASSERT_EQ(test, get_unaligned_be16(hdr), TFTPK_OP_DATA);
		KUNIT_ASSERT_EQ(test, get_unaligned_be16(hdr + 2), i);
	}
}

/* Fragments are for those alone who exceed the MTU, DF for those who are to discover
 * it. Without it identifications count.
 */
static void output_df_test(struct kunit *test)
{
	static const struct output_case fits = { "", V4, 1468, 20000, 1, 2,
						 1500 };
	static const struct output_case exceeds = { "", V4, 1469, 20000, 1, 2,
						    1500 };
	const struct output_case *c = test->param_value;
	struct output_state *s = test->priv;
	struct sk_buff *skb;
	int i;

	c = &fits;
	output_set_up(test, c);
	output_fill_ring(test, 0, 2 * 1469);
	for (i = 0; i < 2; i++) {
		s->tn.settings.discover_mtu = i;
		s->t.peer.ident = 65535;
		KUNIT_EXPECT_EQ(test, output_blocks(s, 1, 2), 2);
		skb = __skb_dequeue(&s->out.queue);
		KUNIT_ASSERT_NOT_NULL(test, skb);
		KUNIT_EXPECT_EQ(test, ntohs(ip_hdr(skb)->frag_off),
				i ? IP_DF : 0);
		KUNIT_EXPECT_EQ(test, ntohs(ip_hdr(skb)->id), 65535);
		KUNIT_EXPECT_EQ(test, s->t.peer.ident, 1);
		KUNIT_EXPECT_FALSE(test, !!skb->ignore_df);
		kfree_skb(skb);
		__skb_queue_purge(&s->out.queue);
	}

	s->t.blksize = exceeds.blksize;
	KUNIT_EXPECT_EQ(test, output_blocks(s, 1, 2), 2);
	skb = __skb_dequeue(&s->out.queue);
	KUNIT_ASSERT_NOT_NULL(test, skb);
	KUNIT_EXPECT_EQ(test, ntohs(ip_hdr(skb)->frag_off), 0);
	KUNIT_EXPECT_TRUE(test, skb->ignore_df);
	kfree_skb(skb);
}

/* ---- OACK and ERROR ---- */

static const struct output_case packet_cases[] = {
	{ "v4", V4, 512, 0, 1, 1, 1500 },
	{ "v6", V6, 512, 0, 1, 1, 1500 },
};

KUNIT_ARRAY_PARAM_DESC(packet, packet_cases, desc);

static void output_packet_test(struct kunit *test)
{
	static const char oack[] = "\0\6tsize\0" "1000";
	const struct output_case *c = test->param_value;
	struct output_state *s = test->priv;
	struct sk_buff *skb;
	u8 *tftp;

	output_set_up(test, c);
	KUNIT_ASSERT_EQ(test, output_packet(s, oack, sizeof(oack)), 0);

	skb = __skb_dequeue(&s->out.queue);
	KUNIT_ASSERT_NOT_NULL(test, skb);
	KUNIT_EXPECT_EQ(test, skb->data_len, 0);
	KUNIT_EXPECT_FALSE(test, skb_is_gso(skb));
	KUNIT_EXPECT_EQ(test, skb_checksum_help(skb), 0);
	KUNIT_ASSERT_EQ(test, skb_copy_bits(skb, 0, s->packet, skb->len), 0);
	tftp = output_check_headers(test, c->family, skb->len);
	KUNIT_EXPECT_EQ(test, s->packet + skb->len - tftp, sizeof(oack));
	KUNIT_EXPECT_MEMEQ(test, tftp, oack, sizeof(oack));
	kfree_skb(skb);
}

/* ---- the skb of the ACK ---- */

enum spare_fate { SPARE_PLAIN, SPARE_SHARED, SPARE_CLONED, SPARE_OWNED, SPARE_SMALL,
		  SPARE_PAGED, SPARE_RESERVE, SPARE_POOL, SPARE_FATES };

static void spare_destruct(struct sk_buff *skb)
{
}

/* A packet with all that it collects on its way in. */
static struct sk_buff *spare_make(struct kunit *test, enum spare_fate fate)
{
	u32 len = fate == SPARE_SMALL ? 0 : 256;
	struct sk_buff *skb;

	local_bh_disable();
	skb = tftpk_alloc_head(len);
	local_bh_enable();
	KUNIT_ASSERT_NOT_NULL(test, skb);
	memset(skb->head, 0xa5, len);
	memset(skb->cb, 0xa5, sizeof(skb->cb));
	memset(&skb->headers, 0xa5, sizeof(skb->headers));
	memset(skb_shinfo(skb), 0xa5,
	       offsetof(struct skb_shared_info, dataref));
	skb_shinfo(skb)->nr_frags = 0;
	skb_shinfo(skb)->flags = 0;
	skb_shinfo(skb)->frag_list = NULL;
	skb->tstamp = 1;
	skb->queue_mapping = 3;
	skb->skb_iif = 7;
	skb_reserve(skb, len / 4);
	skb_put(skb, len / 4);
	skb->dev = init_net.loopback_dev;
	skb->peeked = fate == SPARE_PLAIN;
	skb->pfmemalloc = fate == SPARE_RESERVE;
	skb->pp_recycle = fate == SPARE_POOL;
	if (fate == SPARE_OWNED)
		skb->destructor = spare_destruct;
	if (fate == SPARE_SHARED)
		skb_get(skb);
	if (fate == SPARE_PAGED) {
		struct page *page = alloc_page(GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, page);
		skb_add_rx_frag(skb, 0, page, 0, 16, PAGE_SIZE);
	}
	return skb;
}

/* What a block is built in looks as if it were new, and a packet that somebody else
 * has is left alone.
 */
static void output_spare_test(struct kunit *test)
{
	static const struct output_case c = { "", V4, 512, 20000, 1, 1, 1500 };
	struct output_state *s = test->priv;
	struct sk_buff *skb, *spare, *clone, *fresh;
	int fate;

	output_set_up(test, &c);
	output_fill_ring(test, 0, 512);
	KUNIT_ASSERT_EQ(test, output_blocks(s, 1, 1), 1);
	fresh = __skb_dequeue(&s->out.queue);
	for (fate = 0; fate < SPARE_FATES; fate++) {
		spare = spare_make(test, fate);
		clone = fate == SPARE_CLONED ? skb_clone(spare, GFP_KERNEL) : NULL;
		s->out.spare = spare;
		KUNIT_ASSERT_EQ(test, output_blocks(s, 1, 1), 1);
		skb = __skb_dequeue(&s->out.queue);
		KUNIT_EXPECT_EQ(test, skb == spare, fate == SPARE_PLAIN);
		KUNIT_EXPECT_EQ(test, !s->out.spare, fate == SPARE_PLAIN);
		fresh->head_frag = skb->head_frag;
		fresh->alloc_cpu = skb->alloc_cpu;
		KUNIT_EXPECT_MEMEQ(test, skb, fresh,
				   offsetof(struct sk_buff, tail));
		KUNIT_EXPECT_MEMEQ(test, skb_shinfo(skb), skb_shinfo(fresh),
				   offsetof(struct skb_shared_info, dataref));
		output_check_skb(test, &c, skb, 1);
		output_check_packets(test, &c, skb, 1, 1);
		kfree_skb(clone);
		if (fate == SPARE_SHARED)
			kfree_skb(spare);
		kfree_skb(s->out.spare);
	}
	fresh->head_frag = 1;
	kfree_skb(fresh);
}

/* ---- texts ---- */

struct text_case {
	const char *desc;
	u16 blksize;
	u32 repeat;		/* of what follows */
	const char *text;	/* before and after */
	const char *wire;
	u32 wire_len;
};

#define WIRE(s)	s, sizeof(s) - 1

static const struct text_case text_cases[] = {
	{ "an empty text", 512, 1, "", WIRE("") },
	{ "no line end", 512, 1, "abc", WIRE("abc") },
	{ "one line", 512, 1, "abc\n", WIRE("abc\r\n") },
	{ "only line feeds", 512, 1, "\n\n\n", WIRE("\r\n\r\n\r\n") },
	{ "a carriage return", 512, 1, "a\rb", WIRE("a\r\0b") },
	{ "lines as DOS has them", 512, 1, "a\r\nb", WIRE("a\r\0\r\nb") },
	{ "a carriage return at the end", 512, 1, "a\r", WIRE("a\r\0") },
	{ "a line feed at the end of a block", 8, 1, "1234567\n8",
	  WIRE("1234567\r\n8") },
	{ "a line feed behind a block", 8, 1, "12345678\n9",
	  WIRE("12345678\r\n9") },
	{ "a block that ends with the text", 8, 1, "12345678",
	  WIRE("12345678") },
	{ "a pair that ends with the text", 8, 1, "123456\n",
	  WIRE("123456\r\n") },
	{ "a pair cut in two at the end", 8, 1, "1234567\n",
	  WIRE("1234567\r\n") },
	{ "a pair cut in two at the end, carriage return", 8, 1, "1234567\r",
	  WIRE("1234567\r\0") },
	{ "many short lines", 512, 2000, "a\n", WIRE("a\r\n") },
	{ "only line feeds across pages", 1428, 9000, "\n", WIRE("\r\n") },
	{ "lines across pages", 1000, 1000, "abc\nde\r\nf", WIRE("abc\r\nde\r\0\r\nf") },
	{ "blocks that go into pages", 4000, 3000, "ab\rc\n", WIRE("ab\r\0c\r\n") },
	{ "whole pages", 4096, 4096, "1234", WIRE("1234") },
};

KUNIT_ARRAY_PARAM_DESC(text, text_cases, desc);

static void output_text_test(struct kunit *test)
{
	const struct text_case *c = test->param_value;
	u32 len = strlen(c->text), size = len * c->repeat;
	u32 wire_len = c->wire_len * c->repeat;
	struct output_case output = {
		"", V4, c->blksize, size, 1, 1, 65535,
	};
	struct output_state *s = test->priv;
	struct tftpk_transfer *t = &s->t;
	u32 i, got = 0, n, bad = 0;
	struct sk_buff *skb;
	u64 block = 0;
	u8 *tftp;

	output_set_up(test, &output);
	output_fill_ring(test, 0, size);
	for (i = 0; i < size; i++)
		((u8 *)page_address(s->ring[i / PAGE_SIZE]))[i % PAGE_SIZE] =
			c->text[i % len];
	t->netascii = true;
	t->window.last = U64_MAX;
	tftpk_netascii_init(&t->text[0]);
	t->text[1] = t->text[0];

	while (block++ < t->window.last) {
		/* Once for nothing, as for a block that was lost. */
		KUNIT_ASSERT_EQ(test, output_blocks(s, block, 1), 1);
		__skb_queue_purge(&s->out.queue);
		KUNIT_ASSERT_EQ(test, output_blocks(s, block, 1), 1);
		skb = __skb_dequeue(&s->out.queue);
		KUNIT_ASSERT_NOT_NULL(test, skb);

		KUNIT_EXPECT_EQ(test, skb_checksum_help(skb), 0);
		skb_copy_bits(skb, 0, s->packet, skb->len);
		tftp = output_check_headers(test, AF_INET, skb->len);
		n = s->packet + skb->len - tftp - TFTPK_HDR_LEN;
		kfree_skb(skb);
		KUNIT_EXPECT_EQ(test, get_unaligned_be16(tftp + 2), block);
		if (block < t->window.last)
			KUNIT_ASSERT_EQ(test, n, c->blksize);
		else
			KUNIT_EXPECT_LT(test, n, c->blksize);
		for (i = 0; i < n; i++)
			bad += tftp[4 + i] !=
			       (u8)c->wire[(got + i) % c->wire_len];
		got += n;
		KUNIT_ASSERT_LE(test, got, wire_len);
		t->text[0] = t->text[1];
	}
	KUNIT_EXPECT_EQ(test, got, wire_len);
	KUNIT_EXPECT_EQ(test, bad, 0);
}

/* ---- state ---- */

static int output_init(struct kunit *test)
{
	struct output_state *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);

	if (!s)
		return -ENOMEM;
	s->packet = kunit_kzalloc(test, PACKET_MAX, GFP_KERNEL);
	if (!s->packet)
		return -ENOMEM;
	s->tn.net = &init_net;
	if (tftpk_stats_init(&s->tn))
		return -ENOMEM;
	s->listener.tn = &s->tn;
	s->listener.main.listener = &s->listener;
	s->t.tn = &s->tn;
	s->t.peer.tid.key.port = &s->listener.main;
	spin_lock_init(&s->t.lock);
	tftpk_out_init(&s->out);
	test->priv = s;
	return 0;
}

static void output_exit(struct kunit *test)
{
	struct output_state *s = test->priv;
	int i;

	if (!s)
		return;
	__skb_queue_purge(&s->out.queue);
	init_net.loopback_dev->features |= NETIF_F_GSO_UDP_L4 |
					   NETIF_F_FRAGLIST;
	dst_release(s->t.peer.dst);
	/* The route refers to what is freed now. */
	rcu_barrier();
	for (i = 0; i < RING_SIZE && s->pages[i]; i++)
		put_page(s->pages[i]);
	tftpk_stats_exit(&s->tn);
}

static int output_suite_init(struct kunit_suite *suite)
{
	return tftpk_output_init();
}

static void output_suite_exit(struct kunit_suite *suite)
{
	tftpk_output_exit();
}

static struct kunit_case output_test_cases[] = {
	KUNIT_CASE_PARAM(output_blocks_test, output_gen_params),
	KUNIT_CASE(output_headers_test),
	KUNIT_CASE(output_df_test),
	KUNIT_CASE_PARAM(output_packet_test, packet_gen_params),
	KUNIT_CASE(output_spare_test),
	KUNIT_CASE_PARAM(output_text_test, text_gen_params),
	{}
};

static struct kunit_suite output_suite = {
	.name		= "tftpk-output",
	.suite_init	= output_suite_init,
	.suite_exit	= output_suite_exit,
	.init		= output_init,
	.exit		= output_exit,
	.test_cases	= output_test_cases,
};

kunit_test_suite(output_suite);
