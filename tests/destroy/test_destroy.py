"""destroy: what a run made goes, in order, once; what it did not make stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowledger.engine import api
from flowledger.engine.halt import Halt
from flowledger.errors import Interrupted, NotPermitted, Rejected, UsageError
from flowledger.steps.client.inprocess import Fate, Moment
from flowledger.steps.client.port import Request

ORDER = (
    ("/flows/",),
    ("/sourceConnections/", "/targetConnections/"),
    ("/connections/", "/mappingSets/", "/dataSets/"),
    ("/tenant/schemas/",),
    ("/tenant/classes/", "/tenant/fieldgroups/"),
)


def is_delete(request: Request, of: str = "") -> bool:
    return request.method == "DELETE" and of in request.path


def to_the_first(fits: Callable[[Request], bool], fate: Fate, times: int = 1) -> Callable[[Request], Fate]:
    """Give that fate to the first such requests only."""
    left = [fate] * times
    return lambda request: left.pop() if left and fits(request) else Fate.ANSWERED


def stage_of(path: str) -> int:
    return next(number for number, parts in enumerate(ORDER) if any(part in path for part in parts))


def test_everything_that_a_run_made_is_deleted_in_order_each_with_an_intent_and_an_outcome(
    bench: Any, nothing: dict[str, int]
) -> None:
    bench.apply()
    report = bench.destroy()
    assert bench.counts() == nothing
    assert (str(report.state), report.exit_code, report.resources, report.left) == ("destroyed", 0, (), ())
    assert {resource.kind for resource in report.destroyed} == set(nothing)
    stages = [stage_of(path) for path in bench.deletes()]
    assert stages == sorted(stages)
    assert len(stages) == 11
    events = bench.documents()
    begun = next(at for at, event in enumerate(events) if event["kind"] == "destroy_begun/1")
    later = [event["kind"] for event in events[begun:]]
    assert "delete_intended/1" not in bench.kinds_of_events()[:begun]
    assert later[-1] == "run_destroyed/1"
    assert later.count("delete_intended/1") == later.count("delete_answered/1") == 12  # the flow was stopped first
    for at, event in enumerate(events):
        if event["kind"] == "delete_answered/1":
            assert any(
                other["kind"] == "delete_intended/1" and (other["id"], other["op"]) == (event["id"], event["op"])
                for other in events[:at]
            )


def test_the_dataflow_is_stopped_and_at_rest_before_it_is_deleted(bench: Any, nothing: dict[str, int]) -> None:
    bench.apply()
    bench.emulator.options.flow_ready_ms = 7000
    bench.destroy()
    flow = [event for event in bench.documents() if event.get("step") == "create_flow" and "op" in event]
    assert [(event["op"], event.get("outcome")) for event in flow] == [
        ("disable", None), ("disable", "done"), ("delete", None), ("delete", "done"),
    ]  # fmt: skip
    assert flow[2]["at"] - flow[1]["at"] >= 7
    assert bench.counts() == nothing


def test_a_second_destroy_does_nothing_and_asks_nobody(bench: Any) -> None:
    bench.apply()
    first = bench.destroy()
    before = (len(bench.requests), len(bench.documents()))
    assert bench.destroy() == first
    assert (len(bench.requests), len(bench.documents())) == before


def test_a_destroyed_run_is_not_applied_again_and_says_what_to_do(bench: Any) -> None:
    bench.apply()
    bench.destroy()
    before = len(bench.documents())
    with pytest.raises(UsageError, match="is destroyed") as caught:
        bench.apply()
    assert "new name" in caught.value.hint
    assert len(bench.documents()) == before


def test_after_half_a_destroy_only_destroy_goes_on(bench: Any, nothing: dict[str, int]) -> None:
    bench.apply()
    bench.at = die_when(bench, Moment.COMMITTED, lambda request: is_delete(request, "/dataSets/"))
    with pytest.raises(Interrupted):
        bench.destroy()
    bench.at = None
    bench.halt = type(bench.halt)()
    assert str(bench.ledger().state) == "destroying"
    before = len(bench.documents())
    with pytest.raises(UsageError, match="can only be destroyed") as caught:
        bench.apply()
    assert caught.value.hint == f"flowledger destroy {bench.spec.name}"
    assert len(bench.documents()) == before
    assert str(bench.destroy().state) == "destroyed"
    assert bench.counts() == nothing


def die_when(bench: Any, moment: Moment, fits: Callable[[Request], bool]) -> Any:
    """Ask the process to stop at that moment of such a call."""

    async def at(here: Moment, request: Request) -> None:
        if here is moment and fits(request):
            bench.halt.request("SIGTERM")

    return at


def test_a_stop_that_is_asked_for_names_destroy_as_what_goes_on(bench: Any) -> None:
    bench.apply()
    bench.at = die_when(bench, Moment.HANDED_OVER, lambda request: is_delete(request, "/flows/"))
    with pytest.raises(Interrupted) as caught:
        bench.destroy()
    assert caught.value.hint == f"flowledger destroy {bench.spec.name}"
    stopped = bench.ledger().stopped
    assert stopped is not None
    assert (stopped.state, stopped.exit_code) == ("destroying", 75)
    assert stopped.hint == f"flowledger destroy {bench.spec.name}"


@pytest.mark.parametrize("path", ["/connections", "/tenant/classes", "/dataSets", "/targetConnections", "/flows"])
def test_what_a_create_in_flight_makes_after_its_process_died_is_destroyed_too(
    bench: Any, nothing: dict[str, int], path: str, dead: type[BaseException]
) -> None:
    bench.emulator.faults.add(route=f"POST {path}", kind="late", after_ms=70_000)

    async def at(moment: Moment, request: Request) -> None:
        if moment is Moment.COMMITTED and request.method == "POST" and request.path.endswith(path):
            raise dead

    bench.at = at
    with pytest.raises(dead):
        bench.apply()
    bench.at = None
    report = bench.destroy()
    assert str(report.state) == "destroyed"
    assert bench.counts() == nothing
    bench.time.advance(600)
    bench.emulator.now_ms()
    assert bench.counts() == nothing


def test_nothing_is_deleted_before_the_window_of_an_unanswered_create_is_over_even_if_the_step_is_done(
    bench: Any, nothing: dict[str, int]
) -> None:
    """The first send was lost on its way and the second made the object: the first can still make a twin."""
    bench.spec = bench.spec.model_copy(update={"settle": bench.spec.settle.model_copy(update={"window": 90.0})})
    posts = to_the_first(lambda request: request.method == "POST" and request.path.endswith("/dataSets"), Fate.LOST)
    bench.fate = posts
    bench.apply()
    record = bench.ledger().step("create_dataset")
    assert record.done
    assert record.unanswered
    bench.clock.boot()  # what the last boot's clock said is worth nothing: the window begins anew
    began = bench.clock.monotonic()
    first: list[float] = []

    async def at(moment: Moment, request: Request) -> None:
        if is_delete(request) and not first:
            first.append(bench.clock.monotonic())

    bench.at = at
    bench.destroy()
    assert first[0] - began > 90
    assert bench.counts() == nothing


@pytest.mark.parametrize("fate", [Fate.LOST, Fate.ANSWER_LOST, Fate.ANSWER_CUT, Fate.REFUSED])
@pytest.mark.parametrize("of", [part.strip("/") for parts in ORDER for part in parts])
def test_a_delete_whose_answer_is_lost_is_settled_by_reading_the_object(
    bench: Any, nothing: dict[str, int], of: str, fate: Fate
) -> None:
    bench.apply()
    bench.fate = to_the_first(lambda request: is_delete(request, f"/{of}/"), fate)
    assert str(bench.destroy().state) == "destroyed"
    assert bench.counts() == nothing
    took_effect = fate in (Fate.ANSWER_LOST, Fate.ANSWER_CUT) and of not in ("tenant/schemas", "connections")
    if took_effect:
        assert sum(f"/{of}/" in path for path in bench.deletes()) == 1, "what is gone is not deleted again"


@pytest.mark.parametrize("status", [500, 503, 408, 429])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_delete_that_is_answered_with_an_error_is_tried_again_until_the_object_is_gone(
    bench: Any, nothing: dict[str, int], status: int, when: str
) -> None:
    bench.apply()
    if status == 429 and when == "after":
        when = "before"  # the gateway's 429 says that nothing was done
    bench.emulator.faults.add(route="DELETE /dataSets/{id}", kind="answer", status=status, when=when, times=2)
    assert str(bench.destroy().state) == "destroyed"
    assert bench.counts() == nothing


def test_a_token_that_expires_half_way_costs_one_new_token(bench: Any, nothing: dict[str, int]) -> None:
    bench.apply()
    bench.emulator.faults.add(route="DELETE /dataSets/{id}", kind="token")
    assert str(bench.destroy().state) == "destroyed"
    assert bench.counts() == nothing


def test_credentials_without_the_right_stop_it_and_the_rest_goes_on_later(bench: Any, nothing: dict[str, int]) -> None:
    bench.apply()
    bench.emulator.faults.add(route="DELETE /dataSets/{id}", kind="answer", status=403, times=1)
    with pytest.raises(NotPermitted):
        bench.destroy()
    assert str(bench.ledger().state) == "destroying"
    assert str(bench.destroy().state) == "destroyed"
    assert bench.counts() == nothing


def test_a_refusal_that_nothing_explains_is_told_at_the_end_and_stops_nothing_else(bench: Any) -> None:
    bench.apply()
    bench.emulator.faults.add(route="DELETE /tenant/classes/{id}", kind="answer", status=400, shape="service", times=0)
    with pytest.raises(Rejected):
        bench.destroy()
    assert bench.counts() == {**dict.fromkeys(bench.counts(), 0), "classes": 1}
    assert str(bench.ledger().state) == "destroying"
    bench.emulator.faults.clear()
    assert str(bench.destroy().state) == "destroyed"
    assert bench.emulator.count("classes") == 0


def test_patience_ends_and_a_later_destroy_carries_on(bench: Any, nothing: dict[str, int]) -> None:
    bench.apply()
    bench.emulator.faults.add(route="GET /dataSets/{id}", kind="answer", status=503, times=0)
    with pytest.raises(Exception, match="gave no usable answer") as caught:
        bench.destroy()
    assert getattr(caught.value, "exit_code", 0) == 75
    bench.emulator.faults.clear()
    bench.destroy()
    assert bench.counts() == nothing


def test_a_window_that_is_longer_than_the_sittings_deadline_is_waited_for_before_anything_is_deleted(
    bench: Any, nothing: dict[str, int]
) -> None:
    short = bench.spec.retry.model_copy(update={"deadline": 30.0})
    bench.spec = bench.spec.model_copy(update={"retry": short})
    bench.fate = to_the_first(lambda request: request.method == "POST" and request.path.endswith("/flows"), Fate.LOST)

    async def stop(moment: Moment, request: Request) -> None:
        if moment is Moment.CHECKED and request.method == "POST" and request.path.endswith("/flows"):
            bench.halt.request("SIGTERM")

    bench.at = stop
    with pytest.raises(Interrupted):
        bench.apply()
    bench.at, bench.halt = None, Halt()
    bench.time.boot_id = "another-host"
    taken_up = bench.time.monotonic()
    bench.destroy()
    assert bench.counts() == nothing
    assert bench.time.monotonic() - taken_up > bench.spec.settle.window


# What stays


def test_a_sink_that_was_found_stays(bench: Any) -> None:
    bench.apply(bench.spec.model_copy(update={"name": "first"}))
    report = bench.apply()
    sink = next(one for one in report.resources if one.step == "find_or_create_sink")
    assert sink.how == "found"
    report = bench.destroy()
    assert bench.is_there("connections", sink.id)
    assert [(one.id, one.why) for one in report.left] == [(sink.id, "found, not made by this run")]
    assert all(sink.id not in path for path in bench.deletes())


def test_a_sink_that_another_run_uses_is_left_and_reported_and_the_rest_goes(bench: Any) -> None:
    bench.apply()
    other = bench.spec.model_copy(update={"name": "second"})
    bench.apply(other)
    before = {kind: count for kind, count in bench.counts().items() if kind != "connections"}
    report = bench.destroy()
    assert report.exit_code == 0
    [left] = report.left
    assert (left.step, left.kind) == ("find_or_create_sink", "connections")
    assert "used by targetConnections/" in left.why
    assert {kind: 2 * count for kind, count in bench.counts().items() if kind in before} == before
    assert bench.emulator.count("connections") == 2
    assert bench.destroy("second").exit_code == 0
    assert bench.emulator.count("connections") == 1


def test_a_sink_that_another_run_of_the_journal_has_found_but_not_used_yet_is_left(
    bench: Any, dead: type[BaseException]
) -> None:
    bench.apply()

    async def at(moment: Moment, request: Request) -> None:
        if moment is Moment.CONNECTED and request.method == "POST" and request.path.endswith("/targetConnections"):
            raise dead

    bench.at = at
    other = bench.spec.model_copy(update={"name": "second"})
    with pytest.raises(dead):
        bench.apply(other)
    bench.at = None
    report = bench.destroy()
    assert [one.why for one in report.left] == ["used by run second of this journal"]
    assert str(bench.apply(other).state) == "provisioned"


def test_a_strangers_things_are_untouched_even_with_our_names(bench: Any) -> None:
    bench.apply()
    strangers = {}
    for step, kind in (("create_base_connection", "connections"), ("create_dataset", "dataSets")):
        strangers[kind] = bench.twin_of(kind, bench.id_of(step), description="mine", tags={}, name="mine")
    copied = bench.twin_of(
        "flows", bench.id_of("create_flow"), sourceConnectionIds=["ffffffff-0000-4000-8000-000000000003"]
    )
    report = bench.destroy()
    assert bench.is_there("connections", strangers["connections"])
    assert bench.is_there("dataSets", strangers["dataSets"])
    assert bench.is_there("flows", copied), "it carries our marker, but is not what this run makes"
    assert copied in [one.id for one in report.left]


def test_a_base_connection_of_ours_that_somebodys_dataflow_uses_is_left(bench: Any) -> None:
    bench.apply()
    base = bench.id_of("create_base_connection")
    source = bench.twin_of("sourceConnections", bench.id_of("create_source_connection"), name="theirs", description="")
    bench.twin_of("flows", bench.id_of("create_flow"), name="theirs", description="", sourceConnectionIds=[source])
    report = bench.destroy()
    assert report.exit_code == 0
    assert bench.is_there("connections", base)
    assert base in [one.id for one in report.left]
    assert next(one.why for one in report.left if one.id == base) == f"used by sourceConnections/{source} (theirs)"
    assert f"/connections/{base}" not in "".join(bench.deletes())


def test_a_mapping_set_of_ours_that_somebodys_dataflow_uses_keeps_its_schema(bench: Any) -> None:
    bench.apply()
    mapping, schema = bench.id_of("create_mapping_set"), bench.id_of("create_target_schema")
    flow = bench.twin_of(
        "flows", bench.id_of("create_flow"), name="theirs", description="", sourceConnectionIds=["theirs"],
        targetConnectionIds=["theirs"],
    )  # fmt: skip
    report = bench.destroy()
    assert report.exit_code == 0
    why = {one.id: one.why for one in report.left}
    assert why[mapping] == f"used by flows/{flow} (theirs)"
    assert why[schema].startswith(f"used by mappingSets/{mapping}")
    assert bench.is_there("schemas", schema)


def test_a_twin_that_was_left_once_and_is_gone_now_is_not_reported_as_left(bench: Any, nothing: dict[str, int]) -> None:
    bench.apply()
    dataset = bench.twin_of("dataSets", bench.id_of("create_dataset"))
    user = bench.twin_of(
        "targetConnections", bench.id_of("create_target_connection"), name="theirs", description="",
        params={"dataSetId": dataset},
    )  # fmt: skip
    [twin] = bench.sit(api.drift, bench.spec.name, remove_twins=True).twins
    assert (twin.id, twin.why) == (dataset, f"used by targetConnections/{user} (theirs)")
    for kind, id in (("targetConnections", user), ("dataSets", dataset)):
        bench.emulator.world.store.delete(kind, "prod", id)
    assert bench.destroy().left == ()
    assert bench.counts() == nothing


def test_with_keep_dataset_the_data_its_schema_and_its_field_group_stay_also_when_it_is_called_again(
    bench: Any, nothing: dict[str, int]
) -> None:
    bench.apply()
    bench.at = die_when(bench, Moment.HANDED_OVER, lambda request: is_delete(request, "/flows/"))
    with pytest.raises(Interrupted):
        bench.destroy(keep_dataset=True)
    bench.at, bench.halt = None, type(bench.halt)()
    report = bench.destroy()
    assert bench.counts() == {**nothing, "dataSets": 1, "schemas": 1, "fieldgroups": 1}
    assert {one.why for one in report.left} == {"kept with the dataset, as was asked"}
    assert {one.step for one in report.left} == {"create_dataset", "create_target_schema", "create_field_group"}


def test_a_mapping_set_that_was_found_by_its_content_is_left(bench: Any) -> None:
    bench.fate = to_the_first(
        lambda request: request.method == "POST" and request.path.endswith("/mappingSets"), Fate.ANSWER_LOST
    )
    dropped: list[str] = []

    async def at(moment: Moment, request: Request) -> None:
        """The platform keeps no name for a mapping set of the tutorial's dialect (U16)."""
        if moment is Moment.COMMITTED and request.method == "POST" and request.path.endswith("/mappingSets"):
            for mapping_set in bench.emulator.objects("mappingSets"):
                changed = bench.emulator.world.store.get("mappingSets", "prod", mapping_set["id"])
                changed.pop("name")
                bench.emulator.world.store.put("mappingSets", "prod", mapping_set["id"], changed)
                dropped.append(mapping_set["id"])

    bench.at = at
    bench.apply()
    report = bench.destroy()
    [left] = report.left
    assert (left.id, left.kind) == (dropped[0], "mappingSets")
    assert all("/mappingSets/" not in path for path in bench.deletes())


def test_twins_that_nobody_reported_yet_are_found_and_destroyed(bench: Any, nothing: dict[str, int]) -> None:
    bench.emulator.faults.add(route="POST /dataSets", kind="twice")
    bench.emulator.faults.add(route="POST /flows", kind="twice")
    bench.apply()
    assert bench.emulator.count("dataSets") == 2
    report = bench.destroy()
    assert bench.counts() == nothing
    assert sorted(one.how for one in report.destroyed)[-2:] == ["duplicate", "duplicate"]


def test_what_somebody_deleted_already_is_gone_and_no_error(bench: Any, nothing: dict[str, int]) -> None:
    bench.apply()
    bench.time.advance(200)
    for step, kind in (("create_dataset", "dataSets"), ("create_flow", "flows")):
        bench.emulator.world.store.delete(kind, "prod", bench.id_of(step))
    assert str(bench.destroy().state) == "destroyed"
    assert bench.counts() == nothing
    assert all("/dataSets/" not in path for path in bench.deletes())
    assert sum("/flows/" in path for path in bench.deletes()) == 1, "a read alone is no proof: it may be hidden"


def test_another_sandbox_is_refused_and_nothing_is_written(bench: Any) -> None:
    bench.apply()
    before = bench.documents()
    with pytest.raises(UsageError, match="belongs to sandbox"):
        bench.destroy(sandbox="dev")
    assert bench.documents() == before
