/* SPDX-License-Identifier: Apache-2.0 */
/* Directories: making, removing, listing (also while they change), the working directory, link counts. */
#include "check.h"
#include <limits.h>
#include <sys/syscall.h>

#define COUNT 700

static int list(const char *path, bool *seen)
{
	DIR *d = opendir(path);
	int n = 0;

	NEED(d != NULL);
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		int i;
		n++;
		CHECK(e->d_ino != 0);
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			CHECK(e->d_type == DT_DIR || e->d_type == DT_UNKNOWN);
		else if (seen != NULL && sscanf(e->d_name, "file-%d", &i) == 1 && i >= 0 && i < COUNT) {
			CHECK(!seen[i]);
			CHECK(e->d_type == DT_REG || e->d_type == DT_UNKNOWN);
			seen[i] = true;
		}
	}
	closedir(d);
	return n;
}

static void listing(void)
{
	static bool seen[COUNT];
	char name[32];

	CHECK_OK(mkdir("many", 0755));
	CHECK_EQ(list("many", NULL), 2);
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "many/file-%d", i);
		file_make(name, "");
	}
	CHECK_EQ(list("many", seen), COUNT + 2);
	for (int i = 0; i < COUNT; i++)
		CHECK(seen[i]);
	CHECK_ERR(rmdir("many"), ENOTEMPTY);

	/* telldir, seekdir, rewinddir. */
	DIR *d = opendir("many");
	NEED(d != NULL);
	for (int i = 0; i < 300; i++)
		readdir(d);
	long at = telldir(d);
	struct dirent *e = readdir(d);
	NEED(e != NULL);
	strcpy(name, e->d_name);
	for (int i = 0; i < 50; i++)
		readdir(d);
	seekdir(d, at);
	e = readdir(d);
	CHECK(e != NULL && strcmp(e->d_name, name) == 0);
	rewinddir(d);
	int n = 0;
	/* Removing while listing: each one comes once. */
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.') {
			snprintf(name, sizeof(name), "many/%.20s", e->d_name);
			CHECK_OK(unlink(name));
			n++;
		}
	CHECK_EQ(n, COUNT);
	closedir(d);
	CHECK_EQ(list("many", NULL), 2);
	CHECK_OK(rmdir("many"));

	int fd = open(".", O_RDONLY | O_DIRECTORY);
	char small[8];
	CHECK_ERR(syscall(SYS_getdents64, fd, small, sizeof(small)), EINVAL);
	close(fd);
	file_make("plain", "");
	fd = open("plain", O_RDONLY);
	CHECK_ERR(syscall(SYS_getdents64, fd, small, sizeof(small)), ENOTDIR);
	close(fd);
}

static void working_directory(void)
{
	char cwd[PATH_MAX], want[PATH_MAX];

	CHECK(getcwd(cwd, sizeof(cwd)) != NULL && strcmp(cwd, scratch_path) == 0);
	CHECK_OK(mkdir("w", 0755));
	CHECK_OK(mkdir("w/x", 0755));
	CHECK_OK(chdir("w/x"));
	snprintf(want, sizeof(want), "%s/w/x", scratch_path);
	CHECK(getcwd(cwd, sizeof(cwd)) != NULL && strcmp(cwd, want) == 0);
	CHECK_EQ(syscall(SYS_getcwd, cwd, sizeof(cwd)), strlen(want) + 1);
	CHECK_ERR(syscall(SYS_getcwd, cwd, 3), ERANGE);
	/* It follows a rename. */
	char from[PATH_MAX], to[PATH_MAX];
	snprintf(from, sizeof(from), "%s/w", scratch_path);
	snprintf(to, sizeof(to), "%s/v", scratch_path);
	CHECK_OK(rename(from, to));
	snprintf(want, sizeof(want), "%s/v/x", scratch_path);
	CHECK(getcwd(cwd, sizeof(cwd)) != NULL && strcmp(cwd, want) == 0);
	int fd = open("..", O_RDONLY | O_DIRECTORY);
	CHECK_OK(fchdir(fd));
	CHECK(getcwd(cwd, sizeof(cwd)) != NULL && strcmp(cwd, to) == 0);
	close(fd);
	CHECK_OK(chdir("/"));
	CHECK(getcwd(cwd, sizeof(cwd)) != NULL && strcmp(cwd, "/") == 0);
	CHECK_OK(chdir(".."));
	CHECK(getcwd(cwd, sizeof(cwd)) != NULL && strcmp(cwd, "/") == 0);
	CHECK_OK(chdir(scratch_path));
	CHECK_ERR(chdir("plain"), ENOTDIR);
	CHECK_ERR(chdir("nix"), ENOENT);
	/* Removed under us. */
	CHECK_OK(mkdir("gone", 0755));
	CHECK_OK(chdir("gone"));
	CHECK_OK(rmdir("../gone"));
	CHECK_ERR(syscall(SYS_getcwd, cwd, sizeof(cwd)), ENOENT);
	CHECK_ERR(open("x", O_CREAT | O_WRONLY, 0600), ENOENT);
	CHECK_OK(chdir(scratch_path));
}

int main(void)
{
	struct stat st;

	scratch_enter();
	CHECK_OK(mkdir("d", 0750));
	CHECK_OK(stat("d", &st));
	CHECK_EQ(st.st_mode & ~022, (S_IFDIR | 0750) & ~022);
	CHECK_ERR(mkdir("d", 0755), EEXIST);
	CHECK_ERR(mkdir("nix/d", 0755), ENOENT);
	CHECK_ERR(mkdir("/", 0755), EEXIST);
	CHECK_OK(mkdir("d/slash/", 0755));
	CHECK_ERR(rmdir("d"), ENOTEMPTY);
	CHECK_ERR(rmdir("d/."), EINVAL);
	CHECK_ERR(rmdir("d/slash/.."), ENOTEMPTY);
	file_make("d/f", "");
	CHECK_ERR(rmdir("d/f"), ENOTDIR);
	CHECK_OK(unlink("d/f"));
	CHECK_ERR(unlinkat(AT_FDCWD, "d/slash", 0), EISDIR);
	CHECK_OK(unlinkat(AT_FDCWD, "d/slash", AT_REMOVEDIR));
	CHECK_OK(rmdir("d"));
	CHECK_ERR(rmdir("d"), ENOENT);
	/* A deep tree. */
	int depth = 0;
	for (; depth < 60 && mkdir("deep", 0755) == 0 && chdir("deep") == 0; depth++)
		;
	CHECK_EQ(depth, 60);
	file_make("bottom", "b");
	for (; depth > 0; depth--)
		CHECK_OK(chdir(".."));
	CHECK_OK(stat("deep/deep/deep/deep", &st));
	listing();
	working_directory();
	return check_done();
}
