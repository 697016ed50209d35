#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Who asks decides what a name means: exports for networks, folders of clients, names
without their first folder, defaults and refusals.
"""

import contextlib
import errno
import os
import struct

from lib import (
    CLIENTS, SERVERS, SRV, Client, Code, Data, Error, after, blank, command, ctl, defer, during, equal,
    execute, exported, family, inside, ip, mac, make, matches, module, namespaces, reach, refuses,
    routed, run, test, told,
)
from lib.genl import NLM_F_ACK, TFTPK, Genl, attribute

# More of the client's addresses, in networks of all or of half of them.
OTHERS = {"IPv4": "192.0.2.130", "IPv6": "2001:db8::8000:2"}
WIDE = {"IPv4": "192.0.2.0/24", "IPv6": "2001:db8::/64"}
NARROW = {"IPv4": "192.0.2.128/25", "IPv6": "2001:db8::8000:0/97"}
EVERY = {"IPv4": "0.0.0.0/0", "IPv6": "::/0"}


def tree(root, *names):
    """Files that hold their own names, to tell whose they are. Returns the folder."""
    for name in names:
        make(f"{root}/{name}", os.fsencode(f"{root}/{name}"))
    return SRV / root


def gets(server, name, wanted, source=None):
    """A file by the name that it holds."""
    with Client(server, source=source) as client:
        client.request(name)
        client.expect(Data, block=1, payload=os.fsencode(wanted))
        client.ack(1)
        client.peer = None


def lacks(server, name, source=None, code=Code.NOT_FOUND, text="file not found"):
    with Client(server, source=source) as client:
        client.request(name)
        client.expect(Error, code=code, text=text)
        client.peer = None


def looks_up(name, *words):
    """What `tftpkctl test` tells; the file as gets() has it."""
    done = execute("tftpkctl", "-n", "server", "test", name, *words)
    path = done.stdout.partition(":")[2].partition(",")[0].strip()
    return path.removeprefix(f"{SRV}/") if done.stdout.startswith("served: ") else done.stdout.splitlines()[0]


def exports(folder, *words):
    """For the rest of the test."""
    during(exported(folder, *words))


# ---- networks ----

ALL, RACK, DESK = tree("all", "file", "common"), tree("rack", "file"), tree("desk", "file", "more")


@test("the longest network that a client is in")
def _(server):
    here, there = CLIENTS[family(server)], OTHERS[family(server)]
    exports(DESK, "--for", NARROW[family(server)])
    exports(ALL)
    exports(RACK, "--for", WIDE[family(server)], "--for", "203.0.113.0/24")
    gets(server, "file", "rack/file", here)
    gets(server, "file", "desk/file", there)
    # Only what is equal is tried.
    lacks(server, "common", here)
    lacks(server, "more", here)
    for address, wanted in ((here, "rack/file"), (there, "desk/file")):
        equal(f"look-up for {address}", wanted, looks_up("file", "--from", address))
    # Nobody in particular is in no network.
    equal("look-up for nobody", "all/file", looks_up("file"))


@test("the prefix counts more than the network")
def _(server):
    exports(DESK, "--as", "boot")
    exports(RACK, "--for", OTHERS[family(server)])
    gets(server, "boot/file", "desk/file", OTHERS[family(server)])
    gets(server, "file", "rack/file", OTHERS[family(server)])
    lacks(server, "file")


@test("of exports that are equal the first that has the file")
def _(server):
    # A network of all addresses is none.
    for folder, words in ((RACK, ()), (ALL, ("--for", EVERY[family(server)])), (DESK, ("--not-for", "203.0.113.7"))):
        exports(folder, *words)
    for name, wanted in (("file", "rack/file"), ("common", "all/common"), ("more", "desk/more")):
        gets(server, name, wanted)


AUDIENCES = (
    ("--for wide", True, True),
    ("--for narrow", False, True),
    ("--not-for wide", False, False),
    ("--not-for narrow", True, False),
    ("--for wide --not-for narrow", True, False),
    ("--not-for narrow --for wide", True, False),
    ("--not-for wide --for narrow", False, True),
    ("--for every", True, True),
    ("--not-for every --for wide", True, True),
    ("--for alien", False, False),
    ("--not-for alien", True, True),
)


@test("an access list: {0}", cases=AUDIENCES)
def _(server, words, here, there):
    name = family(server)
    alien = EVERY["IPv4" if name == "IPv6" else "IPv6"]
    networks = {"wide": WIDE[name], "narrow": NARROW[name], "every": EVERY[name], "alien": alien}
    exports(ALL, *(networks.get(word, word) for word in words.split()))
    for source, sees in ((CLIENTS[name], here), (OTHERS[name], there)):
        # As if it were not there.
        if sees:
            gets(server, "file", "all/file", source)
        else:
            lacks(server, "file", source)
        equal(f"look-up for {source}", sees, looks_up("file", "--from", source) == "all/file")


@test("64 networks, and no more", ())
def _():
    networks = [word for number in range(63) for word in ("--for", f"2001:db8:1::{number:x}/{66 + number}")]
    exports(ALL, *networks, "--for", CLIENTS["IPv4"])
    gets(SERVERS["IPv4"], "file", "all/file")
    lacks(SERVERS["IPv6"], "file")
    equal("networks", 64, len(told("show")["exports"][0]["for"]))
    refuses("*64 networks*", "export", RACK, *networks, "--for", "192.0.2.1", "--not-for", "192.0.2.2", status=2)


# ---- folders of clients ----


def spelling(server, kind):
    if kind == "ip":
        return CLIENTS[family(server)]
    return ("01-" if kind == "01-mac" else "") + mac("client", "to-server").hex("-")


def own(server, kind):
    """A root with a folder of this client's and of another's. Returns both."""
    folder = spelling(server, kind)
    root = tree(f"own-{kind}-{family(server)}", "common", "both", f"{folder}/both", f"{folder}/own", "other/secret")
    for link, target in (("link", "../common"), ("inside", "/own" if kind == "ip" else "own")):
        (root / folder / link).unlink(missing_ok=True)
        (root / folder / link).symlink_to(target)
    return root, folder


@test("a folder of the client's own, by {0}", cases=("ip", "mac", "01-mac"))
def _(server, kind):
    root, folder = own(server, kind)
    exports(root, "--root-by", kind.removeprefix("01-"))
    for name, wanted in {
        "both": f"{folder}/both",
        "own": f"{folder}/own",
        "/own": f"{folder}/own",
        "\\own": f"{folder}/own",
        b"own\xff\x01": f"{folder}/own",
        "common": "common",
        "../common": "common",
        "other/secret": "other/secret",
        "link": "common",
        f"{folder}/own": f"{folder}/own",
    }.items():
        gets(server, name, f"{root.name}/{wanted}")
    lacks(server, "nothing")
    lacks(server, "d/" * 600 + "own")
    equal("look-up", f"{root.name}/{folder}/both", looks_up("both", "--from", CLIENTS[family(server)]))
    equal("look-up for nobody", f"{root.name}/both", looks_up("both"))
    if kind == "ip":
        equal("look-up for another", f"{root.name}/both", looks_up("both", "--from", OTHERS["IPv4"]))


@test("nothing but a folder of the client's own, by {0}", cases=("ip", "mac", "01-mac"))
def _(server, kind):
    root, folder = own(server, kind)
    exports(root, "--root-by", kind.removeprefix("01-"), "--only")
    for name in ("own", "/own", "../own", "\\own", b"own\xff\x01", "inside", "../../inside"):
        gets(server, name, f"{root.name}/{folder}/own")
    for name in ("common", "../common", "../../common", "other/secret", "../other/secret", "..\\common", "link",
                 f"{folder}/own", f"../{folder}/own", b"../common\xff"):
        lacks(server, name)
    lacks(server, "nothing")
    lacks(server, "..", code=Code.ACCESS, text="access violation")
    # Who has no folder.
    if kind == "ip":
        lacks(server, "own", OTHERS[family(server)])
        lacks(server, "both", OTHERS[family(server)])


@test("of two spellings dnsmasq's comes first")
def _(server):
    dashes, typed = spelling(server, "mac"), spelling(server, "01-mac")
    root = tree("spelled", f"{dashes}/file", f"{typed}/file", f"{typed}/more", "file", "more")
    exports(root, "--root-by", "mac", "--as", "boot")
    gets(server, "boot/file", f"spelled/{dashes}/file")
    gets(server, "boot/more", f"spelled/{typed}/more")


@test("a folder of the client's that is a file, a link, or not to be entered")
def _(server):
    folder = CLIENTS[family(server)]
    root = tree("odd", "file", "shared/own", "shared/file")
    exports(root, "--root-by", "ip")
    (root / folder).write_bytes(b"no folder")
    gets(server, "file", "odd/file")
    (root / folder).unlink()
    (root / folder).symlink_to("shared")
    gets(server, "file", "odd/shared/file")
    (root / folder).unlink()
    (root / folder).mkdir(mode=0o700)
    lacks(server, "file", code=Code.ACCESS, text="access violation")
    (root / folder).rmdir()
    gets(server, "file", "odd/file")


@test("a client whose MAC nobody knows, {0}", cases=("below the root", "nowhere else"))
def _(server, where):
    folder = spelling(server, "mac")
    root = tree("unknown", "file", f"{folder}/file", "00-00-00-00-00-00/file")

    def finds_none():
        if where == "below the root":
            gets(server, "file", "unknown/file")
        else:
            lacks(server, "file")

    exports(root, "--root-by", "mac", *(["--only"] if where == "nowhere else" else []))
    # The router's is not its own.
    with inside("far"):
        finds_none()
    with inside("server"):
        finds_none()
    gets(server, "file", f"unknown/{folder}/file")
    # The server has forgotten it.
    ip("server", f"neigh delete {CLIENTS[family(server)]} dev to-client")
    finds_none()
    gets(server, "file", f"unknown/{folder}/file")


@test("the MAC of a client in a VRF", ())
def _():
    during(namespaces("blue"))
    ip(
        "server",
        "link add blue type vrf table 10",
        "link set blue up",
        "link add to-blue type veth peer name to-server netns blue",
        "link set to-blue master blue",
        "link set to-blue up",
        "addr add 203.0.113.1/24 dev to-blue",
    )
    defer(ip, "server", "link del to-blue", "link del blue")
    ip("blue", "link set to-server up", "addr add 203.0.113.2/24 dev to-server")
    folder = mac("blue", "to-server").hex("-")
    ctl("listen", "*", "dev", "blue")
    exports(tree("vrf", "file", f"{folder}/file"), "--root-by", "mac")
    reach("203.0.113.1", "blue")
    with inside("blue"):
        gets("203.0.113.1", "file", f"vrf/{folder}/file")
    equal("look-up", f"vrf/{folder}/file", looks_up("file", "--from", "203.0.113.2"))


# ---- without the first folder ----

PI = tree("pi", "start.elf", "known/config", "n" * 255, "back\\slash")
DROPPED = {
    "start.elf": "start.elf",
    "1234abcd/start.elf": "start.elf",
    "/1234abcd//start.elf": "start.elf",
    "\\1234abcd\\start.elf": "start.elf",
    "1234abcd/known/config": "known/config",
    "1234abcd\\known\\config": "known/config",
    "1234abcd/back\\slash": "back\\slash",
    "known/config": "known/config",
    # A file is no folder.
    "start.elf/start.elf": "start.elf",
    "1234abcd/" + "n" * 255: "n" * 255,
    "m" * 255 + "/start.elf": "start.elf",
    "m" * 256 + "/start.elf": "start.elf",
    "1234abcd/../start.elf": "start.elf",
    b"\xff\xfe/start.elf": "start.elf",
    b"1234abcd/start.elf\xff\x01": "start.elf",
}


@test("without its first folder: {0!r}", cases=DROPPED.items())
def _(server, name, wanted):
    with exported(PI, "--drop-first-folder", "--as", "pi"):
        gets(server, (b"pi/" if isinstance(name, bytes) else "pi/") + name, f"pi/{wanted}")
    exports(PI, "--drop-first-folder")
    gets(server, name, f"pi/{wanted}")


@test("the first folder is there, or there is none")
def _(server):
    exports(PI, "--drop-first-folder")
    for name in ("known/start.elf", "1234abcd/", "nothing", "1234abcd/other/start.elf", "1234abcd/../../nothing"):
        lacks(server, name)
    ctl("unexport", PI)
    ctl("export", PI)
    for name in ("1234abcd/start.elf", "start.elf/start.elf"):
        lacks(server, name)


@test("a folder of the client's own first, then without the first folder")
def _(server):
    folder = CLIENTS[family(server)]
    root = tree("both-pi", "1234abcd/file", "1234abcd/more", "common", f"{folder}/file", f"{folder}/sub/x")
    exports(root, "--root-by", "ip", "--drop-first-folder")
    for name, wanted in {
        "1234abcd/file": f"{folder}/file",
        "1234abcd/more": "1234abcd/more",
        "5678/common": "common",
        "5678/sub/x": f"{folder}/sub/x",
    }.items():
        gets(server, name, f"both-pi/{wanted}")
    lacks(server, "1234abcd/common")


# ---- what is not there ----

HERE, THERE = tree("here", "file", "default", "secret"), tree("there", "more", "other", "sub/default")
(HERE / "secret").chmod(0o600)
MISSING = ("nothing", "file/x", "n" * 256, "sub/x", b"\xff\xfe", b"nothing\xff", "..\\nothing", "d/" * 600 + "x")


@test("the default")
def _(server):
    exports(HERE, "--default", "default")
    exports(THERE)
    for name in MISSING:
        gets(server, name, "here/default")
        if isinstance(name, str):
            equal("look-up", "here/default", looks_up(name))
    # Not what is there.
    gets(server, "more", "there/more")
    lacks(server, "secret", code=Code.ACCESS, text="access violation")
    lacks(server, "sub", code=Code.ACCESS, text="access violation")
    with Client(server) as client:
        equal("size", str(len("here/default")), client.open("nothing", ("tsize", 0))["tsize"])


@test("the default of the second export, beneath a prefix, and outside")
def _(server):
    exports(HERE, "--as", "boot")
    exports(THERE, "--as", "boot", "--default", "/sub/../../sub/default")
    exports(ALL, "--default", "nothing")
    gets(server, "boot/nothing", "there/sub/default")
    lacks(server, "nothing")
    (THERE / "sub/default").rename(THERE / "sub/gone")
    lacks(server, "boot/nothing")
    (THERE / "sub/gone").rename(THERE / "sub/default")
    # Of what a client does not see nothing is sent.
    ctl("unexport", HERE)
    ctl("export", HERE, "--as", "boot", "--for", "203.0.113.7", "--default", "default", "--refusal", "hidden")
    gets(server, "boot/nothing", "there/sub/default")
    lacks(server, "nothing")


@test("the default is common to those who have folders of their own")
def _(server):
    folder = CLIENTS[family(server)]
    root = tree("defaults", f"{folder}/file", f"{folder}/default", "default")
    exports(root, "--root-by", "ip", "--only", "--default", "default")
    gets(server, "file", f"defaults/{folder}/file")
    gets(server, "default", f"defaults/{folder}/default")
    gets(server, "nothing", "defaults/default")


LONGEST = "Ask in room 5, or call 555-0100: this is no file of ours..."


@test("the text of a refusal")
def _(server):
    equal("its length", 59, len(LONGEST))
    exports(THERE)
    exports(HERE, "--refusal", LONGEST)
    for name in MISSING:
        lacks(server, name, text=LONGEST)
    lacks(server, "secret", code=Code.ACCESS, text=LONGEST)
    # That one is of the other export.
    lacks(server, "sub", code=Code.ACCESS, text="access violation")
    matches("look-up", f"refused: ERROR 1, {LONGEST}*", looks_up("nothing"))
    with open(HERE / "file", "ab"):
        os.utime(HERE / "file")
        lacks(server, "file", code=Code.UNDEFINED, text="file is being written")
    gets(server, "file", "here/file")


@test("a refusal gives way to a default")
def _(server):
    exports(THERE, "--refusal", "no such thing")
    exports(HERE, "--default", "default", "--refusal", "here neither")
    gets(server, "nothing", "here/default")
    (HERE / "default").rename(HERE / "gone")
    lacks(server, "nothing", text="here neither")
    (HERE / "gone").rename(HERE / "default")


@test("without an agent its policy decides about a default")
def _(server):
    exports(HERE, "--default", "default", "--refusal", "not here")
    for resolve in ("missing", "all"):
        ctl("set", "resolve", resolve, "resolve-policy", "default")
        gets(server, "nothing", "here/default")
        equal("look-up", "here/default", looks_up("nothing"))
        ctl("set", "resolve-policy", "refuse")
        lacks(server, "nothing")
        matches("look-up", "refused: ERROR 1, file not found*", looks_up("nothing"))


# ---- configuration ----

WORDS = {
    "for": "--for 10.0.0.0/8 --for 2001:db8::/32 --for 192.0.2.7",
    "not-for": "--not-for 10.1.0.0/16",
    "root-by ip": "--root-by ip",
    "root-by mac": "--root-by mac --only",
    "drop-first-folder": "--drop-first-folder",
    "default": '--default "boot file"',
    "refusal": '--refusal "no \\"such\\" file"',
}


@test("saved, and put back by sync: {0}", (), WORDS.items())
def _(_, words):
    before, line = f"export {ALL}\n", f"export {ALL} {words}\n"
    ctl("sync", "-", stdin=before)
    matches("sync", f"unexport {ALL} *\nexport {ALL} --*\n", ctl("sync", "-", stdin=line))
    saved = ctl("save")
    equal("sync of the same", "nothing to change\n", ctl("sync", "-", stdin=line))
    equal("sync of what was saved", "nothing to change\n", ctl("sync", "-", stdin=saved))
    matches("sync", f"unexport {ALL} *\nexport {ALL}\n", ctl("sync", "-", stdin=before))
    ctl("sync", "-", stdin=saved)
    equal("saved again", saved, ctl("save"))


@test("as JSON, and as a table", ())
def _():
    words = ("--for", "10.1.2.3/8", "--not-for", "10.1.0.0/16", "--root-by", "mac", "--only", "--drop-first-folder")
    done = told("export", ALL, *words, "--default", "boot file", "--refusal", "none")["export"]
    names = {"for": ["10.0.0.0/8"], "not_for": ["10.1.0.0/16"], "root_by": "mac", "only": True}
    names |= {"drop_first_folder": True, "default": "boot file", "refusal": "none"}
    equal("export", names, {name: done[name] for name in names})
    equal("show", [done], told("show")["exports"])
    matches("show", '*root-by mac, only, drop-first-folder, default "boot file", refusal none, for 10.0.0.0/8*', ctl("show"))


INVALID = {
    "--for 10.0.0.0/33": "prefix length '33': must be 0 to 32",
    "--for here": "'here' is not a network*",
    "--not-for ::ffff:192.0.2.0/120": "* is not a network*",
    "--for 10.0.0.1/8 --not-for 10.0.0.0/8": "export: --not-for 10.0.0.0/8: this network is given twice",
    "--root-by name": "export: --root-by name: must be ip or mac",
    "--root-by none": "export: --root-by none: must be ip or mac",
    "--only": "export: --only: say by --root-by *",
    "--default=": "export: --default: the path of a file has 1 to 4095 bytes",
    "--refusal=": "export: --refusal: the text has 1 to 59 bytes, and this has 0",
    f"--refusal={'x' * 60}": "export: --refusal: the text has 1 to 59 bytes, and this has 60",
    "--refusal=\xe4": "export: --refusal: the text must be printable ASCII*",
    "--refusal=\t": "export: --refusal: the text must be printable ASCII*",
}


@test("refused by tftpkctl: {0!r}", (), INVALID.items())
def _(words, pattern):
    refuses(pattern, "export", ALL, *(words.split(" ")), status=2)


def put(name, payload=b""):
    return attribute(TFTPK[f"TFTPK_A_EXPORT_{name}"], payload)


def network(address, length=None, name="FOR"):
    parts = b"" if address is None else attribute(TFTPK["TFTPK_A_NETWORK_ADDRESS"], address)
    if length is not None:
        parts += attribute(TFTPK["TFTPK_A_NETWORK_PREFIX_LENGTH"], bytes((length,)))
    # NLA_F_NESTED
    return attribute(TFTPK[f"TFTPK_A_EXPORT_{name}"] | 0x8000, parts)


MAPPED = bytes(10) + b"\xff\xff" + bytes(4)
WRONG = {
    "no address": (errno.EINVAL, network(None, 8)),
    "an address of 5 bytes": (errno.EINVAL, network(bytes(5))),
    "a mapped address": (errno.EINVAL, network(MAPPED, 96)),
    "33 bits": (errno.EINVAL, network(bytes(4), 33)),
    "129 bits": (errno.EINVAL, network(bytes(16), 129)),
    "a network twice": (errno.EINVAL, network(bytes(4), 8) + network(b"\0\1\2\3", 8, "NOT_FOR")),
    "65 networks": (errno.E2BIG, b"".join(network(bytes(3) + bytes((n,))) for n in range(65))),
    "root-by 3": (errno.ERANGE, put("ROOT_BY", struct.pack("=I", 3))),
    "only, by nothing": (errno.EINVAL, put("ONLY") + put("ROOT_BY", bytes(4))),
    "no default": (errno.EINVAL, put("DEFAULT", b"\0")),
    "no refusal": (errno.EINVAL, put("REFUSAL", b"\0")),
    "a long refusal": (errno.EINVAL, put("REFUSAL", b"x" * 60 + b"\0")),
    "a refusal of no ASCII": (errno.EINVAL, put("REFUSAL", b"\xff\0")),
}


@test("refused by the kernel: {0}", (), WRONG.items())
def _(_, answer):
    wanted, payload = answer
    with Genl("server") as netlink:
        path = put("PATH", os.fsencode(ALL) + b"\0")
        got, _ = netlink.ask(TFTPK["TFTPK_CMD_EXPORT_ADD"], path + payload, NLM_F_ACK)
        equal("answer", wanted, got)
        equal("exports", [], told("show")["exports"])
        # A mask's other bits do not matter; without a length all do.
        right = network(b"\x0a\1\2\3", 8) + network(bytes(16))
        got, _ = netlink.ask(TFTPK["TFTPK_CMD_EXPORT_ADD"], path + right, NLM_F_ACK)
        equal("answer to a right one", (0, ["10.0.0.0/8", "::/128"]), (got, told("show")["exports"][0]["for"]))


@contextlib.contextmanager
def others():
    """The client has more addresses, which it uses only where it is told to, and somebody
    is behind it. For run(), after module().
    """
    for name, address in OTHERS.items():
        width = WIDE[name].partition("/")[2]
        ip("client", f"addr add {address}/{width} dev to-server nodad preferred_lft 0")
    ctl("listen", "*")
    with routed():
        ctl("unlisten", "*")
        yield


after.append(blank)
command("modprobe", "vrf")
run(module(), others())
