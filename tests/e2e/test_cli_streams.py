#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Streams, signals, terminals, environment: what passes through `lampo run` and what does not."""
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import e2e
from e2e import FOREVER, alive, check, equal, only, program


def test_streams_are_separate(lampo):
    result = lampo("run", "--", "sh", "-c", "echo out; echo err >&2")
    equal((result.out, result.err, result.code), ("out\n", "err\n", 0))


def test_no_input_without_i(lampo):
    equal(lampo("run", "--", "cat", input="hello\n").out, "")


def test_input_with_i(lampo):
    equal(lampo("run", "-i", "--", "cat", input="hello\n").out, "hello\n")


def test_large_input_and_output(lampo):
    data = "".join(f"{i}\n" for i in range(100000))
    equal(lampo("run", "-i", "--", "cat", input=data).out, data)


def test_exit_codes(lampo):
    for code in (0, 1, 42, 125, 255):
        equal(lampo("run", "--", "sh", "-c", f"exit {code}").code, code)
    equal(lampo("run", "--", "sh", "-c", "kill -TERM $$; sleep 5").code, 143)
    equal(lampo("run", "--", "sh", "-c", "kill -KILL $$; sleep 5").code, 137)


def test_arguments_pass_unchanged(lampo):
    args = ["", " ", "a b", "--memory", "-x", "--", "$HOME", "'\"", "new\nline", "\u00e9", "x" * 5000]
    equal(lampo.ok("run", "printf", r"%s\0", *args), "".join(a + "\0" for a in args))


def test_arguments_that_are_no_utf8(lampo):
    r = subprocess.run([e2e.PROGRAM.encode(), b"run", b"printf", b"%s", b"\xff\xfe"], capture_output=True, env=lampo.env)
    equal((r.returncode, r.stdout), (0, b"\xff\xfe"))
    p = lampo.start("run", "perl", "-e", b"sleep 100 # \xff\x01\xc3\xa9")
    vm = lampo.wait_for("listed", lambda: [v for v in lampo.ps() if v["state"] == "running"])[0]
    equal(vm["command"][2], "sleep 100 # \ufffd\x01\u00e9")
    lampo.ok("ps")
    lampo.ok("kill", vm["id"])
    p.wait(10)


def started(lampo, then=FOREVER, start={}, **handlers):
    """A VM whose program has said "up"."""
    p = lampo.start("run", "--", *program(then, **handlers), **start)
    equal(p.stdout.readline(), b"up\n")
    return p


def test_signals_are_forwarded(lampo):
    for name in ("INT", "TERM", "HUP", "QUIT", "USR1", "USR2"):
        p = started(lampo, **{name: f"print qq({name}\\n); exit 21"})
        p.send_signal(getattr(signal, "SIG" + name))
        out, _ = p.communicate(timeout=10)
        equal((p.returncode, out), (21, f"{name}\n".encode()), name)


def test_signals_have_their_default_effect(lampo):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        p = started(lampo)
        p.send_signal(number)
        p.communicate(timeout=10)
        equal(p.returncode, 128 + number)


def test_many_signals(lampo):
    p = started(lampo, USR1="$n++", TERM="exit 22")
    for _ in range(300):
        p.send_signal(signal.SIGUSR1)
    p.send_signal(signal.SIGTERM)
    equal(p.wait(20), 22)


def test_signal_to_the_process_group(lampo):
    """As the terminal's Ctrl-C, or timeout(1): the guest gets it once, the monitor does not die of it."""
    p = started(lampo, INT="print qq(int\\n); exit 23", start={"preexec_fn": os.setpgrp})
    os.killpg(p.pid, signal.SIGINT)
    out, err = p.communicate(timeout=10)
    equal((p.returncode, out, err), (23, b"int\n", b""))


@only("fake")
def test_signal_before_the_guest_runs(lampo):
    p = lampo.start("run", "true", mode="garbage")  # sends a bad report at once, so this races; any end will do
    p.send_signal(signal.SIGTERM)
    p.communicate(timeout=10)
    check(p.returncode in (125, 128 + signal.SIGTERM, -signal.SIGTERM), p.returncode)


def test_ignored_signals_stay_ignored(lampo):
    p = started(lampo, TERM="exit 24", start={"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)})
    p.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    equal(p.poll(), None)
    p.send_signal(signal.SIGTERM)
    equal(p.wait(10), 24)


def test_environment(lampo):
    if lampo.fake:
        lines = lampo.ok("run", "-e", "A=1", "-e", "B", "-e", "C", "-e", "HOME=/x", "-eD=2=3", "true", mode="show",
                         env={"B": "from host", "C": None, "SECRET": "s", "LC_ALL": "C", "USER": "me"}).splitlines()
        got = [l[1:] for l in lines if l.startswith("+")]
    else:
        got = set(lampo.ok("run", "-e", "A=1", "-e", "B", "-e", "C", "-e", "HOME=/x", "-eD=2=3", "env",
                           env={"B": "from host", "C": None, "SECRET": "s", "LC_ALL": "C", "USER": "me"}).splitlines())
    for want in ("A=1", "B=from host", "HOME=/x", "D=2=3", "LC_ALL=C", "USER=me"):
        check(want in got, f"no {want} in {got}")
    check(not any(g.startswith(("SECRET=", "C=", "LAMPO_")) for g in got), got)
    equal(len([g for g in got if g.startswith("HOME=")]), 1)


@only("real")
def test_current_directory_is_seen_and_not_changed(lampo):
    with open(os.path.join(lampo.directory, "note"), "w") as f:
        f.write("hello\n")
    equal(lampo.ok("run", "--", "sh", "-c", "pwd; read x < note; echo $x; echo changed > note; read x < note; echo $x; echo new > new; echo n*w"),
          f"{lampo.directory}\nhello\nchanged\nnew\n")
    equal(open(os.path.join(lampo.directory, "note")).read(), "hello\n")
    check(not os.path.exists(os.path.join(lampo.directory, "new")))


@only("real")
def test_host_secrets_are_not_seen(lampo):
    for path in ("/etc/shadow", "/etc/ssl/private", "/root", "/home", "/var/lib", "/etc/machine-id"):
        result = lampo("run", "--", "ls", path)
        check(result.out == "", f"{path} is seen: {result}")
    equal(lampo.ok("run", "--", "sh", "-c", f"cd {lampo.directory}/run 2>/dev/null || echo hidden"), "hidden\n")


@only("real")
def test_another_root(lampo):
    """With --root the VM sees that directory, all of it and nothing else; what it writes there does not last."""
    root = os.path.join(lampo.directory, "root")
    subprocess.run(["sh", "-c", """
        mkdir -p "$0/bin" "$0/secret" && cp /bin/dash "$0/bin/sh" && echo inside > "$0/secret/file" && chmod 700 "$0/secret"
        for lib in $(ldd /bin/dash | grep -o '/[^ ]*'); do mkdir -p "$0/${lib%/*}" && cp "$lib" "$0/$lib"; done""", root], check=True)
    before = sorted(os.walk(root))
    equal(lampo.ok("run", "--root", root, "--", "/bin/sh", "-c",
                   "pwd; read x < /secret/file; echo $x; echo new > /new; echo changed > /secret/file; read x < /secret/file; "
                   "echo $x /usr/*; cd /secret; pwd"),
          "/\ninside\nchanged /usr/*\n/secret\n" if not os.path.isdir(root + "/usr") else
          f"/\ninside\nchanged {' '.join('/usr/' + n for n in sorted(os.listdir(root + '/usr')))}\n/secret\n")
    equal(sorted(os.walk(root)), before)
    equal(open(os.path.join(root, "secret", "file")).read(), "inside\n")
    equal(lampo.ok("run", "--root", root, "-w", "/secret", "--", "sh", "-c", "pwd"), "/secret\n")
    equal(lampo("run", "--root", root, "--", "/usr/bin/env").code, 127)


@only("real")
def test_closed_pipe_ends_the_program(lampo):
    r = subprocess.run(["bash", "-c", f'"{e2e.PROGRAM}" run -- yes | head -1; exit ${{PIPESTATUS[0]}}'], env=lampo.env,
                       capture_output=True, text=True, timeout=30)
    equal((r.returncode, r.stdout), (128 + signal.SIGPIPE, "y\n"))


@only("real")
def test_volumes(lampo):
    data = os.path.join(lampo.directory, "data")
    os.mkdir(data)
    with open(os.path.join(data, "f"), "w") as f:
        f.write("host\n")
    equal(lampo("run", "-v", "./data:/mnt/ro", "--", "sh", "-c", "read x < /mnt/ro/f; echo $x; echo x > /mnt/ro/f").out, "host\n")
    equal(open(os.path.join(data, "f")).read(), "host\n")
    lampo.ok("run", "-v", "data:/data:rw", "--", "sh", "-c", "echo guest > /data/g")
    equal(open(os.path.join(data, "g")).read(), "guest\n")


# ---- terminals ------------------------------------------------------------------------------------------------------

class Terminal:
    """lampo on a pseudo terminal of its own session."""

    def __init__(self, lampo, *args, rows=30, columns=100):
        self.output = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(lampo.directory)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execve(args[0], args, lampo.environment())
        self.status = None

    def read_until(self, text, seconds=10):
        end = time.monotonic() + seconds
        while text not in self.output:
            check(time.monotonic() < end, f"no {text!r} in {self.output!r}")
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.output += os.read(self.fd, 65536)
                except OSError:
                    check(text in self.output, f"ended without {text!r}: {self.output!r}")

    def read_all(self):
        while select.select([self.fd], [], [], 0)[0]:
            self.output += os.read(self.fd, 65536)
        return self.output

    def send(self, data):
        os.write(self.fd, data)

    def mode(self):
        return termios.tcgetattr(self.fd)

    def wait(self, seconds=10):
        end = time.monotonic() + seconds
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            check(time.monotonic() < end, f"did not end: {self.output!r}")
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    self.output += os.read(self.fd, 65536)
                except OSError:
                    time.sleep(0.05)


def raw(mode):
    return not mode[3] & (termios.ICANON | termios.ECHO | termios.ISIG)


def test_terminal_is_raw_and_restored(lampo):
    t = Terminal(lampo, "/bin/sh", "-c", f'stty -echoe; stty -g; "{e2e.PROGRAM}" run -it -- sh -c "echo up; read x"; echo; stty -g; echo end')
    t.read_until(b"up")
    lampo.wait_for("raw", lambda: raw(t.mode()))
    t.send(b"\n" if not lampo.fake else b"\n")
    t.read_until(b"end")
    equal(t.wait(), 0)
    modes = [l for l in t.output.replace(b"\r", b"").split(b"\n") if l.count(b":") > 20]
    equal(len(modes), 2)
    equal(modes[0], modes[1], "the terminal's mode after")


def test_terminal_is_restored_after_sigterm(lampo):
    t = Terminal(lampo, e2e.PROGRAM, "run", "-it", "--", *program(FOREVER))
    t.read_until(b"up")
    lampo.wait_for("raw", lambda: raw(t.mode()))
    os.kill(t.pid, signal.SIGTERM)
    code = t.wait()
    check(code == 143, code)
    check(not raw(t.mode()), "still raw")


def test_terminal_is_restored_after_other_fatal_signals(lampo):
    for number in (signal.SIGALRM, signal.SIGXCPU):
        t = Terminal(lampo, e2e.PROGRAM, "run", "-it", "--", *program(FOREVER))
        t.read_until(b"up")
        lampo.wait_for("raw", lambda: raw(t.mode()))
        os.kill(t.pid, number)
        equal(t.wait(), 128 + number)
        check(not raw(t.mode()), "still raw")


def test_terminal_is_restored_after_the_monitor_was_killed(lampo):
    t = Terminal(lampo, e2e.PROGRAM, "run", "-it", "--", *program(FOREVER))
    t.read_until(b"up")
    vm, = lampo.ps()
    os.kill(vm["pid"], signal.SIGKILL)
    equal(t.wait(), 137)
    check(not raw(t.mode()), "still raw")


SIZE = r"require 'sys/ioctl.ph' if 0; $s = ''; ioctl(STDIN, 0x5413, $s) or print 'no size'; print join(' ', (unpack('S2', $s))), qq(\\n); "


@only("real")
def test_terminal_in_the_guest(lampo):
    t = Terminal(lampo, e2e.PROGRAM, "run", "-it", "--", *program(SIZE + FOREVER, INT="print qq(got\\n); exit 5"))
    t.read_until(b"30 100")
    t.send(b"\x03")
    t.read_until(b"got")
    equal(t.wait(), 5)


def test_terminal_size_changes_are_passed(lampo):
    t = Terminal(lampo, e2e.PROGRAM, "run", "-it", "--", *program(FOREVER, **({} if lampo.fake else {"WINCH": SIZE})))
    t.read_until(b"up")
    lampo.wait_for("raw", lambda: raw(t.mode()))
    fcntl.ioctl(t.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 44, 132, 0, 0))
    t.read_until(b"resize 44 132" if lampo.fake else b"44 132")
    os.kill(t.pid, signal.SIGTERM)
    t.wait()


def test_job_control(lampo):
    """Ctrl-Z stops CLI and monitor, SIGCONT lets both go on."""
    t = Terminal(lampo, e2e.PROGRAM, "run", "--", *program(FOREVER))
    t.read_until(b"up")
    vm, = lampo.ps()
    state = lambda pid: open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0]
    os.kill(t.pid, signal.SIGTSTP)
    # Alone in its session our process group is orphaned: the kernel then lets SIGTSTP pass without effect.
    time.sleep(0.3)
    check(state(t.pid) in "SR" and state(vm["pid"]) not in "T", "both run again")
    os.kill(t.pid, signal.SIGTERM)
    equal(t.wait(), 143)


def test_job_control_in_a_shell(lampo):
    t = Terminal(lampo, "/bin/bash", "--norc", "-i")
    t.send(f'PS1="$ "; "{e2e.PROGRAM}" run -- sh -c "echo u\\p; exec sleep 100"\n'.encode())
    t.read_until(b"up")
    vm = lampo.wait_for("listed", lambda: lampo.ps())[0]
    state = lambda: open(f"/proc/{vm['pid']}/stat").read().rsplit(")", 1)[1].split()[0]
    t.send(b"\x1a")
    t.read_until(b"Stopped")
    lampo.wait_for("the monitor is stopped", lambda: state() == "T")
    t.send(b"fg\n")
    lampo.wait_for("the monitor goes on", lambda: state() != "T")
    time.sleep(0.2)
    t.send(b"\x03")
    lampo.wait_for("ended by Ctrl-C", lambda: not lampo.ps())
    t.send(b'echo "code $?"; exit\n')
    t.read_until(b"code 130")
    t.wait()


@only("real")
def test_reading_the_terminal_from_the_background(lampo):
    """A background job that reads the terminal is stopped, as any program."""
    t = Terminal(lampo, "/bin/bash", "--norc", "-i")
    t.send(f'PS1="$ "; "{e2e.PROGRAM}" run -i -- cat &\n'.encode())
    lampo.wait_for("listed", lambda: lampo.ps())
    time.sleep(0.5)
    # It is stopped when there is something to read, unless the shell was faster: so some lines for both.
    for _ in range(50):
        t.send(b"jobs\n")
        time.sleep(0.1)
        if not t.read_all().count(b"Stopped"):
            continue
        break
    t.read_until(b"Stopped")
    t.send(b"fg\n")
    time.sleep(0.5)
    t.send(b"hello\n")
    t.read_until(b"hello\r\nhello")
    t.send(b"\x04")
    lampo.wait_for("ended", lambda: not lampo.ps())
    t.send(b"exit\n")
    t.wait()


def test_hang_up_of_the_terminal(lampo):
    t = Terminal(lampo, e2e.PROGRAM, "run", "-it", "--", *program(FOREVER))
    t.read_until(b"up")
    vm, = lampo.ps()
    os.close(t.fd)
    lampo.wait_for("the monitor has ended", lambda: not alive(vm["pid"]))
    t.fd = os.open("/dev/null", os.O_RDONLY)
    t.wait()


@only("real")
def test_output_that_the_host_cannot_take_is_an_error_of_the_write(lampo):
    with open("/dev/full", "w") as full:
        result = lampo("run", "--", "/bin/sh", "-c", "echo x", stdout=full)
        equal(result.code, 1)
        check("I/O error" in result.err, result)
        # Told for each write, and only to those who write there.
        result = lampo("run", "--", "perl", "-e", 'for (1..3) { syswrite(STDOUT, "x") // print STDERR "$!\\n" } exit 4', stdout=full)
        equal((result.code, result.err), (4, "No space left on device\n" * 3))


@only("fake")
def test_timing(lampo):
    lines = lampo("run", "--timing", "true").err.splitlines()
    equal(lines[0].split(), ["STAGE", "TIME", "us", "DELTA", "us"])
    equal(lines[2].split(), ["program", "250.5", "250.5"])


@only("real")
def test_timing_of_a_real_vm(lampo):
    lines = lampo("run", "--timing", "true").err.splitlines()
    check(len(lines) > 4 and lines[0].startswith("STAGE"), lines)
    times = [float(l.split()[-2]) for l in lines[1:]]
    equal(times, sorted(times))


@only("real")
def test_counts(lampo):
    result = lampo("run", "--counts", "--", "/usr/bin/python3", "-c",
                   "import ctypes; [ctypes.CDLL(None).syscall(1000) for i in range(3)]")
    lines = result.err.splitlines()
    check(result.code == 0 and len(lines) == 4, result)
    check("3 calls of system calls that nucleo does not have: " in lines[0] and "3x" in lines[0], lines)
    check(int(lines[1].split()[1]) > 100 and "system calls; " in lines[1], lines)
    check(int(lines[2].split()[2]) == 262144 and "pages of memory" in lines[2], lines)
    check(int(lines[3].split()[1]) > 10 and "through the gate" in lines[3], lines)



e2e.main()
