# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154 # dollars of other files; variables of cli
# import and shadow --list; sourced by cli, of whose functions it makes use.

# told SERVER FILE...: "FATE OPTION" of each option.
told()
{
	"$tool" -j import "$@" | sed -n 's/^ *"option": "\(.*\)",$/\1/p
		s/^ *"fate": "\(.*\)",$/\1/p' | sed 's/\\\(["\\]\)/\1/g' |
		paste -d '\t' - - | sed 's/\(.*\)\t\(.*\)/\2 \1/'
}

# lines_of SERVER FILE...: the lines of the files that would be.
lines_of()
{
	"$tool" import "$@" | grep -v -e '^#' -e '^$'
}

# each_option SERVER BEFORE AFTER "FATE OPTION" LINES: a file of all these options,
# each on a line, between BEFORE and AFTER, has these fates, and no others.
each_option()
{
	local said

	{
		echo "$2"
		cut -d ' ' -f 2- <<<"$4" | sed "s/\$/$3/"
		[[ ! $3 ]] || echo '"'
	} >"$work/old"
	same "$4" "$(told "$1" "$work/old")"
	said=$("$tool" import "$1" "$work/old") || true
	[[ $said == *"# options: $(wc -l <<<"$4"), "* ]]
}

# becomes SERVER TEXT LINES: a file of that text becomes these lines.
becomes()
{
	printf '%b\n' "$2" >"$work/old"
	same "$3" "$(lines_of "$1" "$work/old")"
}

# ends SERVER TEXT STATUS PLACE PATTERN: that text is refused, or not, there.
ends()
{
	printf '%b\n' "$2" >"$work/old"
	refuses "$3" "$work/old:$4: $5" import "$1" "$work/old"
}

# All of version 5.2, then what 7.2 has beside them.
hpa_options='becomes --ipv4
becomes -4
becomes --ipv6
becomes -6
needless --listen
needless -l
needless --foreground
becomes --address 192.0.2.1:1069
becomes -a [2001:db8::1]
needless -a :69
lacking -a tftp.example.org:69
lacking -a 192.0.2.1:no-such-service
becomes --create
becomes -c
needless --secure
needless -s
needless --user nobody
becomes -uroot
needless --umask 022
needless --permissive
needless --pidfile /run/x
needless -P/run/x
needless --timeout 9
becomes --retransmit 2000000
needless -T 1000000
lacking -T 1s
becomes --map-file /etc/tftpd.map
lacking -m tftpd.map
needless --verbose
needless -v
needless --verbosity=3
becomes --refuse blksize
becomes -r tsize
becomes -rwindowsize
lacking -r timeout
lacking -r utimeout
lacking -r rollover
needless -r blksize2
becomes --blocksize 1468
lacking -B 70000
becomes --port-range 4096:32768
lacking -R 4096
needless --version
needless -V
lacking --service no-such
becomes --port 6969
needless -S 69
needless --read-only
needless --ro
lacking --max-upload 10
lacking --max-size 10
needless --chroot
needless --jail
needless -j
needless --validate
becomes --path-prefix /srv
lacking --map-steps 10
needless --map-test /x
needless --normalize
needless --normalize=path
needless --reject cookie
lacking --refuse-all
lacking --reject-all
needless -B mtu
lacking -B mtu-8
becomes --windowsize 16
becomes -W 8
needless --window-bytes 0
lacking --window-bytes 65536
becomes --ports 5000:5010
needless --syslog
needless --stderr
needless --stdout=tag
needless --logfile /var/log/x
needless --logformat human
needless --systemd
needless --foregr
lacking --verbos
lacking --re
lacking --frobnicate
lacking -x
lacking a
becomes /tftp'

atftpd_options='needless --tftpd-timeout 300
needless -t 300
needless --retry-timeout 5
becomes -r 2
lacking -r x
becomes --maxthread 100
becomes -m10
lacking --rate 60
needless --verbose=5
needless --verbose
needless -v5
needless -v
needless --trace
lacking --no-timeout
becomes --no-tsize
becomes --no-blksize
becomes --no-windowsize
needless --no-multicast
needless --logfile /var/log/x
needless --pidfile /run/x
needless --listen-local
needless --daemon
needless --no-fork
becomes --user nobody.nogroup
becomes --group root
needless --port 69
becomes --bind-address 192.0.2.1
lacking --mcast-ttl 1
lacking --mcast_ttl 1
lacking --mcast-addr 239.255.0.0-255
lacking --mcast_addr 239.255.0.0-255
lacking --mcast-port 1758
lacking --mcast_port 1758
lacking --mcast-switch-client
lacking --mtftp /x
lacking --mtftp-port 75
lacking --no-source-port-checking
needless --pcre-test /x
needless --prevent-sas
needless --version
needless -V
needless --help
needless -h
lacking --frobnicate
lacking here
becomes /srv/tftp'

dnsmasq_options='needless enable-tftp
becomes tftp-root=/srv/tftp
becomes tftp-root=/srv/lo,lo
lacking tftp-root=/srv/x,no-such-if
becomes tftp-unique-root
lacking tftp-unique-root=mac
becomes tftp-lowercase
lacking tftp-secure
becomes tftp-max=50
lacking tftp-max=0
becomes tftp-mtu=1500
lacking tftp-mtu=x
becomes tftp-no-blocksize
becomes tftp-port-range=5000,4000
lacking tftp-port-range=5000
becomes tftp-single-port
lacking tftp-no-fail
needless quiet-tftp
lacking dhcp-script=/bin/true
lacking dhcp-luascript=/x.lua
lacking conf-script=/bin/true
lacking tftp-frobnicate
lacking tftp-root'

# What is there besides options.
hpa_file='RUN_DAEMON="yes"\nTFTP_USERNAME=tftp\nTFTP_DIRECTORY="/srv/tftp"\nTFTP_ADDRESS=":69"\nTFTP_OPTIONS="--secure"'

reads_quotes()
{
	becomes tftpd-hpa \
		"A='/a b' # x\nexport B=\"\\\\\$c\"/x\\\\ y;TFTP_DIRECTORY=\$A\${B}'\"'# # y\nTFTP_OPTIONS=\"-s \\\\\n -B\\\\\n 600\"" \
		$'set max-blksize 600\nexport /a' &&
		becomes tftpd-hpa "TFTP_OPTIONS='-s /x#\"y'" 'export "/x#\"y"'
}

reads_starters()
{
	becomes tftpd-hpa 'service tftp\n{\n\tserver = /usr/sbin/in.tftpd\n\tserver_args = -s /tftpboot -m /etc/map\n\tflags = IPv4\n\tonly_from = 10.0.0.0 192.0.2.7\n\tonly_from += 2001:db8::/32 192.0.2.0/25\n\tno_access = 10.9.0.0\n\tbind = 192.0.2.1\n\tport = 1069\n}\nservice daytime\n{\n\tuser = root\n}' \
		'set resolve all
listen 192.0.2.1:1069
export /tftpboot --for 10.0.0.0/8 --for 192.0.2.7 --for 2001:db8::/32 --for 192.0.2.0/25 --not-for 10.9.0.0/16
map /etc/map' &&
		becomes tftpd-hpa 'time stream tcp nowait root internal\ntftp dgram udp6 wait root /usr/sbin/tcpd in.tftpd -s /srv/tftp' \
			$'listen ::\nexport /srv/tftp' &&
		becomes tftpd-hpa '/usr/sbin/in.tftpd -v -l -s /tftpboot' 'export /tftpboot' &&
		becomes tftpd-hpa '[Service]\nEnvironment="A=-s -B 600"\nUser=tftp\nExecStart=-/usr/sbin/in.tftpd \\\n $A "/srv/a b"\n[Socket]\nListenDatagram=192.0.2.1:69\nListenDatagram=\nListenDatagram=[::]:6969\nBindToDevice=eth1' \
			$'set max-blksize 600\nlisten [::]:6969 dev eth1\nexport "/srv/a b"'
}

# A unit of a package, and what the administrator has changed.
reads_drop_in()
{
	local unit='[Service]\nEnvironment=TFTPD_HOME=/var/lib/tftpboot\nEnvironment=TFTPD_OPTS=\nExecStart=/usr/sbin/in.tftpd $TFTPD_OPTS --systemd --jail ${TFTPD_HOME}\n'
	local change='[Service]\nEnvironment=TFTPD_HOME=/srv/tftp'

	# shellcheck disable=SC2059 # escapes
	printf "$unit" >"$work/unit"
	becomes tftpd-hpa "$change" 'export /srv/tftp' &&
		same 'export /srv/tftp' "$(lines_of tftpd-hpa "$work/unit" "$work/old")"
}

without_secure()
{
	becomes tftpd-hpa 'TFTP_DIRECTORY="/srv/a /srv/b"\nTFTP_OPTIONS="--permissive --user root"' \
		'export /srv/a --as /srv/a --uid root --gid root
export /srv/b --as /srv/b --uid root --gid root' &&
		becomes tftpd-hpa 'TFTP_DIRECTORY="/a"\nTFTP_OPTIONS="--path-prefix /srv"' \
			'export /srv/a --as /a'
}

takes_uploads()
{
	becomes tftpd-hpa 'TFTP_DIRECTORY="/srv/a"\nTFTP_OPTIONS="-s -c -U 027 -m /etc/map"' \
		'set resolve all
set uploads on
export /srv/a
map /etc/map
inbox /srv/a existing replace mode 0640 max-size 16M quota 2G' &&
		becomes tftpd-hpa 'TFTP_DIRECTORY="/srv/a /srv/b"\nTFTP_OPTIONS="--create"' \
			'set uploads on
export /srv/a --as /srv/a
export /srv/b --as /srv/b
inbox /srv/a as /srv/a existing replace mode 0644 max-size 16M quota 2G
inbox /srv/b as /srv/b existing replace mode 0644 max-size 16M quota 2G' &&
		becomes tftpd-hpa '/usr/sbin/in.tftpd -c /srv//./a/' 'set uploads on
export /srv//./a/ --as /srv//./a/
inbox /srv//./a/ as /srv/a existing replace mode 0644 max-size 16M quota 2G' &&
		same 'lacking --create' "$(echo '/usr/sbin/in.tftpd -c /srv/../a' >"$work/old" && told tftpd-hpa "$work/old" | grep -e '--create')" &&
		same 'lacking -U x' "$(echo '/usr/sbin/in.tftpd -s -U x /a' >"$work/old" && told tftpd-hpa "$work/old" | grep -e '-U')"
}

reads_patterns()
{
	printf '%s\n' '# x' '^(\w+)\.cfg$ $1/default#' 'a++ b' '(?i)x y' '[^/]x\d z' \
		>"$work/pcre"
	becomes atftpd "OPTIONS=\"--pcre $work/pcre /srv/tftp\"" 'set resolve missing
export /srv/tftp
export /srv/tftp --as /srv/tftp
map /etc/tftpk/atftpd.map
re ^([[:alnum:]_]+)\.cfg$ \1/default\#
re [^/]x[0-9] z'
}

reads_dnsmasq()
{
	mkdir -p "$work/dir"
	echo 'tftp-max=5' >"$work/dir/a.conf"
	echo 'tftp-max=6' >"$work/dir/b.txt"
	echo 'tftp-unique-root=mac' >"$work/c"
	becomes dnsmasq "interface=eth1 # x\nlisten-address=192.0.2.1,::1\nenable-tftp\ntftp-root=\"/srv/a,#b\"\nconf-dir=$work/dir/,*.conf\nconf-file = $work/c\nconf-file=$work/c\ntftp-lowercase\ntftp-single-port\ndhcp-range=10.0.0.1,10.0.0.9" \
		'set max-transfers 5
set resolve missing
listen 192.0.2.1 --single-port
listen ::1 --single-port
listen * dev eth1 --single-port
export "/srv/a,#b" --root-by mac
export "/srv/a,#b" --as "/srv/a,#b" --root-by mac
fold-case' &&
		becomes dnsmasq 'enable-tftp=eth1,eth2\ninterface=eth3\ntftp-root=/a' \
			$'listen * dev eth1\nlisten * dev eth2\nexport /a\nexport /a --as /a' &&
		becomes dnsmasq '/usr/sbin/dnsmasq -d --enable-tftp --tftp-root /a -i eth1 -p 0' \
			$'listen * dev eth1\nexport /a\nexport /a --as /a'
}

counts_other_lines()
{
	printf '%s\n' domain-needed 'enable-tftp' '# x' '' tftp-root=/a \
		interface=lo 'dhcp-range=10.0.0.1,10.0.0.9' >"$work/old"
	"$tool" import dnsmasq "$work/old" | grep -q '^# options: 3, translated: 2, needless: 1, without equivalent: 0, lines that are not about TFTP: 2$'
}

# The exit status tells whether anything has no equivalent.
tells_by_status()
{
	local status=0

	printf '%b\n' "$hpa_file" | "$tool" import tftpd-hpa - >/dev/null
	printf '%b\n' "${hpa_file/--secure/--map-steps 9}" |
		"$tool" import tftpd-hpa - >/dev/null || status=$?
	((status == 1))
}

# Files are written all or not at all, and replaced only if told so.
writes_files()
{
	local out=$work/out

	mkdir "$out"
	printf '%b\n' "${hpa_file/--secure/-s -m /etc/map}" >"$work/old"
	echo old >"$out/tftpkd.conf"
	refuses 1 "$out/tftpkd.conf is there already" import tftpd-hpa "$work/old" --out "$out"
	[[ ! -e $out/tftpk.conf && $(<"$out/tftpkd.conf") == old ]]
	"$tool" import tftpd-hpa "$work/old" --out "$out" --force >/dev/null
	same $'set resolve all\nexport /srv/tftp\nmap /etc/map' \
		"$(grep -hv '^#' "$out/tftpk.conf" "$out/tftpkd.conf")"
	refuses 1 'cannot write' import tftpd-hpa "$work/old" --out "$work/nonexistent"
}

log_lines='Nov 27 03:49:00 host in.tftpd[8621]: RRQ from 192.0.2.7 filename a b
Nov 27 03:49:00 host in.tftpd[8622]: RRQ from ::ffff:192.0.2.7 filename nope remapped to other
Nov 27 03:49:00 host in.tftpd[8622]: sending NAK (1, File not found) to ::ffff:192.0.2.7
Nov 27 03:49:00 host in.tftpd[8623]: RRQ from 192.0.2.7 filename c remapped to d
Nov 27 03:49:01 host in.tftpd[8625]: WRQ from 192.0.2.8 filename up
in.tftpd[8397]: notice: RRQ from 127.0.0.1:41004 filename a
in.tftpd[8397]: notice: 127.0.0.1:41004: read completed: a
in.tftpd[8399]: notice: RRQ from [2001:db8::1]:41658 filename nope
in.tftpd[8399]: info: [2001:db8::1]:41658: sending ERROR 1: No such file or directory)
Nov 27 10:00:00 gw dnsmasq-tftp[99]: sent /srv/tftp/pxelinux.0 to 192.0.2.7
Nov 27 10:00:00 gw dnsmasq-tftp[99]: sent /srv/tftp/pxelinux.0 to 192.0.2.7
Nov 27 10:00:00 gw dnsmasq-tftp[99]: file /srv/to x/C0000207 not found for 192.0.2.7
Nov 27 10:00:00 gw dnsmasq-tftp[99]: cannot access /srv/tftp/x: Permission denied
Nov 27 10:00:00 gw dnsmasq-dhcp[99]: sent this to that
2026-11-27T10:00:00+00:00 gw atftpd[12]: Serving pxelinux.0 to 192.0.2.9:1025
2026-11-27T10:00:00+00:00 gw atftpd[12]: Serving b to 2001:db8::9:1025
2026-11-27T10:00:00+00:00 gw atftpd[12]: File /srv/tftp/b not found
2026-11-27T10:00:00+00:00 gw atftpd[12]: Fetching from 192.0.2.9 to up
<29>1 2026-11-27T10:00:00Z gw in.tftpd 8621 - - RRQ from fe80::1%eth0 filename z
RRQ from 192.0.2.7 filename a b
nonsense'
log_requests='192.0.2.7: a b, 2 times: was sent
192.0.2.7: nope: was refused
192.0.2.7: c: was sent as d
192.0.2.8: up: was taken
127.0.0.1: a: was sent
2001:db8::1: nope: was refused
192.0.2.7: /srv/tftp/pxelinux.0, 2 times: was sent
192.0.2.7: /srv/to x/C0000207: was refused
-: /srv/tftp/x: was refused
192.0.2.9: pxelinux.0: was sent
2001:db8::9: b: was refused
192.0.2.9: up: was taken
fe80::1%eth0: z: was sent'

reads_logs()
{
	same "$log_requests" "$("$tool" shadow --list - <<<"$log_lines")"
}

usage 'usage: tftpkctl import' import
usage "did you mean 'tftpd-hpa'" import tftp-hpa
usage "no server 'frobnicate'" import frobnicate
usage '--force goes with --out' import tftpd-hpa --force
fails 'cannot open /nonexistent' import tftpd-hpa /nonexistent
fails 'tells nothing of its TFTP server' import dnsmasq /dev/null
fails 'tells nothing of its TFTP server' import atftpd /dev/null

check 'import: all options of tftpd-hpa' each_option tftpd-hpa 'TFTP_OPTIONS="' ' ' "$hpa_options"
check 'import: all options of atftpd' each_option atftpd 'OPTIONS="' ' ' "$atftpd_options"
check 'import: all options of dnsmasq' each_option dnsmasq '' '' "$dnsmasq_options"
check 'import: a file of variables' becomes tftpd-hpa "$hpa_file" 'export /srv/tftp'
check 'import: quotes, comments and variables' reads_quotes
check 'import: xinetd, inetd, units and command lines' reads_starters
check 'import: a unit and what changes it' reads_drop_in
check 'import: whole paths and users' without_secure
check 'import: uploads' takes_uploads
check "import: atftpd's patterns" reads_patterns
check "import: dnsmasq's files, and those that they name" reads_dnsmasq
check 'import: other lines are counted' counts_other_lines
check 'import: the status tells of what has no equivalent' tells_by_status
check 'import: files are not overwritten' writes_files

check 'import: a quote that is open' ends tftpd-hpa 'A=1\nTFTP_OPTIONS="-s\n' 1 2:14 'the quote is not closed'
check 'import: a command in a value' ends tftpd-hpa 'TFTP_OPTIONS="$(id)"' 1 1:15 'nothing is executed'
check 'import: a command in backquotes' ends tftpd-hpa 'TFTP_OPTIONS=`id`' 1 1:14 'nothing is executed'
check 'import: a variable of elsewhere' ends atftpd 'OPTIONS="x $HOME"' 1 1:12 'no variable that this file has set'
check 'import: a default value' ends atftpd 'OPTIONS=${X:-y}' 1 1:9 'nothing is executed'
check 'import: a pipe' ends atftpd 'OPTIONS=x|y' 1 1:10 'nothing is executed'
check 'import: an open quote of dnsmasq' ends dnsmasq 'x\ntftp-root="/x' 1 2:11 'the quote is not closed'

usage 'usage: tftpkctl shadow LOG' shadow
fails 'cannot open /nonexistent' shadow /nonexistent
fails 'tells of no request' shadow /dev/null
check 'shadow: logs of all servers' reads_logs
