/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TFTP packets: bytes to structures and back. Pure: no function sleeps, allocates or
 * touches anything but its arguments, so all run in any context, and outside the
 * kernel.
 */
#ifndef _TFTPK_PROTO_H
#define _TFTPK_PROTO_H

#include <linux/string.h>
#include <linux/types.h>
#include <linux/unaligned.h>

/* RFC 1350 section 5, RFC 2347 */
enum tftpk_opcode {
	TFTPK_OP_RRQ	= 1,
	TFTPK_OP_WRQ	= 2,
	TFTPK_OP_DATA	= 3,
	TFTPK_OP_ACK	= 4,
	TFTPK_OP_ERROR	= 5,
	TFTPK_OP_OACK	= 6,
};

/* RFC 1350 appendix, RFC 2347 */
enum tftpk_error {
	TFTPK_ERR_UNDEFINED	= 0,
	TFTPK_ERR_NOT_FOUND	= 1,
	TFTPK_ERR_ACCESS	= 2,
	TFTPK_ERR_FULL		= 3,
	TFTPK_ERR_OPERATION	= 4,
	TFTPK_ERR_TID		= 5,
	TFTPK_ERR_EXISTS	= 6,
	TFTPK_ERR_USER		= 7,
	TFTPK_ERR_OPTION	= 8,
};

enum tftpk_mode {
	TFTPK_MODE_OCTET,
	TFTPK_MODE_NETASCII,
	TFTPK_MODE_MAIL,
	TFTPK_MODE_UNKNOWN,
	TFTPK_MODE_MISSING,	/* or without a NUL */
};

/* Known options, in the order of their names in proto.c. */
enum tftpk_option {
	TFTPK_OPT_BLKSIZE,	/* RFC 2348 */
	TFTPK_OPT_TIMEOUT,	/* RFC 2349 */
	TFTPK_OPT_TSIZE,	/* RFC 2349 */
	TFTPK_OPT_WINDOWSIZE,	/* RFC 7440 */
	TFTPK_OPT_ROLLOVER,	/* tftp-hpa's: the number after 65535 */
	TFTPK_OPT_UTIMEOUT,	/* tftp-hpa's: timeout in microseconds */
	__TFTPK_OPT_MAX
};

#define TFTPK_HDR_LEN		4	/* opcode and block number */
#define TFTPK_BLKSIZE_DEFAULT	512
#define TFTPK_BLKSIZE_MIN	8
#define TFTPK_BLKSIZE_MAX	65464
#define TFTPK_UTIMEOUT_MIN	10000
#define TFTPK_UTIMEOUT_MAX	255000000
#define TFTPK_OACK_MAX		128	/* every option at its longest */
#define TFTPK_ERROR_MAX		64
/* RFC 2347 caps requests at 512 octets, but long paths need more. */
#define TFTPK_REQUEST_MAX	1400

/**
 * struct tftpk_request - a parsed RRQ or WRQ
 * @name: file name inside the packet, NUL-terminated
 * @blksize: value of the blksize option in bytes
 * @windowsize: value of the windowsize option in blocks
 * @utimeout: value of the timeout or utimeout option in microseconds
 * @mode: transfer mode
 * @rollover: value of the rollover option, 0 or 1
 * @malformed: a known option had a value that is invalid or out of its RFC's range
 * @nopts: number of @opts
 * @opts: the known options that can be granted, in the order of the request, without
 *	repetitions
 */
struct tftpk_request {
	const char *name;
	u16 blksize;
	u16 windowsize;
	u32 utimeout;
	u8 mode;
	u8 rollover;
	bool malformed;
	u8 nopts;
	u8 opts[__TFTPK_OPT_MAX];
};

/** tftpk_has_option() - did the client ask for an option, in a way that can be granted? */
static inline bool tftpk_has_option(const struct tftpk_request *req,
				    enum tftpk_option option)
{
	return memchr(req->opts, option, req->nopts);
}

/**
 * struct tftpk_limits - what a server grants
 * @size: size of the file in bytes; of an upload as the client says it, or 0
 * @blksize: largest block in bytes
 * @windowsize: largest window in blocks
 * @rollover: number of the block after 65535 if the client does not say
 * @no_tsize: the size is not told
 * @writes: an upload
 */
struct tftpk_limits {
	u64 size;
	u32 blksize;
	u32 windowsize;
	u8 rollover;
	bool no_tsize;
	bool writes;
};

/**
 * struct tftpk_options - the result of a negotiation
 * @size: size of the file in bytes
 * @blksize: payload bytes in a full block
 * @windowsize: blocks that may be in flight
 * @rollover: number of the block after 65535, 0 or 1
 * @utimeout: microseconds, or 0 if the client sent no such option
 * @nopts: number of @opts; 0 for no OACK
 * @opts: the options of the OACK, in the order of the request
 */
struct tftpk_options {
	u64 size;
	u16 blksize;
	u16 windowsize;
	u8 rollover;
	u32 utimeout;
	u8 nopts;
	u8 opts[__TFTPK_OPT_MAX];
};

int tftpk_parse_request(const u8 *data, size_t len, struct tftpk_request *req);
bool tftpk_parse_tsize(const u8 *data, size_t len, u64 *size);
void tftpk_negotiate(const struct tftpk_request *req,
		     const struct tftpk_limits *limits,
		     struct tftpk_options *opt);
size_t tftpk_put_oack(u8 *buf, const struct tftpk_options *opt);
size_t tftpk_put_error(u8 *buf, u16 code, const char *text);

/**
 * tftpk_put_data() - write the header of a DATA packet (RFC 1350 section 5)
 * @buf: room for TFTPK_HDR_LEN bytes
 * @block: number of the block on the wire
 */
static inline void tftpk_put_data(u8 *buf, u16 block)
{
	put_unaligned_be16(TFTPK_OP_DATA, buf);
	put_unaligned_be16(block, buf + 2);
}

/**
 * tftpk_put_ack() - write an ACK (RFC 1350 section 5)
 * @buf: room for TFTPK_HDR_LEN bytes
 * @block: number of the block on the wire
 */
static inline void tftpk_put_ack(u8 *buf, u16 block)
{
	put_unaligned_be16(TFTPK_OP_ACK, buf);
	put_unaligned_be16(block, buf + 2);
}

#endif /* _TFTPK_PROTO_H */
