/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between the kernels that tftpk builds for. Everything else is
 * written for the newest of them. Included before anything else by the build.
 */
#ifndef _TFTPK_COMPAT_H
#define _TFTPK_COMPAT_H

#include <linux/version.h>
#include <linux/fs.h>
#include <linux/slab.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#include <asm/unaligned.h>
#else
#include <linux/unaligned.h>
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
/*
 * Operations with pre_doit() and split policies came with 6.2. The generated
 * table uses only fields that both structures have.
 */
#define genl_split_ops	genl_ops
#define split_ops	ops
#define n_split_ops	n_ops
#endif

/* encap_err_rcv() of a socket, in the form of
 * void handler(struct sock *sk, struct sk_buff *skb, const struct udphdr *uh).
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define TFTPK_ENCAP_ERR_RCV(name, handler)				\
static void name(struct sock *sk, struct sk_buff *skb, unsigned int off) \
{									\
	handler(sk, skb, (const struct udphdr *)(skb->data + off));	\
}
#else
#define TFTPK_ENCAP_ERR_RCV(name, handler)				\
static void name(struct sock *sk, struct sk_buff *skb, int err,		\
		 __be16 port, u32 info, u8 *payload)			\
{									\
	handler(sk, skb, (const struct udphdr *)payload - 1);		\
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
/* Exported all along, but declared only in fs/internal.h. */
int vfs_path_lookup(struct dentry *dentry, struct vfsmount *mnt,
		    const char *name, unsigned int flags, struct path *path);
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
/* Policies point to constant ranges only since 6.8. */
#include <net/netlink.h>
#undef NLA_POLICY_FULL_RANGE
#define NLA_POLICY_FULL_RANGE(tp, _range) {				\
	.type			= NLA_ENSURE_UINT_OR_BINARY_TYPE(tp),	\
	.validation_type	= NLA_VALIDATE_RANGE_PTR,		\
	.range = (struct netlink_range_validation *)(_range),		\
}
#endif

/* Debian's 6.1 has it from 6.1.187 on, others since 6.8 or 6.10. */
#include <net/ip6_fib.h>
#ifndef dst_rt6_info
#define dst_rt6_info(dst_) container_of(dst_, struct rt6_info, dst)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 19, 0)
/* What kernel_bind() takes is of no fixed size, and has a type that says so. */
#define sockaddr_unsized	sockaddr
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
static inline struct timespec64 inode_get_mtime(const struct inode *inode)
{
	return inode->i_mtime;
}
#endif

/*
 * A cache of our own must not share slabs with others of its size, or its
 * counts in /proc/slabinfo would not be ours. Before 6.5 no flag says so,
 * but a cache with a constructor is never merged.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
static inline void tftpk_cache_ctor(void *object)
{
}

#define tftpk_cache_create(name, size, align, flags) \
	kmem_cache_create(name, size, align, flags, tftpk_cache_ctor)
#else
#define tftpk_cache_create(name, size, align, flags) \
	kmem_cache_create(name, size, align, (flags) | SLAB_NO_MERGE, NULL)
#endif

#endif /* _TFTPK_COMPAT_H */
