/* SPDX-License-Identifier: Apache-2.0 */
/* getsockopt, setsockopt: level SOL_SOCKET; other levels are the family's. */
#include "kernel/mm/mm.h"
#include "kernel/net/socket.h"
#include "kernel/net/socket_call.h"
#include "kernel/proc/clock.h"
#include "kernel/sys/syscall.h"

#define BUFFER_MAX 212992u /* net.core.wmem_max */
#define BUFFER_MIN 2304u
#define OPTION_BYTES 64u

struct time_value {
	int64_t seconds, microseconds;
};

static int option_get_int(const struct socket *socket, int option, int *value)
{
	switch (option) {
	case SO_TYPE:
		*value = socket->type;
		break;
	case SO_DOMAIN:
		*value = socket->family;
		break;
	case SO_PROTOCOL:
		*value = socket->protocol;
		break;
	case SO_SNDBUF:
		*value = (int)socket->send_buffer;
		break;
	case SO_RCVBUF:
		*value = (int)socket->receive_buffer;
		break;
	case SO_ACCEPTCONN:
		*value = socket->state == SOCKET_LISTENING;
		break;
	case SO_REUSEADDR:
		*value = socket->reuse_address;
		break;
	case SO_KEEPALIVE:
		*value = socket->keep_alive;
		break;
	case SO_BROADCAST:
		*value = socket->broadcast;
		break;
	case SO_PASSCRED:
		*value = socket->pass_credentials;
		break;
	case SO_RCVLOWAT:
	case SO_SNDLOWAT:
		*value = 1;
		break;
	case SO_REUSEPORT:
	case SO_DEBUG:
	case SO_DONTROUTE:
	case SO_OOBINLINE:
	case SO_PRIORITY:
	case SO_TIMESTAMP_OLD:
	case SO_MARK:
	case SO_BUSY_POLL:
		*value = 0;
		break;
	default:
		return -ENOPROTOOPT;
	}
	return 0;
}

static int option_get(struct socket *socket, int level, int option, uint8_t *value, unsigned *bytes)
{
	int number = 0;
	if (level == SOL_SOCKET) {
		if (option == SO_ERROR) {
			number = socket->error;
			socket->error = 0;
		} else if (option == SO_RCVTIMEO_OLD || option == SO_SNDTIMEO_OLD) {
			uint64_t ns = option == SO_RCVTIMEO_OLD ? socket->receive_timeout_ns : socket->send_timeout_ns;
			struct time_value time = {(int64_t)(ns / NS_PER_SECOND), (int64_t)(ns % NS_PER_SECOND / 1000)};
			memcpy(value, &time, sizeof(time));
			*bytes = sizeof(time);
			return 0;
		} else if (option == SO_LINGER) {
			memset(value, 0, 8);
			*bytes = 8;
			return 0;
		} else if (option_get_int(socket, option, &number) != 0) {
			goto family;
		}
		memcpy(value, &number, sizeof(number));
		*bytes = sizeof(number);
		return 0;
	}
family:
	return socket->ops->get_option != NULL ? socket->ops->get_option(socket, level, option, value, bytes)
					       : -ENOPROTOOPT;
}

SYSCALL(getsockopt)
{
	uint8_t value[OPTION_BYTES];
	unsigned bytes = sizeof(value);
	struct file *file;
	int r, room;
	struct socket *socket = socket_get(args->arg[0], &file, &r);
	if (socket == NULL)
		return r;
	if (user_get(&room, args->arg[4]) != 0)
		r = -EFAULT;
	else if (room < 0)
		r = -EINVAL;
	else
		r = option_get(socket, (int)args->arg[1], (int)args->arg[2], value, &bytes);
	if (r == 0) {
		bytes = (unsigned)min_u64(bytes, (uint64_t)room);
		if (user_write(args->arg[3], value, bytes) != 0 || user_put(args->arg[4], &bytes) != 0)
			r = -EFAULT;
	}
	file_put(file);
	return r;
}

static uint32_t buffer_size(int value)
{
	/* Linux doubles what is asked for, for its own bookkeeping, and programs know. */
	return (uint32_t)max_u64(BUFFER_MIN, 2 * min_u64((uint64_t)(uint32_t)value, BUFFER_MAX));
}

static int option_set_timeout(struct socket *socket, int option, const uint8_t *value, unsigned bytes)
{
	struct time_value time;
	if (bytes < sizeof(time))
		return -EINVAL;
	memcpy(&time, value, sizeof(time));
	if (time.microseconds < 0 || time.microseconds >= 1000000)
		return -EDOM;
	uint64_t ns = time.seconds < 0 ? 0
				       : min_u64((uint64_t)time.seconds, UINT32_MAX) * NS_PER_SECOND +
					     (uint64_t)time.microseconds * 1000;
	if (option == SO_RCVTIMEO_OLD)
		socket->receive_timeout_ns = ns;
	else
		socket->send_timeout_ns = ns;
	return 0;
}

static int option_set_socket(struct socket *socket, int option, const uint8_t *value, unsigned bytes)
{
	int number = 0;

	if (option == SO_RCVTIMEO_OLD || option == SO_SNDTIMEO_OLD)
		return option_set_timeout(socket, option, value, bytes);
	if (bytes < sizeof(number))
		return -EINVAL;
	memcpy(&number, value, sizeof(number));
	switch (option) {
	case SO_SNDBUF:
	case SO_SNDBUFFORCE:
		socket->send_buffer = buffer_size(number);
		return 0;
	case SO_RCVBUF:
	case SO_RCVBUFFORCE:
		socket->receive_buffer = buffer_size(number);
		return 0;
	case SO_REUSEADDR:
		socket->reuse_address = number != 0;
		return 0;
	case SO_KEEPALIVE:
		socket->keep_alive = number != 0;
		return 0;
	case SO_BROADCAST:
		socket->broadcast = number != 0;
		return 0;
	case SO_PASSCRED:
		socket->pass_credentials = number != 0;
		return 0;
	case SO_REUSEPORT:
	case SO_LINGER:
	case SO_OOBINLINE:
	case SO_PRIORITY:
	case SO_RCVLOWAT:
	case SO_TIMESTAMP_OLD:
	case SO_BUSY_POLL:
		return 0; /* without an effect on local sockets */
	default:
		return -ENOPROTOOPT;
	}
}

SYSCALL(setsockopt)
{
	uint8_t value[OPTION_BYTES] = {0};
	int level = (int)args->arg[1], option = (int)args->arg[2];
	struct file *file;
	int r;
	struct socket *socket = socket_get(args->arg[0], &file, &r);
	if (socket == NULL)
		return r;
	unsigned bytes = (unsigned)min_u64(args->arg[4] & 0xffffffff, sizeof(value));
	if ((int)args->arg[4] < 0)
		r = -EINVAL;
	else if (user_read(value, args->arg[3], bytes) != 0)
		r = -EFAULT;
	else if (level == SOL_SOCKET)
		r = option_set_socket(socket, option, value, bytes);
	else
		r = socket->ops->set_option != NULL ? socket->ops->set_option(socket, level, option, value, bytes)
						    : -ENOPROTOOPT;
	file_put(file);
	return r;
}
