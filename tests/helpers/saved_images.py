# SPDX-License-Identifier: Apache-2.0
"""Saved images, honest and hostile, made by hand in the formats that people have."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from kata_host.image.platform import own_platform
from kata_host.tar.readable import Readable

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"

Entry = tuple[tarfile.TarInfo, bytes]


def entry(name: str, data: bytes = b"", **fields: Any) -> Entry:
    """Return an entry, by default a regular file of root's."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mtime = 1_000_000_000
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def directory(name: str, **fields: Any) -> Entry:
    return entry(name, type=tarfile.DIRTYPE, **{"mode": 0o755, **fields})


def symlink(name: str, target: str, **fields: Any) -> Entry:
    return entry(name, type=tarfile.SYMTYPE, linkname=target, **fields)


def hard_link(name: str, target: str) -> Entry:
    return entry(name, type=tarfile.LNKTYPE, linkname=target)


def device(name: str, major: int = 1, minor: int = 3) -> Entry:
    return entry(name, type=tarfile.CHRTYPE, devmajor=major, devminor=minor)


def tar_of(*entries: Entry) -> bytes:
    """Return a tar archive; its names may hold any bytes."""
    file = io.BytesIO()
    with tarfile.open(
        fileobj=file,
        mode="w",
        format=tarfile.PAX_FORMAT,
        encoding="utf-8",
        errors="surrogateescape",
    ) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def zstd(data: bytes) -> bytes:
    done = subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True)
    return done.stdout


COMPRESSIONS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": zstd,
}


def read_all(stream: Readable) -> bytes:
    parts = []
    while data := stream.read(1 << 16):
        parts.append(data)
    return b"".join(parts)


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def config_of(layers: Sequence[bytes], **values: Any) -> bytes:
    """Return the configuration of an image for this host."""
    platform = own_platform()
    return json.dumps(
        {
            "os": platform.os,
            "architecture": platform.architecture,
            "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in layers]},
            "config": values,
        }
    ).encode()


def docker_archive(
    path: Path,
    *layers: bytes,
    tags: Sequence[str] = ("demo:1",),
    compress: Callable[[bytes], bytes] = bytes,
    **values: Any,
) -> Path:
    """Write what `docker save` writes: a tar archive."""
    config = config_of(layers, **values)
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": tags, "Layers": names}]
    files = [
        entry("config.json", config),
        *(entry(name, tar) for name, tar in zip(names, layers, strict=True)),
        entry("manifest.json", json.dumps(manifest).encode()),
    ]
    path.write_bytes(compress(tar_of(*files)))
    return path


class OciLayout:
    """An image layout that grows in a directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.blobs = path / "blobs" / "sha256"
        self.blobs.mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, content: bytes, kind: str = "", **fields: Any) -> dict[str, Any]:
        """Add a blob; return its descriptor."""
        name = digest(content)
        (self.blobs / name.removeprefix("sha256:")).write_bytes(content)
        return {"mediaType": kind, "digest": name, "size": len(content), **fields}

    def image(
        self,
        *layers: bytes,
        compress: Callable[[bytes], bytes] = bytes,
        config: bytes | None = None,
        descriptor: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> dict[str, Any]:
        """Add an image; return the descriptor of its manifest."""
        described = self.blob(config or config_of(layers, **values))
        blobs = [self.blob(compress(tar)) for tar in layers]
        manifest = {"schemaVersion": 2, "config": described, "layers": blobs}
        return self.blob(
            json.dumps(manifest).encode(), OCI_MANIFEST, **(descriptor or {})
        )

    def index(self, *descriptors: Mapping[str, Any]) -> Path:
        """Write the index; return the layout."""
        content = {"schemaVersion": 2, "manifests": descriptors}
        (self.path / "index.json").write_text(json.dumps(content))
        return self.path

    def archive(self, path: Path) -> Path:
        """Write the whole layout into a tar archive."""
        with tarfile.open(path, "w") as tar:
            tar.add(self.path, ".")
        return path


def named(name: str) -> dict[str, Any]:
    """Return the fields of a descriptor with a reference."""
    return {"annotations": {"org.opencontainers.image.ref.name": name}}
