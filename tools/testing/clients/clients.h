/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What clients of lock step do with the blocks that reach them, expected or not: as
 * their sources have it, and as captures/ shows (see replay.c). What each row of the
 * table says of a client stands here only.
 *
 * Header only, for the replay, the matrix and the client of the selftests.
 */
#ifndef _TFTPK_CLIENTS_H
#define _TFTPK_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define CLIENT_KEPT	65536		/* blocks beyond its first gap */

struct client;

/* Answer to a block that is not the next one. */
typedef void client_unexpected_fn(struct client *c, uint16_t number,
				  uint64_t now_ns);

/**
 * struct client_kind - a client
 * @name: also that of its capture
 * @source: where it is written
 * @asks: options that it sends, in order
 * @unexpected: see above; NULL for silence
 * @wait_ms: how long it waits until it repeats its ACK, the first time, the second,
 *	and so on; the last of them for ever
 * @tick_ms: by up to so much less
 * @rewait: any packet restarts its timer
 * @adapts: its timer doubles when it expires; later packets take that back slowly
 * @keeps: it keeps what comes before its turn
 * @worst: no client that is known, but what one may be at worst
 * @room: packets that may queue while it handles one; 0 for any number
 * @busy_us: how long it handles one
 */
struct client_kind {
	const char *name;
	const char *source;
	const char *asks;
	client_unexpected_fn *unexpected;
	uint16_t wait_ms[12];
	uint16_t tick_ms;
	bool rewait;
	bool adapts;
	bool keeps;
	bool worst;
	uint16_t room;
	uint32_t busy_us;
};

/**
 * struct client - a transfer
 * @kind: what client
 * @have: it has all blocks up to this one
 * @last: the file's final block
 * @timer_ns: when it repeats its ACK; UINT64_MAX for never
 * @waits: how often it has repeated its ACK since a block came
 * @wait_ms: how long it waits, if its timer adapts
 * @told: block after which U-Boot answered an unexpected one last
 * @spoilt: it took a block for another, or gave up
 * @gone: it gave up
 * @ack: sends an ACK
 * @context: for that
 * @kept: blocks that came before their turn, by their number
 */
struct client {
	const struct client_kind *kind;
	uint64_t have;
	uint64_t last;
	uint64_t timer_ns;
	uint16_t waits;
	uint32_t wait_ms;
	uint64_t told;
	bool spoilt;
	bool gone;
	void (*ack)(struct client *c, uint16_t number);
	void *context;
	bool kept[CLIENT_KEPT];
};

static inline bool client_done(const struct client *c)
{
	return c->have == c->last;
}

static inline void client_await(struct client *c, uint64_t now_ns)
{
	const uint16_t *wait = c->kind->wait_ms;
	uint16_t i = 0;

	if (c->kind->adapts) {
		c->timer_ns = now_ns + c->wait_ms * 1000000ULL;
		return;
	}
	while (i < c->waits && i < 11 && wait[i + 1])
		i++;
	c->timer_ns = wait[i] ? now_ns + wait[i] * 1000000ULL : UINT64_MAX;
}

/* iPXE: src/net/retry.c. As many packets as it waited for in vain count for nothing;
 * each other one takes off an eighth, and adds half of what it took to come.
 */
static inline void client_adapt(struct client *c, uint64_t now_ns)
{
	uint64_t begun_ns = c->timer_ns - c->wait_ms * 1000000ULL;

	if (c->waits)
		c->waits--;
	else
		c->wait_ms += (now_ns - begun_ns) / 2000000 - c->wait_ms / 8;
	if (c->wait_ms < c->kind->wait_ms[0])
		c->wait_ms = c->kind->wait_ms[0];
	client_await(c, now_ns);
}

/* ---- answers ---- */

/* Each time what it has. */
static inline void client_ack_each(struct client *c, uint16_t number,
				   uint64_t now_ns)
{
	(void)number;
	(void)now_ns;
	c->ack(c, c->have);
}

/* Once for each block that it waits for. */
static inline void client_ack_once(struct client *c, uint16_t number,
				   uint64_t now_ns)
{
	(void)number;
	(void)now_ns;
	if (c->told != c->have)
		c->ack(c, c->have);
	c->told = c->have;
}

/* If it is a copy of the last one. */
static inline void client_ack_copy(struct client *c, uint16_t number,
				   uint64_t now_ns)
{
	(void)now_ns;
	if (number == (uint16_t)c->have)
		c->ack(c, number);
}

/* If its number is below the one that is expected, that number: before the numbers
 * roll over, those behind that are below it.
 */
static inline void client_ack_lower(struct client *c, uint16_t number,
				    uint64_t now_ns)
{
	(void)now_ns;
	if (number < (uint16_t)(c->have + 1))
		c->ack(c, number);
}

static const struct client_kind client_kinds[] = {
	{
		.name = "ipxe",
		.source = "ipxe: src/net/udp/tftp.c",
		.asks = "blksize 1432 tsize 0",
		.unexpected = client_ack_each,
		.wait_ms = { 250 },
		.adapts = true,
		.keeps = true,
	}, {
		.name = "grub",
		.source = "grub2: grub-core/net/tftp.c",
		.asks = "blksize 1024 tsize 0",
		.unexpected = client_ack_lower,
	}, {
		.name = "pxelinux",
		.source = "syslinux: core/fs/pxe/tftp.c",
		.asks = "tsize 0 blksize 1408",
		.unexpected = client_ack_each,
		.wait_ms = { 110, 110, 165, 165, 220, 275, 330, 385, 495, 550, 660, 825 },
		.tick_ms = 55,
	}, {
		.name = "uboot",
		.source = "u-boot: net/tftp.c",
		.asks = "timeout 5 tsize 0 blksize 1468",
		.unexpected = client_ack_once,
		.wait_ms = { 5000 },
	}, {
		.name = "edk2",
		.source = "edk2: NetworkPkg/Mtftp4Dxe/Mtftp4Rrq.c",
		/* The second time it asks, when it knows the size. */
		.asks = "blksize 1468 windowsize 4",
		.unexpected = client_ack_each,
		.wait_ms = { 4000 },
		.tick_ms = 1000,
	}, {
		.name = "curl",
		.source = "curl: lib/tftp.c",
		.asks = "tsize 0 blksize 512 timeout 6",
		.unexpected = client_ack_copy,
		.wait_ms = { 65535 },
	}, {
		.name = "busybox",
		.source = "busybox: networking/tftp.c",
		.asks = "tsize 0",
		.wait_ms = { 100, 150, 225, 337, 505, 757, 1135, 1702, 2000 },
		.rewait = true,
	}, {
		.name = "hpa",
		.source = "tftp-hpa: tftp/tftp.c",
		.asks = "",
		.unexpected = client_ack_copy,
		.wait_ms = { 5000 },
		.rewait = true,
	}, {
		.name = "expected-only",
		.asks = "",
		.worst = true,
		.wait_ms = { 1000 },
	}, {
		.name = "one-packet",
		.asks = "",
		.worst = true,
		.unexpected = client_ack_copy,
		.wait_ms = { 1000 },
		.room = 1,
		.busy_us = 300,
	},
};

static inline const struct client_kind *client_kind(const char *name)
{
	const size_t n = sizeof(client_kinds) / sizeof(client_kinds[0]);

	for (size_t i = 0; i < n; i++) {
		if (!strcmp(client_kinds[i].name, name))
			return &client_kinds[i];
	}
	return NULL;
}

/* ---- a network that loses the same whatever the server does ---- */

/* SplitMix64. */
static inline uint64_t client_hash(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

/**
 * client_lost() - is this packet lost?
 * @loss: share of packets that are
 * @seed: of this transfer
 * @ack: is it an ACK?
 * @block: what block it has or acknowledges
 * @copy: how often that was sent before
 */
static inline bool client_lost(double loss, uint32_t seed, bool ack, uint64_t block,
			       uint16_t copy)
{
	uint64_t x = client_hash(seed * 2ULL + ack);

	return client_hash(client_hash(x + block) + copy) < loss * 18446744073709551616.0;
}

/* ---- what happens to it ---- */

/**
 * client_start() - the server's answer to its request came
 * @c: client, with @ack and @context set
 * @kind: what it is
 * @last: the file's final block
 * @oack: it was an OACK
 */
static inline void client_start(struct client *c, const struct client_kind *kind,
				uint64_t last, bool oack, uint64_t now_ns)
{
	c->kind = kind;
	c->have = 0;
	c->last = last;
	c->waits = 0;
	c->wait_ms = kind->wait_ms[0];
	c->told = 0;
	c->spoilt = false;
	c->gone = false;
	memset(c->kept, 0, sizeof(c->kept));
	client_await(c, now_ns);
	if (oack)
		c->ack(c, 0);
}

static inline void client_take(struct client *c, uint64_t block, uint64_t now_ns)
{
	if (block != c->have + 1)
		c->spoilt = true;
	c->have++;
	c->waits = 0;
	client_await(c, now_ns);
}

/* iPXE takes a number for one of the 65536 in which its first gap lies. A block 0 ends
 * the transfer.
 */
static inline void client_keep(struct client *c, uint16_t number, uint64_t block)
{
	uint64_t taken = ((c->have + 1) & ~0xffffULL) + number;

	if (!taken) {
		c->spoilt = true;
		c->gone = true;
		c->timer_ns = UINT64_MAX;
		return;
	}
	if (taken != block) {
		c->spoilt = true;
		return;
	}
	if (block > c->have)
		c->kept[block % CLIENT_KEPT] = true;
	while (!client_done(c) && c->kept[(c->have + 1) % CLIENT_KEPT])
		c->kept[++c->have % CLIENT_KEPT] = false;
}

/**
 * client_receive() - it handles a DATA packet
 * @c: client
 * @block: the block that is in it, in full; it looks at 16 bits
 * @now_ns: the time
 */
static inline void client_receive(struct client *c, uint64_t block, uint64_t now_ns)
{
	const struct client_kind *kind = c->kind;
	uint16_t number = block;

	if (client_done(c) || c->gone)
		return;
	if (kind->keeps) {
		client_keep(c, number, block);
		if (c->gone)
			return;
		client_adapt(c, now_ns);
		c->ack(c, c->have);
	} else if (number == (uint16_t)(c->have + 1)) {
		client_take(c, block, now_ns);
		c->ack(c, c->have);
	} else {
		if (kind->rewait)
			client_await(c, now_ns);
		if (kind->unexpected)
			kind->unexpected(c, number, now_ns);
	}
}

/** client_timer() - its timer expired */
static inline void client_timer(struct client *c, uint64_t now_ns)
{
	if (client_done(c)) {
		c->timer_ns = UINT64_MAX;
		return;
	}
	c->waits++;
	c->wait_ms *= 2;
	client_await(c, now_ns);
	c->ack(c, c->have);
}

#endif /* _TFTPK_CLIENTS_H */
