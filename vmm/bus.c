/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/bus.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "include/abi/doorbell.h"
#include "vmm/irq.h"
#include "vmm/root_image.h"
#include "vmm/timer.h"
#include "vmm/vm.h"

#define LOG_BYTES_MAX 4096u

/* ---- doorbells ------------------------------------------------------------------------------ */

static uint64_t mailbox(const struct vcpu *vcpu, unsigned i)
{
	return __atomic_load_n(&vcpu->head->mailbox[i], __ATOMIC_RELAXED);
}

static void ring_notify(struct vcpu *vcpu, uint32_t argument)
{
	struct vm *vm = vcpu->vm;
	if (argument >> 16 < vm->device_count)
		virtio_device_notify(vm->devices[argument >> 16], argument & 0xffff);
	else
		atomic_fetch_add(&vm->ignored, 1);
}

static void ring_halt(struct vcpu *vcpu, uint32_t argument)
{
	(void)argument;
	irq_halt(vcpu);
	clock_follow(&vcpu->vm->clock);
}

static void ring_kick(struct vcpu *vcpu, uint32_t argument)
{
	if (argument < vcpu->vm->cpu_count)
		irq_wake(&vcpu->vm->cpus[argument]);
}

static void ring_timer(struct vcpu *vcpu, uint32_t argument)
{
	(void)argument;
	timer_arm(vcpu);
	clock_follow(&vcpu->vm->clock);
}

static void ring_exit(struct vcpu *vcpu, uint32_t argument)
{
	if (argument & LAMPO_EXIT_EXEC) {
		struct err err;
		int error = (int)(argument & 0xfff);
		err_set(&err, -error, "cannot execute %s", vcpu->vm->options->argv[0]);
		vm_fail(vcpu->vm, &err, error == ENOENT ? VM_CODE_NOT_FOUND : VM_CODE_CANNOT_EXECUTE);
	}
	if (argument & LAMPO_EXIT_SIGNAL)
		vm_program_ended(vcpu->vm, VM_CODE_SIGNAL + (int)(argument & 0x7f));
	vm_program_ended(vcpu->vm, (int)(argument & 0xff));
}

static void ring_panic(struct vcpu *vcpu, uint32_t argument)
{
	(void)argument;
	const struct lampo_boot_info *boot = vcpu->vm->boot;
	char text[sizeof(boot->panic_text)];
	uint64_t bytes = min_u64(__atomic_load_n(&boot->panic_bytes, __ATOMIC_RELAXED), sizeof(text) - 1);
	memcpy(text, boot->panic_text, bytes);
	for (uint64_t i = 0; i < bytes; i++) /* one line, nothing that moves a terminal's cursor */
		if ((unsigned char)text[i] < ' ' || (unsigned char)text[i] == 127)
			text[i] = text[i] == '\0' ? '?' : ' ';
	text[bytes] = '\0';
	struct err err;
	err_set(&err, 0, "the kernel in the VM gave up: %s", text);
	vm_fail(vcpu->vm, &err, VM_CODE_LAMPO_FAILED);
}

static void ring_start_cpu(struct vcpu *vcpu, uint32_t argument)
{
	if (argument < vcpu->vm->cpu_count)
		irq_start(&vcpu->vm->cpus[argument]);
}

static void ring_populate(struct vcpu *vcpu, uint32_t argument)
{
	(void)argument;
	memory_populate(&vcpu->vm->memory, mailbox(vcpu, 0), mailbox(vcpu, 1));
}

static void ring_release(struct vcpu *vcpu, uint32_t argument)
{
	(void)argument;
	memory_release(&vcpu->vm->memory, mailbox(vcpu, 0), mailbox(vcpu, 1));
}

static void ring_yield(struct vcpu *vcpu, uint32_t argument)
{
	(void)vcpu;
	(void)argument;
	sched_yield();
}

static void ring_log(struct vcpu *vcpu, uint32_t argument)
{
	(void)argument;
	char text[LOG_BYTES_MAX];
	uint64_t bytes = min_u64(mailbox(vcpu, 1), sizeof(text));
	if (!guest_memory_read(&vcpu->vm->memory.map, (struct guest_addr){mailbox(vcpu, 0)}, text, bytes))
		return;
	for (uint64_t done = 0; done < bytes;) {
		ssize_t n = write(STDERR_FILENO, text + done, bytes - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		done += (uint64_t)n;
	}
}

static void ring_verify(struct vcpu *vcpu, uint32_t argument)
{
	(void)argument;
	root_image_verify(vcpu->vm, mailbox(vcpu, 0), mailbox(vcpu, 1));
	root_image_ahead(vcpu->vm, mailbox(vcpu, 0) + mailbox(vcpu, 1), mailbox(vcpu, 2));
}

static void ring_copy(struct vcpu *vcpu, uint32_t argument)
{
	(void)argument;
	uint64_t list[LAMPO_VERIFY_MAX], count = min_u64(mailbox(vcpu, 2), countof(list));
	if (guest_memory_read(&vcpu->vm->memory.map, (struct guest_addr){mailbox(vcpu, 1)}, list,
			      count * sizeof(list[0])))
		root_image_copy(vcpu->vm, mailbox(vcpu, 0), list, (unsigned)count);
}

typedef void (*doorbell)(struct vcpu *vcpu, uint32_t argument);

#define DOORBELL(port) [((port)-LAMPO_PORT_NOTIFY) / 4]
static const doorbell doorbells[] = {
    DOORBELL(LAMPO_PORT_NOTIFY) = ring_notify,
    DOORBELL(LAMPO_PORT_HALT) = ring_halt,
    DOORBELL(LAMPO_PORT_KICK) = ring_kick,
    DOORBELL(LAMPO_PORT_TIMER) = ring_timer,
    DOORBELL(LAMPO_PORT_EXIT) = ring_exit,
    DOORBELL(LAMPO_PORT_PANIC) = ring_panic,
    DOORBELL(LAMPO_PORT_START_CPU) = ring_start_cpu,
    DOORBELL(LAMPO_PORT_POPULATE) = ring_populate,
    DOORBELL(LAMPO_PORT_RELEASE) = ring_release,
    DOORBELL(LAMPO_PORT_YIELD) = ring_yield,
    DOORBELL(LAMPO_PORT_LOG) = ring_log,
    DOORBELL(LAMPO_PORT_VERIFY) = ring_verify,
    DOORBELL(LAMPO_PORT_COPY) = ring_copy,
};

static void doorbell_ring(struct vcpu *vcpu, uint64_t number, const void *data, uint64_t bytes)
{
	uint32_t argument;
	uint64_t i = number - LAMPO_PORT_NOTIFY;
	if (bytes != sizeof(argument) || i % 4 != 0 || i / 4 >= countof(doorbells)) {
		atomic_fetch_add(&vcpu->vm->ignored, 1);
		return;
	}
	memcpy(&argument, data, sizeof(argument));
	doorbells[i / 4](vcpu, argument);
}

void bus_port_write(struct vcpu *vcpu, uint16_t port, const void *data, uint64_t bytes)
{
	doorbell_ring(vcpu, port, data, bytes);
}

void bus_port_read(struct vcpu *vcpu, void *data, uint64_t bytes)
{
	atomic_fetch_add(&vcpu->vm->ignored, 1);
	memset(data, 0xff, bytes);
}

/* ---- device registers ------------------------------------------------------------------------- */

/* The device at gpa, and the offset in its page; NULL: none. */
static struct virtio_device *device_at(struct vm *vm, uint64_t gpa, uint32_t bytes, uint64_t *offset)
{
	uint64_t index = (gpa - LAMPO_GPA_MMIO) / LAMPO_MMIO_STRIDE;
	*offset = gpa % LAMPO_MMIO_STRIDE;
	if (gpa >= LAMPO_GPA_MMIO && index < vm->device_count && *offset + bytes <= LAMPO_MMIO_STRIDE)
		return vm->devices[index];
	atomic_fetch_add(&vm->ignored, 1);
	return NULL;
}

/* RAM that KVM did not know yet: a guest that uses memory without announcing it. The access is carried out
 * here, the next one will not come. */
static bool ram_access(struct vcpu *vcpu, uint64_t gpa, void *data, uint32_t bytes, bool write)
{
	struct memory *memory = &vcpu->vm->memory;
	struct err err;
	if (gpa >= memory->ram_bytes)
		return false;
	if (memory_reach(memory, gpa + bytes, &err) < 0)
		vm_fail(vcpu->vm, &err, VM_CODE_LAMPO_FAILED);
	struct guest_addr at = {gpa};
	return write ? guest_memory_write(&memory->map, at, data, bytes)
		     : guest_memory_read(&memory->map, at, data, bytes);
}

void bus_mmio_write(struct vcpu *vcpu, uint64_t gpa, void *data, uint32_t bytes)
{
	uint64_t offset = gpa - LAMPO_GPA_DOORBELL;
	if (offset < PAGE_BYTES) {
		doorbell_ring(vcpu, offset, data, bytes);
		return;
	}
	if (ram_access(vcpu, gpa, data, bytes, true))
		return;
	struct virtio_device *device = device_at(vcpu->vm, gpa, bytes, &offset);
	if (device != NULL)
		virtio_mmio_write(device, offset, data, bytes);
}

void bus_mmio_read(struct vcpu *vcpu, uint64_t gpa, void *data, uint32_t bytes)
{
	uint64_t offset;
	if (ram_access(vcpu, gpa, data, bytes, false))
		return;
	struct virtio_device *device = device_at(vcpu->vm, gpa, bytes, &offset);
	if (device != NULL)
		virtio_mmio_read(device, offset, data, bytes);
	else
		memset(data, 0, bytes);
}
