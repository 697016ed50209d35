// SPDX-License-Identifier: GPL-2.0
/*
 * tftpmodel [--loss SHARE] [--seed N] CLIENT SERVER NAME FILE
 *
 * Fetches NAME as a client of tools/testing/clients would, which sends its options and
 * ACKs each block by itself, and compares it with FILE. Of what comes and goes that
 * share is lost, by block and copy. Prints, as JSON, how long it took and what it cost.
 */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "../../../clients/clients.h"

enum { RRQ = 1, DATA = 3, ACK, ERROR, OACK };

#define BLOCKS_MAX	65536
#define BUFFER		65536
#define REQUEST_MS	1000
#define SILENCE_MS	20000	/* of the server: it has given up */
#define NS_PER_MS	1000000ULL

struct packet {
	size_t length;
	uint64_t arrived_ns;
	unsigned char data[BUFFER];
};

static int fd;
static double loss;
static uint32_t seed;
static uint16_t copies[2][BLOCKS_MAX];
static uint64_t received, again, acks, done_ns;

static uint64_t now(void)
{
	struct timespec ts;

	/* As the timestamps of packets. */
	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static bool lost(bool ack, uint64_t block)
{
	return client_lost(loss, seed, ack, block, copies[ack][block % BLOCKS_MAX]++);
}

static void send_ack(struct client *c, uint16_t number)
{
	unsigned char packet[4] = { 0, ACK, number >> 8, number };

	(void)c;
	acks++;
	if (!lost(true, number) && send(fd, packet, sizeof(packet), 0) < 0)
		err(1, "send");
}

/* Wait for a packet, until that time at most. */
static bool receive(struct packet *packet, uint64_t until_ns, struct sockaddr_storage *from,
		    socklen_t *from_length)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	char control[CMSG_SPACE(sizeof(struct timespec))];
	struct iovec iov = { packet->data, sizeof(packet->data) };
	struct msghdr msg = {
		.msg_name = from,
		.msg_namelen = from ? sizeof(*from) : 0,
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	uint64_t now_ns = now(), left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
	struct timespec left = { left_ns / 1000000000, left_ns % 1000000000 }, ts;
	ssize_t length;

	if (ppoll(&wait, 1, &left, NULL) <= 0)
		return false;
	length = recvmsg(fd, &msg, 0);
	if (length < 4)
		err(1, "recvmsg: %zd bytes", length);
	packet->length = length;
	packet->arrived_ns = now();
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
			memcpy(&ts, CMSG_DATA(c), sizeof(ts));
			packet->arrived_ns = ts.tv_sec * 1000000000ULL + ts.tv_nsec;
		}
	}
	if (from)
		*from_length = msg.msg_namelen;
	return true;
}

static size_t request(unsigned char *buffer, const char *name, const char *asks)
{
	int length = 2 + sprintf((char *)buffer + 2, "%s%coctet", name, 0) + 1;

	buffer[0] = 0;
	buffer[1] = RRQ;
	for (; *asks; asks++)
		buffer[length++] = *asks == ' ' ? 0 : *asks;
	if (buffer[length - 1])
		buffer[length++] = 0;
	return length;
}

/* The block size that was granted. */
static size_t blksize(const struct packet *packet)
{
	const char *word = (const char *)packet->data + 2, *end = (const char *)packet->data + packet->length;

	if (packet->data[1] != OACK)
		return 512;
	for (; word < end; word += strlen(word) + 1) {
		if (!strcmp(word, "blksize"))
			return strtoul(word + strlen(word) + 1, NULL, 10);
	}
	return 512;
}

static void busy(uint64_t until_ns)
{
	struct timespec ts = { until_ns / 1000000000, until_ns % 1000000000 };

	clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL);
}

/* A DATA packet for a client that handles one after the other. */
static void take(struct client *c, const struct packet *packet, const unsigned char *file, size_t size,
		 size_t block_size)
{
	static uint64_t block, busy_ns, before_ns;
	uint16_t number = packet->data[2] << 8 | packet->data[3];
	size_t length = packet->length - 4, offset;

	/* The block that is nearest to the one before. */
	block += (int16_t)(number - (uint16_t)block);
	received++;
	again += copies[0][block % BLOCKS_MAX] > 0;
	if (lost(false, block))
		return;
	offset = (block - 1) * block_size;
	if (offset > size || length != (size - offset < block_size ? size - offset : block_size) ||
	    memcmp(file + offset, packet->data + 4, length))
		errx(1, "block %ju is not as the file has it", (uintmax_t)block);
	if (c->kind->room == 1 && before_ns > packet->arrived_ns)
		return;
	before_ns = busy_ns;
	busy_ns = packet->arrived_ns > busy_ns ? packet->arrived_ns : busy_ns;
	busy_ns += c->kind->busy_us * 1000ULL;
	if (c->kind->busy_us)
		busy(busy_ns);
	client_receive(c, block, now());
	if (c->spoilt)
		errx(1, "the client took block %ju for another", (uintmax_t)block);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "loss", required_argument, NULL, 'l' },
		{ "seed", required_argument, NULL, 's' },
		{ }
	};
	static struct packet packet;
	static struct client c = { .ack = send_ack };
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM }, *server;
	const struct client_kind *kind;
	struct sockaddr_storage from;
	unsigned char buffer[BUFFER], *file;
	size_t length, block_size;
	socklen_t from_length;
	uint64_t begun_ns, heard_ns;
	struct stat st;
	int option, local, on = 1, tries = 0;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'l':
			loss = strtod(optarg, NULL);
			break;
		case 's':
			seed = strtoul(optarg, NULL, 10);
			break;
		default:
			return 2;
		}
	}
	kind = argc == optind + 4 ? client_kind(argv[optind]) : NULL;
	if (!kind)
		errx(2, "usage: tftpmodel [--loss SHARE] [--seed N] CLIENT SERVER NAME FILE");
	local = open(argv[optind + 3], O_RDONLY);
	if (local < 0 || fstat(local, &st))
		err(1, "%s", argv[optind + 3]);
	file = mmap(NULL, st.st_size ?: 1, PROT_READ, MAP_PRIVATE, local, 0);
	if (file == MAP_FAILED)
		err(1, "mmap");
	if (getaddrinfo(argv[optind + 1], "69", &hints, &server))
		errx(1, "%s: no address", argv[optind + 1]);
	fd = socket(server->ai_family, SOCK_DGRAM, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)))
		err(1, "socket");

	length = request(buffer, argv[optind + 2], kind->asks);
	do {
		if (tries++ == 5)
			errx(1, "no answer");
		begun_ns = now();
		if (sendto(fd, buffer, length, 0, server->ai_addr, server->ai_addrlen) < 0)
			err(1, "sendto");
	} while (!receive(&packet, now() + REQUEST_MS * NS_PER_MS, &from, &from_length));
	if (packet.data[1] == ERROR)
		errx(1, "ERROR: %.*s", (int)packet.length - 4, packet.data + 4);
	if (connect(fd, (struct sockaddr *)&from, from_length))
		err(1, "connect");
	block_size = blksize(&packet);
	client_start(&c, kind, st.st_size / block_size + 1, packet.data[1] == OACK, now());
	heard_ns = now();
	if (packet.data[1] == DATA)
		take(&c, &packet, file, st.st_size, block_size);

	while (!client_done(&c)) {
		uint64_t until_ns = heard_ns + SILENCE_MS * NS_PER_MS;

		if (now() >= until_ns)
			errx(1, "the server fell silent at block %ju", (uintmax_t)c.have);
		if (c.timer_ns < until_ns)
			until_ns = c.timer_ns;
		if (!receive(&packet, until_ns, NULL, NULL)) {
			if (now() >= c.timer_ns)
				client_timer(&c, now());
			continue;
		}
		heard_ns = now();
		if (packet.data[1] == DATA)
			take(&c, &packet, file, st.st_size, block_size);
		else if (packet.data[1] == ERROR)
			errx(1, "ERROR: %.*s", (int)packet.length - 4, packet.data + 4);
	}
	done_ns = now();
	printf("{\"seconds\": %.6f, \"blocks\": %ju, \"received\": %ju, \"again\": %ju, \"acks\": %ju}\n",
	       (done_ns - begun_ns) / 1e9, (uintmax_t)c.last, (uintmax_t)received, (uintmax_t)again,
	       (uintmax_t)acks);
	return 0;
}
