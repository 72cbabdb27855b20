/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"
#include "vmm/jail.h"

#include "seccomp_programs.h" /* made by vmm/seccomp/generate.c */

#define PROGRAM(name)                                                                                                  \
	{                                                                                                              \
		.len = countof(seccomp_##name), .filter = (struct sock_filter *)(uintptr_t)seccomp_##name              \
	}

int jail_seccomp_load(const struct jail *jail, enum jail_role role)
{
	static const struct sock_fprog device = PROGRAM(device), vcpu = PROGRAM(vcpu), vcpu_read = PROGRAM(vcpu_read),
				       vcpu_write = PROGRAM(vcpu_write);
	const struct sock_fprog *program = role == JAIL_DEVICE ? &device
					   : jail->writes      ? &vcpu_write
					   : jail->exports     ? &vcpu_read
							       : &vcpu;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program) < 0 ? -errno : 0;
}
