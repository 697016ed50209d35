#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What is refused and how, what is dropped, and which options are granted: by
# the packet, see errors.py.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
setup

mkdir -m 755 "$srv/folder" "$srv/upload"
mkdir -m 700 "$srv/private"
echo "what the root holds" >"$srv/file"
echo "what the folder holds" >"$srv/folder/file"
echo "what nobody may enter" >"$srv/private/file"
: >"$srv/empty"

# Outside of the export, readable by all, and ways that seem to lead there.
echo "what is not served" >"$work/outside"
mkdir -m 755 "$work/elsewhere"
echo "what is not served" >"$work/elsewhere/file"
chmod 755 "$work"
ln -s "$work/outside" "$srv/absolute-out"
ln -s ../outside "$srv/relative-out"
ln -s ../../../../../../../../etc/passwd "$srv/far-out"
ln -s "$work/elsewhere" "$srv/folder-out"
ln -s /folder/file "$srv/absolute-in"
ln -s folder/../folder/file "$srv/relative-in"
ln -s loop "$srv/loop"
mkdir "$srv/proc"
mount -t proc proc "$srv/proc"
ln -s proc/self/root/etc/passwd "$srv/magic-out"

# Of the right name, but not for reading.
echo "what only root may read" >"$srv/secret"
chmod 600 "$srv/secret"
echo "what only its owner may read" >"$srv/owned"
chown 1000:1000 "$srv/owned"
chmod 600 "$srv/owned"
mkfifo -m 666 "$srv/fifo"
mknod -m 666 "$srv/device" c 1 3
mknod -m 666 "$srv/disk" b 7 0
/usr/bin/python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$srv/socket"
chmod 666 "$srv/socket"
# Names as long as they get, and that are no text.
printf -v longest '%0255d' 0
echo "what the longest name holds" >"$srv/$longest"
echo "what no text holds" >"$srv/"$'\xff\xfe \xe9'
# What is mounted inside is inside; its .. is not that of where it came from.
echo "what the mounted folder holds" >"$work/elsewhere/mounted"
mkdir "$srv/bound"
mount --bind "$work/elsewhere" "$srv/bound"
# These change places with what leads outside.
echo "what is inside" >"$srv/swap"
ln -s "$work/outside" "$srv/swap-link"
mkdir -m 755 "$srv/swap-folder" "$srv/roaming" "$srv/roaming/in" "$work/abroad" "$work/abroad/in"
echo "what is inside" >"$srv/swap-folder/file"
ln -s "$work/elsewhere" "$srv/swap-folder-link"
# Whoever may read, may not write by TFTP.
echo "what was there before" >"$srv/upload/old"
chmod -R a+rwX "$srv/upload"

ctl export "$srv" >/dev/null
run_python errors.py "$@"
