// SPDX-License-Identifier: GPL-2.0
/*
 * tftpload - many TFTP clients in one process
 *
 * Every byte that arrives is compared with a local copy of the file. Anything
 * that would make a figure wrong fails the run: a wrong byte, an option that
 * was not granted as asked, an ERROR, and, unless loss is the subject, a
 * timeout or a block out of order.
 *
 * A client acknowledges a window's last block (RFC 7440). It tells of a gap
 * once, acknowledges again upon each block that it has already, and upon
 * silence once its patience is over.
 *
 * With --write clients send the file. A window is sent when the one before it is
 * acknowledged; an ACK within it means that the next block was lost, and the window goes
 * back to it (RFC 7440), as it does for silence. The last ACK says that it is stored.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "histogram.h"

enum { RRQ = 1, WRQ, DATA, ACK, ERROR, OACK };

#define BATCH		64		/* packets taken from a socket at once */
#define PACKET_MAX	65536
#define TRIES_MAX	10		/* timeouts in a row that end a transfer */
#define WINDOWS_MAX	16		/* different ones at a time */
#define RECEIVE_BUFFER	(1 << 20)
#define NS		1000000000ULL

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

struct client {
	TAILQ_ENTRY(client) list;	/* of those that wait, by @heard */
	int fd;
	bool opening;			/* no DATA yet */
	bool connected;			/* the server's port is known */
	bool done;			/* only stays to acknowledge again */
	bool gap;			/* reported, not filled yet */
	bool sampled;			/* @sent is where a latency begins */
	bool held;			/* waits until all others have begun */
	bool impatient;			/* its own timer has fired */
	bool failed;			/* will ask again */
	uint16_t blksize;
	uint16_t window;
	uint16_t unacked;		/* blocks since the last ACK */
	uint16_t tries;
	unsigned int again;		/* how often it asked again */
	uint64_t next;			/* block that is waited for; the first not acknowledged */
	uint64_t top;			/* the first block that was never sent, of writers */
	unsigned int number;
	size_t offset;			/* bytes that have arrived */
	uint64_t began;
	uint64_t sent;			/* when it last sent something */
	uint64_t heard;			/* when it last did that or got DATA */
};

/* What was asked for on the command line. */
static struct {
	const char *file;
	const char *data;
	const char *port;
	const char *bind;
	const char *hold;
	unsigned int spread;
	unsigned int clients;
	unsigned int transfers;
	unsigned int starting;
	unsigned int blksize;
	unsigned int windowsizes[WINDOWS_MAX];
	unsigned int windows;
	unsigned int timeout;
	unsigned int again;
	double patience;
	double deadline;
	bool lossy;
	bool less;
	bool write;
} opt = {
	.port = "69", .spread = 1, .clients = 1, .starting = 64,
	.patience = 2, .deadline = 600, .windows = 1,
};

static struct {
	uint64_t completed, failed, blocks, bytes, duplicates, out_of_order;
	uint64_t acks, timeouts, less, again, disturbed, errors;
	struct histogram first_data, ack_data;
} count;

/* Those that asked for one window. */
static struct group {
	uint64_t *took;			/* ns, of those that are complete */
	size_t completed;
	uint64_t impatient;
} groups[WINDOWS_MAX];

static TAILQ_HEAD(clients, client) waiting = TAILQ_HEAD_INITIALIZER(waiting);
static struct clients failed = TAILQ_HEAD_INITIALIZER(failed);
static union address server, source;
static socklen_t address_len;
static const uint8_t *content;
static size_t size;
static int epoll;
static uint64_t now, finished, deadline;
static unsigned int started, opening, held, at_once;
static uint8_t request[2048];
static size_t request_len;

static void die(const char *what)
{
	fprintf(stderr, "tftpload: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void tick(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = ts.tv_sec * NS + ts.tv_nsec;
}

/* ---- transfers ---- */

static void wait_again(struct client *c)
{
	TAILQ_REMOVE(&waiting, c, list);
	c->heard = now;
	TAILQ_INSERT_TAIL(&waiting, c, list);
}

static void transmit(struct client *c, const void *packet, size_t len)
{
	ssize_t n;

	if (c->connected)
		n = send(c->fd, packet, len, 0);
	else
		n = sendto(c->fd, packet, len, 0, &server.sa, address_len);
	if (n < 0 && !opt.lossy)
		die("send");
	c->sent = now;
	wait_again(c);
}

static void acknowledge(struct client *c)
{
	uint16_t packet[2] = { htons(ACK), htons(c->next - 1) };

	c->unacked = 0;
	c->sampled = true;
	count.acks++;
	transmit(c, packet, sizeof(packet));
}

/* The window that it asks for, 0 for none: clients take turns. */
static unsigned int asked_window(const struct client *c)
{
	return opt.windowsizes[c->number % opt.windows];
}

static struct group *group_of(const struct client *c)
{
	return &groups[c->number % opt.windows];
}

/* The address @n of those that --bind and --spread give. */
static union address source_address(unsigned int n)
{
	union address a = source;

	n %= opt.spread;
	if (a.sa.sa_family == AF_INET) {
		a.in.sin_addr.s_addr = htonl(ntohl(a.in.sin_addr.s_addr) + n);
	} else {
		uint32_t *low = &a.in6.sin6_addr.s6_addr32[3];

		*low = htonl(ntohl(*low) + n);
	}
	return a;
}

static void add_option(const char *name, unsigned int value)
{
	if (value)
		request_len += 1 + sprintf((char *)request + request_len,
					   "%s%c%u", name, 0, value);
}

/* Of a writer each % in the name is its number. */
static void make_request(const struct client *c)
{
	char name[1100];
	const char *from;
	size_t len = 0;

	for (from = opt.file; *from && len < 1024; from++) {
		if (opt.write && *from == '%')
			len += sprintf(name + len, "%u", c->number);
		else
			name[len++] = *from;
	}
	name[len] = 0;
	request[1] = opt.write ? WRQ : RRQ;
	request_len = 3 + sprintf((char *)request + 2, "%s%coctet", name, 0);
	add_option("blksize", opt.blksize);
	add_option("windowsize", asked_window(c));
	add_option("timeout", opt.timeout);
}

static void send_request(struct client *c)
{
	make_request(c);
	transmit(c, request, request_len);
}

/* Every transfer has a port of its own, as with a real client. */
static void ask(struct client *c)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
	int bytes = RECEIVE_BUFFER;
	union address from;

	c->fd = socket(server.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		die("socket");
	if (setsockopt(c->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (opt.bind) {
		from = source_address(c->number);
		if (bind(c->fd, &from.sa, address_len))
			die("bind");
	}
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event))
		die("epoll_ctl");

	c->opening = true;
	c->blksize = 512;
	c->window = 1;
	c->next = 1;
	c->top = 1;
	opening++;
	TAILQ_INSERT_TAIL(&waiting, c, list);
	send_request(c);
}

static void start(struct client *c)
{
	memset(c, 0, sizeof(*c));
	c->began = now;
	c->number = started++;
	ask(c);
}

/* For the same file, from its beginning. */
static void ask_again(struct client *c)
{
	struct client former = *c;

	TAILQ_REMOVE(&failed, c, list);
	memset(c, 0, sizeof(*c));
	c->began = former.began;
	c->number = former.number;
	c->impatient = former.impatient;
	c->again = former.again + 1;
	count.again++;
	if (c->again == 1)
		count.disturbed++;
	ask(c);
}

static void leave(struct client *c)
{
	TAILQ_REMOVE(&waiting, c, list);
	close(c->fd);
	c->fd = -1;
	if (c->opening)
		opening--;
	c->opening = false;
	c->held = false;
}

static void fail(struct client *c, const char *why)
{
	if (c->done)
		return leave(c);
	if (c->again < opt.again && now < deadline) {
		leave(c);
		c->failed = true;
		c->heard = now;
		TAILQ_INSERT_TAIL(&failed, c, list);
		return;
	}
	if (count.failed++ < 10)
		fprintf(stderr, "tftpload: %s at block %llu: %s\n", opt.file,
			(unsigned long long)c->next, why);
	leave(c);
}

static void complete(struct client *c)
{
	struct group *group = group_of(c);
	unsigned int going = started - opening - count.completed - count.failed;

	if (going > at_once)
		at_once = going;
	count.completed++;
	finished = now;
	group->took[group->completed++] = now - c->began;
	/* Where the last ACK may be lost, stay to repeat it. */
	c->done = true;
	if (!opt.lossy)
		leave(c);
}

/* Wait with the second window's ACK, after a loss with a later one, until every
 * client has come that far, or failed; then, with all transfers under way, have
 * the command look, and let them go.
 */
static void hold(struct client *c)
{
	c->held = true;
	held++;
}

static void release(struct client *clients)
{
	unsigned int i;

	if (held + count.failed + count.completed < opt.clients)
		return;
	if (system(opt.hold))
		die(opt.hold);
	opt.hold = NULL;
	tick();
	for (i = 0; i < opt.clients; i++) {
		if (!clients[i].held)
			continue;
		clients[i].held = false;
		acknowledge(&clients[i]);
	}
}

/* ---- packets ---- */

static void on_data(struct client *c, uint16_t block, const uint8_t *data,
		    size_t len)
{
	uint16_t ahead = block - (uint16_t)c->next;

	if (ahead >= 0x8000 || c->done) {
		count.duplicates++;
		if (!c->held)
			acknowledge(c);
		return;
	}
	if (ahead) {
		/* RFC 7440 section 4: tell where the gap begins, once. */
		count.out_of_order++;
		if (!c->gap)
			acknowledge(c);
		else
			wait_again(c);
		c->gap = true;
		return;
	}

	if (len > c->blksize || len > size - c->offset ||
	    (len < c->blksize && c->offset + len != size))
		return fail(c, "wrong length");
	if (memcmp(content + c->offset, data, len))
		return fail(c, "wrong content");
	if (c->opening) {
		histogram_add(&count.first_data, now - c->began);
		c->opening = false;
		opening--;
	} else if (c->sampled) {
		histogram_add(&count.ack_data, now - c->sent);
	}
	c->sampled = false;
	c->gap = false;
	c->tries = 0;
	c->offset += len;
	c->next++;
	c->unacked++;
	count.blocks++;
	count.bytes += len;
	/* The first window was acknowledged: the server knows it is real. */
	if (opt.hold && c->unacked == c->window && c->next > 2U * c->window)
		hold(c);
	else if (len < c->blksize || c->unacked == c->window)
		acknowledge(c);
	else
		wait_again(c);
	if (len < c->blksize)
		complete(c);
}

/* ---- writing ---- */

/* Send the window from the first block that was not acknowledged. */
static void send_window(struct client *c)
{
	uint64_t blocks = size / c->blksize + 1, block;
	static uint8_t packet[4 + 65464] = { 0, DATA };

	for (block = c->next; block < c->next + c->window && block <= blocks; block++) {
		size_t at = (block - 1) * c->blksize;
		size_t len = size - at < c->blksize ? size - at : c->blksize;

		packet[2] = block >> 8;
		packet[3] = block;
		memcpy(packet + 4, content + at, len);
		transmit(c, packet, 4 + len);
		count.blocks++;
		count.bytes += len;
		if (block < c->top)
			count.duplicates++;
		else
			c->top = block + 1;
	}
	c->sampled = true;
}

static void on_ack(struct client *c, uint16_t block)
{
	uint64_t blocks = size / c->blksize + 1;
	uint16_t ahead = block - (uint16_t)(c->next - 1);
	uint64_t acked = c->next - 1 + ahead;

	count.acks++;
	/* The answer to a request without options begins it. */
	if (c->opening && block)
		return fail(c, "an ACK of no block");
	if (!c->opening && !ahead) {
		/* The first of the window was lost, or this is an echo. */
		count.out_of_order++;
		if (c->window > 1 && !c->gap && opt.lossy) {
			c->gap = true;
			send_window(c);
		}
		return;
	}
	if (acked >= c->top)
		/* Older than what is acknowledged already. */
		return;
	if (c->opening) {
		histogram_add(&count.first_data, now - c->began);
		c->opening = false;
		opening--;
	} else if (c->sampled) {
		histogram_add(&count.ack_data, now - c->sent);
	}
	/* Within the window it tells of a loss. */
	if (acked + 1 != c->top)
		count.out_of_order++;
	c->gap = false;
	c->tries = 0;
	c->next = acked + 1;
	if (acked == blocks) {
		complete(c);
		/* Nothing more is to come. */
		if (c->fd >= 0)
			leave(c);
		return;
	}
	send_window(c);
}

static void on_oack(struct client *c, const char *text, size_t len)
{
	unsigned int blksize = 0, window = 0, timeout = 0;
	const char *end = text + len;

	if (c->next != 1) {
		count.duplicates++;
		return;
	}
	if (!len || end[-1])
		return fail(c, "OACK is not terminated");
	while (text < end) {
		const char *name = text;
		const char *value = name + strlen(name) + 1;

		if (value >= end)
			return fail(c, "OACK lacks a value");
		if (!strcasecmp(name, "blksize"))
			blksize = atoi(value);
		else if (!strcasecmp(name, "windowsize"))
			window = atoi(value);
		else if (!strcasecmp(name, "timeout"))
			timeout = atoi(value);
		else if (!strcasecmp(name, "tsize") && strtoull(value, NULL, 10) != size)
			return fail(c, "wrong tsize");
		text = value + strlen(value) + 1;
	}
	if (opt.less && window && window < asked_window(c))
		count.less++;
	else if (window != asked_window(c))
		return fail(c, "the window was not granted as asked");
	if (blksize != opt.blksize || timeout != opt.timeout)
		return fail(c, "an option was not granted as asked");
	c->blksize = blksize ?: 512;
	c->window = window ?: 1;
	if (!opt.write)
		return acknowledge(c);
	if (c->opening)
		on_ack(c, 0);
}

/* The first answer tells the server's port; its address must be the one asked. */
static bool answered(struct client *c, const union address *from)
{
	union address whole = *from;

	if (from->sa.sa_family == AF_INET)
		whole.in.sin_port = server.in.sin_port;
	else
		whole.in6.sin6_port = server.in6.sin6_port;
	if (memcmp(&whole, &server, address_len)) {
		fail(c, "the answer came from another address");
		return false;
	}
	if (connect(c->fd, &from->sa, address_len))
		die("connect");
	c->connected = true;
	return true;
}

static void on_packet(struct client *c, const uint8_t *packet, size_t len,
		      const union address *from)
{
	unsigned int op;

	if (len < 4)
		return fail(c, "short packet");
	op = packet[0] << 8 | packet[1];
	if (op == ERROR) {
		/* To one ACK too many. */
		if (c->done)
			return;
		count.errors++;
		if (!opt.again)
			fprintf(stderr, "tftpload: ERROR %u: %.*s\n",
				packet[2] << 8 | packet[3], (int)len - 4,
				packet + 4);
		return fail(c, "ERROR from the server");
	}
	if (!c->connected) {
		if ((op == DATA || op == ACK) && (opt.blksize || asked_window(c)))
			return fail(c, "options were ignored");
		if (!answered(c, from))
			return;
	}
	if (op == OACK)
		on_oack(c, (const char *)packet + 2, len - 2);
	else if (op == ACK && opt.write)
		on_ack(c, packet[2] << 8 | packet[3]);
	else if (op == DATA && !opt.write)
		on_data(c, packet[2] << 8 | packet[3], packet + 4, len - 4);
	else
		fail(c, opt.write ? "not an ACK" : "not DATA");
}

static void receive(struct client *c)
{
	static uint8_t buffer[BATCH][PACKET_MAX];
	static union address from[BATCH];
	struct mmsghdr msg[BATCH] = {};
	struct iovec iov[BATCH];
	int i, n;

	do {
		for (i = 0; i < BATCH; i++) {
			iov[i].iov_base = buffer[i];
			iov[i].iov_len = PACKET_MAX;
			msg[i].msg_hdr.msg_iov = &iov[i];
			msg[i].msg_hdr.msg_iovlen = 1;
			msg[i].msg_hdr.msg_name = &from[i];
			msg[i].msg_hdr.msg_namelen = sizeof(from[i]);
		}
		n = recvmmsg(c->fd, msg, BATCH, 0, NULL);
		/* A server that has gone after its last block is in its right. */
		if (n < 0 && errno == ECONNREFUSED && c->done)
			return leave(c);
		if (n < 0 && errno != EAGAIN)
			return fail(c, strerror(errno));
		tick();
		for (i = 0; i < n && c->fd >= 0; i++)
			on_packet(c, buffer[i], msg[i].msg_len, &from[i]);
	} while (n == BATCH && c->fd >= 0);
}

static void expire(struct client *c)
{
	if (c->done)
		return leave(c);
	if (c->held)
		return wait_again(c);
	count.timeouts++;
	if (!c->impatient)
		group_of(c)->impatient++;
	c->impatient = true;
	if (++c->tries > TRIES_MAX)
		return fail(c, "no answer");
	c->sampled = false;
	if (c->next == 1 && !c->connected)
		send_request(c);
	else if (opt.write)
		send_window(c);
	else
		acknowledge(c);
}

/* ---- the run ---- */

static void run(void)
{
	struct client *clients = calloc(opt.clients, sizeof(*clients));
	uint64_t patience = opt.patience * NS;
	struct epoll_event events[256];
	struct client *c;
	unsigned int i;
	int n, k;

	if (!clients)
		die("clients");
	for (i = 0; i < opt.clients; i++)
		clients[i].fd = -1;
	tick();
	deadline = now + opt.deadline * NS;

	i = 0;
	while (started < opt.transfers || !TAILQ_EMPTY(&waiting) ||
	       !TAILQ_EMPTY(&failed)) {
		while ((c = TAILQ_FIRST(&failed)) && now - c->heard > patience &&
		       opening < opt.starting)
			ask_again(c);
		/* Whoever is free begins anew; ever so few at a time, as a
		 * link does not queue thousands of requests.
		 */
		for (n = opt.clients; n && started < opt.transfers &&
		     opening < opt.starting; n--, i++) {
			c = &clients[i % opt.clients];
			if (c->fd < 0 && !c->failed)
				start(c);
		}
		n = epoll_wait(epoll, events, 256, 50);
		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		for (k = 0; k < n; k++)
			if (((struct client *)events[k].data.ptr)->fd >= 0)
				receive(events[k].data.ptr);
		tick();
		if (opt.hold)
			release(clients);
		while ((c = TAILQ_FIRST(&waiting)) && now - c->heard > patience)
			expire(c);
		if (now > deadline) {
			while ((c = TAILQ_FIRST(&failed)))
				ask_again(c);
			while ((c = TAILQ_FIRST(&waiting)))
				fail(c, "the run's deadline has passed");
			break;
		}
	}
	free(clients);
}

static void put(json_t *object, const char *key, uint64_t n)
{
	json_object_set_new(object, key, json_integer(n));
}

static void put_quantiles(json_t *object, const char *key,
			  const struct histogram *h)
{
	json_t *q = json_object();

	put(q, "samples", h->samples);
	put(q, "p50", histogram_quantile(h, 0.5) / 1000);
	put(q, "p99", histogram_quantile(h, 0.99) / 1000);
	put(q, "max", h->max / 1000);
	json_object_set_new(object, key, q);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* How long transfers took, in us. */
static json_t *times(struct group *group)
{
	size_t n = group->completed;
	json_t *o = json_object();

	qsort(group->took, n, sizeof(*group->took), compare);
	put(o, "samples", n);
	put(o, "p50", n ? group->took[(n - 1) / 2] / 1000 : 0);
	put(o, "p99", n ? group->took[(99 * n + 99) / 100 - 1] / 1000 : 0);
	put(o, "max", n ? group->took[n - 1] / 1000 : 0);
	return o;
}

static json_t *by_window(void)
{
	json_t *list = json_array();
	unsigned int i;

	for (i = 0; i < opt.windows; i++) {
		json_t *o = times(&groups[i]);

		put(o, "windowsize", opt.windowsizes[i] ?: 1);
		put(o, "impatient", groups[i].impatient);
		json_array_append_new(list, o);
	}
	return list;
}

/* All groups in one. */
static struct group everybody(void)
{
	struct group all = {
		.took = calloc(opt.transfers, sizeof(*all.took)),
	};
	unsigned int i;

	if (!all.took)
		die("times");
	for (i = 0; i < opt.windows; i++) {
		memcpy(all.took + all.completed, groups[i].took,
		       groups[i].completed * sizeof(*all.took));
		all.completed += groups[i].completed;
		all.impatient += groups[i].impatient;
	}
	return all;
}

static void report(double seconds, double done)
{
	struct group all = everybody();
	json_t *o = json_object();

	put(o, "clients", opt.clients);
	put(o, "blksize", opt.blksize ?: 512);
	if (opt.windows == 1)
		put(o, "windowsize", opt.windowsizes[0] ?: 1);
	else
		json_object_set_new(o, "by_window", by_window());
	put(o, "transfers", count.completed);
	put(o, "failed", count.failed);
	put(o, "at_once", at_once);
	put(o, "blocks", count.blocks);
	put(o, "bytes", count.bytes);
	put(o, "acks", count.acks);
	put(o, "duplicates", count.duplicates);
	put(o, "out_of_order", count.out_of_order);
	put(o, "timeouts", count.timeouts);
	put(o, "impatient", all.impatient);
	put(o, "less", count.less);
	put(o, "errors", count.errors);
	put(o, "again", count.again);
	put(o, "disturbed", count.disturbed);
	json_object_set_new(o, "seconds", json_real(seconds));
	json_object_set_new(o, "done", json_real(done));
	put_quantiles(o, "request_to_data_us", &count.first_data);
	put_quantiles(o, "ack_to_data_us", &count.ack_data);
	json_object_set_new(o, "transfer_us", times(&all));
	json_dumpf(o, stdout, JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(o);
}

/* ---- setting up ---- */

static void usage(void)
{
	fputs("usage: tftpload [option...] --data FILE HOST FILE\n"
	      "       tftpload --write [option...] --data FILE HOST NAME\n"
	      "       tftpload --make SIZE FILE\n"
	      "\n"
	      "Fetch FILE from HOST with many clients at once and compare every byte with\n"
	      "the local copy that --data names. Prints JSON; fails where anything went\n"
	      "wrong, a timeout included. --write sends the local copy instead; each % in NAME is\n"
	      "the number of the transfer. --make writes data that never repeats.\n"
	      "\n"
	      "  --clients N      clients at one time; 1\n"
	      "  --transfers N    in all; as many as clients\n"
	      "  --starting N     clients that wait for their first DATA at one time; 64\n"
	      "  --blksize N      ask for this block size (RFC 2348)\n"
	      "  --windowsize N   ask for this window (RFC 7440), 0 for none; N,N,...: clients\n"
	      "                   take turns, and each window has figures of its own\n"
	      "  --timeout S      ask for this timeout (RFC 2349)\n"
	      "  --port N         the server's port; 69\n"
	      "  --bind ADDRESS   send from this address\n"
	      "  --spread N       and from the next ones, N in all\n"
	      "  --patience S     a client's own timeout; 2\n"
	      "  --deadline S     of the whole run; 600\n"
	      "  --hold COMMAND   stop each transfer after its second window; once all clients\n"
	      "                   are there, run COMMAND, then go on. With --lossy, since the\n"
	      "                   server repeats itself meanwhile\n"
	      "  --lossy          loss is the subject: timeouts are no failure\n"
	      "  --again N        who gets an ERROR, or no answer, asks again from another port\n"
	      "                   once its patience is over, N times at most\n"
	      "  --less           a smaller window than was asked for is none either\n",
	      stderr);
	exit(2);
}

static int make(const char *bytes, const char *path)
{
	uint64_t left = strtoull(bytes, NULL, 10), i, word;
	FILE *file = fopen(path, "w");
	size_t n;

	if (!file)
		die(path);
	/* Mixed by multiplication and shifts: no two pages are alike. */
	for (i = 1; left; i++, left -= n) {
		word = i * 0x9e3779b97f4a7c15ULL;
		word = (word ^ word >> 31) * 0xd6e8feb86659fd93ULL;
		word ^= word >> 32;
		n = left < sizeof(word) ? left : sizeof(word);
		if (fwrite(&word, 1, n, file) != n)
			die(path);
	}
	if (fclose(file))
		die(path);
	return 0;
}

static void map(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		die(path);
	size = st.st_size;
	content = (const uint8_t *)"";
	if (size)
		content = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_POPULATE,
			       fd, 0);
	if (content == MAP_FAILED)
		die(path);
	close(fd);
}

static void resolve(const char *host, const char *port, union address *to)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM,
				  .ai_flags = AI_NUMERICHOST };
	struct addrinfo *ai;
	int err = getaddrinfo(host, port, &hints, &ai);

	if (err) {
		fprintf(stderr, "tftpload: %s port %s: %s\n", host, port,
			gai_strerror(err));
		exit(2);
	}
	memcpy(to, ai->ai_addr, ai->ai_addrlen);
	address_len = ai->ai_addrlen;
	freeaddrinfo(ai);
}

static void parse_windows(const char *text)
{
	char *end;

	for (opt.windows = 0; opt.windows < WINDOWS_MAX; text = end + 1) {
		opt.windowsizes[opt.windows++] = strtoul(text, &end, 10);
		if (!*end)
			return;
		if (*end != ',')
			break;
	}
	usage();
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "data",	required_argument, NULL, 'D' },
		{ "clients",	required_argument, NULL, 'c' },
		{ "transfers",	required_argument, NULL, 'n' },
		{ "starting",	required_argument, NULL, 's' },
		{ "blksize",	required_argument, NULL, 'b' },
		{ "windowsize",	required_argument, NULL, 'w' },
		{ "timeout",	required_argument, NULL, 't' },
		{ "port",	required_argument, NULL, 'p' },
		{ "bind",	required_argument, NULL, 'B' },
		{ "spread",	required_argument, NULL, 'S' },
		{ "patience",	required_argument, NULL, 'P' },
		{ "deadline",	required_argument, NULL, 'd' },
		{ "hold",	required_argument, NULL, 'h' },
		{ "lossy",	no_argument,	   NULL, 'l' },
		{ "less",	no_argument,	   NULL, 'L' },
		{ "again",	required_argument, NULL, 'a' },
		{ "write",	no_argument,	   NULL, 'W' },
		{ "make",	required_argument, NULL, 'm' },
		{ }
	};
	const char *bytes = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'D': opt.data = optarg; break;
		case 'c': opt.clients = atoi(optarg); break;
		case 'n': opt.transfers = atoi(optarg); break;
		case 's': opt.starting = atoi(optarg); break;
		case 'b': opt.blksize = atoi(optarg); break;
		case 'w': parse_windows(optarg); break;
		case 't': opt.timeout = atoi(optarg); break;
		case 'p': opt.port = optarg; break;
		case 'B': opt.bind = optarg; break;
		case 'S': opt.spread = atoi(optarg); break;
		case 'P': opt.patience = atof(optarg); break;
		case 'd': opt.deadline = atof(optarg); break;
		case 'h': opt.hold = optarg; break;
		case 'a': opt.again = atoi(optarg); break;
		case 'l': opt.lossy = true; break;
		case 'L': opt.less = true; break;
		case 'W': opt.write = true; break;
		case 'm': bytes = optarg; break;
		default: usage();
		}
	}
	if (bytes && argc - optind == 1)
		exit(make(bytes, argv[optind]));
	if (argc - optind != 2 || !opt.data || !opt.clients || !opt.spread ||
	    !opt.starting)
		usage();
	if (!opt.transfers)
		opt.transfers = opt.clients;
	opt.file = argv[optind + 1];
	if (strlen(opt.file) > 1024 || (opt.write && opt.hold))
		usage();
	resolve(argv[optind], opt.port, &server);
	if (opt.bind)
		resolve(opt.bind, "0", &source);
}

int main(int argc, char **argv)
{
	struct rlimit files;
	unsigned int i;
	uint64_t began;

	parse(argc, argv);
	map(opt.data);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		die("epoll");

	for (i = 0; i < opt.windows; i++) {
		groups[i].took = calloc(opt.transfers / opt.windows + 1,
					sizeof(*groups[i].took));
		if (!groups[i].took)
			die("times");
	}

	tick();
	began = now;
	run();
	/* Where loss is expected, clients stay after the last byte. */
	report((now - began) / (double)NS,
	       finished ? (finished - began) / (double)NS : 0);

	if (count.failed || count.completed != opt.transfers)
		return 1;
	if (!opt.lossy && (count.timeouts || count.out_of_order)) {
		fputs("tftpload: timeouts or losses that nobody expected\n",
		      stderr);
		return 1;
	}
	return 0;
}
