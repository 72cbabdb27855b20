#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lampo build from Lampofiles: what the instructions do, that nothing leads out of the context, that the same input gives the same image,
and what wrong input is told. The images are read by tests/e2e/erofs.py and checked by fsck.erofs."""
import json
import os
import shutil
import stat
import subprocess
import threading

import e2e
import erofs
import image_tools
import registry
from e2e import Skip, check, equal, only


PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def write(lampo, files, context="context"):
    """Makes a context of {path: text, bytes, or ("link", target)}; a path that ends in "/" is a directory. Returns its path."""
    top = os.path.join(lampo.directory, context)
    shutil.rmtree(top, ignore_errors=True)
    os.makedirs(top)
    for path, content in files.items():
        full = os.path.join(top, path)
        if path.endswith("/"):
            os.makedirs(full)
            continue
        os.makedirs(os.path.dirname(full), exist_ok=True)
        if isinstance(content, tuple):
            os.symlink(content[1], full)
            os.utime(full, (1000000000, 1000000000), follow_symlinks=False)
            continue
        with open(full, "wb") as f:
            f.write(content.encode() if isinstance(content, str) else content)
        os.utime(full, (1000000000, 1000000000))
    for directory, _, _ in os.walk(top, topdown=False):
        os.utime(directory, (1000000000, 1000000000))
    return top


def image_path(lampo, digest):
    return os.path.join(lampo.data_dir, "images", "sha256", digest.split(":")[1])


class Built:
    def __init__(self, lampo, digest):
        self.digest = digest.strip()
        self.path = image_path(lampo, self.digest)
        self.tree = erofs.Image(self.path).tree()
        self.config = json.loads(lampo.ok("image", "inspect", self.digest))[0]["config"]
        fsck = subprocess.run(["fsck.erofs", self.path], capture_output=True, text=True)
        check(fsck.returncode == 0 and "<E>" not in fsck.stdout + fsck.stderr, f"fsck.erofs: {fsck}")
        verify = lampo("image", "verify", self.digest)
        equal(verify.code, 0, f"image verify: {verify}")

    def text(self, path):
        check(path in self.tree, f"{path} is missing in {sorted(self.tree)}")
        return self.tree[path].read().decode()

    def files(self):
        return sorted(p for p, i in self.tree.items() if not stat.S_ISDIR(i.mode))


def build(lampo, context, *args, **more):
    return Built(lampo, lampo.ok("build", "-q", *args, context, **more))


def fails(lampo, *args, says=(), **more):
    result = lampo("build", "-q", *args, **more)
    equal(result.code, 125, result)
    equal(result.out, "")
    check(1 <= len(result.err.splitlines()) <= 2, f"one sentence and a hint: {result.err!r}")
    for word in says:
        check(word in result.err, f"no '{word}' in: {result.err!r}")


@only("fake")
def test_instructions(lampo):
    context = write(lampo, {
        "Lampofile": 'FROM scratch\nENV A=1 B="two words"\nENV C=$A-${NONE:-x}\nLABEL who="$B"\nWORKDIR /srv\nWORKDIR $C\n'
                     'COPY a.txt ./\nCOPY a.txt renamed\nCOPY ["sp ace", "/$A/"]\nUSER 7:8\nEXPOSE 80 53/UDP 8000-8002\n'
                     'ENTRYPOINT ["/bin/x", "$A"]\nCMD echo $A\n',
        "a.txt": "hello", "sp ace": "space"})
    b = build(lampo, context, "-t", "app")
    c = b.config["config"]
    equal(c["Env"], [PATH, "A=1", "B=two words", "C=1-x"])
    equal(c["Labels"], {"who": "two words"})
    equal(c["WorkingDir"], "/srv/1-x")
    equal(c["User"], "7:8")
    equal(sorted(c["ExposedPorts"]), ["53/udp", "80/tcp", "8000/tcp", "8001/tcp", "8002/tcp"])
    equal(c["Entrypoint"], ["/bin/x", "$A"])
    equal(c["Cmd"], ["/bin/sh", "-c", "echo $A"])
    equal(b.files(), ["/1/sp ace", "/srv/1-x/a.txt", "/srv/1-x/renamed"])
    equal(b.text("/srv/1-x/a.txt"), "hello")
    check("created" not in b.config, b.config)
    equal([h["created_by"].split()[0] for h in b.config["history"]],
          "ENV ENV LABEL WORKDIR WORKDIR COPY COPY COPY USER EXPOSE ENTRYPOINT CMD".split())
    inode = b.tree["/srv/1-x/a.txt"]
    equal((inode.uid, inode.gid, inode.mtime), (0, 0, 1000000000))
    equal(b.tree["/srv"].mtime, 0)
    equal(lampo.ok("images", "--names").split(), ["app:latest"])


@only("fake")
def test_same_input_same_digest(lampo):
    files = {"Lampofile": "FROM scratch\nCOPY . /app/\n"}
    files.update({f"d{i % 7}/f{i}": str(i) * i for i in range(200)})
    one = build(lampo, write(lampo, files, "one"))
    two = build(lampo, write(lampo, dict(reversed(files.items())), "two"))
    equal(one.digest, two.digest)
    equal(build(lampo, "one", cwd=lampo.directory).digest, one.digest)
    equal(build(lampo, os.path.join(lampo.directory, "one")).digest, one.digest)
    epoch = build(lampo, os.path.join(lampo.directory, "one"), env={"SOURCE_DATE_EPOCH": "900000000"})
    check(epoch.digest != one.digest)
    equal(epoch.config["created"], "1998-07-09T16:00:00Z")
    equal(epoch.tree["/app/d1/f1"].mtime, 900000000)
    equal(build(lampo, os.path.join(lampo.directory, "two"), env={"SOURCE_DATE_EPOCH": "900000000"}).digest, epoch.digest)
    os.chmod(os.path.join(lampo.directory, "two", "d1", "f1"), 0o600)
    check(build(lampo, os.path.join(lampo.directory, "two")).digest != one.digest)
    fails(lampo, "one", cwd=lampo.directory, env={"SOURCE_DATE_EPOCH": "yesterday"}, says=["SOURCE_DATE_EPOCH"])


@only("fake")
def test_copy_rules(lampo):
    context = write(lampo, {
        "a.txt": "a", "b.txt": "b", "c.md": "c", "dir/x": "x", "dir/sub/y": "y", "dir/link": ("link", "x"), "to-a": ("link", "a.txt"),
        "to-dir": ("link", "/dir"), "we[ir]d": "w", "empty/": None})

    def copied(*lines):
        return build(lampo, context, "-f", "-", input="FROM scratch\n" + "\n".join(lines) + "\n")

    for lines, files in [
        (["COPY a.txt /x"], ["/x"]),
        (["COPY a.txt /x/"], ["/x/a.txt"]),
        (["COPY a.txt ."], ["/a.txt"]),
        (["COPY a.txt x/y/z"], ["/x/y/z"]),
        (["COPY dir /x"], ["/x/link", "/x/sub/y", "/x/x"]),
        (["COPY dir/ /x/"], ["/x/link", "/x/sub/y", "/x/x"]),
        (["COPY dir/* /x/"], ["/x/link", "/x/x", "/x/y"]),  # a link that is named is followed, a directory gives its contents
        (["COPY *.txt /x/"], ["/x/a.txt", "/x/b.txt"]),
        (["COPY [ab].* *.md /x/"], ["/x/a.txt", "/x/b.txt", "/x/c.md"]),
        (["COPY ?.txt nosuch* /x/"], ["/x/a.txt", "/x/b.txt"]),
        (["COPY di?/sub/* /x/"], ["/x/y"]),
        (["COPY we[[]ir]d /x/"], ["/x/we[ir]d"]),
        (["COPY a.txt b.txt dir /x/"], ["/x/a.txt", "/x/b.txt", "/x/link", "/x/sub/y", "/x/x"]),
        (["COPY ../../a.txt /../x"], ["/x"]),
        (["COPY /a.txt /x"], ["/x"]),
        (["COPY to-a /x"], ["/x"]),
        (["COPY to-dir /x"], ["/x/link", "/x/sub/y", "/x/x"]),
        (["COPY to-dir/x /x"], ["/x"]),
        (["COPY a.txt /x", "COPY b.txt /x"], ["/x"]),
        (["COPY a.txt /x/1", "COPY b.txt /x"], ["/x/1", "/x/b.txt"]),
        (["WORKDIR /w", "COPY a.txt ./", "COPY b.txt ../q"], ["/q", "/w/a.txt"]),
        (["COPY empty /x"], []),
    ]:
        equal(copied(*lines).files(), files, str(lines))
    equal(copied("COPY a.txt /x", "COPY b.txt /x").text("/x"), "b")
    b = copied("COPY . /all/")
    check(stat.S_ISLNK(b.tree["/all/dir/link"].mode) and stat.S_ISLNK(b.tree["/all/to-dir"].mode))
    equal(b.text("/all/to-dir"), "/dir")
    check(stat.S_ISDIR(b.tree["/all/empty"].mode))
    check(stat.S_ISREG(copied("COPY to-a /x").tree["/x"].mode))
    b = copied("COPY --chown=12:34 --chmod=2750 dir /p/q")
    equal([(b.tree[p].uid, b.tree[p].gid, oct(b.tree[p].mode & 0o7777)) for p in ("/p/q", "/p/q/sub/y", "/p/q/link")],
          [(12, 34, "0o2750"), (12, 34, "0o2750"), (12, 34, "0o777")])
    equal((b.tree["/p"].uid, oct(b.tree["/p"].mode & 0o7777)), (12, "0o755"))

    for lines, says in [
        (["COPY nosuch /x"], ["standard input:2", "COPY", "nosuch", "not in the context"]),
        (["COPY a.txt/b /x"], ["a.txt/b", "not in the context"]),
        (["COPY nosuch* /x"], ["nosuch*", "matches"]),
        (["COPY a.txt b.txt /x"], ["slash"]),
        (["COPY *.txt /x"], ["slash"]),
        (["COPY a.txt /x", "COPY dir /x"], [":3", "no directory"]),
        (["COPY a.txt /x/y/", "COPY b.txt /x/y/a.txt/z"], [":3"]),
        (["COPY dir /x", "COPY a.txt /y/", "COPY . /y/", "COPY a.txt /x/sub", "COPY c.md /x", "COPY dir/x /q/dir/",
          "COPY dir/sub/y /q/y/x/", "COPY dir/x /q/y/x/y/z"], [":9"]),
        (["COPY --chown=nobody a.txt /x"], ["nobody", "numbers"]),
        (["COPY --chown=: a.txt /x"], ["owner"]),
        (["COPY --chown=4294967295 a.txt /x"], ["no /etc/passwd"]),
        (["COPY --chmod=888 a.txt /x"], ["octal"]),
        (["COPY --chmod=u+x a.txt /x"], ["octal"]),
        (["COPY --from=nosuch a.txt /x"], ["nosuch"]),
        (["COPY --from=0 a.txt /x"], ["COPY"]),
        (["COPY $NONE /x"], ["empty"]),
        (["COPY [a- /x"], ["pattern"]),
        (["COPY https://example.invalid/x /x"], ["network"]),
        (["RUN true"], ["standard input:2", "RUN is not supported"]),
        (["EXPOSE 0"], ["no port"]), (["EXPOSE 80/icmp"], ["no port"]), (["EXPOSE 9-8"], ["no port"]), (["EXPOSE 65536"], ["no port"]),
        (["EXPOSE 80x"], ["no port"]), (["EXPOSE 1:2"], ["no port"]),
        (['ENV A="${B:?is needed}"'], ["is needed"]), (["USER $NONE"], ["empty"]), (["WORKDIR ''"], ["empty"]),
        (["ENV L=" + "x" * 1000] + ["ENV L=$L$L$L$L"] * 5, ["longer than"]),
        (["FROM $A"], ["ARG"]), (["FROM --platform=linux/arm64 scratch"], ["platform"]), (["FROM nosuch:1"], ["nosuch"]),
    ]:
        fails(lampo, "-f", "-", context, input="FROM scratch\n" + "\n".join(lines) + "\n", says=says)


@only("fake")
def test_nothing_outside_the_context(lampo):
    secret = os.path.join(lampo.directory, "secret")
    with open(secret, "w") as f:
        f.write("secret")
    context = write(lampo, {"in/out": ("link", "../../secret"), "abs": ("link", secret), "up": ("link", ".."), "root": ("link", "/"), "a": "a"})
    for source in ("in/out", "abs", "up/secret", "../secret", secret, "root" + secret, "in/../../secret", "up/*cret"):
        fails(lampo, "-f", "-", context, input=f"FROM scratch\nCOPY {source} /x\n")
    b = build(lampo, context, "-f", "-", input="FROM scratch\nCOPY . /\nCOPY root /r/\nCOPY up /u/\n")
    equal([p for p in b.files() if "secret" in p], [])
    check(all(b"secret" != i.read() for i in b.tree.values() if stat.S_ISREG(i.mode)))
    # Nor out of the image: links in it are followed within it.
    b = build(lampo, context, "-f", "-", input=f"FROM scratch\nCOPY . /\nCOPY a /abs\nCOPY a /up/b\nCOPY a /in/out\n")
    equal(b.text(secret), "a")
    equal(b.text("/b"), "a")
    equal(b.text("/secret"), "a")
    with open(secret) as f:
        equal(f.read(), "secret")


@only("fake")
def test_directories_that_are_swapped_for_links(lampo):
    """A directory of the context becomes a link out of it again and again while images are built."""
    secret = b"not for images " * 20
    outside = os.path.join(lampo.directory, "outside")
    os.makedirs(outside)
    for i in range(20):
        with open(os.path.join(outside, f"f{i}"), "wb") as f:
            f.write(secret)
    context = write(lampo, {"Lampofile": "FROM scratch\nCOPY . /\n", **{f"d/f{i}": "harmless" for i in range(20)}, **{f"e/{i}": "" for i in range(50)}})
    victim, aside, stop = os.path.join(context, "d"), os.path.join(lampo.directory, "aside"), threading.Event()

    def swap():
        while not stop.is_set():
            os.rename(victim, aside)
            os.symlink(outside, victim)
            os.unlink(victim)
            os.rename(aside, victim)

    thread = threading.Thread(target=swap)
    thread.start()
    results = {0: 0, 125: 0}
    try:
        for _ in range(60):
            result = lampo("build", "-q", context)
            results[result.code] += 1
            if result.code == 0:
                with open(image_path(lampo, result.out.strip()), "rb") as f:
                    check(secret[:15] not in f.read(), "what lies outside is in the image")
    finally:
        stop.set()
        thread.join()
    print(f"  {results[0]} images, {results[125]} refusals")


@only("fake")
def test_ignore_files(lampo):
    files = {"Lampofile": "FROM scratch\nCOPY . /\n", "a.log": "", "keep.log": "", "src/b.log": "", "src/c": "", "node_modules/m/x": "",
             "node_modules/m/keep": "", ".dockerignore": "**/*.log\n!keep.log\nnode_modules\n!node_modules/m/keep\n.*\nLampofile\n"}
    context = write(lampo, files)
    equal(build(lampo, context).files(), ["/keep.log", "/node_modules/m/keep", "/src/c"])
    fails(lampo, "-f", "-", context, input="FROM scratch\nCOPY a.log /x\n", says=["not in the context", ".dockerignore"])
    context = write(lampo, dict(files, **{".lampoignore": "*\n!src\n"}))
    equal(build(lampo, context).files(), ["/src/b.log", "/src/c"])
    context = write(lampo, dict(files, **{".lampoignore": "a\n[\n"}))
    fails(lampo, context, says=[".lampoignore:2", "pattern"])


@only("fake")
def test_stages_and_base_images(lampo):
    context = write(lampo, {"a": "a", "b": "b", "etc/passwd": "root:x:0:0::/:\napp:x:10:20::/:\n", "etc/group": "root:x:0:\nweb:x:30:\n"})
    base = build(lampo, context, "-t", "base:1", "-f", "-", input="FROM scratch\nCOPY etc /etc\nCOPY --chown=app a /data/\nENV X=1\n"
                 "ENTRYPOINT [\"/e\"]\nCMD [\"c\"]\nLABEL l=1\n")
    equal((base.tree["/data/a"].uid, base.tree["/data/a"].gid), (10, 20))
    b = build(lampo, context, "-f", "-", input=(
        "FROM scratch AS One\nCOPY --chown=1:2 a /s/\n"
        "FROM one AS two\nCOPY b /s/\nENV S=2\n"
        "FROM base:1\nCOPY --from=TWO /s /t\nCOPY --from=0 s/a /zero\nCOPY --from=base:1 /data/a /again\nCOPY --chown=app:web b /$X\n"
        "USER app\nWORKDIR /home/app\nENTRYPOINT [\"/f\"]\n"))
    equal(b.files(), ["/1", "/again", "/data/a", "/etc/group", "/etc/passwd", "/t/a", "/t/b", "/zero"])
    owner = {p: (b.tree[p].uid, b.tree[p].gid) for p in b.tree}
    equal([owner[p] for p in ("/t/a", "/t/b", "/zero", "/again", "/1", "/home/app", "/data/a")],
          [(1, 2), (0, 0), (1, 2), (10, 20), (10, 30), (10, 20), (10, 20)])
    c = b.config["config"]
    equal((c["Env"], c["Entrypoint"], c.get("Cmd"), c["Labels"]), ([PATH, "X=1"], ["/f"], None, {"l": "1"}))
    # By digest, too; unchanged it is the same tree.
    same = build(lampo, context, "-f", "-", input=f"FROM {base.digest}\n")
    equal(same.files(), base.files())
    equal(same.digest, base.digest)
    fails(lampo, "-f", "-", context, input="FROM base:1\nCOPY --chown=nosuch a /x\n", says=["nosuch", "/etc/passwd"])
    fails(lampo, "-f", "-", context, input="FROM base:1\nCOPY --chown=app:nosuch a /x\n", says=["nosuch", "/etc/group"])
    fails(lampo, "-f", "-", context, input="FROM base:1 AS x\nCOPY --from=x a /x\n", says=["COPY"])
    fails(lampo, "-f", "-", context, input="FROM localhost:1/nosuch\n", says=["localhost:1/nosuch"])


COMPARED = r"""# escape=\
FROM scratch AS one
COPY etc /etc
COPY a.txt /x/
COPY dir /y
COPY dir/ /z/
COPY dir/* /q/
COPY *.txt /g/
COPY to-a /la
COPY to-dir /ld
COPY --chown=app:web --chmod=640 b.txt /own/b
COPY . /all/
WORKDIR /w
COPY a.txt ./
COPY ["b.txt", "sp ace"]
COPY a.txt ../up
ENV A=1 B="two words" C='x $A' \
    # not the end
    D=a\ b
ENV E=$A-${B}-${NONE:-d}-${A:+p} PATH=/opt/bin:$PATH
ENV OLD style value
LABEL "l a"="v $A" m=n
EXPOSE 80 53/udp
USER app
WORKDIR rel
ENTRYPOINT ["/e", "$A"]
CMD echo $A
FROM one
COPY --from=one /y /fy
ENV F=$E
ENTRYPOINT /bin/x y
"""


@only("fake")
def test_as_buildah_builds_it(lampo):
    """The same file, built by somebody else's program: the same tree and configuration, but for what is documented."""
    registry.need("buildah")
    if os.geteuid() != 0:
        raise Skip("buildah needs root here")
    context = write(lampo, {"Lampofile": COMPARED, "a.txt": "a", "b.txt": "b", "dir/x": "x", "dir/sub/y": "y", "dir/link": ("link", "x"),
                            "to-a": ("link", "a.txt"), "to-dir": ("link", "dir"), "we[ir]d": "w", "a.log": "", "keep.log": "", "dir/c.log": "",
                            "ig/x": "", "ig/keep": "", "etc/passwd": "root:x:0:0::/:\napp:x:10:20::/:\n",
                            "etc/group": "root:x:0:\nweb:x:30:\n", ".dockerignore": "**/*.log\n!keep.log\nig\n!ig/keep\n"})
    os.chmod(os.path.join(context, "dir", "sub"), 0o700)
    os.chmod(os.path.join(context, "b.txt"), 0o600)
    ours = build(lampo, context)
    archive, at = os.path.join(lampo.directory, "b.tar"), lambda name: os.path.join(lampo.directory, name)
    for words in (["bud", "-q", "--isolation", "chroot", "-f", "Lampofile", "-t", "it", "."], ["push", "-q", "it", f"oci-archive:{archive}:it"]):
        done = subprocess.run(["buildah", "--storage-driver", "vfs", "--root", at("storage"), "--runroot", at("runroot"), *words],
                              cwd=context, capture_output=True, text=True, timeout=120)
        if done.returncode != 0 and words[0] == "bud" and "not permitted" in done.stderr:
            raise Skip(f"buildah cannot work here: {done.stderr.strip()}")
        equal(done.returncode, 0, done)
    theirs = Built(lampo, lampo.ok("import", "-q", archive, "theirs"))
    del theirs.config["config"]["Labels"]["io.buildah.version"]
    equal(ours.config["config"], theirs.config["config"])
    equal(sorted(ours.tree), sorted(theirs.tree))
    for path, inode in ours.tree.items():
        other = theirs.tree[path]
        equal((oct(inode.mode), inode.uid, inode.gid), (oct(other.mode), other.uid, other.gid), path)
        if not stat.S_ISDIR(inode.mode):
            equal((inode.read(), inode.mtime), (other.read(), other.mtime), path)


@only("fake")
def test_base_images_from_elsewhere(lampo):
    """Imported, and pulled because they are not here."""
    archive = os.path.join(lampo.directory, "a.tar")
    image_tools.docker_archive(archive, ["foreign:1"], [image_tools.layer_tar({"bin/tool": b"1", "old": b"2"}), image_tools.layer_tar({"old": b"3"})],
                               {"config": {"Env": ["A=1"], "Cmd": ["/bin/tool"]}})
    lampo.ok("import", "-q", archive)
    context = write(lampo, {"new": "4"})
    b = build(lampo, context, "-t", "mine", "-f", "-", input="FROM foreign:1\nCOPY new /\nENV B=$A\n")
    equal([b.text(p) for p in b.files()], ["1", "4", "3"])
    equal(b.config["config"]["Env"], ["A=1", "B=1"])
    equal(b.config["config"]["Cmd"], ["/bin/tool"])
    with registry.docker_registry(os.path.join(lampo.directory, "registry")) as host:
        lampo.ok("tag", "mine", f"{host}/base:1")
        lampo.ok("push", "-q", f"{host}/base:1")
        lampo.ok("rmi", f"{host}/base:1")
        lampo.ok("rmi", "mine")
        text = f"FROM {host}/base:1 AS x\nFROM scratch\nCOPY --from={host}/base:1 new /a\nCOPY --from=x new /b\n"
        equal(build(lampo, context, "-f", "-", input=text).files(), ["/a", "/b"])
        check(f"{host}/base:1" in lampo.ok("images", "--names"), "it was not kept")
        fails(lampo, "-f", "-", context, input=f"FROM {host}/nosuch:1\n", says=["nosuch"])


@only("fake")
def test_all_of_a_tree_survives(lampo):
    """What a context cannot have (owners, devices) comes by a base image; the rest by COPY."""
    context = write(lampo, {"Lampofile": "FROM scratch\nCOPY . /\n", "big": os.urandom(300000), "l/" + "n" * 255: "long", "empty": ""})
    os.link(os.path.join(context, "big"), os.path.join(context, "l", "hard"))
    with open(os.path.join(context, "sparse"), "wb") as f:
        f.truncate(10 << 20)
        f.seek(5 << 20)
        f.write(b"middle")
    os.mkfifo(os.path.join(context, "fifo"))
    os.chmod(os.path.join(context, "empty"), 0o4711)
    xattrs = True
    try:
        os.setxattr(os.path.join(context, "big"), "user.test", b"value")
    except OSError:
        xattrs = False
    if os.geteuid() == 0:
        try:
            os.mknod(os.path.join(context, "null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
        except OSError:
            pass
    one = build(lampo, context, "-t", "one")
    two = build(lampo, context, "-f", "-", input="FROM one\nENV A=1\n")
    three = build(lampo, context, "-f", "-", input="FROM one AS x\nFROM scratch\nCOPY --from=x / /\n")
    for b in (one, two, three):
        equal(sorted(b.tree), sorted(one.tree))
        for path, inode in one.tree.items():
            other = b.tree[path]
            equal([other.mode, other.uid, other.gid, other.links, other.size, other.xattrs()],
                  [inode.mode, inode.uid, inode.gid, inode.links, inode.size, inode.xattrs()], path)
            if not stat.S_ISDIR(inode.mode):
                equal(other.mtime, inode.mtime, path)
                check(not stat.S_ISREG(inode.mode) or other.read() == inode.read(), path)
        equal(b.tree["/big"].nid, b.tree["/l/hard"].nid)
        equal(b.tree["/big"].links, 2)
        check(os.path.getsize(b.path) < 2 << 20, "the sparse file has become large")
        equal(b.tree["/empty"].mode & 0o7777, 0o4711)
        if xattrs:
            equal(b.tree["/big"].xattrs(), {"user.test": b"value"})
        if "/null" in one.tree:
            equal(b.tree["/null"].u, 1 << 8 | 3)


@only("fake")
def test_lookup_and_usage(lampo):
    context = write(lampo, {"Dockerfile": "FROM scratch\nENV WHICH=docker\n"})
    equal(build(lampo, context).config["config"]["Env"], [PATH, "WHICH=docker"])
    context = write(lampo, {"Dockerfile": "FROM scratch\nENV WHICH=docker\n", "Lampofile": "FROM scratch\nENV WHICH=lampo\n",
                            "sub/Other": "FROM scratch\nENV WHICH=other\n"})
    equal(build(lampo, context).config["config"]["Env"], [PATH, "WHICH=lampo"])
    equal(build(lampo, context, "-f", os.path.join(context, "sub", "Other")).config["config"]["Env"], [PATH, "WHICH=other"])
    empty = write(lampo, {"x": ""}, "empty")
    fails(lampo, empty, says=["no Lampofile", "-f"])
    fails(lampo, says=["context"])
    fails(lampo, context, empty, says=["more than one"])
    fails(lampo, os.path.join(empty, "x"), says=["context", "Not a directory"])
    fails(lampo, os.path.join(empty, "nosuch"), says=["No such file"])
    fails(lampo, "-f", "nosuch", context, says=["nosuch"])
    fails(lampo, "-f", context, context, says=["cannot read"])
    fails(lampo, "-t", "UPPER", context, says=["UPPER"])
    fails(lampo, "-t", "a@sha256:" + "0" * 64, context)
    fails(lampo, "--add", "x", context, says=["--program"])
    fails(lampo, "--dry-run", context, says=["--program"])
    fails(lampo, "--program", "true", "-f", "x", says=["--file"])
    lampo.ok("build", "-q", "-t", "one", "-t", "two:2", context)
    equal(sorted(lampo.ok("images", "--names").split()), ["one:latest", "two:2"])
    with open(os.path.join(empty, "Lampofile"), "wb") as f:
        f.write(b"FROM scratch\0\n")
    fails(lampo, empty, says=["not a text"])


@only("fake")
def test_a_file_that_changes_meanwhile(lampo):
    """What is put into the image is what was looked at, or nothing."""
    if not shutil.which("strace"):
        raise Skip("needs strace")
    context = write(lampo, {"Lampofile": "FROM scratch\nCOPY . /\n", "a": "a" * 100000})
    victim = os.path.join(context, "a")
    process = subprocess.Popen(["strace", "-qq", "-o", "/dev/null", "-e", "trace=ftruncate,fallocate,pwrite64,write,openat2,openat,mmap",
                                "-e", "inject=openat2:delay_enter=300000", os.path.join(e2e.BUILD, "lampo-image"), "build", "-q", context],
                               env=lampo.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # The context was scanned when its file is opened a second time: some of these changes fall in between.
    while process.poll() is None:
        with open(victim, "a") as f:
            f.write("b")
    out, err = process.communicate()
    if process.returncode == 0:
        Built(lampo, out)
    else:
        equal(process.returncode, 125, err)
        check("changed while" in err, err)


if __name__ == "__main__":
    e2e.main()
