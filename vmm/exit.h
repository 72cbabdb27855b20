/* SPDX-License-Identifier: Apache-2.0 */
/* Why KVM came back, and what is done about it. */
#ifndef LAMPO_VMM_EXIT_H
#define LAMPO_VMM_EXIT_H

struct vcpu;

/* Handles the exit in vcpu->run; returns if the guest may go on. In the vCPU's thread. */
void exit_handle(struct vcpu *vcpu);

#endif
