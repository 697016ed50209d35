// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes netascii (net/tftpk/netascii.c).
 *
 * An input is a block size, the size of the pieces that the text comes in (pages,
 * for the server), and a text. The text is encoded twice: into blocks, from pieces,
 * and at one go. Both must be the same stream, each block but the last one full,
 * and a decoder that shares nothing with the encoder must read the text from it.
 * So must the decoder of uploads, from pieces. The text itself, taken for a stream,
 * becomes the same from pieces as at one go.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kernel.h>

#include "netascii.h"

/* Fails loudly, and so that libFuzzer keeps the input. */
#define CHECK(cond) do {						\
	if (!(cond)) {							\
		fprintf(stderr, "%s:%d: not so: %s\n", __FILE__,	\
			__LINE__, #cond);				\
		abort();						\
	}								\
} while (0)

/* Just as large as what it holds: any byte beyond is found. */
static u8 *copy(const u8 *data, size_t len)
{
	u8 *buf = malloc(len ?: 1);

	memcpy(buf, data, len);
	return buf;
}

/* RFC 764: CR LF is the end of a line, CR NUL a carriage return, and no other
 * byte follows CR.
 */
static size_t decode(const u8 *wire, size_t len, u8 *text)
{
	size_t i, n = 0;

	for (i = 0; i < len; i++) {
		CHECK(wire[i] != '\n');
		if (wire[i] != '\r') {
			text[n++] = wire[i];
			continue;
		}
		CHECK(++i < len);
		CHECK(wire[i] == '\n' || wire[i] == '\0');
		text[n++] = wire[i] ? '\n' : '\r';
	}
	return n;
}

/* One block, at most; returns its length. */
static u32 encode_block(struct tftpk_netascii *at, const u8 *text, size_t len,
			u32 piece, u8 *block, u32 blksize)
{
	u32 done = 0, n;

	do {
		u64 from = at->pos;
		/* Pieces begin where pages would. */
		u32 left = min_t(u64, len - from, piece - from % piece);
		bool whole = at->pending < 0;
		u8 *data = copy(text + from, left);

		n = tftpk_netascii_encode(at, data, left, block + done,
					  blksize - done);
		free(data);
		CHECK(n <= blksize - done);
		/* It wrote something for each byte that it took. */
		CHECK(at->pos - from <= left && at->pos - from <= n);
		CHECK(n || !left || done == blksize);
		CHECK(whole || n || done == blksize);
		done += n;
	} while (n && done < blksize);
	return done;
}

/* All of a stream by the decoder of uploads; returns a copy of what it made. */
static u8 *decode_pieces(const u8 *wire, size_t len, u32 piece, size_t *size)
{
	u8 *text = malloc(len + 1);
	size_t i, part, done = 0;
	bool cr = false;

	for (i = 0; i < len; i += part) {
		u8 *from, *to;
		u32 n;

		part = min_t(size_t, piece, len - i);
		from = copy(wire + i, part);
		to = malloc(part + 1);
		n = tftpk_netascii_decode(&cr, from, part, to);
		CHECK(n <= part + 1 && done + n <= i + part);
		memcpy(text + done, to, n);
		done += n;
		free(from);
		free(to);
	}
	done += tftpk_netascii_decode_end(&cr, text + done);
	CHECK(!cr && done <= len);
	*size = done;
	return text;
}

static void check_decoder(const u8 *input, size_t len, const u8 *wire,
			  size_t wire_len, u32 piece)
{
	size_t n, again;
	u8 *text, *other;

	text = decode_pieces(wire, wire_len, piece, &n);
	CHECK(n == len && !memcmp(text, input, len));
	free(text);

	text = decode_pieces(input, len, piece, &n);
	other = decode_pieces(input, len, len ?: 1, &again);
	CHECK(n == again && !memcmp(text, other, n));
	free(other);
	free(text);
}

int LLVMFuzzerTestOneInput(const u8 *input, size_t size);

int LLVMFuzzerTestOneInput(const u8 *input, size_t size)
{
	struct tftpk_netascii at, again;
	u8 *text, *once, *wire, *block;
	size_t len, done = 0, ends;
	u32 blksize, piece, n, i;

	if (size < 2)
		return 0;
	blksize = input[0] + 1;
	piece = input[1] + 1;
	input += 2;
	len = size - 2;
	for (ends = 0, i = 0; i < len; i++)
		ends += input[i] == '\n' || input[i] == '\r';

	once = malloc(2 * len + 1);
	tftpk_netascii_init(&at);
	n = tftpk_netascii_encode(&at, input, len, once, 2 * len + 1);
	CHECK(n == len + ends && at.pos == len && at.pending == -1);

	wire = malloc(2 * len + 1);
	block = malloc(blksize);
	tftpk_netascii_init(&at);
	do {
		/* A block that is sent again is the same. */
		again = at;
		n = encode_block(&at, input, len, piece, block, blksize);
		CHECK(done + n <= len + ends);
		memcpy(wire + done, block, n);
		CHECK(encode_block(&again, input, len, piece, block,
				   blksize) == n);
		CHECK(!memcmp(wire + done, block, n));
		CHECK(again.pos == at.pos && again.pending == at.pending);
		done += n;
	} while (n == blksize);
	CHECK(done == len + ends && !memcmp(wire, once, done));

	text = malloc(len ?: 1);
	CHECK(decode(wire, done, text) == len && !memcmp(text, input, len));

	check_decoder(input, len, wire, done, piece);

	free(text);
	free(block);
	free(wire);
	free(once);
	return 0;
}
