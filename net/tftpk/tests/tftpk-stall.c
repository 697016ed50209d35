// SPDX-License-Identifier: GPL-2.0
/*
 * Makes the machine stand still: while a number of seconds is written to the
 * parameter, no processor takes an interrupt, though time passes.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/stop_machine.h>

static int tftpk_stall_here(void *seconds)
{
	mdelay(*(unsigned int *)seconds * 1000);
	return 0;
}

static int tftpk_stall_set(const char *value, const struct kernel_param *kp)
{
	unsigned int seconds;
	int err;

	err = kstrtouint(value, 0, &seconds);
	if (err)
		return err;
	if (seconds > 4)
		return -ERANGE;
	/* All at the same time: none goes on while another still stands. */
	return stop_machine(tftpk_stall_here, &seconds, cpu_online_mask);
}

static const struct kernel_param_ops tftpk_stall_ops = {
	.set = tftpk_stall_set,
};

module_param_cb(seconds, &tftpk_stall_ops, NULL, 0200);
MODULE_PARM_DESC(seconds, "stands still for as long, at most 4");

MODULE_DESCRIPTION("Stands still for the selftests of tftpk");
MODULE_LICENSE("GPL");
