// SPDX-License-Identifier: GPL-2.0
/*
 * TFTP packets: request parsing, option negotiation, OACK and ERROR.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "proto.h"

static const char * const tftpk_option_names[] = {
	[TFTPK_OPT_BLKSIZE]	= "blksize",
	[TFTPK_OPT_TIMEOUT]	= "timeout",
	[TFTPK_OPT_TSIZE]	= "tsize",
	[TFTPK_OPT_WINDOWSIZE]	= "windowsize",
	[TFTPK_OPT_ROLLOVER]	= "rollover",
	[TFTPK_OPT_UTIMEOUT]	= "utimeout",
};

static const char * const tftpk_mode_names[] = {
	[TFTPK_MODE_OCTET]	= "octet",
	[TFTPK_MODE_NETASCII]	= "netascii",
	[TFTPK_MODE_MAIL]	= "mail",
};

/* Take the next NUL-terminated string off [*pos, end). */
static const char *tftpk_next_string(const u8 **pos, const u8 *end)
{
	const u8 *start = *pos;
	const u8 *nul = memchr(start, 0, end - start);

	if (!nul)
		return NULL;
	*pos = nul + 1;
	return (const char *)start;
}

static int tftpk_find_name(const char *word, const char * const *names, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (!strcasecmp(word, names[i]))
			return i;
	return -ENOENT;
}

/* Digits only: no sign, no blank, no base. Larger values become max + 1, so that
 * callers can tell "too large" from "not a number".
 */
static bool tftpk_parse_number(const char *s, u64 max, u64 *value)
{
	u64 v = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = min(v * 10 + (*s - '0'), max + 1);
	}
	*value = v;
	return true;
}

/* A number that a server may lower (RFC 2348, RFC 7440). A value above the range is
 * capped and noted: WinPE can be configured to ask for a blksize of 65535.
 */
static bool tftpk_take_amount(struct tftpk_request *req, u64 v, u16 min,
			      u16 max, u16 *amount)
{
	if (v < min)
		return false;
	if (v > max)
		req->malformed = true;
	*amount = min_t(u64, v, max);
	return true;
}

/* Returns false if the value is malformed, or out of its RFC's range where the answer
 * must not differ from it. Such an option is ignored, as if it had not been sent
 * (RFC 2347).
 */
static bool tftpk_take_option(struct tftpk_request *req, int opt,
			      const char *value)
{
	u64 v;

	/* Ten times this, plus a digit, fits 64 bits. */
	if (!tftpk_parse_number(value, U64_MAX / 16, &v))
		return false;

	switch (opt) {
	case TFTPK_OPT_BLKSIZE:
		return tftpk_take_amount(req, v, TFTPK_BLKSIZE_MIN,
					 TFTPK_BLKSIZE_MAX, &req->blksize);
	case TFTPK_OPT_TIMEOUT:
		if (v < 1 || v > 255)
			return false;
		req->utimeout = v * 1000000;
		return true;
	case TFTPK_OPT_UTIMEOUT:
		if (v < TFTPK_UTIMEOUT_MIN || v > TFTPK_UTIMEOUT_MAX)
			return false;
		req->utimeout = v;
		return true;
	case TFTPK_OPT_ROLLOVER:
		if (v > 1)
			return false;
		req->rollover = v;
		return true;
	case TFTPK_OPT_WINDOWSIZE:
		return tftpk_take_amount(req, v, 1, U16_MAX, &req->windowsize);
	case TFTPK_OPT_TSIZE:
		/* Readers send 0, some send a guess. Any value will do. */
		return true;
	}
	return false;
}

static enum tftpk_mode tftpk_parse_mode(const char *mode)
{
	int i;

	if (!mode)
		return TFTPK_MODE_MISSING;
	i = tftpk_find_name(mode, tftpk_mode_names, ARRAY_SIZE(tftpk_mode_names));
	return i < 0 ? TFTPK_MODE_UNKNOWN : i;
}

/**
 * tftpk_parse_request() - parse what follows the opcode of an RRQ or WRQ
 * @data: file name, mode and options (RFC 1350 section 5, RFC 2347)
 * @len: bytes at @data
 * @req: result; its name points into @data
 *
 * If an option is repeated, the first one counts (RFC 2347 forbids repetition). Bytes
 * behind the last complete option are ignored: some boot ROMs pad their requests.
 *
 * Return: 0, or -EBADMSG if this is no request at all, since it names no file.
 */
int tftpk_parse_request(const u8 *data, size_t len, struct tftpk_request *req)
{
	const u8 *pos = data, *end = data + len;
	const unsigned int timeouts = BIT(TFTPK_OPT_TIMEOUT) |
				      BIT(TFTPK_OPT_UTIMEOUT);
	const char *name, *value;
	unsigned int seen = 0;
	int i;

	memset(req, 0, sizeof(*req));

	req->name = tftpk_next_string(&pos, end);
	if (!req->name || !*req->name)
		return -EBADMSG;
	req->mode = tftpk_parse_mode(tftpk_next_string(&pos, end));
	if (req->mode >= ARRAY_SIZE(tftpk_mode_names))
		return 0;

	while ((name = tftpk_next_string(&pos, end)) &&
	       (value = tftpk_next_string(&pos, end))) {
		i = tftpk_find_name(name, tftpk_option_names,
				    ARRAY_SIZE(tftpk_option_names));
		if (i < 0 || seen & BIT(i))
			continue;
		seen |= BIT(i);
		/* They are one option in two units: the first one counts. */
		if (BIT(i) & timeouts)
			seen |= timeouts;
		if (tftpk_take_option(req, i, value))
			req->opts[req->nopts++] = i;
		else
			req->malformed = true;
	}
	return 0;
}

/**
 * tftpk_parse_tsize() - the size that a WRQ says its file has (RFC 2349)
 * @data: what follows the opcode, of a request that tftpk_parse_request() took
 * @len: bytes at @data
 * @size: takes the size in bytes, if there is one
 *
 * Return: whether there is. 0 is none: clients that do not know it send that.
 */
bool tftpk_parse_tsize(const u8 *data, size_t len, u64 *size)
{
	const u8 *pos = data, *end = data + len;
	const char *name, *value;
	u64 v;

	/* Name and mode. */
	if (!tftpk_next_string(&pos, end) || !tftpk_next_string(&pos, end))
		return false;
	while ((name = tftpk_next_string(&pos, end)) &&
	       (value = tftpk_next_string(&pos, end))) {
		if (tftpk_find_name(name, tftpk_option_names,
				    ARRAY_SIZE(tftpk_option_names)) !=
		    TFTPK_OPT_TSIZE)
			continue;
		if (!tftpk_parse_number(value, U64_MAX / 16, &v) || !v)
			return false;
		*size = v;
		return true;
	}
	return false;
}

/**
 * tftpk_negotiate() - choose the values of the options (RFC 2347)
 * @req: the request
 * @limits: what the server and the route allow
 * @opt: result
 *
 * Never grants more than the client asked for. There is no tsize of an empty file,
 * since curl takes 0 for a failure. There is none of a text: its size is unknown before
 * it is converted. That of an upload is the client's own.
 */
void tftpk_negotiate(const struct tftpk_request *req,
		     const struct tftpk_limits *limits,
		     struct tftpk_options *opt)
{
	int i;

	memset(opt, 0, sizeof(*opt));
	opt->size = limits->size;
	opt->blksize = TFTPK_BLKSIZE_DEFAULT;
	opt->windowsize = 1;
	opt->rollover = limits->rollover;

	for (i = 0; i < req->nopts; i++) {
		switch (req->opts[i]) {
		case TFTPK_OPT_BLKSIZE:
			opt->blksize = min_t(u32, req->blksize,
					     limits->blksize);
			break;
		case TFTPK_OPT_TIMEOUT:
		case TFTPK_OPT_UTIMEOUT:
			opt->utimeout = req->utimeout;
			break;
		case TFTPK_OPT_ROLLOVER:
			opt->rollover = req->rollover;
			break;
		case TFTPK_OPT_TSIZE:
			if (!limits->writes &&
			    (!limits->size || limits->no_tsize ||
			     req->mode != TFTPK_MODE_OCTET))
				continue;
			break;
		case TFTPK_OPT_WINDOWSIZE:
			opt->windowsize = min_t(u32, req->windowsize,
						limits->windowsize);
			break;
		}
		opt->opts[opt->nopts++] = req->opts[i];
	}
}

/**
 * tftpk_put_oack() - write an OACK (RFC 2347)
 * @buf: room for TFTPK_OACK_MAX bytes
 * @opt: what was negotiated
 *
 * Return: bytes written.
 */
size_t tftpk_put_oack(u8 *buf, const struct tftpk_options *opt)
{
	const u64 values[] = {
		[TFTPK_OPT_BLKSIZE]	= opt->blksize,
		[TFTPK_OPT_TIMEOUT]	= opt->utimeout / 1000000,
		[TFTPK_OPT_TSIZE]	= opt->size,
		[TFTPK_OPT_WINDOWSIZE]	= opt->windowsize,
		[TFTPK_OPT_ROLLOVER]	= opt->rollover,
		[TFTPK_OPT_UTIMEOUT]	= opt->utimeout,
	};
	size_t n = 2;
	int i;

	put_unaligned_be16(TFTPK_OP_OACK, buf);
	for (i = 0; i < opt->nopts; i++) {
		int o = opt->opts[i];

		n += scnprintf(buf + n, TFTPK_OACK_MAX - n, "%s%c%llu",
			       tftpk_option_names[o], 0, values[o]) + 1;
	}
	return n;
}

/**
 * tftpk_put_error() - write an ERROR (RFC 1350 section 5)
 * @buf: room for TFTPK_ERROR_MAX bytes
 * @code: one of enum tftpk_error
 * @text: what people read, without paths of the server; cut to fit
 *
 * Return: bytes written.
 */
size_t tftpk_put_error(u8 *buf, u16 code, const char *text)
{
	put_unaligned_be16(TFTPK_OP_ERROR, buf);
	put_unaligned_be16(code, buf + 2);
	return 4 + scnprintf(buf + 4, TFTPK_ERROR_MAX - 4, "%s", text) + 1;
}
