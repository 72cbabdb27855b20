# SPDX-License-Identifier: Apache-2.0
# What the program tests share; each sources this file first. A test gives a program of Debian a real task in a VM and
# compares its output and exit code with those of the same program on the host.
#
# LAMPO  the command line to test (default build/lampo); "native": run everything on the host, to prove the test itself
# VM_OPTIONS  further options for every `lampo run`
set -u
export LC_ALL=C.UTF-8 PATH=/usr/bin:/bin:/usr/sbin:/sbin

top=$(cd "$(dirname "$0")/../../.." && pwd)
build=$top/${B:-build}
lampo=${LAMPO:-$build/lampo}
failed=0

work=$(mktemp -d "${TMPDIR:-/tmp}/lampo-program-XXXXXX") || exit 1
LAMPO_RUN_DIR=${LAMPO_RUN_DIR:-$work/.vms}
export LAMPO_RUN_DIR
cleanup() {
	cd /
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
cd "$work" || exit 1

skip() {
	echo "$1"
	exit 77
}

fail() {
	echo "failed: $*"
	failed=1
}

need() {
	for program; do
		command -v "$program" >/dev/null || skip "$program is not installed"
	done
}

# guest [OPTION...] -- CMD...: in a VM, with the working directory (read-only, writes stay in the VM).
guest() {
	if [ "$lampo" = native ]; then
		while [ "$1" != -- ]; do shift; done
		shift
		"$@"
	else
		# shellcheck disable=SC2086
		"$lampo" run ${VM_OPTIONS:-} "$@"
	fi
}

# same [OPTION...] -- CMD...: the VM gives the same standard output and exit code as the host.
same() {
	options=
	while [ "$1" != -- ]; do
		options="$options $1"
		shift
	done
	shift
	"$@" <"${stdin:-/dev/null}" >"$work/.host.out" 2>"$work/.host.err"
	host_code=$?
	# shellcheck disable=SC2086
	guest $options ${stdin:+-i} -- "$@" <"${stdin:-/dev/null}" >"$work/.guest.out" 2>"$work/.guest.err"
	guest_code=$?
	if [ $host_code -ne $guest_code ]; then
		fail "exit code $guest_code instead of $host_code: $*"
		head -c 3000 "$work/.guest.err"
		echo "on the host: $(tail -c 1000 "$work/.host.out" "$work/.host.err")"
	elif ! cmp -s "$work/.host.out" "$work/.guest.out"; then
		fail "other output: $*"
		head -c 3000 "$work/.guest.err"
		diff "$work/.host.out" "$work/.guest.out" | head -c 3000
	fi
}

# gives TEXT [OPTION...] -- CMD...: the VM's standard output is TEXT, its exit code 0.
gives() {
	want=$1
	shift
	got=$(guest "$@" </dev/null 2>"$work/.guest.err")
	code=$?
	if [ $code -ne 0 ] || [ "$got" != "$want" ]; then
		fail "exit code $code, output '$got' instead of '$want': $*"
		head -c 3000 "$work/.guest.err"
	fi
}

# compiled OUT SOURCE -- COMMAND...: COMMAND makes OUT of SOURCE. Kept in the build folder, so that the rig, in which compilers are slow,
# takes what was compiled on the host.
compiled() {
	out=$1
	kept=$build/tests/programs/$(printf '%s ' "$@" | cat - "$2" | sha256sum | cut -c1-16)
	shift 3
	[ -f "$kept" ] || {
		"$@" >"$work/.compiler" 2>&1 || return 1
		mkdir -p "$build/tests/programs" && cp "$out" "$kept.$$" && mv "$kept.$$" "$kept"
	}
	cp "$kept" "$out"
}

finish() { exit $failed; }
