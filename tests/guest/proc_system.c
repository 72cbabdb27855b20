/* SPDX-License-Identifier: Apache-2.0 */
/* The files of /proc and /sys that runtimes read to learn of the machine, and the calls that tell the same. */
#include "check.h"
#include <sys/sysinfo.h>
#include <sys/utsname.h>

static char text[1 << 16];

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

static long field(const char *name)
{
	const char *p = strstr(text, name);

	return p != NULL ? atol(p + strlen(name)) : -1;
}

int main(void)
{
	struct utsname u;
	struct sysinfo si;

	CHECK_OK(uname(&u));
	CHECK(strcmp(u.sysname, "Linux") == 0 && strcmp(u.machine, "x86_64") == 0);
	CHECK(atoi(u.release) >= 4); /* glibc and Go refuse old ones */
	slurp("/proc/sys/kernel/osrelease");
	CHECK(strncmp(text, u.release, strlen(u.release)) == 0 && text[strlen(text) - 1] == '\n');
	slurp("/proc/version");
	CHECK(strncmp(text, "Linux version ", 14) == 0);

	CHECK_OK(sysinfo(&si));
	CHECK(si.totalram > 0 && si.freeram <= si.totalram && si.mem_unit > 0 && si.uptime >= 0 && si.procs >= 1);
	slurp("/proc/meminfo");
	long total = field("MemTotal:"), available = field("MemAvailable:"), free_kib = field("MemFree:");
	CHECK(total > 1000 && available > 0 && available <= total && free_kib > 0 && free_kib <= total);
	CHECK_EQ(total, (long)(si.totalram * si.mem_unit / 1024));
	CHECK(sysconf(_SC_PHYS_PAGES) > 0 && sysconf(_SC_AVPHYS_PAGES) > 0);

	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	CHECK(cpus >= 1);
	slurp("/proc/cpuinfo");
	long n = 0;
	for (const char *p = text; (p = strstr(p, "processor\t:")) != NULL; p++)
		n++;
	CHECK_EQ(n, cpus);
	CHECK(strstr(text, "flags") != NULL && strstr(text, "sse2") != NULL && strstr(text, "model name") != NULL);
	slurp("/sys/devices/system/cpu/online");
	CHECK(text[0] == '0');
	slurp("/proc/stat");
	CHECK(strncmp(text, "cpu ", 4) == 0 && strstr(text, "\ncpu0 ") != NULL && strstr(text, "\nbtime ") != NULL);

	slurp("/proc/uptime");
	double up = atof(text);
	CHECK(up >= 0);
	sleep_ms(30);
	slurp("/proc/uptime");
	CHECK(atof(text) > up);
	slurp("/proc/loadavg");
	double load;
	CHECK_EQ(sscanf(text, "%lf", &load), 1);

	static const char *const files[] = {"/proc/mounts",
					    "/proc/filesystems",
					    "/proc/sys/kernel/pid_max",
					    "/proc/sys/vm/overcommit_memory",
					    "/proc/sys/kernel/random/boot_id",
					    "/proc/sys/vm/max_map_count",
					    "/proc/sys/kernel/hostname",
					    "/proc/sys/fs/file-max"};
	for (size_t i = 0; i < countof(files); i++)
		CHECK(slurp(files[i]) > 0);
	slurp("/proc/sys/kernel/random/uuid");
	char first[64];
	snprintf(first, sizeof(first), "%.40s", text);
	CHECK(strlen(first) == 37);
	slurp("/proc/sys/kernel/random/uuid");
	CHECK(strncmp(first, text, 36) != 0);

	bool self = false, number = false;
	DIR *d = opendir("/proc");
	NEED(d != NULL);
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		self |= strcmp(e->d_name, "self") == 0;
		number |= atoi(e->d_name) == getpid();
	}
	closedir(d);
	CHECK(self && number);
	char host[65];
	CHECK_OK(gethostname(host, sizeof(host)));
	CHECK(strcmp(host, u.nodename) == 0);
	return check_done();
}
