#!/usr/bin/env bash
# Every fuzz target for FUZZTIME each (default 1m): make fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."
grep -rlE '^func Fuzz' --include='*_test.go' . | while read -r file; do
	dir=$(dirname "$file")
	grep -oE '^func Fuzz[A-Za-z0-9]+' "$file" | awk '{print $2}' | while read -r target; do
		echo "== $dir $target"
		go test "$dir" -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-1m}" -parallel "${FUZZPARALLEL:-2}"
	done
done
