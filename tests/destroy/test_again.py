"""A destroy that comes back: what was left because others referred to it goes once nothing does any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowledger.engine import api
from flowledger.engine.destroy import destroy_plan
from flowledger.engine.explain import explain
from flowledger.errors import DiskFull, JournalPoisoned, Rejected, UsageError
from flowledger.journal import Journal
from flowledger.steps.client.inprocess import Moment
from flowledger.steps.client.port import Request

AGAIN = 30  # moments that a second destroy of one connection has, at least


@pytest.fixture
def shared(bench: Any) -> Any:
    """Two runs on one sink: the first, which made it, is destroyed and has left it; the second is destroyed too."""
    bench.apply()
    bench.apply(bench.spec.model_copy(update={"name": "second"}))
    [left] = bench.destroy().left
    assert left.step == "find_or_create_sink"
    assert "used by targetConnections/" in left.why
    bench.destroy("second")
    assert bench.emulator.count("connections") == 1
    return bench


def test_what_was_left_because_it_was_in_use_goes_when_destroy_is_called_again(
    shared: Any, nothing: dict[str, int]
) -> None:
    sink, sent, events = shared.id_of("find_or_create_sink"), len(shared.requests), len(shared.documents())

    report = shared.destroy()

    assert shared.counts() == nothing
    assert (str(report.state), report.exit_code, report.left, report.resources) == ("destroyed", 0, (), ())
    assert sink in [one.id for one in report.destroyed]
    kinds = [doc["kind"] for doc in shared.documents()[events:]]
    assert [kind for kind in kinds if kind not in ("read_answered/1", "token_fetched/1")] == [
        "run_taken_up/1", "looked_up/1", "delete_intended/1", "delete_answered/1", "run_destroyed/1",
    ]  # fmt: skip
    deletes = [request.path for request in shared.requests[sent:] if request.method == "DELETE"]
    assert [path.rpartition("/")[2] for path in deletes] == [sink]


def test_a_third_destroy_has_nothing_to_do_and_asks_nobody(shared: Any) -> None:
    second = shared.destroy()
    before = len(shared.requests), len(shared.documents())

    assert shared.destroy() == second
    assert (len(shared.requests), len(shared.documents())) == before


def test_what_is_still_in_use_is_left_again_and_reported_with_why(bench: Any) -> None:
    bench.apply()
    bench.apply(bench.spec.model_copy(update={"name": "second"}))
    first = bench.destroy()

    assert bench.destroy().left == first.left
    assert bench.emulator.count("connections") == 2
    assert str(bench.apply(bench.spec.model_copy(update={"name": "second"})).state) == "provisioned"


def test_what_a_run_that_was_destroyed_has_left_is_no_run_that_can_be_applied_again(shared: Any) -> None:
    shared.destroy()
    with pytest.raises(UsageError, match="is destroyed"):
        shared.apply()


def test_a_chain_of_what_was_left_goes_in_the_order_of_the_first_destroy(bench: Any, nothing: dict[str, int]) -> None:
    """Somebody's dataflow uses the mapping set, which holds its schema, which holds its class and field group."""
    bench.apply()
    flow = bench.twin_of(
        "flows", bench.id_of("create_flow"), name="theirs", description="", sourceConnectionIds=["theirs"],
        targetConnectionIds=["theirs"],
    )  # fmt: skip
    assert len(bench.destroy().left) == 3
    bench.emulator.world.store.delete("flows", "prod", flow)
    sent = len(bench.requests)

    assert bench.destroy().left == ()
    assert bench.counts() == nothing
    kinds = [request.path.split("/")[-2] for request in bench.requests[sent:] if request.method == "DELETE"]
    assert kinds == ["mappingSets", "schemas", "fieldgroups"]


def test_what_somebody_else_has_deleted_meanwhile_counts_as_gone_at_once(shared: Any, nothing: dict[str, int]) -> None:
    shared.emulator.world.store.delete("connections", "prod", shared.id_of("find_or_create_sink"))
    shared.clock.boot()  # a destroy of another boot would wait before it believed an absence that nobody had seen end
    began = shared.clock.monotonic()

    report = shared.destroy()

    assert report.left == ()
    assert shared.counts() == nothing
    assert shared.clock.monotonic() - began < 5


def test_nothing_is_asked_of_what_never_goes(bench: Any) -> None:
    bench.apply(bench.spec.model_copy(update={"name": "first"}))
    bench.apply()  # which finds the sink
    bench.destroy(keep_dataset=True)
    before = len(bench.requests), len(bench.documents())

    report = bench.destroy()

    assert {one.why for one in report.left} == {"found, not made by this run", "kept with the dataset, as was asked"}
    assert (len(bench.requests), len(bench.documents())) == before


def test_a_dataset_that_was_left_in_use_can_still_be_kept(bench: Any) -> None:
    bench.apply()
    dataset = bench.id_of("create_dataset")
    user = bench.twin_of("targetConnections", bench.id_of("create_target_connection"), name="theirs", description="")
    assert dataset in [one.id for one in bench.destroy().left]
    bench.emulator.world.store.delete("targetConnections", "prod", user)

    report = bench.destroy(keep_dataset=True)

    assert bench.is_there("dataSets", dataset)
    assert next(one.why for one in report.left if one.id == dataset) == "kept with the dataset, as was asked"


def test_a_refusal_is_told_explained_and_tried_again_and_the_run_is_destroyed_all_the_while(
    shared: Any, nothing: dict[str, int]
) -> None:
    shared.emulator.faults.add("DELETE /connections/{id}", "answer", status=400, shape="service", times=0)
    with pytest.raises(Rejected):
        shared.destroy()
    shared.emulator.faults.clear()
    ledger = shared.ledger()
    assert str(ledger.state) == "destroyed"
    explained = explain(ledger.run, shared.documents(), shared.clock)
    assert "Rejected" in explained.headline
    assert explained.next == f"flowledger destroy {ledger.run}"
    assert [one["step"] for one in ledger.left] == ["find_or_create_sink"]

    assert shared.destroy().left == ()
    assert shared.counts() == nothing


def test_the_plan_of_a_second_destroy_names_what_it_would_look_at_again(shared: Any) -> None:
    plan = destroy_plan(shared.ledger())
    assert [(one.step, one.id) for one in plan.deletes] == [
        ("find_or_create_sink", shared.id_of("find_or_create_sink"))
    ]
    assert len(plan.look_ups) == 1
    assert (plan.in_doubt, plan.stays) == ((), ())
    shared.destroy()
    plan = destroy_plan(shared.ledger())
    assert (plan.deletes, plan.look_ups, plan.stays) == ((), (), ())


def killed_at(bench: Any, moment: int) -> bool:
    """Kill a second destroy at that moment, call it once more, and look. False if it ended before the moment came."""
    died = bool(bench.died(bench.destroy, moment))
    assert bench.destroy().left == ()
    assert set(bench.counts().values()) == {0}, f"killed at moment {moment}: {bench.counts()}"
    assert str(bench.ledger().state) == "destroyed"
    return died


@pytest.mark.parametrize("moment", range(1, AGAIN, 4))
def test_a_second_destroy_that_was_killed_anywhere_is_carried_on_by_the_third(shared: Any, moment: int) -> None:
    assert killed_at(shared, moment)


@pytest.mark.parametrize("done", [False, True], ids=["lost", "kept"])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_disk_that_fails_once_a_second_destroy_has_deleted_costs_one_call_more(
    shared: Any, nothing: dict[str, int], call: int, done: bool
) -> None:
    """The first calls write and sync what came of the delete, the third writes that the run is destroyed."""

    async def at(moment: Moment, request: Request) -> None:
        if moment is Moment.COMMITTED and request.method == "DELETE":
            shared.disk.fail(call, done=done)

    shared.at = at
    with pytest.raises((JournalPoisoned, DiskFull)):
        shared.destroy()
    shared.at = None
    ledger = shared.ledger()
    gone = [removal.id for removal in ledger.removals.values() if removal.gone]
    assert [one["id"] for one in ledger.left if one["id"] in gone] == [], "what is gone is not left"
    assert shared.destroy().left == ()
    assert shared.counts() == nothing


# How much it reads


def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many runs' events were read from journals so far."""
    reads: list[str] = []
    events = Journal.events

    def counting(journal: Journal, run: str) -> Any:
        reads.append(run)
        return events(journal, run)

    monkeypatch.setattr(Journal, "events", counting)
    return lambda: len(reads)


@pytest.mark.parametrize("count", [3, 6])
def test_many_runs_are_destroyed_with_a_number_of_reads_that_grows_with_the_runs_and_not_with_their_square(
    bench: Any, nothing: dict[str, int], monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    names = [f"run-{number}" for number in range(count)]
    for name in names:
        bench.apply(bench.spec.model_copy(update={"name": name}))

    async def destroy_all(*, journal: Journal, **options: Any) -> None:
        for name in reversed(names):  # the first made the sink
            await api.destroy(name, journal=journal, **options)

    reads = counted(monkeypatch)
    bench.sit(destroy_all)

    assert bench.counts() == nothing
    assert reads() == 2 * count, "each run once for its own destroy, and once for who builds on what"


def test_a_run_that_took_a_connection_after_it_was_first_asked_about_is_heard_of(
    bench: Any, nothing: dict[str, int]
) -> None:
    first = bench.spec.model_copy(update={"name": "first"})
    second = bench.spec.model_copy(update={"name": "second"})
    bench.apply()

    async def in_one_process(**options: Any) -> list[str]:
        await api.apply(first, **options)
        await api.destroy("first", **options)  # asks who builds on the base connection of `first`
        await api.apply(second, **options)  # takes the sink of the run before
        for target in bench.emulator.objects("targetConnections"):
            bench.emulator.world.store.delete("targetConnections", "prod", target["id"])
        return [one.why for one in (await api.destroy(bench.spec.name, **options)).left]

    assert bench.sit(in_one_process) == ["used by run second of this journal"]
    bench.destroy("second")
    assert bench.destroy().left == ()
    assert bench.counts() == nothing


def test_what_is_destroyed_while_another_run_looks_at_it_is_not_taken_as_found(bench: Any) -> None:
    first = bench.spec.model_copy(update={"name": "first"})
    second = bench.spec.model_copy(update={"name": "second"})

    async def in_one_process(**options: Any) -> Any:
        made = {one.step: one.id for one in (await api.apply(first, share=True, **options)).resources}

        async def at(moment: Moment, request: Request) -> None:
            """The second run has its answer: the base connection is there. Before it hears that, it goes."""
            if moment is Moment.COMMITTED and request.path.endswith(f"/connections/{made['create_base_connection']}"):
                bench.at = None
                await api.destroy("first", **options)

        bench.at = at
        return await api.apply(second, share=True, **options)

    report = bench.sit(in_one_process)
    assert bench.at is None
    assert str(report.state) == "provisioned"
    assert bench.is_there("connections", bench.id_of("create_base_connection", "second"))
