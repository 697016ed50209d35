# SPDX-License-Identifier: GPL-2.0
"""Clients of lock step that can be run: firmware and boot loaders of Debian in QEMU, and
its programs. Each fetches a file named big, or wrap.
"""

import os
import pathlib
import random
import subprocess
import threading

from wire import SERVER, Socket, Tap

BOOT = pathlib.Path(__file__).resolve().parent.parent / "boot"
BLOCKS = 240


def firmware():
    """Where it is unpacked."""
    return pathlib.Path(subprocess.run([BOOT / "firmware"], check=True, capture_output=True, text=True).stdout.strip())


def files_for(client, usr):
    """What there is to fetch, by name."""
    files = {"big": random.Random(1).randbytes(BLOCKS * 1500), "wrap": random.Random(2).randbytes(65600 * 16 - 3)}
    if client.startswith("ipxe"):
        wanted = "wrap" if client.endswith(".wrap") else "big"
        files["boot.ipxe"] = b"#!ipxe\nimgfetch " + wanted.encode() + b"\npoweroff\n"
        files["snponly.efi"] = (usr / "lib/ipxe/snponly.efi").read_bytes()
    elif client.startswith("grub"):
        wanted = "wrap" if client.endswith(".wrap") else "big"
        files["grubnetx64.efi"] = (usr / "lib/grub/x86_64-efi-signed/grubnetx64.efi.signed").read_bytes()
        files["grub/grub.cfg"] = b"linux /" + wanted.encode() + b"\nhalt\n"
    elif client == "pxelinux":
        files["pxelinux.0"] = (usr / "lib/PXELINUX/pxelinux.0").read_bytes()
        files["ldlinux.c32"] = (usr / "lib/syslinux/modules/bios/ldlinux.c32").read_bytes()
        files["pxelinux.cfg/default"] = b"default linux\nlabel linux\n\tkernel big\n"
    return files


def boot_file(client):
    """What DHCP names, by the user class that asks."""

    def choose(user_class):
        if client.startswith("ipxe-efi"):
            return "boot.ipxe" if b"iPXE" in user_class else "snponly.efi"
        return {"ipxe": "boot.ipxe", "grub": "grubnetx64.efi", "pxelinux": "pxelinux.0"}.get(
            client.split(".")[0], "big"
        )

    return choose


EFI = ("-machine", "q35", "-device", "virtio-net-pci,netdev=net,romfile=,bootindex=0")
MACHINES = {
    "ipxe": ("-machine", "pc", "-device", "virtio-net-pci,netdev=net,bootindex=0"),
    "pxelinux": ("-machine", "pc", "-device", "e1000,netdev=net,bootindex=0"),
    "ipxe-efi": EFI,
    "grub": EFI,
    "edk2": EFI,
    "uboot": ("-machine", "pc", "-device", "virtio-net-pci,netdev=net,romfile="),
}
PROGRAMS = {
    "curl": ("curl", "-sS", "-o", "/dev/null", f"tftp://{SERVER}/big"),
    "busybox": ("busybox", "tftp", "-g", "-r", "big", "-l", "/dev/null", SERVER),
    "hpa": ("tftp", "-m", "binary", SERVER, "-c", "get", "big", "/dev/null"),
    "atftp": ("atftp", "-g", "-r", "big", "-l", "/dev/null", SERVER),
}
# Seconds in which the client's own timer expires at least twice.
SILENCE = {"uboot": 11, "curl": 15, "hpa": 11, "atftp": 11, "edk2": 13, "grub": 6}


def machine(client, folder):
    """Its end of a wire, its process, and the files for it."""
    usr = firmware() / "usr"
    name = client.split(".")[0]
    wire = Socket(str(folder / "net"))
    words = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-nographic", "-no-reboot"]
    words += ["-accel", "tcg", "-cpu", "max,-cx16", "-m", "512", "-serial", "stdio"]
    words += ["-netdev", f"stream,id=net,server=off,addr.type=unix,addr.path={folder}/net", *MACHINES[name]]
    if MACHINES[name] is EFI:
        words += ["-bios", str(usr / "share/ovmf/OVMF.fd")]
    elif name == "uboot":
        words += ["-bios", str(usr / "lib/u-boot/qemu-x86_64/u-boot.rom")]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    threading.Thread(target=console, args=(process, folder / "console", name == "uboot"), daemon=True).start()
    wire.accept()
    return wire, process, files_for(client, usr)


def console(process, log, prompts):
    """Keep what it says; U-Boot wants to be told what to do."""
    said = b""
    with log.open("wb") as out:
        while chunk := os.read(process.stdout.fileno(), 4096):
            out.write(chunk)
            out.flush()
            said = (said + chunk)[-200:]
            if prompts and b"autoboot" in said:
                process.stdin.write(b"\n")
                process.stdin.flush()
                said = b""
            elif prompts and b"=> " in said:
                process.stdin.write(b"virtio scan; setenv autoload no; dhcp; tftpboot 4000000 big; reset\n")
                process.stdin.flush()
                prompts = False


def program(client, _):
    """The same, for a program in this network namespace."""
    wire = Tap()
    return wire, subprocess.Popen(PROGRAMS[client]), files_for(client, None)
