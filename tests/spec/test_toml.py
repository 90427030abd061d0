"""A spec in TOML: the same model, the same faults, each at its line."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flowledger.engine.specfile import load_spec
from flowledger.engine.spectoml import parse
from flowledger.errors import SpecError
from tests.bench import EXAMPLE

SPEC = """\
# rows of PayPal
name = "paypal-products"

[source]
kind = "paypal"
table = "PayPal.Catalog_Products"
delta = "Create_Time"
connection.params = { clientId = "x", clientSecret = { env = "PAYPAL_SECRET" } }

[target.fields]
"product.name" = "string"

[[mappings]]
source = "Product_Id"
to = "_id"

[[mappings]]
source = 'Product_Name'
to = "product.name"

[schedule]
frequency = "minute"
interval = 30
start = 2100-01-01T00:00:00Z
"""


def toml_of(value: Any) -> str:
    """A value as TOML, inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml_of(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",\n ".join(map(toml_of, value)) + ",]" if value else "[ # nothing\n]"
    return json.dumps(value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "spec.toml"


def faults(file: Path, text: str) -> tuple[str, ...]:
    file.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_spec(file, environ={})
    return tuple(fault.replace(str(file), "F") for fault in caught.value.faults)


def test_a_spec_in_toml_is_the_model_of_the_same_spec_in_yaml(tmp_path: Path) -> None:
    whole = yaml.safe_load(EXAMPLE.read_text())
    for name, text in (
        ("a.toml", "".join(f"{key} = {toml_of(value)}\n" for key, value in whole.items())),
        ("a.yaml", yaml.safe_dump(whole)),
        ("a.json", json.dumps(whole, indent=2)),
    ):
        (tmp_path / name).write_text(text)
    in_toml, in_yaml, in_json = (load_spec(tmp_path / f"a.{kind}").spec for kind in ("toml", "yaml", "json"))

    assert in_toml == in_yaml == in_json


def test_tables_lists_of_tables_dotted_keys_and_times_are_taken(file: Path) -> None:
    file.write_text(SPEC)
    spec = load_spec(file).spec

    assert spec.source.connection.params["clientId"] == "x"
    assert [mapping.to for mapping in spec.mappings] == ["_id", "product.name"]
    assert spec.schedule.start == 4102444800


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('kind = "paypal"', 'kind = "papyal"', "F:5:8 source.kind: 'papyal' is not known; did you mean 'paypal'?"),
        ('to = "_id"', "to = 7", "F:15:6 mappings[0].to: must be text"),
        ("'Product_Name'", "''", "F:18:10 mappings[1].source: is empty"),
        ("interval = 30", "intervall = 30", "F:23:1 schedule.intervall: unknown key; did you mean 'interval'?"),
        ('clientId = "x"', "clientId = [1]", "F:8:34 source.connection.params.clientId: must be text"),
        ('"product.name" = "string"', '"product.name" = "text"', "F:11:18 target.fields.product.name: 'text'"),
        ("interval = 30", 'interval = "${N}"', "F:23:12 schedule.interval: the environment variable N is not set"),
    ],
)
def test_a_fault_names_its_line_and_column(file: Path, old: str, new: str, place: str) -> None:
    assert old in SPEC
    found = faults(file, SPEC.replace(old, new))

    assert any(fault.startswith(place) for fault in found), found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = \n", "F:1:8: not TOML: Invalid value"),
        ('name = "a"\nname = "b"\n', "F:2:11: not TOML: Cannot overwrite a value"),
        ("a = " + "[" * 3000 + "]" * 3000, "F: nested deeper than 20 levels"),
        ("a = " + "[" * 21 + "]" * 21, "F: nested deeper than 20 levels"),
        ("a = [" + "1," * 20_001 + "]", "F: more than 20000 keys and values"),
        ("a = " + "1" * 5000, "F: not TOML: a number that is too long"),
    ],
)
def test_what_is_no_toml_or_no_specs_is_refused_with_its_place(file: Path, text: str, says: str) -> None:
    [fault] = faults(file, text)

    assert fault.startswith(says)


def test_an_error_does_not_repeat_what_stands_in_the_file(file: Path) -> None:
    [fault] = faults(file, 'name = "a"\nclientSecret = "hunter2\n')

    assert fault.startswith("F:2:")
    assert "hunter2" not in fault


@pytest.mark.timeout(20)
def test_the_largest_list_of_tables_is_read_in_good_time() -> None:
    tree, _ = parse("[[a]]\nb.c = 1\n" * 6000, "F")

    assert tree.values["a", 5999, "b", "c"].line == 12000


SCALARS = st.sampled_from(
    ["1", "true", "1.5", "2030-01-01T00:00:00Z", "2030-01-01 00:00:00", "07:30:00", '"a # b"', "'a \\'", '""', "''",
     '"\\" ]"', '"""a\n"b""""', "'''\n'c''''", '"""\\"""\\\n   x"""']
)  # fmt: skip
KEYS = st.sampled_from(["a", "b-1", '"c.d"', "'e f'", "1"])
BLANKS = st.sampled_from(["", " ", "\t"])
LINES = st.sampled_from(["\n", "\r\n", " # a = [\n", "\n\n"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + ", # ]\n ".join(items) + "\n]")
        | st.lists(st.tuples(KEYS, inner), max_size=3, unique_by=lambda pair: pair[0]).map(
            lambda pairs: "{ " + ", ".join(f"{key} = {value}" for key, value in pairs) + " }"
        )
    ),
    max_leaves=8,
)
PAIRS = st.builds(
    lambda keys, blank, value, line: f"{blank}{f'{blank}.{blank}'.join(keys)}{blank}={blank}{value}{line}",
    st.lists(KEYS, min_size=1, max_size=2), BLANKS, VALUES, LINES,
)  # fmt: skip
HEADERS = st.builds(
    lambda keys, several, blank, line: (
        f"{'[[' if several else '['}{blank}{'.'.join(keys)}{blank}{']]' if several else ']'}{line}"
    ),
    st.lists(KEYS, min_size=1, max_size=3), st.booleans(), BLANKS, LINES,
)  # fmt: skip


def paths(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    """The paths of all scalars."""
    if isinstance(value, dict):
        return {found for key, inner in value.items() for found in paths(inner, (*path, key))}
    if isinstance(value, list):
        return {found for index, inner in enumerate(value) for found in paths(inner, (*path, index))}
    return {path}


@given(st.lists(PAIRS | HEADERS, max_size=8).map("".join))
def test_every_value_of_any_toml_has_its_place(text: str) -> None:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with pytest.raises(SpecError):
            parse(text, "F")
        return
    tree, _ = parse(text, "F")
    lines = text.replace("\r\n", "\n").split("\n")

    for path in paths(data):
        place = tree.values[path]
        written = lines[place.line - 1][place.column - 1 :]
        value: Any = data
        for part in path:
            value = value[part]
        if isinstance(value, str):
            assert written[0] in "\"'"
        else:
            assert written.lower().startswith(str(value)[:4].lower())
