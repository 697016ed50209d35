#compdef tftpkd
# SPDX-License-Identifier: GPL-2.0
# Completion of tftpkd(8) for zsh.

_arguments \
	'(-f --config)'{-f,--config}'[read another configuration]:file:_files' \
	'--check[only tell what is wrong with the configuration]' \
	'--answer[answer questions on standard input]' \
	'--root[the files that there are then]:folder:_files -/' \
	'--map-test[print what rules make of names]:file of names:_files' \
	'(-m --map-file)'{-m,--map-file}'[the rules]:file of rules:_files' \
	'--map-steps[fail after so many rules]:number: ' \
	'(-4 --ipv4 -6 --ipv6)'{-4,--ipv4}'[for an IPv4 client]' \
	'(-4 --ipv4 -6 --ipv6)'{-6,--ipv6}'[for an IPv6 client]' \
	'(-c --create)'{-c,--create}'[for a client that puts files]' \
	'(-h --help)'{-h,--help}'[explain the options]' \
	'(-V --version)'{-V,--version}'[print the version]'
