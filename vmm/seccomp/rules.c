/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/seccomp/rules.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/util.h"
#include "vmm/irq.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

#define ANY 0, 0, 0
/* One value of an argument; none of these bits in it. */
#define IS(argument, wanted) 0xffffffffu, (wanted), (argument)
#define WITHOUT(argument, bits) (bits), 0, (argument)

const struct seccomp_rule seccomp_rules[] = {
    /* ---- memory and threads of the process itself ---- */
    {SYS_futex, SECCOMP_ALL, ANY, "locks; the sleep of a halted vCPU"},
    {SYS_mmap, SECCOMP_ALL, WITHOUT(2, PROT_EXEC), "malloc"},
    {SYS_mprotect, SECCOMP_ALL, WITHOUT(2, PROT_EXEC), "malloc"},
    {SYS_munmap, SECCOMP_ALL, ANY, "malloc"},
    {SYS_mremap, SECCOMP_ALL, ANY, "malloc"},
    {SYS_brk, SECCOMP_ALL, ANY, "malloc"},
    {SYS_madvise, SECCOMP_ALL, ANY, "malloc; guest memory made present or given back"},
    {SYS_tgkill, SECCOMP_ALL, IS(2, IRQ_SIGNAL), "kick a running vCPU"},
    {SYS_rt_sigreturn, SECCOMP_ALL, ANY, "end of the kick's handler"},
    {SYS_rt_sigprocmask, SECCOMP_ALL, ANY, "the C library's locks"},
    {SYS_restart_syscall, SECCOMP_ALL, ANY, "a call interrupted by a stop signal"},
    {SYS_getpid, SECCOMP_ALL, ANY, "for tgkill; status"},
    {SYS_gettid, SECCOMP_ALL, ANY, "the C library's locks"},
    {SYS_clock_gettime, SECCOMP_ALL, ANY, "processor time for the status; hosts whose clock is no TSC"},
    {SYS_sched_yield, SECCOMP_ALL, ANY, "doorbell YIELD; the C library's locks"},
    {SYS_pause, SECCOMP_ALL, ANY, "a thread waits while another one ends the VM"},
    {SYS_exit_group, SECCOMP_ALL, ANY, "the end"},
    /* ---- streams and sockets, all open already ---- */
    {SYS_read, SECCOMP_ALL, ANY, "standard input"},
    {SYS_readv, SECCOMP_ALL, ANY, "standard input"},
    {SYS_write, SECCOMP_ALL, ANY, "output, log, file of the exit code"},
    {SYS_writev, SECCOMP_ALL, ANY, "output"},
    {SYS_fcntl, SECCOMP_ALL, IS(1, F_SETFD), "the C library after opening a file"},
    {SYS_fcntl, SECCOMP_ALL, IS(1, F_GETFL), "state of a stream"},
    {SYS_epoll_ctl, SECCOMP_ALL, ANY, "watch a stream that would block"},
    {SYS_sendto, SECCOMP_ALL, ANY, "reports; replies of the control socket"},
    /* ---- the state directory ---- */
    {SYS_openat, SECCOMP_ALL, ANY, "file of the exit code (Landlock: in the state directory only)"},
    {SYS_renameat, SECCOMP_ALL, ANY, "file of the exit code"},
    {SYS_close, SECCOMP_ALL, ANY, "file of the exit code; files of the guest; control clients"},
    /* ---- vCPUs ---- */
    {SYS_ioctl, SECCOMP_VCPU, IS(1, KVM_RUN), "run the guest"},
    {SYS_ioctl, SECCOMP_VCPU, IS(1, KVM_SET_USER_MEMORY_REGION), "guest memory that the guest is going to use"},
    {SYS_ioctl, SECCOMP_VCPU, IS(1, KVM_INTERRUPT), "interrupt the guest"},
    {SYS_ioctl, SECCOMP_VCPU, IS(1, KVM_GET_REGS), "where a guest stopped, for the diagnosis"},
    {SYS_timer_settime, SECCOMP_VCPU, ANY, "doorbell TIMER"},
    {SYS_getrandom, SECCOMP_VCPU, ANY, "rng device"},
    /* ---- exported directories: look and read. The directories' descriptors and Landlock bound them. ---- */
    {SYS_openat2, SECCOMP_FS, ANY, "every step of a path; opening a file"},
    {SYS_fcntl, SECCOMP_FS, IS(1, F_DUPFD_CLOEXEC), "opening an export that is one file"},
    {SYS_statx, SECCOMP_FS, ANY, "attributes"},
    {SYS_newfstatat, SECCOMP_FS, ANY, "attributes"},
    {SYS_fstat, SECCOMP_FS | SECCOMP_DEVICE, ANY, "attributes; guest memory present, for the status"},
    {SYS_statfs, SECCOMP_FS, ANY, "FUSE_STATFS"},
    {SYS_fstatfs, SECCOMP_FS, ANY, "FUSE_STATFS"},
    {SYS_faccessat2, SECCOMP_FS, ANY, "FUSE_ACCESS"},
    {SYS_readlinkat, SECCOMP_FS, ANY, "FUSE_READLINK"},
    {SYS_getdents64, SECCOMP_FS, ANY, "FUSE_READDIR"},
    {SYS_lseek, SECCOMP_FS, ANY, "FUSE_READDIR, FUSE_LSEEK"},
    {SYS_pread64, SECCOMP_FS, ANY, "FUSE_READ"},
    {SYS_preadv, SECCOMP_FS, ANY, "FUSE_READ"},
    {SYS_preadv2, SECCOMP_FS, ANY, "FUSE_READ"},
    {SYS_fgetxattr, SECCOMP_FS, ANY, "FUSE_GETXATTR"},
    {SYS_flistxattr, SECCOMP_FS, ANY, "FUSE_LISTXATTR"},
    {SYS_getxattr, SECCOMP_FS, ANY, "FUSE_GETXATTR"},
    {SYS_listxattr, SECCOMP_FS, ANY, "FUSE_LISTXATTR"},
    /* ---- read-write volumes ---- */
    {SYS_pwrite64, SECCOMP_FS_WRITE, ANY, "FUSE_WRITE"},
    {SYS_pwritev, SECCOMP_FS_WRITE, ANY, "FUSE_WRITE"},
    {SYS_pwritev2, SECCOMP_FS_WRITE, ANY, "FUSE_WRITE, appending"},
    {SYS_copy_file_range, SECCOMP_FS_WRITE, ANY, "FUSE_COPY_FILE_RANGE"},
    {SYS_ftruncate, SECCOMP_FS_WRITE, ANY, "FUSE_SETATTR"},
    {SYS_fallocate, SECCOMP_FS_WRITE, ANY, "FUSE_FALLOCATE"},
    {SYS_fchmod, SECCOMP_FS_WRITE, ANY, "FUSE_SETATTR"},
    {SYS_fchmodat, SECCOMP_FS_WRITE, ANY, "FUSE_SETATTR"},
    {SYS_fchmodat2, SECCOMP_FS_WRITE, ANY, "FUSE_SETATTR"},
    {SYS_fchown, SECCOMP_FS_WRITE, ANY, "FUSE_SETATTR"},
    {SYS_fchownat, SECCOMP_FS_WRITE, ANY, "FUSE_SETATTR"},
    {SYS_utimensat, SECCOMP_FS_WRITE, ANY, "FUSE_SETATTR"},
    {SYS_mkdirat, SECCOMP_FS_WRITE, ANY, "FUSE_MKDIR"},
    {SYS_mknodat, SECCOMP_FS_WRITE, ANY, "FUSE_MKNOD (no devices: the fs device and the lack of CAP_MKNOD)"},
    {SYS_symlinkat, SECCOMP_FS_WRITE, ANY, "FUSE_SYMLINK"},
    {SYS_linkat, SECCOMP_FS_WRITE, ANY, "FUSE_LINK"},
    {SYS_unlinkat, SECCOMP_FS_WRITE, ANY, "FUSE_UNLINK, FUSE_RMDIR"},
    {SYS_renameat2, SECCOMP_FS_WRITE, ANY, "FUSE_RENAME2"},
    {SYS_fsync, SECCOMP_FS_WRITE, ANY, "FUSE_FSYNC"},
    {SYS_fdatasync, SECCOMP_FS_WRITE, ANY, "FUSE_FSYNC"},
    {SYS_syncfs, SECCOMP_FS_WRITE, ANY, "FUSE_SYNCFS"},
    {SYS_fsetxattr, SECCOMP_FS_WRITE, ANY, "FUSE_SETXATTR"},
    {SYS_fremovexattr, SECCOMP_FS_WRITE, ANY, "FUSE_REMOVEXATTR"},
    /* ---- the device thread ---- */
    {SYS_epoll_wait, SECCOMP_DEVICE, ANY, "the event loop"},
    {SYS_epoll_pwait, SECCOMP_DEVICE, ANY, "the event loop"},
    {SYS_accept4, SECCOMP_DEVICE, ANY, "control socket"},
    {SYS_recvfrom, SECCOMP_DEVICE, ANY, "requests of the control socket"},
    /* ---- test builds ---- */
    {SYS_sigaltstack, SECCOMP_TEST, ANY, "the address sanitizer, in functions that do not return"},
};

const size_t seccomp_rule_count = countof(seccomp_rules);
