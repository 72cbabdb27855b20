#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A program that wants more memory than its VM has is ended as Linux would end it, its monitor lives to say so, and the
# host never gives more than was asked for.
. "$(dirname "$0")/../programs/lib.sh"
need /usr/bin/python3 gcc

cat >eat.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
int main(int argc, char **argv)
{
	size_t mib = (size_t)atoi(argv[1]);
	char *p = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return 3;
	for (size_t i = 0; i < mib << 20; i += 4096)
		p[i] = (char)i;
	puts("got it");
	return argc > 2 ? munmap(p, mib << 20) : 0;
}
END
compiled eat eat.c -- gcc -O1 -o eat eat.c || fail "cannot compile"
gives 'got it' --memory 64M -- ./eat 40
for memory in 32 64 128; do
	guest --memory ${memory}M -- ./eat 1000 >out 2>err
	code=$?
	[ $code -eq 137 ] || fail "$memory MiB: exit code $code instead of 137: $(head -c 300 out err)"
	[ "$(grep -vc '^$' err)" -le 2 ] || fail "more than a line about it: $(cat err)"
done
# Through files in memory: the write fails with ENOSPC or the program is ended, and the VM stays in its bounds.
guest --memory 64M -- dd if=/dev/zero of=/tmp/full bs=1M count=1000 >out 2>err
code=$?
[ $code -eq 1 ] || [ $code -eq 137 ] || fail "filling /tmp: exit code $code: $(head -c 300 err)"
# Not enough to start: one sentence, 125.
guest --memory 1M -- /bin/true >out 2>err
code=$?
[ $code -eq 125 ] || fail "1 MiB: exit code $code: $(cat err)"
# Allocation failure is reported to who asks politely.
guest --memory 64M -- /usr/bin/python3 -c '
import sys
try:
    b = bytearray(10 << 40)
except MemoryError:
    sys.exit(7)' >out 2>err
[ $? -eq 7 ] || fail "no MemoryError: $(cat err)"
# The host gives memory only as it is touched.
guest --memory 8G -- /bin/true >out 2>err || fail "8 GiB: $(cat err)"
finish
