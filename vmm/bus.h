/* SPDX-License-Identifier: Apache-2.0 */
/* Where the guest's accesses go: device registers and doorbells by address, doorbells also by port
 * (include/abi/doorbell.h). What is nowhere reads as all ones (ports) or 0, and ignores writes. */
#ifndef LAMPO_VMM_BUS_H
#define LAMPO_VMM_BUS_H

#include <stdint.h>

struct vcpu;

void bus_port_write(struct vcpu *vcpu, uint16_t port, const void *data, uint64_t bytes);
void bus_port_read(struct vcpu *vcpu, void *data, uint64_t bytes);
void bus_mmio_write(struct vcpu *vcpu, uint64_t gpa, void *data, uint32_t bytes);
void bus_mmio_read(struct vcpu *vcpu, uint64_t gpa, void *data, uint32_t bytes);

#endif
