# SPDX-License-Identifier: Apache-2.0
"""The resources of a container: limits, statistics, processes, messages, OOM kills."""

from __future__ import annotations

import asyncio
import json
import stat

from kata_host.client.upload import SHARED
from kata_protos import agent_pb2, oci_pb2
from tests.helpers.conformance.case import Subject, case
from ttrpc.codes import Code

OK = Code.OK
INVALID = Code.INVALID_ARGUMENT
INTERNAL = Code.INTERNAL
STATE = Code.FAILED_PRECONDITION
ABSENT = Code.UNIMPLEMENTED
UNKNOWN = "container 'nobody': not found"


# --- UpdateContainer ---


async def update(s: Subject, name: str = "c1", *, mebibytes: int = 50) -> None:
    """Limit the memory, as runtimes do. They leave out a limit of pids."""
    resources = oci_pb2.LinuxResources()
    resources.Memory.Limit = mebibytes << 20
    await s.agent.update_container(
        agent_pb2.UpdateContainerRequest(container_id=name, resources=resources)
    )


async def limit(s: Subject) -> int:
    """Return the limit in MiB."""
    return (await stats(s)).cgroup_stats.memory_stats.usage.limit >> 20


@case("UpdateContainer", "happy")
async def limited(s: Subject) -> None:
    await s.started("c1")
    await update(s)
    assert await limit(s) == 50


@case("UpdateContainer", "happy")
async def nothing_to_change(s: Subject) -> None:
    await s.started("c1")
    request = agent_pb2.UpdateContainerRequest(container_id="c1")
    request.resources.Memory.SetInParent()
    request.resources.CPU.SetInParent()
    request.resources.Pids.SetInParent()
    await s.agent.update_container(request)


@case("UpdateContainer", "happy", OK, "", INVALID, INTERNAL)
async def no_resources(s: Subject) -> None:
    await s.started("c1")
    request = agent_pb2.UpdateContainerRequest(container_id="c1")
    await s.agent.update_container(request)


@case("UpdateContainer", "bad request", INVALID, "cpuset 'foo'", INTERNAL)
async def bad_cpuset(s: Subject) -> None:
    await s.started("c1")
    request = agent_pb2.UpdateContainerRequest(container_id="c1")
    request.resources.CPU.Cpus = "foo"
    await s.agent.update_container(request)


@case("UpdateContainer", "unknown id", INVALID, UNKNOWN)
async def update_nobody(s: Subject) -> None:
    await update(s, "nobody")


@case("UpdateContainer", "wrong state", STATE, "it is stopped", INTERNAL)
async def update_after_the_end(s: Subject) -> None:
    await s.started("c1", "true")
    await s.wait("c1")
    await update(s)


@case("UpdateContainer", "wrong state")
async def update_while_paused(s: Subject) -> None:
    await s.started("c1")
    await s.pause("c1")
    await update(s)
    assert await limit(s) == 50


@case("UpdateContainer", "repeated")
async def limited_again(s: Subject) -> None:
    await s.started("c1")
    for mebibytes in (50, 50, 60):
        await update(s, mebibytes=mebibytes)
        assert await limit(s) == mebibytes


@case("UpdateContainer", "concurrent")
async def limited_at_once(s: Subject) -> None:
    await s.started("c1")
    await asyncio.gather(*(update(s, mebibytes=each) for each in range(50, 54)))
    assert await limit(s) in range(50, 54)


@case("UpdateContainer", "cancelled")
async def limiting_given_up(s: Subject) -> None:
    await s.started("c1")
    await s.abandoned(update)
    await update(s, mebibytes=60)
    assert await limit(s) == 60


# --- StatsContainer ---


async def stats(s: Subject, name: str = "c1") -> agent_pb2.StatsContainerResponse:
    request = agent_pb2.StatsContainerRequest(container_id=name)
    return await s.agent.stats_container(request)


async def ask_stats(s: Subject) -> None:
    await stats(s)


@case("StatsContainer", "happy")
async def used(s: Subject) -> None:
    await s.started("c1")
    found = (await stats(s)).cgroup_stats
    assert found.cpu_stats.cpu_usage.total_usage
    assert found.memory_stats.usage.usage
    assert found.pids_stats.current == 1


@case("StatsContainer", "unknown id", INVALID, UNKNOWN)
async def stats_of_nobody(s: Subject) -> None:
    await stats(s, "nobody")


@case("StatsContainer", "wrong state")
async def stats_before_the_start(s: Subject) -> None:
    await s.created("c1")
    await stats(s)


@case("StatsContainer", "wrong state")
async def stats_after_the_end(s: Subject) -> None:
    await s.started("c1", "true")
    await s.wait("c1")
    await stats(s)


@case("StatsContainer", "repeated")
async def stats_only_grow(s: Subject) -> None:
    await s.started("c1", "sh", "-c", "while :; do :; done")
    used = [(await stats(s)).cgroup_stats.cpu_stats.cpu_usage for _ in range(3)]
    assert used[0].total_usage <= used[1].total_usage <= used[2].total_usage


@case("StatsContainer", "concurrent")
async def stats_while_paused(s: Subject) -> None:
    await s.started("c1")
    await s.pause("c1")
    await asyncio.gather(*(stats(s) for _ in range(20)))


@case("StatsContainer", "cancelled")
async def stats_given_up(s: Subject) -> None:
    await s.started("c1")
    await s.abandoned(ask_stats)
    await stats(s)


# --- ListProcesses ---


async def processes(s: Subject, form: str = "json", name: str = "c1") -> bytes:
    request = agent_pb2.ListProcessesRequest(container_id=name, format=form)
    return (await s.agent.list_processes(request)).process_list


async def ask_processes(s: Subject) -> None:
    await processes(s)


@case("ListProcesses", "happy", OK, "", ABSENT)
async def listed(s: Subject) -> None:
    await s.started("c1")
    await s.execute("c1", "e1")
    assert len(json.loads(await processes(s))) == 2


@case("ListProcesses", "happy", OK, "", ABSENT)
async def listed_as_a_table(s: Subject) -> None:
    await s.started("c1")
    header, line = (await processes(s, "table")).splitlines()
    assert b"PID" in header
    assert b"sleep" in line


@case("ListProcesses", "bad request", INVALID, "invalid format 'x'", ABSENT)
async def bad_format(s: Subject) -> None:
    await s.started("c1")
    await processes(s, "x")


@case("ListProcesses", "unknown id", INVALID, UNKNOWN, ABSENT)
async def list_nobody(s: Subject) -> None:
    await processes(s, name="nobody")


@case("ListProcesses", "wrong state", OK, "", ABSENT)
async def listed_after_the_end(s: Subject) -> None:
    await s.started("c1", "true")
    await s.wait("c1")
    assert json.loads(await processes(s)) == []


@case("ListProcesses", "repeated", OK, "", ABSENT)
async def listed_twice(s: Subject) -> None:
    await s.started("c1")
    assert await processes(s) == await processes(s)


@case("ListProcesses", "concurrent", OK, "", ABSENT)
async def listed_at_once(s: Subject) -> None:
    await s.started("c1")
    await asyncio.gather(*(processes(s) for _ in range(10)))


@case("ListProcesses", "cancelled", OK, "", ABSENT)
async def list_given_up(s: Subject) -> None:
    await s.started("c1")
    await s.abandoned(ask_processes)
    await processes(s)


# --- GetDiagnosticData ---

MESSAGE = f"{SHARED}/conformance-message"


async def diagnosis(s: Subject, kind: str = "termination_log", name: str = "c1") -> str:
    request = agent_pb2.GetDiagnosticDataRequest(container_id=name, log_type=kind)
    return (await s.agent.get_diagnostic_data(request)).data


async def diagnose(s: Subject) -> None:
    await diagnosis(s)


@case("GetDiagnosticData", "happy", OK, "", INTERNAL)
async def no_termination_message(s: Subject) -> None:
    await s.started("c1")
    assert await diagnosis(s) == ""


@case("GetDiagnosticData", "bad request", INVALID, "unknown type 'x'")
async def unknown_log(s: Subject) -> None:
    await s.started("c1")
    await diagnosis(s, "x")


@case("GetDiagnosticData", "unknown id", INVALID, UNKNOWN, INTERNAL)
async def diagnose_nobody(s: Subject) -> None:
    await diagnosis(s, name="nobody")


@case("GetDiagnosticData", "happy")
async def termination_message(s: Subject) -> None:
    await s.agent.copy_file(
        agent_pb2.CopyFileRequest(path=MESSAGE, file_mode=stat.S_IFREG | 0o666)
    )
    inside = "/dev/termination-log"
    request = s.creation("c1", "sh", "-c", f"printf 'out of fuel' > {inside}")
    request.OCI.Annotations["io.kubernetes.container.terminationMessagePath"] = inside
    request.OCI.Mounts.add(
        destination=inside, source=MESSAGE, type="bind", options=["bind"]
    )
    await s.agent.create_container(request)
    await s.start("c1")
    assert await s.wait("c1") == 0
    assert await diagnosis(s) == "out of fuel"


@case("GetDiagnosticData", "wrong state", OK, "", INTERNAL)
async def diagnosed_before_the_start(s: Subject) -> None:
    await s.created("c1")
    assert await diagnosis(s) == ""


@case("GetDiagnosticData", "repeated", OK, "", INTERNAL)
async def diagnosed_twice(s: Subject) -> None:
    await s.started("c1")
    for _ in range(2):
        assert await diagnosis(s) == ""


@case("GetDiagnosticData", "concurrent", OK, "", INTERNAL)
async def diagnosed_at_once(s: Subject) -> None:
    await s.started("c1")
    assert await asyncio.gather(*(diagnosis(s) for _ in range(10))) == [""] * 10


@case("GetDiagnosticData", "cancelled", OK, "", INTERNAL)
async def diagnosis_given_up(s: Subject) -> None:
    await s.started("c1")
    await s.abandoned(diagnose)
    assert await diagnosis(s) == ""


# --- GetOOMEvent ---


async def next_oom(s: Subject) -> str:
    event = await s.agent.get_oom_event(agent_pb2.GetOOMEventRequest())
    return event.container_id


async def use_too_much(s: Subject, name: str) -> None:
    """Start a container that is killed for its memory, with a limit of 16 MiB."""
    request = s.creation(name, "tail", "/dev/zero")
    request.OCI.Linux.Resources.Memory.Limit = 16 << 20
    request.OCI.Linux.Resources.Memory.Swap = 16 << 20
    await s.agent.create_container(request)
    await s.start(name)
    assert await s.wait(name) == 137


@case("GetOOMEvent", "happy")
async def killed_for_its_memory(s: Subject) -> None:
    await use_too_much(s, "c1")
    assert await next_oom(s) == "c1"


@case("GetOOMEvent", "repeated")
async def each_kill_once(s: Subject) -> None:
    for name in ("c1", "c2"):
        await use_too_much(s, name)
        assert await next_oom(s) == name


@case("GetOOMEvent", "concurrent")
async def one_caller_each(s: Subject) -> None:
    waiting = [asyncio.create_task(next_oom(s)) for _ in range(2)]
    await s.settled()
    await asyncio.gather(*(use_too_much(s, name) for name in ("c1", "c2")))
    assert sorted(await asyncio.gather(*waiting)) == ["c1", "c2"]


@case("GetOOMEvent", "cancelled")
async def an_event_is_not_lost_with_who_waited(s: Subject) -> None:
    async def wait(other: Subject) -> None:
        await next_oom(other)

    await s.abandoned(wait)
    await use_too_much(s, "c1")
    assert await next_oom(s) == "c1"


@case("GetOOMEvent", "cancelled", Code.DEADLINE_EXCEEDED)
async def no_event_in_time(s: Subject) -> None:
    await s.agent.get_oom_event(agent_pb2.GetOOMEventRequest(), timeout=0.1)
