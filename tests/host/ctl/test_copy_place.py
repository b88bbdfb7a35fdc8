# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from kata_host.ctl.copy_place import GuestPlace, parse_place
from kata_host.ctl.errors import CommandError
from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.record import ContainerRecord

OPTIONS = argparse.Namespace(guest=None, connect_timeout=None)


@pytest.mark.parametrize("word", ["/a:b", "./a:b", "../a:b", "a", "a/b"])
def test_a_path_of_the_host(word: str) -> None:
    assert parse_place(word, OPTIONS) == Path(word)


def test_a_dash_is_a_stream() -> None:
    assert parse_place("-", OPTIONS) is None


@pytest.mark.parametrize(
    ("word", "path", "container"),
    [
        ("one:/a/b", "/a/b", None),
        ("one:a/../b:c", "/b:c", None),
        ("web:/a/", "/a", "web"),
        ("one/we:/", "/", "web"),
        ("we:/", "/", "web"),
        ("one/c9:/x", "/x", "c9"),
    ],
)
def test_a_path_in_a_guest_or_a_container(
    guest_one: str, address: str, word: str, path: str, container: str | None
) -> None:
    for name in ("web", "one-more", "one-too"):
        HeldRecord.create(ContainerRecord(name, "one")).close()
    place = parse_place(word, OPTIONS)
    assert isinstance(place, GuestPlace)
    assert (place.path, place.target.address) == (path, address)
    assert (place.container and place.container.id) == container


def test_a_path_has_a_directory_and_a_name(guest_one: str) -> None:
    place = parse_place("one:/a/b", OPTIONS)
    assert isinstance(place, GuestPlace)
    assert (place.directory, place.name) == ("/a", "b")
    assert place.named("c").path == "/a/b/c"
    top = parse_place("one:/", OPTIONS)
    assert isinstance(top, GuestPlace)
    assert (top.directory, top.name) == ("/", ".")


@pytest.mark.parametrize("word", ["", ":/a", "one:", "two:/a", "one:\udcff"])
def test_no_place(guest_one: str, word: str) -> None:
    with pytest.raises(CommandError):
        parse_place(word, OPTIONS)
