"""apply, resume and what they leave behind, as a batch job sees them."""

from __future__ import annotations

import shutil
from typing import Any

KINDS = {
    "connections", "classes", "schemas", "fieldgroups", "dataSets", "sourceConnections", "targetConnections",
    "mappingSets", "flows",
}  # fmt: skip


def test_apply_provisions_and_says_each_step_with_its_id_and_where_the_journal_is(connected: Any) -> None:
    ran = connected.apart("apply", connected.spec())
    assert ran.code == 0, ran.err
    assert "provisioned" in ran.out
    assert "create_flow" in ran.out
    assert "journal" in ran.out
    finished = [line.split()[0] for line in ran.err.splitlines()]
    assert len(finished) == 15
    assert finished[-1] == "await_flow"


def test_the_json_of_apply_resume_and_status_is_one_document_of_one_shape(connected: Any, emulator: Any) -> None:
    spec = connected.spec()
    applied = connected("apply", spec, "--json").json
    assert applied["schema_version"] == 1
    assert (applied["run"], applied["state"]) == ("paypal-products", "provisioned")
    assert {resource["kind"] for resource in applied["resources"]} == KINDS
    assert {resource["how"] for resource in applied["resources"]} == {"created"}
    assert all(resource["id"] and resource["step"] for resource in applied["resources"])
    assert connected("status", "paypal-products", "--json").json == applied
    assert connected("resume", "paypal-products", "--json").json == applied
    counts = emulator.counts
    assert counts == {**dict.fromkeys(counts, 1), "connections": 2, "schemas": 2}


def test_a_second_apply_does_nothing_and_asks_nobody(provisioned: Any) -> None:
    away = {"FLOWLEDGER_BASE_URL": "http://127.0.0.1:1", "FLOWLEDGER_CLIENT_ID": ""}
    for verb in (("apply", "spec.yaml"), ("resume", "paypal-products")):
        ran = provisioned(*verb, env=away)
        assert ran.code == 0, ran.err
        assert "Nothing to do" in ran.out


def test_apply_local_needs_no_environment_and_keeps_its_platform_beside_the_journal(program: Any) -> None:
    ran = program.apart("apply", program.spec(), "--local")
    assert ran.code == 0, ran.err
    state = program.folder / "emulator"
    assert (state / "emulator.sqlite").exists()
    assert state.stat().st_mode & 0o777 == 0o700
    assert "warning" not in ran.err
    shutil.rmtree(state)
    assert program("apply", "spec.yaml", "--local").code == 0
    assert not state.exists(), "no emulator is started where there is nothing to do"


def test_a_run_that_was_killed_is_resumed_by_apply_and_by_resume(connected: Any, emulator: Any) -> None:
    emulator.fault("POST /dataSets", "slow", delay_ms=60000)
    process = connected.start("apply", connected.spec(), "-vv")
    for line in process.stderr:
        if line.startswith("find_or_create_sink"):
            break
    process.kill()
    process.communicate()
    emulator.ask("DELETE", "faults")
    explained = connected("explain", "paypal-products")
    assert "was killed" in explained.out
    assert "Next: flowledger resume paypal-products" in explained.out
    assert connected("status", "paypal-products").code == 0
    resumed = connected("resume", "paypal-products", "--json")
    assert resumed.code == 0, resumed.err
    assert resumed.json["state"] == "provisioned"
    assert resumed.json["duplicates"] == []
    assert emulator.counts["dataSets"] == 1
    assert connected("journal", "verify").code == 0


def test_a_lost_answer_shows_as_adopted(connected: Any, emulator: Any) -> None:
    emulator.fault("POST /dataSets", "drop", when="after")
    ran = connected("apply", connected.spec(), "--json")
    assert ran.code == 0, ran.err
    hows = {resource["step"]: resource["how"] for resource in ran.json["resources"]}
    assert hows["create_dataset"] == "adopted"
    assert "in doubt" in ran.err
    assert emulator.counts["dataSets"] == 1


def test_resume_plan_tells_what_would_be_done_and_touches_nothing(connected: Any, emulator: Any) -> None:
    emulator.fault("POST /flows", "answer", status=400, times=0, shape="service")
    assert connected("apply", connected.spec()).code == 7
    before = connected("journal", "export", "-").out
    counts = emulator.ask("GET", "health")["requests"]
    plan = connected("resume", "paypal-products", "--plan", env={"FLOWLEDGER_BASE_URL": "http://127.0.0.1:1"})
    assert plan.code == 0, plan.err
    assert "create_flow: POST /flows" in plan.out
    assert "create_dataset" in plan.out
    assert "Nothing was sent" in plan.out
    document = connected("resume", "paypal-products", "--plan", "--json").json
    assert {action["do"] for action in document["actions"]} == {"check", "send", "read"}
    assert connected("journal", "export", "-").out == before
    assert emulator.ask("GET", "health")["requests"] == counts


def test_a_new_start_is_given_to_resume(connected: Any, emulator: Any) -> None:
    emulator.fault("POST /flows", "answer", status=400, shape="service")
    assert connected("apply", connected.spec()).code == 7
    assert connected("resume", "paypal-products", "--start", "tomorrow").code == 2
    ran = connected("resume", "paypal-products", "--start", "+2h")
    assert ran.code == 0, ran.err
    taken_up = connected("journal", "query", "--kind", "run_taken_up", "--json").out.splitlines()
    assert '"start":"+2h"' in taken_up[-1].replace(" ", "")


def test_quiet_is_quiet_and_progress_never_reaches_stdout(connected: Any) -> None:
    ran = connected("apply", connected.spec(), "-q", "--json")
    assert ran.err == ""
    assert ran.json["state"] == "provisioned"


def test_a_flag_outranks_the_environment(connected: Any) -> None:
    ran = connected("apply", connected.spec(), "--journal", "elsewhere", "--json")
    assert ran.code == 0
    assert ran.json["journal"].endswith("elsewhere")
    assert not connected.journal.exists()
    assert connected("runs").out.startswith("No runs")
    assert "paypal-products" in connected("runs", "--journal", "elsewhere").out


def test_without_flag_and_environment_the_journal_is_in_the_working_directory(connected: Any) -> None:
    del connected.env["FLOWLEDGER_JOURNAL"]
    assert connected("apply", connected.spec()).code == 0
    assert (connected.folder / ".flowledger" / "journal").is_dir()


def test_no_secret_and_no_token_is_in_the_journal_or_in_what_is_printed(connected: Any) -> None:
    ran = connected.apart("apply", connected.spec(), "-vv", "--debug")
    whole = ran.out + ran.err + connected("journal", "export", "-").out
    assert ran.code == 0
    for secret in ("local-secret", "a made-up secret", "Bearer ", "eyJ"):
        assert secret not in whole
