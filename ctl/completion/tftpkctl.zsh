#compdef tftpkctl
# SPDX-License-Identifier: GPL-2.0
# Completion of tftpkctl(8) for zsh; the words come from the tool itself.

# The second words of those lines of 'help --list' that match a pattern.
_tftpkctl_words()
{
	local -a lines
	lines=(${(f)"$(tftpkctl help --list 2>/dev/null)"})
	lines=(${${(M)lines:#${~1}}#* })
	compadd -- ${lines%% *}
}

_tftpkctl()
{
	local curcontext=$curcontext state line
	local -A opt_args

	_arguments -C \
		'(-n --netns)'{-n,--netns}'[work in a network namespace]:network namespace:_files -W /run/netns' \
		'(-j --json)'{-j,--json}'[print JSON]' \
		'(- *)'{-h,--help}'[explain]' \
		'(- *)'{-V,--version}'[print the version]' \
		'--as[prefix that the folder is served under]:prefix:' \
		'--uid[user that files are opened as]:user:_users' \
		'--gid[group that files are opened as]:group:_groups' \
		'--no-symlinks[follow no symbolic links]' \
		'--max-blksize[largest block size granted]:bytes:' \
		'--min-timeout[silence before anything is sent again]:milliseconds:' \
		'--send-ahead[most blocks beyond the ACK]:blocks:' \
		'--dscp[mark what is sent]:code point:(le cs1 af11 af21 af31 af41 ef)' \
		'--max-rate[rate of all clients together]:KiB/s:' \
		'--rollover[number of the block after 65535]:number:(0 1)' \
		'--no-tsize[do not tell the size of files]' \
		'*--for[clients that see the folder]:network:' \
		'*--not-for[clients that do not]:network:' \
		"--root-by[look in the client's folder first]:name:(ip mac)" \
		'--only[look nowhere else]' \
		'--drop-first-folder[do without a first folder that is missing]' \
		'--default[file for what is not found]:file:' \
		'--refusal[text of ERRORs]:text:' \
		'--single-port[answer from the listening port]' \
		'--anycast=-[other servers have the address, too]::time:' \
		'--broadcast[answer requests to a broadcast address, too]' \
		'--wait=-[wait until no transfer is running]::time:' \
		'--from[client to judge]:address:' \
		'--write[write a file, as a client on this machine]' \
		'--timestamp[begin lines with the time]' \
		'--openmetrics[print as OpenMetrics]' \
		'--prometheus[print as Prometheus reads it]' \
		'--out[folder that takes the files]:folder:_files -/' \
		'--force[replace files that are there]' \
		'--save[print what another server can go on with]' \
		'--list[print what a log tells, and ask nothing]' \
		'1: :->command' '*:: :->arguments'

	case $state:$line[1]:$CURRENT in
	command:*) _tftpkctl_words 'command *' ;;
	*:export:2 | *:unexport:2) _files -/ ;;
	*:import:2) compadd tftpd-hpa dnsmasq atftpd ;;
	*:import:* | *:shadow:2) _files ;;
	*:save:2 | *:restore:2 | *:sync:2 | *:warm:2 | *:adopt:2 | *:key:2) _files ;;
	*:kill:2)
		compadd -- ${${(f)"$(tftpkctl transfers 2>/dev/null |
			while read -r id rest; do echo $id; done)"}:#ID}
		;;
	*:listen:3 | *:unlisten:3) compadd dev ;;
	*:listen:4 | *:unlisten:4) _net_interfaces ;;
	*:get:2 | *:set:*[02468]) _tftpkctl_words 'setting *' ;;
	*:set:*)
		case "$(tftpkctl help --list 2>/dev/null |
			grep "^setting $words[CURRENT-1] ")" in
		*' switch '*) compadd on off ;;
		*' any') compadd any ;;
		*'|'*) compadd ${(s:|:)${=:-"$(tftpkctl help --list |
			grep "^setting $words[CURRENT-1] ")"}[5]} ;;
		esac
		;;
	*:help:2) _tftpkctl_words 'command *' ;;
	esac
}

_tftpkctl "$@"
