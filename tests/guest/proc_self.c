/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/self tells of this process: program, mappings, descriptors, arguments, state. */
#include "check.h"
#include <limits.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>

static char text[1 << 17];

static size_t slurp(const char *path)
{
	int fd = open(path, O_RDONLY);
	size_t done = 0;

	text[0] = 0;
	if (fd < 0) {
		printf("cannot open %s: ", path);
		CHECK(fd >= 0);
		return 0;
	}
	for (ssize_t n; done < sizeof(text) - 1 && (n = read(fd, text + done, sizeof(text) - 1 - done)) > 0;)
		done += (size_t)n;
	close(fd);
	text[done] = 0;
	return done;
}

/* The mapping that holds this address: its rights and its name. */
static bool map_of(uintptr_t at, char rights[8], char *name)
{
	slurp("/proc/self/maps");
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		unsigned long from, to, off;
		char r[8], n[PATH_MAX] = "";
		if (sscanf(line, "%lx-%lx %7s %lx %*x:%*x %*u %4095[^\n]", &from, &to, r, &off, n) < 4) {
			CHECK(line == NULL);
			continue;
		}
		if (at >= from && at < to) {
			strcpy(rights, r);
			strcpy(name, n);
			return true;
		}
	}
	return false;
}

static void maps(void)
{
	char rights[8], name[PATH_MAX], exe[PATH_MAX] = "";
	int local = 0;
	static int data = 5;

	NEED(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	CHECK_OK(access(exe, X_OK));
	CHECK(strstr(exe, "proc_self") != NULL);
	CHECK(map_of((uintptr_t)&slurp, rights, name));
	CHECK(strcmp(rights, "r-xp") == 0 && strcmp(name, exe) == 0);
	CHECK(map_of((uintptr_t)&data, rights, name));
	CHECK(strcmp(rights, "rw-p") == 0);
	CHECK(map_of((uintptr_t)&local, rights, name));
	CHECK(strcmp(rights, "rw-p") == 0 && strcmp(name, "[stack]") == 0);
	char *p = mmap(NULL, 8192, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(map_of((uintptr_t)p, rights, name));
	CHECK(strcmp(rights, "r--s") == 0);
	CHECK_OK(mprotect(p + 4096, 4096, PROT_NONE));
	CHECK(map_of((uintptr_t)p + 4096, rights, name));
	CHECK(strcmp(rights, "---s") == 0);
	munmap(p, 8192);
	CHECK(!map_of((uintptr_t)p, rights, name));
	CHECK(map_of(getauxval(AT_SYSINFO_EHDR), rights, name));
	CHECK(strcmp(rights, "r-xp") == 0 && strcmp(name, "[vdso]") == 0);
	void *heap = malloc(100);
	CHECK(map_of((uintptr_t)heap, rights, name));
	CHECK(strcmp(name, "[heap]") == 0);
	free(heap);
}

static void descriptors(void)
{
	char link[64], target[PATH_MAX];
	int fd = open("/dev/null", O_RDONLY), pipe_fd[2], count = 0;
	bool seen = false;
	struct stat st;

	NEED(pipe(pipe_fd) == 0);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, target, sizeof(target) - 1);
	NEED(n > 0);
	target[n] = 0;
	CHECK(strcmp(target, "/dev/null") == 0);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", pipe_fd[0]);
	n = readlink(link, target, sizeof(target) - 1);
	NEED(n > 0);
	target[n] = 0;
	CHECK(strncmp(target, "pipe:[", 6) == 0);
	CHECK_OK(lstat(link, &st));
	CHECK(S_ISLNK(st.st_mode));
	DIR *d = opendir("/proc/self/fd");
	NEED(d != NULL);
	for (struct dirent *e; (e = readdir(d)) != NULL; count++)
		seen |= atoi(e->d_name) == fd && e->d_name[0] != '.';
	closedir(d);
	CHECK(seen && count >= 7);
	CHECK_ERR(open("/proc/self/fd/999", O_RDONLY), ENOENT);
	snprintf(link, sizeof(link), "/proc/self/fdinfo/%d", fd);
	if (slurp(link) > 0)
		CHECK(strstr(text, "pos:\t0") != NULL);
}

int main(int argc, char **argv)
{
	char cwd[PATH_MAX], target[PATH_MAX] = "", path[64];

	maps();
	descriptors();
	size_t n = slurp("/proc/self/cmdline");
	CHECK(n == strlen(argv[0]) + 1 || argc > 1);
	CHECK(strcmp(text, argv[0]) == 0);
	CHECK(slurp("/proc/self/environ") > 0 || getenv("PATH") == NULL);
	CHECK_OK(prctl(PR_SET_NAME, "renamed"));
	slurp("/proc/self/comm");
	CHECK(strcmp(text, "renamed\n") == 0);
	NEED(readlink("/proc/self/cwd", target, sizeof(target) - 1) > 0);
	CHECK(getcwd(cwd, sizeof(cwd)) != NULL && strcmp(cwd, target) == 0);
	memset(target, 0, sizeof(target));
	CHECK_EQ(readlink("/proc/self/root", target, sizeof(target) - 1), 1);
	CHECK(strcmp(target, "/") == 0);
	memset(target, 0, sizeof(target));
	CHECK(readlink("/proc/self", target, sizeof(target) - 1) > 0);
	CHECK_EQ(atoi(target), getpid());

	slurp("/proc/self/status");
	const char *pid = strstr(text, "\nPid:\t"), *threads = strstr(text, "\nThreads:\t"),
		   *uid = strstr(text, "\nUid:\t");
	CHECK(pid != NULL && atoi(pid + 6) == getpid());
	CHECK(threads != NULL && atoi(threads + 10) == 1);
	CHECK(uid != NULL && atoi(uid + 6) == (int)getuid());
	CHECK(strncmp(text, "Name:\trenamed\n", 14) == 0);
	CHECK(strstr(text, "\nVmRSS:\t") != NULL && strstr(text, "\nVmSize:\t") != NULL);
	CHECK(strstr(text, "\nSigCgt:\t") != NULL);

	slurp("/proc/self/stat");
	int stat_pid;
	char name[32], state;
	CHECK_EQ(sscanf(text, "%d (%31[^)]) %c", &stat_pid, name, &state), 3);
	CHECK(stat_pid == getpid() && strcmp(name, "renamed") == 0 && state == 'R');
	int fields = 0;
	for (char *p = strtok(strrchr(text, ')'), " \n"); p != NULL; p = strtok(NULL, " \n"))
		fields++;
	CHECK(fields >= 50);
	slurp("/proc/self/statm");
	long size, rss;
	CHECK_EQ(sscanf(text, "%ld %ld", &size, &rss), 2);
	CHECK(size > 100 && rss > 10 && rss <= size);
	snprintf(path, sizeof(path), "/proc/%d/status", getpid());
	CHECK(slurp(path) > 0);
	snprintf(path, sizeof(path), "/proc/self/task/%d/status", getpid());
	CHECK(slurp(path) > 0);
	CHECK(slurp("/proc/self/mounts") > 0);
	CHECK(strstr(text, " / ") != NULL);
	CHECK(slurp("/proc/self/mountinfo") > 0);
	CHECK(slurp("/proc/self/limits") > 0);
	CHECK(slurp("/proc/self/auxv") >= 16);
	CHECK_ERR(open("/proc/999999/status", O_RDONLY), ENOENT);
	CHECK_ERR(open("/proc/self/nix", O_RDONLY), ENOENT);
	CHECK(open("/proc/self/nix", O_RDWR | O_CREAT, 0600) == -1);
	return check_done();
}
