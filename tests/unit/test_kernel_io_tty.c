/* SPDX-License-Identifier: Apache-2.0 */
/* The line discipline edits, echoes, signals and passes on as termios(3) says, whatever bytes come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <asm/signal.h>

#include "kernel/fs/tty.h"
#include "tests/unit/kernel_threads.h"

static struct tty *tty;
static char screen[4096];
static unsigned screen_bytes;
static int last_signal;

void tty_signal(struct tty *t, int signal)
{
	(void)t;
	last_signal = signal;
}

void tty_echo_flush(struct tty *t)
{
	if (screen_bytes + t->echo_bytes < sizeof(screen)) {
		memcpy(screen + screen_bytes, t->echo, t->echo_bytes);
		screen_bytes += t->echo_bytes;
	}
	screen[screen_bytes] = '\0';
	t->echo_bytes = 0;
}

static int setup(void **state)
{
	(void)state;
	tty = calloc(1, sizeof(*tty));
	tty->buffer = malloc(TTY_BUFFER_BYTES);
	tty_line_init(tty);
	screen_bytes = 0;
	last_signal = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(tty->buffer);
	free(tty);
	return 0;
}

static void type(const char *text)
{
	for (; *text != '\0'; text++)
		assert_true(tty_line_receive(tty, (uint8_t)*text));
	tty_echo_flush(tty);
}

static char line[8192];
static unsigned take(unsigned bytes)
{
	unsigned n = tty_line_take(tty, (uint8_t *)line, bytes);
	line[n] = '\0';
	return n;
}

static void flags(uint32_t clear_local, uint32_t set_local)
{
	struct termios2 t = tty->termios;
	t.c_lflag = (t.c_lflag & ~clear_local) | set_local;
	tty_line_set_termios(tty, &t);
}

static void a_line_is_read_when_it_is_complete(void **state)
{
	(void)state;
	type("hel");
	assert_false(tty_line_readable(tty, false));
	type("lo\rnext\n");
	assert_string_equal(screen, "hello\r\nnext\r\n");
	assert_int_equal(take(100), 6);
	assert_string_equal(line, "hello\n");
	assert_int_equal(take(3), 3); /* the rest of a line stays */
	assert_int_equal(take(100), 2);
	assert_false(tty_line_readable(tty, false));
}

static void editing_changes_line_and_screen(void **state)
{
	(void)state;
	type("ab\177c\n");
	take(100);
	assert_string_equal(line, "ac\n");
	assert_string_equal(screen, "ab\b \bc\r\n");
	type("one two  \027x\n"); /* erase word: "two  " */
	take(100);
	assert_string_equal(line, "one x\n");
	type("junk\025good\n"); /* kill */
	take(100);
	assert_string_equal(line, "good\n");
	type("\303\244\177b\n"); /* one character of two bytes */
	take(100);
	assert_string_equal(line, "b\n");
	screen_bytes = 0;
	type("\001\177"); /* shown as ^A: two columns */
	assert_string_equal(screen, "^A\b \b\b \b");
	screen_bytes = 0;
	type("a\t\177\n"); /* a tab takes up to eight */
	assert_string_equal(screen, "a\t\b\b\b\b\b\b\b\r\n");
	type("\177\177\177\027\025ok\n"); /* nothing to erase */
	take(100);
	take(100);
	assert_string_equal(line, "ok\n");
}

static void the_literal_next_character_is_only_a_character(void **state)
{
	(void)state;
	type("a\026\003\026\177b\n");
	assert_int_equal(take(100), 5);
	assert_string_equal(line, "a\003\177b\n");
	assert_int_equal(last_signal, 0);
}

static void end_of_file_ends_a_read_without_a_byte(void **state)
{
	(void)state;
	type("abc\004");
	assert_true(tty_line_readable(tty, false));
	assert_int_equal(take(100), 3);
	assert_false(tty_line_readable(tty, false));
	type("\004");
	assert_true(tty_line_readable(tty, false));
	assert_int_equal(take(100), 0);
	assert_false(tty_line_readable(tty, false));
}

static void control_characters_send_signals_and_drop_input(void **state)
{
	(void)state;
	type("half\003");
	assert_int_equal(last_signal, SIGINT);
	assert_string_equal(screen, "half^C");
	type("x\n");
	take(100);
	assert_string_equal(line, "x\n");
	type("\034");
	assert_int_equal(last_signal, SIGQUIT);
	type("\032");
	assert_int_equal(last_signal, SIGTSTP);
	flags(ISIG, 0);
	last_signal = 0;
	type("\003\n");
	assert_int_equal(last_signal, 0);
	take(100);
	assert_string_equal(line, "\003\n");
}

static void raw_mode_passes_every_byte(void **state)
{
	(void)state;
	flags(ICANON | ECHO | ISIG | IEXTEN, 0);
	tty->termios.c_iflag = 0;
	for (unsigned c = 0; c < 256; c++)
		assert_true(tty_line_receive(tty, (uint8_t)c));
	assert_int_equal(tty->echo_bytes, 0);
	assert_int_equal(take(1000), 256);
	for (unsigned c = 0; c < 256; c++)
		assert_int_equal((uint8_t)line[c], c);
	tty->termios.c_cc[VMIN] = 3;
	assert_true(tty_line_receive(tty, 'a'));
	assert_false(tty_line_readable(tty, true));
	assert_true(tty_line_readable(tty, false));
}

static void changing_the_mode_loses_nothing(void **state)
{
	(void)state;
	type("typed");
	flags(ICANON, 0);
	assert_int_equal(take(100), 5);
	type("raw");
	flags(0, ICANON);
	assert_int_equal(take(100), 3);
	type("line\n");
	assert_int_equal(take(100), 5);
}

static void output_stops_and_starts(void **state)
{
	(void)state;
	type("\023");
	assert_true(tty->stopped);
	type("\021");
	assert_false(tty->stopped);
	type("\023");
	tty->termios.c_iflag |= IXANY;
	type("a");
	assert_false(tty->stopped);
}

static void a_full_buffer_refuses_or_drops_but_ends_lines(void **state)
{
	(void)state;
	/* A line longer than the buffer: its end still comes through. */
	for (unsigned i = 0; i < 5000; i++)
		assert_true(tty_line_receive(tty, 'x'));
	assert_true(tty_line_receive(tty, '\n'));
	assert_int_equal(take(8000), TTY_BUFFER_BYTES);
	/* Complete lines that nobody reads: the next byte must wait. */
	unsigned n = 0;
	while (tty_line_receive(tty, n % 10 == 9 ? '\n' : 'y') && n < 10000)
		n++;
	assert_in_range(n, TTY_BUFFER_BYTES - 11, TTY_BUFFER_BYTES);
	assert_int_equal(take(100), 10);
	assert_true(tty_line_receive(tty, 'z'));
}

static void output_is_processed(void **state)
{
	uint8_t out[64];
	unsigned used;
	(void)state;
	unsigned n = tty_line_output(tty, (const uint8_t *)"a\nb", 3, &used, out, sizeof(out));
	assert_int_equal(n, 4);
	assert_memory_equal(out, "a\r\nb", 4);
	assert_int_equal(tty->column, 1);
	tty->termios.c_oflag |= XTABS;
	n = tty_line_output(tty, (const uint8_t *)"\t|", 2, &used, out, sizeof(out));
	assert_int_equal(n, 8);
	n = tty_line_output(tty, (const uint8_t *)"\n\n\n\n", 4, &used, out, 10); /* little room */
	assert_true(used < 4 && n <= 10);
	tty->termios.c_oflag = 0;
	n = tty_line_output(tty, (const uint8_t *)"\n\t", 2, &used, out, sizeof(out));
	assert_memory_equal(out, "\n\t", 2);
}

/* Any bytes in any mode: positions stay in order, nothing is read that was not there. */
static void random_input_keeps_the_invariants(void **state)
{
	uint32_t random = 4711;
	(void)state;
	for (unsigned i = 0; i < 300000; i++) {
		random = random * 1664525 + 1013904223;
		unsigned what = random >> 24;
		if (what < 2) {
			flags(ICANON | ECHO | ECHOE | ECHOK | ECHOKE | ECHOCTL | ECHOPRT | ISIG | IEXTEN | NOFLSH,
			      random >> 3 & 0177777);
			tty->termios.c_iflag = (random >> 5 & 017777) | IUTF8 * (random >> 9 & 1);
			tty->termios.c_oflag = random >> 7 & 0177777;
		} else if (what < 12) {
			unsigned bytes = random >> 4 & 0xfff;
			uint64_t before = tty->tail;
			assert_true(take(bytes) <= bytes);
			assert_true(tty->tail >= before);
		} else {
			tty_line_receive(tty, (uint8_t)(random >> 16));
		}
		assert_true(tty->tail <= tty->head);
		if ((tty->termios.c_lflag & ICANON) != 0)
			assert_true(tty->tail <= tty->canon_head && tty->canon_head <= tty->head);
		assert_true(tty->head - tty->tail <= TTY_BUFFER_BYTES);
		assert_true(tty->echo_bytes <= TTY_ECHO_BYTES);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_line_is_read_when_it_is_complete),
	    T(editing_changes_line_and_screen),
	    T(the_literal_next_character_is_only_a_character),
	    T(end_of_file_ends_a_read_without_a_byte),
	    T(control_characters_send_signals_and_drop_input),
	    T(raw_mode_passes_every_byte),
	    T(changing_the_mode_loses_nothing),
	    T(output_stops_and_starts),
	    T(a_full_buffer_refuses_or_drops_but_ends_lines),
	    T(output_is_processed),
	    T(random_input_keeps_the_invariants),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
