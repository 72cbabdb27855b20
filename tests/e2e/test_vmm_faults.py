#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each system call of the monitor's set-up fails once, the n-th time: the run still works, or ends with code 125
and one sentence. With strace's fault injection and a test kernel.

Exit status: 0, or 1 if one failed, or 77 if this host has no KVM or no strace.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

BUILD = os.path.abspath(os.environ.get("LAMPO_BUILD") or os.path.join(os.path.dirname(__file__), "..", "..", "build"))
MONITOR = os.path.join(BUILD, "lampo-vmm")
KERNEL = os.path.join(BUILD, "tests", "kernels", "hello")

CALLS = [
    ("open", "EMFILE"), ("ioctl", "ENOMEM"), ("mmap", "ENOMEM"), ("memfd_create", "ENOMEM"), ("ftruncate", "ENOSPC"),
    ("fcntl", "EMFILE"), ("epoll_create1", "EMFILE"), ("epoll_ctl", "ENOSPC"), ("timer_create", "EAGAIN"),
    ("clone", "EAGAIN"), ("getrandom", "ENOSYS"), ("madvise", "ENOMEM"), ("prctl", "EPERM"), ("seccomp", "EINVAL"),
    ("landlock_create_ruleset", "ENOSYS"), ("landlock_add_rule", "ENOMEM"), ("landlock_restrict_self", "EPERM"),
    ("capset", "EPERM"), ("capget", "EPERM"), ("fstat", "EIO"), ("brk", "ENOMEM"), ("mprotect", "ENOMEM"),
    ("close_range", "ENOSYS"), ("openat2", "EACCES"), ("prlimit64", "EPERM"), ("readlink", "ENOENT"),
]


def run(call, error, when):
    """Exit code, stderr, whether the call was reached that often."""
    root = os.open("/usr", os.O_PATH)
    with tempfile.NamedTemporaryFile() as log:
        try:
            r = subprocess.run(
                ["strace", "-f", "-qq", "-o", log.name, "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={when}",
                 MONITOR, "--kernel", KERNEL, "--memory", str(64 << 20), "--cpus", "2", "--root-fd", str(root),
                 "--visible", "bin", "--", "program"],
                pass_fds=[root], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        except subprocess.TimeoutExpired:
            return None, "", True
        finally:
            os.close(root)
        with open(log.name) as f:
            reached = "(INJECTED)" in f.read()
        return r.returncode, r.stderr, reached


def main():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK) or not shutil.which("strace"):
        print("skipped: no KVM, or no strace")
        sys.exit(77)
    failed = 0
    for call, error in CALLS:
        survived = ended = 0
        for when in range(1, 60):
            code, err, reached = run(call, error, when)
            if not reached and code == 7:
                break
            if code == -signal.SIGSYS:  # the set-up is over: in the jail the injection itself is a forbidden call
                break
            if code == 7:
                survived += 1
            elif code == 125 and re.match(r"lampo-vmm: cannot .*\n(lampo-vmm: .*\n)?$|lampo-vmm: (the guest|vCPU) .*\n", err):
                ended += 1
            else:
                failed += 1
                print(f"FAILED  {call} {error} at call {when}: code {code}, {err!r}")
        print(f"ok      {call}: {error} ended {ended} runs in order, {survived} went on")
    sys.exit(1 if failed else 0)


main()
