/* SPDX-License-Identifier: Apache-2.0 */
/* rename: atomically over what is there, only what may be, open files keep theirs. */
#include "check.h"
#include <sys/syscall.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#endif

static int rename_flags(const char *a, const char *b, unsigned flags)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, flags);
}

int main(void)
{
	struct stat st, st2;
	char buf[16];

	scratch_enter();
	file_make("a", "content a");
	file_make("b", "content b");
	int open_b = open("b", O_RDONLY);
	CHECK_OK(stat("a", &st));
	CHECK_OK(rename("a", "b"));
	CHECK_ERR(stat("a", &st2), ENOENT);
	CHECK_OK(stat("b", &st2));
	CHECK_EQ(st.st_ino, st2.st_ino);
	CHECK(file_is("b", "content a"));
	CHECK_EQ(read(open_b, buf, 16), 9); /* the old one is still there for who has it open */
	CHECK(memcmp(buf, "content b", 9) == 0);
	CHECK_OK(fstat(open_b, &st2));
	CHECK_EQ(st2.st_nlink, 0);
	CHECK_OK(rename("b", "b"));
	CHECK_ERR(rename("nix", "b"), ENOENT);
	CHECK_ERR(rename("b", "nix/x"), ENOENT);
	CHECK_ERR(rename("b", "b/x"), ENOTDIR);

	/* Links to one file: nothing happens, both stay. */
	CHECK_OK(link("b", "b2"));
	CHECK_OK(rename("b", "b2"));
	CHECK_OK(stat("b", &st));
	CHECK_OK(unlink("b2"));

	/* Directories. */
	CHECK_OK(mkdir("d", 0755));
	CHECK_OK(mkdir("d/sub", 0755));
	CHECK_OK(mkdir("empty", 0755));
	file_make("d/f", "x");
	CHECK_ERR(rename("d", "b"), ENOTDIR);
	CHECK_ERR(rename("b", "d"), EISDIR);
	CHECK_ERR(rename("empty", "d"), ENOTEMPTY);
	CHECK_ERR(rename("d", "d/sub/x"), EINVAL);
	CHECK_ERR(rename("d", "d/sub"), EINVAL);
	CHECK_OK(rename("d", "empty"));
	CHECK(file_is("empty/f", "x"));
	CHECK_OK(rename("empty/sub", "sub"));
	CHECK_OK(rename("empty/f", "sub/f"));
	CHECK(file_is("sub/f", "x"));
	CHECK_OK(rmdir("empty"));
	/* `..` follows. */
	CHECK_OK(mkdir("other", 0755));
	CHECK_OK(rename("sub", "other/sub"));
	CHECK_OK(stat("other", &st));
	CHECK_OK(stat("other/sub/..", &st2));
	CHECK_EQ(st.st_ino, st2.st_ino);
	/* A symlink is renamed itself. */
	CHECK_OK(symlink("b", "l"));
	CHECK_OK(rename("l", "l2"));
	CHECK_OK(lstat("l2", &st));
	CHECK(S_ISLNK(st.st_mode));

	file_make("c", "c");
	CHECK_ERR(rename_flags("b", "c", RENAME_NOREPLACE), EEXIST);
	CHECK_OK(rename_flags("c", "c2", RENAME_NOREPLACE));
	int r = rename_flags("b", "c2", RENAME_EXCHANGE);
	if (r == 0)
		CHECK(file_is("c2", "content a") && file_is("b", "c"));
	else
		CHECK_EQ(errno, EINVAL);
	CHECK_ERR(rename_flags("b", "c2", 0x80), EINVAL);
	CHECK_ERR(rename_flags("b", "c2", RENAME_NOREPLACE | RENAME_EXCHANGE), EINVAL);

	/* The pattern of safe writing, many times. */
	for (int i = 0; i < 100; i++) {
		char text[16];
		snprintf(text, sizeof(text), "version %d", i);
		file_make("safe.tmp", text);
		CHECK_OK(rename("safe.tmp", "safe"));
		CHECK(file_is("safe", text));
	}
	return check_done();
}
