/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the agent says that names stand for, and what is remembered of it.
 */
#ifndef _TFTPK_ANSWER_H
#define _TFTPK_ANSWER_H

#include <linux/in6.h>
#include <linux/refcount.h>
#include <linux/types.h>

struct file;
struct tftpk_net;

enum tftpk_answer_kind {
	TFTPK_ANSWER_DEFAULT,	/* as without an agent */
	TFTPK_ANSWER_NAME,	/* another name */
	TFTPK_ANSWER_FILE,
	TFTPK_ANSWER_ERROR,
	TFTPK_ANSWER_WELCOME,	/* what is to be written, or was */
};

/**
 * struct tftpk_answer - what a name stands for
 * @rcu: frees it
 * @ref: references
 * @kind: enum tftpk_answer_kind
 * @code: enum tftpk_error
 * @pinned: pages of tftpk_net.pinned that @file counts for while it is remembered
 * @max_size: bytes that are welcome
 * @file: the agent's
 * @text: name, or text of the ERROR
 */
struct tftpk_answer {
	struct rcu_head rcu;
	refcount_t ref;
	u8 kind;
	u16 code;
	u32 pinned;
	u64 max_size;
	struct file *file;
	char text[];
};

/**
 * struct tftpk_asked - what was asked; equal questions have equal answers
 * @listener: id of the listener that takes the request, or 0
 * @client: who asks, or zeros for everybody
 * @local: address that a client asks
 * @iif: interface that its request came in by
 * @netascii: as a text
 * @name: as the client sent it
 */
struct tftpk_asked {
	u32 listener;
	struct in6_addr client;
	struct in6_addr local;
	int iif;
	bool netascii;
	const char *name;
};

struct tftpk_answer *tftpk_answer_new(enum tftpk_answer_kind kind,
				      const char *text);
struct tftpk_answer *tftpk_answer_get(struct tftpk_answer *answer);
void tftpk_answer_put(struct tftpk_answer *answer);
int tftpk_answer_set_file(struct tftpk_answer *answer, unsigned int fd,
			  bool writing);
struct file *tftpk_answer_open(const struct tftpk_answer *answer);
struct file *tftpk_answer_sink(const struct tftpk_answer *answer);

int tftpk_memory_init(struct tftpk_net *tn);
void tftpk_memory_close(struct tftpk_net *tn);
void tftpk_memory_exit(struct tftpk_net *tn);
struct tftpk_answer *tftpk_memory_find(struct tftpk_net *tn,
				       const struct tftpk_asked *asked);
void tftpk_memory_add(struct tftpk_net *tn, const struct tftpk_asked *asked,
		      struct tftpk_answer *answer, u32 ttl, u32 flushes);
void tftpk_memory_flush(struct tftpk_net *tn);

#endif /* _TFTPK_ANSWER_H */
