# SPDX-License-Identifier: GPL-2.0
"""What the benchmarks share: a VM on a tap of its own, and counting.

The VM has one processor and a clock that advances by one nanosecond an
instruction. A plugin of QEMU counts the instructions: the guest's own idea of
how long it was idle is wrong where an interrupt arrives within a softirq that
interrupted the idle loop, which then counts as idle to its end. Clients run
outside, in the network namespace that the tap is in, and cost nothing.
"""

import array
import bisect
import collections
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
LOAD = TOP / "tools/testing/selftests/net/tftpk/tftpload"

CLIENT, SERVER = "198.18.0.1", "198.18.0.2"
CLIENT6, SERVER6 = "2001:db8::1", "2001:db8::2"
CROWD = "198.18.128.0"  # where the addresses of many clients begin
MAC = "52:54:00:12:34:56"  # what QEMU gives the first interface
CLIENT_MAC, HUB_MAC, NOBODY_MAC = "52:54:00:12:34:57", "52:54:00:12:34:58", "52:54:00:12:34:59"


# Whatever ends the benchmark, what it has made goes with it.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


class Failed(Exception):
    pass


class Missing(Exception):
    """What this host, or Debian today, does not have."""


def run(*command, timeout=120, **kwargs):
    """Run a command, return what it prints."""
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        timeout=timeout,
        text=True,
        check=False,
        **kwargs,
    )
    if done.returncode:
        raise Failed(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}")
    return done.stdout


@contextlib.contextmanager
def started(command, **kwargs):
    """A process in a session of its own; goes with all that it started."""
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                               start_new_session=True, **kwargs)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


@contextlib.contextmanager
def namespace():
    """A network namespace with a tap in it; goes with all that is in it."""
    name = f"tftpk-bench-{os.getpid()}"
    run("ip", "netns", "add", name)
    try:
        run("ip", "-n", name, "tuntap", "add", "dev", "tap0", "mode", "tap", "vnet_hdr")
        yield name
    finally:
        run("ip", "netns", "delete", name)


@contextlib.contextmanager
def network(mtu):
    """One whose clients the VM on its tap can serve."""
    with namespace() as name:
        ip = ["ip", "-n", name]
        run(*ip, "link", "set", "lo", "up")
        # Thousands of clients answer at once.
        run(*ip, "link", "set", "tap0", "mtu", mtu, "txqueuelen", 20000)
        run(*ip, "address", "add", f"{CLIENT}/24", "dev", "tap0")
        if mtu >= 1280:
            run(*ip, "address", "add", f"{CLIENT6}/64", "dev", "tap0", "nodad")
        run(*ip, "route", "add", "local", f"{CROWD}/17", "dev", "lo")
        run(*ip, "link", "set", "tap0", "up")
        for address in (SERVER, SERVER6) if mtu >= 1280 else (SERVER,):
            run(*ip, "neighbour", "replace", address, "lladdr", MAC, "dev", "tap0", "nud", "permanent")
        yield name


# Run in a namespace of its own: can a tap be told to segment UDP? The ioctls are TUNSETIFF,
# of a tap with vnet_hdr, and TUNSETOFFLOAD, of checksums and of UDP by IPv4 and IPv6.
TAP_SEGMENTS = """import fcntl, struct
with open("/dev/net/tun", "rb+", buffering=0) as tap:
    fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", b"tap0", 0x5002))
    fcntl.ioctl(tap, 0x400454D0, 0x01 | 0x20 | 0x40)
"""


def segmenting():
    """The folder of a QEMU that can hand UDP to a tap unsegmented."""
    command = ["unshare", "--net", sys.executable, "-c", TAP_SEGMENTS]
    if subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode:
        raise Missing("a tap of this host's kernel does not segment UDP")
    try:
        return run(HERE / "qemu", timeout=1200).strip()
    except Failed:
        raise Missing("not to be had today: QEMU 10") from None


class Qemu:
    """Which one: Debian's own, or one that has segmentation of UDP."""

    def __init__(self, segments=False):
        self.env = dict(os.environ)
        self.plugin = 1
        if segments:
            self.env["PATH"] = f"{segmenting()}:{self.env['PATH']}"
            self.plugin = 4


class Counter:
    """What counter.c counts: a snapshot holds an address, a number of
    instructions and how often they were executed, for each block of code.
    """

    def __init__(self, folder, version=1):
        self.plugin = pathlib.Path(folder) / "counter.so"
        self.counts = pathlib.Path(folder) / "counts"
        self.marks = pathlib.Path(folder) / "marks"
        run("cc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
            "-fvisibility=hidden", f"-DPLUGIN_VERSION={version}", "-o", self.plugin, HERE / "counter.c")
        self.option = f"-plugin {self.plugin},counts={self.counts},marks={self.marks}"

    def snapshot(self):
        with open(self.counts, "rb") as file:
            entries = array.array("Q", file.read(24))[0]
            return array.array("Q", file.read(24 * entries))

    @staticmethod
    def instructions(snapshot):
        return sum(map(int.__mul__, snapshot[1::3], snapshot[2::3]))

    def between_marks(self):
        """Instructions from each odd mark to the next, an even one."""
        marks = array.array("Q", self.marks.read_bytes())
        return [after - before for before, after in zip(marks[::2], marks[1::2])]

    @staticmethod
    def executed(before, after):
        """Yield address, instructions, executions of what ran in between."""
        before = before[2::3]
        before.extend([0] * (len(after) // 3 - len(before)))
        for i, earlier in enumerate(before):
            if n := after[3 * i + 2] - earlier:
                yield after[3 * i], after[3 * i + 1], n


class Symbols:
    """Which function an address of the guest's kernel belongs to."""

    def __init__(self, kallsyms):
        lines = (line.split() for line in kallsyms.splitlines())
        pairs = sorted((int(word[0], 16), word[2]) for word in lines if word[1] in "tTwW")
        self.addresses = [address for address, _ in pairs]
        self.names = [name for _, name in pairs]

    def find(self, address):
        """Return the name, and whether this is the function's beginning."""
        if not address >> 63:
            return "[user]", False
        i = bisect.bisect_right(self.addresses, address) - 1
        return self.names[i], self.addresses[i] == address

    def range(self, name):
        """Where a function begins and ends."""
        i = self.names.index(name)
        return self.addresses[i], self.addresses[i + 1]


class Vm:
    """A VM, ready for commands; with the module loaded. Its clock counts
    instructions, unless it has several processors or none are to be counted. Its
    interface may segment UDP.
    """

    def __init__(self, kernel="6.12", mtu=1500, add=(), mem="1G", smp=1, icount=True, timeout=7200, qemu="",
                 segments=False):
        self.kernel = kernel
        self.mtu = mtu
        self.add = add
        self.mem = mem
        self.smp = smp
        self.icount = icount and smp == 1
        self.timeout = timeout
        self.qemu = qemu
        self.segments = segments
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
            qemu = Qemu(self.segments)
            self.net = stack.enter_context(network(self.mtu))
            self.counter = Counter(self.folder, qemu.plugin)
            self.boot(stack, qemu.env)
            stack.callback(self.end)
            self.setup()
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        return self.stack.__exit__(*error)

    def boot(self, stack, env):
        port = f"-chardev socket,id=agent,path={self.folder}/agent,server=on,wait=off"
        port += " -device virtio-serial -device virtserialport,chardev=agent"
        command = ["ip", "netns", "exec", self.net, TOP / "tools/testing/vm/run"]
        command += ["--kernel", self.kernel, "--load", "--mem", self.mem, "--smp", self.smp]
        if self.icount:
            command.append("--icount")
        command += ["--tap", "tap0", "--timeout", self.timeout, "--quiet"]
        for item in (f"{TOP}/scripts/bench/agent:/bench/agent", *self.add):
            command += ["--add", item]
        command += ["--qemu", f"{port} {self.counter.option} {self.qemu}", "--", "/bench/agent"]
        self.process = stack.enter_context(started(command, env=env))

        self.agent = socket.socket(socket.AF_UNIX)
        stack.callback(self.agent.close)
        self.agent.settimeout(120)
        for _ in range(1200):
            try:
                self.agent.connect(f"{self.folder}/agent")
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if self.process.poll() is not None:
                    raise Failed("the VM did not start") from None
                time.sleep(0.1)
        self.lines = self.agent.makefile("rb")
        if self.lines.readline() != b"\x04ready\n":
            raise Failed("the VM did not come up")

    def setup(self):
        for line in (
            "modprobe virtio_net",
            f"ip link set eth0 mtu {self.mtu} up",
            f"ip address add {SERVER}/24 dev eth0",
            f"ip route add {CROWD}/17 via {CLIENT}",
        ):
            self.do(line)
        if self.segments:
            self.segmentation("on")
        link = json.loads(run("ip", "-n", self.net, "-j", "link", "show", "tap0"))
        addresses = [CLIENT]
        # IPv6 wants 1280.
        if self.mtu >= 1280:
            self.do(f"ip address add {SERVER6}/64 dev eth0 nodad")
            addresses.append(CLIENT6)
        for address in addresses:
            self.do(f"ip neighbour replace {address} lladdr {link[0]['address']} dev eth0 nud permanent")
        # What a boot leaves to be done later comes in bursts.
        for _ in range(20):
            self.quiet()

    def segmentation(self, state):
        """Does the interface segment UDP?"""
        self.do(f"ethtool -K eth0 tx-udp-segmentation {state}")
        if f"tx-udp-segmentation: {state}\n" not in self.do("ethtool -k eth0"):
            raise Missing("this kernel's virtio-net does not segment UDP")

    def quiet(self):
        """Wait until the VM does nothing; the counts of that moment."""
        before = self.counter.snapshot()
        for _ in range(300):
            time.sleep(0.05)
            after = self.counter.snapshot()
            if self.counter.instructions(after) - self.counter.instructions(before) < 50000:
                return after
            before = after
        raise Failed("the VM does not come to rest")

    def end(self):
        self.agent.sendall(b"bye\n")
        if self.process.wait(60):
            raise Failed("the VM had something to complain about")

    def do(self, command, timeout=120):
        """Run a command in the VM, return what it prints."""
        self.agent.settimeout(timeout)
        self.agent.sendall(command.encode() + b"\n")
        lines = [b""]
        while b"\x04" not in lines[-1]:
            lines.append(self.lines.readline())
            if not lines[-1]:
                raise Failed(f"in the VM, {command}: no answer")
        text, status = b"".join(lines).decode().rsplit("\x04", 1)
        if int(status):
            raise Failed(f"in the VM, {command}: status {status}{text}")
        return text

    def client(self, *command, timeout=600, **kwargs):
        """Run a command in the namespace of the clients."""
        return run("ip", "netns", "exec", self.net, *command, timeout=timeout, **kwargs)

    def count(self, load):
        """Call load(). Return how many instructions the VM executed during
        that, and what load() returned.
        """
        before = self.counter.instructions(self.quiet())
        result = load()
        return self.counter.instructions(self.quiet()) - before, result

    def symbols(self):
        return Symbols(self.do("cat /proc/kallsyms >&3"))

    def profile(self, load):
        """Call load(). Return, for each function of the guest's kernel, how
        many instructions it executed and how often it was called, and what
        load() returned.
        """
        symbols = self.symbols()
        cost, calls = collections.Counter(), collections.Counter()
        before = self.quiet()
        result = load()
        for address, instructions, n in self.counter.executed(before, self.quiet()):
            name, begins = symbols.find(address)
            cost[name] += instructions * n
            if begins:
                calls[name] += n
        return cost, calls, result


# The network of closed().
CLOSED = (
    "modprobe virtio_net",
    "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6",
    "ip netns add client",
    "ip link set eth1 netns client",
    f"ip -n client address add {CLIENT}/24 dev eth1",
    "ip -n client link set eth1 up",
    f"ip address add {SERVER}/24 dev eth0",
    "ip link set eth0 up",
    f"ip neighbour replace {CLIENT} lladdr {CLIENT_MAC} dev eth0 nud permanent",
    # So the client is on the link that it is heard on.
    "ip address add 198.18.0.3/24 dev eth2 noprefixroute",
    "ip link set eth2 up",
    # What a boot leaves to be done later
    "sleep 1",
)


def closed(kernel, add, lines, segments=False):
    """Run lines of shell script in a VM, the module loaded, with no part left to the
    host: the clock counts instructions and jumps while there are none, and nothing
    comes from outside. Return the instructions that each call of paced.c took, and
    how many frames the server sent. The server's interface may segment UDP; a train is
    a frame then.

    The client, in the namespace `client`, sends by eth1, which a hub in QEMU
    connects to the server's eth2. The server sends by eth0, where there is a tap for
    its checksum offload, and behind the tap nobody. The devices take what they are
    given 10 us later by the VM's clock: by default they do when a thread of QEMU's
    gets to run.
    """
    with contextlib.ExitStack() as stack:
        chosen = Qemu(segments)
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        net = stack.enter_context(namespace())
        # Nor does the host's own kernel say anything.
        run("ip", "netns", "exec", net, "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/tap0/disable_ipv6")
        run("ip", "-n", net, "link", "set", "tap0", "arp", "off", "up")
        counter = Counter(folder, chosen.plugin)
        run("cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", folder / "paced", HERE / "paced.c")
        (folder / "script").write_text("\n".join(["set -euo pipefail", *CLOSED, *lines, ""]))
        qemu = [counter.option, "-netdev tap,id=tap,ifname=tap0,script=no,downscript=no",
                "-netdev hubport,id=client,hubid=0 -netdev hubport,id=server,hubid=0"]
        qemu += [f"-device virtio-net-pci,netdev={name},mac={mac},ioeventfd=off,tx=timer,x-txtimer=10000"
                 for name, mac in (("tap", MAC), ("client", CLIENT_MAC), ("server", HUB_MAC))]
        # The self-tests of the kernel's cryptography take longer than all the rest.
        command = ["ip", "netns", "exec", net, TOP / "tools/testing/vm/run", "--kernel", kernel, "--load",
                   "--icount", "--append", "cryptomgr.notests", "--timeout", 1800, "--qemu", " ".join(qemu)]
        for item in (f"{folder}/paced:/bench/paced", f"{folder}/script:/bench/script", *add):
            command += ["--add", item]
        command += ["--", "bash", "/bench/script"]
        process = stack.enter_context(started(command, stdout=subprocess.PIPE, text=True, env=chosen.env))
        text, _ = process.communicate()
        if process.returncode:
            raise Failed(f"in the VM: {text}")
        link = json.loads(run("ip", "-n", net, "-j", "-s", "link", "show", "tap0"))[0]
        return counter.between_marks(), link["stats64"]["rx"]["packets"]


def paced(usec, *words):
    """A line for closed()."""
    return f"/bench/paced {usec} {' '.join(map(str, words))}"


def client(*words):
    """The same by the client there."""
    return f"ip netns exec client {paced(*words)}"


def build_load():
    run("make", "-s", "-C", LOAD.parent, LOAD.name)


def data_file(folder, size):
    path = pathlib.Path(folder) / f"data-{size}"
    if not path.exists():
        run(LOAD, "--make", size, path)
    return path


def tftp(vm, data, name="data", server=SERVER, **options):
    """Fetch a file with tftpload, return what that counted."""
    words = [f"--{key}={value}" if value != "" else f"--{key}"
             for key, value in options.items() if value is not None]
    return json.loads(vm.client(LOAD, *words, "--data", data, server, name))


def tftp_held(vm, data, look, name="data", **options):
    """Have clients fetch a file, and stop after two windows. Return what look()
    returns then. They go on after that, and have to get the whole file.
    """
    words = [f"--{key}={value}" for key, value in options.items() if value is not None]
    words += ["--lossy", "--hold", "echo held; read -r _", "--data", data, SERVER, name]
    command = ["ip", "netns", "exec", vm.net, LOAD, *words]
    with subprocess.Popen([str(word) for word in command], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            if process.stdout.readline() != "held\n":
                raise Failed(f"{' '.join(map(str, words))}: ended early")
            seen = look()
            text, _ = process.communicate("go\n", timeout=600)
        finally:
            process.kill()
        if process.returncode:
            raise Failed(f"{' '.join(map(str, words))}: status {process.returncode}\n{text}")
    return seen


def ping(vm, n, payload=56):
    """Exchange n ICMP echoes, one at a time."""
    vm.client(HERE / "echo", SERVER, n, payload)
    return n


PKTGEN = "/proc/net/pktgen/"


def pktgen_setup(mac, length, **options):
    """Shell commands that have pktgen ready to send frames of that length, without
    their FCS.
    """
    # Loaded anew: it forgets a device some time after it was told to.
    yield f"modprobe -r pktgen && modprobe pktgen && echo add_device eth0 >{PKTGEN}kpktgend_0"
    options = {"pkt_size": length, "delay": 0, "dst": CLIENT, "dst_mac": mac, **options}
    for key, value in options.items():
        yield f"echo {key} {value} >{PKTGEN}eth0"


def pktgen(vm, length, **options):
    """Return a function that has the VM send n such frames, some times."""
    mac = json.loads(run("ip", "-n", vm.net, "-j", "link", "show", "tap0"))[0]["address"]
    for line in pktgen_setup(mac, length, **options):
        vm.do(line)

    def send(n, times):
        start = f"echo start >{PKTGEN}pgctrl"
        vm.do(f"echo count {n} >{PKTGEN}eth0; for i in {{1..{times}}}; do {start}; done")
        text = " ".join(vm.do(f"cat {PKTGEN}eth0").split())
        if f"pkts-sofar: {n} errors: 0" not in text:
            raise Failed(f"pktgen: {text}")

    return send


def pktgen_cost(vm, length, frames=129, times=20, **options):
    """Instructions per frame, not counting those of starting pktgen. So few
    frames at a time that the device's ring of 256 is seldom full. Where pktgen
    spins, until there is room or the last frame has left, that is left out:
    none of its own code runs more than once for a frame.
    """
    send = pktgen(vm, length, **options)
    begin, end = vm.symbols().range("pktgen_xmit")

    def cost(n):
        before, total = vm.quiet(), 0
        send(n, times)
        for address, instructions, executed in vm.counter.executed(before, vm.quiet()):
            if begin <= address < end:
                executed = min(executed, n * times)
            if address >> 63:
                total += instructions * executed
        return total

    return (cost(frames) - cost(1)) / times / (frames - 1)


@contextlib.contextmanager
def tftpk(vm):
    vm.do("tftpkctl export /srv/tftp")
    yield
    vm.do("tftpkctl unexport /srv/tftp")


# Has tftpk take uploads into a folder of a tmpfs.
INBOX = (
    "mkdir -p /inbox && mount -t tmpfs tmpfs /inbox && chmod 777 /inbox",
    "tftpkctl listen '*' && tftpkctl set uploads on",
    "python3 -B /bench/inbox /inbox >/tmp/inbox 2>&1 &",
    "for i in {1..300}; do ! grep -q attached /tmp/inbox || break; sleep 0.1; done; cat /tmp/inbox",
    "grep -q attached /tmp/inbox",
)
INBOX_AGENT = f"{HERE}/inbox:/bench/inbox"


@contextlib.contextmanager
def peer(vm, command, port="udp sport = :69"):
    """Run another server in the VM, and see that it is the one that listens."""
    program = pathlib.PurePath("/peers", command.split()[0])
    env = f"LD_LIBRARY_PATH={program.parent.parent}/lib"
    pid = int(vm.do(f"setsid env {env} /peers/{command} >/tmp/server.log 2>&1 & echo $!"))
    name, listening = f'"{program.name}"', ""
    for _ in range(100):
        listening = vm.do(f"ss -Hlnp {port.split()[0] == 'tcp' and '-t' or '-u'} '{port.split(' ', 1)[1]}'")
        if name in listening or not vm.do(f"kill -0 {pid} 2>/dev/null && echo runs || :"):
            break
        time.sleep(0.1)
    if name not in listening:
        raise Failed(f"{command} does not listen: {listening} {vm.do('cat /tmp/server.log')}")
    try:
        yield pid
    finally:
        vm.do(f"kill -- -{pid}; while kill -0 {pid} 2>/dev/null; do sleep 0.1; done")


# Where `peers` has them: of bookworm and, with windows for all, of sid.
COMMANDS = {
    "tftpd-hpa": "bin/in.tftpd -L -4 -a :69 -s /srv/tftp",
    "atftpd": "bin/atftpd --daemon --no-fork --maxthread 2000 --user root --group root /srv/tftp",
    "dnsmasq": "bin/dnsmasq -k -p 0 -u root -C /dev/null --enable-tftp --tftp-root=/srv/tftp --tftp-max=2000",
}
PEERS = COMMANDS | {f"{name}/sid": f"sid/{command}" for name, command in COMMANDS.items()}
# The windows that each grants, of those that are measured.
PEER_WINDOWS = {
    "tftpd-hpa": (1,), "atftpd": (1, 16, 64), "dnsmasq": (1,),
    "tftpd-hpa/sid": (1, 16, 64), "atftpd/sid": (1, 16, 64), "dnsmasq/sid": (1, 16, 32),
}


def versions(programs):
    """What is measured beside tftpk, by name and version."""
    return pathlib.Path(programs, "versions").read_text(encoding="ascii").splitlines()


def http(vm, data, name="data"):
    """Fetch a file with curl and compare it."""
    vm.client("bash", "-c", f"set -o pipefail; curl -sf http://{SERVER}/{name} | cmp - {data}")


def iperf(vm, peers, datagrams, length):
    """Have the VM send UDP as fast as it can."""
    env = {"LD_LIBRARY_PATH": f"{peers}/lib"}
    server = subprocess.Popen(
        ["ip", "netns", "exec", vm.net, f"{peers}/bin/iperf3", "-s", "-1"],
        env=os.environ | env, stdout=subprocess.DEVNULL
    )
    time.sleep(0.5)
    try:
        text = vm.do(f"LD_LIBRARY_PATH=/peers/lib /peers/bin/iperf3 -c {CLIENT} -u -b 0 "
                     f"-l {length} -k {datagrams} -J")
    finally:
        server.terminate()
        server.wait()
    return json.loads(text)["end"]["sum"]["packets"]
