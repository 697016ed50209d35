// SPDX-License-Identifier: GPL-2.0
/*
 * replay KIND CAPTURE: does the model of a client answer what a server sent, as the
 * client did? The same ACKs, in the same order; those of its own timer after the same
 * time, as far as an emulated machine keeps time.
 */
#include <stdio.h>
#include <stdlib.h>

#include "clients.h"

#define PACKETS		4096
#define QUEUE		16
#define SLACK_MS	60

struct packet {
	double ms;
	char direction;
	char what[8];
	unsigned int number;
};

static struct packet captured[PACKETS];
static uint16_t said[PACKETS];		/* by the model, and not by the client yet */
static unsigned int n_said, n_heard;

static void note_ack(struct client *c, uint16_t number)
{
	(void)c;
	if (n_said < PACKETS)
		said[n_said++] = number;
}

static uint64_t ns(double ms)
{
	return (uint64_t)(ms * 1e6);
}

/* The client sent that. Did its model, or is its timer to expire about now? */
static bool expect(struct client *c, const struct packet *p)
{
	if (n_heard == n_said && c->timer_ns < ns(p->ms + c->kind->tick_ms + SLACK_MS))
		client_timer(c, ns(p->ms));
	if (strcmp(p->what, "ACK") || n_heard == n_said) {
		printf("# %.2f ms: the client sends %s %u, its model nothing\n", p->ms, p->what,
		       p->number);
		return false;
	}
	if (said[n_heard++] != p->number) {
		printf("# %.2f ms: the client sends ACK %u, its model ACK %u\n", p->ms, p->number,
		       said[n_heard - 1]);
		return false;
	}
	return true;
}

/* How late it is for the timer, if it was set then. The clock of an emulated machine is
 * a tenth slower at times.
 */
static double late_ms(const struct client *c, double now_ms, double set_ms)
{
	double due_ms = c->timer_ns / 1e6;

	return now_ms - due_ms - (due_ms - set_ms) / 10;
}

static bool replay(struct client *c, const struct client_kind *kind, unsigned int n, uint64_t last)
{
	struct packet queue[QUEUE];
	unsigned int i, k, queued = 0;
	bool begun = false, stopped = false;
	uint64_t high = 0;

	for (i = 0; i < n; i++) {
		const struct packet *p = &captured[i];

		if (high && late_ms(c, p->ms, captured[i - 1].ms) > SLACK_MS) {
			printf("# %.2f ms: the timer of the model expired at %.2f ms, the client's did not\n",
			       p->ms, c->timer_ns / 1e6);
			return false;
		}
		switch (p->direction) {
		case '<':
			if (!expect(c, p))
				return false;
			break;
		case '-':
			stopped = !strcmp(p->what, "STOP");
			for (k = 0; !stopped && k < queued; k++)
				client_receive(c, queue[k].number, ns(p->ms));
			queued = 0;
			break;
		case '>':
			if (!begun)
				client_start(c, kind, last, !strcmp(p->what, "OACK"), ns(p->ms));
			begun = true;
			if (strcmp(p->what, "DATA"))
				break;
			/* The block is what the number means nearest to those before. */
			if (!high && p->number > 1) {
				c->have = p->number - 1;
				client_await(c, ns(p->ms));
			}
			high = high ? high + (int16_t)(p->number - (uint16_t)high) : p->number;
			if (!stopped) {
				client_receive(c, high, ns(p->ms));
			} else if (queued < QUEUE) {
				queue[queued] = *p;
				queue[queued++].number = high;
			}
			break;
		}
	}
	if (n_heard < n_said) {
		printf("# the model sends ACK %u, the client does not\n", said[n_heard]);
		return false;
	}
	printf("# %u ACKs as captured\n", n_said);
	return true;
}

int main(int argc, char **argv)
{
	static struct client c = { .ack = note_ack };
	const struct client_kind *kind = argc == 3 ? client_kind(argv[1]) : NULL;
	unsigned int n = 0, last = 0;
	bool asked = false;
	char line[200];
	FILE *file;

	if (!kind) {
		fprintf(stderr, "usage: replay KIND CAPTURE\n");
		return 2;
	}
	file = fopen(argv[2], "r");
	if (!file) {
		perror(argv[2]);
		return 2;
	}
	while (fgets(line, sizeof(line), file) && n < PACKETS) {
		struct packet *p = &captured[n];

		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "# options: ", 11))
			asked = !strcmp(line + 11, kind->asks);
		if (sscanf(line, "%lf %c %7s %u", &p->ms, &p->direction, p->what, &p->number) != 4)
			continue;
		if (p->direction == '>' && p->number > last)
			last = p->number;
		n++;
	}
	fclose(file);
	if (!asked) {
		printf("# the client does not ask for: %s\n", kind->asks);
		return 1;
	}
	return !replay(&c, kind, n, last);
}
