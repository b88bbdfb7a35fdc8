# SPDX-License-Identifier: Apache-2.0
"""The configuration of an image (OCI image-spec, config.md; docker's is the same)."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from kata_host.image.digest import parse_digest
from kata_host.image.document import (
    as_list,
    as_object,
    as_text,
    as_texts,
    parse_document,
)
from kata_host.image.errors import ImageError
from kata_host.image.limits import LAYERS
from kata_host.image.platform import Platform

_PORT: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?")
PORTS: Final = 3 * 65_535
"""Ports of an image, at most: each of every protocol."""
_SIGNAL: Final = re.compile(
    r"(?:SIG)?(?:RTM(IN|AX)(?:([+-])([0-9]{1,2}))?|([A-Z0-9]+))"
)


@dataclass(frozen=True, slots=True)
class ExposedPort:
    """A port that a program of the image listens on."""

    number: int
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What an image says about the processes that run in it."""

    platform: Platform
    diff_ids: tuple[str, ...]
    """The digests of the layers, uncompressed, from the lowest up."""
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    """`user`, `uid`, `user:group`, `uid:gid`; empty for root."""
    working_dir: str = "/"
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    exposed_ports: tuple[ExposedPort, ...] = ()
    stop_signal: int = signal.SIGTERM
    labels: Mapping[str, str] = field(default_factory=dict)
    created: str = ""
    """A date as RFC 3339 has it, or empty."""

    @classmethod
    def parse(cls, content: bytes, subject: str) -> Self:
        """Read the JSON document. Raises `ImageError` with `subject` in front."""
        whole = as_object(parse_document(content, subject), subject)
        rootfs = as_object(whole.get("rootfs"), f"{subject}: rootfs")
        diff_ids = as_list(rootfs.get("diff_ids"), f"{subject}: diff_ids")
        if len(diff_ids) > LAYERS:
            raise ImageError(f"{subject}: {len(diff_ids)} layers, more than {LAYERS}")
        values = as_object(whole.get("config"), f"{subject}: config")

        def text(name: str) -> str:
            return as_text(values.get(name), f"{subject}: {name}")

        def texts(name: str) -> tuple[str, ...]:
            return as_texts(values.get(name), f"{subject}: {name}")

        directory = text("WorkingDir")
        labels = as_object(values.get("Labels"), f"{subject}: Labels")
        return cls(
            platform=parse_platform(whole, subject),
            diff_ids=tuple(parse_digest(value, subject) for value in diff_ids),
            env=_environment(texts("Env")),
            user=text("User"),
            # A relative one is below the root (docker, WORKDIR).
            working_dir=f"/{directory.lstrip('/')}",
            entrypoint=texts("Entrypoint"),
            cmd=texts("Cmd"),
            exposed_ports=_ports(values.get("ExposedPorts"), subject),
            stop_signal=_signal(text("StopSignal"), subject),
            labels={
                as_text(name, subject): as_text(value, f"{subject}: label {name}")
                for name, value in labels.items()
            },
            created=as_text(whole.get("created"), f"{subject}: created"),
        )

    def command(
        self, arguments: tuple[str, ...] = (), entrypoint: tuple[str, ...] | None = None
    ) -> tuple[str, ...]:
        """Return the words of a process, as `docker run IMAGE ARGUMENTS` has them.

        `arguments` replace `Cmd`; `entrypoint` replaces that of the image, and its
        `Cmd` too.
        """
        if entrypoint is not None:
            return (*entrypoint, *arguments)
        return (*self.entrypoint, *(arguments or self.cmd))


def parse_platform(value: object, subject: str) -> Platform:
    """Read the platform of a configuration or a descriptor. Raises `ImageError`."""
    fields = as_object(value, f"{subject}: platform")
    names = ("os", "architecture", "variant")
    return Platform(
        *(as_text(fields.get(name), f"{subject}: {name}") for name in names)
    )


def _environment(entries: tuple[str, ...]) -> Mapping[str, str]:
    pairs = (entry.partition("=") for entry in entries)
    return {name: value for name, assigned, value in pairs if name and assigned}


def _ports(value: object, subject: str) -> tuple[ExposedPort, ...]:
    ports: list[ExposedPort] = []
    for name in as_object(value, f"{subject}: ExposedPorts"):
        match = _PORT.fullmatch(name)
        first = int(match[1]) if match else 0
        last = int(match[2]) if match and match[2] else first
        if not match or not 0 < first <= last < 65536:
            raise ImageError(f"{subject}: invalid port {name!r:.80}")
        numbers = range(first, last + 1)
        if len(ports) + len(numbers) > PORTS:
            raise ImageError(f"{subject}: more than {PORTS} ports")
        ports += [ExposedPort(number, match[3] or "tcp") for number in numbers]
    return tuple(ports)


def _signal(name: str, subject: str) -> int:
    if not name:
        return signal.SIGTERM
    number = _signal_number(name.upper())
    if number is None or not 0 < number < signal.NSIG:
        raise ImageError(f"{subject}: unknown stop signal {name!r:.80}")
    return number


def _signal_number(name: str) -> int | None:
    if name.isascii() and name.isdigit():
        return int(name[:4])
    match = _SIGNAL.fullmatch(name)
    if match is None:
        return None
    if match[1]:
        base = signal.SIGRTMIN if match[1] == "IN" else signal.SIGRTMAX
        offset = int(f"{match[2]}{match[3]}") if match[3] else 0
        return base + offset
    known = signal.Signals.__members__.get(f"SIG{match[4]}")
    return None if known is None else int(known)
