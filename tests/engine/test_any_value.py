"""Whatever values the platform's answers hold, a run is journaled; and what was not sent is journaled as not sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowledger.engine.evidence import AS_TEXT, packed, storable, unpacked
from flowledger.engine.ledger import RunState
from flowledger.engine.table import table_of
from flowledger.errors import DiskFull, Interrupted, Rejected, StepError
from flowledger.journal import Journal
from flowledger.journal.record import encode_doc
from flowledger.steps.answers import count_of
from flowledger.steps.client.inprocess import Fate, Moment
from flowledger.steps.client.port import Request
from flowledger.steps.explore import Explore
from flowledger.steps.sink import SINK_SPEC_ID
from tests.bench import NOTHING

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=8,
)


def deep(levels: int) -> Any:
    value: Any = {"type": "object"}
    for _ in range(levels):
        value = {"type": "object", "properties": {"inner": value}}
    return value


def answering(bench: Any, part: str, change: Callable[[Any], Any]) -> None:
    """Let the answers to reads below a path be changed."""
    handle = bench.emulator.handle

    class Changed:
        def __init__(self, answer: Any, body: bytes) -> None:
            self.status, self.headers, self.delivery, self.delay = (
                answer.status, answer.headers, answer.delivery, answer.delay,
            )  # fmt: skip
            self.body = body

    def handled(request: Any) -> Any:
        answer = handle(request)
        if request.method != "GET" or part not in request.raw_path:
            return answer
        body = change(json.loads(answer.body))
        return answer if body is None else Changed(answer, json.dumps(body).encode())

    bench.emulator.handle = handled


def with_column(bench: Any, xdm: Any) -> None:
    """A further column of the table, which nothing maps."""

    def change(body: Any) -> Any:
        if not isinstance(body, dict) or "schema" not in body:
            return None
        body["schema"]["columns"].append({"name": "Odd", "type": "string", "xdm": xdm})
        return body

    answering(bench, "/explore", change)


@pytest.mark.parametrize(
    "xdm",
    [
        {"type": "integer", "minimum": 0, "maximum": 2**64 - 1},
        {"type": "integer", "minimum": -(2**63) - 1, "maximum": 2**63},
        {"type": "integer", "maximum": 10**40},
        {"type": "integer", "enum": [1, 2**70]},
        {"type": "string", "meta:x": 10**30, "default": None},
    ],
    ids=["unsigned", "one below", "forty digits", "in a list", "meta"],
)
def test_a_column_of_any_shape_is_journaled_and_reaches_the_class_as_the_source_gave_it(
    bench: Any, made_once: dict[str, int], xdm: Any
) -> None:
    with_column(bench, xdm)
    assert bench.apply().state is RunState.PROVISIONED
    assert bench.counts() == made_once
    columns = (bench.ledger().step(Explore.name).outputs or {})["columns"]
    kept = next(column["xdm"] for column in columns if column["name"] == "Odd")
    assert kept == {key: value for key, value in xdm.items() if not key.startswith("meta:")}
    made = next(request for request in bench.requests if request.effect and request.path.endswith("/tenant/classes"))
    assert json.dumps(kept)[1:-1] in json.dumps(made.body)


@pytest.mark.parametrize("levels", [60, 110, 118, 122])
def test_a_column_that_is_nested_too_deep_for_an_event_is_kept_and_what_the_platform_says_of_it_is_the_end(
    bench: Any, levels: int
) -> None:
    with_column(bench, deep(levels))
    with pytest.raises(Rejected, match="nested too deeply"):  # the emulator's word, to the class
        bench.apply()
    ledger = bench.ledger()
    assert (ledger.state, ledger.step(Explore.name).done) == (RunState.FAILED, True)
    columns = (ledger.step(Explore.name).outputs or {})["columns"]
    assert next(column["xdm"] for column in columns if column["name"] == "Odd") == deep(levels)


def test_a_run_whose_answers_hold_large_integers_is_carried_on_and_destroyed_by_later_processes(bench: Any) -> None:
    with_column(bench, {"type": "integer", "maximum": 2**64})

    async def stop(moment: Moment, request: Request) -> None:
        if moment is Moment.COMMITTED and request.effect and request.path.endswith("/tenant/classes"):
            bench.halt.request("SIGTERM")

    bench.at = stop
    with pytest.raises(Interrupted):
        bench.apply()
    bench.at, bench.halt = None, type(bench.halt)()
    assert bench.resume().state is RunState.PROVISIONED
    assert bench.drift().differences == ()
    assert bench.destroy().state is RunState.DESTROYED
    assert bench.counts() == NOTHING


def test_a_table_too_large_for_the_journal_ends_only_its_step_with_its_name_and_place(bench: Any) -> None:
    with_column(bench, {"type": "string", "description": "x" * 17_000_000})
    with pytest.raises(StepError, match=r"outputs\.columns cannot be journaled") as failed:
        bench.apply()
    assert (failed.value.exit_code, failed.value.step) == (1, "explore")
    ledger = bench.ledger()
    assert ledger.state is RunState.FAILED
    assert ledger.stopped is not None
    assert "outputs.columns" in ledger.stopped.message
    assert [record.name for record in ledger.steps.values() if record.unanswered] == []


def test_an_etag_or_version_of_megabytes_is_none_and_the_object_is_the_steps(
    bench: Any, made_once: dict[str, int]
) -> None:
    handle = bench.emulator.handle

    def handled(request: Any) -> Any:
        answer = handle(request)
        if request.method == "POST" and request.raw_path.endswith(("/flows", "/connections")):
            body = {**json.loads(answer.body), "etag": "e" * 13_000_000}
            answer = type(answer)(**{**_fields(answer), "body": json.dumps(body).encode()})
        return answer

    bench.emulator.handle = handled
    assert bench.apply().state is RunState.PROVISIONED
    assert bench.counts() == made_once
    assert (bench.ledger().step("create_flow").outputs or {})["etag"] == ""


def waits_of(bench: Any) -> set[str]:
    """What the run has waited for."""
    return {doc["why"] for doc in bench.documents() if doc["kind"] == "wait_started/1"}


def _fields(answer: Any) -> dict[str, Any]:
    return {name: getattr(answer, name) for name in ("status", "body", "headers", "delivery", "delay")}


@given(values=st.dictionaries(st.sampled_from(["id", "a", "b"]), JSON, max_size=3))
def test_outputs_of_any_json_come_back_from_the_journal_as_they_were(values: dict[str, Any]) -> None:
    kept = packed(values)
    encode_doc({"kind": "step_settled/1", "outputs": kept})
    assert repr(unpacked(kept)) == repr(values)


def test_outputs_that_need_another_form_still_show_their_id() -> None:
    assert packed({"id": "an-id", "n": 2**70})["id"] == "an-id"
    assert AS_TEXT not in packed({"id": "an-id", "n": 1})


@given(doc=st.dictionaries(st.sampled_from(["answer", "hits", "message", "why", "rows_in"]), JSON, max_size=4))
def test_every_event_has_a_form_that_the_journal_takes(doc: dict[str, Any]) -> None:
    encode_doc(storable(doc))


@pytest.mark.parametrize(
    "value", ["x" * 20_000_000, ["x" * 1000] * 20_000, {str(n): "x" * 1000 for n in range(20_000)}]
)
def test_evidence_of_any_size_is_cut_to_what_a_record_may_hold(value: Any) -> None:
    assert len(encode_doc(storable({"kind": "x/1", "why": value, "differences": value}))) < 8_000_000


@pytest.mark.parametrize("value", [1e300, "1e300", 2**63, 10**30, float("inf"), -1])
def test_a_count_that_no_journal_holds_is_no_count(value: Any) -> None:
    assert count_of(value) is None


# Nothing was sent


@pytest.mark.parametrize("verb", ["apply", "destroy"])
@pytest.mark.parametrize("moment", [Moment.CONNECTED, Moment.CHECKED])
def test_a_call_that_is_cancelled_before_a_byte_of_it_left_is_journaled_as_not_done(
    bench: Any, made_once: dict[str, int], verb: str, moment: Moment
) -> None:
    if verb == "destroy":
        bench.apply()

    async def stop(here: Moment, request: Request) -> None:
        if here is moment and request.effect and "/dataSets" in request.path:
            bench.halt.request("SIGTERM")
            await asyncio.sleep(3600)

    bench.at = stop
    with pytest.raises(Interrupted):
        getattr(bench, verb)()
    answered = [doc for doc in bench.documents() if doc["kind"] in ("outcome_recorded/1", "delete_answered/1")]
    ended = [doc for doc in answered if "abandoned before it was sent" in str(doc["answer"])]
    assert [doc["outcome"] for doc in ended] == ["not_done"]
    assert bench.ledger().step("create_dataset").unanswered == []
    bench.at, bench.halt = None, type(bench.halt)()
    if verb == "apply":
        bench.resume()
        assert bench.counts() == made_once
        assert "settle" not in waits_of(bench)
    else:
        bench.destroy()
        assert bench.counts() == NOTHING


def test_a_task_that_is_cancelled_while_its_intent_is_written_closes_it_as_not_done(
    bench: Any, made_once: dict[str, int]
) -> None:
    bench.slow_disk = 0.5

    def on_event(number: int, doc: Any) -> None:
        if doc["kind"] == "intent_recorded/1" and doc["step"] == "create_dataset":
            bench.main.cancel()

    bench.on_event = on_event
    with pytest.raises(asyncio.CancelledError):
        bench.apply()
    bench.on_event = None
    ledger = bench.ledger()
    assert [attempt.outcome for attempt in ledger.step("create_dataset").attempts] == ["not_done"]
    assert ledger.state is not RunState.IN_DOUBT
    assert bench.resume().state is RunState.PROVISIONED
    assert bench.counts() == made_once


@pytest.mark.parametrize("step", [row.step.name for row in table_of("tutorial").rows])
def test_an_append_that_certainly_wrote_nothing_leaves_no_sibling_in_doubt(
    bench: Any, made_once: dict[str, int], monkeypatch: Any, step: str
) -> None:
    """There is no room for the outcome of one step; a sibling's intent that becomes durable then is not sent."""
    bench.slow_disk = 0.1
    append = Journal.append

    async def refused(self: Journal, run: str, doc: Any, **options: Any) -> int:
        if doc.get("step") == step and doc["kind"] in ("step_settled/1", "intent_recorded/1"):
            raise DiskFull("there is no room")
        return await append(self, run, doc, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "append", refused)
        with pytest.raises(DiskFull):
            bench.apply()
    assert [record.name for record in bench.ledger().steps.values() if record.unanswered] == []
    assert bench.ledger().stopped is not None
    assert bench.resume().state is RunState.PROVISIONED
    assert bench.counts() == made_once
    assert "settle" not in waits_of(bench)


# Long lists


@pytest.mark.parametrize("verb", ["apply", "destroy", "drift"])
def test_a_doubt_in_an_old_sandbox_journals_what_is_ours_and_not_the_sandbox(bench: Any, verb: str) -> None:
    """Hundreds of foreign schemas are listed at each look; the journal stays as small as the run."""
    handle = bench.emulator.handle
    foreign = [
        {
            "$id": f"https://ns.adobe.com/x/schemas/{number:032x}",
            "title": f"foreign {number}",
            "description": "d" * 8000,
            "version": "1.0",
        }
        for number in range(300)
    ]

    def handled(request: Any) -> Any:
        answer = handle(request)
        if request.method == "GET" and request.raw_path.endswith(("/tenant/schemas", "/tenant/classes")):
            body = json.loads(answer.body)
            body["results"] += foreign
            answer = type(answer)(**{**_fields(answer), "body": json.dumps(body).encode()})
        return answer

    bench.emulator.handle = handled
    lost = ["/tenant/schemas"]
    bench.fate = lambda request: (
        Fate.LOST if lost and request.effect and request.path.endswith(lost[0]) and lost.pop() else Fate.ANSWERED
    )
    assert bench.apply().state is RunState.PROVISIONED
    if verb != "apply":
        getattr(bench, verb)()
    docs = bench.documents()
    assert sum(len(json.dumps(dict(doc))) for doc in docs) < 3_000_000
    listed = [doc for doc in docs if "items_left_out" in doc.get("answer", {})]
    assert listed
    ledger = bench.ledger()
    made = str((ledger.step("create_adhoc_schema").outputs or {})["id"])
    if verb != "apply":
        assert any(made in json.dumps(doc["answer"]["body"]) for doc in listed)


# Ids that nothing could ask for


ODD_IDS = [".", "..", "a b", "a\n", "../../x", "", "x" * 1001, 5, None, ["a"], {"a": 1}, True]


@pytest.mark.parametrize("id", ODD_IDS, ids=repr)
def test_a_sink_with_an_id_that_nothing_could_ask_for_is_not_shared(
    bench: Any, made_once: dict[str, int], id: Any
) -> None:
    sink = {"id": id, "state": "enabled", "connectionSpec": {"id": SINK_SPEC_ID}, "createdAt": 1, "name": "another's"}

    def change(body: Any) -> Any:
        return {**body, "items": [sink, *body["items"]]} if "items" in body and len(body["items"]) < 2 else None

    answering(bench, "/flowservice/connections", change)
    bench.fate = lambda request: Fate.ANSWERED
    assert bench.apply().state is RunState.PROVISIONED
    assert bench.counts() == made_once


@pytest.mark.parametrize("id", ODD_IDS, ids=repr)
def test_a_referrer_with_an_id_that_nothing_could_ask_for_keeps_the_object_and_is_named(bench: Any, id: Any) -> None:
    bench.apply()
    made = str((bench.ledger().step("find_or_create_sink").outputs or {})["id"])

    def change(body: Any) -> Any:
        return {**body, "items": [{"id": id, "baseConnectionId": made, "name": "odd"}, *body["items"]]}

    answering(bench, "/flowservice/targetConnections", lambda body: change(body) if len(body["items"]) != 1 else None)
    report = bench.destroy()
    assert [one.id for one in report.left] == [made]
    assert "(odd)" in report.left[0].why


@pytest.mark.parametrize("tenant", ["", "../x", "a/b", "a.b", "x" * 300, "a b", 5, None, "__", "\u2028"])
def test_a_tenant_that_cannot_be_part_of_a_path_is_refused_with_the_step_named(bench: Any, tenant: Any) -> None:
    answering(bench, "/stats", lambda body: {**body, "tenantId": tenant})
    with pytest.raises(StepError, match="no tenant id that could be used") as failed:
        bench.apply()
    assert (failed.value.step, bench.ledger().state) == ("read_tenant", RunState.FAILED)
