# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

from google.protobuf.wrappers_pb2 import BytesValue

from tests.helpers.peer import ECHO
from tests.helpers.recorded import serving
from ttrpc.aio import Client
from ttrpc.recording.companion import Companion


async def test_the_plain_companion_changes_nothing(tmp_path: Path) -> None:
    request = BytesValue(value=b"a")
    async with serving(tmp_path) as address:
        async with await Client.connect(address) as client:
            companion = Companion(client, [request])
            assert await companion.prepare(ECHO["Len"], request) is request
            companion.succeeded(ECHO["Len"], request)
            await companion.close()
