# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests of the command line share.

A test file is a program: it defines functions test_NAME(lampo) and ends with e2e.main(). Each function runs with every
engine there is: "fake" (tests/e2e/fake_vmm.c: no VM, but everything that the command line does) and "real" (the
monitor, where the host can run VMs). @only("real") and the like restrict that. Each run gets a run directory of its
own, and fails if it leaves a process, a VM or a file there.

Exit status: 0, or 1 if one failed, or 77 if none could run.
"""
import glob
import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("LAMPO_BUILD") or os.path.join(HERE, "..", "..", os.environ.get("B") or "build")
BUILD = os.path.abspath(BUILD)
PROGRAM = os.path.join(BUILD, "lampo")
FAKE = os.path.join(BUILD, "tests", "e2e", "fake_vmm")


def only(*engines):
    def mark(function):
        function.engines = engines
        return function
    return mark


class Skip(Exception):
    pass


class Result:
    def __init__(self, process, out, err):
        self.code, self.out, self.err = process.returncode, out, err

    def __repr__(self):
        return f"code {self.code}, out {self.out!r}, err {self.err!r}"


class Lampo:
    """One engine with a run directory of its own."""

    def __init__(self, engine, directory):
        self.engine = engine
        self.fake = engine == "fake"
        self.directory = directory
        self.run_dir = os.path.join(directory, "run")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("LAMPO_")}
        self.env["LAMPO_RUN_DIR"] = self.run_dir
        self.env["LAMPO_DATA"] = self.data_dir = os.path.join(directory, "images")
        self.env["LAMPO_BUILD"] = BUILD
        if self.fake:
            self.env["LAMPO_VMM"] = FAKE

    def environment(self, mode=None, env=None):
        e = dict(self.env)
        if mode:
            e["LAMPO_FAKE"] = mode
        e.update(env or {})
        return {k: v for k, v in e.items() if v is not None}

    def start(self, *args, mode=None, env=None, stdin=subprocess.DEVNULL, **more):
        more.setdefault("cwd", self.directory)
        return subprocess.Popen([PROGRAM, *args], env=self.environment(mode, env), stdin=stdin,
                                stdout=more.pop("stdout", subprocess.PIPE), stderr=more.pop("stderr", subprocess.PIPE), **more)

    def __call__(self, *args, input=None, timeout=30, text=True, **more):
        process = self.start(*args, stdin=subprocess.PIPE if input is not None else more.pop("stdin", subprocess.DEVNULL),
                             text=text, **more)
        try:
            out, err = process.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"lampo {args} did not end within {timeout} s")
        return Result(process, out, err)

    def ok(self, *args, **more):
        """Must end with 0 and say nothing on standard error; returns standard output."""
        result = self(*args, **more)
        check(result.code == 0, f"lampo {args}: {result}")
        return result.out

    def ps(self, *args):
        return json.loads(self.ok("ps", "--json", *args))

    def vm_dirs(self):
        return glob.glob(os.path.join(self.run_dir, "vm", "*"))

    def monitors(self):
        """Pids of the monitors that were started for this run directory: their jail knows no other name of it."""
        return [vm["pid"] for vm in self.ps("-a") if vm["pid"]]

    def wait_for(self, what, condition, seconds=10):
        end = time.monotonic() + seconds
        while not (value := condition()):
            check(time.monotonic() < end, f"{what}: not within {seconds} s")
            time.sleep(0.01)
        return value

    def check_clean(self):
        """Nothing is left: no VM, no state directory."""
        self.ok("ps")
        self.wait_for("state directories are gone", lambda: not self.vm_dirs() or (self.ok("ps") and False), 5)


def check(condition, message="check failed"):
    if not condition:
        raise AssertionError(message)


def equal(got, want, message=""):
    check(got == want, f"{message}: got {got!r} instead of {want!r}")


def need_strace():
    probe = subprocess.run(["strace", "-qq", "-o", "/dev/null", "-e", "inject=getpid:error=EIO:when=1", "true"],
                           capture_output=True) if shutil.which("strace") else None
    if probe is None or probe.returncode != 0:
        raise Skip("needs strace that may trace")


def program(then, **handlers):
    """A program that sets handlers of signals (NAME="perl code"), says "up" and does `then`. It needs no fork, which
    VMs do not have yet."""
    traps = "".join(f"$SIG{{{name}}} = sub {{ {code} }}; " for name, code in handlers.items())
    return ["perl", "-e", f"$| = 1; {traps} print qq(up\\n); {then}"]


def pause(seconds):
    return f"select(undef, undef, undef, {seconds}); "


FOREVER = "sleep 1 while 1"


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def real_engine():
    """None if VMs can run, else why not."""
    if not os.path.exists(os.path.join(BUILD, "lampo-vmm")):
        return "lampo-vmm is not built"
    probe = subprocess.run([PROGRAM, "doctor"], capture_output=True, text=True)
    if probe.returncode != 0:
        return "this host cannot run VMs (see lampo doctor)"
    with tempfile.TemporaryDirectory() as directory:
        env = {k: v for k, v in os.environ.items() if not k.startswith("LAMPO_")}
        run = subprocess.run([PROGRAM, "run", "--", "/bin/true"], capture_output=True, text=True, timeout=60, cwd="/",
                             env=dict(env, LAMPO_RUN_DIR=os.path.join(directory, "run")))
    return None if run.returncode == 0 else f"lampo run /bin/true fails: {run.stderr.strip()}"


def run_one(function, engine):
    directory = tempfile.mkdtemp(prefix="lampo-e2e-")
    name = f"{function.__name__[5:]} ({engine})"
    lampo = Lampo(engine, directory)
    start = time.monotonic()
    try:
        function(lampo)
        lampo.check_clean()
        result = "ok"
    except Skip as e:
        result = f"skipped: {e}"
    except Exception:
        traceback.print_exc(file=sys.stdout)
        result = "FAILED"
    finally:
        for pid in ([] if not os.path.isdir(lampo.run_dir) else safe_monitors(lampo)):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(directory, ignore_errors=True)
    print(f"{result:8}{name}, {time.monotonic() - start:.2f} s", flush=True)
    return result


def safe_monitors(lampo):
    try:
        return lampo.monitors()
    except Exception:
        return []


def main():
    functions = [f for name, f in inspect.getmembers(sys.modules["__main__"], inspect.isfunction) if name.startswith("test_")]
    functions.sort(key=lambda f: f.__code__.co_firstlineno)
    names = [a for a in sys.argv[1:] if not a.startswith("--")]
    engines = [a[2:] for a in sys.argv[1:] if a in ("--fake", "--real")] or ["fake", "real"]
    results = []
    why = real_engine() if "real" in engines else None
    if why:
        print(f"no real VMs: {why}")
        engines.remove("real")
    for function in functions:
        if names and function.__name__[5:] not in names:
            continue
        for engine in engines:
            if engine in getattr(function, "engines", ("fake", "real")):
                results.append(run_one(function, engine))
    if "FAILED" in results:
        sys.exit(1)
    if "ok" not in results:
        print(why or "nothing to run")
        sys.exit(77)
    sys.exit(0)
