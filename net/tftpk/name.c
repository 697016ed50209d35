// SPDX-License-Identifier: GPL-2.0
/*
 * What a client's name stands for: in which export it may be, and which file it is
 * there. Process context.
 */
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/namei.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/security.h>
#include <linux/slab.h>

#include "storage.h"
#include "tftpk.h"

/* A lookup that raced with a rename is repeated this often. */
#define TFTPK_LOOKUP_TRIES	16

/**
 * tftpk_open_path() - open a file to send
 * @path: regular file
 * @cred: as whom; overridden already
 *
 * Security modules may look, as with nfsd; a lease, as Samba and nfsd take them for
 * their clients, is broken and waited for.
 *
 * Context: a work, since storage may not answer. Return: the file, or an error pointer.
 */
struct file *tftpk_open_path(const struct path *path, const struct cred *cred)
{
	struct file *file = dentry_open(path, O_RDONLY | O_NOATIME | O_LARGEFILE,
					cred);
	int err;

	if (IS_ERR(file))
		return file;
	err = security_file_post_open(file, MAY_READ | MAY_OPEN);
	if (!err)
		return file;
	__fput_sync(file);
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
		file = tftpk_open_path(&path, export->cred);
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

/**
 * tftpk_export_next() - where a name may be
 * @tn: namespace's server
 * @name: path as a client sends it
 * @prev: the export to go on after, or NULL
 *
 * Of several exports with one prefix the first that has the file serves it.
 *
 * Context: within rcu_read_lock(); whoever takes an export off its list waits for a
 * grace period before it looks for those who use it.
 *
 * Return: the next one that has the longest prefix of the name, with a reference, or
 * NULL.
 */
struct tftpk_export *tftpk_export_next(const struct tftpk_net *tn,
				       const char *name,
				       const struct tftpk_export *prev)
{
	struct tftpk_export *export;
	u32 after = prev ? prev->id : 0;
	u32 longest = 0;

	list_for_each_entry_rcu(export, &tn->exports, list)
		if (tftpk_beyond_prefix(export, name))
			longest = max(longest, export->prefix_len);
	list_for_each_entry_rcu(export, &tn->exports, list) {
		if (export->id > after && export->prefix_len == longest &&
		    tftpk_beyond_prefix(export, name) &&
		    refcount_inc_not_zero(&export->users))
			return export;
	}
	return NULL;
}

/* Open what a name stands for, if it may be in this export. Where no file has the very
 * name, backslashes count as slashes.
 */
static struct file *tftpk_open_name(const struct tftpk_export *export,
				    const char *name)
{
	const char *rest = tftpk_beyond_prefix(export, name);
	struct file *file;
	char *copy;

	if (!rest)
		return ERR_PTR(-ENOENT);
	file = tftpk_open_beneath(export, rest);
	if (PTR_ERR(file) != -ENOENT || !strchr(rest, '\\'))
		return file;
	copy = kstrdup(rest, GFP_KERNEL);
	if (!copy)
		return ERR_PTR(-ENOMEM);
	strreplace(copy, '\\', '/');
	file = tftpk_open_beneath(export, copy);
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
 * @export: where it may be
 * @name: path as a client sends it, with the export's prefix; absolute paths and
 *	symbolic links stay inside the export, as in a chroot
 *
 * ROMs that take DHCP's file name for a string that ends with a NUL append what
 * follows it in the packet: option codes, from 0xff on. So where no file has the
 * name, one may have what precedes its first byte that is not printable.
 *
 * Context: a work, since storage may not answer. Return: the file, or an error
 * pointer; -EISDIR for a folder.
 */
struct file *tftpk_export_open(const struct tftpk_export *export,
			       const char *name)
{
	struct file *file = tftpk_open_name(export, name), *other;
	size_t len = tftpk_printable_len(name);
	char *copy;

	if (!name[len] || !len ||
	    (PTR_ERR(file) != -ENOENT && PTR_ERR(file) != -ENAMETOOLONG))
		return file;
	copy = kmemdup_nul(name, len, GFP_KERNEL);
	if (!copy)
		return ERR_PTR(-ENOMEM);
	other = tftpk_open_name(export, copy);
	kfree(copy);
	/* A folder is not what was meant. */
	return PTR_ERR(other) == -EISDIR ? file : other;
}

/**
 * struct tftpk_lookup - the errand of opening what a name stands for
 * @errand: errand
 * @export: where it may be
 * @file: what was opened, or an error pointer; NULL when it is taken
 * @name: as a client sends it
 */
struct tftpk_lookup {
	struct tftpk_errand errand;
	struct tftpk_export *export;
	struct file *file;
	char name[];
};

static void tftpk_lookup_run(struct tftpk_errand *errand)
{
	struct tftpk_lookup *lookup = container_of(errand, struct tftpk_lookup,
						   errand);

	lookup->file = tftpk_export_open(lookup->export, lookup->name);
}

/* With what was opened for nobody: by the work, to which that may happen again. */
static void tftpk_lookup_free(struct tftpk_errand *errand)
{
	struct tftpk_lookup *lookup = container_of(errand, struct tftpk_lookup,
						   errand);

	if (!IS_ERR_OR_NULL(lookup->file)) {
		if (current->flags & PF_KTHREAD)
			__fput_sync(lookup->file);
		else
			fput(lookup->file);
	}
	tftpk_export_put(lookup->export);
	kfree(lookup);
}

/* Open it, if that export has it; takes over a reference to the export. */
static struct file *tftpk_lookup_in(struct tftpk_export *export,
				    const char *name)
{
	size_t len = strlen(name) + 1;
	struct tftpk_lookup *lookup;
	struct file *file;
	int err;

	lookup = kzalloc(struct_size(lookup, name, len), GFP_KERNEL);
	if (!lookup) {
		tftpk_export_put(export);
		return ERR_PTR(-ENOMEM);
	}
	memcpy(lookup->name, name, len);
	lookup->export = export;
	tftpk_errand_init(&lookup->errand, tftpk_lookup_run,
			  tftpk_lookup_free);
	err = tftpk_errand_run(&lookup->errand, export->wq);
	if (err) {
		file = ERR_PTR(err);
	} else {
		file = lookup->file;
		lookup->file = NULL;
	}
	tftpk_errand_put(&lookup->errand);
	return file;
}

/**
 * tftpk_export_look_up() - open what a name stands for, for a command
 * @tn: namespace's server
 * @name: path as a client sends it
 * @id: takes the id of the export that has it
 *
 * Context: process. Return: the file, or an error pointer, which is -ETIMEDOUT where
 * storage does not answer.
 */
struct file *tftpk_export_look_up(const struct tftpk_net *tn, const char *name,
				  u32 *id)
{
	struct file *file = ERR_PTR(-ENOENT);
	struct tftpk_export *export = NULL, *prev;

	do {
		prev = export;
		rcu_read_lock();
		export = tftpk_export_next(tn, name, prev);
		rcu_read_unlock();
		if (prev)
			tftpk_export_put(prev);
		if (!export)
			break;
		*id = export->id;
		refcount_inc(&export->users);
		file = tftpk_lookup_in(export, name);
	} while (PTR_ERR(file) == -ENOENT);
	if (export)
		tftpk_export_put(export);
	return file;
}
