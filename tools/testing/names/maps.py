#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Compare what tftpkd makes of names by map files with what tftpd-hpa made of them.

maps.py check TFTPKD          with the answers that the files in maps/ hold
maps.py compare TFTPKD [N]    with in.tftpd itself, and by N more maps made at random
maps.py record                let in.tftpd answer what is in maps/
maps.py generate              make the files maps/random-*.map

A file in maps/ holds rules, names and answers, parted by lines that begin with %%.
Prints KTAP for the first two.
"""

import pathlib
import random
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PINNED = (HERE / "tftpd-hpa.version").read_text().splitlines()[-1]
SPDX = b"# SPDX-License-Identifier: GPL-2.0\n"
# Who asks: an IPv4 client, an IPv6 client, and an IPv4 client that puts a file.
ASKERS = ("-4", "-6", "-c")
# In answers' place where the rules are refused.
REFUSED = b"the rules are refused\n"
# Rules may let a name grow for as long as in.tftpd has steps and memory, and a
# replacement that is no text of the locale lets it turn for ever.
SLOW = b"no end\n"


def split(content):
    """Rules, names and the answers by asker of a file's content."""
    parts = {b"rules": b""}
    key = b"rules"
    for line in content.splitlines(keepends=True):
        if line.startswith(b"%% "):
            key = line[3:].strip()
            parts[key] = b""
        else:
            parts[key] += line
    return parts


def ask(program, rules, names, asker, locale):
    """What a program prints for the names."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "rules").write_bytes(rules)
        (folder / "names").write_bytes(names)
        command = [program, asker, "-m", folder / "rules", "--map-test", folder / "names"]
        try:
            run = subprocess.run(command, env={"LC_ALL": locale}, stdin=subprocess.DEVNULL, timeout=4,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        except subprocess.TimeoutExpired:
            return SLOW
    if run.returncode < 0 or b"Sanitizer" in run.stderr:
        return run.stderr + b"status %d\n" % run.returncode
    return run.stdout if run.returncode == 0 else REFUSED


def locale_of(name):
    """The locale that a file of maps/ is for."""
    return "C.UTF-8" if name.startswith("utf8") else "C"


def peer():
    """in.tftpd of Debian sid, which may have become a newer one."""
    fetched = subprocess.run([HERE / "peer"], stdout=subprocess.PIPE, text=True, check=False)
    if fetched.returncode:
        print("KTAP version 1\n1..1\nok 1 tftpd-hpa of Debian sid # SKIP not to be had today")
        sys.exit(0)
    folder = pathlib.Path(fetched.stdout.strip())
    version = (folder / "version").read_text().strip()
    if version != PINNED:
        print(f"# Debian sid has tftpd-hpa {version}; the answers are those of {PINNED}")
    return folder / "in.tftpd"


# ---- maps at random ----

PIECES = ("a", "b", "x", "/", "\\.", ".", "..", "[a-c]", "[^/]", "[^/]*", "(a|b)", "(x+)", "(.)", ".*",
          "a*", "b+", "x?", "boot", "\\\\", "\\ ", "\\#", "[[:upper:]]+", "(..)", "{2}", "A", "$", "^", "()",
          "\\1", "\\w", "\\<", "\\>", "é", "[[:alpha:]]", "|")
TEXTS = ("", "\\0", "\\1", "\\2", "\\9", "/", "a", "b", "x", "boot", "\\i", "\\x", "\\U", "\\L", "\\E", "\\\\",
         "\\ ", "\\#", "\\z", "\\", "é", "Ä", ".", "AbC")
NAMES = ("a", "b", "x", "/", ".", "..", "A", "B", "boot", "BOOT", "\\", " ", "#", "xx", "ab", "-", "é", "Ä", "\xff")


def join(choices, most, chance=random):
    """Up to most of the choices in a row."""
    return "".join(chance.choice(choices) for _ in range(chance.randint(1, most)))


def make_rule(chance):
    """A line of a map file."""
    kind = chance.random()
    if kind < 0.08:
        return chance.choice((":l1", ":l2", ": l3", "# a comment", "", "  "))
    if kind < 0.2:
        target = chance.choice(("l1", "l2", "l3", "\\0", "\\1", "", "l4"))
        return f"j{join('i~4G6P', 2, chance)} {join(PIECES, 3, chance)} {target}"
    letters = join("rrrrrrrgiieEsa~4GP6", 4, chance)
    if kind < 0.8:
        letters = "r" + "".join(letter for letter in letters if letter not in "~aj")
    blank, end = chance.choice((" ", "\t", "  ")), chance.choice(("", "", "", " # why", "#", " more"))
    return f"{letters}{blank}{join(PIECES, 4, chance)} {join(TEXTS, 4, chance)}{end}"


def make_map(seed):
    """Rules and names at random, in bytes."""
    chance = random.Random(seed)
    rules = [make_rule(chance) for _ in range(chance.randint(1, 7))]
    names = [join(NAMES, 7, chance) for _ in range(16)]
    return (("\n".join(rules) + "\n").encode("utf-8", "replace"),
            ("\n".join(names) + "\n").encode("latin-1" if seed % 2 else "utf-8", "replace"))


# ---- commands ----

def generate():
    """Make the files of maps at random: most of those that tftpd-hpa takes."""
    program = peer()
    made = seed = 0
    while made < 16:
        seed += 1
        rules, names = make_map(seed)
        name = f"{'utf8-' if made >= 12 else ''}random-{made + 1}.map"
        answers = [ask(program, rules, names, asker, locale_of(name)) for asker in ASKERS]
        if {REFUSED, SLOW} & set(answers) or len(set(answers[0].splitlines()) - set(names.splitlines())) < 8:
            continue
        made += 1
        (HERE / "maps" / name).write_bytes(SPDX + rules + b"%% names\n" + names)


def record():
    """Let the peer answer."""
    program = peer()
    for file in sorted((HERE / "maps").glob("*.map")):
        parts = split(file.read_bytes())
        content = parts[b"rules"] + b"%% names\n" + parts[b"names"]
        for asker in ASKERS:
            content += f"%% {asker}\n".encode() + ask(program, parts[b"rules"], parts[b"names"], asker,
                                                      locale_of(file.name))
        file.write_bytes(content)


def differences(names, wanted, got):
    """Print what differs; is there anything?"""
    if wanted == got:
        return False
    lines = zip(names.splitlines() + [b"(end)"], wanted.splitlines() + [b""], got.splitlines() + [b""])
    for name, one, other in list(lines)[:1000]:
        if one != other:
            print(f"# {name!r}: wanted {one!r}, got {other!r}")
            return True
    print(f"# {wanted!r} {got!r}")
    return True


def compare(tftpkd, live, more):
    """Print a result for each file; return the number of those that differ."""
    program = peer() if live else None
    files = sorted((HERE / "maps").glob("*.map"))
    pairs = failed = 0
    print("KTAP version 1\n" + f"1..{len(files) + bool(more)}")
    for number, file in enumerate(files, 1):
        parts = split(file.read_bytes())
        bad = False
        for asker in ASKERS:
            names, locale = parts[b"names"], locale_of(file.name)
            wanted = ask(program, parts[b"rules"], names, asker, locale) if live else parts[asker.encode()]
            bad |= differences(names, wanted, ask(tftpkd, parts[b"rules"], names, asker, locale))
            pairs += wanted.count(b"\n")
        failed += bad
        print(f"{'not ' if bad else ''}ok {number} {file.name}")
    if more:
        bad = False
        for seed in range(1000, 1000 + more):
            rules, names = make_map(seed)
            asker, locale = ASKERS[seed % 3], ("C", "C.UTF-8")[seed // 2 % 2]
            wanted = ask(program, rules, names, asker, locale)
            if wanted != SLOW and differences(names, wanted, ask(tftpkd, rules, names, asker, locale)):
                print(f"# map {seed}, {asker}, {locale}: {rules!r}")
                bad = True
            pairs += wanted.count(b"\n")
        failed += bad
        print(f"{'not ' if bad else ''}ok {len(files) + 1} {more} maps at random")
    print(f"# {pairs} answers")
    return failed


def main():
    """Carry out the command."""
    command, *rest = sys.argv[1:] or [""]
    if command in ("check", "compare") and 1 <= len(rest) <= 2:
        return 1 if compare(rest[0], command == "compare", int(rest[1]) if rest[1:] else 0) else 0
    if command in ("record", "generate") and not rest:
        globals()[command]()
        return 0
    print(__doc__, file=sys.stderr)
    return 2


sys.exit(main())
