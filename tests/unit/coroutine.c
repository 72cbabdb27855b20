/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/coroutine.h"

#include <stdlib.h>
#include <ucontext.h>

#define STACK_BYTES (256u << 10)

struct coroutine {
	ucontext_t context;
};

struct coroutine *coroutine_new(void (*entry)(void))
{
	struct coroutine *c = calloc(1, sizeof(*c));

	if (c == NULL || getcontext(&c->context) != 0)
		abort();
	if (entry == NULL)
		return c;
	c->context.uc_stack.ss_sp = calloc(1, STACK_BYTES);
	c->context.uc_stack.ss_size = STACK_BYTES;
	makecontext(&c->context, entry, 0);
	return c;
}

void coroutine_switch(struct coroutine *from, struct coroutine *to)
{
	if (from == NULL)
		setcontext(&to->context);
	else
		swapcontext(&from->context, &to->context);
}
