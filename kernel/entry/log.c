/* SPDX-License-Identifier: Apache-2.0 */
/* Lines for the monitor's log, and the end of a broken kernel. */
#include "abi/doorbell.h"
#include "kernel/arch.h"
#include "kernel/entry/machine.h"

void klog(const char *format, ...)
{
	static char line[1024];
	va_list args;

	va_start(args, format);
	int length = kvsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	size_t bytes = (size_t)length < sizeof(line) - 1 ? (size_t)length : sizeof(line) - 2;
	line[bytes] = '\n';
	for (size_t done = 0; done < bytes + 1;) {
		/* The buffer lies in the kernel's own segment, not in the direct map: by way of the boot page. */
		size_t part = min_u64(bytes + 1 - done, sizeof(boot_info->panic_text));
		memcpy(boot_info->panic_text, line + done, part);
		arch_doorbell_mailbox(LAMPO_PORT_LOG, arch_virt_to_phys(boot_info->panic_text), part);
		done += part;
	}
}

void panic(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int length = kvsnprintf(boot_info->panic_text, sizeof(boot_info->panic_text), format, args);
	va_end(args);
	boot_info->panic_bytes = min_u64((uint64_t)length, sizeof(boot_info->panic_text) - 1);
	machine_ring(LAMPO_PORT_PANIC, 0);
	for (;;)
		machine_ring(LAMPO_PORT_HALT, 0);
}
