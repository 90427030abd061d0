"""verify_rows as people write it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from flowledger.engine.specfile import load_spec, spec_from_mapping
from flowledger.errors import SpecError
from flowledger.steps.spec import Spec, VerifyRows
from tests.bench import EXAMPLE


def read(value: Any) -> Spec:
    data = yaml.safe_load(EXAMPLE.read_text())
    data["verify_rows"] = value
    return spec_from_mapping(data)


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        (None, None),
        (False, None),
        (True, VerifyRows()),
        ({}, VerifyRows()),
        ("45m", VerifyRows(wait=2700)),
        (90, VerifyRows(wait=90)),
        ({"wait": "1h", "least": 700, "rejected": "3", "otherwise": "warn"},
         VerifyRows(wait=3600, least=700, rejected=3, otherwise="warn")),
    ],
    ids=["null", "false", "true", "empty", "time", "seconds", "whole"],
)  # fmt: skip
def test_every_way_to_write_it_is_read(written: Any, wanted: VerifyRows | None) -> None:
    assert read(written).verify_rows == wanted


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("soon", "verify_rows: 'soon' is not a duration"),
        ({"otherwise": "panic"}, "verify_rows.otherwise: 'panic' is not known"),
        ({"least": -1}, "verify_rows.least: -1 is out of bounds"),
        ({"least": "many"}, "verify_rows.least: 'many' is not a whole number"),
        ({"wait": "8d"}, "verify_rows.wait: 691200 seconds is out of bounds"),
        ({"rejects": 1}, "verify_rows.rejects: unknown key; did you mean rejected?"),
    ],
    ids=["word", "otherwise", "negative", "text", "long", "unknown"],
)
def test_each_fault_is_told_with_its_place(written: Any, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(written)
    assert said.replace("'", "") in caught.value.faults[0].replace("'", "").replace('"', "")


def test_a_model_is_written_and_read_as_it_is() -> None:
    for spec in (read({"least": 7}), load_spec(EXAMPLE).spec):
        assert spec_from_mapping(spec.model_dump(mode="json", by_alias=True)) == spec
        assert Spec.model_validate(spec.model_dump(mode="json", by_alias=True)) == spec


def test_a_spec_that_was_journaled_before_the_key_was_there_is_read() -> None:
    document = load_spec(EXAMPLE).spec.model_dump(mode="json", by_alias=True)
    del document["verify_rows"]
    assert Spec.model_validate(document).verify_rows is None
