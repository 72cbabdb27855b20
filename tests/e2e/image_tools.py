# SPDX-License-Identifier: Apache-2.0
"""Image files and archives for the tests of images, made without Lampo."""
import hashlib
import io
import json
import os
import struct
import tarfile

BLOCK = 4096


def sha256(data):
    return hashlib.sha256(data).digest()


def padded(data):
    return data + bytes(-len(data) % BLOCK)


def image_bytes(seed=0, blocks=4, config=None):
    """The smallest thing that counts as an image (docs/spec/image.md): no files in it, `blocks` blocks of data."""
    superblock = struct.pack("<IIIBBHQQIIII16s16sIHHHBBIQB23s", 0xE0F5E1E2, 0, 0, 12, 0, 0, 1, 0, 0, blocks, 0, 0, b"", b"",
                             0, 0, 0, 0, 0, 0, 0, 0, 0, b"")
    erofs = bytearray(blocks * BLOCK)
    erofs[1024:1024 + len(superblock)] = superblock
    for block in range(1, blocks):
        erofs[block * BLOCK:block * BLOCK + 8] = struct.pack("<II", seed, block)
    return seal(bytes(erofs), config or {"architecture": "amd64", "os": "linux"})


def seal(erofs, config):
    """A file system and a configuration as an image file; its bytes and its digest."""
    config = json.dumps(config).encode()
    data = erofs + padded(config)
    level = [sha256(data[i:i + BLOCK]) for i in range(0, len(data), BLOCK)]
    tree = b""
    while len(level) > 1:
        hashes = padded(b"".join(level))
        tree = hashes + tree
        level = [sha256(hashes[i:i + BLOCK]) for i in range(0, len(hashes), BLOCK)]
    footer = padded(struct.pack("<QIIQQQQ32s", 0x474D496F706D614C, 1, BLOCK, len(erofs), len(config), len(data) // BLOCK,
                                len(tree) // BLOCK, level[0]))
    return data + tree + footer, "sha256:" + sha256(footer).hex()


def reconfigured(data, change):
    """The image with its configuration changed by change(configuration)."""
    erofs_bytes, config_bytes = struct.unpack_from("<QQ", data, len(data) - BLOCK + 16)
    config = json.loads(data[erofs_bytes:erofs_bytes + config_bytes])
    change(config)
    return seal(data[:erofs_bytes], config)


def image_path(data_dir, digest):
    return os.path.join(data_dir, "images", "sha256", digest[7:])


def put_image(data_dir, seed=0, blocks=4, config=None):
    """Puts one into a store that exists, without a name; returns its digest."""
    return put_bytes(data_dir, *image_bytes(seed, blocks, config))


def put_bytes(data_dir, data, digest):
    path = image_path(data_dir, digest)
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, 0o444)
    return digest


def layer_tar(files):
    """A tar of {name: content (bytes), or a tarfile.TarInfo}."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def docker_archive(path, tags, layers, config=None):
    """An archive as `docker save` makes it."""
    entries = {}
    description = dict(config or {}, architecture="amd64", os="linux",
                       rootfs={"type": "layers", "diff_ids": ["sha256:" + sha256(l).hex() for l in layers]})
    text = json.dumps(description).encode()
    config_name = sha256(text).hex() + ".json"
    entries[config_name] = text
    names = []
    for layer in layers:
        names.append(sha256(layer).hex() + "/layer.tar")
        entries[names[-1]] = layer
    entries["manifest.json"] = json.dumps([{"Config": config_name, "RepoTags": tags, "Layers": names}]).encode()
    with open(path, "wb") as file:
        file.write(layer_tar(entries))
