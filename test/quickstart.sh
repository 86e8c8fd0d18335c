#!/usr/bin/env bash
# The main job on a fresh machine: a chain of images, foundation -> base ->
# application, each baked by Kiln from the one before it. make quickstart.
set -euo pipefail
cd "$(dirname "$0")/.."
. test/setup.sh
need dockerd docker.io
need docker docker.io
need iptables iptables
need mmdebstrap mmdebstrap
need gpg gpg
install_missing
start_docker
kiln=$PWD/bin/kiln
cd examples/chain
"$kiln" build foundation.pkr.hcl
"$kiln" build base.pkr.hcl
"$kiln" build -properties=out/application.properties application.pkr.hcl
echo
echo "What came out:"
docker images --format '{{.Repository}}:{{.Tag}}  {{.Size}}' | grep '^kiln/' | sed 's/^/  /'
echo "The application says:"
docker run --rm kiln/application:latest | sed 's/^/  /'
echo "Its id, for the job that comes next (examples/chain/out/application.properties):"
sed 's/^/  /' out/application.properties
