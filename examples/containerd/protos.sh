#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Write the Python of containerd's API into a folder: ./protos.sh FOLDER
# Needs Go to fetch the API's .protos, and grpcio-tools.
set -eu
api=github.com/containerd/containerd/api
source=$(cd / && go mod download -json $api@v1.8.0 | sed -n 's/^.*"Dir": "\(.*\)".*$/\1/p')
mkdir -p "$1"
python -m grpc_tools.protoc "-I$api=$source" --python_out="$1" --pyi_out="$1" --pyttrpc_out="$1" \
    $api/runtime/task/v2/shim.proto $api/services/ttrpc/events/v1/events.proto \
    $api/events/task.proto $api/types/event.proto $api/types/fieldpath.proto \
    $api/types/mount.proto $api/types/task/task.proto
