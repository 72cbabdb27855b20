#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Many VMs at once (COUNT, default 200; 20 in the rig): started in parallel, all answer, all stop, nothing is left.

Prints what one VM costs the host: private memory of its monitor, guest memory, and the drop of MemAvailable.
"""
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
LAMPO = os.path.join(os.environ.get("LAMPO_BUILD") or os.path.join(TOP, os.environ.get("B", "build")), "lampo")
COUNT = int(os.environ.get("COUNT") or (20 if os.environ.get("LAMPO_RIG") else 200))
failed = False


def check(ok, text):
    global failed
    if not ok:
        print("failed:", text, flush=True)
        failed = True


def lampo(*args, timeout=120):
    return subprocess.run([LAMPO, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)


def available_kib():
    with open("/proc/meminfo") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("MemAvailable:"))


def vms():
    return json.loads(lampo("ps", "--json").stdout)


def monitor_memory(pid):
    """(private, guest) in KiB of one monitor."""
    private = guest = 0
    in_guest = False
    with open(f"/proc/{pid}/smaps") as f:
        for line in f:
            words = line.split()
            if "-" in words[0] and len(words) >= 5 and not words[0].endswith(":"):
                in_guest = "memfd:" in line
            elif words[0] in ("Private_Dirty:", "Private_Clean:"):
                if in_guest:
                    guest += int(words[1])
                else:
                    private += int(words[1])
    return private, guest


def start(i):
    return lampo("run", "-d", "--memory", "64M", "--name", f"many-{i}", "--", "sleep", "1000")


def main():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("no usable /dev/kvm")
        return 77
    before, begin = available_kib(), time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        started = list(pool.map(start, range(COUNT)))
    bad = [r for r in started if r.returncode != 0]
    check(not bad, f"{len(bad)} of {COUNT} did not start: {bad[0].stderr if bad else ''}")
    print(f"{COUNT} VMs started in {time.monotonic() - begin:.1f} s")
    time.sleep(1)
    running = [v for v in vms() if v["name"].startswith("many-")]
    check(len(running) == COUNT, f"{len(running)} VMs are listed")
    states = {v.get("state") for v in running}
    check(states == {"running"}, f"states {states}")
    check(len({v["id"] for v in running}) == len(running), "ids are not unique")
    memory = [monitor_memory(v["pid"]) for v in running if v.get("pid")]
    drop = before - available_kib()
    if memory:
        print(f"a VM: monitor private {sum(m[0] for m in memory) / len(memory):.0f} KiB, guest memory "
              f"{sum(m[1] for m in memory) / len(memory):.0f} KiB; MemAvailable fell by {drop / COUNT:.0f} KiB for each")
        check(max(m[0] for m in memory) <= 3072, "a monitor has more than 3 MiB of private memory")

    # All answer: each ends by the signal that it is sent, and its exit code is told.
    begin = time.monotonic()

    def stop(i):
        return lampo("stop", f"many-{i}"), lampo("wait", f"many-{i}")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        stopped = list(pool.map(stop, range(COUNT)))
    bad = [s for s, _ in stopped if s.returncode != 0]
    check(not bad, f"{len(bad)} did not stop: {bad[0].stderr if bad else ''}")
    bad = [w for _, w in stopped if "143" not in (w.stdout + str(w.returncode))]
    check(not bad, f"{len(bad)} gave another exit code: {bad[0] if bad else ''}")
    print(f"{COUNT} VMs stopped in {time.monotonic() - begin:.1f} s")
    check(not [v for v in vms() if v.get("state") == "running"], "some are still running")
    names = [f"many-{i}" for i in range(COUNT)]
    r = lampo("rm", *names)
    check(r.returncode == 0, f"rm: {r.stderr}")
    check(vms() == [], "something is left in the list")
    files = [os.path.join(d, n) for d, _, names in os.walk(os.environ["LAMPO_RUN_DIR"]) for n in names]
    check(not files, f"left in the run directory: {files[:5]}")
    time.sleep(0.5)
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    check("--hostname many-" not in left and "many-" not in "".join(l for l in left.splitlines() if "lampo-vmm" in l),
          "monitors are left")
    return 1 if failed else 0


with tempfile.TemporaryDirectory(prefix="lampo-many-") as directory:
    os.environ["LAMPO_RUN_DIR"] = directory
    code = main()
sys.exit(code)
