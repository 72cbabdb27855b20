/* SPDX-License-Identifier: Apache-2.0 */
/* What stat and statx tell, and what chmod, chown, utimensat, access and umask do to it. */
#include "check.h"
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/time.h>

int main(void)
{
	struct stat st, st2;
	struct statx sx;

	scratch_enter();
	time_t before = time(NULL);
	file_make("f", "12345");
	CHECK_OK(stat("f", &st));
	CHECK_EQ(st.st_size, 5);
	CHECK_EQ(st.st_nlink, 1);
	CHECK_EQ(st.st_uid, geteuid());
	CHECK_EQ(st.st_gid, getegid());
	CHECK(st.st_blksize >= 512);
	CHECK(st.st_ino != 0);
	CHECK(st.st_mtime >= before - 1 && st.st_mtime <= time(NULL) + 1);
	CHECK_OK(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &sx));
	CHECK((sx.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
	CHECK(sx.stx_size == 5 && sx.stx_ino == st.st_ino && sx.stx_mode == st.st_mode && sx.stx_nlink == 1);
	CHECK_EQ(makedev(sx.stx_dev_major, sx.stx_dev_minor), st.st_dev);
	CHECK_EQ(sx.stx_mtime.tv_sec, st.st_mtim.tv_sec);
	int fd = open("f", O_RDWR);
	CHECK_OK(statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &sx));
	CHECK_EQ(sx.stx_size, 5);
	CHECK_ERR(statx(AT_FDCWD, "nix", 0, STATX_SIZE, &sx), ENOENT);
	CHECK_ERR(statx(AT_FDCWD, "f", 0x10000000, STATX_SIZE, &sx), EINVAL);
	CHECK_ERR(fstatat(AT_FDCWD, "", &st, 0), ENOENT);
	CHECK_OK(fstatat(AT_FDCWD, "", &st2, AT_EMPTY_PATH));
	CHECK(S_ISDIR(st2.st_mode));

	/* Times. */
	struct timespec t[2] = {{1000000000, 123456789}, {1111111111, 987654321}};
	CHECK_OK(utimensat(AT_FDCWD, "f", t, 0));
	CHECK_OK(stat("f", &st));
	CHECK(st.st_atim.tv_sec == 1000000000 && st.st_atim.tv_nsec == 123456789);
	CHECK(st.st_mtim.tv_sec == 1111111111 && st.st_mtim.tv_nsec == 987654321);
	CHECK(st.st_ctime >= before - 1);
	t[0].tv_nsec = UTIME_OMIT;
	t[1].tv_nsec = UTIME_NOW;
	CHECK_OK(futimens(fd, t));
	CHECK_OK(stat("f", &st));
	CHECK(st.st_atim.tv_sec == 1000000000 && st.st_mtime >= before - 1);
	CHECK_OK(utimensat(AT_FDCWD, "f", NULL, 0));
	t[0].tv_nsec = 1000000000;
	CHECK_ERR(utimensat(AT_FDCWD, "f", t, 0), EINVAL);
	CHECK_ERR(utimensat(AT_FDCWD, "nix", NULL, 0), ENOENT);
	struct timeval tv[2] = {{5, 6}, {7, 8}};
	CHECK_OK(utimes("f", tv));
	CHECK_OK(stat("f", &st));
	CHECK(st.st_mtim.tv_sec == 7 && st.st_mtim.tv_nsec == 8000);
	/* Writing moves the time on, reading the data does not change it. */
	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_OK(stat("f", &st));
	CHECK(st.st_mtime >= before - 1);
	CHECK_OK(symlink("f", "l"));
	CHECK_OK(utimensat(AT_FDCWD, "l", (struct timespec[2]){{1, 0}, {2, 0}}, AT_SYMLINK_NOFOLLOW));
	CHECK_OK(lstat("l", &st));
	CHECK_EQ(st.st_mtime, 2);

	/* Rights. */
	CHECK_OK(chmod("f", 04751));
	CHECK_OK(stat("f", &st));
	CHECK_EQ(st.st_mode, S_IFREG | 04751);
	CHECK_OK(fchmod(fd, 0600));
	CHECK_OK(fchmodat(AT_FDCWD, "f", 0640, 0));
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_mode & 07777, 0640);
	CHECK_ERR(chmod("nix", 0600), ENOENT);
	CHECK_OK(chown("f", (uid_t)-1, (gid_t)-1));
	CHECK_OK(fchown(fd, getuid(), getgid()));
	CHECK_OK(lchown("l", getuid(), getgid()));
	CHECK_OK(fchownat(AT_FDCWD, "f", (uid_t)-1, getgid(), 0));
	mode_t old = umask(077);
	CHECK_EQ(umask(old), 077);
	umask(027);
	CHECK_OK(mkdir("d", 0777));
	CHECK_OK(stat("d", &st));
	CHECK_EQ(st.st_mode & 0777, 0750);

	CHECK_OK(access("f", F_OK));
	CHECK_OK(access("f", R_OK | W_OK));
	CHECK_ERR(access("nix", F_OK), ENOENT);
	CHECK_ERR(access("f/x", F_OK), ENOTDIR);
	CHECK_ERR(access("f", 99), EINVAL);
	CHECK_OK(chmod("f", 0600));
	CHECK_ERR(access("f", X_OK), EACCES); /* not even for root */
	CHECK_OK(faccessat(AT_FDCWD, "f", R_OK, 0));
	CHECK_OK(syscall(439, AT_FDCWD, "f", R_OK, AT_EACCESS)); /* faccessat2 */
	CHECK_ERR(syscall(439, AT_FDCWD, "f", R_OK, 0x80000), EINVAL);

	/* mkfifo makes a name of that kind. */
	if (mkfifo("pipe", 0600) == 0) {
		CHECK_OK(stat("pipe", &st));
		CHECK(S_ISFIFO(st.st_mode));
		CHECK_ERR(open("pipe", O_WRONLY | O_NONBLOCK), ENXIO);
	}
	return check_done();
}
