"""The schema for editors and `load_spec` agree: what is right for one is right for the other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from flowledger.engine.specfile import load_spec, spec_from_mapping
from flowledger.engine.specschema import spec_schema
from flowledger.engine.starter import starter
from flowledger.engine.table import TABLES
from flowledger.steps.sources import SOURCES

ROOT = Path(__file__).parents[2]
EXAMPLES = ("paypal-products.yaml", "paypal-products-current.yaml")


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_fits(schema: Draft202012Validator, name: str) -> None:
    schema.validate(yaml.safe_load((ROOT / "examples" / name).read_text()))


def test_the_tutorial_as_it_was_written_does_not_fit(schema: Draft202012Validator) -> None:
    assert not schema.is_valid(yaml.safe_load((ROOT / "examples" / "tutorial-as-written.yaml").read_text()))


@pytest.mark.parametrize("style", TABLES)
@pytest.mark.parametrize("kind", SOURCES)
def test_whatever_init_writes_fits(schema: Draft202012Validator, tmp_path: Path, kind: str, style: str) -> None:
    for auth in SOURCES[kind].auths:
        text = next(iter(starter(kind, tmp_path, style=style, auth=auth.name, environ={}).values()))[0]
        schema.validate(yaml.safe_load(text))


@pytest.mark.parametrize("kind", SOURCES)
def test_a_plain_secret_does_not_fit(schema: Draft202012Validator, tmp_path: Path, kind: str) -> None:
    for auth in SOURCES[kind].auths:
        written = yaml.safe_load(next(iter(starter(kind, tmp_path, auth=auth.name, environ={}).values()))[0])
        for name in written["source"]["connection"]["params"]:
            if all(
                name in way.secret_params for way in SOURCES[kind].auths if name in {one.name for one in way.params}
            ):
                params = written["source"]["connection"]["params"] | {name: "hunter2"}
                wrong = {
                    **written,
                    "source": {**written["source"], "connection": {"auth": auth.name, "params": params}},
                }
                assert not schema.is_valid(wrong), name


def test_the_samples_in_the_docs_fit(schema: Draft202012Validator) -> None:
    text = (ROOT / "docs" / "spec.md").read_text()
    whole = [yaml.safe_load(sample) for sample in re.findall(r"```yaml\n(name:.*?)```", text, flags=re.DOTALL)]

    assert whole
    for sample in whole:
        schema.validate(sample)


def test_a_kind_of_ones_own_fits(schema: Draft202012Validator, tmp_path: Path) -> None:
    kind = SOURCES["paypal"].model_dump(mode="json") | {"kind": "my-paypal"}
    text = next(iter(starter("paypal", tmp_path, environ={}).values()))[0]
    written = yaml.safe_load(text)
    written["source"] = {**written["source"], "definition": kind}
    del written["source"]["kind"]
    spec_from_mapping(written)

    schema.validate(written)
    written["source"]["definition"]["auths"] = []
    assert not schema.is_valid(written)


REFERENCES = st.sampled_from(["${A}", "${A:-x}"])
DURATIONS = (
    st.integers(1, 500).map("{}s".format) | st.floats(0.5, 500) | st.sampled_from(["1.5h", " 2 m", "500ms", "90"])
)
FIELDS = st.recursive(
    st.sampled_from(["string", "date", "date-time", "integer", "long", "number", "boolean"]),
    lambda inner: st.dictionaries(st.sampled_from(["a", "b.c", "d-e"]), inner, min_size=1, max_size=2),
    max_leaves=4,
)
SCHEDULES = st.fixed_dictionaries(
    {"frequency": st.sampled_from(["minute", "hour", "day", "week"]),
     "interval": st.integers(15, 99) | st.integers(15, 99).map(str)},
    optional={"start": st.sampled_from(["+10m", "+1d", 4102444800, "4102444800", "2100-01-01T00:00:00Z",
                                        "2100-01-01T02:00:00+02:00", "21000101T000000Z", "2100-01-01 00:00Z",
                                        "2100-W01-1T00:00:00-0300", 4102444800.0]),
              "backfill": st.sampled_from([True, False, "true", "False", None])},
)  # fmt: skip
SPECS = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?", fullmatch=True),
        "source": st.fixed_dictionaries(
            {
                "kind": st.just("paypal"),
                "connection": st.sampled_from([
                    {"params": {"clientId": "x", "clientSecret": {"env": "X"}}},
                    {"params": {"clientId": {"file": "x"}, "clientSecret": {"command": "pass show x"}, "host": "h"}},
                    {"params": {"clientId": "x", "clientSecret": {"command": ["pass", "x"]}}, "id": None},
                    {"id": "24151d58-ffa7-4960-951d-58ffa7396097"},
                ]),
                "table": st.sampled_from(["PayPal.Catalog_Products", "x"]),
                "delta": st.sampled_from(["Create_Time", {"column": "c"}, {"column": "c", "timezone": "UTC"}]),
            },
            optional={"filter": st.none(), "definition": st.none()},
        ),
        "target": st.fixed_dictionaries(
            {},
            optional={
                "class": st.sampled_from(["profile", "_xdm.context.profile", "https://ns.adobe.com/xdm/context/profile"]),
                "field_groups": st.lists(st.sampled_from(
                    ["profile-person-details", "https://ns.adobe.com/acme/mixins/1a2b"]), max_size=2),
                "fields": st.fixed_dictionaries({"own": FIELDS}) | st.just({}),
                "dataset": st.fixed_dictionaries({}, optional={"title": st.just("T"), "description": st.just("")}),
            },
        ),
        "mappings": st.sampled_from([{"Product_Id": "_id"}, [{"source": "Product_Id", "to": "_id"}]]),
        "schedule": SCHEDULES,
    },
    optional={
        "style": st.sampled_from(sorted(TABLES)),
        "retry": st.fixed_dictionaries({}, optional={"attempts": st.integers(1, 9) | st.just("4"),
                                                     "deadline": DURATIONS, "longest_wait": DURATIONS}),
        "settle": DURATIONS | st.fixed_dictionaries({}, optional={"window": DURATIONS}),
    },
)  # fmt: skip


def accepted(mapping: Mapping[str, Any]) -> bool:
    from flowledger.errors import SpecError

    try:
        spec_from_mapping(mapping)
    except SpecError:
        return False
    return True


@settings(max_examples=200)
@given(mapping=SPECS)
def test_every_right_spec_fits(schema: Draft202012Validator, mapping: dict[str, Any]) -> None:
    if accepted(mapping):
        schema.validate(mapping)


def test_references_fit_wherever_they_are_taken(schema: Draft202012Validator, tmp_path: Path) -> None:
    text = """\
name: ${N}
style: ${STYLE}
source:
  kind: ${K}
  connection: {params: {clientId: "${N}-x", clientSecret: {env: "${VAR}"}}}
  table: ${N}
  delta: {column: "${N}", timezone: "${ZONE}"}
target: {class: "${CLASS}", fields: {own: {a: "${TYPE}"}}, dataset: {title: "${N}"}}
mappings: {a: own.a}
schedule: {frequency: "${UNIT}", interval: "${EVERY}", start: "${START}", backfill: "${YES}"}
retry: {attempts: "${EVERY}", deadline: "${T}"}
settle: ${T}
"""
    environ = {"N": "n", "STYLE": "current", "K": "paypal", "VAR": "V", "ZONE": "UTC", "CLASS": "profile",
               "TYPE": "string", "UNIT": "hour", "EVERY": "20", "START": "+10m", "YES": "true", "T": "90s"}  # fmt: skip
    (tmp_path / "spec.yaml").write_text(text)

    load_spec(tmp_path / "spec.yaml", environ=environ)
    schema.validate(yaml.safe_load(text))


def properties(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every property of a schema with its path."""
    if isinstance(schema, dict):
        for name, inner in schema.items():
            if name == "properties" and isinstance(inner, dict):
                for key, property_ in inner.items():
                    yield (*path, key), property_
                    yield from properties(property_, (*path, key))
            elif name not in ("allOf", "$defs", "not", "definition"):
                yield from properties(inner, path)
    elif isinstance(schema, list):
        for inner in schema:
            yield from properties(inner, path)


def test_every_key_of_the_reference_has_a_sentence_in_the_schema_and_the_other_way_round() -> None:
    said = {".".join(path): schema.get("description") for path, schema in properties(spec_schema())}
    documented = set(re.findall(r"^\| `([a-z_.]+)` \|", (ROOT / "docs" / "spec.md").read_text(), flags=re.MULTILINE))
    known = {path for path in said if not path.startswith("source.definition.")}

    assert [path for path in sorted(known) if not said[path]] == []
    assert known - {"mappings.source", "mappings.to"} == documented - {"host", "clientId"}


def test_the_schema_is_a_document_of_a_size_that_editors_load() -> None:
    assert len(json.dumps(spec_schema())) < 100_000
