"""Records of flow runs as a platform may send them: in both spellings, with parts missing, and broken."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowledger.steps.answers import count_of
from flowledger.steps.flow_run import Came, flow_run_of

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["inf", "-1", "nan"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
PARTS = ("metrics", "activities", "activites", "createdAt", "id", "flowId")
SUMMARIES = ("durationSummary", "recordSummary", "statusSummary")
FIELDS = ("startedAtUTC", "completedAtUTC", "inputRecordCount", "outputRecordCount", "status", "errors")


@given(
    record=st.fixed_dictionaries({"id": st.just("run-1")}, optional=dict.fromkeys(PARTS[:4], JSON)),
    metrics=st.dictionaries(st.sampled_from(SUMMARIES), st.dictionaries(st.sampled_from(FIELDS), JSON) | JSON),
)
def test_no_record_breaks_the_reading(record: dict[str, Any], metrics: dict[str, Any]) -> None:
    for given_record in (record, {**record, "metrics": metrics}):
        run = flow_run_of(given_record)
        assert run is not None
        assert run.over is (run.came is not Came.UNDER_WAY)
        assert run.seconds is None or run.seconds >= 0


@given(JSON)
def test_a_record_without_a_usable_id_is_none(record: Any) -> None:
    if not isinstance(record, dict) or not isinstance(record.get("id"), str):
        assert flow_run_of(record) is None


@pytest.mark.parametrize(
    ("value", "count"),
    [(0, 0), (7.0, 7), ("12", 12), (-1, None), ("-1", None), ("inf", None), (float("nan"), None), (True, None),
     (None, None), ([1], None), ("many", None)],
)  # fmt: skip
def test_a_count_is_a_whole_number_from_0_on_or_unknown(value: Any, count: int | None) -> None:
    assert count_of(value) == count


def test_errors_of_any_length_and_number_are_read_up_to_a_bound() -> None:
    errors = [{"code": f"c{number}", "message": "m" * 100_000} for number in range(3000)]
    run = flow_run_of({"id": "r", "metrics": {"statusSummary": {"status": "s" * 9000, "errors": errors}}})
    assert run is not None
    assert len(run.errors) == 1000
    assert {len(message) for _, message in run.errors} == {2000}
    assert len(run.status) == 2000
