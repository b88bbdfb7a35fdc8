# SPDX-License-Identifier: Apache-2.0
"""`bind`: a file or directory that the guest has already, at one more place."""

from __future__ import annotations

from dataclasses import replace

from kata_agent.linux.mount import MS_BIND, parse_options
from kata_agent.storage.context import Site
from kata_protos.agent_pb2 import Storage


async def add(storage: Storage, site: Site) -> None:
    options = parse_options(storage.options)
    options = replace(options, flags=options.flags | MS_BIND)
    await site.mount(storage, storage.source, options)
