# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.image.errors import ImageError
from kata_host.image.reference import (
    check_reference,
    id_start,
    is_local_registry,
    whole_name,
)


def test_a_name_has_a_tag() -> None:
    assert whole_name("debian") == "debian:latest"
    assert whole_name("localhost:5000/a") == "localhost:5000/a:latest"
    assert whole_name("localhost:5000/a:1") == "localhost:5000/a:1"
    assert whole_name("a@sha256:00") == "a@sha256:00"


def test_docker_s_own_registry_is_not_in_a_name() -> None:
    assert whole_name("docker.io/library/py:1") == "py:1"
    assert whole_name("docker.io/user/py") == "user/py:latest"


@pytest.mark.parametrize("name", ["", "-f", "a b", "a\n", "a:", "ü", "x" * 256, "/a"])
def test_what_names_no_image_is_refused(name: str) -> None:
    with pytest.raises(ImageError, match="invalid name"):
        check_reference(name)


def test_an_id_is_hexadecimal() -> None:
    assert id_start("sha256:0123abcd") == id_start("0123abcd") == "0123abcd"
    assert id_start("012") is None
    assert id_start("debian") is None


@pytest.mark.parametrize(
    ("name", "is_local"),
    [
        ("localhost:5000/a", True),
        ("127.0.0.1:5000/a", True),
        ("localhost/a", True),
        ("localhost", False),
        ("localhost.example/a", False),
        ("127.0.0.1.example:80/a", False),
        ("debian:13", False),
    ],
)
def test_a_registry_of_this_host_needs_no_tls(name: str, is_local: bool) -> None:
    assert is_local_registry(name) == is_local
