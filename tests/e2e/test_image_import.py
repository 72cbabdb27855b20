#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Import and export: images of umoci, skopeo and buildah arrive as they are, what Lampo exports others read, and archives that are wrong
are refused with nothing left behind."""
import contextlib
import gzip
import hashlib
import io
import json
import os
import random
import shutil
import stat
import subprocess
import tarfile

import e2e
from e2e import Skip, check, equal, only
from erofs import Image
from image_tools import docker_archive, image_path, layer_tar

OCI = "application/vnd.oci.image."


def tool(name, *args, **more):
    if shutil.which(name) is None:
        raise Skip(f"there is no {name}")
    r = subprocess.run([name, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL, **more)
    check(r.returncode == 0, f"{name} {args}: {r.stderr}")
    return r.stdout


def need_root():
    if os.geteuid() != 0:
        raise Skip("making owners and devices needs root")


def imported(lampo, *args, **more):
    """The digest of the one image that was imported."""
    return lampo.ok("import", "-q", *args, **more).strip()


def fails(lampo, *args, says, **more):
    result = lampo(*args, **more)
    equal(result.code, 125, f"lampo {args}: {result}")
    lines = [line for line in result.err.splitlines() if line.startswith("lampo: ")]
    check(lines and says in "\n".join(lines), f"lampo {args} does not say {says!r}: {result}")


def nothing_left(lampo):
    """What failed left nothing in the store."""
    equal(lampo.ok("images", "--json").strip(), "[]")
    for directory in ("tmp", "images/sha256", "quarantine"):
        path = os.path.join(lampo.data_dir, directory)
        equal(os.listdir(path) if os.path.isdir(path) else [], [], directory)


# ---- trees ----

def tree_make(root):
    """A bit of everything."""
    rng = random.Random(1)
    for d in ("bin", "etc/deep/er", "usr/lib", "var/empty", "many"):
        os.makedirs(f"{root}/{d}")
    busybox = shutil.which("busybox")
    if busybox:
        shutil.copy(busybox, f"{root}/bin/busybox")
        os.symlink("busybox", f"{root}/bin/sh")
    files = {"etc/motd": b"hello\n", "etc/empty": b"", "usr/lib/big": rng.randbytes(3_000_000), "n" * 255: b"long",
             "etc/deep/er/caf\u00e9": b"\0" * 5000, "etc/nfd-e\u0301": b"x", "etc/block": b"b" * 4096}
    for name, data in files.items():
        with open(f"{root}/{name}", "wb") as f:
            f.write(data)
    for i in range(500):
        with open(f"{root}/many/file{i}", "w") as f:
            f.write(f"{i}\n" * (i % 40))
    with open(f"{root}/etc/sparse", "wb") as f:
        f.truncate(20 << 20)
        f.seek(7 << 20)
        f.write(b"middle")
    os.link(f"{root}/etc/motd", f"{root}/etc/motd.again")
    os.symlink("/outside/of/everything", f"{root}/etc/absolute")
    os.symlink("usr/lib", f"{root}/lib")
    os.mkfifo(f"{root}/var/fifo")
    os.mknod(f"{root}/etc/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.chown(f"{root}/var/empty", 70000, 80000)
    os.chmod(f"{root}/bin", 0o2755)
    if busybox:
        os.chmod(f"{root}/bin/busybox", 0o4711)
    with contextlib.suppress(OSError):  # not every file system has them
        os.setxattr(f"{root}/etc/motd", "user.note", b"a\0b")
        os.setxattr(f"{root}/etc/block", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))


def digest(data):
    return hashlib.sha256(data).hexdigest()


def host_tree(root):
    """path -> what there is to know, of a directory. Times to the second: umoci's archives have no more."""
    tree, firsts = {}, {}
    for directory, dirs, names in os.walk(root):
        for path in [directory] + [f"{directory}/{n}" for n in names] + [f"{directory}/{n}" for n in dirs if os.path.islink(f"{directory}/{n}")]:
            st = os.lstat(path)
            name = path[len(root):] or "/"
            content = None
            if stat.S_ISREG(st.st_mode):
                with open(path, "rb") as f:
                    content = (st.st_size, digest(f.read()))
            elif stat.S_ISLNK(st.st_mode):
                content = os.readlink(path)
            elif stat.S_ISCHR(st.st_mode):
                content = st.st_rdev
            attributes = {n: os.getxattr(path, n, follow_symlinks=False) for n in os.listxattr(path, follow_symlinks=False)}
            tree[name] = (st.st_mode, st.st_uid, st.st_gid, int(st.st_mtime), content, attributes)
            if not stat.S_ISDIR(st.st_mode) and st.st_nlink > 1:
                firsts.setdefault(st.st_ino, []).append(name)
    return tree, sorted(sorted(n) for n in firsts.values())


def image_tree(path):
    tree, firsts = {}, {}
    for name, inode in Image(path).walk():
        content = None
        if stat.S_ISREG(inode.mode):
            content = (inode.size, digest(inode.read()))
        elif stat.S_ISLNK(inode.mode):
            content = inode.read().decode()
        elif stat.S_ISCHR(inode.mode):
            content = inode.u
        tree[name] = (inode.mode, inode.uid, inode.gid, inode.mtime, content, inode.xattrs())
        if not stat.S_ISDIR(inode.mode) and inode.links > 1:
            firsts.setdefault(inode.nid, []).append(name)
    return tree, sorted(sorted(n) for n in firsts.values())


def same(got, want):
    for name in sorted(set(got[0]) | set(want[0])):
        equal(got[0].get(name), want[0].get(name), name)
    equal(got[1], want[1], "hard links")


def check_image(lampo, image, want):
    path = image_path(lampo.data_dir, image)
    same(image_tree(path), want)
    if shutil.which("fsck.erofs"):
        tool("fsck.erofs", path)
    lampo.ok("image", "verify")


def umoci_layout(lampo):
    """A layout with one image, "latest", of two layers: the second removes, replaces and adds. And its tree, as umoci unpacks it."""
    need_root()
    d = lampo.directory
    tool("umoci", "init", "--layout", f"{d}/layout")
    tool("umoci", "new", "--image", f"{d}/layout:latest")
    tool("umoci", "unpack", "--image", f"{d}/layout:latest", f"{d}/bundle")
    tree_make(f"{d}/bundle/rootfs")
    tool("umoci", "repack", "--refresh-bundle", "--image", f"{d}/layout:latest", f"{d}/bundle")
    root = f"{d}/bundle/rootfs"
    shutil.rmtree(f"{root}/many")
    os.unlink(f"{root}/etc/empty")
    os.unlink(f"{root}/etc/absolute")
    with open(f"{root}/etc/absolute", "w") as f:
        f.write("now a file\n")
    shutil.rmtree(f"{root}/etc/deep")
    with open(f"{root}/etc/deep", "w") as f:
        f.write("was a directory\n")
    os.symlink("../etc/motd", f"{root}/usr/lib/motd")
    tool("umoci", "repack", "--image", f"{d}/layout:latest", f"{d}/bundle")
    tool("umoci", "config", "--image", f"{d}/layout:latest", "--config.cmd", "/bin/sh", "--config.env", "A=1", "--config.user", "7:8")
    tool("umoci", "unpack", "--image", f"{d}/layout:latest", f"{d}/unpacked")
    return f"{d}/layout", host_tree(f"{d}/unpacked/rootfs")


@only("fake")
def test_layouts_and_archives_of_others(lampo):
    """The same image as a directory, as archives of skopeo, compressed, and from a pipe: the same digest, the same tree."""
    layout, want = umoci_layout(lampo)
    first = imported(lampo, layout, "app:1")
    check_image(lampo, first, want)
    config = json.loads(lampo.ok("image", "inspect", "app:1"))[0]["config"]
    equal(config["config"]["Cmd"], ["/bin/sh"])
    equal(config["config"]["User"], "7:8")
    d = lampo.directory
    tool("skopeo", "copy", "-q", f"oci:{layout}:latest", f"oci-archive:{d}/oci.tar:some/app:2")
    equal(imported(lampo, f"{d}/oci.tar"), first)
    tool("skopeo", "copy", "-q", f"oci:{layout}:latest", f"docker-archive:{d}/docker.tar:some/app:3")
    equal(imported(lampo, f"{d}/docker.tar", "app:3"), first)
    with open(f"{d}/docker.tar", "rb") as f, gzip.open(f"{d}/docker.tar.gz", "wb", 1) as out:
        shutil.copyfileobj(f, out)
    with open(f"{d}/docker.tar.gz", "rb") as f:
        equal(imported(lampo, "-", "app:4", stdin=f), first)
    pipe = subprocess.Popen(["cat", f"{d}/oci.tar"], stdout=subprocess.PIPE)
    equal(imported(lampo, "-", "app:5", stdin=pipe.stdout), first)
    pipe.stdout.close()
    pipe.wait()
    equal(sorted(lampo.ok("images", "--names").split()), ["app:1", "app:3", "app:4", "app:5", "some/app:2"])
    equal(os.listdir(f"{lampo.data_dir}/tmp"), [])


@only("fake")
def test_buildah(lampo):
    need_root()
    d = lampo.directory
    os.makedirs(f"{d}/src/dir")
    with open(f"{d}/src/dir/file", "w") as f:
        f.write("from buildah\n")
    os.chmod(f"{d}/src/dir/file", 0o640)
    storage = ["--storage-driver", "vfs", "--root", f"{d}/storage", "--runroot", f"{d}/runroot"]
    container = tool("buildah", *storage, "from", "scratch").strip()
    tool("buildah", *storage, "copy", container, f"{d}/src", "/data")
    tool("buildah", *storage, "config", "--cmd", "/data/x", container)
    tool("buildah", *storage, "commit", "-q", container, f"oci-archive:{d}/b.tar:built:1")
    tool("buildah", *storage, "commit", "-q", "--format", "docker", container, f"docker-archive:{d}/d.tar:built:2")
    one, two = imported(lampo, f"{d}/b.tar", "built:1"), imported(lampo, f"{d}/d.tar", "built:2")
    for image in (one, two):
        tree = Image(image_path(lampo.data_dir, image)).tree()
        equal(tree["/data/dir/file"].read(), b"from buildah\n")
        equal(tree["/data/dir/file"].mode, 0o100640)
    equal(json.loads(lampo.ok("image", "inspect", "built:2"))[0]["config"]["config"]["Cmd"], ["/data/x"])


@only("fake")
def test_own_form_keeps_the_digest(lampo):
    layout, want = umoci_layout(lampo)
    image = imported(lampo, layout, "app:1")
    other = {"LAMPO_DATA": f"{lampo.directory}/other"}
    for options in ([], ["-z"]):
        lampo.ok("export", "-q", "app:1", *options, "-o", "a.tar")
        lampo.ok("export", "-q", "app:1", *options, "-o", "b.tar")
        with open(f"{lampo.directory}/a.tar", "rb") as a, open(f"{lampo.directory}/b.tar", "rb") as b:
            check(a.read() == b.read(), "two exports differ")
        equal(imported(lampo, "a.tar", env=other), image)
        equal(lampo.ok("images", "--names", env=other).split(), ["app:1"])
        lampo.ok("rmi", "app:1", env=other)
    with open(f"{lampo.directory}/out", "wb") as out:
        process = lampo.start("export", "-q", image, stdout=out)
        equal((process.communicate(timeout=60), process.returncode)[1], 0)
    equal(imported(lampo, "out", "named", env=other), image)


@only("fake")
def test_ordinary_forms_are_read_by_others(lampo):
    layout, want = umoci_layout(lampo)
    image = imported(lampo, layout, "app:1")
    d = lampo.directory
    for options, source in ((["--format", "oci"], "oci-archive"), (["--format", "oci", "-z"], "oci-archive"),
                            (["--format", "docker"], "docker-archive")):
        lampo.ok("export", "-q", "app:1", *options, "-o", "x.tar")
        lampo.ok("export", "-q", "app:1", *options, "-o", "y.tar")
        with open(f"{d}/x.tar", "rb") as x, open(f"{d}/y.tar", "rb") as y:
            check(x.read() == y.read(), "two exports differ")
        info = json.loads(tool("skopeo", "inspect", "--config", f"{source}:{d}/x.tar"))
        equal((info["os"], info["architecture"], info["config"]["Cmd"]), ("linux", "amd64", ["/bin/sh"]))
        tool("skopeo", "copy", "-q", f"{source}:{d}/x.tar", f"oci:{d}/back:x")
        tool("umoci", "unpack", "--image", f"{d}/back:x", f"{d}/again")
        same(host_tree(f"{d}/again/rootfs"), want)
        again = imported(lampo, "x.tar", "again:1")
        check_image(lampo, again, want)
        shutil.rmtree(f"{d}/again")
        shutil.rmtree(f"{d}/back")
    check(os.path.exists(image_path(lampo.data_dir, image)))


@only("fake")
def test_root_file_systems(lampo):
    """A directory and a tar archive of it, whoever made it: the same tree."""
    need_root()
    d = lampo.directory
    os.mkdir(f"{d}/root")
    tree_make(f"{d}/root")
    image = imported(lampo, "--rootfs", "root", "root:1")
    want = host_tree(f"{d}/root")
    check_image(lampo, image, want)
    equal(imported(lampo, "--rootfs", "root", "root:2"), image)
    tool("tar", "--sort=name", "--sparse", "--xattrs", "--xattrs-include=*", "--format=pax", "-C", f"{d}/root", "-cf", f"{d}/root.tar", ".")
    check_image(lampo, imported(lampo, "--rootfs", "root.tar", "root:3"), want)
    tool("tar", "--format=gnu", "-C", f"{d}/root", "-czf", f"{d}/gnu.tar", "--exclude=./var/fifo", ".")
    with open(f"{d}/gnu.tar", "rb") as f:
        imported(lampo, "--rootfs", "-", "root:4", stdin=f)
    fails(lampo, "import", "--rootfs", "root", says="name")
    fails(lampo, "import", "--rootfs", "missing", "x:1", says="No such file")
    fails(lampo, "import", "root", "x:1", says="neither")


# ---- archives made here ----

def blob(entries, data):
    name = "sha256:" + digest(data)
    entries[f"blobs/sha256/{digest(data)}"] = data
    return name, len(data)


def descriptor(entries, data, kind, **more):
    name, size = blob(entries, data)
    return {"mediaType": kind, "digest": name, "size": size, **more}


def oci_image(entries, files, config=None, **more):
    """Adds an image of one layer; its manifest's descriptor."""
    layer = layer_tar(files)
    text = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest(layer)]},
                       **(config or {})}).encode()
    manifest = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "config": descriptor(entries, text, OCI + "config.v1+json"),
                "layers": [descriptor(entries, layer, OCI + "layer.v1.tar")]}
    return descriptor(entries, json.dumps(manifest).encode(), OCI + "manifest.v1+json", **more)


def oci_archive(path, entries, manifests, first=False):
    head = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()}
    with open(path, "wb") as f:
        f.write(layer_tar({**head, **entries} if first else {**entries, **head}))


def named(name):
    return {"annotations": {"org.opencontainers.image.ref.name": name}}


def platform(architecture, **more):
    return {"platform": {"os": "linux", "architecture": architecture, **more}}


def content(lampo, image, path):
    return Image(image_path(lampo.data_dir, image)).tree()[path].read()


@only("fake")
def test_names_and_choice(lampo):
    d, entries = lampo.directory, {}
    one = oci_image(entries, {"f": b"one"}, **named("app:1"))
    two = oci_image(entries, {"f": b"two"}, **named("r.example/team/app:2"))
    tag = oci_image(entries, {"f": b"tag"}, **named("latest"))
    oci_archive(f"{d}/two.tar", entries, [one, two])
    equal(len(imported(lampo, "two.tar").split()), 2)
    equal(sorted(lampo.ok("images", "--names").split()), ["app:1", "r.example/team/app:2"])
    fails(lampo, "import", "two.tar", "new", says="2 images")
    equal(content(lampo, imported(lampo, "two.tar", "new", "--ref", "app:1"), "/f"), b"one")
    fails(lampo, "import", "two.tar", "--ref", "app:3", says="no image app:3")
    fails(lampo, "import", "two.tar", "Bad//Name", says="Bad//Name")
    oci_archive(f"{d}/tag.tar", entries, [tag], first=True)
    fails(lampo, "import", "tag.tar", says="no name")
    equal(content(lampo, imported(lampo, "tag.tar", "named:x", "--ref", "latest"), "/f"), b"tag")
    docker_archive(f"{d}/docker.tar", ["a:1", "b/c:2"], [layer_tar({"f": b"docker"})])
    equal(content(lampo, imported(lampo, "docker.tar"), "/f"), b"docker")
    check({"a:1", "b/c:2"} <= set(lampo.ok("images", "--names").split()))
    docker_archive(f"{d}/nameless.tar", None, [layer_tar({"f": b"docker"})])
    fails(lampo, "import", "nameless.tar", says="no name")
    imported(lampo, "nameless.tar", "x")
    lampo.ok("image", "verify")


@only("fake")
def test_platforms(lampo):
    d, entries = lampo.directory, {}
    arm = oci_image(entries, {"f": b"arm"}, {"architecture": "arm64"}, **platform("arm64"))
    amd = oci_image(entries, {"f": b"amd"}, **platform("amd64"))
    v3 = oci_image(entries, {"f": b"v3"}, **platform("amd64", variant="v3"))
    index = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": [arm, v3, amd]}
    nested = descriptor(entries, json.dumps(index).encode(), OCI + "index.v1+json")
    oci_archive(f"{d}/nested.tar", entries, [nested])
    equal(content(lampo, imported(lampo, "nested.tar", "x:1"), "/f"), b"amd")
    oci_archive(f"{d}/flat.tar", entries, [arm, amd])
    equal(content(lampo, imported(lampo, "flat.tar", "x:2"), "/f"), b"amd")
    statement = descriptor(entries, b"{}", OCI + "manifest.v1+json", platform={"os": "unknown", "architecture": "unknown"})
    oci_archive(f"{d}/statement.tar", entries, [statement, oci_image(entries, {"f": b"amd"}, **platform("amd64"), **named("x:9")), statement])
    equal(content(lampo, imported(lampo, "statement.tar"), "/f"), b"amd")
    oci_archive(f"{d}/arm.tar", entries, [arm])
    fails(lampo, "import", "arm.tar", "x:3", says="linux/arm64")
    lying = oci_image(entries, {"f": b"arm"}, {"architecture": "arm64"}, **platform("amd64"))
    oci_archive(f"{d}/lying.tar", entries, [lying])
    fails(lampo, "import", "lying.tar", "x:4", says="linux/arm64")


@only("fake")
def test_damaged_archives_are_refused(lampo):
    """Truncated anywhere, or with a bit flipped: refused, or what was hit did not matter and the image is the same."""
    d, entries = lampo.directory, {}
    oci_archive(f"{d}/good.tar", entries, [oci_image(entries, {"f": b"content" * 100}, **named("app:1"))])
    image = imported(lampo, "good.tar")
    with open(f"{d}/good.tar", "rb") as f:
        good = f.read()
    lampo.ok("rmi", "app:1")
    rng = random.Random(2)
    cases = [good[:n] for n in range(0, len(good) - 1024, 677)]
    for at in rng.sample(range(len(good)), 60):
        cases.append(good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1:])
    refused = 0
    for case in cases:
        with open(f"{d}/bad.tar", "wb") as f:
            f.write(case)
        result = lampo("import", "-q", "bad.tar", "app:1")
        if result.code == 0:
            equal(result.out.strip(), image)
            lampo.ok("rmi", "app:1")
            continue
        equal(result.code, 125, repr(result))
        check(result.err.startswith("lampo: "), repr(result))
        refused += 1
    check(refused > len(cases) // 3, f"only {refused} of {len(cases)} were refused")
    nothing_left(lampo)


def rewritten(path, change):
    """The archive with its files changed by change(files)."""
    with tarfile.open(path) as tar:
        files = {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}
    change(files)
    with open(path, "wb") as f:
        f.write(layer_tar(files))


@only("fake")
def test_archives_that_lie_are_refused(lampo):
    d = lampo.directory

    def case(says, change_manifest=None, change_files=None, config=None, tree=None):
        entries = {}
        image = oci_image(entries, tree or {"f": b"x"}, config)
        if change_manifest:
            path = "blobs/sha256/" + image["digest"][7:]
            manifest = json.loads(entries.pop(path))
            change_manifest(manifest)
            image.update(zip(("digest", "size"), blob(entries, json.dumps(manifest).encode())))
        oci_archive(f"{d}/case.tar", entries, [image])
        if change_files:
            rewritten(f"{d}/case.tar", change_files)
        fails(lampo, "import", "-q", "case.tar", "x:1", says=says)
        nothing_left(lampo)

    def put(name, data):
        return lambda files: files.update({name: data})

    def largest_blob(files):
        return max((n for n in files if n.startswith("blobs/")), key=lambda n: len(files[n]))

    def swap_layer(files):
        name = largest_blob(files)
        files[name] = files[name].replace(b"x", b"y")

    case("both a manifest and an index", lambda m: m.update(manifests=[]))
    case("says it is", lambda m: m.update(mediaType=OCI + "index.v1+json"))
    case("schema 1", lambda m: m.update(schemaVersion=1))
    case("size", lambda m: m["layers"][0].update(size=1 << 62))
    case("bytes", lambda m: m["layers"][0].update(size=m["layers"][0]["size"] + 1))
    case("digest", lambda m: m["layers"][0].update(digest="sha256:../../../../etc/passwd"))
    case("SHA-512", lambda m: m["layers"][0].update(digest="sha512:" + "0" * 128))
    case("there is no", lambda m: m["layers"][0].update(digest="sha256:" + "0" * 64))
    case("unknown type", lambda m: m["layers"][0].update(mediaType="application/x-cpio"))
    case("no image", lambda m: m["config"].update(mediaType="application/x-chart"))
    case("layers", lambda m: m["layers"].append(m["layers"][0]))
    case("512", lambda m: m.update(layers=m["layers"] * 513))
    case("digest", None, swap_layer)
    case("layers", None, None, {"rootfs": {"type": "layers", "diff_ids": []}})
    case("not sha256:" + "1" * 64, None, None, {"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "1" * 64]}})
    case("configuration", None, None, {"config": {"Env": "A=1"}})
    case("version", None, put("oci-layout", b'{"imageLayoutVersion":"2.0"}'))
    case("levels", None, put("index.json", b"[" * 100000))
    case("bytes", None, put("index.json", b" " * (5 << 20)))
    case("index", None, put("index.json", b'{"schemaVersion":2,"config":{},"layers":[]}'))
    case("JSON", None, put("manifest.json", b"{"))
    case("list", None, put("manifest.json", b"{}"))
    case("there is no ../x", None, put("manifest.json", b'[{"Config":"../x","RepoTags":null,"Layers":[]}]'))
    case('".."', tree={"../../../../../../../../tmp/lampo-probe": b"x"})
    check(not os.path.exists("/tmp/lampo-probe"))


@only("fake")
def test_what_is_no_archive_is_refused(lampo):
    d = lampo.directory
    for name, data, says in (("empty", b"", "archive"), ("text", b"hello" * 1000, "rchive"), ("zeros", bytes(10240), "neither"),
                             ("gzip", gzip.compress(b"x" * 1000), "rchive"), ("other", layer_tar({"a": b"b"}), "neither"),
                             ("old", layer_tar({"repositories": b"{}"}), "older than 1.10")):
        with open(f"{d}/{name}", "wb") as f:
            f.write(data)
        fails(lampo, "import", name, "x:1", says=says)
    fails(lampo, "import", "missing", "x:1", says="No such file")
    os.mkdir(f"{d}/dir")
    fails(lampo, "import", "dir", "x:1", says="neither")
    nothing_left(lampo)


@only("fake")
def test_directories_do_not_lead_out(lampo):
    """A layout whose files are links to the host's is refused."""
    d, entries = lampo.directory, {}
    oci_archive(f"{d}/a.tar", entries, [oci_image(entries, {"f": b"x"}, **named("app:1"))])
    with tarfile.open(f"{d}/a.tar") as tar:
        tar.extractall(f"{d}/layout")
    imported(lampo, "layout")
    lampo.ok("rmi", "app:1")
    name = sorted(os.listdir(f"{d}/layout/blobs/sha256"))[0]
    os.rename(f"{d}/layout/blobs/sha256/{name}", f"{d}/elsewhere")
    os.symlink(f"{d}/elsewhere", f"{d}/layout/blobs/sha256/{name}")
    fails(lampo, "import", "layout", says="cannot open")
    os.rename(f"{d}/layout/blobs", f"{d}/blobs")
    os.symlink("../blobs", f"{d}/layout/blobs")
    fails(lampo, "import", "layout", says="cannot open")
    os.unlink(f"{d}/layout/index.json")
    os.mkfifo(f"{d}/layout/index.json")
    fails(lampo, "import", "layout", says="no file")
    nothing_left(lampo)


@only("fake")
def test_a_name_twice_is_refused(lampo):
    d, entries = lampo.directory, {}
    oci_archive(f"{d}/a.tar", entries, [oci_image(entries, {"f": b"x"}, **named("app:1"))])
    with tarfile.open(f"{d}/a.tar", "a") as tar:
        info = tarfile.TarInfo("index.json")
        info.size = 2
        tar.addfile(info, io.BytesIO(b"{}"))
    fails(lampo, "import", "a.tar", says="twice")
    nothing_left(lampo)


@only("fake")
def test_exports_that_fail_leave_nothing(lampo):
    d = lampo.directory
    docker_archive(f"{d}/a.tar", ["a:1"], [layer_tar({"f": b"x" * 100000})])
    imported(lampo, "a.tar")
    fails(lampo, "export", "nothing:1", "-o", "x", says="nothing:1")
    fails(lampo, "export", "a:1", "-o", "no/where/x", says="No such file")
    fails(lampo, "export", "a:1", "--format", "zip", "-o", "x", says="zip")
    fails(lampo, "export", "a:1", "--format", "docker", "-z", "-o", "x", says="compressed")
    fails(lampo, "export", "-q", "a:1", "-o", "/dev/full", says="No space left")
    check(not [n for n in os.listdir(d) if n.startswith("x")], "something is left of an export")
    equal(os.listdir(f"{lampo.data_dir}/tmp"), [])
    with open(f"{d}/target", "w") as f:
        f.write("old")
    lampo.ok("export", "-q", "a:1", "-o", "target")
    check(os.path.getsize(f"{d}/target") > 100000)


e2e.main()
