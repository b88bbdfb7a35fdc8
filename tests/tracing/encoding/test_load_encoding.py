# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import pytest

from kata_tracing.encoding.load_encoding import load_encoding


@pytest.mark.parametrize("name", ["otlp", "jaeger"])
def test_an_encoding_is_found_by_its_name(name: str) -> None:
    assert load_encoding(name).name == name


@pytest.mark.parametrize("name", ["", "OTLP", "morse"])
def test_another_name_is_an_error_that_names_both(name: str) -> None:
    with pytest.raises(ValueError, match=r"unknown trace encoding .*otlp.*jaeger"):
        load_encoding(name)


def test_otlp_does_not_import_thrift() -> None:
    script = (
        "import sys\n"
        "from kata_tracing.encoding.load_encoding import load_encoding\n"
        "assert not any(it.startswith('opentelemetry') for it in sys.modules)\n"
        "load_encoding('otlp')\n"
        "sys.exit(str([it for it in sys.modules if 'thrift' in it] or '') or 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_jaeger_without_its_packages_names_the_extra() -> None:
    script = (
        "import sys\n"
        "sys.modules['thrift'] = None\n"
        "from kata_tracing.encoding.load_encoding import load_encoding\n"
        "try: load_encoding('jaeger')\n"
        "except ValueError as error: assert 'kata-agent[jaeger]' in str(error)\n"
        "else: sys.exit('no error')"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
