#!/usr/bin/env bash
# gofmt, vet, staticcheck (pinned by go tool) and shellcheck: make lint.
set -euo pipefail
cd "$(dirname "$0")/.."
test -z "$(gofmt -l .)" || { echo "Not gofmt'd:"; gofmt -l .; exit 1; }
go vet ./...
go tool staticcheck ./...
if command -v shellcheck >/dev/null; then
	shellcheck -x -P test test/*.sh .ci/run
else
	echo "SKIPPED, NOT CHECKED: shellcheck is not installed"
fi
