# SPDX-License-Identifier: Apache-2.0
"""`kata-agent`: read the command line, then run `kata_agent.main`.

This module first keeps out modules that the agent never needs. OpenSSL comes with
`ssl`, which asyncio imports if it can, and with `_hashlib`, which `hashlib` prefers to
its own code: together 7 MiB and a tenth of the start-up time, and the agent speaks no
TLS. `None` in `sys.modules` makes an import fail (the import system, 5.3.1); asyncio
and hashlib do without.

An empty module replaces three others that are imported but never used here: the
debugger that construct offers for parsers, protobuf's messages in pure Python, because
the compiled ones are used, and asyncio's TLS: 1.2 MiB.

Others are imported on first use: those that logging, asyncio, pathlib, protobuf and
construct import for functions that a guest hardly ever calls. That saves 1 MiB and a
twentieth of the start-up time.

The garbage collector is off during the imports, because the objects that they make
stay for good. The search would take a tenth of the start-up time, and milliseconds
again and again later.
"""

from __future__ import annotations

# `signal` makes enums of its constants, which takes a hundredth of the start-up time.
import _signal  # type: ignore[import-not-found]  # typeshed has `signal` alone
import gc
import os
import sys
import types

for _name in ("ssl", "_hashlib"):
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]  # fails imports
for _name in ("pdb", "google.protobuf.internal.python_message", "asyncio.sslproto"):
    sys.modules.setdefault(_name, types.ModuleType(_name))

from kata_agent.late_module import LateModule  # noqa: E402  # after the lines above
from kata_agent.version import VERSION  # noqa: E402

for _name in (
    *("calendar", "hashlib", "ipaddress", "locale", "pickle"),
    *("textwrap", "tokenize"),
):
    LateModule.install(_name)

USAGE = """\
usage: kata-agent [--listen ADDRESS] [--config FILE] [--version] [--help]

The agent of a guest: serves the Kata agent API over ttrpc.

  --listen ADDRESS  vsock://CID:PORT, unix:///PATH or unix://@NAME
                    (default: agent.server_addr of the kernel command line, or
                    vsock://-1:1024)
  --config FILE     settings in TOML, which replace the kernel command line
  --version         print the version and exit
  --help            print this text and exit

As PID 1 the agent sets up the guest first and powers it off at the end. README.md
lists the options of the kernel command line.
"""


def end_when_interrupted(number: int, frame: object) -> None:
    """End the agent at a SIGINT that comes before there is anything to release.

    Python's own handler would print a traceback. PID 1 goes on: a person hit a key on
    the guest's console.
    """
    if os.getpid() != 1:
        os._exit(128 + number)


def main() -> int:
    """Run the program; return its exit status. Wrong usage is status 2."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, end_when_interrupted)
    # Without argparse, which takes 9 ms: a tenth of the time that a start may take.
    listen: str | None = None
    config: str | None = None
    arguments = iter(sys.argv[1:])
    for argument in arguments:
        name, equals, value = argument.partition("=")
        match name:
            case "--version" | "-v":
                print(f"kata-agent {VERSION}")
                return 0
            case "--help" | "-h":
                print(USAGE, end="")
                return 0
            case "--listen" | "-l" | "--config" | "-c":
                value = value if equals else next(arguments, "")
                if not value:
                    print(f"kata-agent: option {name!r}: no value", file=sys.stderr)
                    return 2
                if name in ("--listen", "-l"):
                    listen = value
                else:
                    config = value
            case _:
                print(f"kata-agent: invalid option {argument!r}", file=sys.stderr)
                print(USAGE, end="", file=sys.stderr)
                return 2

    gc.disable()
    from kata_agent.main import run

    gc.freeze()
    gc.enable()
    return run(listen=listen, config_file=config)


if __name__ == "__main__":
    sys.exit(main())
