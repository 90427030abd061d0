"""drift: what differs from what the run made is said, twins are found, and removed only where nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.engine import api
from flowledger.engine.driftcheck import DriftReport
from flowledger.errors import Drifted, Unreachable, UsageError
from flowledger.steps.client.inprocess import Fate, Moment
from flowledger.steps.client.port import Request


def drift(bench: Any, **options: Any) -> DriftReport:
    report: DriftReport = bench.sit(api.drift, bench.spec.name, **options)
    return report


def edit(bench: Any, step: str, kind: str, **changes: Any) -> None:
    store, id = bench.emulator.world.store, bench.id_of(step)
    changed = store.get(kind, "prod", id)
    changed.update(changes)
    store.put(kind, "prod", id, changed)


def test_a_run_as_it_was_made_has_no_drift_and_stays_provisioned(bench: Any) -> None:
    bench.apply()
    report = drift(bench)
    assert (report.exit_code, report.differences, report.twins, report.unfinished) == (0, (), (), ())
    assert str(report.state) == "provisioned"
    assert bench.kinds_of_events()[-1] == "drift_checked/1"
    assert bench.ledger().sittings == 1
    assert all(not request.effect for request in bench.requests[bench.requests.index(last_post(bench)) + 1 :])


def last_post(bench: Any) -> Request:
    effects: list[Request] = [request for request in bench.requests if request.effect]
    return effects[-1]


def test_an_edit_and_a_deletion_are_each_named_and_journaled(bench: Any) -> None:
    bench.apply()
    bench.time.advance(200)
    edit(bench, "create_flow", "flows", name="renamed by hand")
    bench.emulator.world.store.delete("dataSets", "prod", bench.id_of("create_dataset"))
    report = drift(bench)
    assert report.exit_code == 8
    assert {(one.step, one.kind) for one in report.differences} == {
        ("create_flow", "flows"), ("create_dataset", "dataSets"),
    }  # fmt: skip
    said = {one.step: one.differences for one in report.differences}
    assert said["create_dataset"] == (f"dataset {bench.id_of('create_dataset')} is gone",)
    assert "renamed by hand" in said["create_flow"][0]
    assert bench.kinds_of_events().count("drift_seen/1") == 2
    assert bench.ledger().step("create_flow").drift


def test_drift_that_was_put_right_is_forgotten(bench: Any) -> None:
    bench.apply()
    name = bench.emulator.objects("flows")[0]["name"]
    edit(bench, "create_flow", "flows", name="renamed by hand")
    assert drift(bench).exit_code == 8
    edit(bench, "create_flow", "flows", name=name)
    assert drift(bench).exit_code == 0
    assert bench.ledger().step("create_flow").drift == []


def test_a_404_within_the_lag_of_the_create_is_waited_out_before_anything_is_called_there_or_gone(bench: Any) -> None:
    bench.apply()
    flow = bench.emulator.world.store.get("flows", "prod", bench.id_of("create_flow"))
    bench.emulator.world.store.delete("flows", "prod", flow["id"])
    began = bench.clock.monotonic()
    assert drift(bench).exit_code == 8, "it was never seen, so it cannot be said to be there"
    assert 80 < bench.clock.monotonic() - began < 100
    bench.emulator.world.store.put("flows", "prod", flow["id"], flow)
    began = bench.clock.monotonic()
    assert drift(bench).exit_code == 0
    assert bench.clock.monotonic() - began < 10, "what answers is not waited for"


def test_after_another_boot_a_404_counts_only_a_window_after_the_run_was_taken_up(bench: Any) -> None:
    """What shows late must not be reported as gone because the clock began anew."""
    bench.apply()
    flow = bench.emulator.world.store.get("flows", "prod", bench.id_of("create_flow"))
    bench.emulator.world.store.delete("flows", "prod", flow["id"])
    bench.clock.boot()
    shown: list[float] = []

    async def at(moment: Moment, request: Request) -> None:
        if moment is Moment.HANDED_OVER and request.path.endswith(f"/flows/{flow['id']}"):
            shown.append(bench.clock.monotonic())
            if len(shown) == 2:
                bench.emulator.world.store.put("flows", "prod", flow["id"], flow)

    bench.at = at
    assert drift(bench).exit_code == 0
    assert shown[1] - shown[0] > 90


def test_a_resume_in_another_boot_waits_before_it_calls_a_404_drift(bench: Any, dead: type[BaseException]) -> None:
    async def at(moment: Moment, request: Request) -> None:
        if moment is Moment.CONNECTED and request.method == "POST" and request.path.endswith("/flows"):
            raise dead

    bench.at = at
    with pytest.raises(dead):
        bench.apply()
    bench.at = None
    bench.emulator.world.store.delete("dataSets", "prod", bench.id_of("create_dataset"))
    bench.clock.boot()
    began = bench.clock.monotonic()
    with pytest.raises(Drifted):
        bench.apply()
    assert bench.clock.monotonic() - began > 90


def test_a_call_that_was_delivered_twice_and_answered_once_is_noticed(bench: Any) -> None:
    bench.emulator.faults.add("POST /dataSets", "twice")
    assert bench.apply().duplicates == ()
    report = drift(bench)
    [twin] = report.twins
    assert (twin.step, twin.kind, twin.removed, twin.why) == ("create_dataset", "dataSets", False, "")
    assert report.exit_code == 8
    assert report.removable == (twin,)
    assert bench.ledger().duplicates == [twin.id]
    assert bench.is_there("dataSets", twin.id), "it is a report and no more"


def test_a_twin_that_nothing_refers_to_is_removed_when_asked_to_and_the_journals_object_stays(bench: Any) -> None:
    bench.emulator.faults.add("POST /dataSets", "twice")
    bench.emulator.faults.add("POST /flows", "twice")
    bench.apply()
    twins = {twin.id for twin in drift(bench).twins}
    report = drift(bench, remove_twins=True)
    assert {twin.id for twin in report.twins if twin.removed} == twins
    assert len(twins) == 2
    assert report.exit_code == 0
    assert bench.emulator.count("dataSets") == bench.emulator.count("flows") == 1
    assert bench.is_there("dataSets", bench.id_of("create_dataset"))
    assert bench.is_there("flows", bench.id_of("create_flow"))
    events = [event for event in bench.documents() if event["kind"] == "delete_intended/1"]
    assert {(event["id"], event["why"]) for event in events} == {(twin, "twin") for twin in twins}
    assert bench.ledger().duplicates == []
    assert str(bench.ledger().state) == "provisioned"
    assert drift(bench).exit_code == 0


def test_the_twin_that_the_journal_names_stays_although_it_is_the_younger(bench: Any) -> None:
    bench.apply()
    named = bench.id_of("create_dataset")
    older = bench.twin_of("dataSets", named, created=1)
    report = drift(bench, remove_twins=True)
    assert [twin.id for twin in report.twins] == [older]
    assert bench.is_there("dataSets", named)
    assert not bench.is_there("dataSets", older)


def test_a_twin_that_something_refers_to_stays_and_is_reported_with_by_what(bench: Any) -> None:
    bench.apply()
    dataset = bench.twin_of("dataSets", bench.id_of("create_dataset"))
    target = bench.twin_of(
        "targetConnections", bench.id_of("create_target_connection"), name="theirs", description="",
        params={"dataSetId": dataset},
    )  # fmt: skip
    for report in (drift(bench), drift(bench, remove_twins=True)):
        [twin] = report.twins
        assert (twin.id, twin.removed) == (dataset, False)
        assert twin.why == f"used by targetConnections/{target} (theirs)"
        assert report.exit_code == 8
    assert bench.is_there("dataSets", dataset)
    assert bench.deletes() == []


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        ("create_base_connection", "connections"),
        ("create_source_connection", "sourceConnections"),
        ("create_target_connection", "targetConnections"),
        ("create_mapping_set", "mappingSets"),
        ("create_target_schema", "schemas"),
        ("create_adhoc_class", "classes"),
        ("create_field_group", "fieldgroups"),
    ],
)
def test_what_refers_to_a_twin_is_found_whatever_the_kind(bench: Any, step: str, kind: str) -> None:
    """The run's own objects refer to the one the journal names; here a stranger's refers to the twin."""
    bench.apply()
    named = bench.id_of(step)
    key = {"$id": named[:-4] + "beef"} if kind in ("schemas", "classes", "fieldgroups") else {}
    twin = bench.twin_of(kind, named, **key)
    users = {
        "connections": ("sourceConnections", "create_source_connection", {"baseConnectionId": twin}),
        "sourceConnections": ("flows", "create_flow", {"sourceConnectionIds": [twin]}),
        "targetConnections": ("flows", "create_flow", {"targetConnectionIds": [twin]}),
        "mappingSets": ("flows", "create_flow", {
            "transformations": [{"name": "Mapping", "params": {"mappingId": twin, "mappingVersion": 0}}],
        }),
        "schemas": ("dataSets", "create_dataset", {"schemaRef": {"id": twin, "contentType": "x"}, "tags": {}}),
        "classes": ("schemas", "create_adhoc_schema", {"meta:class": twin, "meta:extends": [twin]}),
        "fieldgroups": ("schemas", "create_target_schema", {"meta:extends": [twin]}),
    }  # fmt: skip
    of, from_step, changes = users[kind]
    texts = {"title": "theirs"} if of == "schemas" else {"name": "theirs"}
    own = bench.id_of(from_step)
    if of == "schemas":
        changes = {**changes, "$id": own[:-4] + "beef"}
    user = bench.twin_of(of, own, description="", **texts, **changes)
    [found] = drift(bench, remove_twins=True).twins
    assert (found.id, found.removed) == (twin, False)
    assert found.why == f"used by {of}/{user} (theirs)"
    bench.emulator.world.store.delete(of, "prod", user)
    [found] = drift(bench, remove_twins=True).twins
    assert (found.id, found.removed) == (twin, True)


def test_something_with_our_marker_that_is_not_what_the_run_makes_is_reported_and_left(bench: Any) -> None:
    bench.apply()
    copy = bench.twin_of(
        "dataSets", bench.id_of("create_dataset"), schemaRef={"id": "https://x/y/z", "contentType": "x"}
    )
    [twin] = drift(bench, remove_twins=True).twins
    assert (twin.id, twin.removed) == (copy, False)
    assert "not what this run makes" in twin.why
    assert bench.is_there("dataSets", copy)


def test_a_removal_whose_answer_is_lost_is_settled_by_a_read(bench: Any) -> None:
    bench.emulator.faults.add("POST /dataSets", "twice")
    bench.apply()
    bench.emulator.faults.add("DELETE /dataSets/{id}", "drop", when="after")
    report = drift(bench, remove_twins=True)
    assert report.exit_code == 0
    assert bench.emulator.count("dataSets") == 1
    assert len(bench.deletes()) == 1


def test_a_death_during_a_removal_is_settled_by_the_next_one(bench: Any, dead: type[BaseException]) -> None:
    bench.emulator.faults.add("POST /dataSets", "twice")
    bench.apply()

    async def at(moment: Moment, request: Request) -> None:
        if moment is Moment.COMMITTED and request.method == "DELETE":
            raise dead

    bench.at = at
    with pytest.raises(dead):
        drift(bench, remove_twins=True)
    bench.at = None
    assert str(bench.ledger().state) == "provisioned"
    assert drift(bench).exit_code == 0
    assert bench.emulator.count("dataSets") == 1


def test_a_sink_that_was_found_is_somebody_elses_to_rename(bench: Any) -> None:
    bench.apply(bench.spec.model_copy(update={"name": "first"}))
    bench.apply()
    edit(bench, "find_or_create_sink", "connections", name="renamed", description="")
    assert drift(bench).exit_code == 0


def test_an_unfinished_run_is_compared_as_far_as_it_is(bench: Any) -> None:
    bench.emulator.faults.add("POST /flows", "answer", status=403, times=1)
    with pytest.raises(Exception, match="403"):
        bench.apply()
    stopped = bench.ledger().stopped
    report = drift(bench)
    assert report.unfinished == ("create_flow", "await_flow")
    assert str(report.state) == "failed", "looking does not change how a run stands"
    assert bench.ledger().stopped == stopped
    assert str(bench.apply().state) == "provisioned"


def test_a_destroyed_run_has_nothing_to_compare(bench: Any) -> None:
    bench.apply()
    bench.destroy()
    with pytest.raises(UsageError, match="is destroyed"):
        drift(bench)


def test_a_platform_that_cannot_be_asked_is_no_drift_and_changes_nothing(bench: Any) -> None:
    bench.apply()
    bench.fate = lambda request: Fate.REFUSED
    with pytest.raises(Unreachable) as caught:
        drift(bench)
    assert "flowledger drift" in caught.value.hint
    assert bench.ledger().stopped is None
    assert str(bench.ledger().state) == "provisioned"
