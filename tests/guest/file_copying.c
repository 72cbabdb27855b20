/* SPDX-License-Identifier: Apache-2.0 */
/* sendfile, copy_file_range and splice move the right bytes and positions. */
#include "check.h"
#include <pthread.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#define SIZE 300000

static unsigned char data[SIZE], back[SIZE];

static void *drain(void *arg)
{
	size_t done = 0;

	for (ssize_t n; done < SIZE && (n = read((int)(intptr_t)arg, back + done, SIZE - done)) > 0;)
		done += (size_t)n;
	return (void *)done;
}

int main(void)
{
	int p[2], s[2];
	pthread_t t;
	void *got;

	scratch_enter();
	for (int i = 0; i < SIZE; i++)
		data[i] = (unsigned char)(i * 13 + i / 251);
	int in = open("in", O_RDWR | O_CREAT, 0600), out = open("out", O_RDWR | O_CREAT, 0600);
	NEED(in >= 0 && out >= 0);
	CHECK_EQ(write(in, data, SIZE), SIZE);

	/* File to file, with our position and with the file's. */
	off_t at = 100;
	CHECK_EQ(sendfile(out, in, &at, 1000), 1000);
	CHECK_EQ(at, 1100);
	CHECK_EQ(lseek(in, 0, SEEK_CUR), SIZE);
	CHECK_EQ(pread(out, back, 1000, 0), 1000);
	CHECK(memcmp(back, data + 100, 1000) == 0);
	CHECK_EQ(lseek(in, SIZE - 10, SEEK_SET), SIZE - 10);
	CHECK_EQ(sendfile(out, in, NULL, 1000), 10);
	CHECK_EQ(sendfile(out, in, NULL, 1000), 0);
	CHECK_EQ(lseek(out, 0, SEEK_CUR), 1010);

	/* To a pipe and a socket, all of it. */
	NEED(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	int sinks[2][2] = {{p[1], p[0]}, {s[0], s[1]}};
	for (int i = 0; i < 2; i++) {
		memset(back, 0, SIZE);
		NEED(pthread_create(&t, NULL, drain, (void *)(intptr_t)sinks[i][1]) == 0);
		at = 0;
		while (at < SIZE) {
			ssize_t n = sendfile(sinks[i][0], in, &at, (size_t)(SIZE - at));
			NEED(n > 0);
		}
		pthread_join(t, &got);
		CHECK_EQ((size_t)got, SIZE);
		CHECK(memcmp(back, data, SIZE) == 0);
	}
	CHECK_ERR(sendfile(out, p[0], NULL, 10) == -1 ? -1 : 0, EINVAL);
	CHECK_ERR(sendfile(out, 9999, NULL, 10), EBADF);

	off_t from = 5, to = 100;
	CHECK_EQ(copy_file_range(in, &from, out, &to, 50, 0), 50);
	CHECK(from == 55 && to == 150);
	CHECK_EQ(pread(out, back, 50, 100), 50);
	CHECK(memcmp(back, data + 5, 50) == 0);
	from = SIZE + 5;
	CHECK_EQ(copy_file_range(in, &from, out, &to, 50, 0), 0);
	CHECK_ERR(copy_file_range(in, &from, out, &to, 50, 1), EINVAL);
	CHECK_ERR(copy_file_range(in, NULL, p[1], NULL, 50, 0), EINVAL);
	int ro = open("out", O_RDONLY);
	CHECK_ERR(copy_file_range(in, NULL, ro, NULL, 50, 0), EBADF);

	/* splice, where there is one: file to pipe to file. */
	from = 7;
	ssize_t n = splice(in, &from, p[1], NULL, 100, 0);
	if (n >= 0) {
		CHECK_EQ(n, 100);
		to = 0;
		CHECK_EQ(splice(p[0], NULL, out, &to, 100, 0), 100);
		CHECK_EQ(pread(out, back, 100, 0), 100);
		CHECK(memcmp(back, data + 7, 100) == 0);
	} else {
		CHECK(errno == ENOSYS || errno == EINVAL);
	}
	return check_done();
}
