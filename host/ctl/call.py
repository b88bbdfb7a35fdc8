# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl call`: any RPC of an agent, with requests and responses in JSON."""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from kata_host.ctl.arguments import add_connect_timeout, add_guest_option
from kata_host.ctl.command_parser import text
from kata_host.ctl.errors import CommandError, UsageError
from kata_host.ctl.signals import run
from kata_host.option_types import seconds

if TYPE_CHECKING:
    from kata_host.ctl.program import Subparsers
    from ttrpc.service import Method

REQUEST_LIMIT: Final = 16 << 20
"""Bytes of JSON. The message that they become may have 4 MiB."""


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "call",
        help="call any RPC of an agent",
        usage="%(prog)s --guest GUEST [options] METHOD [REQUEST]\n       %(prog)s list",
        description="Call a method of grpc.AgentService or grpc.Health, and print the "
        "response as JSON. If the call fails, print `CODE: message` on standard error "
        "and exit with status 1. With `list` in place of METHOD, print the full "
        "name of every method.",
        epilog="Example:\n\n"
        "  kata-agent-ctl call --guest one get-guest-details "
        "'{\"mem_block_size\": true}'",
    )
    parser.intermixes = True
    add_guest_option(parser, required=False)
    add_connect_timeout(parser)
    parser.add_argument(
        "--timeout",
        type=seconds,
        metavar="TIME",
        help="end the call, in the guest too, after so long (default: no limit)",
    )
    parser.add_argument(
        "method",
        type=text,
        metavar="METHOD",
        help="a method's name, such as CreateSandbox, create-sandbox or "
        "grpc.Health/Check",
    )
    parser.add_argument(
        "request",
        nargs="?",
        default="{}",
        metavar="REQUEST",
        help="the request in protobuf's JSON form, @FILE to read it from a file, or - "
        "to read it from standard input (default: {})",
    )
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    methods = _methods()
    if options.method == "list":
        for full_name in sorted(methods):
            print(full_name)
        return 0
    method = _find(methods, options.method)
    if options.guest is None:
        raise UsageError("call: --guest is needed")
    request = _parse(method, _read(options.request))
    response = run(_call(options, method, request))
    print(_to_json(response))
    return 0


def _methods() -> dict[str, Method[Any, Any]]:
    """Return every method by its full name, without the leading slash."""
    from kata_protos import agent_pb2, health_pb2
    from ttrpc.service import Service

    files = (agent_pb2.DESCRIPTOR, health_pb2.DESCRIPTOR)
    services = [
        Service.from_descriptor(descriptor)
        for file in files
        for descriptor in file.services_by_name.values()
    ]
    return {
        method.full_method.removeprefix("/"): method
        for service in services
        for method in service.methods.values()
    }


def _find(methods: dict[str, Method[Any, Any]], name: str) -> Method[Any, Any]:
    """Find a method by its name, in any case and with dashes, or its full name."""
    wanted = name.removeprefix("/")
    if wanted in methods:
        return methods[wanted]
    for method in methods.values():
        if _plain(method.name) == _plain(wanted):
            return method
    raise UsageError(f"call: no method '{name}': see `call list`")


def _plain(name: str) -> str:
    return re.sub("[-_]", "", name).lower()


def _read(argument: str) -> str:
    """Return the JSON text, from a file for `@FILE` and from the input for `-`."""
    if argument == "-":
        return _decode("standard input", sys.stdin.buffer)
    if not argument.startswith("@"):
        return argument
    try:
        with open(argument[1:], "rb") as file:
            return _decode(argument[1:], file)
    except OSError as error:
        raise CommandError(f"call: {argument[1:]}: {error.strerror}") from error


def _decode(name: str, file: BinaryIO) -> str:
    """Return the text of a file to its end, which an endless one does not have."""
    content = file.read(REQUEST_LIMIT + 1)
    if len(content) > REQUEST_LIMIT:
        raise CommandError(f"call: {name}: longer than {REQUEST_LIMIT} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise CommandError(f"call: {name}: not UTF-8: {error.reason}") from error


def _parse(method: Method[Any, Any], text: str) -> Any:
    from google.protobuf import json_format

    try:
        return json_format.Parse(text, method.request_type())
    except json_format.ParseError as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"call: {method.name}: {reason}") from error


async def _call(
    options: argparse.Namespace, method: Method[Any, Any], request: Any
) -> Any:
    from kata_host.ctl.target import Target

    async with Target.of(options).client() as client:
        return await client.call(method, request, timeout=options.timeout)


def _to_json(response: Any) -> str:
    from google.protobuf import json_format

    text: str = json_format.MessageToJson(
        response, preserving_proto_field_name=True, ensure_ascii=True
    )
    return text
