# SPDX-License-Identifier: Apache-2.0
"""A local guest is the same whatever host and program start it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kata_host.client.upload import SHARED
from kata_host.ctl.rootfs import make_busybox
from tests.e2e.conftest import Ctl
from tests.helpers.command_line import CTL
from tests.helpers.source_tree import ROOT

ON_TMPFS = ROOT / "packaging" / "on-tmpfs"
"""Runs a command with the mounts of a Debian that systemd has booted."""
IMPORT = "from kata_host.ctl.rootfs import make_busybox"


def on_tmpfs(script: str, scratch: Path, *arguments: str) -> str:
    """Run a shell script on such a host, where `ctl` is our program; return its output.

    What the script makes in /run and /dev/shm is gone afterwards.
    """
    command = f'ctl() {{ {" ".join(CTL)} "$@"; }}\nset -e\n{script}'
    ran = subprocess.run(
        [ON_TMPFS, "sh", "-c", command, "sh", *arguments],
        env={**os.environ, "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (ran.stderr, ran.returncode) == ("", 0)
    return ran.stdout


# --- the host's directories are a tmpfs ---


def test_a_guest_stays_although_run_is_a_tmpfs(scratch: Path) -> None:
    script = """
    ctl guest start --name one >/dev/null
    ctl run --guest one -- echo in run
    ctl guest stop one
    export XDG_RUNTIME_DIR=/run/user/0
    ctl guest start --name two >/dev/null
    ctl run --guest two -- echo in the directory of a user
    ctl guest stop two
    find /run -name 'one*' -o -name 'two*'
    """
    assert on_tmpfs(script, scratch) == "in run\nin the directory of a user\n"


@pytest.mark.parametrize("top", ["/run/user/0", "/dev/shm", "/tmp"])
def test_a_root_file_system_may_be_on_a_tmpfs(scratch: Path, top: str) -> None:
    script = """
    if [ $1 = /tmp ]; then
        # This source tree may be in /tmp.
        mkdir /run/tree
        mount --rbind "$4" /run/tree
        mount -t tmpfs tmpfs /tmp
        mkdir -p $TMPDIR "$4"
        mount --rbind /run/tree "$4"
    fi
    cd $1
    "$2" -c "$3"
    tar -C root -cf root.tar .
    for root in $1/root $1/root.tar root; do
        ctl run --rootfs $root -- echo in $root
    done
    """
    make = f"from pathlib import Path; {IMPORT}; make_busybox(Path('root'))"
    output = on_tmpfs(script, scratch, top, sys.executable, make, str(ROOT))
    assert output == f"in {top}/root\nin {top}/root.tar\nin root\n"


def test_our_packages_may_be_on_a_tmpfs(scratch: Path) -> None:
    """A clone in /dev/shm, which the guest has for itself."""
    script = """
    cp -a "$1"/agent "$1"/host "$1"/protos "$1"/src "$1"/tracing "$1"/ttrpc /dev/shm
    export PYTHONPATH=/dev/shm/src
    "$2" -P -c 'import kata_agent; print(kata_agent.__file__)'
    ctl run -- echo hello
    """
    output = on_tmpfs(script, scratch, str(ROOT), sys.executable)
    assert output == "/dev/shm/src/kata_agent/__init__.py\nhello\n"


# --- what the program has set that starts a guest ---

STRANGE = """
import os, resource, signal, sys

os.umask(0o077)
for kind, limit in {
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_CPU: 1000,
    resource.RLIMIT_FSIZE: 1 << 30,
    resource.RLIMIT_MEMLOCK: 0,
    resource.RLIMIT_NOFILE: 64,
    resource.RLIMIT_STACK: 1 << 20,
}.items():
    # Not the hard limits, which a root without CAP_SYS_RESOURCE cannot raise again.
    resource.setrlimit(kind, (limit, resource.getrlimit(kind)[1]))
with open("/proc/self/oom_score_adj", "w") as file:
    file.write("500")
os.setgroups([4, 24])
ignored = {signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1}
for number in ignored | {signal.SIGTERM, signal.SIGWINCH, signal.SIGALRM}:
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
gone = sys.argv[1] + "/gone"
os.mkdir(gone)
os.chdir(gone)
os.rmdir(gone)
for fd in range(3, 20):
    os.dup2(0, fd)
os.environ.update(LANG="xx", PYTHONSTARTUP="/x", LD_BIND_NOW="1", TZ="x", HOME="/no")
for fd in sys.argv[2]:
    os.close(int(fd))
os.execv(sys.executable, [sys.executable, "-P", "-m", "kata_host.ctl", *sys.argv[3:]])
"""
"""A starter with settings of its own, and without the standard streams of argv[2]."""

LOOK = """
umask; pwd; id; ulimit -a; env | sort; ls /proc/self/fd | wc -l
grep -E '^(Sig[BIC]|Groups|NoNewPrivs)' /proc/self/status
cat /proc/self/oom_score_adj
stat -c '%a %n' / /bin /etc /etc/passwd /tmp /root
"""
AGENT_LINES = ("SigBlk", "SigIgn", "Groups", "Umask", "NoNewPrivs")
AGENT_FILES = ("oom_score_adj", "limits", "personality", "environ")
DIRECTORIES = ("/run", "/dev/shm", "/run/kata-containers", SHARED, f"{SHARED}/made/on")


def child_of(pid: int) -> int:
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def look_at_agent(ctl: Ctl, name: str) -> list[str]:
    """Describe PID 1 of a guest: the child of its supervisor, a child of its holder."""
    listed = map(json.loads, ctl("guest", "list", "--json").stdout.splitlines())
    (holder,) = (entry["pid"] for entry in listed if entry["name"] == name)
    agent = Path("/proc", str(child_of(child_of(holder))))
    lines = (agent / "status").read_text().splitlines()
    found = [line for line in lines if line.startswith(AGENT_LINES)]
    found += [(agent / file).read_text() for file in AGENT_FILES]
    found += [
        f"{directory} {oct((agent / 'root' / directory[1:]).stat().st_mode)}"
        for directory in DIRECTORIES
    ]
    return [*found, os.readlink(agent / "cwd")]


def look(ctl: Ctl, name: str, file: Path) -> list[str]:
    """Describe a guest: containers of root and of a user, its agent, a copied file."""
    run = ("run", "--guest", name, "--")
    ran = [
        ctl("cp", "--guest", name, str(file), "made/on/the-way"),
        ctl(*run, "sh", "-c", LOOK),
        ctl(*run, "su", "-s", "/bin/sh", "nobody", "-c", LOOK),
    ]
    assert [(each.returncode, each.stderr) for each in ran] == [(0, "")] * len(ran)
    found = [each.stdout for each in ran] + look_at_agent(ctl, name)
    return [hexless(text) for text in found]


def hexless(text: str) -> str:
    """Return a text without the ids in it."""
    return re.sub("[0-9a-f]{12,}", "ID", text)


def test_a_guest_has_nothing_of_its_starter(
    ctl: Ctl, environment: dict[str, str], scratch: Path
) -> None:
    name = f"starter-{os.getpid()}"
    file = scratch / "file"
    file.touch(mode=0o644)
    start = ["guest", "start", "--name", name]
    strange = [sys.executable, "-c", STRANGE, str(scratch)]
    found = []
    for command in ([*CTL], [*strange, ""], [*strange, "012"]):
        started = subprocess.run(
            [*command, *start],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            assert started.returncode == 0
            found.append(look(ctl, name, file))
        finally:
            ctl("guest", "stop", name)
    file.unlink()
    assert found[1] == found[0]
    assert found[2] == found[0]
    assert "755 /bin\n" in found[0][2]


def test_a_container_of_a_guest_of_its_own_has_nothing_of_its_starter(
    ctl: Ctl, environment: dict[str, str], scratch: Path, tmp_path: Path
) -> None:
    """With busybox, and with an archive that does not say the mode of its top."""
    make_busybox(tmp_path / "root")
    archive = tmp_path / "root.tar"
    names = sorted(os.listdir(tmp_path / "root"))
    subprocess.run(["tar", "-cf", archive, "-C", tmp_path / "root", *names], check=True)
    run = ["--", "su", "-s", "/bin/sh", "nobody", "-c", LOOK]
    strange = [sys.executable, "-c", STRANGE, str(scratch), ""]
    for options in (["run"], ["run", "--rootfs", str(archive)]):
        plain = ctl(*options, *run)
        ran = subprocess.run(
            [*strange, *options, *run],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert (ran.stderr, ran.returncode) == ("", 0)
        assert hexless(ran.stdout) == hexless(plain.stdout)
        assert "755 /\n755 /bin\n755 /etc\n644 /etc/passwd\n1777 /tmp\n" in ran.stdout


def test_a_command_works_without_standard_streams(
    environment: dict[str, str], scratch: Path
) -> None:
    """Closed descriptors are not taken by sockets, which would be read as input."""
    script = (
        f'{" ".join(CTL)} run -i -- sh -c "cat; echo done >&2; exit 5" "$@"; '
        f'echo $? >"$TMPDIR/status"'
    )
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        subprocess.run(
            ["sh", "-c", f"({script}) {closed}"],
            env=environment,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
        assert (scratch / "status").read_text() == "5\n", closed
        (scratch / "status").unlink()
