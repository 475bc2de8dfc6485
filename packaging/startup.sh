#!/usr/bin/env bash
# Renews packaging/startup.ld: the functions that a restart runs, then those of its check. The linker puts them
# side by side (build.rs), so that a run reads in, and weighs, a third less. Hashes in the names are left open:
# what a new compiler or dependency renames falls back into the rest of the program, so renew it before a release.
#
# Usage: packaging/startup.sh
# Needs valgrind, nginx, openssl.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'kill $(jobs -p); rm -rf "$work"' EXIT

cargo rustc --locked --profile dist --bin nest -- -C strip=none
cp target/dist/nest "$work/nest"
rustc --edition 2024 -O -o "$work/responder" benches/responder.rs

cd "$work"
export HOME="$work" PATH="$work:$PATH"
(umask 077 && od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >host.key)
./responder >address &
within() { # five seconds
    for _ in {1..500}; do "$@" 2>/dev/null && return; sleep 0.01; done
    echo "not within five seconds: $*" >&2
    exit 1
}
within test -s address
http=$(<address)

# The same server behind TLS, with a CA of its own.
port=$(shuf -i 20000-30000 -n 1)
key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
openssl req -x509 "${key[@]}" -keyout ca.key -out ca.pem -subj /CN=ca 2>/dev/null
openssl req -x509 "${key[@]}" -keyout tls.key -out tls.pem -subj /CN=localhost -CA ca.pem -CAkey ca.key \
    -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE 2>/dev/null
cat >nginx.conf <<NGINX
daemon off; pid $work/nginx.pid; error_log $work/error.log;
events {}
http {
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fast; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server {
        listen 127.0.0.1:$port ssl;
        ssl_certificate $work/tls.pem; ssl_certificate_key $work/tls.key;
        location / { proxy_pass $http; }
    }
}
NGINX
nginx -p "$work" -c nginx.conf 2>/dev/null &
within bash -c ": </dev/tcp/127.0.0.1/$port"

export NEST_KEY_FILE="$work/host.key"
traced=(valgrind --quiet --tool=callgrind --demangle=no)
trace() { # NAME ARGUMENT…
    echo "nest ${*:2}"
    "${traced[@]}" --callgrind-out-file="$1" nest "${@:2}" >/dev/null
}
trace 1 restart demo --quiet --api "$http"
trace 2 restart demo --quiet --api "https://localhost:$port" --cacert "$work/ca.pem"
unset NEST_KEY_FILE
echo "nest restart demo --check"
nest mock -- "${traced[@]}" --callgrind-out-file=3 nest restart demo --check >/dev/null

# fn=(12) _ZN4core3fmt5write17h0123456789abcdefE: the hash, and what the compiler adds behind it, are left open.
names() {
    sed -nE "s/^c?fn=\([0-9]+\) ((_ZN|_R|rustsecp256k1_|ring_core_)[^']*).*/\1/p" "$@" |
        sed -E 's/17h[0-9a-f]{16}E.*/17h*E*/; s/Cs[0-9A-Za-z]{8,13}_/Cs*_/g; s/\.llvm\..*/*/' | awk '!seen[$0]++'
}
{
    echo "/* Written by packaging/startup.sh. */"
    echo "SECTIONS"
    echo "{"
    echo "  .text.begin :"
    echo "  {"
    names 1 2 3 | sed 's/.*/    *(.text.&)/'
    echo "  }"
    echo "}"
    echo "INSERT BEFORE .text;"
} >startup.ld
mv startup.ld "$OLDPWD/packaging/startup.ld"
echo "packaging/startup.ld has $(names 1 2 3 | wc -l) names"
