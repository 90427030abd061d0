"""destroy on platforms that refuse, delay and answer in ways that no document says, and on disks that fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowledger.emulator.problem import flow_problem
from flowledger.engine import api
from flowledger.engine.plan import plan_of, resume_plan
from flowledger.engine.specfile import load_spec
from flowledger.errors import JournalError, Rejected, TryLater, UsageError
from flowledger.steps.client.inprocess import Fate, Moment
from flowledger.steps.client.port import Request


def is_delete(request: Request, of: str = "") -> bool:
    return request.method == "DELETE" and of in request.path


def to_the_first(fits: Callable[[Request], bool], fate: Fate, times: int = 1) -> Callable[[Request], Fate]:
    """Give that fate to the first such requests only."""
    left = [fate] * times
    return lambda request: left.pop() if left and fits(request) else Fate.ANSWERED


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
    intended = [event["call"]["path"] for event in bench.documents() if event["kind"] == "delete_intended/1"]
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
    last = [event for event in bench.documents() if event.get("op") == "delete"][-1]
    assert (last["kind"], last.get("outcome")) == ("delete_answered/1", "done")


def labelled(bench: Any) -> str:
    """Give the run's dataflow a label that hides it from our credentials; returns its id."""
    store, id = bench.emulator.world.store, bench.id_of("create_flow")
    store.put("flows", "prod", id, {**store.get("flows", "prod", id), "labels": ["core/C1"]})
    bench.emulator.options.labelled_flows_hidden = True
    return str(id)


def test_a_dataflow_that_labels_hide_is_left_and_not_called_gone(bench: Any, nothing: dict[str, int]) -> None:
    bench.apply()
    id = labelled(bench)
    report = bench.destroy()
    assert bench.emulator.count("flows") == 1
    (left,) = [one for one in report.left if one.id == id]
    assert "403" in left.why
    assert "create_flow" in {resource.step for resource in report.resources}
    bench.emulator.options.labelled_flows_hidden = False
    assert bench.destroy().left == ()
    assert bench.counts() == nothing


@pytest.mark.parametrize("fate", [Fate.LOST, Fate.ANSWER_LOST])
def test_a_lost_delete_of_a_hidden_dataflow_is_not_taken_for_done(bench: Any, fate: Fate) -> None:
    bench.apply()
    id = labelled(bench)
    bench.fate = to_the_first(lambda request: is_delete(request, "/flows/"), fate)
    assert id in {one.id for one in bench.destroy().left}


def test_a_killed_delete_of_a_hidden_dataflow_is_not_taken_for_done(bench: Any, dead: type[BaseException]) -> None:
    bench.apply()
    id = labelled(bench)

    async def at(moment: Moment, request: Request) -> None:
        if moment is Moment.HANDED_OVER and is_delete(request, "/flows/"):
            raise dead

    bench.at = at
    with pytest.raises(dead):
        bench.destroy()
    bench.at = None
    assert id in {one.id for one in bench.destroy().left}


def test_a_dataflow_that_was_deleted_before_is_gone_once_a_delete_says_so(bench: Any, nothing: dict[str, int]) -> None:
    bench.apply()
    id = bench.id_of("create_flow")
    bench.emulator.world.store.delete("flows", "prod", id)
    report = bench.destroy()
    assert report.left == ()
    assert id in report.gone_before
    assert bench.counts() == nothing
