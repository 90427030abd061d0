"""destroy: what a run made goes, in order, once; what it did not make stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowledger.emulator.problem import flow_problem
from flowledger.engine import api
from flowledger.engine.plan import plan_of, resume_plan
from flowledger.engine.specfile import load_spec
from flowledger.errors import InDoubt, Interrupted, JournalError, NotPermitted, Rejected, TryLater, UsageError
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
    events = bench.events()
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
    flow = [event for event in bench.events() if event.get("step") == "create_flow" and "op" in event]
    assert [(event["op"], event.get("outcome")) for event in flow] == [
        ("disable", None), ("disable", "done"), ("delete", None), ("delete", "done"),
    ]  # fmt: skip
    assert flow[2]["at"] - flow[1]["at"] >= 7
    assert bench.counts() == nothing


def test_a_second_destroy_does_nothing_and_asks_nobody(bench: Any) -> None:
    bench.apply()
    first = bench.destroy()
    before = (len(bench.requests), len(bench.events()))
    assert bench.destroy() == first
    assert (len(bench.requests), len(bench.events())) == before


def test_a_destroyed_run_is_not_applied_again_and_says_what_to_do(bench: Any) -> None:
    bench.apply()
    bench.destroy()
    before = len(bench.events())
    with pytest.raises(UsageError, match="is destroyed") as caught:
        bench.apply()
    assert "new name" in caught.value.hint
    assert len(bench.events()) == before


def test_after_half_a_destroy_only_destroy_goes_on(bench: Any, nothing: dict[str, int]) -> None:
    bench.apply()
    bench.at = die_when(bench, Moment.COMMITTED, lambda request: is_delete(request, "/dataSets/"))
    with pytest.raises(Interrupted):
        bench.destroy()
    bench.at = None
    bench.halt = type(bench.halt)()
    assert str(bench.ledger().state) == "destroying"
    before = len(bench.events())
    with pytest.raises(UsageError, match="can only be destroyed") as caught:
        bench.apply()
    assert caught.value.hint == f"flowledger destroy {bench.spec.name}"
    assert len(bench.events()) == before
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


def test_in_doubt_when_the_window_outlasts_the_sitting(bench: Any) -> None:
    short = bench.spec.retry.model_copy(update={"deadline": 30.0})
    bench.spec = bench.spec.model_copy(update={"retry": short})
    bench.fate = to_the_first(lambda request: request.method == "POST" and request.path.endswith("/flows"), Fate.LOST)
    with pytest.raises(InDoubt):
        bench.apply()
    with pytest.raises(InDoubt) as caught:
        bench.destroy()
    assert caught.value.hint == f"flowledger destroy {bench.spec.name}"
    assert bench.deletes() == []


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
    assert all("/flows/" not in path and "/dataSets/" not in path for path in bench.deletes())


def test_another_sandbox_is_refused_and_nothing_is_written(bench: Any) -> None:
    bench.apply()
    before = bench.events()
    with pytest.raises(UsageError, match="belongs to sandbox"):
        bench.destroy(sandbox="dev")
    assert bench.events() == before


# What the platform may do that no document says


def test_what_a_dataflow_uses_is_deleted_only_once_the_dataflow_is_really_gone(
    bench: Any, nothing: dict[str, int], dead: type[BaseException]
) -> None:
    bench.apply()
    bench.emulator.options.flow_delete_ms = 120_000

    async def at(moment: Moment, request: Request) -> None:
        if moment is Moment.CONNECTED and is_delete(request, "/sourceConnections/"):
            raise AssertionError("its dataflow is still there") if bench.emulator.count("flows") else dead

    bench.at = at
    with pytest.raises(dead):
        bench.destroy()
    bench.at = None
    assert str(bench.destroy().state) == "destroyed"
    assert bench.counts() == nothing


def test_a_destroy_that_was_killed_while_the_dataflow_goes_waits_for_it_too(
    bench: Any, nothing: dict[str, int], dead: type[BaseException]
) -> None:
    bench.apply()
    bench.emulator.options.flow_delete_ms = 120_000

    async def at(moment: Moment, request: Request) -> None:
        gone = [event for event in bench.requests if is_delete(event, "/flows/")]
        if gone and moment is Moment.CONNECTED and request.method == "GET":
            raise dead

    bench.at = at
    with pytest.raises(dead):
        bench.destroy()
    bench.at = None
    report = bench.destroy()
    assert (str(report.state), report.left) == ("destroyed", ())
    assert bench.counts() == nothing


def test_a_platform_that_has_no_delete_of_mapping_sets_keeps_them_and_the_rest_goes(
    bench: Any, nothing: dict[str, int]
) -> None:
    bench.apply()
    bench.emulator.options.mapping_set_delete = False
    report = bench.destroy()
    assert report.exit_code == 0
    assert bench.counts() == {**nothing, "mappingSets": 1}
    [left] = report.left
    assert left.kind == "mappingSets"
    assert "does not let it go" in left.why


@pytest.mark.parametrize("lax", [False, True])
def test_a_platform_that_refuses_nothing_and_one_that_answers_otherwise_end_the_same(
    bench: Any, nothing: dict[str, int], lax: bool
) -> None:
    bench.apply()
    bench.emulator.options.lax_delete = bench.emulator.options.lax_connection_delete = lax
    bench.emulator.options.absent_delete_404 = True
    bench.fate = to_the_first(lambda request: is_delete(request, "/dataSets/"), Fate.ANSWER_LOST)
    assert str(bench.destroy().state) == "destroyed"
    assert bench.counts() == nothing


def test_a_404_shortly_after_the_create_does_not_count_as_gone(bench: Any, nothing: dict[str, int]) -> None:
    """Not every part of a platform knows of a new object at once; taken for gone, it would be an orphan."""
    bench.apply()
    store, id = bench.emulator.world.store, bench.id_of("create_dataset")
    dataset = store.get("dataSets", "prod", id)
    store.delete("dataSets", "prod", id)
    reads: list[float] = []

    async def at(moment: Moment, request: Request) -> None:
        if moment is Moment.HANDED_OVER and request.method == "GET" and request.path.endswith(f"/dataSets/{id}"):
            reads.append(bench.clock.monotonic())
            if len(reads) == 2:
                store.put("dataSets", "prod", id, dataset)

    bench.at = at
    assert str(bench.destroy().state) == "destroyed"
    assert reads[1] - reads[0] > 80
    assert bench.counts() == nothing
    assert sum("/dataSets/" in path for path in bench.deletes()) == 1


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("call", range(0, 120, 5))
def test_a_disk_that_fails_during_a_destroy_ends_the_sitting_and_the_next_one_carries_on(
    bench: Any, nothing: dict[str, int], call: int, done: bool
) -> None:
    """At every event: not written, or written although the disk says that it is not."""
    bench.apply()
    bench.disk_fails = (call, done)
    with pytest.raises((TryLater, JournalError)):  # the latter if it is a read that fails: then nothing was begun
        bench.destroy()
    bench.disk.fail(1_000_000)
    assert str(bench.destroy().state) == "destroyed"
    assert bench.counts() == nothing


@pytest.mark.parametrize("style", ["tutorial", "current"])
def test_both_styles_are_destroyed_without_a_trace_and_have_no_drift_before(
    bench: Any, nothing: dict[str, int], style: str
) -> None:
    name = "paypal-products.yaml" if style == "tutorial" else "paypal-products-current.yaml"
    bench.spec = load_spec(Path(__file__).parents[2] / "examples" / name).spec
    assert bench.spec.style == style
    bench.apply()
    assert bench.sit(api.drift, bench.spec.name).exit_code == 0
    assert str(bench.destroy().state) == "destroyed"
    assert bench.counts() == nothing


def test_a_plan_of_a_run_whose_destroy_has_begun_is_refused_like_its_apply(bench: Any) -> None:
    bench.apply()
    bench.destroy()
    ledger = bench.ledger()
    for plan in (lambda: plan_of(bench.spec, ledger), lambda: resume_plan(ledger)):
        with pytest.raises(UsageError, match="is destroyed"):
            plan()


def answering(bench: Any, fits: Callable[[Any], bool], code: str, times: int) -> None:
    """Have the platform refuse that many such calls with a code of Flow Service, and do nothing."""
    handle, left = bench.emulator.handle, [code] * times

    def answer(request: Any) -> Any:
        return flow_problem(400, left.pop(), "Refused", "not now") if left and fits(request) else handle(request)

    bench.emulator.handle = answer


@pytest.mark.parametrize("code", ["FLOW-1458-400", "FLOW-1416-400", "FLOW-1420-400"])
def test_what_is_on_its_way_to_another_state_is_deleted_a_little_later(
    bench: Any, nothing: dict[str, int], code: str
) -> None:
    bench.apply()
    answering(bench, lambda request: request.method == "DELETE" and "/flows/" in request.raw_path, code, 2)
    assert str(bench.destroy().state) == "destroyed"
    assert bench.counts() == nothing
    assert sum("/flows/" in path for path in bench.deletes()) == 3


def test_a_dataflow_that_cannot_be_stopped_is_deleted_all_the_same(bench: Any, nothing: dict[str, int]) -> None:
    bench.apply()
    answering(bench, lambda request: request.raw_path.endswith("/action"), "FLOW-1422-400", 100)
    assert str(bench.destroy().state) == "destroyed"
    assert bench.counts() == nothing


@pytest.mark.parametrize("code", ["FLOW-1418-400", "FLOW-1447-400"])
def test_what_the_platform_calls_used_although_nobody_shows_is_left_after_a_while(bench: Any, code: str) -> None:
    bench.apply()
    base = bench.id_of("create_base_connection")
    answering(bench, lambda request: request.method == "DELETE" and base in request.raw_path, code, 100)
    report = bench.destroy()
    assert (str(report.state), report.exit_code) == ("destroyed", 0)
    assert [(one.id, one.why.partition(":")[0]) for one in report.left] == [
        (base, "the platform says that it is in use")
    ]
    assert bench.emulator.count("connections") == 1


def test_a_refusal_in_the_middle_keeps_what_it_uses_and_lets_the_rest_go(bench: Any, nothing: dict[str, int]) -> None:
    bench.apply()
    route = "DELETE /sourceConnections/{id}"
    bench.emulator.faults.add(route, "answer", status=400, shape="service", times=0)
    with pytest.raises(Rejected):
        bench.destroy()
    kept = {"sourceConnections": 1, "connections": 1, "schemas": 1, "classes": 1}
    assert bench.counts() == {**nothing, **kept}
    bench.emulator.faults.clear()
    report = bench.destroy()
    assert (str(report.state), report.left) == ("destroyed", ())
    assert bench.counts() == nothing


def test_a_user_that_only_lists_still_show_holds_nothing(bench: Any, nothing: dict[str, int]) -> None:
    bench.apply()
    theirs = bench.twin_of("sourceConnections", bench.id_of("create_source_connection"), name="theirs", description="")
    bench.time.advance(100)
    bench.emulator.options.list_lag_ms = {"*": 60_000}
    bench.emulator.world.store.delete("sourceConnections", "prod", theirs)
    report = bench.destroy()
    assert report.left == ()
    assert bench.counts() == nothing


@pytest.mark.parametrize("of", ["/flows/", "/connections/", "/dataSets/", "/tenant/classes/"])
def test_no_delete_is_sent_before_its_intent_is_on_the_medium(bench: Any, of: str, dead: type[BaseException]) -> None:
    bench.apply()
    sent: list[str] = []

    async def at(moment: Moment, request: Request) -> None:
        if moment is Moment.HANDED_OVER and is_delete(request, of):
            sent.append(request.path)
            bench.disk.cut_power(lambda outcomes: 0)  # nothing that was not synced survives
            raise dead

    bench.at = at
    with pytest.raises(dead):
        bench.destroy()
    intended = [event["call"]["path"] for event in bench.events() if event["kind"] == "delete_intended/1"]
    assert sent[0] in intended


def test_nothing_goes_on_before_the_answer_to_a_delete_is_on_the_medium(bench: Any, dead: type[BaseException]) -> None:
    bench.apply()

    async def at(moment: Moment, request: Request) -> None:
        if moment is Moment.CONNECTED and any(is_delete(one, "/flows/") for one in bench.requests[:-1]):
            bench.disk.cut_power(lambda outcomes: 0)
            raise dead

    bench.at = at
    with pytest.raises(dead):
        bench.destroy()
    last = [event for event in bench.events() if event.get("op") == "delete"][-1]
    assert (last["kind"], last.get("outcome")) == ("delete_answered/1", "done")
