/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between the kernels that tftpk builds for. Everything else is
 * written for the newest of them, and builds there without this file (see
 * scripts/mainline). Included before anything else by the build. Headers that
 * older kernels lack are in include/compat/.
 */
#ifndef _TFTPK_COMPAT_H
#define _TFTPK_COMPAT_H

#include <linux/version.h>
#include <linux/fs.h>
#include <linux/slab.h>

/* For want of Kconfig: depends on 64BIT. */
#ifndef CONFIG_64BIT
#error "tftpk wants a 64-bit kernel"
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

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
/*
 * Until 6.2 encap_err_rcv() of a socket got the offset of the UDP header. This
 * stands between the name of the function and its parameters, and defines one of
 * the old form by the same name, which calls it.
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

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
/* IMA became a security module. */
#include <linux/ima.h>
#define security_file_post_open(file, mask)	ima_file_check(file, mask)
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

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
/* No flag says so, but a cache with a constructor is never merged. */
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
