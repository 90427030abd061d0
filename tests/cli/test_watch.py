"""watch as people and batch jobs type it: what it prints, and what it ends with."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import IO, Any

import pytest
from jsonschema import Draft202012Validator

from flowledger.cli.schema import schema_of
from flowledger.journal import Journal

RUN = "paypal-products"
PARTIAL = {
    "status": "success",
    "input_records": 715,
    "output_records": 712,
    "failed_records": 3,
    "errors": [{"code": "INGEST-1212-400", "message": "3 rows lack the required field _id, " + "which is long " * 9}],
    "batches": ["01EF0000000000000000000000"],
}
FAILED = {"status": "failed", "errors": [{"code": "CONNECTOR-1001-500", "message": "copy \x1b[31mfailed"}]}


def put_run(emulator: Any, program: Any, outcome: Any) -> str:
    document = program("status", RUN, "--json").json
    flow = next(resource["id"] for resource in document["resources"] if resource["kind"] == "flows")
    return str(emulator.ask("POST", "runs", {"flowId": flow, "outcome": outcome})["id"])


def test_a_partial_run_is_told_with_its_counts_and_its_reason_in_80_columns(provisioned: Any, emulator: Any) -> None:
    id = put_run(emulator, provisioned, PARTIAL)

    ran = provisioned("watch", RUN, "--until", "first")

    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0].split() == ["SEEN", "STATE", "READ", "ARRIVED", "REJECTED", "TOOK", "FLOW", "RUN"]
    assert lines[1].split()[1:5] == ["partial", "715", "712", "3"]
    assert lines[1].split()[-1][:6] == id[:6]
    assert lines[2].startswith("  INGEST-1212-400 3 rows lack")
    assert lines[-1] == "1 flow run is over: 712 rows arrived, 3 rejected"
    assert max(map(len, lines)) <= 80


def test_a_failed_run_ends_with_10_and_steers_no_terminal(provisioned: Any, emulator: Any) -> None:
    put_run(emulator, provisioned, FAILED)
    ran = provisioned("watch", RUN, "--until", "1 run")
    assert ran.code == 10
    assert "failed" in ran.out
    assert "\x1b" not in ran.out


def test_json_is_a_document_a_line_and_tells_nothing_twice(provisioned: Any, emulator: Any) -> None:
    id = put_run(emulator, provisioned, PARTIAL)

    first = provisioned("watch", RUN, "--until", "first", "--json")
    again = provisioned("watch", RUN, "--until", "first", "--json")

    told, ended = map(json.loads, first.out.splitlines())
    for line in (told, ended):
        Draft202012Validator(schema_of("watch")).validate(line)
    assert (told["schema_version"], told["watch"], told["run"], told["id"]) == (1, "flow_run", RUN, id)
    assert (told["state"], told["rows_in"], told["rows_out"], told["rows_failed"]) == ("partial", 715, 712, 3)
    assert told["errors"][0]["code"] == "INGEST-1212-400"
    assert told["batches"] == PARTIAL["batches"]
    assert (ended["watch"], ended["ended"], ended["exit_code"]) == ("ended", "enough", 0)
    assert [json.loads(line)["watch"] for line in again.out.splitlines()] == ["ended"]


def test_a_collector_of_json_lines_gets_each_flow_run_on_stderr(provisioned: Any, emulator: Any) -> None:
    id = put_run(emulator, provisioned, FAILED)
    ran = provisioned("watch", RUN, "--until", "first", "--log-format", "json")
    lines = [json.loads(line) for line in ran.err.splitlines()]
    (seen,) = [line for line in lines if line["event"] == "flow run seen"]
    assert (seen["level"], seen["run"], seen["id"], seen["state"]) == ("error", RUN, id, "failed")
    assert lines[-1]["exit_code"] == 10


def test_ctrl_c_is_how_a_watch_without_an_end_ends(
    provisioned: Any, emulator: Any, wait_for_line: Callable[[IO[str] | None, str], str]
) -> None:
    put_run(emulator, provisioned, PARTIAL)
    process = provisioned.start("watch", RUN)
    try:
        wait_for_line(process.stdout, "partial")
        process.send_signal(signal.SIGINT)
    finally:
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "1 flow run is over" in out


def test_the_journal_is_free_while_nothing_is_written(
    provisioned: Any, emulator: Any, wait_for_line: Callable[[IO[str] | None, str], str]
) -> None:
    put_run(emulator, provisioned, PARTIAL)
    process = provisioned.start("watch", RUN)
    try:
        wait_for_line(process.stdout, "partial")
        assert provisioned("drift", RUN, "--lock-timeout", "10s").code == 0
    finally:
        process.kill()
        process.communicate(timeout=30)


def test_while_another_process_has_the_journal_runs_are_told_and_kept_for_later(
    provisioned: Any, emulator: Any
) -> None:
    id = put_run(emulator, provisioned, PARTIAL)
    with Journal.open(provisioned.journal):
        held = provisioned("watch", RUN, "--until", "first", "--lock-timeout", "0s")
    assert held.code == 6
    assert id[:6] in held.out
    again = provisioned("watch", RUN, "--until", "first")
    assert again.code == 0
    assert id[:6] in again.out, "it was never written down, and so is told once more"
    assert id[:6] not in provisioned("watch", RUN, "--until", "first").out


def test_history_and_explain_know_what_watch_saw(provisioned: Any, emulator: Any) -> None:
    id = put_run(emulator, provisioned, PARTIAL)
    provisioned("watch", RUN, "--until", "first")
    assert f"flow run {id} is partial: 715 rows read, 712 rows arrived, 3 rows" in " ".join(
        provisioned("history", RUN).out.split()
    )
    status = provisioned("status", RUN)
    assert "latest flow run: partial, 712 rows arrived, 3 rejected" in status.out
    explained = provisioned("explain", RUN)
    assert f"flow run {id} is partial" in " ".join(explained.out.split())


def test_status_json_has_the_latest_flow_run(provisioned: Any, emulator: Any) -> None:
    assert provisioned("status", RUN, "--json").json["flow_run"] is None
    id = put_run(emulator, provisioned, PARTIAL)
    provisioned("watch", RUN, "--until", "first")
    seen = provisioned("status", RUN, "--json").json["flow_run"]
    assert (seen["id"], seen["state"], seen["rows_out"]) == (id, "partial", 712)
    Draft202012Validator(schema_of("status")).validate(provisioned("status", RUN, "--json").json)


@pytest.mark.parametrize("until", ["never", "0 runs", "-3 runs", "first run of all"])
def test_an_end_that_cannot_be_meant_is_a_usage_error(program: Any, until: str) -> None:
    ran = program("watch", RUN, "--until", until)
    assert ran.code == 2
    assert "is not an end of a watch" in ran.err


def test_looking_without_a_pause_is_refused(program: Any) -> None:
    assert program("watch", RUN, "--every", "0s").code == 2


def test_a_run_that_is_not_there_ends_with_5(program: Any) -> None:
    assert program("watch", "nothing").code == 5


def test_apply_of_a_spec_that_asks_for_rows_ends_with_them(connected: Any, emulator: Any) -> None:
    file = connected.spec((r"^settle: .*$", "settle: 1s\nverify_rows: {wait: 1s, otherwise: warn}"),
                          (r"start: .*$", "start: +1s"))  # fmt: skip
    planned = connected("plan", file, "--offline")
    assert "await_first_run" in planned.out
    late = connected("apply", file)
    assert late.code == 0, late.err
    assert "warning: no run of the dataflow is over" in late.out
    document = connected("status", RUN, "--json").json
    Draft202012Validator(schema_of("status")).validate(document)
    assert document["flow_run"]["warnings"]


def test_an_apply_whose_rows_do_not_arrive_says_when_to_look_again(connected: Any, emulator: Any) -> None:
    file = connected.spec((r"^settle: .*$", "settle: 1s\nverify_rows: 1s"), (r"start: .*$", "start: +1s"))
    ran = connected("apply", file)
    assert ran.code == 75
    assert "is over 1 s after its start: none shows yet" in ran.err
    put_run(emulator, connected, FAILED)
    failed = connected("resume", RUN, "--json")
    assert failed.code == 10
    assert failed.json["stopped"]["error"] == "RowsMissing"
    assert "CONNECTOR-1001-500" in failed.json["stopped"]["message"]
    explained = connected("explain", RUN)
    assert "RowsMissing" in explained.out
    assert "\x1b" not in explained.out + failed.err


def test_while_nothing_is_there_it_says_when_the_next_flow_run_is_due(provisioned: Any) -> None:
    ran = provisioned("watch", "paypal-products", "--until", "1ms")
    assert ran.code == 0
    assert ran.err.startswith("waiting for a flow run: the next is due in 9 min ")
    assert "0 flow runs are over" in ran.out
    assert "the next is due in 9 min " in ran.out
    last = provisioned("watch", "paypal-products", "--until", "1ms", "--json", "-q")
    assert last.err == ""
    assert json.loads(last.out.splitlines()[-1])["due"] > 0


def test_a_dataset_that_is_gone_is_not_read_as_an_empty_one(provisioned: Any, emulator: Any) -> None:
    assert provisioned("read", "paypal-products").code == 0
    emulator.fault("GET /dataSets/{id}", "answer", status=404, shape="service")
    ran = provisioned("read", "paypal-products")
    assert ran.code == 5
    assert "is not on the platform any more" in ran.err
    assert "next: flowledger drift paypal-products" in ran.err


def test_drift_says_what_differs_once_and_explain_names_it_afterwards(provisioned: Any, emulator: Any) -> None:
    emulator.fault("GET /dataSets/{id}", "answer", status=404, shape="service", times=0)
    ran = provisioned("drift", "paypal-products")
    emulator.ask("DELETE", "faults")
    assert ran.code == 8
    assert (ran.out + ran.err).count(" is gone") == 1
    explained = provisioned("explain", "paypal-products").out
    assert "1 object is gone or edited" in explained
    assert "Next: flowledger drift paypal-products" in explained
    assert provisioned("drift", "paypal-products").code == 0
    assert "nothing to explain" in provisioned("explain", "paypal-products").out
