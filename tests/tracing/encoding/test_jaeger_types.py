# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.transport.TTransport import TMemoryBuffer

from kata_tracing.encoding import jaeger_types


def test_the_structures_encode_and_decode() -> None:
    tag = jaeger_types.Tag(key="k", vType=jaeger_types.TagType.STRING, vStr="é")
    process = jaeger_types.Process(serviceName="kata-agent", tags=[tag])
    buffer = TMemoryBuffer()
    process.write(TBinaryProtocol(buffer))
    found = jaeger_types.Process()
    found.read(TBinaryProtocol(TMemoryBuffer(buffer.getvalue())))
    assert found == process


def test_the_package_itself_is_not_imported() -> None:
    script = (
        "import sys, kata_tracing.encoding.jaeger_types\n"
        "sys.exit('jaeger_client' in sys.modules or 'tornado' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_an_error_names_a_package_that_is_missing() -> None:
    script = (
        "import importlib.util, sys\n"
        "importlib.util.find_spec = lambda name: None\n"
        "try: import kata_tracing.encoding.jaeger_types\n"
        "except ModuleNotFoundError as error: assert 'jaeger_client' in str(error)\n"
        "else: sys.exit('no error')"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
