#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Linux mounts an image that Lampo made, plain and through dm-verity, and sees the tree that the archive described, file by file: types, modes, owners, times,
sizes, contents, extended attributes, targets, device numbers, links. A changed block is an error when it is read."""
import hashlib
import io
import os
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(TOP, "tests", "e2e"))
import image_tools

LAMPO = os.path.join(os.environ.get("LAMPO_BUILD") or os.path.join(TOP, os.environ.get("B", "build")), "lampo")
MANY = 100000
ACL = struct.pack("<I" + "HHI" * 5, 2, 1, 6, 0xffffffff, 2, 4, 1000, 4, 4, 0xffffffff, 0x10, 4, 0xffffffff, 0x20, 4, 0xffffffff)
CAPABILITY = struct.pack("<IIIII", 0x02000001, 0x2000, 0, 0, 0)


def skip(reason):
    print("skipped:", reason)
    sys.exit(77)


def run(*command, check=True):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if check and done.returncode != 0:
        sys.exit(f"failed: {' '.join(command)}: {done.stdout}")
    return done


class Node:
    """What a path is; everything that must come back."""

    def __init__(self, kind, mode, uid=0, gid=0, mtime_ns=0, data=b"", holes=None, target="", rdev=(0, 0), xattrs=None, link=None):
        self.kind, self.mode, self.uid, self.gid, self.mtime_ns = kind, mode, uid, gid, mtime_ns
        self.data, self.holes, self.target, self.rdev, self.xattrs, self.link = data, holes, target, rdev, xattrs or {}, link


def pattern(size, seed):
    return hashlib.shake_128(seed.encode()).digest(size)


def tree_describe():
    tree = {
        "etc": Node("dir", 0o755, mtime_ns=1600000000_000000001),
        "etc/empty": Node("file", 0o600, 1, 2, 1),
        "etc/small": Node("file", 0o644, 0, 0, 1700000000_123456789, b"hello\n"),
        "etc/attributes": Node("file", 0o664, 7, 8, 5, pattern(3000, "a"), xattrs={
            "user.name": b"value", "user.empty": b"", "user.large": b"x" * 5000, "trusted.t": b"1", "security.capability": CAPABILITY,
            "system.posix_acl_access": ACL}),
        "etc/before-1970": Node("file", 0o644, mtime_ns=-86400_000000000, data=b"old"),
        "usr/bin/set-id": Node("file", 0o6755, 100000, 2**32 - 2, 3, pattern(100000, "b")),
        "usr/bin/other-name": Node("link", 0, link="usr/bin/set-id"),
        "usr/bin/third-name": Node("link", 0, link="usr/bin/set-id"),
        "bin": Node("symlink", 0o777, 5, 6, 7, target="usr/bin"),
        "long-link": Node("symlink", 0o777, target="/".join(["component"] * 300)),
        "dev/null": Node("char", 0o666, rdev=(1, 3)),
        "dev/disk": Node("block", 0o660, 0, 6, rdev=(259, 70000)),
        "dev/pipe": Node("fifo", 0o622, 1, 1),
        "tmp": Node("dir", 0o1777),
        "n" * 255: Node("file", 0o400, data=b"255"),
        "umlaut-\u00fc-\u20ac": Node("file", 0o644, data=b"name in UTF-8"),
        "sparse": Node("file", 0o640, data=pattern(70000, "s") + pattern(5000, "t"), holes=[(1 << 20, 70000), (50 << 20, 5000)]),
        "hole": Node("file", 0o640, holes=[(3 << 20, 0)]),
        "zeros": Node("file", 0o640, data=bytes(300000) + b"end"),
        "/".join(["deep"] * 100) + "/file": Node("file", 0o644, data=b"deep"),
        "attributes-dir": Node("dir", 0o750, xattrs={"user.dir": b"d", "system.posix_acl_default": ACL}),
    }
    for size in (1, 2047, 2048, 2049, 4095, 4096, 4097, 8192, 65535, 65536, 65537, 1000000):
        tree[f"sizes/{size}"] = Node("file", 0o644, mtime_ns=size, data=pattern(size, str(size)))
    for i in range(MANY):
        tree[many_name(i)] = Node("file", 0o644, uid=i, mtime_ns=i * 1000000000)
    return tree


def many_name(i):
    return f"many/entry number {i}"


def tree_complete(tree):
    """Adds the directories that nobody named (0755 root:root, time 0)."""
    for path in list(tree):
        while "/" in path:
            path = path.rsplit("/", 1)[0]
            tree.setdefault(path, Node("dir", 0o755))
    tree["."] = Node("dir", 0o755)


TYPES = {"file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE, "char": tarfile.CHRTYPE, "block": tarfile.BLKTYPE,
         "fifo": tarfile.FIFOTYPE, "link": tarfile.LNKTYPE}


def member(path, node):
    info = tarfile.TarInfo(path)
    info.type, info.mode, info.uid, info.gid = TYPES[node.kind], node.mode, node.uid, node.gid
    info.linkname = node.link or node.target
    info.devmajor, info.devminor = node.rdev
    headers = {f"SCHILY.xattr.{name}": value.decode("utf-8", "surrogateescape") for name, value in node.xattrs.items()}
    if node.mtime_ns < 0 or node.mtime_ns % 1000000000:
        whole, part = divmod(abs(node.mtime_ns), 1000000000)
        headers["mtime"] = f"{'-' if node.mtime_ns < 0 else ''}{whole}.{part:09}"
    else:
        info.mtime = node.mtime_ns // 1000000000
    data = node.data
    if node.holes is not None:
        # GNU's format 1.0: the list of pieces comes first, in whole blocks; the last piece says how long the file is.
        size = max(at + length for at, length in node.holes)
        pieces = f"{len(node.holes)}\n" + "".join(f"{at}\n{length}\n" for at, length in node.holes)
        data = pieces.encode() + bytes(-len(pieces) % 512) + data
        headers.update({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": path, "GNU.sparse.realsize": str(size)})
    info.size, info.pax_headers = len(data), headers
    return info, data


def many_make():
    """The members of `many`, all alike: tarfile would take most of the test's time."""
    header = bytearray(tarfile.TarInfo("many/").tobuf(tarfile.USTAR_FORMAT))
    header[100:108] = b"0000644\0"
    header[148:156] = b" " * 8
    header[0:100], header[108:116], header[136:148] = bytes(100), bytes(8), bytes(12)
    rest, out = sum(header), []
    for i in range(MANY):
        name, uid, mtime = many_name(i).encode(), b"%07o\0" % i, b"%011o\0" % i
        header[0:100], header[108:116], header[136:148] = name.ljust(100, b"\0"), uid, mtime
        header[148:156] = b"%06o\0 " % (rest + sum(name) + sum(uid) + sum(mtime))
        out.append(bytes(header))
    return b"".join(out)


def layer_make(tree):
    out = io.BytesIO()
    out.write(many_make())
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        # A name before its other names.
        for path, node in sorted(tree.items(), key=lambda item: item[1].kind == "link"):
            if path != "." and not path.startswith("many/"):
                info, data = member(path, node)
                tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def content_of(node):
    if node.holes is None:
        return node.data
    out, at = bytearray(max(a + n for a, n in node.holes)), 0
    for start, length in node.holes:
        out[start:start + length] = node.data[at:at + length]
        at += length
    return bytes(out)


def expected_line(path, tree, links, subdirs):
    node = tree[path]
    if node.kind == "link":
        path, node = node.link, tree[node.link]
    kind = {"file": stat.S_IFREG, "dir": stat.S_IFDIR, "symlink": stat.S_IFLNK, "char": stat.S_IFCHR, "block": stat.S_IFBLK,
            "fifo": stat.S_IFIFO}[node.kind]
    data = content_of(node) if node.kind == "file" else node.target.encode()
    size = len(data) if node.kind in ("file", "symlink") else None
    return (kind | node.mode, node.uid, node.gid, node.mtime_ns, size, 2 + subdirs.get(path, 0) if node.kind == "dir" else links.get(path, 1),
            node.rdev, hashlib.sha256(data).hexdigest() if size is not None else "", tuple(sorted(node.xattrs.items())))


def manifest_expected(tree):
    links, subdirs = {}, {}
    for path, node in tree.items():
        if node.kind == "link":
            links[node.link] = links.get(node.link, 1) + 1
        elif node.kind == "dir" and path != ".":
            parent = os.path.dirname(path) or "."
            subdirs[parent] = subdirs.get(parent, 0) + 1
    return {path: expected_line(path, tree, links, subdirs) for path in tree}


def seen_line(path, relative):
    st = os.lstat(path)
    data, size = b"", None
    if stat.S_ISREG(st.st_mode):
        size = st.st_size
        if size > 0:
            with open(path, "rb") as file:
                data = file.read()
    elif stat.S_ISLNK(st.st_mode):
        data, size = os.fsencode(os.readlink(path)), st.st_size
    # One name in a hundred of the many; each of the rest.
    xattrs = []
    if not relative.startswith("many/") or relative.endswith("00"):
        xattrs = [(name, os.getxattr(path, name, follow_symlinks=False)) for name in os.listxattr(path, follow_symlinks=False)]
    rdev = (os.major(st.st_rdev), os.minor(st.st_rdev))
    return (st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns, size, st.st_nlink, rdev,
            hashlib.sha256(data).hexdigest() if size is not None else "", tuple(sorted(xattrs)))


def manifest_seen(root):
    seen = {".": seen_line(root, ".")}
    stack = [""]
    while stack:
        directory = stack.pop()
        for entry in os.scandir(os.path.join(root, directory)):
            relative = os.path.join(directory, entry.name)
            seen[relative] = seen_line(entry.path, relative)
            if entry.is_dir(follow_symlinks=False):
                stack.append(relative)
    return seen


def compare(expected, seen):
    wrong = 0
    for path in sorted(set(expected) | set(seen)):
        if expected.get(path) != seen.get(path):
            wrong += 1
            if wrong <= 10:
                print(f"failed: {path[:200]}\n  expected {expected.get(path)}\n  seen     {seen.get(path)}")
    if wrong:
        sys.exit(f"failed: {wrong} of {len(expected)} paths differ")


class Mount:
    def __init__(self, source, where, options):
        self.source, self.where, self.options = source, where, options

    def __enter__(self):
        os.makedirs(self.where, exist_ok=True)
        run("mount", "-t", "erofs", "-o", self.options, self.source, self.where)
        return self.where

    def __exit__(self, *_):
        run("umount", self.where)


def image_import(directory, layer):
    archive = os.path.join(directory, "archive.tar")
    image_tools.docker_archive(archive, ["linux:test"], [layer])
    done = subprocess.run([LAMPO, "import", archive], env=dict(os.environ, LAMPO_DATA=os.path.join(directory, "images")),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"failed: lampo import: {done.stderr}")
    return os.path.join(directory, "images", "images", "sha256", done.stdout.strip().split(":")[1])


def footer_read(image):
    """(data blocks, root)"""
    with open(image, "rb") as file:
        file.seek(-4096, os.SEEK_END)
        footer = file.read()
    return struct.unpack_from("<Q", footer, 32)[0], footer[48:80].hex()


def verity_command(image, name):
    blocks, root = footer_read(image)
    return ["/usr/sbin/veritysetup", "open", "--no-superblock", "--format=1", "--hash=sha256", "--salt=-", "--data-block-size=4096",
            "--hash-block-size=4096", f"--data-blocks={blocks}", f"--hash-offset={blocks * 4096}", image, name, image, root]


def verity_check(directory, image, wanted):
    """Through dm-verity the good image reads as before; in a damaged one a file is an I/O error."""
    if not os.path.exists("/usr/sbin/veritysetup"):
        print("veritysetup is not installed: not checked with dm-verity")
        return
    os.environ["DM_DISABLE_UDEV"] = "1"
    damaged = os.path.join(directory, "damaged")
    shutil.copyfile(image, damaged)
    with open(damaged, "r+b") as file:
        at = file.read(32 << 20).find(pattern(1000000, "1000000")[:4096])
        file.seek(at + 5000)
        file.write(b"damage")
    for path, good in ((image, True), (damaged, False)):
        name = f"lampo-test-{os.getpid()}"
        done = run(*verity_command(path, name), check=False)
        if done.returncode != 0:
            print(f"this kernel has no dm-verity: not checked with it ({done.stdout.strip()})")
            return
        try:
            with Mount(f"/dev/mapper/{name}", os.path.join(directory, "mount"), "ro") as root:
                for file, line in wanted.items():
                    if file.startswith("sizes/"):
                        verity_read(root, file, line, good or file != "sizes/1000000")
        finally:
            run("/usr/sbin/veritysetup", "close", name)


def verity_read(root, file, line, good):
    try:
        ok = seen_line(os.path.join(root, file), file) == line
    except OSError:
        ok = False
    if ok != good:
        sys.exit(f"failed: through dm-verity {file} is {'good' if ok else 'bad'}, which is wrong")


def main():
    if os.geteuid() != 0:
        skip("mounting needs root")
    tree = tree_describe()
    tree_complete(tree)
    wanted = manifest_expected(tree)
    directory = tempfile.mkdtemp(prefix="lampo-linux-")
    try:
        image = image_import(directory, layer_make(tree))
        if shutil.which("fsck.erofs"):
            run("fsck.erofs", "--extract", image)
        mount = os.path.join(directory, "mount")
        os.mkdir(mount)
        tried = run("mount", "-t", "erofs", "-o", "loop,ro", image, mount, check=False)
        if tried.returncode != 0:
            # A container, or a kernel without EROFS; anything else is about the image.
            for reason in ("unknown filesystem type", "failed to setup loop", "permission denied", "not permitted"):
                if reason in tried.stdout:
                    skip(f"this kernel does not mount EROFS files for us: {tried.stdout.strip()}")
            sys.exit(f"failed: Linux does not mount the image: {tried.stdout}")
        run("umount", mount)
        with Mount(image, mount, "loop,ro") as root:
            compare(wanted, manifest_seen(root))
        verity_check(directory, image, wanted)
        print(f"{len(wanted)} paths are as they were")
    finally:
        shutil.rmtree(directory)


main()
