# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import pytest

from kata_host.forwarder.command_line import make_parser
from kata_host.forwarder.defaults import GUEST_CONNECTIONS, MAX_FILE_SIZE, SOCKET_MODE


def test_what_is_not_given_has_its_default() -> None:
    options = make_parser().parse_args(["--listen=unix:///s"])
    assert options.max_file_size == MAX_FILE_SIZE
    assert options.guest_connections == GUEST_CONNECTIONS
    assert options.socket_mode == SOCKET_MODE
    assert (options.to, options.file, options.user) == (None, None, "nobody")


def test_permissions_are_octal() -> None:
    parser = make_parser()
    options = parser.parse_args(["--listen=unix:///s", "--socket-mode=660"])
    assert options.socket_mode == 0o660
    for word in ("1000", "8", "x"):
        with pytest.raises(SystemExit):
            parser.parse_args(["--listen=unix:///s", f"--socket-mode={word}"])


def test_the_parser_needs_nothing_but_the_standard_library() -> None:
    """Where the wheel is built, nothing that it depends on is installed."""
    script = (
        "import sys; import kata_host.forwarder.command_line as it; it.make_parser();"
        "assert not {'google', 'ttrpc', 'asyncio'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
