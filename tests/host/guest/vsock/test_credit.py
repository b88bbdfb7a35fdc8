# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_host.guest.vsock.credit import BUFFER_SIZE, UPDATE_AFTER, Credit


def test_the_guest_has_room_for_its_buffer_less_what_is_in_flight() -> None:
    credit = Credit(guest_buffer=100)
    credit.send(30)
    assert credit.room == 70
    credit.guest_taken = 30
    assert credit.room == 100


def test_room_is_never_negative() -> None:
    credit = Credit(guest_buffer=100)
    credit.send(80)
    # The guest may make its buffer smaller.
    credit.guest_buffer = 10
    assert credit.room == 0


def test_counts_go_round_at_32_bits() -> None:
    credit = Credit(sent=0xFFFFFFF0, guest_taken=0xFFFFFFF0, guest_buffer=100)
    credit.send(0x20)
    assert credit.sent == 0x10
    assert credit.room == 100 - 0x20


def test_the_guest_may_send_as_much_as_our_buffer_holds() -> None:
    credit = Credit()
    assert credit.receive(BUFFER_SIZE)
    assert not credit.receive(1)


def test_bytes_that_the_host_has_taken_make_room_again() -> None:
    credit = Credit()
    credit.receive(BUFFER_SIZE)
    credit.take(10)
    assert credit.receive(10)


def test_the_guest_is_told_after_a_quarter_of_the_buffer() -> None:
    credit = Credit()
    assert not credit.take(UPDATE_AFTER - 1)
    assert credit.take(1)
    credit.announced = credit.taken
    assert not credit.take(1)
