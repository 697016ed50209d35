/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Questions that wait for the agent.
 */
#ifndef _TFTPK_QUESTION_H
#define _TFTPK_QUESTION_H

#include <linux/completion.h>

#include "transfer.h"

struct tftpk_answer;

/**
 * struct tftpk_question - what a name stands for
 * @id: number
 * @operation: enum tftpk_operation
 * @transfer: number of the transfer, or 0
 * @size: bytes of an upload, or TFTPK_SIZE_UNKNOWN
 * @told: the agent knows it
 * @near: the client is, see tftpk_limit_near()
 * @proved: it has sent a block of an upload: no limit counts it
 * @t: transfer that waits, or NULL: then a command does
 * @done: the command has its answer
 * @answer: that
 * @key: names the client, while its listener is there
 * @listener: id of that listener, or 0
 * @port: its port
 * @iif: interface that the request came in by, or 0
 * @asked: jiffies
 * @flushes: tftpk_net.flushes then
 * @req: what is asked for
 * @name: of that
 */
struct tftpk_question {
	u32 id;
	u8 operation;
	u32 transfer;
	u64 size;
	bool told;
	bool near;
	bool proved;
	struct tftpk_transfer *t;
	struct completion done;
	struct tftpk_answer *answer;
	struct tftpk_key key;
	u32 listener;
	__be16 port;
	int iif;
	unsigned long asked;
	u32 flushes;
	struct tftpk_request req;
	char name[];
};

struct tftpk_question *tftpk_question_new(const struct tftpk_net *tn,
					  const struct tftpk_key *key,
					  const struct tftpk_request *req,
					  gfp_t gfp);
int tftpk_question_add(struct tftpk_net *tn, struct tftpk_question *question);
int tftpk_question_operation(struct tftpk_net *tn, u32 id);
struct tftpk_question *tftpk_question_take(struct tftpk_net *tn, u32 id);
void tftpk_question_drop(struct tftpk_transfer *t);
void tftpk_questions_retell(struct tftpk_net *tn);
void tftpk_question_notice(struct tftpk_net *tn);

#endif /* _TFTPK_QUESTION_H */
