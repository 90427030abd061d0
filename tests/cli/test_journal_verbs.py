"""The journal's verbs, on the journal of a whole run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowledger.cli.files import write_new
from flowledger.errors import JournalError
from flowledger.journal import Journal


def lines(ran: Any) -> list[Any]:
    assert ran.code == 0, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


def test_query_narrows_by_run_kind_step_and_values(provisioned: Any) -> None:
    every = lines(provisioned("journal", "query", "--json"))
    assert [event["number"] for event in every] == list(range(1, len(every) + 1))
    intents = lines(provisioned("journal", "query", "--kind", "intent_recorded", "--json"))
    assert len(intents) == 11
    assert lines(provisioned("journal", "query", "--kind", "intent_recorded/1", "--json")) == intents
    flow = lines(provisioned("journal", "query", "--step", "create_flow", "--json"))
    assert [event["kind"] for event in flow] == ["intent_recorded/1", "outcome_recorded/1"]
    created = lines(
        provisioned("journal", "query", "--where", "answer.status==201", "--where", "outcome==done", "--json")
    )
    assert len(created) == 10
    assert lines(provisioned("journal", "query", "--run", "nobody", "--json")) == []
    assert provisioned("journal", "query", "--where", "answer.status=201").code == 2
    assert "create_flow" in provisioned("journal", "query", "--step", "create_flow").out


def test_query_tells_each_event_by_the_whole_history_of_its_own_run(provisioned: Any) -> None:
    """Runs have the same steps and attempts, and an outcome that was not asked for is not unknown."""
    flow = lines(provisioned("journal", "query", "--step", "create_flow", "--json"))
    with Journal.open(provisioned.journal) as journal:
        for event in flow:
            journal.db.insert({**event, "run": "later"})
        journal.db.insert({"kind": "note/1", "text": "of no run"})

    intents = provisioned("journal", "query", "--kind", "intent_recorded", "--step", "create_flow").out
    assert intents.count("will send POST") == 2
    assert "no outcome is journaled" not in intents
    head, *table = [line.split() for line in provisioned("journal", "query", "--step", "create_flow").out.splitlines()]
    assert "RUN" in head
    numbers = {row[0] for row in table}
    outcomes = [row for row in table if "done:" in row]
    assert {row[-1].strip("[]") for row in outcomes} | {row[0] for row in outcomes} == numbers
    assert [row[0] for row in table if "later" in row] == sorted(numbers, key=int)[2:]
    assert "note" in provisioned("journal", "query", "--kind", "note").out
    assert " RUN " not in provisioned("journal", "query", "--run", "later").out


def test_a_file_whose_content_breaks_off_is_not_left_behind(tmp_path: Path) -> None:
    def breaks_off() -> Iterator[str]:
        yield "an event\n"
        raise JournalError("the disk does not give it")

    with pytest.raises(JournalError):
        write_new(tmp_path, {"events.jsonl": (breaks_off(), 0o600)}, force=False)
    assert list(tmp_path.iterdir()) == []


def test_verify_says_what_is_there(provisioned: Any) -> None:
    assert "is sound" in provisioned("journal", "verify").out
    document = provisioned("journal", "verify", "--json").json
    assert (document["schema_version"], document["sound"]) == (1, True)
    assert document["runs"] == ["paypal-products"]


def test_verify_says_of_a_torn_end_that_nothing_acknowledged_is_lost(provisioned: Any) -> None:
    segment = provisioned.journal / "segment-000001.jsonl"
    whole = segment.stat().st_size
    with segment.open("ab") as file:
        file.write(b'{"crc":"00000000","prev":')
    said = provisioned("journal", "verify")
    assert said.code == 0
    assert f"segment-000001.jsonl is whole up to byte {whole}" in said.out
    assert "never acknowledged" in said.out
    with Journal.open(provisioned.journal):
        pass
    assert f"kept aside: segment-000001.jsonl.torn-{whole}" in provisioned("journal", "verify").out


def test_export_writes_json_lines_and_overwrites_nothing(provisioned: Any) -> None:
    exported = lines(provisioned("journal", "export", "-"))
    assert exported == lines(provisioned("journal", "query", "--json"))
    assert provisioned("journal", "export", "--run", "paypal-products", "events.jsonl").code == 0
    path = provisioned.folder / "events.jsonl"
    assert [json.loads(line) for line in path.read_text().splitlines()] == exported
    assert path.stat().st_mode & 0o777 == 0o600
    assert provisioned("journal", "export", "events.jsonl").code == 2
    assert provisioned("journal", "export", "events.jsonl", "--force").code == 0
    assert provisioned("journal", "export", "--run", "nobody", "-").code == 5


def test_history_numbers_events_and_pairs_an_outcome_with_its_intent(provisioned: Any) -> None:
    document = provisioned("history", "paypal-products", "--json").json
    events = {event["number"]: event for event in document["events"]}
    outcomes = [event for event in events.values() if event["kind"] == "outcome_recorded"]
    assert len(outcomes) == 11
    for outcome in outcomes:
        intent = events[outcome["pair"]]
        assert (intent["kind"], intent["step"], intent["pair"]) == (
            "intent_recorded", outcome["step"], outcome["number"],
        )  # fmt: skip
        assert outcome["status"] in (200, 201)
        assert outcome["duration_ms"] > 0
        assert outcome["branch"]


def test_history_shows_one_request_and_its_response_whole(provisioned: Any) -> None:
    events = provisioned("history", "paypal-products", "--json").json["events"]
    intent = next(event for event in events if event["step"] == "create_dataset" and event["pair"])
    for number in (intent["number"], intent["pair"]):
        shown = provisioned("history", "paypal-products", "--event", str(number)).out
        assert "POST /data/foundation/catalog/dataSets?requestDataSource=true" in shown
        assert '"schemaRef"' in shown
        assert "HTTP 201" in shown
        assert "@/dataSets/" in shown


def test_runs_lists_state_and_sandbox(provisioned: Any) -> None:
    shown = provisioned("runs").out.splitlines()
    assert shown[0].split() == ["RUN", "STATE", "STEPS", "SANDBOX", "CHANGED"]
    assert shown[1].split()[:4] == ["paypal-products", "provisioned", "15/15", "prod"]
    document = provisioned("runs", "--json").json
    assert document["schema_version"] == 1
    assert document["runs"][0]["run"] == "paypal-products"
    assert document["runs"][0]["steps_done"] == 15


def test_journals_can_be_read_while_one_is_being_written(provisioned: Any) -> None:
    from flowledger.journal import Journal

    with Journal.open(provisioned.journal):
        for verb in (
            ("status", "paypal-products"), ("runs",), ("history", "paypal-products"), ("journal", "verify"),
            ("journal", "query"), ("explain", "paypal-products"), ("resume", "paypal-products", "--plan"),
        ):  # fmt: skip
            assert provisioned(*verb).code == 0, verb
