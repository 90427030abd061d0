"""--dry-run means one thing everywhere: nothing is sent that changes anything, and nothing is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def everything_in(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder: when it was changed, and what it holds."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def changing_calls(emulator: Any) -> list[str]:
    """The calls that were made so far and are no reads."""
    calls = emulator.ask("GET", "requests?limit=1000")["requests"]
    return [
        f"{call['method']} {call['path']}" for call in calls if call["method"] != "GET" and "/ims/" not in call["path"]
    ]


def test_a_dry_apply_says_what_would_be_done_and_does_none_of_it(connected: Any, emulator: Any) -> None:
    spec = connected.spec()
    before = everything_in(connected.folder)

    ran = connected("apply", spec, "--dry-run")

    assert ran.code == 0, ran.err
    assert "19 calls to make, 11 of them change something" in ran.out
    assert ran.out.endswith("Dry run: nothing was changed and nothing was written.\n")
    assert everything_in(connected.folder) == before
    assert changing_calls(emulator) == []
    assert not connected.journal.exists()


def test_a_dry_apply_is_the_plan_of_the_verb_plan(connected: Any) -> None:
    spec = connected.spec()

    assert connected("apply", spec, "--dry-run", "--json").json == connected("plan", spec, "--json").json


def test_a_dry_apply_of_several_specs_plans_each(connected: Any, emulator: Any) -> None:
    folder = connected.folder / "flows"
    folder.mkdir()
    connected.spec()
    for one in "ab":
        text = (connected.folder / "spec.yaml").read_text()
        (folder / f"{one}.yaml").write_text(text.replace("name: paypal-products", f"name: run-{one}"))
    before = everything_in(connected.folder)

    ran = connected("apply", "flows", "--dry-run", "--json")

    assert ran.code == 0, ran.err
    assert [plan["run"] for plan in ran.json["plans"]] == ["run-a", "run-b"]
    assert all(plan["changes"] and plan["platform_asked"] for plan in ran.json["plans"])
    assert everything_in(connected.folder) == before
    assert changing_calls(emulator) == []


def test_a_dry_local_apply_starts_no_emulator_and_leaves_no_state(program: Any) -> None:
    spec = program.spec()
    before = everything_in(program.folder)

    ran = program("apply", spec, "--local", "--dry-run")

    assert ran.code == 0, ran.err
    assert "only the journal was read" in ran.out
    assert everything_in(program.folder) == before


def test_a_dry_apply_refuses_what_apply_would_refuse(provisioned: Any) -> None:
    changed = provisioned("apply", provisioned.spec((r"interval: 30", "interval: 45")), "--dry-run")
    wrong = provisioned("apply", provisioned.spec((r"interval: 30", "interval: 3")), "--dry-run")
    without = provisioned(
        "apply", provisioned.spec((r"^name: .*$", "name: other")), "--dry-run", env={"FLOWLEDGER_CLIENT_SECRET": ""}
    )

    assert (changed.code, wrong.code, without.code) == (3, 3, 4)
    assert "schedule.interval: 30 -> 45" in changed.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("resume", "paypal-products", "--dry-run"),
        ("resume", "--all", "--dry-run"),
        ("destroy", "paypal-products", "--dry-run"),
        ("destroy", "paypal-products", "--keep-dataset", "--dry-run"),
        ("apply", "spec.yaml", "--dry-run"),
        ("drift", "paypal-products", "--dry-run"),
        ("drift", "paypal-products", "--remove-twins", "--dry-run"),
        ("journal", "prune", "--provisioned", "--dry-run"),
    ],
)
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_no_dry_run_of_a_run_writes_or_changes_anything(
    provisioned: Any, emulator: Any, arguments: tuple[str, ...], form: tuple[str, ...]
) -> None:
    before, calls, counts = everything_in(provisioned.folder), changing_calls(emulator), emulator.counts

    ran = provisioned(*arguments, *form)

    assert ran.code == 0, ran.err
    assert everything_in(provisioned.folder) == before
    assert changing_calls(emulator) == calls
    assert emulator.counts == counts


@pytest.fixture
def stopped(connected: Any, emulator: Any) -> Any:
    """Two runs that share and stopped before their dataflows were made, and one that is provisioned."""
    folder = connected.folder / "flows"
    folder.mkdir()
    (folder / "secrets").symlink_to(connected.folder / "secrets")
    for name in ("run-a", "run-b"):
        connected.spec((r"^name: .*$", f"name: {name}"), name=f"flows/{name}.yaml")
    emulator.fault("POST /flows", "answer", status=403, times=2)
    assert connected("apply", "flows", "-q").code == 4
    assert connected("apply", connected.spec(), "-q").code == 0
    return connected


def test_a_dry_resume_of_all_says_of_each_unfinished_run_what_a_dry_resume_of_it_says(
    stopped: Any, emulator: Any
) -> None:
    before, calls, counts = everything_in(stopped.folder), changing_calls(emulator), emulator.counts
    asked = len(emulator.ask("GET", "requests?limit=1000")["requests"])

    ran = stopped("resume", "--all", "--dry-run", "--json")

    assert ran.code == 0, ran.err
    assert ran.json == {
        "schema_version": 1,
        "plans": [stopped("resume", name, "--dry-run", "--json").json for name in ("run-a", "run-b")],
        "journal": str(stopped.journal),
    }
    assert all("create_flow" in [action["step"] for action in plan["actions"]] for plan in ran.json["plans"])
    text = stopped("resume", "--all", "--plan").out
    for name in ("run-a", "run-b"):
        assert stopped("resume", name, "--plan").out in text
    assert "one makes it, the others find it" in text
    assert max(len(line) for line in text.splitlines() if "https://" not in line) <= 80, "but for ids, which are whole"
    assert text.endswith("2 runs would be carried on.\n")
    assert everything_in(stopped.folder) == before
    assert (changing_calls(emulator), emulator.counts) == (calls, counts)
    assert len(emulator.ask("GET", "requests?limit=1000")["requests"]) == asked, "nothing was asked either"


def test_a_dry_resume_of_all_leaves_out_the_runs_that_a_resume_would_leave_alone(stopped: Any) -> None:
    elsewhere = stopped("resume", "--all", "--dry-run", "--json", env={"FLOWLEDGER_SANDBOX": "dev"})
    assert elsewhere.code == stopped("resume", "--all", "-q", env={"FLOWLEDGER_SANDBOX": "dev"}).code == 2
    assert elsewhere.err.count("a run of another place was left alone") == 2
    assert "run run-a belongs to sandbox prod of" in elsewhere.err
    nowhere = stopped(
        "resume", "--all", "--dry-run", "--json", env={"FLOWLEDGER_ORG_ID": "", "FLOWLEDGER_CLIENT_SECRET": ""}
    )
    assert (nowhere.code, len(nowhere.json["plans"])) == (0, 2), "it needs no credentials"
    local = stopped("resume", "--all", "--dry-run", "--local", "--json", env={"FLOWLEDGER_ORG_ID": "other@AdobeOrg"})
    assert len(local.json["plans"]) == 2


def test_a_dry_resume_of_all_without_a_journal_is_not_found(connected: Any) -> None:
    ran = connected("resume", "--all", "--dry-run")
    assert ran.code == connected("resume", "--all").code == 5
    assert not connected.journal.exists()


@pytest.mark.parametrize("verb", ["resume", "destroy"])
def test_dry_run_is_another_name_of_plan(provisioned: Any, verb: str) -> None:
    assert provisioned(verb, "paypal-products", "--dry-run").out == provisioned(verb, "paypal-products", "--plan").out


def test_a_dry_removal_of_twins_names_them_and_leaves_them(connected: Any, emulator: Any) -> None:
    emulator.fault("POST /connections", "twice")
    assert connected("apply", connected.spec()).code == 0
    before, counts = everything_in(connected.folder), emulator.counts

    ran = connected("drift", "paypal-products", "--remove-twins", "--dry-run", "--json")

    assert ran.code == 8, ran.err
    assert [twin["removed"] for twin in ran.json["twins"]] == [False]
    assert ran.json["journal"] == str(connected.journal)
    assert everything_in(connected.folder) == before
    assert emulator.counts == counts
