# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from kata_host.guest.vsock.connection import (
    TRANSITIONS,
    Connection,
    ConnectionState,
    Key,
    Violation,
)
from kata_host.guest.vsock.credit import BUFFER_SIZE
from kata_host.guest.vsock.packet import Header, Operation, Shutdown

KEY = Key(host_port=1 << 30, guest_port=1024)


def packet(operation: int, **fields: Any) -> Header:
    """Return a header that the guest sends."""
    values = {
        "src_cid": 3,
        "dst_cid": 2,
        "src_port": KEY.guest_port,
        "dst_port": KEY.host_port,
        "length": 0,
        "type": 1,
        "flags": 0,
        "buf_alloc": 1000,
        "fwd_cnt": 0,
        **fields,
    }
    return Header(operation=operation, **values)


def opened() -> Connection:
    connection = Connection(KEY, ConnectionState.OPEN)
    connection.receive(packet(Operation.CREDIT_UPDATE))
    return connection


@pytest.mark.parametrize("state", ConnectionState)
@pytest.mark.parametrize("operation", Operation)
def test_the_table_decides_what_each_operation_does(
    state: ConnectionState, operation: Operation
) -> None:
    connection = Connection(KEY, state)
    if (state, operation) in TRANSITIONS:
        assert connection.receive(packet(operation)) is operation
        assert connection.state is TRANSITIONS[state, operation]
    else:
        with pytest.raises(Violation, match=f"in state {state.value}"):
            connection.receive(packet(operation))
        assert connection.state is state


def test_an_unknown_operation_is_a_violation() -> None:
    with pytest.raises(Violation, match="1073741824:1024: operation 77"):
        opened().receive(packet(77))


def test_a_reset_closes_and_may_be_repeated() -> None:
    connection = opened()
    connection.reset()
    connection.reset()
    assert connection.state is ConnectionState.CLOSED


def test_data_is_taken_up_to_the_credit_of_the_guest() -> None:
    connection = opened()
    connection.receive(packet(Operation.RW, length=BUFFER_SIZE))
    with pytest.raises(Violation, match="in flight"):
        connection.receive(packet(Operation.RW, length=1))


def test_data_after_the_end_is_a_violation() -> None:
    connection = opened()
    connection.receive(packet(Operation.SHUTDOWN, flags=Shutdown.SEND))
    with pytest.raises(Violation, match="after the guest's SHUTDOWN"):
        connection.receive(packet(Operation.RW, length=1))


def test_shutdowns_add_up_and_other_bits_are_ignored() -> None:
    connection = opened()
    connection.receive(packet(Operation.SHUTDOWN, flags=Shutdown.SEND | 0x70))
    assert connection.guest_shutdown == Shutdown.SEND
    connection.receive(packet(Operation.SHUTDOWN, flags=Shutdown.RECEIVE))
    assert connection.guest_shutdown == Shutdown.BOTH


def test_the_guest_accepts_data_while_it_has_room_and_both_directions_are_open() -> (
    None
):
    assert not Connection(KEY, ConnectionState.REQUESTED).accepts_data
    connection = opened()
    assert connection.accepts_data
    connection.credit.send(1000)
    assert not connection.accepts_data
    connection.receive(packet(Operation.CREDIT_UPDATE, fwd_cnt=1000))
    assert connection.accepts_data
    connection.receive(packet(Operation.SHUTDOWN, flags=Shutdown.RECEIVE, fwd_cnt=1000))
    assert not connection.accepts_data


def test_the_guest_gets_no_data_after_the_hosts_end() -> None:
    connection = opened()
    connection.host_shutdown = Shutdown.SEND
    assert not connection.accepts_data


def test_a_header_to_the_guest_carries_our_credit() -> None:
    connection = opened()
    connection.credit.receive(40)
    connection.credit.take(40)
    header = connection.header(3, Operation.RW, length=9)
    assert (header.src_port, header.dst_port) == (KEY.host_port, KEY.guest_port)
    assert (header.src_cid, header.dst_cid, header.length) == (2, 3, 9)
    assert (header.buf_alloc, header.fwd_cnt) == (BUFFER_SIZE, 40)
    assert connection.credit.announced == 40
