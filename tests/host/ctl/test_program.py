# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kata_agent.version import VERSION
from kata_host.ctl.program import COMMANDS, main, make_parser


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kata_host.ctl", *arguments],
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["exec", "--guest", "unix:///x", "c1"], 125),
        (["run", "--no-such-option"], 125),
        (["run", "--vm", "--local", "--", "true"], 125),
        (["run", "--guest", "tcp://x", "--", "true"], 125),
        (["run", "--rootfs", "/no/such", "--", "true"], 125),
        (["ps", "c1"], 2),
        (["exec", "no-such-container", "true"], 125),
        (["run", "-m", "1x", "--", "true"], 125),
        (["run", "--cap-add", "FLY", "--guest", "unix:///x", "--", "true"], 125),
        (["run", "-d", "--guest", "unix:///x", "--", "true"], 125),
        (["run", "-v", "/tmp:/x", "--guest", "unix:///x", "--", "true"], 125),
        (["run", "--hostname", "h", "--guest", "unix:///x", "--", "true"], 125),
        (["shell"], 2),
        (["logs", "--connect-timeout=-1", "x"], 2),
        (["no-such-command"], 2),
        ([], 2),
        (["logs", "hvsock:///no/such", "--connect-timeout=0.01"], 1),
    ],
)
def test_a_failure_has_one_line_and_its_status(
    arguments: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == status
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("kata-agent-ctl: ")


def test_an_unknown_option_leads_to_the_help_of_its_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for arguments, words, where in (
        (["top", "web", "-o", "pid"], "-o pid", " top"),
        (["--no-such", "ps"], "--no-such", ""),
    ):
        assert main(arguments) == 2
        assert capsys.readouterr().err == (
            f"kata-agent-ctl: unrecognized arguments: {words} "
            f"(see kata-agent-ctl{where} --help)\n"
        )


def test_a_guests_name_cannot_control_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["shell", "unix:///\x1b[2J"]) == 2
    assert "\\x1b[2J" in capsys.readouterr().err


def test_version_and_help_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    for arguments in (["--help"], ["guest", "start", "--help"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"kata-agent-ctl {VERSION}\n")
    assert all(f"\n    {name} " in text for name in COMMANDS)


def test_help_does_not_load_the_libraries_of_a_command() -> None:
    program = (
        "import sys; from kata_host.ctl.program import make_parser; make_parser(); "
        "print([m for m in ('google.protobuf', 'ttrpc.frame', 'kata_protos.agent_pb2',"
        "'kata_host.guest.local_guest') if m in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "[]\n"


def test_only_the_command_that_is_named_is_loaded() -> None:
    names = make_parser(["ps"]).format_help()
    assert "list the containers" in names
    assert "shell" not in names


def test_output_without_a_reader_has_a_status_of_its_own() -> None:
    shell = f"{sys.executable} -m kata_host.ctl call list; echo $? >&2"
    program = subprocess.Popen(
        ["sh", "-c", f"exec 3>&2; ({shell}) | true"], stderr=subprocess.PIPE, text=True
    )
    _, error = program.communicate()
    # The reader may also have left after the last line was written.
    assert error in ("141\n", "0\n")


def cpu_seconds(*command: str) -> float:
    """Return the least CPU time of several runs, which other programs add to."""
    costs = []
    for _ in range(5):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        costs.append(usage.ru_utime + usage.ru_stime)
    return min(costs)


def test_the_version_costs_less_than_60_ms() -> None:
    """That is 4 times Python alone, which says how fast this machine is just now."""
    python = cpu_seconds(sys.executable, "-c", "")
    assert cpu_seconds(sys.executable, "-m", "kata_host.ctl", "--version") < max(
        0.060, 4 * python
    )


def test_the_version_needs_no_parser() -> None:
    script = (
        "import sys; from kata_host.ctl.program import main; main(['--version']);"
        "assert not {'argparse', 'shutil', 'pathlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-S", "-c", script], check=True, env=with_path())


def with_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
