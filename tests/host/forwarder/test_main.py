# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from tests.helpers.interrupting import check_interrupts


def test_an_interrupt_of_its_start_or_its_end_prints_no_traceback() -> None:
    words = ["--listen=no", "--file=/dev/null"]
    check_interrupts("kata_host.forwarder.__main__", words, 1)
