#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Verbs that change the store, killed at each system call that changes something, and with each failing by ENOSPC and EIO:
the store is then the old or the new one, every image in it is whole, and the command, repeated, succeeds.
(SECURITY-CASES 32 to 36.)

CRASH_ALL=1 takes every point; otherwise a sample. CRASH_ONLY=WORD[,WORD...]: only these commands.
"""
import json
import os
import re
import shutil
import subprocess
import threading

import e2e
from e2e import Skip, check, equal, need_strace, only
from registry import Image, Registry
from image_tools import docker_archive, image_bytes, image_path, layer_tar, put_image

IMAGE = os.path.join(e2e.BUILD, "lampo-image")
ALL = os.environ.get("CRASH_ALL") == "1"
SAMPLE = 4
CHANGES = ("openat,openat2,creat,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,ftruncate,fallocate,rename,renameat,"
           "renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,fchmod,fchmodat,flock,copy_file_range,sendfile")


def environment(lampo):
    # One thread, so that the calls come in the same order each time.
    return dict(lampo.env, LAMPO_DATA=lampo.data_dir)


def run_image(lampo, *args, strace=()):
    return subprocess.run([*strace, IMAGE, *args], env=environment(lampo), capture_output=True, text=True, timeout=120,
                          cwd=lampo.directory)


def names(lampo):
    """{name: digest} of what is whole, and whether all is."""
    listed = run_image(lampo, "images", "--json")
    equal(listed.returncode, 0, listed)
    return {i["name"]: i["digest"] for i in json.loads(listed.stdout) if i["name"]}


def check_whole(lampo, where):
    verified = run_image(lampo, "image", "verify", "--all")
    check(verified.returncode == 0 and not verified.stdout, f"{where}: image verify: {verified}")


class Command:
    """A command, the store it begins with, and what may be there afterwards."""

    def __init__(self, lampo, label, args, repeat=None, healing=False):
        self.lampo, self.label, self.args, self.repeat, self.healing = lampo, label, args, repeat or args, healing
        self.template = lampo.data_dir + ".template"
        shutil.rmtree(self.template, ignore_errors=True)
        if os.path.exists(lampo.data_dir):
            shutil.copytree(lampo.data_dir, self.template)
        self.old = names(lampo)

    def reset(self):
        shutil.rmtree(self.lampo.data_dir, ignore_errors=True)
        if os.path.exists(self.template):
            shutil.copytree(self.template, self.lampo.data_dir)

    def trace(self, code=0):
        """Runs it; the changing calls in the store as (call, which of them in its thread), and all lines."""
        log = os.path.join(self.lampo.directory, "trace")
        self.reset()
        result = run_image(self.lampo, *self.args, strace=["strace", "-f", "-y", "-qq", "-s", "0", "-e", "signal=none",
                                                           "-e", "trace=" + CHANGES, "-o", log])
        equal(result.returncode, code, result)
        self.new = names(self.lampo)
        counts, points, lines = {}, [], []
        for line in open(log):
            match = re.match(r"(\d+) +(\w+)\(", line)
            if not match:
                continue
            key = match.groups()
            counts[key] = counts.get(key, 0) + 1
            if self.lampo.data_dir in line:
                points.append((match.group(2), counts[key]))
                lines.append(line)
        return points, lines

    def inject(self, fault, call, when):
        self.reset()
        kind = "signal=KILL" if fault == "KILL" else f"error={fault}"
        return run_image(self.lampo, *self.args, strace=["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                                                         "signal=none", "-e", f"inject={call}:{kind}:when={when}"])

    def run_point(self, fault, call, when):
        where = f"{self.label}, {fault} at {call} {when}"
        result = self.inject(fault, call, when)
        if fault == "KILL":
            check(result.returncode in (0, 137, -9), f"{where}: {result}")
        else:
            check(result.returncode in (0, 125), f"{where}: {result}")
            check(result.returncode == 0 or result.stderr, f"{where}: no word about it")
        now = names(self.lampo)
        check(now in (self.old, self.new), f"{where}: neither old nor new: {now}")
        check(result.returncode != 0 or now == self.new, f"{where}: success was reported: {result}")
        if not self.healing:
            check_whole(self.lampo, where)
        again = run_image(self.lampo, *self.repeat)
        equal(again.returncode, 0, f"{where}: repeated: {again}")
        equal(names(self.lampo), self.new, f"{where}: repeated")
        check_whole(self.lampo, where + ", repeated")

    def check_power_loss(self, lines):
        """After each call, each thing that the disk may hold then."""
        final = self.lampo.data_dir + ".final"
        shutil.rmtree(final, ignore_errors=True)
        shutil.copytree(self.lampo.data_dir, final)
        disk = Disk(self.template, final, self.lampo.data_dir)
        seen = set()
        for line in lines:
            disk.step(line)
            seen.update(disk.states())
        for state in seen if ALL else sorted(seen, key=repr)[::max(1, len(seen) // (2 * SAMPLE))]:
            shutil.rmtree(self.lampo.data_dir, ignore_errors=True)
            os.makedirs(self.lampo.data_dir, mode=0o700)
            disk.make(state, self.lampo.data_dir)
            where = f"{self.label}, power lost at {sorted(state, key=repr)}"
            now = names(self.lampo)
            check(now in (self.old, self.new), f"{where}: neither old nor new: {now}")
            if not self.healing:
                check_whole(self.lampo, where)
            again = run_image(self.lampo, *self.repeat)
            equal(again.returncode, 0, f"{where}: repeated: {again}")
            equal(names(self.lampo), self.new, f"{where}: repeated")
            check_whole(self.lampo, where)
        print(f"  {self.label}: {len(seen)} states after a loss of power", flush=True)

    def check_all(self):
        points, lines = self.trace()
        check(points, f"{self.label}: no changes seen")
        check_order(self.lampo.data_dir, lines, self.label)
        self.check_power_loss(lines)
        done = total = 0
        for fault in ("KILL", "ENOSPC", "EIO"):
            usable = [p for p in points if fault == "KILL" or p[0] != "flock"]
            step = 1 if ALL else max(1, len(usable) // SAMPLE)
            for call, when in usable[done % step::step]:
                self.run_point(fault, call, when)
                done += 1
            total += len(usable)
        print(f"  {self.label}: {done} of {total} points", flush=True)


class Disk:
    """What the disk of a store may hold if the power fails: the changes of directories that were not written to the disk
    may each be there or not, and the contents of files that were not are lost. From the lines of strace."""

    def __init__(self, template, final, data):
        self.data, self.final = data, final
        self.names, self.content, self.synced, self.pending, self.links = {}, {}, set(), [], {}
        for where, dirs, files in os.walk(template):
            for name in dirs + files:
                path = os.path.join(where, name)
                inside = os.path.relpath(path, template)
                self.names[inside] = inside if name in files else None
                if name in files:
                    self.content[inside] = open(path, "rb").read()
                    self.synced.add(inside)
        self.now = dict(self.names)
        self.serial = 0

    def inside(self, path):
        path = os.path.normpath(path)
        return os.path.relpath(path, self.data) if path.startswith(self.data + "/") else None

    def change(self, *change):
        """("link", name, inode), ("unlink", name), ("rename", from, to, inode); inode None: a directory."""
        self.apply(self.now, change)
        self.pending.append(change)

    @staticmethod
    def apply(names, change):
        if change[0] == "link":
            names[change[1]] = change[2]
            return
        names.pop(change[1], None)
        if change[0] == "rename":
            names[change[2]] = change[3]

    def step(self, line):
        call = re.match(r"\d+ +(\w+)\(", line).group(1)
        if re.search(r" = -1 ", line):
            return
        paths = [p.removesuffix(" (deleted)") for p in re.findall(r"\d+<([^>]*)>", line)]
        strings = re.findall(r'"([^"]*)"', line)
        if call in ("openat", "openat2") and "O_CREAT" in line:
            name = self.inside(paths[-1])
            if name and name not in self.now:
                self.serial += 1
                self.change("link", name, self.serial)
        elif call in ("mkdir", "mkdirat"):
            name = self.inside(os.path.join(paths[0] if call == "mkdirat" else "/", strings[0]))
            if name:
                self.change("link", name, None)
        elif call.startswith("unlink"):
            name = self.inside(os.path.join(paths[0], strings[0]))
            if name:
                self.change("unlink", name)
        elif call.startswith("rename"):
            source, target = (self.inside(os.path.join(p, s)) for p, s in zip(paths, strings))
            self.change("rename", source, target, self.now[source])
            self.links[self.now[target]] = target
        elif call in ("write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate", "fallocate", "copy_file_range"):
            self.synced.discard(self.now.get(self.inside(paths[-1] if call == "copy_file_range" else paths[0])))
        elif call in ("fsync", "fdatasync"):
            name = self.inside(paths[0])
            if name in self.now and self.now[name] is not None:
                self.synced.add(self.now[name])
            else:
                directory = name or "."
                kept = []
                for change in self.pending:
                    touched = change[1:3] if change[0] == "rename" else change[1:2]
                    if any((os.path.dirname(name) or ".") == directory for name in touched):
                        self.apply(self.names, change)
                        # That it had the old name need not be written any more.
                        kept = [c for c in kept if c[1] != change[1]]
                    else:
                        kept.append(change)
                self.pending = kept

    def states(self):
        """Each as {name: (inode, is its content there)}: none, all, one, all but one of the pending changes."""
        choices = [[], self.pending]
        for i in range(len(self.pending)):
            choices += [[self.pending[i]], self.pending[:i] + self.pending[i + 1:]]
        for choice in choices:
            names = dict(self.names)
            for change in choice:
                self.apply(names, change)
            yield frozenset((n, i, i in self.synced) for n, i in names.items())

    def make(self, state, directory):
        for name, inode, there in sorted(state, key=lambda entry: entry[0]):
            path = os.path.join(directory, name)
            if inode is None:
                os.makedirs(path, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(path), exist_ok=True)
            content = b""
            if there and inode in self.content:
                content = self.content[inode]
            elif there and self.now.get(self.links.get(inode)) == inode:
                content = open(os.path.join(self.final, self.links[inode]), "rb").read()
            elif there and self.links.get(inode) == "index.json":
                # Replaced later by the same command: that is the one that it made with the store.
                content = b'{"version": 1, "images": []}'
            with open(path, "wb") as file:
                file.write(content)


def check_order(data, lines, label):
    """Each file that gets its final name was written to the disk before, and its directory after, before anything
    refers to it."""
    dirty, unsynced = set(), set()

    def inside(path):
        return os.path.normpath(path)

    for line in lines:
        call = re.match(r"\d+ +(\w+)\(", line).group(1)
        paths = [inside(p) for p in re.findall(r"\d+<([^>]*)>", line)]
        if call in ("write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate", "fallocate", "copy_file_range", "fchmod"):
            dirty.add(paths[-1] if call == "copy_file_range" else paths[0])
        elif call in ("fsync", "fdatasync"):
            dirty.discard(paths[0])
            unsynced.discard(paths[0])
        elif call.startswith("rename"):
            strings = re.findall(r'"([^"]*)"', line)
            source, target = (os.path.join(p, s) for p, s in zip(paths, strings)) if strings else (None, None)
            check(source is not None, f"{label}: cannot read {line}")
            check(source not in dirty, f"{label}: {source} got its name before it was on the disk")
            if target.endswith("index.json"):
                check(not unsynced - {data}, f"{label}: the index was changed before {unsynced} was on the disk")
            unsynced.add(os.path.dirname(target))
        elif call.startswith("unlink") and "/tmp/" not in line and '"tmp/' not in line:
            name = re.search(r'"([^"]*)"', line).group(1)
            unsynced.add(os.path.dirname(os.path.join(paths[0], name)))
    check(not unsynced, f"{label}: {unsynced} was never written to the disk")


@only("fake")
def test_the_check_of_the_order(lampo):
    """That it would notice."""
    write = "1 write(5</d/tmp/x>, , 1) = 1"
    sync = "1 fsync(5</d/tmp/x>) = 0"
    rename = '1 renameat(3</d>, "tmp/x", 3</d>, "images/sha256/x") = 0'
    sync_dir = "1 fsync(6</d/images/sha256>) = 0"
    index = ["1 write(7</d/tmp/index.json>, , 1) = 1", "1 fsync(7</d/tmp/index.json>) = 0",
             '1 renameat(3</d>, "tmp/index.json", 3</d>, "index.json") = 0', "1 fsync(8</d>) = 0"]
    check_order("/d", [write, sync, rename, sync_dir, *index], "good")
    for bad in ([write, rename, sync_dir, *index], [sync, write, rename, sync_dir, *index], [write, sync, rename, *index],
                [write, sync, rename, *index, sync_dir], [write, sync, rename, sync_dir, *index[:3]],
                [write, sync, rename, sync_dir, index[0], *index[2:]], [write, sync, rename]):
        try:
            check_order("/d", bad, "bad")
        except AssertionError:
            continue
        raise AssertionError(f"not noticed: {bad}")


def selected(label):
    wanted = os.environ.get("CRASH_ONLY")
    return not wanted or label.split()[0] in wanted.split(",")


def check_command(lampo, prepare, *args, repeat=None, label=None, healing=False):
    label = label or args[0]
    if not selected(label):
        return
    need_strace()
    prepare()
    Command(lampo, label, args, repeat, healing).check_all()


def begin(lampo):
    """A store with two images, one of them with two names, and one without a name."""
    make_store(lampo)
    a, b = put_image(lampo.data_dir, 1), put_image(lampo.data_dir, 2)
    put_image(lampo.data_dir, 3)
    for digest, name in ((a, "a"), (b, "b"), (b, "c")):
        equal(run_image(lampo, "tag", digest, name).returncode, 0)
    return a, b


def make_store(lampo):
    """The tag fails, as there is no such image; the store is there."""
    equal(run_image(lampo, "tag", "nothing", "x").returncode, 125)


# ---- the commands ------------------------------------------------------------------------------------------------


@only("fake")
def test_tag(lampo):
    check_command(lampo, lambda: begin(lampo), "tag", "a", "b", "registry.example:5000/new/name:1")


@only("fake")
def test_rmi(lampo):
    check_command(lampo, lambda: begin(lampo), "rmi", "a", repeat=("rmi", "-f", "a"))


@only("fake")
def test_rmi_by_digest(lampo):
    digest = image_bytes(2)[1]
    check_command(lampo, lambda: begin(lampo), "rmi", "-f", digest, label="rmi by digest")


@only("fake")
def test_prune(lampo):
    def prepare():
        begin(lampo)
        for name in ("tmp/draft-0000", "tmp/other", "quarantine/x"):
            with open(os.path.join(lampo.data_dir, name), "w") as file:
                file.write("x")
    check_command(lampo, prepare, "prune")


def context(lampo):
    """A small tree to build from."""
    path = os.path.join(lampo.directory, "context")
    os.makedirs(os.path.join(path, "dir"), exist_ok=True)
    for name, size in (("one", 10), ("dir/two", 5000), ("dir/three", 100000)):
        with open(os.path.join(path, name), "wb") as file:
            file.write(os.urandom(1) * size)
    with open(os.path.join(path, "Lampofile"), "w") as file:
        file.write('FROM scratch\nCOPY . /\nCMD ["/one"]\n')
    return path


@only("fake")
def test_build(lampo):
    check_command(lampo, lambda: begin(lampo), "build", "-t", "a", "-t", "new", context(lampo))


@only("fake")
def test_build_makes_the_store(lampo):
    check_command(lampo, lambda: None, "build", "-t", "new", context(lampo), label="build without a store")


@only("fake")
def test_build_heals(lampo):
    """What is built is there, but damaged."""
    path = context(lampo)

    def prepare():
        begin(lampo)
        built = run_image(lampo, "build", "-t", "new", path)
        equal(built.returncode, 0, built)
        file = image_path(lampo.data_dir, built.stdout.split()[-1])
        os.chmod(file, 0o644)
        os.truncate(file, 8192)
    check_command(lampo, prepare, "build", "-t", "new", path, label="build over a damaged image", healing=True)


@only("fake")
def test_verify(lampo):
    """While it puts a damaged image aside."""
    if not selected("verify"):
        return
    need_strace()
    a, b = begin(lampo)
    file = image_path(lampo.data_dir, a)
    os.chmod(file, 0o644)
    with open(file, "r+b") as out:
        out.write(b"x")
    command = Command(lampo, "verify", ("image", "verify", "--all"))
    points = command.trace(code=1)[0]
    done = 0
    for fault in ("KILL", "ENOSPC", "EIO"):
        for call, when in points if ALL else points[done % 3::max(1, len(points) // SAMPLE)]:
            if fault != "KILL" and call == "flock":
                continue
            where = f"verify, {fault} at {call} {when}"
            result = command.inject(fault, call, when)
            check(result.returncode in (1, 125) or fault == "KILL", f"{where}: {result}")
            aside = os.path.join(lampo.data_dir, "quarantine", a[7:])
            equal(os.path.exists(aside) + os.path.exists(file), 1, where)
            equal(names(lampo), command.old, where)
            again = run_image(lampo, "image", "verify", "--all")
            check(again.returncode == 1 and a in again.stdout and b not in again.stdout, f"{where}, repeated: {again}")
            put_image(lampo.data_dir, 1)
            check_whole(lampo, where)
            done += 1
    print(f"  verify: {done} points", flush=True)


def archive(lampo, *more_names):
    path = os.path.join(lampo.directory, "archive.tar")
    layers = [layer_tar({"bin/one": b"1" * 5000, "two": b"2"}), layer_tar({".wh.two": b"", "three": os.urandom(1) * 70000})]
    docker_archive(path, ["a:latest", *more_names], layers, {"config": {"Cmd": ["/bin/one"]}})
    return path


@only("fake")
def test_import(lampo):
    check_command(lampo, lambda: begin(lampo), "import", archive(lampo, "new:1"))


@only("fake")
def test_import_makes_the_store(lampo):
    check_command(lampo, lambda: None, "import", archive(lampo), label="import without a store")


@only("fake")
def test_pull(lampo):
    """The image is converted; then pulled again over another of that name."""
    if not selected("pull"):
        return
    with Registry() as server:
        server.add(Image({"a": b"1" * 100000}, {"b": b"2", ".wh.a": b""}))
        check_command(lampo, lambda: begin(lampo), "pull", f"{server.host}/t:1")


@only("fake")
def test_pull_of_lampos_own_form(lampo):
    if not selected("pull"):
        return
    with Registry() as server:
        server.add(Image({"a": b"1" * 100000}))
        equal(run_image(lampo, "pull", f"{server.host}/t:1").returncode, 0)
        equal(run_image(lampo, "push", f"{server.host}/t:1", f"{server.host}/own:1").returncode, 0)
        check_command(lampo, lambda: shutil.rmtree(lampo.data_dir), "pull", f"{server.host}/own:1", label="pull of Lampo's own form")


# ---- several at once, and a full disk -------------------------------------------------------------------------------


@only("fake")
def test_many_at_once(lampo):
    """Imports, pulls, builds, tags and prunes at once: none fails, nothing that has a name is missing."""
    path, tar = context(lampo), archive(lampo)
    with Registry() as server:
        server.add(Image({"a": b"1" * 100000}, {"b": b"2"}))
        results = []

        def work(*commands):
            for command in commands * 3:
                results.append((command, run_image(lampo, *command)))

        threads = [threading.Thread(target=work, args=commands) for commands in (
            [("pull", f"{server.host}/t:1"), ("rmi", "-f", f"{server.host}/t:1"), ("pull", f"{server.host}/t:1")],
            [("pull", f"{server.host}/t:1"), ("import", tar)],
            [("import", tar), ("build", path), ("image", "verify")],
            [("build", "-t", "built", path), ("tag", "built", "other")],
            [("prune",), ("prune",), ("images",)])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for command, result in results:
        # A tag may come before the first build; all else works.
        check(result.returncode == 0, f"{command}: {result}")
    check_whole(lampo, "many at once")
    equal(set(names(lampo)), {"a:latest", "built:latest", "other:latest", f"{server.host}/t:1"})
    equal(run_image(lampo, "prune").returncode, 0)
    equal(os.listdir(os.path.join(lampo.data_dir, "tmp")), [])
    digests = {i[7:] for i in names(lampo).values()}
    equal(set(os.listdir(os.path.join(lampo.data_dir, "images", "sha256"))), digests)


@only("fake")
def test_full_disk(lampo):
    """A real one: everything fails in words until there is room again."""
    script = r"""
set -e
mkdir -p "$LAMPO_DATA"
mount -t tmpfs -o size=512k,mode=700 tmpfs "$LAMPO_DATA" || exit 77
"$1" import "$2" >/dev/null || exit 1
dd if=/dev/zero of="$LAMPO_DATA/fill" bs=4k 2>/dev/null || true
for n in 1 2 3; do
	! "$1" import "$3" 2>"$LAMPO_DATA/../said" || exit 2
	grep -q 'make room' "$LAMPO_DATA/../said" || exit 3
	! "$1" build -t b "$4" 2>"$LAMPO_DATA/../said" || exit 4
	"$1" image verify || exit 5
done
"$1" tag a:latest other 2>/dev/null || true
"$1" prune >/dev/null || exit 6
"$1" rmi other 2>/dev/null || true
"$1" image verify || exit 7
rm "$LAMPO_DATA/fill"
"$1" import "$3" >/dev/null || exit 8
"$1" tag b c || exit 9
"$1" image verify || exit 10
test -z "$(ls "$LAMPO_DATA/tmp")" || exit 11
"""
    first, path = archive(lampo), context(lampo)
    second = os.path.join(lampo.directory, "second.tar")
    docker_archive(second, ["b:latest"], [layer_tar({"x": os.urandom(100000)})])
    process = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", IMAGE, first, second, path], env=environment(lampo),
                             capture_output=True, text=True, timeout=120)
    if process.returncode == 77 or (process.returncode == 1 and "unshare" in process.stderr):
        raise Skip("needs to mount a tmpfs")
    check(process.returncode == 0, process)


if __name__ == "__main__":
    e2e.main()
