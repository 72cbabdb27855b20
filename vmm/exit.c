/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/exit.h"

#include <errno.h>
#include <stdio.h>

#include "base/util.h"
#include "vmm/bus.h"
#include "vmm/irq.h"
#include "vmm/vm.h"

static void on_nothing(struct vcpu *vcpu) { (void)vcpu; /* irq_deliver() looks before the next entry */ }

static void on_port(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint64_t bytes = (uint64_t)run->io.size * run->io.count;
	if (run->io.data_offset > vcpu->run_bytes || bytes > vcpu->run_bytes - run->io.data_offset)
		return; /* not KVM as we know it */
	void *data = (uint8_t *)run + run->io.data_offset;
	if (run->io.direction == KVM_EXIT_IO_OUT)
		bus_port_write(vcpu, run->io.port, data, bytes);
	else
		bus_port_read(vcpu, data, bytes);
}

static void on_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint32_t bytes = run->mmio.len <= sizeof(run->mmio.data) ? run->mmio.len : (uint32_t)sizeof(run->mmio.data);
	if (run->mmio.is_write)
		bus_mmio_write(vcpu, run->mmio.phys_addr, run->mmio.data, bytes);
	else
		bus_mmio_read(vcpu, run->mmio.phys_addr, run->mmio.data, bytes);
}

static void on_halt(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->head->deadline_ns, UINT64_MAX, __ATOMIC_RELAXED);
	irq_halt(vcpu);
}

_Noreturn static void fail(struct vcpu *vcpu, const char *what, const char *hint)
{
	struct err err;
	err_set(&err, 0, "the guest stopped at address %#llx of vCPU %u: %s!", (unsigned long long)regs_rip(vcpu->fd),
		vcpu->index, what);
	if (hint != NULL)
		err_hint(&err, "%s", hint);
	vm_fail(vcpu->vm, &err, VM_CODE_LAMPO_FAILED);
}

static void on_shutdown(struct vcpu *vcpu) { fail(vcpu, "a fault while it handled a fault (triple fault)", NULL); }

/* Whether there was RAM that KVM did not know: the instruction may only have wanted that. KVM knows it now. */
static bool memory_missing(struct vcpu *vcpu)
{
	struct memory *memory = &vcpu->vm->memory;
	struct err err;
	if (atomic_load(&memory->slots_end) == memory->ram_bytes)
		return false;
	if (memory_reach(memory, memory->ram_bytes, &err) < 0)
		vm_fail(vcpu->vm, &err, VM_CODE_LAMPO_FAILED);
	return true;
}

static void on_internal_error(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION && memory_missing(vcpu))
		return;
	if (run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION)
		fail(vcpu, "an internal error of KVM", "the host's kernel log may say more");
	char what[160];
	int n = snprintf(what, sizeof(what), "this host's KVM cannot run its ring-0 code");
	/* The bytes of the instruction, where KVM tells them. */
	if (run->internal.ndata >= 2 &&
	    run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) {
		n += snprintf(what + n, sizeof(what) - (size_t)n, " (instruction");
		for (unsigned i = 0; i < run->emulation_failure.insn_size && i < 15; i++)
			n +=
			    snprintf(what + n, sizeof(what) - (size_t)n, " %02x", run->emulation_failure.insn_bytes[i]);
		snprintf(what + n, sizeof(what) - (size_t)n, ")");
	}
	fail(vcpu, what,
	     "KVM emulates ring 0 here and does not know this instruction: use a host with VMX or SVM for this kernel");
}

static void on_fail_entry(struct vcpu *vcpu)
{
	char what[80];
	snprintf(what, sizeof(what), "the processor refused to enter it (reason %#llx)",
		 (unsigned long long)vcpu->run->fail_entry.hardware_entry_failure_reason);
	fail(vcpu, what, NULL);
}

typedef void (*exit_handler)(struct vcpu *vcpu);

static const exit_handler exit_handlers[] = {
    [KVM_EXIT_IO] = on_port,
    [KVM_EXIT_MMIO] = on_mmio,
    [KVM_EXIT_HLT] = on_halt,
    [KVM_EXIT_INTR] = on_nothing,
    [KVM_EXIT_IRQ_WINDOW_OPEN] = on_nothing,
    [KVM_EXIT_SHUTDOWN] = on_shutdown,
    [KVM_EXIT_INTERNAL_ERROR] = on_internal_error,
    [KVM_EXIT_FAIL_ENTRY] = on_fail_entry,
};

void exit_handle(struct vcpu *vcpu)
{
	uint32_t reason = vcpu->run->exit_reason;
	exit_handler handler = reason < countof(exit_handlers) ? exit_handlers[reason] : NULL;
	if (handler != NULL) {
		handler(vcpu);
		return;
	}
	char what[48];
	snprintf(what, sizeof(what), "unknown exit of KVM, reason %u", reason);
	fail(vcpu, what, NULL);
}
