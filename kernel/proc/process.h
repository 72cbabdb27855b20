/* SPDX-License-Identifier: Apache-2.0 */
/* Processes and threads. Everything that belongs to a process lives here or hangs off it. */
#ifndef NUCLEO_PROC_PROCESS_H
#define NUCLEO_PROC_PROCESS_H

#include <linux/resource.h>
#include <linux/signal.h>
#include <linux/capability.h>

#include "kernel/arch.h"
#include "kernel/proc/timer.h"
#include "kernel/proc/wait.h"

#define SIGNALS 64

struct credentials {
	uint32_t uid, euid, suid, fsuid;
	uint32_t gid, egid, sgid, fsgid;
	unsigned group_count;
	uint32_t groups[32];
	uint64_t cap_effective, cap_permitted, cap_inheritable, cap_bounding, cap_ambient;
};

struct pending_signal {
	struct list node;
	siginfo_t info;
};
struct signal_queue {
	uint64_t set;      /* bit n - 1 = signal n */
	struct list queue; /* pending_signal */
	unsigned count;
};

struct k_sigaction { /* as rt_sigaction passes it */
	uint64_t handler, flags, restorer, mask;
};

/* Shared by threads cloned with CLONE_SIGHAND. */
struct signal_handlers {
	uint32_t references;
	struct k_sigaction actions[SIGNALS + 1];
};

struct file_table; /* kernel/fs/file.h; shared with CLONE_FILES */
struct fs_context; /* kernel/fs/file.h: root, cwd, umask; shared with CLONE_FS */
struct posix_timer;

/* A timer on the CPU time of a process or thread (kernel/proc/cpu_timer.c). */
struct cpu_timer {
	struct list node;                      /* process->cpu_timers */
	struct thread *thread;                 /* NULL: the whole process */
	uint64_t next_ns;                      /* of CPU time */
	void (*fire)(struct cpu_timer *timer); /* not queued any more; may start it again */
};

struct process {
	struct list node; /* all processes */
	int pid, pgid, sid;
	int ppid; /* the parent's, 1 if it is gone; for kernel/entry/ */
	struct process *parent;
	struct list children, sibling;
	struct list threads; /* thread.process_node */
	unsigned thread_count;
	struct thread *leader;
	struct mm *mm;
	struct file_table *files;
	struct fs_context *fs;
	struct signal_handlers *handlers;
	struct signal_queue signals; /* sent to the process */
	struct credentials credentials;
	struct rlimit limits[RLIM_NLIMITS];
	struct wait_queue child_wait;  /* waitpid, and threads of an exiting process */
	struct wait_queue signal_wait; /* signalfd and sigtimedwait of any thread */
	struct list posix_timers;
	int posix_timer_next;
	struct list cpu_timers;
	struct {
		uint64_t next_ns, interval_ns; /* ITIMER_REAL in CLOCK_MONOTONIC; VIRTUAL and PROF in CPU time */
	} itimers[3];
	struct timer itimer_real;
	struct cpu_timer itimer_cpu[2]; /* VIRTUAL, PROF */
	struct file *executable;        /* for /proc/self/exe; may be NULL */
	char comm[16];
	bool exiting, zombie;
	bool stopped, stop_reported, continue_reported; /* by SIGSTOP and the like */
	struct wait_queue stop_wait;                    /* stopped threads */
	int exit_signal;                                /* to the parent; SIGCHLD */
	int exit_status;                                /* as waitpid gives it */
	uint64_t start_ns;                              /* CLOCK_MONOTONIC */
	uint64_t cpu_user_ns, cpu_system_ns;            /* of threads that ended */
	uint64_t child_cpu_ns;                          /* of children waited for */
	uint64_t context_switches;                      /* of threads that ended */
	uint32_t personality;
	bool dumpable, no_new_privs, keep_caps, child_subreaper;
	int parent_death_signal;
	uint32_t securebits;
};

enum thread_state {
	THREAD_RUNNABLE,
	THREAD_RUNNING,
	THREAD_SLEEPING,
	THREAD_DEAD,
};

struct thread {
	/* For kernel/entry/: offsets are bound by static assertions there. */
	uint64_t kernel_rsp; /* saved by arch_switch */
	uint64_t kernel_stack_top;
	uint64_t fs_base;
	void *xsave; /* 64-byte aligned, boot_info->xsave_bytes */
	struct process *process;
	uint32_t work; /* THREAD_WORK_*: looked at on every way out to the program */

	int tid;
	enum thread_state state;
	struct list process_node, run_node;
	unsigned cpu;      /* on which it runs or ran last */
	uint64_t affinity; /* bit per vCPU */
	int nice, policy, rt_priority;
	uint64_t slice_end_ns, run_start_ns, cpu_ns;
	uint64_t vruntime_ns; /* CPU time weighted by nice: the scheduler's order */
	uint64_t woke_ns;     /* when it last made another thread runnable; 0: not since it slept */
	uint8_t hands_over;   /* how often in a row it then slept at once */
	bool reset_on_fork;
	uint64_t timer_slack_ns;

	uint64_t signal_mask, saved_mask; /* saved_mask: of sigsuspend, ppoll, ... */
	bool restore_mask;                /* on the way out */
	bool temporary_mask;              /* between signal_temporary_mask() and its end */
	struct signal_queue signals;      /* sent to this thread */
	stack_t altstack;
	struct k_siginfo_fault { /* of the fault being delivered */
		int signal, code;
		uint64_t address, trap, error;
	} fault;
	uint64_t clear_child_tid, robust_list, robust_list_bytes, rseq;
	char comm[16];

	/* Sleeping. */
	struct timer sleep_timer;
	bool timed_out;
	bool interruptible;
	/* A call that returned -ERESTART_RESTARTBLOCK goes on with restart(): it has left what it needs here. */
	int64_t (*restart)(void);
	uint64_t restart_deadline_ns;
	uint64_t restart_args[5];
	void *fpu_scratch; /* 64-byte aligned room for signal frames, made when first needed */

	uint64_t context_switches;
	bool strace_open; /* the call's line has been begun */
};

#define THREAD_WORK_SIGNAL 1u     /* a signal may be deliverable */
#define THREAD_WORK_RESCHEDULE 2u /* the time slice is over or a better thread waits */
#define THREAD_WORK_EXIT 4u       /* the process is going: die */
#define THREAD_WORK_STRACE 8u     /* every call goes the slow way */
#define THREAD_WORK_TIMER 16u     /* an interrupt must be armed before the program runs */

/* Results of system calls that a signal may restart; never seen by programs. */
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516

/* A thread of `process` without a stack frame yet: arch_thread_prepare(), then sched_add(). -ENOMEM. */
int thread_new(struct process *process, struct thread **thread);
void *fpu_area_new(void); /* 64-byte aligned, boot_info->xsave_bytes; NULL: out of memory */
void fpu_area_free(void *area);
void thread_free(struct thread *thread); /* the scheduler's: the thread has left its stack */
/* A SLEEPING thread becomes runnable (wake functions of waiters). */
void thread_wake(struct thread *thread);
/* What clone(2), clone3(2) ask for. */
struct clone_request {
	uint64_t flags, stack, tls, parent_tid, child_tid;
	int exit_signal;
};
int64_t thread_clone(const struct clone_request *request, const struct regs *regs);
/* All threads of the current process but this one die; returns when they are gone. For exec. May sleep. */
int process_kill_other_threads(void);
/* exec: handlers to default unless ignored, alternate stack off, POSIX timers gone. */
void process_exec_reset(void);
/* The child that `pid` means (as waitpid's) in one of the states of `options`; see wait4(2), waitid(2). May sleep. */
struct wait_result {
	int pid, status, uid;
	uint64_t cpu_ns;
};
int process_wait(int pid, int options, struct wait_result *result);

/* The first process with one thread, made by boot; then proc_exec_first() (kernel/proc/exec.h). */
int process_new_first(struct process **process);
struct process *process_find(int pid);
struct thread *thread_find(int tid);
extern struct list processes;
extern struct process *process_first; /* the program that the VM runs */

/* Ends the process: all threads go, then it is a zombie; the first process's end is the VM's. */
_Noreturn void process_exit(int status); /* status as waitpid's: code << 8 or signal */
_Noreturn void thread_exit(int code);
void process_end(struct process *process); /* thread_exit()'s, for the last thread; may sleep */
void process_ask_threads_to_exit(struct process *process, struct thread *except);

/* Signals (kernel/proc/signal.c). info = NULL: from the kernel (SI_KERNEL). 0 or -errno. */
int signal_send_process(struct process *process, int signal, const siginfo_t *info);
int signal_send_thread(struct thread *thread, int signal, const siginfo_t *info);
/* A fault of the current thread: delivered even if blocked or ignored (then it kills). */
void signal_fault(int signal, int code, uint64_t address, uint64_t trap, uint64_t error);
bool signal_pending(const struct thread *thread); /* a deliverable one */
/* Takes a pending signal of `set` off the current thread or its process; 0: none. */
int signal_dequeue(uint64_t set, siginfo_t *info);
/* Changes the current thread's mask (never SIGKILL and SIGSTOP). */
void signal_set_mask(uint64_t mask);
/* A mask for the time of one call (ppoll, sigsuspend): reads it from the program, -EINVAL, -EFAULT; va = 0: nothing. */
int signal_temporary_mask(uint64_t va, uint64_t bytes);
/* At the end of that call. interrupted: it returns EINTR or restarts, the handler must still run with the
 * temporary mask in force. */
void signal_temporary_mask_end(bool interrupted);
void signal_queue_flush(struct signal_queue *queue, uint64_t set);
/* SIGCHLD, or what the child's parent wants instead: CLD_*. */
void signal_child_changed(struct process *child, int code);
/* SIGPIPE for a write that gets EPIPE. */
void signal_pipe(void);
#define signal_bit(n) (1ull << ((n)-1))
/* On the way out, with THREAD_WORK_*: deliver signals, reschedule, die. */
void thread_work(struct regs *regs);

/* Scheduler (kernel/proc/sched.c). */
void sched_init_cpu(unsigned cpu); /* the calling context becomes the vCPU's idle thread */
_Noreturn void sched_idle_loop(void);
void sched_add(struct thread *thread); /* make runnable; picks a vCPU and kicks it if it must */
void sched_block(void);                /* current is not RUNNING any more: run something else */
void sched_yield_kernel(void);         /* let others run, stay runnable */
void sched_preempt(void);              /* THREAD_WORK_RESCHEDULE: the first in the queue runs, perhaps again the same */
/* An interrupt came while a program ran (or is noticed on the way out): timers, slices, device
 * events, monitor's signals. */
void sched_interrupt(void);
/* Puts up to date current->cpu_ns and the like. */
void sched_account(void);
/* Arms the vCPU's interrupt for what is due while the program runs (THREAD_WORK_TIMER). */
void sched_arm(void);
void sched_place(struct thread *thread);
void sched_reset(void); /* host builds */
/* A running thread on another vCPU must look at its work flags. */
void sched_kick_thread(struct thread *thread);
/* After a thread's affinity or policy changed. */
void sched_changed(struct thread *thread);
unsigned sched_runnable(void); /* threads running or waiting to run, for /proc/loadavg */

/* Futexes (kernel/proc/futex.c). */
int64_t futex_wake(uint64_t va, bool is_private, unsigned count, uint32_t bits);
void futex_thread_exit(struct thread *thread); /* robust list, clear_child_tid */

/* CPU time timers; next deadline as CLOCK_MONOTONIC of the current process's earliest. */
void cpu_timer_start(struct process *process, struct cpu_timer *timer, uint64_t next_ns);
bool cpu_timer_cancel(struct cpu_timer *timer);
void cpu_timers_check(struct process *process);
uint64_t cpu_timers_next(struct process *process);
void itimers_init(struct process *process);
void itimers_fini(struct process *process);
void posix_timers_fini(struct process *process);
void posix_timers_thread_exit(struct thread *thread);

/* Time (kernel/proc/clock.c), ns. */
uint64_t clock_monotonic(void);
uint64_t clock_realtime(void);

#endif
