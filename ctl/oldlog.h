/* SPDX-License-Identifier: GPL-2.0 */
/* Logs of other servers. */
#ifndef OLDLOG_H
#define OLDLOG_H

#include "tftpkctl.h"

struct old_log {
	/*
	 * By client and name: "client", an address or "-"; "name" that was asked
	 * for, or null; "file" that was meant, or null; "upload", "served" and
	 * "count".
	 */
	json_t *requests;
	json_t *latest;		/* the same by process and client */
	unsigned long lines, count;
	bool tells_refusals;
	bool silent;		/* its server tells of refusals only if told so */
};

int read_log(const char *file, struct old_log *log);
void free_log(struct old_log *log);

#endif /* OLDLOG_H */
