# SPDX-License-Identifier: Apache-2.0
"""Sixty sessions of raw frames, and the answers of real servers to them.

Each session is a function that drives a server of `peer.v1.Echo` and writes down
the answers; `tests/ttrpc/data/probe/SERVER.txt` has the same sessions as
recorded from four versions of the Go library and two servers of ttrpc-rust.
"""

from __future__ import annotations

import functools
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from google.protobuf.wrappers_pb2 import (
    BytesValue,
    Int32Value,
    Int64Value,
    StringValue,
    UInt64Value,
)

from tests.helpers.wire import (
    CLOSED,
    DATA,
    LIMIT,
    NO_DATA,
    OPEN,
    PATIENCE,
    REQUEST,
    RESPONSE,
    Frame,
    Wire,
    close,
    data,
    request,
)

RECORDED: Final = Path(__file__).parents[1] / "ttrpc" / "data" / "probe"
SERVERS: Final = ("gomain", "go128", "go124", "go111", "rust-async", "rust-sync")
MILLISECOND: Final = 1_000_000
PING: Final = bytes(10)
"""A header of zeros: every server that answers it does so at once, on id 0."""

Case = Callable[["Session"], None]
CASES: Final[dict[str, Case]] = {}


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


class Session:
    """A connection, and a record of the frames that came back."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.wire = Wire(address)
        self.words: list[str] = []

    def ask(self, label: str, *frames: Frame | bytes, answers: int = 1) -> list[Frame]:
        """Send frames, record so many answers, and see that no more come."""
        self.words += [label] if label else []
        received: list[Frame] = []
        try:
            self._exchange(received, frames, answers)
        except BrokenPipeError:
            self.words.append("closed")
        return received

    def _exchange(
        self, received: list[Frame], frames: tuple[Frame | bytes, ...], answers: int
    ) -> None:
        self.wire.send(*frames)
        while len(received) < answers:
            frame = self.wire.receive()
            if frame is None:
                self.words.append("closed")
                return
            received.append(frame)
            self.words.append(str(frame))
        self.wire.send(PING)
        while (frame := self.wire.receive()) is not None and frame.stream_id != 0:
            self.words.append(str(frame))
        if frame is None:
            self.words.append("closed")

    def then_echo(self, stream_id: int = 3) -> None:
        self.ask("| then echo:", echo(stream_id, b"still"))


def transcript(name: str, address: str) -> str:
    """Run one session against the server at `address`."""
    session = Session(address)
    with session.wire:
        CASES[name](session)
    return comparable(name, " ".join(session.words))


def comparable(name: str, line: str) -> str:
    """Drop parts that differ from run to run: times, counters, texts of protobuf."""
    line = re.sub(r"\bsilent\b|\bNone\b|\bafter \d+\.\d+s|\bbody=\+0", "", line)
    line = re.sub(
        r"len=\d+ (status\(code=\d+) msg=."
        r"(unmarshal request|ttrpc: error unmarshalling) [^)]*\)",
        r"\1 \2 ...)",
        line,
    )
    if name == "deadline_seen":
        line = re.sub(r"len=8 (status\(.*?\) )?payload=b'\\x08.*?'", "time left", line)
    if name == "cancel_on_disconnect":
        line = re.sub(r"\[.*?\]", "[count]", line)
    return " ".join(line.split())


@functools.cache
def recorded(server: str) -> dict[str, str]:
    """The answers of `server`, by case."""
    lines = (RECORDED / f"{server}.txt").read_text().splitlines()
    pairs = (line.split(": ", 1) for line in lines if not line.startswith(" "))
    return {name: comparable(name, text) for name, text in pairs}


def echo(stream_id: int, value: bytes, flags: int = 0) -> Frame:
    return request(stream_id, "Echo", BytesValue(value=value), flags=flags)


def sleep(
    stream_id: int, milliseconds: int, timeout: int = 0, method: str = "Sleep"
) -> Frame:
    message = UInt64Value(value=milliseconds * MILLISECOND)
    return request(stream_id, method, message, timeout_nano=timeout * MILLISECOND)


def open_stream(stream_id: int, flags: int = OPEN) -> Frame:
    return request(stream_id, "EchoStream", flags=flags)


def filled(method: str, size: int, stream_id: int = 1) -> Frame:
    """Return a request with a body of exactly `size` bytes."""
    spare = size - len(request(stream_id, method, BytesValue(value=b"x" * LIMIT)).body)
    frame = request(stream_id, method, BytesValue(value=bytes(LIMIT + spare)))
    assert len(frame.body) == size
    return frame


# --- unary ---


@case
def empty_message(s: Session) -> None:
    s.ask("", request(1, "Echo"))


@case
def echo_(s: Session) -> None:
    s.ask("", echo(1, b"hi"))


@case
def unknown_service(s: Session) -> None:
    s.ask("", request(1, "Echo", service="no.Such"))
    s.then_echo()


@case
def unknown_method(s: Session) -> None:
    s.ask("", request(1, "Nope"))
    s.then_echo()


@case
def empty_request_frame(s: Session) -> None:
    s.ask("", Frame(1, REQUEST, 0, b""))
    s.then_echo()


@case
def unary_flags(s: Session) -> None:
    for stream_id, flags in zip(range(1, 12, 2), (1, 2, 4, 6, 3, 240), strict=True):
        s.ask(f"fl={flags}:", echo(stream_id, b"hi", flags))


@case
def split_header(s: Session) -> None:
    whole = bytes(echo(1, b"hi"))
    for at in range(len(whole) - 1):
        s.wire.send(whole[at : at + 1])
    s.ask("", whole[-1:])


@case
def concurrent_order(s: Session) -> None:
    s.ask("", sleep(1, 200), echo(3, b"fast"), answers=2)


@case
def metadata(s: Session) -> None:
    pairs = [("Key", "1"), ("key", "2"), ("key", "")]
    s.ask("", request(1, "Metadata", StringValue(value="key"), metadata=pairs))
    upper = request(3, "Metadata", StringValue(value="Key"), metadata=pairs)
    s.ask("asked as Key:", upper)


# --- stream ids and frame types ---


@case
def even_id(s: Session) -> None:
    s.ask("", echo(2, b"x"))
    s.then_echo()


@case
def ping_zero(s: Session) -> None:
    s.wire.send(PING)
    frame = s.wire.receive()
    s.words.append(str(frame))
    s.then_echo(1)


@case
def even_data(s: Session) -> None:
    s.ask("", data(2, b"x"))
    s.then_echo()


@case
def reused_id(s: Session) -> None:
    s.ask("", echo(5, b"a"))
    s.ask("| same id:", echo(5, b"b"))
    s.then_echo(7)


@case
def lower_id(s: Session) -> None:
    s.ask("", echo(5, b"a"))
    s.ask("| lower id:", echo(3, b"b"))
    s.then_echo(7)


@case
def reused_while_active(s: Session) -> None:
    s.ask("", sleep(5, 300), echo(5, b"b"), answers=2)
    s.then_echo(7)


@case
def first_id_large(s: Session) -> None:
    s.ask("", echo(0xFFFFFFFF, b"a"))
    s.then_echo(1)


@case
def type_response(s: Session) -> None:
    s.ask("", Frame(1, RESPONSE, 0, b""), answers=0)
    s.then_echo()


@case
def type_unknown(s: Session) -> None:
    s.ask("", Frame(1, 9, 0, b"x"), answers=0)
    s.then_echo()


@case
def data_unknown_stream(s: Session) -> None:
    s.ask("", data(1, b"x"))
    s.then_echo()


@case
def zz_data_on_active_unary(s: Session) -> None:
    s.ask("", sleep(1, 200), data(1, b"x"), answers=2)
    s.then_echo()


# --- undecodable payloads ---


@case
def bad_request_protobuf(s: Session) -> None:
    s.ask("", Frame(1, REQUEST, 0, b"\xff\xff"))
    s.then_echo()


@case
def bad_payload_protobuf(s: Session) -> None:
    s.ask("", request(1, "Echo", b"\xff\xff"))
    s.then_echo()


@case
def bad_utf8_service(s: Session) -> None:
    s.ask("", Frame(1, REQUEST, 0, b"\x0a\x02\xff\xfe\x12\x04Echo"))
    s.then_echo()


# --- sizes ---


@case
def at_limit(s: Session) -> None:
    s.ask("", filled("Len", LIMIT))


@case
def over_limit(s: Session) -> None:
    s.ask("", filled("Len", LIMIT + 1))
    s.then_echo()


@case
def over_limit_even_id(s: Session) -> None:
    s.ask("", filled("Len", LIMIT + 1, stream_id=2))
    s.then_echo()


@case
def reserved_byte(s: Session) -> None:
    s.ask("", filled("Len", 0x01000000))
    s.then_echo()


@case
def huge_length_no_body(s: Session) -> None:
    """Nothing comes back, though other connections are served in the meantime."""
    s.wire.send(b"\xff\xff\xff\xf0\0\0\0\x01\x01\0")
    other = Session(s.address)
    with other.wire:
        other.ask("", echo(1, b"other"))
    s.wire.socket.setblocking(False)
    try:
        s.words.append(f"{s.wire.socket.recv(1)!r}")
    except BlockingIOError:
        pass


@case
def response_over_limit(s: Session) -> None:
    s.ask("", request(1, "Make", UInt64Value(value=LIMIT + 1)))
    s.then_echo()


# --- outcomes ---


@case
def status_code(s: Session) -> None:
    s.ask("", request(1, "Fail", Int32Value(value=9)))


@case
def status_code_0(s: Session) -> None:
    s.ask("", request(1, "Fail", Int32Value(value=0)))


@case
def status_code_99(s: Session) -> None:
    s.ask("", request(1, "Fail", Int32Value(value=99)))


@case
def status_details(s: Session) -> None:
    s.ask("", request(1, "FailDetails", Int32Value(value=5)))


@case
def plain_error(s: Session) -> None:
    s.ask("", request(1, "Plain"))


@case
def nil_response(s: Session) -> None:
    s.ask("", request(1, "Nil"))


@case
def value_and_error(s: Session) -> None:
    s.ask("", request(1, "Both"))


# --- deadlines ---


@case
def deadline_kept(s: Session) -> None:
    s.ask("", sleep(1, 10_000, timeout=50))


@case
def deadline_ignored_by_handler(s: Session) -> None:
    s.ask("", sleep(1, 300, timeout=50, method="Stubborn"))


@case
def deadline_negative(s: Session) -> None:
    s.ask("", sleep(1, 300, timeout=-1))


@case
def deadline_seen(s: Session) -> None:
    frame = request(1, "Deadline", timeout_nano=1000 * MILLISECOND)
    (answer,) = s.ask("", frame)
    left = Int64Value.FromString(answer.response.payload).value
    assert 0 < left <= 1000 * MILLISECOND
    s.ask("none:", request(3, "Deadline"))


@case
def stream_deadline(s: Session) -> None:
    timeout = 100 * MILLISECOND
    s.ask("", request(1, "EchoStream", flags=OPEN, timeout_nano=timeout))


# --- the end of a connection ---


@case
def half_close_in_flight(s: Session) -> None:
    s.wire.send(sleep(1, 200))
    s.wire.socket.shutdown(socket.SHUT_WR)
    frame = s.wire.receive()
    s.words.append("closed" if frame is None else str(frame))


@case
def cancel_on_disconnect(s: Session) -> None:
    (before,) = s.ask("cancelled before", request(1, "Cancelled"))
    with Wire(s.address) as other:
        other.send(sleep(1, 60_000), request(3, "Active"))
        active = other.receive()
        assert active is not None
        assert active.stream_id == 3
    patience = time.monotonic() + PATIENCE
    stream_id = 3
    while True:
        s.wire.send(request(stream_id, "Cancelled"))
        after = s.wire.receive()
        assert after is not None
        if after.response.payload != before.response.payload:
            break
        assert time.monotonic() < patience, "the call went on"
        stream_id += 2
    s.words += ["after", str(after)]


# --- streams ---


@case
def bidi(s: Session) -> None:
    s.ask("open:", open_stream(1), answers=0)
    s.ask("| data:", data(1, BytesValue(value=b"m1")), data(1), answers=2)
    s.ask("| close:", close(1))
    s.then_echo()


@case
def bidi_open_06(s: Session) -> None:
    s.ask("open:", open_stream(1, OPEN | NO_DATA), answers=0)
    s.ask("| close:", close(1))


@case
def bidi_open_flags(s: Session) -> None:
    for stream_id, flags in ((1, 0), (3, 1), (5, 4), (7, 5)):
        s.words += [";"] if stream_id > 1 else []
        if flags & CLOSED:
            # In one write, so that a server that takes the flag for the end is not done
            # with the stream before the close arrives.
            opening = (open_stream(stream_id, flags), close(stream_id))
            s.ask(f"fl={flags}: / close:", *opening)
        else:
            s.ask(f"fl={flags}:", open_stream(stream_id, flags), answers=0)
            s.ask("/ close:", close(stream_id))


@case
def bidi_payload_in_request(s: Session) -> None:
    first = request(1, "EchoStream", BytesValue(value=b"first"), flags=OPEN)
    s.ask("open:", first)
    s.ask("| close:", close(1))


@case
def close_without_nodata(s: Session) -> None:
    s.ask("", open_stream(1), Frame(1, DATA, CLOSED, b""), answers=2)
    s.then_echo()


@case
def close_with_data(s: Session) -> None:
    last = data(1, BytesValue(value=b"last"), CLOSED)
    s.ask("", open_stream(1), last, answers=2)
    s.then_echo()


@case
def nodata_with_payload(s: Session) -> None:
    hidden = data(1, BytesValue(value=b"x"), NO_DATA)
    s.ask("", open_stream(1), hidden, answers=0)
    s.ask("| close:", close(1))


@case
def data_after_close(s: Session) -> None:
    s.ask("", open_stream(1), close(1))
    s.ask("| late:", data(1, BytesValue(value=b"x")))
    s.then_echo()


@case
def data_after_close_pipelined(s: Session) -> None:
    s.ask("", open_stream(1), close(1), data(1, BytesValue(value=b"x")), answers=2)
    s.then_echo()


@case
def double_close(s: Session) -> None:
    s.ask("", open_stream(1), close(1), close(1))
    s.then_echo()


@case
def stream_bad_message(s: Session) -> None:
    s.ask("", open_stream(1), data(1, b"\xff\xff"))
    s.then_echo()


@case
def stream_error(s: Session) -> None:
    opening = request(1, "FailStream", UInt64Value(value=2), flags=CLOSED)
    s.ask("", opening, answers=3)
    s.ask("| more:", data(1, b"x"))
    s.then_echo()


@case
def upload(s: Session) -> None:
    parts = [data(1, BytesValue(value=b"abc"))] * 3
    s.ask("", request(1, "Upload", flags=OPEN), *parts, close(1))


@case
def download(s: Session) -> None:
    message = UInt64Value(value=2 << 32 | 3)
    s.ask("", request(1, "Download", message, flags=CLOSED), answers=3)


@case
def download_flags(s: Session) -> None:
    for stream_id, flags in ((1, 0), (3, 2), (5, 5)):
        s.words += [";"] if stream_id > 1 else []
        message = UInt64Value(value=1 << 32 | 3)
        opening = request(stream_id, "Download", message, flags=flags)
        s.ask(f"fl={flags}:", opening, answers=2)


@case
def download_empty_request(s: Session) -> None:
    s.ask("", request(1, "Download", flags=CLOSED))


@case
def two_streams(s: Session) -> None:
    s.wire.send(open_stream(1), open_stream(3))
    third = (data(3, BytesValue(value=b"three")), close(3))
    s.ask("", *third, answers=2)
    s.ask("", data(1, BytesValue(value=b"one")), close(1), answers=2)


CASES["echo"] = CASES.pop("echo_")
