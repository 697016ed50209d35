// SPDX-License-Identifier: GPL-2.0
/*
 * Life of what belongs to a network namespace, which transfers that wait for storage
 * may outlive.
 */
#include <linux/lockdep.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>

#include "answer.h"
#include "transfer.h"

static struct lock_class_key tftpk_questions_key;

/**
 * tftpk_net_alloc() - make a namespace's server with its presets
 * @net: namespace
 *
 * Context: process. Return: the server with one reference, or NULL.
 */
struct tftpk_net *tftpk_net_alloc(struct net *net)
{
	struct tftpk_net *tn = kzalloc(sizeof(*tn), GFP_KERNEL_ACCOUNT);
	int attr;

	if (!tn)
		return NULL;
	if (tftpk_stats_init(tn))
		goto err_free;
	if (tftpk_client_init(tn))
		goto err_stats;
	if (tftpk_memory_init(tn))
		goto err_clients;
	refcount_set(&tn->ref, 1);
	tn->net = net;
	mutex_init(&tn->mutex);
	tn->generation = 1;
	INIT_LIST_HEAD(&tn->exports);
	INIT_LIST_HEAD(&tn->listeners);
	INIT_LIST_HEAD(&tn->trusted);
	xa_init_flags(&tn->transfers, XA_FLAGS_ALLOC1 | XA_FLAGS_LOCK_BH);
	xa_init_flags(&tn->questions, XA_FLAGS_ALLOC1 | XA_FLAGS_LOCK_BH);
	/* Under the lock of a transfer, which is under that of the transfers. */
	lockdep_set_class(&tn->questions.xa_lock, &tftpk_questions_key);
	spin_lock_init(&tn->unvalidated_lock);
	INIT_LIST_HEAD(&tn->unvalidated[false]);
	INIT_LIST_HEAD(&tn->unvalidated[true]);
	ratelimit_state_init(&tn->refusals, HZ, 100);
	/* What is left out is counted, not printed. */
	ratelimit_set_flags(&tn->refusals, RATELIMIT_MSG_ON_RELEASE);
	for (attr = 1; attr < ARRAY_SIZE(tftpk_setting); attr++)
		tftpk_setting_put(&tn->settings, attr,
				  tftpk_setting[attr].preset);
	tn->settings.max_pinned = max(totalram_pages() / 4 >>
				      (20 - PAGE_SHIFT), 1UL);
	return tn;

err_clients:
	tftpk_client_exit(tn);
err_stats:
	tftpk_stats_exit(tn);
err_free:
	kfree(tn);
	return NULL;
}

/**
 * tftpk_net_get() - hold a server
 * @tn: server; the caller holds a reference, or its namespace is there
 */
void tftpk_net_get(struct tftpk_net *tn)
{
	refcount_inc(&tn->ref);
}

/**
 * tftpk_net_put() - drop a reference to a server
 * @tn: server; may be freed
 *
 * Context: process.
 */
void tftpk_net_put(struct tftpk_net *tn)
{
	if (!refcount_dec_and_test(&tn->ref))
		return;
	xa_destroy(&tn->questions);
	xa_destroy(&tn->transfers);
	tftpk_memory_exit(tn);
	tftpk_client_exit(tn);
	tftpk_trust_exit(tn);
	tftpk_turn_exit(tn);
	tftpk_limit_exit(tn);
	tftpk_stats_exit(tn);
	kfree_sensitive(tn);
}

/**
 * tftpk_net_changed() - exports or listeners changed
 * @tn: server; its mutex is held
 *
 * Names may stand for something else now.
 *
 * Context: process.
 */
void tftpk_net_changed(struct tftpk_net *tn)
{
	lockdep_assert_held(&tn->mutex);

	tn->generation++;
	tftpk_memory_flush(tn);
}
