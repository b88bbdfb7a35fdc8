# SPDX-License-Identifier: Apache-2.0
"""The tarball for Kata's image builders, unpacked into an empty directory."""

from __future__ import annotations

import ast
import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.stage import open_stage
from kata_host.guest import tarball
from kata_host.guest.image import agent, build
from kata_host.guest.image.progress import Progress
from kata_host.guest.image.store import Image
from kata_host.guest.tarball_contents import LEFT_OUT
from kata_protos import agent_pb2
from tests.helpers.namespace import require_root
from tests.helpers.trace_port import fake_collector
from tests.helpers.vm import require_image
from ttrpc.errors import StatusError

pytestmark = [pytest.mark.vm, pytest.mark.slow, pytest.mark.root]

MOST_BYTES = 30_000_000
MOST_FILES = 1_600
MOST_COMPRESSED = 11 << 20


@pytest.fixture(scope="module")
def image() -> Image:
    require_root()
    require_image()
    return build.ensure_current(Progress())


@pytest.fixture(scope="module")
def file(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("tarball") / "kata-agent.tar.zst"
    tarball.make(image, file)
    return file


@pytest.fixture(scope="module")
def unpacked(file: Path) -> Path:
    """A tree with nothing but the tarball."""
    tree = file.with_name("unpacked")
    tree.mkdir()
    subprocess.run(["tar", "-x", "-f", file, "-C", tree], check=True)
    return tree


@pytest.fixture(scope="module")
def bare(unpacked: Path) -> Path:
    """The same in a tree to run in, after osbuilder has stripped the program."""
    tree = unpacked.with_name("bare")
    shutil.copytree(unpacked, tree, symlinks=True)
    subprocess.run(["strip", tree / "usr/bin/kata-agent"], check=True)
    for name in ("proc", "dev", "run"):
        (tree / name).mkdir()
    return tree


def inside(tree: Path, *command: str) -> str:
    """Return the output of a command that runs in the tree with /proc and /dev."""
    done = run_inside(tree, *command)
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout


def run_inside(tree: Path, *command: str) -> subprocess.CompletedProcess[str]:
    script = 'mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"; '
    return subprocess.run(
        [
            *("unshare", "--mount", "--pid", "--fork", "sh", "-euc"),
            script + 'exec chroot "$0" "$@"',
            *(tree, *command),
        ],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )


def test_the_agent_runs_in_a_bare_tree(bare: Path) -> None:
    assert inside(bare, "/usr/bin/kata-agent", "--version").startswith("kata-agent ")
    assert "--listen" in inside(bare, "/usr/bin/kata-agent", "--help", "more")


def test_its_programs_run_in_a_bare_tree(bare: Path) -> None:
    own = "/usr/lib/kata-agent/bin"
    assert inside(bare, f"{own}/crun", "--version").startswith("crun version")
    assert inside(bare, f"{own}/ip", "-V").startswith("ip utility")
    script = (
        "import sys; sys.path.append('/usr/lib/kata-agent/packages');"
        "import google._upb._message, ctypes, asyncio; ctypes.CDLL('libudev.so.1');"
        "print(sys.prefix)"
    )
    ran = inside(bare, f"{own}/python3", "-ISOO", "-c", script)
    assert ran == "/usr/lib/kata-agent\n"


def test_it_stays_small(file: Path, unpacked: Path) -> None:
    sizes = [path.stat().st_size for path in unpacked.rglob("*") if path.is_file()]
    assert sum(sizes) <= MOST_BYTES
    assert len(sizes) <= MOST_FILES
    assert file.stat().st_size <= MOST_COMPRESSED


def test_no_module_is_there_in_two_forms_but_ours(unpacked: Path) -> None:
    home = unpacked / agent.HOME
    for path in [*(home / "lib").rglob("*.py*"), *(home / "packages").rglob("*.py*")]:
        assert path.suffix == ".pyc"
        assert path.parent.name != "__pycache__"
    # A traceback shows lines of ours.
    for path in (home / "source").rglob("*.py"):
        assert list(path.parent.glob(f"__pycache__/{path.stem}.*.pyc"))


def test_whatever_is_left_out_would_be_there(image: Image) -> None:
    """A pattern that matches nothing any more is a reason for nothing."""
    stdlib, packages, source = LEFT_OUT
    folders = {
        stdlib: image.tree / f"usr/{stdlib}",
        packages: image.tree / agent.HOME / packages,
        source: image.tree / agent.HOME / source,
    }
    for name, reasons in LEFT_OUT.items():
        for patterns in reasons.values():
            for pattern in patterns.split():
                assert any(folders[name].glob(pattern)), f"{name}/{pattern}"


def imported_names(source: Path) -> Iterator[str]:
    """Yield the modules that our modules name in an import, wherever it stands."""
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                yield from (name.name for name in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                yield node.module


def test_every_module_that_ours_name_can_be_imported(bare: Path) -> None:
    """Also those that are imported on first use; as the agent does, without OpenSSL."""
    source = bare / agent.HOME / "source"
    ours = {
        ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(
            ".__init__"
        )
        for path in source.rglob("*.py")
        if path.name != "__main__.py"
    }
    named = set(imported_names(source))
    # Only for type checkers: the generated stubs, and an annotation.
    named -= {"ttrpc.sync.client", "ttrpc.sync", "_typeshed"}
    script = (
        "import sys; sys.path[:0] = sys.argv[1:3];"
        "sys.modules['ssl'] = None;"
        "import importlib, kata_agent.third_party as third;"
        "third.import_prometheus_client(); third.import_pyudev().Context();"
        "[importlib.import_module(name) for name in sys.argv[3:]]"
    )
    home = f"/{agent.HOME}"
    paths = (f"{home}/source", f"{home}/packages")
    python = f"{home}/bin/python3"
    inside(bare, python, "-ISOO", "-c", script, *paths, *sorted(ours | named))


def test_it_does_everything_from_the_tarball(bare: Path) -> None:
    """Containers, `ip`, metrics, spans, a device that does not come, a console."""
    asyncio.run(everything(bare))


async def everything(bare: Path) -> None:
    # The guest sees the host's /usr/lib, and the tarball's before that.
    libraries = f"lowerdir={bare}/usr/lib:/usr/lib"
    program = f'mount -t overlay -o "{libraries}" tarball /usr/lib; exec "$0"'
    command = ["/bin/sh", "-euc", program, str(bare / "usr/bin/kata-agent")]
    words = ["agent.debug_console_vport=1026", "agent.hotplug_timeout=1s"]
    async with open_stage(command, parameters=words) as stage:
        service = stage.client.agent
        with fake_collector(Path(f"{stage.guest.socket}_10240")) as collector:
            await service.start_tracing(agent_pb2.StartTracingRequest())
            container = await stage.started("c1", "true")
            assert await container.init.wait() == 0
            await container.remove()
            await service.stop_tracing(agent_pb2.StopTracingRequest())
            collector.wait(
                lambda it: any("CreateContainer" in s.name for s in it.spans())
            )
        page = await service.get_metrics(agent_pb2.GetMetricsRequest())
        assert "kata_agent_scrape_count 1" in page.metrics
        interfaces = await service.list_interfaces(agent_pb2.ListInterfacesRequest())
        assert "lo" in {each.name for each in interfaces.Interfaces}
        request = agent_pb2.CreateContainerRequest(
            container_id="c2", exec_id="c2", OCI=stage.spec("c2", "true")
        )
        request.devices.add(type="mmioblk", vm_path="/dev/vdy", container_path="/dev/d")
        with pytest.raises(StatusError, match="timeout after 1s waiting for"):
            await service.create_container(request)
        with socket.socket(socket.AF_UNIX) as console:
            console.settimeout(20)
            console.connect(str(stage.guest.socket))
            console.sendall(b"CONNECT 1026\necho $((6 * 7)) is it; exit\n")
            said = b""
            while data := console.recv(4096):
                said += data
        assert b"42 is it" in said


def test_arguments_reach_the_agent(bare: Path) -> None:
    done = run_inside(bare, "/usr/bin/kata-agent", "--config=/no/such/file")
    assert done.returncode == 2
    assert "/no/such/file" in done.stderr


def test_systemd_accepts_the_units(bare: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        if os.environ.get("CI"):
            pytest.fail("needs systemd-analyze")
        pytest.skip("needs systemd-analyze")
    # An image that can run systemd has these files.
    for name in ("bin/sync", "usr/bin/systemctl"):
        program = bare / name
        program.parent.mkdir(exist_ok=True)
        program.touch(0o755)
    for unit in ("basic.target", "sysinit.target", "shutdown.target"):
        (bare / "usr/lib/systemd/system" / unit).write_text("[Unit]\n")
    (bare / "usr/lib/systemd/system/tmp.mount").write_text(
        "[Mount]\nWhat=tmpfs\nWhere=/tmp\nType=tmpfs\n"
    )
    done = subprocess.run(
        [
            *("systemd-analyze", "verify", "--man=no", f"--root={bare}"),
            *(bare / "usr/lib/systemd/system" / name for name in tarball.UNITS),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
