#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The verbs that list, look at, name and remove images, and how `lampo run` tells an image from a program."""
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios

import e2e
from e2e import check, equal, need_strace, only
from image_tools import docker_archive, image_bytes, image_path, layer_tar, put_image


def begin(lampo, *seeds):
    """A store with images without a name; their digests."""
    equal(lampo("tag", "nothing", "x").code, 125)
    return [put_image(lampo.data_dir, seed) for seed in seeds]


def fails(lampo, *args, says=(), code=125, **more):
    result = lampo(*args, **more)
    equal(result.code, code, f"lampo {args}: {result}")
    for text in says:
        check(text in result.err, f"lampo {args} does not say {text!r}: {result}")
    return result


def names(lampo):
    return lampo.ok("images", "--names").split()


def files(lampo):
    return sorted(os.listdir(os.path.join(lampo.data_dir, "images", "sha256")))


def damage(lampo, digest, at=5000):
    path = image_path(lampo.data_dir, digest)
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


@only("fake")
def test_empty(lampo):
    """Looking makes no store."""
    equal(lampo.ok("images", "--json").strip(), "[]")
    equal(lampo.ok("images", "-q"), "")
    equal(lampo.ok("image", "verify"), "")
    lampo.ok("prune")
    fails(lampo, "image", "inspect", "x", says=["no image x", "lampo images"])
    check(not os.path.exists(lampo.data_dir))


@only("fake")
def test_listing(lampo):
    a, b = begin(lampo, 1, 2)
    lampo.ok("tag", a, "app", "registry.example:5000/team/app:2")
    listed = json.loads(lampo.ok("images", "--json"))
    equal([(i["name"], i["digest"]) for i in listed], [("app:latest", a), ("registry.example:5000/team/app:2", a), ("", b)])
    check(all(i["bytes"] > 0 and i["created"] > 0 for i in listed))
    equal(lampo.ok("images", "-q").split(), [a, b])
    equal(names(lampo), ["app:latest", "registry.example:5000/team/app:2"])
    table = lampo.ok("images").splitlines()
    equal(table[0].split(), ["NAME", "DIGEST", "SIZE", "AGE", "ORIGIN"])
    check(table[-1].startswith("<none>") and b[7:19] in table[-1], table)


@only("fake")
def test_inspect_and_history(lampo):
    begin(lampo)
    history = [{"created": "2001-02-03T04:05:06Z", "created_by": "first"}, {"created_by": "second\x1b[31m", "empty_layer": True}]
    digest = put_image(lampo.data_dir, 5, config={"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/x"]},
                                                   "history": history})
    lampo.ok("tag", digest, "app")
    for text in ("app", "app:latest", digest, digest[7:], digest[7:13]):
        [image] = json.loads(lampo.ok("image", "inspect", text))
        equal(image["digest"], digest)
        equal(image["names"], ["app:latest"])
        equal(image["config"]["config"]["Cmd"], ["/x"])
        equal(image["sizes"]["bytes"], os.path.getsize(image_path(lampo.data_dir, digest)))
        check(image["root_hash"].startswith("sha256:"))
    lines = lampo.ok("image", "history", "app").splitlines()
    check("second?[31m" in lines[1] and "first" in lines[2], lines)
    equal(json.loads(lampo.ok("image", "history", "--json", "app")), history)
    # A file outside of the store, by its path.
    data, other = image_bytes(6)
    with open(os.path.join(lampo.directory, "file.img"), "wb") as file:
        file.write(data)
    equal(json.loads(lampo.ok("image", "inspect", "./file.img"))[0]["digest"], other)
    fails(lampo, "image", "inspect", "file.img", says=["no image file.img"])
    fails(lampo, "image", "inspect", "/bin/true", says=["no image"])
    fails(lampo, "image", "inspect", "app", "nosuch", says=["nosuch"])


@only("fake")
def test_tag_and_rmi(lampo):
    a, b = begin(lampo, 1, 2)
    lampo.ok("tag", a, "one", "two")
    lampo.ok("tag", "one", "three:3")
    equal(names(lampo), ["one:latest", "three:3", "two:latest"])
    lampo.ok("tag", b, "two")
    equal(lampo.ok("rmi", "one").splitlines(), ["untagged one:latest"])
    check(a[7:] in files(lampo))
    equal(lampo.ok("rmi", "three:3").splitlines(), ["untagged three:3", "deleted " + a])
    equal(files(lampo), [b[7:]])
    lampo.ok("tag", "two", "four")
    fails(lampo, "rmi", b, says=["2 names", "-f"])
    equal(lampo.ok("rmi", "-f", b[7:20]).splitlines(), ["untagged four:latest", "untagged two:latest", "deleted " + b])
    equal(files(lampo), [])
    fails(lampo, "rmi", "two", says=["no image two"])
    lampo.ok("rmi", "-f", "two")
    for bad in ("../x", "-x", "A", "a b", "", "x:y:z", "x@" + a):
        fails(lampo, "tag", "--", b, bad)
    # One that fails does not keep the others.
    (c,) = begin(lampo, 3)
    lampo.ok("tag", c, "five")
    fails(lampo, "rmi", "nosuch", "five", says=["nosuch"])
    equal(files(lampo), [])


@only("fake")
def test_prune(lampo):
    a, b, c = begin(lampo, 1, 2, 3)
    lampo.ok("tag", a, "kept")
    equal(lampo.ok("prune").strip(), "removed 2 images, freed 56K bytes")
    equal(files(lampo), [a[7:]])
    equal(lampo.ok("prune").strip(), "removed 0 images, freed 0 bytes")


@only("fake")
def test_ambiguous_digits(lampo):
    begin(lampo)
    fake = os.path.join(lampo.data_dir, "images", "sha256")
    for last in "01":
        with open(os.path.join(fake, "abcdef" + "0" * 57 + last), "w") as file:
            file.write("x")
    fails(lampo, "image", "inspect", "abcdef", says=["several"])
    fails(lampo, "image", "inspect", "abcde", says=["no image"])


@only("fake")
def test_verify_finds_damage(lampo):
    a, b = begin(lampo, 1, 2)
    lampo.ok("tag", a, "good")
    lampo.ok("tag", b, "bad", "registry.example/bad:1")
    equal(lampo.ok("image", "verify"), "")
    damage(lampo, b)
    equal(lampo.ok("image", "verify", "good"), "")
    result = lampo("image", "verify", "--all")
    equal(result.code, 1, result)
    for text in (b, "bad:latest", "registry.example/bad:1", "again"):
        check(text in result.out, result)
    check("good" not in result.out, result)
    equal(files(lampo), [a[7:]])
    # It is missing now, which is still no good.
    result = lampo("image", "verify", "bad")
    equal(result.code, 1, result)
    check("missing" in lampo.ok("images"))
    fails(lampo, "image", "inspect", "bad", says=["again"])
    put_image(lampo.data_dir, 2)
    equal(lampo.ok("image", "verify"), "")
    check("freed 28K" in lampo.ok("prune"))


@only("fake")
def test_damaged_index(lampo):
    (a,) = begin(lampo, 1)
    lampo.ok("tag", a, "app")
    index = os.path.join(lampo.data_dir, "index.json")
    for text in ("", "{", '{"version": 1}'):
        with open(index, "w") as file:
            file.write(text)
        for args in (["images"], ["image", "verify"], ["tag", "app", "x"], ["rmi", "app"], ["prune"], ["run", "app"]):
            result = fails(lampo, *args, says=["index.json", "damaged", "lampo tag"])
        check(os.path.exists(image_path(lampo.data_dir, a)), args)
        # Programs that cannot be meant otherwise are not concerned.
        equal(lampo("run", "--", "true").code, 0)
        equal(lampo("run", "/bin/true").code, 0)
    with open(index, "w") as file:
        file.write('{"version": 2, "images": []}')
    fails(lampo, "images", says=["newer version"])
    with open(index, "w") as file:
        file.write('{"version": 1, "images": []}')
    lampo.ok("tag", a, "app")


@only("fake")
def test_unsafe_store(lampo):
    begin(lampo)
    os.chmod(lampo.data_dir, 0o777)
    fails(lampo, "images", says=["others", "LAMPO_DATA"])
    os.chmod(lampo.data_dir, 0o755)
    lampo.ok("images")
    file = os.path.join(lampo.directory, "file")
    open(file, "w").close()
    fails(lampo, "images", env={"LAMPO_DATA": file}, says=["cannot open"])
    fails(lampo, "tag", "a", "b", env={"LAMPO_DATA": "/proc/lampo/x"}, says=["cannot make", "LAMPO_DATA"])


@only("fake")
def test_groups_and_help(lampo):
    fails(lampo, "image", says=["lampo help image"])
    fails(lampo, "image", "nosuch", says=["image nosuch"])
    for text in (lampo.ok("help", "image"), lampo.ok("image", "--help")):
        check("inspect" in text and "verify" in text, text)
    check("[IMAGE...]" in lampo.ok("help", "image", "verify"))
    equal(lampo.ok("help", "image", "verify"), lampo.ok("image", "verify", "--help"))
    fails(lampo, "images", "extra", says=["too many"])
    # Either program takes the commands of both.
    for program in ("lampo", "lampo-image"):
        run = subprocess.run([os.path.join(e2e.BUILD, program), "ps"], env=lampo.env, capture_output=True, text=True)
        check(run.returncode == 0 and "CPUS" in run.stdout, run)


@only("fake")
def test_what_run_runs(lampo):
    """An image, a program, or what to say if it is neither."""
    fails(lampo, "run", "nosuch-thing", code=127, says=["neither", "lampo images", "--"])
    fails(lampo, "run", "--pull", "never", "registry.example/app", says=["lampo pull registry.example/app"])
    fails(lampo, "run", "--pull", "perhaps", "true", says=["missing, always or never"])
    for option in (["--user", "1"], ["--entrypoint", "x"], ["--pull", "always"]):
        fails(lampo, "run", *option, "--", "true", says=[option[0], "not an image"])
        fails(lampo, "run", *option, "/bin/true", says=[option[0], "not an image"])
    # Nothing listens on that port.
    fails(lampo, "run", "127.0.0.1:9/app", says=["could not be pulled"])
    equal(lampo("run", "true").code, 0)
    equal(lampo("run", "sh", "-c", "exit 3").code, 3)


@only("fake")
def test_interrupted(lampo):
    """SIGINT and SIGTERM end what waits with 128 + n."""
    begin(lampo, 1)
    with open(os.path.join(lampo.data_dir, "index.lock")) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for number in (signal.SIGINT, signal.SIGTERM):
            process = lampo.start("prune")
            lampo.wait_for("it waits", lambda: any("->" in line and str(process.pid) in line.split() for line in open("/proc/locks")))
            process.send_signal(number)
            process.communicate(timeout=30)
            equal(process.returncode, 128 + number)


@only("fake")
def test_interrupted_while_writing(lampo):
    """What was begun is gone."""
    begin(lampo)
    archive = os.path.join(lampo.directory, "archive.tar")
    docker_archive(archive, ["app:1"], [layer_tar({"file": os.urandom(3000000)})])
    data = open(archive, "rb").read()
    tmp = os.path.join(lampo.data_dir, "tmp")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process = lampo.start("import", "-q", "-", stdin=subprocess.PIPE)
        process.stdin.write(data[:2000000])
        process.stdin.flush()
        lampo.wait_for("it writes", lambda: os.listdir(tmp))
        process.send_signal(number)
        process.communicate(timeout=30)
        equal(process.returncode, 128 + number)
        equal(os.listdir(tmp), [])
        equal(files(lampo), [])
    # One that is killed leaves a draft, which the next one removes.
    process = lampo.start("import", "-q", "-", stdin=subprocess.PIPE)
    process.stdin.write(data[:2000000])
    process.stdin.flush()
    lampo.wait_for("it writes", lambda: os.listdir(tmp))
    process.kill()
    process.communicate()
    check(os.listdir(tmp))
    lampo.ok("import", "-q", archive)
    equal([name for name in os.listdir(tmp) if name.startswith("draft-")], [])
    equal(names(lampo), ["app:1"])


@only("fake")
def test_completion_of_names(lampo):
    a, b = begin(lampo, 1, 2)
    lampo.ok("tag", a, "app:one", "app:two", "localhost:5000/app:1")
    script = r"""
. "$1"; shift
COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDBREAKS=$2; shift 2
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_lampo; printf '%s\n' "${COMPREPLY[@]}"
"""
    completion = os.path.join(e2e.HERE, "..", "..", "share", "bash-completion", "lampo")

    def complete(line, breaks=" :"):
        # As readline cuts the line.
        words = [w for w in re.split("( |:)" if ":" in breaks else "( )", line) if w != " "]
        words = words if words[-1] or line[-1] == " " or line[-1] != ":" else words[:-1]
        env = dict(lampo.env, PATH=e2e.BUILD + ":" + os.environ["PATH"])
        return subprocess.run(["bash", "-c", script, "bash", completion, line, breaks, *words], env=env, capture_output=True,
                              text=True).stdout.split()

    equal(complete("lampo rmi ap"), ["app:one", "app:two"])
    equal(complete("lampo rmi app:o"), ["one"])
    equal(complete("lampo rmi app:o", breaks=" "), ["app:one"])
    equal(complete("lampo tag localhost:5"), ["5000/app:1"])
    equal(complete("lampo image verify localhost:5000/app:"), ["1"])
    check("app:one" in complete("lampo run ap"))
    check("true" in complete("lampo run tru"))
    equal(complete("lampo rmi nosuch"), [])


def on_terminal(lampo, *args, columns=60):
    """Exit code and all that a terminal gets of it."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 10, columns, 0, 0))
    process = subprocess.Popen([e2e.PROGRAM, *args], env=lampo.env, stdin=side, stdout=side, stderr=side)
    os.close(side)
    out = b""
    while True:
        try:
            data = os.read(main, 65536)
        except OSError:
            break
        if not data:
            break
        out += data
    os.close(main)
    return process.wait(), out.decode()


@only("fake")
def test_progress_on_a_terminal(lampo):
    begin(lampo)
    put_image(lampo.data_dir, 1, blocks=3000)
    (b,) = begin(lampo, 2)
    lampo.ok("tag", b, "x" * 100)
    code, out = on_terminal(lampo, "image", "verify")
    equal(code, 0, out)
    check("verifying" in out and "done" in out and "[" in out, out)
    # Only what moves within its own lines, and no line is wider than the terminal.
    plain = re.sub(r"\x1b\[(\d*A|K|J)", "", out)
    check("\x1b" not in plain, repr(plain))
    check(all(len(line) < 60 for line in re.split(r"[\r\n]+", plain)), repr(plain))
    # Elsewhere plain lines, and nothing of the names drives a terminal.
    archive = os.path.join(lampo.directory, "archive.tar")
    docker_archive(archive, ["app:1"], [layer_tar({"file": b"x"})])
    result = lampo("import", archive)
    check(result.code == 0 and result.err and "\x1b" not in result.err and "\r" not in result.err, result)
    equal(lampo("import", "-q", archive).err, "")


@only("fake")
def test_disk_that_fails_under_a_mapping(lampo):
    """The signal that is then sent becomes an error."""
    need_strace()
    (a,) = begin(lampo, 1)
    lampo.ok("tag", a, "app")
    strace = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=openat2", "-e", "signal=none", "-e", "inject=openat2:signal=BUS:when=1"]
    run = subprocess.run([*strace, os.path.join(e2e.BUILD, "lampo-image"), "image", "inspect", "app"], env=lampo.env,
                         capture_output=True, text=True)
    check(run.returncode == 125 and "disk is failing" in run.stderr, run)


if __name__ == "__main__":
    e2e.main()
