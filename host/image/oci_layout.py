# SPDX-License-Identifier: Apache-2.0
"""The image layout of the OCI (image-spec: image-layout.md, image-index.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kata_host.image.config import ImageConfig, parse_platform
from kata_host.image.digest import algorithm_of, digest_of, parse_digest
from kata_host.image.document import as_list, as_object, as_text, parse_document
from kata_host.image.errors import ImageError
from kata_host.image.file_source import FileSource, read_document
from kata_host.image.platform import Platform, best
from kata_host.image.saved_image import Layer, SavedImage

MARKER: Final = "oci-layout"
INDEX: Final = "index.json"
NESTING: Final = 4
"""Indexes in an index."""
_REFERENCES: Final = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_SCHEMA_1: Final = "application/vnd.docker.distribution.manifest.v1"

Descriptor = Mapping[str, Any]


def read_oci_layout(
    source: FileSource, subject: str, wanted: Platform, select: str | None
) -> SavedImage:
    """Read the image for the platform `wanted`.

    `select` is the reference or the digest of one of several. Raises `ImageError`.
    """
    index = as_object(
        parse_document(read_document(source, INDEX, subject), subject), subject
    )
    descriptors = _descriptors(index, subject)
    if select is not None:
        descriptors = [item for item in descriptors if select in _names(item)]
        if not descriptors:
            raise ImageError(f"{subject}: no image '{select}'")
    _check_one_image(descriptors, subject)
    names = tuple(dict.fromkeys(n for item in descriptors for n in _references(item)))
    chosen = _choose(descriptors, wanted, subject)
    for _ in range(NESTING):
        document = _read(source, chosen, subject)
        if "manifests" not in document:
            return _image(source, document, subject, names)
        chosen = _choose(_descriptors(document, subject), wanted, subject)
    raise ImageError(f"{subject}: indexes in more than {NESTING} levels")


def _descriptors(index: Mapping[str, Any], subject: str) -> Sequence[Descriptor]:
    items = as_list(index.get("manifests"), f"{subject}: manifests")
    return [as_object(item, f"{subject}: descriptor") for item in items]


def _references(descriptor: Descriptor) -> list[str]:
    notes = as_object(descriptor.get("annotations"), "annotations")
    return [as_text(notes[name], name) for name in _REFERENCES if name in notes]


def _names(descriptor: Descriptor) -> list[str]:
    return [*_references(descriptor), str(descriptor.get("digest"))]


def _check_one_image(descriptors: Sequence[Descriptor], subject: str) -> None:
    names = {tuple(_references(item)[:1]) for item in descriptors}
    if len(names) > 1:
        listed = ", ".join(sorted(name for item in names for name in item))
        raise ImageError(f"{subject}: several images, select one of: {listed}")


def _choose(
    descriptors: Sequence[Descriptor], wanted: Platform, subject: str
) -> Descriptor:
    """Return the one for the platform; one alone that does not say is taken."""
    platforms = [parse_platform(item.get("platform"), subject) for item in descriptors]
    if len(descriptors) == 1 and not platforms[0].architecture:
        return descriptors[0]
    index = best(wanted, platforms)
    if index is None:
        offered = ", ".join(str(item) or "an unknown one" for item in platforms)
        raise ImageError(
            f"{subject}: no image for the platform {wanted}, only for: "
            f"{offered or 'none'}"
        )
    return descriptors[index]


def _blob(descriptor: Descriptor, subject: str) -> tuple[str, str]:
    """Return the path and the digest of what a descriptor describes."""
    digest = parse_digest(descriptor.get("digest"), subject)
    return f"blobs/{digest.replace(':', '/')}", digest


def _content(source: FileSource, descriptor: Descriptor, subject: str) -> bytes:
    path, digest = _blob(descriptor, subject)
    content = read_document(source, path, f"{subject}: {digest}")
    actual = digest_of(content, algorithm_of(digest))
    if actual != digest:
        raise ImageError(f"{subject}: digest is {actual}, not {digest}")
    return content


def _read(
    source: FileSource, descriptor: Descriptor, subject: str
) -> Mapping[str, Any]:
    if str(descriptor.get("mediaType")).startswith(_SCHEMA_1):
        raise ImageError(f"{subject}: a manifest of docker's schema 1 (before 2016)")
    content = _content(source, descriptor, subject)
    return as_object(parse_document(content, subject), f"{subject}: manifest")


def _image(
    source: FileSource,
    manifest: Mapping[str, Any],
    subject: str,
    names: tuple[str, ...],
) -> SavedImage:
    described = as_object(manifest.get("config"), f"{subject}: config")
    content = _content(source, described, subject)
    config = ImageConfig.parse(content, f"{subject}: config")
    items = as_list(manifest.get("layers"), f"{subject}: layers")
    if len(items) != len(config.diff_ids):
        raise ImageError(
            f"{subject}: {len(items)} layers, and {len(config.diff_ids)} diff_ids"
        )
    layers = [
        _layer(as_object(item, f"{subject}: layer"), diff_id, subject)
        for item, diff_id in zip(items, config.diff_ids, strict=True)
    ]
    return SavedImage(names, content, config, tuple(layers))


def _layer(descriptor: Descriptor, diff_id: str, subject: str) -> Layer:
    if str(descriptor.get("mediaType")).endswith("+encrypted"):
        raise ImageError(f"{subject}: layer {diff_id[:19]}: encrypted")
    path, digest = _blob(descriptor, subject)
    size = descriptor.get("size")
    return Layer(path, diff_id, digest, size if isinstance(size, int) else None)
