# SPDX-License-Identifier: Apache-2.0
"""The words for a port of this host and its program."""

from __future__ import annotations

import pytest

from kata_host.forwarding.published_port import PublishedPort


@pytest.mark.parametrize(
    ("text", "published"),
    [
        ("8000", PublishedPort(8000)),
        ("80:8000", PublishedPort(8000, 80)),
        ("80:8000/tcp", PublishedPort(8000, 80)),
        ("8000/tcp", PublishedPort(8000)),
        ("0:8000", PublishedPort(8000)),
        ("0.0.0.0:80:8000", PublishedPort(8000, 80, "0.0.0.0")),
        ("[::1]:80:8000", PublishedPort(8000, 80, "::1")),
        (":80:8000", PublishedPort(8000, 80)),
        ("/run/s", PublishedPort("/run/s")),
        ("/run/tcp/tcp", PublishedPort("/run/tcp/tcp")),
        ("/run/a:b", PublishedPort("/run/a:b")),
        ("80:/run/s", PublishedPort("/run/s", 80)),
        ("80:/run/a:/b", PublishedPort("/run/a:/b", 80)),
        ("[::]:80:/run/s", PublishedPort("/run/s", 80, "::")),
    ],
)
def test_words(text: str, published: PublishedPort) -> None:
    assert PublishedPort.parse(text) == published


def test_the_same_port_is_taken_where_asked_for() -> None:
    assert PublishedPort.parse("8000", same=True) == PublishedPort(8000, 8000)
    assert PublishedPort.parse("/run/s", same=True) == PublishedPort("/run/s")


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "a", "0", "-1", "65536", "80:", "80:a", "a:80", "80:65536"),
        *("65536:80", "80:0", "1:2:3", "host:80:80", "::1:80:80", "80:s", "1.5"),
        *("/a\0b", "/a\nb", "\u0668", "0.0.0.0:80:tcp", "80:8000/udp", "80/tcp/tcp"),
    ],
)
def test_all_other_words_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="port|address|unix socket"):
        PublishedPort.parse(text)


def test_the_program_in_the_words_of_the_protocol() -> None:
    assert PublishedPort(80).request == "tcp:80"
    assert PublishedPort("/run/s").request == "unix:/run/s"
