/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts to switch between, apart from the kernel's headers, with which <ucontext.h> does not agree. */
#ifndef TESTS_COROUTINE_H
#define TESTS_COROUTINE_H

struct coroutine;

/* One that runs entry() on a stack of its own when first switched to; entry = NULL: the present context. */
struct coroutine *coroutine_new(void (*entry)(void));
/* Saves the running context in `from` (NULL: it is never needed again) and goes on with `to`. */
void coroutine_switch(struct coroutine *from, struct coroutine *to);

#endif
