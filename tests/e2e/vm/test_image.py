#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""VMs of image files: what is damaged is never executed, what is cut short ends the VM, nothing changes the file, and many
VMs share its pages."""
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.path.abspath(os.environ.get("LAMPO_BUILD") or os.path.join(TOP, os.environ.get("B", "build")))
LAMPO = os.path.join(BUILD, "lampo")
VMM = os.path.join(BUILD, "lampo-vmm")
GUEST = os.path.join(BUILD, "tests", "guest")
COUNT = int(os.environ.get("COUNT") or (5 if os.environ.get("LAMPO_RIG") else 50))
failed = False


def check(ok, text):
    global failed
    if not ok:
        print("failed:", text, flush=True)
        failed = True


def lampo(*args, timeout=120, **more):
    return subprocess.run([LAMPO, *args], stdin=subprocess.DEVNULL, capture_output=True, encoding="latin-1", timeout=timeout,
                          **more)


def make_image(path, config, **files):
    pairs = [f"{host}={target}" for target, host in files.items()]
    out = subprocess.run([os.path.join(BUILD, "tests", "e2e", "make_image"), path, json.dumps(config), *pairs],
                         check=True, capture_output=True, text=True).stdout
    return out.strip()


def libraries(*programs):
    out = subprocess.run(["ldd", *programs], capture_output=True, text=True).stdout
    return {m: m for m in re.findall(r"(/\S+) \(0x", out)}


def sleeper(directory, name="sleeper.img"):
    """An image whose program sleeps, and that has a file of 4 MiB besides."""
    big = os.path.join(directory, "big")
    with open(big, "wb") as f:
        f.write(b"".join(hashlib.sha256(b"%d" % i).digest() * 128 for i in range(1024)))
    shell = os.path.realpath("/bin/sh")
    programs = {f"/bin/{p}": os.path.realpath(shutil.which(p)) for p in ("sleep", "cat", "mkdir", "sha256sum")}
    path = os.path.join(directory, name)
    make_image(path, {"config": {"Cmd": ["/bin/sleep", "1000"]}},
               **{"/bin/sh": shell, "/big": big, **programs, **libraries(shell, *programs.values())})
    return path, big


def test_every_damaged_block(directory):
    """One bit in each block of an image in turn: its program gives the right answer or an error."""
    path = os.path.join(directory, "small.img")
    make_image(path, {"config": {"Cmd": ["/program"]}}, **{"/program": os.path.join(GUEST, "exit_code_42.musl")})
    with open(path, "rb") as f:
        image = bytearray(f.read())
    check(lampo("run", path).returncode == 42, "the whole image runs")
    noticed = 0
    for block in range(len(image) // 4096):
        at = block * 4096 + block * 1237 % 4096
        image[at] ^= 1 << block % 8
        # Always a new file: nobody changes one in place.
        bad = os.path.join(directory, f"bad{block}.img")
        with open(bad, "wb") as f:
            f.write(image)
        image[at] ^= 1 << block % 8
        result = lampo("run", bad)
        os.unlink(bad)
        check(result.returncode == 42 and result.stderr == "" or
              result.returncode in (125, 126, 128 + 7) and len(result.stderr) > 0,
              f"block {block} is damaged: {result}")
        check(result.returncode != 125 or result.stderr.count("\n") <= 4, f"block {block}: more than an error: {result}")
        noticed += result.returncode != 42
    # The footer, the tree, the configuration, the program's pages and the file system's own.
    check(noticed >= len(image) // 4096 * 2 // 3, f"{noticed} of {len(image) // 4096} were noticed")


def test_damage_is_an_error_for_readers(directory):
    path, big = sleeper(directory, "whole.img")
    with open(path, "rb") as f:
        image = bytearray(f.read())
    page = hashlib.sha256(b"700").digest() * 128
    at = image.index(page)
    image[at + 5] ^= 1
    bad = os.path.join(directory, "bad.img")
    with open(bad, "wb") as f:
        f.write(image)
    result = lampo("run", bad, "/bin/cat", "/big")
    check(result.returncode == 1 and "Input/output error" in result.stderr, f"cat: {result.returncode} {result.stderr}")
    check(f"image block {at // 4096} is damaged" in result.stderr, f"which block it was is said: {result.stderr}")
    raw = subprocess.run([LAMPO, "run", bad, "/bin/cat", "/big"], stdin=subprocess.DEVNULL, capture_output=True).stdout
    with open(big, "rb") as f:
        check(len(raw) <= 700 * 4096 and raw == f.read(len(raw)), "nothing wrong comes out")
    with open(big, "rb") as f:
        want = hashlib.sha256(f.read()).hexdigest()
    check(lampo("run", path, "/bin/sha256sum", "/big").stdout.startswith(want), "the whole file is right")


def test_wrong_digest(directory):
    path = os.path.join(directory, "small.img")
    digest = make_image(path, {}, **{"/program": os.path.join(GUEST, "exit_code_42.musl")})
    for given, code in ((digest, 42), ("sha256:" + "0" * 64, 125), ("sha256:1", 125)):
        with open(path, "rb") as f:
            result = subprocess.run([VMM, "--image-fd", str(f.fileno()), "--image-digest", given, "--", "/program"],
                                    pass_fds=[f.fileno()], capture_output=True, text=True)
        check(result.returncode == code, f"{given}: {result}")
    with open(path, "rb") as f, open(path, "rb") as g:
        result = subprocess.run([VMM, "--image-fd", str(f.fileno()), "--root-fd", str(g.fileno()), "--", "/program"],
                                pass_fds=[f.fileno(), g.fileno()], capture_output=True, text=True)
    check(result.returncode == 125 and "one root" in result.stderr, f"two roots: {result}")
    for bad in ("/dev/null", "/", os.path.join(GUEST, "exit_code_42.musl")):
        fd = os.open(bad, os.O_RDONLY)
        result = subprocess.run([VMM, "--image-fd", str(fd), "--", "/program"], pass_fds=[fd], capture_output=True, text=True)
        os.close(fd)
        check(result.returncode == 125 and result.stderr.startswith("lampo-vmm: "), f"{bad} is no image: {result}")


def test_writes_stay_in_the_guest(directory):
    path, _ = sleeper(directory)
    with open(path, "rb") as f:
        before = hashlib.sha256(f.read()).hexdigest()
    volume = os.path.join(directory, "volume")
    os.makedirs(volume)
    script = """set -e
        echo new >/big; echo more >>/bin/sleep; read line </big; echo "$line"; echo x >/etc-new; read line </etc-new; echo "$line"
        echo out >/mnt/volume/file; read line </proc/mounts; echo "$line" >/mnt/volume/mounts; : >/tmp/t"""
    result = lampo("run", "-v", f"{volume}:/mnt/volume:rw", path, "/bin/sh", "-c", script)
    check(result.returncode == 0 and result.stdout == "new\nx\n", f"the guest sees its changes: {result}")
    with open(path, "rb") as f:
        check(hashlib.sha256(f.read()).hexdigest() == before, "the file is as it was")
    with open(os.path.join(volume, "file")) as f:
        check(f.read() == "out\n", "the volume has the guest's file")
    with open(os.path.join(volume, "mounts")) as f:
        check(f.read().startswith("lampo / overlay "), "the root is an overlay")


def test_a_file_cut_short_ends_the_vm(directory):
    path, _ = sleeper(directory)
    for kind in ("reading", "by the monitor"):
        copy = os.path.join(directory, "copy.img")
        shutil.copy(path, copy)
        # It waits for a line before it goes on to what is gone.
        process = subprocess.Popen([LAMPO, "run", "-i", copy, "/bin/sh", "-c", "echo up; read x; exec /bin/cat /big"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="latin-1")
        check(process.stdout.readline() == "up\n", "it runs")
        os.truncate(copy, 4096 if kind == "reading" else os.path.getsize(copy) // 2)
        try:
            out, err = process.communicate("go\n", timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            check(False, f"{kind}: it did not end")
        check(process.returncode == 125 and "cut short" in err, f"{kind}: {process.returncode} {err}")
        os.unlink(copy)


def smaps_of(pid, name):
    """KiB of the mappings of a file, by kind."""
    total = {}
    inside = False
    with open(f"/proc/{pid}/smaps") as f:
        for line in f:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                inside = line.rstrip().endswith(name)
            elif inside and (m := re.match(r"(\w+): +(\d+) kB", line)):
                total[m[1]] = total.get(m[1], 0) + int(m[2])
    return total


def test_many_share_their_pages(directory):
    path, _ = sleeper(directory)
    ids = [lampo("run", "-d", path).stdout.strip() for _ in range(COUNT)]
    try:
        time.sleep(2)
        vms = [vm for vm in json.loads(lampo("ps", "--json").stdout) if vm["id"] in ids]
        check(len(vms) == COUNT, f"{len(vms)} of {COUNT} run")
        private = shared = share = guest = 0
        for vm in vms:
            image = smaps_of(vm["pid"], "sleeper.img")
            # Not what smaps calls private: a page of the host's cache that only one of them maps just now.
            private += image["Anonymous"]
            share += image["Pss"]
            shared += image["Rss"]
            guest += smaps_of(vm["pid"], "lampo-ram (deleted)")["Rss"]
        check(shared > 0 and private == 0 and share < 2 * shared // COUNT, f"{private} KiB of the image's pages are not shared, of {shared}")
        print(f"{COUNT} VMs of one image: {shared // COUNT} KiB of the image mapped in each, {share} KiB all together, "
              f"{private} KiB of it copies; {guest // COUNT} KiB of guest memory each")
    finally:
        lampo("kill", *ids)
        lampo("rm", *ids)


def main():
    if os.access("/dev/kvm", os.R_OK | os.W_OK) is False:
        print("no /dev/kvm")
        sys.exit(77)
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            with tempfile.TemporaryDirectory(prefix="lampo-image-") as directory:
                os.environ["LAMPO_RUN_DIR"] = os.path.join(directory, "run")
                os.environ["LAMPO_DATA"] = os.path.join(directory, "data")
                before = failed
                test(directory)
                print("passed" if failed == before else "FAILED", name, flush=True)
    sys.exit(failed)


main()
