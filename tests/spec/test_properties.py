"""Whatever is in the file, the answer is a spec or a SpecError; and a spec is the same after every journey."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flowledger.engine.specfile import load_spec, spec_diff, spec_from_mapping
from flowledger.errors import SpecError
from flowledger.steps.spec import Spec
from tests.bench import EXAMPLE

TEXT = EXAMPLE.read_bytes()
WORDS = sorted(
    {"name", "source", "kind", "paypal", "connection", "params", "id", "auth", "table", "delta", "column", "target"}
    | {"class", "field_groups", "fields", "mappings", "to", "schedule", "frequency", "interval", "start", "retry"}
    | {"settle", "window", "once", "profile", "_id", "+10m", "90s", "env", "file", "command", "clientSecret", "a.b"}
)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=6), inner, max_size=5)
    ),
    max_leaves=25,
)
tops = st.dictionaries(st.sampled_from(sorted(Spec.model_fields)) | st.text(max_size=5), values, max_size=9)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spec") / "spec.yaml"


def load(file: Path, content: bytes) -> Spec | None:
    file.write_bytes(content)
    try:
        return load_spec(file, now=1.8e9, base_url="https://platform.adobe.io").spec
    except SpecError:
        return None


@given(content=st.binary(max_size=400))
def test_no_bytes_make_it_fail_otherwise(file: Path, content: bytes) -> None:
    load(file, content)


@given(content=st.text(alphabet="abc:-[]{}&*#!|>'\"%@`,? \n\t\\\0\u2028\x85", max_size=120))
def test_no_text_of_yamls_own_characters_makes_it_fail_otherwise(file: Path, content: str) -> None:
    load(file, content.encode())


@settings(max_examples=200)
@given(data=st.data())
def test_no_damage_to_a_right_file_makes_it_fail_otherwise(file: Path, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(TEXT)))
    length = data.draw(st.integers(0, 60))
    instead = data.draw(st.binary(max_size=20))

    load(file, TEXT[:start] + instead + TEXT[start + length :])


@settings(max_examples=150)
@given(mapping=tops)
def test_no_mapping_makes_it_fail_otherwise(mapping: dict[str, Any]) -> None:
    with pytest.raises(SpecError) as caught:
        spec_from_mapping(mapping)

    assert caught.value.faults


@settings(max_examples=150)
@given(path=st.sampled_from(["name", "source", "source.connection", "source.connection.params", "source.table",
                             "source.kind", "source.kind_file", "source.definition", "source.filter",
                             "source.delta", "target", "target.class", "target.field_groups", "target.fields",
                             "target.dataset", "mappings", "schedule", "schedule.start", "schedule.interval",
                             "retry", "retry.attempts", "settle", "settle.window"]), value=values)  # fmt: skip
def test_no_value_at_any_place_makes_it_fail_otherwise(path: str, value: Any) -> None:
    mapping = yaml.safe_load(TEXT)
    mapping["settle"] = {"window": 90}
    *above, last = path.split(".")
    part = mapping
    for key in above:
        part = part[key]
    part[last] = value

    try:
        spec = spec_from_mapping(mapping, now=1.8e9)
    except SpecError:
        return
    assert Spec.model_validate_json(spec.model_dump_json()) == spec
    assert Spec.model_validate(json.loads(json.dumps(spec.model_dump(mode="json", by_alias=True)))) == spec


names = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,8}", fullmatch=True)
specs = st.builds(
    lambda run, table, fields, interval, start, window: {
        "name": run,
        "source": {
            "kind": "paypal",
            "connection": {"params": {"clientId": "x", "clientSecret": {"env": "X"}}},
            "table": table,
            "delta": "Create_Time",
        },
        "target": {"fields": {f"own.{field}": kind for field, kind in fields.items()}},
        "mappings": {f"Column_{field}": f"own.{field}" for field in fields},
        "schedule": {"frequency": "minute", "interval": interval, "start": start},
        "settle": window,
    },
    run=st.from_regex(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?", fullmatch=True),
    table=names,
    fields=st.dictionaries(
        names, st.sampled_from(["string", "date", "date-time", "integer", "long", "number", "boolean"]), min_size=1
    ),
    interval=st.integers(15, 10_000),
    start=st.integers(2 * 10**9, 10**10) | st.from_regex(r"\+[1-9][0-9]{0,5}[smhd]", fullmatch=True),
    window=st.floats(0.001, 86400) | st.integers(1, 1000).map("{}s".format),
)


@given(mapping=specs)
def test_a_right_spec_is_the_same_after_yaml_json_and_the_journal(file: Path, mapping: dict[str, Any]) -> None:
    spec = spec_from_mapping(mapping)

    assert load(file, yaml.safe_dump(mapping, sort_keys=False).encode()) == spec
    assert load(file, json.dumps(mapping).encode()) == spec
    assert Spec.model_validate_json(spec.model_dump_json()) == spec
    assert spec_from_mapping(spec.model_dump(mode="json", by_alias=True)) == spec


@given(one=specs, other=specs)
def test_specs_differ_exactly_when_the_diff_says_so(one: dict[str, Any], other: dict[str, Any]) -> None:
    old, new = spec_from_mapping(one), spec_from_mapping(other)

    assert spec_diff(old, old) == []
    assert bool(spec_diff(old, new)) == (old != new)


def test_a_diff_names_each_key_path_with_both_values() -> None:
    old = load_spec(EXAMPLE).spec
    mapping = yaml.safe_load(TEXT)
    mapping["schedule"]["interval"] = 15
    mapping["settle"] = "90s"
    mapping["mappings"].append({"source": "Create_Time", "to": "personID"})
    mapping["target"]["dataset"].pop("title")
    mapping["source"]["connection"]["params"]["clientSecret"] = {"env": "PAYPAL_SECRET"}

    lines = spec_diff(old, spec_from_mapping(mapping, folder=EXAMPLE.parent))

    secret = EXAMPLE.parent / "secrets" / "paypal-client-secret"
    assert lines == [
        "source.connection.params.clientSecret.env: (nothing) -> PAYPAL_SECRET",
        f"source.connection.params.clientSecret.file: {secret} -> (nothing)",
        "target.dataset.title: PayPal products -> ''",
        "mappings[4]: (nothing) -> {source: Create_Time, to: personID}",
        "schedule.interval: 30 -> 15",
        "settle.window: 1.0 -> 90.0",
    ]
