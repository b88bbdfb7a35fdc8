# SPDX-License-Identifier: Apache-2.0
"""`python -m ttrpc call`."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

from google.protobuf.json_format import MessageToJson, Parse, ParseError
from google.protobuf.message import DecodeError, Message

from ttrpc.aio.client import Client
from ttrpc.aio.client_stream import ClientStream
from ttrpc.calling.input_lines import input_lines
from ttrpc.calling.protos import compile_protos, find_method
from ttrpc.descriptor_set import parse_services
from ttrpc.errors import Closed, StatusError, TtrpcError, sanitize
from ttrpc.service import Method, Service

REFUSED: Final = 1
"""The exit status when the call ended with a status other than OK."""
FAILED: Final = 2
"""The exit status when the call could not be made or its answer was lost."""
INTERRUPTED: Final = 130
"""The exit status of a shell for SIGINT."""

EPILOG: Final = """\
Messages are protobuf's JSON, one a line. JSON is one message; without it, the request
is empty. A client that streams takes its messages from standard input, a line each, or
from the lines of JSON.

The exit status is 0 when the call succeeded, 1 when it ended with another status, which
is printed on standard error, and 2 when it could not be made.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        "call",
        help="call a method, with messages as JSON",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "address", metavar="ADDRESS", help="unix://PATH, vsock://CID:PORT, ..."
    )
    parser.add_argument("method", metavar="SERVICE/METHOD", help="demo.Echo/Shout")
    parser.add_argument(
        "json",
        metavar="JSON",
        nargs="?",
        help='the request, {"text": "a"}; - is standard input',
    )
    parser.add_argument(
        *("-p", "--proto"),
        action="append",
        default=[],
        metavar="FILE",
        help="a .proto that declares the service; needs grpcio-tools or protoc",
    )
    parser.add_argument(
        *("-I", "--proto-path"),
        action="append",
        default=[],
        metavar="DIR",
        help="where .protos import from (default: where the files are)",
    )
    parser.add_argument(
        "--descriptor-set",
        action="append",
        default=[],
        metavar="FILE",
        help="the service as `protoc --include_imports --descriptor_set_out FILE` "
        "writes it",
    )
    parser.add_argument(
        *("-m", "--metadata"),
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="send this along; may repeat",
    )
    parser.add_argument(
        *("-t", "--timeout"),
        type=float,
        metavar="SECONDS",
        help="give the call up after this time (default: never)",
    )
    parser.add_argument(
        "--connect-timeout",
        type=float,
        metavar="SECONDS",
        help="try again for so long while nobody listens (default: once)",
    )
    parser.set_defaults(main=call)


def call(options: argparse.Namespace) -> int:
    """Make the call; return the exit status."""
    method = None
    try:
        method = find_method(_services(options), options.method)
        metadata = [_pair(text) for text in options.metadata]
        asyncio.run(_call(options, method, metadata))
    except BrokenPipeError:
        # The reader has gone: let the flush at exit go nowhere, so that it cannot fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except StatusError as exc:
        assert method is not None
        return _refused(method, exc)
    except (OSError, ValueError, TtrpcError) as exc:
        print(f"call: {_shown(exc)}", file=sys.stderr)
        return FAILED
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    return 0


async def _call(
    options: argparse.Namespace,
    method: Method[Any, Any],
    metadata: Sequence[tuple[str, str]],
) -> None:
    _cancel_at_interrupt()
    kind = method.cardinality
    requests = _requests(options, method)
    # What is wrong with the one request is said before anything is sent.
    request = None if kind.client_streaming else await anext(requests)
    async with await Client.connect(
        options.address, timeout=options.connect_timeout
    ) as client:
        if not kind.client_streaming and not kind.server_streaming:
            assert request is not None
            answer = await client.call(
                method, request, timeout=options.timeout, metadata=metadata
            )
            _print(answer)
            return
        async with client.open_stream(
            method, request, timeout=options.timeout, metadata=metadata
        ) as stream:
            if kind.client_streaming:
                await _converse(stream, requests)
            else:
                await _print_all(stream)


def _cancel_at_interrupt() -> None:
    """Let SIGINT cancel the caller's task, unless the program ignores it.

    `asyncio.run` alone does not see one that comes right before the loop waits, because
    it sets no wake-up descriptor (`signal.set_wakeup_fd`).
    """
    task = asyncio.current_task()
    assert task is not None
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)


async def _converse(
    stream: ClientStream[Any, Any], requests: AsyncIterator[Message]
) -> None:
    """Send and print at the same time, until the server has ended the stream."""

    async def send_all() -> None:
        async for request in requests:
            await stream.send(request)
        await stream.close_send()

    sending = asyncio.create_task(send_all())
    printing = asyncio.create_task(_print_all(stream))
    try:
        await asyncio.wait((sending, printing), return_when=asyncio.FIRST_COMPLETED)
        if sending.done() and isinstance(error := sending.exception(), ValueError):
            raise error
        # A stream that can no longer be sent to has a cause, which this raises.
        await printing
    finally:
        for task in (sending, printing):
            task.cancel()
        await asyncio.gather(sending, printing, return_exceptions=True)


async def _print_all(stream: ClientStream[Any, Any]) -> None:
    async for message in stream:
        _print(message)


async def _requests(
    options: argparse.Namespace, method: Method[Any, Any]
) -> AsyncIterator[Message]:
    text = options.json
    if not method.cardinality.client_streaming:
        if text is None:
            yield method.request_type()
        else:
            text = sys.stdin.read() if text == "-" else text
            yield _parse("request", text, method)
        return
    number = 0
    if text is None or text == "-":
        async for line in input_lines(sys.stdin.fileno()):
            number += 1
            yield _parse(f"message {number}", line, method)
    else:
        for line in filter(str.strip, text.splitlines()):
            number += 1
            yield _parse(f"message {number}", line, method)


def _parse(name: str, text: str, method: Method[Any, Any]) -> Message:
    message: Message = method.request_type()
    try:
        pool: Any = message.DESCRIPTOR.file.pool
        Parse(text, message, descriptor_pool=pool)
    except (ParseError, TypeError) as exc:
        full_name = message.DESCRIPTOR.full_name
        raise ValueError(f"{name}: no {full_name}: {exc}") from None
    return message


def _print(message: Message) -> None:
    try:
        print(_json(message, message), flush=True)
    except TypeError as exc:
        # The type of a google.protobuf.Any is in no file that was given.
        raise ValueError(f"response: {exc}") from None


def _refused(method: Method[Any, Any], error: StatusError) -> int:
    print(f"call: {error}", file=sys.stderr)
    for detail in error.details:
        try:
            text = _json(detail, method.request_type())
        except (TypeError, DecodeError):
            text = sanitize(detail.type_url)
        print(f"call: detail: {text}", file=sys.stderr)
    return REFUSED


def _json(message: Message, neighbour: Message) -> str:
    """Return a line; an Any in it may hold a message of `neighbour`'s files."""
    pool: Any = neighbour.DESCRIPTOR.file.pool
    return MessageToJson(message, indent=None, descriptor_pool=pool)


def _services(options: argparse.Namespace) -> dict[str, Service]:
    if not options.proto and not options.descriptor_set:
        raise ValueError("no service is known: give --proto or --descriptor-set")
    services: dict[str, Service] = {}
    for path in options.descriptor_set:
        try:
            services |= parse_services(Path(path).read_bytes())
        except ValueError as exc:
            raise ValueError(f"{path}: {exc}") from None
    if options.proto:
        services |= compile_protos(options.proto, options.proto_path)
    return services


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ValueError(f"metadata {text!r}: not KEY=VALUE")
    return key, value


def _shown(error: Exception) -> str:
    """Return the text of an error in one line, but protoc's in its own lines."""
    if isinstance(error, OSError) and not isinstance(error, Closed):
        return sanitize(f"{error.filename}: {error.strerror}")
    return "\n".join(map(sanitize, str(error).splitlines()))
