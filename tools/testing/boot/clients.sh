# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # `run` sources this
#
# For each client how its machine boots (a function), what must then be on its
# console (said), how often (times; once where it is not set), and what the
# server must have counted (counted, a jq expression, beyond what `run` wants
# for each). Linux is two files, the kernel and the initrd.
declare -A said times counted

client_ipxe() {
	boot ipxe -machine pc -device virtio-net-pci,netdev=net,bootindex=0
}
said[ipxe]='Linux from ipxe-pcbios: all there'
# The script and Linux.
counted[ipxe]='.transfers_completed == 3'

client_pxelinux() {
	boot pxelinux -machine pc -device e1000,netdev=net,bootindex=0
}
said[pxelinux]='Linux from pxelinux: all there'
# pxelinux.0, ldlinux.c32, the configuration and Linux.
counted[pxelinux]='.transfers_completed == 5 and .requests_refused == 9'

# uefi CLIENT ARGUMENT...: OVMF's own driver and PXE, not the card's ROM.
uefi() {
	boot "$@" -machine q35 -bios "$firmware/usr/share/ovmf/OVMF.fd" \
		-device virtio-net-pci,netdev=net,romfile=,bootindex=0
}

client_uefi() {
	uefi uefi
}
said[uefi]='Linux from ipxe-efi: all there'
# A first transfer is for the size only. Then iPXE, its script and Linux.
counted[uefi]='.transfers_started == 5 and .transfers_completed == 4'

client_grub() {
	uefi grub
}
said[grub]='Linux from grub: all there'
# As before; GRUB and its configuration, after some lists that are not there.
counted[grub]=${counted[uefi]}

client_uefi-v6() {
	uefi uefi-v6 -fw_cfg name=opt/org.tianocore/IPv4PXESupport,string=n
}
said[uefi-v6]=${said[grub]}
counted[uefi-v6]=${counted[grub]}

# prompted: press Enter, which stops the countdown, and look for the prompt.
prompted() {
	echo
	grep -aq '^=> ' uboot.console
}

# The same file to two addresses, the second time in windows of eight. Blocks
# share buffers then.
client_uboot() {
	# shellcheck disable=SC2016 # for U-Boot to expand
	local fetch='tftpboot 4000000 vmlinuz; crc32 4000000 ${filesize}'
	{
		await 120 prompted && echo "virtio scan; setenv autoload no; dhcp; $fetch;" \
			"setenv tftpwindowsize 8; ${fetch//4000000/8000000}; reset"
	} | boot uboot -machine pc -bios "$firmware/usr/lib/u-boot/qemu-x86_64/u-boot.rom" \
		-device virtio-net-pci,netdev=net,romfile=
}
# gzip, too, ends with the CRC-32 and the length.
said[uboot]="==> $(gzip -1 <tftp/vmlinuz | tail -c 8 | od -An -N4 -tx4 | tr -d ' ')"
times[uboot]=2
counted[uboot]='.transfers_completed == 2 and .skbs_sent < .blocks_sent * 0.7'
