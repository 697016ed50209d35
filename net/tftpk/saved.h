/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A transfer as another server gets it.
 */
#ifndef _TFTPK_SAVED_H
#define _TFTPK_SAVED_H

#include <linux/in6.h>
#include <linux/types.h>

#include "proto.h"

struct sk_buff;
struct genl_info;
struct tftpk_net;

#define TFTPK_SEAL_LEN	8

/**
 * struct tftpk_saved - a transfer as another server gets it
 * @client: address of the client
 * @server: address that it asked
 * @client_port: its UDP port
 * @server_port: transfer identifier
 * @listener_port: port that it asked
 * @scope: interface of a link-local client, or ""
 * @interface: of the listener, or ""
 * @name: name that the file is found by
 * @size: bytes of the file
 * @modified: nanoseconds since 1970
 * @device: its file system
 * @inode: its number there
 * @generation: of that number
 * @identified: these three are known
 * @state: enum tftpk_state
 * @block: last block acknowledged
 * @inflight: blocks after it that were sent
 * @blksize: payload bytes of a block
 * @windowsize: blocks that may be in flight
 * @rollover: number of the block after 65535
 * @utimeout: microseconds, or 0
 * @nopts: number of @opts
 * @opts: options of the OACK
 * @ahead: most blocks beyond the ACK
 * @rtt: microseconds, or 0
 * @age: milliseconds
 * @hash: of the request
 * @former: the request's place is another one's
 * @validated: the client has acknowledged a block
 * @time: seconds since 1970
 * @seal: proves all but @device, @inode and @generation
 * @sealed: there is one
 */
struct tftpk_saved {
	struct in6_addr client;
	struct in6_addr server;
	__be16 client_port;
	__be16 server_port;
	__be16 listener_port;
	const char *scope;
	const char *interface;
	const char *name;
	u64 size;
	u64 modified;
	u32 device;
	u64 inode;
	u32 generation;
	bool identified;
	u32 state;
	u64 block;
	u32 inflight;
	u32 blksize;
	u32 windowsize;
	u32 rollover;
	u32 utimeout;
	u8 nopts;
	u8 opts[__TFTPK_OPT_MAX];
	u32 ahead;
	u32 rtt;
	u32 age;
	u32 hash;
	bool former;
	bool validated;
	u64 time;
	u8 seal[TFTPK_SEAL_LEN];
	bool sealed;
};

/* save.c */
int tftpk_saved_get(struct genl_info *info, struct tftpk_saved *saved);
bool tftpk_saved_proves(struct tftpk_net *tn, const struct tftpk_saved *saved);

#endif /* _TFTPK_SAVED_H */
