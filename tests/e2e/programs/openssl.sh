#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# openssl: keys, a certificate chain that is checked, signatures, ciphers, a short speed measurement.
. "$(dirname "$0")/lib.sh"
need openssl
mkdir out
volume="$work/out:$work/out:rw"

# Made in the VM, checked on the host.
guest -v "$volume" -- openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/out/key.pem" \
	-out "$work/out/cert.pem" -days 30 -subj '/CN=made in a VM' >log 2>&1 || fail "certificate: $(cat log)"
[ "$(openssl x509 -in out/cert.pem -noout -subject)" = 'subject=CN = made in a VM' ] || fail "the host cannot read the certificate"
openssl verify -CAfile out/cert.pem out/cert.pem >/dev/null || fail "the host does not accept the certificate"
guest -v "$volume" -- openssl genrsa -out "$work/out/rsa.pem" 2048 >log 2>&1 || fail "RSA key: $(cat log)"
openssl rsa -in out/rsa.pem -check -noout >/dev/null 2>&1 || fail "the RSA key is wrong"

head -c 2000000 /usr/bin/openssl >data 2>/dev/null
openssl dgst -sha256 -sign out/key.pem -out signature data
gives 'Verified OK' -v "$volume" -- openssl dgst -sha256 -prverify "$work/out/key.pem" -signature signature data
same -- openssl dgst -sha512 data
same -- openssl dgst -sha3-256 data
same -- openssl enc -aes-256-ctr -K 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f -iv 00000000000000000000000000000000 -in data
same -- openssl enc -chacha20 -pass pass:secret -pbkdf2 -nosalt -in data
same -- openssl version
same -- openssl verify out/cert.pem
guest -- openssl speed -seconds 1 -bytes 1024 sha256 >speed 2>&1 || fail "speed: $(cat speed)"
grep -q '^sha256  *[0-9.]*k' speed || fail "speed printed: $(cat speed)"
finish
