"""The verbs that count what is in a journal and make it smaller, on the journal of a whole run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flowledger.journal import Journal, JournalReader


def test_stats_counts_what_is_there(provisioned: Any) -> None:
    document = provisioned("journal", "stats", "--json").json
    with JournalReader.open(provisioned.journal) as reader:
        events = reader.all()
    assert document["schema_version"] == 1
    assert document["events"] == sum(document["kinds"].values()) == len(events)
    assert document["kinds"]["intent_recorded/1"] == sum(event["kind"] == "intent_recorded/1" for event in events)
    assert document["states"] == {"provisioned": 1}
    assert document["runs"] == 1
    assert (document["oldest"], document["newest"]) == (events[0]["at"], events[-1]["at"])
    (segment,) = document["segments"]
    assert (segment["file"], segment["sealed"], segment["index"]) == ("segment-000001.jsonl", False, "in memory")
    assert segment["size"] == document["size"] == (provisioned.journal / segment["file"]).stat().st_size
    (largest,) = document["largest"]
    assert (largest["run"], largest["events"]) == ("paypal-products", len(events))
    assert 0.8 * document["size"] < largest["size"] < document["size"]
    shown = provisioned("journal", "stats").out
    for word in ("provisioned", "intent_recorded/1", "paypal-products", "segment-000001.jsonl"):
        assert word in shown
    assert provisioned("journal", "stats", "--journal", "nowhere").code == 5


def test_a_provisioned_run_is_not_pruned_unless_it_is_asked_for(provisioned: Any) -> None:
    done = provisioned("journal", "prune", "--yes")
    assert done.code == 0
    assert "Nothing to drop" in done.out
    told = provisioned("journal", "prune", "--dry-run", "--json").json
    assert told["pruned"] == []
    assert told["kept"][0]["state"] == "provisioned"
    assert "--provisioned" in told["kept"][0]["why"]
    assert provisioned("status", "paypal-products").code == 0


def test_pruning_asks_first_and_does_nothing_where_nobody_can_answer(provisioned: Any) -> None:
    refused = provisioned("journal", "prune", "--provisioned")
    assert refused.code == 2
    assert "--yes" in refused.err
    assert provisioned("status", "paypal-products").code == 0
    assert provisioned("journal", "prune", "--provisioned", "--dry-run").code == 0
    assert provisioned("status", "paypal-products").code == 0


def test_a_provisioned_run_that_is_asked_for_goes_and_leaves_its_nonce(provisioned: Any) -> None:
    before = provisioned("status", "paypal-products", "--json").json
    assert provisioned("journal", "prune", "--provisioned", "--older-than", "1d", "--yes").code == 0
    assert provisioned("status", "paypal-products").code == 0  # too young
    assert provisioned("journal", "prune", "--provisioned", "--keep", "1", "--yes").code == 0
    assert provisioned("status", "paypal-products").code == 0  # the one to keep

    document = provisioned("journal", "prune", "--provisioned", "--yes", "--json").json

    assert (document["pruned"], document["events"]) == (["paypal-products"], before["events"])
    assert document["size_after"] < document["size_before"]
    assert provisioned("status", "paypal-products").code == 5
    with JournalReader.open(provisioned.journal) as reader:
        ((left,),) = [record["runs"] for record in reader.pruned()]
    assert (left["run"], left["nonce"], left["state"]) == ("paypal-products", before["nonce"], "provisioned")
    told = provisioned("journal", "stats", "--json").json
    assert (told["pruned_runs"], told["events"]) == (1, 0)
    assert provisioned("journal", "verify", "--deep").code == 0


def test_a_destroyed_run_is_pruned_and_another_that_is_unfinished_stays(provisioned: Any) -> None:
    assert provisioned("destroy", "paypal-products", "--yes", "--keep-dataset").code == 0
    left = provisioned("status", "paypal-products", "--json").json["left"]
    assert left
    with Journal.open(provisioned.journal) as journal:
        journal.db.insert({"run": "unfinished", "kind": "note/1"})

    done = provisioned("journal", "prune", "--yes")

    assert done.code == 0, done.err
    assert "paypal-products" in done.out
    with JournalReader.open(provisioned.journal) as reader:
        assert reader.runs() == ["unfinished"]
        ((said,),) = [record["runs"] for record in reader.pruned()]
    assert said["state"] == "destroyed"
    assert [(one["step"], one["id"]) for one in said["left"]] == [(one["step"], one["id"]) for one in left]
    kept = provisioned("journal", "prune", "--provisioned", "--dry-run", "--json").json["kept"]
    assert kept == [
        {"run": "unfinished", "state": "planned", "why": "unfinished: only the journal knows what was sent"}
    ]


def test_pruning_waits_for_nobody_who_holds_the_journal(provisioned: Any) -> None:
    with Journal.open(provisioned.journal):
        assert provisioned("journal", "prune", "--provisioned", "--yes").code == 6
    assert provisioned("status", "paypal-products").code == 0


@pytest.mark.parametrize("age", ["soon", "-1d"])
def test_an_age_that_is_none_is_refused(provisioned: Any, age: str) -> None:
    assert provisioned("journal", "prune", f"--older-than={age}").code == 2


def test_verify_says_what_was_digested_and_deep_looks_at_every_record(provisioned: Any) -> None:
    with Journal.open(provisioned.journal, segment_size=20_000) as journal:
        for n in range(100):
            journal.db.insert({"run": "more", "n": n, "pad": "x" * 500})
    exported = provisioned("journal", "export", "--run", "more", "-").out.splitlines()
    assert [json.loads(line)["n"] for line in exported] == list(range(100))
    found = provisioned("journal", "query", "--run", "more", "--where", "n==77", "--json")
    assert json.loads(found.out)["number"] == json.loads(exported[77])["number"]
    document = provisioned("journal", "verify", "--json").json
    assert document["sound"]
    assert [segment["sealed"] for segment in document["segments"]] == [True] * (len(document["segments"]) - 1) + [False]
    assert all(segment["digested"] > 0 for segment in document["segments"][:-1])
    assert "fit the digests" in provisioned("journal", "verify").out
    deep = provisioned("journal", "verify", "--deep", "--json").json
    assert (deep["events"], deep["records"]) == (document["events"], document["records"])
    assert not any(segment["digested"] for segment in deep["segments"])
    (provisioned.journal / "segment-000001.index").write_bytes(b"rot")
    assert "will be made again" in provisioned("journal", "verify").out
