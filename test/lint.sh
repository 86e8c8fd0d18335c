#!/usr/bin/env bash
# gofmt, vet, staticcheck (pinned by go tool) and shellcheck, and whether it all builds
# for every system: make lint.
set -euo pipefail
cd "$(dirname "$0")/.."

# systems vets everything for each system, and builds the program for it.
systems() {
	export CGO_ENABLED=0
	local os begin
	for os in linux darwin freebsd windows; do
		begin=$SECONDS
		GOOS=$os GOARCH=amd64 go vet ./...
		GOOS=$os GOARCH=arm64 go build -o /dev/null ./cmd/kiln
		echo "$os: vetted for amd64, and builds for arm64 ($((SECONDS - begin)) s)"
	done
}

test -z "$(gofmt -l .)" || { echo "Not gofmt'd:"; gofmt -l .; exit 1; }
go vet ./...
go tool staticcheck ./...
(systems)
if command -v shellcheck >/dev/null; then
	shellcheck -x -P test test/*.sh .ci/run
	shellcheck -x -P kilntest/disk/make kilntest/disk/make/*.sh
else
	echo "SKIPPED, NOT CHECKED: shellcheck is not installed"
fi
