// SPDX-License-Identifier: GPL-2.0
/*
 * tftp_get - a client that is patient, compares every byte, and tells how it
 * went. Quick, so that times are the server's.
 *
 *	tftp_get HOST PORT NAME COPY BLKSIZE WINDOWSIZE PATIENCE
 *
 * It acknowledges a window's last block (RFC 7440); tells of a gap once; ACKs
 * again upon each block that it has already; and upon silence only after
 * PATIENCE seconds. Prints, in a line: seconds from the request to the last
 * block, blocks, blocks that came again, blocks behind a gap, ACKs, timeouts.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { RRQ = 1, DATA = 3, ACK = 4, ERROR = 5, OACK = 6 };

#define GIVE_UP		12	/* timeouts in a row */
#define RECEIVE_BUFFER	(8 << 20)

static const char *name;
static const uint8_t *content;
static size_t size;
static unsigned int blksize, window;
static double patience;

static struct addrinfo *server;
static bool connected;
static int fd;

static uint64_t have;		/* blocks that are here */
static uint64_t acked;
static size_t offset;
static bool gap;
static unsigned long again, ahead, acks, timeouts;

static void die(const char *what)
{
	fprintf(stderr, "tftp_get: %s: %s\n", what,
		errno ? strerror(errno) : "wrong");
	exit(1);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void map(const char *path)
{
	struct stat st;
	int file = open(path, O_RDONLY | O_CLOEXEC);

	if (file < 0 || fstat(file, &st))
		die(path);
	size = st.st_size;
	content = (const uint8_t *)"";
	if (size)
		content = mmap(NULL, size, PROT_READ, MAP_SHARED, file, 0);
	if (content == MAP_FAILED)
		die(path);
	close(file);
}

static void transmit(const void *packet, size_t len)
{
	ssize_t n;

	if (connected)
		n = send(fd, packet, len, 0);
	else
		n = sendto(fd, packet, len, 0, server->ai_addr,
			   server->ai_addrlen);
	if (n < 0 && errno != ECONNREFUSED)
		die("send");
}

static void request(void)
{
	uint8_t packet[600] = { 0, RRQ };
	size_t n = 2;

	n += snprintf((char *)packet + n, sizeof(packet) - n,
		      "%s%coctet%cblksize%c%u%cwindowsize%c%u", name, 0, 0, 0,
		      blksize, 0, 0, window) + 1;
	if (n > sizeof(packet))
		die(name);
	transmit(packet, n);
}

static void acknowledge(void)
{
	uint16_t packet[2] = { htons(ACK), htons(have) };

	acked = have;
	acks++;
	transmit(packet, sizeof(packet));
}

/* Options have to be granted as they were asked for, in whatever order. */
static void on_oack(const char *text, size_t len)
{
	const char *end = text + len;
	unsigned int granted = 0;

	errno = 0;
	if (!len || end[-1])
		die("OACK");
	while (text < end) {
		const char *value = text + strlen(text) + 1;

		if (value >= end)
			die("OACK");
		if (!strcmp(text, "blksize"))
			granted += (unsigned int)atoi(value) == blksize;
		else if (!strcmp(text, "windowsize"))
			granted += (unsigned int)atoi(value) == window;
		text = value + strlen(value) + 1;
	}
	if (granted != 2)
		die("options");
	if (!have)
		acknowledge();
}

/* Returns true when the file is complete. */
static bool on_data(uint16_t number, const uint8_t *data, size_t len)
{
	int16_t distance = number - (uint16_t)(have + 1);

	if (distance < 0) {
		again++;
		acknowledge();
		return false;
	}
	if (distance) {
		ahead++;
		if (!gap)
			acknowledge();
		gap = true;
		return false;
	}
	errno = 0;
	if (len > blksize || len > size - offset ||
	    (len < blksize && len != size - offset) ||
	    memcmp(content + offset, data, len))
		die("content");
	offset += len;
	have++;
	gap = false;
	if (len < blksize || have == acked + window)
		acknowledge();
	return len < blksize;
}

/* The first answer tells the server's port. */
static void answered(const struct sockaddr_storage *from, socklen_t len)
{
	if (connect(fd, (const struct sockaddr *)from, len))
		die("connect");
	connected = true;
}

static bool receive(void)
{
	static uint8_t packet[65536];
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	ssize_t n;

	n = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&from,
		     &from_len);
	if (n < 0)
		die("receive");
	errno = 0;
	if (n < 4)
		die("packet");
	if (!connected)
		answered(&from, from_len);
	switch (packet[1]) {
	case OACK:
		on_oack((char *)packet + 2, n - 2);
		return false;
	case DATA:
		return on_data(packet[2] << 8 | packet[3], packet + 4, n - 4);
	default:
		fprintf(stderr, "tftp_get: opcode %u: %.*s\n", packet[1],
			(int)n - 4, packet + 4);
		exit(1);
	}
}

static void fetch(void)
{
	struct pollfd waiting = { .events = POLLIN };
	unsigned int silent = 0;
	bool done = false;

	waiting.fd = fd;
	request();
	while (!done) {
		int n = poll(&waiting, 1, patience * 1000);

		if (n < 0)
			die("poll");
		if (n) {
			silent = 0;
			done = receive();
			continue;
		}
		timeouts++;
		errno = ETIMEDOUT;
		if (++silent > GIVE_UP)
			die(name);
		if (connected)
			acknowledge();
		else
			request();
	}
}

int main(int argc, char **argv)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM,
				  .ai_flags = AI_NUMERICHOST };
	int bytes = RECEIVE_BUFFER;
	double begun;

	if (argc != 8 || getaddrinfo(argv[1], argv[2], &hints, &server)) {
		fputs("usage: tftp_get HOST PORT NAME COPY BLKSIZE WINDOWSIZE PATIENCE\n",
		      stderr);
		return 2;
	}
	name = argv[3];
	map(argv[4]);
	blksize = atoi(argv[5]);
	window = atoi(argv[6]);
	patience = atof(argv[7]);

	fd = socket(server->ai_family, SOCK_DGRAM, 0);
	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));

	begun = now();
	fetch();
	printf("%.3f %llu %lu %lu %lu %lu\n", now() - begun,
	       (unsigned long long)have, again, ahead, acks, timeouts);
	return 0;
}
