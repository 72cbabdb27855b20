/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doorbells: how nucleo calls the monitor. A doorbell is a 32-bit write of its argument to the doorbell
 * page (LAMPO_GPA_DOORBELL) at offset = the number below: an MMIO exit, which ring 3 can make without
 * the gate and which costs no more than a port write. The same numbers work as I/O ports for kernels
 * that run in ring 0. The write completes when the monitor has handled it; an unknown number is
 * ignored and counted.
 */
#ifndef LAMPO_ABI_DOORBELL_H
#define LAMPO_ABI_DOORBELL_H

#define LAMPO_PORT_NOTIFY 0x510u    /* eax = device << 16 | queue: as a write to QueueNotify (virtio 1.2, 4.2.2) */
#define LAMPO_PORT_HALT 0x514u      /* sleep until an event, a kick or head.deadline_ns; eax = 0 */
#define LAMPO_PORT_KICK 0x518u      /* eax = vCPU index: end its HALT, or interrupt it */
#define LAMPO_PORT_TIMER 0x51cu     /* interrupt this vCPU at head.deadline_ns; ~0 disarms */
#define LAMPO_PORT_EXIT 0x520u      /* eax = exit code 0..255: the program is done, the VM ends */
#define LAMPO_PORT_PANIC 0x524u     /* boot_info.panic_text says why; the VM ends with code 125 */
#define LAMPO_PORT_START_CPU 0x528u /* eax = vCPU index: start it */
#define LAMPO_PORT_POPULATE 0x52cu  /* mailbox[0] = gpa, [1] = bytes: make host memory present (a hint) */
#define LAMPO_PORT_RELEASE 0x530u   /* mailbox[0] = gpa, [1] = bytes: give memory back; reads as zero after */
#define LAMPO_PORT_YIELD 0x534u     /* let another host thread run: a lock is held by a stopped vCPU */
#define LAMPO_PORT_LOG 0x538u       /* mailbox[0] = gpa, [1] = bytes (<= 4096): text for the monitor's stderr */
/* mailbox[0] = first block of 4 KiB of the image, [1] = how many (<= LAMPO_VERIFY_MAX): compares them with the image's
 * Merkle tree, and sets the bits of those that are as they should be in the bitmap at boot_info.image_verified_gpa.
 * Blocks without their bit are never to be used. mailbox[2] = how many of those that follow will probably be asked for
 * next: the monitor may do the same for them while the guest goes on. */
#define LAMPO_PORT_VERIFY 0x53cu
#define LAMPO_VERIFY_MAX 64u
/* mailbox[0] = first block of the image, [1] = gpa of a list of gpas (8 bytes each), [2] = how many (<=
 * LAMPO_VERIFY_MAX): copies one block after another to the pages of RAM in the list, each if it is as it should be, and
 * sets their bits as above. One request, where copying in the guest would cost a fault of the host's for every page. */
#define LAMPO_PORT_COPY 0x540u

/* Exit by a signal: LAMPO_PORT_EXIT with eax = LAMPO_EXIT_SIGNAL | signal number. */
#define LAMPO_EXIT_SIGNAL 0x100u
/* The program could not be started: eax = LAMPO_EXIT_EXEC | errno. The monitor makes 126 or 127 of it. */
#define LAMPO_EXIT_EXEC 0x1000u

/* Interrupt vectors. */
#define LAMPO_VECTOR_IRQ 0x20u /* injected by the monitor: timer, kick, device event */

#endif
