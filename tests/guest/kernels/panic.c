/* SPDX-License-Identifier: Apache-2.0 */
/* Gives up with a text that is too long, not ended, and full of control characters: 125 and one line. */
#include "tests/guest/kernels/kernel.h"

void kernel_main(struct lampo_boot_info *boot, uint32_t cpu)
{
	(void)cpu;
	static const char text[] = "out of\nideas \x1b[2J";
	for (unsigned i = 0; i < sizeof(boot->panic_text); i++)
		boot->panic_text[i] = i < sizeof(text) ? text[i] : 'x';
	boot->panic_bytes = UINT64_MAX;
	doorbell(LAMPO_PORT_PANIC, 0);
}
