#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# python3: modules written in C and in Python, threads, an event loop, TLS, a database, calls into C libraries.
. "$(dirname "$0")/lib.sh"
need /usr/bin/python3 openssl

openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=lampo.test \
	-addext subjectAltName=DNS:lampo.test 2>/dev/null || fail "cannot make a certificate"

cat >task.py <<'END'
import asyncio, bz2, ctypes, hashlib, json, lzma, math, os, queue, random, re, sqlite3, ssl, struct, sys, tempfile
import threading, zlib, decimal, datetime, mmap, select, signal, time

def section(name, value):
    print(name, value, flush=True)

section("json", json.dumps(json.loads(json.dumps({"a": [1, 2.5, None, True], "ü": "\u2603" * 3, "n": {"x": list(range(50))}})), sort_keys=True))
data = b"".join(struct.pack("<I", i * 2654435761 % 2**32) for i in range(50000))
section("hash", [hashlib.new(n, data).hexdigest() for n in ("md5", "sha1", "sha256", "sha512", "blake2b", "sha3_256")])
section("pbkdf2", hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 2000).hex())
for module in (zlib, bz2, lzma):
    packed = module.compress(data[:100000])
    assert module.decompress(packed) == data[:100000]
    section(module.__name__, len(packed))
section("re", re.findall(r"(\w+)@(\w+)\.org", "one@two.org, three@four.org"))
section("decimal", decimal.Decimal(2).sqrt(decimal.Context(prec=60)))
section("math", [math.factorial(60), math.sin(1.0), math.gamma(5.5)])
random.seed(4711)
section("random", [random.randrange(10**6) for _ in range(5)])
section("date", datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc).isoformat())

# A database in memory and one in a file, with an index and a transaction that is rolled back.
for place in (":memory:", os.path.join(tempfile.mkdtemp(), "test.db")):
    db = sqlite3.connect(place)
    db.execute("create table t (id integer primary key, name text, value real)")
    with db:
        db.executemany("insert into t (name, value) values (?, ?)", ((f"name{i % 97}", i * 0.5) for i in range(5000)))
    db.execute("create index i on t (name)")
    try:
        with db:
            db.execute("delete from t")
            raise ValueError
    except ValueError:
        pass
    section("sqlite", db.execute("select name, count(*), sum(value) from t group by name order by name limit 3").fetchall())
    section("integrity", db.execute("pragma integrity_check").fetchone())
    db.close()

# Threads with a queue, a lock, an event.
work, done, lock, total = queue.Queue(), threading.Event(), threading.Lock(), [0]
def worker():
    while (n := work.get()) is not None:
        with lock:
            total[0] += sum(range(n))
threads = [threading.Thread(target=worker) for _ in range(4)]
for t in threads: t.start()
for n in range(200): work.put(n)
for t in threads: work.put(None)
for t in threads: t.join()
section("threads", total[0])
ticker = threading.Timer(0.02, done.set)
ticker.start()
section("event", done.wait(10))

# An event loop with pipes, tasks, time-outs and work in threads.
async def loop_task():
    r, w = os.pipe()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(r, "rb"))
    transport, _ = await loop.connect_write_pipe(asyncio.Protocol, os.fdopen(w, "wb"))
    async def produce():
        for i in range(100):
            transport.write(b"line %d\n" % i)
            await asyncio.sleep(0.0005)
        transport.close()
    producer = asyncio.create_task(produce())
    lines = [line async for line in reader]
    await producer
    numbers = await asyncio.gather(*(loop.run_in_executor(None, math.factorial, n) for n in range(20)))
    try:
        await asyncio.wait_for(asyncio.sleep(60), 0.02)
        late = False
    except asyncio.TimeoutError:
        late = True
    return len(lines), lines[-1], sum(numbers), late
section("asyncio", asyncio.run(loop_task()))

# TLS between two ends in memory, with a certificate that is checked.
server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server_context.load_cert_chain("cert.pem", "key.pem")
client_context = ssl.create_default_context(cafile="cert.pem")
a_in, a_out = ssl.MemoryBIO(), ssl.MemoryBIO()
client = client_context.wrap_bio(a_in, a_out, server_hostname="lampo.test")
server = server_context.wrap_bio(a_out, a_in, server_side=True)
finished = set()
while len(finished) < 2:
    for end in (client, server):
        try:
            end.do_handshake()
            finished.add(end)
        except ssl.SSLWantReadError:
            pass
client.write(b"over TLS")
section("ssl", [client.version(), client.cipher()[0], server.read(100)])

# C libraries: a call, a callback, a structure.
libc = ctypes.CDLL("libc.so.6")
assert libc.getpid() == os.getpid()
array = (ctypes.c_int * 6)(5, 3, 9, 1, 7, 2)
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))(lambda a, b: a[0] - b[0])
libc.qsort(array, 6, ctypes.sizeof(ctypes.c_int), compare)
section("ctypes", list(array))

with tempfile.TemporaryDirectory() as d:
    with open(os.path.join(d, "f"), "w+b") as f:
        f.write(b"0123456789" * 1000)
        f.flush()
        m = mmap.mmap(f.fileno(), 0)
        m[5:10] = b"XXXXX"
        section("mmap", [bytes(m[:12]), m.find(b"X"), len(m)])
        m.close()
    section("files", sorted(os.listdir(d)))
got = []
signal.signal(signal.SIGALRM, lambda s, f: got.append(s))
signal.setitimer(signal.ITIMER_REAL, 0.01)
time.sleep(0.05)
section("signal", [int(s) for s in got])
section("args", sys.argv[1:])
sys.exit(3)
END
same -- /usr/bin/python3 task.py one "two three" ''
gives 'hello' -- /usr/bin/python3 -c 'print("hello")'
same -- /usr/bin/python3 -c 'raise SystemExit("message")'
printf '3 4\n5 6\n' >input
stdin=input same -- /usr/bin/python3 -c 'import sys; print([sum(map(int, l.split())) for l in sys.stdin])'
finish
