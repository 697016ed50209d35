/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between the kernels that tftpk builds for. All other files are written
 * for the newest of them, and build there without this one (see scripts/mainline). The
 * build includes it before any other. include/compat/ has the headers that older
 * kernels lack, and what looks into a kernel's headers and makes features.h: vendors'
 * kernels have what their numbers do not tell.
 */
#ifndef _TFTPK_COMPAT_H
#define _TFTPK_COMPAT_H

#include <linux/fs.h>
#include <linux/skbuff.h>
#include <linux/slab.h>

#include "features.h"

#ifndef TFTPK_HAVE_SPLIT_OPS
/*
 * 6.2 added split operations. The generated table uses only fields that both
 * structures have.
 */
#define genl_split_ops	genl_ops
#define split_ops	ops
#define n_split_ops	n_ops
#endif

#ifndef TFTPK_HAVE_ENCAP_ERR
/*
 * Before 6.2, encap_err_rcv() of a socket gets the offset of the UDP header. This macro
 * replaces the head of the function's definition: it defines a function of the old form
 * by the same name, which calls the new one.
 */
#define tftpk_encap_err_rcv(...)					\
	tftpk_encap_err_rcv_6_2(__VA_ARGS__);				\
static void tftpk_encap_err_rcv(struct sock *sk, struct sk_buff *skb,	\
				unsigned int off)			\
{									\
	const struct udphdr *uh = (const void *)(skb->data + off);	\
									\
	tftpk_encap_err_rcv_6_2(sk, skb, 0, uh->dest, 0, (u8 *)(uh + 1)); \
}									\
static void tftpk_encap_err_rcv_6_2(__VA_ARGS__)
#endif

#ifndef TFTPK_HAVE_FILE_POST_OPEN
/* With 6.9, IMA became a security module. */
#include <linux/ima.h>
#define security_file_post_open(file, mask)	ima_file_check(file, mask)
#endif

#ifndef TFTPK_HAVE_PATH_LOOKUP
/* Before 6.5, kernels export it, but declare it only in fs/internal.h. */
int vfs_path_lookup(struct dentry *dentry, struct vfsmount *mnt,
		    const char *name, unsigned int flags, struct path *path);
#endif

#ifndef TFTPK_HAVE_CONST_RANGES
/* Before 6.8, policies cannot point to constant ranges. */
#include <net/netlink.h>
#undef NLA_POLICY_FULL_RANGE
#define NLA_POLICY_FULL_RANGE(tp, _range) {				\
	.type			= NLA_ENSURE_UINT_OR_BINARY_TYPE(tp),	\
	.validation_type	= NLA_VALIDATE_RANGE_PTR,		\
	.range = (struct netlink_range_validation *)(_range),		\
}
#endif

/* Mainline has it since 6.8, and later releases of 6.1. Older ones check this flag. */
#include <net/genetlink.h>
#ifndef GENL_MCAST_CAP_NET_ADMIN
#define GENL_MCAST_CAP_NET_ADMIN	GENL_UNS_ADMIN_PERM
#endif

#ifndef TFTPK_HAVE_FRAGS_READABLE
/* Before 6.12, packets could not be in memory of devices. */
static inline bool skb_frags_readable(const struct sk_buff *skb)
{
	return true;
}
#endif

/* Mainline has it since 6.10, Debian's 6.1 since 6.1.187. */
#include <net/ip6_fib.h>
#ifndef dst_rt6_info
#define dst_rt6_info(dst_) container_of(dst_, struct rt6_info, dst)
#endif

#ifndef TFTPK_HAVE_SOCKADDR_UNSIZED
/* Since 6.19, the type of kernel_bind()'s address, which has no fixed size. */
#define sockaddr_unsized	sockaddr
#endif

#ifndef TFTPK_HAVE_HRTIMER_SETUP
/* Since 6.13. */
#include <linux/hrtimer.h>
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*fn)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = fn;
}
#endif

#ifndef TFTPK_HAVE_GET_MTIME
/* Mainline has it since 6.7, and later releases of 6.6. */
static inline struct timespec64 inode_get_mtime(const struct inode *inode)
{
	return inode->i_mtime;
}
#endif

#ifndef SLAB_NO_MERGE
/* The flag is of 6.5. Before, a cache with a constructor is never merged. */
static inline void tftpk_cache_ctor(void *object)
{
}

static inline struct kmem_cache *
tftpk_cache_create(const char *name, unsigned int size, unsigned int align,
		   slab_flags_t flags, void (*ctor)(void *))
{
	return kmem_cache_create(name, size, align, flags,
				 ctor ?: tftpk_cache_ctor);
}

#define SLAB_NO_MERGE	0
#define kmem_cache_create tftpk_cache_create
#endif

#endif /* _TFTPK_COMPAT_H */
