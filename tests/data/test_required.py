"""What the parts of a schema require, the resolved schema requires."""

from __future__ import annotations

from typing import Any

from flowledger.emulator.resolve import resolve

TENANT = {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]}


def test_required_fields_of_every_part_are_required_of_the_whole() -> None:
    known: dict[str, dict[str, Any]] = {
        "group": {
            "$id": "group",
            "definitions": {"own": {"properties": {"_tenant": TENANT}, "required": ["_tenant"]}},
            "allOf": [{"$ref": "#/definitions/own"}],
        },
        "class": {"$id": "class", "properties": {"_id": {"type": "string"}}, "required": ["_id"]},
    }
    schema = {"$id": "schema", "allOf": [{"$ref": "class"}, {"$ref": "group"}, {"$ref": "class"}]}

    resolved = resolve(schema, known.get)

    assert resolved["required"] == ["_id", "_tenant"]
    assert resolved["properties"]["_tenant"]["required"] == ["sku"]


def test_a_schema_that_requires_nothing_says_nothing_of_it() -> None:
    assert "required" not in resolve({"$id": "schema", "properties": {"a": {"type": "string"}}}, lambda _: None)
