/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Silence towards clients that may be another server's.
 */
#ifndef _TFTPK_SILENCE_H
#define _TFTPK_SILENCE_H

#include <linux/types.h>

struct tftpk_key;
struct tftpk_silence;

struct tftpk_silence *tftpk_silence_new(void);
void tftpk_silence_free(struct tftpk_silence *silence);
bool tftpk_silence_towards(const struct tftpk_key *key, bool near);
void tftpk_silence_broken(const struct tftpk_key *key, bool near);

#endif
