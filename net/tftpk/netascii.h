/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Text as netascii (RFC 764), and back: a line feed becomes CR LF, a bare carriage
 * return becomes CR NUL. Either pair may be split between two blocks, so a place in the
 * stream is more than a position in the file. Pure, as window.h.
 */
#ifndef _TFTPK_NETASCII_H
#define _TFTPK_NETASCII_H

#include <linux/types.h>

/**
 * struct tftpk_netascii - a place in a text's encoded stream
 * @pos: position in the file of the next byte to encode
 * @pending: second half of a pair whose first half was written, or -1
 */
struct tftpk_netascii {
	u64 pos;
	int pending;
};

void tftpk_netascii_init(struct tftpk_netascii *at);
u32 tftpk_netascii_encode(struct tftpk_netascii *at, const u8 *text, u32 len,
			  u8 *buf, u32 room);
u32 tftpk_netascii_decode(bool *cr, const u8 *wire, u32 len, u8 *text);
u32 tftpk_netascii_decode_end(bool *cr, u8 *text);

#endif /* _TFTPK_NETASCII_H */
