/* SPDX-License-Identifier: Apache-2.0 */
/* In the jail: what a role needs works, and everything else ends the process or is refused. Each attempt runs
 * in a child of its own. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/util.h"
#include "vmm/jail.h"

static char directory[64];
static struct options options;

#define CHILD_COULD_NOT_ENTER 99

/* Runs attempt() in a child in the jail; its wait status. */
static int in_jail(enum jail_role role, int (*attempt)(void))
{
	pid_t pid = fork();
	if (pid == 0) {
		struct jail jail;
		struct err err;
		jail_plan(&jail, &options);
		if (jail_process(&err) < 0 || jail_enter(&jail, role, &err) < 0)
			_exit(CHILD_COULD_NOT_ENTER);
		syscall(SYS_exit_group, attempt());
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == CHILD_COULD_NOT_ENTER);
	return status;
}

static int setup(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/lampo-test-jail-XXXXXX");
	assert_non_null(mkdtemp(directory));
	int fd = open(directory, O_PATH | O_DIRECTORY);
	assert_int_equal(mkdirat(fd, "ro", 0755), 0);
	assert_int_equal(mkdirat(fd, "rw", 0755), 0);
	close(openat(fd, "ro/file", O_CREAT | O_WRONLY, 0644));
	close(openat(fd, "secret", O_CREAT | O_WRONLY, 0644));
	options = (struct options){
	    .report_fd = -1, .control_fd = -1, .state_fd = -1, .lock_fd = -1, .root_fd = -1, .image_fd = -1};
	options.volumes[0] =
	    (struct options_volume){.fd = openat(fd, "ro", O_PATH), .read_only = true, .target = "/ro"};
	options.volumes[1] = (struct options_volume){.fd = openat(fd, "rw", O_PATH), .target = "/rw"};
	options.volume_count = 2;
	close(fd);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	char command[128];
	close(options.volumes[0].fd);
	close(options.volumes[1].fd);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

/* ---- system calls --------------------------------------------------------------------------------------- */

#define TRY(name, call)                                                                                                \
	static int try_##name(void) { return (call) < 0; }

TRY(execve, syscall(SYS_execve, "/bin/true", NULL, NULL))
TRY(execveat, syscall(SYS_execveat, 0, "", NULL, NULL, AT_EMPTY_PATH))
TRY(fork, syscall(SYS_fork))
TRY(clone, syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0))
TRY(clone3, syscall(SYS_clone3, NULL, 0))
TRY(open, syscall(SYS_open, "/etc/passwd", O_RDONLY))
TRY(socket, syscall(SYS_socket, AF_INET, SOCK_STREAM, 0))
TRY(connect, syscall(SYS_connect, 0, NULL, 0))
TRY(bind, syscall(SYS_bind, 0, NULL, 0))
TRY(sendmsg, syscall(SYS_sendmsg, 0, NULL, 0))
TRY(ptrace, syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0))
TRY(process_vm_readv, syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0))
TRY(mount, syscall(SYS_mount, "a", "/", "tmpfs", 0, NULL))
TRY(chroot, syscall(SYS_chroot, "/"))
TRY(unshare, syscall(SYS_unshare, 0))
TRY(setns, syscall(SYS_setns, 0, 0))
TRY(setuid, syscall(SYS_setuid, 0))
TRY(capset, syscall(SYS_capset, NULL, NULL))
TRY(prctl, syscall(SYS_prctl, 1, 0, 0, 0, 0))
TRY(bpf, syscall(SYS_bpf, 0, NULL, 0))
TRY(io_uring, syscall(SYS_io_uring_setup, 1, NULL))
TRY(memfd, syscall(SYS_memfd_create, "x", 0))
TRY(kill, syscall(SYS_kill, getpid(), 0))
TRY(tgkill, syscall(SYS_tgkill, getpid(), getpid(), SIGTERM))
TRY(mmap_exec, syscall(SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == -1 ? -1 : 0)
TRY(mprotect_exec, syscall(SYS_mprotect, directory, 4096, PROT_READ | PROT_WRITE | PROT_EXEC))
TRY(ioctl, syscall(SYS_ioctl, 0, 0x5412, "x")) /* TIOCSTI */
TRY(create_vm, syscall(SYS_ioctl, 0, KVM_CREATE_VM, 0))
TRY(set_memory, syscall(SYS_ioctl, 0, KVM_SET_USER_MEMORY_REGION, 0))
TRY(dup2, syscall(SYS_dup2, 1, 2))
TRY(accept, syscall(SYS_accept4, 0, NULL, NULL, 0))
TRY(run, syscall(SYS_ioctl, 0, KVM_RUN, 0))
TRY(unlinkat, syscall(SYS_unlinkat, -1, "x", 0))
TRY(openat2, syscall(SYS_openat2, -1, "x", NULL, 0))

#define ROLE_VCPU (1u << JAIL_VCPU)
#define ROLE_DEVICE (1u << JAIL_DEVICE)
#define ALL_ROLES (ROLE_VCPU | ROLE_DEVICE)

static void forbidden_calls_end_the_process(void **state)
{
	(void)state;
#define ATTEMPT(name, roles)                                                                                           \
	{                                                                                                              \
#name, try_##name, roles                                                                               \
	}
	static const struct {
		const char *name;
		int (*attempt)(void);
		unsigned roles; /* that must not */
	} attempts[] = {
	    ATTEMPT(execve, ALL_ROLES),    ATTEMPT(execveat, ALL_ROLES),      ATTEMPT(fork, ALL_ROLES),
	    ATTEMPT(clone, ALL_ROLES),     ATTEMPT(clone3, ALL_ROLES),        ATTEMPT(open, ALL_ROLES),
	    ATTEMPT(socket, ALL_ROLES),    ATTEMPT(connect, ALL_ROLES),       ATTEMPT(bind, ALL_ROLES),
	    ATTEMPT(sendmsg, ALL_ROLES),   ATTEMPT(ptrace, ALL_ROLES),        ATTEMPT(process_vm_readv, ALL_ROLES),
	    ATTEMPT(mount, ALL_ROLES),     ATTEMPT(chroot, ALL_ROLES),        ATTEMPT(unshare, ALL_ROLES),
	    ATTEMPT(setns, ALL_ROLES),     ATTEMPT(setuid, ALL_ROLES),        ATTEMPT(capset, ALL_ROLES),
	    ATTEMPT(prctl, ALL_ROLES),     ATTEMPT(bpf, ALL_ROLES),           ATTEMPT(io_uring, ALL_ROLES),
	    ATTEMPT(memfd, ALL_ROLES),     ATTEMPT(kill, ALL_ROLES),          ATTEMPT(tgkill, ALL_ROLES),
	    ATTEMPT(mmap_exec, ALL_ROLES), ATTEMPT(mprotect_exec, ALL_ROLES), ATTEMPT(ioctl, ALL_ROLES),
	    ATTEMPT(create_vm, ALL_ROLES), ATTEMPT(set_memory, ROLE_DEVICE),  ATTEMPT(dup2, ALL_ROLES),
	    ATTEMPT(accept, ROLE_VCPU),    ATTEMPT(run, ROLE_DEVICE),         ATTEMPT(unlinkat, ROLE_DEVICE),
	    ATTEMPT(openat2, ROLE_DEVICE),
	};
	for (size_t i = 0; i < countof(attempts); i++)
		for (enum jail_role role = JAIL_VCPU; role <= JAIL_DEVICE; role++) {
			int status = in_jail(role, attempts[i].attempt);
			bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
			if (killed != ((attempts[i].roles >> role & 1) != 0))
				fail_msg("%s by role %d: status %#x", attempts[i].name, role, status);
		}
}

static void writing_calls_need_a_writable_volume(void **state)
{
	(void)state;
	options.volume_count = 1;
	int status = in_jail(JAIL_VCPU, try_unlinkat);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	options.volume_count = 0;
	status = in_jail(JAIL_VCPU, try_openat2);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	options.volume_count = 2;
}

/* ---- paths -------------------------------------------------------------------------------------------------- */

static bool refused(int fd, const char *path, int flags)
{
	return openat(fd, path, flags, 0600) < 0 && (errno == EACCES || errno == EROFS || errno == EXDEV);
}

/* Number of the step that went wrong. */
static int try_paths(void)
{
	int ro = options.volumes[0].fd, rw = options.volumes[1].fd;
	if (openat(ro, "file", O_RDONLY) < 0)
		return 1;
	if (!refused(ro, "file", O_WRONLY) || !refused(ro, "new", O_CREAT | O_WRONLY))
		return 2;
	if (openat(rw, "new", O_CREAT | O_RDWR, 0600) < 0)
		return 3;
	if (!refused(ro, "../secret", O_RDONLY) || !refused(rw, "../secret", O_WRONLY))
		return 4;
	if (!refused(-1, "/etc/passwd", O_RDONLY) || !refused(-1, "/", O_RDONLY | O_DIRECTORY))
		return 5;
	if (syscall(SYS_mknodat, rw, "device", S_IFCHR | 0600, 0x0101) == 0)
		return 6;
	if (syscall(SYS_linkat, ro, "file", rw, "link", 0) == 0 && openat(rw, "link", O_WRONLY) >= 0)
		return 7;
	return 0;
}

static void only_the_exports_can_be_reached(void **state)
{
	(void)state;
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) <= 0)
		skip();
	int status = in_jail(JAIL_VCPU, try_paths);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- descriptors ----------------------------------------------------------------------------------------------- */

static void only_named_descriptors_stay(void **state)
{
	(void)state;
	pid_t pid = fork();
	if (pid == 0) {
		int stray[3] = {dup(0), fcntl(0, F_DUPFD, 50), fcntl(0, F_DUPFD, 900)};
		jail_close_others(&options);
		for (unsigned i = 0; i < 3; i++)
			if (fcntl(stray[i], F_GETFD) >= 0)
				_exit(1);
		for (int fd = 0; fd < 3; fd++)
			if (fcntl(fd, F_GETFD) < 0)
				_exit(2);
		_exit(fcntl(options.volumes[0].fd, F_GETFD) < 0 || fcntl(options.volumes[1].fd, F_GETFD) < 0 ? 3 : 0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(forbidden_calls_end_the_process),
	    cmocka_unit_test(writing_calls_need_a_writable_volume),
	    cmocka_unit_test(only_the_exports_can_be_reached),
	    cmocka_unit_test(only_named_descriptors_stay),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
