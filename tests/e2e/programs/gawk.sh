#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# gawk: fields, arrays, regular expressions, big numbers, several files.
. "$(dirname "$0")/lib.sh"
need gawk

gawk 'BEGIN { srand(1); for (i = 0; i < 30000; i++) print i, "user" i % 50, int(i * 7919 % 10007) / 8 }' >data
same -- gawk '{ n[$2]++; s[$2] += $3 } END { PROCINFO["sorted_in"] = "@ind_str_asc"; for (u in n) printf "%s %d %.3f\n", u, n[u], s[u] }' data
same -- gawk -M 'BEGIN { print 2^200, 3^100 % 1000007 }'
same -- gawk 'match($0, /user([0-9]+)/, m) && m[1] % 7 == 0 { c++ } END { print c, FILENAME, FNR }' data data
same -- gawk 'BEGIN { print strftime("%Y", 86400 * 400, 1), length("äöü"), toupper("ß"), gensub(/(a)(b)/, "\\2\\1", "g", "abab"); exit 9 }'
stdin=data same -- gawk -F'user' 'NR % 5000 == 0 { print $2 }'
same -- gawk '{ print > "/dev/stderr" } END { exit NR }' no-such-file
finish
