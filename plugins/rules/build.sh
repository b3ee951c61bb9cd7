#!/bin/sh
# Builds every rule in C to the .wasm beside it: the built-in rules and the guests of the host's tests. The same compiler
# gives the same bytes; the committed ones are of clang 14.
#
#   build.sh           builds all
#   build.sh --check   builds to a temporary directory and fails if a committed module differs
set -eu
cd "$(dirname "$0")/.."

sources() {
	ls rules/blocklist/blocklist.c rules/spam/spam.c host/hosttest/testdata/*.c
}

compile() { # source, output
	"${CLANG:-clang}" --target=wasm32 -std=c11 -O2 -g0 -ffreestanding -fno-ident -nostdlib -mbulk-memory \
		-Wall -Wextra -Werror -Irules -Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=16384 -o "$2" "$1"
	chmod 644 "$2"
}

case "${1:-}" in
"")
	for c in $(sources); do
		compile "$c" "${c%.c}.wasm"
	done
	;;
--check)
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	status=0
	for c in $(sources); do
		compile "$c" "$dir/rule.wasm"
		cmp -s "$dir/rule.wasm" "${c%.c}.wasm" || { echo "${c%.c}.wasm is not what $c gives; run plugins/rules/build.sh" >&2; status=1; }
	done
	exit $status
	;;
*)
	echo "usage: build.sh [--check]" >&2
	exit 2
	;;
esac
