#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lampo build --program: programs of the host run from what was packed, and from nothing else: unpacked and run by chroot ("fake": needs
root, no VM), and in VMs ("real"). Same input, same digest, also through export and import."""
import csv
import json
import os
import random
import shutil
import stat
import subprocess

import e2e
import erofs
from e2e import Skip, check, equal, only

PYTHON = "/usr/bin/python3"

JOB = '''
import csv, http.server, json, sqlite3, sys, zlib
from decimal import Decimal
base = sqlite3.connect(":memory:")
base.execute("create table sale (day text, shop text, amount integer)")
with open(sys.argv[1], newline="") as f:
    base.executemany("insert into sale values (?, ?, ?)", ((r["day"], r["shop"], int(Decimal(r["amount"]) * 100)) for r in csv.DictReader(f)))
result = [{"shop": s, "sum": t, "days": d} for s, t, d in base.execute(
    "select shop, sum(amount), count(distinct day) from sale group by shop order by shop")]
text = json.dumps(result, sort_keys=True).encode()
packed = zlib.compress(text, 9)
assert zlib.decompress(packed) == text
print(len(result), sum(r["sum"] for r in result), zlib.crc32(text), len(packed), http.server.SimpleHTTPRequestHandler.protocol_version)
'''


def make_app(lampo):
    """A job in Python with its data, and what it prints."""
    app = os.path.join(lampo.directory, "app")
    os.makedirs(app)
    dice = random.Random(1)
    with open(os.path.join(app, "sales.csv"), "w", newline="") as f:
        out = csv.writer(f)
        out.writerow(["day", "shop", "amount"])
        for i in range(20000):
            out.writerow([f"2020-{i % 12 + 1:02}-{i % 28 + 1:02}", f"shop {dice.randrange(50)}", f"{dice.randrange(100000) / 100:.2f}"])
    with open(os.path.join(app, "job.py"), "w") as f:
        f.write(JOB)
    want = subprocess.run([PYTHON, "job.py", "sales.csv"], cwd=app, capture_output=True, text=True, check=True).stdout
    return want


def image_path(lampo, digest):
    return os.path.join(lampo.data_dir, "images", "sha256", digest.strip().split(":")[1])


def pack(lampo, *args, notes=False, **more):
    """Builds; the digest. No note is expected unless said so."""
    result = lampo("build", "-q", *args, timeout=120, **more)
    equal(result.code, 0, result)
    check(notes or result.err == "", f"notes: {result.err}")
    fsck = subprocess.run(["fsck.erofs", image_path(lampo, result.out)], capture_output=True, text=True)
    check(fsck.returncode == 0 and "<E>" not in fsck.stdout + fsck.stderr, f"fsck.erofs: {fsck}")
    return result.out.strip()


def unpack(lampo, digest):
    root = os.path.join(lampo.directory, "root")
    shutil.rmtree(root, ignore_errors=True)
    erofs.Image(image_path(lampo, digest)).extract(root)
    return root


def run_in(root, argv, env=(), **more):
    """Runs argv with `root` as its root directory, with /dev and /proc."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        raise Skip("chroot needs root")
    script = 'mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True)
    if probe.returncode != 0:
        raise Skip("mount namespaces are not allowed")
    return subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", script, root, *argv],
                          env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8", **dict(env)}, capture_output=True, text=True,
                          timeout=120, **more)


def run_image(lampo, image, arguments=(), input=None):
    """In a VM, or else by chroot as the configuration says."""
    if not lampo.fake:
        result = lampo("run", *(["-i"] if input is not None else []), image, *arguments, input=input, timeout=120)
        return result.code, result.out, result.err
    inspected = json.loads(lampo.ok("image", "inspect", image))[0]
    c = inspected["config"]["config"]
    argv = c["Entrypoint"] + (list(arguments) or c.get("Cmd") or [])
    workdir = c["WorkingDir"]
    # chroot starts in /: relative names are made absolute.
    argv = argv[:1] + [os.path.join(workdir, a) if a in ("job.py", "sales.csv") else a for a in argv[1:]]
    result = run_in(unpack(lampo, inspected["digest"]), argv, env=(e.split("=", 1) for e in c["Env"]),
                    **({"input": input} if input is not None else {}))
    return result.returncode, result.stdout, result.stderr


def need(program):
    if not os.path.exists(program):
        raise Skip(f"{program} is not installed")


def test_a_python_application(lampo):
    need(PYTHON)
    want = make_app(lampo)
    digest = pack(lampo, "--program", PYTHON, "--add", "./app", "-t", "app", "--", "job.py", "sales.csv")
    equal(pack(lampo, "--program", PYTHON, "--add", "app/", "-t", "again", "--", "job.py", "sales.csv"), digest)
    config = json.loads(lampo.ok("image", "inspect", "app"))[0]["config"]["config"]
    equal((config["Entrypoint"], config["Cmd"], config["WorkingDir"]), ([PYTHON], ["job.py", "sales.csv"], "/app"))
    equal(run_image(lampo, "app"), (0, want, ""))
    # Exported, imported under another store, run again: the same digest.
    archive = os.path.join(lampo.directory, "app.tar")
    lampo.ok("export", "-q", "-o", archive, "app")
    lampo.data_dir = lampo.env["LAMPO_DATA"] = os.path.join(lampo.directory, "images2")
    equal(lampo.ok("import", "-q", archive).split(), [digest])
    equal(run_image(lampo, "app"), (0, want, ""))
    equal(run_image(lampo, "app", ["-c", "import os; print(sorted(os.listdir('/usr/bin')), os.path.exists('/work'))"])[:2],
          (0, f"{sorted({'python3', os.path.basename(os.path.realpath(PYTHON))})} False\n"))
    size = os.path.getsize(image_path(lampo, digest))
    print(f"  the image has {size / 2**20:.1f} MiB")


def test_python_modules(lampo):
    need(PYTHON)
    pack(lampo, "--program", PYTHON, "-t", "py")
    modules = ("asyncio bz2 ctypes curses dataclasses decimal email hashlib http.server lzma multiprocessing pwd readline socket sqlite3 ssl "
               "subprocess tarfile tempfile threading unittest urllib.request uuid xml.etree.ElementTree zipfile zlib zoneinfo")
    code, out, err = run_image(lampo, "py", ["-c", f"import {modules.replace(' ', ',')}\nimport pwd, locale, ssl\n"
                                             "print(pwd.getpwuid(0).pw_name, locale.setlocale(locale.LC_ALL, 'C.UTF-8'), 'h\\u00e9', "
                                             "ssl.create_default_context().cert_store_stats()['x509_ca'] > 0)"])
    equal((code, out), (0, f"root C.UTF-8 hé {os.path.exists('/etc/ssl/certs/ca-certificates.crt')}\n"), err)


def test_other_programs(lampo):
    java = os.path.join(lampo.directory, "Hello.java")
    with open(java, "w") as f:
        f.write('public class Hello { public static void main(String[] a) throws Exception { System.out.println("java " + (6 * 7) + '
                '" " + java.security.MessageDigest.getInstance("SHA-256").getAlgorithm()); } }\n')
    cases = {
        "/usr/bin/perl": (["-MPOSIX", "-MList::Util=sum", "-MJSON::PP", "-MEncode", "-MData::Dumper", "-e",
                           'print "perl ", sum(1..8), " ", encode_json({a => [1]}), "\\n"'], None, 'perl 36 {"a":[1]}\n'),
        "/usr/bin/sqlite3": ([], "create table t(a); insert into t values (6), (7); select sum(a) * 2, upper('x') from t;\n", "26|X\n"),
        "/usr/bin/node": (["-e", 'console.log("node", require("crypto").createHash("md5").update("x").digest("hex"), '
                                 'new Intl.NumberFormat("de").format(1234.5))'], None, "node 9dd4e461268c8034f5c8564e155c67a6 1.234,5\n"),
        "/usr/bin/git": (["init", "-q", "-b", "main", "/tmp/r"], None, ""),
        "/usr/bin/java": (["-XX:-UsePerfData", "/app/Hello.java"], None, "java 42 SHA-256\n"),
        "/bin/bash": ([], None, ""),
        "/usr/bin/awk": (["BEGIN { printf \"%d %s\\n\", 6 * 7, toupper(\"x\") }"], None, "42 X\n"),
    }
    missing = []
    for program, (arguments, text, want) in cases.items():
        if not os.path.exists(program):
            missing.append(program)
            continue
        name = os.path.basename(program)
        add = ["--add", "Hello.java"] if name == "java" else []
        digest = pack(lampo, "--program", program, "-t", name, *add)
        equal(pack(lampo, "--program", program, *add), digest, program)
        if name == "bash":  # no other program is in its image
            equal(run_image(lampo, name, ["-c", 'for i in a b; do echo "$i $((6 * 7))"; done'])[:2], (0, "a 42\nb 42\n"))
            continue
        code, out, err = run_image(lampo, name, arguments, text)
        equal((code, out), (0, want), f"{program}: {err}")
    print("  not installed:", missing or "none")


@only("fake")
def test_what_goes_in_and_why(lampo):
    need(PYTHON)
    real = os.path.realpath(PYTHON)
    listed = json.loads(lampo.ok("build", "--program", PYTHON, "--dry-run", "--json", timeout=60))
    check(not os.path.exists(lampo.data_dir), "a dry run made a store")
    files = {f["path"]: f for f in listed["files"]}
    equal(list(files), sorted(files))
    equal(listed["notes"], [])
    check("digest" not in listed)
    check(files[PYTHON]["type"] == ("link" if os.path.islink(PYTHON) else "file"))
    equal(files[real]["reason"], "the program")
    equal(files["/etc/passwd"]["type"], "made")
    libc = [p for p in files if p.endswith("/libc.so.6")]
    equal(len(libc), 1, libc)
    check(files[libc[0]]["reason"].startswith("library of "), files[libc[0]])
    check(all(f["reason"] and os.path.lexists(p) or f["type"] == "made" for p, f in files.items()))
    check(not any("/test/" in p or "/dist-packages/" in p or "/idlelib/" in p for p in files))
    # It is the list of what is really there.
    digest = pack(lampo, "--program", PYTHON)
    tree = erofs.Image(image_path(lampo, digest)).tree()
    equal(sorted(p for p, i in tree.items() if not stat.S_ISDIR(i.mode)), sorted(files))
    check(all(i.uid == 0 and i.gid == 0 for i in tree.values()))
    for path, inode in tree.items():
        if stat.S_ISREG(inode.mode) and files[path]["type"] == "file":
            with open(path, "rb") as f:
                check(f.read() == inode.read(), path)
            equal((inode.mtime, inode.mode), (int(os.stat(path).st_mtime), os.stat(path).st_mode), path)
    # Links to them are all resolved within the image.
    root = unpack(lampo, digest)
    for path, inode in tree.items():
        if stat.S_ISLNK(inode.mode) and run_in(root, [PYTHON, "-c", f"import os; os.stat({path!r})"]).returncode != 0:
            raise AssertionError(f"{path} leads nowhere")
    table = lampo("build", "--program", PYTHON, "--dry-run", timeout=60)
    check("library of" in table.out and "files," in table.err, table)


def compile(directory, name, source, *flags):
    path = os.path.join(directory, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not shutil.which("gcc"):
        raise Skip("needs gcc")
    subprocess.run(["gcc", "-x", "c", "-", "-o", path, *flags], input=source, text=True, check=True)
    return path


def make_native(lampo):
    """app/bin/prog needs app/lib/libone.so by $ORIGIN, which needs app/more/libtwo.so by RPATH of the program, which needs libone.so again."""
    app = os.path.join(lampo.directory, "native")
    compile(app, "more/libtwo.so", "int two(void) { return 2; }", "-shared", "-fPIC", "-Wl,-soname,libtwo.so")
    compile(app, "lib/libone.so", "int two(void); int one(void) { return 40 + two(); }", "-shared", "-fPIC", f"-L{app}/more", "-ltwo",
            "-Wl,-soname,libone.so")
    compile(app, "more/libtwo.so", "int two(void) { return 2; }", "-shared", "-fPIC", "-Wl,-soname,libtwo.so", f"-L{app}/lib",
            "-Wl,--no-as-needed", "-lone")
    compile(app, "bin/prog", '#include <stdio.h>\nint one(void); int main(void) { printf("%d\\n", one()); }', f"-L{app}/lib", "-lone",
            f"-Wl,-rpath-link,{app}/more", "-Wl,--disable-new-dtags,-rpath,$ORIGIN/../lib:$ORIGIN/../more")
    return app


def test_libraries_by_their_paths(lampo):
    app = make_native(lampo)
    # As a program that keeps its path ...
    pack(lampo, "--program", os.path.join(app, "bin/prog"), "-t", "kept")
    equal(run_image(lampo, "kept"), (0, "42\n", ""))
    # ... and moved, with an entry point in what was added.
    pack(lampo, "--program", "/bin/true", "--add", f"{app}:/opt/native", "--entrypoint", "/opt/native/bin/prog", "-t", "moved")
    equal(run_image(lampo, "moved"), (0, "42\n", ""))
    # A link on the way to the program.
    os.symlink("native", os.path.join(lampo.directory, "link"))
    os.symlink("../link/bin/prog", os.path.join(app, "start"))
    pack(lampo, "--program", os.path.join(lampo.directory, "native/start"), "-t", "linked")
    equal(run_image(lampo, "linked"), (0, "42\n", ""))


def test_scripts_bring_their_interpreters(lampo):
    need("/usr/bin/perl")
    path = os.path.join(lampo.directory, "tool")
    with open(path, "w") as f:
        f.write("#!/usr/bin/env -S perl -w\nprint 6 * 7, \"\\n\";\n")
    os.chmod(path, 0o755)
    pack(lampo, "--program", "./tool", "-t", "tool")
    equal(run_image(lampo, "tool"), (0, "42\n", ""))


def test_virtual_environments(lampo):
    need(PYTHON)
    venv = os.path.join(lampo.directory, "venv")
    if subprocess.run([PYTHON, "-m", "venv", "--without-pip", venv], capture_output=True).returncode != 0:
        raise Skip("this Python has no venv")
    packages = [d for d, _, _ in os.walk(venv) if d.endswith("site-packages")][0]
    with open(os.path.join(packages, "mine.py"), "w") as f:
        f.write("answer = 42\n")
    pack(lampo, "--program", os.path.join(venv, "bin", "python3"), "-t", "venv", "--", "-c", "import mine; print(mine.answer)")
    equal(run_image(lampo, "venv"), (0, "42\n", ""))


@only("fake")
def test_where_added_things_go(lampo):
    for path in ("data/x", "one.txt"):
        full = os.path.join(lampo.directory, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w") as f:
            f.write(path)
    here = lampo.directory

    def added(*args):
        digest = pack(lampo, "--program", "/bin/true", *args)
        tree = erofs.Image(image_path(lampo, digest)).tree()
        files = {p for p, i in tree.items() if stat.S_ISREG(i.mode) and i.read() in (b"data/x", b"one.txt")}
        return files, json.loads(lampo.ok("image", "inspect", digest))[0]["config"]["config"]["WorkingDir"]

    for args, files, workdir in [
        (["--add", "data"], {"/app/x"}, "/app"),
        (["--add", "./data/", "--add", "one.txt"], {"/app/x", "/app/one.txt"}, "/app"),
        (["--add", "one.txt"], {"/app/one.txt"}, "/"),
        (["--add", f"{here}/data"], {f"{here}/data/x"}, "/"),
        (["--add", f"{here}/data:/srv/d", "--add", "data:/e"], {"/srv/d/x", "/e/x"}, "/srv/d"),
        (["--add", "one.txt:/srv/two"], {"/srv/two"}, "/"),
        (["--add", "one.txt:/srv/"], {"/srv/one.txt"}, "/"),
        (["--add", "data:/"], {"/x"}, "/"),
    ]:
        equal(added(*args), (files, workdir), str(args))
    env = json.loads(lampo.ok("image", "inspect", pack(lampo, "--program", "true", "-e", "A=b=c", "-e", "LANG=x", "--entrypoint",
                                                       '["/bin/true", "x"]')))[0]["config"]["config"]
    check("A=b=c" in env["Env"] and "LANG=x" in env["Env"] and "LANG=C.UTF-8" not in env["Env"], env)
    equal(env["Entrypoint"], ["/bin/true", "x"])


@only("fake")
def test_what_is_not_there_is_told(lampo):
    def fails(*args, says=()):
        result = lampo("build", "-q", *args)
        equal(result.code, 125, result)
        for word in says:
            check(word in result.err, f"no '{word}' in: {result.err!r}")

    here, app = lampo.directory, make_native(lampo)
    fails("--program", "nosuchprogram", says=["nosuchprogram", "PATH"])
    shims = os.path.join(here, "shims")
    os.makedirs(shims)
    shutil.copy("/bin/true", os.path.join(shims, "onlyhere"))
    result = lampo("build", "--program", "onlyhere", env={"PATH": shims + ":/usr/bin"})
    check(result.code == 125 and "onlyhere" in result.err, f"a version manager's script was taken: {result}")
    fails("--program", "./nosuch", says=["No such file"])
    fails("--program", "", says=["empty"])
    fails("--program", "/etc/passwd", says=["no executable file"])
    fails("--program", "/usr", says=["no executable file"])
    fails("--program", "true", "--add", "nosuch", says=["nosuch"])
    fails("--program", "true", "--add", "/nosuch", says=["/nosuch"])
    for text in ("", ":", ":/x", "a:"):
        fails("--program", "true", "--add", text, says=["HOST"])
    fails("--program", "true", "--add", "native:/a/../b", says=[".."])
    fails("--program", "true", "--add", "native:/x", "--add", "native/start/x", says=["native/start/x"])
    fails("--program", "true", "--with", "nosuch", says=["certs"])
    fails("--program", "true", "-e", "A", says=["NAME=VALUE"])
    fails("--program", "true", "--entrypoint", "[1]", says=["JSON"])
    fails("--program", "true", "--entrypoint", "[", says=["JSON"])
    fails("--program", "true", "--entrypoint", "[]", says=["JSON"])
    fails("--program", "true", "--add", "/dev/null:/x", says=["neither"])
    with open(os.path.join(here, "script"), "w") as f:
        f.write("#!/nosuch/interpreter\n")
    os.chmod(os.path.join(here, "script"), 0o755)
    fails("--program", "./script", says=["/nosuch/interpreter"])
    os.remove(os.path.join(app, "more/libtwo.so"))
    fails("--program", f"{app}/bin/prog", says=["libtwo.so", "not found"])
    with open(os.path.join(app, "bin/prog"), "rb") as f:
        whole = f.read()
    for name, data in {"cut": whole[:300], "empty": b"\x7fELF", "phdr": whole[:32] + b"\xff" * 8 + whole[40:]}.items():
        with open(os.path.join(here, name), "wb") as f:
            f.write(data)
        os.chmod(os.path.join(here, name), 0o755)
        fails("--program", "./" + name, says=["ELF"])
    with open(os.path.join(here, "foreign"), "wb") as f:
        f.write(whole[:18] + b"\xb7\0" + whole[20:])
    os.chmod(os.path.join(here, "foreign"), 0o755)
    fails("--program", "./foreign", says=["x86-64"])
    # In what was added the same things are only noted, and the image is made.
    extra = os.path.join(here, "extra")
    os.makedirs(extra)
    for name in ("cut", "foreign", "script"):
        shutil.copy(os.path.join(here, name), extra)
    shutil.copy(os.path.join(app, "lib/libone.so"), extra)
    os.symlink("nowhere", os.path.join(extra, "dangling"))
    os.symlink("loop", os.path.join(extra, "loop"))
    os.symlink("/usr", os.path.join(extra, "everything"))
    os.symlink("../native", os.path.join(extra, "beside"))
    result = lampo("build", "-q", "--program", "/bin/true", "--add", "extra")
    equal(result.code, 0, result)
    for word in ("ELF", "not for x86-64", "/nosuch/interpreter", "libtwo.so", "/app/dangling", "/app/loop", "/app/beside"):
        check(word in result.err, f"no note about {word}: {result.err}")
    check(all(line.startswith("lampo: note: ") for line in result.err.splitlines()), result.err)
    tree = erofs.Image(image_path(lampo, result.out)).tree()
    check(len(tree) < 100, "a link to /usr brought all of it")
    listed = json.loads(lampo.ok("build", "--json", "--program", "/bin/true", "--add", "extra"))
    equal(listed["digest"], result.out.strip())
    equal(len(listed["notes"]), len(result.err.splitlines()))


@only("fake")
def test_groups(lampo):
    if not os.path.isdir("/usr/share/zoneinfo"):
        raise Skip("no zoneinfo")
    digest = pack(lampo, "--program", PYTHON, "--with", "tzdata", "-t", "tz")
    tree = erofs.Image(image_path(lampo, digest)).tree()
    check("/usr/share/zoneinfo/Europe/Rome" in tree and not any("/right/" in p for p in tree))
    equal(run_image(lampo, "tz", ["-c", "from zoneinfo import ZoneInfo as Z; import datetime as d; "
                                  "print(d.datetime(2020, 7, 1, tzinfo=Z('Europe/Rome')).utcoffset())"]), (0, "2:00:00\n", ""))


if __name__ == "__main__":
    e2e.main()
