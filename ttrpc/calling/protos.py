# SPDX-License-Identifier: Apache-2.0
"""The services that .proto files and descriptor sets declare."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ttrpc.descriptor_set import parse_services
from ttrpc.service import Method, Service


def compile_protos(files: Sequence[str], folders: Sequence[str]) -> dict[str, Service]:
    """Have protoc read .proto files; return their services and those they import.

    Args:
        files: Paths, or names below one of `folders`.
        folders: Where imports are; without any, the folders of the files.

    Raises:
        ValueError: there is no protoc, or a file has a fault.
    """
    paths = [f"-I{it}" for it in folders or dict.fromkeys(map(_folder, files))]
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "descriptors"
        result = subprocess.run(
            [
                *(*_protoc(), *paths, "--include_imports"),
                *(f"--descriptor_set_out={out}", *files),
            ],
            capture_output=True,
            text=True,
        )
        if result.returncode:
            raise ValueError(f"protoc: {result.stderr.strip()}")
        return parse_services(out.read_bytes())


def find_method(services: Mapping[str, Service], name: str) -> Method[Any, Any]:
    """Return the method called `demo.Echo/Shout` or `/demo.Echo/Shout`.

    Raises:
        ValueError: there is none; the error names those that there are.
    """
    service, _, method = name.removeprefix("/").rpartition("/")
    if service not in services:
        known = ", ".join(sorted(services)) or "none"
        raise ValueError(f"{name!r}: no service {service!r}; there are: {known}")
    methods = services[service].methods
    if method not in methods:
        known = ", ".join(methods) or "none"
        raise ValueError(f"{name!r}: no method {method!r}; there are: {known}")
    return methods[method]


def _folder(file: str) -> str:
    return str(Path(file).parent)


def _protoc() -> list[str]:
    if importlib.util.find_spec("grpc_tools"):
        return [sys.executable, "-P", "-m", "grpc_tools.protoc"]
    if program := shutil.which("protoc"):
        return [program]
    raise ValueError(
        "protoc: not found; install grpcio-tools from PyPI or protobuf-compiler of "
        "Debian, or give --descriptor-set"
    )
