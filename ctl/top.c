// SPDX-License-Identifier: GPL-2.0
/* top: the transfers as they go. */
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#define NCURSES_WIDECHAR	1
#define NCURSES_NOMACROS
#include <curses.h>

#include "tftpkctl.h"

#define PERIOD		1.0	/* seconds */
#define HEAD_LINES	3	/* above the transfers */
#define FILE_MIN	10

struct view {
	json_t *transfers, *stats;
	json_t *before;		/* acknowledged bytes by number, one period ago */
	bool draining;
	double at;		/* when @transfers were read */
	double elapsed;		/* since @before, 0 at first */
	size_t first;		/* transfer in the first line */
};

struct cell {
	const char *title;
	int width;		/* 0 for what the others leave */
	bool right;
	char *(*text)(const struct view *view, const json_t *transfer);
};

/* The number of a transfer as a key. */
static const char *id_key(const json_t *transfer)
{
	static char key[24];

	snprintf(key, sizeof(key), "%lld", object_number(transfer, "id"));
	return key;
}

/* Bytes per second in the last period, or since the transfer began. */
static double current_rate(const struct view *view, const json_t *transfer)
{
	const json_t *old = json_object_get(view->before, id_key(transfer));
	long long bytes = object_number(transfer, "acknowledged");
	long long age = object_number(transfer, "age");

	if (bytes < 0)
		return 0;
	if (old && view->elapsed > 0)
		return (double)(bytes - json_integer_value(old)) /
		       view->elapsed;
	return age > 0 ? (double)bytes * 1000.0 / (double)age : 0;
}

/* Read it all anew. Returns -1 with ctl->error set. */
static int refresh_view(struct ctl *ctl, struct view *view)
{
	json_t *t;
	json_auto_t *transfers = NULL;
	json_auto_t *stats = NULL;
	json_auto_t *values = NULL;
	json_t *before;
	double time = monotonic_seconds();
	size_t i;

	if (dump_transfers(ctl, &transfers) || read_stats(ctl, &stats) ||
	    read_settings(ctl, &values))
		return -1;
	before = check_alloc(json_object());
	json_array_foreach(view->transfers, i, t) {
		long long bytes = object_number(t, "acknowledged");

		json_object_set_new(before, id_key(t),
				    json_integer(bytes < 0 ? 0 : bytes));
	}
	view->elapsed = view->transfers ? time - view->at : 0;
	json_decref(view->transfers);
	json_decref(view->stats);
	json_decref(view->before);
	view->transfers = json_incref(transfers);
	view->stats = json_incref(stats);
	view->before = before;
	view->draining = json_is_true(object_get(values, "draining"));
	view->at = time;
	return 0;
}

/*
 * Print a string in so many columns; its end where it is too long and @tail is
 * set. Where the terminal has one byte a character, others show as '?'.
 */
static void print_cell(int y, int x, int width, const char *string, bool tail)
{
	size_t len = mbstowcs(NULL, string, 0), skip = 0;
	wchar_t *wide;

	if (len == (size_t)-1) {
		auto_free char *plain = check_alloc(strdup(string));
		char *c;

		for (c = plain; *c; c++) {
			if ((unsigned char)*c >= 0x7f)
				*c = '?';
		}
		print_cell(y, x, width, plain, tail);
		return;
	}
	wide = check_alloc(calloc(len + 1, sizeof(*wide)));
	mbstowcs(wide, string, len + 1);
	while (tail && skip < len && wcswidth(wide + skip, len) > width)
		skip++;
	while (len > skip && wcswidth(wide + skip, len) > width)
		wide[--len] = L'\0';
	mvaddwstr(y, x, wide + skip);
	free(wide);
}

static char *client_cell(const struct view *view, const json_t *transfer)
{
	return endpoint_text(transfer, "client-");
}

static char *file_cell(const struct view *view, const json_t *transfer)
{
	return file_column(transfer, "file");
}

static char *way_cell(const struct view *view, const json_t *transfer)
{
	return is_stored(transfer) ? xasprintf("store") :
				     string_text(transfer, "direction");
}

/* The part of the file that was acknowledged, as "######50%......". */
static char *part_cell(const struct view *view, const json_t *transfer)
{
	long long size = object_number(transfer, "size");
	long long bytes = object_number(transfer, "acknowledged");
	double part = size > 0 && bytes > 0 ? (double)bytes / (double)size : 0;
	auto_free char *percent = xasprintf("%.0f%%", part * 100.0);
	char bar[] = "[..........]";
	size_t len = strlen(percent), i;

	for (i = 0; i < sizeof(bar) - 3; i++) {
		if ((double)i < part * (double)(sizeof(bar) - 3))
			bar[i + 1] = '#';
	}
	for (i = 0; i < len; i++)
		bar[(sizeof(bar) - len) / 2 + i] = percent[i];
	return check_alloc(strdup(bar));
}

static char *rate_cell(const struct view *view, const json_t *transfer)
{
	auto_free char *amount = amount_text(current_rate(view, transfer));

	return xasprintf("%s/s", amount);
}

static char *rtt_cell(const struct view *view, const json_t *transfer)
{
	return rtt_column(transfer, "rtt");
}

static char *resent_cell(const struct view *view, const json_t *transfer)
{
	return number_text(transfer, "blocks-retransmitted");
}

static const struct cell cells[] = {
	{ "CLIENT", 21, false, client_cell },
	{ "DOES", 5, false, way_cell },
	{ "FILE", 0, false, file_cell },
	{ "ACKNOWLEDGED", 12, false, part_cell },
	{ "RATE", 10, true, rate_cell },
	{ "RTT", 9, true, rtt_cell },
	{ "AGAIN", 5, true, resent_cell },
};

/* A line of the table, that of the titles if there is no transfer. */
static void print_line(const struct view *view, int y, const json_t *transfer)
{
	int rest = COLS, x = 0;
	size_t i;

	for (i = 0; i < COUNT(cells); i++)
		rest -= cells[i].width + (i > 0);
	for (i = 0; i < COUNT(cells) && x < COLS; i++) {
		const struct cell *cell = &cells[i];
		auto_free char *string = transfer ?
			cell->text(view, transfer) : xasprintf("%s", cell->title);
		int width = cell->width, pad = 0, len = (int)strlen(string);

		if (!width)
			width = rest > FILE_MIN ? rest : FILE_MIN;
		if (cell->right && len < width)
			pad = width - len;
		print_cell(y, x + pad, width < COLS - x ? width : COLS - x,
			   string, !cell->width);
		x += width + 1;
	}
}

static void print_head(const struct view *view)
{
	size_t n = json_array_size(view->transfers), i;
	const json_t *stats = view->stats;
	auto_free char *amount = NULL;
	auto_free char *head = NULL;
	auto_free char *line = NULL;
	json_t *transfer;
	double sum = 0;

	json_array_foreach(view->transfers, i, transfer)
		sum += current_rate(view, transfer);
	amount = amount_text(sum);
	head = xasprintf("%zu transfer%s, %s/s%s", n, n == 1 ? "" : "s", amount,
			 view->draining ? ", draining" : "");
	print_cell(0, 0, COLS, head, false);
	line = xasprintf("so far: %lld completed, %lld failed, %lld aborted, %lld probes, %lld refused",
			 object_number(stats, "transfers-completed"),
			 object_number(stats, "transfers-failed"),
			 object_number(stats, "transfers-aborted"),
			 object_number(stats, "clients-probing"),
			 object_number(stats, "requests-refused"));
	print_cell(1, 0, COLS, line, false);
	attron(A_REVERSE);
	mvhline(HEAD_LINES - 1, 0, ' ', COLS);
	print_line(view, HEAD_LINES - 1, NULL);
	attroff(A_REVERSE);
}

static void draw_view(struct view *view)
{
	size_t n = json_array_size(view->transfers);
	int left = LINES - HEAD_LINES - 1;
	size_t room = left > 0 ? (size_t)left : 1, i;

	if (view->first + room > n)
		view->first = n > room ? n - room : 0;
	erase();
	print_head(view);
	for (i = 0; i < room && view->first + i < n; i++)
		print_line(view, HEAD_LINES + (int)i,
			   json_array_get(view->transfers, view->first + i));
	mvaddnstr(LINES - 1, 0, n > room ?
		  "q quits, arrows and page keys scroll" : "q quits", COLS - 1);
	refresh();
}

static void scroll_view(struct view *view, int key)
{
	int left = LINES - HEAD_LINES - 2;
	size_t page = left > 0 ? (size_t)left : 1;
	size_t step = key == KEY_PPAGE || key == KEY_NPAGE ? page : 1;

	/* draw_view() keeps it within the list. */
	if (key == KEY_DOWN || key == KEY_NPAGE)
		view->first += step;
	else if (key == KEY_UP || key == KEY_PPAGE)
		view->first -= step < view->first ? step : view->first;
	else if (key == KEY_HOME)
		view->first = 0;
	else if (key == KEY_END)
		view->first = json_array_size(view->transfers);
}

/* Until 'q' is pressed or the terminal goes. Returns -1 with ctl->error set. */
static int watch_transfers(struct ctl *ctl, struct view *view)
{
	for (;;) {
		double left;
		int key;

		if (monotonic_seconds() - view->at >= PERIOD &&
		    refresh_view(ctl, view))
			return -1;
		draw_view(view);
		left = view->at + PERIOD - monotonic_seconds();
		timeout(left > 0 ? (int)(left * 1000.0) + 1 : 1);
		key = getch();
		if (key == 'q' || key == 'Q' ||
		    (key == ERR && !isatty(STDIN_FILENO)))
			return 0;
		scroll_view(view, key);
	}
}

int run_top(struct ctl *ctl, int argc, char **argv)
{
	struct view view = { 0 };
	SCREEN *screen;
	int ret;

	if (ctl->json)
		return usage_error("top: prints no JSON: 'tftpkctl -j transfers' does");
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		print_error("top: needs a terminal: 'tftpkctl transfers' prints the transfers once");
		return EXIT_FAILURE;
	}
	/* What fails is told before the terminal is another. */
	if (refresh_view(ctl, &view))
		return nl_fail(ctl, "top");

	setlocale(LC_CTYPE, "");
	screen = newterm(NULL, stdout, stdin);
	if (!screen) {
		print_error("top: unknown terminal '%s': set TERM, or use 'tftpkctl transfers'",
			    getenv("TERM") ? getenv("TERM") : "");
		ret = EXIT_FAILURE;
		goto out;
	}
	ctl->quiet = true;
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	ret = watch_transfers(ctl, &view);
	endwin();
	ctl->quiet = false;
	delscreen(screen);
	if (ret)
		ret = nl_fail(ctl, "top");
out:
	json_decref(view.before);
	json_decref(view.stats);
	json_decref(view.transfers);
	return ret;
}
