/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/forward.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/terminal.h"
#include "run/control.h"
#include "run/fd.h"

static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
static const int own[] = {SIGWINCH, SIGTSTP, SIGTTIN, SIGTTOU};
/* These would end us: so they do, but with the terminal as it was. */
static const int fatal[] = {SIGALRM, SIGPIPE, SIGVTALRM, SIGPROF, SIGPOLL, SIGPWR, SIGSTKFLT, SIGXCPU, SIGXFSZ};

static void add_signals(sigset_t *set, const int *numbers, size_t count, bool even_ignored)
{
	struct sigaction action;

	for (size_t i = 0; i < count; i++)
		if (even_ignored || sigaction(numbers[i], NULL, &action) < 0 || action.sa_handler != SIG_IGN)
			sigaddset(set, numbers[i]);
}

int forward_init(struct forward *f, struct err *err)
{
	sigset_t set;

	*f = (struct forward){.signal_fd = -1, .control_fd = -1, .terminal = -1};
	sigemptyset(&set);
	/* Under nohup, or as a script's background job, some are ignored: so be it for the guest too. */
	add_signals(&set, forwarded, countof(forwarded), false);
	add_signals(&set, own, countof(own), true);
	add_signals(&set, fatal, countof(fatal), false);
	if (sigprocmask(SIG_BLOCK, &set, &f->old_mask) < 0)
		return err_set(err, -errno, "cannot block signals");
	f->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (f->signal_fd < 0)
		return err_set(err, -errno, "cannot receive signals");
	return 0;
}

/* The reply is of no use here: the VM may end at any time, which the report tells. */
static void request(struct forward *f, struct monitor *m, enum vm_op op, uint64_t arg)
{
	struct vm_reply reply;

	if (f->control_fd < 0)
		f->control_fd = control_connect(m->state.dir_fd);
	if (f->control_fd < 0)
		return;
	while (recv(f->control_fd, &reply, sizeof(reply), MSG_DONTWAIT) > 0)
		;
	control_send(f->control_fd, op, arg);
}

static bool is_fatal(int number)
{
	for (size_t i = 0; i < countof(fatal); i++)
		if (fatal[i] == number)
			return true;
	return false;
}

/* Before the guest runs nobody is there to handle a signal: it does what it does to any program. */
static void forward_one(struct forward *f, struct monitor *m, int number)
{
	if (m->ready && !is_fatal(number)) {
		request(f, m, VM_OP_SIGNAL, (uint64_t)number);
		return;
	}
	f->ended_by = number;
	monitor_kill(m);
}

static void resize(struct forward *f, struct monitor *m)
{
	unsigned rows, columns;

	if (f->terminal >= 0 && terminal_size(f->terminal, &rows, &columns))
		request(f, m, VM_OP_RESIZE, (uint64_t)(columns & 0xffff) << 16 | (rows & 0xffff));
}

/* Job control: the monitor, which reads the terminal for us, stops and goes on with us. It is deaf to the
 * terminal's own signals, as the first process of its pid namespace. */
static void suspend(struct forward *f, struct monitor *m, int number)
{
	sigset_t set, old;

	terminal_restore();
	kill(m->spawn.pid, SIGSTOP);
	/* By the signal itself, not SIGSTOP: so the shell sees which, and an orphaned process group, which
	 * nobody would continue, does not stop. */
	sigemptyset(&set);
	sigaddset(&set, number);
	kill(getpid(), number);
	sigprocmask(SIG_UNBLOCK, &set, &old);
	/* Here we are continued. */
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (f->terminal >= 0) {
		terminal_raw(f->terminal);
		resize(f, m);
	}
	kill(m->spawn.pid, SIGCONT);
}

void forward_handle(struct forward *f, struct monitor *m)
{
	struct signalfd_siginfo info;

	while (read(f->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGWINCH:
			resize(f, m);
			break;
		case SIGTSTP:
		case SIGTTIN:
		case SIGTTOU:
			suspend(f, m, (int)info.ssi_signo);
			break;
		default:
			forward_one(f, m, (int)info.ssi_signo);
		}
	}
}

void forward_fini(struct forward *f)
{
	fd_close_scope(&f->signal_fd);
	fd_close_scope(&f->control_fd);
	f->signal_fd = f->control_fd = -1;
}
