#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Registries that lie, run in circles, lead elsewhere and give more than was asked for. After each of them: lampo has ended by itself with one
clear error, has used little memory, and the store is as it was, and works."""
import json
import os
import re

import e2e
import registry
from registry import BLOBS, MANIFESTS, Image, Registry, Tokens, data_of, prepare, random_image, refused, serving, works


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
        digest = registry.sha256(r.add(random_image()).manifest)
        r.hook(MANIFESTS + "sha256", lambda h: h.answer(200, random_image().manifest, Content_Type=registry.MANIFEST))
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
    one = random_image()
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
        one = r.add(random_image())
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
        one = r.add(random_image())
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
        one = r.add(random_image())
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
        inner, media_type = r.add(random_image()).manifest, registry.MANIFEST
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
        one = r.add(random_image())
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
            one, other = r.add(random_image()), random_image()
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
        r.add(random_image())
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
        plain.add(r.add(random_image()))
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
        one = r.add(random_image())
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
        other.add(r.add(random_image()))
        registry.log_in(home, r.host, "me", "secret")
        tokens = Tokens(r, realm_host=r.host).serve_on(r)
        r.hooks.insert(0, (BLOBS, lambda h: h.answer(307, Location=f"http://{other.host}{h.path}")))
        e2e.equal(lampo("pull", f"{r.host}/t:1").code, 0)
        e2e.check(tokens.given and all("Authorization" not in headers for _, _, headers in other.requests), other.requests)


# ---- authentication ---------------------------------------------------------------------------------------

@e2e.only("fake")
def test_challenges_that_make_no_sense(lampo):
    home = prepare(lampo)
    with Registry() as r:
        r.add(random_image())
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
        r.add(random_image())

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


if __name__ == "__main__":
    e2e.main()
