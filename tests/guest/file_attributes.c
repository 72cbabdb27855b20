/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes: set, read, listed, removed, with their errors; or refused as not supported. */
#include "check.h"
#include <sys/xattr.h>

int main(void)
{
	char buf[64];

	scratch_enter();
	file_make("f", "x");
	if (setxattr("f", "user.one", "value", 5, 0) == -1) {
		CHECK_EQ(errno, ENOTSUP);
		CHECK_ERR(getxattr("f", "user.one", buf, sizeof(buf)) == -1 ? -1 : 0, errno);
		CHECK(errno == ENOTSUP || errno == ENODATA);
		CHECK(listxattr("f", buf, sizeof(buf)) <= 0);
		return check_done();
	}
	CHECK_EQ(getxattr("f", "user.one", buf, sizeof(buf)), 5);
	CHECK(memcmp(buf, "value", 5) == 0);
	CHECK_EQ(getxattr("f", "user.one", NULL, 0), 5);
	CHECK_ERR(getxattr("f", "user.one", buf, 2), ERANGE);
	CHECK_ERR(getxattr("f", "user.two", buf, 64), ENODATA);
	CHECK_ERR(setxattr("f", "user.one", "v", 1, XATTR_CREATE), EEXIST);
	CHECK_ERR(setxattr("f", "user.two", "v", 1, XATTR_REPLACE), ENODATA);
	CHECK_OK(setxattr("f", "user.one", "new", 3, XATTR_REPLACE));
	int fd = open("f", O_RDONLY);
	CHECK_EQ(fgetxattr(fd, "user.one", buf, 64), 3);
	ssize_t n = listxattr("f", buf, sizeof(buf));
	bool found = false;
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(buf + i) + 1)
		found |= strcmp(buf + i, "user.one") == 0;
	CHECK(found);
	CHECK_OK(removexattr("f", "user.one"));
	CHECK_ERR(removexattr("f", "user.one"), ENODATA);
	CHECK_ERR(getxattr("nix", "user.one", buf, 64), ENOENT);
	CHECK_ERR(setxattr("f", "nonsense", "v", 1, 0), EOPNOTSUPP);
	return check_done();
}
