"""YAML's own traps: what looks like text stays text, and what stands twice is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowledger.engine.specfile import load_spec
from flowledger.engine.specyaml import parse
from flowledger.errors import SpecError

Refused = Callable[[str | bytes], SpecError]

TEXT = """\
name: no
source:
  kind: paypal
  connection: {params: {clientId: 010, clientSecret: {env: PAYPAL_SECRET}}}
  table: 2026-01-01
  delta: on
target:
  fields: {off: string, yes: {no: string}}
  dataset: {title: 1:30:00}
mappings:
  on: _id
  1e400000: off
  0x10: yes.no
schedule: {frequency: minute, interval: 30, start: 2030-01-01T00:00:00Z}
"""


@pytest.mark.parametrize(
    "word", ["on", "off", "yes", "no", "y", "n", "2026-01-01", "010", "0x1f", "1:30", ".inf", "1_000", "1e5"]
)
def test_a_word_that_only_looks_like_something_else_stays_text(word: str) -> None:
    tree, _ = parse(f"a: {word}", "spec")

    assert tree.data == {"a": word}


@pytest.mark.parametrize(
    ("word", "value"),
    [("true", True), ("False", False), ("null", None), ("~", None), ("", None), ("30", 30), ("-3", -3), ("1.5", 1.5)],
)
def test_plain_values_are_what_yaml_1_2_says(word: str, value: Any) -> None:
    tree, _ = parse(f"a: {word}", "spec")

    assert tree.data == {"a": value}
    assert type(tree.data["a"]) is type(value)


@pytest.mark.parametrize("quoted", ["'30'", '"30"', "|-\n  30", ">-\n  30", "!!str 30"])
def test_quoted_numbers_are_text(quoted: str) -> None:
    tree, _ = parse(f"a: {quoted}", "spec")

    assert tree.data == {"a": "30"}


def test_a_spec_full_of_such_words_means_what_it_says(write: Callable[[str], Path]) -> None:
    spec = load_spec(write(TEXT)).spec

    assert spec.name == "no"
    assert spec.source.connection.params["clientId"] == "010"
    assert spec.source.table == "2026-01-01"
    assert spec.source.delta is not None
    assert spec.source.delta.column == "on"
    assert spec.target.fields == {"off": "string", "yes.no": "string"}
    assert [(mapping.source, mapping.to) for mapping in spec.mappings] == [
        ("on", "_id"),
        ("1e400000", "off"),
        ("0x10", "yes.no"),
    ]
    assert spec.schedule.start == 1893456000


def test_a_key_that_stands_twice_is_refused_with_both_lines(refused: Refused) -> None:
    error = refused(TEXT + "name: other\n")

    assert len(error.faults) == 1
    assert "spec.yaml:15:1 name: stands twice, first on line 1" in error.faults[0]


def test_a_key_that_stands_twice_deep_inside_is_refused_too(refused: Refused) -> None:
    error = refused(TEXT.replace("off: string,", "off: string, off: number,"))

    assert len(error.faults) == 1
    assert "target.fields.off: stands twice" in error.faults[0]


def test_aliases_within_reason_are_understood(write: Callable[[str], Path]) -> None:
    text = TEXT.replace("table: 2026-01-01", "table: &t PayPal.Catalog_Products").replace("title: 1:30:00", "title: *t")

    spec = load_spec(write(text)).spec

    assert spec.target.dataset.title == spec.source.table == "PayPal.Catalog_Products"


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(write: Callable[[bytes], Path]) -> None:
    assert (
        load_spec(write(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())).spec
        == load_spec(write(TEXT.encode())).spec
    )
