// SPDX-License-Identifier: GPL-2.0
/* test --write: what a client on this machine gets that writes a file. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tftpkctl.h"

enum { WRQ = 2, DATA, ACK, ERROR, OACK };

#define TFTP_ACCESS	2
#define TFTP_DISK_FULL	3
#define TFTP_EXISTS	6

#define BLKSIZE		1428
#define LINE		32		/* bytes of a line of the file */
#define DEFAULT_SIZE	1024
#define MAX_SIZE	(1U << 30)
#define RESEND		2		/* seconds without an answer */
#define SPARE		5		/* seconds more than the server gives itself */

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

struct upload {
	const char *name;
	uint64_t size;
	union address server;	/* its port is the transfer's, from the first answer on */
	socklen_t len;
	int fd;
	bool answered;
	uint16_t blksize;
	uint64_t block;		/* that waits for its ACK; 0 is the request */
	uint8_t packet[TFTPK_PATH_MAX + 64];
	size_t packet_len;
	double began, progressed, ended;
	json_t *code, *reason;	/* why it failed, or NULL */
};

static void fail_upload(struct upload *u, int code, const char *reason, size_t len)
{
	u->code = code < 0 ? json_null() : json_integer(code);
	u->reason = json_bytes(reason, len);
}

static bool is_last(const struct upload *u)
{
	return u->block && (u->block - 1) * u->blksize + u->blksize > u->size;
}

static void make_request(struct upload *u)
{
	int len = snprintf((char *)u->packet + 2, sizeof(u->packet) - 2,
			   "%s%coctet%cblksize%c%u%ctsize%c%llu", u->name, 0, 0, 0,
			   BLKSIZE, 0, 0, (unsigned long long)u->size);

	u->packet[0] = 0;
	u->packet[1] = WRQ;
	u->packet_len = 3 + (size_t)len;
}

/* The next block, of lines that tell where they come from and how many there were. */
static void make_block(struct upload *u)
{
	uint64_t at = u->block++ * u->blksize, end = at + u->blksize;
	uint8_t *to = u->packet + 4;
	char line[LINE + 1] = "";

	u->packet[1] = DATA;
	u->packet[2] = (uint8_t)(u->block >> 8);
	u->packet[3] = (uint8_t)u->block;
	for (; at < end && at < u->size; at++) {
		if (!*line || !(at % LINE))
			snprintf(line, sizeof(line), "tftpkctl test --write %09u\n",
				 (unsigned int)(at / LINE) % (MAX_SIZE / LINE));
		*to++ = (uint8_t)line[at % LINE];
	}
	u->packet_len = (size_t)(to - u->packet);
}

/* Read the block size of an OACK. */
static bool read_oack(struct upload *u, const char *text, const char *end)
{
	while (text < end) {
		const char *value = text + strlen(text) + 1;
		uint64_t number;
		const char *rest;

		if (value >= end || !parse_number(value, &rest, &number) || *rest)
			return false;
		if (!strcasecmp(text, "blksize") && (!number || number > BLKSIZE))
			return false;
		if (!strcasecmp(text, "blksize"))
			u->blksize = (uint16_t)number;
		text = value + strlen(value) + 1;
	}
	return true;
}

/* Take a packet, which ends in a NUL beyond its length. Returns whether it ends the wait. */
static bool take_packet(struct upload *u, const uint8_t *packet, size_t len)
{
	const char *text = (const char *)packet;
	uint16_t number = len >= 4 ? (uint16_t)(packet[2] << 8 | packet[3]) : 0;

	if (len < 4 || packet[0])
		return false;
	if (packet[1] == ERROR) {
		fail_upload(u, number, text + 4, strlen(text + 4));
		return true;
	}
	if (packet[1] == OACK && !u->block) {
		if (!read_oack(u, text + 2, text + len))
			fail_upload(u, -1, "an OACK that makes no sense", 27);
		return true;
	}
	return packet[1] == ACK && number == (uint16_t)u->block;
}

static bool is_server(const struct upload *u, const union address *from)
{
	union address whole = *from;

	/* Its first answer tells the port of the transfer. */
	if (!u->answered && from->sa.sa_family == AF_INET)
		whole.in.sin_port = u->server.in.sin_port;
	else if (!u->answered)
		whole.in6.sin6_port = u->server.in6.sin6_port;
	return !memcmp(&whole, &u->server, u->len);
}

/* Wait for an answer to the packet, but not for ever. */
static bool receive_answer(struct upload *u)
{
	double until = monotonic_seconds() + RESEND, left;
	struct pollfd pollfd = { .fd = u->fd, .events = POLLIN };
	uint8_t packet[2048];

	while ((left = until - monotonic_seconds()) > 0) {
		union address from = { 0 };
		socklen_t from_len = sizeof(from);
		ssize_t len;

		if (poll(&pollfd, 1, (int)(left * 1000.0) + 1) <= 0)
			continue;
		len = recvfrom(u->fd, packet, sizeof(packet) - 1, 0, &from.sa, &from_len);
		if (len < 0 || !is_server(u, &from))
			continue;
		packet[len] = 0;
		if (!take_packet(u, packet, (size_t)len))
			continue;
		u->server = from;
		u->answered = true;
		return true;
	}
	return false;
}

/* Write the file. @first and @last are how long it waits in the beginning and at the end. */
static void upload(struct upload *u, double first, double last)
{
	static const char gave_up[] = "\0\5\0\0no answer";

	make_request(u);
	u->began = u->progressed = monotonic_seconds();
	while (!u->reason) {
		double patience = is_last(u) ? last : first;

		if (sendto(u->fd, u->packet, u->packet_len, 0, &u->server.sa, u->len) < 0) {
			fail_upload(u, -1, strerror(errno), strlen(strerror(errno)));
		} else if (!receive_answer(u)) {
			if (monotonic_seconds() - u->progressed < patience)
				continue;
			fail_upload(u, -1, "no answer", 9);
			if (u->answered)
				sendto(u->fd, gave_up, sizeof(gave_up), 0, &u->server.sa, u->len);
		} else if (!u->reason && is_last(u)) {
			break;
		} else if (!u->reason) {
			u->progressed = monotonic_seconds();
			make_block(u);
		}
	}
	u->ended = monotonic_seconds();
}

/* Where to write to: a listener that this machine reaches by the loopback interface. */
static bool find_server(struct upload *u, const json_t *listeners)
{
	const json_t *listener;
	size_t i;

	json_array_foreach(listeners, i, listener) {
		const char *address = json_string_value(object_get(listener, "address"));
		bool v6 = address && strchr(address, ':');
		in_port_t port = htons((uint16_t)object_number(listener, "port"));

		if (!address || json_is_string(object_get(listener, "interface")))
			continue;
		memset(&u->server, 0, sizeof(u->server));
		u->server.sa.sa_family = v6 ? AF_INET6 : AF_INET;
		u->len = v6 ? sizeof(u->server.in6) : sizeof(u->server.in);
		if (v6) {
			inet_pton(AF_INET6, address, &u->server.in6.sin6_addr);
			u->server.in6.sin6_port = port;
			if (IN6_IS_ADDR_UNSPECIFIED(&u->server.in6.sin6_addr))
				u->server.in6.sin6_addr = in6addr_loopback;
		} else {
			inet_pton(AF_INET, address, &u->server.in.sin_addr);
			u->server.in.sin_port = port;
			if (!u->server.in.sin_addr.s_addr)
				u->server.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		}
		return true;
	}
	return false;
}

/* Why no upload is taken, whatever its name, or NULL. */
static const char *find_obstacle(struct upload *u, const json_t *config)
{
	const json_t *values = object_get(config, "settings");
	const json_t *listeners = object_get(config, "listeners");

	if (!json_is_boolean(object_get(values, "uploads")))
		return "the loaded module takes no uploads: load the one that came with tftpkctl";
	if (!json_is_true(object_get(values, "uploads")))
		return "uploads is off: tftpkctl set uploads on";
	if (!json_array_size(listeners))
		return "nothing listens: tftpkctl listen '*'";
	if (json_is_true(object_get(values, "draining")))
		return "draining, no requests are taken: tftpkctl undrain";
	if (!find_server(u, listeners))
		return "each listener is of an interface, which this machine cannot ask by: write from another one";
	return NULL;
}

/* What to do about it, in parentheses, or nothing. */
static const char *remedy(const struct upload *u)
{
	const char *reason = json_string_value(u->reason);

	switch (json_is_integer(u->code) ? json_integer_value(u->code) : -1) {
	case -1:
		if (!strcmp(reason, strerror(ENETUNREACH)) ||
		    !strcmp(reason, strerror(EADDRNOTAVAIL)))
			return " (ip link set lo up)";
		return "";
	case TFTP_ACCESS:
		if (!strcmp(reason, "read-only server"))
			return " (no agent runs, or it has no inbox for this name: see 'inbox' in tftpkd.conf(5))";
		return " (see 'inbox' in tftpkd.conf(5), and what tftpkd logged)";
	case TFTP_DISK_FULL:
		return " (no room, or a limit: see 'max-size', 'quota' and 'per-client' in tftpkd.conf(5))";
	case TFTP_EXISTS:
		return " (see 'existing' in tftpkd.conf(5))";
	default:
		return " (what tftpkd logged may tell more)";
	}
}

static json_t *upload_result(const struct upload *u)
{
	bool v6 = u->len == sizeof(u->server.in6);
	json_t *result = check_alloc(json_object());

	object_put(result, "name", json_bytes(u->name, strlen(u->name)));
	object_put(result, "size", json_integer((json_int_t)u->size));
	object_put(result, "stored", json_boolean(!u->reason));
	object_put(result, "address", !u->len ? json_null() :
		   v6 ? json_address(&u->server.in6.sin6_addr, sizeof(struct in6_addr)) :
			json_address(&u->server.in.sin_addr, sizeof(struct in_addr)));
	object_put(result, "duration",
		   json_integer((json_int_t)((u->ended - u->began) * 1000.0)));
	object_put(result, "error-code", u->code ? json_incref(u->code) : json_null());
	object_put(result, "reason", u->reason ? json_incref(u->reason) : json_null());
	return result;
}

static void print_result(const struct upload *u, const json_t *result)
{
	auto_free char *name = string_text(result, "name");
	auto_free char *reason = string_text(result, "reason");
	uint64_t blocks = u->block ? u->block - 1 : 0;

	if (!u->reason)
		printf("stored: %s, %llu bytes in %.3f s, the last %.3f s for the last block\n",
		       name, (unsigned long long)u->size, u->ended - u->began,
		       u->ended - u->progressed);
	else if (json_is_integer(u->code))
		printf("refused: ERROR %lld, %s%s\n", json_integer_value(u->code), reason,
		       remedy(u));
	else
		printf("failed: %s%s\n", reason, remedy(u));
	if (u->reason && blocks)
		printf("after %llu blocks that were acknowledged\n",
		       (unsigned long long)blocks);
}

/**
 * run_test_write() - write a file as a client does, and tell what becomes of it
 * @ctl: the context
 * @argc: number of arguments
 * @argv: NAME [SIZE]
 *
 * Return: an exit code.
 */
int run_test_write(struct ctl *ctl, int argc, char **argv)
{
	struct upload u = { .name = argv[0], .size = DEFAULT_SIZE, .blksize = 512 };
	json_auto_t *config = NULL;
	json_auto_t *result = NULL;
	const json_t *values;
	const char *why;

	if (argc > 1 && (!parse_scaled(argv[1], "bytes", &u.size) || u.size > MAX_SIZE))
		return usage_error("test --write: %s: the size is at most %u bytes",
				   argv[1], MAX_SIZE);
	if (read_config(ctl, &config))
		return nl_fail(ctl, "test --write %s", u.name);

	values = object_get(config, "settings");
	why = find_obstacle(&u, config);
	if (why) {
		fail_upload(&u, -1, why, strlen(why));
	} else {
		u.fd = socket(u.server.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (u.fd < 0) {
			print_error("test --write: cannot open a socket: %s", strerror(errno));
			return EXIT_FAILURE;
		}
		upload(&u, (double)object_number(values, "resolve-timeout") + SPARE,
		       (double)object_number(values, "store-timeout") + SPARE);
		close(u.fd);
	}
	result = upload_result(&u);
	if (ctl->json)
		print_json(json_incref(result));
	else
		print_result(&u, result);
	json_decref(u.code);
	json_decref(u.reason);
	return u.reason ? EXIT_FAILURE : EXIT_SUCCESS;
}
