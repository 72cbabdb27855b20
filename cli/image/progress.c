/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/image/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/table.h"
#include "cli/terminal.h"

#define REDRAW_NS 100000000u
#define BAR_WIDTH 30

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Labels come from registries and archives: nothing in them may drive the terminal. */
static void copy_plain(char *to, size_t size, const char *from)
{
	size_t n = 0;

	for (; from[n] != '\0' && n + 1 < size; n++)
		to[n] = (unsigned char)from[n] < ' ' || (unsigned char)from[n] >= 0x7f ? '?' : from[n];
	to[n] = '\0';
}

/* NULL: no memory; then it is not shown. */
static struct progress_item *find_item(struct progress_display *display, unsigned item)
{
	for (size_t i = 0; i < display->count; i++)
		if (display->items[i].item == item)
			return &display->items[i];
	struct progress_item *grown = realloc(display->items, (display->count + 1) * sizeof(*grown));
	if (grown == NULL)
		return NULL;
	display->items = grown;
	grown[display->count] = (struct progress_item){.item = item};
	return &grown[display->count++];
}

static void format_amount(char *text, size_t size, const struct progress_item *item)
{
	char done[16], total[16];

	table_format_bytes(done, sizeof(done), item->done_bytes);
	table_format_bytes(total, sizeof(total), item->total);
	if (item->total != 0)
		snprintf(text, size, "%s/%s", done, total);
	else if (item->done_bytes != 0)
		snprintf(text, size, "%s", done);
	else
		text[0] = '\0';
}

/* One line, narrower than `columns`: the label has what bar and amount leave. */
static void print_item(const struct progress_item *item, unsigned columns)
{
	enum { WHAT = 10, AMOUNT = 13, LABEL_MIN = 8, LABEL_MAX = 60 };
	char amount[40], line[256], bar[BAR_WIDTH + 3] = "";
	int width = (int)columns, bar_width = width >= 80 ? BAR_WIDTH : width >= 50 ? width - 50 : 0;
	int label_width = width - 1 - (1 + WHAT + 1 + bar_width + 2 + 1 + AMOUNT);

	label_width = label_width < LABEL_MIN ? LABEL_MIN : label_width > LABEL_MAX ? LABEL_MAX : label_width;
	format_amount(amount, sizeof(amount), item);
	if (!item->done && item->total != 0 && bar_width > 0) {
		uint64_t done = min_u64(item->done_bytes, item->total);
		int filled = (int)((double)done / (double)item->total * bar_width);
		memset(bar + 1, ' ', (size_t)bar_width);
		memset(bar + 1, '=', (size_t)filled);
		bar[0] = '[';
		bar[bar_width + 1] = ']';
	}
	snprintf(line, sizeof(line), "%-*.*s %-*.*s %s%s%s", label_width, label_width, item->label, WHAT, WHAT,
		 item->what, bar, bar[0] != '\0' ? " " : "", amount);
	fprintf(stderr, "\r\033[K%.*s\n", width - 1, line);
}

/* What has ended is printed for good above the lines that still move. */
static void draw(struct progress_display *display)
{
	unsigned rows = 24, columns = 80, lines = 0;

	if (!terminal_size(STDERR_FILENO, &rows, &columns) || rows < 2 || columns < 20) {
		rows = 24;
		columns = 80;
	}
	if (display->drawn > 0)
		fprintf(stderr, "\033[%uA", display->drawn);
	for (size_t i = 0; i < display->count; i++) {
		if (display->items[i].done && display->items[i].label[0] != '\0') {
			print_item(&display->items[i], columns);
			display->items[i].label[0] = '\0';
		}
	}
	for (size_t i = 0; i < display->count; i++) {
		if (display->items[i].done || lines + 1 >= rows)
			continue;
		print_item(&display->items[i], columns);
		lines++;
	}
	fprintf(stderr, "\033[J");
	fflush(stderr);
	display->drawn = lines;
	display->drawn_ns = now_ns();
}

static void on_progress(struct progress *progress, unsigned number, const char *label, const char *what, uint64_t done,
			uint64_t total)
{
	struct progress_display *display = container_of(progress, struct progress_display, progress);
	struct progress_item *item = display->quiet ? NULL : find_item(display, number);

	if (item == NULL || item->done)
		return;
	bool changed = strncmp(item->what, what, sizeof(item->what) - 1) != 0 || item->label[0] == '\0';
	if (changed) {
		copy_plain(item->label, sizeof(item->label), label);
		copy_plain(item->what, sizeof(item->what), what);
	}
	item->done_bytes = done;
	item->total = total;
	item->done = strcmp(what, "done") == 0;
	if (display->terminal) {
		if (changed || now_ns() - display->drawn_ns >= REDRAW_NS)
			draw(display);
	} else if (changed) {
		char amount[40];
		format_amount(amount, sizeof(amount), item);
		fprintf(stderr, "%s: %s%s%s\n", item->label, item->what, amount[0] != '\0' ? " " : "", amount);
	}
}

void progress_display_init(struct progress_display *display, bool quiet)
{
	*display = (struct progress_display){.progress.set = on_progress, .quiet = quiet};
	display->terminal = isatty(STDERR_FILENO) == 1;
}

void progress_display_fini(struct progress_display *display)
{
	if (display->drawn > 0)
		draw(display);
	free(display->items);
	*display = (struct progress_display){0};
}
