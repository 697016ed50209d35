# SPDX-License-Identifier: GPL-2.0
"""What tests of tftpk share. A test is a program that registers functions with @test
and ends with run(served()), or with run(module()) where it exports by itself.
"""

from .clients import atftp, busybox, curl, hpa, start, tftpload
from .far import FAR, reach, routed
from .host import *
from .ktap import *
from .server import *
from .tftp import *
