// SPDX-License-Identifier: GPL-2.0
/*
 * paced - a client that sends at its own pace and hears nothing
 *
 *	paced USEC echo ADDRESS BYTES N		ICMP echo requests
 *	paced USEC tftp ADDRESS PORT FILE BLKSIZE WINDOW BYTES
 *						a request, and the ACKs for a
 *						file of that size
 *	paced USEC upload ADDRESS PORT FILE BLKSIZE WINDOW BYTES
 *						a request, unless FILE is -, and
 *						DATA, a window at a time
 *	paced USEC file FILE BYTES		the same into a file, at once
 *	paced USEC write FILE TEXT N		a text into a file
 *
 * One packet each USEC, whatever comes back. So it takes the same instructions
 * whether somebody answers or nobody does, and what is more in between is the
 * other side's. The TFTP server has to use PORT for the transfer.
 *
 * Runs in a VM: counter.c counts from one mark to the next.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/ip_icmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { RRQ = 1, WRQ, DATA, ACK };

#define PIECE	65536

static struct timespec pace;

static void die(const char *what)
{
	fprintf(stderr, "paced: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* What counter.c looks for: it does nothing. */
static void mark(void)
{
	__asm__ volatile("nopl 0x6b72616d(%%rax)" ::: "memory");
}

static void wait_for(unsigned int turns)
{
	while (turns--)
		if (clock_nanosleep(CLOCK_MONOTONIC, 0, &pace, NULL))
			die("sleep");
}

static struct sockaddr_in address(const char *host, const char *port)
{
	struct sockaddr_in to = { .sin_family = AF_INET };

	to.sin_port = htons(atoi(port));
	if (!inet_aton(host, &to.sin_addr))
		die(host);
	return to;
}

static void transmit(int fd, const void *packet, size_t len,
		     const struct sockaddr_in *to)
{
	if (sendto(fd, packet, len, 0, (const void *)to, sizeof(*to)) < 0)
		die("send");
	wait_for(1);
}

static void echo(char **arg)
{
	struct sockaddr_in to = address(arg[0], "0");
	size_t len = sizeof(struct icmphdr) + atoi(arg[1]), i;
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	unsigned int n, count = atoi(arg[2]);
	static uint16_t packet[750];
	struct icmphdr *icmp = (void *)packet;
	uint32_t sum;

	if (fd < 0 || len > sizeof(packet))
		die("echo");
	icmp->type = ICMP_ECHO;
	mark();
	for (n = 0; n < count; n++) {
		icmp->un.echo.sequence = htons(n);
		icmp->checksum = 0;
		for (sum = i = 0; i < len / 2; i++)
			sum += packet[i];
		sum = (sum & 0xffff) + (sum >> 16);
		icmp->checksum = ~(sum + (sum >> 16));
		transmit(fd, packet, len, &to);
	}
}

static void tftp(char **arg)
{
	struct sockaddr_in to = address(arg[0], "69");
	unsigned long blksize = atoi(arg[3]), window = atoi(arg[4]);
	unsigned long blocks = atol(arg[5]) / blksize + 1, block;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	uint16_t ack[2] = { htons(ACK) };
	uint8_t request[512] = { 0, RRQ };
	size_t len;

	if (fd < 0)
		die("socket");
	len = 2 + snprintf((char *)request + 2, sizeof(request) - 2,
			   "%s%coctet%cblksize%c%lu%cwindowsize%c%lu", arg[2],
			   0, 0, 0, blksize, 0, 0, window) + 1;
	mark();
	transmit(fd, request, len, &to);
	/* A file that is not in use is opened by a work. */
	wait_for(10);
	to.sin_port = htons(atoi(arg[1]));
	for (block = 0; block < blocks; block += window) {
		ack[1] = htons(block);
		transmit(fd, ack, sizeof(ack), &to);
	}
	ack[1] = htons(blocks);
	transmit(fd, ack, sizeof(ack), &to);
}

/* What is uploaded: no two blocks are alike. */
static uint8_t *make_content(size_t size)
{
	uint32_t *words = malloc(size + sizeof(*words));
	size_t i;

	if (!words)
		die("content");
	for (i = 0; i <= size / sizeof(*words); i++)
		words[i] = i * 2654435761U;
	return (uint8_t *)words;
}

static void transmit_block(int fd, uint16_t block, const uint8_t *data, size_t len,
			   const struct sockaddr_in *to)
{
	uint16_t header[2] = { htons(DATA), htons(block) };
	struct iovec iov[2] = {
		{ header, sizeof(header) }, { (void *)data, len },
	};
	struct msghdr msg = {
		.msg_name = (void *)to, .msg_namelen = sizeof(*to),
		.msg_iov = iov, .msg_iovlen = 2,
	};

	if (sendmsg(fd, &msg, 0) < 0)
		die("send");
}

static void upload(char **arg)
{
	struct sockaddr_in to = address(arg[0], "69");
	size_t blksize = atoi(arg[3]), window = atoi(arg[4]), size = atol(arg[5]);
	size_t blocks = size / blksize + 1, block;
	const uint8_t *content = make_content(size);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	uint8_t request[512] = { 0, WRQ };
	size_t len;

	if (fd < 0)
		die("socket");
	len = 2 + snprintf((char *)request + 2, sizeof(request) - 2,
			   "%s%coctet%cblksize%c%zu%cwindowsize%c%zu", arg[2],
			   0, 0, 0, blksize, 0, 0, window) + 1;
	mark();
	/* An agent is asked here, and at the first block. */
	if (strcmp(arg[2], "-"))
		transmit(fd, request, len, &to);
	wait_for(1000);
	to.sin_port = htons(atoi(arg[1]));
	for (block = 1; block <= blocks; block++) {
		transmit_block(fd, block, content + (block - 1) * blksize,
			       block < blocks ? blksize : size % blksize, &to);
		if (block == window)
			wait_for(1000);
		else if (block % window == 0)
			wait_for(1);
	}
	wait_for(900);
}

static void write_file(char **arg)
{
	size_t size = atol(arg[1]), at, n;
	const uint8_t *content = make_content(size);
	int fd = open(arg[0], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		die(arg[0]);
	mark();
	for (at = 0; at < size; at += n) {
		n = size - at < PIECE ? size - at : PIECE;
		if (write(fd, content + at, n) != (ssize_t)n)
			die(arg[0]);
	}
}

static void write_times(char **arg)
{
	unsigned int n, count = atoi(arg[2]);
	size_t len = strlen(arg[1]);
	int fd = open(arg[0], O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		die(arg[0]);
	mark();
	for (n = 0; n < count; n++) {
		if (write(fd, arg[1], len) != (ssize_t)len)
			die(arg[0]);
		wait_for(1);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int words;
		void (*run)(char **arg);
	} loads[] = {
		{ "echo", 3, echo },
		{ "tftp", 6, tftp },
		{ "upload", 6, upload },
		{ "file", 2, write_file },
		{ "write", 3, write_times },
	}, *load;

	prctl(PR_SET_TIMERSLACK, 1);
	for (load = loads; load < loads + sizeof(loads) / sizeof(*loads); load++) {
		if (argc != 3 + load->words || strcmp(argv[2], load->name))
			continue;
		pace.tv_nsec = atol(argv[1]) * 1000;
		load->run(argv + 3);
		/* What the end brings about belongs to it. */
		wait_for(100);
		mark();
		return 0;
	}
	fprintf(stderr, "paced: no such load\n");
	return 2;
}
