// SPDX-License-Identifier: GPL-2.0
/* test: what a client would get, and how much it may ask for. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <linux/rtnetlink.h>

#include "tftpkctl.h"

#define TFTP_NOT_FOUND	1
#define TFTP_ACCESS	2

static const struct field lookup_fields[] = {
	FIELD(TFTPK_A_LOOKUP_EXPORT_ID, FIELD_NUMBER, "export-id"),
	FIELD(TFTPK_A_LOOKUP_FILE, FIELD_STRING, "file"),
	FIELD(TFTPK_A_LOOKUP_SIZE, FIELD_NUMBER, "size"),
	FIELD(TFTPK_A_LOOKUP_ERROR_CODE, FIELD_NUMBER, "error-code"),
	FIELD(TFTPK_A_LOOKUP_REASON, FIELD_STRING, "reason"),
};

/* Does a network as of dump_trusted() hold the address? */
static bool holds(const char *network, const struct endpoint *from)
{
	const char *slash = strrchr(network, '/');
	char *host = checked(strndup(network, (size_t)(slash - network)));
	struct in6_addr address = { 0 };
	uint64_t bits = 0;
	const char *rest;
	bool same;
	size_t i;

	same = inet_pton(from->len == sizeof(struct in_addr) ? AF_INET :
							       AF_INET6,
			 host, &address) == 1 &&
	       parse_number(slash + 1, &rest, &bits);
	for (i = 0; same && i < bits && i / 8 < from->len; i++)
		same = !((address.s6_addr[i / 8] ^
			  from->address.s6_addr[i / 8]) & (0x80 >> i % 8));
	free(host);
	return same;
}

/* What the kernel's routes say of the way to a client. */
struct way {
	bool routed;		/* by a router */
	uint32_t ifindex;
	char gateway[INET6_ADDRSTRLEN];
};

static void read_way(const struct nlmsghdr *nlh, struct way *way)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(*rtm)) {
		switch (mnl_attr_get_type(attr)) {
		case RTA_OIF:
			way->ifindex = mnl_attr_get_u32(attr);
			break;
		case RTA_GATEWAY:
			inet_ntop(rtm->rtm_family, mnl_attr_get_payload(attr),
				  way->gateway, sizeof(way->gateway));
			way->routed = true;
			break;
		case RTA_VIA:
			/* A family of two bytes comes first. */
			inet_ntop(AF_INET6,
				  (const char *)mnl_attr_get_payload(attr) +
				  sizeof(struct rtvia),
				  way->gateway, sizeof(way->gateway));
			way->routed = true;
			break;
		default:
			break;
		}
	}
}

/* Ask for the way to a client. Returns 0 or an errno. */
static int find_way(struct ctl *ctl, const struct endpoint *from,
		    struct way *way)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(ctl->request);
	struct rtmsg *rtm;
	int error = 0;
	ssize_t got;

	if (!nl)
		return errno;
	nlh->nlmsg_type = RTM_GETROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nlh->nlmsg_seq = ++ctl->seq;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = from->len == sizeof(struct in_addr) ? AF_INET :
								AF_INET6;
	rtm->rtm_dst_len = (unsigned char)(from->len * 8);
	mnl_attr_put(nlh, RTA_DST, from->len, &from->address);
	if (from->ifindex)
		mnl_attr_put_u32(nlh, RTA_OIF, from->ifindex);

	got = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	      mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0 ?
		      -1 : mnl_socket_recvfrom(nl, ctl->answer,
					       sizeof(ctl->answer));
	if (got < 0)
		error = errno;
	mnl_socket_close(nl);
	if (error)
		return error;

	nlh = (struct nlmsghdr *)ctl->answer;
	if (!mnl_nlmsg_ok(nlh, (int)got))
		return EPROTO;
	if (nlh->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);

		return -err->error;
	}
	if (nlh->nlmsg_type != RTM_NEWROUTE)
		return EPROTO;
	read_way(nlh, way);
	return 0;
}

/*
 * What kind of source a client is, and how many requests it may send. Returns
 * NULL with ctl->error set where that cannot be told.
 */
static json_t *judge(struct ctl *ctl, const struct endpoint *from,
		     const json_t *values)
{
	long long burst = number(values, "source-burst");
	json_t *trusted, *source = checked(json_object());
	const char *kind = "routed", *network = NULL;
	struct way way = { 0 };
	size_t i;

	if (dump_trusted(ctl, &trusted)) {
		json_decref(source);
		return NULL;
	}
	for (i = 0; i < json_array_size(trusted) && !network; i++) {
		const char *one = json_string_value(json_array_get(trusted, i));

		if (holds(one, from))
			network = one;
	}
	if (find_way(ctl, from, &way))
		kind = "unreachable";
	else if (network)
		kind = "trusted";
	else if (!way.routed)
		kind = "link";
	else
		burst = (burst + 3) / 4;

	put(source, "address", json_address(&from->address, from->len));
	put(source, "source", json_string(kind));
	put(source, "network", network ? json_string(network) : json_null());
	put(source, "gateway",
	    way.routed ? json_string(way.gateway) : json_null());
	put_interface(source, way.ifindex);
	put(source, "burst", json_integer(burst));
	put(source, "rate", json_integer(number(values, "source-rate")));
	json_decref(trusted);
	return source;
}

static void print_source(const json_t *source)
{
	const char *kind = json_string_value(look_up(source, "source"));
	char *address = string_text(source, "address");
	char *network = string_text(source, "network");
	char *gateway = string_text(source, "gateway");
	char *interface = string_text(source, "interface");
	long long burst = number(source, "burst");

	if (!strcmp(kind, "unreachable"))
		printf("%s cannot be reached: there is no route to it ('ip route' lists them)\n",
		       address);
	else if (!strcmp(kind, "trusted"))
		printf("%s is trusted with %s", address, network);
	else if (!strcmp(kind, "link"))
		printf("%s is on the link of %s", address, interface);
	else
		printf("%s is behind the router %s", address, gateway);
	if (strcmp(kind, "unreachable") != 0) {
		if (burst)
			printf(": %lld requests at once, %lld per second after that\n",
			       burst, number(source, "rate"));
		else
			puts(": any number of requests");
	}
	free(interface);
	free(gateway);
	free(network);
	free(address);
}

static void print_result(const json_t *result)
{
	long long code = number(result, "error-code");
	char *reason = string_text(result, "reason");
	char *file = string_text(result, "file");
	const char *hint = "";

	if (code == TFTP_NOT_FOUND)
		hint = " (in no export that 'tftpkctl show' lists)";
	else if (code == TFTP_ACCESS)
		hint = " (no regular file, or not for the user in 'tftpkctl show')";

	if (json_is_true(look_up(result, "served")))
		printf("served: %s, %lld bytes, by export %lld\n", file,
		       number(result, "size"), number(result, "export-id"));
	else if (code >= 0)
		printf("refused: ERROR %lld, %s%s\n", code, reason, hint);
	else
		printf("refused: %s\n", reason);
	free(file);
	free(reason);
}

/* Why no request is taken at all, whatever its file, or NULL. */
static const char *obstacle(const json_t *config)
{
	if (!json_array_size(look_up(config, "exports")))
		return "nothing is exported: tftpkctl export DIR";
	if (!json_array_size(look_up(config, "listeners")))
		return "nothing listens: tftpkctl listen '*'";
	if (json_is_true(look_up(look_up(config, "settings"), "draining")))
		return "draining, no requests are taken: tftpkctl undrain";
	return NULL;
}

int run_test(struct ctl *ctl, int argc, char **argv)
{
	const char *address = ctl->option[OPTION_FROM];
	json_t *result, *config, *source = json_null();
	struct endpoint from = { 0 };
	const char *why;
	bool served;
	int ret;

	(void)argc;
	if (!*argv[0] || strlen(argv[0]) > TFTPK_PATH_MAX)
		return usage_error("test: the name of a file has 1 to %u bytes",
				   TFTPK_PATH_MAX);
	if (address) {
		ret = parse_endpoint(address, &from);
		if (!ret && (!from.len || from.port))
			ret = usage_error("--from %s: give an address alone, such as 192.0.2.7",
					  address);
		if (ret)
			return ret;
	}
	if (nl_open(ctl))
		return EXIT_FAILURE;

	mnl_attr_put_strz(nl_request(ctl, TFTPK_CMD_LOOKUP),
			  TFTPK_A_LOOKUP_NAME, argv[0]);
	if (nl_do(ctl, lookup_fields, COUNT(lookup_fields), &result))
		return nl_fail(ctl, "test %s", argv[0]);
	if (read_config(ctl, &config)) {
		json_decref(result);
		return nl_fail(ctl, "test %s", argv[0]);
	}
	if (address)
		source = judge(ctl, &from, look_up(config, "settings"));

	why = obstacle(config);
	if (why && (json_is_null(look_up(result, "error-code")) ||
		    !json_array_size(look_up(config, "exports")))) {
		put(result, "error-code", json_null());
		put(result, "reason", json_string(why));
	}
	served = json_is_null(look_up(result, "reason"));
	put(result, "served", json_boolean(served));
	put(result, "name", json_bytes(argv[0], strlen(argv[0])));
	json_decref(config);

	ret = served ? EXIT_SUCCESS : EXIT_FAILURE;
	if (!source) {
		ret = nl_fail(ctl, "test %s --from %s", argv[0], address);
	} else if (ctl->json) {
		put(result, "from", json_incref(source));
		print_json(json_incref(result));
	} else {
		print_result(result);
		if (address)
			print_source(source);
	}
	json_decref(source);
	json_decref(result);
	return ret;
}
