/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TFTPK_OUTPUT_H
#define _TFTPK_OUTPUT_H

#include <linux/skbuff.h>

struct net;
struct tftpk_key;
struct tftpk_peer;
struct tftpk_transfer;

/**
 * struct tftpk_out - packets that are to be sent
 * @queue: the packets
 * @spare: skb that one of them may be built in, or NULL
 *
 * The ACK that calls for a block has a head that holds the headers of its answer. To
 * build that there saves to allocate one skb and to free another.
 */
struct tftpk_out {
	struct sk_buff_head queue;
	struct sk_buff *spare;
};

static inline void tftpk_out_init(struct tftpk_out *out)
{
	__skb_queue_head_init(&out->queue);
	out->spare = NULL;
}

int tftpk_output_init(void);
void tftpk_output_exit(void);
u32 tftpk_output_overhead(const struct tftpk_key *key);
u32 tftpk_output_blocks(struct tftpk_transfer *t, u64 first, u32 n,
			struct tftpk_out *out);
int tftpk_output_packet(struct net *net, struct tftpk_peer *peer,
			const void *data, size_t len,
			struct tftpk_out *out);
void tftpk_output_send(struct net *net, struct tftpk_out *out);
void tftpk_output_error(const struct tftpk_key *key, struct net *net, u16 code,
			const char *text);
void tftpk_output_ack(const struct tftpk_key *key, struct net *net, u16 block);

#endif /* _TFTPK_OUTPUT_H */
