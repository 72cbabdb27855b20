/* SPDX-License-Identifier: Apache-2.0 */
/* The line discipline: what termios(3) describes, on bytes. Neither sleeps nor knows of files. */
#include <asm/signal.h>

#include "kernel/fs/tty.h"

#define DISABLED 0 /* _POSIX_VDISABLE */

static const uint8_t default_characters[] = {
    [VINTR] = 3,  [VQUIT] = 28, [VERASE] = 127,  [VKILL] = 21,    [VEOF] = 4,     [VMIN] = 1,    [VSTART] = 17,
    [VSTOP] = 19, [VSUSP] = 26, [VREPRINT] = 18, [VDISCARD] = 15, [VWERASE] = 23, [VLNEXT] = 22,
};

void tty_line_init(struct tty *tty)
{
	memset(&tty->termios, 0, sizeof(tty->termios));
	tty->termios.c_iflag = ICRNL | IXON | IUTF8;
	tty->termios.c_oflag = OPOST | ONLCR;
	tty->termios.c_cflag = B38400 | CS8 | CREAD | HUPCL;
	tty->termios.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
	tty->termios.c_ispeed = tty->termios.c_ospeed = 38400;
	memcpy(tty->termios.c_cc, default_characters, sizeof(default_characters));
	wait_queue_init(&tty->queue);
}

static bool lflag(const struct tty *tty, uint32_t flag) { return (tty->termios.c_lflag & flag) != 0; }

static bool is_special(const struct tty *tty, unsigned which, uint8_t c)
{
	return tty->termios.c_cc[which] != DISABLED && tty->termios.c_cc[which] == c;
}

static uint8_t *at(const struct tty *tty, uint64_t position) { return &tty->buffer[position % TTY_BUFFER_BYTES]; }

static bool line_end(const struct tty *tty, uint64_t position)
{
	position %= TTY_BUFFER_BYTES;
	return (tty->line_ends[position / 8] & 1u << position % 8) != 0;
}

static void put(struct tty *tty, uint8_t c, bool end)
{
	uint64_t position = tty->head % TTY_BUFFER_BYTES;
	tty->buffer[position] = c;
	if (end)
		tty->line_ends[position / 8] |= (uint8_t)(1u << position % 8);
	else
		tty->line_ends[position / 8] &= (uint8_t) ~(1u << position % 8);
	tty->head++;
}

/* ---- output ---- */

/* One byte through the output flags: bytes written to `to` (at most 8). */
static unsigned output_byte(struct tty *tty, uint8_t c, uint8_t *to)
{
	uint32_t flags = tty->termios.c_oflag;
	unsigned n = 0;

	if ((flags & OPOST) == 0) {
		to[0] = c;
		return 1;
	}
	switch (c) {
	case '\n':
		if ((flags & ONLRET) != 0)
			tty->column = 0;
		if ((flags & ONLCR) != 0) {
			to[n++] = '\r';
			tty->column = 0;
		}
		to[n++] = '\n';
		return n;
	case '\r':
		if ((flags & ONOCR) != 0 && tty->column == 0)
			return 0;
		if ((flags & OCRNL) != 0) {
			to[0] = '\n';
			return 1;
		}
		tty->column = 0;
		break;
	case '\t':
		do {
			tty->column++;
			if ((flags & TABDLY) == XTABS)
				to[n++] = ' ';
		} while (tty->column % 8 != 0);
		if ((flags & TABDLY) != XTABS)
			to[n++] = '\t';
		return n;
	case '\b':
		if (tty->column > 0)
			tty->column--;
		break;
	default:
		/* Continuation bytes of UTF-8 do not move the cursor. */
		if (c >= ' ' && c != 0x7f && !((tty->termios.c_iflag & IUTF8) != 0 && (c & 0xc0) == 0x80))
			tty->column++;
		if ((flags & OLCUC) != 0 && c >= 'a' && c <= 'z')
			c = (uint8_t)(c - 'a' + 'A');
	}
	to[0] = c;
	return 1;
}

unsigned tty_line_output(struct tty *tty, const uint8_t *from, unsigned bytes, unsigned *used, uint8_t *to,
			 unsigned room)
{
	unsigned n = 0, i = 0;
	for (; i < bytes && n + 8 <= room; i++)
		n += output_byte(tty, from[i], to + n);
	*used = i;
	return n;
}

/* ---- echo ---- */

static void echo_raw(struct tty *tty, uint8_t c)
{
	if (tty->echo_bytes + 8 > TTY_ECHO_BYTES)
		tty_echo_flush(tty);
	/* What the host's terminal does not take in time is lost: only echo, never the input. */
	if (tty->echo_bytes + 8 <= TTY_ECHO_BYTES)
		tty->echo_bytes += output_byte(tty, c, tty->echo + tty->echo_bytes);
}

static bool is_shown_as_control(const struct tty *tty, uint8_t c)
{
	return lflag(tty, ECHOCTL) && (c < ' ' || c == 0x7f) && c != '\t' && c != '\n';
}

static void echo(struct tty *tty, uint8_t c)
{
	if (!lflag(tty, ECHO) && !(c == '\n' && lflag(tty, ECHONL) && lflag(tty, ICANON)))
		return;
	if (is_shown_as_control(tty, c)) {
		echo_raw(tty, '^');
		echo_raw(tty, c ^ 0x40);
	} else {
		echo_raw(tty, c);
	}
}

static void echo_string(struct tty *tty, const char *s)
{
	while (*s != '\0')
		echo_raw(tty, (uint8_t)*s++);
}

/* ---- editing ---- */

static bool is_continuation(const struct tty *tty, uint8_t c)
{
	return (tty->termios.c_iflag & IUTF8) != 0 && (c & 0xc0) == 0x80;
}

/* The column behind the line being edited. */
static unsigned line_column(const struct tty *tty)
{
	unsigned column = tty->line_start_column;
	for (uint64_t i = tty->canon_head; i < tty->head; i++) {
		uint8_t c = *at(tty, i);
		if (c == '\t')
			column = (column | 7) + 1;
		else if (is_shown_as_control(tty, c))
			column += 2;
		else if (c >= ' ' && !is_continuation(tty, c))
			column++;
	}
	return column;
}

/* Takes the last character of the line away, on the screen too. */
static void erase_one(struct tty *tty)
{
	unsigned before = line_column(tty);
	uint8_t c;
	do {
		c = *at(tty, --tty->head);
	} while (is_continuation(tty, c) && tty->head > tty->canon_head);
	if (!lflag(tty, ECHO))
		return;
	if (lflag(tty, ECHOPRT)) {
		if (!tty->erasing)
			echo_raw(tty, '\\');
		tty->erasing = true;
		echo(tty, c);
	} else if (!lflag(tty, ECHOE)) {
		echo(tty, tty->termios.c_cc[VERASE]);
	} else if (c == '\t') {
		for (unsigned n = before - line_column(tty); n > 0; n--)
			echo_raw(tty, '\b');
	} else {
		for (unsigned n = before - line_column(tty); n > 0; n--)
			echo_string(tty, "\b \b");
	}
}

static bool is_word(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static void erase_word(struct tty *tty)
{
	bool seen = false;
	while (tty->head > tty->canon_head) {
		bool word = is_word(*at(tty, tty->head - 1));
		if (seen && !word)
			break;
		seen |= word;
		erase_one(tty);
	}
}

static void erase_line(struct tty *tty)
{
	if (lflag(tty, ECHO) && (!lflag(tty, ECHOKE) || !lflag(tty, ECHOE))) {
		tty->head = tty->canon_head;
		echo(tty, tty->termios.c_cc[VKILL]);
		if (lflag(tty, ECHOK))
			echo_raw(tty, '\n');
		return;
	}
	while (tty->head > tty->canon_head)
		erase_one(tty);
}

static void reprint(struct tty *tty)
{
	echo(tty, tty->termios.c_cc[VREPRINT]);
	echo_raw(tty, '\n');
	for (uint64_t i = tty->canon_head; i < tty->head; i++)
		echo(tty, *at(tty, i));
}

/* ---- input ---- */

static void line_done(struct tty *tty, uint8_t c)
{
	put(tty, c, true);
	tty->canon_head = tty->head;
	wait_wake(&tty->queue, 0, 0);
}

/* Signals, flow control: true if c was one of these. */
static bool receive_control(struct tty *tty, uint8_t c)
{
	static const struct {
		uint8_t which, signal;
	} signals[] = {{VINTR, SIGINT}, {VQUIT, SIGQUIT}, {VSUSP, SIGTSTP}};

	if ((tty->termios.c_iflag & IXON) != 0) {
		if (is_special(tty, VSTART, c) || (tty->stopped && (tty->termios.c_iflag & IXANY) != 0)) {
			bool swallow = is_special(tty, VSTART, c);
			tty->stopped = false;
			wait_wake(&tty->queue, 0, 0);
			if (swallow)
				return true;
		}
		if (is_special(tty, VSTOP, c)) {
			tty->stopped = true;
			return true;
		}
	}
	if (!lflag(tty, ISIG))
		return false;
	for (unsigned i = 0; i < countof(signals); i++) {
		if (!is_special(tty, signals[i].which, c))
			continue;
		if (!lflag(tty, NOFLSH))
			tty_line_flush_input(tty);
		tty->stopped = false;
		echo(tty, c);
		tty_signal(tty, signals[i].signal);
		wait_wake(&tty->queue, 0, 0);
		return true;
	}
	return false;
}

/* Editing and line ends: true if c was one of these. */
static bool receive_canonical(struct tty *tty, uint8_t c)
{
	bool extended = lflag(tty, IEXTEN);

	if (is_special(tty, VERASE, c)) {
		if (tty->head > tty->canon_head)
			erase_one(tty);
		return true;
	}
	if (tty->erasing) {
		echo_raw(tty, '/');
		tty->erasing = false;
	}
	if (extended && is_special(tty, VWERASE, c))
		erase_word(tty);
	else if (is_special(tty, VKILL, c))
		erase_line(tty);
	else if (extended && is_special(tty, VREPRINT, c) && lflag(tty, ECHO))
		reprint(tty);
	else if (is_special(tty, VEOF, c))
		line_done(tty, DISABLED);
	else if (c == '\n' || is_special(tty, VEOL, c) || (extended && is_special(tty, VEOL2, c))) {
		echo(tty, c);
		line_done(tty, c);
	} else {
		return false;
	}
	return true;
}

static void receive_plain(struct tty *tty, uint8_t c)
{
	if (tty->head == tty->canon_head)
		tty->line_start_column = tty->column;
	put(tty, c, false);
	echo(tty, c);
	if (!lflag(tty, ICANON))
		wait_wake(&tty->queue, 0, 0);
}

bool tty_line_receive(struct tty *tty, uint8_t c)
{
	bool canonical = lflag(tty, ICANON);
	uint64_t used = tty->head - tty->tail;

	if ((tty->termios.c_iflag & ISTRIP) != 0)
		c &= 0x7f;
	if (tty->literal_next) {
		if (used >= TTY_BUFFER_BYTES - 1)
			return false;
		tty->literal_next = false;
		receive_plain(tty, c);
		return true;
	}
	if (receive_control(tty, c))
		return true;
	if (c == '\r') {
		if ((tty->termios.c_iflag & IGNCR) != 0)
			return true;
		if ((tty->termios.c_iflag & ICRNL) != 0)
			c = '\n';
	} else if (c == '\n' && (tty->termios.c_iflag & INLCR) != 0) {
		c = '\r';
	}
	if (used >= TTY_BUFFER_BYTES)
		return false;
	if (canonical) {
		if (lflag(tty, IEXTEN) && is_special(tty, VLNEXT, c)) {
			tty->literal_next = true;
			if (lflag(tty, ECHO) && lflag(tty, ECHOCTL))
				echo_string(tty, "^\b");
			return true;
		}
		if (receive_canonical(tty, c))
			return true;
		/* The last place is kept for the end of the line. A line without an end fills the buffer:
		 * the rest of it is dropped, or nothing could ever be read. */
		if (used >= TTY_BUFFER_BYTES - 1) {
			if (tty->canon_head != tty->tail)
				return false;
			if ((tty->termios.c_iflag & IMAXBEL) != 0)
				echo_raw(tty, 7);
			return true;
		}
	}
	receive_plain(tty, c);
	return true;
}

bool tty_line_readable(const struct tty *tty, bool poll)
{
	if (lflag(tty, ICANON))
		return tty->canon_head != tty->tail;
	uint64_t wanted =
	    poll && tty->termios.c_cc[VTIME] == 0 && tty->termios.c_cc[VMIN] > 0 ? tty->termios.c_cc[VMIN] : 1;
	return tty->head - tty->tail >= wanted;
}

unsigned tty_line_take(struct tty *tty, uint8_t *to, unsigned bytes)
{
	bool canonical = lflag(tty, ICANON);
	uint64_t limit = canonical ? tty->canon_head : tty->head;
	unsigned n = 0;

	while (tty->tail < limit) {
		uint8_t c = *at(tty, tty->tail);
		bool end = canonical && line_end(tty, tty->tail);
		/* The mark of VEOF right behind the last byte that fits is taken too, as Linux does. */
		if (end && c == DISABLED) {
			tty->tail++;
			break;
		}
		if (n == bytes)
			break;
		to[n++] = c;
		tty->tail++;
		if (end)
			break;
	}
	return n;
}

void tty_line_flush_input(struct tty *tty)
{
	tty->tail = tty->canon_head = tty->head;
	tty->literal_next = tty->erasing = false;
}

void tty_line_set_termios(struct tty *tty, const struct termios2 *termios)
{
	bool was_canonical = lflag(tty, ICANON);
	tty->termios = *termios;
	if (was_canonical && !lflag(tty, ICANON)) {
		/* What was typed so far can be read at once. */
		tty->canon_head = tty->head;
	} else if (!was_canonical && lflag(tty, ICANON)) {
		/* Bytes that came in raw mode count as a line, without an end of their own. */
		memset(tty->line_ends, 0, sizeof(tty->line_ends));
		tty->canon_head = tty->head;
	}
	if ((tty->termios.c_iflag & IXON) == 0)
		tty->stopped = false;
	wait_wake(&tty->queue, 0, 0);
}
