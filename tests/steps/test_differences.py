"""Comparing is blind to spelling, and to nothing else."""

from __future__ import annotations

import pytest

from flowledger.steps.differences import as_boolean, as_integer, as_media_type, as_references, differ, without_meta


@pytest.mark.parametrize(
    "spelling",
    [
        "application/vnd.adobe.xed-full+json;version=1",
        "application/vnd.adobe.xed-full+json; version=1",
        "application/vnd.adobe.xed-full+json; version=1.0",
        "Application/vnd.adobe.xed-full+json;version=1.27.4",
    ],
)
def test_media_types_are_the_same_however_they_are_spelled(spelling: str) -> None:
    assert not differ("version", "application/vnd.adobe.xed-full+json; version=1", spelling, as_media_type)


@pytest.mark.parametrize(
    "other",
    [
        "application/vnd.adobe.xed+json; version=1",
        "application/vnd.adobe.xed-full+json; version=2",
        "application/vnd.adobe.xed-full+json",
        None,
    ],
)
def test_other_media_types_and_versions_differ(other: str | None) -> None:
    assert differ("version", "application/vnd.adobe.xed-full+json; version=1", other, as_media_type)


def test_numbers_that_are_spelled_as_texts_are_numbers() -> None:
    assert not differ("interval", 30, "30", as_integer)
    assert not differ("interval", 30, 30.0, as_integer)
    assert differ("interval", 30, "31", as_integer)
    assert differ("interval", 30, "thirty", as_integer)
    assert differ("interval", 30, "3" * 5000, as_integer)  # more digits than Python turns into a number
    assert differ("interval", 30, None, as_integer)
    assert not differ("backfill", True, "true", as_boolean)
    assert differ("backfill", True, "false", as_boolean)


def test_all_of_is_compared_as_a_set_of_references() -> None:
    twice = [{"$ref": "b", "type": "object"}, {"$ref": "a"}, {"$ref": "b"}]
    assert as_references(twice) == ["a", "b"]
    assert as_references(None) is None


def test_what_the_registry_adds_to_a_node_is_left_out() -> None:
    stored = {"a": {"type": "string", "meta:xdmType": "string"}, "meta:x": 1, "b": [{"meta:y": 1}]}
    assert without_meta(stored) == {"a": {"type": "string"}, "b": [{}]}


def test_a_difference_names_its_place_and_both_values() -> None:
    [difference] = differ("params.path", "a", "b")
    assert str(difference) == "params.path: wanted 'a', found 'b'"
