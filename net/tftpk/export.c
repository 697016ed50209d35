// SPDX-License-Identifier: GPL-2.0
/*
 * Exports: folders that are served, and what a client's name stands for below
 * them. Process context.
 */
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/namei.h>
#include <linux/netlink.h>
#include <linux/rculist.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "tftpk.h"

/* A lookup that raced with a rename is repeated this often. */
#define TFTPK_LOOKUP_TRIES	16

static const struct cred *tftpk_unprivileged(kuid_t uid, kgid_t gid)
{
	struct cred *cred = prepare_kernel_cred(&init_task);

	if (!cred)
		return NULL;
	cred->uid = uid;
	cred->euid = uid;
	cred->suid = uid;
	cred->fsuid = uid;
	cred->gid = gid;
	cred->egid = gid;
	cred->sgid = gid;
	cred->fsgid = gid;
	cap_clear(cred->cap_inheritable);
	cap_clear(cred->cap_permitted);
	cap_clear(cred->cap_effective);
	cap_clear(cred->cap_bset);
	cap_clear(cred->cap_ambient);
	return cred;
}

static void tftpk_export_free(struct tftpk_export *export)
{
	if (export->cred)
		put_cred(export->cred);
	path_put(&export->path);
	kfree(export->name);
	kfree_rcu(export, rcu);
}

/**
 * tftpk_export_put() - drop a reference to an export
 * @export: export; may be freed
 *
 * Context: process.
 */
void tftpk_export_put(struct tftpk_export *export)
{
	refcount_t *ref = &export->ref;

	if (refcount_dec_and_test(ref))
		tftpk_export_free(export);
	else
		wake_up_var(ref);
}

/* A prefix without the slashes at its ends. */
static const char *tftpk_trim(const char *prefix, u32 *len)
{
	while (*prefix == '/')
		prefix++;
	*len = strlen(prefix);
	while (*len && prefix[*len - 1] == '/')
		(*len)--;
	return prefix;
}

/**
 * tftpk_export_has_prefix() - is an export served under that prefix?
 * @export: export
 * @prefix: with or without slashes at its ends, or NULL for any
 */
bool tftpk_export_has_prefix(const struct tftpk_export *export,
			     const char *prefix)
{
	u32 len;

	if (!prefix)
		return true;
	prefix = tftpk_trim(prefix, &len);
	return len == export->prefix_len &&
	       !memcmp(prefix, export->prefix, len);
}

static char *tftpk_path_name(const struct path *path)
{
	char *buf = kmalloc(PATH_MAX, GFP_KERNEL);
	char *name, *result;

	if (!buf)
		return ERR_PTR(-ENOMEM);
	name = d_path(path, buf, PATH_MAX);
	result = IS_ERR(name) ? name : kstrdup(name, GFP_KERNEL);
	kfree(buf);
	return result ?: ERR_PTR(-ENOMEM);
}

/* May the export's user enter the folder? */
static int tftpk_export_check(const struct tftpk_export *export)
{
	const struct cred *old = override_creds(export->cred);
	int err = path_permission(&export->path, MAY_EXEC | MAY_CHDIR);

	revert_creds(old);
	return err;
}

/**
 * tftpk_export_make() - make an export of a folder; nobody finds it yet
 * @name: path of the folder, resolved as the calling process would
 * @options: how it is served
 * @extack: takes a message where it fails
 *
 * Context: process. Return: the export with one reference, or an error pointer.
 */
struct tftpk_export *
tftpk_export_make(const char *name, const struct tftpk_export_options *options,
		  struct netlink_ext_ack *extack)
{
	struct tftpk_export *export;
	const char *prefix;
	u32 len;
	int err;

	prefix = tftpk_trim(options->prefix ?: "", &len);
	export = kzalloc(struct_size(export, prefix, len + 1), GFP_KERNEL);
	if (!export)
		return ERR_PTR(-ENOMEM);
	refcount_set(&export->ref, 1);
	export->options = *options;
	export->options.prefix = NULL;
	export->prefix_len = len;
	memcpy(export->prefix, prefix, len);

	err = kern_path(name, LOOKUP_FOLLOW, &export->path);
	if (err) {
		kfree(export);
		return ERR_PTR(err);
	}
	err = -ENOTDIR;
	if (!d_is_dir(export->path.dentry)) {
		NL_SET_ERR_MSG(extack, "the path is not a folder");
		goto err_free;
	}
	err = -ENOMEM;
	export->cred = tftpk_unprivileged(options->uid, options->gid);
	if (!export->cred)
		goto err_free;
	err = tftpk_export_check(export);
	if (err == -EACCES)
		NL_SET_ERR_MSG(extack,
			       "the user that files are served as may not enter the folder");
	if (err)
		goto err_free;
	export->name = tftpk_path_name(&export->path);
	if (IS_ERR(export->name)) {
		err = PTR_ERR(export->name);
		export->name = NULL;
		goto err_free;
	}
	return export;

err_free:
	tftpk_export_free(export);
	return ERR_PTR(err);
}

static struct file *tftpk_open_beneath(const struct tftpk_export *export,
				       const char *name)
{
	unsigned int flags = LOOKUP_FOLLOW | LOOKUP_IN_ROOT |
			     (export->options.no_symlinks ?
			      LOOKUP_NO_SYMLINKS : 0);
	const struct cred *old = override_creds(export->cred);
	int err, tries = 0;
	struct file *file;
	struct path path;

	do {
		err = vfs_path_lookup(export->path.dentry, export->path.mnt,
				      name, flags, &path);
	} while (err == -EAGAIN && ++tries < TFTPK_LOOKUP_TRIES);
	if (err) {
		file = ERR_PTR(err);
		goto out;
	}

	/* dentry_open() checks neither; opening a FIFO could also block. */
	if (d_is_dir(path.dentry))
		err = -EISDIR;
	else if (!S_ISREG(d_inode(path.dentry)->i_mode))
		err = -EACCES;
	else
		err = path_permission(&path, MAY_OPEN | MAY_READ);
	if (err)
		file = ERR_PTR(err);
	else
		file = dentry_open(&path, O_RDONLY | O_NONBLOCK | O_NOATIME |
				   O_LARGEFILE, export->cred);
	path_put(&path);
out:
	revert_creds(old);
	return file;
}

static bool tftpk_separator(char c)
{
	return c == '/' || c == '\\';
}

/* What follows an export's prefix in @name, or NULL. Whole folders match, and
 * it does not matter how many slashes of which kind part them.
 */
static const char *tftpk_beyond_prefix(const struct tftpk_export *export,
				       const char *name)
{
	const char *p = export->prefix;

	if (!*p)
		return name;
	while (tftpk_separator(*name))
		name++;
	for (; *p; p++) {
		if (*p != '/') {
			if (*name++ != *p)
				return NULL;
			continue;
		}
		if (!tftpk_separator(*name))
			return NULL;
		while (tftpk_separator(*name))
			name++;
	}
	return tftpk_separator(*name) ? name : NULL;
}

/* The next export that has the longest prefix of @name, after @prev, whose
 * reference is dropped; with a reference.
 */
static struct tftpk_export *tftpk_next_export(struct tftpk_net *tn,
					      const char *name,
					      struct tftpk_export *prev)
{
	struct tftpk_export *export, *found = NULL;
	u32 after = prev ? prev->id : 0;
	u32 longest = 0;

	rcu_read_lock();
	list_for_each_entry_rcu(export, &tn->exports, list)
		if (tftpk_beyond_prefix(export, name))
			longest = max(longest, export->prefix_len);
	list_for_each_entry_rcu(export, &tn->exports, list) {
		if (export->id > after && export->prefix_len == longest &&
		    tftpk_beyond_prefix(export, name) &&
		    refcount_inc_not_zero(&export->ref)) {
			found = export;
			break;
		}
	}
	rcu_read_unlock();
	if (prev)
		tftpk_export_put(prev);
	return found;
}

/* Of several exports with one prefix the first that has the file serves it. */
static struct file *tftpk_open_any(struct tftpk_net *tn, const char *name,
				   struct tftpk_export **exportp)
{
	struct tftpk_export *export = NULL;
	struct file *file;

	while ((export = tftpk_next_export(tn, name, export))) {
		file = tftpk_open_beneath(export,
					  tftpk_beyond_prefix(export, name));
		if (!IS_ERR(file)) {
			*exportp = export;
			return file;
		}
		if (PTR_ERR(file) != -ENOENT) {
			tftpk_export_put(export);
			return file;
		}
	}
	return ERR_PTR(-ENOENT);
}

/* Open what a name stands for. Where no file has the very name, backslashes count
 * as slashes.
 */
static struct file *tftpk_open_name(struct tftpk_net *tn, const char *name,
				    struct tftpk_export **export)
{
	struct file *file = tftpk_open_any(tn, name, export);
	char *copy;

	if (PTR_ERR(file) != -ENOENT || !strchr(name, '\\'))
		return file;
	copy = kstrdup(name, GFP_KERNEL);
	if (!copy)
		return ERR_PTR(-ENOMEM);
	strreplace(copy, '\\', '/');
	file = tftpk_open_any(tn, copy, export);
	kfree(copy);
	return file;
}

/* How many bytes of a name come before the first that is no printable ASCII. */
static size_t tftpk_printable_len(const char *name)
{
	size_t len = 0;

	while (name[len] >= ' ' && name[len] <= '~')
		len++;
	return len;
}

/**
 * tftpk_export_open() - open what a name stands for
 * @tn: namespace's server
 * @name: path as a client sends it; absolute paths and symbolic links stay
 *	inside the export, as in a chroot
 * @export: takes the export, with a reference
 *
 * ROMs that take DHCP's file name for a string that ends with a NUL append what
 * follows it in the packet: option codes, from 0xff on. So where no file has the
 * name, one may have what precedes its first byte that is not printable.
 *
 * Context: process. Return: the file, or an error pointer; -EISDIR for a folder.
 */
struct file *tftpk_export_open(struct tftpk_net *tn, const char *name,
			       struct tftpk_export **export)
{
	struct file *file = tftpk_open_name(tn, name, export), *other;
	size_t len = tftpk_printable_len(name);
	char *copy;

	if (!name[len] || !len ||
	    (PTR_ERR(file) != -ENOENT && PTR_ERR(file) != -ENAMETOOLONG))
		return file;
	copy = kmemdup_nul(name, len, GFP_KERNEL);
	if (!copy)
		return ERR_PTR(-ENOMEM);
	other = tftpk_open_name(tn, copy, export);
	kfree(copy);
	/* A folder is not what was meant. */
	return PTR_ERR(other) == -EISDIR ? file : other;
}
