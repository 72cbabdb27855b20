/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/proc/exec_stack.h"

#include <cpuid.h>
#include <linux/auxvec.h>

#include "kernel/mm/vma.h"
#include "kernel/proc/process.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

#define STRING_MAX (128u << 10) /* MAX_ARG_STRLEN */
#define STRINGS_MAX (6u << 20)
#define PLATFORM "x86_64"
#define RANDOM_BYTES 16u
#define AUXV_PAIRS_MAX 24u
/* A signal frame without the FPU state: ucontext, siginfo, return address, red zone, alignment. */
#define SIGNAL_FRAME_BYTES 1088u

static unsigned argument_count(const struct exec_stack *stack)
{
	return stack->prefix_count + stack->strings->argc - stack->skip;
}

static const char *argument(const struct exec_stack *stack, unsigned i)
{
	return i < stack->prefix_count ? stack->prefix[i] : stack->strings->argv[i - stack->prefix_count + stack->skip];
}

static uint64_t table_bytes(const struct exec_stack *stack)
{
	return (1 + argument_count(stack) + 1 + stack->strings->envc + 1 + 2ull * AUXV_PAIRS_MAX) * sizeof(uint64_t);
}

int exec_stack_measure(const struct exec_stack *stack, uint64_t *bytes)
{
	uint64_t limit = min_u64(STRINGS_MAX, max_u64(current->process->limits[RLIMIT_STACK].rlim_cur / 4, STRING_MAX));
	uint64_t total = strlen(stack->path) + 1 + sizeof(PLATFORM) + RANDOM_BYTES + 64;
	unsigned count = argument_count(stack), all = count + stack->strings->envc;
	for (unsigned i = 0; i < all; i++) {
		uint64_t n = strlen(i < count ? argument(stack, i) : stack->strings->envp[i - count]) + 1;
		total += n;
		if (n > STRING_MAX || total > limit)
			return -E2BIG;
	}
	total += table_bytes(stack);
	*bytes = total;
	return total > limit ? -E2BIG : 0;
}

/* Puts bytes below *at. */
static int push(struct mm *mm, uint64_t *at, const void *data, uint64_t bytes)
{
	*at -= bytes;
	return mm_write(mm, *at, data, bytes);
}

static int push_strings(struct mm *mm, uint64_t *at, const struct exec_stack *stack, bool environment, uint64_t *table)
{
	unsigned count = environment ? stack->strings->envc : argument_count(stack);
	for (unsigned i = count; i-- > 0;) {
		const char *text = environment ? stack->strings->envp[i] : argument(stack, i);
		int r = push(mm, at, text, strlen(text) + 1);
		if (r != 0)
			return r;
		table[i] = *at;
	}
	table[count] = 0;
	return 0;
}

struct auxv {
	uint64_t *at;
	unsigned pairs;
};

static void aux(struct auxv *auxv, uint64_t type, uint64_t value)
{
	kassert(auxv->pairs < AUXV_PAIRS_MAX);
	auxv->at[2ull * auxv->pairs] = type;
	auxv->at[2ull * auxv->pairs + 1] = value;
	auxv->pairs++;
}

static void fill_auxv(uint64_t *at, const struct exec_stack *stack, uint64_t random, uint64_t platform, uint64_t execfn)
{
	const struct credentials *c = &current->process->credentials;
	unsigned a, b, features = 0, d = 0;
	if (__get_cpuid(1, &a, &b, &features, &d) == 0)
		d = 0;
	struct auxv auxv = {at, 0};
	aux(&auxv, AT_SYSINFO_EHDR, stack->vdso);
	aux(&auxv, AT_MINSIGSTKSZ, boot_info->xsave_bytes + SIGNAL_FRAME_BYTES);
	aux(&auxv, AT_HWCAP, d);
	aux(&auxv, AT_PAGESZ, PAGE_SIZE);
	aux(&auxv, AT_CLKTCK, 100);
	aux(&auxv, AT_PHDR, stack->phdr);
	aux(&auxv, AT_PHENT, 56);
	aux(&auxv, AT_PHNUM, stack->phdr_count);
	aux(&auxv, AT_BASE, stack->base);
	aux(&auxv, AT_FLAGS, 0);
	aux(&auxv, AT_ENTRY, stack->entry);
	aux(&auxv, AT_UID, c->uid);
	aux(&auxv, AT_EUID, c->euid);
	aux(&auxv, AT_GID, c->gid);
	aux(&auxv, AT_EGID, c->egid);
	aux(&auxv, AT_SECURE, 0);
	aux(&auxv, AT_RANDOM, random);
	aux(&auxv, AT_HWCAP2, 0);
	aux(&auxv, AT_EXECFN, execfn);
	aux(&auxv, AT_PLATFORM, platform);
	aux(&auxv, AT_NULL, 0);
}

static int write_all(struct mm *mm, struct exec_stack *stack, uint64_t *table)
{
	unsigned argc = argument_count(stack), envc = stack->strings->envc;
	uint64_t *argv = table + 1, *envp = argv + argc + 1, *auxv = envp + envc + 1;
	uint8_t random[RANDOM_BYTES];
	uint64_t at = stack->top - 8; /* a zero word ends it all */
	arch_random(random, sizeof(random));
	int r = push(mm, &at, stack->path, strlen(stack->path) + 1);
	uint64_t execfn = at;
	mm->env_end = at;
	if (r == 0)
		r = push_strings(mm, &at, stack, true, envp);
	mm->env_start = mm->arg_end = at;
	if (r == 0)
		r = push_strings(mm, &at, stack, false, argv);
	mm->arg_start = at;
	if (r == 0)
		r = push(mm, &at, PLATFORM, sizeof(PLATFORM));
	uint64_t platform = at;
	at = align_down(at, 16);
	if (r == 0)
		r = push(mm, &at, random, sizeof(random));
	if (r != 0)
		return r;
	table[0] = argc;
	fill_auxv(auxv, stack, at, platform, execfn);
	memcpy(mm->auxv, auxv, 2ull * AUXV_PAIRS_MAX * sizeof(uint64_t));
	stack->sp = mm->stack_start = align_down(at - table_bytes(stack), 16);
	return mm_write(mm, stack->sp, table, table_bytes(stack));
}

int exec_stack_write(struct mm *mm, struct exec_stack *stack)
{
	_Static_assert(sizeof(mm->auxv) == 2ull * AUXV_PAIRS_MAX * sizeof(uint64_t), "auxv fits");
	uint64_t *table = kzalloc(table_bytes(stack));
	if (table == NULL)
		return -ENOMEM;
	int r = write_all(mm, stack, table);
	kfree(table);
	return r == -EFAULT ? -ENOMEM : r;
}
