#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The unit tests in net/tftpk/tests/: what the module tftpk-test says of them, where the
kernel has KUnit.
"""

import pathlib
import re
import sys

from lib import command, execute, skip

if execute("modprobe", "-n", "tftpk-test").returncode:
    skip("this kernel has no KUnit")
command("modprobe", "tftpk-test")
suites = sorted(pathlib.Path("/sys/kernel/debug/kunit").glob("tftpk-*"))
print(f"KTAP version 1\n1..{len(suites)}")
failed = False
for number, suite in enumerate(suites, 1):
    # Each file is a test run of its own, with one result.
    said = (suite / "results").read_text(encoding="utf-8")
    said = re.sub(r"^(KTAP version 1|1\.\.1)\n", "", said, flags=re.MULTILINE)
    print(re.sub(r"^((not )?ok) 1 ", rf"\1 {number} ", said, flags=re.MULTILINE), end="")
    failed |= bool(re.search("^not ok", said, re.MULTILINE))
sys.stdout.flush()
command("rmmod", "tftpk-test")
sys.exit(failed)
