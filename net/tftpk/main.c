// SPDX-License-Identifier: GPL-2.0
/*
 * tftpk - TFTP server in the kernel: init and exit.
 */
#include <linux/module.h>
#include <net/genetlink.h>

#include "storage.h"
#include "transfer.h"

static int __init tftpk_init(void)
{
	int err;

	err = tftpk_output_init();
	if (err)
		return err;
	err = tftpk_transfer_init();
	if (err)
		goto err_transfer;
	err = tftpk_storage_init();
	if (err)
		goto err_storage;
	err = tftpk_server_init();
	if (err)
		goto err_server;
	err = tftpk_agent_init();
	if (err)
		goto err_agent;
	err = tftpk_netlink_init();
	if (err)
		goto err_netlink;
	return 0;

err_netlink:
	tftpk_agent_exit();
err_agent:
	tftpk_server_exit();
err_server:
	tftpk_storage_exit();
err_storage:
	tftpk_transfer_exit();
err_transfer:
	tftpk_output_exit();
	return err;
}

static void __exit tftpk_exit(void)
{
	tftpk_event_exit();
	tftpk_netlink_exit();
	tftpk_agent_exit();
	tftpk_server_exit();
	tftpk_storage_exit();
	tftpk_transfer_exit();
	tftpk_output_exit();
}

module_init(tftpk_init);
module_exit(tftpk_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("TFTP server in the kernel");
MODULE_VERSION("0.1");
MODULE_ALIAS_GENL_FAMILY(TFTPK_FAMILY_NAME);
