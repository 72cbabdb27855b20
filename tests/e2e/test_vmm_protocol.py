#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The monitor by itself: reports, control socket, end of the VM in every way, streams. With test kernels
(tests/guest/kernels), so without nucleo and without the command line.

Exit status: 0, or 1 if one failed, or 77 if this host has no KVM.
"""
import errno
import os
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

BUILD = os.path.abspath(os.environ.get("LAMPO_BUILD") or os.path.join(os.path.dirname(__file__), "..", "..", "build"))
MONITOR = os.path.join(BUILD, "lampo-vmm")
KERNELS = os.path.join(BUILD, "tests", "kernels")

READY, EXIT, ERROR, TIMING = 1, 2, 3, 4
STATUS, SIGNAL, END, RESIZE = 1, 2, 3, 4
REPORT = struct.Struct("=IIiI768s512s")  # then 24 stages of 40 bytes
REPORT_BYTES = REPORT.size + 24 * 40
REQUEST = struct.Struct("=IIQ")
REPLY = struct.Struct("=IiIIQQQQQ")


class Monitor:
    """A monitor with a report socket, a control socket and a state directory."""

    def __init__(self, kernel, *options, **more):
        self.directory = tempfile.mkdtemp(prefix="lampo-test-")
        self.control_path = os.path.join(self.directory, "control")
        self.report, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(self.control_path)
        listener.listen(8)
        state = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        fds = [theirs.fileno(), listener.fileno(), state]
        more.setdefault("stdin", subprocess.DEVNULL)
        self.process = subprocess.Popen(
            [MONITOR, "--kernel", os.path.join(KERNELS, kernel), "--memory", str(64 << 20), "--report-fd", str(fds[0]),
             "--control-fd", str(fds[1]), "--state-fd", str(fds[2]), *options, "--", "program"],
            pass_fds=fds, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
        theirs.close()
        listener.close()
        os.close(state)
        self.report.settimeout(20)

    def next_report(self):
        data = self.report.recv(65536)
        if not data:
            return None
        assert len(data) == REPORT_BYTES, len(data)
        version, kind, code, count, text, hint = REPORT.unpack_from(data)
        assert version == 1
        stages = []
        for i in range(count):
            name, ns = struct.unpack_from("=32sQ", data, REPORT.size + 40 * i)
            stages.append((name.rstrip(b"\0").decode(), ns))
        return kind, code, text.rstrip(b"\0").decode(), stages

    def expect(self, kind, code=0):
        report = self.next_report()
        assert report and report[0] == kind and report[1] == code, report
        return report

    def connect(self):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.settimeout(20)
        client.connect(self.control_path)
        return client

    def ask(self, op, arg=0, client=None):
        c = client or self.connect()
        c.send(REQUEST.pack(1, op, arg))
        reply = REPLY.unpack(c.recv(4096))
        if client is None:
            c.close()
        return reply

    def wait(self):
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out.decode(), err.decode()

    def exit_file(self):
        try:
            with open(os.path.join(self.directory, "exit")) as f:
                return f.read()
        except FileNotFoundError:
            return None

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.report.close()
        shutil.rmtree(self.directory)


def with_monitor(*arguments, **more):
    def wrap(function):
        def run():
            monitor = Monitor(*arguments, **more)
            try:
                function(monitor)
            finally:
                monitor.close()
        run.__name__ = function.__name__
        return run
    return wrap


@with_monitor("hello", "--timing", "1")
def test_reports_come_in_order(m):
    m.expect(READY)
    _, _, _, stages = m.expect(TIMING)
    m.expect(EXIT, 7)
    assert m.next_report() is None
    assert m.wait()[:2] == (7, "hello from ring 3\nslept\n")
    assert m.exit_file() == "7\n"
    names = [name for name, _ in stages]
    assert names[0] == "command line" and "kernel entry" in names and names[-1] == "VM ends", names
    times = [ns for _, ns in stages]
    assert times == sorted(times), stages


@with_monitor("sleep")
def test_status_tells_the_truth(m):
    m.expect(READY)
    assert m.process.stdout.readline() == b"sleeping\n"
    version, error, cpus, pid, memory, resident, cpu_ns, exits, started = m.ask(STATUS)
    assert (version, error, cpus, memory) == (1, 0, 1, 64 << 20)
    assert 0 < resident < 8 << 20 and cpu_ns > 0 and exits > 0
    assert abs(started / 1e9 - time.time()) < 60
    m.ask(END)
    m.expect(EXIT, 137)
    assert m.wait()[0] == 137 and m.exit_file() == "137\n"


@with_monitor("sleep")
def test_signal_reaches_a_sleeping_program(m):
    m.expect(READY)
    assert m.ask(SIGNAL, 0)[1] == -errno.EINVAL and m.ask(SIGNAL, 65)[1] == -errno.EINVAL
    assert m.ask(SIGNAL, 15)[1] == 0
    m.expect(EXIT, 143)
    assert m.wait()[0] == 143


@with_monitor("spin")
def test_a_program_that_spins_can_be_ended(m):
    m.expect(READY)
    assert m.ask(SIGNAL, 15)[1] == 0  # nobody looks
    m.ask(END)
    m.expect(EXIT, 137)
    assert m.wait()[0] == 137


@with_monitor("spin")
def test_a_kernel_that_takes_no_signal_is_ended(m):
    m.expect(READY)
    start = time.monotonic()
    assert m.ask(SIGNAL, 10)[1] == 0  # does not ask for the end, so is no reason
    time.sleep(0.5)
    assert m.ask(SIGNAL, 2)[1] == 0 and m.ask(SIGNAL, 15)[1] == 0
    _, _, text, _ = m.expect(ERROR, 128 + 2)
    assert "does not respond" in text and 2 < time.monotonic() - start < 10, text
    assert m.wait()[0] == 128 + 2


@with_monitor("stuck", "--detach")
def test_a_kernel_that_sleeps_over_a_signal_is_ended(m):
    m.expect(READY)
    m.report.close()
    assert m.ask(SIGNAL, 15)[1] == 0
    code, out, err = m.wait()
    # Nobody reads reports of a detached VM: its log has the line.
    assert code == 143 and err.count("\n") == 1 and "does not respond" in err, (code, err)
    assert m.exit_file() == "143\n"


@with_monitor("deaf")
def test_a_program_may_ignore_signals(m):
    m.expect(READY)
    assert m.process.stdout.readline() == b"deaf\n"
    for _ in range(35):
        assert m.ask(SIGNAL, 15)[1] == 0
        time.sleep(0.1)
    m.ask(END)
    m.expect(EXIT, 137)


@with_monitor("flood_exit")
def test_a_signal_ends_the_wait_for_a_reader(m):
    """The program has ended, its output waits for a reader that does not read."""
    m.expect(READY)
    time.sleep(1)
    assert m.ask(SIGNAL, 15)[1] == 0
    m.expect(EXIT, 143)
    assert m.wait()[0] == 143


def test_a_kernel_file_that_is_cut_off_ends_the_vm():
    with tempfile.NamedTemporaryFile() as f:
        with open(os.path.join(KERNELS, "spin"), "rb") as kernel:
            f.write(kernel.read())
        f.flush()
        m = Monitor(f.name)
        try:
            m.expect(READY)
            assert m.process.stdout.readline() == b"spinning\n"
            os.truncate(f.name, 0)
            _, _, text, _ = m.expect(ERROR, 125)
            assert "KVM cannot run it" in text, text
            assert m.wait()[0] == 125
        finally:
            m.close()


@with_monitor("sleep")
def test_resize_is_a_signal(m):
    m.expect(READY)
    assert m.ask(RESIZE, 80 << 16 | 24)[1] == 0
    m.expect(EXIT, 128 + signal.SIGWINCH)


@with_monitor("sleep")
def test_bad_requests_are_answered_or_dropped(m):
    m.expect(READY)
    client = m.connect()
    for data in (b"", b"x", REQUEST.pack(2, STATUS, 0), REQUEST.pack(1, STATUS, 0) + b"more", b"y" * 5000):
        if data:
            client.send(data)
            assert REPLY.unpack(client.recv(4096))[1] == -errno.EPROTO, data
    assert m.ask(99, client=client)[1] == -errno.ENOSYS
    # Those who connect and say nothing keep nobody out for long: the eighth and later ones are turned away.
    crowd = []
    for _ in range(20):
        try:
            crowd.append(m.connect())
        except BlockingIOError:  # the queue of connections is full for now
            pass
    for c in crowd:
        c.close()
    client.close()
    deadline = time.time() + 5
    while True:
        try:
            assert m.ask(STATUS)[1] == 0
            break
        except (OSError, struct.error):
            assert time.time() < deadline
    # A client that asks and never reads.
    client = m.connect()
    client.setblocking(False)
    try:
        for _ in range(10000):
            client.send(REQUEST.pack(1, STATUS, 0))
    except BlockingIOError:
        pass
    assert m.ask(STATUS)[1] == 0


@with_monitor("sleep")
def test_the_vm_ends_with_its_starter(m):
    m.expect(READY)
    m.report.close()
    assert m.wait()[0] == 137 and m.exit_file() == "137\n"


@with_monitor("sleep", "--detach")
def test_a_detached_vm_lives_on(m):
    m.expect(READY)
    m.report.close()
    time.sleep(0.3)
    assert m.ask(STATUS)[1] == 0
    m.ask(SIGNAL, 9)
    assert m.wait()[0] == 137 and m.exit_file() == "137\n"


@with_monitor("panic")
def test_a_panic_is_an_error(m):
    m.expect(READY)
    _, _, text, _ = m.expect(ERROR, 125)
    assert "gave up" in text
    assert m.wait()[0] == 125 and m.exit_file() == "125\n"


@with_monitor("no-such-kernel")
def test_a_missing_kernel_is_an_error(m):
    _, _, text, _ = m.expect(ERROR, 125)
    assert "no-such-kernel" in text and "No such file" in text
    assert m.wait()[0] == 125


@with_monitor("hello", "--cpus", "32")
def test_many_vcpus(m):
    m.expect(READY)
    m.expect(EXIT, 7)


@with_monitor("hostile_queues", "--cpus", "2")
def test_a_hostile_guest_writes_few_lines(m):
    m.expect(READY)
    m.expect(EXIT, 0)
    code, _, err = m.wait()
    assert code == 0 and err.count("\n") <= 6, err


def test_output_waits_for_its_reader():
    """A reader that stops stops the guest; nothing gets lost, and nothing is buffered beyond the pipe."""
    m = Monitor("flood")
    try:
        m.expect(READY)
        before, exits, deadline = -1, 0, time.time() + 20
        while exits != before:  # until it stands still
            assert time.time() < deadline
            time.sleep(0.3)
            before, exits = exits, m.ask(STATUS)[7]
        code, out, _ = m.wait()
        assert code == 0
        lines = out.splitlines()
        assert lines == [f"line {i}" for i in range(len(lines))] and len(lines) == 20000
    finally:
        m.close()


def test_a_closed_reader_does_not_stop_the_guest():
    m = Monitor("flood")
    try:
        m.expect(READY)
        m.process.stdout.close()
        m.process.stdout = open(os.devnull, "rb")
        m.expect(EXIT, 0)
    finally:
        m.close()


def test_kill_leaves_nothing():
    m = Monitor("spin")
    try:
        m.expect(READY)
        m.process.kill()
        assert m.wait()[0] == -9
        assert m.next_report() is None and m.exit_file() is None
    finally:
        m.close()


def test_errors_without_a_starter_go_to_stderr():
    for options, words in (
            (["--kernel", "/nowhere", "--", "x"], "cannot open kernel image /nowhere"),
            (["--kernel", "/etc/passwd", "--", "x"], "not an ELF file"),
            (["--memory", "1", "--", "x"], "--memory"),
            (["--kernel", os.path.join(KERNELS, "hello"), "--memory", str(128 << 30), "--", "x"], None),
            ([], "no command")):
        r = subprocess.run([MONITOR, *options], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if words is None:  # more memory than there is: overcommitted, so the guest that touches little runs
            assert r.returncode in (7, 125), r
            continue
        assert r.returncode == 125 and words in r.stderr and 1 <= r.stderr.count("\n") <= 2, r


# Not in a chroot, for one: a monitor is started without then.
USER_NAMESPACES = subprocess.run(["unshare", "-U", "true"], capture_output=True).returncode == 0


def test_an_ordinary_user_may_run():
    """Where /dev/kvm belongs to root alone, the user gets one of its own in a mount namespace."""
    if os.geteuid() != 0:
        return
    nobody = pwd.getpwnam("nobody")
    script = ("mount -t tmpfs dev /mnt && cp -a /dev/kvm /mnt/kvm && chmod 666 /mnt/kvm && mount --bind /mnt/kvm /dev/kvm && "
              f"exec setpriv --reuid {nobody.pw_uid} --regid {nobody.pw_gid} --clear-groups -- "
              f"{'unshare -U --map-current-user -m -p -n -i -u --fork' if USER_NAMESPACES else ''} {MONITOR} --kernel {KERNELS}/hello -- x")
    r = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert r.returncode == 7 and r.stdout == "hello from ring 3\nslept\n", r


def test_the_jail_is_closed():
    """What /proc says of a running monitor in namespaces of its own."""
    p = subprocess.Popen(["unshare", *(["-Ur"] if USER_NAMESPACES else []), "-m", "-p", "-n", "-i", "-u", "--fork", "--kill-child", MONITOR, "--kernel",
                          os.path.join(KERNELS, "sleep"), "--", "x"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        assert p.stdout.readline() == b"sleeping\n"
        with open(f"/proc/{p.pid}/task/{p.pid}/children") as f:
            pid = f.read().split()[0]
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/status") as f:
                status = dict(re.findall(r"(\w+):\t(.*)", f.read()))
            if status["Name"].startswith("kvm"):  # KVM's own, in the kernel
                continue
            assert status["CapEff"] == status["CapPrm"] == status["CapInh"] == status["CapAmb"] == "0" * 16, status
            assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", status
            assert status["Name"] == "lampo-vmm:vm", status
        assert os.listdir(f"/proc/{pid}/root/") == []
        anonymous = re.search(r"^Anonymous: *(\d+) kB", open(f"/proc/{pid}/smaps_rollup").read(), re.M)
        assert int(anonymous.group(1)) < 3 << 10
    finally:
        p.kill()
        p.wait()


def main():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("skipped: no KVM")
        sys.exit(77)
    failed = 0
    names = sys.argv[1:]
    for name, function in list(globals().items()):
        if not name.startswith("test_") or (names and name not in names):
            continue
        start = time.time()
        try:
            function()
            print(f"ok      {name} ({time.time() - start:.1f} s)")
        except Exception:
            failed += 1
            print(f"FAILED  {name}")
            traceback.print_exc(file=sys.stdout)
    sys.exit(1 if failed else 0)


main()
