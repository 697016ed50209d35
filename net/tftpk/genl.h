/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/tftpk.yaml */
/* YNL-GEN kernel header */

#ifndef _LINUX_TFTPK_GEN_H
#define _LINUX_TFTPK_GEN_H

#include <net/netlink.h>
#include <net/genetlink.h>

#include <uapi/linux/tftpk.h>

/* Common nested types */
extern const struct nla_policy tftpk_network_nl_policy[TFTPK_A_NETWORK_PREFIX_LENGTH + 1];

int tftpk_nl_dump_start(struct netlink_callback *cb);

int tftpk_nl_export_add_doit(struct sk_buff *skb, struct genl_info *info);
int tftpk_nl_export_del_doit(struct sk_buff *skb, struct genl_info *info);
int tftpk_nl_export_get_dumpit(struct sk_buff *skb,
			       struct netlink_callback *cb);
int tftpk_nl_listener_add_doit(struct sk_buff *skb, struct genl_info *info);
int tftpk_nl_listener_del_doit(struct sk_buff *skb, struct genl_info *info);
int tftpk_nl_listener_get_dumpit(struct sk_buff *skb,
				 struct netlink_callback *cb);
int tftpk_nl_transfer_get_dumpit(struct sk_buff *skb,
				 struct netlink_callback *cb);
int tftpk_nl_stats_get_doit(struct sk_buff *skb, struct genl_info *info);
int tftpk_nl_settings_get_doit(struct sk_buff *skb, struct genl_info *info);
int tftpk_nl_settings_set_doit(struct sk_buff *skb, struct genl_info *info);
int tftpk_nl_trust_add_doit(struct sk_buff *skb, struct genl_info *info);
int tftpk_nl_trust_del_doit(struct sk_buff *skb, struct genl_info *info);
int tftpk_nl_trust_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb);
int tftpk_nl_transfer_kill_doit(struct sk_buff *skb, struct genl_info *info);
int tftpk_nl_lookup_doit(struct sk_buff *skb, struct genl_info *info);
int tftpk_nl_resolve_attach_doit(struct sk_buff *skb, struct genl_info *info);
int tftpk_nl_resolve_get_dumpit(struct sk_buff *skb,
				struct netlink_callback *cb);
int tftpk_nl_resolve_set_doit(struct sk_buff *skb, struct genl_info *info);
int tftpk_nl_resolve_flush_doit(struct sk_buff *skb, struct genl_info *info);
int tftpk_nl_transfer_save_dumpit(struct sk_buff *skb,
				  struct netlink_callback *cb);
int tftpk_nl_transfer_adopt_doit(struct sk_buff *skb, struct genl_info *info);
int tftpk_nl_key_set_doit(struct sk_buff *skb, struct genl_info *info);
int tftpk_nl_histogram_get_dumpit(struct sk_buff *skb,
				  struct netlink_callback *cb);

enum {
	TFTPK_NLGRP_EVENTS,
	TFTPK_NLGRP_RESOLVE,
};

extern struct genl_family tftpk_nl_family;

#endif /* _LINUX_TFTPK_GEN_H */
