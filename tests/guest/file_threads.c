/* SPDX-License-Identifier: Apache-2.0 */
/* Threads work in one directory at the same time: names never get lost or doubled, data of different writers
 * never mixes, and what is looked up while it is renamed is found under one of its names. */
#include "check.h"

#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define THREADS 4
#define ROUNDS 150

static void *own_names(void *arg)
{
	long number = (long)arg;
	char a[64], b[64], text[64], back[64];

	for (int i = 0; i < ROUNDS; i++) {
		snprintf(a, sizeof(a), "t%ld.%d", number, i % 7);
		snprintf(b, sizeof(b), "moved%ld.%d", number, i % 5);
		int fd = open(a, O_CREAT | O_EXCL | O_RDWR, 0600);
		CHECK(fd >= 0);
		snprintf(text, sizeof(text), "thread %ld round %d", number, i);
		CHECK_EQ(write(fd, text, sizeof(text)), sizeof(text));
		CHECK_EQ(rename(a, b), 0);
		CHECK_ERR(open(a, O_RDONLY), ENOENT);
		CHECK_EQ(link(b, a), 0);
		CHECK_EQ(pread(fd, back, sizeof(back), 0), sizeof(back));
		CHECK(memcmp(text, back, sizeof(text)) == 0);
		struct stat st;
		CHECK_EQ(stat(a, &st), 0);
		CHECK_EQ(st.st_nlink, 2);
		CHECK_EQ(unlink(a), 0);
		CHECK_EQ(unlink(b), 0);
		CHECK_EQ(fstat(fd, &st), 0);
		CHECK_EQ(st.st_nlink, 0);
		close(fd);
	}
	return NULL;
}

/* All append to one file; each record must be whole. */
static void *appending(void *arg)
{
	long number = (long)arg;
	char record[48];
	int fd = open("log", O_WRONLY | O_APPEND);

	memset(record, 'a' + (int)number, sizeof(record));
	record[sizeof(record) - 1] = '\n';
	for (int i = 0; i < ROUNDS; i++)
		CHECK_EQ(write(fd, record, sizeof(record)), sizeof(record));
	close(fd);
	return NULL;
}

/* One winner each round. */
static int wins;
static void *racing(void *arg)
{
	char name[32];

	for (int i = 0; i < ROUNDS; i++) {
		snprintf(name, sizeof(name), "race%d", i);
		int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600);
		if (fd >= 0) {
			__atomic_add_fetch(&wins, 1, __ATOMIC_RELAXED);
			close(fd);
		} else {
			CHECK_EQ(errno, EEXIST);
		}
		snprintf(name, sizeof(name), "dir%d", i);
		if (mkdir(name, 0700) == 0)
			__atomic_add_fetch(&wins, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static volatile int stop;
static void *swapping(void *arg)
{
	while (!stop)
		if (rename("one", "other") != 0)
			CHECK_OK(rename("other", "one"));
	return NULL;
}

static void *replacing(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		char name[32], text[16];
		snprintf(name, sizeof(name), "new%ld", (long)arg);
		int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0600);
		memset(text, '0' + (int)(long)arg, sizeof(text));
		CHECK_EQ(write(fd, text, sizeof(text)), sizeof(text));
		close(fd);
		CHECK_OK(rename(name, "current"));
		fd = open("current", O_RDONLY); /* there at any time, and whole */
		CHECK(fd >= 0);
		char back[32];
		CHECK_EQ(read(fd, back, sizeof(back)), sizeof(text));
		CHECK(back[0] == back[15]);
		close(fd);
	}
	return NULL;
}

/* The lock makes the counter's reading and writing one step. */
static void *counting(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		int fd = open("counter", O_RDWR);
		long value = 0;
		CHECK_EQ(flock(fd, LOCK_EX), 0);
		CHECK(pread(fd, &value, sizeof(value), 0) >= 0);
		value++;
		CHECK_EQ(pwrite(fd, &value, sizeof(value), 0), sizeof(value));
		close(fd);
	}
	return NULL;
}

static void run(void *(*body)(void *))
{
	pthread_t threads[THREADS];

	for (long i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, body, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void read_system_files(void)
{
	/* Everybody meets the same unknown names of the host at the same time. */
	DIR *dir = opendir("/usr/share/zoneinfo/Europe");
	struct dirent *e;
	char path[512], text[64];
	int count = 0;

	while (dir != NULL && (e = readdir(dir)) != NULL && count < 40) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/usr/share/zoneinfo/Europe/%s", e->d_name);
		int fd = open(path, O_RDONLY);
		CHECK(fd >= 0);
		CHECK(read(fd, text, sizeof(text)) > 4 && memcmp(text, "TZif", 4) == 0);
		close(fd);
		count++;
	}
	if (dir != NULL)
		closedir(dir);
}

static void *reading(void *arg)
{
	read_system_files();
	return NULL;
}

int main(void)
{
	scratch_enter();
	run(reading);
	run(own_names);

	close(open("log", O_CREAT | O_WRONLY, 0600));
	run(appending);
	FILE *log = fopen("log", "r");
	char line[128];
	int lines = 0, counts[THREADS] = {0};
	while (log != NULL && fgets(line, sizeof(line), log) != NULL) {
		CHECK_EQ(strlen(line), 48);
		for (int i = 1; i < 47; i++)
			CHECK(line[i] == line[0]);
		counts[(line[0] - 'a') & 3]++;
		lines++;
	}
	CHECK_EQ(lines, THREADS * ROUNDS);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(counts[i], ROUNDS);
	if (log != NULL)
		fclose(log);

	run(racing);
	CHECK_EQ(wins, 2 * ROUNDS);

	pthread_t swapper;
	close(open("one", O_CREAT | O_WRONLY, 0600));
	CHECK_EQ(pthread_create(&swapper, NULL, swapping, NULL), 0);
	run(replacing);
	stop = 1;
	pthread_join(swapper, NULL);
	CHECK((access("one", F_OK) == 0) != (access("other", F_OK) == 0));

	close(open("counter", O_CREAT | O_WRONLY, 0600));
	run(counting);
	long value = 0;
	int fd = open("counter", O_RDONLY);
	CHECK_EQ(read(fd, &value, sizeof(value)), sizeof(value));
	CHECK_EQ(value, THREADS * ROUNDS);
	close(fd);
	return check_done();
}
