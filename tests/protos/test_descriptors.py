# SPDX-License-Identifier: Apache-2.0
"""Every message, field, number and call of the API tables is in our descriptors.

`data/api-4x.tsv` lists Kata 4.x whole; `data/api-1x-only.tsv` has the
calls and messages of 1.x alone.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor

from kata_protos import agent_pb2, csi_pb2, health_pb2, oci_pb2, types_pb2

DATA: Final = Path(__file__).parent / "data"
FILES: Final[dict[str, FileDescriptor]] = {
    "agent.proto": agent_pb2.DESCRIPTOR,
    "csi.proto": csi_pb2.DESCRIPTOR,
    "health.proto": health_pb2.DESCRIPTOR,
    "oci.proto": oci_pb2.DESCRIPTOR,
    "types.proto": types_pb2.DESCRIPTOR,
}
NOT_SERVED: Final = "confidential_data_hub.proto"
"""The agent is a client of that one, and we do not call it."""
SCALARS: Final = {
    getattr(FieldDescriptor, name): name.removeprefix("TYPE_").lower()
    for name in dir(FieldDescriptor)
    if name.startswith("TYPE_") and name not in ("TYPE_MESSAGE", "TYPE_ENUM")
}

Row = dict[str, str]


def rows() -> list[Row]:
    found: list[Row] = []
    for table in ("api-4x.tsv", "api-1x-only.tsv"):
        with (DATA / table).open() as lines:
            found += csv.DictReader(lines, delimiter="\t")
    return [row for row in found if row["file"] != NOT_SERVED]


def type_name(field: FieldDescriptor) -> str:
    """Spell the type of `field` as the tables do."""
    if field.message_type is not None:
        if field.message_type.GetOptions().map_entry:
            key, value = field.message_type.fields
            return f"map<{type_name(key)},{type_name(value)}>"
        return str(field.message_type.full_name)
    if field.enum_type is not None:
        return str(field.enum_type.full_name)
    return SCALARS[field.type]


def label(field: FieldDescriptor) -> str:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return "map"
    if field.is_repeated:
        return "repeated"
    oneof = field.containing_oneof
    return "optional" if oneof and oneof.name.startswith("_") else "none"


def check_message(file: FileDescriptor, row: Row) -> None:
    message: Descriptor = file.message_types_by_name[row["owner"]]
    if not row["name"]:
        assert not message.fields
        return
    field = message.fields_by_name[row["name"]]
    assert field.number == int(row["number"])
    assert type_name(field) == row["type"]
    assert label(field) == row["label"]
    if row["oneof"]:
        assert field.containing_oneof is not None
        assert field.containing_oneof.name == row["oneof"]


def check_enum(file: FileDescriptor, row: Row) -> None:
    outer, _, inner = row["owner"].rpartition(".")
    owner = file.message_types_by_name[outer] if outer else file
    value = owner.enum_types_by_name[inner].values_by_name[row["name"]]
    assert value.number == int(row["number"])


def check_rpc(file: FileDescriptor, row: Row) -> None:
    method = file.services_by_name[row["owner"]].methods_by_name[row["name"]]
    took, gave = row["type"].split(" -> ")
    assert method.input_type.full_name == took
    assert method.output_type.full_name == gave


CHECKS: Final = {"message": check_message, "enum": check_enum, "rpc": check_rpc}


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row['owner']}.{row['name']}")
def test_row_is_in_the_descriptors(row: Row) -> None:
    file = FILES[row["file"]]
    assert file.package == row["package"]
    CHECKS[row["kind"]](file, row)


def test_the_descriptors_have_nothing_that_no_table_has() -> None:
    known = {(row["file"], row["owner"], row["name"]) for row in rows()}
    ours = {
        (name, message.name, field.name)
        for name, file in FILES.items()
        for message in file.message_types_by_name.values()
        for field in message.fields
    } | {
        (name, service.name, method.name)
        for name, file in FILES.items()
        for service in file.services_by_name.values()
        for method in service.methods
    }
    assert ours <= known
