// SPDX-License-Identifier: GPL-2.0
/*
 * Networks, and those whose sources are trusted: nobody can forge their addresses.
 */
#include <linux/rculist.h>
#include <linux/slab.h>
#include <net/ipv6.h>

#include "transfer.h"

/**
 * tftpk_network_set() - name a network
 * @network: takes it
 * @addr: any of its addresses
 * @plen: bits that count, 96 and more for IPv4
 *
 * Context: any.
 */
void tftpk_network_set(struct tftpk_network *network,
		       const struct in6_addr *addr, u8 plen)
{
	ipv6_addr_prefix(&network->addr, addr, plen);
	network->plen = plen;
}

/**
 * tftpk_network_has() - is a client in a network?
 * @network: network
 * @client: its address; a mapped IPv4 address is in no IPv6 network
 *
 * Context: any.
 */
bool tftpk_network_has(const struct tftpk_network *network,
		       const struct in6_addr *client)
{
	return (network->plen >= 96 || !ipv6_addr_v4mapped(client)) &&
	       ipv6_prefix_equal(client, &network->addr, network->plen);
}

/**
 * tftpk_trust_of() - the network by which a client is trusted
 * @tn: namespace's server
 * @client: its address
 *
 * Context: any, within rcu_read_lock(). Return: the network, or NULL where it is not.
 */
const struct tftpk_trust *tftpk_trust_of(const struct tftpk_net *tn,
					 const struct in6_addr *client)
{
	const struct tftpk_trust *trust;

	list_for_each_entry_rcu(trust, &tn->trusted, list)
		if (tftpk_network_has(&trust->network, client))
			return trust;
	return NULL;
}

static struct tftpk_trust *tftpk_trust_find(struct tftpk_net *tn,
					    const struct tftpk_network *network)
{
	struct tftpk_trust *trust;

	list_for_each_entry(trust, &tn->trusted, list)
		if (trust->network.plen == network->plen &&
		    ipv6_addr_equal(&trust->network.addr, &network->addr))
			return trust;
	return NULL;
}

/**
 * tftpk_trust_add() - trust the sources of a network
 * @tn: namespace's server; its mutex is held
 * @network: network
 *
 * Context: process. Return: 0, -EEXIST or -ENOMEM.
 */
int tftpk_trust_add(struct tftpk_net *tn, const struct tftpk_network *network)
{
	struct tftpk_trust *trust;

	lockdep_assert_held(&tn->mutex);

	if (tftpk_trust_find(tn, network))
		return -EEXIST;
	trust = kzalloc(sizeof(*trust), GFP_KERNEL_ACCOUNT);
	if (!trust)
		return -ENOMEM;
	trust->network = *network;
	list_add_tail_rcu(&trust->list, &tn->trusted);
	tn->generation++;
	return 0;
}

/**
 * tftpk_trust_del() - trust the sources of a network no more
 * @tn: namespace's server; its mutex is held
 * @network: as it was added
 *
 * Context: process. Return: 0 or -ENOENT.
 */
int tftpk_trust_del(struct tftpk_net *tn, const struct tftpk_network *network)
{
	struct tftpk_trust *trust;

	lockdep_assert_held(&tn->mutex);

	trust = tftpk_trust_find(tn, network);
	if (trust) {
		list_del_rcu(&trust->list);
		tn->generation++;
		kfree_rcu(trust, rcu);
	}
	return trust ? 0 : -ENOENT;
}

/**
 * tftpk_trust_exit() - free the list of trusted networks
 * @tn: namespace's server; nobody looks at it any more
 */
void tftpk_trust_exit(struct tftpk_net *tn)
{
	struct tftpk_trust *trust, *next;

	list_for_each_entry_safe(trust, next, &tn->trusted, list)
		kfree(trust);
}
