/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/streams.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"

int stream_open(int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -1;
	bool may_block = S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) || S_ISCHR(st.st_mode);
	int flags = fcntl(fd, F_GETFL);
	if (may_block && !(flags & O_NONBLOCK) && !S_ISSOCK(st.st_mode)) {
		char path[32];
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		int own = open(path, (flags & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (own >= 0)
			return own;
	}
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy >= 0 && may_block && !(flags & O_NONBLOCK))
		fcntl(copy, F_SETFL, flags | O_NONBLOCK);
	return copy;
}
