/* SPDX-License-Identifier: Apache-2.0 */
/* The system's names, for /proc/sys/kernel and /proc/version. */
#ifndef NUCLEO_SYS_MISC_H
#define NUCLEO_SYS_MISC_H

#define NUCLEO_RELEASE "6.1.0-lampo"
#define NUCLEO_VERSION "#1 SMP PREEMPT_DYNAMIC nucleo"

const char *misc_hostname(void);
const char *misc_domainname(void);

#endif
