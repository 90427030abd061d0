"""A run that is provisioned only when its rows are there: what it waits for, what it refuses, what it tells."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.engine import api
from flowledger.engine.ledger import RunState
from flowledger.engine.table import TABLES, TABLES_WITH_ROWS, table_for
from flowledger.errors import RowsMissing, TryLater
from flowledger.steps.client.inprocess import Fate
from flowledger.steps.spec import VerifyRows

BATCH = "01EF0000000000000000000000"
GOOD = {"status": "success", "input_records": 715, "output_records": 715, "batches": [BATCH]}
PARTIAL = {
    **GOOD,
    "output_records": 712,
    "failed_records": 3,
    "errors": [{"code": "INGEST-1212-400", "message": "3 rows lack _id"}],
}
FAILED = {"status": "failed", "errors": [{"code": "CONNECTOR-1001-500", "message": "copy failed"}]}


def asking(bench: Any, **wanted: Any) -> Any:
    bench.spec = bench.spec.model_copy(update={"verify_rows": VerifyRows(**wanted)})
    return bench


def put_batch(bench: Any, **changes: Any) -> None:
    (dataset,) = bench.emulator.world.store.all("dataSets", "prod")
    batch = {
        "id": BATCH,
        "status": "success",
        "relatedObjects": [{"type": "dataSet", "id": dataset["id"]}],
        "created": 1,
        **changes,
    }
    bench.emulator.world.store.put("batches", "prod", BATCH, batch)


def lands(bench: Any, at_look: int, outcome: Any, **batch: Any) -> None:
    """Have a flow run of that outcome, and its batch, there before that look."""

    def land() -> None:
        bench.put_run(**outcome)
        put_batch(bench, **batch)

    bench.before_look[at_look] = land


def test_a_run_without_the_key_walks_no_such_step(bench: Any) -> None:
    report = bench.apply()
    assert report.state is RunState.PROVISIONED
    assert bench.looks == []
    assert not {"await_first_run", "check_rows"} & set(bench.ledger().steps)
    assert bench.ledger().table is TABLES["tutorial"]


def test_a_run_is_provisioned_once_its_rows_are_there(bench: Any) -> None:
    asking(bench)
    lands(bench, 5, GOOD)
    began = bench.time.monotonic()

    report = bench.apply()

    assert report.state is RunState.PROVISIONED
    assert (report.flow_run.state, report.flow_run.rows_out, report.flow_run.warnings) == ("success", 715, ())
    assert len(bench.looks) == 6  # five for the first run, one for the check
    assert bench.time.monotonic() - began >= 1 + 2 + 4 + 8
    assert bench.ledger().table is TABLES_WITH_ROWS["tutorial"]
    assert "check_rows" not in [resource.step for resource in report.resources]


def test_rejected_rows_fail_the_run_with_the_platforms_reasons(bench: Any) -> None:
    asking(bench)
    lands(bench, 1, PARTIAL)
    with pytest.raises(
        RowsMissing, match=r"3 rows were rejected, 712 arrived: INGEST-1212-400 3 rows lack _id"
    ) as caught:
        bench.apply()
    assert (caught.value.exit_code, caught.value.step) == (10, "check_rows")
    assert bench.ledger().state is RunState.FAILED


def test_as_many_rejected_rows_as_the_spec_allows_are_no_fault(bench: Any) -> None:
    asking(bench, rejected=3)
    lands(bench, 1, PARTIAL)
    report = bench.apply()
    assert (report.flow_run.state, report.flow_run.rows_failed) == ("partial", 3)
    assert report.flow_run.errors == ("INGEST-1212-400 3 rows lack _id",)


def test_to_warn_is_to_be_provisioned_and_to_tell_why(bench: Any) -> None:
    asking(bench, otherwise="warn")
    lands(bench, 1, PARTIAL)
    report = bench.apply()
    assert report.state is RunState.PROVISIONED
    assert "3 rows were rejected" in report.flow_run.warnings[0]


@pytest.mark.parametrize(
    ("wanted", "outcome", "batch", "said"),
    [
        ({}, FAILED, {}, r"failed: CONNECTOR-1001-500 copy failed"),
        ({"least": 716}, GOOD, {}, r"brought 715 rows, and 716 are the least"),
        ({}, {**GOOD, "output_records": 0}, {}, r"brought 0 rows, and 1 are the least"),
        ({}, {**GOOD, "output_records": -1}, {}, r"does not say how many rows arrived"),
        ({}, GOOD, {"status": "failed", "errors": [{"code": "A-1", "description": "disk"}]}, r"is failed .*: A-1 disk"),
        ({}, GOOD, {"status": "processing"}, r"is processing in Catalog"),
        ({}, GOOD, {"relatedObjects": [{"type": "dataSet", "id": "other"}]}, r"went into dataset other"),
        ({}, GOOD, {"metrics": {"recordsWritten": 700}}, r"Catalog counts 700 rows .*, not 715"),
    ],
    ids=["failed", "too-few", "none", "untold", "batch-failed", "batch-under-way", "elsewhere", "miscounted"],
)
def test_each_thing_that_can_be_wrong_is_told(
    bench: Any, wanted: dict[str, Any], outcome: dict[str, Any], batch: dict[str, Any], said: str
) -> None:
    asking(bench, **wanted)
    lands(bench, 1, outcome, **batch)
    with pytest.raises(RowsMissing, match=said):
        bench.apply()


def test_a_batch_that_catalog_does_not_show_is_waited_for_and_then_a_fault(bench: Any) -> None:
    asking(bench)
    bench.before_look[1] = lambda: bench.put_run(**GOOD)
    began = bench.time.monotonic()
    with pytest.raises(RowsMissing, match="is not in Catalog"):
        bench.apply()
    assert bench.time.monotonic() - began > 300
    put_batch(bench, metrics={"recordsWritten": 715})
    assert bench.sit(api.resume, bench.spec.name).state is RunState.PROVISIONED


def test_a_later_flow_run_that_is_right_is_accepted_by_resume(bench: Any) -> None:
    asking(bench)
    lands(bench, 1, FAILED)
    with pytest.raises(RowsMissing):
        bench.apply()
    bench.put_run(**GOOD)
    assert bench.sit(api.resume, bench.spec.name).flow_run.rows_out == 715


def test_the_wait_is_longer_than_the_deadline_of_a_sitting_and_ends_when_it_is_over(bench: Any) -> None:
    asking(bench, wait=7200)
    began = bench.time.monotonic()
    with pytest.raises(TryLater, match=r"no run .* is over 7200 s after its start: none shows yet"):
        bench.apply()
    assert bench.time.monotonic() - began == pytest.approx(600 + 7200, abs=1)
    assert bench.ledger().state is RunState.PROVISIONING
    lands(bench, len(bench.looks) + 1, GOOD)
    assert bench.sit(api.resume, bench.spec.name).state is RunState.PROVISIONED


def test_a_wait_that_was_interrupted_ends_when_it_would_have_ended(bench: Any) -> None:
    asking(bench, wait=7200)
    began = bench.time.monotonic()
    bench.before_look[9] = lambda: bench.halt.request("SIGTERM")
    with pytest.raises(TryLater, match="SIGTERM"):
        bench.apply()
    bench.time.advance(3000)
    bench.halt = type(bench.halt)()
    with pytest.raises(TryLater, match="none shows yet"):
        bench.sit(api.resume, bench.spec.name)
    assert bench.time.monotonic() - began < 600 + 7200 + 100


def test_no_flow_run_in_time_is_only_a_warning_if_the_spec_says_so(bench: Any) -> None:
    asking(bench, wait=60, otherwise="warn")
    report = bench.apply()
    assert report.state is RunState.PROVISIONED
    assert report.flow_run.warnings == ("no run of the dataflow is over",)


def test_lost_answers_of_the_reads_are_repeated_and_nothing_is_made_twice(bench: Any) -> None:
    asking(bench)
    lands(bench, 1, GOOD)
    lost = iter((True, True, False, True))
    bench.fate = lambda request: (
        Fate.ANSWER_LOST if request.path.endswith(("/runs", BATCH)) and next(lost, False) else Fate.ANSWERED
    )
    assert bench.apply().state is RunState.PROVISIONED
    assert bench.emulator.count("flows") == 1


@pytest.mark.parametrize("at", range(1, 26, 2))
def test_a_death_anywhere_in_the_waiting_and_checking_is_carried_on(
    bench: Any, died: type[BaseException], at: int
) -> None:
    asking(bench)
    lands(bench, 3, GOOD)
    moments = iter(range(1, 1000))

    async def die(moment: Any, request: Any) -> None:
        if request.path.endswith(("/runs", BATCH)) and next(moments) == at:
            raise died

    bench.at = die
    with pytest.raises(died):
        bench.apply()
    assert bench.apply().flow_run.rows_out == 715
    assert bench.emulator.count("flows") == bench.emulator.count("dataSets") == 1
    assert bench.kinds_of_events().count("run_provisioned/1") == 1


def test_a_run_that_waits_for_rows_can_be_destroyed(bench: Any) -> None:
    asking(bench, wait=60)
    with pytest.raises(TryLater):
        bench.apply()
    assert bench.sit(api.destroy, bench.spec.name).state is RunState.DESTROYED
    assert bench.emulator.count("flows") == 0


@pytest.mark.parametrize("style", TABLES)
def test_the_rows_are_the_last_of_either_style(bench: Any, style: str) -> None:
    spec = asking(bench).spec.model_copy(update={"style": style})
    table = table_for(spec)
    assert [row.step.row for row in table.rows][-2:] == ["15", "16"]
    assert table.rows[:-2] != ()
    assert [row.step.name for row in table.rows[:-2]] == [row.step.name for row in TABLES[style].rows]
    assert table.chain(spec) == TABLES[style].chain(spec) + 3
