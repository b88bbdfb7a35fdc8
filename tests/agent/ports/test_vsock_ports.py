# SPDX-License-Identifier: Apache-2.0
"""Every vsock listener of the agent is made in one place.

The listeners themselves are tested in a VM: `tests/vm/test_vsock_loopback.py`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.helpers.source_tree import Module, modules

HERE = "kata_agent.ports.vsock_ports"


def agent_modules() -> Iterator[Module]:
    for module in modules():
        if module.name.startswith("kata_agent.") and not module.is_generated:
            yield module


def names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.alias):
            yield node.name


def test_the_agent_makes_vsock_sockets_in_one_module() -> None:
    makers = {m.name for m in agent_modules() if "AF_VSOCK" in set(names(m.tree))}
    assert makers == {HERE}


def test_the_agent_listens_by_no_other_module() -> None:
    """`ttrpc.aio.listen` would accept anyone; the server gets its socket instead."""
    for module in agent_modules():
        used = set(names(module.tree))
        assert not used & {"create_server", "start_server", "start_unix_server"}
        assert "ttrpc.aio.listen" not in used
        calls = [
            ast.unparse(node.args[0])
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "server.listen"
        ]
        assert calls == (
            ["to_listener(listen)"] if module.name == "kata_agent.main" else []
        )
