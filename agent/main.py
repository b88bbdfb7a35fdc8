# SPDX-License-Identifier: Apache-2.0
"""The agent from its first line to its last: boots, wires, serves, ends.

    options -> log -> (PID 1: the system) -> sandbox -> server -> wait -> undo it all

Each step that has something to undo says so to `ending`, which undoes them in
reverse, however the agent ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final

from kata_agent.boot.announce import announce, now
from kata_agent.boot.core_dumps import enable_core_dumps
from kata_agent.boot.end import power_off
from kata_agent.boot.filesystems import mount_filesystems
from kata_agent.boot.init import is_init, prepare_system
from kata_agent.boot.root import can_pivot_root
from kata_agent.console.debug_console import DebugConsole
from kata_agent.container.stdio_accept import StreamListener
from kata_agent.container.stdio_dial import DialledStreams
from kata_agent.device.devices import HANDLERS as DEVICE_HANDLERS
from kata_agent.device.devices import Devices
from kata_agent.device.hotplug import Hotplug
from kata_agent.device.uevent import Uevents
from kata_agent.linux.malloc import keep_large_blocks
from kata_agent.linux.prctl import set_process_name
from kata_agent.log.agent_log import setup_log
from kata_agent.log.backtrace import answer_signal
from kata_agent.network.network import Network
from kata_agent.options.config import Config
from kata_agent.options.file import ConfigFileError
from kata_agent.options.load import load_config
from kata_agent.ports import Ports, UnixPorts, VsockPorts
from kata_agent.reaper import Reaper
from kata_agent.rpc.log import log_interceptor
from kata_agent.rpc.services import services
from kata_agent.rpc.status import to_status
from kata_agent.runtime.registry import to_runtime
from kata_agent.sandbox.guest import Guest
from kata_agent.sandbox.sandbox import Sandbox
from kata_agent.storage.storages import DRIVERS, Storages
from kata_agent.system_paths import SystemPaths
from kata_agent.version import VERSION
from kata_tracing.interceptor import server_interceptor
from kata_tracing.setup import Tracing
from kata_tracing.span import add_span, span
from ttrpc.aio.server import Server

log = logging.getLogger(__name__)

LARGE_BLOCK: Final = 2 << 20
FREE_MEMORY_KEPT: Final = 4 << 20
"""Bytes. A process's stream is messages of some 256 KiB, each a few copies of it;
most of the time went into page faults (bench.stdio)."""
LONGEST_TURN: Final = 0.0005
"""Seconds that a thread which works (GetMetrics, a statistic) may keep the event loop
waiting; the interpreter's own value is ten times as long."""
SHUTDOWN_TIMEOUT: Final = 1.0
"""Seconds that calls in flight have once the sandbox is destroyed: long polls end
by then, and some runtimes kill the VM 3 s after DestroySandbox."""
VSOCK_TIMEOUT: Final = 30.0
VSOCK_INTERVAL: Final = 0.02
"""Seconds to wait for the vsock device at boot, and between two looks."""


def run(*, listen: str | None = None, config_file: str | None = None) -> int:
    """Be the agent; return the exit status of the process. As PID 1 never return."""
    started, started_ns = now(), time.monotonic_ns()
    # Else it would be the interpreter's.
    set_process_name("kata-agent")
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
        # Before anything is logged, so that the port has it all.
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
                started=started,
                started_ns=started_ns,
            )
        )
        status = 0
    except (OSError, ValueError) as error:
        log.critical("cannot serve", extra={"error": str(error)})
        status = 1
    finally:
        agent_log.close()
    if is_pid_1:
        power_off()
    return status


async def serve(
    config: Config,
    paths: SystemPaths,
    *,
    listen: str,
    started: float,
    started_ns: int,
) -> None:
    """Serve until the sandbox is destroyed or a signal says to stop.

    Raises `ValueError` for a bad address, `OSError` when it cannot be had.
    """
    prepared_ns = time.monotonic_ns()
    stopping = handle_signals(debug=config.debug)
    ports = to_ports(config)
    async with AsyncExitStack() as ending:
        tracing = Tracing(
            lambda timeout: ports.connect(config.trace_vport, timeout),
            encoding=config.trace_encoding,
            flush_timeout=config.trace_flush_ms / 1000,
            version=VERSION,
        )
        ending.push_async_callback(tracing.stop)
        if config.trace != "off":
            await tracing.start(config.trace)
        with tracing.boot(since=started_ns):
            add_span(
                "system.prepare", subsystem="agent", start=started_ns, end=prepared_ns
            )
            add_span("tracing.start", subsystem="agent", start=prepared_ns)
            reaper = ending.enter_context(Reaper())
            # First: it is for the day when what follows fails.
            if config.debug_console:
                console = DebugConsole(reaper)
                ending.push_async_callback(console.close)
                if config.debug_console_vport:
                    console.serve_port(ports, config.debug_console_vport)
                else:
                    console.serve_terminal(paths.dev / "console")
            uevents = Uevents(paths)
            ending.callback(uevents.close)
            hotplug = Hotplug(paths, uevents, config.hotplug_timeout)
            accepted = StreamListener()
            ending.callback(accepted.close)
            streams_port = config.passfd_listener_port
            streams = accepted if streams_port else DialledStreams(ports)
            sandbox = Sandbox(
                Guest(
                    config,
                    paths,
                    reaper,
                    to_runtime(
                        config.runtime,
                        reaper=reaper,
                        state=paths.runtime,
                        pivot_root=can_pivot_root(paths),
                    ),
                    Storages(hotplug, reaper),
                    Devices(hotplug),
                    streams,
                )
            )
            ending.push_async_callback(sandbox.end)
            server = Server(
                services(sandbox, Network(reaper, hotplug), hotplug, tracing),
                interceptors=[
                    server_interceptor(tracing, to_status),
                    log_interceptor(to_status),
                ],
                status_of=to_status,
            )
            ending.push_async_callback(shutdown, server, tracing)
            with span("server.listen", subsystem="agent"):
                if streams_port:
                    # Before anybody can ask for a stream.
                    await listen_when_possible(
                        listen, lambda: accepted.listen(ports.listen(streams_port))
                    )
                await listen_when_possible(listen, lambda: server.listen(listen))
        announce(
            paths,
            config,
            started=started,
            device_handlers=sorted(DEVICE_HANDLERS),
            storage_handlers=DRIVERS,
        )
        await first_of(stopping, sandbox.destroyed)


def to_ports(config: Config) -> Ports:
    """Return the ports of the guest: vsock, but for a local guest."""
    if config.local_socket is not None:
        return UnixPorts(config.local_socket)
    return VsockPorts()


def handle_signals(*, debug: bool) -> asyncio.Event:
    """Return what SIGTERM sets; others ask where we are, and never end the agent.

    Control-C ends an agent that somebody runs by hand. On a machine's console it is
    a key that somebody hit.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    asking = [signal.SIGUSR1, signal.SIGQUIT, signal.SIGHUP]
    if is_init():
        asking.append(signal.SIGINT)
    else:
        loop.add_signal_handler(signal.SIGINT, stopping.set)
    for number in asking:
        loop.add_signal_handler(number, partial(answer_signal, number, debug=debug))
    return stopping


async def listen_when_possible(
    address: str, listen: Callable[[], Awaitable[None] | None]
) -> None:
    """Call `listen`; where the agent is on vsock, until the kernel has its device.

    Raises what `listen` raises, on vsock after `VSOCK_TIMEOUT` seconds.
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
    """Let calls in flight end; DestroySandbox answers when it has sent its spans."""
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
