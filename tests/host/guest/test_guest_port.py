# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.guest.guest_port import port_beside


def test_a_port_is_beside_the_agents() -> None:
    assert str(port_beside("vsock://3:1024", 1026)) == "vsock://3:1026"
    assert str(port_beside("hvsock:///g.sock:1024", 7)) == "hvsock:///g.sock:7"


def test_an_address_without_ports_is_refused() -> None:
    with pytest.raises(ValueError, match="^address 'unix:///a.sock': only vsock and"):
        port_beside("unix:///a.sock", 1026)
