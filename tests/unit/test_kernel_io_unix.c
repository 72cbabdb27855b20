/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX sockets keep messages whole and in order, pass descriptors without losing one, and end as unix(7) says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/eventpoll.h>

#include "kernel/net/socket.h"
#include "tests/unit/kernel_descriptors.h"

DECLARE_CALL(socket);
DECLARE_CALL(socketpair);
DECLARE_CALL(bind);
DECLARE_CALL(listen);
DECLARE_CALL(accept4);
DECLARE_CALL(connect);
DECLARE_CALL(sendto);
DECLARE_CALL(recvfrom);
DECLARE_CALL(sendmsg);
DECLARE_CALL(recvmsg);
DECLARE_CALL(sendmmsg);
DECLARE_CALL(recvmmsg);
DECLARE_CALL(shutdown);
DECLARE_CALL(getsockopt);
DECLARE_CALL(setsockopt);
DECLARE_CALL(getsockname);
DECLARE_CALL(getpeername);
DECLARE_CALL(eventfd2);

static int s[2];
static char buffer[300000];
static uint8_t block[300000];

static int setup(void **state)
{
	(void)state;
	descriptors_reset(1);
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (uint8_t)(i * 17 + i / 256);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int fd = 0; fd < 64; fd++)
		fd_close(fd);
	return descriptors_open() == 0 ? 0 : -1;
}

#define TEST(name)                                                                                                     \
	static void name##_body(void);                                                                                 \
	static void name(void **state)                                                                                 \
	{                                                                                                              \
		(void)state;                                                                                           \
		assert_true(descriptors_run(name##_body));                                                             \
	}                                                                                                              \
	static void name##_body(void)

static void pair(int type) { assert_int_equal(call(sys_socketpair, AF_UNIX, (uint64_t)type, 0, P(s)), 0); }
static int64_t send_to(int fd, const char *text, int flags)
{
	return call(sys_sendto, (uint64_t)fd, P(text), strlen(text), (uint64_t)flags, 0, 0);
}
static int64_t receive(int fd, uint64_t bytes, int flags)
{
	memset(buffer, 0, sizeof(buffer));
	return call(sys_recvfrom, (uint64_t)fd, P(buffer), bytes, (uint64_t)flags, 0, 0);
}

TEST(a_stream_has_no_bounds_and_messages_have)
{
	pair(SOCK_STREAM);
	send_to(s[0], "abc", 0);
	send_to(s[0], "def", 0);
	assert_int_equal(receive(s[1], 4, 0), 4);
	assert_string_equal(buffer, "abcd");
	assert_int_equal(receive(s[1], 10, 0), 2);
	for (int type = SOCK_DGRAM; type <= SOCK_SEQPACKET; type += SOCK_SEQPACKET - SOCK_DGRAM) {
		pair(type);
		send_to(s[0], "abc", 0);
		send_to(s[0], "", 0);
		send_to(s[0], "defgh", 0);
		assert_int_equal(receive(s[1], 10, 0), 3);
		assert_int_equal(receive(s[1], 10, 0), 0); /* an empty message is one */
		assert_int_equal(receive(s[1], 2, MSG_TRUNC), 5);
		assert_string_equal(buffer, "de");
		assert_int_equal(receive(s[1], 2, MSG_DONTWAIT), -EAGAIN);
	}
}

TEST(peeking_takes_nothing)
{
	pair(SOCK_STREAM);
	send_to(s[0], "abcdef", 0);
	assert_int_equal(receive(s[1], 4, MSG_PEEK), 4);
	assert_int_equal(receive(s[1], 10, MSG_PEEK), 6);
	assert_int_equal(receive(s[1], 10, 0), 6);
	assert_string_equal(buffer, "abcdef");
	pair(SOCK_DGRAM);
	send_to(s[0], "one", 0);
	assert_int_equal(receive(s[1], 10, MSG_PEEK), 3);
	assert_int_equal(receive(s[1], 10, 0), 3);
}

/* ---- blocking ---- */

static int64_t results[4];
static void open_stream(void) { pair(SOCK_STREAM); }
static void send_block(void) { results[0] = fd_write(s[0], block, sizeof(block)); }
static void receive_block(void)
{
	results[1] = call(sys_recvfrom, (uint64_t)s[1], P(buffer), sizeof(block), MSG_WAITALL, 0, 0);
}
static void receive_some(void) { results[2] = receive(s[1], 100, 0); }
static void close_first(void) { fd_close(s[0]); }

static void a_full_socket_stops_its_sender(void **state)
{
	(void)state;
	descriptors_run(open_stream);
	assert_false(descriptors_run(send_block));
	assert_false(fd_poll(s[0]) & EPOLLOUT);
	descriptors_run(receive_block);
	machine_run();
	assert_int_equal(results[0], sizeof(block));
	assert_int_equal(results[1], sizeof(block));
	assert_memory_equal(buffer, block, sizeof(block));
	assert_true(fd_poll(s[0]) & EPOLLOUT);
	assert_false(descriptors_run(receive_some));
	descriptors_run(close_first);
	machine_run();
	assert_int_equal(results[2], 0);
	assert_true(fd_poll(s[1]) & EPOLLHUP);
}

static void receive_with_timeout(void)
{
	int64_t time[2] = {0, 20000};
	pair(SOCK_DGRAM);
	call(sys_setsockopt, (uint64_t)s[0], SOL_SOCKET, SO_RCVTIMEO_OLD, P(time), sizeof(time));
	results[0] = receive(s[0], 10, 0);
}

static void a_receive_timeout_ends_the_wait(void **state)
{
	(void)state;
	uint64_t start = machine_now;
	assert_true(descriptors_run(receive_with_timeout));
	assert_int_equal(results[0], -EAGAIN);
	assert_in_range(machine_now - start, 20 * NS_PER_MS, 22 * NS_PER_MS);
}

/* ---- descriptors under way ---- */

struct rights_control {
	uint64_t bytes;
	int level, type;
	int fds[8];
};

static int64_t send_fds(int fd, const char *text, const int *fds, unsigned count)
{
	struct rights_control control = {.bytes = 16 + 4 * count, .level = SOL_SOCKET, .type = SCM_RIGHTS};
	struct iovec vector = {(void *)P(text), strlen(text)};
	struct user_msghdr header = {
	    .vectors = P(&vector),
	    .vector_count = 1,
	    .control = P(&control),
	    .control_bytes = 16 + 4 * count,
	};
	memcpy(control.fds, fds, count * sizeof(int));
	return call(sys_sendmsg, (uint64_t)fd, P(&header), 0);
}

static struct rights_control got;
static struct user_msghdr got_header;
static int64_t receive_fds(int fd, uint64_t room)
{
	struct iovec vector = {buffer, 100};
	memset(buffer, 0, 100);
	memset(&got, 0, sizeof(got));
	got_header = (struct user_msghdr){
	    .vectors = P(&vector),
	    .vector_count = 1,
	    .control = P(&got),
	    .control_bytes = room,
	};
	return call(sys_recvmsg, (uint64_t)fd, P(&got_header), 0);
}

TEST(descriptors_arrive_with_their_bytes)
{
	int event = (int)call(sys_eventfd2, 7, 0);
	pair(SOCK_STREAM);
	send_to(s[0], "plain", 0);
	assert_int_equal(send_fds(s[0], "with", (int[]){event, event}, 2), 4);
	send_to(s[0], "after", 0);
	fd_close(event);
	assert_int_equal(receive_fds(s[1], sizeof(got)), 5);
	assert_string_equal(buffer, "plain");
	assert_int_equal(got_header.control_bytes, 0);
	int64_t n = receive_fds(s[1], sizeof(got));
	assert_true(n >= 4);
	assert_memory_equal(buffer, "with", 4);
	assert_int_equal(got.bytes, 24);
	assert_int_equal(got.type, SCM_RIGHTS);
	uint64_t value = 0;
	assert_int_equal(fd_read(got.fds[1], &value, 8), 8);
	assert_int_equal(value, 7);
}

TEST(descriptors_nobody_takes_are_closed)
{
	int event = (int)call(sys_eventfd2, 0, 0);
	unsigned before;
	pair(SOCK_STREAM);
	before = descriptors_open();
	send_fds(s[0], "a", &event, 1);
	assert_int_equal(receive(s[1], 10, 0), 1); /* no place for them */
	assert_int_equal(descriptors_open(), before);
	send_fds(s[0], "a", (int[]){event, event, event}, 3);
	assert_int_equal(receive_fds(s[1], 16 + 8), 1); /* room for two */
	assert_int_equal(got_header.flags & MSG_CTRUNC, MSG_CTRUNC);
	fd_close(got.fds[0]);
	fd_close(got.fds[1]);
	send_fds(s[0], "a", &event, 1);
	fd_close(event);
	fd_close(s[1]);
	assert_int_equal(descriptors_open(), before - 2);
	assert_int_equal(send_fds(s[0], "a", &event, 1), -EBADF);
}

/* A chain of sockets, each in the next one's queue: closing the last must not go as deep as the chain. */
TEST(a_long_chain_of_sockets_in_sockets_is_let_go)
{
	pair(SOCK_DGRAM);
	int a = s[0], b = s[1];
	for (unsigned i = 0; i < 3000; i++) {
		pair(SOCK_DGRAM);
		assert_int_equal(send_fds(s[0], "x", (int[]){a, b}, 2), 1);
		fd_close(a);
		fd_close(b);
		a = s[0];
		b = s[1];
	}
	fd_close(a);
	fd_close(b);
	assert_int_equal(descriptors_open(), 0);
}

/* ---- the end ---- */

TEST(shutdown_ends_one_direction)
{
	pair(SOCK_STREAM);
	send_to(s[0], "last", 0);
	assert_int_equal(call(sys_shutdown, (uint64_t)s[0], SHUT_WR), 0);
	assert_int_equal(send_to(s[0], "x", MSG_NOSIGNAL), -EPIPE);
	assert_int_equal(receive(s[1], 10, 0), 4);
	assert_int_equal(receive(s[1], 10, 0), 0);
	assert_int_equal(send_to(s[1], "back", 0), 4);
	assert_int_equal(receive(s[0], 10, 0), 4);
	assert_int_equal(call(sys_shutdown, (uint64_t)s[0], 7), -EINVAL);
}

TEST(closing_with_unread_data_is_a_reset)
{
	pair(SOCK_STREAM);
	send_to(s[0], "unread", 0);
	fd_close(s[1]);
	assert_int_equal(receive(s[0], 10, 0), -ECONNRESET);
	assert_int_equal(receive(s[0], 10, 0), 0);
	assert_int_equal(send_to(s[0], "x", MSG_NOSIGNAL), -EPIPE);
	pair(SOCK_DGRAM);
	fd_close(s[1]);
	assert_int_equal(send_to(s[0], "x", 0), -ECONNREFUSED);
}

/* ---- names and connections ---- */

static unsigned name_of(uint8_t *name, const char *text)
{
	uint16_t family = AF_UNIX;
	memcpy(name, &family, 2);
	name[2] = 0;
	memcpy(name + 3, text, strlen(text));
	return 3 + (unsigned)strlen(text);
}

static int listener;
static uint8_t name[128];
static unsigned name_bytes;

static void listen_there(void)
{
	name_bytes = name_of(name, "server");
	listener = (int)call(sys_socket, AF_UNIX, SOCK_STREAM, 0);
	results[0] = call(sys_bind, (uint64_t)listener, P(name), name_bytes);
	results[1] = call(sys_listen, (uint64_t)listener, 1);
}
static int64_t connect_one(void)
{
	int fd = (int)call(sys_socket, AF_UNIX, SOCK_STREAM, 0);
	int64_t r = call(sys_connect, (uint64_t)fd, P(name), name_bytes);
	return r < 0 ? r : fd;
}
static void connect_again(void) { results[0] = connect_one(); }
static void connect_three(void)
{
	for (unsigned i = 0; i < 3; i++)
		results[i] = connect_one();
}
static void accept_one(void) { results[3] = call(sys_accept4, (uint64_t)listener, 0, 0, 0); }

static void connections_wait_for_a_place(void **state)
{
	(void)state;
	assert_true(descriptors_run(listen_there));
	assert_int_equal(results[0], 0);
	assert_int_equal(results[1], 0);
	assert_false(descriptors_run(connect_three)); /* the third has none */
	assert_int_equal(fd_poll(listener), EPOLLIN | EPOLLRDNORM);
	descriptors_run(accept_one);
	machine_run();
	assert_true(results[2] >= 0 && results[3] >= 0);
	fd_write((int)results[0], "hello", 5);
	assert_int_equal(fd_read((int)results[3], buffer, 10), 5);
	uint8_t other[128];
	unsigned bytes = sizeof(other);
	assert_int_equal(call(sys_getpeername, (uint64_t)results[0], P(other), P(&bytes)), 0);
	assert_int_equal(bytes, name_bytes);
	assert_memory_equal(other, name, bytes);
	fd_close(listener);
	assert_int_equal(fd_read((int)results[1], buffer, 10), -ECONNRESET); /* never accepted */
	descriptors_run(connect_again);
	assert_int_equal(results[0], -ECONNREFUSED);
}

static void accept_first(void) { accept_one(); }

static void accept_waits_for_a_connection(void **state)
{
	(void)state;
	descriptors_run(listen_there);
	assert_false(descriptors_run(accept_first));
	descriptors_run(connect_three);
	machine_run();
	assert_true(results[3] >= 0);
}

TEST(datagrams_go_to_names)
{
	uint8_t from[128];
	unsigned bytes = sizeof(from);
	uint64_t a = (uint64_t)call(sys_socket, AF_UNIX, SOCK_DGRAM, 0),
		 b = (uint64_t)call(sys_socket, AF_UNIX, SOCK_DGRAM, 0);
	name_bytes = name_of(name, "a");
	assert_int_equal(call(sys_bind, a, P(name), name_bytes), 0);
	assert_int_equal(call(sys_bind, b, P(name), name_bytes), -EADDRINUSE);
	assert_int_equal(call(sys_sendto, b, P("x"), 1, 0, P(name), name_bytes), 1);
	assert_int_equal(call(sys_recvfrom, a, P(buffer), 10, 0, P(from), P(&bytes)), 1);
	assert_int_equal(bytes, 0);                         /* b has no name */
	assert_int_equal(call(sys_bind, b, P(name), 2), 0); /* gets one */
	assert_int_equal(call(sys_sendto, b, P("x"), 1, 0, P(name), name_bytes), 1);
	bytes = sizeof(from);
	assert_int_equal(call(sys_recvfrom, a, P(buffer), 10, 0, P(from), P(&bytes)), 1);
	assert_int_equal(bytes, 8);
	assert_int_equal(call(sys_sendto, a, P("y"), 1, 0, P(from), bytes), 1);
	assert_int_equal(receive((int)b, 10, 0), 1);
	name_bytes = name_of(name, "nobody");
	assert_int_equal(call(sys_sendto, a, P("y"), 1, 0, P(name), name_bytes), -ECONNREFUSED);
	assert_int_equal(call(sys_sendto, a, P("y"), 1, 0, 0, 0), -ENOTCONN);
	assert_int_equal(call(sys_sendto, a, P("y"), 1, 0, P(name), 1), -EINVAL);
	assert_int_equal(call(sys_sendto, a, P("y"), 1, 0, P(name), 500), -EINVAL);
}

/* What a comparison of random calls with Linux has shown to matter. */
TEST(details_are_those_of_linux)
{
	uint64_t stream = (uint64_t)call(sys_socket, AF_UNIX, SOCK_STREAM, 0),
		 dgram = (uint64_t)call(sys_socket, AF_UNIX, SOCK_DGRAM, 0);
	uint8_t other[128];
	unsigned bytes = sizeof(other);
	/* Each type has abstract names of its own. */
	name_bytes = name_of(name, "same");
	assert_int_equal(call(sys_bind, stream, P(name), name_bytes), 0);
	assert_int_equal(call(sys_bind, dgram, P(name), name_bytes), 0);
	assert_int_equal(call(sys_bind, dgram, P(name), 2), 0); /* any name will do: it has one */
	assert_int_equal(call(sys_bind, dgram, P(name), name_bytes), -EINVAL);
	assert_int_equal(call(sys_connect, stream, P(name), 2), -EINVAL);
	assert_int_equal(call(sys_connect, stream, P(name), name_bytes), -ECONNREFUSED); /* it does not listen */
	assert_int_equal(call(sys_shutdown, stream, SHUT_RD), 0);
	/* A write with a bad part arrives whole or not at all. */
	pair(SOCK_STREAM);
	struct iovec vectors[2] = {{block, 100}, {(void *)16, 100}};
	struct user_msghdr header = {.vectors = P(vectors), .vector_count = 2};
	assert_int_equal(call(sys_sendmsg, (uint64_t)s[0], P(&header), 0), -EFAULT);
	assert_int_equal(receive(s[1], 10, MSG_DONTWAIT), -EAGAIN);
	assert_int_equal(receive(s[1], 0, MSG_DONTWAIT), -EAGAIN);
	assert_int_equal(fd_read(s[1], buffer, 0), 0);
	/* The name of a peer that has gone is still known. */
	fd_close(s[1]);
	assert_int_equal(call(sys_getpeername, (uint64_t)s[0], P(other), P(&bytes)), 0);
	assert_int_equal(send_to(s[0], "", MSG_NOSIGNAL), -EPIPE);
	/* A datagram socket whose peer has gone: told once, and what came from it is dropped. */
	pair(SOCK_DGRAM);
	send_to(s[1], "lost", 0);
	fd_close(s[1]);
	assert_int_equal(send_to(s[0], "x", 0), -ECONNREFUSED);
	assert_int_equal(send_to(s[0], "x", 0), -ENOTCONN);
	assert_int_equal(receive(s[0], 10, MSG_DONTWAIT), -EAGAIN);
}

TEST(options_and_refusals)
{
	int value = 0;
	unsigned bytes = sizeof(value);
	struct ucred credentials;
	pair(SOCK_SEQPACKET);
	assert_int_equal(call(sys_getsockopt, (uint64_t)s[0], SOL_SOCKET, SO_TYPE, P(&value), P(&bytes)), 0);
	assert_int_equal(value, SOCK_SEQPACKET);
	bytes = sizeof(credentials);
	assert_int_equal(call(sys_getsockopt, (uint64_t)s[0], SOL_SOCKET, SO_PEERCRED, P(&credentials), P(&bytes)), 0);
	assert_int_equal(credentials.pid, current->process->pid);
	assert_int_equal(call(sys_socket, AF_INET, SOCK_STREAM, 0), -EAFNOSUPPORT);
	assert_int_equal(call(sys_socket, 9999, SOCK_STREAM, 0), -EAFNOSUPPORT);
	assert_int_equal(call(sys_socket, AF_UNIX, 0x30, 0), -EINVAL);
	assert_int_equal(call(sys_socket, AF_UNIX, 9, 0), -ESOCKTNOSUPPORT);
	assert_int_equal(call(sys_sendto, (uint64_t)call(sys_eventfd2, 0, 0), P("x"), 1, 0), -ENOTSOCK);
	assert_int_equal(call(sys_sendto, 63, P("x"), 1, 0), -EBADF);
	/* Headers that make no sense. */
	struct user_msghdr header = {.vectors = P(buffer), .vector_count = 5000};
	assert_int_equal(call(sys_sendmsg, (uint64_t)s[0], P(&header), 0), -EMSGSIZE);
	header = (struct user_msghdr){.vectors = 16, .vector_count = 3};
	assert_int_equal(call(sys_sendmsg, (uint64_t)s[0], P(&header), 0), -EFAULT);
	struct iovec huge[2] = {{block, INT64_MAX}, {block, INT64_MAX}};
	header = (struct user_msghdr){.vectors = P(huge), .vector_count = 2};
	assert_int_equal(call(sys_sendmsg, (uint64_t)s[0], P(&header), 0), -EMSGSIZE);
	struct rights_control control = {.bytes = 5, .level = SOL_SOCKET, .type = SCM_RIGHTS};
	struct iovec one = {block, 1};
	header =
	    (struct user_msghdr){.vectors = P(&one), .vector_count = 1, .control = P(&control), .control_bytes = 24};
	assert_int_equal(call(sys_sendmsg, (uint64_t)s[0], P(&header), 0), -EINVAL);
	control.bytes = 1000;
	assert_int_equal(call(sys_sendmsg, (uint64_t)s[0], P(&header), 0), -EINVAL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_stream_has_no_bounds_and_messages_have),
	    T(peeking_takes_nothing),
	    T(a_full_socket_stops_its_sender),
	    T(a_receive_timeout_ends_the_wait),
	    T(descriptors_arrive_with_their_bytes),
	    T(descriptors_nobody_takes_are_closed),
	    T(a_long_chain_of_sockets_in_sockets_is_let_go),
	    T(shutdown_ends_one_direction),
	    T(closing_with_unread_data_is_a_reset),
	    T(connections_wait_for_a_place),
	    T(accept_waits_for_a_connection),
	    T(datagrams_go_to_names),
	    T(details_are_those_of_linux),
	    T(options_and_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
