/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Blocks ahead: a client that asked for no window acknowledges each block. What it is
 * sent beyond that block saves it a round trip.
 *
 * The functions are pure, as those of window.h are, and take the place of those with the
 * same names there.
 */
#ifndef _TFTPK_AHEAD_H
#define _TFTPK_AHEAD_H

#include "window.h"

struct tftpk_request;

/* Bytes that may be in flight. A small ring holds them, and as much again. */
#define TFTPK_AHEAD_BYTES	65536

u32 tftpk_ahead_most(const struct tftpk_request *req, u32 blksize, u32 most,
		     bool all);
enum tftpk_ack tftpk_ahead_ack(struct tftpk_window *w, struct tftpk_rtt *rtt,
			       u16 block, u64 now_ns);
enum tftpk_recovery tftpk_ahead_recovery(const struct tftpk_window *w,
					 const struct tftpk_rtt *rtt,
					 bool validated);
void tftpk_ahead_resend(struct tftpk_window *w, u64 now_ns);
void tftpk_ahead_probe(struct tftpk_window *w, u64 now_ns);
void tftpk_ahead_timeout(struct tftpk_window *w, struct tftpk_rtt *rtt);

#endif /* _TFTPK_AHEAD_H */
