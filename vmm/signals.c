/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/signals.h"

#include <signal.h>

#include "base/util.h"
#include "vmm/irq.h"
#include "vmm/vm.h"

#define LOOK_MS 100ull
#define NS_PER_MS 1000000ull

static uint64_t bit_of(unsigned signal) { return 1ull << (signal - 1); }

static bool asks_to_end(unsigned signal)
{
	return signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT;
}

void signals_send(struct vm *vm, unsigned signal)
{
	struct signals *signals = &vm->signals;
	if (asks_to_end(signal) && atomic_load(&vm->exit_code) >= 0)
		vm_end(vm, VM_CODE_SIGNAL + (int)signal);
	uint64_t before = __atomic_fetch_or(&vm->boot->signals, bit_of(signal), __ATOMIC_SEQ_CST);
	if (asks_to_end(signal) && (signals->watched == 0 || !(before & bit_of(signals->watched))))
		*signals = (struct signals){.watched = signal, .looked_ns = clock_now_ns()};
	irq_wake_any(vm);
}

/* A vCPU waits for the monitor, on the host's files for one: not the kernel's fault. */
static bool is_serving(const struct vm *vm)
{
	for (unsigned i = 0; i < vm->cpu_count; i++)
		if (atomic_load_explicit(&vm->cpus[i].serving, memory_order_relaxed) &&
		    !(atomic_load(&vm->cpus[i].state) & VCPU_HALTED))
			return true;
	return false;
}

unsigned signals_watch(struct vm *vm)
{
	struct signals *signals = &vm->signals;
	if (signals->watched == 0)
		return EVENT_TICK_MS;
	if (!(__atomic_load_n(&vm->boot->signals, __ATOMIC_RELAXED) & bit_of(signals->watched))) {
		signals->watched = 0;
		return EVENT_TICK_MS;
	}
	/* In small steps: the whole monitor may have been stopped for hours (job control). */
	uint64_t now_ns = clock_now_ns();
	if (!is_serving(vm))
		signals->waited_ns += min_u64(now_ns - signals->looked_ns, 2 * LOOK_MS * NS_PER_MS);
	signals->looked_ns = now_ns;
	if (signals->waited_ns < SIGNALS_PATIENCE_MS * NS_PER_MS)
		return LOOK_MS;
	struct err err;
	err_set(&err, 0, "the kernel in the VM does not respond to signal %u: the VM is ended", signals->watched);
	vm_fail(vm, &err, VM_CODE_SIGNAL + (int)signals->watched);
}
