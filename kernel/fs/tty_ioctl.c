/* SPDX-License-Identifier: Apache-2.0 */
/* ioctl_tty(2) and job control of the console. */
#include <asm/ioctls.h>
#include <asm/signal.h>

#include "kernel/fs/tty_job.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"
#include "kernel/virtio/console.h"

void tty_group_signal(int pgrp, int signal)
{
	if (pgrp == 0)
		return;
	list_for_each(node, &processes)
	{
		struct process *process = list_entry(node, struct process, node);
		if (process->pgid == pgrp && !process->zombie)
			signal_send_process(process, signal, NULL);
	}
}

void tty_own_first(struct tty *tty)
{
	static bool done;
	if (done || list_empty(&processes))
		return;
	struct process *first = list_first(&processes, struct process, node);
	tty->session = first->sid;
	tty->pgrp = first->pgid;
	done = true;
}

int tty_job_control(struct tty *tty, int signal)
{
	struct process *process = current->process;
	if (process == NULL || process->sid != tty->session || tty->pgrp == 0 || process->pgid == tty->pgrp)
		return 0;
	bool ignored =
	    process->handlers->actions[signal].handler == 1 || (current->signal_mask & signal_bit(signal)) != 0;
	if (ignored)
		return signal == SIGTTIN ? -EIO : 0;
	tty_group_signal(process->pgid, signal);
	return -ERESTARTSYS;
}

/* Whether the calling process may change the terminal: as a background write under TOSTOP. */
static int tty_may_change(struct tty *tty) { return tty_job_control(tty, SIGTTOU); }

static int64_t tty_set(struct tty *tty, uint32_t command, uint64_t argument)
{
	struct termios2 new = tty->termios;
	bool extended = command == TCSETS2 || command == TCSETSW2 || command == TCSETSF2;
	/* struct termios is the head of struct termios2. */
	int r = user_read(&new, argument, extended ? sizeof(struct termios2) : sizeof(struct termios));
	if (r == 0)
		r = tty_may_change(tty);
	if (r != 0)
		return r;
	if (command == TCSETSF || command == TCSETSF2)
		tty_line_flush_input(tty);
	tty_line_set_termios(tty, &new);
	return 0;
}

static void tty_size_update(struct tty *tty)
{
	uint32_t host = boot_info->terminal_size;
	if (host == tty->host_size)
		return;
	tty->host_size = host;
	tty->size = (struct winsize){.ws_col = (uint16_t)(host >> 16), .ws_row = (uint16_t)host};
}

static int64_t tty_size_ioctl(struct tty *tty, uint32_t command, uint64_t argument)
{
	struct winsize size;
	tty_size_update(tty);
	if (command == TIOCGWINSZ)
		return user_put(argument, &tty->size);
	int r = user_get(&size, argument);
	if (r != 0)
		return r;
	if (memcmp(&size, &tty->size, sizeof(size)) != 0) {
		tty->size = size;
		tty_group_signal(tty->pgrp, SIGWINCH);
	}
	return 0;
}

static int64_t tty_set_group(struct tty *tty, uint64_t argument)
{
	int pgrp, r = tty_may_change(tty);
	bool found = false;
	if (r != 0)
		return r;
	if (current->process->sid != tty->session)
		return -ENOTTY;
	if (user_get(&pgrp, argument) != 0)
		return -EFAULT;
	if (pgrp < 0)
		return -EINVAL;
	list_for_each(node, &processes)
	{
		struct process *process = list_entry(node, struct process, node);
		if (process->pgid == pgrp) {
			if (process->sid != tty->session)
				return -EPERM;
			found = true;
		}
	}
	if (!found)
		return -ESRCH;
	tty->pgrp = pgrp;
	return 0;
}

static int64_t tty_session_ioctl(struct tty *tty, uint32_t command, uint64_t argument)
{
	struct process *process = current->process;
	bool mine = process->sid == tty->session;

	switch (command) {
	case TIOCGPGRP:
		return mine ? user_put(argument, &tty->pgrp) : -ENOTTY;
	case TIOCGSID:
		return mine ? user_put(argument, &tty->session) : -ENOTTY;
	case TIOCSPGRP:
		return tty_set_group(tty, argument);
	case TIOCSCTTY:
		if (mine)
			return 0;
		if (process->sid != process->pid || (tty->session != 0 && argument != 1))
			return -EPERM;
		tty->session = process->sid;
		tty->pgrp = process->pgid;
		return 0;
	default: /* TIOCNOTTY */
		if (!mine)
			return -ENOTTY;
		if (process->sid == process->pid) {
			tty_group_signal(tty->pgrp, SIGHUP);
			tty_group_signal(tty->pgrp, SIGCONT);
			tty->session = tty->pgrp = 0;
		}
		return 0;
	}
}

static int64_t tty_put_int(uint64_t argument, int value) { return user_put(argument, &value); }

int64_t tty_ioctl(struct tty *tty, uint32_t command, uint64_t argument)
{
	switch (command) {
	case TCGETS:
		return user_write(argument, &tty->termios, sizeof(struct termios));
	case TCGETS2:
		return user_write(argument, &tty->termios, sizeof(struct termios2));
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
	case TCSETS2:
	case TCSETSW2:
	case TCSETSF2:
		return tty_set(tty, command, argument);
	case TIOCGWINSZ:
	case TIOCSWINSZ:
		return tty_size_ioctl(tty, command, argument);
	case TIOCGPGRP:
	case TIOCSPGRP:
	case TIOCGSID:
	case TIOCSCTTY:
	case TIOCNOTTY:
		return tty_session_ioctl(tty, command, argument);
	case FIONREAD:
		return tty_put_int(argument, (int)((tty->termios.c_lflag & ICANON) != 0 ? tty->canon_head - tty->tail
											: tty->head - tty->tail));
	case TIOCOUTQ:
		return tty_put_int(argument, 0);
	case TCFLSH:
		if (argument > 2)
			return -EINVAL;
		if (argument != 1) /* TCIFLUSH, TCIOFLUSH; no output is ever queued here */
			tty_line_flush_input(tty);
		return 0;
	case TCSBRK: /* wait for the output: the next write would; a break means nothing here */
	case TCSBRKP:
	case TIOCEXCL:
	case TIOCNXCL:
		return 0;
	case TCXONC:
		if (argument > 3)
			return -EINVAL;
		if (argument < 2) /* TCOOFF, TCOON */
			tty->stopped = argument == 0;
		wait_wake(&tty->queue, 0, 0);
		return 0;
	case TIOCGETD:
		return tty_put_int(argument, 0); /* N_TTY */
	default:
		return -ENOTTY;
	}
}
