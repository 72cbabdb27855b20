#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# git: log, diff, blame and fsck of a repository that is only readable, and commits into one inside the VM.
. "$(dirname "$0")/lib.sh"
need git
export HOME="$work" GIT_CONFIG_NOSYSTEM=1 GIT_PAGER=cat
cat >.gitconfig <<'END'
[user]
	name = Test
	email = test@example.org
[gc]
	auto = 0
[core]
	pager = cat
	# fsck would start a program for each of these.
	commitGraph = false
	multiPackIndex = false
[safe]
	directory = *
END
git init -q repo
i=0
while [ $i -lt 40 ]; do
	mkdir -p repo/dir$((i % 4))
	gawk_text="line one $i\nline two\n"
	# shellcheck disable=SC2059
	printf "$gawk_text" >>repo/dir$((i % 4))/file$((i % 9))
	git -C repo add -A
	GIT_AUTHOR_DATE="@$((1700000000 + i)) +0000" GIT_COMMITTER_DATE="@$((1700000000 + i)) +0000" git -C repo commit -qm "change $i"
	i=$((i + 1))
done
git -C repo tag v1 HEAD~10
git -C repo gc -q 2>/dev/null
printf 'loose\n' >repo/loose
git -C repo add loose
GIT_AUTHOR_DATE='@1700001000 +0000' GIT_COMMITTER_DATE='@1700001000 +0000' git -C repo commit -qm loose

same -- git -C repo log --stat --format=fuller
same -- git -C repo log --oneline --graph -n 5
same -- git -C repo fsck --full --strict
same -- git -C repo diff v1 HEAD
same -- git -C repo blame dir1/file1
same -- git -C repo status --porcelain
same -- git -C repo rev-parse HEAD HEAD^{tree}
same -- git -C repo cat-file -p HEAD:dir2
same -- git -C repo log no-such-branch
before=$(find repo -type f | sort | xargs sha256sum | sha256sum)
if [ "$lampo" != native ]; then
	guest -- git -C repo commit --allow-empty -qm inside >log 2>&1 || fail "commit in the VM: $(cat log)"
	[ "$before" = "$(find repo -type f | sort | xargs sha256sum | sha256sum)" ] || fail "the VM changed the repository on the host"
fi
# On a volume that may be written.
cp -a repo volume
guest -v "$work/volume:$work/volume:rw" -- git -C "$work/volume" commit --allow-empty -qm 'from the VM' >log 2>&1 ||
	fail "commit on the volume: $(cat log)"
[ "$(git -C volume log -1 --format=%s)" = 'from the VM' ] || fail "the host does not see the commit"
git -C volume fsck --full --strict >log 2>&1 || fail "fsck after the commit: $(cat log)"
finish
