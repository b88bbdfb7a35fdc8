# SPDX-License-Identifier: Apache-2.0
"""One delivery to a collector, whatever the collector does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_tracing.collector import (
    MAX_RETRY_AFTER,
    Collector,
    Outcome,
    parse_retry_after,
)
from kata_tracing.encoding.load_encoding import load_encoding
from kata_tracing.http1.message import HttpError, format_response
from tests.helpers.trace_port import HANG, OK, FakeCollector, fake_collector


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeCollector]:
    with fake_collector(tmp_path / "guest.sock_10240") as it:
        yield it


@pytest.fixture
def collector(fake: FakeCollector) -> Iterator[Collector]:
    it = Collector(fake.connect, load_encoding("otlp"))
    yield it
    it.close()


def test_a_batch_arrives_as_the_encoding_wants(
    fake: FakeCollector, collector: Collector
) -> None:
    assert collector.post(b"body", 10).outcome is Outcome.TAKEN
    (request,) = fake.requests
    assert request.target == ("POST", "/v1/traces")
    assert request.headers["content-type"] == "application/x-protobuf"
    assert request.body == b"body"


def test_one_connection_serves_many_batches(
    fake: FakeCollector, collector: Collector
) -> None:
    for _ in range(3):
        collector.post(b"body", 10)
    assert fake.connections == 1


def test_a_connection_that_the_collector_closed_is_opened_again(
    fake: FakeCollector, collector: Collector
) -> None:
    fake.close_after_answer = True
    for _ in range(3):
        assert collector.post(b"body", 10).outcome is Outcome.TAKEN
    assert fake.connections == 3


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.TAKEN),
        (202, Outcome.REFUSED),
        (400, Outcome.REFUSED),
        (404, Outcome.REFUSED),
        (500, Outcome.REFUSED),
        (408, Outcome.TRY_AGAIN),
        (429, Outcome.TRY_AGAIN),
        (503, Outcome.TRY_AGAIN),
    ],
)
def test_the_status_decides(
    fake: FakeCollector, collector: Collector, status: int, outcome: Outcome
) -> None:
    fake.answers = [format_response(status, "", {"Retry-After": "7"})]
    response = collector.post(b"body", 10)
    assert (response.status, response.outcome) == (status, outcome)
    assert response.retry_after == (7 if outcome is Outcome.TRY_AGAIN else None)


def test_rejected_spans_are_read_from_the_body(
    fake: FakeCollector, collector: Collector
) -> None:
    # ExportTraceServiceResponse{partial_success{rejected_spans: 3}}
    fake.answers = [format_response(200, "OK", {}, b"\x0a\x02\x08\x03")]
    assert collector.post(b"body", 10).rejected == 3


def test_no_response_in_time_is_a_timeout(
    fake: FakeCollector, collector: Collector
) -> None:
    fake.answers = [HANG, OK]
    with pytest.raises(TimeoutError):
        collector.post(b"body", 0.05)
    assert collector.post(b"body", 10).outcome is Outcome.TAKEN


def test_an_absent_collector_is_an_error_of_the_kernel(tmp_path: Path) -> None:
    absent = FakeCollector(tmp_path / "guest.sock_10240")
    with pytest.raises(FileNotFoundError):
        Collector(absent.connect, load_encoding("otlp")).post(b"body", 10)


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH\r\n\r\n", b"x" * 40_000])
def test_a_peer_that_is_no_collector(
    fake: FakeCollector, collector: Collector, said: bytes
) -> None:
    fake.answers = [said, OK]
    with pytest.raises(HttpError):
        collector.post(b"body", 10)
    assert collector.post(b"body", 10).outcome is Outcome.TAKEN


def test_another_thread_can_break_off_a_delivery(
    fake: FakeCollector, collector: Collector
) -> None:
    fake.answers = [HANG]
    errors: list[BaseException] = []

    def post() -> None:
        try:
            collector.post(b"body", 60)
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=post)
    thread.start()
    fake.wait(lambda it: it.attempts == 1)
    collector.abort()
    thread.join(30)
    assert not thread.is_alive()
    assert len(errors) == 1


def test_nothing_to_break_off(collector: Collector) -> None:
    collector.abort()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("1.5", 1.5),
        ("1e9", MAX_RETRY_AFTER),
        ("inf", MAX_RETRY_AFTER),
        ("", None),
        ("-1", None),
        ("nan", None),
        ("Wed, 21 Oct 2015 07:28 GMT", None),
    ],
)
def test_a_retry_after_is_seconds_and_bounded(
    value: str, seconds: float | None
) -> None:
    assert parse_retry_after(value) == seconds


NOON = "Sun, 06 Nov 1994 12:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("Sun, 06 Nov 1994 12:00:04 GMT", NOON, 4),
        ("Sunday, 06-Nov-94 12:00:04 GMT", NOON, 4),
        ("Sun Nov  6 12:00:04 1994", NOON, 4),
        ("Mon, 07 Nov 1994 12:00:00 GMT", NOON, 30),
        (NOON, NOON, 0),
        ("Sun, 06 Nov 1994 11:59:00 GMT", NOON, 0),
        ("Sun, 06 Nov 1994 12:00:04 GMT", "", None),
        ("Sun, 06 Nov 1994 12:00:04 GMT", "yesterday", None),
        ("Sun, 99 Nov 1994 12:00:04 GMT", NOON, 30),
        ("Sun, 06 Nov 99999999999999999999 12:00:04 GMT", NOON, None),
        ("soon", NOON, None),
    ],
)
def test_a_retry_after_that_is_a_date_counts_from_the_responses_own_date(
    value: str, date: str, seconds: float | None
) -> None:
    """The three forms of RFC 9110, 5.6.7, whatever the guest's clock says."""
    assert parse_retry_after(value, date) == seconds


def test_the_date_of_a_response_is_read_with_its_retry_after(
    fake: FakeCollector, collector: Collector
) -> None:
    headers = {"Retry-After": "Sun, 06 Nov 1994 12:00:07 GMT", "Date": NOON}
    fake.answers = [format_response(503, "Busy", headers)]
    assert collector.post(b"body", 10).retry_after == 7


def test_any_number_of_interim_responses_may_come_first(
    fake: FakeCollector, collector: Collector
) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5000
    fake.answers = [interim + OK]
    assert collector.post(b"body", 10).outcome is Outcome.TAKEN
