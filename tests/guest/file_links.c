/* SPDX-License-Identifier: Apache-2.0 */
/* Hard links, symbolic links, files without a name: counts, targets, lifetimes. */
#include "check.h"

int main(void)
{
	struct stat a, b;
	char buf[64];

	scratch_enter();
	file_make("f", "data");
	CHECK_OK(link("f", "g"));
	CHECK_OK(stat("f", &a));
	CHECK_OK(stat("g", &b));
	CHECK(a.st_ino == b.st_ino && a.st_dev == b.st_dev && a.st_nlink == 2 && b.st_nlink == 2);
	int fd = open("g", O_WRONLY | O_APPEND);
	CHECK_EQ(write(fd, "+", 1), 1);
	CHECK(file_is("f", "data+"));
	CHECK_OK(unlink("f"));
	CHECK_OK(stat("g", &b));
	CHECK_EQ(b.st_nlink, 1);
	CHECK_ERR(link("f", "h"), ENOENT);
	CHECK_ERR(link("g", "g"), EEXIST);
	CHECK_OK(mkdir("d", 0755));
	CHECK_ERR(link("d", "d2"), EPERM);
	CHECK_ERR(unlink("d"), EISDIR);
	CHECK_ERR(unlink("nix"), ENOENT);
	CHECK_ERR(unlink("g/x"), ENOTDIR);

	/* Removed while open: alive without a name. */
	int r = open("g", O_RDWR);
	CHECK_OK(unlink("g"));
	CHECK_OK(fstat(r, &b));
	CHECK_EQ(b.st_nlink, 0);
	CHECK_EQ(pwrite(r, "DATA", 4, 0), 4);
	CHECK_EQ(pread(r, buf, 8, 0), 5);
	CHECK_EQ(pread(fd, buf, 1, 0), -1);
	file_make("g", "new"); /* another file of that name */
	CHECK_EQ(pread(r, buf, 8, 0), 5);
	snprintf(buf, sizeof(buf), "/proc/self/fd/%d", r);
	char target[128];
	ssize_t n = readlink(buf, target, sizeof(target) - 1);
	NEED(n > 0);
	target[n] = 0;
	CHECK(strstr(target, "/g (deleted)") != NULL);
	int again = open(buf, O_RDONLY); /* the nameless file, once more */
	CHECK(again >= 0);
	CHECK_EQ(read(again, target, 4), 4);
	CHECK(memcmp(target, "DATA", 4) == 0);

	/* Symbolic links. */
	CHECK_OK(symlink("g", "l"));
	CHECK_EQ(readlink("l", buf, sizeof(buf)), 1);
	CHECK_OK(lstat("l", &a));
	CHECK(S_ISLNK(a.st_mode) && a.st_size == 1 && (a.st_mode & 0777) == 0777);
	CHECK_OK(stat("l", &a));
	CHECK(S_ISREG(a.st_mode));
	CHECK_OK(symlink("a-long-target-that-does-not-exist", "m"));
	CHECK_EQ(readlink("m", buf, 5), 5);
	CHECK(memcmp(buf, "a-lon", 5) == 0);
	CHECK_ERR(readlink("g", buf, 5), EINVAL);
	CHECK_ERR(readlink("nix", buf, 5), ENOENT);
	CHECK_ERR(readlink("l", buf, 0), EINVAL);
	CHECK_ERR(symlink("x", "l"), EEXIST);
	CHECK_ERR(symlink("", "empty"), ENOENT);
	CHECK_OK(symlink("/tmp", "abs"));
	CHECK_OK(stat("abs/", &a));
	CHECK(S_ISDIR(a.st_mode));
	CHECK_OK(linkat(AT_FDCWD, "l", AT_FDCWD, "l-copy", 0)); /* the link itself */
	CHECK_OK(lstat("l-copy", &a));
	CHECK(S_ISLNK(a.st_mode));
	CHECK_OK(linkat(AT_FDCWD, "l", AT_FDCWD, "g-copy", AT_SYMLINK_FOLLOW));
	CHECK_OK(lstat("g-copy", &a));
	CHECK(S_ISREG(a.st_mode));
	CHECK_OK(unlink("l"));
	CHECK(file_is("g", "new"));
	/* A chain of forty is followed, of forty-one not. */
	file_make("s0", "end");
	for (int i = 1; i <= 41; i++) {
		char from[16], to[16];
		snprintf(from, sizeof(from), "s%d", i);
		snprintf(to, sizeof(to), "s%d", i - 1);
		CHECK_OK(symlink(to, from));
	}
	CHECK_OK(close(open("s40", O_RDONLY)));
	CHECK_ERR(open("s41", O_RDONLY), ELOOP);

	/* O_TMPFILE: born without a name, gets one when it is complete. */
	int t = open(".", O_TMPFILE | O_RDWR, 0644);
	if (t < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		return check_done();
	NEED(t >= 0);
	CHECK_EQ(write(t, "complete", 8), 8);
	CHECK_OK(fstat(t, &a));
	CHECK_EQ(a.st_nlink, 0);
	snprintf(buf, sizeof(buf), "/proc/self/fd/%d", t);
	CHECK_OK(linkat(AT_FDCWD, buf, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	CHECK(file_is("named", "complete"));
	CHECK_ERR(open(".", O_TMPFILE | O_RDONLY, 0644), EINVAL);
	return check_done();
}
