# SPDX-License-Identifier: Apache-2.0
"""The package as its users see it."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest

import ttrpc


@pytest.mark.parametrize("package", ["ttrpc", "ttrpc.aio", "ttrpc.sync"])
def test_every_public_name_is_there_and_explained(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__doc__
    for name in module.__all__:
        value = getattr(module, name)
        # Other names are aliases of types, like Interceptor.
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), name


def test_every_public_method_is_explained() -> None:
    missing = [
        f"{package}.{name}.{attribute}"
        for package in ("ttrpc", "ttrpc.aio", "ttrpc.sync")
        for name in importlib.import_module(package).__all__
        if name != "__version__"
            for attribute, value in vars(getattr(sys.modules[package], name)).items()
        if not attribute.startswith("_")
        and (inspect.isfunction(value) or isinstance(value, property))
        and not inspect.getdoc(value)
    ]
    assert not missing


def test_all_names_are_listed() -> None:
    assert sorted([*ttrpc._HOMES, "__version__"]) == sorted(ttrpc.__all__)


def test_names_that_are_not_loaded_yet_are_found() -> None:
    assert set(ttrpc.__all__) <= set(dir(ttrpc))


def test_an_unknown_name_is_an_error_of_the_module() -> None:
    with pytest.raises(AttributeError, match="module 'ttrpc' has no attribute 'Nope'"):
        _ = ttrpc.Nope


def test_importing_the_package_loads_nothing_that_is_not_used() -> None:
    """A name is loaded on first use, because the agent has to start within 100 ms."""
    code = "import sys, ttrpc; print(*(it for it in sys.modules if 'proto' in it))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == []
