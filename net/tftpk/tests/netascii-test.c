// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of netascii: what a text becomes and what becomes of a stream, and that
 * neither the pieces it comes in nor the blocks it goes out in matter.
 */
#include <kunit/test.h>

#include "../netascii.c"

struct netascii_case {
	const char *desc;
	const char *text;
	u32 len;
	const char *wire;
	u32 wire_len;
};

#define TEXT(s)	s, sizeof(s) - 1

static const struct netascii_case netascii_cases[] = {
	{ "an empty text", TEXT(""), TEXT("") },
	{ "no line end", TEXT("abc"), TEXT("abc") },
	{ "one line", TEXT("abc\n"), TEXT("abc\r\n") },
	{ "only line feeds", TEXT("\n\n\n"), TEXT("\r\n\r\n\r\n") },
	{ "a carriage return", TEXT("a\rb"), TEXT("a\r\0b") },
	{ "a carriage return at the end", TEXT("a\r"), TEXT("a\r\0") },
	{ "lines as DOS has them", TEXT("a\r\nb"), TEXT("a\r\0\r\nb") },
	{ "a carriage return and a NUL", TEXT("\r\0"), TEXT("\r\0\0") },
	{ "NUL and bytes beyond ASCII", TEXT("\0\377\n"), TEXT("\0\377\r\n") },
};

KUNIT_ARRAY_PARAM_DESC(netascii, netascii_cases, desc);

/* Encode all of a text, @piece bytes at a time, into blocks of @room bytes. */
static u32 netascii_encode(struct kunit *test, const struct netascii_case *c,
			   u32 piece, u32 room, u8 *wire)
{
	struct tftpk_netascii at;
	u32 n, len, done = 0;
	u64 from;

	tftpk_netascii_init(&at);
	do {
		from = at.pos;
		len = min_t(u64, piece, c->len - from);
		n = tftpk_netascii_encode(&at, c->text + from, len, wire + done,
					  room - done % room);
		KUNIT_EXPECT_LE(test, at.pos - from, n);
		done += n;
	} while (n);
	KUNIT_EXPECT_EQ(test, at.pos, c->len);
	KUNIT_EXPECT_EQ(test, at.pending, -1);
	return done;
}

static void netascii_encode_test(struct kunit *test)
{
	const struct netascii_case *c = test->param_value;
	u32 piece, room;
	u8 wire[16];

	for (piece = 1; piece < 8; piece++) {
		for (room = 1; room < 8; room++) {
			KUNIT_ASSERT_EQ(test,
					netascii_encode(test, c, piece, room,
							wire), c->wire_len);
			KUNIT_EXPECT_MEMEQ(test, wire, c->wire, c->wire_len);
		}
	}
}

/* Where both the text and the room end within a pair, its end is still to come. */
static void netascii_pending_test(struct kunit *test)
{
	struct tftpk_netascii at;
	u8 wire[4];

	tftpk_netascii_init(&at);
	KUNIT_EXPECT_EQ(test, tftpk_netascii_encode(&at, "ab\n", 3, wire, 3), 3);
	KUNIT_EXPECT_EQ(test, at.pos, 3);
	KUNIT_EXPECT_EQ(test, at.pending, '\n');
	KUNIT_EXPECT_EQ(test, tftpk_netascii_encode(&at, NULL, 0, wire, 4), 1);
	KUNIT_EXPECT_EQ(test, wire[0], '\n');
	KUNIT_EXPECT_EQ(test, tftpk_netascii_encode(&at, NULL, 0, wire, 4), 0);
}

/* Decode a stream, @piece bytes at a time. */
static u32 netascii_decode(struct kunit *test, const char *wire, u32 len,
			   u32 piece, u8 *text)
{
	u32 i, n, part, done = 0;
	bool cr = false;
	u8 buf[16];

	for (i = 0; i < len; i += part) {
		part = min(piece, len - i);
		n = tftpk_netascii_decode(&cr, wire + i, part, buf);
		KUNIT_EXPECT_LE(test, n, part + 1);
		memcpy(text + done, buf, n);
		done += n;
	}
	done += tftpk_netascii_decode_end(&cr, text + done);
	KUNIT_EXPECT_FALSE(test, cr);
	return done;
}

static void netascii_decode_test(struct kunit *test)
{
	const struct netascii_case *c = test->param_value;
	u8 text[16];
	u32 piece;

	for (piece = 1; piece < 8; piece++) {
		KUNIT_ASSERT_EQ(test, netascii_decode(test, c->wire, c->wire_len,
						      piece, text), c->len);
		KUNIT_EXPECT_MEMEQ(test, text, c->text, c->len);
	}
}

/* What no encoder makes */
static const struct netascii_case foreign_cases[] = {
	{ "bare line feeds", TEXT("a\n\n"), TEXT("a\n\n") },
	{ "a CR before another byte", TEXT("a\rb"), TEXT("a\rb") },
	{ "a CR at the end", TEXT("ab\r"), TEXT("ab\r") },
	{ "nothing but a CR", TEXT("\r"), TEXT("\r") },
	{ "CRs before the end of a line", TEXT("\r\r\n"), TEXT("\r\r\r\n") },
	{ "CRs before CR NUL", TEXT("\r\r"), TEXT("\r\r\0") },
	{ "bare NULs", TEXT("\0a\r\0"), TEXT("\0a\r\0\0") },
};

KUNIT_ARRAY_PARAM_DESC(foreign, foreign_cases, desc);

static struct kunit_case netascii_test_cases[] = {
	KUNIT_CASE_PARAM(netascii_encode_test, netascii_gen_params),
	KUNIT_CASE(netascii_pending_test),
	KUNIT_CASE_PARAM(netascii_decode_test, netascii_gen_params),
	KUNIT_CASE_PARAM(netascii_decode_test, foreign_gen_params),
	{}
};

static struct kunit_suite netascii_suite = {
	.name		= "tftpk-netascii",
	.test_cases	= netascii_test_cases,
};

kunit_test_suite(netascii_suite);
