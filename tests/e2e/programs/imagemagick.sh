#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ImageMagick: decode, scale, filter and encode an image, pixel for pixel as on the host.
. "$(dirname "$0")/lib.sh"
convert=/usr/bin/convert-im6.q16
need $convert

awk 'BEGIN { printf "P3\n320 240\n255\n"; for (y = 0; y < 240; y++) for (x = 0; x < 320; x++) print (x * y) % 256, (x + y) % 256, (x * 3 + int(y * y / 7)) % 256 }' >in.ppm
same --memory 512M -- $convert in.ppm -resize 50% -blur 0x2 -rotate 30 ppm:-
same --memory 512M -- $convert in.ppm -colorspace Gray -edge 1 -depth 8 gray:-
guest --memory 512M -- $convert in.ppm -quality 90 png:- >guest.png 2>err || fail "png: $(head -c 500 err)"
[ "$($convert guest.png rgb:- | sha256sum)" = "$($convert in.ppm rgb:- | sha256sum)" ] || fail "the PNG has other pixels"
guest --memory 512M -- $convert in.ppm jpeg:- >guest.jpg 2>err || fail "jpeg: $(head -c 500 err)"
$convert in.ppm host.jpg
cmp -s guest.jpg host.jpg || [ "$($convert guest.jpg rgb:- | sha256sum)" = "$($convert host.jpg rgb:- | sha256sum)" ] || fail "the JPEG has other pixels"
same --memory 512M --cpus 2 -- $convert host.jpg -fft +depth -delete 1 -resize 64x64 rgb:-
echo nonsense >bad.png
same -- $convert bad.png out.ppm
finish
