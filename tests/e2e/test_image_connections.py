#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Connections that break, stall and drip, ranges that are none, answers that are no HTTP, uploads that are cut off: what can be resumed is resumed,
the rest ends with a clear error, in bounded time, and the store is as it was."""
import os
import re
import socket
import threading
import time

import e2e
import registry
from registry import BLOBS, MANIFESTS, Image, Registry, data_of, prepare, random_image, refused, serving, works


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
        r.add(random_image())
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
        one = r.add(random_image())
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
        one = r.add(random_image())
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
        r.add(random_image())
        for hook in (one_line, many_lines, interim):
            r.hooks[:] = [(MANIFESTS, hook)]
            refused(lampo, r, "headers|too long|Too large|exceed|longer")
        works(lampo, r)


@e2e.only("fake")
def test_what_is_no_http(lampo):
    prepare(lampo)
    with Registry() as r:
        r.add(random_image())
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
        one = r.add(random_image())
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
        r.add(random_image())
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
def test_uploads_that_stall_are_given_up(lampo):
    prepare(lampo)
    done = threading.Event()
    with Registry() as r:
        push = pushable(lampo, r, os.urandom(8 << 20))
        lampo.env["LAMPO_STALL_TIMEOUT"] = "1"
        r.hook(r"^PATCH ", lambda h: done.wait(60) and h.hang_up())
        try:
            result = push("u", "--format", "raw")
        finally:
            done.set()
        e2e.check(result.code == 125 and re.search("slow|[Tt]ime", result.err), result)


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
