/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/control.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/host/vm_protocol.h"
#include "vmm/vm.h"

static uint64_t cpu_time_ns(void)
{
	struct timespec used;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * 1000000000ull + (uint64_t)used.tv_nsec;
}

static void status_fill(const struct vm *vm, struct vm_reply *reply)
{
	reply->cpus = vm->cpu_count;
	reply->pid = (uint32_t)getpid();
	reply->memory_bytes = vm->memory.ram_bytes;
	reply->resident_bytes = memory_resident(&vm->memory);
	reply->cpu_ns = cpu_time_ns();
	reply->exits = vm_exits(vm);
	reply->started_ns = vm->control.started_ns;
}

static int request_check(const struct vm_request *request)
{
	switch (request->op) {
	case VM_OP_STATUS:
	case VM_OP_END:
	case VM_OP_RESIZE:
		return 0;
	case VM_OP_SIGNAL:
		return request->arg >= 1 && request->arg <= 64 ? 0 : -EINVAL;
	default:
		return -ENOSYS;
	}
}

static void request_perform(struct vm *vm, const struct vm_request *request)
{
	switch (request->op) {
	case VM_OP_SIGNAL:
		signals_send(vm, (unsigned)request->arg);
		break;
	case VM_OP_RESIZE:
		vm_resize(vm, (uint16_t)(request->arg >> 16), (uint16_t)request->arg);
		break;
	case VM_OP_END:
		vm_end(vm, VM_CODE_ENDED);
	}
}

static void client_close(struct vm *vm, int fd)
{
	event_loop_watch(&vm->loop, fd, 0, NULL, NULL, NULL);
	close(fd);
	vm->control.clients--;
}

static void on_request(void *context, void *object, int fd, uint32_t events)
{
	(void)object;
	(void)events;
	struct vm *vm = context;
	struct vm_request request;
	/* MSG_TRUNC: the real length, so that a longer message is not taken for a request. */
	ssize_t n = recv(fd, &request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_close(vm, fd);
		return;
	}
	struct vm_reply reply = {.version = VM_PROTOCOL_VERSION, .error = -EPROTO};
	if (n == sizeof(request) && request.version == VM_PROTOCOL_VERSION) {
		reply.error = request_check(&request);
		status_fill(vm, &reply);
	}
	/* The reply first: what was asked for may be the end. A client that does not read loses its replies. */
	if (send(fd, &reply, sizeof(reply), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN)
		client_close(vm, fd);
	if (reply.error == 0)
		request_perform(vm, &request);
}

static void on_connection(void *context, void *object, int fd, uint32_t events)
{
	(void)object;
	(void)events;
	struct vm *vm = context;
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (client < 0)
		return;
	if (vm->control.clients == CONTROL_CLIENTS_MAX ||
	    event_loop_watch(&vm->loop, client, EPOLLIN, vm, NULL, on_request) < 0) {
		close(client);
		return;
	}
	vm->control.clients++;
}

static void on_starter_gone(void *context, void *object, int fd, uint32_t events)
{
	(void)object;
	(void)fd;
	if (events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR))
		vm_end(context, VM_CODE_ENDED);
}

int control_start(struct vm *vm, int listen_fd, int report_fd, bool detach, struct err *err)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	vm->control = (struct control){
	    .listen_fd = listen_fd,
	    .started_ns = (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec,
	};
	int r = 0;
	if (listen_fd >= 0 && (r = event_loop_watch(&vm->loop, listen_fd, EPOLLIN, vm, NULL, on_connection)) < 0)
		return err_set(err, r, "cannot watch the control socket");
	if (report_fd >= 0 && !detach &&
	    (r = event_loop_watch(&vm->loop, report_fd, EPOLLRDHUP, vm, NULL, on_starter_gone)) < 0)
		return err_set(err, r, "cannot watch the report socket");
	return 0;
}
