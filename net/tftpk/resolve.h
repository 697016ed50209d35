/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Asking the agent what a name stands for.
 */
#ifndef _TFTPK_RESOLVE_H
#define _TFTPK_RESOLVE_H

#include "answer.h"
#include "question.h"
#include "transfer.h"

/* Text of the ERROR where nobody may write. */
#define TFTPK_READ_ONLY	"read-only server"

int tftpk_resolve_ask(struct tftpk_transfer *t, enum tftpk_operation operation,
		      u64 size);
void tftpk_resolve_deny(struct tftpk_transfer *t, struct tftpk_answer *answer);
struct tftpk_answer *tftpk_resolve_answer(struct tftpk_transfer *t);
bool tftpk_resolve_begin(struct tftpk_transfer *t);
bool tftpk_resolve_missing(struct tftpk_transfer *t);
bool tftpk_resolve_expire(struct tftpk_transfer *t);
u32 tftpk_resolve_wait(const struct tftpk_net *tn);
int tftpk_resolve_set(struct tftpk_net *tn, u32 id, struct tftpk_answer *answer,
		      u32 ttl, enum tftpk_scope scope);
int tftpk_resolve_command(struct tftpk_net *tn,
			  struct tftpk_question *question,
			  struct tftpk_answer **answer,
			  enum tftpk_answerer *by);
struct file *tftpk_resolve_open(struct tftpk_answer *answer);
const char *tftpk_resolve_name(const struct tftpk_transfer *t);

#endif /* _TFTPK_RESOLVE_H */
