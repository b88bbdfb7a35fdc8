# SPDX-License-Identifier: Apache-2.0
"""The agent from its first line to its last: boot, wire, serve, end.

    options -> log -> (PID 1: the system) -> sandbox -> server -> wait -> undo all steps

A step with something to undo tells `ending`, which undoes the steps in reverse order,
however the agent ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kata_agent.agent_parts import AgentParts
from kata_agent.boot.announce import announce, boottime
from kata_agent.boot.core_dumps import enable_core_dumps
from kata_agent.boot.end import power_off
from kata_agent.boot.filesystems import mount_filesystems
from kata_agent.boot.init import is_init, prepare_system
from kata_agent.container.stream_dialer import StreamDialer
from kata_agent.container.stream_listener import StreamListener
from kata_agent.descriptor_limit import raise_limit
from kata_agent.device.driver_names import DRIVERS as DEVICE_DRIVERS
from kata_agent.linux.malloc import keep_large_blocks, share_one_heap
from kata_agent.linux.prctl import set_process_name
from kata_agent.log.agent_log import setup_log
from kata_agent.log.backtrace import answer_signal
from kata_agent.options.config import Config
from kata_agent.options.file import ConfigFileError
from kata_agent.options.load import load_config
from kata_agent.ports.ports import Ports
from kata_agent.ports.unix_ports import UnixPorts
from kata_agent.ports.vsock_ports import VsockPorts, listen_for_host
from kata_agent.reaper import Reaper
from kata_agent.rpc.health import HealthService
from kata_agent.rpc.log import log_interceptor
from kata_agent.rpc.status import to_status
from kata_agent.storage.driver_names import DRIVERS as STORAGE_DRIVERS
from kata_agent.system_paths import SystemPaths
from kata_agent.thread_priority import prefer_session, prefer_thread
from kata_agent.version import VERSION
from kata_protos.health_ttrpc import HEALTH
from kata_tracing.server_interceptor import server_interceptor
from kata_tracing.span import add_span, span
from kata_tracing.tracing import Tracing
from ttrpc.address import Address, VsockAddress, parse_address
from ttrpc.aio.server import Server
from ttrpc.bound_service import bind

if TYPE_CHECKING:
    from kata_agent.console.debug_console import DebugConsole
    from kata_agent.forward.forwarder import Forwarder

log = logging.getLogger(__name__)

LARGE_BLOCK: Final = 2 << 20
"""Bytes: the allocator takes blocks of up to this size from the heap."""
FREE_MEMORY_KEPT: Final = 4 << 20
"""Bytes that the heap keeps free. A process's stream comes in messages of some 256 KiB
and each is copied a few times; without this, page faults take most of the time
(bench.stdio)."""
LONGEST_TURN: Final = 0.0005
"""Seconds that a working thread (GetMetrics, a statistic) may keep the event loop
waiting; the interpreter's default is ten times as long."""
SHUTDOWN_TIMEOUT: Final = 1.0
"""Seconds that calls in flight have once the sandbox is destroyed: long polls end
by then, and some runtimes kill the VM 3 s after DestroySandbox."""
VSOCK_TIMEOUT: Final = 30.0
"""Seconds to wait for the vsock device at boot."""
VSOCK_INTERVAL: Final = 0.02
"""Seconds between two attempts to listen on that device."""


def run(*, listen: str | None = None, config_file: str | None = None) -> int:
    """Run the agent and return its exit status; as PID 1 of a machine never return."""
    started_boottime, started_monotonic_ns = boottime(), time.monotonic_ns()
    # Otherwise ps shows the interpreter's name.
    set_process_name("kata-agent")
    # The umask of the agent's parent would cut the modes of the directories that
    # containers see, and the containers' processes would inherit it.
    os.umask(0o022)
    raise_limit()
    prefer_thread()
    prefer_session()
    # The threads of blocking calls would each leave free memory in another heap.
    share_one_heap()
    keep_large_blocks(LARGE_BLOCK, FREE_MEMORY_KEPT)
    sys.setswitchinterval(LONGEST_TURN)
    paths = SystemPaths()
    is_pid_1 = is_init()
    warnings = mount_filesystems(paths) if is_pid_1 else []
    try:
        config, more = load_config(
            Path(config_file) if config_file else None,
            (paths.proc / "cmdline").read_text(),
            os.environ,
        )
    except ConfigFileError as error:
        print(f"kata-agent: {error}", file=sys.stderr)
        return 2
    agent_log = setup_log(config.log_level)
    if config.log_vport:
        # Before the first line is logged, so that the port has every line.
        agent_log.serve_port(to_ports(config), config.log_vport)
    for warning in (*warnings, *more):
        log.warning(warning)
    if is_pid_1:
        prepare_system(paths, config)
    if config.devmode:
        enable_core_dumps(paths)
    try:
        asyncio.run(
            serve(
                config,
                paths,
                listen=listen or config.server_addr,
                started_boottime=started_boottime,
                started_monotonic_ns=started_monotonic_ns,
            )
        )
        status = 0
    except (OSError, ValueError) as error:
        log.critical("cannot serve", extra={"error": str(error)})
        status = 1
    finally:
        # The event loop has put back Python's handler, which prints a traceback.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        agent_log.close()
    if is_pid_1:
        power_off()
    return status


async def serve(
    config: Config,
    paths: SystemPaths,
    *,
    listen: str,
    started_boottime: float,
    started_monotonic_ns: int,
) -> None:
    """Serve until the sandbox is destroyed or a signal says to stop.

    The agent's first act was at `started_boottime` seconds of CLOCK_BOOTTIME and at
    `started_monotonic_ns` of CLOCK_MONOTONIC. Raises `ValueError` for an invalid
    address, `OSError` for one that the agent cannot listen on.
    """
    prepared_ns = time.monotonic_ns()
    stopping = handle_signals(debug=config.debug)
    ports = to_ports(config)
    async with AsyncExitStack() as ending:
        tracing = to_tracing(config, ports)
        ending.push_async_callback(tracing.stop)
        if config.trace != "off":
            await tracing.start(config.trace)
        with tracing.boot(since=started_monotonic_ns):
            add_span(
                "system.prepare",
                subsystem="agent",
                start=started_monotonic_ns,
                end=prepared_ns,
            )
            add_span("tracing.start", subsystem="agent", start=prepared_ns)
            reaper = ending.enter_context(Reaper())
            if config.debug_console or config.shell_vport:
                # First, so that it works even if a later step fails.
                console = start_console(config, paths, ports, reaper)
                ending.push_async_callback(console.close)
            accepted = StreamListener()
            ending.callback(accepted.close)
            streams_port = config.passfd_listener_port
            streams = accepted if streams_port else StreamDialer(ports)
            parts = AgentParts(config, paths, reaper, streams, tracing)
            ending.push_async_callback(parts.close)
            server = to_server(parts, tracing)
            ending.push_async_callback(shutdown, server, tracing)
            with span("server.listen", subsystem="agent"):
                if streams_port:
                    # Before any client can ask for a stream.
                    await listen_when_possible(
                        listen, lambda: accepted.listen(ports.listen(streams_port))
                    )
                if forward_port := config.forward_vport:
                    forwarder = to_forwarder(parts, paths)
                    ending.push_async_callback(forwarder.close)
                    await listen_when_possible(
                        listen, lambda: forwarder.listen(ports.listen(forward_port))
                    )
                await listen_when_possible(
                    listen, lambda: server.listen(to_listener(listen))
                )
        announce(
            paths,
            config,
            started=started_boottime,
            device_handlers=DEVICE_DRIVERS,
            storage_handlers=STORAGE_DRIVERS,
        )
        await first_of(stopping, parts.destroyed)


def to_tracing(config: Config, ports: Ports) -> Tracing:
    """Return the tracing that `config` describes; it is not started."""
    return Tracing(
        lambda timeout: ports.connect(config.trace_vport, timeout),
        encoding=config.trace_encoding,
        flush_timeout=config.trace_flush_ms / 1000,
        version=VERSION,
    )


def start_console(
    config: Config, paths: SystemPaths, ports: Ports, reaper: Reaper
) -> DebugConsole:
    """Return the debug console, which serves its ports or the guest's console."""
    # Imported here, because most guests have none.
    from kata_agent.console.debug_console import DebugConsole
    from kata_agent.console.framed_wire import FramedWire
    from kata_agent.console.shell_cgroup import open_shell_cgroup

    console = DebugConsole(reaper, cgroup=open_shell_cgroup(paths, reaper))
    if config.shell_vport:
        console.serve_port(ports, config.shell_vport, FramedWire)
    if not config.debug_console:
        return console
    if config.debug_console_vport:
        console.serve_port(ports, config.debug_console_vport)
    else:
        console.serve_terminal(paths.dev / "console")
    return console


def to_forwarder(parts: AgentParts, paths: SystemPaths) -> Forwarder:
    """Return the forwarder of connections to programs in the guest."""
    # Imported here, because the guests of Kata's runtimes have none.
    from kata_agent.forward.forwarder import Forwarder

    return Forwarder(
        lambda container_id: (
            parts.sandbox.container(container_id).proc
            if container_id
            else paths.proc / "self"
        )
    )


def to_server(parts: AgentParts, tracing: Tracing) -> Server:
    """Return the server with all services; it does not listen yet."""
    return Server(
        [parts.service, bind(HEALTH, HealthService())],
        interceptors=[
            server_interceptor(tracing, to_status),
            log_interceptor(to_status),
        ],
        status_of=to_status,
    )


def to_listener(address: str) -> Address | socket.socket:
    """Return what the server serves: on vsock a listener that takes the host only.

    Raises `ValueError` for an invalid address, `OSError`.
    """
    parsed = parse_address(address)
    if isinstance(parsed, VsockAddress):
        return listen_for_host(parsed.cid, parsed.port)
    return parsed


def to_ports(config: Config) -> Ports:
    """Return the guest's ports: unix sockets in a local guest, vsock in a VM."""
    if config.local_socket is not None:
        return UnixPorts(config.local_socket)
    return VsockPorts()


def handle_signals(*, debug: bool) -> asyncio.Event:
    """Return the event that SIGTERM sets; USR1, QUIT and HUP log backtraces.

    Without `debug` these three do nothing. SIGINT stops an agent that a person runs by
    hand, and does the same as USR1 in the PID 1 of a machine: there it comes from a key
    that was hit on the console.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    backtrace_signals = [signal.SIGUSR1, signal.SIGQUIT, signal.SIGHUP]
    if is_init():
        backtrace_signals.append(signal.SIGINT)
    else:
        loop.add_signal_handler(signal.SIGINT, stopping.set)
    for number in backtrace_signals:
        loop.add_signal_handler(number, partial(answer_signal, number, debug=debug))
    return stopping


async def listen_when_possible(
    address: str, listen: Callable[[], Awaitable[None] | None]
) -> None:
    """Call `listen`; if `address` is vsock, again until the kernel has the device.

    Raises the error of `listen`, on vsock after `VSOCK_TIMEOUT` seconds.
    """
    deadline = time.monotonic() + VSOCK_TIMEOUT
    while True:
        try:
            listening = listen()
            if listening is not None:
                await listening
            return
        except OSError:
            if not address.startswith("vsock:") or time.monotonic() > deadline:
                raise
        await asyncio.sleep(VSOCK_INTERVAL)


async def shutdown(server: Server, tracing: Tracing) -> None:
    """Let calls in flight end; DestroySandbox, one of them, waits for its spans."""
    flush = 0.0 if tracing.tracer is None else tracing.flush_timeout
    await server.shutdown(SHUTDOWN_TIMEOUT + flush)


async def first_of(*events: asyncio.Event) -> None:
    """Wait until one of `events` is set."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
