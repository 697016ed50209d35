// SPDX-License-Identifier: GPL-2.0
/*
 * Exports: folders that are served, and what a client's name stands for below
 * them. Process context.
 */
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/module.h>
#include <linux/namei.h>
#include <linux/netlink.h>
#include <linux/rculist.h>
#include <linux/sched/task.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "storage.h"
#include "tftpk.h"

/* So many works of an export run at a time, or hang. */
#define TFTPK_EXPORT_WORKS	64

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

static atomic_t tftpk_exports;	/* that are not closed yet */

/* Drop a reference to its memory. */
static void tftpk_export_forget(struct tftpk_export *export)
{
	bool stuck;

	if (!refcount_dec_and_test(&export->ref))
		return;
	stuck = export->stuck;
	kfree(export->name);
	kfree_rcu(export, rcu);
	if (stuck)
		module_put(THIS_MODULE);
}

static void tftpk_export_release(struct tftpk_export *export)
{
	path_put(&export->path);
	if (export->cred)
		put_cred(export->cred);
}

/* A work's own workqueue is for others to destroy. */
static void tftpk_export_destroy(struct work_struct *work)
{
	struct tftpk_export *export = container_of(work, struct tftpk_export,
						   destroy);

	destroy_workqueue(export->wq);
	tftpk_export_forget(export);
	if (atomic_dec_and_test(&tftpk_exports))
		wake_up_var(&tftpk_exports);
}

static void tftpk_export_close(struct work_struct *work)
{
	struct tftpk_export *export = container_of(work, struct tftpk_export,
						   close);

	tftpk_export_release(export);
	complete_all(&export->gone);
	queue_work(tftpk_wq, &export->destroy);
}

/**
 * tftpk_export_put() - stop using an export
 * @export: export; is closed once nobody uses it any more
 *
 * Context: any.
 */
void tftpk_export_put(struct tftpk_export *export)
{
	if (refcount_dec_and_test(&export->users))
		queue_work(export->wq, &export->close);
}

/**
 * tftpk_export_end() - wait until nobody uses an export any more
 * @export: that nobody finds; the caller, who took it off its list, leaves it
 * @deadline: in jiffies
 *
 * All its files are closed then, and its mount is free. Storage may not answer: this
 * waits as long as that gets on, but not beyond the deadline.
 *
 * Context: process. Return: as tftpk_storage_wait().
 */
int tftpk_export_end(struct tftpk_export *export, unsigned long deadline)
{
	unsigned int before;
	int err;

	do {
		before = refcount_read(&export->users);
		err = tftpk_storage_wait(&export->gone);
	} while (err == -ETIMEDOUT && time_before(jiffies, deadline) &&
		 refcount_read(&export->users) < before);
	if (err) {
		/* To unload the module would take as long. */
		__module_get(THIS_MODULE);
		export->stuck = true;
	}
	tftpk_export_forget(export);
	return err;
}

/**
 * tftpk_export_unmake() - give up an export that nobody ever found
 * @export: export
 *
 * Context: process.
 */
void tftpk_export_unmake(struct tftpk_export *export)
{
	tftpk_export_put(export);
	tftpk_export_forget(export);
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

static struct tftpk_export *
tftpk_export_alloc(const struct tftpk_export_options *options)
{
	struct tftpk_export *export;
	const char *prefix;
	u32 len;

	prefix = tftpk_trim(options->prefix ?: "", &len);
	export = kzalloc(struct_size(export, prefix, len + 1),
			 GFP_KERNEL_ACCOUNT);
	if (!export)
		return NULL;
	refcount_set(&export->ref, 2);
	refcount_set(&export->users, 1);
	init_completion(&export->gone);
	INIT_WORK(&export->close, tftpk_export_close);
	INIT_WORK(&export->destroy, tftpk_export_destroy);
	export->options = *options;
	export->options.prefix = NULL;
	export->prefix_len = len;
	memcpy(export->prefix, prefix, len);
	export->cred = tftpk_unprivileged(options->uid, options->gid);
	if (!export->cred)
		goto err_free;
	/* Reading may wait for a disk or unpack a squashfs: any CPU may do it. */
	export->wq = alloc_workqueue("tftpk-export", WQ_UNBOUND,
				     TFTPK_EXPORT_WORKS);
	if (!export->wq)
		goto err_cred;
	atomic_inc(&tftpk_exports);
	return export;

err_cred:
	put_cred(export->cred);
err_free:
	kfree(export);
	return NULL;
}

/**
 * struct tftpk_walk - the errand of resolving a path
 * @errand: errand
 * @root: the command's
 * @export: what is made of the folder, or NULL where its path is wanted
 * @path: where the path leads, or empty
 * @err: why it was not resolved
 * @message: the same for people, or NULL
 * @name: path
 */
struct tftpk_walk {
	struct tftpk_errand errand;
	struct path root;
	struct tftpk_export *export;
	struct path path;
	int err;
	const char *message;
	char name[];
};

static int tftpk_walk(struct tftpk_walk *walk)
{
	struct tftpk_export *export = walk->export;
	int err;

	err = vfs_path_lookup(walk->root.dentry, walk->root.mnt, walk->name,
			      LOOKUP_FOLLOW | LOOKUP_NO_MAGICLINKS, &walk->path);
	if (err || !export)
		return err;
	export->path = walk->path;
	walk->path = (struct path) {};
	if (!d_is_dir(export->path.dentry)) {
		walk->message = "the path is not a folder";
		return -ENOTDIR;
	}
	err = tftpk_export_check(export);
	if (err == -EACCES)
		walk->message = "the user that files are served as may not enter the folder";
	return err;
}

static void tftpk_walk_run(struct tftpk_errand *errand)
{
	struct tftpk_walk *walk = container_of(errand, struct tftpk_walk,
					       errand);

	walk->err = tftpk_walk(walk);
}

static void tftpk_walk_free(struct tftpk_errand *errand)
{
	struct tftpk_walk *walk = container_of(errand, struct tftpk_walk,
					       errand);

	path_put(&walk->root);
	path_put(&walk->path);
	if (walk->export)
		tftpk_export_unmake(walk->export);
	kfree(walk);
}

/* Resolve an absolute path as the calling process would. The links of /proc that lead
 * to what a process has open are not followed: of /proc/self, a work would follow its
 * own.
 */
static struct tftpk_walk *tftpk_walk_go(const char *name,
					struct tftpk_export *export,
					struct netlink_ext_ack *extack)
{
	size_t len = strlen(name) + 1;
	struct tftpk_walk *walk;
	int err;

	walk = kzalloc(struct_size(walk, name, len), GFP_KERNEL);
	if (!walk) {
		if (export)
			tftpk_export_unmake(export);
		return ERR_PTR(-ENOMEM);
	}
	memcpy(walk->name, name, len);
	walk->export = export;
	get_fs_root(current->fs, &walk->root);
	tftpk_errand_init(&walk->errand, tftpk_walk_run, tftpk_walk_free);
	err = tftpk_errand_run(&walk->errand, tftpk_errand_wq);
	if (err == -ETIMEDOUT)
		NL_SET_ERR_MSG(extack, "the storage does not answer");
	if (!err) {
		err = walk->err;
		if (walk->message && extack)
			extack->_msg = walk->message;
	}
	if (err) {
		tftpk_errand_put(&walk->errand);
		return ERR_PTR(err);
	}
	return walk;
}

/**
 * tftpk_export_make() - make an export of a folder; nobody finds it yet
 * @name: absolute path of the folder, resolved as the calling process would
 * @options: how it is served
 * @extack: takes a message where it fails
 *
 * Context: process. Return: the export, for tftpk_export_unmake() or a list, or an
 * error pointer; -ETIMEDOUT where storage does not answer.
 */
struct tftpk_export *
tftpk_export_make(const char *name, const struct tftpk_export_options *options,
		  struct netlink_ext_ack *extack)
{
	struct tftpk_export *export;
	struct tftpk_walk *walk;
	char *path;

	if (*name != '/') {
		NL_SET_ERR_MSG(extack, "the path is not absolute");
		return ERR_PTR(-EINVAL);
	}
	export = tftpk_export_alloc(options);
	if (!export)
		return ERR_PTR(-ENOMEM);
	walk = tftpk_walk_go(name, export, extack);
	if (IS_ERR(walk))
		return ERR_CAST(walk);
	/* As the calling process sees it. */
	path = tftpk_path_name(&export->path);
	if (IS_ERR(path)) {
		tftpk_errand_put(&walk->errand);
		return ERR_CAST(path);
	}
	export->name = path;
	walk->export = NULL;
	tftpk_errand_put(&walk->errand);
	return export;
}

/**
 * tftpk_export_path() - where a path leads
 * @name: path, resolved as the calling process would
 * @path: takes where it leads, with a reference
 *
 * Context: process. Return: 0 or a negative errno, which is -ETIMEDOUT where storage
 * does not answer.
 */
int tftpk_export_path(const char *name, struct path *path)
{
	struct tftpk_walk *walk = tftpk_walk_go(name, NULL, NULL);

	if (IS_ERR(walk))
		return PTR_ERR(walk);
	*path = walk->path;
	walk->path = (struct path) {};
	tftpk_errand_put(&walk->errand);
	return 0;
}

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

/**
 * tftpk_exports_exit() - wait until all exports are closed
 *
 * All have been taken off their lists.
 */
void tftpk_exports_exit(void)
{
	wait_var_event(&tftpk_exports, !atomic_read(&tftpk_exports));
}
