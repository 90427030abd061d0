"""What a base and a source connection of any kind are sent as."""

from __future__ import annotations

from typing import Any

from flowledger.emulator.source_kinds import SourceKind, known_kinds


def base_body(kind: SourceKind, name: str = "base") -> dict[str, Any]:
    """A base connection of the kind, with the credentials that its first way to authenticate asks for."""
    auth = {"specName": "Any", "params": {"user": "ada"}}
    if kind.auths:
        params = {param.name: f"the-{param.name}" for param in kind.auths[0].params if param.required}
        auth = {"specName": kind.auths[0].name, "params": params}
    return {"name": name, "connectionSpec": {"id": kind.id, "version": "1.0"}, "auth": auth}


def source_body(kind: SourceKind, base: str) -> dict[str, Any]:
    table = next(iter(kind.tables))
    return {
        "name": "source",
        "baseConnectionId": base,
        "data": {"format": "tabular"},
        "params": {"tableName": table, "columns": [column.described() for column in kind.tables[table]]},
        "connectionSpec": {"id": kind.id, "version": "1.0"},
    }


def the(label: str) -> SourceKind:
    return next(kind for kind in known_kinds() if kind.label == label)
