#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The man page and the completion in the repository are those that the table of commands makes, and the completion works.
here=$(cd "$(dirname "$0")/../.." && pwd)
build=${LAMPO_BUILD:-$here/${B:-build}}
temp=$(mktemp -d) || exit 1
trap 'rm -rf "$temp"' EXIT
if [ ! -x "$build/cli-docs" ]; then
	echo "cli-docs is not built (make e2e-tools)"
	exit 77
fi
failed=0
"$build/cli-docs" man "$here/man/lampo.1.in" > "$temp/lampo.1" || failed=1
"$build/cli-docs" bash > "$temp/bash" || failed=1
cmp "$temp/lampo.1" "$here/man/lampo.1" || { echo "man/lampo.1 is stale: run 'make docs'"; failed=1; }
cmp "$temp/bash" "$here/share/bash-completion/lampo" || { echo "the completion is stale: run 'make docs'"; failed=1; }
if command -v groff > /dev/null; then
	groff -man -ww -Tutf8 "$temp/lampo.1" 2>&1 > /dev/null | grep . && failed=1
fi
complete() { # WORD... : what completes the last word
	PATH="$build:$PATH" bash -c '
		. "$1"; shift
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_lampo; printf "%s\n" "${COMPREPLY[@]}"' bash "$temp/bash" "$@"
}
expect() { # PATTERN WORD...
	pattern=$1
	shift
	complete "$@" | grep -q -x -e "$pattern" || { echo "no '$pattern' for: $*"; failed=1; }
}
expect run lampo r
expect doctor lampo d
expect --memory lampo run --m
expect --json lampo ps --
expect TERM lampo kill -s T
expect stop lampo help s
expect rmi lampo r
expect image lampo im
expect verify lampo image v
expect --all lampo image verify --a
expect true lampo run --cpus 2 tru
expect true lampo run -d -- tru
exit $failed
