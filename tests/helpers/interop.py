# SPDX-License-Identifier: Apache-2.0
"""Build the Go programs of `tests/interop`, and run them.

Their code is generated from our `.proto` files while building. Programs are kept
in the user's cache by a hash of all that they are made from, so that only the
first run after a change builds; the modules' versions are pinned by `go.sum`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = ROOT / "tests" / "interop"
PROGRAMS: Final = ("peer", "bench", "check", "agent", "health")
PLUGINS: Final = (
    "google.golang.org/protobuf/cmd/protoc-gen-go",
    "github.com/containerd/ttrpc/cmd/protoc-gen-go-ttrpc",
)
PACKAGES: Final = {
    "kata_protos/agent.proto": "agentpb",
    "kata_protos/oci.proto": "agentpb",
    "kata_protos/csi.proto": "agentpb",
    "kata_protos/health.proto": "agentpb",
    "kata_protos/types.proto": "typespb",
    "bench/ttrpc/peer.proto": "peerpb",
    "tests/interop/health.proto": "healthpb",
}
"""Which Go package is generated from which file."""


@pytest.fixture(scope="session")
def go_programs() -> Path:
    """The directory with the Go programs."""
    require_go()
    return build()


def require_go() -> None:
    """Skip the test where Go is missing; in CI, fail it."""
    if shutil.which("go") is None:
        if os.environ.get("CI"):
            pytest.fail("needs the Go toolchain")
        pytest.skip("needs the Go toolchain")


def go_module(name: str, version: str) -> Path:
    """Return the folder of a Go module's source, fetched from the module proxy.

    Go checks it against the public checksum database.
    """
    result = subprocess.run(
        ["go", "mod", "download", "-json", f"{name}@{version}"],
        check=True,
        capture_output=True,
        # Outside of any module: the interop module's own list stays as it is.
        cwd="/",
    )
    return Path(json.loads(result.stdout)["Dir"])


def build() -> Path:
    """Return a directory with every program of `PROGRAMS`; build missing ones.

    Raises:
        subprocess.CalledProcessError: the build failed; its output is in a note.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    directory = cache / "ttrpc-interop"
    directory.mkdir(parents=True, exist_ok=True)
    programs = directory / _hash()
    with open(directory / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not programs.is_dir():
            with tempfile.TemporaryDirectory(dir=directory) as scratch:
                _build_in(Path(scratch))
                os.rename(Path(scratch) / "bin", programs)
    return programs


@contextmanager
def go_peer(
    programs: Path, address: str, *arguments: str
) -> Iterator[subprocess.Popen[str]]:
    """Run the Go server on a unix socket's path or `@name` while the block runs."""
    with go_server([programs / "peer", "-addr", address, *arguments]) as peer:
        yield peer


@contextmanager
def go_server(command: list[Path | str]) -> Iterator[subprocess.Popen[str]]:
    """Run a program that prints "ready" when it serves while the block runs."""
    peer = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with peer:
        try:
            assert peer.stdout is not None
            if peer.stdout.readline() != "ready\n":
                _, errors = peer.communicate(timeout=10)
                raise RuntimeError(f"{command}: {errors}")
            yield peer
        finally:
            peer.kill()


def to_path(name: str) -> Path:
    """Return the file that is imported as `name`."""
    path = ROOT / "src" / name
    return path if path.exists() else ROOT / name


def _hash() -> str:
    digest = hashlib.sha256()
    files = [path for path in SOURCES.rglob("*") if path.suffix in {".go", ".mod"}]
    for path in sorted([*files, *(to_path(name) for name in PACKAGES), Path(__file__)]):
        digest.update(f"{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _build_in(scratch: Path) -> None:
    module = scratch / "module"
    shutil.copytree(SOURCES, module, ignore=shutil.ignore_patterns("*.py", "__*"))
    tools, binaries = scratch / "tools", scratch / "bin"
    _run(["go", "build", "-o", f"{tools}/", *PLUGINS], module)
    mapping = ",".join(
        f"M{name}=interop/gen/{package}" for name, package in PACKAGES.items()
    )
    options = [
        option
        for plugin in ("go", "go-ttrpc")
        for option in (
            f"--plugin=protoc-gen-{plugin}={tools}/protoc-gen-{plugin}",
            f"--{plugin}_out={module}",
            f"--{plugin}_opt=module=interop,{mapping}",
        )
    ]
    compiler = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        *(f"--proto_path={path}" for path in (ROOT / "src", ROOT)),
    ]
    _run([*compiler, *options, *PACKAGES], ROOT)
    _run(["go", "build", "-o", f"{binaries}/", *(f"./{p}" for p in PROGRAMS)], module)


def _run(command: list[str], directory: Path) -> None:
    try:
        subprocess.run(
            command,
            cwd=directory,
            # A temporary copy is no checkout, and takes no flags from outside.
            env={**os.environ, "GOFLAGS": "-buildvcs=false", "GOWORK": "off"},
            check=True,
            capture_output=True,
            text=True,
        )
    except subprocess.CalledProcessError as error:
        error.add_note(error.stderr)
        raise
