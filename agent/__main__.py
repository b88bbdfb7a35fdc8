# SPDX-License-Identifier: Apache-2.0
"""`kata-agent`: read the command line, then let `kata_agent.main` run.

This module decides what the process never loads. OpenSSL comes with `ssl`, which
asyncio imports when it can, and with `_hashlib`, which `hashlib` prefers to its own
code: together 7 MiB and a tenth of the start-up time, and nothing here speaks TLS.
`None` in `sys.modules` makes an import fail (the import system, 5.3.1); both are
optional to those who import them.

An empty module stands for what others import and never use here: the debugger that
construct offers for parsers, and protobuf's messages in Python, whose place its
compiled ones have taken: 1.1 MiB.

Nor does it look for garbage in what the imports make, which stays for good: that
would be a tenth of the start-up time, and milliseconds again and again later.
"""

from __future__ import annotations

import gc
import sys
import types

for _name in ("ssl", "_hashlib"):
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]  # fails imports
for _name in ("pdb", "google.protobuf.internal.python_message"):
    sys.modules.setdefault(_name, types.ModuleType(_name))

from kata_agent.version import VERSION  # noqa: E402  # what is above comes first

USAGE = """\
usage: kata-agent [--listen ADDRESS] [--config FILE] [--version] [--help]

The agent of a guest: serves the Kata agent API over ttrpc.

  --listen ADDRESS  vsock://CID:PORT, unix:///PATH or unix://@NAME
                    (default: agent.server_addr of the kernel command line, else
                    vsock://-1:1024)
  --config FILE     settings in TOML, in place of the kernel command line
  --version         print the version and end
  --help            print this and end

As PID 1 it sets up the guest first and powers it off at the end. The options of the
kernel command line are in README.md.
"""


def main() -> int:
    """Run the program; return its exit status. Wrong usage is status 2."""
    # By hand: argparse takes 9 ms, a tenth of what a start may take.
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
                    print(f"kata-agent: {name} needs a value", file=sys.stderr)
                    return 2
                if name in ("--listen", "-l"):
                    listen = value
                else:
                    config = value
            case _:
                print(f"kata-agent: {argument}: not an option", file=sys.stderr)
                print(USAGE, end="", file=sys.stderr)
                return 2

    gc.disable()
    from kata_agent.main import run

    gc.freeze()
    gc.enable()
    return run(listen=listen, config_file=config)


if __name__ == "__main__":
    sys.exit(main())
