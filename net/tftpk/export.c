// SPDX-License-Identifier: GPL-2.0
/*
 * Exports: folders that are served. Process context.
 */
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/module.h>
#include <linux/namei.h>
#include <linux/netlink.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "storage.h"
#include "tftpk.h"

/* So many works of an export run at a time, or hang. */
#define TFTPK_EXPORT_WORKS	64

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
	/* A full barrier, see tftpk_transfer_reap_work(). */
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
	       !memcmp(prefix, export->options.prefix, len);
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

/* Keep a copy of a string at @to, whose bytes are 0. */
static const char *tftpk_keep(char **to, const char *string, size_t len)
{
	char *copy = *to;

	if (!string)
		return NULL;
	*to += len + 1;
	return memcpy(copy, string, len);
}

/* An export with its options, and with all that they point to. */
static struct tftpk_export *
tftpk_export_keep(const struct tftpk_export_options *options)
{
	size_t file_len = strlen(options->default_file ?: "");
	size_t refusal_len = strlen(options->refusal ?: "");
	struct tftpk_export_options *kept;
	struct tftpk_export *export;
	const char *prefix;
	char *strings;
	u32 len;

	prefix = tftpk_trim(options->prefix ?: "", &len);
	export = kzalloc(struct_size(export, audience, options->n_audience) +
			 len + file_len + refusal_len + 3, GFP_KERNEL_ACCOUNT);
	if (!export)
		return NULL;
	kept = &export->options;
	*kept = *options;
	export->prefix_len = len;
	memcpy(export->audience, options->audience,
	       array_size(options->n_audience, sizeof(*export->audience)));
	kept->audience = export->audience;
	strings = (char *)&export->audience[options->n_audience];
	kept->prefix = tftpk_keep(&strings, prefix, len);
	kept->default_file = tftpk_keep(&strings, options->default_file, file_len);
	kept->refusal = tftpk_keep(&strings, options->refusal, refusal_len);
	return export;
}

static struct tftpk_export *
tftpk_export_alloc(const struct tftpk_export_options *options)
{
	struct tftpk_export *export = tftpk_export_keep(options);

	if (!export)
		return NULL;
	refcount_set(&export->ref, 2);
	refcount_set(&export->users, 1);
	init_completion(&export->gone);
	INIT_WORK(&export->close, tftpk_export_close);
	INIT_WORK(&export->destroy, tftpk_export_destroy);
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
 * @options: how it is served; copied
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
 * tftpk_exports_exit() - wait until all exports are closed
 *
 * All have been taken off their lists.
 */
void tftpk_exports_exit(void)
{
	wait_var_event(&tftpk_exports, !atomic_read(&tftpk_exports));
}
