# SPDX-License-Identifier: GPL-2.0
# Completion of tftpkd(8) for bash; the words come from the tool itself.

_tftpkd()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}

	case $prev in
	-f | --config | -m | --map-file | --map-test)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		;;
	--root) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
	--map-steps) COMPREPLY=() ;;
	*)
		mapfile -t COMPREPLY < <(compgen -W "$(tftpkd --list 2>/dev/null |
			grep -e '^--' | grep -vx -e --list)" -- "$cur")
		;;
	esac
}

complete -o filenames -F _tftpkd tftpkd
