"""A run that a newer version has written is a row that says so, and no other run is affected by it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from flowledger.engine import api
from flowledger.engine.explain import explain
from flowledger.engine.fleet import apply_many, resume_many
from flowledger.engine.history import history_of
from flowledger.engine.ledger import Ledger, RunState, ledger_of
from flowledger.engine.retention import verdicts
from flowledger.errors import UsageError
from tests.bench import Bench, example


def changed(kind: str, **fields: Any) -> Callable[[dict[str, Any]], None]:
    """Give the first event of that kind these fields; `...` takes one away."""

    def change(doc: dict[str, Any]) -> None:
        if doc["kind"] == kind:
            for name, value in fields.items():
                if value is ...:
                    doc.pop(name, None)
                else:
                    doc[name] = value

    return change


def spec_with(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(doc: dict[str, Any]) -> None:
        if doc["kind"] == "run_started/1":
            inner = doc["spec"] = copy.deepcopy(doc["spec"])
            for name in path[:-1]:
                inner = inner[name]
            inner[path[-1]] = value

    return change


NEWER: dict[str, Callable[[dict[str, Any]], None]] = {
    "a key of the spec": spec_with("a_key_of_tomorrow", value=1),
    "a key deep in the spec": spec_with("schedule", "jitter", value="5m"),
    "a style": spec_with("style", value="streaming"),
    "a kind of source": spec_with("source", "kind", value="quantum-db"),
    "a spec that is a list": changed("run_started/1", spec=[]),
    "no nonce": changed("run_started/1", nonce=...),
    "a nonce that is a number": changed("run_started/1", nonce=5),
    "no boot id": changed("run_taken_up/1", boot_id=...),
    "a boot id that is null": changed("run_taken_up/1", boot_id=None),
    "an attempt that is a text": changed("intent_recorded/1", attempt="first"),
    "facts that are a list": changed("intent_recorded/1", facts=[1]),
    "an outcome of tomorrow": changed("outcome_recorded/1", outcome="postponed"),
    "outputs that are a text": changed("outcome_recorded/1", outputs="id"),
    "a step of tomorrow": changed("step_settled/1", step="create_identity_namespace"),
    "a way of tomorrow": changed("step_settled/1", how="imported"),
    "settled outputs that are a list": changed("step_settled/1", outputs=["x"]),
    "a time that is a text": changed("read_answered/1", at="2031-01-01"),
    "a reading that is null": changed("read_answered/1", mono=None),
    "a wait without its end": changed("wait_started/1", until=...),
    "a stop in a state of tomorrow": changed("run_stopped/1", state="paused"),
    "a flow run whose rows are a text": changed("flow_run_seen/1", rows_in="many"),
}
EXTRA = {
    "kind": "wait_started/1",
    "step": "explore",
    "why": "lag",
    "seconds": 1.0,
    "until": 2.0,
    "at": 1.0,
    "mono": 1.0,
}
STOPPED = {
    "kind": "run_stopped/1", "state": "failed", "error": "StepError", "message": "no", "at": 1.0, "mono": 1.0,
}  # fmt: skip
SEEN = {
    "kind": "flow_run_seen/1", "id": "r", "status": "success", "came": "success", "rows_in": 1, "rows_out": 1,
    "rows_failed": 0, "created_ms": 1, "started_ms": 1, "completed_ms": 1, "errors": [], "batches": [], "at": 1.0,
    "mono": 1.0,
}  # fmt: skip


def with_newer(bench: Any, change: Callable[[dict[str, Any]], None], name: str = "newer") -> None:
    """A run of a newer version beside what the journal has."""
    other = Bench()
    other.spec = example().model_copy(update={"name": name})
    other.apply()
    docs = [dict(doc) for doc in other.documents()]
    end = docs.pop()
    docs = [*docs, EXTRA, SEEN, STOPPED, {**end, "version": ...}]
    docs[-1].pop("version")
    with bench.open_journal() as journal:
        for doc in docs:
            written = {**doc, "run": name}
            change(written)
            journal.db.insert(written)


@pytest.mark.parametrize("change", NEWER.values(), ids=NEWER)
def test_a_run_of_a_newer_version_is_a_row_that_says_so_and_every_verb_on_it_refuses_in_words(
    bench: Any, change: Callable[[dict[str, Any]], None]
) -> None:
    bench.apply()
    with_newer(bench, change)
    ledger = bench.ledger("newer")
    assert ledger.state is RunState.UNREADABLE
    assert "event " in ledger.unreadable
    for refused in (
        lambda: bench.resume("newer"),
        lambda: bench.destroy("newer"),
        lambda: bench.drift("newer"),
        lambda: bench.apply(example().model_copy(update={"name": "newer"})),
        lambda: bench.sit(apply_many, [example().model_copy(update={"name": "newer"})]),
        lambda: bench.sit(api.watch, "newer"),
        lambda: explain("newer", bench.documents("newer"), bench.time),
        lambda: _read(bench),
    ):
        with pytest.raises(UsageError, match="cannot be read by this version of flowledger: event ") as failed:
            refused()
        assert "use " in failed.value.hint
    named = bench.sit(resume_many, ["newer"])
    assert (named.runs[0].state, named.exit_code) == (RunState.UNREADABLE, 2)
    assert bench.emulator.count("flows") == 1
    assert len(history_of(bench.documents("newer"))) == len(bench.documents("newer"))
    assert not verdicts([ledger], now=1e12, provisioned=True)[0].drop


def _read(bench: Any) -> Any:
    with bench.open_journal() as journal:
        return api.read_status("newer", journal)


@pytest.mark.parametrize("change", NEWER.values(), ids=NEWER)
def test_the_other_runs_of_the_journal_are_carried_on_shared_and_destroyed_as_ever(
    bench: Any, nothing_left: dict[str, int], change: Callable[[dict[str, Any]], None]
) -> None:
    with_newer(bench, change)
    specs = [example().model_copy(update={"name": name}) for name in ("one", "two")]
    assert bench.sit(apply_many, specs).exit_code == 0
    assert bench.sit(resume_many).runs == ()
    with bench.open_journal() as journal:
        states = {ledger.run: str(ledger.state) for ledger in api.read_ledgers(journal)}
    assert states == {"newer": "unreadable", "one": "provisioned", "two": "provisioned"}
    assert bench.destroy("one").left != ()
    assert bench.destroy("two").exit_code == 0
    assert bench.destroy("one").exit_code == 0
    assert bench.counts() == nothing_left


@pytest.fixture
def nothing_left() -> dict[str, int]:
    """The platform when nothing of ours is left."""
    from tests.bench import NOTHING

    return NOTHING


def test_kinds_and_fields_of_tomorrow_that_change_nothing_known_are_passed_over(bench: Any) -> None:
    def change(doc: dict[str, Any]) -> None:
        doc["a_field_of_tomorrow"] = {"x": 1}
        if doc["kind"] in ("wait_started/1", "flow_run_seen/1", "run_stopped/1"):
            doc["kind"] = "something_new/1"

    with_newer(bench, change)
    assert bench.ledger("newer").state is RunState.PROVISIONED


def test_every_event_that_this_version_writes_is_of_the_form_that_it_reads(bench: Any) -> None:
    bench.apply()
    bench.drift()
    bench.destroy()
    ledger: Ledger = ledger_of(bench.spec.name, bench.documents())
    assert (ledger.unreadable, ledger.state) == ("", RunState.DESTROYED)
