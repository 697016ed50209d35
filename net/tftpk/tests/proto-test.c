// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of request parsing, option negotiation, OACK and ERROR.
 *
 * Packets are written as strings in which "|" stands for NUL.
 */
#include <kunit/test.h>

#include "../proto.c"

#define PACKET_MAX	1024

/* Turn "a|b|" into what is on the wire. Returns the length. */
static size_t unbar(u8 *to, const char *from)
{
	size_t len = strlen(from), i;

	for (i = 0; i < len; i++)
		to[i] = from[i] == '|' ? 0 : from[i];
	return len;
}

/* A copy of just that length: KASAN finds whoever reads on. */
static const u8 *packet(struct kunit *test, const char *from, size_t *len)
{
	u8 *data = kunit_kzalloc(test, strlen(from) ?: 1, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, data);
	*len = unbar(data, from);
	return data;
}

/* ---- requests, and what the OACK makes of them ---- */

struct oack_case {
	const char *desc;
	const char *request;
	const char *oack;		/* from behind its opcode */
	struct tftpk_limits limits;	/* all zero: the usual ones */
};

static const struct tftpk_limits usual = {
	.size		= 1000000,
	.blksize	= 1428,
	.windowsize	= 64,
};

static const struct oack_case oack_cases[] = {
	/* RFC 1350: no options, no OACK */
	{ "plain request", "f|octet|", "" },
	{ "mode in capitals", "f|OCTET|", "" },
	{ "mode in both cases", "f|ocTEt|blksize|512|", "blksize|512|" },

	/* RFC 2348 */
	{ "blksize within the limit", "f|octet|blksize|1024|", "blksize|1024|" },
	{ "blksize at the limit", "f|octet|blksize|1428|", "blksize|1428|" },
	{ "blksize above the limit", "f|octet|blksize|1429|", "blksize|1428|" },
	{ "blksize of 8", "f|octet|blksize|8|", "blksize|8|" },
	{ "blksize of 7", "f|octet|blksize|7|", "" },
	{ "blksize of 0", "f|octet|blksize|0|", "" },
	{ "blksize of 511", "f|octet|blksize|511|", "blksize|511|" },
	{ "blksize of 65464", "f|octet|blksize|65464|", "blksize|65464|",
	  { 1, 65464, 1 } },
	{ "blksize of 65465", "f|octet|blksize|65465|", "blksize|65464|",
	  { 1, 65464, 1 } },
	{ "blksize of 65536", "f|octet|blksize|65536|", "blksize|65464|",
	  { 1, 65464, 1 } },
	{ "blksize above the range and the limit", "f|octet|blksize|65535|",
	  "blksize|1428|" },
	{ "blksize beyond 32 bits", "f|octet|blksize|4294967808|",
	  "blksize|1428|" },
	{ "blksize beyond 64 bits",
	  "f|octet|blksize|18446744073709552128|", "blksize|1428|" },
	{ "blksize of a hundred digits",
	  "f|octet|blksize|1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111|",
	  "blksize|1428|" },
	{ "leading zeros", "f|octet|blksize|00000000001024|", "blksize|1024|" },
	{ "a sign", "f|octet|blksize|+1024|", "" },
	{ "a negative number", "f|octet|blksize|-1|", "" },
	{ "a blank before", "f|octet|blksize| 1024|", "" },
	{ "a blank behind", "f|octet|blksize|1024 |", "" },
	{ "hexadecimal", "f|octet|blksize|0x400|", "" },
	{ "letters in a number", "f|octet|blksize|1k|", "" },
	{ "an empty number", "f|octet|blksize||", "" },

	/* RFC 2349 */
	{ "timeout of 1", "f|octet|timeout|1|", "timeout|1|" },
	{ "timeout of 255", "f|octet|timeout|255|", "timeout|255|" },
	{ "timeout of 0", "f|octet|timeout|0|", "" },
	{ "timeout of 256", "f|octet|timeout|256|", "" },
	{ "timeout in milliseconds", "f|octet|timeout|3000|", "" },
	{ "tsize of 0", "f|octet|tsize|0|", "tsize|1000000|" },
	{ "tsize as believed", "f|octet|tsize|17|", "tsize|1000000|" },
	{ "tsize beyond 64 bits", "f|octet|tsize|99999999999999999999|",
	  "tsize|1000000|" },
	{ "tsize that is no number", "f|octet|tsize|?|", "" },
	{ "tsize of a file beyond 32 bits", "f|octet|tsize|0|",
	  "tsize|4294967296|", { 4294967296, 1428, 64 } },
	{ "tsize at its largest", "f|octet|tsize|0|",
	  "tsize|18446744073709551615|", { U64_MAX, 1428, 64 } },
	{ "tsize of an empty file", "f|octet|tsize|0|", "", { 0, 1428, 64 } },
	{ "tsize of an empty file among others",
	  "f|octet|tsize|0|blksize|512|timeout|6|", "blksize|512|timeout|6|",
	  { 0, 1428, 64 } },
	{ "tsize of a text", "f|netascii|tsize|0|blksize|512|",
	  "blksize|512|" },

	/* RFC 7440 */
	{ "windowsize within the limit", "f|octet|windowsize|16|",
	  "windowsize|16|" },
	{ "windowsize above the limit", "f|octet|windowsize|65|",
	  "windowsize|64|" },
	{ "windowsize of 1", "f|octet|windowsize|1|", "windowsize|1|" },
	{ "windowsize of 0", "f|octet|windowsize|0|", "" },
	{ "windowsize of 65535", "f|octet|windowsize|65535|",
	  "windowsize|65535|", { 1, 512, 65535 } },
	{ "windowsize of 65536", "f|octet|windowsize|65536|",
	  "windowsize|65535|", { 1, 512, 65535 } },
	{ "windowsize beyond 32 bits", "f|octet|windowsize|4294967297|",
	  "windowsize|64|" },

	/* As tftp-hpa has them */
	{ "rollover to 0", "f|octet|rollover|0|", "rollover|0|" },
	{ "rollover to 1", "f|octet|rollover|1|", "rollover|1|" },
	{ "rollover to 2", "f|octet|rollover|2|", "" },
	{ "utimeout", "f|octet|utimeout|1500000|", "utimeout|1500000|" },
	{ "utimeout at its shortest", "f|octet|utimeout|10000|",
	  "utimeout|10000|" },
	{ "utimeout too short", "f|octet|utimeout|9999|", "" },
	{ "utimeout at its longest", "f|octet|utimeout|255000000|",
	  "utimeout|255000000|" },
	{ "utimeout too long", "f|octet|utimeout|255000001|", "" },

	/* What an export says otherwise */
	{ "tsize is not to be told", "f|octet|tsize|0|blksize|512|",
	  "blksize|512|", { 1000000, 1428, 64, .no_tsize = true } },
	{ "only tsize, which is not to be told", "f|octet|tsize|0|", "",
	  { 1000000, 1428, 64, .no_tsize = true } },
	{ "tsize of an upload", "f|octet|tsize|17|", "tsize|17|",
	  { 17, 1428, 64, .writes = true } },
	{ "tsize of an upload that is unknown, or nothing", "f|octet|tsize|0|",
	  "tsize|0|", { 0, 1428, 64, .writes = true } },
	{ "tsize of a text that is written", "f|netascii|tsize|17|",
	  "tsize|17|", { 17, 1428, 64, .writes = true } },
	{ "rollover as asked", "f|octet|rollover|0|", "rollover|0|",
	  { 1000000, 1428, 64, .rollover = 1 } },
	{ "rollover is not told to who did not ask", "f|octet|blksize|512|",
	  "blksize|512|", { 1000000, 1428, 64, .rollover = 1 } },

	/* RFC 2347: several options */
	{ "in the order of the request",
	  "f|octet|windowsize|4|tsize|0|timeout|5|blksize|1024|",
	  "windowsize|4|tsize|1000000|timeout|5|blksize|1024|" },
	{ "in another order",
	  "f|octet|blksize|1024|timeout|5|tsize|0|windowsize|4|",
	  "blksize|1024|timeout|5|tsize|1000000|windowsize|4|" },
	{ "names in capitals are answered in lower case",
	  "f|octet|BLKSIZE|1024|TSize|0|", "blksize|1024|tsize|1000000|" },
	{ "an unknown option", "f|octet|msftwindow|31416|", "" },
	{ "unknown ones among known ones",
	  "f|octet|x|1|blksize|1024|msftwindow|31416|tsize|0|y||",
	  "blksize|1024|tsize|1000000|" },
	{ "a known name as the value of an unknown option",
	  "f|octet|x|blksize|tsize|0|", "tsize|1000000|" },
	{ "an option with a known beginning", "f|octet|blksize2|1024|", "" },
	{ "the beginning of an option", "f|octet|blksiz|1024|", "" },
	{ "an option without a name", "f|octet||1024|blksize|512|",
	  "blksize|512|" },
	{ "a malformed one among others",
	  "f|octet|blksize|x|windowsize|4|", "windowsize|4|" },
	{ "the first of two counts",
	  "f|octet|blksize|1024|blksize|512|", "blksize|1024|" },
	{ "the first of two counts, malformed as it is",
	  "f|octet|blksize|x|blksize|512|", "" },
	{ "the first of two counts, whatever its case",
	  "f|octet|Windowsize|2|wINDOWSIZE|4|", "windowsize|2|" },

	/* What follows the last complete option */
	{ "a value without its end", "f|octet|blksize|1024", "" },
	{ "an option without a value", "f|octet|blksize|", "" },
	{ "an option without its end", "f|octet|tsize|0|blksize",
	  "tsize|1000000|" },
	{ "padding", "f|octet|tsize|0|||||||||", "tsize|1000000|" },
	{ "padding of odd length", "f|octet|tsize|0||||", "tsize|1000000|" },

	/* What clients are known to send */
	{ "iPXE", "undionly.kpxe|octet|blksize|1432|tsize|0|",
	  "blksize|1428|tsize|1000000|" },
	{ "EDK2", "boot.efi|octet|tsize|0|blksize|1468|windowsize|4|",
	  "tsize|1000000|blksize|1428|windowsize|4|" },
	{ "U-Boot", "uImage|octet|timeout|5|tsize|0|blksize|1468|windowsize|8|",
	  "timeout|5|tsize|1000000|blksize|1428|windowsize|8|" },
	{ "GRUB", "/grub/x86_64-efi/normal.mod|octet|blksize|1024|tsize|0|",
	  "blksize|1024|tsize|1000000|" },
	{ "PXELINUX", "pxelinux.cfg/default|octet|tsize|0|blksize|1408|",
	  "tsize|1000000|blksize|1408|" },
	{ "curl", "a|octet|tsize|0|blksize|512|timeout|6|",
	  "tsize|1000000|blksize|512|timeout|6|" },
	{ "node-tftp",
	  "a|octet|blksize|1468|timeout|3000|windowsize|4|rollover|0|tsize|0|",
	  "blksize|1428|windowsize|4|rollover|0|tsize|1000000|" },
	{ "Windows boot manager",
	  "\\boot\\BCD|octet|tsize|0|blksize|1456|windowsize|4|msftwindow|31416|",
	  "tsize|1000000|blksize|1428|windowsize|4|" },
};

KUNIT_ARRAY_PARAM_DESC(oack, oack_cases, desc);

static void proto_oack_test(struct kunit *test)
{
	const struct oack_case *c = test->param_value;
	const struct tftpk_limits *limits = c->limits.blksize ? &c->limits :
								&usual;
	struct tftpk_options opt;
	struct tftpk_request req;
	u8 want[PACKET_MAX];
	size_t len, n;
	const u8 *data;
	u8 *oack;

	data = packet(test, c->request, &len);
	oack = kunit_kzalloc(test, TFTPK_OACK_MAX, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, oack);

	KUNIT_ASSERT_EQ(test, tftpk_parse_request(data, len, &req), 0);
	tftpk_negotiate(&req, limits, &opt);
	n = tftpk_put_oack(oack, &opt);

	put_unaligned_be16(TFTPK_OP_OACK, want);
	KUNIT_ASSERT_EQ(test, n, 2 + unbar(want + 2, c->oack));
	KUNIT_EXPECT_MEMEQ(test, oack, want, n);
	KUNIT_EXPECT_EQ(test, opt.nopts != 0, *c->oack != 0);
}

/* Whoever negotiates nothing gets what RFC 1350 has. */
static void proto_defaults_test(struct kunit *test)
{
	const char *const requests[] = {
		"f|octet|", "f|octet|blksize|0|windowsize|0|timeout|0|",
		"f|octet|tsize|0|", "f|octet|x|1|",
	};
	struct tftpk_options opt;
	struct tftpk_request req;
	const u8 *data;
	size_t len;
	int i;

	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		data = packet(test, requests[i], &len);
		KUNIT_ASSERT_EQ(test, tftpk_parse_request(data, len, &req), 0);
		tftpk_negotiate(&req, &usual, &opt);
		KUNIT_EXPECT_EQ(test, opt.blksize, 512);
		KUNIT_EXPECT_EQ(test, opt.windowsize, 1);
		KUNIT_EXPECT_EQ(test, opt.rollover, 0);
		KUNIT_EXPECT_EQ(test, opt.size, usual.size);
	}
}

/* What an upload says that it has. */
static void proto_tsize_test(struct kunit *test)
{
	static const struct {
		const char *request;
		u64 size;	/* 0 for none */
	} cases[] = {
		{ "f|octet|tsize|17|", 17 },
		{ "f|octet|blksize|512|TSIZE|1099511627776|", 1099511627776 },
		{ "f|octet|tsize|1152921504606846976|", U64_MAX / 16 + 1 },
		{ "f|octet|tsize|99999999999999999999|", U64_MAX / 16 + 1 },
		{ "f|octet|tsize|17|tsize|18|", 17 },
		{ "f|octet|tsize|x|tsize|18|", 0 },
		{ "f|octet|tsize|0|", 0 },
		{ "f|octet|tsize||", 0 },
		{ "f|octet|tsize|", 0 },
		{ "f|octet|blksize|512|", 0 },
		{ "f|octet|", 0 },
		{ "tsize|17|", 0 },
	};
	const u8 *data;
	size_t len;
	u64 size;
	int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		data = packet(test, cases[i].request, &len);
		size = 0;
		KUNIT_EXPECT_EQ(test, tftpk_parse_tsize(data, len, &size),
				cases[i].size != 0);
		KUNIT_EXPECT_EQ(test, size, cases[i].size);
	}
}

/* ---- names and modes ---- */

struct request_case {
	const char *desc;
	const char *request;
	const char *name;	/* NULL: this is no request */
	enum tftpk_mode mode;
	bool malformed;
};

static const struct request_case request_cases[] = {
	{ "octet", "f|octet|", "f", TFTPK_MODE_OCTET },
	{ "netascii", "f|netascii|", "f", TFTPK_MODE_NETASCII },
	{ "NetASCII", "f|NetASCII|", "f", TFTPK_MODE_NETASCII },
	{ "mail", "user|mail|", "user", TFTPK_MODE_MAIL },
	{ "a path", "a/b/c|octet|", "a/b/c", TFTPK_MODE_OCTET },
	{ "an absolute path", "/a/b|octet|", "/a/b", TFTPK_MODE_OCTET },
	{ "dots", "../../etc/passwd|octet|", "../../etc/passwd",
	  TFTPK_MODE_OCTET },
	{ "backslashes", "\\a\\b|octet|", "\\a\\b", TFTPK_MODE_OCTET },
	{ "blanks", " a b |octet|", " a b ", TFTPK_MODE_OCTET },
	{ "no UTF-8", "\xff\xfe\x80|octet|", "\xff\xfe\x80",
	  TFTPK_MODE_OCTET },
	{ "control characters", "\r\n\x01|octet|", "\r\n\x01",
	  TFTPK_MODE_OCTET },
	{ "percent signs", "%s%n|octet|", "%s%n", TFTPK_MODE_OCTET },
	{ "a well-formed option is no fault", "f|octet|blksize|1024|", "f",
	  TFTPK_MODE_OCTET, false },
	{ "a malformed value is noted", "f|octet|blksize|1k|", "f",
	  TFTPK_MODE_OCTET, true },
	{ "a value out of range is noted", "f|octet|timeout|256|", "f",
	  TFTPK_MODE_OCTET, true },
	{ "a value above the range is noted", "f|octet|blksize|65465|", "f",
	  TFTPK_MODE_OCTET, true },
	{ "a window above the range is noted", "f|octet|windowsize|65536|", "f",
	  TFTPK_MODE_OCTET, true },
	{ "an unknown option is no fault", "f|octet|x|?|", "f",
	  TFTPK_MODE_OCTET, false },
	{ "padding is no fault", "f|octet|||||||", "f", TFTPK_MODE_OCTET,
	  false },

	{ "an empty packet", "" },
	{ "one NUL", "|" },
	{ "two NULs", "||" },
	{ "many NULs", "||||||||||||||||" },
	{ "no name", "|octet|" },
	{ "name without its end", "f" },

	{ "name only", "f|", "f", TFTPK_MODE_MISSING },
	{ "mode without its end", "f|octet", "f", TFTPK_MODE_MISSING },
	{ "an empty mode", "f||", "f", TFTPK_MODE_UNKNOWN },
	{ "the beginning of a mode", "f|octe|", "f", TFTPK_MODE_UNKNOWN },
	{ "more than a mode", "f|octets|", "f", TFTPK_MODE_UNKNOWN },
	{ "a mode with a blank", "f|octet |", "f", TFTPK_MODE_UNKNOWN },
	{ "binary", "f|binary|", "f", TFTPK_MODE_UNKNOWN },
	{ "an unknown mode before options", "f|x|blksize|512|", "f",
	  TFTPK_MODE_UNKNOWN },
	{ "options are not read behind it", "f|x|blksize|1k|", "f",
	  TFTPK_MODE_UNKNOWN, false },
};

KUNIT_ARRAY_PARAM_DESC(request, request_cases, desc);

static void proto_request_test(struct kunit *test)
{
	const struct request_case *c = test->param_value;
	struct tftpk_request req;
	const u8 *data;
	size_t len;
	int err;

	data = packet(test, c->request, &len);
	err = tftpk_parse_request(data, len, &req);
	if (!c->name) {
		KUNIT_EXPECT_EQ(test, err, -EBADMSG);
		return;
	}
	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_EXPECT_PTR_EQ(test, (const u8 *)req.name, data);
	KUNIT_EXPECT_STREQ(test, req.name, c->name);
	KUNIT_EXPECT_EQ(test, req.mode, c->mode);
	KUNIT_EXPECT_EQ(test, req.malformed, c->malformed);
}

/* A request that was cut short anywhere is none, or one with fewer options. */
static void proto_truncated_test(struct kunit *test)
{
	static const char whole[] =
		"file|octet|tsize|0|blksize|1024|windowsize|16|";
	/* Behind the name, behind the mode, and behind each value. */
	static const u8 complete[] = { 5, 11, 19, 32, 46 };
	struct tftpk_request req;
	size_t len, cut;
	const u8 *data;
	char *copy;
	int n, err;

	for (cut = 0; cut < sizeof(whole); cut++) {
		copy = kunit_kzalloc(test, cut + 1, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, copy);
		memcpy(copy, whole, cut);
		data = packet(test, copy, &len);
		KUNIT_ASSERT_EQ(test, len, cut);

		err = tftpk_parse_request(data, len, &req);
		if (cut < complete[0]) {
			KUNIT_EXPECT_EQ_MSG(test, err, -EBADMSG, "cut %zu", cut);
			continue;
		}
		KUNIT_ASSERT_EQ_MSG(test, err, 0, "cut %zu", cut);
		KUNIT_EXPECT_EQ_MSG(test, req.mode == TFTPK_MODE_MISSING,
				    cut < complete[1], "cut %zu", cut);
		for (n = 0; n + 2 < ARRAY_SIZE(complete); n++)
			if (cut < complete[n + 2])
				break;
		KUNIT_EXPECT_EQ_MSG(test, req.nopts, n, "cut %zu", cut);
	}
}

/* Every option at its longest fits. */
static void proto_oack_longest_test(struct kunit *test)
{
	static const struct tftpk_limits limits = {
		U64_MAX, TFTPK_BLKSIZE_MAX, 65535,
	};
	u8 *oack = kunit_kzalloc(test, TFTPK_OACK_MAX, GFP_KERNEL);
	struct tftpk_options opt;
	struct tftpk_request req;
	const u8 *data;
	size_t len, n;

	KUNIT_ASSERT_NOT_NULL(test, oack);
	data = packet(test, "f|octet|blksize|65464|timeout|255|tsize|0|windowsize|65535|rollover|0|utimeout|255000000|",
		      &len);
	KUNIT_ASSERT_EQ(test, tftpk_parse_request(data, len, &req), 0);
	tftpk_negotiate(&req, &limits, &opt);
	n = tftpk_put_oack(oack, &opt);
	KUNIT_EXPECT_LE(test, n, TFTPK_OACK_MAX);
	KUNIT_EXPECT_EQ(test, oack[n - 1], 0);
	KUNIT_EXPECT_GE(test, opt.nopts, 5);
}

/* The client hears its own value of each, or nothing of one of them. */
static void proto_two_timeouts_test(struct kunit *test)
{
	static const char *const requests[] = {
		"f|octet|timeout|5|utimeout|1500000|",
		"f|octet|utimeout|1500000|timeout|5|",
		"f|octet|timeout|5|utimeout|10000|",
	};
	u8 oack[TFTPK_OACK_MAX + 1] = {};
	struct tftpk_options opt;
	struct tftpk_request req;
	const char *s, *value;
	const u8 *data;
	size_t len, n;
	int i;

	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		data = packet(test, requests[i], &len);
		KUNIT_ASSERT_EQ(test, tftpk_parse_request(data, len, &req), 0);
		tftpk_negotiate(&req, &usual, &opt);
		n = tftpk_put_oack(oack, &opt);
		for (s = oack + 2; s < (char *)oack + n;
		     s = value + strlen(value) + 1) {
			value = s + strlen(s) + 1;
			if (!strcmp(s, "timeout"))
				KUNIT_EXPECT_STREQ(test, value, "5");
			else
				KUNIT_EXPECT_STRNEQ(test, value, "5");
		}
	}
}

/* ---- ERROR ---- */

struct error_case {
	const char *desc;
	u16 code;
	const char *text;
	size_t len;
};

static const struct error_case error_cases[] = {
	{ "not found", TFTPK_ERR_NOT_FOUND, "file not found", 19 },
	{ "no text", TFTPK_ERR_UNDEFINED, "", 5 },
	{ "option negotiation", TFTPK_ERR_OPTION, "no", 7 },
	{ "text that just fits", TFTPK_ERR_ACCESS,
	  "12345678901234567890123456789012345678901234567890123456789", 64 },
	{ "text that does not fit", TFTPK_ERR_ACCESS,
	  "123456789012345678901234567890123456789012345678901234567890", 64 },
	{ "text of many lines", TFTPK_ERR_TID,
	  "123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890",
	  64 },
	{ "a format is no format", TFTPK_ERR_USER, "%s%n%d", 11 },
};

KUNIT_ARRAY_PARAM_DESC(error, error_cases, desc);

static void proto_error_test(struct kunit *test)
{
	const struct error_case *c = test->param_value;
	u8 *buf = kunit_kzalloc(test, TFTPK_ERROR_MAX, GFP_KERNEL);
	size_t len;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	len = tftpk_put_error(buf, c->code, c->text);
	KUNIT_ASSERT_EQ(test, len, c->len);
	KUNIT_EXPECT_EQ(test, get_unaligned_be16(buf), TFTPK_OP_ERROR);
	KUNIT_EXPECT_EQ(test, get_unaligned_be16(buf + 2), c->code);
	KUNIT_EXPECT_MEMEQ(test, buf + 4, c->text, len - 5);
	KUNIT_EXPECT_EQ(test, buf[len - 1], 0);
}

static struct kunit_case proto_cases[] = {
	KUNIT_CASE_PARAM(proto_oack_test, oack_gen_params),
	KUNIT_CASE(proto_defaults_test),
	KUNIT_CASE(proto_tsize_test),
	KUNIT_CASE_PARAM(proto_request_test, request_gen_params),
	KUNIT_CASE(proto_truncated_test),
	KUNIT_CASE(proto_oack_longest_test),
	KUNIT_CASE(proto_two_timeouts_test),
	KUNIT_CASE_PARAM(proto_error_test, error_gen_params),
	{}
};

static struct kunit_suite proto_suite = {
	.name		= "tftpk-proto",
	.test_cases	= proto_cases,
};

kunit_test_suite(proto_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Unit tests of the TFTP server");
