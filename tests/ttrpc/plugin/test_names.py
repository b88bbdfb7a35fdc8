# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from ttrpc.plugin.names import Names


def test_a_name_is_given_once() -> None:
    names = Names(["Client"])
    assert names.give("Server") == "Server"
    assert [names.give("Client") for _ in range(3)] == [
        *("Client_", "Client__", "Client___")
    ]


def test_the_first_wish_that_is_free_is_granted() -> None:
    names = Names(["cat_pb2"])
    assert names.give("cat_pb2", "pets_cat_pb2") == "pets_cat_pb2"
    assert names.give("cat_pb2", "pets_cat_pb2") == "pets_cat_pb2_"


def test_a_name_that_a_class_would_mangle_is_not_given() -> None:
    assert Names().give("__Private") == "Private"
    assert Names().give("___") == "_"
    assert Names().give("_one") == "_one"
