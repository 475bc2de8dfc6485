#!/usr/bin/env bash
# The whole process side by side: `nest restart` (reads the key, signs, sends, understands the answer) and
# `curl -X POST` with a header that somebody else has signed. Both talk to the same server on loopback.
#
# Usage: benches/side-by-side.sh [NEST]     NEST: target/dist/nest
# Needs bash, curl, xargs, GNU time, rustc.
set -euo pipefail
cd "$(dirname "$0")/.."
nest=$(realpath "${1:-target/dist/nest}")
rounds=105 runs=4 many=1000

work=$(mktemp -d)
# Installed like curl is: what the linker has just written lies in the page cache in small pieces, and starts slower.
install "$nest" "$work/nest"
nest=$work/nest
rustc --edition 2024 -O -o "$work/responder" benches/responder.rs
"$work/responder" >"$work/address" &
responder=$!
trap 'kill $responder; rm -rf "$work"' EXIT
until [[ -s $work/address ]]; do sleep 0.01; done
api=$(<"$work/address")

(umask 077 && od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$work/host.key")
# As long as a signed event for this URL is.
header="Authorization: Nostr $(head -c 500 /dev/urandom | base64 -w 0)"

one_nest=("$nest" restart room-1 --quiet)
one_curl=(curl --silent --show-error --fail --output "$work/answer" -X POST -H "$header" "$api/api/v1/nests/room-1/restart")
seq -f 'room-%g' "$many" >"$work/rooms"
many_nest() { xargs -x -n "$many" "$nest" restart --quiet <"$work/rooms"; }
many_curl() {
    xargs -P 8 -I ROOM curl --silent --show-error --fail --output "$work/answer" -X POST -H "$header" \
        "$api/api/v1/nests/ROOM/restart" <"$work/rooms"
}

# Nothing of the caller's environment: a proxy or another CA file would be work for one side only.
for name in $(compgen -e); do [[ $name == PATH ]] || export -n "$name"; done
export HOME="$work" NEST_API="$api" NEST_KEY_FILE="$work/host.key"
"${one_nest[@]}" && "${one_curl[@]}" # both work, or nothing is measured

# Microseconds that a command takes, all of its repetitions together.
micros() { # REPETITIONS COMMAND…
    local repetitions=$1 from=$EPOCHREALTIME to
    shift
    for ((i = 0; i < repetitions; i++)); do "$@"; done
    to=$EPOCHREALTIME
    echo $((${to/[.,]/} - ${from/[.,]/}))
}
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
peak() { /usr/bin/time -f %M "$@" 2>&1 >/dev/null | tail -n 1; } # KiB

# In turn, so that whatever else the machine does hits both.
for ((round = 0; round < rounds; round++)); do
    micros $runs "${one_nest[@]}" >>"$work/nest.us"
    micros $runs "${one_curl[@]}" >>"$work/curl.us"
    peak "${one_nest[@]}" >>"$work/nest.kib"
    peak "${one_curl[@]}" >>"$work/curl.kib"
done
for ((round = 0; round < 3; round++)); do
    micros 1 many_nest >>"$work/many-nest.us"
    micros 1 many_curl >>"$work/many-curl.us"
done

# SDP is in none but a build with audio.
limit=9.5
if grep -q ice-ufrag "$nest"; then limit=13; fi
awk -v nest="$(median <"$work/nest.us")" -v curl="$(median <"$work/curl.us")" -v runs=$runs \
    -v nest_kib="$(median <"$work/nest.kib")" -v curl_kib="$(median <"$work/curl.kib")" \
    -v many_nest="$(median <"$work/many-nest.us")" -v many_curl="$(median <"$work/many-curl.us")" \
    -v many=$many -v size="$(stat -c %s "$nest")" -v limit="$limit" '
function verdict(met) { return met ? "met" : "MISSED" }
BEGIN {
    print "| | nest | curl | ratio | aim | |"
    print "|---|---|---|---|---|---|"
    r = nest / curl
    printf "| one restart, wall time | %.1f ms | %.1f ms | %.2f | at most 0.35 | %s |\n", nest / runs / 1e3, curl / runs / 1e3, r, verdict(r <= 0.35)
    r = nest_kib / curl_kib
    printf "| one restart, peak memory | %.1f MB | %.1f MB | %.2f | at most 0.75 | %s |\n", nest_kib / 1024, curl_kib / 1024, r, verdict(r <= 0.75)
    r = many_curl / many_nest
    printf "| %d restarts: one call, `xargs -P 8` | %.2f s | %.2f s | %.0f times as fast | at least 10 | %s |\n", many, many_nest / 1e6, many_curl / 1e6, r, verdict(r >= 10)
    printf "| size of the binary | %.1f MB | | | at most %s MB | %s |\n", size / 1e6, limit, verdict(size <= limit * 1e6)
}'
