#!/bin/sh
# Builds the guests to the .wasm beside them, all with the same compiler and flags; the committed ones are of clang 14.
#
#   build.sh           builds all
#   build.sh --check   builds to a temporary directory and fails if a committed module differs
set -eu
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

status=0
for c in *.c; do
	"${CLANG:-clang}" --target=wasm32 -std=c11 -O2 -g0 -ffreestanding -fno-ident -nostdlib -mbulk-memory \
		-Wall -Wextra -Werror -I../../../plugins/sdk/c -Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=16384 -o "$tmp/guest.wasm" "$c"
	chmod 644 "$tmp/guest.wasm"
	case "${1:-}" in
	"") cp "$tmp/guest.wasm" "${c%.c}.wasm" ;;
	--check) cmp -s "$tmp/guest.wasm" "${c%.c}.wasm" || { echo "${c%.c}.wasm is not what $c gives; run bench/peers/guests/build.sh" >&2; status=1; } ;;
	*) echo "usage: build.sh [--check]" >&2; exit 2 ;;
	esac
done
exit $status
