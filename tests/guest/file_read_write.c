/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing: positions, holes, vectors, sizes, bad buffers. */
#include "check.h"
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static void positions(int fd)
{
	char buf[32];

	CHECK_EQ(write(fd, "0123456789", 10), 10);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10);
	CHECK_EQ(pread(fd, buf, 4, 3), 4);
	CHECK(memcmp(buf, "3456", 4) == 0);
	CHECK_EQ(pwrite(fd, "xx", 2, 1), 2);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10);
	CHECK_EQ(read(fd, buf, 10), 0);
	CHECK_EQ(lseek(fd, -3, SEEK_END), 7);
	CHECK_EQ(read(fd, buf, 10), 3);
	CHECK_EQ(lseek(fd, 2, SEEK_SET), 2);
	CHECK_EQ(lseek(fd, 2, SEEK_CUR), 4);
	CHECK_EQ(read(fd, buf, 0), 0);
	CHECK_ERR(lseek(fd, -1, SEEK_SET), EINVAL);
	CHECK_ERR(lseek(fd, 0, 99), EINVAL);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 4);
	CHECK_ERR(pread(fd, buf, 1, -1), EINVAL);
	CHECK_EQ(pread(fd, buf, 8, 1000), 0);
	CHECK_ERR(lseek(9999, 0, SEEK_SET), EBADF);
}

static void holes(int fd)
{
	char buf[64];
	struct stat st;

	/* Past the end: a hole that reads as zeros. */
	CHECK_EQ(lseek(fd, 100000, SEEK_SET), 100000);
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_size, 10);
	CHECK_EQ(write(fd, "end", 3), 3);
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_size, 100003);
	memset(buf, 1, sizeof(buf));
	CHECK_EQ(pread(fd, buf, 64, 50000), 64);
	int sum = 0;
	for (int i = 0; i < 64; i++)
		sum += buf[i];
	CHECK_EQ(sum, 0);
	CHECK_EQ(pread(fd, buf, 64, 99998), 5);
	CHECK(memcmp(buf, "\0\0end", 5) == 0);
	CHECK_EQ(lseek(fd, 0, SEEK_DATA), 0);
	off_t hole = lseek(fd, 0, SEEK_HOLE);
	CHECK(hole >= 10 && hole <= 100003);
	CHECK_ERR(lseek(fd, 200000, SEEK_DATA), ENXIO);
	CHECK_ERR(lseek(fd, 200000, SEEK_HOLE), ENXIO);
}

static void vectors(int fd)
{
	char a[4] = "", b[8] = "";
	struct iovec w[3] = {{"one", 3}, {"", 0}, {"twothree", 8}}, r[2] = {{a, 4}, {b, 8}};

	CHECK_OK(ftruncate(fd, 0));
	CHECK_OK(lseek(fd, 0, SEEK_SET));
	CHECK_EQ(writev(fd, w, 3), 11);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(readv(fd, r, 2), 11);
	CHECK(memcmp(a, "onet", 4) == 0 && memcmp(b, "wothree", 7) == 0);
	CHECK_EQ(preadv(fd, r, 2, 3), 8);
	CHECK(memcmp(a, "twot", 4) == 0);
	CHECK_EQ(pwritev(fd, w, 1, 20), 3);
	CHECK_EQ(syscall(SYS_preadv2, fd, r, 1, 20, 0, 0), 3);
	CHECK_EQ(writev(fd, w, 0), 0);
	CHECK_ERR(writev(fd, w, -1), EINVAL);
	CHECK_ERR(writev(fd, w, 2000), EINVAL);
	struct iovec huge[2] = {{a, 4}, {a, SIZE_MAX}};
	CHECK_ERR(readv(fd, huge, 2), EINVAL);
	CHECK_ERR(writev(fd, (void *)8, 1), EFAULT);
}

static void bad_buffers(int fd)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	NEED(p != MAP_FAILED);
	munmap(p + 4096, 4096);
	CHECK_OK(ftruncate(fd, 0));
	CHECK_EQ(pwrite(fd, "0123456789abcdef", 16, 0), 16);
	CHECK_ERR(pread(fd, (void *)8, 4, 0), EFAULT);
	CHECK_ERR(pread(fd, (void *)0xffff888000000000, 4, 0), EFAULT);
	CHECK_ERR(pwrite(fd, (void *)8, 4, 0), EFAULT);
	CHECK_ERR(syscall(SYS_pread64, fd, (void *)0x7ffffffff000, 4, 0), EFAULT);
	/* Partly bad: what went before the bad page counts, or nothing. */
	ssize_t n = pread(fd, p + 4090, 16, 0);
	CHECK(n == 6 || (n == -1 && errno == EFAULT));
	n = pwrite(fd, p + 4090, 16, 100);
	CHECK(n == 6 || (n == -1 && errno == EFAULT));
	/* Memory that is only reserved so far is made by reading into it. */
	char *fresh = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK_EQ(pread(fd, fresh + 100, 16, 0), 16);
	CHECK(fresh[99] == 0 && memcmp(fresh + 100, "0123456789abcdef", 16) == 0);
	/* Read-only memory is not written by read. */
	CHECK_OK(mprotect(fresh, 4096, PROT_READ));
	CHECK_ERR(pread(fd, fresh, 4, 0), EFAULT);
	CHECK_EQ(fresh[0], 0);
}

static void large(int fd)
{
	enum { SIZE = 3 << 20 };
	uint32_t *out = malloc(SIZE), *in = malloc(SIZE);

	NEED(out != NULL && in != NULL);
	for (uint32_t i = 0; i < SIZE / 4; i++)
		out[i] = i * 2654435761u;
	CHECK_OK(ftruncate(fd, 0));
	CHECK_EQ(pwrite(fd, out, SIZE, 0), SIZE);
	memset(in, 0, SIZE);
	CHECK_EQ(pread(fd, in, SIZE, 0), SIZE);
	CHECK(memcmp(in, out, SIZE) == 0);
	/* In odd pieces. */
	CHECK_OK(lseek(fd, 0, SEEK_SET));
	size_t done = 0;
	for (size_t step = 1; done < SIZE; step = step * 3 % 70001 + 1) {
		ssize_t n = read(fd, (char *)in + done, step < SIZE - done ? step : SIZE - done);
		NEED(n > 0);
		done += (size_t)n;
	}
	CHECK(memcmp(in, out, SIZE) == 0);
	CHECK_OK(fsync(fd));
	CHECK_OK(fdatasync(fd));
	CHECK_OK(syncfs(fd));
	CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL), 0);
	CHECK_OK(readahead(fd, 0, 4096));
	free(in);
	free(out);
}

int main(void)
{
	scratch_enter();
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	NEED(fd >= 0);
	positions(fd);
	holes(fd);
	vectors(fd);
	bad_buffers(fd);
	large(fd);
	return check_done();
}
