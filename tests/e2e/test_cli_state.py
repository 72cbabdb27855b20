#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The life of VMs as the command line sees it: listing, names, logs, waiting, stopping, removing, no ghosts."""
import os
import signal
import subprocess
import time

import e2e
from e2e import FOREVER, alive, check, equal, only, pause, program


def detached(lampo, *args, **more):
    return lampo.ok("run", "-d", *args, **more).strip()


def test_foreground_leaves_nothing(lampo):
    equal(lampo("run", "--", "sh", "-c", "echo out; echo err >&2; exit 7").code, 7)
    equal(lampo.vm_dirs(), [])


def test_foreground_is_listed_while_it_runs(lampo):
    p = lampo.start("run", "--name", "fg", "--memory", "64M", "--", "sleep", "100")
    vm = lampo.wait_for("listed", lambda: [v for v in lampo.ps() if v["state"] == "running"])[0]
    equal(vm["name"], "fg")
    equal(vm["command"], ["sleep", "100"])
    equal(vm["memory_bytes"], 64 << 20)
    check("fg" in lampo.ok("ps") and vm["id"] in lampo.ok("ps", "-q"))
    equal(lampo.ok("kill", "fg"), "fg\n")
    equal(p.wait(10), 137)
    equal(lampo.ps("-a"), [])


def test_detached_logs_wait_rm(lampo):
    vm = detached(lampo, "--", "sh", "-c", "echo one; echo two >&2; exit 5")
    equal(len(vm), 12)
    equal(lampo.ok("wait", vm), "5\n")
    equal(lampo.ps(), [])
    entry, = lampo.ps("-a")
    equal((entry["state"], entry["exit_code"]), ("exited", 5))
    check("exited (5)" in lampo.ok("ps", "-a"))
    equal(sorted(lampo.ok("logs", vm).split()), ["one", "two"])
    equal(lampo.ok("wait", vm[:6]), "5\n", "waiting again")
    equal(lampo.ok("rm", vm), vm + "\n")
    equal(lampo("rm", vm).code, 125)
    equal(lampo("rm", "-f", vm).code, 0)


def test_detached_with_rm_vanishes(lampo):
    vm = detached(lampo, "--rm", "--", *program(pause(0.3) + "exit 4"))
    equal(lampo.ok("wait", vm), "4\n", "the waiter gets the code, whoever removes")
    lampo.wait_for("gone", lambda: not lampo.vm_dirs())


def test_detached_with_rm_vanishes_by_itself(lampo):
    detached(lampo, "--rm", "--", "true")
    lampo.wait_for("gone without another command", lambda: not lampo.vm_dirs())


def test_detached_does_not_hold_the_pipes(lampo):
    # $(lampo run -d --rm ...) must return.
    start = time.monotonic()
    vm = detached(lampo, "--rm", "--", "sleep", "100")
    check(time.monotonic() - start < 5)
    lampo.ok("rm", "-f", vm)


def test_logs_follow(lampo):
    vm = detached(lampo, "--", *program("for (1..4) { print qq($_\\n); " + pause(0.2) + "}"))
    start = time.monotonic()
    equal(lampo.ok("logs", "-f", vm), "up\n1\n2\n3\n4\n")
    check(time.monotonic() - start < 8)
    lampo.ok("rm", vm)


def test_logs_of_foreground(lampo):
    p = lampo.start("run", "--name", "fg", "--", "sleep", "100")
    lampo.wait_for("listed", lambda: [v for v in lampo.ps() if v["state"] == "running"])
    result = lampo("logs", "fg")
    equal(result.code, 125)
    check("foreground" in result.err)
    lampo.ok("kill", "fg")
    p.wait(10)


def test_wait_for_foreground_gets_the_code(lampo):
    p = lampo.start("run", "--name", "fg", "--", *program(pause(0.7) + "exit 9"), mode="slow-end")
    lampo.wait_for("listed", lambda: lampo.ps())
    waiters = [lampo.start("wait", "fg", text=True) for _ in range(3)]
    equal(p.wait(20), 9)
    for w in waiters:
        equal(w.communicate(timeout=20)[0], "9\n")


def test_stop_is_kind_first(lampo):
    vm = detached(lampo, "--", *program(FOREVER, TERM="print qq(bye\\n); exit 3"))
    lampo.wait_for("up", lambda: lampo.ok("logs", vm) == "up\n")
    equal(lampo.ok("stop", vm), vm + "\n")
    equal(lampo.ok("wait", vm), "3\n")
    equal(lampo.ok("logs", vm), "up\nbye\n")
    equal(lampo.ok("stop", vm), vm + "\n", "stopping again is no error")
    lampo.ok("rm", vm)


def test_stop_is_hard_then(lampo):
    vm = detached(lampo, "--", *program(FOREVER, TERM="1"))
    lampo.wait_for("up", lambda: lampo.ok("logs", vm) == "up\n")
    start = time.monotonic()
    lampo.ok("stop", "-t", "1", vm)
    check(0.9 < time.monotonic() - start < 6)
    equal(lampo.ok("wait", vm), "137\n")
    lampo.ok("rm", vm)


def test_kill_with_signal(lampo):
    vm = detached(lampo, "--", *program(FOREVER, USR1="print qq(usr1\\n)"))
    lampo.wait_for("up", lambda: lampo.ok("logs", vm) == "up\n")
    equal(lampo.ok("kill", "-s", "USR1", vm), vm + "\n")
    lampo.wait_for("handled", lambda: lampo.ok("logs", vm) == "up\nusr1\n")
    equal(lampo.ok("kill", "-s", "15", vm), vm + "\n")
    equal(lampo.ok("wait", vm), "143\n")
    equal(lampo("kill", vm).code, 125)
    lampo.ok("rm", vm)


def test_rm_of_running_needs_force(lampo):
    vm = detached(lampo, "--", "sleep", "100")
    result = lampo("rm", vm)
    equal(result.code, 125)
    check("running" in result.err and "stop" in result.err)
    equal(len(lampo.ps()), 1)
    lampo.ok("rm", "-f", vm)
    equal(lampo.ps("-a"), [])


def test_names_are_unique(lampo):
    detached(lampo, "--name", "one", "--", "sleep", "100")
    result = lampo("run", "--name", "one", "--", "true")
    equal(result.code, 125)
    check("one" in result.err and "rm" in result.err)
    # A dead detached VM that is still listed keeps its name; a removed one does not.
    lampo.ok("kill", "one")
    equal(lampo("run", "--name", "one", "--", "true").code, 125)
    lampo.ok("rm", "one")
    equal(lampo("run", "--name", "one", "--", "true").code, 0)


def test_names_are_unique_at_the_same_time(lampo):
    racers = [lampo.start("run", "-d", "--name", "same", "--", "sleep", "100") for _ in range(8)]
    codes = sorted(r.wait(30) for r in racers)
    equal(codes, [0] + [125] * 7)
    equal([v["name"] for v in lampo.ps("-a")], ["same"])
    lampo.ok("rm", "-f", "same")


def test_reference_by_prefix(lampo):
    vms = [detached(lampo, "--", "sleep", "100") for _ in range(2)]
    equal(lampo("kill", "").code, 125)
    common = os.path.commonprefix(vms)
    if common:
        check("several" in lampo("kill", common).err)
    result = lampo("kill", "nosuch")
    equal(result.code, 125)
    check("nosuch" in result.err)
    # One that fails does not keep the others from their turn.
    equal(lampo("kill", "nosuch", *vms).code, 125)
    equal([v["exit_code"] for v in lampo.ps("-a")], [137, 137])
    lampo.ok("rm", *vms)


def test_kill_9_of_the_cli_ends_the_vm(lampo):
    p = lampo.start("run", "--", "sleep", "100")
    vm = lampo.wait_for("listed", lambda: [v for v in lampo.ps() if v["state"] == "running"])[0]
    p.kill()
    p.wait()
    lampo.wait_for("the monitor ends", lambda: not alive(vm["pid"]))
    equal(lampo.ps("-a"), [])
    equal(lampo.vm_dirs(), [], "ps has removed it")


def test_kill_9_of_the_monitor_ends_the_cli(lampo):
    p = lampo.start("run", "--", "sleep", "100", text=True)
    vm = lampo.wait_for("listed", lambda: [v for v in lampo.ps() if v["state"] == "running"])[0]
    os.kill(vm["pid"], signal.SIGKILL)
    _, err = p.communicate(timeout=10)
    equal(p.returncode, 137)
    check("killed" in err.splitlines()[0], err)
    equal(lampo.vm_dirs(), [])


def test_kill_9_of_a_detached_monitor(lampo):
    vm = detached(lampo, "--", "sleep", "100")
    waiter = lampo.start("wait", vm, text=True)
    entry, = lampo.ps()
    time.sleep(0.1)
    os.kill(entry["pid"], signal.SIGKILL)
    equal(waiter.communicate(timeout=10)[0], "137\n")
    entry, = lampo.ps("-a")
    equal((entry["state"], entry["exit_code"]), ("exited", 137))
    lampo.ok("rm", vm)


def test_kill_9_of_both(lampo):
    p = lampo.start("run", "--", "sleep", "100")
    vm = lampo.wait_for("listed", lambda: [v for v in lampo.ps() if v["state"] == "running"])[0]
    p.kill()
    os.kill(vm["pid"], signal.SIGKILL)
    p.wait()
    lampo.wait_for("no ghost", lambda: lampo.ps("-a") == [], 2)


def test_kill_9_of_the_cli_at_any_moment(lampo):
    for i in range(60):
        p = lampo.start("run", *(["-d"] if i % 2 else []), "--", "sleep", "100")
        time.sleep(i * 0.0002)
        p.kill()
        p.wait()
    # Detached ones may have come to life; nothing else may be left.
    time.sleep(0.5)
    for vm in lampo.ps("-a"):
        check(vm["detached"], f"a ghost: {vm}")
        lampo.ok("rm", "-f", vm["id"])
    equal(lampo.ps("-a"), [])
    equal(lampo.vm_dirs(), [])


def test_signals_at_any_moment(lampo):
    """From before the first system call of the start to the running guest: it ends by the signal, and nothing is left."""
    for i in range(60):
        number = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)[i % 3]
        p = lampo.start("run", "--", *program(FOREVER), text=True)
        time.sleep(i * 0.0004)
        p.send_signal(number)
        _, err = p.communicate(timeout=20)
        check(p.returncode in (-number, 128 + number), f"after {i * 0.4:.1f} ms: code {p.returncode}, {err!r}")
        equal(err, "")
    lampo.wait_for("all gone", lambda: lampo.ps("-a") == [] and not lampo.vm_dirs())


@only("fake")
def test_monitor_that_hangs_can_be_ended(lampo):
    vm = detached(lampo, "--", "sleep", "100", mode="hang")
    equal([v["state"] for v in lampo.ps()], ["not answering"])
    check("not answering" in lampo.ok("ps"))
    lampo.ok("kill", vm)
    equal(lampo.ok("wait", vm), "137\n")
    lampo.ok("rm", vm)


def test_many_at_once(lampo):
    available = int(next(l for l in open("/proc/meminfo") if l.startswith("MemAvailable")).split()[1]) >> 10
    count = 40 if lampo.fake or available < 4000 else 60
    racers = [lampo.start("run", "-d", "--memory", "32M", *(["--name", f"vm{i}"] if i % 4 == 0 else []), "--", "sleep", "1000")
              for i in range(count)]
    equal([r.wait(60) for r in racers], [0] * count)
    vms = lampo.ps()
    equal(len(vms), count)
    equal({v["state"] for v in vms}, {"running"})
    equal(len({v["id"] for v in vms}), count)
    stops = [lampo.start("stop", "-t", "5", v["id"]) for v in vms]
    equal([s.wait(60) for s in stops], [0] * count)
    equal(lampo.ps(), [])
    lampo.ok("rm", *[v["id"] for v in vms])


def test_many_come_and_go_while_listed(lampo):
    runs = [subprocess.Popen(["sh", "-c", f'for i in 1 2 3 4 5 6; do "{e2e.PROGRAM}" run --memory 32M -- true || exit 1; done'],
                             env=lampo.env, cwd=lampo.directory) for _ in range(4)]
    while any(r.poll() is None for r in runs):
        for vm in lampo.ps("-a"):
            check(vm["state"] in ("running", "ending"), f"a ghost: {vm}")
    equal([r.returncode for r in runs], [0] * 4)


e2e.main()
