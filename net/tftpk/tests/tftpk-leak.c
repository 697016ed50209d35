// SPDX-License-Identifier: GPL-2.0
/*
 * Loses what the selftests look for, on purpose: memory, from loading to
 * unloading, and a reference while it is loaded. Proves that it would be seen.
 */
#include <linux/module.h>
#include <linux/ref_tracker.h>
#include <linux/slab.h>

/* Not what is taken for a pointer. */
static unsigned long hidden[8];

/* Not of the code that goes after loading, whose name could not be told. */
static noinline void tftpk_leak_memory(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(hidden); i++)
		hidden[i] = ~(unsigned long)kmalloc(100, GFP_KERNEL);
}

static void tftpk_leak_reference(void)
{
	static struct ref_tracker_dir dir;
	struct ref_tracker *tracker;

	ref_tracker_dir_init(&dir, 1, "tftpk-leak");
	if (!ref_tracker_alloc(&dir, &tracker, GFP_KERNEL)) {
		ref_tracker_dir_print(&dir, 1);
		ref_tracker_free(&dir, &tracker);
	}
	ref_tracker_dir_exit(&dir);
}

static int __init tftpk_leak_init(void)
{
	tftpk_leak_memory();
	tftpk_leak_reference();
	return 0;
}

static void __exit tftpk_leak_exit(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(hidden); i++)
		kfree((void *)~hidden[i]);
}

module_init(tftpk_leak_init);
module_exit(tftpk_leak_exit);
MODULE_DESCRIPTION("Leaks for the selftests of tftpk");
MODULE_LICENSE("GPL");
