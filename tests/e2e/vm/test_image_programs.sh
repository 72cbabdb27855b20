#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Programs that `lampo build --program` packed give in VMs of their images what they give on the host, from what is in the image alone.
. "$(dirname "$0")/../programs/lib.sh"
need /usr/bin/python3 /usr/bin/sqlite3
[ "$lampo" != native ] || skip "needs VMs"
[ -x "$build/lampo-image" ] || skip "lampo-image is not built"
export LAMPO_DATA="$work/images"

mkdir app
cat >app/job.py <<'END'
import csv, json, sqlite3, sys, zlib
base = sqlite3.connect(":memory:")
base.execute("create table t (shop text, amount integer)")
with open("sales.csv", newline="") as f:
    base.executemany("insert into t values (?, ?)", ((r["shop"], int(r["amount"])) for r in csv.DictReader(f)))
text = json.dumps(base.execute("select shop, sum(amount), count(*) from t group by shop order by shop").fetchall())
print(text, zlib.crc32(text.encode()), len(zlib.compress(text.encode())), sys.argv[1:])
END
awk 'BEGIN { print "shop,amount"; for (i = 0; i < 5000; i++) printf "shop %d,%d\n", i % 37, (i * 7919) % 1000 }' >app/sales.csv
want=$(cd app && /usr/bin/python3 job.py one two)

# image WANT NAME [ARG...]: the image prints WANT.
image() {
	want_here=$1
	shift
	got=$("$lampo" run -i "$@" 2>"$work/.err")
	code=$?
	if [ $code -ne 0 ] || [ "$got" != "$want_here" ]; then
		fail "exit code $code, output '$got' instead of '$want_here': $*"
		head -c 3000 "$work/.err"
	fi
}

first=$("$lampo" build -q --program /usr/bin/python3 --add ./app -t app -- job.py one two) || fail "cannot build app"
again=$("$lampo" build -q --program /usr/bin/python3 --add ./app -- job.py one two) || fail "cannot build app again"
[ "$first" = "$again" ] || fail "$first and $again: two digests of the same input"
image "$want" app </dev/null
image "$(echo "$want" | sed "s/\['one', 'two'\]/['three']/")" app job.py three </dev/null
image "False False" app -c 'import os; print(os.path.exists("/usr/bin/perl"), os.path.exists("/etc/debian_version"))' </dev/null

"$lampo" build -q --program /usr/bin/sqlite3 -t sql >/dev/null || fail "cannot build sql"
echo 'select 6 * 7;' | image 42 sql

# A Lampofile that builds on it.
printf 'FROM app\nENV WHO=lampo\nWORKDIR /app\nCOPY hello.py .\nCMD ["hello.py"]\n' >app/Lampofile
echo 'import os; print("hello", os.environ["WHO"])' >app/hello.py
"$lampo" build -q -t hello app >/dev/null || fail "cannot build hello"
image "hello lampo" hello </dev/null
finish
