# SPDX-License-Identifier: GPL-2.0
# Completion of tftpkctl(8) for bash; the words come from the tool itself.

# Words of a kind: command, setting, option (of command $2) or value (of
# setting $2).
_tftpkctl_words()
{
	local kind word rest

	tftpkctl help --list 2>/dev/null | while read -r kind word rest; do
		case $1:$kind in
		option:option)
			[[ "$word $rest" == "--list help" ||
				($rest && $rest != "$2") ]] ||
				echo "$word"
			;;
		value:setting)
			case $word:$rest in
			"$2":*' switch '*) echo on off ;;
			"$2":*' any') echo any ;;
			"$2":*'|'*)
				rest=${rest#* * }
				tr '|' '\n' <<<"${rest% *}"
				;;
			esac
			;;
		"$kind:$1")
			echo "$word"
			;;
		esac
	done
}

_tftpkctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local command='' words='' i position=0

	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-n | --netns | --as | --uid | --gid | --from | \
			--max-blksize | --min-timeout | --send-ahead | --rollover | \
			--dscp | --max-rate | \
			--for | --not-for | --root-by | --default | --refusal | --out) ((i++)) ;;
		-*) ;;
		*)
			if [[ $command ]]; then
				((position++))
			else
				command=${COMP_WORDS[i]}
			fi
			;;
		esac
	done

	case $prev:$command:$position in
	-n:* | --netns:*)
		words=$(ls /run/netns 2>/dev/null)
		;;
	--uid:*) words=$(compgen -u) ;;
	--gid:*) words=$(compgen -g) ;;
	--rollover:*) words='0 1' ;;
	--root-by:*) words='ip mac' ;;
	--dscp:*) words='le cs1 af11 af21 af31 af41 ef' ;;
	--as:* | --from:* | --max-blksize:* | --min-timeout:* | --send-ahead:* | --max-rate:* | --for:* | --not-for:* | \
		--default:* | --refusal:*) ;;
	*)
		if [[ $cur == -* ]]; then
			words=$(_tftpkctl_words option "$command")
		elif [[ ! $command || $command:$position == help:0 ]]; then
			words=$(_tftpkctl_words command)
		fi
		;;&
	--out:import:* | *:export:0 | *:unexport:0)
		if [[ $cur != -* ]]; then
			compopt -o filenames 2>/dev/null
			mapfile -t COMPREPLY < <(compgen -d -- "$cur")
			return
		fi
		;;
	*:import:0) [[ $cur == -* ]] || words='tftpd-hpa dnsmasq atftpd' ;;
	*:import:* | *:shadow:0 | *:save:0 | *:restore:0 | *:sync:0 | *:warm:0 | \
		*:adopt:0 | *:key:0)
		if [[ $cur != -* ]]; then
			compopt -o filenames 2>/dev/null
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			return
		fi
		;;
	*:kill:0)
		words=$(tftpkctl transfers 2>/dev/null |
			while read -r i _; do echo "$i"; done)
		words=${words#ID}
		;;
	*:listen:0 | *:unlisten:0) ;;
	dev:listen:* | dev:unlisten:*) words=$(ls /sys/class/net) ;;
	*:listen:* | *:unlisten:*) [[ $cur == -* ]] || words=dev ;;
	*:set:*[02468] | *:get:0) words=$(_tftpkctl_words setting) ;;
	*:set:*) words=$(_tftpkctl_words value "$prev") ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _tftpkctl tftpkctl
