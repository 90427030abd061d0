"""What each verb prints with --json is what its schema says, field by field, in good and in bad cases."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from flowledger.cli.app import app
from flowledger.cli.schema import schema_of, schemas
from flowledger.cli.watch import fields_of
from flowledger.engine.events import FlowRunSeen
from flowledger.engine.watch import WatchReport
from flowledger.journal import Journal

NAMES = [name for name in schemas() if name != "spec"]
PARTS = {"apply-many", "plan-many", "resume-plan", "resume-plan-many", "destroy-plan", "error"}  # no verb of their own


def verbs(group: Any, path: str = "") -> Iterator[str]:
    for name, verb in group.commands.items():
        if hasattr(verb, "commands"):
            yield from verbs(verb, f"{path}{name}-")
        elif any("--json" in parameter.opts for parameter in verb.params):
            yield f"{path}{name}"


VERBS = sorted(verbs(typer.main.get_command(app)))


def closed(part: Any) -> Any:
    """A schema that refuses every field that it does not name."""
    if isinstance(part, list):
        return [closed(inner) for inner in part]
    if not isinstance(part, dict):
        return part
    made = {key: closed(inner) for key, inner in part.items()}
    if isinstance(made.get("properties"), dict):
        made.setdefault("additionalProperties", False)
    return made


def check(name: str, document: Any) -> None:
    """Hold a document against a closed schema."""
    wrong = best_match(Draft202012Validator(closed(copy.deepcopy(schema_of(name)))).iter_errors(document))
    assert wrong is None, f"{wrong.json_path}: {wrong.message[-300:]}"


def objects(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        if isinstance(part.get("properties"), dict):
            yield part
        for inner in part.values():
            yield from objects(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from objects(inner)


def test_every_verb_with_json_has_a_schema_and_every_schema_a_verb() -> None:
    expected = {"init-list" if verb == "init" else verb for verb in VERBS}

    assert set(NAMES) - PARTS == expected


@pytest.mark.parametrize("name", ["spec", *NAMES])
def test_a_schema_is_one_document_that_says_what_every_field_means(program: Any, name: str) -> None:
    ran = program("schema", name)
    assert ran.code == 0, ran.err
    Draft202012Validator.check_schema(ran.json)
    assert ran.json["title"]
    text = json.dumps(ran.json)
    assert '.json"' not in text, "it refers to another file"
    if name != "spec":
        for part in objects(ran.json):
            for field, said in part["properties"].items():
                assert said.get("description") or "$ref" in said, field


def test_without_a_name_the_schemas_are_listed(program: Any) -> None:
    ran = program("schema")

    assert ran.code == 0
    assert [line.split()[0] for line in ran.out.splitlines()] == ["NAME", "spec", *NAMES]


def test_a_name_that_is_nearly_one_is_answered_with_it(program: Any) -> None:
    ran = program("schema", "statsu")

    assert ran.code == 2
    assert "did you mean 'status'?" in ran.err


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("status", ("status", "paypal-products"), 0),
        ("runs", ("runs",), 0),
        ("history", ("history", "paypal-products"), 0),
        ("history", ("history", "paypal-products", "--event", "9"), 0),
        ("explain", ("explain", "paypal-products"), 0),
        ("plan", ("plan", "spec.yaml"), 0),
        ("apply", ("apply", "spec.yaml"), 0),
        ("apply", ("apply", "spec.yaml", "--dry-run"), 0),
        ("resume", ("resume", "paypal-products"), 0),
        ("resume-plan", ("resume", "paypal-products", "--plan"), 0),
        ("resume", ("resume", "paypal-products", "--plan"), 0),
        ("apply-many", ("resume", "--all"), 0),
        ("resume-plan-many", ("resume", "--all", "--plan"), 0),
        ("resume", ("resume", "--all", "--plan"), 0),
        ("drift", ("drift", "paypal-products"), 0),
        ("destroy-plan", ("destroy", "paypal-products", "--plan"), 0),
        ("destroy", ("destroy", "paypal-products", "--keep-dataset", "--yes"), 0),
        ("doctor", ("doctor",), 0),
        ("doctor", ("doctor", "--offline"), 0),
        ("config-show", ("config", "show"), 0),
        ("config-show", ("config", "show", "--origin"), 0),
        ("journal-verify", ("journal", "verify"), 0),
        ("journal-verify", ("journal", "verify", "--deep"), 0),
        ("journal-stats", ("journal", "stats"), 0),
        ("journal-prune", ("journal", "prune", "--dry-run"), 0),
        ("journal-prune", ("journal", "prune", "--provisioned", "--yes"), 0),
        ("journal-repair", ("journal", "repair", "--to", "saved"), 0),
        ("validate", ("validate", "spec.yaml"), 0),
        ("init-list", ("init", "--list"), 0),
        ("error", ("status", "nobody"), 5),
        ("error", ("history", "paypal-products", "--event", "9999"), 5),
        ("error", ("plan", "nothing.yaml"), 3),
        ("error", ("runs", "--journal", "spec.yaml"), 5),
        ("error", ("drift", "nobody"), 5),
        ("destroy", ("destroy", "paypal-products"), 2),
        ("apply", ("apply", "nothing.yaml"), 3),
        ("resume", ("resume", "nobody"), 5),
        ("validate", ("validate", "nothing.yaml"), 3),
        ("error", ("journal", "prune", "--provisioned"), 2),
    ],
)
def test_what_a_verb_prints_of_a_provisioned_run_is_what_its_schema_says(
    provisioned: Any, name: str, arguments: tuple[str, ...], code: int
) -> None:
    ran = provisioned(*arguments, "--json")

    assert ran.code == code, ran.err
    check(name, ran.json)


def test_a_run_that_failed_is_what_the_schemas_say(connected: Any, emulator: Any) -> None:
    emulator.fault("POST /flows", "answer", status=400, shape="service", times=0)
    ran = connected("apply", connected.spec(), "--json")
    assert ran.code == 7
    check("apply", ran.json)
    check("status", ran.json)
    for name, arguments in (
        ("status", ("status", "paypal-products")),
        ("explain", ("explain", "paypal-products")),
        ("history", ("history", "paypal-products")),
        ("resume-plan", ("resume", "paypal-products", "--dry-run")),
        ("destroy-plan", ("destroy", "paypal-products", "--dry-run")),
        ("resume", ("resume", "paypal-products")),
        ("runs", ("runs",)),
    ):
        check(name, connected(*arguments, "--json").json)


def test_several_runs_are_what_the_schemas_say(connected: Any) -> None:
    files = [connected.spec((r"^name: .*$", f"name: run-{one}"), name=f"{one}.yaml") for one in "ab"]
    planned = connected("apply", *files, "--dry-run", "--json")
    assert planned.code == 0, planned.err
    check("plan-many", planned.json)
    check("apply", planned.json)
    ran = connected("apply", *files, "--json")
    assert ran.code == 0, ran.err
    check("apply-many", ran.json)
    check("apply", ran.json)


def test_a_run_that_drifted_and_one_without_credentials_are_what_the_schemas_say(connected: Any, emulator: Any) -> None:
    assert connected("apply", connected.spec((r"^settle: .*$", "settle: 10ms"))).code == 0
    emulator.ask("POST", "reset")
    drifted = connected("drift", "paypal-products", "--json")
    assert drifted.code == 8
    assert drifted.json["differences"]
    check("drift", drifted.json)
    refused = connected("apply", connected.spec((r"^name: .*$", "name: other")), "--json",
                          env={"FLOWLEDGER_CLIENT_SECRET": ""})  # fmt: skip
    assert refused.code == 4
    check("apply", refused.json)


def test_a_wrong_spec_and_a_damaged_journal_are_what_the_schemas_say(
    provisioned: Any, find_segment: Callable[[Path], Path]
) -> None:
    wrong = provisioned("validate", provisioned.spec((r"interval: 30", "interval: 3"), name="wrong.yaml"), "--json")
    assert wrong.code == 3
    check("validate", wrong.json)
    segment = find_segment(provisioned.journal)
    text = segment.read_bytes()
    segment.write_bytes(text[:2000] + b"#" + text[2001:])
    damaged = provisioned("journal", "verify", "--json")
    assert damaged.code == 9
    check("journal-verify", damaged.json)
    check("error", provisioned("status", "paypal-products", "--json").json)
    check("journal-repair", provisioned("journal", "repair", "--to", "saved", "--json").json)


@pytest.fixture
def find_segment() -> Callable[[Path], Path]:
    return lambda journal: max(
        (path for path in journal.iterdir() if path.is_file()), key=lambda path: path.stat().st_size
    )


def test_who_holds_a_journal_is_what_the_schema_of_errors_says(provisioned: Any) -> None:
    with Journal.open(provisioned.journal):
        ran = provisioned("drift", "paypal-products", "--json")
    assert ran.code == 6
    assert ran.json["error"]["holder"]
    check("error", ran.json)


def test_each_line_of_a_query_and_of_the_emulators_log_is_what_its_schema_says(provisioned: Any, emulator: Any) -> None:
    lines = provisioned("journal", "query", "--json").out.splitlines()
    assert len(lines) > 20
    for line in lines:
        check("journal-query", json.loads(line))
    logged = provisioned("emulator", "logs", "--url", emulator.url, "--json").out.splitlines()
    assert logged
    for line in logged:
        check("emulator-logs", json.loads(line))


def test_what_the_emulators_verbs_print_is_what_their_schemas_say(connected: Any, emulator: Any) -> None:
    emulator.fault("POST /connections", "answer", status=429, retry_after="2", shape="gateway", after_ms=5)
    emulator.fault("POST /flows", "slow", delay_ms=5, where="x")
    emulator.ask("POST", "faults", {"kind": "list_lag", "ms": 100, "collection": "connections"})
    check("emulator-faults-list", connected("emulator", "faults", "list", "--json").json)
    check("emulator-status", connected("emulator", "status", "--url", emulator.url, "--json").json)
    made = connected("emulator", "generate", "PayPal.Payouts", "--to", "p.csv", "--rows", "3", "--json")
    check("emulator-generate", made.json)
    check("emulator-advance", connected("emulator", "advance", "1s", "--url", emulator.url, "--json").json)


def test_each_line_of_a_watch_is_what_its_schema_says(provisioned: Any, emulator: Any) -> None:
    event = FlowRunSeen(
        id="r1", status="success", came="success", rows_in=3, rows_out=2, rows_failed=1, created_ms=1, started_ms=2,
        completed_ms=None, errors=(("C-1", "no"),), batches=("b1",),
    )  # fmt: skip
    line = {"schema_version": 1, "watch": "flow_run", "run": "paypal-products", **fields_of(event)}
    report = WatchReport(run="paypal-products", flow="f1", flow_runs=(event,), failed=(), ended="enough",
                         waited_for=False, journal="journal")  # fmt: skip
    check("watch", json.loads(json.dumps(line)))
    check("watch", json.loads(json.dumps(report.to_json())))

    ran = provisioned("watch", "paypal-products", "--until", "200ms", "--every", "100ms", "--json")
    assert ran.out, ran.err
    for text in ran.out.splitlines():
        check("watch", json.loads(text))
    check("watch", provisioned("watch", "nobody", "--json").json)
