# SPDX-License-Identifier: GPL-2.0
"""KTAP, for programs that are tests: they register functions with @test and end with
run(). Arguments of the program are patterns: the tests whose names match run.
"""

import collections
import contextlib
import fnmatch
import sys
import time
import traceback

from .host import SERVERS, VIRTUAL, execute

tests = []
deferred = []
# What is shown if a test fails, forgotten before the next one; and what is
# done after each.
trail = collections.deque(maxlen=40)
after = []


def test(name, families=("IPv4", "IPv6"), cases=((),), timed=False):
    """Register a function as a test, once for each family and each case. It gets
    the server's address of that family, where it has families, and what the
    case consists of; the case is formatted into the name. What is timed
    measures durations, or waits for long: by virtual time only.
    """

    def register(function):
        for family in families or ("",):
            for case in cases:
                case = case if isinstance(case, tuple) else (case,)
                title = ", ".join(filter(None, (family, name.format(*case))))
                if VIRTUAL or not timed:
                    arguments = (SERVERS[family], *case) if family else case
                    tests.append((title, function, arguments))
        return function

    return register


def note(text):
    """Shown in any case."""
    print("\n".join(f"# {line}" for line in str(text).splitlines()), flush=True)


def defer(function, *arguments, **more):
    """Call it when the test is over, passed or failed, the last one first. Its
    failure is the test's.
    """
    deferred.append((function, arguments, more))


def during(context):
    """Enter a context for the rest of the test; returns what it gives."""
    value = context.__enter__()
    defer(context.__exit__, None, None, None)
    return value


# ---- comparing ----


def equal(what, wanted, got):
    if wanted != got:
        raise AssertionError(f"{what}: wanted {wanted!r}, got {got!r}")


def between(what, low, got, high):
    if not low <= got <= high:
        raise AssertionError(f"{what}: wanted {low:g} to {high:g}, got {got:g}")


def matches(what, pattern, got):
    """Does text match a pattern as of file names?"""
    if not fnmatch.fnmatchcase(got, pattern):
        raise AssertionError(f"{what}: wanted '{pattern}', got '{got}'")


def fails(status, pattern, *words, **more):
    """A program has to fail with that status, in one line that matches the pattern,
    and print nothing else.
    """
    done = execute(*words, **more)
    what = " ".join(map(str, words))
    line, end, rest = done.stderr.partition("\n")
    got = (done.returncode, done.stdout, end, rest)
    equal(f"status of {what}, output, and what follows '{line}'", (status, "", "\n", ""), got)
    matches(f"message of {what}", pattern, line)


def has(what, wanted, got):
    """Are these among the entries of a dictionary?"""
    equal(what, wanted, {name: got.get(name) for name in wanted})


def same(wanted, got):
    """Contents that are too long to be printed."""
    if wanted == got:
        return
    at = next((i for i, (a, b) in enumerate(zip(wanted, got)) if a != b), min(len(wanted), len(got)))
    raise AssertionError(
        f"content differs from byte {at} on: wanted {wanted[at:at + 16]!r} and so on, got"
        f" {got[at:at + 16]!r}; {len(wanted)} bytes wanted, {len(got)} got"
    )


# ---- running ----


def succeeds(function, *arguments):
    """Did it go well? Says why not."""
    try:
        function(*arguments)
        return True
    except Exception:  # whatever it is, it is the test's
        note(traceback.format_exc(limit=-5))
        return False


def perform(function, arguments):
    """One test with all that comes after it."""
    trail.clear()
    ok = succeeds(function, *arguments)
    while deferred:
        undo, words, more = deferred.pop()
        ok &= succeeds(lambda u=undo, w=words, m=more: u(*w, **m))
    for check in after:
        ok &= succeeds(check)
    if not ok:
        note("\n".join(map(str, trail)))
    return ok


def skip(reason):
    """End the program: nothing of it can run here."""
    print(f"KTAP version 1\n1..0 # SKIP {reason}", flush=True)
    sys.exit(4)


def run(*contexts):
    """Run the tests within these contexts, print KTAP and exit."""
    patterns = [f"*{pattern}*" for pattern in sys.argv[1:]] or ["*"]
    chosen = [t for t in tests if any(fnmatch.fnmatchcase(t[0], pattern) for pattern in patterns)]
    failed = False
    begun = time.monotonic()
    print("KTAP version 1", flush=True)
    with contextlib.ExitStack() as stack:
        for context in contexts:
            stack.enter_context(context)
        print(f"1..{len(chosen)}", flush=True)
        for number, (title, function, arguments) in enumerate(chosen, 1):
            since = time.monotonic()
            ok = perform(function, arguments)
            note(f"{time.monotonic() - since:.2f} s")
            print(f"{'ok' if ok else 'not ok'} {number} {title}", flush=True)
            failed |= not ok
    note(f"all of it: {time.monotonic() - begun:.1f} s")
    sys.exit(failed)
