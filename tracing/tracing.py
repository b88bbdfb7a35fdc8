# SPDX-License-Identifier: Apache-2.0
"""Switches tracing on and off; the agent's main holds the one object.

    tracing = Tracing(
        connect=lambda timeout: ports.connect(config.trace_vport, timeout),
        encoding=config.trace_encoding,                  # "otlp" or "jaeger"
        flush_timeout=config.trace_flush_ms / 1000,
        version=VERSION,
    )
    server = Server(..., interceptors=[server_interceptor(tracing, to_status), ...])

    if config.trace != "off":
        await tracing.start(config.trace)                # a TraceType, as a word
    with tracing.boot(since=started):                    # time.monotonic_ns() of main's
        ...                                              # first line; a no-op when off
    ...
    await tracing.stop()                                 # before power-off: flushes

The interceptor, which is always installed, opens a span for each call, takes the
sandbox's id from CreateSandbox, and flushes before DestroySandbox answers. Until
`start` nothing of OpenTelemetry is imported. Imports and flushes run in a thread, off
the loop.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import os
from typing import TYPE_CHECKING, Final

from kata_tracing import semconv
from kata_tracing.counters import Counters
from kata_tracing.span import NO_SPAN, Span, use_tracer

if TYPE_CHECKING:
    # The modules that make and send spans are imported when tracing goes on.
    from kata_tracing.collector import Connect
    from kata_tracing.trace_port import TracePort, TracePortLimits
    from kata_tracing.tracer import Tracer

log = logging.getLogger(__name__)

BOOT_SPAN: Final = "agent.boot"


class TraceMode(enum.Enum):
    """How tracing was switched on."""

    OFF = enum.auto()
    STATIC = enum.auto()
    """By the kernel command line or the configuration file."""
    DYNAMIC = enum.auto()
    """By StartTracing."""


class TraceType(enum.StrEnum):
    """Which trace the agent's spans belong to."""

    ISOLATED = "isolated"
    """Each call begins a trace of its own, whatever its caller sends."""
    COLLATED = "collated"
    """Each call is part of its caller's trace, if the caller sends one."""


class TracingStateError(Exception):
    """StartTracing or StopTracing does not apply now; the text is Kata 1.x's."""


class Tracing:
    """Switches tracing on and off, any number of times."""

    def __init__(
        self,
        connect: Connect,
        *,
        encoding: str = "otlp",
        flush_timeout: float = 1.0,
        version: str = "",
        limits: TracePortLimits | None = None,
    ) -> None:
        """`connect` opens the connection to the collector, within some seconds."""
        self.flush_timeout = flush_timeout
        """The longest that a stop or a flush takes, in seconds."""
        self.mode = TraceMode.OFF
        self.trace_type = TraceType.ISOLATED
        self.tracer: Tracer | None = None
        """None while tracing is off."""
        self._connect = connect
        self._encoding = encoding
        self._version = version
        self._limits = limits
        self._counters = Counters()
        self._port: TracePort | None = None
        self._sandbox_id = ""
        self._start_was_asked = False
        self._is_stopping = False
        self._lock = asyncio.Lock()

    async def start(
        self, trace_type: str | TraceType, *, dynamic: bool = False
    ) -> None:
        """Switch tracing on, for the spans that begin from now on.

        Raises `ValueError` for an unknown type or encoding, `TracingStateError` if
        tracing is on already.
        """
        wanted = TraceType(trace_type)
        async with self._lock:
            if self.tracer is not None:
                raise TracingStateError("tracing already enabled")
            # OpenTelemetry's imports take tens of milliseconds.
            tracer, port = await asyncio.to_thread(self._build)
            self.trace_type = wanted
            self.mode = TraceMode.DYNAMIC if dynamic else TraceMode.STATIC
            self._start_was_asked = dynamic
            self.tracer, self._port = tracer, port
            tracer.sandbox_id = self._sandbox_id
            use_tracer(tracer)
        log.info(
            "tracing is on",
            extra={"trace_type": wanted.value, "trace_mode": self.mode.name.lower()},
        )

    async def stop(self) -> None:
        """Switch tracing off, after a flush; do nothing when it is off.

        Spans that are still open when this begins are dropped and counted when they
        end. Takes `flush_timeout` at most.
        """
        self._is_stopping = True
        try:
            async with self._lock:
                port = self._port
                self.tracer = self._port = None
                self.mode = TraceMode.OFF
                use_tracer(None)
                if port is not None:
                    await asyncio.to_thread(port.close, self.flush_timeout)
                    log.info("tracing is off", extra=self._counters.copy().to_log())
        finally:
            self._is_stopping = False

    async def flush(self) -> bool:
        """Wait until all ended spans are delivered or dropped.

        Takes `flush_timeout` at most; returns False if that was too short.
        """
        if self._port is None:
            return True
        return await asyncio.to_thread(self._port.flush, self.flush_timeout)

    async def start_by_call(self) -> None:
        """Serve StartTracing, by the rules of Kata 1.x.

        Such tracing is isolated. If an option has switched tracing on already, the
        first StartTracing is accepted and changes nothing. Raises
        `TracingStateError`.
        """
        if self.mode is TraceMode.STATIC and not self._start_was_asked:
            self._start_was_asked = True
            return
        await self.start(TraceType.ISOLATED, dynamic=True)

    async def stop_by_call(self) -> None:
        """Serve StopTracing, which ends static tracing too.

        Raises `TracingStateError`.
        """
        if self._is_stopping:
            raise TracingStateError("tracing already disabled")
        if self.mode is TraceMode.OFF:
            raise TracingStateError("tracing not enabled")
        await self.stop()

    def boot(self, *, since: int) -> Span:
        """Begin the span of the agent's start; `since` is of `time.monotonic_ns`.

        The span ends with its `with` block, when the server is ready. Calls that are
        roots of a trace link to it.
        """
        if self.tracer is None:
            return NO_SPAN
        return self.tracer.begin_boot(BOOT_SPAN, since)

    @property
    def sandbox_id(self) -> str:
        """The sandbox's id, an attribute of every span that begins later."""
        return self._sandbox_id

    @sandbox_id.setter
    def sandbox_id(self, sandbox_id: str) -> None:
        self._sandbox_id = sandbox_id
        if self.tracer is not None:
            self.tracer.sandbox_id = sandbox_id

    def counters(self) -> Counters:
        """Return the counts of all spans since the agent's start."""
        return self._counters.copy()

    def _build(self) -> tuple[Tracer, TracePort]:
        from kata_tracing.encoding.load_encoding import load_encoding
        from kata_tracing.sdk_translator import SdkTranslator
        from kata_tracing.trace_port import TracePort
        from kata_tracing.tracer import Tracer

        port = TracePort(
            self._connect,
            load_encoding(self._encoding),
            SdkTranslator(self._resource()).translate,
            counters=self._counters,
            limits=self._limits,
        )
        return Tracer(port.put), port

    def _resource(self) -> dict[str, str | int]:
        machine = os.uname().machine
        return {
            semconv.SERVICE_NAME: semconv.SERVICE,
            semconv.SERVICE_VERSION: self._version,
            semconv.SERVICE_INSTANCE_ID: self._sandbox_id or _boot_id(),
            semconv.HOST_ARCH: semconv.ARCHITECTURES.get(machine, machine),
            semconv.OS_TYPE: "linux",
            semconv.PROCESS_PID: os.getpid(),
        }


def _boot_id() -> str:
    """Return the kernel's id of this boot (man 4 random)."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
