// SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause)
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/tftpk.yaml */
/* YNL-GEN kernel source */

#include <net/netlink.h>
#include <net/genetlink.h>

#include "genl.h"

#include <uapi/linux/tftpk.h>

/* Integer value ranges */
static const struct netlink_range_validation tftpk_a_export_max_blksize_range = {
	.min	= 512ULL,
	.max	= 65464ULL,
};

static const struct netlink_range_validation tftpk_a_export_min_timeout_range = {
	.max	= 60000ULL,
};

static const struct netlink_range_validation tftpk_a_answer_time_to_live_range = {
	.max	= 86400000ULL,
};

static const struct netlink_range_validation tftpk_a_settings_max_transfers_range = {
	.min	= 1ULL,
	.max	= 1000000ULL,
};

static const struct netlink_range_validation tftpk_a_settings_max_blksize_range = {
	.min	= 512ULL,
	.max	= 65464ULL,
};

static const struct netlink_range_validation tftpk_a_settings_port_low_range = {
	.max	= 65535ULL,
};

static const struct netlink_range_validation tftpk_a_settings_port_high_range = {
	.max	= 65535ULL,
};

static const struct netlink_range_validation tftpk_a_settings_max_per_client_range = {
	.max	= 1000000ULL,
};

static const struct netlink_range_validation tftpk_a_settings_max_unverified_range = {
	.min	= 1ULL,
	.max	= 1000000ULL,
};

static const struct netlink_range_validation tftpk_a_settings_max_pinned_range = {
	.min	= 1ULL,
	.max	= 16777216ULL,
};

static const struct netlink_range_validation tftpk_a_settings_source_burst_range = {
	.max	= 65535ULL,
};

static const struct netlink_range_validation tftpk_a_settings_source_rate_range = {
	.min	= 1ULL,
	.max	= 65535ULL,
};

static const struct netlink_range_validation tftpk_a_settings_untrusted_rate_range = {
	.min	= 1ULL,
	.max	= 4194304ULL,
};

static const struct netlink_range_validation tftpk_a_settings_untrusted_total_range = {
	.min	= 1ULL,
	.max	= 4194304ULL,
};

static const struct netlink_range_validation tftpk_a_settings_min_timeout_range = {
	.max	= 60000ULL,
};

static const struct netlink_range_validation tftpk_a_settings_max_pending_range = {
	.min	= 1ULL,
	.max	= 65535ULL,
};

static const struct netlink_range_validation tftpk_a_settings_max_unwritten_range = {
	.min	= 1ULL,
	.max	= 65536ULL,
};

static const struct netlink_range_validation tftpk_a_settings_crowd_range = {
	.max	= 65536ULL,
};

/* Common nested types */
const struct nla_policy tftpk_network_nl_policy[TFTPK_A_NETWORK_PREFIX_LENGTH + 1] = {
	[TFTPK_A_NETWORK_ADDRESS] = { .type = NLA_BINARY, },
	[TFTPK_A_NETWORK_PREFIX_LENGTH] = { .type = NLA_U8, },
};

/* TFTPK_CMD_EXPORT_ADD - do */
static const struct nla_policy tftpk_export_add_nl_policy[TFTPK_A_EXPORT_MAX_RATE + 1] = {
	[TFTPK_A_EXPORT_PATH] = { .type = NLA_NUL_STRING, .len = TFTPK_PATH_MAX, },
	[TFTPK_A_EXPORT_UID] = { .type = NLA_U32, },
	[TFTPK_A_EXPORT_GID] = { .type = NLA_U32, },
	[TFTPK_A_EXPORT_PREFIX] = { .type = NLA_NUL_STRING, .len = TFTPK_PATH_MAX, },
	[TFTPK_A_EXPORT_NO_SYMLINKS] = { .type = NLA_FLAG, },
	[TFTPK_A_EXPORT_MAX_BLKSIZE] = NLA_POLICY_FULL_RANGE(NLA_U32, &tftpk_a_export_max_blksize_range),
	[TFTPK_A_EXPORT_MIN_TIMEOUT] = NLA_POLICY_FULL_RANGE(NLA_U32, &tftpk_a_export_min_timeout_range),
	[TFTPK_A_EXPORT_ROLLOVER] = NLA_POLICY_MAX(NLA_U8, 1),
	[TFTPK_A_EXPORT_NO_TSIZE] = { .type = NLA_FLAG, },
	[TFTPK_A_EXPORT_FOR] = NLA_POLICY_NESTED(tftpk_network_nl_policy),
	[TFTPK_A_EXPORT_NOT_FOR] = NLA_POLICY_NESTED(tftpk_network_nl_policy),
	[TFTPK_A_EXPORT_ROOT_BY] = NLA_POLICY_MAX(NLA_U32, 2),
	[TFTPK_A_EXPORT_ONLY] = { .type = NLA_FLAG, },
	[TFTPK_A_EXPORT_DROP_FIRST_FOLDER] = { .type = NLA_FLAG, },
	[TFTPK_A_EXPORT_DEFAULT] = { .type = NLA_NUL_STRING, .len = TFTPK_PATH_MAX, },
	[TFTPK_A_EXPORT_REFUSAL] = { .type = NLA_NUL_STRING, .len = TFTPK_REFUSAL_MAX, },
	[TFTPK_A_EXPORT_SEND_AHEAD] = NLA_POLICY_MAX(NLA_U8, 63),
	[TFTPK_A_EXPORT_DSCP] = NLA_POLICY_MAX(NLA_U8, 63),
	[TFTPK_A_EXPORT_MAX_RATE] = NLA_POLICY_MIN(NLA_U32, 1),
};

/* TFTPK_CMD_EXPORT_DEL - do */
static const struct nla_policy tftpk_export_del_nl_policy[TFTPK_A_EXPORT_PREFIX + 1] = {
	[TFTPK_A_EXPORT_PATH] = { .type = NLA_NUL_STRING, .len = TFTPK_PATH_MAX, },
	[TFTPK_A_EXPORT_PREFIX] = { .type = NLA_NUL_STRING, .len = TFTPK_PATH_MAX, },
};

/* TFTPK_CMD_LISTENER_ADD - do */
static const struct nla_policy tftpk_listener_add_nl_policy[TFTPK_A_LISTENER_ANYCAST + 1] = {
	[TFTPK_A_LISTENER_ADDRESS] = { .type = NLA_BINARY, },
	[TFTPK_A_LISTENER_PORT] = { .type = NLA_U16, },
	[TFTPK_A_LISTENER_IFINDEX] = { .type = NLA_U32, },
	[TFTPK_A_LISTENER_SINGLE_PORT] = { .type = NLA_FLAG, },
	[TFTPK_A_LISTENER_BROADCAST] = { .type = NLA_FLAG, },
	[TFTPK_A_LISTENER_INTERFACE] = { .type = NLA_NUL_STRING, .len = 15, },
	[TFTPK_A_LISTENER_ANYCAST] = { .type = NLA_U32, },
};

/* TFTPK_CMD_LISTENER_DEL - do */
static const struct nla_policy tftpk_listener_del_nl_policy[TFTPK_A_LISTENER_INTERFACE + 1] = {
	[TFTPK_A_LISTENER_ADDRESS] = { .type = NLA_BINARY, },
	[TFTPK_A_LISTENER_PORT] = { .type = NLA_U16, },
	[TFTPK_A_LISTENER_IFINDEX] = { .type = NLA_U32, },
	[TFTPK_A_LISTENER_INTERFACE] = { .type = NLA_NUL_STRING, .len = 15, },
};

/* TFTPK_CMD_SETTINGS_SET - do */
static const struct nla_policy tftpk_settings_set_nl_policy[TFTPK_A_SETTINGS_CROWD + 1] = {
	[TFTPK_A_SETTINGS_ZEROCOPY] = NLA_POLICY_MAX(NLA_U8, 1),
	[TFTPK_A_SETTINGS_GSO] = NLA_POLICY_MAX(NLA_U8, 1),
	[TFTPK_A_SETTINGS_DETECT_CHANGES] = NLA_POLICY_MAX(NLA_U8, 1),
	[TFTPK_A_SETTINGS_MAX_TRANSFERS] = NLA_POLICY_FULL_RANGE(NLA_U32, &tftpk_a_settings_max_transfers_range),
	[TFTPK_A_SETTINGS_MAX_BLKSIZE] = NLA_POLICY_FULL_RANGE(NLA_U32, &tftpk_a_settings_max_blksize_range),
	[TFTPK_A_SETTINGS_MAX_WINDOWSIZE] = NLA_POLICY_RANGE(NLA_U32, 1, 16384),
	[TFTPK_A_SETTINGS_GIVE_UP] = NLA_POLICY_RANGE(NLA_U32, 1, 3600),
	[TFTPK_A_SETTINGS_STRICT_OPTIONS] = NLA_POLICY_MAX(NLA_U8, 1),
	[TFTPK_A_SETTINGS_CLAMP_MTU] = NLA_POLICY_MAX(NLA_U8, 1),
	[TFTPK_A_SETTINGS_PORT_LOW] = NLA_POLICY_FULL_RANGE(NLA_U32, &tftpk_a_settings_port_low_range),
	[TFTPK_A_SETTINGS_PORT_HIGH] = NLA_POLICY_FULL_RANGE(NLA_U32, &tftpk_a_settings_port_high_range),
	[TFTPK_A_SETTINGS_MAX_PER_CLIENT] = NLA_POLICY_FULL_RANGE(NLA_U32, &tftpk_a_settings_max_per_client_range),
	[TFTPK_A_SETTINGS_MAX_UNVERIFIED] = NLA_POLICY_FULL_RANGE(NLA_U32, &tftpk_a_settings_max_unverified_range),
	[TFTPK_A_SETTINGS_MAX_PINNED] = NLA_POLICY_FULL_RANGE(NLA_U32, &tftpk_a_settings_max_pinned_range),
	[TFTPK_A_SETTINGS_SOURCE_BURST] = NLA_POLICY_FULL_RANGE(NLA_U32, &tftpk_a_settings_source_burst_range),
	[TFTPK_A_SETTINGS_SOURCE_RATE] = NLA_POLICY_FULL_RANGE(NLA_U32, &tftpk_a_settings_source_rate_range),
	[TFTPK_A_SETTINGS_REPLY_AT_LIMIT] = NLA_POLICY_MAX(NLA_U8, 1),
	[TFTPK_A_SETTINGS_DRAINING] = NLA_POLICY_MAX(NLA_U8, 1),
	[TFTPK_A_SETTINGS_PROGRESS] = NLA_POLICY_MAX(NLA_U32, 100),
	[TFTPK_A_SETTINGS_UNTRUSTED_RATE] = NLA_POLICY_FULL_RANGE(NLA_U32, &tftpk_a_settings_untrusted_rate_range),
	[TFTPK_A_SETTINGS_UNTRUSTED_TOTAL] = NLA_POLICY_FULL_RANGE(NLA_U32, &tftpk_a_settings_untrusted_total_range),
	[TFTPK_A_SETTINGS_DISCOVER_MTU] = NLA_POLICY_MAX(NLA_U8, 1),
	[TFTPK_A_SETTINGS_MIN_TIMEOUT] = NLA_POLICY_FULL_RANGE(NLA_U32, &tftpk_a_settings_min_timeout_range),
	[TFTPK_A_SETTINGS_RESOLVE] = NLA_POLICY_MAX(NLA_U32, 2),
	[TFTPK_A_SETTINGS_RESOLVE_TIMEOUT] = NLA_POLICY_RANGE(NLA_U32, 1, 30),
	[TFTPK_A_SETTINGS_RESOLVE_POLICY] = NLA_POLICY_MAX(NLA_U32, 1),
	[TFTPK_A_SETTINGS_MAX_PENDING] = NLA_POLICY_FULL_RANGE(NLA_U32, &tftpk_a_settings_max_pending_range),
	[TFTPK_A_SETTINGS_UPLOADS] = NLA_POLICY_MAX(NLA_U8, 1),
	[TFTPK_A_SETTINGS_MAX_UNWRITTEN] = NLA_POLICY_FULL_RANGE(NLA_U32, &tftpk_a_settings_max_unwritten_range),
	[TFTPK_A_SETTINGS_STORE_TIMEOUT] = NLA_POLICY_RANGE(NLA_U32, 1, 300),
	[TFTPK_A_SETTINGS_SEND_AHEAD] = NLA_POLICY_MAX(NLA_U32, 63),
	[TFTPK_A_SETTINGS_SEND_AHEAD_TO] = NLA_POLICY_MAX(NLA_U32, 1),
	[TFTPK_A_SETTINGS_CROWD] = NLA_POLICY_FULL_RANGE(NLA_U32, &tftpk_a_settings_crowd_range),
};

/* TFTPK_CMD_TRUST_ADD - do */
static const struct nla_policy tftpk_trust_add_nl_policy[TFTPK_A_TRUST_PREFIX_LENGTH + 1] = {
	[TFTPK_A_TRUST_ADDRESS] = { .type = NLA_BINARY, },
	[TFTPK_A_TRUST_PREFIX_LENGTH] = { .type = NLA_U8, },
};

/* TFTPK_CMD_TRUST_DEL - do */
static const struct nla_policy tftpk_trust_del_nl_policy[TFTPK_A_TRUST_PREFIX_LENGTH + 1] = {
	[TFTPK_A_TRUST_ADDRESS] = { .type = NLA_BINARY, },
	[TFTPK_A_TRUST_PREFIX_LENGTH] = { .type = NLA_U8, },
};

/* TFTPK_CMD_TRANSFER_KILL - do */
static const struct nla_policy tftpk_transfer_kill_nl_policy[TFTPK_A_TRANSFER_CLIENT_PORT + 1] = {
	[TFTPK_A_TRANSFER_ID] = { .type = NLA_U32, },
	[TFTPK_A_TRANSFER_CLIENT_ADDRESS] = { .type = NLA_BINARY, },
	[TFTPK_A_TRANSFER_CLIENT_PORT] = { .type = NLA_U16, },
};

/* TFTPK_CMD_LOOKUP - do */
static const struct nla_policy tftpk_lookup_nl_policy[TFTPK_A_LOOKUP_NO_AGENT + 1] = {
	[TFTPK_A_LOOKUP_NAME] = { .type = NLA_NUL_STRING, .len = TFTPK_PATH_MAX, },
	[TFTPK_A_LOOKUP_CLIENT_ADDRESS] = { .type = NLA_BINARY, },
	[TFTPK_A_LOOKUP_IFINDEX] = { .type = NLA_U32, },
	[TFTPK_A_LOOKUP_NO_AGENT] = { .type = NLA_FLAG, },
};

/* TFTPK_CMD_RESOLVE_SET - do */
static const struct nla_policy tftpk_resolve_set_nl_policy[TFTPK_A_ANSWER_MAX_SIZE + 1] = {
	[TFTPK_A_ANSWER_ID] = { .type = NLA_U32, },
	[TFTPK_A_ANSWER_NAME] = { .type = NLA_NUL_STRING, .len = TFTPK_PATH_MAX, },
	[TFTPK_A_ANSWER_FD] = { .type = NLA_U32, },
	[TFTPK_A_ANSWER_ERROR_CODE] = NLA_POLICY_MAX(NLA_U32, 8),
	[TFTPK_A_ANSWER_REASON] = { .type = NLA_NUL_STRING, .len = 59, },
	[TFTPK_A_ANSWER_DEFAULT] = { .type = NLA_FLAG, },
	[TFTPK_A_ANSWER_TIME_TO_LIVE] = NLA_POLICY_FULL_RANGE(NLA_U32, &tftpk_a_answer_time_to_live_range),
	[TFTPK_A_ANSWER_SCOPE] = NLA_POLICY_MAX(NLA_U32, 1),
	[TFTPK_A_ANSWER_WELCOME] = { .type = NLA_FLAG, },
	[TFTPK_A_ANSWER_MAX_SIZE] = { .type = NLA_U64, },
};

/* TFTPK_CMD_TRANSFER_ADOPT - do */
static const struct nla_policy tftpk_transfer_adopt_nl_policy[TFTPK_A_SAVED_SEAL + 1] = {
	[TFTPK_A_SAVED_NAME] = { .type = NLA_NUL_STRING, .len = TFTPK_PATH_MAX, },
	[TFTPK_A_SAVED_CLIENT_ADDRESS] = { .type = NLA_BINARY, },
	[TFTPK_A_SAVED_CLIENT_PORT] = { .type = NLA_U16, },
	[TFTPK_A_SAVED_SCOPE] = { .type = NLA_NUL_STRING, .len = 15, },
	[TFTPK_A_SAVED_SERVER_ADDRESS] = { .type = NLA_BINARY, },
	[TFTPK_A_SAVED_SERVER_PORT] = { .type = NLA_U16, },
	[TFTPK_A_SAVED_LISTENER_PORT] = { .type = NLA_U16, },
	[TFTPK_A_SAVED_INTERFACE] = { .type = NLA_NUL_STRING, .len = 15, },
	[TFTPK_A_SAVED_SIZE] = { .type = NLA_U64, },
	[TFTPK_A_SAVED_MODIFIED] = { .type = NLA_U64, },
	[TFTPK_A_SAVED_DEVICE] = { .type = NLA_U32, },
	[TFTPK_A_SAVED_INODE] = { .type = NLA_U64, },
	[TFTPK_A_SAVED_GENERATION] = { .type = NLA_U32, },
	[TFTPK_A_SAVED_STATE] = NLA_POLICY_MAX(NLA_U32, 4),
	[TFTPK_A_SAVED_BLOCK] = { .type = NLA_U64, },
	[TFTPK_A_SAVED_IN_FLIGHT] = { .type = NLA_U32, },
	[TFTPK_A_SAVED_BLOCK_SIZE] = { .type = NLA_U32, },
	[TFTPK_A_SAVED_WINDOW_SIZE] = { .type = NLA_U32, },
	[TFTPK_A_SAVED_ROLLOVER] = NLA_POLICY_MAX(NLA_U32, 1),
	[TFTPK_A_SAVED_TIMEOUT] = { .type = NLA_U32, },
	[TFTPK_A_SAVED_OPTIONS] = { .type = NLA_BINARY, },
	[TFTPK_A_SAVED_SEND_AHEAD] = { .type = NLA_U32, },
	[TFTPK_A_SAVED_RTT] = { .type = NLA_U32, },
	[TFTPK_A_SAVED_AGE] = { .type = NLA_U32, },
	[TFTPK_A_SAVED_REQUEST_HASH] = { .type = NLA_U32, },
	[TFTPK_A_SAVED_FORMER] = { .type = NLA_FLAG, },
	[TFTPK_A_SAVED_VALIDATED] = { .type = NLA_FLAG, },
	[TFTPK_A_SAVED_TIME] = { .type = NLA_U64, },
	[TFTPK_A_SAVED_SEAL] = NLA_POLICY_EXACT_LEN(8),
};

/* TFTPK_CMD_KEY_SET - do */
static const struct nla_policy tftpk_key_set_nl_policy[TFTPK_A_KEY_KEY + 1] = {
	[TFTPK_A_KEY_KEY] = NLA_POLICY_EXACT_LEN(16),
};

/* Ops table for tftpk */
static const struct genl_split_ops tftpk_nl_ops[] = {
	{
		.cmd		= TFTPK_CMD_EXPORT_ADD,
		.doit		= tftpk_nl_export_add_doit,
		.policy		= tftpk_export_add_nl_policy,
		.maxattr	= TFTPK_A_EXPORT_MAX_RATE,
		.flags		= GENL_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd		= TFTPK_CMD_EXPORT_DEL,
		.doit		= tftpk_nl_export_del_doit,
		.policy		= tftpk_export_del_nl_policy,
		.maxattr	= TFTPK_A_EXPORT_PREFIX,
		.flags		= GENL_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd	= TFTPK_CMD_EXPORT_GET,
		.start	= tftpk_nl_dump_start,
		.dumpit	= tftpk_nl_export_get_dumpit,
		.flags	= GENL_CMD_CAP_DUMP,
	},
	{
		.cmd		= TFTPK_CMD_LISTENER_ADD,
		.doit		= tftpk_nl_listener_add_doit,
		.policy		= tftpk_listener_add_nl_policy,
		.maxattr	= TFTPK_A_LISTENER_ANYCAST,
		.flags		= GENL_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd		= TFTPK_CMD_LISTENER_DEL,
		.doit		= tftpk_nl_listener_del_doit,
		.policy		= tftpk_listener_del_nl_policy,
		.maxattr	= TFTPK_A_LISTENER_INTERFACE,
		.flags		= GENL_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd	= TFTPK_CMD_LISTENER_GET,
		.dumpit	= tftpk_nl_listener_get_dumpit,
		.flags	= GENL_CMD_CAP_DUMP,
	},
	{
		.cmd	= TFTPK_CMD_TRANSFER_GET,
		.start	= tftpk_nl_dump_start,
		.dumpit	= tftpk_nl_transfer_get_dumpit,
		.flags	= GENL_CMD_CAP_DUMP,
	},
	{
		.cmd	= TFTPK_CMD_STATS_GET,
		.doit	= tftpk_nl_stats_get_doit,
		.flags	= GENL_CMD_CAP_DO,
	},
	{
		.cmd	= TFTPK_CMD_SETTINGS_GET,
		.doit	= tftpk_nl_settings_get_doit,
		.flags	= GENL_CMD_CAP_DO,
	},
	{
		.cmd		= TFTPK_CMD_SETTINGS_SET,
		.doit		= tftpk_nl_settings_set_doit,
		.policy		= tftpk_settings_set_nl_policy,
		.maxattr	= TFTPK_A_SETTINGS_CROWD,
		.flags		= GENL_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd		= TFTPK_CMD_TRUST_ADD,
		.doit		= tftpk_nl_trust_add_doit,
		.policy		= tftpk_trust_add_nl_policy,
		.maxattr	= TFTPK_A_TRUST_PREFIX_LENGTH,
		.flags		= GENL_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd		= TFTPK_CMD_TRUST_DEL,
		.doit		= tftpk_nl_trust_del_doit,
		.policy		= tftpk_trust_del_nl_policy,
		.maxattr	= TFTPK_A_TRUST_PREFIX_LENGTH,
		.flags		= GENL_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd	= TFTPK_CMD_TRUST_GET,
		.dumpit	= tftpk_nl_trust_get_dumpit,
		.flags	= GENL_CMD_CAP_DUMP,
	},
	{
		.cmd		= TFTPK_CMD_TRANSFER_KILL,
		.doit		= tftpk_nl_transfer_kill_doit,
		.policy		= tftpk_transfer_kill_nl_policy,
		.maxattr	= TFTPK_A_TRANSFER_CLIENT_PORT,
		.flags		= GENL_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd		= TFTPK_CMD_LOOKUP,
		.doit		= tftpk_nl_lookup_doit,
		.policy		= tftpk_lookup_nl_policy,
		.maxattr	= TFTPK_A_LOOKUP_NO_AGENT,
		.flags		= GENL_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd	= TFTPK_CMD_RESOLVE_ATTACH,
		.doit	= tftpk_nl_resolve_attach_doit,
		.flags	= GENL_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd	= TFTPK_CMD_RESOLVE_GET,
		.start	= tftpk_nl_dump_start,
		.dumpit	= tftpk_nl_resolve_get_dumpit,
		.flags	= GENL_ADMIN_PERM | GENL_CMD_CAP_DUMP,
	},
	{
		.cmd		= TFTPK_CMD_RESOLVE_SET,
		.doit		= tftpk_nl_resolve_set_doit,
		.policy		= tftpk_resolve_set_nl_policy,
		.maxattr	= TFTPK_A_ANSWER_MAX_SIZE,
		.flags		= GENL_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd	= TFTPK_CMD_RESOLVE_FLUSH,
		.doit	= tftpk_nl_resolve_flush_doit,
		.flags	= GENL_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd	= TFTPK_CMD_TRANSFER_SAVE,
		.start	= tftpk_nl_dump_start,
		.dumpit	= tftpk_nl_transfer_save_dumpit,
		.flags	= GENL_ADMIN_PERM | GENL_CMD_CAP_DUMP,
	},
	{
		.cmd		= TFTPK_CMD_TRANSFER_ADOPT,
		.doit		= tftpk_nl_transfer_adopt_doit,
		.policy		= tftpk_transfer_adopt_nl_policy,
		.maxattr	= TFTPK_A_SAVED_SEAL,
		.flags		= GENL_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd		= TFTPK_CMD_KEY_SET,
		.doit		= tftpk_nl_key_set_doit,
		.policy		= tftpk_key_set_nl_policy,
		.maxattr	= TFTPK_A_KEY_KEY,
		.flags		= GENL_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd	= TFTPK_CMD_HISTOGRAM_GET,
		.dumpit	= tftpk_nl_histogram_get_dumpit,
		.flags	= GENL_CMD_CAP_DUMP,
	},
};

static const struct genl_multicast_group tftpk_nl_mcgrps[] = {
	[TFTPK_NLGRP_EVENTS] = { "events", GENL_MCAST_CAP_NET_ADMIN, },
	[TFTPK_NLGRP_RESOLVE] = { "resolve", GENL_MCAST_CAP_NET_ADMIN, },
};

struct genl_family tftpk_nl_family __ro_after_init = {
	.name		= TFTPK_FAMILY_NAME,
	.version	= TFTPK_FAMILY_VERSION,
	.netnsok	= true,
	.parallel_ops	= true,
	.module		= THIS_MODULE,
	.split_ops	= tftpk_nl_ops,
	.n_split_ops	= ARRAY_SIZE(tftpk_nl_ops),
	.mcgrps		= tftpk_nl_mcgrps,
	.n_mcgrps	= ARRAY_SIZE(tftpk_nl_mcgrps),
};
