"""Everything that commonly goes wrong: one clear error, the right exit code, a journal that can be read after it."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from pathlib import Path
from typing import Any

import pytest


def told(ran: Any, code: int, *words: str) -> None:
    """One error, in these words, with this exit code, with something to do next, and no traceback."""
    assert ran.code == code, (ran.code, ran.err)
    assert "Traceback" not in ran.err
    assert ran.err.count("error: ") == 1, ran.err
    assert "next: " in ran.err
    for word in words:
        assert word in ran.err, ran.err


def test_missing_credentials_are_named_all_at_once(program: Any) -> None:
    ran = program("apply", program.spec())
    told(ran, 4, "FLOWLEDGER_CLIENT_ID", "FLOWLEDGER_ORG_ID", "FLOWLEDGER_CLIENT_SECRET", "--local")


def test_a_wrong_secret_is_told_as_such(connected: Any) -> None:
    ran = connected("apply", connected.spec(), env={"FLOWLEDGER_CLIENT_SECRET": "wrong"})
    told(ran, 4, "IMS", "local-client", "FLOWLEDGER_CLIENT_SECRET")
    assert "wrong" not in ran.err.replace("wrong or", "")
    explained = connected("explain", "paypal-products")
    assert "POST /ims/token/v3" in explained.out
    assert "HTTP 400" in explained.out or "HTTP 401" in explained.out
    assert connected("resume", "paypal-products").code == 0


def test_an_unknown_sandbox_is_told_with_its_name(connected: Any) -> None:
    ran = connected("apply", connected.spec(), env={"FLOWLEDGER_SANDBOX": "nowhere"})
    assert ran.code in (4, 5), ran.err
    told(ran, ran.code, "nowhere")


def test_another_sandbox_than_the_runs_is_refused(connected: Any, emulator: Any) -> None:
    emulator.fault("POST /flows", "answer", status=400, shape="service")
    assert connected("apply", connected.spec()).code == 7
    told(connected("resume", "paypal-products", env={"FLOWLEDGER_SANDBOX": "dev"}), 2, "sandbox prod", "sandbox dev")


def test_a_base_connection_that_is_not_there_is_named(connected: Any) -> None:
    id = "24151d58-ffa7-4960-951d-58ffa7396097"
    spec = connected.spec((r"^  connection:\n(    .*\n)+", f"  connection:\n    id: {id}\n"))
    told(connected("apply", spec), 5, id)
    told(connected("plan", spec), 5, id)
    assert connected("plan", spec, "--offline").code == 0


def test_a_title_that_somebody_else_has_is_a_conflict(connected: Any, emulator: Any) -> None:
    emulator.fault("POST /tenant/classes", "answer", status=400, shape="service")
    told(connected("apply", connected.spec()), 7, "create_adhoc_class", "request id", "explain paypal-products")
    title = connected("explain", "paypal-products", "--json").json["sent"]["call"]["body"]["title"]
    own = {"properties": {"_localtenant": {"type": "object", "properties": {"theirs": {"type": "string"}}}}}
    stranger = emulator.create(
        "/schemaregistry/tenant/fieldgroups",
        {
            "title": title,
            "description": "somebody else's",
            "type": "object",
            "meta:intendedToExtend": ["https://ns.adobe.com/xdm/context/profile"],
            "definitions": {"own": own},
            "allOf": [{"$ref": "#/definitions/own"}],
        },
    )
    ran = connected("resume", "paypal-products")
    told(ran, 7, stranger["$id"], "resume paypal-products")
    explained = connected("explain", "paypal-products", "--json").json
    assert explained["step"] == "create_adhoc_class"
    assert explained["sent"]["call"]["method"] == "POST"
    assert explained["came_back"]["code"] == "XDM-1521-400"
    assert explained["came_back"]["answer"]["status"] == 400


def test_a_failed_apply_prints_its_report_as_json_with_why_it_stopped(connected: Any, emulator: Any) -> None:
    emulator.fault("POST /flows", "answer", status=400, times=0, shape="service")
    ran = connected("apply", connected.spec(), "--json")
    assert ran.code == 7
    document = ran.json
    assert (document["schema_version"], document["state"]) == (1, "failed")
    assert document["stopped"]["step"] == "create_flow"
    assert document["stopped"]["exit_code"] == 7
    assert document["stopped"]["request_id"]
    assert len(document["resources"]) == 10
    assert connected("resume", "paypal-products", "--json").json["stopped"]["step"] == "create_flow"


def test_a_spec_that_has_changed_is_refused_with_the_difference(provisioned: Any) -> None:
    changed = provisioned.spec((r"interval: 30", "interval: 45"), name="changed.yaml")
    ran = provisioned("apply", changed, "--json")
    told(ran, 3, "schedule.interval: 30 -> 45")
    assert ran.json["stopped"]["error"] == "SpecError"
    assert ran.json["stopped"]["faults"] == ["schedule.interval: 30 -> 45"]
    assert ran.json["state"] == "provisioned"
    told(provisioned("plan", changed), 3, "schedule.interval: 30 -> 45")


def test_a_wrong_spec_names_every_fault_with_its_place(program: Any) -> None:
    spec = program.spec((r"frequency: minute", "frequency: fortnight"), (r"kind: paypal", "kind: paypol"))
    ran = program("apply", spec, "--local", "--json")
    told(ran, 3, "spec.yaml:")
    assert len([line for line in ran.err.splitlines() if line.startswith("  - ")]) >= 2
    valid = program("validate", spec, "--json")
    assert valid.code == 3
    assert valid.json["valid"] is False
    assert len(valid.json["faults"]) >= 2
    assert not program.journal.exists()


@pytest.mark.parametrize("made", ["directory", "binary", "absent", "empty"])
def test_a_spec_that_is_no_spec_is_refused(program: Any, made: str) -> None:
    path = program.folder / "spec.yaml"
    if made == "directory":
        path.mkdir()
    elif made != "absent":
        path.write_bytes(b"\x00\xff\xfe" * 100 if made == "binary" else b"")
    told(program("validate", "spec.yaml"), 3, "spec.yaml")
    # A folder is what apply takes specs from; one without any is a call that cannot be meant.
    told(program("apply", "spec.yaml", "--local"), 2 if made == "directory" else 3, "spec.yaml")


def test_a_run_that_does_not_exist_is_not_found(provisioned: Any) -> None:
    for verb in ("status", "resume", "history", "explain"):
        told(provisioned(verb, "nobody"), 5, "nobody", "paypal-products")
    told(provisioned("history", "paypal-products", "--event", "4711"), 5, "4711")


def test_without_a_journal_there_is_no_run(program: Any) -> None:
    for verb in ("status", "resume", "history", "explain"):
        told(program(verb, "nobody"), 5, "no journal")
    assert program("runs", "--json").json["runs"] == []
    told(program("journal", "verify"), 5)


def test_a_journal_held_by_another_process_says_by_whom(connected: Any) -> None:
    from flowledger.journal import Journal

    with Journal.open(connected.journal):
        ran = connected("apply", connected.spec(), "--json")
        told(ran, 6, "process")
        assert ran.json["stopped"]["error"] == "JournalHeld"
        told(connected("apply", "spec.yaml", "--lock-timeout", "100ms"), 6)
        assert connected("runs").code == 0
    assert connected("apply", "spec.yaml", "--lock-timeout", "soon").code == 2
    assert connected("apply", "spec.yaml", "--lock-timeout", "5s").code == 0


def test_a_damaged_journal_is_told_with_file_and_place_and_can_be_repaired(provisioned: Any) -> None:
    segment = max(provisioned.journal.iterdir(), key=lambda path: path.stat().st_size)
    damaged = bytearray(segment.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    segment.write_bytes(damaged)
    for line in (("apply", "spec.yaml"), ("status", "paypal-products"), ("runs",), ("journal", "verify")):
        told(provisioned(*line), 9, segment.name, "journal repair")
    assert provisioned("journal", "verify", "--json").json["sound"] is False
    repaired = provisioned("journal", "repair", "--to", "repaired")
    assert repaired.code == 0, repaired.err
    assert "Dropped" in repaired.out
    assert provisioned("journal", "verify", "--journal", "repaired").code == 0
    told(provisioned("journal", "repair", "--to", "repaired"), 2, "not empty")


def test_a_full_disk_ends_with_75_and_the_run_can_be_resumed(connected: Any, emulator: Any) -> None:
    spec = connected.spec()

    def full_after_20_kb() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    ran = connected.apart("apply", spec, preexec_fn=full_after_20_kb)
    told(ran, 75)
    assert connected("status", "paypal-products").code == 0
    assert connected("apply", spec).code == 0
    assert emulator.counts["flows"] == 1


def test_a_platform_that_cannot_be_reached_ends_with_75(connected: Any) -> None:
    spec = connected.spec((r"attempts: 6", "attempts: 2"), (r"first_wait: 500ms", "first_wait: 10ms"))
    ran = connected("apply", spec, "--json", env={"FLOWLEDGER_BASE_URL": "http://127.0.0.1:1"})
    told(ran, 75)
    assert ran.json["stopped"]["error"] == "NotServed"
    assert "Next: " in connected("explain", "paypal-products").out


def test_html_instead_of_json_is_told_as_such(connected: Any, emulator: Any) -> None:
    emulator.fault("GET /stats", "answer", status=200, shape="html", times=0)
    spec = connected.spec((r"attempts: 6", "attempts: 2"), (r"first_wait: 500ms", "first_wait: 10ms"))
    ran = connected("apply", spec)
    told(ran, 75, "JSON")
    assert "<html" not in ran.err


def test_a_fault_of_our_own_is_a_sentence_and_with_debug_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from flowledger.cli.command import guarded

    def broken() -> int:
        raise ZeroDivisionError("by nobody")

    assert guarded(broken, debug=False, as_json=False) == 1
    quiet = capsys.readouterr().err
    assert "ZeroDivisionError: by nobody" in quiet
    assert "Traceback" not in quiet
    assert guarded(broken, debug=True, as_json=False) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_error_of_a_verb_without_a_report_is_a_json_document_too(program: Any) -> None:
    ran = program("status", "nobody", "--json")
    assert ran.code == 5
    assert json.loads(ran.out)["error"]["error"] == "NotThere"
    assert json.loads(ran.out)["schema_version"] == 1


def test_a_question_without_a_terminal_is_refused(program: Any, emulator: Any) -> None:
    told(program("emulator", "reset", "--url", emulator.url), 2, "no terminal", "--yes")


def test_init_overwrites_nothing_unless_told_to(program: Any) -> None:
    ran = program("init", "paypal")
    assert ran.code == 0
    assert "Next: flowledger validate paypal-products.yaml" in ran.out
    spec = program.folder / "paypal-products.yaml"
    spec.write_text("mine")
    told(program("init", "paypal"), 2, "paypal-products.yaml", "--force")
    assert spec.read_text() == "mine"
    assert program("init", "paypal", "--force").code == 0
    assert program("validate", "paypal-products.yaml").code == 0
    told(program("init", "paypol"), 2, "paypal")


def test_a_reader_that_has_gone_does_not_turn_a_failure_into_a_success(program: Any) -> None:
    ran = program.into_closed_pipe("status", "nobody", "--json")
    told(ran, 5, "no journal")
    assert "BrokenPipe" not in ran.err


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_gone_does_not_change_what_a_verb_ends_with(program: Any, unbuffered: str) -> None:
    program.env["PYTHONUNBUFFERED"] = unbuffered
    ran = program.into_closed_pipe("plan", program.spec(), "--offline", "--detailed-exitcode", "-q")
    assert (ran.code, ran.err) == (2, "")
    ran = program.into_closed_pipe("plan", program.spec(), "--offline", "-q")
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize("verb", [("validate",), ("plan", "--offline")], ids=["validate", "plan"])
def test_quiet_leaves_out_what_is_unwise_too(program: Any, verb: tuple[str, ...]) -> None:
    assert "settle" in program(*verb, program.spec(), env={"FLOWLEDGER_BASE_URL": "https://platform.adobe.io"}).err
    assert program(*verb, program.spec(), "-q", env={"FLOWLEDGER_BASE_URL": "https://platform.adobe.io"}).err == ""


def test_a_name_of_bytes_that_are_no_text_is_spelt_and_works(program: Any) -> None:
    journal = os.fsdecode(os.fsencode(program.folder) + b"/\xffj")
    applied = program("apply", program.spec(), "--local", "--journal", journal, "--json", "-q")
    assert applied.code == 0, applied.err
    assert applied.json["journal"].endswith("\\udcffj")
    assert program("status", "paypal-products", "--journal", journal, "--json").json == applied.json
    told = program("status", "nobody", "--journal", journal, "--log-format", "json")
    assert told.code == 5
    assert "\\udcffj" in json.loads(told.err)["event"]


def test_a_name_that_would_steer_the_terminal_is_spelt(program: Any) -> None:
    spec = program.spec(name="\x1b[31mred.yaml")
    ran = program("validate", spec)
    assert ran.out.splitlines()[0].startswith("\\x1b[31mred.yaml is valid")
    assert "\x1b" not in ran.out + program("runs", "--journal", "\x1b[31m").out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is full")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("graph",), 75),
        (("schema", "status"), 75),
        (("plan", "spec.yaml", "--offline", "--detailed-exitcode"), 75),
        (("status", "nobody", "--json"), 5),
    ],
)
def test_a_full_disk_under_stdout_is_no_fault_of_the_programs(
    program: Any, arguments: tuple[str, ...], code: int
) -> None:
    program.spec()
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            program.line(arguments), cwd=program.folder, env=program.env, stdin=subprocess.DEVNULL, stdout=full,
            stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == code
    assert ("not all of it could be written: No space left on device" in done.stderr) is (code == 75)
    assert "fault of its own" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_hint_names_the_run_to_resume(connected: Any) -> None:
    spec = connected.spec((r"attempts: 6", "attempts: 1"))
    ran = connected("apply", spec, env={"FLOWLEDGER_BASE_URL": "http://127.0.0.1:1"})
    assert "flowledger resume paypal-products" in ran.err.partition("next: ")[2]
    assert "flowledger resume paypal-products" in connected("explain", "paypal-products").out.partition("Next: ")[2]


def test_a_settle_window_that_is_too_short_for_adobe_is_warned_of_before_anything_is_sent(program: Any) -> None:
    ran = program("apply", program.spec())  # no base URL: that is Adobe
    assert ran.code == 4
    assert "warning: spec.yaml:" in ran.err
    assert "made twice" in ran.err
    assert "warning" in program("plan", "spec.yaml", "--offline").err
    assert "warning" not in program("plan", "spec.yaml", "--offline", "--local").err


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("status", "--json"), "Missing argument 'RUN'", "flowledger status -h"),
        (("resume", "--json", "--parallel", "0"), "Invalid value for '--parallel'", "flowledger resume -h"),
        (("journal", "verify", "--nope", "--json"), "No such option: --nope", "flowledger journal verify -h"),
        (("nope", "--json"), "No such command 'nope'", "flowledger -h"),
        (("apply", "", "--json"), "an argument is empty", "flowledger -h"),
    ],
)
def test_a_call_that_is_wrong_has_its_document_too(
    program: Any, arguments: tuple[str, ...], message: str, hint: str
) -> None:
    ran = program(*arguments)
    assert ran.code == 2
    assert (ran.json["schema_version"], ran.json["error"]["error"], ran.json["error"]["exit_code"]) == (
        1, "UsageError", 2,
    )  # fmt: skip
    assert message in ran.json["error"]["message"]
    assert ran.json["error"]["hint"] == hint
    assert message in ran.err


def test_a_call_that_is_wrong_prints_nothing_for_programs_that_asked_for_no_document(program: Any) -> None:
    ran = program("status")
    assert (ran.code, ran.out) == (2, "")


@pytest.mark.parametrize(
    "arguments", [("apply", ""), ("apply", "spec.yaml", ""), ("plan", ""), ("status", "orders", "--journal", "")]
)
def test_an_empty_argument_is_not_taken_for_the_current_folder(connected: Any, arguments: tuple[str, ...]) -> None:
    connected.spec()
    ran = connected(*arguments)
    assert ran.code == 2
    assert "an argument is empty: is a variable not set?" in ran.err
    assert not connected.journal.exists()


@pytest.mark.parametrize("arguments", [("demo",), ("emulator", "start", "-d", "--port", "0")], ids=["demo", "emulator"])
def test_a_folder_that_cannot_be_made_is_no_fault_of_the_programs(program: Any, arguments: tuple[str, ...]) -> None:
    (program.folder / ".flowledger").write_text("a file")
    ran = program(*arguments)
    assert ran.code == 2
    assert "cannot be written: " in ran.err
    assert "next: give another folder" in ran.err
