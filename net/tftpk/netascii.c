// SPDX-License-Identifier: GPL-2.0
/*
 * Encoding and decoding of netascii (RFC 764).
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

/**
 * tftpk_netascii_decode() - decode a piece of an encoded stream
 * @cr: the stream so far ended with a CR, which is not written yet; false at first
 * @wire: the encoded bytes
 * @len: how many of them there are
 * @text: takes the decoded bytes, as many as @len and one; not @wire
 *
 * A CR that neither LF nor NUL follows stays what it is: clients that do not convert
 * send such.
 *
 * Return: bytes written.
 */
u32 tftpk_netascii_decode(bool *cr, const u8 *wire, u32 len, u8 *text)
{
	const u8 *end = wire + len;
	u32 n = 0;

	while (wire < end) {
		u8 c = *wire++;

		if (*cr && c != '\n')
			text[n++] = '\r';
		/* The NUL says only that no LF follows. */
		if (c != '\r' && !(*cr && !c))
			text[n++] = c;
		*cr = c == '\r';
	}
	return n;
}

/**
 * tftpk_netascii_decode_end() - the encoded stream is over
 * @cr: as above; false then
 * @text: takes up to one byte
 *
 * Return: bytes written.
 */
u32 tftpk_netascii_decode_end(bool *cr, u8 *text)
{
	if (!*cr)
		return 0;
	*cr = false;
	*text = '\r';
	return 1;
}
