# SPDX-License-Identifier: Apache-2.0
"""What of the interpreter and its packages is not in the tarball, and why.

A Python that serves one program needs half of its library, and of each module one form:
the compiled one. Our own modules have both, because a traceback shows lines of them.
A library that only a removed module loads goes with it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kata_host.guest.image.python import VERSION

_STDLIB: Final = f"lib/python{VERSION}"
_TAG: Final = f".cpython-{VERSION.replace('.', '')}"
_COMPILED: Final = f"{_TAG}.opt-2.pyc"
"""The ending of a module that was compiled for -OO."""

_OF_THE_STDLIB: Final[Mapping[str, str]] = {
    "OpenSSL, which the agent never loads": "ssl.py lib-dynload/_ssl.* "
    "lib-dynload/_hashlib.*",
    "tools for people who write programs": "_pyrepl unittest venv pydoc.py doctest.py "
    "compileall.py modulefinder.py symtable.py trace.py tracemalloc.py profile.py "
    "pstats.py pickletools.py difflib.py optparse.py webbrowser.py "
    "_sysconfigdata* __phello__ lib-dynload/_lsprof.* lib-dynload/readline.*",
    "tests of the interpreter": "lib-dynload/_test* lib-dynload/_ctypes_test.* "
    "lib-dynload/_xxtestfuzz.* lib-dynload/xx*",
    "graphics, sound, and programs on a whole terminal": "turtle.py wave.py curses "
    "lib-dynload/_curses*",
    "mail, and other protocols than HTTP": "xmlrpc mailbox.py imaplib.py smtplib.py "
    "ftplib.py poplib.py",
    "formats of files that the agent does not read": "sqlite3 dbm xml html/parser.py "
    "tarfile.py plistlib.py configparser.py bz2.py lzma.py lib-dynload/_sqlite3.* "
    "lib-dynload/_dbm.* lib-dynload/_bz2.* lib-dynload/_lzma.*",
    "character sets other than Unicode and its parts": "encodings/cp* encodings/iso* "
    "encodings/mac_* encodings/koi8* encodings/big5* encodings/euc* encodings/gb* "
    "encodings/hz.py encodings/johab.py encodings/shift_j* encodings/kz1048.py "
    "encodings/ptcp154.py encodings/tis_620.py encodings/palmos.py "
    "encodings/hp_roman8.py lib-dynload/_codecs_* lib-dynload/_multibytecodec.*",
    "decimal numbers, statistics, time zones": "_pydecimal.py decimal.py fractions.py "
    "statistics.py zoneinfo lib-dynload/_decimal.* lib-dynload/_zoneinfo.*",
    "Python's processes and interpreters beside this one": "multiprocessing "
    "lib-dynload/_multiprocessing.* lib-dynload/_posixshmem.* lib-dynload/_interp*",
    "modules in Python of which the interpreter has the ones in C": "_pyio.py "
    "_pydatetime.py",
    "an identifier from the network card, which `uuid` makes without it, too": ""
    "lib-dynload/_uuid.*",
}
_OF_THE_PACKAGES: Final[Mapping[str, str]] = {
    "types for programs that check them": "**/*.pyi **/py.typed",
    "signals other than traces": "opentelemetry/proto/logs opentelemetry/proto/metrics "
    "opentelemetry/proto/profiles opentelemetry/proto/collector/logs "
    "opentelemetry/proto/collector/metrics opentelemetry/proto/collector/profiles",
    "names of all attributes but those that the SDK itself sets": ""
    "opentelemetry/semconv/_incubating/attributes/[!_o]* "
    "opentelemetry/semconv/_incubating/metrics/[!_o]*",
    "a tracer in the place of OpenTelemetry's; its messages stay": "jaeger_client/*.py "
    "jaeger_client/metrics jaeger_client/thrift_gen/sampling "
    "jaeger_client/thrift_gen/zipkincore",
    "servers, and transports other than memory": "thrift/server "
    "thrift/transport/[!_T]* thrift/transport/TH* thrift/transport/TS* "
    "thrift/transport/TT[!r]* thrift/transport/TZ* thrift/TTornado.py thrift/TSC*",
    "tests, and a compiler's plugin": "google/protobuf/testdata "
    "google/protobuf/compiler google/protobuf/util",
}
_OF_OUR_SOURCE: Final[Mapping[str, str]] = {
    "ttrpc's programs for developers": "ttrpc/plugin ttrpc/calling ttrpc/recording "
    "ttrpc/__main__.py",
    "ttrpc without asyncio; stubs name it for type checkers": "ttrpc/sync",
}
LEFT_OUT: Final[Mapping[str, Mapping[str, str]]] = {
    _STDLIB: _OF_THE_STDLIB,
    "packages": _OF_THE_PACKAGES,
    "source": _OF_OUR_SOURCE,
}
"""A folder of the tarball, a reason, and patterns of paths below the folder."""


def leave_out(home: Path) -> None:
    """Remove what is left out from the tree of the agent `home`."""
    for folder, reasons in LEFT_OUT.items():
        for patterns in reasons.values():
            for pattern in patterns.split():
                for path in list((home / folder).glob(pattern)):
                    _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        return shutil.rmtree(path)
    path.unlink()
    if path.suffix == ".py":
        for compiled in path.parent.glob(f"__pycache__/{path.stem}{_TAG}.*"):
            compiled.unlink()


def keep_one_form(home: Path) -> None:
    """Keep the compiled form of each module, and the source of our own ones too.

    Where there is no source, Python looks for the compiled module in its place (PEP
    3147), whichever level it was compiled for.
    """
    for folder in (_STDLIB, "packages"):
        for compiled in list((home / folder).rglob(f"*{_COMPILED}")):
            name = compiled.name.removesuffix(_COMPILED)
            compiled.rename(compiled.parent.parent / f"{name}.pyc")
        for source in list((home / folder).rglob("*.py")):
            source.unlink()
    for folder in (_STDLIB, "packages", "source"):
        for cache in list((home / folder).rglob("__pycache__")):
            for other in cache.iterdir():
                if not (folder == "source" and other.name.endswith(_COMPILED)):
                    other.unlink()
            if not any(cache.iterdir()):
                cache.rmdir()
