# SPDX-License-Identifier: Apache-2.0
"""protoc-gen-pyttrpc: typed clients and server bases for the services of a .proto.

    protoc --python_out=. --pyi_out=. --pyttrpc_out=. protos/agent.proto

writes `protos/agent_ttrpc.py` next to `protos/agent_pb2.py`. For each service it
holds the `Service`, a base class for servers, and two clients, one for
`ttrpc.aio` and one for `ttrpc.sync`.
"""

from ttrpc.plugin.protoc import main

__all__ = ["main"]
