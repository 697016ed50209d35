// SPDX-License-Identifier: GPL-2.0
/*
 * Encoding of netascii (RFC 764).
 */
#include "netascii.h"

/**
 * tftpk_netascii_init() - begin a text
 * @at: place in the stream
 */
void tftpk_netascii_init(struct tftpk_netascii *at)
{
	at->pos = 0;
	at->pending = -1;
}

/**
 * tftpk_netascii_encode() - encode a piece of text
 * @at: place in the stream; moves on
 * @text: the bytes at @at->pos; not read where @len is 0
 * @len: how many of them there are
 * @buf: takes the encoded bytes
 * @room: how many bytes fit
 *
 * Reads at most as many bytes as it writes. Stops where @text or @room ends. If
 * both end within a pair, its second half is left for the next call, be it one
 * without text.
 *
 * Return: bytes written.
 */
u32 tftpk_netascii_encode(struct tftpk_netascii *at, const u8 *text, u32 len,
			  u8 *buf, u32 room)
{
	const u8 *end = text + len;
	u32 n = 0;

	while (n < room) {
		u8 c;

		if (at->pending >= 0) {
			buf[n++] = at->pending;
			at->pending = -1;
			continue;
		}
		if (text == end)
			break;
		c = *text++;
		at->pos++;
		if (c == '\n') {
			at->pending = '\n';
			c = '\r';
		} else if (c == '\r') {
			at->pending = '\0';
		}
		buf[n++] = c;
	}
	return n;
}
