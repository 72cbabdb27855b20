/* SPDX-License-Identifier: Apache-2.0 */
/* What this host's KVM is: found out by running a few instructions in a VM of two MiB. */
#ifndef LAMPO_CLI_PROBE_KVM_H
#define LAMPO_CLI_PROBE_KVM_H

#include <stdbool.h>

struct probe_kvm {
	int open_error;   /* errno of opening /dev/kvm, 0: open */
	int api_version;  /* 12 is the only one there is */
	bool ran;         /* ring 0 code ran in a VM */
	char failure[96]; /* if it did not: what failed */
	double ring0_ns;  /* per instruction of ring 0; native ones need about one */
	double exit_us;   /* one exit and entry */
};

/* More than this is no processor's doing but an emulator's. */
#define PROBE_KVM_EMULATED_NS 50.0

void probe_kvm(struct probe_kvm *probe);

#endif
