// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes what parses requests and negotiates options (net/tftpk/proto.c).
 *
 * An input is what a server grants (8 bytes of file size, 4 of block size, 2
 * of window size, as this machine writes numbers) and then a request, from
 * behind its opcode. What the parser and the OACK make of it is held against
 * a reading of the RFCs that shares nothing with them.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <linux/kernel.h>

#include "proto.h"

#define LIMITS_LEN	14

/* Fails loudly, and so that libFuzzer keeps the input. */
#define CHECK(cond) do {						\
	if (!(cond)) {							\
		fprintf(stderr, "%s:%d: not so: %s\n", __FILE__,	\
			__LINE__, #cond);				\
		abort();						\
	}								\
} while (0)

enum grant {
	GRANT_AS_ASKED,		/* or not at all */
	GRANT_LESS,		/* that much or less */
	GRANT_OTHER,		/* what was asked says nothing */
};

static const struct {
	const char *name;
	u64 min;
	u64 max;
	enum grant grant;
} options[] = {
	/* RFC 2348 and RFC 7440 let a server answer less, so more than the range
	 * holds is as good as its end.
	 */
	[TFTPK_OPT_BLKSIZE]	= { "blksize", 8, 65464, GRANT_LESS },
	[TFTPK_OPT_TIMEOUT]	= { "timeout", 1, 255, GRANT_AS_ASKED },
	[TFTPK_OPT_TSIZE]	= { "tsize", 0, UINT64_MAX, GRANT_OTHER },
	[TFTPK_OPT_WINDOWSIZE]	= { "windowsize", 1, 65535, GRANT_LESS },
	/* In no RFC, but in tftp-hpa. */
	[TFTPK_OPT_ROLLOVER]	= { "rollover", 0, 1, GRANT_AS_ASKED },
	[TFTPK_OPT_UTIMEOUT]	= { "utimeout", 10000, 255000000,
				    GRANT_AS_ASKED },
};

#define N_OPTIONS	((int)ARRAY_SIZE(options))

static const char * const modes[] = { "octet", "netascii", "mail" };

/* Not one of them, and none. */
#define MODE_UNKNOWN	((int)ARRAY_SIZE(modes))
#define MODE_MISSING	(MODE_UNKNOWN + 1)

/* A request as the RFCs would have it read. */
struct wish {
	const char *name;
	int mode;
	bool malformed;
	int n;
	int order[ARRAY_SIZE(options)];
	u64 value[ARRAY_SIZE(options)];
};

/* Strings: bytes, and a NUL within the packet. */
struct reader {
	const u8 *pos;
	size_t left;
};

static const char *next(struct reader *r)
{
	const char *s = (const char *)r->pos;
	size_t n = strnlen(s, r->left);

	if (n == r->left) {
		r->left = 0;
		return NULL;
	}
	r->pos += n + 1;
	r->left -= n + 1;
	return s;
}

static int find(const char *name)
{
	int o = 0;

	while (o < N_OPTIONS && strcasecmp(name, options[o].name))
		o++;
	return o;
}

/* Decimal digits and nothing else; larger numbers are as good as infinite. */
static bool number(const char *s, u64 *value)
{
	*value = strtoull(s, NULL, 10);
	return *s && strspn(s, "0123456789") == strlen(s);
}

static bool read_wish(const u8 *data, size_t len, struct wish *wish)
{
	bool seen[ARRAY_SIZE(options)] = {};
	struct reader r = { data, len };
	const char *mode, *option, *text;

	memset(wish, 0, sizeof(*wish));
	wish->name = next(&r);
	if (!wish->name || !*wish->name)
		return false;
	mode = next(&r);
	while (mode && wish->mode < MODE_UNKNOWN &&
	       strcasecmp(mode, modes[wish->mode]))
		wish->mode++;
	if (!mode)
		wish->mode = MODE_MISSING;
	if (wish->mode >= MODE_UNKNOWN)
		return true;

	while ((option = next(&r)) && (text = next(&r))) {
		int o = find(option);
		u64 v;

		if (o == N_OPTIONS || seen[o])
			continue;
		seen[o] = true;
		/* They are one option in two units. */
		if (o == TFTPK_OPT_TIMEOUT || o == TFTPK_OPT_UTIMEOUT)
			seen[TFTPK_OPT_TIMEOUT] = seen[TFTPK_OPT_UTIMEOUT] = true;
		if (!number(text, &v) || v < options[o].min ||
		    v > options[o].max)
			wish->malformed = true;
		if (number(text, &v) && v >= options[o].min &&
		    (v <= options[o].max || options[o].grant == GRANT_LESS)) {
			wish->value[o] = v;
			wish->order[wish->n++] = o;
		}
	}
	return true;
}

static void check_request(const struct wish *wish,
			  const struct tftpk_request *req)
{
	int i;

	CHECK(req->name == wish->name);
	CHECK(req->mode == wish->mode);
	CHECK(req->malformed == wish->malformed);
	CHECK(req->nopts == wish->n);
	for (i = 0; i < wish->n; i++)
		CHECK(req->opts[i] == wish->order[i]);
}

/* The OACK holds nothing that was not asked for, in the order of the request,
 * each option once, in range, within what was asked and what is granted.
 */
static void check_oack(const struct wish *wish, const struct tftpk_limits *lim,
		       const struct tftpk_options *opt, const u8 *buf,
		       size_t len)
{
	struct reader r = { buf + 2, len - 2 };
	u64 blksize = 512, windowsize = 1;
	int i = 0, n = 0;

	CHECK(len >= 2 && len <= TFTPK_OACK_MAX);
	CHECK(get_unaligned_be16(buf) == TFTPK_OP_OACK);
	while (r.left) {
		const char *option = next(&r), *text = next(&r);
		u64 v;
		int o;

		CHECK(option && text && number(text, &v));
		while (i < wish->n &&
		       strcmp(option, options[wish->order[i]].name))
			i++;
		CHECK(i < wish->n);
		o = wish->order[i++];
		n++;

		CHECK(v >= options[o].min && v <= options[o].max);
		if (options[o].grant == GRANT_AS_ASKED)
			CHECK(v == wish->value[o]);
		if (options[o].grant == GRANT_LESS)
			CHECK(v <= wish->value[o]);
		switch (o) {
		case TFTPK_OPT_BLKSIZE:
			CHECK(v <= lim->blksize);
			blksize = v;
			break;
		case TFTPK_OPT_WINDOWSIZE:
			CHECK(v <= lim->windowsize);
			windowsize = v;
			break;
		case TFTPK_OPT_TSIZE:
			/* curl takes 0 for a failure; a text is converted. */
			CHECK(v == lim->size);
			CHECK(lim->writes ||
			      (v && !wish->mode && !lim->no_tsize));
			break;
		}
	}
	/* What the client reads is what the server does. */
	CHECK(n == opt->nopts);
	CHECK(opt->blksize == blksize);
	CHECK(opt->windowsize == windowsize);
	CHECK(opt->size == lim->size);
}

/* The size is that of the option, if one was to be had. */
static void check_tsize(const struct wish *wish, const u8 *data, size_t len)
{
	u64 size = 0, wanted = 0;
	bool found = tftpk_parse_tsize(data, len, &size);
	int i;

	if (wish->mode >= MODE_UNKNOWN)
		return;
	for (i = 0; i < wish->n; i++)
		if (wish->order[i] == TFTPK_OPT_TSIZE)
			wanted = wish->value[TFTPK_OPT_TSIZE];
	CHECK(found == !!wanted);
	/* What fits no file counts as large. */
	CHECK(size == wanted || (wanted > size && size > UINT64_MAX / 16));
}

/* An ERROR is cut to its room and ends with a NUL, whatever its text. */
static void check_error(const char *text)
{
	u8 *buf = malloc(TFTPK_ERROR_MAX);
	size_t len = tftpk_put_error(buf, TFTPK_ERR_ACCESS, text);

	CHECK(len >= 5 && len <= TFTPK_ERROR_MAX);
	CHECK(get_unaligned_be16(buf) == TFTPK_OP_ERROR);
	CHECK(get_unaligned_be16(buf + 2) == TFTPK_ERR_ACCESS);
	CHECK(strnlen((char *)buf + 4, len - 4) == len - 5);
	CHECK(!strncmp((char *)buf + 4, text, len - 5));
	CHECK(len == TFTPK_ERROR_MAX || !text[len - 5]);
	free(buf);
}

static void check_data(u16 block)
{
	u8 *buf = malloc(TFTPK_HDR_LEN);

	tftpk_put_data(buf, block);
	CHECK(get_unaligned_be16(buf) == TFTPK_OP_DATA);
	CHECK(get_unaligned_be16(buf + 2) == block);
	free(buf);
}

int LLVMFuzzerTestOneInput(const u8 *input, size_t size);

int LLVMFuzzerTestOneInput(const u8 *input, size_t size)
{
	struct tftpk_limits limits = {};
	struct tftpk_options opt;
	struct tftpk_request req;
	struct wish wish;
	u16 windowsize;
	u8 *data, *oack;
	size_t len;
	int err, i;
	bool asked = false;

	if (size < LIMITS_LEN)
		return 0;
	len = size - LIMITS_LEN;
	memcpy(&limits.size, input, 8);
	memcpy(&limits.blksize, input + 8, 4);
	memcpy(&windowsize, input + 12, 2);
	/* What settings and route can make of them. */
	limits.blksize = clamp(limits.blksize, 8U, 65464U);
	limits.windowsize = max(windowsize, 1U);
	/* What exports can: by bits that nobody needs. */
	limits.no_tsize = limits.size >> 63;
	limits.rollover = limits.size >> 62 & 1;
	limits.writes = limits.size >> 61 & 1;

	/* Just as large as the packet: any byte beyond is found. */
	data = malloc(len ?: 1);
	memcpy(data, input + LIMITS_LEN, len);

	memset(&req, 0xa5, sizeof(req));
	err = tftpk_parse_request(data, len, &req);
	CHECK(!err == read_wish(data, len, &wish));
	if (!err) {
		check_request(&wish, &req);
		check_tsize(&wish, data, len);
		memset(&opt, 0xa5, sizeof(opt));
		tftpk_negotiate(&req, &limits, &opt);
		oack = malloc(TFTPK_OACK_MAX);
		check_oack(&wish, &limits, &opt, oack,
			   tftpk_put_oack(oack, &opt));
		free(oack);
		for (i = 0; i < wish.n; i++)
			asked |= wish.order[i] == TFTPK_OPT_ROLLOVER;
		CHECK(opt.rollover == (asked ? wish.value[TFTPK_OPT_ROLLOVER] :
				       limits.rollover));
		check_error(req.name);
		check_data(windowsize);
	}
	free(data);
	return 0;
}
