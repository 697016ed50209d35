# SPDX-License-Identifier: GPL-2.0
#
# For config.sh: prints the names of what is not as the manual has it.

# Whole numbers, or null where nothing is known.
def numbers: all(.[]; . == null or (type == "number" and . == floor));
def has_all($keys): . as $object | all($keys[]; . as $key | $object | has($key));

def is_export: has_all(["id", "path", "uid", "gid"]) and ([.id, .uid, .gid] | numbers) and
	.path == $path;
def is_endpoint: has_all(["address", "port", "ifindex", "interface"]) and
	([.port, .ifindex] | numbers);
def is_listener: is_endpoint and (.implicit | type == "boolean");
def is_settings: .zerocopy == true and .gso == true and .detect_changes == true and
	([.max_transfers, .max_blksize, .max_windowsize, .give_up] == [10000, 65464, 64, 30]);

[
	["export", ($export | length == 1 and (.[0].export | is_export) and
		(.[0].listeners | length == 2 and all(.[]; is_listener and .implicit and .port == 69) and
		(map(.address) | sort == ["0.0.0.0", "::"])))],
	["listen", ($listen[0].listen | length == 1 and (.[0] | is_endpoint and .address == $server and
		.port == 69 and .ifindex == 0 and .interface == null))],
	["transfers", ($transfers[0] | length == 1 and (.[0] |
		has_all(["ifindex", "interface", "rtt", "blocks_retransmitted"]) and
		([.id, .client_port, .server_port, .export_id, .rtt, .blocks_retransmitted, .age] | numbers) and
		.state == "sending" and .client_address == $client and .server_address == $server and
		.file == $path + "/large" and .size == 1000000 and .acknowledged < .size and
		.block_size == 512 and .window_size == 1 and .timeout == 6 and .age > 0 and
		.rate == (.acknowledged * 1000 / .age | floor)))],
	["no transfers", $none == [[]]],
	["stats", ($stats[0] | numbers and has_all(["transfers_started", "transfers_completed",
		"transfers_failed", "transfers_active", "blocks_sent", "blocks_retransmitted",
		"bytes_sent", "bytes_copied"]) and .transfers_active == 1 and .transfers_started > 0 and
		.blocks_sent > 0 and .bytes_sent > 0 and .bytes_copied == 0)],
	["show", ($show[0] | (.exports | length == 1 and all(.[]; is_export)) and
		(.listeners | length == 1 and all(.[]; is_listener and .implicit == false)) and
		(.settings | is_settings))],
	["get", ($get[0] | is_settings)],
	["get KEY", $get_one == [{gso: true}]],
	["set", $set[0].set == {gso: true, give_up: 30}],
	["unlisten", ($unlisten[0].unlisten | length == 1 and
		(.[0] | is_endpoint and .address == $server))],
	["unexport", $unexport[0].unexport.path == $path]
] | .[] | select(.[1] | not) | .[0]
