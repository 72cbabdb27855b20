#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# jq: filters over a large document, from a file and from standard input, and its exit codes.
. "$(dirname "$0")/lib.sh"
need jq

awk 'BEGIN { print "["; for (i = 0; i < 8000; i++) printf "%s{\"id\": %d, \"name\": \"n%d\", \"tags\": [\"a%d\", \"ü\"], \"v\": %.3f}\n", i ? "," : "", i, i % 100, i % 7, i / 3; print "]" }' >data.json
same -- jq -c 'group_by(.name) | map({name: .[0].name, n: length, sum: (map(.v) | add)}) | .[:10]' data.json
same -- jq -r '.[] | select(.id % 1000 == 0) | [.id, .name, (.tags | join("-"))] | @csv' data.json
stdin=data.json same -- jq '[.[] | .v] | (add / length), max, min'
same -- jq -n '[limit(10; range(100) | . * .)] | tojson | test("81")'
echo '{"broken": ' >bad.json
same -- jq . bad.json
same -- jq -e .missing data.json
same -- jq . no-such-file
finish
