/* SPDX-License-Identifier: Apache-2.0 */
/* truncate, ftruncate, fallocate: sizes change, new parts are zero, punched holes read as zeros. */
#include "check.h"
#include <sys/statfs.h>
#include <sys/statvfs.h>

int main(void)
{
	struct stat st;
	char buf[16];

	scratch_enter();
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	NEED(fd >= 0);
	CHECK_EQ(write(fd, "0123456789", 10), 10);
	CHECK_OK(ftruncate(fd, 4));
	CHECK_OK(ftruncate(fd, 8));
	CHECK_EQ(pread(fd, buf, 16, 0), 8);
	CHECK(memcmp(buf, "0123\0\0\0\0", 8) == 0);
	CHECK_OK(truncate("f", 5000));
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_size, 5000);
	CHECK_EQ(pread(fd, buf, 16, 4990), 10);
	CHECK_ERR(ftruncate(fd, -1), EINVAL);
	CHECK_ERR(truncate("nix", 1), ENOENT);
	CHECK_OK(mkdir("d", 0755));
	CHECK_ERR(truncate("d", 1), EISDIR);
	int ro = open("f", O_RDONLY);
	CHECK_ERR(ftruncate(ro, 1), EINVAL);

	CHECK_OK(ftruncate(fd, 0));
	int r = fallocate(fd, 0, 0, 100000);
	if (r == -1 && errno == EOPNOTSUPP)
		return check_done(); /* not every file system has it */
	CHECK_EQ(r, 0);
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_size, 100000);
	CHECK_OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 100000, 100000));
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_size, 100000);
	CHECK_EQ(pwrite(fd, "aaaaaaaa", 8, 8190), 8);
	CHECK_EQ(pwrite(fd, "bbbbbbbb", 8, 12290), 8);
	r = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 4096 + 4);
	CHECK(r == 0 || errno == EOPNOTSUPP);
	if (r == 0) {
		CHECK_EQ(pread(fd, buf, 8, 8190), 8);
		CHECK(memcmp(buf, "aa\0\0\0\0\0\0", 8) == 0);
		CHECK_EQ(pread(fd, buf, 8, 12290), 8);
		CHECK(memcmp(buf, "\0\0bbbbbb", 8) == 0);
	}
	CHECK_ERR(fallocate(fd, 0, -1, 10), EINVAL);
	CHECK_ERR(fallocate(fd, 0, 0, 0), EINVAL);
	CHECK_ERR(fallocate(ro, 0, 0, 10), EBADF);
	CHECK_EQ(posix_fallocate(fd, 0, 200000), 0);
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_size, 200000);

	struct statfs fs;
	struct statvfs vfs;
	CHECK_OK(statfs(".", &fs));
	CHECK(fs.f_bsize >= 512 && fs.f_blocks > 0 && fs.f_namelen >= 255);
	CHECK_OK(fstatfs(fd, &fs));
	CHECK_OK(statvfs("/", &vfs));
	CHECK_ERR(statfs("nix", &fs), ENOENT);
	return check_done();
}
