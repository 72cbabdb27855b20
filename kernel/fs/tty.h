/* SPDX-License-Identifier: Apache-2.0 */
/* The console as a terminal: line discipline (tty_line.c) and files (tty.c). */
#ifndef NUCLEO_FS_TTY_H
#define NUCLEO_FS_TTY_H

#include <asm/termbits.h>
#include <asm/termios.h>

#include "kernel/fs/file.h"

#define TTY_BUFFER_BYTES 4096u /* power of two */
#define TTY_ECHO_BYTES 1024u

struct tty {
	struct termios2 termios;
	struct winsize size;
	uint32_t host_size; /* boot_info->terminal_size when last looked at */
	int session, pgrp;  /* 0: none */

	/* Input. Positions count up for ever; [tail, canon_head) are whole lines, [canon_head, head)
	 * the line being edited. Non-canonical: [tail, head) is all there is. */
	uint8_t *buffer;
	uint64_t head, canon_head, tail;
	uint8_t line_ends[TTY_BUFFER_BYTES / 8]; /* bits: a line ends here */
	unsigned line_start_column;
	bool literal_next, stopped, erasing, input_ended;
	uint8_t pending[64]; /* from the host, not yet through the discipline: it had no room */
	unsigned pending_bytes, pending_done;
	struct wait_queue queue; /* readers, writers that were stopped, polls */

	unsigned column; /* of the cursor, as far as it can be known */
	uint8_t echo[TTY_ECHO_BYTES];
	unsigned echo_bytes;
};

void tty_line_init(struct tty *tty);
/* One byte from the keyboard. Does not sleep. False: no room, offer it again after a read. */
bool tty_line_receive(struct tty *tty, uint8_t c);
/* Bytes read() can take now; *ready: whether it would return. */
bool tty_line_readable(const struct tty *tty, bool poll);
/* Takes up to `bytes`, in canonical mode at most one line; the end-of-file mark of a line is taken
 * and not counted. */
unsigned tty_line_take(struct tty *tty, uint8_t *to, unsigned bytes);
/* Output processing: fills `to` (room bytes) from `from`; *used: bytes of from that are done. */
unsigned tty_line_output(struct tty *tty, const uint8_t *from, unsigned bytes, unsigned *used, uint8_t *to,
			 unsigned room);
void tty_line_flush_input(struct tty *tty);
void tty_line_set_termios(struct tty *tty, const struct termios2 *termios);

/* What the discipline asks of its surroundings (tty.c; mocked in tests). */
void tty_signal(struct tty *tty, int signal); /* to the foreground group */
void tty_echo_flush(struct tty *tty);         /* writes out tty->echo as far as it goes */

#endif
