#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Wrong use and a host that fails: the right exit code, one sentence that says what to do, nothing left behind."""
import os
import shutil
import subprocess
import tempfile

import e2e
from e2e import Skip, check, equal, only


def fails(lampo, *args, code=125, says=(), **more):
    result = lampo(*args, **more)
    equal(result.code, code, f"lampo {args}: {result}")
    lines = result.err.splitlines()
    check(1 <= len(lines) <= 2, f"one sentence and a hint: {result.err!r}")
    for line in lines:
        check(line.startswith("lampo: "), line)
    for word in says:
        check(word in result.err, f"no '{word}' in: {result.err!r}")
    equal(result.out, "")


@only("fake")
def test_usage(lampo):
    fails(lampo, "nosuch", says=["nosuch", "lampo help"])
    fails(lampo, "run", says=["missing", "lampo help run"])
    fails(lampo, "run", "--", says=["missing"])
    fails(lampo, "run", "--bogus", "true", says=["--bogus"])
    fails(lampo, "run", "-q", "true", says=["-q"])
    fails(lampo, "run", "--memory", says=["--memory"])
    fails(lampo, "run", "--detach=yes", "true", says=["--detach"])
    fails(lampo, "run", "", says=["empty"])
    fails(lampo, "ps", "x", says=["x"])
    fails(lampo, "kill", "-s", "NOSUCH", "x", says=["NOSUCH"])
    fails(lampo, "stop", "-t", "-1", "x", says=["-1"])
    fails(lampo, "help", "nosuch", says=["nosuch"])


@only("fake")
def test_values(lampo):
    for memory in ("", "x", "1X", "-1", "1.5G", "16 M", "99999999999999999999", "20000000T", "0x10", "1GG", "M"):
        fails(lampo, "run", "--memory", memory, "true", says=["512M"])
    fails(lampo, "run", "--memory", "1M", "true", says=["16M"])
    fails(lampo, "run", "--memory", "16777215", "true", says=["16M"])
    fails(lampo, "run", "--memory", "1T", "true", says=["192G"])
    for cpus in ("0", "33", "-1", "x", "1x", "", "18446744073709551617"):
        fails(lampo, "run", "--cpus", cpus, "true", says=["32"])
    for volume in ("", "x", ":", "a:", ":/b", "a:/b:rx", "a:/b:", "a:/b:ro:", "a:/b:ro:x"):
        fails(lampo, "run", "-v", volume, "true", says=["HOST:GUEST"])
    fails(lampo, "run", "-v", "/tmp:relative", "true", says=["absolute"])
    fails(lampo, "run", "-v", "/tmp:/a/../b", "true", says=[".."])
    fails(lampo, "run", "-v", "/tmp:/", "true", says=["--root"])
    fails(lampo, "run", "-v", "/nonexistent/x:/x", "true", says=["/nonexistent/x", "No such file"])
    fails(lampo, "run", *[a for i in range(12) for a in ("-v", f"/tmp:/v{i}")], "true", says=["11"])
    fails(lampo, "run", "-w", "relative", "true", says=["absolute"])
    fails(lampo, "run", "-e", "=x", "true", says=["NAME=VALUE"])
    fails(lampo, "run", "--root", "/nonexistent", "true", says=["/nonexistent"])
    fails(lampo, "run", "--root", "/etc/passwd", "true", says=["/etc/passwd"])
    for name in ("", "-x", "a/b", "..", "a b", "a\nb", "x" * 64):
        fails(lampo, "run", "--name", name, "true", says=["name"])
    fails(lampo, "run", "--hostname", "", "true", says=["host name"])
    fails(lampo, "run", "-t", "true", says=["-t"])
    fails(lampo, "run", "-dt", "true", says=["-d and -t"])


@only("fake")
def test_monitor_fails(lampo):
    fails(lampo, "run", "true", mode="error", says=["/dev/kvm", "module"])
    fails(lampo, "run", "-d", "true", mode="error", says=["/dev/kvm", "module"])
    fails(lampo, "run", "true", mode="silent", says=["without a report"])
    fails(lampo, "run", "-d", "true", mode="silent", says=["without a report"])
    fails(lampo, "run", "true", mode="crash", says=["SIGSEGV"])
    fails(lampo, "run", "true", mode="garbage", says=["same version"])
    fails(lampo, "run", "true", env={"LAMPO_VMM": "/nonexistent/vmm"}, says=["/nonexistent/vmm"])
    fails(lampo, "run", "true", env={"LAMPO_VMM": "/etc/passwd"}, says=["/etc/passwd", "Permission"])
    equal(lampo.vm_dirs(), [])


def test_program_not_found(lampo):
    equal(lampo("run", "--", "/nonexistent/program").code, 127)
    equal(lampo("run", "--", "no-such-program-anywhere").code, 127)


def test_program_is_a_directory(lampo):
    equal(lampo("run", "--", "/usr").code, 126)


def test_program_cannot_be_executed(lampo):
    path = os.path.join(lampo.directory, "text")
    with open(path, "w") as f:
        f.write("just text\n")
    equal(lampo("run", "--", "./text").code, 126)


@only("real")
def test_truncated_elf(lampo):
    path = os.path.join(lampo.directory, "truncated")
    with open("/bin/true", "rb") as f, open(path, "wb") as g:
        g.write(f.read(200))
    os.chmod(path, 0o755)
    result = lampo("run", "--", "./truncated")
    equal(result.code, 126)
    check(result.err, "nothing was said")


def test_run_dir_that_cannot_be_made(lampo):
    for command in (["run", "true"], ["ps"], ["kill", "x"]):
        fails(lampo, *command, env={"LAMPO_RUN_DIR": "/proc/lampo"}, says=["/proc/lampo", "LAMPO_RUN_DIR"])
        fails(lampo, *command, env={"LAMPO_RUN_DIR": "/nonexistent/a/b"}, says=["/nonexistent/a/b"])
        fails(lampo, *command, env={"LAMPO_RUN_DIR": "/etc/passwd"}, says=["/etc/passwd"])


def test_run_dir_that_others_may_change(lampo):
    path = os.path.join(lampo.directory, "open")
    os.mkdir(path)
    os.chmod(path, 0o777)
    fails(lampo, "run", "true", env={"LAMPO_RUN_DIR": path}, says=[path, "others"])
    if os.geteuid() == 0:
        os.chmod(path, 0o700)
        os.chown(path, 65534, 65534)
        fails(lampo, "run", "true", env={"LAMPO_RUN_DIR": path}, says=[path, "others"])


def test_run_dir_that_is_a_link(lampo):
    target, link = os.path.join(lampo.directory, "target"), os.path.join(lampo.directory, "link")
    os.mkdir(target, 0o700)
    os.symlink(target, link)
    fails(lampo, "run", "true", env={"LAMPO_RUN_DIR": link}, says=[link, "symbolic link"])
    run = os.path.join(lampo.directory, "run2")
    os.mkdir(run, 0o700)
    os.symlink(target, os.path.join(run, "vm"))
    fails(lampo, "run", "true", env={"LAMPO_RUN_DIR": run}, says=["symbolic link"])
    equal(os.listdir(target), [])


def test_strange_files_in_the_run_dir(lampo):
    lampo.ok("ps")
    vm = os.path.join(lampo.run_dir, "vm")
    os.mkdir(os.path.join(vm, "0123456789ab"))                       # no info: remains of a start that was cut off
    os.mkdir(os.path.join(vm, "notes"))                              # not ours
    os.mkdir(os.path.join(vm, "aaaaaaaaaaaa"))
    with open(os.path.join(vm, "aaaaaaaaaaaa", "info"), "w") as f:
        f.write("{ not json")
    os.symlink("/etc", os.path.join(vm, "bbbbbbbbbbbb"))
    os.mkfifo(os.path.join(vm, "cccccccccccc"))
    equal(lampo.ps("-a"), [])
    equal(lampo("run", "true").code, 0)
    equal(sorted(os.listdir(vm)), ["bbbbbbbbbbbb", "cccccccccccc", "notes"])
    check(os.path.exists("/etc/passwd"))
    os.unlink(os.path.join(vm, "bbbbbbbbbbbb"))
    os.unlink(os.path.join(vm, "cccccccccccc"))
    os.rmdir(os.path.join(vm, "notes"))


def test_full_run_dir(lampo):
    """A file system of a few pages, filled up: in a mount namespace of our own."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    script = f"""
        mount -t tmpfs -o size=64k,mode=700 none "$1" || exit 77
        export LAMPO_RUN_DIR="$1/run"
        "{e2e.PROGRAM}" ps > /dev/null || exit 1
        head -c 1M /dev/zero > "$1/fill" 2> /dev/null
        "{e2e.PROGRAM}" run true
        code=$?
        ls -A "$1/run/vm"
        exit $code"""
    mount = os.path.join(lampo.directory, "small")
    os.mkdir(mount)
    r = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", mount], capture_output=True, text=True, env=lampo.env)
    if r.returncode == 77:
        raise Skip("cannot mount")
    equal((r.returncode, r.stdout), (125, ""), r.stderr)
    check("No space left" in r.stderr and "LAMPO_RUN_DIR" in r.stderr, r.stderr)


@only("fake")
def test_output_that_cannot_be_written(lampo):
    with open("/dev/full", "w") as full:
        for command in (["ps"], ["help"], ["version", "--json"], ["doctor", "--json"]):
            result = lampo(*command, stdout=full)
            equal(result.code, 125, f"{command}")
            check("standard output" in result.err or "JSON" in result.err, result.err)


@only("fake")
def test_no_proc(lampo):
    if os.geteuid() != 0:
        raise Skip("needs root")
    r = subprocess.run(["unshare", "-m", "sh", "-c", f'mount -t tmpfs none /proc && "{e2e.PROGRAM}" run true'],
                       capture_output=True, text=True, env={k: v for k, v in lampo.env.items() if k != "LAMPO_VMM"})
    equal(r.returncode, 125)
    check("/proc" in r.stderr, r.stderr)


def user_namespaces_work():
    """Not in a chroot, for one."""
    return subprocess.run(["unshare", "-U", "true"], capture_output=True).returncode == 0


@only("fake")
def test_host_without_user_namespaces(lampo):
    """The start falls back in steps; the monitor is told what it has."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    if not user_namespaces_work():
        raise Skip("no user namespaces can be made here")
    script = f'echo 0 > /proc/sys/user/max_user_namespaces; "{e2e.PROGRAM}" run -- sh -c "exit 3"; echo $?'
    # The limit is per user namespace: a new one of ours takes it, not the host.
    r = subprocess.run(["unshare", "-U", "-r", "sh", "-c", script], capture_output=True, text=True, env=lampo.env)
    equal((r.stdout, r.stderr), ("3\n", ""))


@only("fake")
def test_ordinary_user(lampo):
    if os.geteuid() != 0:
        raise Skip("needs root to become another user")
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        os.chown(directory, 65533, 65533)
        env = lampo.environment("show", {"LAMPO_RUN_DIR": os.path.join(directory, "run")})
        r = subprocess.run(["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups", e2e.PROGRAM, "run", "true"],
                           capture_output=True, text=True, env=env, cwd="/")
        if r.returncode != 0 and "Permission denied" in r.stderr:
            raise Skip("the build directory cannot be read by other users")
        equal((r.returncode, r.stderr), (0, ""))
        lines = r.stdout.splitlines()
        equal("--overflow-to-root" in lines, user_namespaces_work())
        equal(lines[lines.index("--uid") + 1], "65533")


@only("real")
def test_ordinary_user_who_may_open_kvm(lampo):
    """In a mount namespace of its own with a /dev/kvm for everybody."""
    if os.geteuid() != 0:
        raise Skip("needs root to become another user")
    work = os.path.join(lampo.directory, "work")
    os.mkdir(work)
    os.chown(work, 65533, 65533)
    os.chmod(lampo.directory, 0o755)
    script = f"""
        mount -t tmpfs none /mnt && mknod /mnt/kvm c 10 232 && chmod 666 /mnt/kvm && mount --bind /mnt/kvm /dev/kvm || exit 77
        cd "$1"
        touch -d 2001-01-01 mine
        setpriv --reuid=65533 --regid=65533 --clear-groups true || exit 77
        LAMPO_RUN_DIR="$1/run" exec setpriv --reuid=65533 --regid=65533 --clear-groups "{e2e.PROGRAM}" run -v "$1:/data:rw" -- \\
            perl -e 'printf "%d %d %d %d\\n", $<, (stat "/usr/bin/env")[4], (stat "/data")[4], -r "/etc/shadow" ? 1 : 0;
                     open F, ">/data/new" or die; print F "x"; close F or die; exit 6'"""
    r = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", work], capture_output=True, text=True, env=lampo.env)
    if r.returncode == 77 or "cannot execute the monitor" in r.stderr:
        raise Skip("cannot become another user here: " + r.stderr.strip())
    equal((r.returncode, r.stdout, r.stderr), (6, "65533 0 65533 0\n", ""))
    equal(os.stat(os.path.join(work, "new")).st_uid, 65533)
    equal(os.listdir(os.path.join(work, "run", "vm")), [])


def without_kvm(lampo, prepare, *args):
    """lampo with another /dev/kvm, or none: in a mount namespace of its own."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    script = f"""
        mount -t tmpfs none /mnt && for d in null zero full random urandom tty; do cp -a /dev/$d /mnt/ || exit 77; done
        mkdir /mnt/shm; {prepare}
        mount --move /mnt /dev || mount --bind /mnt /dev || exit 77
        exec "$@" """
    r = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", e2e.PROGRAM, *args], capture_output=True, text=True,
                       env=lampo.env, cwd=lampo.directory)
    if r.returncode == 77:
        raise Skip("cannot mount: " + r.stderr)
    return r


@only("real")
def test_no_dev_kvm(lampo):
    r = without_kvm(lampo, "true", "run", "true")
    equal((r.returncode, r.stdout), (125, ""), r.stderr)
    check("/dev/kvm" in r.stderr and len(r.stderr.splitlines()) <= 2, r.stderr)
    r = without_kvm(lampo, "true", "doctor")
    equal(r.returncode, 1)
    check("modprobe" in r.stdout and "cannot run" in r.stdout, r.stdout)


@only("real")
def test_dev_kvm_that_is_none(lampo):
    r = without_kvm(lampo, "cp -a /dev/null /mnt/kvm", "run", "true")
    equal((r.returncode, r.stdout), (125, ""), r.stderr)
    check("kvm" in r.stderr.lower() and len(r.stderr.splitlines()) <= 2, r.stderr)
    equal(without_kvm(lampo, "cp -a /dev/null /mnt/kvm", "doctor").returncode, 1)


@only("real")
def test_dev_kvm_without_permission(lampo):
    user = ["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups"]
    if os.geteuid() != 0 or os.stat("/dev/kvm").st_mode & 0o006:
        raise Skip("needs root, and a /dev/kvm that is not for everybody")
    work = os.path.join(lampo.directory, "work")
    os.mkdir(work)
    os.chown(work, 65533, 65533)
    os.chmod(lampo.directory, 0o755)
    env = dict(lampo.env, LAMPO_RUN_DIR=os.path.join(work, "run"))
    r = subprocess.run([*user, e2e.PROGRAM, "run", "true"], capture_output=True, text=True, env=env, cwd="/")
    equal((r.returncode, r.stdout), (125, ""), r.stderr)
    check("/dev/kvm" in r.stderr and "group" in r.stderr, r.stderr)
    equal(subprocess.run([*user, e2e.PROGRAM, "doctor"], capture_output=True, env=env, cwd="/").returncode, 1)


def failed_cleanly(lampo, what, r):
    """Either it worked, or Lampo said in one sentence (and a hint) why not, and left nothing."""
    if r.returncode != 0:
        equal(r.returncode, 125, f"{what}: {r.stderr}")
        lines = r.stderr.splitlines()
        check(1 <= len(lines) <= 2 and all(l.startswith("lampo: ") for l in lines), f"{what}: {r.stderr!r}")
    lampo.wait_for(f"{what}: all is removed", lambda: not lampo.vm_dirs() or (lampo.ok("ps") and False), 5)


@only("fake")
def test_few_descriptors(lampo):
    codes = set()
    for limit in range(3, 24):
        r = subprocess.run(["prlimit", f"--nofile={limit}", e2e.PROGRAM, "run", "-v", "/tmp:/data", "true"], capture_output=True,
                           text=True, env=lampo.env, cwd=lampo.directory)
        codes.add(r.returncode)
        failed_cleanly(lampo, f"nofile {limit}", r)
    equal(codes, {0, 125})


@only("fake")
def test_each_system_call_fails_once(lampo):
    """Of those with which a VM is started, by strace's fault injection. (SECURITY: case 41.)"""
    probe = subprocess.run(["strace", "-V"], capture_output=True) if shutil.which("strace") else None
    if probe is None or probe.returncode != 0:
        raise Skip("needs strace")
    lampo.ok("ps")
    calls = {"openat": "ENFILE", "openat2": "ENOSPC", "mkdirat": "ENOSPC", "flock": "ENOLCK", "getrandom": "EIO", "socket": "EMFILE",
             "bind": "ENOSPC", "listen": "ENOMEM", "socketpair": "ENFILE", "clone": "EAGAIN", "sendmsg": "ETOOMANYREFS",
             "write": "ENOSPC", "signalfd4": "EMFILE", "rt_sigprocmask": "EINVAL", "readlink": "ENOENT", "poll": "EINTR",
             "recvfrom": "EINTR", "unlinkat": "EIO", "getcwd": "ENOENT", "access": "EACCES"}
    tried = failed = 0
    for call, error in calls.items():
        for n in range(1, 12):
            trace = os.path.join(lampo.directory, "trace")
            r = subprocess.run(["strace", "-qq", "-o", trace, "-e", f"trace={call}", "-e", "signal=none", "-e",
                                f"inject={call}:error={error}:when={n}", e2e.PROGRAM, "run", "true"],
                               capture_output=True, text=True, env=lampo.env, cwd=lampo.directory, timeout=60)
            if "INJECTED" not in open(trace).read():
                break
            tried += 1
            failed += r.returncode != 0
            failed_cleanly(lampo, f"{call} {n} fails with {error}", r)
    check(tried > 30 and failed > 15, f"only {failed} of {tried} failed")


@only("fake")
def test_nothing_leaks_into_the_monitor(lampo):
    """Descriptors and environment that the caller happens to have are not for the monitor."""
    read, write = os.pipe()
    os.set_inheritable(read, True)
    lines = lampo.ok("run", "-v", "/tmp:/data", "true", mode="show", env={"SECRET": "x"}, pass_fds=[read]).splitlines()
    os.close(read)
    os.close(write)
    given = {lines[i + 1].split(":")[0] for i, l in enumerate(lines) if l.endswith("-fd") or l == "--volume"}
    equal({l.split()[1] for l in lines if l.startswith("open ")}, given)
    check(not any("SECRET" in l for l in lines))


def test_values_of_variables_are_not_public(lampo):
    """/proc/PID/cmdline is for everybody to read, /proc/PID/environ is not."""
    p = lampo.start("run", "-e", "PASSWORD", "--", "sleep", "100", env={"PASSWORD": "hunter2"})
    vm = lampo.wait_for("listed", lambda: [v for v in lampo.ps() if v["state"] == "running"])[0]
    for pid in (p.pid, vm["pid"]):
        check(b"hunter2" not in open(f"/proc/{pid}/cmdline", "rb").read())
    check("hunter2" not in lampo.ok("ps", "--json"))
    lampo.ok("kill", vm["id"])
    p.wait(10)


@only("fake")
def test_closed_streams(lampo):
    r = subprocess.run(["sh", "-c", f'"{e2e.PROGRAM}" run true <&- >&- 2>&-'], env=lampo.env)
    equal(r.returncode, 0)


e2e.main()
