/* SPDX-License-Identifier: Apache-2.0 */
/* One one-shot timer per vCPU: it interrupts the vCPU, as a kick does. */
#ifndef LAMPO_VMM_TIMER_H
#define LAMPO_VMM_TIMER_H

#include "base/host/err.h"

struct vcpu;

/* Makes the timer; in the vCPU's thread, before the lock-down. */
int timer_open(struct vcpu *vcpu, struct err *err);
/* Arms it for head.deadline_ns, or disarms it if that is ~0. In the vCPU's thread. */
void timer_arm(struct vcpu *vcpu);

#endif
