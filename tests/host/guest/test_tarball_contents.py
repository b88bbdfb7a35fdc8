# SPDX-License-Identifier: Apache-2.0
"""The rules by themselves; `test_tarball.py` has the tarball of the image."""

from __future__ import annotations

from pathlib import Path

from kata_host.guest.image.python import VERSION
from kata_host.guest.tarball_contents import keep_one_form, leave_out

STDLIB = f"lib/python{VERSION}"
TAG = f"cpython-{VERSION.replace('.', '')}"


def make(home: Path, *modules: str) -> None:
    """Write modules as the image has them, compiled for any program and for -OO."""
    for module in modules:
        path = home / module
        cache = path.parent / "__pycache__"
        cache.mkdir(parents=True, exist_ok=True)
        path.touch()
        for level in ("", ".opt-2"):
            (cache / f"{path.stem}.{TAG}{level}.pyc").write_text(level)


def names(home: Path) -> set[str]:
    return {
        path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()
    }


def test_a_module_goes_with_its_compiled_forms(tmp_path: Path) -> None:
    make(tmp_path, f"{STDLIB}/ssl.py", f"{STDLIB}/xmlrpc/client.py")
    make(tmp_path, "source/ttrpc/sync/client.py")
    leave_out(tmp_path)
    assert names(tmp_path) == set()


def test_a_stub_goes_without_its_module(tmp_path: Path) -> None:
    make(tmp_path, "packages/a/b.py")
    before = names(tmp_path)
    (tmp_path / "packages/a/b.pyi").touch()
    (tmp_path / "packages/a/py.typed").touch()
    leave_out(tmp_path)
    assert names(tmp_path) == before


def test_a_library_keeps_its_compiled_modules_alone(tmp_path: Path) -> None:
    make(tmp_path, f"{STDLIB}/json/__init__.py", "packages/six.py")
    (tmp_path / "packages/six.txt").touch()
    keep_one_form(tmp_path)
    assert names(tmp_path) == {
        f"{STDLIB}/json/__init__.pyc",
        "packages/six.pyc",
        "packages/six.txt",
    }
    assert (tmp_path / "packages/six.pyc").read_text() == ".opt-2"


def test_our_own_modules_keep_their_source(tmp_path: Path) -> None:
    make(tmp_path, "source/kata_agent/main.py")
    keep_one_form(tmp_path)
    assert names(tmp_path) == {
        "source/kata_agent/main.py",
        f"source/kata_agent/__pycache__/main.{TAG}.opt-2.pyc",
    }
