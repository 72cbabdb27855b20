/* SPDX-License-Identifier: Apache-2.0 */
/* What does not exist says ENOSYS, a bad address EFAULT, and execve of what cannot run says why: the program goes on.
 */
#include "check.h"
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <poll.h>

int main(void)
{
	char *argv[] = {(char *)"x", NULL};

	CHECK_ERR(syscall(999), ENOSYS);
	CHECK_ERR(syscall(5000), ENOSYS);
	CHECK_ERR(syscall(0x7fffffff), ENOSYS);
	CHECK_ERR(syscall(-1), ENOSYS);
	CHECK_ERR(syscall(-4095), ENOSYS);
	for (long nr = 600; nr < 1000; nr += 7)
		CHECK_ERR(syscall(nr, 1, 2, 3, 4, 5, 6), ENOSYS);

	static const uintptr_t bad[] = {8, 0xffff888000000000, 0x7fffffffe000, 0x8000000000000000, ~7ul};
	for (size_t i = 0; i < countof(bad); i++) {
		void *p = (void *)bad[i];
		CHECK_ERR(syscall(SYS_uname, p), EFAULT);
		CHECK_ERR(syscall(SYS_pipe2, p, 0), EFAULT);
		CHECK_ERR(syscall(SYS_stat, "/", p), EFAULT);
		CHECK_ERR(syscall(SYS_stat, p, p), EFAULT);
		CHECK_ERR(syscall(SYS_nanosleep, p, NULL), EFAULT);
		CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, p, NULL, 8), EFAULT);
		CHECK_ERR(syscall(SYS_getcwd, p, 100), EFAULT);
		CHECK_ERR(syscall(SYS_poll, p, 1, 0), EFAULT);
		CHECK_ERR(syscall(SYS_getrandom, p, 8, 0), EFAULT);
		CHECK_ERR(syscall(SYS_execve, p, argv, NULL), EFAULT);
		CHECK_ERR(syscall(SYS_openat, AT_FDCWD, p, O_RDONLY), EFAULT);
		CHECK_ERR(syscall(SYS_setitimer, ITIMER_REAL, p, NULL), EFAULT);
		CHECK_ERR(syscall(SYS_futex, p, 0, 0, NULL), EFAULT);
		CHECK_ERR(syscall(SYS_sysinfo, p), EFAULT);
		CHECK_ERR(syscall(SYS_readlink, "/proc/self/exe", p, 100), EFAULT);
	}

	scratch_enter();
	CHECK_ERR(execv("/no/such/program", argv), ENOENT);
	CHECK_ERR(execv("/etc", argv), EACCES);
	CHECK_ERR(execv("", argv), ENOENT);
	file_make("not-executable", "x");
	CHECK_ERR(execv("./not-executable", argv), EACCES);
	file_make("nonsense", "this is no program");
	CHECK_OK(chmod("nonsense", 0755));
	CHECK_ERR(execv("./nonsense", argv), ENOEXEC);
	file_make("short", "\177ELF");
	CHECK_OK(chmod("short", 0755));
	CHECK_ERR(execv("./short", argv), ENOEXEC);
	file_make("script", "#!/no/such/interpreter\n");
	CHECK_OK(chmod("script", 0755));
	CHECK_ERR(execv("./script", argv), ENOENT);
	CHECK_OK(symlink("loop", "loop"));
	CHECK_ERR(execv("./loop", argv), ELOOP);
	/* Still here, with everything in order. */
	struct utsname u;
	CHECK_OK(uname(&u));
	return check_done();
}
