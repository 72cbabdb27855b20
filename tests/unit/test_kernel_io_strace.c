/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of --strace read as strace writes them, and no argument can do harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <asm/signal.h>
#include <asm/stat.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/uio.h>

#include "kernel/mm/mm.h"
#include "kernel/sys/strace.h"
#include "kernel/sys/table.h"
#include "tests/unit/kernel_threads.h"

static char log_text[8192], shown[8192];

void klog(const char *format, ...)
{
	va_list args;
	size_t used = strlen(log_text);
	va_start(args, format);
	vsnprintf(log_text + used, sizeof(log_text) - used, format, args);
	va_end(args);
	strncat(log_text, "\n", sizeof(log_text) - strlen(log_text) - 1);
}

int64_t user_string(char *to, uint64_t from, uint64_t size)
{
	if (from < 0x10000)
		return -EFAULT;
	size_t length = strnlen((const char *)from, size);
	if (length == size)
		return -ENAMETOOLONG;
	memcpy(to, (const void *)from, length + 1);
	return (int64_t)length;
}

static uint32_t number;
static uint64_t arg[6];
static int64_t result;

static void one_call(void *unused)
{
	struct syscall_args args = {.regs = NULL};
	(void)unused;
	memcpy(args.arg, arg, sizeof(arg));
	log_text[0] = '\0';
	strace_enter(number, &args);
	strace_leave(number, &args, result);
	strcpy(shown, log_text);
}

static const char *line(uint32_t n, int64_t r, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	number = n;
	result = r;
	memcpy(arg, (uint64_t[]){a, b, c, d, e, f}, sizeof(arg));
	machine_reset(1);
	/* One thread only: no prefix. */
	list_first(&processes, struct process, node)->thread_count = 0;
	boot_info->flags = LAMPO_BOOT_STRACE;
	machine_thread(one_call, NULL);
	machine_run();
	return shown;
}
#define P(x) ((uint64_t)(x))

static void files_are_shown(void **state)
{
	struct stat st = {.st_mode = 0100644, .st_size = 1234};
	(void)state;
	assert_string_equal(line(257, 3, (uint64_t)AT_FDCWD, P("/etc/ld.so.cache"), O_RDONLY | O_CLOEXEC, 0, 0, 0),
			    "openat(AT_FDCWD, \"/etc/ld.so.cache\", O_RDONLY|O_CLOEXEC) = 3\n");
	assert_string_equal(
	    line(257, -ENOENT, (uint64_t)AT_FDCWD, P("/x"), O_WRONLY | O_CREAT | O_TRUNC, 0644, 0, 0),
	    "openat(AT_FDCWD, \"/x\", O_WRONLY|O_CREAT|O_TRUNC, 0644) = -1 ENOENT (No such file or directory)\n");
	assert_string_equal(line(21, -ENOENT, P("/etc/ld.so.preload"), 4, 0, 0, 0, 0),
			    "access(\"/etc/ld.so.preload\", R_OK)      = -1 ENOENT (No such file or directory)\n");
	assert_string_equal(line(0, 5, 3, P("ab\n\0\"xx"), 100, 0, 0, 0),
			    "read(3, \"ab\\n\\0\\\"\", 100)                = 5\n");
	assert_string_equal(line(1, 40, 1, P("0123456789012345678901234567890123456789"), 40, 0, 0, 0),
			    "write(1, \"01234567890123456789012345678901\"..., 40) = 40\n");
	assert_string_equal(line(5, 0, 3, P(&st), 0, 0, 0, 0),
			    "fstat(3, {st_mode=S_IFREG|0644, st_size=1234, ...}) = 0\n");
	assert_string_equal(line(3, -EBADF, (uint64_t)-1, 0, 0, 0, 0, 0),
			    "close(-1)                               = -1 EBADF (Bad file descriptor)\n");
}

static void memory_and_signals_are_shown(void **state)
{
	uint64_t set = signal_bit(SIGINT) | signal_bit(SIGTERM);
	(void)state;
	assert_string_equal(
	    line(9, 0x7f0000001000, 0, 8192, 3, 0x22, (uint64_t)-1, 0),
	    "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000001000\n");
	assert_string_equal(line(14, 0, SIG_BLOCK, P(&set), 0, 8, 0, 0),
			    "rt_sigprocmask(SIG_BLOCK, [INT TERM], NULL, 8) = 0\n");
	assert_string_equal(line(62, 0, 5, SIGKILL, 0, 0, 0, 0), "kill(5, SIGKILL)                        = 0\n");
	assert_string_equal(line(200, -513, 5, 34, 0, 0, 0, 0),
			    "tkill(5, SIGRT_2)                       = ? ERESTARTNOINTR (To be restarted)\n");
}

static void unknown_calls_have_a_name(void **state)
{
	(void)state;
	assert_string_equal(line(400, -ENOSYS, 1, 2, 0, 0, 0, 0),
			    "syscall_0x190(0x1, 0x2, 0, 0, 0, 0)     = -1 ENOSYS (Function not implemented)\n");
	assert_string_equal(line(0xffffffff, -ENOSYS, 0, 0, 0, 0, 0, 0),
			    "syscall_0xffffffff(0, 0, 0, 0, 0, 0)    = -1 ENOSYS (Function not implemented)\n");
}

/* A call that sleeps while another thread makes one. */
static struct wait_queue queue;
static void sleeper(void *unused)
{
	char data[8] = "hello";
	struct syscall_args args = {.arg = {0, P(data), 5}};
	(void)unused;
	strace_enter(0, &args);
	struct waiter waiter;
	waiter_init(&waiter);
	wait_add(&queue, &waiter);
	wait_sleep(&waiter, WAIT_FOREVER, false);
	wait_remove(&waiter);
	strace_leave(0, &args, 5);
}

static void waker(void *unused)
{
	struct syscall_args args = {.regs = NULL};
	(void)unused;
	strace_enter(39, &args);
	strace_leave(39, &args, 1);
	wait_wake(&queue, 0, 0);
}

static void a_sleeping_call_is_cut_in_two(void **state)
{
	(void)state;
	machine_reset(1);
	boot_info->flags = LAMPO_BOOT_STRACE;
	wait_queue_init(&queue);
	log_text[0] = '\0';
	machine_thread(sleeper, NULL);
	machine_run();
	machine_thread(waker, NULL);
	machine_run();
	if (getenv("SHOW_LOG") != NULL)
		puts(log_text);
	assert_non_null(strstr(log_text, "read(0,  <unfinished ...>\n"));
	assert_non_null(strstr(log_text, "<... read resumed>\"hello\", 5) = 5\n"));
	assert_non_null(strstr(log_text, "] getpid()"));
}

static void ends_and_signals(void **state)
{
	siginfo_t info = {.si_signo = SIGSEGV, .si_code = 1};
	char text[128];
	struct strace_text out = {.data = text, .size = sizeof(text)};
	(void)state;
	info.si_addr = (void *)0x10;
	strace_add_siginfo(&out, &info);
	assert_string_equal(text, "{si_signo=SIGSEGV, si_code=1, si_addr=0x10}");
}

/* Every call with wild values in every argument: decoding never touches what is not there. */
static void wild_arguments_do_no_harm(void *unused)
{
	static const uint64_t wild[] = {0, 1, 16, 0x7fff, UINT64_MAX, INT64_MAX, 0x80000000, 0xffffffff};
	static uint8_t zeros[4096];
	uint32_t random = 1;
	(void)unused;
	for (unsigned round = 0; round < 20; round++) {
		for (uint32_t n = 0; n < SYSCALL_COUNT; n++) {
			struct syscall_args args = {.regs = NULL};
			for (unsigned i = 0; i < 6; i++) {
				random = random * 1664525 + 1013904223;
				args.arg[i] = (random >> 20 & 7) == 7 ? P(zeros) : wild[random >> 24 & 7];
			}
			/* Addresses that the mock takes for good are the buffer or none. */
			for (unsigned i = 0; i < 6; i++)
				if (args.arg[i] >= 0x10000 && args.arg[i] != P(zeros))
					args.arg[i] = round % 2 == 0 ? 0x7000 : args.arg[i] & 0x7fff;
			log_text[0] = '\0';
			strace_enter(n, &args);
			strace_leave(n, &args, (random & 4) != 0 ? -EINVAL : (int64_t)(random >> 28));
		}
	}
}

static void every_call_survives_wild_arguments(void **state)
{
	(void)state;
	machine_reset(1);
	boot_info->flags = LAMPO_BOOT_STRACE;
	machine_thread(wild_arguments_do_no_harm, NULL);
	machine_run();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(files_are_shown),
	    cmocka_unit_test(memory_and_signals_are_shown),
	    cmocka_unit_test(unknown_calls_have_a_name),
	    cmocka_unit_test(ends_and_signals),
	    cmocka_unit_test(every_call_survives_wild_arguments),
	    cmocka_unit_test(a_sleeping_call_is_cut_in_two),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
