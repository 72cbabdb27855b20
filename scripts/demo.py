# SPDX-License-Identifier: Apache-2.0
"""A real task: find the most frequent words of the licence, with a database, a hash and threads."""
import concurrent.futures
import hashlib
import os
import platform
import re
import sqlite3

text = open("LICENSE").read()
words = re.findall(r"[a-z]{5,}", text.lower())
db = sqlite3.connect(":memory:")
db.execute("create table words (word text)")
db.executemany("insert into words values (?)", ((w,) for w in words))
top = db.execute("select word, count(*) n from words group by word order by n desc, word limit 5").fetchall()


def digest(rounds):
    value = text.encode()
    for _ in range(rounds):
        value = hashlib.sha256(value).digest()
    return value.hex()[:16]


with concurrent.futures.ThreadPoolExecutor(4) as pool:
    digests = list(pool.map(digest, (1, 10, 100, 1000)))

print(f"hello from Python {platform.python_version()} on {platform.system()} {platform.release()}, pid {os.getpid()}")
print("most frequent words:", ", ".join(f"{word} ({n})" for word, n in top))
print("digests by four threads:", " ".join(digests))
open("a-file-that-the-host-never-sees", "w").write("x")
print("files here, seen from inside:", len(os.listdir(".")))
