"""What the spec is judged by and what the emulator serves were written apart from one contract: they must agree."""

from __future__ import annotations

import pytest

from flowledger.emulator.flow_specs import connection_specs
from flowledger.emulator.resolve import paths_of, resolve
from flowledger.emulator.source_kinds import known_kinds
from flowledger.emulator.xdm import global_resource
from flowledger.engine.specfile import load_spec
from flowledger.steps.sources import SOURCES
from flowledger.steps.xdm_paths import RESOURCES, offered
from tests.bench import EXAMPLE


@pytest.mark.parametrize("id_", RESOURCES)
def test_the_bundled_resources_are_those_of_the_registry(id_: str) -> None:
    live = global_resource(id_)
    assert live is not None
    resolved = resolve(live, global_resource)
    theirs = {path: kind for path, kind in paths_of(resolved).items() if kind not in ("object", "map")}
    ours = {path: {"integer": "int"}.get(kind, kind) for path, kind in offered(id_, ()).leaves.items()}

    assert ours == theirs
    assert list(RESOURCES[id_].required) == resolved.get("required", [])


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_kind_is_a_connection_spec_with_those_parameters(kind: str) -> None:
    source = SOURCES[kind]
    [live] = [spec for spec in connection_specs(drafts=False) if spec["id"] == source.connection_spec_id]

    for auth in source.auths:
        [found] = [spec["spec"] for spec in live["authSpec"] if spec["name"] == auth.name]
        assert set(found["properties"]) == {*auth.plain_params, *auth.secret_params}
        assert set(found["required"]) == {
            param.name for param in auth.params if param.default is None and param.required
        }
        assert {
            name: field["default"] for name, field in found["properties"].items() if "default" in field
        } == auth.defaults


def test_the_starters_columns_are_those_of_its_table() -> None:
    spec = load_spec(EXAMPLE).spec
    tables = {kind.id: kind.tables for kind in known_kinds()}
    spec_id = SOURCES[spec.source.kind].connection_spec_id
    columns = {column.name: column.type for column in tables[spec_id][spec.source.table]}

    assert {mapping.source for mapping in spec.mappings} <= set(columns)
    assert spec.source.delta is not None
    assert columns[spec.source.delta.column] == "date-time"


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_kinds_sample_tables_are_what_the_emulator_explores(kind: str) -> None:
    source = SOURCES[kind]
    [live] = [known for known in known_kinds() if known.id == source.connection_spec_id]

    assert live.flow_spec == "CRMToAEP"
    assert live.row_filters == source.row_filters
    for table in source.tables:
        theirs = {column.name: column.type for column in live.tables[table.path]}
        assert {**theirs, **table.columns} == theirs
