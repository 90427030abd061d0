"""A run from its first call to its last, with everything that can become of a call in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowledger.engine.ledger import RunState
from flowledger.engine.table import table_of
from flowledger.errors import (
    Conflict,
    Drifted,
    Interrupted,
    NotPermitted,
    SpecError,
    Unreachable,
    UsageError,
)
from flowledger.steps.client.inprocess import Fate, Moment
from flowledger.steps.client.port import Request
from flowledger.steps.step import How

EFFECTS = [
    ("create_base_connection", "/connections", "auth"),
    ("create_adhoc_class", "/tenant/classes", ""),
    ("create_adhoc_schema", "/tenant/schemas", "adhoc-schema"),
    ("create_source_connection", "/sourceConnections", ""),
    ("create_field_group", "/tenant/fieldgroups", ""),
    ("create_target_schema", "/tenant/schemas", "target-schema"),
    ("create_dataset", "/dataSets", ""),
    ("find_or_create_sink", "/connections", "-sink"),
    ("create_target_connection", "/targetConnections", ""),
    ("create_mapping_set", "/mappingSets", ""),
    ("create_flow", "/flows", ""),
]
each_effect = pytest.mark.parametrize(("step", "path", "within"), EFFECTS, ids=[step for step, _, _ in EFFECTS])


def is_effect_of(request: Request, path: str, within: str) -> bool:
    return request.effect and request.method == "POST" and request.path.endswith(path) and within in str(request.body)


def once(path: str, within: str, fate: Fate) -> Callable[[Request], Fate]:
    """Give that fate to the first such request only."""
    left = [fate]

    def decide(request: Request) -> Fate:
        return left.pop() if left and is_effect_of(request, path, within) else Fate.ANSWERED

    return decide


def test_every_step_of_the_tutorial_is_taken_once(bench: Any, made_once: dict[str, int]) -> None:
    report = bench.apply()

    assert report.state is RunState.PROVISIONED
    assert bench.counts() == made_once
    assert {resource.how for resource in report.resources} == {"created"}
    assert len(report.resources) == len(EFFECTS)
    for resource in report.resources:
        assert bench.emulator.world.store.get(resource.kind, "prod", resource.id) is not None


def test_a_finished_run_is_left_alone(bench: Any, made_once: dict[str, int]) -> None:
    first = bench.apply()
    bench.requests.clear()
    events = bench.ledger().events

    assert bench.apply() == first
    assert bench.resume() == first
    assert bench.requests == []
    assert bench.ledger().events == events


def test_a_run_takes_no_longer_than_the_chain_that_is_planned(bench: Any) -> None:
    began = bench.time.monotonic()

    async def hundred_ms(moment: Moment, request: Request) -> None:
        if moment is Moment.CONNECTED:
            await bench.time.sleep(0.1)

    bench.at = hundred_ms
    bench.apply()
    assert bench.time.monotonic() - began == pytest.approx(0.1 * table_of(bench.spec.style).chain(bench.spec), rel=0.01)


@each_effect
@pytest.mark.parametrize("fate", [Fate.ANSWER_LOST, Fate.ANSWER_CUT])
def test_a_lost_answer_is_adopted_not_repeated(
    bench: Any, made_once: dict[str, int], step: str, path: str, within: str, fate: Fate
) -> None:
    bench.fate = once(path, within, fate)
    report = bench.apply()

    assert report.state is RunState.PROVISIONED
    assert bench.counts() == made_once
    assert [resource.how for resource in report.resources if resource.step == step] == [How.ADOPTED]
    assert sum(is_effect_of(request, path, within) for request in bench.requests) == 1


@each_effect
def test_a_lost_request_is_sent_again_only_after_the_settle_window(
    bench: Any, made_once: dict[str, int], step: str, path: str, within: str
) -> None:
    sent_at: list[float] = []

    async def clock_in(moment: Moment, request: Request) -> None:
        if moment is Moment.HANDED_OVER and is_effect_of(request, path, within):
            sent_at.append(bench.time.monotonic())

    bench.at = clock_in
    bench.fate = once(path, within, Fate.LOST)
    report = bench.apply()

    assert report.state is RunState.PROVISIONED
    assert report.duplicates == ()
    assert bench.counts() == made_once
    settle = bench.spec.settle
    assert sent_at[1] - sent_at[0] > settle.window + settle.send_within
    assert not bench.ledger().step(step).needs_last_look


@each_effect
@pytest.mark.parametrize("moment", list(Moment))
def test_a_process_that_dies_in_a_call_leaves_exactly_one_of_everything_after_resume(
    bench: Any,
    made_once: dict[str, int],
    died: type[BaseException],
    step: str,
    path: str,
    within: str,
    moment: Moment,
) -> None:
    async def die(here: Moment, request: Request) -> None:
        if here is moment and is_effect_of(request, path, within):
            raise died

    bench.at = die
    with pytest.raises(died):
        bench.apply()
    bench.at = None
    assert bench.ledger().state is RunState.IN_DOUBT
    report = bench.resume()

    assert report.state is RunState.PROVISIONED
    assert bench.counts() == made_once
    committed = moment in (Moment.COMMITTED, Moment.PARTLY_READ)
    assert bench.ledger().step(step).how is (How.ADOPTED if committed else How.CREATED)


def test_a_run_killed_before_its_first_call_begins_again_under_the_same_nonce(
    bench: Any, made_once: dict[str, int], died: type[BaseException]
) -> None:
    async def die(moment: Moment, request: Request) -> None:
        raise died

    bench.at = die
    with pytest.raises(died):
        bench.apply()
    nonce = bench.ledger().nonce
    bench.at = None
    assert bench.apply().nonce == nonce
    assert bench.counts() == made_once


def test_throttling_is_obeyed_and_costs_no_settle_window(bench: Any, made_once: dict[str, int]) -> None:
    bench.emulator.faults.add("POST /dataSets", "answer", status=429, retry_after=7)
    began = bench.time.monotonic()
    report = bench.apply()

    assert report.state is RunState.PROVISIONED
    assert bench.counts() == made_once
    assert 7 <= bench.time.monotonic() - began < 8


def test_a_platform_that_only_throttles_ends_the_sitting_and_not_the_run(bench: Any, made_once: dict[str, int]) -> None:
    bench.emulator.faults.add("POST /flows", "answer", status=429, times=0)
    with pytest.raises(Unreachable) as failed:
        bench.apply()
    assert failed.value.exit_code == 75
    assert "resume" in failed.value.hint
    bench.emulator.faults.clear()
    assert bench.resume().state is RunState.PROVISIONED
    assert bench.counts() == made_once


def test_an_expired_token_is_renewed_once_and_the_call_made_again(bench: Any, made_once: dict[str, int]) -> None:
    bench.emulator.faults.add("POST /dataSets", "token")
    report = bench.apply()
    assert report.state is RunState.PROVISIONED
    assert bench.counts() == made_once
    assert bench.sent("POST", "/ims/token/v3") == 2


@pytest.mark.parametrize("shape", ["html", "gateway", "service", "empty"])
@pytest.mark.parametrize("status", [408, 500, 503])
def test_a_server_error_after_the_commit_is_in_doubt_and_adopted(
    bench: Any, made_once: dict[str, int], shape: str, status: int
) -> None:
    for path in ("POST /tenant/classes", "POST /dataSets", "POST /flows"):
        bench.emulator.faults.add(path, "answer", status=status, when="after", shape=shape)
    report = bench.apply()
    assert report.state is RunState.PROVISIONED
    assert bench.counts() == made_once


@each_effect
def test_a_commit_that_lands_after_the_client_died_is_still_the_only_one(
    bench: Any, made_once: dict[str, int], died: type[BaseException], step: str, path: str, within: str
) -> None:
    late = bench.spec.settle.window * 0.9
    bench.emulator.faults.add(f"POST {path}", "late", after_ms=int(late * 1000), where=within)

    async def die(moment: Moment, request: Request) -> None:
        if moment is Moment.COMMITTED and is_effect_of(request, path, within):
            raise died

    bench.at = die
    with pytest.raises(died):
        bench.apply()
    bench.at = None
    report = bench.resume()
    assert report.state is RunState.PROVISIONED
    assert bench.counts() == made_once
    assert bench.ledger().step(step).how is How.ADOPTED


def test_somebody_elses_resource_with_our_title_is_a_conflict_and_is_left_alone(bench: Any) -> None:
    taken: list[str] = []

    async def squat(moment: Moment, request: Request) -> None:
        if moment is Moment.CONNECTED and is_effect_of(request, "/tenant/classes", "") and not taken:
            taken.append(request.body["title"])
            bench.emulator.world.store.put(
                "classes", "prod", "https://ns.adobe.com/other/classes/aa",
                {"$id": "https://ns.adobe.com/other/classes/aa", "meta:altId": "_other.classes.aa",
                 "title": request.body["title"], "description": "mine", "version": "1.0", "imsOrg": "LOCAL@AdobeOrg"},
            )  # fmt: skip

    bench.at = squat
    with pytest.raises(Conflict) as failed:
        bench.apply()
    assert failed.value.exit_code == 7
    assert "classes/aa" in str(failed.value)
    assert bench.emulator.count("classes") == 1
    assert bench.ledger().state is RunState.FAILED


def test_the_registrys_title_answer_about_our_own_object_is_adopted(bench: Any, made_once: dict[str, int]) -> None:
    """The first answer is lost and lists lag, so that the call is made again and the registry names our own class."""
    bench.emulator.faults.set_list_lag("classes", 10_000_000)
    bench.fate = once("/tenant/classes", "", Fate.ANSWER_LOST)
    report = bench.apply()
    assert report.state is RunState.PROVISIONED
    assert bench.counts() == made_once
    assert bench.ledger().step("create_adhoc_class").how is How.ADOPTED


def test_a_twin_that_shows_up_after_the_window_is_reported_by_the_last_look(bench: Any) -> None:
    """A platform slower than the settle window makes a twin that nobody can prevent; it is counted, not hidden."""
    window = bench.spec.settle.window + bench.spec.settle.send_within
    bench.emulator.faults.add("POST /dataSets", "late", after_ms=int(window * 1000) + 500)
    report = bench.apply()
    assert report.state is RunState.PROVISIONED
    assert bench.emulator.count("dataSets") == 2
    assert len(report.duplicates) == 1


def test_drift_is_reported_before_anything_is_built_on_it(bench: Any, died: type[BaseException]) -> None:
    async def die(moment: Moment, request: Request) -> None:
        if moment is Moment.CONNECTED and is_effect_of(request, "/flows", ""):
            raise died

    bench.at = die
    with pytest.raises(died):
        bench.apply()
    bench.at = None
    schema = next(item for item in bench.emulator.objects("dataSets"))
    bench.emulator.world.store.delete("dataSets", "prod", schema.get("id") or schema["_id"])
    bench.time.advance(bench.spec.settle.window * 10)
    with pytest.raises(Drifted) as failed:
        bench.resume()
    assert failed.value.exit_code == 8
    assert "dataset" in str(failed.value)
    assert bench.emulator.count("flows") == 0


def test_a_look_up_that_fails_proves_nothing(bench: Any, made_once: dict[str, int]) -> None:
    """The dataset's answer is lost and the list answers 503 for a while: nothing is sent again meanwhile."""
    bench.fate = once("/dataSets", "", Fate.ANSWER_LOST)
    bench.emulator.faults.add("GET /dataSets", "answer", status=503, times=3)
    assert bench.apply().state is RunState.PROVISIONED
    assert bench.counts() == made_once


def test_a_settle_window_and_a_last_look_that_are_longer_than_the_sittings_deadline_are_waited_for(
    bench: Any, made_once: dict[str, int]
) -> None:
    bench.spec = bench.spec.model_copy(update={"settle": bench.spec.settle.model_copy(update={"window": 2000.0})})
    bench.fate = once("/flows", "", Fate.LOST)
    began = bench.time.monotonic()
    assert bench.apply().state is RunState.PROVISIONED
    assert bench.counts() == made_once
    assert bench.time.monotonic() - began > 2 * 2000.0


@pytest.mark.parametrize("deadline", [1.0, 60.0, 90.0])
@pytest.mark.parametrize("path", ["/dataSets", "/connections", "/tenant/schemas", "/mappingSets", "/flows"])
def test_a_doubt_that_every_start_meets_on_another_host_ends_with_the_second_start(
    bench: Any, made_once: dict[str, int], deadline: float, path: str
) -> None:
    """However short `retry.deadline` is: the settle window of another boot begins anew at each start."""
    bench.spec = bench.spec.model_copy(
        update={"retry": bench.spec.retry.model_copy(update={"deadline": deadline, "first_wait": 0.1})}
    )
    bench.fate = once(path, "", Fate.LOST)

    async def stop(moment: Moment, request: Request) -> None:
        if moment is Moment.CHECKED and is_effect_of(request, path, ""):
            bench.halt.request("SIGTERM")

    bench.at = stop
    with pytest.raises(Interrupted):
        bench.apply()
    assert bench.ledger().state is RunState.IN_DOUBT
    bench.at, bench.halt = None, type(bench.halt)()
    bench.time.boot_id = "another-host"
    bench.time.advance(3600)
    assert bench.resume().state is RunState.PROVISIONED
    assert bench.counts() == made_once


def test_settle_waits_of_several_branches_lengthen_the_sitting_by_the_time_that_passed_and_no_more(bench: Any) -> None:
    """Two doubts wait at the same time; then the platform stays away, and the sitting ends after its deadline."""
    retry = bench.spec.retry.model_copy(update={"deadline": 100.0, "attempts": 100, "longest_wait": 5.0})
    bench.spec = bench.spec.model_copy(update={"retry": retry})
    lost = {"/dataSets", "/classes"}

    def fate(request: Any) -> Fate:
        for path in list(lost):
            if request.method == "POST" and request.path.endswith(path):
                lost.discard(path)
                return Fate.LOST
        return Fate.REFUSED if request.path.endswith("/sourceConnections") else Fate.ANSWERED

    bench.fate = fate
    began = bench.time.monotonic()
    with pytest.raises(Unreachable):
        bench.apply()
    waited = bench.time.monotonic() - began
    assert 100.0 < waited < 100.0 + 2 * (bench.spec.settle.window + bench.spec.settle.send_within)


def test_a_halt_lets_the_calls_in_flight_finish_and_begins_no_other(bench: Any, made_once: dict[str, int]) -> None:
    async def ask(moment: Moment, request: Request) -> None:
        if moment is Moment.COMMITTED and is_effect_of(request, "/dataSets", ""):
            bench.halt.request("SIGTERM")

    bench.at = ask
    with pytest.raises(Interrupted) as failed:
        bench.apply()
    assert failed.value.exit_code == 75
    assert bench.ledger().step("create_dataset").how is How.CREATED
    assert bench.emulator.count("targetConnections") == 0
    bench.at = None
    bench.halt = type(bench.halt)()
    assert bench.resume().state is RunState.PROVISIONED
    assert bench.counts() == made_once


def test_a_call_that_outlasts_the_halts_grace_is_abandoned_in_doubt_and_adopted_later(
    bench: Any, made_once: dict[str, int]
) -> None:
    async def hang(moment: Moment, request: Request) -> None:
        if moment is Moment.COMMITTED and is_effect_of(request, "/dataSets", ""):
            bench.halt.request("SIGINT")
            await bench.time.sleep(60)

    bench.at = hang
    with pytest.raises(Interrupted):
        bench.apply()
    assert [attempt.outcome for attempt in bench.ledger().step("create_dataset").attempts] == ["in_doubt"]
    bench.at = None
    bench.halt = type(bench.halt)()
    assert bench.resume().state is RunState.PROVISIONED
    assert bench.counts() == made_once


def test_a_changed_spec_is_refused_with_its_differences(bench: Any) -> None:
    bench.apply()
    changed = bench.spec.model_copy(
        update={"source": bench.spec.source.model_copy(update={"table": "PayPal.Transactions"})}
    )
    with pytest.raises(SpecError) as failed:
        bench.apply(changed)
    assert failed.value.exit_code == 3
    assert any("table" in fault for fault in failed.value.faults)


def test_a_run_is_refused_in_another_sandbox(bench: Any, died: type[BaseException]) -> None:
    async def die(moment: Moment, request: Request) -> None:
        if is_effect_of(request, "/dataSets", ""):
            raise died

    bench.at = die
    with pytest.raises(died):
        bench.apply()
    bench.at = None
    with pytest.raises(UsageError, match="sandbox prod"):
        bench.resume(sandbox="dev")


def test_an_unknown_column_is_refused_before_anything_is_created_from_it(bench: Any) -> None:
    mappings = (*bench.spec.mappings, bench.spec.mappings[0].model_copy(update={"source": "Nope", "to": "personID"}))
    with pytest.raises(SpecError) as failed:
        bench.apply(bench.spec.model_copy(update={"mappings": mappings}))
    assert failed.value.exit_code == 3
    assert "Nope" in str(failed.value) + str(failed.value.faults)
    assert bench.emulator.count("classes") == 0


def test_no_secret_is_in_the_journal(bench: Any) -> None:
    bench.apply()
    secret = Path(bench.spec.folder, bench.spec.source.connection.params["clientSecret"].file).read_text().strip()
    text = str(bench.documents())
    assert secret not in text
    assert "local-secret" not in text
    assert "Bearer" not in text


def test_every_answer_is_in_the_journal(bench: Any) -> None:
    answered: list[str] = []

    async def count(moment: Moment, request: Request) -> None:
        if moment is Moment.COMMITTED:
            answered.append(request.path)

    bench.at = count
    bench.apply()
    kept = [doc for doc in bench.documents() if "answer" in doc]
    assert len(kept) == len(answered)


def test_a_wrong_secret_is_not_permitted(bench: Any) -> None:
    bench.client_secret = "not-the-secret"
    with pytest.raises(NotPermitted) as failed:
        bench.apply()
    assert failed.value.exit_code == 4


def test_the_first_event_holds_the_whole_spec(bench: Any) -> None:
    bench.apply()
    first = bench.documents()[0]
    assert first["kind"] == "run_started/1"
    assert first["spec"]["name"] == bench.spec.name
    assert len({row.step.name for row in bench.ledger().table.rows} - set(bench.ledger().steps)) == 0
