// SPDX-License-Identifier: GPL-2.0
/*
 * Makes the machine stand still while it is loaded: no processor takes an
 * interrupt for some seconds, though time passes.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/smp.h>

static unsigned int seconds = 3;
module_param(seconds, uint, 0444);
MODULE_PARM_DESC(seconds, "for how long, at most 4");

static void tftpk_stall_here(void *unused)
{
	mdelay(min(seconds, 4U) * 1000);
}

static int __init tftpk_stall_init(void)
{
	on_each_cpu(tftpk_stall_here, NULL, 1);
	return 0;
}

static void __exit tftpk_stall_exit(void)
{
}

module_init(tftpk_stall_init);
module_exit(tftpk_stall_exit);
MODULE_DESCRIPTION("Stands still for the selftests of tftpk");
MODULE_LICENSE("GPL");
