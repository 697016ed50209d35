// SPDX-License-Identifier: GPL-2.0
/*
 * Histograms as messages; stats.c counts them.
 */
#include <net/genetlink.h>

#include "genl.h"
#include "netlink.h"
#include "tftpk.h"

static int tftpk_put_bucket(struct sk_buff *skb, const u64 *at_most, u64 count)
{
	struct nlattr *nest = nla_nest_start(skb, TFTPK_A_HISTOGRAM_BUCKET);

	if (!nest ||
	    (at_most && nla_put_u64_64bit(skb, TFTPK_A_BUCKET_AT_MOST, *at_most,
					  TFTPK_A_BUCKET_PAD)) ||
	    nla_put_u64_64bit(skb, TFTPK_A_BUCKET_COUNT, count,
			      TFTPK_A_BUCKET_PAD))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int tftpk_dump_histogram(struct sk_buff *skb, struct netlink_callback *cb,
				const struct tftpk_net *tn,
				enum tftpk_histogram what)
{
	u64 count[TFTPK_BUCKETS + 1];
	void *hdr;
	int err, i;

	hdr = tftpk_dump_entry(skb, cb, TFTPK_CMD_HISTOGRAM_GET);
	if (!hdr)
		return -EMSGSIZE;
	tftpk_stats_read_histogram(tn, what, count);
	err = nla_put_u32(skb, TFTPK_A_HISTOGRAM_WHAT, what) ||
	      nla_put_u64_64bit(skb, TFTPK_A_HISTOGRAM_SUM,
				count[TFTPK_BUCKETS], TFTPK_A_HISTOGRAM_PAD);
	for (i = 0; i < TFTPK_BUCKETS && !err; i++)
		err = tftpk_put_bucket(skb, i < TFTPK_BUCKETS - 1 ?
					    &tftpk_bounds[what][i] : NULL,
				       count[i]);
	return tftpk_dump_end(skb, hdr, err);
}

int tftpk_nl_histogram_get_dumpit(struct sk_buff *skb,
				  struct netlink_callback *cb)
{
	const struct tftpk_net *tn = tftpk_net(sock_net(skb->sk));

	for (; cb->args[0] < __TFTPK_HISTOGRAM_MAX; cb->args[0]++) {
		if (tftpk_dump_histogram(skb, cb, tn, cb->args[0]))
			break;
	}
	return skb->len;
}
