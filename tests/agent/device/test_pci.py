# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.device.pci import PciPath, Slot, devpath_of, parse_pci_path, rescan
from kata_agent.errors import InvalidArgument, NotFound
from kata_agent.system_paths import SystemPaths

ROOT = "/devices/pci0000:00"


@pytest.fixture
def paths(tmp_path: Path) -> SystemPaths:
    (tmp_path / ROOT.removeprefix("/")).mkdir(parents=True)
    return SystemPaths(sys=tmp_path)


def bridge(paths: SystemPaths, devpath: str, *buses: str) -> None:
    for bus in buses:
        (paths.sys / devpath.removeprefix("/") / "pci_bus" / bus).mkdir(parents=True)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("2", PciPath((Slot(2),))),
        ("02", PciPath((Slot(2),))),
        ("1f.7", PciPath((Slot(0x1F, 7),))),
        ("02/03", PciPath((Slot(2), Slot(3)))),
        ("02.1/1e/0A", PciPath((Slot(2, 1), Slot(0x1E), Slot(10)))),
        ("20/02/03", PciPath((Slot(2), Slot(3)), root_complex=0x20)),
    ],
)
def test_a_path_is_parsed_and_written(text: str, path: PciPath) -> None:
    assert parse_pci_path(text) == path
    assert parse_pci_path(str(path)) == path


@pytest.mark.parametrize(
    "text",
    ["", "/", "02/", "/02", "x", "002", "02.8", "02.", "-1", "20", "20/02", "02 "],
)
def test_a_text_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="PCI path"):
        parse_pci_path(text)


def test_a_device_on_the_root_bus_need_not_exist(paths: SystemPaths) -> None:
    assert devpath_of(paths, parse_pci_path("02")) == f"{ROOT}/0000:00:02.0"


def test_each_bridge_leads_to_the_bus_behind_it(paths: SystemPaths) -> None:
    outer = f"{ROOT}/0000:00:02.0"
    bridge(paths, outer, "0000:01")
    bridge(paths, f"{outer}/0000:01:03.0", "0000:07")
    path = devpath_of(paths, parse_pci_path("02/03/04.1"))
    assert path == f"{outer}/0000:01:03.0/0000:07:04.1"


def test_a_path_may_begin_at_another_root_complex(paths: SystemPaths) -> None:
    root = "/devices/pci0000:20"
    bridge(paths, f"{root}/0000:20:02.0", "0000:21")
    path = devpath_of(paths, parse_pci_path("20/02/00"))
    assert path == f"{root}/0000:20:02.0/0000:21:00.0"


def test_on_arm_without_acpi_the_root_bus_is_on_the_platform_bus(
    tmp_path: Path,
) -> None:
    root = "devices/platform/4010000000.pcie/pci0000:00"
    (tmp_path / root).mkdir(parents=True)
    paths = SystemPaths(sys=tmp_path)
    assert devpath_of(paths, parse_pci_path("02")) == f"/{root}/0000:00:02.0"


def test_a_missing_bridge_is_named(paths: SystemPaths) -> None:
    with pytest.raises(NotFound, match="PCI path '02/03': no bus behind"):
        devpath_of(paths, parse_pci_path("02/03"))


@pytest.mark.parametrize("buses", [(), ("0000:01", "0000:02"), ("nonsense",)])
def test_a_bridge_with_no_bus_or_several_is_refused(
    paths: SystemPaths, buses: tuple[str, ...]
) -> None:
    place = f"{ROOT}/0000:00:02.0"
    bridge(paths, place, *buses)
    (paths.sys / place.removeprefix("/") / "pci_bus").mkdir(parents=True, exist_ok=True)
    with pytest.raises(NotFound, match="not one bus behind"):
        devpath_of(paths, parse_pci_path("02/03"))


def test_a_rescan_is_written_and_its_failure_logged(
    paths: SystemPaths, caplog: pytest.LogCaptureFixture
) -> None:
    rescan(paths)
    assert "PCI rescan failed" in caplog.text
    (paths.sys / "bus/pci").mkdir(parents=True)
    rescan(paths)
    assert (paths.sys / "bus/pci/rescan").read_text() == "1"
