"""Several specs in one call: what is printed, what it ends with, and that one spec stays what it was."""

from __future__ import annotations

import json
import signal
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from flowledger.cli import provision
from flowledger.cli.fleetprogress import LiveFleetProgress
from flowledger.engine.fleet import DEFAULT_PARALLEL, RunOutcome
from flowledger.engine.ledger import RunState
from flowledger.engine.report import Report, Stop

WIDTH = 80


def specs(program: Any, count: int, folder: str = "flows") -> str:
    """So many specs in a folder of their own."""
    (program.folder / folder).mkdir(exist_ok=True)
    for number in range(count):
        program.spec((r"^name: .*$", f"name: orders-{number}"), name=f"{folder}/orders-{number}.yaml")
    secrets = program.folder / folder / "secrets"
    if not secrets.exists():
        secrets.symlink_to(program.folder / "secrets")
    return folder


def test_a_folder_of_specs_is_provisioned_with_a_table_and_sums(connected: Any, emulator: Any) -> None:
    ran = connected("apply", specs(connected, 4), "--parallel", "2")
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0].split() == ["RUN", "STATE", "STEPS", "SECONDS", "NEXT:", "flowledger"]
    assert [line.split()[:3] for line in lines[1:5]] == [[f"orders-{n}", "provisioned", "15/15"] for n in range(4)]
    assert "4 runs in" in ran.out
    assert "4 provisioned, 0 failed, 0 unfinished" in ran.out
    assert max(map(len, lines)) <= WIDTH
    assert ran.err.count("provisioned") == 4
    assert max(map(len, ran.err.splitlines())) <= WIDTH
    assert emulator.counts["connections"] == 2
    assert emulator.counts["flows"] == 4


def test_files_and_folders_may_be_mixed_and_json_is_one_document(connected: Any) -> None:
    folder = specs(connected, 2)
    ran = connected("apply", folder, connected.spec((r"^name: .*$", "name: alone"), name="alone.yml"), "--json")
    assert ran.code == 0, ran.err
    assert [run["run"] for run in ran.json["runs"]] == ["orders-0", "orders-1", "alone"]
    assert ran.json["schema_version"] == 1
    assert ran.json["summary"]["provisioned"] == 3
    assert ran.json["summary"]["exit_code"] == 0


def test_one_file_and_a_folder_with_one_file_print_what_they_always_did(connected: Any) -> None:
    spec = connected.spec()
    ran = connected("apply", spec, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["run"] == "paypal-products"
    folder = specs(connected, 1)
    ran = connected("apply", folder, "--json")
    assert ran.json["run"] == "orders-0"


def test_all_faults_of_all_files_are_told_and_nothing_is_sent(connected: Any, emulator: Any) -> None:
    folder = specs(connected, 3)
    connected.spec((r"^name: .*$", "name: orders-0"), name=f"{folder}/twice.yaml")
    connected.spec((r"^name: .*$", "name: Broken Name"), name=f"{folder}/broken.yaml")
    ran = connected("apply", folder)
    assert ran.code == 3
    assert "broken.yaml:" in ran.err
    assert "twice.yaml: name: orders-0 is the name of" in ran.err
    assert emulator.counts["connections"] == 0
    assert not connected.journal.exists()


def test_a_failure_is_told_in_the_table_and_on_stderr_and_its_code_ends_the_program(
    connected: Any, emulator: Any
) -> None:
    folder = specs(connected, 3)
    emulator.fault("POST /targetConnections", "answer", status=400, shape="service", where="orders-1 ")
    ran = connected("apply", folder)
    assert ran.code == 7
    row = next(line for line in ran.out.splitlines() if line.startswith("orders-1"))
    assert row.split()[1] == "failed"
    assert row.endswith("explain orders-1")
    assert "2 provisioned, 1 failed, 0 unfinished" in ran.out
    assert "error: orders-1: " in ran.err
    assert max(map(len, ran.out.splitlines())) <= WIDTH
    again = connected("resume", "--all", "--json")
    assert again.code == 0, again.err
    assert [run["run"] for run in again.json["runs"]] == ["orders-1"]
    assert connected("resume", "--all").out.startswith("Nothing to do")


def test_quiet_says_nothing_but_the_table(connected: Any) -> None:
    ran = connected("apply", specs(connected, 2), "-q")
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize(
    "words",
    [
        ("resume",),
        ("resume", "--all", "orders-0"),
        ("resume", "--plan"),
        ("resume", "--all", "--start", "+1h"),
        ("resume", "--all", "--plan", "--start", "+1h"),
    ],
)
def test_resume_takes_one_run_or_all_of_them(connected: Any, words: tuple[str, ...]) -> None:
    ran = connected(*words)
    assert ran.code == 2
    assert "resume --all" in ran.err


def test_an_empty_folder_is_a_usage_error(connected: Any) -> None:
    (connected.folder / "none").mkdir()
    ran = connected("apply", "none")
    assert ran.code == 2
    assert "none" in ran.err


def test_every_line_of_a_log_names_its_run(connected: Any) -> None:
    ran = connected("apply", specs(connected, 2), "-vv", "--log-format", "json")
    assert ran.code == 0, ran.err
    lines = [json.loads(line) for line in ran.err.splitlines()]
    assert {"orders-0", "orders-1"} <= {line.get("run") for line in lines}
    assert all("run" in line or "journal" in line for line in lines), [line for line in lines if "run" not in line]


def test_the_first_signal_stops_all_runs_and_the_next_call_carries_on(connected: Any, emulator: Any) -> None:
    folder = specs(connected, 3)
    emulator.fault("POST /flows", "slow", delay_ms=60000, times=0)
    process = connected.start("apply", folder)
    emulator.wait_for_call("POST", "/flows")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 75, err
    assert "resume --all" in out
    assert "Traceback" not in err
    emulator.ask("DELETE", "faults")
    ran = connected("resume", "--all")
    assert ran.code == 0, ran.err
    assert emulator.counts["flows"] == 3
    assert emulator.counts["connections"] == 2


def test_the_default_of_parallel_is_the_engines() -> None:
    assert provision.DEFAULT_PARALLEL == DEFAULT_PARALLEL


def test_on_a_terminal_the_sums_stand_in_one_line_below_what_went_wrong() -> None:
    out = StringIO()
    console = Console(file=out, width=WIDTH, force_terminal=True, color_system=None)
    progress = LiveFleetProgress(3, console, clock=lambda: 10.0)
    progress.on_event("orders-0", 1, {"kind": "run_started/1"})
    progress.on_event("orders-1", 1, {"kind": "read_answered/1", "answer": {"status": 429}})
    progress.on_run(outcome("orders-0", RunState.PROVISIONED, 0))
    progress.on_run(outcome("orders-1", RunState.FAILED, 7))
    progress.on_event("orders-2", 1, {"kind": "run_started/1"})
    console.print(progress)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert lines[0] == "[2/3] orders-1  failed  0/15 steps  1.0 s  Rejected"
    assert "1 under way, 1 failed, 1 provisioned" in lines[1]
    assert len(lines[1]) <= WIDTH


def outcome(run: str, state: RunState, code: int) -> RunOutcome:
    """What a run has come to, as the engine tells it."""
    report = Report(
        run=run, state=state, resources=(), duplicates=(), org="o", sandbox="s", nonce="n", journal="j", events=1,
        changed_at=0.0, stopped=None,
    )  # fmt: skip
    stop = Stop(error="Rejected", message="no", step="", code="", request_id="", hint="", exit_code=code)
    return RunOutcome(report=report, steps_done=0, steps=15, seconds=1.0, stopped=stop if code else None, next="")
