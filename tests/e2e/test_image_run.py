#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`lampo run IMAGE`: the image's configuration, and what options change of it."""
import os
import re
import shutil

import e2e
from e2e import Skip, check, equal, only
from image_tools import image_path, put_bytes, reconfigured
from registry import Registry

PASSWD = "root:x:0:0::/root:/bin/sh\nbroken\nworker:x:1234:567::/home/worker:/bin/sh\n77:x:88:99::/home/odd:/bin/sh\n"
GROUP = "root:x:0:\nstaff:x:50:worker\n"


def build(lampo, name, *lines, files=None):
    """An image with busybox (as /bin/sh and so on) and these lines of a Lampofile."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise Skip("needs busybox")
    context = os.path.join(lampo.directory, name)
    root = os.path.join(context, "root")
    os.makedirs(os.path.join(root, "bin"))
    os.makedirs(os.path.join(root, "etc"))
    os.makedirs(os.path.join(root, "work"))
    shutil.copy(busybox, os.path.join(root, "bin", "busybox"))
    for applet in ("sh", "id", "env", "pwd", "echo", "cat", "true", "sleep", "touch", "ls"):
        os.symlink("busybox", os.path.join(root, "bin", applet))
    for path, text in {"etc/passwd": PASSWD, "etc/group": GROUP, **(files or {})}.items():
        with open(os.path.join(root, path), "w") as file:
            file.write(text)
    with open(os.path.join(context, "Lampofile"), "w") as file:
        file.write("\n".join(["FROM scratch", "COPY root /", *lines]) + "\n")
    return lampo.ok("build", "-t", name, context).split()[-1]


def env_of(text):
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


@only("real")
def test_command(lampo):
    build(lampo, "both", 'ENTRYPOINT ["/bin/echo", "entry"]', 'CMD ["default"]')
    build(lampo, "cmd", 'CMD ["/bin/echo", "only cmd"]')
    build(lampo, "none")
    equal(lampo.ok("run", "both"), "entry default\n")
    equal(lampo.ok("run", "both", "a", "--name", "b"), "entry a --name b\n")
    equal(lampo.ok("run", "--entrypoint", "/bin/echo", "both"), "\n")
    equal(lampo.ok("run", "--entrypoint", "/bin/echo", "both", "x"), "x\n")
    equal(lampo.ok("run", "--entrypoint", "", "both", "/bin/echo", "y"), "y\n")
    equal(lampo.ok("run", "cmd"), "only cmd\n")
    equal(lampo.ok("run", "cmd", "echo", "found in PATH"), "found in PATH\n")
    result = lampo("run", "none")
    check(result.code == 125 and "names no program" in result.err, result)
    equal(lampo("run", "none", "sh", "-c", "exit 7").code, 7)
    equal(lampo("run", "none", "nosuch").code, 127)
    equal(lampo("run", "none", "/etc/passwd").code, 126)


@only("real")
def test_environment(lampo):
    build(lampo, "image", "ENV A=image B=image LANG=C", 'CMD ["/bin/env"]')
    caller = {"PATH": os.environ["PATH"] + ":/callers", "HOME": "/callers", "SECRET": "x", "LANG": "callers", "TERM": "callers"}
    env = env_of(lampo.ok("run", "-e", "B=option", "-e", "SECRET", "image", env=caller))
    equal({k: env.get(k) for k in ("A", "B", "LANG", "HOME", "SECRET", "TERM")},
          {"A": "image", "B": "option", "LANG": "C", "HOME": "/root", "SECRET": "x", "TERM": None})
    check("callers" not in env["PATH"], env)
    env = env_of(lampo.ok("run", "--user", "worker", "image"))
    equal(env["HOME"], "/home/worker")
    build(lampo, "home", "ENV HOME=/mine PATH=/bin", 'CMD ["env"]')
    env = env_of(lampo.ok("run", "--user", "worker", "home"))
    equal((env["HOME"], env["PATH"]), ("/mine", "/bin"))


@only("real")
def test_user(lampo):
    build(lampo, "image", "USER worker", 'CMD ["/bin/id"]')

    def ids(*options):
        return tuple(int(n) for n in re.match(r"uid=(\d+)\S* gid=(\d+)", lampo.ok("run", *options, "image")).groups())

    equal(ids(), (1234, 567))
    for text, want in {"root": (0, 0), "0": (0, 0), "1234": (1234, 567), "4321": (4321, 0), "4321:8": (4321, 8), "worker:staff": (1234, 50),
                       "worker:9": (1234, 9), "7:staff": (7, 50), "77": (88, 99)}.items():
        equal(ids("-u", text), want, text)
    for text in ("nosuch", "worker:nosuch", "-5", "99999999999", "4294967295", "worker:4294967295", "broken", "x" * 300):
        result = lampo("run", f"--user={text}", "image")
        check(result.code == 125 and result.err, result)


@only("real")
def test_working_directory(lampo):
    build(lampo, "image", "WORKDIR /work", 'CMD ["/bin/pwd"]')
    equal(lampo.ok("run", "image"), "/work\n")
    equal(lampo.ok("run", "-w", "/etc", "image"), "/etc\n")
    build(lampo, "plain", 'CMD ["/bin/pwd"]')
    equal(lampo.ok("run", "plain"), "/\n")
    # As container runtimes do: one that is not there is made.
    equal(lampo.ok("run", "-w", "/new/er", "plain"), "/new/er\n")
    equal(lampo.ok("run", "-w", "/etc/passwd", "plain"), "/\n")


@only("real")
def test_nothing_of_the_host(lampo):
    """Only volumes show something of the host, and nothing is written to the image."""
    digest = build(lampo, "image")
    path = image_path(lampo.data_dir, digest)
    before = open(path, "rb").read()
    equal(lampo("run", "image", "ls", "/usr").code, 1)
    script = "echo changed > /etc/passwd && : > /new && read line < /etc/passwd && echo $line"
    equal(lampo.ok("run", "image", "sh", "-c", script), "changed\n")
    equal(lampo.ok("run", "image", "cat", "/etc/passwd"), PASSWD)
    check(open(path, "rb").read() == before)
    os.mkdir(os.path.join(lampo.directory, "data"))
    lampo.ok("run", "-v", "./data:/data:rw", "image", "touch", "/data/new")
    check(os.path.exists(os.path.join(lampo.directory, "data", "new")))
    lampo.ok("image", "verify")


@only("real")
def test_ways_to_name_it(lampo):
    digest = build(lampo, "image", 'CMD ["/bin/echo", "hello"]')
    path = image_path(lampo.data_dir, digest)
    for text in ("image", "image:latest", digest, digest[7:15], "image@" + digest, path):
        equal(lampo.ok("run", text), "hello\n", text)
    shutil.copy(path, os.path.join(lampo.directory, "file.img"))
    equal(lampo.ok("run", "./file.img"), "hello\n")
    # An image comes before a program of that name, and "--" before both.
    lampo.ok("tag", "image", "true")
    equal(lampo.ok("run", "true"), "hello\n")
    equal(lampo.ok("run", "--", "true"), "")
    # A file that is damaged is no program either.
    os.chmod(os.path.join(lampo.directory, "file.img"), 0o644)
    with open(os.path.join(lampo.directory, "file.img"), "r+b") as file:
        file.seek(-4096 + 16, os.SEEK_END)
        file.write(b"\1")
    result = lampo("run", "./file.img")
    check(result.code == 125 and "image" in result.err, result)


@only("real")
def test_lists_and_stop_signal(lampo):
    digest = build(lampo, "image", 'CMD ["/bin/sh", "-c", "trap \'exit 9\' USR1; trap \'\' TERM; echo up; while :; do :; done"]')
    changed = put_bytes(lampo.data_dir, *reconfigured(open(image_path(lampo.data_dir, digest), "rb").read(),
                                                      lambda config: config["config"].update(StopSignal="SIGUSR1")))
    lampo.ok("tag", changed, "image")
    lampo.ok("run", "-d", "--name", "vm", "image")
    lampo.wait_for("it is up", lambda: lampo.ok("logs", "vm") == "up\n")
    equal([vm.get("image") for vm in lampo.ps()], ["image:latest"])
    check("image:latest" in lampo.ok("ps"))
    # It goes on without its image.
    lampo.ok("rmi", "image")
    lampo.ok("stop", "-t", "60", "vm")
    equal(lampo.ok("wait", "vm"), "9\n")
    lampo.ok("rm", "vm")


@only("real")
def test_damaged_image(lampo):
    digest = build(lampo, "image", 'CMD ["/bin/true"]')
    path = image_path(lampo.data_dir, digest)
    size = os.path.getsize(path)
    for at in (1024, size - 4096, size - 1):
        data = bytearray(open(path, "rb").read())
        data[at] ^= 1
        os.chmod(path, 0o644)
        open(path, "wb").write(data)
        result = lampo("run", "image")
        check(result.code == 125 and "lampo:" in result.err and "image" in result.err, f"{at}: {result}")
        lampo.ok("build", "-t", "image", os.path.join(lampo.directory, "image"))
        lampo.ok("run", "image")
    os.unlink(path)
    result = lampo("run", "image")
    check(result.code == 125 and "again" in result.err, result)


@only("real")
def test_pulled_if_missing(lampo):
    digest = build(lampo, "image", 'CMD ["/bin/echo", "hello"]')
    with Registry() as server:
        name = f"{server.host}/team/app:1"
        lampo.ok("push", "-q", "image", name)
        lampo.ok("rmi", "image")
        result = lampo("run", "--pull", "never", name)
        check(result.code == 125 and "lampo pull" in result.err, result)
        for damage in (lambda path: None, os.unlink, lambda path: os.truncate(path, 100)):
            # Its progress is not in the way of the program's output.
            result = lampo("run", name)
            equal((result.code, result.out), (0, "hello\n"), result)
            path = image_path(lampo.data_dir, digest)
            os.chmod(path, 0o644)
            damage(path)
        equal(lampo("run", name).out, "hello\n")
        before = len(server.requests)
        equal(lampo("run", name).out, "hello\n")
        equal(len(server.requests), before)
        equal(lampo("run", "--pull", "always", name).out, "hello\n")
        check(len(server.requests) > before)
        result = lampo("run", f"{server.host}/team/nosuch")
        check(result.code == 125 and "could not be pulled" in result.err, result)
        # What is here needs no registry.
    equal(lampo("run", name).out, "hello\n")
    result = lampo("run", "--pull", "always", name)
    equal(result.code, 125, result)


if __name__ == "__main__":
    e2e.main()
