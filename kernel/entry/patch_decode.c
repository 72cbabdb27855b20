/* SPDX-License-Identifier: Apache-2.0 */
/* Which system call sites can be patched, and how (patch.h). Portable. */
#include "kernel/entry/patch.h"

/* Opcodes that raise #UD in 64-bit mode whatever follows (Intel SDM volume 2, appendix A). */
static bool is_invalid_opcode(uint8_t byte)
{
	static const uint8_t invalid[] = {0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37,
					  0x3f, 0x60, 0x61, 0x82, 0x9a, 0xce, 0xd4, 0xd5, 0xd6, 0xea};

	for (unsigned i = 0; i < countof(invalid); i++) {
		if (invalid[i] == byte)
			return true;
	}
	return false;
}

/* Length of the instruction if it means the same at another address, 0 if it is not on the list.
 * Register-only forms and those with stack or register-relative operands without displacement tricks. */
static unsigned movable_length(const uint8_t *code, unsigned bytes)
{
	unsigned prefix = 0;

	if (bytes >= 2 && (code[0] & 0xf0) == 0x40) /* REX */
		prefix = 1;
	if (bytes < prefix + 1)
		return 0;
	uint8_t op = code[prefix];
	if ((op & 0xf0) == 0x50) /* push, pop */
		return prefix + 1;
	if (op == 0x90 || op == 0x98 || op == 0x99) /* nop, cdqe, cdq */
		return prefix + 1;
	if (op == 0x3d || op == 0x25 || op == 0x05 || op == 0xa9) /* cmp, and, add, test with eax/rax, imm32 */
		return prefix + 5;
	if (op == 0x3c || op == 0xa8) /* cmp, test with al, imm8 */
		return prefix + 2;
	if ((op & 0xf8) == 0xb8) /* mov imm to register */
		return prefix == 1 && (code[0] & 8) != 0 ? 10 : prefix + 5;
	if (bytes < prefix + 2)
		return 0;
	uint8_t modrm = code[prefix + 1];
	bool simple = op == 0x89 || op == 0x8b || op == 0x85 || op == 0x39 || op == 0x3b || op == 0x31 || op == 0x33 ||
		      op == 0x01 || op == 0x03 || op == 0x29 || op == 0x2b || op == 0x21 || op == 0x09 || op == 0x63 ||
		      op == 0x8d;
	bool immediate8 = op == 0x83 || op == 0xc1;
	bool immediate32 = op == 0x81;
	if (!simple && !immediate8 && !immediate32 && op != 0xf7)
		return 0;
	unsigned length = prefix + 2;
	if (op == 0xf7 && (modrm & 0x38) < 0x10) /* test imm32; not and neg have no immediate */
		length += 4;
	unsigned mod = modrm >> 6, rm = modrm & 7;
	if (mod != 3) {
		if (mod == 0 && rm == 5) /* rip-relative */
			return 0;
		if (rm == 4) {
			if (bytes < prefix + 3 || (mod == 0 && (code[prefix + 2] & 7) == 5))
				return 0;
			length++;
		}
		length += mod == 1 ? 1 : mod == 2 ? 4 : 0;
	}
	return length + (immediate8 ? 1 : 0) + (immediate32 ? 4 : 0);
}

/* Whether only padding follows up to `need` bytes: nothing that anybody executes. */
static bool is_padding(const uint8_t *code, unsigned bytes, unsigned need)
{
	unsigned at = 0;

	while (at < need) {
		const uint8_t *c = code + at;
		unsigned left = bytes - at;

		if (left >= 1 && (c[0] == 0x90 || c[0] == 0xcc))
			at += 1;
		else if (left >= 2 && c[0] == 0x66 && c[1] == 0x90)
			at += 2;
		else if (left >= 3 && c[0] == 0x0f && c[1] == 0x1f)
			at += 3;
		else if (left >= 4 && c[0] == 0x66 && c[1] == 0x0f && c[2] == 0x1f)
			at += 4;
		else if (left >= 4 && c[0] == 0x66 && c[1] == 0x2e && c[2] == 0x0f && c[3] == 0x1f)
			at += 5;
		else
			return false;
	}
	return true;
}

static bool plan_behind(struct patch_plan *plan, const uint8_t *after, unsigned bytes)
{
	unsigned length = 0;

	while (length < 3) {
		plan->boundary[plan->boundaries++] = 2 + length;
		if (length < bytes && after[length] == 0xc3) { /* ret; the rest must be nobody's */
			unsigned next = length + 1;
			if (next < 3 && !is_padding(after + next, bytes - next, 3 - next))
				return false;
			plan->displaced = next;
			plan->ends = true;
			return true;
		}
		unsigned step = movable_length(after + length, bytes - length);
		if (step == 0 || length + step > bytes || length + step > PATCH_DISPLACED_MAX)
			return false;
		length += step;
	}
	plan->displaced = length;
	return true;
}

bool patch_plan(struct patch_plan *plan, uint64_t number, const uint8_t before[8], const uint8_t *after,
		unsigned after_bytes)
{
	uint32_t immediate =
	    (uint32_t)before[4] | (uint32_t)before[5] << 8 | (uint32_t)before[6] << 16 | (uint32_t)before[7] << 24;

	*plan = (struct patch_plan){0};
	if (immediate == number) {
		if (before[3] == 0xb8 && (before[2] & 0xf0) != 0x40 && before[2] != 0x66) {
			plan->number_before = true;
			plan->start = 5;
			return true;
		}
		if (before[3] == 0xc0 && before[2] == 0xc7 && before[1] == 0x48) {
			plan->number_before = true;
			plan->start = 7;
			return true;
		}
	}
	return plan_behind(plan, after, after_bytes);
}

bool patch_distance_fits(const struct patch_plan *plan, int32_t distance)
{
	for (unsigned i = 0; i < plan->boundaries; i++) {
		/* Byte n of the jump is byte n - 1 of its distance. */
		if (!is_invalid_opcode((uint8_t)((uint32_t)distance >> (8 * (plan->boundary[i] - 1)))))
			return false;
	}
	return true;
}
