#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Registries that lie, hang, run in circles and give more than was asked for. After each of them: lampo has ended by itself with one clear error,
has used little memory, and the store is as it was, and works."""
import json
import os
import re
import resource
import socket
import threading
import time

import e2e
import registry
from registry import Image, Registry, Tokens, prepare

MEMORY_MAX = 200 << 20  # bytes of address space, over and above what the program and its libraries take


def limit():
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))


def image():
    return Image({"a": os.urandom(300000)}, {"b": os.urandom(1000)})


def refused(lampo, r, *words, args=(), tag="1", timeout=60, env=None):
    """A pull fails, with these words in its message, and leaves nothing that counts."""
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    result = lampo("pull", *args, f"{r.host}/t:{tag}", timeout=timeout, preexec_fn=limit, env=env)
    e2e.check(result.code == 125 and result.out == "", result)
    message = "\n".join(line for line in result.err.splitlines() if line.startswith("lampo: "))
    for word in words:
        e2e.check(re.search(word, message), f"no '{word}' in: {message}")
    e2e.check(message.count("\n") <= 1, message)
    e2e.check(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss <= max(peak, MEMORY_MAX >> 10), "too much memory")
    e2e.equal([name for name in registry.store_files(lampo) if not name.startswith("tmp/blob-")], [], "files in the store")
    e2e.equal(lampo.ok("images", "-q"), "", "images")
    return message


def works(lampo, r):
    """Without the hooks all goes well, and nothing is left of before."""
    r.hooks.clear()
    result = lampo("pull", f"{r.host}/t:1")
    e2e.check(result.code == 0, result)
    lampo.ok("image", "verify", f"{r.host}/t:1")
    e2e.equal(len(registry.store_files(lampo)), 1, registry.store_files(lampo))


def serving(lampo, pattern, hook, *words, then_works=True, **more):
    prepare(lampo)
    with Registry() as r:
        r.add(image())
        r.hook(pattern, hook)
        message = refused(lampo, r, *words, **more)
        if then_works:
            works(lampo, r)
        return message


MANIFESTS, BLOBS = r"^GET /v2/t/manifests/", r"^GET /v2/t/blobs/"


def data_of(h):
    return h.server.registry.blobs[h.path.rsplit("/", 1)[1]]


# ---- contents ---------------------------------------------------------------------------------------------

@e2e.only("fake")
def test_a_blob_with_another_digest(lampo):
    def hook(h):
        data = bytearray(data_of(h))
        data[len(data) // 2] ^= 1
        h.answer(200, bytes(data))
    serving(lampo, BLOBS, hook, "digest", "instead of sha256:")


@e2e.only("fake")
def test_a_truncated_blob(lampo):
    """Its length says that it is complete."""
    serving(lampo, BLOBS, lambda h: h.answer(200, data_of(h)[:-1]), "bytes instead of")


@e2e.only("fake")
def test_a_blob_that_is_too_long(lampo):
    serving(lampo, BLOBS, lambda h: h.answer(200, data_of(h) + b"x"), "bytes instead of")


@e2e.only("fake")
def test_a_blob_without_end(lampo):
    def hook(h):
        h.send_response(200)
        h.send_header("Transfer-Encoding", "chunked")
        h.end_headers()
        while True:
            h.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
    serving(lampo, BLOBS, hook, "longer than")


@e2e.only("fake")
def test_a_manifest_with_another_digest(lampo):
    prepare(lampo)
    with Registry() as r:
        digest = registry.sha256(r.add(image()).manifest)
        r.hook(MANIFESTS + "sha256", lambda h: h.answer(200, image().manifest, Content_Type=registry.MANIFEST))
        result = lampo("pull", f"{r.host}/t@{digest}")
        e2e.check(result.code == 125 and f"instead of {digest}" in result.err, result)


@e2e.only("fake")
def test_a_manifest_of_ten_gigabytes(lampo):
    def announced(h):
        h.send_response(200)
        h.send_header("Content-Type", registry.MANIFEST)
        h.send_header("Content-Length", str(10 << 30))
        h.end_headers()
        while True:
            h.wfile.write(b" " * 65536)
    serving(lampo, MANIFESTS, announced, "longer than")

    def endless(h):
        h.send_response(200)
        h.send_header("Content-Type", registry.MANIFEST)
        h.send_header("Connection", "close")
        h.end_headers()
        while True:
            h.wfile.write(b" " * 65536)
    os.rename(lampo.env["LAMPO_DATA"], lampo.env["LAMPO_DATA"] + ".first")
    serving(lampo, MANIFESTS, endless, "longer than")


@e2e.only("fake")
def test_documents_that_are_no_manifests(lampo):
    prepare(lampo)
    one = image()
    mixed = dict(one.document, manifests=[registry.descriptor(one.manifest, registry.MANIFEST)])
    documents = [
        (b"", "empty|JSON|not"), (b"{", "."), (b"[]", "."), (b"\x00" * 100, "."), (b"[" * 100000, "levels"),
        (b'{"a":' * 100000, "levels"), (registry.dump(mixed), "both|and"), (registry.dump({"schemaVersion": 1}), "."),
        (registry.dump(dict(one.document, layers="x")), "."), (registry.dump(dict(one.document, config=None)), "."),
        (registry.dump(dict(one.document, mediaType=registry.INDEX)), "."),
        (one.manifest[:-1] + b', "layers": []}', "."),
    ]
    with Registry() as r:
        r.add(one)
        for data, word in documents:
            r.hooks[:] = [(MANIFESTS, lambda h, data=data: h.answer(200, data, Content_Type=registry.MANIFEST))]
            refused(lampo, r, word)
        works(lampo, r)


@e2e.only("fake")
def test_sizes_that_cannot_be(lampo):
    prepare(lampo)
    with Registry() as r:
        one = r.add(image())
        for size, words in ((1 << 40, "room|space|MiB"), (1 << 62, "."), (-1, "."), (1.5, "."), ("1", "."), (None, "."),
                            (10 ** 30, "."), (0, "."), (len(one.layers[0][0]) - 1, "bytes")):
            changed = json.loads(one.manifest)
            changed["layers"][0]["size"] = size
            r.hooks[:] = [(MANIFESTS, lambda h, c=changed: h.answer(200, registry.dump(c), Content_Type=registry.MANIFEST))]
            refused(lampo, r, words)
        changed = json.loads(one.manifest)
        changed["config"]["size"] = 100 << 20
        r.hooks[:] = [(MANIFESTS, lambda h: h.answer(200, registry.dump(changed), Content_Type=registry.MANIFEST))]
        refused(lampo, r, "configuration")
        works(lampo, r)


@e2e.only("fake")
def test_digests_that_are_paths(lampo):
    prepare(lampo)
    with Registry() as r:
        one = r.add(image())
        for digest in ("sha256:../../../../etc/passwd", "sha256:" + "A" * 64, "sha512:" + "0" * 128, "md5:x", "", "../x", "sha256:" + "0" * 63):
            changed = json.loads(one.manifest)
            changed["layers"][0]["digest"] = digest
            r.hooks[:] = [(MANIFESTS, lambda h, c=changed: h.answer(200, registry.dump(c), Content_Type=registry.MANIFEST))]
            refused(lampo, r, "digest")
        works(lampo, r)


@e2e.only("fake")
def test_what_is_no_image(lampo):
    prepare(lampo)
    with Registry() as r:
        one = r.add(image())
        for change, word in ((lambda d: d["config"].update(mediaType="application/vnd.x"), "no image"),
                             (lambda d: d["layers"][0].update(mediaType="application/vnd.x"), "media type"),
                             (lambda d: d["layers"].pop(), "layers")):
            changed = json.loads(one.manifest)
            change(changed)
            r.hooks[:] = [(MANIFESTS, lambda h, c=changed: h.answer(200, registry.dump(c), Content_Type=registry.MANIFEST))]
            refused(lampo, r, word)
        works(lampo, r)


@e2e.only("fake")
def test_indexes_in_circles(lampo):
    """An index of indexes of indexes; a digest cannot name itself, so the circle is a deep nest."""
    prepare(lampo)
    with Registry() as r:
        inner, media_type = r.add(image()).manifest, registry.MANIFEST
        for _ in range(6):
            inner = registry.dump({"schemaVersion": 2, "mediaType": registry.INDEX, "manifests": [registry.descriptor(inner, media_type)]})
            media_type = registry.INDEX
            r.add_manifest(inner, media_type)
        r.add_manifest(inner, media_type, "deep")
        refused(lampo, r, "index", tag="deep")
        works(lampo, r)


# ---- attached images --------------------------------------------------------------------------------------

def attach(r, subject, blob, digest, media_type="application/vnd.lampo.image.layer.v1.erofs", **more):
    r.blobs[registry.sha256(blob)] = blob
    r.blobs[registry.sha256(b"{}")] = b"{}"
    document = dict({"schemaVersion": 2, "mediaType": registry.MANIFEST, "artifactType": registry.LAMPO,
                     "config": registry.descriptor(b"{}", "application/vnd.oci.empty.v1+json"),
                     "layers": [registry.descriptor(blob, media_type, annotations={"lampo.image.digest": digest})],
                     "subject": registry.descriptor(subject, registry.MANIFEST)}, **more)
    return r.add_manifest(registry.dump(document), registry.MANIFEST, "attached")


@e2e.only("fake")
def test_attached_images_that_are_damaged(lampo):
    prepare(lampo)
    with Registry(referrers=True) as r:
        one = r.add(image())
        digest = "sha256:" + "1" * 64
        for blob in (b"x", b"\0" * 4096, os.urandom(100000)):
            attach(r, one.manifest, blob, digest)
            refused(lampo, r, "layer")
            refused(lampo, r, "layer", tag="attached")
            r.manifests = {name: entry for name, entry in r.manifests.items() if b"vnd.lampo" not in entry[1]}
        # zstd that is none
        attach(r, one.manifest, b"x" * 1000, digest, "application/vnd.lampo.image.layer.v1.erofs+zstd")
        refused(lampo, r, "layer")
        r.manifests = {name: entry for name, entry in r.manifests.items() if b"vnd.lampo" not in entry[1]}
        works(lampo, r)


@e2e.only("fake")
def test_attached_images_of_something_else_are_passed_over(lampo):
    prepare(lampo)
    for answer in (lambda h: h.answer(200, b"{", Content_Type=registry.INDEX), lambda h: h.answer(200, b"x" * 100, Content_Type=registry.INDEX),
                   lambda h: h.answer(405), lambda h: h.answer(404), lambda h: h.answer(200, b"<html>", Content_Type="text/html"),
                   lambda h: h.answer(403)):
        with Registry(referrers=True) as r:
            one, other = r.add(image()), image()
            # Says that it belongs to another one, but the registry lists it here.
            digest = attach(r, other.manifest, b"x" * 4096, "sha256:" + "1" * 64)
            entry = registry.descriptor(r.manifests[digest][1], registry.MANIFEST, artifactType=registry.LAMPO)
            index = registry.dump({"schemaVersion": 2, "mediaType": registry.INDEX, "manifests": [entry]})
            r.hook(r"/referrers/", lambda h: h.answer(200, index, Content_Type=registry.INDEX))
            result = lampo("pull", f"{r.host}/t:1", env=registry.other_store(lampo, f"s{r.port}"))
            e2e.check(result.code == 0 and "converted" in result.err, result)
            r.hooks[:] = [(r"/referrers/", answer)]
            result = lampo("pull", f"{r.host}/t:1", env=registry.other_store(lampo, f"t{r.port}"))
            e2e.check(result.code == 0 and "converted" in result.err, result)


# ---- redirects ----------------------------------------------------------------------------------------------

@e2e.only("fake")
def test_redirects_in_circles(lampo):
    serving(lampo, BLOBS, lambda h: h.answer(307, Location=h.path), "more than 5 redirects")
    os.rename(lampo.env["LAMPO_DATA"], lampo.env["LAMPO_DATA"] + ".first")
    serving(lampo, MANIFESTS, lambda h: h.answer(302, Location=h.path + "x"), "more than 5 redirects")


@e2e.only("fake")
def test_redirects_to_nowhere(lampo):
    prepare(lampo)
    with Registry() as r:
        r.add(image())
        for location, word in ((None, "does not say where"), ("", "does not say where"), ("file:///etc/passwd", "no address"),
                               ("ftp://127.0.0.1/x", "no address"), ("http://me:secret@127.0.0.1/", "no address"),
                               ("http://host.invalid/x", "not encrypted"), ("http:///", "no address"), ("x" * 9000, "does not say where")):
            r.hooks[:] = [(BLOBS, lambda h, where=location: h.answer(307, Location=where))]
            refused(lampo, r, word)
        works(lampo, r)


@e2e.only("fake")
def test_redirects_from_tls_to_plain_http(lampo):
    prepare(lampo)
    ca, *pair = registry.make_ca(lampo.directory, "ca")
    with Registry(tls=pair) as r, Registry() as plain:
        plain.add(r.add(image()))
        r.hook(BLOBS, lambda h: h.answer(307, Location=f"http://{plain.host}{h.path}"))
        refused(lampo, r, "from https to http://", args=("--ca-file", ca))
        e2e.equal(plain.requests, [], "requests to the other")
        r.hooks[:] = [(r"^GET /v2/", lambda h: h.answer(401, WWW_Authenticate=f'Bearer realm="http://{plain.host}/token"'))]
        refused(lampo, r, "from https to http://", args=("--ca-file", ca))
        e2e.equal(plain.requests, [], "requests to the other")


@e2e.only("fake")
def test_credentials_do_not_follow_redirects(lampo):
    """Neither passwords nor tokens go to another host, not even to another port; and what is there counts only by its digest."""
    home = prepare(lampo)
    with Registry() as r, Registry() as other:
        one = r.add(image())
        other.add(one)
        registry.log_in(home, r.host, "me", "secret")
        guard = lambda h: False if h.headers.get("Authorization") == registry.basic("me", "secret") else h.answer(401, WWW_Authenticate='Basic realm="x"')
        r.hook(r"^GET /v2/", guard)
        r.hook(BLOBS, lambda h: h.answer(307, Location=f"http://{other.host}{h.path}?signature=1"))
        e2e.equal(lampo("pull", f"{r.host}/t:1").code, 0)
        e2e.check(other.paths() and all("Authorization" not in headers for _, _, headers in other.requests), other.requests)
        # It asks for them.
        other.hook(r"^GET /v2/", lambda h: h.answer(401, WWW_Authenticate='Basic realm="give"'))
        other.requests.clear()
        result = lampo("pull", f"{r.host}/t:1", env=registry.other_store(lampo, "o"))
        e2e.check(result.code == 125 and "401" in result.err, result)
        e2e.check("signature" not in result.err, result)
        e2e.check(all("Authorization" not in headers for _, _, headers in other.requests), other.requests)
    with Registry() as r, Registry() as other:
        other.add(r.add(image()))
        registry.log_in(home, r.host, "me", "secret")
        tokens = Tokens(r, realm_host=r.host).serve_on(r)
        r.hooks.insert(0, (BLOBS, lambda h: h.answer(307, Location=f"http://{other.host}{h.path}")))
        e2e.equal(lampo("pull", f"{r.host}/t:1").code, 0)
        e2e.check(tokens.given and all("Authorization" not in headers for _, _, headers in other.requests), other.requests)


# ---- time and connections ---------------------------------------------------------------------------------

def begin(h, status, length, **headers):
    h.send_response(status)
    h.send_header("Content-Length", str(length))
    for name, value in headers.items():
        h.send_header(name.replace("_", "-"), value)
    h.end_headers()


@e2e.only("fake")
def test_hang_up_in_the_middle_is_resumed(lampo):
    prepare(lampo)
    asked = []

    def hook(h):
        data = data_of(h)
        match = re.fullmatch(r"bytes=(\d+)-", h.headers.get("Range", ""))
        start = int(match[1]) if match else 0
        asked.append(start)
        if len(data) < 200000:
            return False
        begin(h, 206 if match else 200, len(data) - start, Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")
        h.wfile.write(data[start:start + 100000])
        if start + 100000 < len(data):
            h.hang_up()
    with Registry() as r:
        r.add(image())
        r.hook(BLOBS, hook)
        result = lampo("pull", f"{r.host}/t:1")
        e2e.check(result.code == 0, result)
        e2e.check(len([start for start in asked if start > 0]) >= 2, asked)


@e2e.only("fake")
def test_an_interrupted_pull_is_resumed_by_the_next(lampo):
    prepare(lampo)
    held = threading.Event()

    def hold(h):
        data = data_of(h)
        if len(data) < 200000:
            return False
        begin(h, 200, len(data))
        h.wfile.write(data[:150000])
        h.wfile.flush()
        held.set()
        time.sleep(30)
    with Registry() as r:
        one = r.add(image())
        for number in (2, 15, 9):
            r.hooks[:] = [(BLOBS, hold)]
            held.clear()
            pull = lampo.start("pull", f"{r.host}/t:1", env={"LAMPO_STALL_TIMEOUT": "60"})
            e2e.check(held.wait(20), "no request")
            partial = os.path.join(lampo.env["LAMPO_DATA"], "tmp", "blob-" + one.document["layers"][0]["digest"][7:])
            lampo.wait_for("part of the blob", lambda: os.path.getsize(partial) >= 100000)
            pull.send_signal(number)
            pull.communicate(timeout=20)
            e2e.check(pull.returncode != 0, pull.returncode)
            files = registry.store_files(lampo)
            e2e.check(all(name.startswith("tmp/blob-") for name in files) and files, files)
            r.requests.clear()
            if number == 9:
                break
            # Continued by the next, whose partial file is kept by another signal.
            r.hooks.clear()
            r.hook(BLOBS, lambda h: h.answer(503) if h.path.endswith(one.document["layers"][0]["digest"]) else False)
            lampo("pull", f"{r.host}/t:1")
            e2e.check(any("Range" in headers for _, _, headers in r.requests), r.requests)
            lampo.ok("prune")
            e2e.equal(registry.store_files(lampo), [], "after prune")
        works(lampo, r)
        ranges = [headers["Range"] for _, _, headers in r.requests if "Range" in headers]
        e2e.check(any(int(text[6:-1]) >= 100000 for text in ranges), ranges)


@e2e.only("fake")
def test_a_partial_file_with_other_contents_is_thrown_away(lampo):
    prepare(lampo)
    with Registry() as r:
        one = r.add(image())
        os.makedirs(os.path.join(lampo.env["LAMPO_DATA"], "tmp"))
        blobs = list(one.blobs.items())
        for (digest, data), junk in zip(blobs, (b"x", os.urandom(100000), os.urandom(len(blobs[2][1])))):
            with open(os.path.join(lampo.env["LAMPO_DATA"], "tmp", "blob-" + digest[7:]), "wb") as f:
                f.write(junk)
        works(lampo, r)


@e2e.only("fake")
def test_a_registry_that_always_hangs_up(lampo):
    def hook(h):
        begin(h, 200, len(data_of(h)))
        h.wfile.write(data_of(h)[:100])
        h.hang_up()
    serving(lampo, BLOBS, hook, "cannot get", "tried")
    os.rename(lampo.env["LAMPO_DATA"], lampo.env["LAMPO_DATA"] + ".first")
    serving(lampo, MANIFESTS, lambda h: h.hang_up(), "cannot get", "tried")


@e2e.only("fake")
def test_a_registry_that_stalls(lampo):
    """In the headers, in a manifest, at 99 % of a blob, and a byte a second."""
    done = threading.Event()

    def silent(h):
        done.wait(60)

    def stalled(h):
        data = data_of(h)
        begin(h, 200, len(data))
        h.wfile.write(data[:len(data) * 99 // 100])
        h.wfile.flush()
        done.wait(60)

    def dripping(h):
        data = data_of(h)
        begin(h, 200, len(data))
        for i in range(len(data)):
            h.wfile.write(data[i:i + 1])
            h.wfile.flush()
            if done.wait(1):
                break

    def dripping_headers(h):
        h.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not done.wait(0.3):
            h.wfile.write(b"X-Drip: drip\r\n")
            h.wfile.flush()
    try:
        for pattern, hook in ((MANIFESTS, silent), (BLOBS, stalled), (BLOBS, dripping), (MANIFESTS, dripping_headers)):
            if os.path.exists(lampo.directory + "/store"):
                os.rename(lampo.directory + "/store", f"{lampo.directory}/store{time.monotonic()}")
            serving(lampo, pattern, hook, "slow|[Tt]ime", env={"LAMPO_STALL_TIMEOUT": "1"})
    finally:
        done.set()


@e2e.only("fake")
def test_headers_without_end(lampo):
    def one_line(h):
        h.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while True:
            h.wfile.write(b"x" * 65536)

    def many_lines(h):
        h.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            h.wfile.write(b"X-Line: x\r\n" * 1000)

    def interim(h):
        while True:
            h.wfile.write(b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" * 1000)
    prepare(lampo)
    with Registry() as r:
        r.add(image())
        for hook in (one_line, many_lines, interim):
            r.hooks[:] = [(MANIFESTS, hook)]
            refused(lampo, r, "headers|too long|Too large|exceed|longer")
        works(lampo, r)


@e2e.only("fake")
def test_what_is_no_http(lampo):
    prepare(lampo)
    with Registry() as r:
        r.add(image())
        for text in (b"\0" * 1000, b"220 ready\r\n", b"HTTP/9.9 200 OK\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
                     b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
                     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"):
            def hook(h, text=text):
                h.wfile.write(text)
                h.hang_up()
            r.hooks[:] = [(MANIFESTS, hook)]
            refused(lampo, r, "cannot pull")
        works(lampo, r)


@e2e.only("fake")
def test_wrong_ranges(lampo):
    prepare(lampo)
    with Registry() as r:
        one = r.add(image())
        digest, total = one.document["layers"][0]["digest"], one.document["layers"][0]["size"]
        partial = os.path.join(lampo.env["LAMPO_DATA"], "tmp", "blob-" + digest[7:])
        os.makedirs(os.path.dirname(partial))
        start = 1000
        for said in (f"bytes 0-{total - 1}/{total}", f"bytes {start + 1}-{total - 1}/{total}", f"bytes {start}-{total}/{total + 1}",
                     f"bytes {start}-{total - 2}/{total}", "bytes */*", "", None, "x" * 200, f"bytes {start}-{total - 1}/{total}, 1-2"):
            with open(partial, "wb") as f:
                f.write(one.blobs[digest][:start])

            def hook(h):
                if "Range" not in h.headers:
                    return False
                h.answer(206, one.blobs[digest][start:], Content_Range=said)
            r.hooks[:] = [(BLOBS, hook)]
            refused(lampo, r, "range")
        # Without being asked for a range.
        os.unlink(partial)
        r.hooks[:] = [(BLOBS, lambda h: h.answer(206, data_of(h), Content_Range=f"bytes 0-{total - 1}/{total}"))]
        refused(lampo, r, "range")
        # 416, and 200 instead of a range: from the beginning.
        for hook in (lambda h: h.answer(416) if "Range" in h.headers else False, lambda h: h.answer(200, data_of(h))):
            with open(partial, "wb") as f:
                f.write(one.blobs[digest][:start])
            r.hooks[:] = [(BLOBS, hook)]
            env = registry.other_store(lampo, "o") if os.path.exists(lampo.directory + "/o") else {}
            result = lampo("pull", f"{r.host}/t:1", env=env)
            e2e.check(result.code == 0, result)
            lampo.ok("rmi", f"{r.host}/t:1")
        works(lampo, r)


@e2e.only("fake")
def test_overload_is_waited_for(lampo):
    prepare(lampo)
    with Registry() as r:
        r.add(image())
        for status, headers in ((429, {"Retry_After": "1"}), (503, {}), (500, {}), (502, {"Retry_After": "Thu, 01 Jan 1970 00:00:00 GMT"})):
            left = [1, 1]
            r.hooks[:] = [(r"^GET ", lambda h: h.answer(status, **headers) if left and left.pop() else False)]
            result = lampo("pull", f"{r.host}/t:1", env=registry.other_store(lampo, f"s{status}"))
            e2e.check(result.code == 0, result)
        r.hooks[:] = [(MANIFESTS, lambda h: h.answer(429, Retry_After="86400"))]
        refused(lampo, r, "429", "86400 seconds")
        r.hooks[:] = [(BLOBS, lambda h: h.answer(503, b"x" * 1000000))]
        refused(lampo, r, "503", "tried 5 times")
        works(lampo, r)


@e2e.only("fake")
def test_nobody_listens(lampo):
    prepare(lampo)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        result = lampo("pull", f"127.0.0.1:{s.getsockname()[1]}/x")
        e2e.check(result.code == 125 and "connect" in result.err, result)
        # It accepts, and says nothing.
        s.listen()
        result = lampo("pull", "--plain-http", f"127.0.0.1:{s.getsockname()[1]}/x", env={"LAMPO_STALL_TIMEOUT": "1"}, timeout=60)
        e2e.check(result.code == 125 and re.search("slow|[Tt]ime", result.err), result)


# ---- authentication ---------------------------------------------------------------------------------------

@e2e.only("fake")
def test_challenges_that_make_no_sense(lampo):
    home = prepare(lampo)
    with Registry() as r:
        r.add(image())
        registry.log_in(home, r.host, "me", "secret")
        for said, word in ((None, "authentication"), ("", "authentication"), ("Negotiate", "neither"), ("Bearer", "no sense"),
                           ('Bearer realm="', "no sense"), ("Bearer " + "x" * 5000, "neither"), ('Bearer realm="file:///etc/passwd"', "no address"),
                           ('Bearer realm="http://host.invalid/"', "not encrypted"), ('Bearer realm="x"', "no address")):
            r.hooks[:] = [(r"^GET /v2/", lambda h, said=said: h.answer(401, WWW_Authenticate=said))]
            refused(lampo, r, word)
        works(lampo, r)


@e2e.only("fake")
def test_token_servers_that_misbehave(lampo):
    prepare(lampo)
    with Registry() as r:
        r.add(image())

        def redirect(h):
            h.answer(307, Location=f"http://{r.host}/token2")
        for body, word in ((b"", "JSON|no token|answer"), (b"{}", "no token"), (b'{"token": 1}', "token"), (b'{"token": "a\\r\\nX-Evil: 1"}', "characters"),
                           (b"x" * 300000, "longer"), (b'{"token": ""}', "no token"), (redirect, "307"), (lambda h: h.answer(500), "500"),
                           (lambda h: h.hang_up(), "token")):
            r.hooks[:] = [(r"^GET /token", body if callable(body) else lambda h, body=body: h.answer(200, body)),
                          (r"^GET /v2/", lambda h: h.answer(401, WWW_Authenticate=f'Bearer realm="http://{r.host}/token"'))]
            refused(lampo, r, word)
        # Tokens that are never good enough.
        r.hooks[0] = (r"^GET /token", lambda h: h.answer(200, b'{"access_token": "x"}'))
        r.requests.clear()
        refused(lampo, r, "401")
        e2e.check(len(r.requests) < 10, r.requests)
        works(lampo, r)


# ---- uploads ------------------------------------------------------------------------------------------------

def pushable(lampo, r, data):
    r.add(Image({"a": data}))
    e2e.equal(lampo("pull", f"{r.host}/t:1").code, 0)
    return lambda target="u", *more: lampo("push", *more, f"{r.host}/t:1", f"{r.host}/{target}:1", timeout=60)


@e2e.only("fake")
def test_uploads_are_resumed(lampo):
    """Connections are lost in the middle of pieces; the registry has kept what came."""
    prepare(lampo)
    with Registry() as r:
        push = pushable(lampo, r, os.urandom(40 << 20))
        left = [1, 1, 1]

        def cut(h):
            if not left:
                return False
            left.pop()
            path = h.path.partition("?")[0]
            for piece in h.pieces():
                r.uploads[path] += piece
                if len(r.uploads[path]) % (16 << 20) > 5 << 20:
                    h.hang_up()
        r.hook(r"^PATCH ", cut)
        result = push("u", "--format", "raw")
        e2e.check(result.code == 0, result)
        e2e.equal(left, [], "cuts")
        e2e.equal(len([path for path in r.paths("POST")]), 2, "uploads begun")
        e2e.equal(lampo("pull", f"{r.host}/u:1", env=registry.other_store(lampo, "o")).code, 0)


@e2e.only("fake")
def test_uploads_that_are_forgotten_begin_again(lampo):
    prepare(lampo)
    with Registry() as r:
        push = pushable(lampo, r, os.urandom(20 << 20))
        left = [1]

        def forget(h):
            if left and left.pop():
                r.uploads.pop(h.path.partition("?")[0])
                h.hang_up()
            return False
        r.hook(r"^PATCH ", forget)
        e2e.equal(push("u", "--format", "raw").code, 0)
        r.hooks[:] = [(r"^PATCH ", lambda h: h.hang_up())]
        result = push("v", "--format", "raw")
        # The blob is there already: nothing to upload.
        e2e.equal(result.code, 0, result)
        r.blobs.clear()
        result = push("w", "--format", "raw")
        e2e.check(result.code == 125 and "cannot" in result.err, result)


@e2e.only("fake")
def test_registries_that_misbehave_during_uploads(lampo):
    home = prepare(lampo)
    with Registry() as r, Registry() as other:
        push = pushable(lampo, r, b"x" * 100000)
        cases = ((r"^POST ", lambda h: h.answer(202), "where to send"), (r"^POST ", lambda h: h.answer(202, Location="file:///x"), "no address"),
                 (r"^POST ", lambda h: h.answer(202, Location="http://host.invalid/x"), "not encrypted"),
                 (r"^POST ", lambda h: h.answer(403, b'{"errors":[{"code":"DENIED"}]}'), "DENIED"),
                 (r"^POST ", lambda h: h.answer(307, Location=h.path), "redirects"), (r"^POST ", lambda h: h.answer(302, Location="/x"), "302"),
                 (r"^PUT .*uploads", lambda h: h.body() and h.answer(400, b"no"), "400"), (r"^PUT .*uploads", lambda h: h.hang_up(), "cannot"),
                 (r"^PUT .*manifests", lambda h: h.body() and h.answer(413), "413"),
                 (r"^PUT .*manifests", lambda h: h.body() and h.answer(201, Docker_Content_Digest="sha256:" + "0" * 64), "stored"),
                 (r"^HEAD ", lambda h: h.answer(500), "500"), (r"^HEAD ", lambda h: h.answer(403), "403"))
        for pattern, hook, word in cases:
            r.blobs = {digest: data for digest, data in r.blobs.items() if digest in ()}
            r.hooks[:] = [(pattern, hook)]
            result = push()
            e2e.check(result.code == 125 and re.search(word, result.err) and result.out == "", f"{word}: {result}")
        # The place to upload to is elsewhere: no password goes there.
        r.hooks.clear()
        registry.log_in(home, r.host, "me", "secret")
        r.hook(r" /v2/", lambda h: False if h.headers.get("Authorization") == registry.basic("me", "secret")
               else h.body() is None or h.answer(401, WWW_Authenticate='Basic realm="x"'))
        other.uploads["/v2/x/blobs/uploads/1"] = bytearray()
        r.hook(r"^POST ", lambda h: h.answer(202, Location=f"http://{other.host}/v2/x/blobs/uploads/1"))
        push()
        e2e.check(other.requests and all("Authorization" not in headers for _, _, headers in other.requests), other.requests)
    lampo.ok("images", "-q")


if __name__ == "__main__":
    e2e.main()
