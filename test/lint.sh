#!/usr/bin/env bash
# gofmt, vet, staticcheck (pinned by go tool) and shellcheck, and whether it all builds
# for every system: make lint.
set -euo pipefail
cd "$(dirname "$0")/.."

# systems builds the program for each system and vets everything for it.
systems() {
	export CGO_ENABLED=0
	local os arch begin
	for os in linux darwin freebsd windows; do
		begin=$SECONDS
		GOOS=$os GOARCH=amd64 go vet ./...
		for arch in amd64 arm64; do GOOS=$os GOARCH=$arch go build -o /dev/null ./cmd/kiln; done
		echo "$os: vetted, and builds for amd64 and arm64 ($((SECONDS - begin)) s)"
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
