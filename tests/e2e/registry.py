# SPDX-License-Identifier: Apache-2.0
"""Registries for the end-to-end tests, all on loopback: Debian's docker-registry, one written here whose every answer can be replaced, a token
server; and the images that they have."""
import base64
import contextlib
import gzip
import hashlib
import http.server
import io
import json
import os
import re
import resource
import shutil
import socket
import ssl
import stat
import subprocess
import tarfile
import threading
import time
import urllib.parse

import e2e
import erofs

OCI = "application/vnd.oci.image."
MANIFEST, INDEX, CONFIG = OCI + "manifest.v1+json", OCI + "index.v1+json", OCI + "config.v1+json"
LAYER, LAYER_GZIP = OCI + "layer.v1.tar", OCI + "layer.v1.tar+gzip"
LAMPO = "application/vnd.lampo.image.v1"


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise e2e.Skip(f"{program} is not installed")


def prepare(lampo):
    """A store of its own, and no credentials or certificates of whoever runs the tests."""
    home = os.path.join(lampo.directory, "home")
    os.makedirs(os.path.join(home, "run"), exist_ok=True)
    for name in list(lampo.env):
        if name.lower().endswith("_proxy") or name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE"):
            del lampo.env[name]
    lampo.env.update(HOME=home, XDG_RUNTIME_DIR=os.path.join(home, "run"), LAMPO_DATA=os.path.join(lampo.directory, "store"),
                     LAMPO_CONNECT_TIMEOUT="3", LAMPO_STALL_TIMEOUT="2")
    return home


def store_files(lampo):
    """Names of all files of the store but its locks."""
    top = lampo.env["LAMPO_DATA"]
    return sorted(os.path.relpath(os.path.join(where, name), top) for where, _, names in os.walk(top) for name in names
                  if not name.endswith("lock") and name != "index.json")


def image_path(lampo, digest):
    return os.path.join(lampo.env["LAMPO_DATA"], "images", "sha256", digest.removeprefix("sha256:"))


def other_store(lampo, name):
    return {"LAMPO_DATA": os.path.join(lampo.directory, name)}


# ---- trees ------------------------------------------------------------------------------------------------

def make_tree(directory):
    """Files of all kinds; with owners if we are root."""
    for name in ("bin", "etc/deep/er", "empty", "opt/" + "n" * 200):
        os.makedirs(os.path.join(directory, name))
    at = lambda name: os.path.join(directory, name)
    shutil.copy("/bin/busybox", at("bin/busybox"))
    for name in ("sh", "cat", "ls", "true"):
        os.symlink("busybox", at("bin/" + name))
    os.link(at("bin/busybox"), at("bin/hard"))
    os.symlink("/etc/deep/../greeting", at("etc/link"))
    os.symlink("nowhere", at("etc/dangling"))
    for name, data in (("etc/greeting", b"hello\n"), ("etc/nothing", b""), ("etc/deep/er/block", bytes(range(256)) * 16),
                       ("etc/\u00fc", b"umlaut"), ("opt/" + "n" * 200 + "/" + "f" * 250, b"long"), ("etc/big", os.urandom(3 << 20))):
        with open(at(name), "wb") as f:
            f.write(data)
    os.chmod(at("etc/greeting"), 0o4751)
    os.chmod(at("empty"), 0o1777)
    if os.geteuid() == 0:
        os.chown(at("etc/nothing"), 1234, 56789)
        os.chown(at("etc/link"), 77, 88, follow_symlinks=False)
    for where, folders, files in os.walk(directory):
        for name in folders + files:
            os.utime(os.path.join(where, name), (1500000000, 1500000000), follow_symlinks=False)
    return directory


def describe_tree(directory):
    """What is in a tree, for comparison."""
    found = {}
    for where, folders, files in os.walk(directory):
        for name in folders + files:
            path = os.path.join(where, name)
            st = os.lstat(path)
            # Tools that fill directories change their times.
            entry = [oct(st.st_mode), st.st_uid, st.st_gid, 0 if stat.S_ISDIR(st.st_mode) else int(st.st_mtime)]
            if stat.S_ISLNK(st.st_mode):
                entry.append(os.readlink(path))
            elif stat.S_ISREG(st.st_mode):
                with open(path, "rb") as f:
                    entry += [st.st_size, sha256(f.read())]
            found[os.path.relpath(path, directory)] = entry
    return found


def extract(lampo, digest, name, store="store"):
    """The tree of an image in the store, as a reader has it that shares nothing with Lampo."""
    target = os.path.join(lampo.directory, name)
    erofs.Image(os.path.join(lampo.directory, store, "images", "sha256", digest.removeprefix("sha256:"))).extract(target)
    return target


def compare_trees(got, want):
    got, want = describe_tree(got), describe_tree(want)
    e2e.equal(sorted(got), sorted(want), "names in the tree")
    for name, entry in want.items():
        e2e.equal(got[name], entry, name)


# ---- images as bytes --------------------------------------------------------------------------------------

def layer(files, compress=True):
    """(blob, diff_id) of a layer with these files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    data = out.getvalue()
    return (gzip.compress(data, 1, mtime=0) if compress else data), sha256(data)


def dump(value):
    return json.dumps(value).encode()


def descriptor(data, media_type, **more):
    return dict({"mediaType": media_type, "digest": sha256(data), "size": len(data)}, **more)


class Image:
    """A small OCI image with a layer for each of `contents` (dictionaries of files)."""

    def __init__(self, *contents):
        self.layers = [layer(files) for files in contents]
        self.config = dump({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sh"]},
                            "rootfs": {"type": "layers", "diff_ids": [diff for _, diff in self.layers]}})
        self.document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(self.config, CONFIG),
                         "layers": [descriptor(data, LAYER_GZIP) for data, _ in self.layers]}

    @property
    def manifest(self):
        return dump(self.document)

    @property
    def blobs(self):
        return {sha256(data): data for data in [self.config] + [data for data, _ in self.layers]}


# ---- certificates -----------------------------------------------------------------------------------------

def make_ca(directory, name):
    """An authority, and a certificate of 127.0.0.1 by it: (authority's certificate, certificate, key)."""
    need("openssl")
    at = lambda end: os.path.join(directory, f"{name}{end}")
    run = lambda *args: subprocess.run(["openssl", *args], check=True, capture_output=True)
    run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", at("-ca.key"), "-out", at("-ca.crt"))
    run("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", at(".key"), "-out", at(".csr"))
    with open(at(".ext"), "w") as f:
        f.write("subjectAltName=IP:127.0.0.1\n")
    run("x509", "-req", "-in", at(".csr"), "-CA", at("-ca.crt"), "-CAkey", at("-ca.key"), "-CAcreateserial", "-days", "2",
        "-extfile", at(".ext"), "-out", at(".crt"))
    return at("-ca.crt"), at(".crt"), at(".key")


# ---- docker-registry --------------------------------------------------------------------------------------

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def docker_registry(directory, tls=None, auth=None, client_ca=None):
    """Debian's docker-registry with an empty folder; gives its "host:port". tls: (certificate, key). auth: its `auth` section. client_ca: who
    connects must have a certificate of this authority."""
    need("docker-registry")
    os.makedirs(directory)
    for attempt in range(5):
        host = f"127.0.0.1:{free_port()}"
        config = {"version": 0.1, "log": {"level": "error"}, "http": {"addr": host},
                  "storage": {"filesystem": {"rootdirectory": os.path.join(directory, "data")}, "delete": {"enabled": True}}}
        if tls:
            config["http"]["tls"] = {"certificate": tls[0], "key": tls[1]}
            if client_ca:
                config["http"]["tls"]["clientcas"] = [client_ca]
        if auth:
            config["auth"] = auth
        with open(os.path.join(directory, "config.yml"), "w") as f:
            json.dump(config, f)  # JSON is YAML
        with open(os.path.join(directory, "log"), "w") as log:
            server = subprocess.Popen(["docker-registry", "serve", os.path.join(directory, "config.yml")], stdout=log, stderr=log)
        if wait_for_port(host, server):
            break
    else:
        raise AssertionError(f"docker-registry does not start: {open(os.path.join(directory, 'log')).read()}")
    try:
        yield host
    finally:
        server.terminate()
        server.wait()


def wait_for_port(host, server):
    name, port = host.split(":")
    end = time.monotonic() + 20
    while time.monotonic() < end and server.poll() is None:
        try:
            socket.create_connection((name, int(port)), 1).close()
            return True
        except OSError:
            time.sleep(0.02)
    return False


# ---- a registry whose answers can be replaced -------------------------------------------------------------

class Hangup(Exception):
    """The connection is closed now."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def handle(self):
        try:
            super().handle()
        except (OSError, Hangup):
            pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        headers.setdefault("Content_Length", str(len(body)))
        for name, value in headers.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def hang_up(self):
        """No goodbye of TCP or TLS that could be taken for an end."""
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        raise Hangup

    def pieces(self):
        """The request's body, as it comes."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left > 0:
            piece = self.rfile.read1(min(left, 65536))
            if not piece:
                raise Hangup
            left -= len(piece)
            yield piece

    def body(self):
        return b"".join(self.pieces())

    def serve(self):
        server = self.server.registry
        with server.lock:
            server.requests.append((self.command, self.path, dict(self.headers)))
        for pattern, hook in list(server.hooks):
            if re.search(pattern, f"{self.command} {self.path}"):
                if hook(self) is not False:
                    return
        server.default(self)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = serve


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, address):
        pass


class Registry:
    """As simple as can be. hooks: (regular expression for "METHOD PATH", function(handler)); a function that returns False has not answered."""

    def __init__(self, tls=None, referrers=False):
        self.blobs, self.manifests, self.uploads, self.hooks, self.requests = {}, {}, {}, [], []
        self.referrers = referrers
        self.lock = threading.Lock()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.registry = self
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *args):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def hook(self, pattern, function):
        self.hooks.append((pattern, function))

    def paths(self, method="GET"):
        return [path for command, path, _ in self.requests if command == method]

    def add(self, image, tag="1"):
        self.blobs.update(image.blobs)
        self.add_manifest(image.manifest, MANIFEST, tag)
        return image

    def add_manifest(self, data, media_type, *tags):
        for name in (sha256(data), *tags):
            self.manifests[name] = (media_type, data)
        return sha256(data)

    def default(self, h):
        path, _, query = h.path.partition("?")
        query = urllib.parse.parse_qs(query)
        if path == "/v2/":
            return h.answer(200, b"{}")
        if match := re.fullmatch(r"/v2/(.+)/manifests/([^/]+)", path):
            return self.put_manifest(h, match[2]) if h.command == "PUT" else self.get_manifest(h, match[2])
        if match := re.fullmatch(r"/v2/(.+)/referrers/(sha256:[0-9a-f]{64})", path):
            return self.get_referrers(h, match[2]) if self.referrers else h.answer(404, b"404 page not found")
        if match := re.fullmatch(r"/v2/(.+)/blobs/(sha256:[0-9a-f]{64})", path):
            return self.get_blob(h, match[2])
        if "/blobs/uploads/" in path:
            return self.upload(h, path, query)
        return h.answer(404)

    def get_manifest(self, h, name):
        if name not in self.manifests:
            return h.answer(404, dump({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "no such manifest"}]}))
        media_type, data = self.manifests[name]
        h.answer(200, data, Content_Type=media_type, Docker_Content_Digest=sha256(data))

    def put_manifest(self, h, name):
        data = h.body()
        self.add_manifest(data, h.headers["Content-Type"], name)
        subject = json.loads(data).get("subject", {}).get("digest") if self.referrers else None
        h.answer(201, Docker_Content_Digest=sha256(data), OCI_Subject=subject)

    def get_referrers(self, h, digest):
        found = {sha256(data): descriptor(data, media_type, artifactType=json.loads(data).get("artifactType", ""))
                 for media_type, data in self.manifests.values() if json.loads(data).get("subject", {}).get("digest") == digest}
        h.answer(200, dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(found.values())}), Content_Type=INDEX)

    def get_blob(self, h, digest, chunk=None):
        if digest not in self.blobs:
            return h.answer(404, dump({"errors": [{"code": "BLOB_UNKNOWN", "message": "no such blob"}]}))
        data = self.blobs[digest]
        match = re.fullmatch(r"bytes=(\d+)-", h.headers.get("Range", ""))
        if not match:
            return h.answer(200, data, Content_Type="application/octet-stream")
        start = int(match[1])
        if start >= len(data):
            return h.answer(416)
        return h.answer(206, data[start:], Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")

    def upload(self, h, path, query):
        if h.command == "POST":
            name = f"{path}{len(self.uploads)}"
            self.uploads[name] = bytearray()
            return h.answer(202, Location=f"{name}?state=x", Range="0-0")
        if path not in self.uploads:
            return h.answer(404)
        if h.command in ("PATCH", "PUT"):
            if (said := h.headers.get("Content-Range")) and int(said.split("-")[0]) != len(self.uploads[path]):
                h.body()
                return h.answer(416)
            for piece in h.pieces():
                self.uploads[path] += piece
        data = bytes(self.uploads[path])
        if h.command == "PUT":
            if query["digest"][0] != sha256(data):
                return h.answer(400, dump({"errors": [{"code": "DIGEST_INVALID", "message": "that is not it"}]}))
            self.blobs[sha256(data)] = data
            return h.answer(201, Location=path.replace("uploads/", "") + sha256(data))
        status = 202 if h.command == "PATCH" else 204
        return h.answer(status, Location=f"{path}?state=x", Range=f"0-{max(len(data) - 1, 0)}", Content_Length="0" if status == 202 else None)


# ---- authentication ---------------------------------------------------------------------------------------

def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def log_in(home, host, user, password, **more):
    """What `docker login` writes."""
    os.makedirs(os.path.join(home, ".docker"), exist_ok=True)
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    with open(os.path.join(home, ".docker", "config.json"), "w") as f:
        json.dump({"auths": {host: dict({"auth": auth}, **more)}}, f)


class Tokens:
    """The rules of a registry that takes tokens, and the server that gives them (hooks for two registries, or for one that is both)."""

    def __init__(self, registry, realm_host=None, scheme="http", user="me", password="secret"):
        self.registry, self.want = registry, basic(user, password)
        self.realm = f"{scheme}://{realm_host or registry.host}/token"
        self.given, self.questions = set(), []
        registry.hook(r"^[A-Z]+ /v2/", self.guard)

    def serve_on(self, registry):
        registry.hook(r"/token", self.give)
        return self

    def guard(self, h):
        access = "pull" if h.command in ("GET", "HEAD") else "pull,push"
        token = h.headers.get("Authorization", "").removeprefix("Bearer ")
        if token in self.given and (access == "pull" or token.endswith("push")):
            return False
        h.body()
        name = h.path.removeprefix("/v2/").split("/manifests/")[0].split("/blobs/")[0].split("/referrers/")[0]
        return h.answer(401, dump({"errors": [{"code": "UNAUTHORIZED", "message": "who are you?"}]}), WWW_Authenticate=
                        f'Bearer realm="{self.realm}",service="the, \\"registry\\"",scope="repository:{name}:{access}"')

    def give(self, h):
        form = urllib.parse.parse_qs(h.body().decode())
        query = form or urllib.parse.parse_qs(h.path.partition("?")[2])
        self.questions.append((query, h.headers.get("Authorization")))
        good = form.get("refresh_token") == ["identity"] if h.command == "POST" else h.headers.get("Authorization") == self.want
        if not good:
            return h.answer(401)
        token = f"t{len(self.given)}." + query["scope"][0].rsplit(",", 1)[-1].rsplit(":", 1)[-1]
        self.given.add(token)
        return h.answer(200, dump({"access_token" if form else "token": token, "expires_in": 60}))


# ---- tests of registries that misbehave -------------------------------------------------------------------

MEMORY_MAX = 200 << 20  # bytes, resident, with all libraries


def limit():
    if "LAMPO_TEST_SANITIZED" not in os.environ:  # sanitizers take terabytes of addresses
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))


def random_image():
    return Image({"a": os.urandom(300000)}, {"b": os.urandom(1000)})


def refused(lampo, r, *words, args=(), tag="1", timeout=60, env=None):
    """A pull fails, with these words in its message, and leaves nothing that counts."""
    result = lampo("pull", *args, f"{r.host}/t:{tag}", timeout=timeout, preexec_fn=limit, env=env)
    e2e.check(result.code == 125 and result.out == "", result)
    message = "\n".join(line for line in result.err.splitlines() if line.startswith("lampo: "))
    for word in words:
        e2e.check(re.search(word, message), f"no '{word}' in: {message}")
    e2e.check(message.count("\n") <= 1, message)
    e2e.check(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss <= (MEMORY_MAX >> 10) * (10 if "LAMPO_TEST_SANITIZED" in os.environ else 1), "too much memory")
    e2e.equal([name for name in store_files(lampo) if not name.startswith("tmp/blob-")], [], "files in the store")
    e2e.equal(lampo.ok("images", "-q"), "", "images")
    return message


def works(lampo, r):
    """Without the hooks all goes well, and nothing is left of before."""
    r.hooks.clear()
    result = lampo("pull", f"{r.host}/t:1")
    e2e.check(result.code == 0, result)
    lampo.ok("image", "verify", f"{r.host}/t:1")
    e2e.equal(len(store_files(lampo)), 1, store_files(lampo))


def serving(lampo, pattern, hook, *words, then_works=True, **more):
    prepare(lampo)
    with Registry() as r:
        r.add(random_image())
        r.hook(pattern, hook)
        message = refused(lampo, r, *words, **more)
        if then_works:
            works(lampo, r)
        return message


MANIFESTS, BLOBS = r"^GET /v2/t/manifests/", r"^GET /v2/t/blobs/"


def data_of(h):
    return h.server.registry.blobs[h.path.rsplit("/", 1)[1]]
