#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Nothing that a program does in its VM reaches the host or another VM, but through a volume that was given rw; and it
# sees no more of the host than it should.
. "$(dirname "$0")/../programs/lib.sh"
need /usr/bin/python3
py() { # [OPTION...] -- CODE: a snippet of Python in a VM
	options=
	while [ "$1" != -- ]; do
		options="$options $1"
		shift
	done
	# shellcheck disable=SC2086
	guest $options -- /usr/bin/python3 -c "$2"
}

printf 'of the host' >file
mkdir dir ro rw
printf 'x' >ro/f
printf 'y' >rw/f
ln -s /etc/shadow to-shadow
ln -s "$HOME" to-home
ln -s ../../../../../../etc/hostname up

py -- '
import os, sys
open("file", "w").write("of the guest")
assert open("file").read() == "of the guest"
open("new", "w").write("1"); os.mkdir("newdir"); os.rename("dir", "moved"); os.chmod("file", 0o600)
for path in ("/usr/bin/lampo-was-here", "/etc/lampo-was-here", "/tmp/lampo-was-here"):
    open(path, "w").write("x")
os.unlink("/usr/bin/git" if os.path.exists("/usr/bin/git") else "/usr/bin/env")
open("/etc/passwd", "a").write("evil::0:0::/:/bin/sh\n")
assert "evil" in open("/etc/passwd").read()
' >out 2>&1 || fail "writing inside: $(cat out)"
[ "$(cat file)" = 'of the host' ] && [ ! -e new ] && [ ! -e newdir ] && [ -d dir ] && [ ! -e moved ] || fail "the VM changed its working directory on the host"
[ ! -e /usr/bin/lampo-was-here ] && [ ! -e /etc/lampo-was-here ] && [ ! -e /tmp/lampo-was-here ] || fail "the VM wrote into the host's files"
! grep -q '^evil' /etc/passwd || fail "the VM wrote /etc/passwd"
gives 'of the host' -- cat file

# Volumes.
py -v "$work/ro:/data" -- '
import os, sys
assert open("/data/f").read() == "x"
for change in (lambda: open("/data/f", "w"), lambda: open("/data/n", "w"), lambda: os.unlink("/data/f"), lambda: os.mkdir("/data/d"),
               lambda: os.rename("/data/f", "/data/g"), lambda: os.chmod("/data/f", 0), lambda: os.symlink("a", "/data/l"), lambda: os.truncate("/data/f", 0)):
    try:
        change()
        sys.exit("a read-only volume was changed")
    except OSError as e:
        assert e.errno == 30, e
' >out 2>&1 || fail "read-only volume: $(cat out)"
[ "$(cat ro/f)" = x ] && [ "$(ls ro)" = f ] || fail "the read-only volume was changed"
py -v "$work/rw:/data:rw" -- '
import os
open("/data/f", "a").write("+"); open("/data/new", "w").write("n" * 100000); os.mkdir("/data/d"); os.rename("/data/new", "/data/d/moved")
os.symlink("/etc/shadow", "/data/link"); os.link("/data/f", "/data/hard"); os.chmod("/data/f", 0o640)
' >out 2>&1 || fail "writable volume: $(cat out)"
[ "$(cat rw/f)" = y+ ] && [ "$(stat -c %s rw/d/moved)" = 100000 ] && [ "$(readlink rw/link)" = /etc/shadow ] && [ rw/f -ef rw/hard ] &&
	[ "$(stat -c %a rw/f)" = 640 ] || fail "the writable volume has something else: $(ls -l rw)"

# What is not given is not there.
printf 'secret' >"$work/../lampo-neighbour-$$"
py -- "
import os, socket, sys
def gone(path):
    try:
        open(path).read()
        sys.exit('can read ' + path)
    except OSError:
        pass
for path in ('/etc/shadow', '/etc/sudoers', '/root/.bashrc', 'to-shadow', '/etc/ssl/private/ssl-cert-snakeoil.key', '../lampo-neighbour-$$', '/tmp/lampo-neighbour-$$',
             '/boot/vmlinuz', '/var/log/dpkg.log', '/dev/mem', '/dev/kvm', '/dev/vda', '/sys/kernel/security'):
    gone(path)
assert not os.path.isdir('to-home') or os.listdir('to-home') == [], os.listdir('to-home')
assert len([n for n in os.listdir('/proc') if n.isdigit()]) == 1
assert os.getpid() == 1 or os.getpid() > 0
try:
    s = socket.socket(socket.AF_INET)
    s.connect(('127.0.0.1', 22))
    sys.exit('there is a network')
except OSError:
    pass
assert os.readlink('up').startswith('..')
" >out 2>&1 || fail "too much is seen: $(cat out)"
rm -f "$work/../lampo-neighbour-$$"
finish
