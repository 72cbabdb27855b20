#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pull and push against registries that behave: Debian's docker-registry with and without TLS and passwords, a token server; images that
buildah, umoci and skopeo have made, and what they think of ours."""
import json
import os
import subprocess

import e2e
import registry
from registry import Image, Registry, Tokens, docker_registry, prepare


def run(lampo, *command, **more):
    done = subprocess.run(command, capture_output=True, text=True, cwd=lampo.directory,
                          env=dict(lampo.env, TMPDIR=lampo.directory), **more)
    e2e.check(done.returncode == 0, f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


def digest_of(result):
    e2e.check(result.code == 0, result)
    line = result.out.strip()
    e2e.check(len(line) == 71 and line.startswith("sha256:"), result)
    return line


def umoci_layout(lampo, tree):
    """An OCI layout "oci:1" with the tree in two layers, by umoci."""
    registry.need("umoci", "skopeo")
    if os.geteuid() != 0:
        raise e2e.Skip("umoci keeps owners only for root")
    layout = os.path.join(lampo.directory, "oci")
    bundle = os.path.join(lampo.directory, "bundle")
    run(lampo, "umoci", "init", "--layout", layout)
    run(lampo, "umoci", "new", "--image", f"{layout}:1")
    run(lampo, "umoci", "unpack", "--image", f"{layout}:1", bundle)
    run(lampo, "cp", "-a", f"{tree}/.", f"{bundle}/rootfs")
    with open(f"{bundle}/rootfs/etc/gone", "w"):
        pass
    run(lampo, "umoci", "repack", "--refresh-bundle", "--image", f"{layout}:1", bundle)
    os.unlink(f"{bundle}/rootfs/etc/gone")
    run(lampo, "umoci", "repack", "--image", f"{layout}:1", bundle)
    run(lampo, "umoci", "config", "--image", f"{layout}:1", "--config.cmd", "/bin/sh", "--config.env", "A=b")
    return layout


@e2e.only("fake")
def test_images_of_umoci_and_skopeo_are_pulled(lampo):
    prepare(lampo)
    tree = registry.make_tree(os.path.join(lampo.directory, "tree"))
    layout = umoci_layout(lampo, tree)
    with docker_registry(os.path.join(lampo.directory, "registry")) as host:
        run(lampo, "skopeo", "copy", "--dest-tls-verify=false", f"oci:{layout}:1", f"docker://{host}/team/app:1")
        # Docker's schema 2, and zstd
        run(lampo, "skopeo", "copy", "--format", "v2s2", "--dest-tls-verify=false", f"oci:{layout}:1", f"docker://{host}/team/app:docker")
        digest = digest_of(lampo("pull", f"{host}/team/app:1"))
        registry.compare_trees(registry.extract(lampo, digest, "extracted"), tree)
        inspected = json.loads(lampo("image", "inspect", f"{host}/team/app:1").out)
        e2e.check("A=b" in json.dumps(inspected), inspected)
        other = digest_of(lampo("pull", f"{host}/team/app:docker"))
        registry.compare_trees(registry.extract(lampo, other, "extracted2"), tree)
        e2e.equal(len(registry.store_files(lampo)), len({digest, other}), "files in the store")
    # Another one, as skopeo takes what a registry has already.
    with Registry() as r:
        run(lampo, "skopeo", "copy", "--dest-decompress", f"oci:{layout}:1", f"dir:{lampo.directory}/d")
        run(lampo, "skopeo", "copy", "--dest-compress-format", "zstd", "--dest-tls-verify=false", f"dir:{lampo.directory}/d", f"docker://{r.host}/z:1")
        layers = json.loads(r.manifests["1"][1])["layers"]
        e2e.check(all(entry["mediaType"].endswith("zstd") for entry in layers), layers)
        e2e.equal(digest_of(lampo("pull", f"{r.host}/z:1")), digest, "zstd layers")


@e2e.only("fake")
def test_images_of_buildah_are_pulled(lampo):
    registry.need("buildah", "skopeo")
    prepare(lampo)
    tree = registry.make_tree(os.path.join(lampo.directory, "tree"))
    buildah = ["buildah", "--storage-driver", "vfs", "--root", os.path.join(lampo.directory, "b"), "--runroot", os.path.join(lampo.directory, "br")]
    container = run(lampo, *buildah, "from", "scratch").strip()
    run(lampo, *buildah, "copy", container, tree, "/")
    run(lampo, *buildah, "config", "--cmd", "/bin/sh", container)
    run(lampo, *buildah, "commit", container, f"oci:{lampo.directory}/oci:1")
    with docker_registry(os.path.join(lampo.directory, "registry")) as host:
        run(lampo, "skopeo", "copy", "--dest-tls-verify=false", f"oci:{lampo.directory}/oci:1", f"docker://{host}/b:1")
        digest = digest_of(lampo("pull", f"{host}/b:1"))
    # buildah gives everything to root, and thereby takes the bits that belong to the owner.
    found = registry.describe_tree(registry.extract(lampo, digest, "extracted"))
    for name, entry in registry.describe_tree(tree).items():
        e2e.equal(found[name][3:], entry[3:], name)
    e2e.equal(len(found), len(registry.describe_tree(tree)), "entries")


@e2e.only("real")
def test_pulled_images_run(lampo):
    """Of umoci and skopeo, and of buildah; pulled by run itself, and what we have pushed of them."""
    registry.need("buildah")
    prepare(lampo)
    tree = registry.make_tree(os.path.join(lampo.directory, "tree"))
    layout = umoci_layout(lampo, tree)
    buildah = ["buildah", "--storage-driver", "vfs", "--root", os.path.join(lampo.directory, "b"), "--runroot", os.path.join(lampo.directory, "br")]
    container = run(lampo, *buildah, "from", "scratch").strip()
    run(lampo, *buildah, "copy", container, tree, "/")
    run(lampo, *buildah, "config", "--entrypoint", '["/bin/cat"]', "--cmd", "/etc/greeting", container)
    run(lampo, *buildah, "commit", container, f"oci:{lampo.directory}/boci:1")
    with docker_registry(os.path.join(lampo.directory, "registry")) as host:
        run(lampo, "skopeo", "copy", "--dest-tls-verify=false", f"oci:{layout}:1", f"docker://{host}/u:1")
        run(lampo, "skopeo", "copy", "--dest-tls-verify=false", f"oci:{lampo.directory}/boci:1", f"docker://{host}/b:1")
        result = lampo("run", f"{host}/u:1", "/bin/cat", "/etc/greeting")
        e2e.equal((result.code, result.out), (0, "hello\n"), result.err)
        result = lampo("run", f"{host}/b:1")
        e2e.equal((result.code, result.out), (0, "hello\n"), result.err)
        for fmt in ("lampo", "oci"):
            digest_of(lampo("push", "--format", fmt, f"{host}/b:1", f"{host}/again:{fmt}"))
            result = lampo("run", f"{host}/again:{fmt}", env=registry.other_store(lampo, "of-" + fmt))
            e2e.equal((result.code, result.out), (0, "hello\n"), result.err)


@e2e.only("fake")
def test_pushed_is_pulled_again(lampo):
    """The same digest in another store; attached, under a tag of its own, and in another repository."""
    prepare(lampo)
    image = Image({"a": b"1" * 100000}, {"b": b"2", ".wh.a": b""})
    with Registry() as r, docker_registry(os.path.join(lampo.directory, "registry")) as host:
        r.add(image)
        digest = digest_of(lampo("pull", f"{r.host}/t:1"))
        for fmt in ("lampo", "raw"):
            target = f"{host}/own/{fmt}:1"
            manifest = digest_of(lampo("push", "--format", fmt, f"{r.host}/t:1", target))
            env = other_store = registry.other_store(lampo, fmt)
            e2e.equal(digest_of(lampo("pull", target, env=env)), digest, fmt)
            e2e.equal(digest_of(lampo("pull", f"{host}/own/{fmt}@{manifest}", env=registry.other_store(lampo, fmt + "d"))), digest, fmt)
            # Pushed again nothing is sent, and pulled again nothing is fetched.
            result = lampo("push", "--format", fmt, target, env=other_store)
            e2e.equal(digest_of(result), manifest, fmt)
            e2e.check("already there" in result.err, result)
            e2e.check("up to date" in lampo("pull", target, env=env).err, fmt)


@e2e.only("fake")
def test_what_lampo_pushes_is_for_others_too(lampo):
    """As an OCI image: skopeo and umoci take it, and it comes back as the same tree. As an artifact: skopeo carries it unharmed."""
    prepare(lampo)
    tree = registry.make_tree(os.path.join(lampo.directory, "tree"))
    layout = umoci_layout(lampo, tree)
    with docker_registry(os.path.join(lampo.directory, "registry")) as host:
        run(lampo, "skopeo", "copy", "--dest-tls-verify=false", f"oci:{layout}:1", f"docker://{host}/app:1")
        name = f"{host}/app:1"
        digest = digest_of(lampo("pull", name))
        manifest = digest_of(lampo("push", "--format", "oci", name, f"{host}/oci:1"))
        e2e.equal(digest_of(lampo("push", "--format", "oci", name, f"{host}/oci:2")), manifest, "pushed twice")
        inspected = json.loads(run(lampo, "skopeo", "inspect", "--tls-verify=false", f"docker://{host}/oci:1"))
        e2e.equal((inspected["Digest"], inspected["Os"], inspected["Architecture"], len(inspected["Layers"])), (manifest, "linux", "amd64", 1))
        e2e.check("A=b" in inspected["Env"], inspected)
        run(lampo, "skopeo", "copy", "--src-tls-verify=false", f"docker://{host}/oci:1", f"oci:{lampo.directory}/back:1")
        run(lampo, "umoci", "unpack", "--image", f"{lampo.directory}/back:1", f"{lampo.directory}/unpacked")
        registry.compare_trees(f"{lampo.directory}/unpacked/rootfs", tree)
        again = digest_of(lampo("pull", f"{host}/oci:1", env=registry.other_store(lampo, "o")))
        registry.compare_trees(registry.extract(lampo, again, "extracted", "o"), tree)
        e2e.equal(digest_of(lampo("import", f"{lampo.directory}/back", "back:1", env=registry.other_store(lampo, "i"))), again, "imported")
        # The artifact, from one registry to another.
        digest_of(lampo("push", name, f"{host}/own:1"))
        with Registry() as r:
            run(lampo, "skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", f"docker://{host}/own:1", f"docker://{r.host}/moved:1")
            e2e.equal(digest_of(lampo("pull", f"{r.host}/moved:1", env=registry.other_store(lampo, "m"))), digest, "moved")
            run(lampo, "skopeo", "copy", "--src-tls-verify=false", f"docker://{host}/own:1", f"oci:{lampo.directory}/artifact:1")
            e2e.equal(digest_of(lampo("import", f"{lampo.directory}/artifact", "a:1", env=registry.other_store(lampo, "a"))), digest, "imported artifact")


def attached(lampo, r):
    image = Image({"a": b"1" * 100000})
    r.add(image)
    name = f"{r.host}/t:1"
    digest = digest_of(lampo("pull", name))
    result = lampo("push", name)
    e2e.check("attached" in result.err, result)
    manifest = digest_of(result)
    e2e.equal(json.loads(r.manifests[manifest][1])["subject"]["digest"], registry.sha256(image.manifest), "subject")
    e2e.equal(r.manifests["1"][1], image.manifest, "what the tag names")
    # Another one who pulls the tag gets the attached image: the layer of the original is not asked for.
    r.requests.clear()
    result = lampo("pull", name, env=registry.other_store(lampo, "other"))
    e2e.equal(digest_of(result), digest, "pulled")
    e2e.check("fetched" in result.err and "converted" not in result.err, result)
    e2e.check(not any(registry.sha256(image.layers[0][0]) in path for path in r.paths()), r.paths())
    e2e.equal(json.loads(lampo("image", "inspect", name).out) is not None, True)
    # Unless that is wanted.
    result = lampo("pull", "--convert", name, env=registry.other_store(lampo, "third"))
    e2e.equal(digest_of(result), digest, "converted")
    e2e.check("converted" in result.err, result)
    # Attached twice is attached once.
    e2e.equal(digest_of(lampo("push", name)), manifest, "second push")
    return image, manifest


@e2e.only("fake")
def test_images_are_attached_by_the_referrers_api(lampo):
    prepare(lampo)
    with Registry(referrers=True) as r:
        attached(lampo, r)
        e2e.check(not any(name.startswith("sha256-") for name in r.manifests), list(r.manifests))


@e2e.only("fake")
def test_images_are_attached_by_a_tag_where_there_is_no_such_api(lampo):
    prepare(lampo)
    with Registry() as r:
        image, manifest = attached(lampo, r)
        tag = registry.sha256(image.manifest).replace(":", "-")
        index = json.loads(r.manifests[tag][1])
        e2e.equal([(entry["digest"], entry["artifactType"]) for entry in index["manifests"]], [(manifest, registry.LAMPO)], "index")


@e2e.only("fake")
def test_the_list_of_what_is_attached_has_pages(lampo):
    prepare(lampo)
    with Registry(referrers=True) as r:
        image = r.add(Image({"a": b"1"}))
        name = f"{r.host}/t:1"
        digest_of(lampo("pull", name))
        manifest = digest_of(lampo("push", name))
        entry = registry.descriptor(r.manifests[manifest][1], registry.MANIFEST, artifactType=registry.LAMPO)
        other = registry.descriptor(image.manifest, registry.MANIFEST, artifactType="application/vnd.other")
        pages = lambda h: h.answer(200, registry.dump({"schemaVersion": 2, "mediaType": registry.INDEX, "manifests":
                                                       [entry if "page=3" in h.path else other]}), Content_Type=registry.INDEX,
                                   Link=None if "page=3" in h.path else f'<{h.path}&page={h.path.count("page") + 1}>; rel="next"')
        r.hook("/referrers/", pages)
        result = lampo("pull", name, env=registry.other_store(lampo, "o"))
        e2e.check(result.code == 0 and "converted" not in result.err, result)
        # Without end: given up after a few, and converted.
        r.hooks[:] = [("/referrers/", lambda h: h.answer(200, registry.dump({"schemaVersion": 2, "mediaType": registry.INDEX, "manifests": [other]}),
                                                         Content_Type=registry.INDEX, Link=f'<{h.path}>; rel="next"'))]
        r.requests.clear()
        result = lampo("pull", name, env=registry.other_store(lampo, "p"))
        e2e.check(result.code == 0 and "converted" in result.err, result)
        e2e.check(len([path for path in r.paths() if "/referrers/" in path]) < 20, r.paths())


@e2e.only("fake")
def test_another_repository_gets_a_tag(lampo):
    prepare(lampo)
    with Registry() as r:
        r.add(Image({"a": b"1"}))
        digest = digest_of(lampo("pull", f"{r.host}/t:1"))
        manifest = digest_of(lampo("push", f"{r.host}/t:1", f"{r.host}/elsewhere:5"))
        e2e.equal(r.manifests["5"], r.manifests[manifest], "tag")
        e2e.check("subject" not in json.loads(r.manifests["5"][1]), r.manifests["5"])
        e2e.equal(digest_of(lampo("pull", f"{r.host}/elsewhere:5", env=registry.other_store(lampo, "o"))), digest)


@e2e.only("fake")
def test_the_platform_is_chosen_from_an_index(lampo):
    prepare(lampo)
    good, bad = Image({"good": b"1"}), Image({"bad": b"1"})
    with Registry() as r:
        r.add(good, "g")
        entries = [registry.descriptor(bad.manifest, registry.MANIFEST, platform={"os": "linux", "architecture": "arm64"}),
                   registry.descriptor(good.manifest, registry.MANIFEST, platform={"os": "linux", "architecture": "amd64"})]
        index = registry.dump({"schemaVersion": 2, "mediaType": registry.INDEX, "manifests": entries})
        digest = r.add_manifest(index, registry.INDEX, "1")
        pulled = digest_of(lampo("pull", f"{r.host}/t:1"))
        e2e.equal(os.listdir(registry.extract(lampo, pulled, "x")), ["good"], "tree")
        e2e.check("up to date" in lampo("pull", f"{r.host}/t:1").err)
        e2e.equal(digest_of(lampo("pull", f"{r.host}/t:1@{digest}")), pulled)
        only_arm = registry.dump({"schemaVersion": 2, "mediaType": registry.INDEX, "manifests": entries[:1]})
        r.add_manifest(only_arm, registry.INDEX, "arm")
        result = lampo("pull", f"{r.host}/t:arm")
        e2e.check(result.code == 125 and "arm64" in result.err, result)


@e2e.only("fake")
def test_pull_heals(lampo):
    prepare(lampo)
    with Registry() as r:
        r.add(Image({"a": os.urandom(100000)}))
        name = f"{r.host}/t:1"
        path = registry.image_path(lampo, digest_of(lampo("pull", name)))
        with open(path, "rb") as f:
            good = f.read()
        for at in (5000, len(good) - 4096):
            os.chmod(path, 0o644)
            with open(path, "r+b") as f:
                f.seek(at)
                f.write(bytes([good[at] ^ 1]))
            result = lampo("pull", name)
            e2e.check(result.code == 0 and "up to date" not in result.err, result)
            with open(path, "rb") as f:
                e2e.check(f.read() == good, "the image is not as it was")
        os.unlink(path)
        digest_of(lampo("pull", name))
        lampo.ok("image", "verify", name)


@e2e.only("fake")
def test_pulls_at_once_do_not_hurt_each_other(lampo):
    prepare(lampo)
    image = Image(*({str(i): os.urandom(200000)} for i in range(6)))
    with Registry() as r:
        r.add(image)
        pulls = [lampo.start("pull", f"{r.host}/t:1", text=True) for _ in range(5)]
        results = [(p.communicate(timeout=60), p.returncode) for p in pulls]
        e2e.equal({code for _, code in results}, {0}, results)
        e2e.equal(len({out for (out, _), _ in results}), 1, "digests")
    e2e.equal(len(registry.store_files(lampo)), 1, "files in the store")
    lampo("image", "verify", f"{r.host}/t:1")


@e2e.only("fake")
def test_basic_authentication(lampo):
    home = prepare(lampo)
    users = os.path.join(lampo.directory, "users")
    with open(users, "w") as f:
        f.write("me:$2b$04$ieqKRR6qGptjngWomXIiB.VU3wkGWnvF9EwVoSChIiBkdEayumfpS\n")  # se:cret
    with Registry() as r, docker_registry(os.path.join(lampo.directory, "registry"),
                                          auth={"htpasswd": {"realm": "here", "path": users}}) as host:
        r.add(Image({"a": b"1"}))
        digest = digest_of(lampo("pull", f"{r.host}/t:1"))
        result = lampo("push", f"{r.host}/t:1", f"{host}/t:1")
        e2e.check(result.code == 125 and "user name and a password" in result.err and "docker login" in result.err, result)
        registry.log_in(home, host, "me", "wrong")
        result = lampo("push", f"{r.host}/t:1", f"{host}/t:1")
        e2e.check(result.code == 125 and "does not accept" in result.err, result)
        registry.log_in(home, host, "me", "se:cret")
        digest_of(lampo("push", f"{r.host}/t:1", f"{host}/t:1"))
        e2e.equal(digest_of(lampo("pull", f"{host}/t:1", env=registry.other_store(lampo, "o"))), digest)


@e2e.only("fake")
def test_credentials_come_from_a_helper(lampo):
    home = prepare(lampo)
    tools = os.path.join(lampo.directory, "tools")
    os.makedirs(tools)
    os.makedirs(os.path.join(home, ".docker"))
    with Registry() as r:
        r.add(Image({"a": b"1"}))
        r.hook("^GET /v2/", lambda h: False if h.headers.get("Authorization") == registry.basic("me", "secret")
               else h.answer(401, WWW_Authenticate='Basic realm="x"'))
        with open(os.path.join(home, ".docker", "config.json"), "w") as f:
            json.dump({"credHelpers": {r.host: "test"}}, f)
        env = {"PATH": f"{tools}:{os.environ['PATH']}"}
        result = lampo("pull", f"{r.host}/t:1", env=env)
        e2e.check(result.code == 125 and "docker-credential-test" in result.err, result)
        helper = os.path.join(tools, "docker-credential-test")
        with open(helper, "w") as f:
            f.write("#!/bin/sh\nread host\n[ \"$1 $host\" = \"get " + r.host + "\" ] || exit 1\n"
                    "echo '{\"Username\": \"me\", \"Secret\": \"secret\"}'\n")
        os.chmod(helper, 0o755)
        digest_of(lampo("pull", f"{r.host}/t:1", env=env))


@e2e.only("fake")
def test_tokens(lampo):
    home = prepare(lampo)
    with Registry() as r, Registry() as server:
        tokens = Tokens(r, realm_host=server.host).serve_on(server)
        r.add(Image({"a": b"1"}))
        result = lampo("pull", f"{r.host}/team/t:1")
        e2e.check(result.code == 125 and "token" in result.err and "docker login" in result.err, result)
        registry.log_in(home, r.host, "me", "secret")
        digest = digest_of(lampo("pull", f"{r.host}/team/t:1"))
        query, authorization = tokens.questions[-1]
        e2e.equal(query["service"], ['the, "registry"'], "service")
        e2e.equal(query["scope"], ["repository:team/t:pull"], "scope")
        digest_of(lampo("push", f"{r.host}/team/t:1", f"{r.host}/team/u:1"))
        e2e.equal(tokens.questions[-1][0]["scope"], ["repository:team/u:pull,push"], "scope")
        # Tokens run out in between.
        left = [1]
        r.hooks.insert(0, (r"^GET /v2/.*/blobs/", lambda h: (left and left.pop() and tokens.given.clear()) or False))
        e2e.equal(digest_of(lampo("pull", f"{r.host}/team/t:1", "--convert", env=registry.other_store(lampo, "o"))), digest)
        # What others call an identity token, for which a password was given away once.
        registry.log_in(home, r.host, "", "", auth="", identitytoken="identity")
        e2e.equal(digest_of(lampo("pull", f"{r.host}/team/t:1", "--convert", env=registry.other_store(lampo, "i"))), digest)
        e2e.equal(tokens.questions[-1][0]["grant_type"], ["refresh_token"], "question")
        # The password has never been seen by the registry itself.
        e2e.check(not any(headers.get("Authorization", "").startswith("Basic") for _, _, headers in r.requests))


@e2e.only("fake")
def test_tls(lampo):
    home = prepare(lampo)
    ca, certificate, key = registry.make_ca(lampo.directory, "good")
    wrong, _, _ = registry.make_ca(lampo.directory, "wrong")
    with Registry() as r, docker_registry(os.path.join(lampo.directory, "registry"), tls=(certificate, key)) as host:
        r.add(Image({"a": b"1"}))
        digest_of(lampo("pull", f"{r.host}/t:1"))
        push = lambda *more, **env: lampo("push", f"{r.host}/t:1", f"{host}/t:1", *more, env=env)
        digest_of(push("--ca-file", ca))
        digest_of(push(LAMPO_CA_FILE=ca))
        certs = os.path.join(home, ".config", "containers", "certs.d", host)
        for refused in (push(), push("--ca-file", wrong)):
            e2e.check(refused.code == 125 and "certificate" in refused.err, refused)
        e2e.check(push("--ca-file", key).code == 125)
        e2e.check(push("--ca-file", os.path.join(home, "missing")).code == 125)
        plain = push("--plain-http")
        e2e.check(plain.code == 125, plain)
        os.makedirs(certs)
        os.symlink(ca, os.path.join(certs, "ca.crt"))
        digest_of(push())
        digest_of(lampo("pull", f"{host}/t:1", env=registry.other_store(lampo, "o")))


@e2e.only("fake")
def test_certificates_of_clients(lampo):
    home = prepare(lampo)
    ca, certificate, key = registry.make_ca(lampo.directory, "ca")
    with Registry() as r, docker_registry(os.path.join(lampo.directory, "registry"), tls=(certificate, key), client_ca=ca) as host:
        r.add(Image({"a": b"1"}))
        digest_of(lampo("pull", f"{r.host}/t:1"))
        push = ("push", f"{r.host}/t:1", f"{host}/t:1", "--ca-file", ca)
        e2e.equal(lampo(*push).code, 125)
        certs = os.path.join(home, ".config", "containers", "certs.d", host)
        os.makedirs(certs)
        os.symlink(certificate, os.path.join(certs, "me.cert"))
        result = lampo(*push)
        e2e.check(result.code == 125 and "me.key" in result.err, result)
        os.symlink(key, os.path.join(certs, "me.key"))
        digest_of(lampo(*push))


@e2e.only("fake")
def test_wrong_uses_are_explained(lampo):
    prepare(lampo)
    for args, words in ((("pull", "app"), "names no registry"), (("pull", "Host/App:1"), "no name of an image"), (("pull",), "usage"),
                        (("push", "nothing"), "nothing"), (("pull", "localhost:1/x"), "connect"),
                        (("push", "--format", "zip", "x"), "format"), (("pull", "host.invalid/x"), "host.invalid")):
        result = lampo(*args)
        e2e.check(result.code == 125 and words.lower() in result.err.lower(), f"{args}: {result}")
        e2e.equal(result.out, "", args)
    with Registry() as r:
        result = lampo("pull", f"{r.host}/none:1")
        e2e.check(result.code == 125 and "MANIFEST_UNKNOWN: no such manifest" in result.err, result)
        r.add(Image({"a": b"1"}))
        digest_of(lampo("pull", f"{r.host}/t:1"))
        result = lampo("push", f"{r.host}/t:1", f"{r.host}/t@{'sha256:' + '0' * 64}")
        e2e.check(result.code == 125 and "digest" in result.err, result)
        result = lampo("push", f"{r.host}/t:1", "local")
        e2e.check(result.code == 125 and "no registry" in result.err, result)


if __name__ == "__main__":
    e2e.main()
