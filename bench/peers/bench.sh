#!/usr/bin/env bash
# Runs the benchmarks of this module and those of plugins/host that time a call alone, round by round, and prints medians and ratios.
#
#   ROUNDS=10 TIME=100ms bench/peers/bench.sh [file for the raw results]
#
# GOGC is what the server sets, unless it is set.
set -euo pipefail
cd "$(dirname "$0")"
go=${GO:-go}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
raw=${1:-$tmp/raw}
: >"$raw"

"$go" test -count=1 -run Agree . # what is timed must be the same rule
"$go" test -c -o "$tmp/peers.test" .
"$go" -C ../.. test -c -o "$tmp/host.test" ./plugins/host
"$go" build -o "$tmp/table" ./table

"$go" version
"$go" list -m -f '{{.Path}} {{.Version}}' github.com/BobuSumisu/aho-corasick github.com/petar-dambovaliev/aho-corasick \
	github.com/extism/go-sdk github.com/open-policy-agent/opa github.com/tetratelabs/wazero
for round in $(seq "${ROUNDS:-10}"); do
	printf 'round %d, load %s\n' "$round" "$(cut -d' ' -f1 /proc/loadavg 2>/dev/null || echo unknown)"
	GOGC=${GOGC:-220} "$tmp/host.test" -test.run '^$' -test.bench '^Benchmark(Call|WordsCall|WordsNative)$' -test.benchtime "${TIME:-100ms}" >>"$raw"
	GOGC=${GOGC:-220} "$tmp/peers.test" -test.run '^$' -test.bench . -test.benchtime "${TIME:-100ms}" >>"$raw"
done
grep -m1 '^cpu:' "$raw" || true
"$tmp/table" <"$raw"
