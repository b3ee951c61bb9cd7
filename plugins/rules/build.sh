#!/bin/sh
# Builds every rule in C to the .wasm beside it: the built-in rules, with their manifests, the guests of the host's tests and
# those of the conformance suite. The same compiler gives the same bytes; the committed ones are of clang 14.
#
#   build.sh           builds all
#   build.sh --check   builds to a temporary directory and fails if a committed module differs
set -eu
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"${GO:-go}" build -o "$tmp/addmanifest" ./abi/addmanifest

sources() {
	ls rules/*/*.c host/hosttest/testdata/*.c conformance/c/*.c meter/testdata/*.c 2>/dev/null
}

compile() { # source, output
	"${CLANG:-clang}" --target=wasm32 -std=c11 -O2 -g0 -ffreestanding -fno-ident -nostdlib -mbulk-memory \
		-Wall -Wextra -Werror -Isdk/c -Irules -Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=16384 -o "$2" "$1"
	if [ -f "$(dirname "$1")/plugin.json" ]; then
		"$tmp/addmanifest" "$(dirname "$1")" "$2" "$2"
	fi
	chmod 644 "$2"
}

case "${1:-}" in
"")
	for c in $(sources); do
		compile "$c" "${c%.c}.wasm"
	done
	;;
--check)
	status=0
	for c in $(sources); do
		compile "$c" "$tmp/rule.wasm"
		cmp -s "$tmp/rule.wasm" "${c%.c}.wasm" || { echo "${c%.c}.wasm is not what $c gives; run plugins/rules/build.sh" >&2; status=1; }
	done
	exit $status
	;;
*)
	echo "usage: build.sh [--check]" >&2
	exit 2
	;;
esac
