// SPDX-License-Identifier: GPL-2.0
/*
 * What a client's name stands for: in which export it may be, and which file it is
 * there. Process context.
 */
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/etherdevice.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/inet.h>
#include <linux/namei.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <net/ipv6.h>

#include "storage.h"
#include "tftpk.h"

/* A lookup that raced with a rename is repeated this often. */
#define TFTPK_LOOKUP_TRIES	16

/* An IPv6 address as text. */
#define TFTPK_FOLDER_MAX	INET6_ADDRSTRLEN

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

/**
 * struct tftpk_place - where names are looked up
 * @export: whose place it is
 * @root: folder that no name leads out of
 * @folder: of a client, below @root, or ""
 */
struct tftpk_place {
	const struct tftpk_export *export;
	struct path root;
	const char *folder;
};

/* Where a name leads. */
static int tftpk_place_path(const struct tftpk_place *place, const char *name,
			    unsigned int flags, struct path *path)
{
	const char *whole = name;
	int err, tries = 0;

	flags |= LOOKUP_FOLLOW | LOOKUP_IN_ROOT;
	if (place->export->options.no_symlinks)
		flags |= LOOKUP_NO_SYMLINKS;
	if (*place->folder) {
		whole = kasprintf(GFP_KERNEL, "%s/%s", place->folder, name);
		if (!whole)
			return -ENOMEM;
	}
	do {
		err = vfs_path_lookup(place->root.dentry, place->root.mnt,
				      whole, flags, path);
	} while (err == -EAGAIN && ++tries < TFTPK_LOOKUP_TRIES);
	if (whole != name)
		kfree(whole);
	return err;
}

static struct file *tftpk_open_at(const struct tftpk_place *place,
				  const char *name)
{
	struct file *file;
	struct path path;
	int err;

	err = tftpk_place_path(place, name, 0, &path);
	if (err)
		return ERR_PTR(err);

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
		file = tftpk_open_path(&path, place->export->cred);
	path_put(&path);
	return file;
}

/* What follows the first folder of a name, which takes @len bytes, or NULL. */
static const char *tftpk_beyond_folder(const char *name, size_t *len)
{
	const char *end = strchr(name + strspn(name, "/"), '/');

	if (!end)
		return NULL;
	*len = end - name;
	end += strspn(end, "/");
	return *end ? end : NULL;
}

/* Open a name, or what follows its first folder where that is missing and may be. */
static struct file *tftpk_open_dropping(const struct tftpk_place *place,
					const char *name)
{
	struct file *file = tftpk_open_at(place, name);
	const char *rest;
	struct path path;
	char *folder;
	size_t len;
	int err;

	if (!place->export->options.drop_first_folder ||
	    !tftpk_is_missing(PTR_ERR(file)))
		return file;
	rest = tftpk_beyond_folder(name, &len);
	if (!rest)
		return file;
	folder = kmemdup_nul(name, len, GFP_KERNEL);
	if (!folder)
		return ERR_PTR(-ENOMEM);
	err = tftpk_place_path(place, folder, LOOKUP_DIRECTORY, &path);
	kfree(folder);
	if (!err)
		path_put(&path);
	return tftpk_is_missing(err) ? tftpk_open_at(place, rest) : file;
}

/* Where no file has the very name, backslashes count as slashes. */
static struct file *tftpk_open_slashed(const struct tftpk_place *place,
				       const char *name)
{
	struct file *file = tftpk_open_dropping(place, name);
	char *copy;

	if (PTR_ERR(file) != -ENOENT || !strchr(name, '\\'))
		return file;
	copy = kstrdup(name, GFP_KERNEL);
	if (!copy)
		return ERR_PTR(-ENOMEM);
	strreplace(copy, '\\', '/');
	file = tftpk_open_dropping(place, copy);
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

/* ROMs that take DHCP's file name for a string that ends with a NUL append what
 * follows it in the packet: option codes, from 0xff on. So where no file has the
 * name, one may have what precedes its first byte that is not printable.
 */
static struct file *tftpk_open_name(const struct tftpk_place *place,
				    const char *name)
{
	struct file *file = tftpk_open_slashed(place, name), *other;
	size_t len = tftpk_printable_len(name);
	char *copy;

	if (!name[len] || !len ||
	    (PTR_ERR(file) != -ENOENT && PTR_ERR(file) != -ENAMETOOLONG))
		return file;
	copy = kmemdup_nul(name, len, GFP_KERNEL);
	if (!copy)
		return ERR_PTR(-ENOMEM);
	other = tftpk_open_slashed(place, copy);
	kfree(copy);
	/* A folder is not what was meant. */
	return PTR_ERR(other) == -EISDIR ? file : other;
}

/* The name of a client's folder, in the @i-th spelling; false where there is none. */
static bool tftpk_own_folder(enum tftpk_root_by root_by,
			     const struct tftpk_query *query, int i,
			     char folder[TFTPK_FOLDER_MAX])
{
	switch (root_by) {
	case TFTPK_ROOT_BY_NONE:
		break;
	case TFTPK_ROOT_BY_IP:
		if (i || !query->client)
			break;
		if (ipv6_addr_v4mapped(query->client))
			snprintf(folder, TFTPK_FOLDER_MAX, "%pI4",
				 &query->client->s6_addr32[3]);
		else
			snprintf(folder, TFTPK_FOLDER_MAX, "%pI6c",
				 query->client);
		return true;
	case TFTPK_ROOT_BY_MAC:
		if (i > 1 || !query->mac)
			break;
		/* dnsmasq's; PXELINUX's, with the type of the hardware. */
		snprintf(folder, TFTPK_FOLDER_MAX, "%s%pMF", i ? "01-" : "",
			 query->mac);
		return true;
	}
	return false;
}

/* Open a name in the folder of the client who asks. */
static struct file *tftpk_open_own(const struct tftpk_place *top,
				   const struct tftpk_query *query,
				   const char *name)
{
	const struct tftpk_export_options *options = &top->export->options;
	struct file *file = ERR_PTR(-ENOENT);
	char folder[TFTPK_FOLDER_MAX];
	int i;

	for (i = 0; tftpk_is_missing(PTR_ERR(file)) &&
	     tftpk_own_folder(options->root_by, query, i, folder); i++) {
		struct tftpk_place place = *top;
		struct path path;
		int err;

		err = tftpk_place_path(top, folder, LOOKUP_DIRECTORY, &path);
		if (err) {
			file = ERR_PTR(err);
			continue;
		}
		/* Links lead to what others have in common, if a name may. */
		if (options->only)
			place.root = path;
		else
			place.folder = folder;
		file = tftpk_open_name(&place, name);
		path_put(&path);
	}
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
	const char *p = export->options.prefix;

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

/* How many bits of a client's address does the export single out? -1 where the client
 * does not see it.
 */
static int tftpk_export_bits(const struct tftpk_export *export,
			     const struct in6_addr *client)
{
	const struct tftpk_export_options *options = &export->options;
	bool for_some = false;
	u32 i;

	for (i = 0; i < options->n_audience; i++) {
		const struct tftpk_audience *audience = &options->audience[i];

		if (client && tftpk_network_has(&audience->network, client)) {
			if (audience->excluded)
				return -1;
			return audience->network.plen -
			       (ipv6_addr_v4mapped(client) ? 96 : 0);
		}
		for_some |= !audience->excluded;
	}
	return for_some ? -1 : 0;
}

/* How well an export fits a name, and then a client; -1 where it cannot have it. */
static int tftpk_export_rank(const struct tftpk_export *export,
			     const struct tftpk_query *query)
{
	int bits;

	if (!tftpk_beyond_prefix(export, query->name))
		return -1;
	bits = tftpk_export_bits(export, query->client);
	return bits < 0 ? -1 : (int)export->prefix_len << 8 | bits;
}

static int tftpk_export_best(const struct tftpk_net *tn,
			     const struct tftpk_query *query)
{
	struct tftpk_export *export;
	int best = 0;

	list_for_each_entry_rcu(export, &tn->exports, list)
		best = max(best, tftpk_export_rank(export, query));
	return best;
}

/**
 * tftpk_export_next() - where a name may be
 * @tn: namespace's server
 * @query: who asks for what
 * @prev: the export to go on after, or NULL
 *
 * Of those that a client sees the longest prefix of the name wins, then the longest
 * network. Of several exports that are equal the first that has the file serves it.
 *
 * Context: within rcu_read_lock(); whoever takes an export off its list waits for a
 * grace period before it looks for those who use it.
 *
 * Return: the next one, with a reference, or NULL.
 */
struct tftpk_export *tftpk_export_next(const struct tftpk_net *tn,
				       const struct tftpk_query *query,
				       const struct tftpk_export *prev)
{
	u32 after = prev ? prev->id : 0;
	struct tftpk_export *export;
	int best = tftpk_export_best(tn, query);

	list_for_each_entry_rcu(export, &tn->exports, list) {
		if (export->id > after &&
		    tftpk_export_rank(export, query) == best &&
		    refcount_inc_not_zero(&export->users))
			return export;
	}
	return NULL;
}

/**
 * tftpk_export_last() - what has the last word where no export has a name
 * @tn: namespace's server
 * @query: who asks for what
 *
 * Context: as tftpk_export_next().
 *
 * Return: of the exports that could have had it the first one with a default, or else
 * with a refusal, with a reference; or NULL.
 */
struct tftpk_export *tftpk_export_last(const struct tftpk_net *tn,
				       const struct tftpk_query *query)
{
	struct tftpk_export *export, *last = NULL;
	int best = tftpk_export_best(tn, query);

	list_for_each_entry_rcu(export, &tn->exports, list) {
		if (tftpk_export_rank(export, query) != best)
			continue;
		if (export->options.default_file) {
			last = export;
			break;
		}
		if (export->options.refusal && !last)
			last = export;
	}
	return last && refcount_inc_not_zero(&last->users) ? last : NULL;
}

/**
 * tftpk_export_open() - open what a name stands for
 * @export: where it may be
 * @query: who asks for what; absolute paths and symbolic links stay inside the
 *	export, as in a chroot
 *
 * Context: a work, since storage may not answer. Return: the file, or an error
 * pointer; -EISDIR for a folder.
 */
struct file *tftpk_export_open(const struct tftpk_export *export,
			       const struct tftpk_query *query)
{
	const struct tftpk_export_options *options = &export->options;
	const struct tftpk_place top = {
		.export	= export,
		.root	= export->path,
		.folder	= "",
	};
	const char *name = query->last ? options->default_file :
			   tftpk_beyond_prefix(export, query->name);
	const struct cred *old;
	struct file *file;

	if (!name)
		return ERR_PTR(-ENOENT);
	old = override_creds(export->cred);
	if (query->last) {
		file = tftpk_open_at(&top, name);
	} else {
		file = tftpk_open_own(&top, query, name);
		if (tftpk_is_missing(PTR_ERR(file)) && !options->only)
			file = tftpk_open_name(&top, name);
	}
	revert_creds(old);
	return file;
}

/**
 * struct tftpk_lookup - the errand of opening what a name stands for
 * @errand: errand
 * @export: where it may be
 * @file: what was opened, or an error pointer; NULL when it is taken
 * @query: who asks for what
 * @client: address of the client
 * @mac: and of its link layer
 * @name: as a client sends it
 */
struct tftpk_lookup {
	struct tftpk_errand errand;
	struct tftpk_export *export;
	struct file *file;
	struct tftpk_query query;
	struct in6_addr client;
	u8 mac[ETH_ALEN];
	char name[];
};

static void tftpk_lookup_run(struct tftpk_errand *errand)
{
	struct tftpk_lookup *lookup = container_of(errand, struct tftpk_lookup,
						   errand);

	lookup->file = tftpk_export_open(lookup->export, &lookup->query);
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

/* Whoever asks may leave before the errand is done. */
static struct tftpk_lookup *tftpk_lookup_alloc(const struct tftpk_query *query)
{
	size_t len = strlen(query->name) + 1;
	struct tftpk_lookup *lookup;

	lookup = kzalloc(struct_size(lookup, name, len), GFP_KERNEL);
	if (!lookup)
		return NULL;
	lookup->query = *query;
	lookup->query.name = memcpy(lookup->name, query->name, len);
	if (query->client) {
		lookup->client = *query->client;
		lookup->query.client = &lookup->client;
	}
	if (query->mac) {
		ether_addr_copy(lookup->mac, query->mac);
		lookup->query.mac = lookup->mac;
	}
	return lookup;
}

/* Open it, if that export has it; takes over a reference to the export. */
static struct file *tftpk_lookup_in(struct tftpk_export *export,
				    const struct tftpk_query *query)
{
	struct tftpk_lookup *lookup = tftpk_lookup_alloc(query);
	struct file *file;
	int err;

	if (!lookup) {
		tftpk_export_put(export);
		return ERR_PTR(-ENOMEM);
	}
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
 * @query: who asks for what
 * @last: what is there where no export has the name is wanted, too
 * @found: takes the export that has it, or the last that could, with a reference; or
 *	NULL
 *
 * Context: process. Return: the file, or an error pointer, which is -ETIMEDOUT where
 * storage does not answer.
 */
struct file *tftpk_export_look_up(const struct tftpk_net *tn,
				  struct tftpk_query query, bool last,
				  struct tftpk_export **found)
{
	struct file *file = ERR_PTR(-ENOENT);
	struct tftpk_export *export;

	*found = NULL;
	do {
		rcu_read_lock();
		export = tftpk_export_next(tn, &query, *found);
		query.last = !export && last;
		if (query.last)
			export = tftpk_export_last(tn, &query);
		rcu_read_unlock();
		if (!export)
			break;
		if (*found)
			tftpk_export_put(*found);
		*found = export;
		refcount_inc(&export->users);
		file = tftpk_lookup_in(export, &query);
	} while (tftpk_is_missing(PTR_ERR(file)) && !query.last);
	return file;
}
