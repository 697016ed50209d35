// SPDX-License-Identifier: GPL-2.0
/* The netlink socket: requests, dumps and what the kernel says of them. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <linux/genetlink.h>

#include "tftpkctl.h"

/* A list that changes all the time is read this often before it is believed. */
#define DUMP_TRIES	8

typedef void (*message_fn)(const struct nlmsghdr *nlh, void *data);

static const char *remedy_for(int error)
{
	switch (error) {
	case EPERM:
		return "this needs CAP_NET_ADMIN: run it as root; but for monitor, a container's root is not enough";
	case EACCES:
		return "let others in by chmod, or choose who reads by --uid and --gid";
	case EADDRINUSE:
		return "'tftpkctl show' lists the module's listeners, 'ss -ulpn' those of programs";
	case EADDRNOTAVAIL:
		return "no interface has this address: 'ip address' lists them";
	case EAFNOSUPPORT:
		return "this address family is switched off in the kernel";
	case EEXIST:
	case ENOENT:
		return "'tftpkctl show' lists what there is";
	case ENODEV:
		return "'ip link' lists the interfaces";
	case EOPNOTSUPP:
		return "the loaded module is older than tftpkctl: load the one that came with it";
	default:
		return NULL;
	}
}

/**
 * nl_fail() - say in one line why the last request failed
 * @ctl: the context of the request
 * @format: what was asked for, such as "export /srv/tftp"
 *
 * Return: EXIT_FAILURE, for the caller to return.
 */
int nl_fail(const struct ctl *ctl, const char *format, ...)
{
	/* Of EPERM the kernel tells where another capability is wanted. */
	bool told = ctl->error == EPERM && ctl->extack[0];
	const char *hint = told ? NULL : remedy_for(ctl->error);
	auto_free char *what = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&what, format, args) < 0)
		what = NULL;
	va_end(args);
	check_alloc(what);

	print_error("%s: %s%s%s%s", what,
		    ctl->extack[0] ? ctl->extack : strerror(ctl->error),
		    hint ? " (" : "", hint ? hint : "", hint ? ")" : "");
	return EXIT_FAILURE;
}

/* Keep the message of the attributes that follow @offset bytes of payload. */
static void read_extack(struct ctl *ctl, const struct nlmsghdr *nlh,
			size_t offset)
{
	const struct nlattr *attr;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;

	mnl_attr_for_each(attr, nlh, (unsigned int)offset) {
		size_t len = mnl_attr_get_payload_len(attr);

		if (mnl_attr_get_type(attr) != NLMSGERR_ATTR_MSG)
			continue;
		if (len >= sizeof(ctl->extack))
			len = sizeof(ctl->extack) - 1;
		memcpy(ctl->extack, mnl_attr_get_payload(attr), len);
		ctl->extack[len] = '\0';
	}
}

/* The end of an answer: an acknowledgment, an error, or the end of a dump. */
static int read_verdict(struct ctl *ctl, const struct nlmsghdr *nlh)
{
	size_t offset = sizeof(int);
	int error;

	if (nlh->nlmsg_type == NLMSG_ERROR)
		offset = sizeof(struct nlmsgerr);
	if (mnl_nlmsg_get_payload_len(nlh) < offset)
		return EPROTO;
	memcpy(&error, mnl_nlmsg_get_payload(nlh), sizeof(error));

	if (nlh->nlmsg_type == NLMSG_ERROR &&
	    !(nlh->nlmsg_flags & NLM_F_CAPPED)) {
		const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);

		offset += MNL_ALIGN(err->msg.nlmsg_len) - MNL_NLMSG_HDRLEN;
	}
	if (offset <= mnl_nlmsg_get_payload_len(nlh))
		read_extack(ctl, nlh, offset);
	return error < 0 ? -error : 0;
}

/*
 * Send the request and hand each message of the answer to @fn. @torn tells of a
 * dump that changed while it was read; it is read to its end all the same,
 * because the socket takes no other request before.
 */
static int exchange(struct ctl *ctl, message_fn fn, void *data, bool *torn)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)ctl->request;
	unsigned int portid = mnl_socket_get_portid(ctl->nl);

	ctl->error = 0;
	ctl->extack[0] = '\0';
	nlh->nlmsg_seq = ++ctl->seq;
	if (mnl_socket_sendto(ctl->nl, nlh, nlh->nlmsg_len) < 0) {
		ctl->error = errno;
		return -1;
	}

	for (;;) {
		ssize_t got = mnl_socket_recvfrom(ctl->nl, ctl->answer,
						  sizeof(ctl->answer));
		int left = (int)got;

		if (got < 0) {
			if (errno == EINTR)
				continue;
			ctl->error = errno;
			return -1;
		}

		for (nlh = (struct nlmsghdr *)ctl->answer;
		     mnl_nlmsg_ok(nlh, left);
		     nlh = mnl_nlmsg_next(nlh, &left)) {
			if (!mnl_nlmsg_portid_ok(nlh, portid) ||
			    !mnl_nlmsg_seq_ok(nlh, ctl->seq))
				continue;
			if (torn && (nlh->nlmsg_flags & NLM_F_DUMP_INTR))
				*torn = true;
			if (nlh->nlmsg_type == NLMSG_ERROR ||
			    nlh->nlmsg_type == NLMSG_DONE) {
				ctl->error = read_verdict(ctl, nlh);
				return ctl->error ? -1 : 0;
			}
			if (nlh->nlmsg_type >= NLMSG_MIN_TYPE &&
			    mnl_nlmsg_get_payload_len(nlh) >= GENL_HDRLEN)
				fn(nlh, data);
		}
	}
}

static struct nlmsghdr *begin_request(struct ctl *ctl, uint8_t command)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(ctl->request);
	struct genlmsghdr *genl;

	nlh->nlmsg_type = ctl->family;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = command;
	genl->version = TFTPK_FAMILY_VERSION;
	return nlh;
}

/* put_address() - add an address, which JSON holds as text. */
void put_address(struct nlmsghdr *nlh, uint16_t attr, const char *address)
{
	bool v6 = strchr(address, ':');
	struct in6_addr binary = { 0 };

	inet_pton(v6 ? AF_INET6 : AF_INET, address, &binary);
	mnl_attr_put(nlh, attr, v6 ? sizeof(struct in6_addr) :
				     sizeof(struct in_addr), &binary);
}

/* A family as the kernel tells of it, and one of its multicast groups. */
struct family {
	const char *group;	/* the one that is wanted, or NULL */
	uint16_t id;
	uint32_t group_id;	/* 0 if there is no such group */
};

static void read_group(const struct nlattr *group, struct family *family)
{
	const struct nlattr *attr;
	const char *name = "";
	uint32_t id = 0;

	mnl_attr_for_each_nested(attr, group) {
		if (mnl_attr_get_type(attr) == CTRL_ATTR_MCAST_GRP_NAME &&
		    !mnl_attr_validate(attr, MNL_TYPE_NUL_STRING))
			name = mnl_attr_get_str(attr);
		else if (mnl_attr_get_type(attr) == CTRL_ATTR_MCAST_GRP_ID &&
			 !mnl_attr_validate(attr, MNL_TYPE_U32))
			id = mnl_attr_get_u32(attr);
	}
	if (family->group && !strcmp(name, family->group))
		family->group_id = id;
}

static void read_family(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *attr, *group;
	struct family *family = data;

	mnl_attr_for_each(attr, nlh, GENL_HDRLEN) {
		if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID &&
		    mnl_attr_get_payload_len(attr) >= sizeof(family->id))
			family->id = mnl_attr_get_u16(attr);
		if (mnl_attr_get_type(attr) != CTRL_ATTR_MCAST_GROUPS)
			continue;
		mnl_attr_for_each_nested(group, attr)
			read_group(group, family);
	}
}

/* Ask the kernel for a family by its name. */
static int find_family(struct ctl *ctl, const char *name, struct family *family)
{
	uint16_t before = ctl->family;
	struct nlmsghdr *nlh;
	int ret;

	ctl->family = GENL_ID_CTRL;
	nlh = begin_request(ctl, CTRL_CMD_GETFAMILY);
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, name);
	ret = exchange(ctl, read_family, family, NULL);
	ctl->family = before;
	return ret;
}

/*
 * Open the socket and find the module's family, for all requests of this run.
 * The kernel tries to load the module by its alias if the family is missing.
 * Ends the program where that fails.
 */
static void open_socket(struct ctl *ctl)
{
	struct family family = { 0 };
	int on = 1;

	ctl->nl = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (!ctl->nl || mnl_socket_bind(ctl->nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		print_error("cannot open a generic netlink socket: %s",
			    strerror(errno));
		exit(EXIT_FAILURE);
	}
	/* Without these the answers are only less precise. */
	mnl_socket_setsockopt(ctl->nl, NETLINK_EXT_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(ctl->nl, NETLINK_CAP_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(ctl->nl, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	ctl->seq = (uint32_t)time(NULL);

	if (!find_family(ctl, TFTPK_FAMILY_NAME, &family) && family.id) {
		ctl->family = family.id;
		return;
	}
	if (ctl->error == ENOENT)
		print_error("the tftpk module is not loaded: modprobe tftpk (or insmod tftpk.ko)");
	else
		nl_fail(ctl, "cannot find the netlink family %s",
			TFTPK_FAMILY_NAME);
	exit(EXIT_FAILURE);
}

/**
 * nl_request() - begin a request
 * @ctl: the context; the first request opens its socket
 * @command: what to do
 *
 * Prints an error and ends the program where there is no module. So it is looked
 * for once, and after the arguments were checked.
 *
 * Return: the request, for attributes to be added.
 */
struct nlmsghdr *nl_request(struct ctl *ctl, uint8_t command)
{
	if (!ctl->nl)
		open_socket(ctl);
	return begin_request(ctl, command);
}

void nl_close(struct ctl *ctl)
{
	if (ctl->events)
		mnl_socket_close(ctl->events);
	if (ctl->nl)
		mnl_socket_close(ctl->nl);
	ctl->events = NULL;
	ctl->nl = NULL;
}

/**
 * nl_do() - send the request that nl_request() began
 * @ctl: the context
 * @fields: what the reply holds, or NULL if there is none
 * @count: number of @fields
 * @reply: where the reply goes, as an object for the caller to release
 *
 * A kernel that did as asked but has something to say about it is quoted on
 * stderr.
 *
 * Return: 0, or -1 with ctl->error set.
 */
int nl_do(struct ctl *ctl, const struct field *fields, size_t count,
	  json_t **reply)
{
	json_auto_t *list = check_alloc(json_array());
	struct decoder decoder = { fields, count, list };
	int ret = exchange(ctl, decode_message, &decoder, NULL);

	if (!ret && ctl->extack[0] && !ctl->quiet)
		print_warning("%s", ctl->extack);
	if (!ret && reply) {
		*reply = json_incref(json_array_get(list, 0));
		if (!*reply) {
			ctl->error = EPROTO;
			ret = -1;
		}
	}
	return ret;
}

/**
 * nl_dump_once() - read a list whose entries are told once
 * @ctl: the context
 * @command: a command that dumps
 * @fields: what each message holds
 * @count: number of @fields
 * @list: where the array goes, for the caller to release
 * @torn: set where the list changed while it was read, unless NULL
 *
 * Return: 0, or -1 with ctl->error set.
 */
int nl_dump_once(struct ctl *ctl, uint8_t command, const struct field *fields,
		 size_t count, json_t **list, bool *torn)
{
	struct decoder decoder = { fields, count, check_alloc(json_array()) };

	nl_request(ctl, command)->nlmsg_flags |= NLM_F_DUMP;
	if (exchange(ctl, decode_message, &decoder, torn)) {
		json_decref(decoder.list);
		return -1;
	}
	*list = decoder.list;
	return 0;
}

/**
 * nl_dump() - read a list
 * @ctl: the context
 * @command: a command that dumps
 * @fields: what each message holds
 * @count: number of @fields
 * @list: where the array goes, for the caller to release
 *
 * A list that changes while it is read is read again. If it never holds still,
 * as with many short transfers, the last reading is returned with a warning.
 *
 * Return: 0, or -1 with ctl->error set.
 */
int nl_dump(struct ctl *ctl, uint8_t command, const struct field *fields,
	    size_t count, json_t **list)
{
	json_t *last = NULL;
	bool torn = true;
	int try;

	for (try = 0; torn && try < DUMP_TRIES; try++) {
		torn = false;
		json_decref(last);
		if (nl_dump_once(ctl, command, fields, count, &last, &torn))
			return -1;
	}

	if (torn && !ctl->quiet)
		print_warning("the list changed while it was read; it may be incomplete");
	*list = last;
	return 0;
}

/* Join a group of a family; @ctl->nl is for asking, @ctl->events joins. */
static int join_group(struct ctl *ctl, const char *name, const char *group)
{
	struct family family = { .group = group };

	if (find_family(ctl, name, &family))
		return -1;
	ctl->error = EOPNOTSUPP;
	if (!family.group_id)
		return -1;
	if (mnl_socket_setsockopt(ctl->events, NETLINK_ADD_MEMBERSHIP,
				  &family.group_id, sizeof(family.group_id))) {
		ctl->error = errno;
		return -1;
	}
	return 0;
}

/* nl_join() - have another group's messages come in, after nl_subscribe(). */
int nl_join(struct ctl *ctl, const char *group)
{
	return join_group(ctl, TFTPK_FAMILY_NAME, group);
}

/**
 * nl_subscribe() - have what comes unasked come in by a socket of its own
 * @ctl: the context; nl_events() reads it
 * @group: the group of the module's
 * @room: bytes that the socket is to buffer, as far as this user may ask for
 *
 * Return: 0, or -1 with ctl->error set.
 */
int nl_subscribe(struct ctl *ctl, const char *group, int room)
{
	int on = 1, fd;

	if (!ctl->nl)
		open_socket(ctl);
	ctl->events = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (!ctl->events ||
	    mnl_socket_bind(ctl->events, 0, MNL_SOCKET_AUTOPID) < 0) {
		ctl->error = errno;
		return -1;
	}
	fd = mnl_socket_get_fd(ctl->events);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	/* The module counts what does not fit. */
	mnl_socket_setsockopt(ctl->events, NETLINK_BROADCAST_ERROR, &on,
			      sizeof(on));
	/* Of the others, that the module goes is of interest. */
	return join_group(ctl, "nlctrl", "notify") || nl_join(ctl, group) ? -1 : 0;
}

/**
 * nl_events() - wait for what comes unasked
 * @ctl: the context, after nl_subscribe()
 * @fields: what each message holds
 * @count: number of @fields
 * @list: where the array goes, which may be empty, for the caller to release
 *
 * Return: 0, or -1 with ctl->error set: ENOBUFS where some were lost before the
 * next, ENODEV where the module was unloaded.
 */
int nl_events(struct ctl *ctl, const struct field *fields, size_t count,
	      json_t **list)
{
	struct decoder decoder = { fields, count, NULL };
	const struct nlmsghdr *nlh;
	ssize_t got;
	int left;

	got = mnl_socket_recvfrom(ctl->events, ctl->answer,
				  sizeof(ctl->answer));
	if (got < 0) {
		ctl->error = errno;
		return -1;
	}
	decoder.list = check_alloc(json_array());
	left = (int)got;
	for (nlh = (struct nlmsghdr *)ctl->answer; mnl_nlmsg_ok(nlh, left);
	     nlh = mnl_nlmsg_next(nlh, &left)) {
		const struct genlmsghdr *genl = mnl_nlmsg_get_payload(nlh);
		struct family family = { 0 };

		if (mnl_nlmsg_get_payload_len(nlh) < GENL_HDRLEN)
			continue;
		if (nlh->nlmsg_type == ctl->family) {
			decode_message(nlh, &decoder);
		} else if (nlh->nlmsg_type == GENL_ID_CTRL &&
			   genl->cmd == CTRL_CMD_DELFAMILY) {
			read_family(nlh, &family);
			if (family.id != ctl->family)
				continue;
			json_decref(decoder.list);
			ctl->error = ENODEV;
			return -1;
		}
	}
	*list = decoder.list;
	return 0;
}
