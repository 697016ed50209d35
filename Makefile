# SPDX-License-Identifier: GPL-2.0
# `make help` tells what there is. The kernel's build reads Kbuild instead.

KVER ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KVER)/build

export TESTS V

.PHONY: all modules tools modules_install install clean check quick fuzz soak \
	torture bench demo lint mainline help kdir

all: modules tools

# Debian's kernels ask for BTF and signatures of modules, but their headers do
# not bring the key, nor those of 6.1 a vmlinux: spare the user the messages.
lacking := $(if $(wildcard $(KDIR)/vmlinux),,CONFIG_DEBUG_INFO_BTF_MODULES=) \
	$(if $(wildcard $(KDIR)/certs/signing_key.*),,CONFIG_MODULE_SIG_ALL=)

modules modules_install: kdir
	$(MAKE) -C $(KDIR) M=$(CURDIR) $(lacking) $@

tools:
	$(MAKE) -C ctl

install:
	$(MAKE) -C ctl $@

clean:
	$(MAKE) -C ctl $@
	find . -path ./ctl -prune -o -path ./.git -prune -o -type f \( \
		-name '*.o' -o -name '*.ko' -o -name '*.mod' -o -name '*.mod.c' -o \
		-name '.*.cmd' -o -name modules.order -o -name Module.symvers -o \
		-name features.h \
		\) -exec rm {} +
	rm -rf build

check:
	@scripts/install-deps
	@tools/testing/vm/kernels 6.1 6.12 >/dev/null
	@tools/testing/check $(SUITES)

quick:
	@scripts/install-deps build vm lint
	@tools/testing/vm/kernels 6.12 >/dev/null
	@tools/testing/check --quick $(SUITES)

torture:
	@scripts/install-deps build vm debug mainline
	@tools/testing/vm/kernels 6.1 6.12 >/dev/null
	@tools/testing/check --torture $(SUITES)

bench:
	@scripts/install-deps build vm bench
	@scripts/bench/run $(SECTIONS)
	@scripts/bench/report build/bench/6.12.json

demo:
	@scripts/install-deps build vm
	@tools/testing/vm/demo

# What takes long; HOURS=N for longer. The debug kernel finds what goes wrong.
HOURS ?= 1
debug = tools/testing/vm/run --kernel debug --mem 2G \
	--timeout $$(($(HOURS) * 7200 + 3600)) -- \
	env TFTPK_TIMEOUT=$$(($(HOURS) * 7200 + 1800))

fuzz:
	@scripts/install-deps build vm debug fuzz
	@tools/testing/fuzz/run $$(($(HOURS) * 1800))
	@$(debug) TFTPK_FUZZ_SECONDS=$$(($(HOURS) * 90)) \
		TESTS="fuzz_packets fuzz_netlink" /vm/run-tests

soak:
	@scripts/install-deps build vm debug
	@$(debug) TFTPK_SOAK=$$(($(HOURS) * 100)) TESTS=soak /vm/run-tests

lint:
	@scripts/install-deps build lint
	@scripts/lint

mainline:
	@scripts/install-deps build mainline
	@scripts/mainline

help:
	@echo 'make                   build the module, tftpkctl and tftpkd'
	@echo 'make modules           the module only, for the running kernel or KDIR='
	@echo 'make tools             tftpkctl and tftpkd only'
	@echo 'make modules_install   install the module; INSTALL_MOD_PATH= is its root'
	@echo 'make install           install both, their manual and completions;'
	@echo '                       PREFIX=/usr/local DESTDIR='
	@echo 'make clean             remove what was built here'
	@echo ''
	@echo 'These bring along all that they need, kernels too, and load nothing on'
	@echo 'this machine. The kernels stay in ~/.cache/tftpk, or in TFTPK_CACHE.'
	@echo ''
	@echo 'make demo              boot a VM, serve a kernel and an initrd in it'
	@echo 'make check             all tests; SUITES="6.12 lint" TESTS="loss" for some'
	@echo 'make quick             for between two changes: the core tests in one VM,'
	@echo '                       and the linters on what is not committed yet'
	@echo 'make torture           bad networks in all combinations, with atftpd for'
	@echo '                       comparison; 200 rounds of teardown; make mainline;'
	@echo '                       hours'
	@echo 'make bench             what a block costs, beside other servers: hours;'
	@echo '                       SECTIONS="cost" for some, see scripts/bench/run;'
	@echo '                       tables and plots come into build/bench'
	@echo 'make lint              the linters'
	@echo 'make mainline          in the tree of Linux, as a part of it: W=1, sparse,'
	@echo '                       KUnit'
	@echo 'make fuzz              all fuzzers for an hour, HOURS=N for more'
	@echo 'make soak              mixed clients for an hour: does anything grow?'
	@echo 'tools/testing/vm/run --shell   a VM to try things in; --help for more'

# Which kernel it is stands at the head of its configuration: "Linux/arm64 6.1.0 ...".
# ARCH has several names for x86.
config := $(KDIR)/include/config/auto.conf
is := $(shell sed -n 's,^.*Linux/\([^ ]*\) \([^ ]*\) Kernel Configuration.*,\1 \2,p' \
	$(config) 2>/dev/null)
arch := $(if $(ARCH),$(ARCH),$(shell uname -m))
arch_of = $(shell echo $(1) | sed 's/^i.86$$/x86/; s/^x86_64$$/x86/; s/^aarch64.*/arm64/; \
	s/^arm[^6].*/arm/; s/^s390x$$/s390/; s/^ppc.*/powerpc/; s/^riscv.*/riscv/; \
	s/^mips.*/mips/; s/^loongarch.*/loongarch/; s/^parisc.*/parisc/; s/^sparc.*/sparc/')

kdir:
ifeq ($(wildcard $(KDIR)/Makefile),)
	@echo 'tftpk: $(KDIR) has no headers of a kernel: wanted are those of Linux 6.1 or' \
		'newer, of Debian'\''s kernels the package linux-headers-$(KVER), or' \
		'KDIR=FOLDER' >&2; false
else ifeq ($(wildcard $(config)),)
	@echo 'tftpk: $(KDIR) is no kernel that modules can be built for, as it has no' \
		'include/config/auto.conf: wanted is the build folder of Linux 6.1 or newer,' \
		'after "make modules_prepare", or what Debian calls linux-headers' >&2; false
else ifneq ($(is),)
ifneq ($(call arch_of,$(firstword $(is))),$(call arch_of,$(arch)))
	@echo 'tftpk: $(KDIR) is Linux $(lastword $(is)) for $(firstword $(is)), but the module' \
		'would be for $(call arch_of,$(arch)): wanted is another KDIR, or' \
		'ARCH=$(firstword $(is)) and CROSS_COMPILE=' >&2; false
endif
endif
