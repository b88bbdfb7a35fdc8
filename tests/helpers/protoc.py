# SPDX-License-Identifier: Apache-2.0
"""The requests that protoc makes to a plugin."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

ROOT: Final = Path(__file__).parents[2]
PEER: Final = "bench/ttrpc/peer.proto"


def request_for(*names: str, root: Path = ROOT) -> CodeGeneratorRequest:
    """Return protoc's request for these files, with all the files they import."""
    result = subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc", f"-I{root}"),
            f"-I{ROOT / 'src'}",
            *("--include_imports", "--include_source_info"),
            *("--descriptor_set_out=/dev/stdout", *names),
        ],
        check=True,
        capture_output=True,
    )
    files = FileDescriptorSet.FromString(result.stdout).file
    return CodeGeneratorRequest(file_to_generate=names, proto_file=files)
