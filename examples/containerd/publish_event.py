# SPDX-License-Identifier: Apache-2.0
"""Publish an event in containerd, as a shim does.

    python publish_event.py unix:///run/containerd/containerd.sock.ttrpc one

`ctr --namespace demo events` shows it.
"""

from __future__ import annotations

import asyncio
import sys

from github.com.containerd.containerd.api.events.task_pb2 import TaskOOM
from github.com.containerd.containerd.api.services.ttrpc.events.v1 import events_ttrpc
from github.com.containerd.containerd.api.services.ttrpc.events.v1.events_pb2 import (
    ForwardRequest,
)
from google.protobuf.message import Message

from ttrpc.aio import Client

# containerd takes the namespace of a call from its metadata.
NAMESPACE = "containerd-namespace-ttrpc"


async def publish(address: str, namespace: str, topic: str, event: Message) -> None:
    """Hand an event to containerd's events service."""
    request = ForwardRequest()
    request.envelope.timestamp.GetCurrentTime()
    request.envelope.namespace = namespace
    request.envelope.topic = topic
    request.envelope.event.Pack(event, type_url_prefix="")
    # containerd names types without a prefix; Pack leaves its slash.
    request.envelope.event.type_url = event.DESCRIPTOR.full_name
    async with await Client.connect(address, timeout=5) as client:
        events = events_ttrpc.EventsClient(client)
        await events.forward(request, timeout=5, metadata={NAMESPACE: namespace})


if __name__ == "__main__":
    _, address, container = sys.argv
    event = TaskOOM(container_id=container)
    asyncio.run(publish(address, "demo", "/tasks/oom", event))
