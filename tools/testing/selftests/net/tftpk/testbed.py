# SPDX-License-Identifier: GPL-2.0
"""What tests in Python share: KTAP, the server's counters and settings.

A program registers its tests with @test and ends with run(). It is started by
run_python of lib.sh, in the network namespace "client".
"""

import contextlib
import fnmatch
import json
import os
import pathlib
import subprocess
import sys
import time
import traceback

SERVERS = {"IPv4": os.environ["SERVER4"], "IPv6": os.environ["SERVER6"]}
CLIENTS = {"IPv4": os.environ["CLIENT4"], "IPv6": os.environ["CLIENT6"]}
SRV = pathlib.Path(os.environ["SRV"])
PATIENCE = int(os.environ.get("TFTPK_PATIENCE", "30"))
LOAD = ["insmod", os.environ["TFTPK_KO"]] if os.environ.get("TFTPK_KO") else ["modprobe", "tftpk"]

tests = []


def test(name, families=("IPv4", "IPv6"), cases=((),)):
    """Register a function as a test, once for each family and each case. It
    gets the server's address of that family and what the case consists of;
    the case is formatted into the name.
    """

    def register(function):
        for family in families:
            for case in cases:
                case = case if isinstance(case, tuple) else (case,)
                title = f"{family}, {name.format(*case)}"
                tests.append((title, function, (SERVERS[family], *case)))
        return function

    return register


def note(text):
    """Shown in any case."""
    print("\n".join(f"# {line}" for line in str(text).splitlines()), flush=True)


def where():
    """What an exception says, and where it comes from."""
    kind, value, trace = sys.exc_info()
    lines = [f"{kind.__name__}: {value}"]
    for frame in reversed(traceback.extract_tb(trace)[1:]):
        lines.append(f"  at {os.path.basename(frame.filename)}:{frame.lineno} ({frame.name})")
    return "\n".join(lines)


def run(patterns=None):
    """Run the tests, print KTAP and exit."""
    patterns = sys.argv[1:] if patterns is None else patterns
    wanted = [f"*{pattern}*" for pattern in patterns] or ["*"]
    chosen = [t for t in tests if any(fnmatch.fnmatch(t[0], pattern) for pattern in wanted)]
    failed = False
    started = time.monotonic()
    print(f"1..{len(chosen)}", flush=True)
    for number, (title, function, arguments) in enumerate(chosen, 1):
        begun = time.monotonic()
        result = "ok"
        try:
            function(*arguments)
        except Exception:  # whatever it is, it is the test's
            note(where())
            result = "not ok"
            failed = True
        if (seconds := time.monotonic() - begun) > 1:
            note(f"{seconds:.2f} s")
        print(f"{result} {number} {title}", flush=True)
    note(f"all of it: {time.monotonic() - started:.2f} s")
    sys.exit(failed)


# ---- waiting and comparing ----


def wait_for(what, condition, patience=PATIENCE):
    """Until condition() is true; returns what it is."""
    end = time.monotonic() + patience
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience} s in vain: {what}")
        time.sleep(0.02)
    return value


def equal(what, wanted, got):
    if wanted != got:
        raise AssertionError(f"{what}: wanted {wanted!r}, got {got!r}")


# ---- programs ----


def output(*command):
    """What a program prints; an exception with its words if it fails."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        words = " ".join(map(str, command))
        raise AssertionError(f"{words}: status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def ctl(*arguments):
    """tftpkctl for the server's namespace."""
    return output("tftpkctl", "-n", "server", *arguments)


def drop_caches():
    """All of the page cache that nobody holds."""
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")


def in_server(*command):
    return output("nsenter", "--net=/run/netns/server", "--", *command)


@contextlib.contextmanager
def settings(**changed):
    """Settings of the server, for the length of a with statement."""
    before = json.loads(ctl("-j", "get"))
    names = {key.replace("_", "-"): value for key, value in changed.items()}

    def put(values):
        words = []
        for name, value in values.items():
            words += [name, str(int(value))]
        ctl("set", *words)

    put(names)
    try:
        yield
    finally:
        put({name: before[name.replace("-", "_")] for name in names})


# ---- counters ----


def counters():
    return json.loads(ctl("-j", "stats"))


def idle(patience=PATIENCE, read=counters):
    """Wait until no transfer is left, by what read() says."""
    wait_for("all transfers to end", lambda: not read()["transfers_active"], patience)


def transfers():
    return json.loads(ctl("-j", "transfers"))


class Growth:
    """By how much counters have grown since this was made."""

    def __init__(self):
        self.before = counters()

    def __getitem__(self, name):
        return counters()[name] - self.before[name]

    def of(self, *names):
        # Those that are active are not counted but there, and may have been
        # about to go before.
        now, before = counters(), self.before | {"transfers_active": 0}
        return {name: now[name] - before[name] for name in names}

    def expect(self, **wanted):
        """Fail unless they grow by that much, and so many transfers are active;
        waits for those that are too low yet, since transfers end a moment after
        their last packet.
        """
        end = time.monotonic() + PATIENCE
        while True:
            got = self.of(*wanted)
            if got == wanted:
                return
            counted = wanted.keys() - {"transfers_active"}
            too_much = any(got[name] > wanted[name] for name in counted)
            if too_much or time.monotonic() > end:
                raise AssertionError(f"counters: wanted {wanted}, got {got}")
            time.sleep(0.02)
