# SPDX-License-Identifier: Apache-2.0
"""Images run: of Debian packages, by umoci, skopeo and a registry, and hostile ones."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_host.guest.qmp import Qmp
from kata_host.guest.vm_disks import plug_disk
from tests.e2e.conftest import Ctl
from tests.helpers import debian_programs
from tests.helpers.saved_images import (
    device,
    directory,
    docker_archive,
    entry,
    symlink,
    tar_of,
)
from tests.helpers.vm import require_image

PROGRAM = (
    "import os; print(os.getuid(), os.getcwd(), os.environ['A'], "
    "os.path.exists('/usr/share/doc'), open('/etc/note').read())"
)
PRINTED = "65534 /srv b False note\n"


@pytest.fixture
def environment(scratch: Path, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "TMPDIR": str(scratch),
        "KATA_IMAGE_STORE": str(tmp_path / "store"),
    }


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A saved image with busybox, and what a layer may hide and keep."""
    busybox = Path("/bin/busybox").read_bytes()
    base = tar_of(
        *(directory(name) for name in ("bin", "etc", "srv", "proc", "sys", "dev")),
        directory("tmp", mode=0o1777),
        entry("bin/busybox", busybox, mode=0o4755),
        *(symlink(f"bin/{name}", "busybox") for name in ("sh", "cat", "stat", "ls")),
        entry("etc/passwd", b"root:x:0:0::/:/bin/sh\nweb:x:7:8::/srv:/bin/sh\n"),
        entry("etc/gone", b"lower"),
        entry("srv/old", b"lower"),
    )
    top = tar_of(
        entry("etc/.wh.gone"),
        entry("srv/.wh..wh..opq"),
        entry("srv/note", b"note\n", mode=0o640, uid=7, gid=8),
    )
    return docker_archive(
        tmp_path / "small.tar",
        base,
        top,
        Env=["PATH=/bin", "A=image"],
        User="web",
        WorkingDir="/srv",
        Entrypoint=["sh", "-c"],
        Cmd=["exit 9"],
    )


SCRIPT = (
    "cat note; ls /etc /srv; stat -c '%a %u %g' note /bin/busybox; echo $A $HOME; "
    "pwd; echo x >/tmp/x; exit 3"
)
SAID = "note\n/etc:\npasswd\n\n/srv:\nnote\n640 7 8\n4755 0 0\nimage /srv\n/srv\n"


def test_a_container_is_what_its_image_says(ctl: Ctl, small: Path) -> None:
    for source in (str(small), "demo:1"):
        ran = ctl("run", "--local", "--image", source, "--", SCRIPT)
        assert (ran.stdout, ran.stderr, ran.returncode) == (SAID, "", 3)
    assert ctl("run", "--image", "demo:1").returncode == 9
    ran = ctl("run", "--image", "demo:1", "--entrypoint", "ls", "--", "/tmp")
    assert (ran.stdout, ran.returncode) == ("", 0)
    ran = ctl(
        "run", "--image", "demo:1", "--cwd", "/", "-e", "A=b", "--", "pwd; echo $A"
    )
    assert ran.stdout == "/\nb\n"
    assert ctl("image", "rm", "demo:1").returncode == 0


def test_a_container_that_stays_keeps_its_image(
    ctl: Ctl, small: Path, environment: dict[str, str], scratch: Path
) -> None:
    environment["XDG_RUNTIME_DIR"] = str(scratch / "run")
    (scratch / "run").mkdir()
    in_use = "kata-agent-ctl: image 'demo:1': in use by a container\n"
    run = ("run", "-d", "--image", str(small), "--name")
    try:
        # A guest of its own, and then a guest for two.
        for name, guest in (("c1", ()), ("c2", ("--guest", "c1"))):
            ran = ctl(*run, name, *guest, "--", "cat note; read x")
            assert (ran.stdout, ran.stderr, ran.returncode) == (f"{name}\n", "", 0)
        assert ctl("image", "rm", "demo:1").stderr == in_use
        # Without an input, both end; what they leave can be looked at until `rm`.
        assert ctl("wait", "c2").stdout == "1\n"
        assert ctl("logs", "c2").stdout == "note\n"
        assert ctl("rm", "c2").returncode == 0
        assert ctl("image", "rm", "demo:1").stderr == in_use
        # The holder of the guest is killed.
        entry = json.loads((scratch / "run/kata-agent/c1.json").read_text())
        os.kill(entry["pid"], signal.SIGKILL)
        assert ctl("image", "rm", "demo:1").stdout == "demo:1\n"
        assert os.listdir(f"{environment['KATA_IMAGE_STORE']}/uses") == []
    finally:
        ctl("guest", "stop", "--all")
        shutil.rmtree(scratch / "run")


@pytest.mark.vm
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_container_in_a_vm_is_the_same(ctl: Ctl, small: Path) -> None:
    require_image()
    ran = ctl("run", "--vm", "--image", str(small), "--", SCRIPT, timeout=300)
    assert (ran.stdout, ran.returncode) == (SAID, 3)


@pytest.mark.vm
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_vm_that_runs_takes_images(
    ctl: Ctl, small: Path, environment: dict[str, str], scratch: Path
) -> None:
    require_image()
    environment["XDG_RUNTIME_DIR"] = str(scratch / "run")
    (scratch / "run").mkdir()
    in_use = "kata-agent-ctl: image 'demo:1': in use by a container\n"
    run = ("run", "--image", "demo:1")
    try:
        command = (*run[:2], str(small), "-d", "--vm", "--name", "v1")
        ran = ctl(*command, "--", "cat note", timeout=300)
        assert (ran.stdout, ran.returncode) == ("v1\n", 0)
        ran = ctl(*run, "--guest", "v1", "--", SCRIPT)
        assert (ran.stdout, ran.stderr, ran.returncode) == (SAID, "", 3)
        ran = ctl(*run, "-d", "--guest", "v1", "--name", "v2", "--", "cat note")
        assert (ran.stdout, ran.stderr, ran.returncode) == ("v2\n", "", 0)
        assert ctl("wait", "v2", "v1").stdout == "0\n0\n"
        assert ctl("logs", "v2").stdout == ctl("logs", "v1").stdout == "note\n"
        guest = scratch / "run/kata-agent/v1"
        assert disks_of(guest) == [str(guest / "containers/v2/disk")]
        assert ctl("rm", "v2").returncode == 0
        assert disks_of(guest) == []
        assert ctl("image", "rm", "demo:1").stderr == in_use
        # Whoever plugged a disk and was killed has the next command remove it.
        (scratch / "gone").mkdir()
        plug_disk(guest / "qmp.sock", scratch / "gone", small)
        shutil.rmtree(scratch / "gone")
        assert ctl(*run, "--guest", "v1", "--", "exit 4").returncode == 4
        assert disks_of(guest) == []
        assert ctl("rm", "v1").returncode == 0
        assert ctl("image", "rm", "demo:1").stdout == "demo:1\n"
    finally:
        ctl("guest", "stop", "--all")
        shutil.rmtree(scratch / "run")


def disks_of(guest: Path) -> list[str]:
    """Return the paths of the disks that were plugged into a VM."""
    with Qmp(guest / "qmp.sock") as qmp:
        found = [each["inserted"]["file"] for each in qmp("query-block")]
    return [path for path in found if path.endswith("/disk")]


def test_a_hostile_image_starts_no_guest(ctl: Ctl, tmp_path: Path) -> None:
    hostile = tar_of(symlink("lib", "/etc"), entry("lib/passwd", b"root::0:0"))
    for layer, fault in (
        (hostile, "entry 'lib/passwd': 'lib' in 'lib': no directory"),
        (tar_of(entry("../../x")), "entry '../../x': leads outside by '..'"),
        (tar_of(device("sda")), "entry 'sda': a device node"),
    ):
        image = docker_archive(tmp_path / "a.tar", layer, Cmd=["sh"])
        ran = ctl("run", "--image", str(image))
        assert ran.returncode == 125
        assert ran.stderr.endswith(f": {fault}\n")
        assert len(ran.stderr.splitlines()) == 1
    assert ctl("image", "ls", "--format", "json").stdout == ""


@pytest.fixture
def programs(tmp_path: Path, environment: dict[str, str]) -> dict[str, str]:
    """An environment whose PATH has skopeo, umoci and docker-registry."""
    names = ("skopeo", "umoci", "docker-registry")
    tree = debian_programs.unpack(list(names), tmp_path / "tools")
    paths = {name: f"usr/bin/{name}" for name in names}
    folder = debian_programs.install(tree, paths, tmp_path / "bin")
    environment["PATH"] = f"{folder}:{environment['PATH']}"
    return environment


@pytest.fixture
def registry(programs: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """The address of a registry on the loopback interface."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
        "http": {"addr": address},
    }
    (tmp_path / "registry.yml").write_text(json.dumps(config))
    command = ["docker-registry", "serve", str(tmp_path / "registry.yml")]
    path = programs["PATH"].partition(":")[0]
    with subprocess.Popen(
        [f"{path}/{command[0]}", *command[1:]], stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stderr is not None
            assert any("listening on" in line for line in server.stderr)
            yield address
        finally:
            server.kill()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_images_of_umoci_and_skopeo_are_one(
    ctl: Ctl, programs: dict[str, str], registry: str, tmp_path: Path
) -> None:
    root = debian_programs.unpack(["python3-minimal"], tmp_path / "root")
    layout, image = tmp_path / "layout", f"{tmp_path}/layout:py"
    (tmp_path / "note").write_text("note")

    def do(*words: object) -> None:
        command = [str(word) for word in words]
        done = subprocess.run(command, env=programs, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    do("umoci", "init", "--layout", layout)
    do("umoci", "new", "--image", image)
    do("umoci", "insert", "--image", image, root, "/")
    do("umoci", "insert", "--image", image, "--whiteout", "/usr/share/doc")
    do("umoci", "insert", "--image", image, tmp_path / "note", "/etc/note")
    do(
        *("umoci", "config", "--image", image, "--config.user", "65534"),
        *("--config.workingdir", "/srv", "--config.env", "A=b"),
        *("--config.entrypoint", "/usr/bin/python3", "--config.cmd", "-c"),
        *("--config.cmd", PROGRAM),
    )
    copy = ("skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false")
    do(*copy, f"oci:{image}", f"docker-archive:{tmp_path}/a.tar:py:docker")
    do(*copy, f"oci:{image}", f"oci-archive:{tmp_path}/b.tar:py:oci")
    do(*copy, f"oci:{image}", f"docker://{registry}/py:1")
    sources = (layout, tmp_path / "a.tar", tmp_path / "b.tar", f"{registry}/py:1")
    names = []
    for source in sources:
        ran = ctl("image", "import", str(source), timeout=200)
        assert (ran.stderr, ran.returncode) == ("", 0)
        names.append(ran.stdout.strip())
    listed = [
        json.loads(line)
        for line in ctl("image", "ls", "--format", "json").stdout.splitlines()
    ]
    assert sum(len(one["names"]) for one in listed) == 4
    store = Path(programs["KATA_IMAGE_STORE"])
    # Each layer once, whichever way it came.
    assert len(os.listdir(store / "layers")) == 3
    for name in {one["names"][0] for one in listed}:
        ran = ctl("run", "--local", "--image", name)
        assert (ran.stdout, ran.stderr, ran.returncode) == (PRINTED, "", 0)
    assert ctl("image", "rm", *(one["id"] for one in listed)).returncode == 0
    assert os.listdir(store / "layers") == []
