#!/usr/bin/env bash
# gofmt, vet, staticcheck (pinned by go tool) and shellcheck, and whether it all builds
# for every system: make lint.
set -euo pipefail
cd "$(dirname "$0")/.."

# What is not for other systems yet, with the reason. Whatever imports it is left out too.
declare -A unported=(
	[darwin]="kiln/cmd/kiln asks terminals in the way of Linux alone"
	[freebsd]="kiln/cmd/kiln asks terminals in the way of Linux alone"
	[windows]="kiln/internal/journal locks files in the way of Unix alone"
)

# packages lists the packages of a system but for those that use what is not ported.
packages() {
	local without="${unported[$1]:-}"
	GOOS=$1 go list -f '{{.ImportPath}} {{join .Deps " "}} {{join .TestImports " "}} {{join .XTestImports " "}} .' ./... |
		{ if [ -n "$without" ]; then grep -vE "(^| )${without%% *} |kiln/kilntest " || true; else cat; fi; } | cut -d' ' -f1
}

# systems builds the program for each system and vets everything for it.
systems() {
	export CGO_ENABLED=0
	local os arch begin
	for os in linux darwin freebsd windows; do
		begin=$SECONDS
		if [ -n "${unported[$os]:-}" ]; then
			echo "$os: LEFT OUT, NOT CHECKED: what uses ${unported[$os]}"
			packages $os | GOOS=$os GOARCH=amd64 xargs go vet
			packages $os | GOOS=$os GOARCH=arm64 xargs go build
		else
			GOOS=$os GOARCH=amd64 go vet ./...
			for arch in amd64 arm64; do GOOS=$os GOARCH=$arch go build -o /dev/null ./cmd/kiln; done
		fi
		echo "$os: builds for amd64 and arm64 ($((SECONDS - begin)) s)"
	done
}

test -z "$(gofmt -l .)" || { echo "Not gofmt'd:"; gofmt -l .; exit 1; }
go vet ./...
go tool staticcheck ./...
(systems)
if command -v shellcheck >/dev/null; then
	shellcheck -x -P test test/*.sh .ci/run
else
	echo "SKIPPED, NOT CHECKED: shellcheck is not installed"
fi
