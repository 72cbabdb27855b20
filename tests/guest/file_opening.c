/* SPDX-License-Identifier: Apache-2.0 */
/* open in all its ways: creation, exclusion, truncation, appending, directories, links, modes, and each refusal. */
#include "check.h"
#include <sys/syscall.h>

int main(void)
{
	struct stat st;
	char buf[64], longname[300];
	int fd;

	scratch_enter();
	umask(022);
	CHECK_ERR(open("f", O_RDONLY), ENOENT);
	fd = open("f", O_CREAT | O_EXCL | O_WRONLY, 0666);
	NEED(fd >= 0);
	CHECK_EQ(write(fd, "hello", 5), 5);
	CHECK_ERR(read(fd, buf, 1), EBADF);
	close(fd);
	CHECK_OK(stat("f", &st));
	CHECK_EQ(st.st_mode, S_IFREG | 0644);
	CHECK_ERR(open("f", O_CREAT | O_EXCL | O_RDWR, 0666), EEXIST);
	fd = open("f", O_CREAT | O_RDONLY, 0);
	CHECK(fd >= 0);
	CHECK_ERR(write(fd, "x", 1), EBADF);
	CHECK_EQ(read(fd, buf, 64), 5);
	close(fd);

	/* Appending goes to the end wherever the position is. */
	fd = open("f", O_RDWR | O_APPEND);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(write(fd, "XY", 2), 2);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 7);
	CHECK_EQ(pwrite(fd, "Z", 1, 0), 1); /* on Linux pwrite appends, too */
	close(fd);
	CHECK(file_is("f", "helloXYZ"));
	fd = open("f", O_WRONLY | O_TRUNC);
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_size, 0);
	close(fd);

	/* Directories and things that are none. */
	CHECK_OK(mkdir("d", 0755));
	CHECK_ERR(open("d", O_WRONLY), EISDIR);
	CHECK_ERR(open("d", O_RDWR), EISDIR);
	CHECK_ERR(open("d", O_CREAT | O_RDONLY, 0600), EISDIR);
	CHECK_ERR(open("f", O_DIRECTORY), ENOTDIR);
	CHECK_ERR(open("f/x", O_RDONLY), ENOTDIR);
	CHECK_ERR(open("f/", O_RDONLY), ENOTDIR);
	CHECK_ERR(open("nix/x", O_CREAT | O_WRONLY, 0600), ENOENT);
	CHECK_ERR(open("new/", O_CREAT | O_WRONLY, 0600), EISDIR);
	CHECK_ERR(open("", O_RDONLY), ENOENT);
	fd = open("d/", O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0);
	CHECK_ERR(read(fd, buf, 1), EISDIR);
	close(fd);
	CHECK_OK(close(open("d/.././d/../f", O_RDONLY)));
	CHECK_OK(close(open("././//f", O_RDONLY)));
	CHECK_OK(stat("/../../../tmp", &st)); /* above the root is the root */

	/* Links. */
	CHECK_OK(symlink("f", "l"));
	CHECK_OK(symlink("nowhere", "dangling"));
	CHECK_OK(symlink("loop", "loop"));
	CHECK_OK(symlink("d", "ld"));
	CHECK_OK(close(open("l", O_RDONLY)));
	CHECK_ERR(open("l", O_RDONLY | O_NOFOLLOW), ELOOP);
	CHECK_ERR(open("dangling", O_RDONLY), ENOENT);
	CHECK_ERR(open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0600), EEXIST);
	CHECK_ERR(open("loop", O_RDONLY), ELOOP);
	CHECK_ERR(open("loop/x", O_RDONLY), ELOOP);
	CHECK_ERR(open("ld", O_DIRECTORY | O_NOFOLLOW), ENOTDIR);
	fd = open("dangling", O_CREAT | O_WRONLY, 0600); /* makes the target */
	CHECK(fd >= 0);
	close(fd);
	CHECK_OK(stat("nowhere", &st));

	/* Names too long. */
	memset(longname, 'n', sizeof(longname));
	longname[256] = 0;
	CHECK_ERR(open(longname, O_CREAT | O_WRONLY, 0600), ENAMETOOLONG);
	longname[255] = 0;
	fd = open(longname, O_CREAT | O_WRONLY, 0600);
	CHECK(fd >= 0);
	close(fd);
	char *path = malloc(5000);
	memset(path, '/', 5000);
	strcpy(path + 4500, "tmp");
	CHECK_ERR(open(path, O_RDONLY), ENAMETOOLONG);
	free(path);

	/* Relative to a directory. */
	int dir = open("d", O_RDONLY | O_DIRECTORY), file = open("f", O_RDONLY);
	fd = openat(dir, "in", O_CREAT | O_RDWR, 0600);
	CHECK(fd >= 0);
	close(fd);
	CHECK_OK(stat("d/in", &st));
	CHECK_OK(close(openat(dir, "../f", O_RDONLY)));
	CHECK_ERR(openat(file, "x", O_RDONLY), ENOTDIR);
	CHECK_ERR(openat(9999, "x", O_RDONLY), EBADF);
	CHECK_OK(close(openat(9999, scratch_path, O_RDONLY))); /* absolute: the descriptor does not count */
	CHECK_ERR(open((char *)8, O_RDONLY), EFAULT);

	/* O_PATH names without opening. */
	fd = open("f", O_PATH);
	CHECK(fd >= 0);
	CHECK_ERR(read(fd, buf, 1), EBADF);
	CHECK_ERR(ftruncate(fd, 0), EBADF);
	CHECK_OK(fstat(fd, &st));
	CHECK_OK(fstatat(fd, "", &st, AT_EMPTY_PATH));
	close(fd);
	fd = open("l", O_PATH | O_NOFOLLOW);
	CHECK_OK(fstat(fd, &st));
	CHECK(S_ISLNK(st.st_mode));
	CHECK_EQ(readlinkat(fd, "", buf, sizeof(buf)), 1);
	close(fd);

	/* The mode is for later opens; this one may write all the same. */
	umask(0);
	fd = open("ro", O_CREAT | O_RDWR, 0444);
	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_mode & 07777, 0444);
	close(fd);
	return check_done();
}
