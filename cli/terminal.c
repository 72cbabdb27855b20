/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/terminal.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct {
	struct termios saved;
	int fd;
	bool raw;
} state = {.fd = -1};

int terminal_find(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (isatty(fd))
			return fd;
	return -1;
}

bool terminal_size(int fd, unsigned *rows, unsigned *columns)
{
	struct winsize size;

	if (fd < 0 || ioctl(fd, TIOCGWINSZ, &size) < 0)
		return false;
	*rows = size.ws_row;
	*columns = size.ws_col;
	return true;
}

/* From the background both would stop us by SIGTTOU: setting raw mode should (as for every program that
 * wants the terminal), restoring must not. */
static void set(const struct termios *mode, bool may_stop)
{
	sigset_t block, old;

	sigemptyset(&block);
	sigaddset(&block, SIGTTOU);
	sigprocmask(may_stop ? SIG_UNBLOCK : SIG_BLOCK, &block, &old);
	tcsetattr(state.fd, TCSADRAIN, mode);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

void terminal_raw(int fd)
{
	struct termios raw;

	if (fd < 0 || tcgetattr(fd, &raw) < 0)
		return;
	if (!state.raw) {
		state.saved = raw;
		state.fd = fd;
		state.raw = true;
	}
	cfmakeraw(&raw);
	set(&raw, true);
}

void terminal_restore(void)
{
	if (state.raw)
		set(&state.saved, false);
	state.raw = false;
}
