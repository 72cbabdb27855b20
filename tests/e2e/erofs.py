# SPDX-License-Identifier: Apache-2.0
"""Reads the EROFS file system of an image and unpacks it: for tests that run a program in it with chroot. (fsck.erofs of erofs-utils 1.5
loses holes when it extracts.) Takes what docs/spec/image.md says an image has; checks nothing."""
import os
import stat
import struct

BLOCK = 4096
PREFIXES = {1: "user.", 2: "system.posix_acl_access", 3: "system.posix_acl_default", 4: "trusted.", 6: "security."}


class Inode:
    def __init__(self, image, nid):
        self.image, self.nid = image, nid
        at = image.meta + nid * 32
        form, xattrs, self.mode = struct.unpack_from("<HHH", image.data, at)
        self.layout = form >> 1 & 7
        if form & 1:
            (self.size, self.u, self.ino, self.uid, self.gid, self.mtime, self.mtime_ns,
             self.links) = struct.unpack_from("<QIIIIQII", image.data, at + 8)
            header = 64
        else:
            self.links, self.size, _, self.u, self.ino, self.uid, self.gid = struct.unpack_from("<HIIIIHH", image.data, at + 6)
            self.mtime, self.mtime_ns = image.build_time
            header = 32
        self.xattr_at = at + header
        self.xattr_bytes = 12 + (xattrs - 1) * 4 if xattrs else 0
        self.end = self.xattr_at + self.xattr_bytes

    def read(self):
        data, size = self.image.data, self.size
        if self.layout == 0:
            return bytes(data[self.u * BLOCK:self.u * BLOCK + size])
        if self.layout == 2:
            whole = size // BLOCK * BLOCK
            return bytes(data[self.u * BLOCK:self.u * BLOCK + whole]) + bytes(data[self.end:self.end + size - whole])
        out, chunk = bytearray(size), BLOCK << (self.u & 31)
        at, step = ((self.end + 7) & ~7, 8) if self.u & 32 else ((self.end + 3) & ~3, 4)
        for i in range((size + chunk - 1) // chunk):
            block = struct.unpack_from("<I", data, at + i * step + step - 4)[0]
            if block != 0xffffffff:
                part = data[block * BLOCK:block * BLOCK + min(chunk, size - i * chunk)]
                out[i * chunk:i * chunk + len(part)] = part
        return bytes(out)

    def entries(self):
        data = self.read()
        for at in range(0, len(data), BLOCK):
            block = data[at:at + BLOCK]
            count = struct.unpack_from("<H", block, 8)[0] // 12
            for i in range(count):
                nid, start = struct.unpack_from("<QH", block, i * 12)
                stop = struct.unpack_from("<H", block, i * 12 + 20)[0] if i + 1 < count else len(block)
                name = block[start:stop].split(b"\0")[0].decode(errors="surrogateescape")
                if name not in (".", ".."):
                    yield name, nid

    def xattrs(self):
        found, at, data = {}, self.xattr_at, self.image.data
        if not self.xattr_bytes:
            return found
        places = [self.image.xattrs + 4 * struct.unpack_from("<I", data, at + 12 + 4 * i)[0] for i in range(data[at + 4])]
        at += 12 + 4 * data[at + 4]
        while at < self.end:
            places.append(at)
            length, _, value = struct.unpack_from("<BBH", data, at)
            at += (4 + length + value + 3) & ~3
        for place in places:
            length, index, value = struct.unpack_from("<BBH", data, place)
            name = bytes(data[place + 4:place + 4 + length]).decode()
            found[PREFIXES[index] + name] = bytes(data[place + 4 + length:place + 4 + length + value])
        return found


class Image:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = memoryview(f.read())
        magic, _, _, _, _, root = struct.unpack_from("<IIIBBH", self.data, 1024)
        assert magic == 0xe0f5e1e2, "no EROFS"
        self.build_time = struct.unpack_from("<QI", self.data, 1024 + 24)
        self.meta, self.xattrs = (x * BLOCK for x in struct.unpack_from("<II", self.data, 1024 + 40))
        self.root = Inode(self, root)

    def walk(self, inode=None, path=""):
        """(path, inode) of everything, parents first."""
        inode = inode or self.root
        yield path or "/", inode
        if stat.S_ISDIR(inode.mode):
            for name, nid in inode.entries():
                yield from self.walk(Inode(self, nid), f"{path}/{name}")

    def tree(self):
        return dict(self.walk())

    def extract(self, to):
        links, times = {}, []
        for path, inode in self.walk():
            target = to + path
            if stat.S_ISDIR(inode.mode):
                os.makedirs(target, exist_ok=True)
            elif inode.nid in links:
                os.link(links[inode.nid], target, follow_symlinks=False)
                continue
            elif stat.S_ISLNK(inode.mode):
                os.symlink(inode.read(), os.fsencode(target))
            elif stat.S_ISREG(inode.mode):
                with open(target, "wb") as f:
                    f.write(inode.read())
            else:
                os.mknod(target, inode.mode, inode.u)
            links[inode.nid] = target
            if os.geteuid() == 0:
                os.chown(target, inode.uid, inode.gid, follow_symlinks=False)
            if not stat.S_ISLNK(inode.mode):
                os.chmod(target, inode.mode & 0o7777)
            times.append((target, inode.mtime * 10**9 + inode.mtime_ns))
        for target, when in reversed(times):
            os.utime(target, ns=(when, when), follow_symlinks=False)
