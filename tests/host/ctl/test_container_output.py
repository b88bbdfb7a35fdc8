# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.ctl.container_output import show
from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.output_log import OutputLog
from kata_host.keeper.record import ContainerRecord


@pytest.mark.parametrize(
    ("lines", "out", "err"),
    [(None, "a\nc\n", "b\n"), (2, "c\n", "b\n"), (1, "c\n", "")],
)
async def test_each_stream_is_ours(
    guest_one: str,
    lines: int | None,
    out: str,
    err: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    held = HeldRecord.create(ContainerRecord("web", "one", started=1.0, detached=True))
    log = OutputLog(held.folder)
    for stream, data in ((1, b"a\n"), (2, b"b\n"), (1, b"c\n")):
        log.write(stream, data)
    log.close()
    await show(held.record, lines=lines, follow_it=False, timestamps=False)
    assert capfd.readouterr() == (out, err)
    held.write(ended=2.0)
    await show(held.record, lines=1, follow_it=True, timestamps=True)
    said, _ = capfd.readouterr()
    assert said.endswith("Z c\n")
    held.close()
