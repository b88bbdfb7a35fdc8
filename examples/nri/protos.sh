#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Write the Python of NRI's API into a folder: ./protos.sh FOLDER
# Needs Go to fetch the API's .proto, and grpcio-tools.
set -eu
nri=github.com/containerd/nri
source=$(cd / && go mod download -json $nri@v0.11.0 | sed -n 's/^.*"Dir": "\(.*\)".*$/\1/p')
mkdir -p "$1"
python -m grpc_tools.protoc "-I$nri=$source" --python_out="$1" --pyi_out="$1" --pyttrpc_out="$1" \
    $nri/pkg/api/api.proto
