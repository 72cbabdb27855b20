/* SPDX-License-Identifier: Apache-2.0 */
/* Ids, limits, capabilities and other properties of a process, asked and set. */
#include "check.h"
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

int main(void)
{
	uid_t r, e, s;
	gid_t groups[64];
	struct rlimit lim, old;
	char name[16];

	CHECK(getpid() > 0);
	CHECK(getppid() >= 0);
	CHECK_OK(getresuid(&r, &e, &s));
	CHECK(r == getuid() && e == geteuid());
	CHECK_OK(getresgid(&r, &e, &s));
	CHECK(r == getgid() && e == getegid());
	CHECK_OK(getgroups(64, groups));
	CHECK(getpgrp() >= 0);
	CHECK_EQ(getpgid(0), getpgrp());
	CHECK(getsid(0) >= 0);
	CHECK_ERR(getpgid(0x3ffffff0), ESRCH);
	CHECK_OK(setuid(getuid()));
	CHECK_OK(setgid(getgid()));
	CHECK_OK(setresuid((uid_t)-1, (uid_t)-1, (uid_t)-1));
	CHECK_OK(setreuid((uid_t)-1, (uid_t)-1));
	CHECK_ERR(wait(NULL), ECHILD);
	CHECK_ERR(waitpid(-1, NULL, WNOHANG), ECHILD);
	siginfo_t info;
	CHECK_ERR(waitid(P_ALL, 0, &info, WEXITED), ECHILD);
	CHECK_ERR(waitpid(-1, NULL, 0x4000000), EINVAL);

	static const int limits[] = {RLIMIT_NOFILE,  RLIMIT_STACK,      RLIMIT_AS,    RLIMIT_DATA,
				     RLIMIT_CORE,    RLIMIT_CPU,        RLIMIT_FSIZE, RLIMIT_NPROC,
				     RLIMIT_MEMLOCK, RLIMIT_SIGPENDING, RLIMIT_NICE};
	for (size_t i = 0; i < countof(limits); i++) {
		CHECK_OK(getrlimit((__rlimit_resource_t)limits[i], &lim));
		CHECK(lim.rlim_cur <= lim.rlim_max);
	}
	CHECK_OK(getrlimit(RLIMIT_NOFILE, &lim));
	CHECK(lim.rlim_cur >= 256);
	lim.rlim_cur = 128;
	CHECK_OK(prlimit(0, RLIMIT_NOFILE, &lim, &old));
	CHECK_OK(getrlimit(RLIMIT_NOFILE, &lim));
	CHECK_EQ(lim.rlim_cur, 128);
	CHECK_OK(setrlimit(RLIMIT_NOFILE, &old));
	lim.rlim_cur = lim.rlim_max + 1;
	if (lim.rlim_max != RLIM_INFINITY)
		CHECK_ERR(setrlimit(RLIMIT_NOFILE, &lim), EINVAL);
	CHECK_ERR(syscall(SYS_prlimit64, 0, 99, NULL, &lim), EINVAL);
	CHECK_ERR(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, 8), EFAULT);

	CHECK_OK(prctl(PR_SET_NAME, "test-name"));
	CHECK_OK(prctl(PR_GET_NAME, name));
	CHECK(strcmp(name, "test-name") == 0);
	CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	CHECK(prctl(PR_GET_DUMPABLE) >= 0);
	CHECK_OK(prctl(PR_SET_PDEATHSIG, 0));
	CHECK_ERR(prctl(0x7777, 0, 0, 0, 0), EINVAL);

	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];
	CHECK_OK(syscall(SYS_capget, &head, data));
	head.version = 1;
	CHECK_ERR(syscall(SYS_capget, &head, data), EINVAL);
	CHECK_EQ(head.version, _LINUX_CAPABILITY_VERSION_3); /* tells the version it knows */

	CHECK(personality(0xffffffff) >= 0);
	uintptr_t fs = 0, gs = 0;
	CHECK_OK(syscall(SYS_arch_prctl, 0x1003, &fs)); /* ARCH_GET_FS */
	uintptr_t self;
	__asm__("mov %%fs:0, %0" : "=r"(self));
	CHECK_EQ(fs, self);
	CHECK(syscall(SYS_arch_prctl, 0x1004, &gs) == 0 || errno == EINVAL); /* see segment_bases.c */
	CHECK_ERR(syscall(SYS_arch_prctl, 0x7777, &gs), EINVAL);
	CHECK_ERR(syscall(SYS_arch_prctl, 0x1002, 0xffff800000000000), EPERM);
	return check_done();
}
