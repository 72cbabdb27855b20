/* SPDX-License-Identifier: Apache-2.0 */
/* inotify tells of what is made, opened, written, moved and removed in a directory and to a file, in order. */
#include <poll.h>
#include <sys/inotify.h>

#include "check.h"

static int queue;

/* The next event must be this one. */
static void expect(int line, int wd, uint32_t mask, const char *name)
{
	static char buffer[4096] __attribute__((aligned(8)));
	static ssize_t bytes, at;

	if (at >= bytes) {
		at = 0;
		bytes = read(queue, buffer, sizeof(buffer));
	}
	if (bytes <= 0) {
		printf("line %d: no event, expected %#x %s\n", line, mask, name);
		CHECK(bytes > 0);
		return;
	}
	struct inotify_event *event = (struct inotify_event *)(buffer + at);
	at += (ssize_t)(sizeof(*event) + event->len);
	if (event->wd != wd || event->mask != mask || strcmp(event->len > 0 ? event->name : "", name) != 0) {
		printf("line %d: wd %d mask %#x name %s, expected wd %d mask %#x name %s\n", line, event->wd,
		       event->mask, event->len > 0 ? event->name : "", wd, mask, name);
		CHECK(false);
	}
}
#define EXPECT(wd, mask, name) expect(__LINE__, wd, mask, name)

int main(void)
{
	char folder[] = "/tmp/inotify.XXXXXX";
	struct pollfd poll_queue;

	NEED(mkdtemp(folder) != NULL && chdir(folder) == 0);
	NEED((queue = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) >= 0);
	int dir = inotify_add_watch(queue, ".", IN_ALL_EVENTS & ~IN_ACCESS);
	NEED(dir > 0);
	poll_queue = (struct pollfd){.fd = queue, .events = POLLIN};
	CHECK_EQ(poll(&poll_queue, 1, 0), 0);
	CHECK_ERR(read(queue, folder, 16), EAGAIN);

	int fd = open("a", O_CREAT | O_WRONLY, 0600);
	NEED(fd >= 0);
	CHECK_EQ(poll(&poll_queue, 1, 0), 1);
	EXPECT(dir, IN_CREATE, "a");
	EXPECT(dir, IN_OPEN, "a");
	CHECK_EQ(write(fd, "x", 1), 1);
	EXPECT(dir, IN_MODIFY, "a");
	CHECK_EQ(pwrite(fd, "x", 1, 5), 1);
	EXPECT(dir, IN_MODIFY, "a");
	close(fd);
	EXPECT(dir, IN_CLOSE_WRITE, "a");
	fd = open("a", O_RDONLY);
	EXPECT(dir, IN_OPEN, "a");
	close(fd);
	EXPECT(dir, IN_CLOSE_NOWRITE, "a");

	CHECK_OK(mkdir("d", 0700));
	EXPECT(dir, IN_CREATE | IN_ISDIR, "d");
	CHECK_OK(symlink("a", "l"));
	EXPECT(dir, IN_CREATE, "l");
	CHECK_OK(rename("a", "b"));
	EXPECT(dir, IN_MOVED_FROM, "a");
	EXPECT(dir, IN_MOVED_TO, "b");
	CHECK_OK(unlink("l"));
	EXPECT(dir, IN_DELETE, "l");
	CHECK_OK(rmdir("d"));
	EXPECT(dir, IN_DELETE | IN_ISDIR, "d");

	/* A watch on a file; adding it again gives the same one. */
	int file = inotify_add_watch(queue, "b", IN_DELETE_SELF | IN_ATTRIB);
	NEED(file > 0 && file != dir);
	CHECK_EQ(inotify_add_watch(queue, "b", IN_DELETE_SELF), file);
	CHECK_ERR(inotify_add_watch(queue, "b", IN_DELETE_SELF | IN_MASK_CREATE), EEXIST);
	CHECK_OK(inotify_rm_watch(queue, dir));
	EXPECT(dir, IN_IGNORED, "");
	CHECK_ERR(inotify_rm_watch(queue, dir), EINVAL);
	CHECK_OK(unlink("b"));
	EXPECT(file, IN_DELETE_SELF, "");
	EXPECT(file, IN_IGNORED, "");
	CHECK_ERR(inotify_add_watch(queue, "b", IN_MODIFY), ENOENT);
	CHECK_ERR(inotify_add_watch(queue, ".", 0), EINVAL);
	CHECK_ERR(inotify_add_watch(0, ".", IN_MODIFY), EINVAL);
	CHECK_OK(chdir("/"));
	CHECK_OK(rmdir(folder));
	return check_done();
}
