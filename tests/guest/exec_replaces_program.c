/* SPDX-License-Identifier: Apache-2.0 */
/* execve: the new program gets arguments, environment and what is to be kept (ids, mask, ignored signals, open files),
 * and nothing else (handlers, threads, close-on-exec files, alternate stack, mappings). Failures change nothing. */
#include "check.h"

#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static char self[4096];
static char directory[64];
static int handled;

static void handler(int signal) { handled = signal; }
static void *sleeper(void *unused)
{
	for (;;)
		pause();
	return NULL;
}

static void make(const char *name, const void *data, size_t bytes, mode_t mode)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, data, bytes), bytes);
	CHECK_EQ(fchmod(fd, mode), 0);
	close(fd);
}

static const char *in(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static int try_exec(const char *path)
{
	char *argv[] = {"x", NULL}, *envp[] = {NULL};

	return execve(path, argv, envp);
}

static void broken_files_are_refused(void)
{
	static char elf[1 << 20];
	int fd = open(self, O_RDONLY);
	ssize_t bytes = read(fd, elf, sizeof(elf));

	close(fd);
	CHECK(bytes > 4096);
	CHECK_ERR(try_exec("/nonexistent/program"), ENOENT);
	CHECK_ERR(try_exec(""), ENOENT);
	CHECK_ERR(try_exec(directory), EACCES);
	make("plain", elf, (size_t)bytes, 0644);
	CHECK_ERR(try_exec(in("plain")), EACCES);
	make("empty", "", 0, 0755);
	CHECK_ERR(try_exec(in("empty")), ENOEXEC);
	make("text", "hello\n", 6, 0755);
	CHECK_ERR(try_exec(in("text")), ENOEXEC);
	make("short", elf, 40, 0755);
	CHECK_ERR(try_exec(in("short")), ENOEXEC);
	Elf64_Ehdr *e = (Elf64_Ehdr *)elf;
	e->e_machine = EM_AARCH64;
	make("foreign", elf, (size_t)bytes, 0755);
	CHECK_ERR(try_exec(in("foreign")), ENOEXEC);
	make("lost", "#!/nonexistent/interpreter\n", 27, 0755);
	CHECK_ERR(try_exec(in("lost")), ENOENT);
	char loop[200];
	int n = snprintf(loop, sizeof(loop), "#!%s/loop\n", directory);
	make("loop", loop, (size_t)n, 0755);
	CHECK_ERR(try_exec(in("loop")), ELOOP);
	CHECK_ERR(try_exec((const char *)8), EFAULT);
	CHECK_ERR(execve(self, (char **)8, NULL), EFAULT);
	/* More than any stack can take. */
	size_t room = 200000;
	char *big = malloc(room), *argv[200];
	memset(big, 'x', room - 1);
	big[room - 1] = '\0';
	argv[0] = "x";
	argv[1] = big;
	argv[2] = NULL;
	CHECK_ERR(execve(self, argv, NULL), E2BIG); /* one string too long */
	big[100000] = '\0';
	for (int i = 1; i < 199; i++)
		argv[i] = big;
	argv[199] = NULL;
	CHECK_ERR(execve(self, argv, NULL), E2BIG);
	free(big);
}

static int first(void)
{
	snprintf(directory, sizeof(directory), "/tmp/exec-test-%d", (int)getpid());
	CHECK_EQ(mkdir(directory, 0700), 0);
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	CHECK(n > 0);
	broken_files_are_refused();
	/* What must not survive. */
	stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
	CHECK_EQ(sigaltstack(&stack, NULL), 0);
	signal(SIGUSR1, handler);
	signal(SIGUSR2, SIG_IGN);
	raise(SIGUSR1);
	CHECK_EQ(handled, SIGUSR1);
	pthread_t threads[3];
	for (int i = 0; i < 3; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, sleeper, NULL), 0);
	void *at = mmap((void *)0x200000000000, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(at != MAP_FAILED);
	/* What must. */
	sigset_t mask;
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	raise(SIGTERM); /* pending */
	umask(027);
	CHECK_EQ(chdir(directory), 0);
	int kept = open(self, O_RDONLY), closed = open(self, O_RDONLY | O_CLOEXEC);
	lseek(kept, 123, SEEK_SET);
	prctl(PR_SET_NAME, "before");
	char script[4300], pid[20], fds[40];
	int length = snprintf(script, sizeof(script), "#! %s one argument \n", self);
	make("script", script, (size_t)length, 0755);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	snprintf(fds, sizeof(fds), "%d,%d", kept, closed);
	fflush(stdout);
	if (check_failed)
		return 1;
	char *argv[] = {"dropped", "second", pid, fds, "", NULL}, *envp[] = {"A=1", "EMPTY=", NULL};
	execve("./script", argv, envp);
	CHECK(!"execve of a script works");
	return 1;
}

static int second(int argc, char **argv)
{
	extern char **environ;
	int kept, closed;
	char name[16];

	/* interpreter, its argument, the script, the caller's arguments */
	CHECK_EQ(argc, 7);
	CHECK_EQ(strcmp(argv[1], "one argument"), 0);
	CHECK_EQ(strcmp(argv[2], "./script"), 0);
	CHECK_EQ(strcmp(argv[6], ""), 0);
	CHECK(argv[7] == NULL);
	CHECK_EQ(strcmp(environ[0], "A=1"), 0);
	CHECK_EQ(strcmp(environ[1], "EMPTY="), 0);
	CHECK(environ[2] == NULL);
	CHECK_EQ(atoi(argv[4]), getpid());
	CHECK_EQ(syscall(SYS_gettid), getpid());
	CHECK_EQ(sscanf(argv[5], "%d,%d", &kept, &closed), 2);
	CHECK_EQ(lseek(kept, 0, SEEK_CUR), 123);
	CHECK_ERR(fcntl(closed, F_GETFD), EBADF);
	struct sigaction action;
	sigaction(SIGUSR1, NULL, &action);
	CHECK(action.sa_handler == SIG_DFL);
	sigaction(SIGUSR2, NULL, &action);
	CHECK(action.sa_handler == SIG_IGN);
	sigset_t mask, pending;
	sigprocmask(SIG_SETMASK, NULL, &mask);
	CHECK(sigismember(&mask, SIGTERM) && sigismember(&mask, SIGUSR1) && !sigismember(&mask, SIGINT));
	sigpending(&pending);
	CHECK(sigismember(&pending, SIGTERM));
	stack_t stack;
	CHECK_EQ(sigaltstack(NULL, &stack), 0);
	CHECK(stack.ss_flags & SS_DISABLE);
	CHECK_EQ(umask(022), 027);
	CHECK_ERR(msync((void *)0x200000000000, 4096, MS_ASYNC), ENOMEM);
	prctl(PR_GET_NAME, name);
	CHECK_EQ(strcmp(name, "script"), 0);
	CHECK_EQ(strcmp((const char *)getauxval(AT_EXECFN), "./script"), 0);
	/* Only this thread is left. */
	int threads = 0;
	DIR *tasks = opendir("/proc/self/task");
	if (tasks != NULL) {
		for (struct dirent *entry; (entry = readdir(tasks)) != NULL;)
			threads += entry->d_name[0] != '.';
		CHECK_EQ(threads, 1);
		closedir(tasks);
	}
	char where[128], path[192];
	CHECK(getcwd(where, sizeof(where)) != NULL);
	static const char *const made[] = {"plain", "empty", "text", "short", "foreign", "lost", "loop", "script"};
	for (size_t i = 0; i < countof(made); i++) {
		snprintf(path, sizeof(path), "%s/%s", where, made[i]);
		CHECK_EQ(unlink(path), 0);
	}
	rmdir(where);
	return check_failed != 0;
}

int main(int argc, char **argv)
{
	if (argc > 3 && strcmp(argv[3], "second") == 0)
		return second(argc, argv);
	return first();
}
