#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# xz, zstd, gzip and tar on a large file: what the VM packs the host unpacks, and the other way round.
. "$(dirname "$0")/lib.sh"
need xz zstd gzip tar
mkdir out tree tree/sub
volume="$work/out:$work/out:rw"

cat /usr/bin/perl /usr/bin/openssl /usr/bin/git >big 2>/dev/null
awk 'BEGIN { for (i = 0; i < 60000; i++) print i, i * i, "some text that repeats itself" }' >>big
[ "$(stat -c %s big)" -gt 5000000 ] || fail "the input is too small"

for tool in 'xz -1 -T2' 'zstd -3 -T2' 'gzip -1'; do
	# shellcheck disable=SC2086
	guest --cpus 2 --memory 512M -- $tool -c big >packed 2>err || fail "$tool: $(cat err)"
	# shellcheck disable=SC2086
	${tool%% *} -dc packed | cmp - big || fail "$tool: the host unpacks something else"
	# shellcheck disable=SC2086
	guest --memory 512M -- ${tool%% *} -dc packed 2>err | cmp - big || fail "$tool -d in the VM: $(cat err)"
done
zstd -q -19 --long big -o best.zst
stdin=best.zst same -- zstd -dc
printf 'this is no archive' >bad.xz
same -- xz -t bad.xz

cp big tree/big
ln -s big tree/link
ln tree/big tree/sub/hard
printf 'with space' >'tree/sub/a b'
mkfifo tree/fifo
chmod 640 'tree/sub/a b'
touch -d '2001-02-03 04:05:06.5' tree/sub/'a b'
guest -v "$volume" -- tar -cf "$work/out/t.tar" --sort=name tree >log 2>&1 || fail "tar -c: $(cat log)"
tar -cf host.tar --sort=name tree
tar -tvf out/t.tar >list.guest
tar -tvf host.tar >list.host
cmp list.guest list.host || diff list.guest list.host | head -5
[ -s list.guest ] && cmp -s list.guest list.host || fail "the archives differ"
guest -v "$volume" -- tar -xf host.tar -C "$work/out" >log 2>&1 || fail "tar -x: $(cat log)"
diff -r --no-dereference tree out/tree >log 2>&1
grep -v 'fifo' log | head -3
cmp tree/big out/tree/big || fail "the unpacked file differs"
[ "$(stat -c '%a %Y %h' out/tree/sub/'a b' out/tree/big)" = "$(stat -c '%a %Y %h' tree/sub/'a b' tree/big)" ] || fail "modes, times or links were lost"
[ "$(readlink out/tree/link)" = big ] && [ -p out/tree/fifo ] || fail "link or fifo was lost"
finish
