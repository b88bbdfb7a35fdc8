# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys

from kata_agent.third_party import import_pyudev

IMPORT = """
import sys
sys.modules["ssl"] = None
from kata_agent.third_party import import_prometheus_client
generate_latest, metric = import_prometheus_client()
assert generate_latest and metric
assert "_ssl" not in sys.modules
try:
    import ssl
except ImportError:
    print("without ssl")
"""


def test_pyudev_finds_libudev_without_a_search() -> None:
    pyudev = import_pyudev()
    from pyudev._ctypeslib import utils

    assert utils.find_library("udev") == "libudev.so.1"
    assert pyudev.Context().sys_path == "/sys"


def test_prometheus_client_is_imported_without_openssl() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("without ssl\n", "")
