# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import signal

from kata_host.interrupted import Interrupted


def test_it_names_its_signal_and_no_handler_of_errors_takes_it() -> None:
    interrupted = Interrupted(signal.SIGTERM)
    assert (interrupted.number, str(interrupted)) == (signal.SIGTERM, "SIGTERM")
    assert not isinstance(interrupted, Exception)
