# SPDX-License-Identifier: GPL-2.0
"""The machine that tests run on: programs, namespaces, networks, mounts, the page
cache. Addresses and folders that all tests share.

	namespace "server"                        namespace "client"
	192.0.2.1/24    [to-client] --veth-- [to-server]    192.0.2.2/24
	2001:db8::1/64                                      2001:db8::2/64
"""

import atexit
import contextlib
import ctypes
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

SERVERS = {"IPv4": "192.0.2.1", "IPv6": "2001:db8::1"}
CLIENTS = {"IPv4": "192.0.2.2", "IPv6": "2001:db8::2"}

HERE = pathlib.Path(__file__).resolve().parent.parent
# For the length of the program; others than root may look for the export.
WORK = pathlib.Path(tempfile.mkdtemp(prefix="tftpk."))
WORK.chmod(0o755)
atexit.register(shutil.rmtree, WORK, ignore_errors=True)
SRV = WORK / "srv"
SRV.mkdir(mode=0o755)

# Do waits take no time, and durations not depend on the host?
VIRTUAL = os.environ.get("TFTPK_VIRTUAL") == "1"
DEBUG_KERNEL = os.access("/sys/kernel/debug/failslab/probability", os.W_OK)
# Whatever is waited for gets that many seconds.
PATIENCE = int(os.environ.get("TFTPK_PATIENCE", "120" if DEBUG_KERNEL else "30"))

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def wait_for(what, condition, patience=PATIENCE):
    """Until condition() is true; returns what it is."""
    begun = time.monotonic()
    while not (value := condition()):
        if time.monotonic() > begun + patience:
            raise AssertionError(f"waited {patience} s in vain: {what}")
        pause(begun)
    return value


def pause(begun):
    """Before looking again for what has been waited for since then: the longer, the
    more seldom. By virtual time to look is all that costs anything.
    """
    waited = time.monotonic() - begun
    time.sleep(min(max(0.05 if DEBUG_KERNEL else 0.01, waited / 16), 0.1))


# ---- programs ----


def argument(word):
    return word if isinstance(word, bytes) else str(word)


def execute(*words, netns=None, stdin="", **more):
    """Run a program to its end, whatever that is."""
    with inside(netns):
        return subprocess.run(
            list(map(argument, words)), input=stdin, capture_output=True, text=True, check=False, **more
        )


def command(*words, **more):
    """What a program prints; an exception with its words if it fails."""
    done = execute(*words, **more)
    if done.returncode:
        text = (done.stdout + done.stderr).strip()
        raise AssertionError(f"{' '.join(map(str, words))}: status {done.returncode}: {text}")
    return done.stdout


def as_user(user, capabilities, *words):
    """The words of a program that runs as that user, with these capabilities and
    no others.
    """
    only = ",".join(("-all", *(f"+{name}" for name in capabilities)))
    sets = (f"--bounding-set={only}", f"--inh-caps={only}", f"--ambient-caps={only}")
    return ("setpriv", "--reuid", user, "--regid", user, "--clear-groups", *sets, *words)


# ---- namespaces ----


def enter(path):
    with open(path, "rb") as file:
        if libc.setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {path}")


@contextlib.contextmanager
def inside(netns):
    """This thread is in that namespace meanwhile, by its name or path: sockets made
    now belong to it for good, programs started now run there.
    """
    if netns is None:
        yield
        return
    with open("/proc/thread-self/ns/net", "rb") as before:
        enter(netns if "/" in netns else f"/run/netns/{netns}")
        try:
            yield
        finally:
            libc.setns(before.fileno(), CLONE_NEWNET)


@contextlib.contextmanager
def namespaces(*names):
    """New namespaces meanwhile."""
    made = []
    try:
        for name in names:
            command("ip", "netns", "add", name)
            made.append(name)
            ip(name, "link set lo up")
        yield
    finally:
        for name in made:
            command("ip", "netns", "delete", name)


def ip(netns, *lines):
    """Lines for `ip -batch`, in a namespace."""
    command("ip", "-n", netns, "-batch", "-", stdin="\n".join(lines) + "\n")


def tc(netns, *lines):
    command("tc", "-n", netns, "-batch", "-", stdin="\n".join(lines) + "\n")


def nft(netns, rules):
    command("nft", "-f", "-", netns=netns, stdin=rules)


@contextlib.contextmanager
def netem(words, netns="client", device="to-server"):
    """What netem does to all that leaves by that device, meanwhile."""
    tc(netns, f"qdisc add dev {device} root netem {words}")
    try:
        yield
    finally:
        tc(netns, f"qdisc delete dev {device} root")


def sysctl(netns, key, value):
    """A key below net, with slashes."""
    with inside(netns):
        pathlib.Path("/proc/sys/net", key).write_text(f"{value}\n", encoding="ascii")


def traffic(netns, device):
    """Bytes and packets that an interface received and sent."""
    with inside(netns), open("/proc/thread-self/net/dev", encoding="ascii") as file:
        for line in file:
            name, _, numbers = line.partition(":")
            if name.strip() == device:
                n = [int(word) for word in numbers.split()]
                return {"rx_bytes": n[0], "rx_packets": n[1], "tx_bytes": n[8], "tx_packets": n[9]}
    raise AssertionError(f"no interface {device} in {netns}")


def mac(netns, device):
    """The address of its link layer."""
    with inside(netns), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((device, 0))
        return raw.getsockname()[4]


def family(address):
    return "IPv6" if ":" in address else "IPv4"


def headers(server):
    """Bytes of IP, UDP and TFTP header in front of a block."""
    return (40 if ":" in server else 20) + 8 + 4


# ---- files ----


def content(size, seed=1):
    """Bytes that do not repeat, the same each time."""
    state = seed
    words = bytearray()
    while len(words) < size:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        words += (state ^ (state >> 29)).to_bytes(8, "big")
    return bytes(words[:size])


def make(name, data):
    """A file below the export, with all folders above it. Returns the data."""
    path = SRV / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return data


@contextlib.contextmanager
def disk(system, size, where=None, options=()):
    """A new file system of that kind, of that many MiB, meanwhile mounted below the
    export, or there. Gives the folder.
    """
    folder = where or SRV / system
    image = WORK / f"{folder.name}.image"
    with open(image, "wb") as file:
        file.truncate(size << 20)
    command(f"mkfs.{system}", *options, image)
    folder.mkdir(mode=0o755, exist_ok=True)
    with mounted(folder, "-o", "loop", "-t", system, image):
        folder.chmod(0o755)
        yield folder
    image.unlink()


@contextlib.contextmanager
def loop_device(size, files, *options):
    """A device of so many MiB with an ext4 that holds these files, meanwhile. Gives its
    path. Options are those of losetup.
    """
    image, folder = WORK / "loop.image", WORK / "loop"
    folder.mkdir(mode=0o755)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    with open(image, "wb") as file:
        file.truncate(size << 20)
    command("mkfs.ext4", "-d", folder, image)
    shutil.rmtree(folder)
    device = command("losetup", "--find", "--show", *options, image).strip()
    try:
        yield device
    finally:
        command("losetup", "--detach", device)


@contextlib.contextmanager
def mounted(folder, *words):
    """`mount` these words there meanwhile."""
    folder.mkdir(mode=0o755, exist_ok=True)
    command("mount", *words, folder)
    try:
        yield folder
    finally:
        if os.path.ismount(folder):
            command("umount", folder)


def tmpfs(folder, *options):
    """A new one meanwhile mounted there."""
    return mounted(folder, "-t", "tmpfs", "-o", ",".join(("mode=755", *options)), "tmpfs")


@contextlib.contextmanager
def overlay(folder, lower):
    """An overlayfs meanwhile mounted there, with that folder as its lower layer."""
    above = WORK / f"above-{folder.name}"
    with tmpfs(above):
        for name in ("files", "work"):
            (above / name).mkdir(mode=0o755)
        words = f"lowerdir={lower},upperdir={above}/files,workdir={above}/work"
        with mounted(folder, "-t", "overlay", "-o", words, "overlay"):
            yield folder


def drop_caches():
    """All of the page cache that nobody holds."""
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")


def cached(path):
    """How many of a file's pages are in the page cache."""
    return int(command("fincore", "--noheadings", "--raw", "--output", "PAGES", path))
