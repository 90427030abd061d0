"""Row filters: a readable condition and Adobe's PQL say the same, where the platform has them and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flowledger.emulator.row_filters import filter_of
from flowledger.engine.ledger import RunState
from flowledger.engine.plan import plan_of
from flowledger.engine.specfile import load_spec, spec_from_mapping
from flowledger.errors import Drifted, SpecError
from flowledger.steps.row_filter import FilterFault, alike, checked, columns_of, compiled, readable
from flowledger.steps.sources import SOURCES
from flowledger.steps.spec import Spec

Begun = Callable[..., Path]


def field(name: str) -> dict[str, Any]:
    return {"nodeType": "fieldLookup", "fieldName": name}


def literal(value: Any) -> dict[str, Any]:
    return {"nodeType": "literal", "value": value}


def apply(name: str, *params: Any) -> dict[str, Any]:
    return {"nodeType": "fnApply", "fnName": name, "params": list(params)}


# The samples of Adobe's guide "Filter row-level data for a source", with the readable form of each.
SAMPLES = [
    ("city == 'DDN'", apply("=", field("city"), literal("DDN"))),
    ("firstname like '%s'", apply("like", field("firstname"), literal("%s"))),
    ("firstname in ('Ramen', 'John')", apply("in", field("firstname"), literal(["Ramen", "John"]))),
    ("complaint_type is null", apply("isNull", field("complaint_type"))),
    ("complaint_type is not null", apply("NOT", apply("isNull", field("complaint_type")))),
    (
        "age >= 20 and age <= 30 and (city != 'PUD' or joinedDate == '2020-04-22')",
        apply(
            "and",
            apply(">=", field("age"), literal(20)),
            apply("<=", field("age"), literal(30)),
            apply("or", apply("!=", field("city"), literal("PUD")), apply("=", field("joinedDate"),
                                                                          literal("2020-04-22"))),
        ),
    ),
]  # fmt: skip


def pql(node: dict[str, Any]) -> dict[str, Any]:
    return {"type": "PQL", "format": "pql/json", "value": node}


@pytest.mark.parametrize(("text", "node"), SAMPLES)
def test_a_condition_becomes_what_adobes_guide_shows(text: str, node: dict[str, Any]) -> None:
    assert compiled(text) == pql(node)
    assert checked(pql(node)) == pql(node)
    assert compiled(readable(pql(node))) == pql(node)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("a = 1", "a == 1"),
        ('a == "it\'s"', "a == 'it''s'"),
        ("NOT a IS NULL AND b IN (1)", "not (a is null) and b in (1)"),
        ("`a b` == true", "`a b` = TRUE"),
        ("a = 1 or b = 2 and c = 3", "a = 1 or (b = 2 and c = 3)"),
        ("a not like 'x%' and not b not in (1.5, -2)", "(not a like 'x%') and (not not b in (1.5, -2))"),
    ],
)
def test_spellings_of_one_condition_are_one(text: str, same: str) -> None:
    assert compiled(text) == compiled(same)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "at character 1 stands the end: a column should stand here"),
        ("city", "at character 5 stands the end: one of =="),
        ("city == Paris", "at character 9 stands 'Paris': a text in quotes"),
        ("city == 'a' total > 1", "at character 13 stands 'total': the condition should end"),
        ("(a = 1", "at character 7 stands the end: ')' should stand here"),
        ("a ~ 1", "at character 3 stands '~ 1', which cannot be read"),
        ("a = 1e5", "at character 5 stands '1e5', which cannot be read"),
        ("a like 3", "at character 8 stands '3': like needs a text"),
        ("a not = 3", "at character 7 stands '=': `in` or `like` should stand here"),
        ("'x' = a", "at character 1 stands \"'x'\": a column should stand here"),
        pytest.param("(" * 100 + "a = 1" + ")" * 100, "is nested deeper than 40 levels", id="parentheses"),
        pytest.param("not " * 100 + "a = 1", "is nested deeper than 40 levels", id="not not not"),
        pytest.param("a = 1 and " * 5000 + "a = 1", "is longer than 20000 characters", id="long"),
    ],
)  # fmt: skip
def test_a_condition_that_cannot_be_read_says_where(text: str, says: str) -> None:
    with pytest.raises(FilterFault) as caught:
        compiled(text)

    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (apply("between", field("a"), literal(1)), "the unknown fnName 'between'"),
        (apply("=", field("a")), "an fnApply = with the wrong number of params"),
        (apply("and", field("a"), literal(1)), "an fnApply and whose params do not fit it"),
        (apply("=", literal(1), literal(1)), "an fnApply = whose params do not fit it"),
        (apply("=", field("a"), literal(None)), "a literal whose value is no text"),
        (apply("=", field("a"), literal(float("nan"))), "a literal whose value is no text"),
        (apply("=", field(""), literal(1)), "a fieldLookup without fieldName"),
        ({"nodeType": "magic"}, "the unknown nodeType 'magic'"),
        ("city", "a node that is no mapping"),
    ],
)
def test_pql_that_the_guide_does_not_know_is_refused(node: Any, says: str) -> None:
    with pytest.raises(FilterFault, match="has ") as caught:
        checked(pql(node))

    assert says in str(caught.value)


def test_pql_nested_without_end_is_refused() -> None:
    node = apply("=", field("a"), literal(1))
    for _ in range(1000):
        node = apply("NOT", node)

    with pytest.raises(FilterFault, match="nested too deeply"):
        checked(pql(node))


columns = st.from_regex(r"[A-Za-z_$][A-Za-z0-9_.$]{0,8}|[^`\x00-\x1f]{1,8}", fullmatch=True)
values = (
    st.text(max_size=8) | st.booleans() | st.integers(-(10**9), 10**9) | st.decimals(-999, 999, places=2).map(float)
)
comparisons = (
    st.builds(
        lambda op, c, v: apply(op, field(c), literal(v)), st.sampled_from(["=", "!=", "<", ">="]), columns, values
    )
    | st.builds(lambda c, v: apply("in", field(c), literal(v)), columns, st.lists(values, min_size=1, max_size=3))
    | st.builds(lambda c, v: apply("like", field(c), literal(v)), columns, st.text(max_size=5))
    | st.builds(lambda c: apply("isNull", field(c)), columns)
)
conditions = st.recursive(
    comparisons,
    lambda inner: (
        st.builds(lambda op, parts: apply(op, *parts), st.sampled_from(["and", "or"]),
                  st.lists(inner, min_size=2, max_size=3))
        | inner.map(lambda part: apply("NOT", part))
    ),
    max_leaves=6,
)  # fmt: skip


@given(node=conditions)
def test_what_is_shown_of_a_filter_compiles_to_it_again(node: dict[str, Any]) -> None:
    shown = readable(checked(pql(node)))

    again = compiled(shown)
    assert readable(again) == shown
    assert columns_of(again) == columns_of(pql(node))
    filter_of(again)  # the emulator can read it, too


def test_columns_are_named_once_in_their_order() -> None:
    assert columns_of(compiled("b = 1 and (a = 2 or b = 3)")) == ("b", "a")
    assert columns_of({}) == ()


def test_two_spellings_of_one_operator_are_no_drift() -> None:
    assert alike(pql(apply("==", field("a"), literal("NOT")))) == alike(pql(apply("=", field("a"), literal("NOT"))))
    assert alike(apply("NOT", apply("isNull", field("a")))) == alike(apply("not", apply("isnull", field("a"))))
    assert alike(apply("=", field("A"), literal(1))) != alike(apply("=", field("a"), literal(1)))


# In a spec


def filtered(begun: Begun, condition: Any, *, kind: str = "snowflake", style: str = "current") -> Spec:
    path = begun(kind, style=style)
    mapping = yaml.safe_load(path.read_text())
    mapping["source"]["filter"] = condition
    return spec_from_mapping(mapping, folder=path.parent)


def test_a_filter_in_either_form_is_one_spec(begun: Begun) -> None:
    readable_form = filtered(begun, "CITY == 'Paris' and TOTAL > 10")
    raw = filtered(begun, compiled("CITY == 'Paris' and TOTAL > 10"))

    assert readable_form == raw
    assert spec_from_mapping(raw.model_dump(mode="json", by_alias=True)) == raw


def test_a_filter_that_cannot_be_read_has_its_place_in_the_file(begun: Begun) -> None:
    path = begun("snowflake", style="current")
    lines = path.read_text().splitlines()
    at = next(index for index, line in enumerate(lines) if "# filter:" in line)
    lines[at] = "  filter: CITY == Paris"
    path.write_text("\n".join(lines))

    with pytest.raises(SpecError) as caught:
        load_spec(path)

    [fault] = caught.value.faults
    assert fault.startswith(f"{path}:{at + 1}:11 source.filter: at character 9 stands 'Paris'")


def test_the_sample_that_init_writes_can_be_uncommented(begun: Begun) -> None:
    for kind in (kind for kind in SOURCES.values() if kind.row_filters):
        path = begun(kind.kind, style="current")
        path.write_text(path.read_text().replace("  # filter:", "  filter:"))

        assert set(columns_of(load_spec(path).spec.source.filter or {})) <= set(kind.tables[0].columns)


@pytest.mark.parametrize("kind", [name for name, kind in SOURCES.items() if not kind.row_filters])
def test_a_kind_without_row_filters_refuses_one(begun: Begun, kind: str) -> None:
    with pytest.raises(SpecError) as caught:
        filtered(begun, "a == 1", kind=kind)

    [fault] = caught.value.faults
    assert fault.startswith(f"source.filter: {SOURCES[kind].label} does not filter rows at the source")
    assert "salesforce, microsoft-dynamics, google-bigquery or snowflake do" in fault


def test_the_tutorials_style_refuses_one(begun: Begun) -> None:
    with pytest.raises(SpecError, match="1 fault") as caught:
        filtered(begun, "CITY == 'Paris'", style="tutorial")

    assert "write `style: current`" in caught.value.faults[0]


@pytest.mark.parametrize("wrong", [7, ["a == 1"], {"type": "PQL"}])
def test_what_is_no_filter_is_refused(begun: Begun, wrong: Any) -> None:
    with pytest.raises(SpecError) as caught:
        filtered(begun, wrong)

    assert caught.value.faults[0].startswith("source.filter: is ")


def test_a_column_that_the_table_has_not_stops_the_run_before_anything_reads_rows(begun: Begun, place: Any) -> None:
    with pytest.raises(SpecError) as caught:
        place.apply(filtered(begun, "CTY == 'Paris' and TOTAL > 10"))

    [fault] = caught.value.faults
    assert fault.startswith("source.filter: column 'CTY' is not in PUBLIC.ORDERS (near: CITY")
    assert place.emulator.count("sourceConnections") == 0


def test_a_filter_is_sent_as_written_and_shown_in_the_plan(begun: Begun, place: Any) -> None:
    spec = filtered(begun, "CITY == 'Paris' and TOTAL > 10")

    report = place.apply(spec)

    assert report.state is RunState.PROVISIONED
    [source] = place.stored("sourceConnections")
    assert source["params"]["filters"] == compiled("CITY == 'Paris' and TOTAL > 10")
    notes = {step.step: step.note for step in plan_of(spec).steps}
    assert notes["create_source_connection"] == "only rows where CITY == 'Paris' and TOTAL > 10"


@pytest.mark.parametrize("edited", [compiled("CITY == 'Rome'"), None])
def test_a_filter_that_somebody_edited_is_drift_before_the_flow_is_built_on_it(
    begun: Begun, place: Any, edited: Any
) -> None:
    handle = place.emulator.handle

    def edit_then_fail(request: Any) -> Any:
        if request.method == "POST" and request.raw_path.endswith("/flows"):
            place.emulator.handle = handle
            [source] = place.stored("sourceConnections")
            params = {key: value for key, value in source["params"].items() if key != "filters"}
            source["params"] = params | ({"filters": edited} if edited else {})
            place.emulator.world.store.put("sourceConnections", "prod", source["id"], source)
            raise KeyboardInterrupt
        return handle(request)

    place.emulator.handle = edit_then_fail
    spec = filtered(begun, "CITY == 'Paris'")
    with pytest.raises(KeyboardInterrupt):
        place.apply(spec)

    with pytest.raises(Drifted) as caught:
        place.resume(spec.name)

    assert "params.filters" in str(caught.value) + str(getattr(caught.value, "differences", ""))
    assert place.emulator.count("flows") == 0
