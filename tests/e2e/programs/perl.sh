#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# perl: text, numbers, modules with C parts, signals.
. "$(dirname "$0")/lib.sh"
need perl

cat >task.pl <<'END'
use strict; use warnings; use utf8;
use POSIX qw(floor strftime); use List::Util qw(sum max shuffle reduce); use Digest::SHA qw(sha256_hex);
use Data::Dumper; use Time::HiRes qw(sleep time); use Storable qw(freeze thaw); use File::Temp qw(tempdir); use Math::BigInt;
binmode STDOUT, ':utf8';
my %h; my $text = join ' ', map { "wort$_" x ($_ % 3 + 1) } 1 .. 2000;
$h{length $_}++ for split / /, $text;
print join(',', map { "$_=$h{$_}" } sort { $a <=> $b } keys %h), "\n";
(my $t = $text) =~ s/wort(\d+)/$1*2/ge;
print sha256_hex($t), "\n";
$Data::Dumper::Sortkeys = 1; print Dumper(thaw(freeze({ a => [1, 2, { b => 'ü' }], c => undef })));
print Math::BigInt->new(2)->bpow(300), ' ', sum(1 .. 1000), ' ', floor(-2.5), "\n";
print strftime('%Y-%m-%d', gmtime(86400 * 365)), "\n";
my $d = tempdir(CLEANUP => 1);
open my $f, '>', "$d/f" or die; print $f "line $_\n" for 1 .. 5000; close $f;
open $f, '<', "$d/f" or die; my @l = grep { /7$/ } <$f>; close $f; print scalar(@l), "\n";
my $got = 0; local $SIG{ALRM} = sub { $got++ }; Time::HiRes::ualarm(10000); sleep 0.1; print "alarm $got\n";
local $SIG{USR1} = sub { print "usr1\n" }; kill 'USR1', $$;
pipe my $r, my $w; syswrite $w, "through a pipe"; close $w; print <$r>, "\n";
eval { die { code => 5 } }; print "died $@->{code}\n";
print "args @ARGV\n"; exit 6;
END
same -- perl task.pl a 'b c'
printf 'eins zwei\ndrei vier\n' >input
stdin=input same -- perl -lane 'print $F[1]'
finish
