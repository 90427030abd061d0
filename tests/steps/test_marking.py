"""Markers: unique, safe in filters, and recognised as whole words only."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowledger.steps.flow import CreateFlow
from flowledger.steps.marking import carries, description_of, filter_safe, name_of
from flowledger.steps.step import Step


@given(st.text())
def test_a_filter_safe_name_has_nothing_that_a_filter_could_read_as_syntax(text: str) -> None:
    safe = filter_safe(text)
    assert not set(safe) & set(",\"':/*=!<>&~%\n\t")
    assert filter_safe(safe) == safe


def test_a_marker_is_recognised_only_as_a_whole_word() -> None:
    assert carries("fl-abc-flow", "products fl-abc-flow")
    assert carries("fl-abc-flow", None, "[fl-abc-flow]")
    assert not carries("fl-abc-flow", "products fl-abc-flow-2", "xfl-abc-flow", "fl-abc-flows", None, 7)


def test_names_and_descriptions_carry_the_marker_and_names_speak_to_people(ctx: Any) -> None:
    assert name_of(ctx, CreateFlow()) == "paypal-products dataflow fl-k3x9q2w7ma-flow"
    assert carries("fl-k3x9q2w7ma-flow", description_of(ctx, CreateFlow()))


def test_a_title_of_the_users_keeps_its_words_and_loses_what_filters_would_trip_over(ctx: Any) -> None:
    assert name_of(ctx, CreateFlow(), 'Products, "new": 50%') == "Products new 50 fl-k3x9q2w7ma-flow"


def test_no_two_steps_share_a_name_a_slug_or_a_marker(ctx: Any, all_steps: list[Step]) -> None:
    for key in ("name", "slug"):
        assert len({getattr(step, key) for step in all_steps}) == len(all_steps)
    markers = [ctx.marker(step) for step in all_steps]
    for marker in markers:
        assert [other for other in markers if carries(marker, other)] == [marker]


@pytest.mark.parametrize("field", ["name", "slug", "label", "row"])
def test_every_step_says_what_it_is(all_steps: list[Step], field: str) -> None:
    assert all(getattr(step, field) for step in all_steps)
