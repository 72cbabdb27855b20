#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Programs that attack their monitor from inside (tests/guest/hostile): the monitor, built with the sanitizers, lives on
or ends that VM with a clear line; nothing of the host is touched, no report of a sanitizer, no VM beside it is hurt.
"""
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.environ.get("LAMPO_BUILD") or os.path.join(TOP, os.environ.get("B", "build"))
LAMPO = f"{BUILD}/san/bin/lampo"
SCRIBBLE = f"{BUILD}/tests/hostile/scribble"
MODES = ("registers", "queues", "doorbells", "boot", "ram", "all")
SEEDS = int(os.environ.get("SEEDS") or (2 if os.environ.get("LAMPO_RIG") else 12))
TIME_MAX = 120 if os.environ.get("LAMPO_RIG") else 10
failed = False


def check(ok, text):
    global failed
    if not ok:
        print("failed:", text, flush=True)
        failed = True


def tree_digest(directory):
    digest = hashlib.sha256()
    for folder, folders, files in sorted(os.walk(directory)):
        for name in sorted(folders + files):
            path = os.path.join(folder, name)
            st = os.lstat(path)
            digest.update(f"{path} {st.st_mode} {st.st_size} {st.st_mtime_ns}".encode())
            if os.path.isfile(path) and not os.path.islink(path):
                digest.update(open(path, "rb").read())
    return digest.hexdigest()


def attack(mode, seed, work, volume):
    command = [LAMPO, "run", "--memory", "64M", "--cpus", "2" if seed % 2 else "1", "-v", f"{volume}:/volume:ro",
               "--", SCRIBBLE, mode, str(seed)]
    process = subprocess.Popen(command, cwd=work, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               start_new_session=True)
    hung = False
    try:
        out, err = process.communicate(timeout=TIME_MAX)
    except subprocess.TimeoutExpired:
        # A VM may hang by its own fault; but it can be ended.
        hung = True
        os.kill(process.pid, signal.SIGKILL)
        try:
            out, err = process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            check(False, f"{mode} {seed}: cannot be ended")
            return "stuck"
    text = err.decode(errors="replace")
    check(b"attacks" in out, f"{mode} {seed}: did not come to attack: {text[:300]}")
    for sign in ("Sanitizer", "runtime error", "Assertion", "SUMMARY"):
        check(sign not in text, f"{mode} {seed}: {text[:3000]}")
    # The monitor's own lines; the guest may print what it likes besides (--strace, its log).
    lines = [line for line in text.splitlines() if line.startswith("lampo")]
    check(len(lines) <= 20, f"{mode} {seed}: {len(lines)} lines of the monitor: {lines[:5]}")
    check(hung or process.returncode >= 0, f"{mode} {seed}: lampo was ended by signal {-process.returncode}")
    check(hung or process.returncode < 128 + 31, f"{mode} {seed}: exit code {process.returncode}")
    # The monitor itself must not die of a signal: the command line says so when it does.
    check("monitor was killed" not in text and "monitor died" not in text, f"{mode} {seed}: {text[:500]}")
    return "hung" if hung else str(process.returncode)


def main():
    global SCRIBBLE
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("no usable /dev/kvm")
        return 77
    if not os.path.exists(LAMPO) or not os.path.exists(SCRIBBLE):
        print("not built: make check-build")
        return 1
    with tempfile.TemporaryDirectory(prefix="lampo-hostile-") as directory:
        os.environ["LAMPO_RUN_DIR"] = f"{directory}/run"
        os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
        work, volume = f"{directory}/work", f"{directory}/volume"
        os.makedirs(f"{work}/sub")
        os.makedirs(volume)
        for path in (f"{work}/a", f"{work}/sub/b", f"{volume}/c"):
            open(path, "w").write("content of the host\n" * 100)

        local = f"{work}/scribble"
        subprocess.run(["cp", SCRIBBLE, local], check=True)
        SCRIBBLE = local
        before = tree_digest(work) + tree_digest(volume)
        # A VM beside them.
        neighbour = subprocess.Popen([f"{BUILD}/lampo", "run", "-i", "--memory", "64M", "--", "cat"], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE)
        for mode in MODES:
            begin = time.monotonic()
            ends = [attack(mode, seed, work, volume) for seed in range(1, SEEDS + 1)]
            print(f"{mode}: ends {' '.join(ends)}; {time.monotonic() - begin:.1f} s", flush=True)
        check(tree_digest(work) + tree_digest(volume) == before, "files of the host were changed")
        out, _ = neighbour.communicate(b"still here\n", timeout=60)
        check(out == b"still here\n" and neighbour.returncode == 0, f"the VM beside them: {out!r}, {neighbour.returncode}")
        listed = subprocess.run([LAMPO, "ps", "--json"], capture_output=True, text=True).stdout.strip()
        check(listed in ("[]", ""), f"left in the list: {listed[:300]}")
    return 1 if failed else 0


sys.exit(main())
