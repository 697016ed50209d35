// SPDX-License-Identifier: GPL-2.0
/* Generated from Documentation/netlink/specs/tftpk.yaml by scripts/regen-netlink. */
#include "tftpk.h"

#define TFTPK_NUMBER(attr, member) \
	[TFTPK_A_SETTINGS_##attr] = { \
		.offset = offsetof(struct tftpk_settings, member), \
		.preset = TFTPK_DEFAULT_##attr, \
	}
#define TFTPK_SWITCH(attr, member) \
	[TFTPK_A_SETTINGS_##attr] = { \
		.offset = offsetof(struct tftpk_settings, member), \
		.is_switch = true, \
		.preset = TFTPK_DEFAULT_##attr, \
	}

const struct tftpk_setting tftpk_setting[__TFTPK_A_SETTINGS_MAX] = {
	TFTPK_SWITCH(ZEROCOPY, zerocopy),
	TFTPK_SWITCH(GSO, gso),
	TFTPK_SWITCH(DETECT_CHANGES, detect_changes),
	TFTPK_NUMBER(MAX_TRANSFERS, max_transfers),
	TFTPK_NUMBER(MAX_BLKSIZE, max_blksize),
	TFTPK_NUMBER(MAX_WINDOWSIZE, max_windowsize),
	TFTPK_NUMBER(GIVE_UP, give_up),
	TFTPK_SWITCH(STRICT_OPTIONS, strict_options),
	TFTPK_SWITCH(CLAMP_MTU, clamp_mtu),
	TFTPK_NUMBER(PORT_LOW, port_low),
	TFTPK_NUMBER(PORT_HIGH, port_high),
	TFTPK_NUMBER(MAX_PER_CLIENT, max_per_client),
	TFTPK_NUMBER(MAX_UNVERIFIED, max_unverified),
	TFTPK_NUMBER(MAX_PINNED, max_pinned),
	TFTPK_NUMBER(SOURCE_BURST, source_burst),
	TFTPK_NUMBER(SOURCE_RATE, source_rate),
	TFTPK_SWITCH(REPLY_AT_LIMIT, reply_at_limit),
	TFTPK_SWITCH(DRAINING, draining),
	TFTPK_NUMBER(PROGRESS, progress),
	TFTPK_NUMBER(UNTRUSTED_RATE, untrusted_rate),
	TFTPK_NUMBER(UNTRUSTED_TOTAL, untrusted_total),
	TFTPK_SWITCH(DISCOVER_MTU, discover_mtu),
	TFTPK_NUMBER(MIN_TIMEOUT, min_timeout),
	TFTPK_NUMBER(RESOLVE, resolve),
	TFTPK_NUMBER(RESOLVE_TIMEOUT, resolve_timeout),
	TFTPK_NUMBER(RESOLVE_POLICY, resolve_policy),
	TFTPK_NUMBER(MAX_PENDING, max_pending),
	TFTPK_SWITCH(UPLOADS, uploads),
	TFTPK_NUMBER(MAX_UNWRITTEN, max_unwritten),
	TFTPK_NUMBER(STORE_TIMEOUT, store_timeout),
	TFTPK_NUMBER(SEND_AHEAD, send_ahead),
	TFTPK_NUMBER(SEND_AHEAD_TO, send_ahead_to),
	TFTPK_NUMBER(CROWD, crowd),
};
