"""What is told to be typed next can be typed: it names the run, and the journal and the emulator of the call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowledger.cli.hints import as_typed, called_with, named

ELSEWHERE = Path("elsewhere")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLOWLEDGER_JOURNAL", raising=False)


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        ("flowledger resume orders", "flowledger resume orders --local --journal elsewhere"),
        ("flowledger explain orders", "flowledger explain orders --journal elsewhere"),
        (
            "mend it, then flowledger resume orders",
            "mend it, then flowledger resume orders --local --journal elsewhere",
        ),
        ("flowledger runs", "flowledger runs --journal elsewhere"),
        ("flowledger resume --all", "flowledger resume --all --local --journal elsewhere"),
        (
            "flowledger destroy orders-2 deletes it",
            "flowledger destroy orders-2 --local --journal elsewhere deletes it",
        ),
        ("and 3 more: flowledger explain RUN", "and 3 more: flowledger explain RUN --journal elsewhere"),
        ("flowledger apply SPEC begins it", "flowledger apply SPEC --local --journal elsewhere begins it"),
        ("flowledger apply a.yaml --local", "flowledger apply a.yaml --local"),
        ("`flowledger plan a.yaml`, then", "`flowledger plan a.yaml --local --journal elsewhere`, then"),
        ("flowledger plan --offline", "flowledger plan --offline"),
        ("flowledger journal prune frees it", "flowledger journal prune --journal elsewhere frees it"),
        ("flowledger journal repair --to D", "flowledger journal repair --journal elsewhere --to D"),
        ("flowledger journal repair --journal x --to D", "flowledger journal repair --journal x --to D"),
        ("flowledger runs --journal other", "flowledger runs --journal other"),
        ("flowledger init paypal", "flowledger init paypal"),
    ],
)
def test_a_command_about_the_run_names_the_journal_and_the_emulator_of_the_call(hint: str, said: str) -> None:
    called_with(journal=ELSEWHERE, local=True)
    assert as_typed(hint) == said


def test_nothing_is_added_where_the_next_command_would_look_there_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    called_with(journal=Path(".flowledger/journal"))
    assert as_typed("flowledger resume orders") == "flowledger resume orders"
    monkeypatch.setenv("FLOWLEDGER_JOURNAL", "elsewhere")
    called_with(journal=ELSEWHERE)
    assert as_typed("flowledger resume orders") == "flowledger resume orders"


@pytest.mark.parametrize("hint", ["`flowledger resume`", "flowledger resume RUN"])
def test_a_hint_of_somebody_who_did_not_know_the_run_gets_its_name(hint: str) -> None:
    assert named(f"make room, then {hint}", "orders") == "make room, then flowledger resume orders"
    assert named("export TOKEN, then resume", "orders") == "export TOKEN, then flowledger resume orders"


def test_what_a_failed_run_says_to_type_next_works_as_it_stands(connected: Any, emulator: Any) -> None:
    """The journal was named by an option, so that the next command needs it too."""
    emulator.fault("POST /flows", "answer", status=400, times=1)
    failed = connected("apply", connected.spec(), "--journal", "elsewhere")
    said = failed.err.rpartition("next: ")[2].strip()
    assert failed.code == 7
    assert said == "flowledger explain paypal-products --journal elsewhere"
    explained = connected(*said.split()[1:])
    assert explained.code == 0
    told = connected("status", "paypal-products", "--journal", "elsewhere").out
    assert "Next: flowledger explain paypal-products --journal elsewhere" in told


def test_credentials_that_were_put_right_are_followed_by_a_resume_if_the_run_has_begun(
    connected: Any, emulator: Any
) -> None:
    emulator.fault("POST /flows", "answer", status=403, times=1)
    refused = connected("apply", connected.spec())
    assert refused.code == 4
    assert refused.err.rstrip().endswith(", then flowledger resume paypal-products")
    missing = connected(
        "apply", connected.spec(("name: paypal-products", "name: another")), env={"FLOWLEDGER_ORG_ID": ""}
    )
    assert missing.code == 4
    assert "resume another" not in missing.err, "there is nothing to resume"


def test_a_spec_that_does_not_fit_says_how_to_begin_anew(connected: Any, emulator: Any) -> None:
    refused = connected("apply", connected.spec(("PayPal.Catalog_Products", "PayPal.Catalog")))
    assert refused.code == 3
    said = refused.err.rpartition("next: ")[2]
    assert "apply again under a new run name; flowledger destroy paypal-products removes" in said
    assert connected("destroy", "paypal-products", "--yes").code == 0
    assert emulator.counts.get("connections", 0) == 0


def test_a_profile_that_was_named_is_named_again(connected: Any, emulator: Any) -> None:
    (connected.folder / "flowledger.toml").write_text('[profiles.here]\njournal = "kept/journal"\n')
    emulator.fault("POST /flows", "answer", status=400, times=1)
    env = {"FLOWLEDGER_JOURNAL": ""}
    failed = connected("--profile", "here", "apply", connected.spec(), env=env)
    said = failed.err.rpartition("next: ")[2].strip()
    assert said == "flowledger --profile here explain paypal-products"
    assert connected(*said.split()[1:], env=env).code == 0


def test_a_plan_of_what_is_done_names_the_journal_that_it_was_read_from(connected: Any) -> None:
    spec = connected.spec()
    assert connected("apply", spec, "-q", "--journal", "elsewhere").code == 0
    assert (
        "(flowledger status paypal-products --journal elsewhere)"
        in connected("plan", spec, "--offline", "--journal", "elsewhere").out
    )
    ran = connected("journal", "prune", "--yes", "--journal", "elsewhere")
    assert "flowledger journal prune --journal elsewhere --dry-run" in ran.out


@pytest.mark.parametrize("verb", [("apply",), ("plan",), ("apply", "--dry-run")], ids=" ".join)
def test_an_edited_spec_is_not_sent_to_a_resume_that_refuses_it(provisioned: Any, verb: tuple[str, ...]) -> None:
    """A provisioned run has nothing to be finished, and a destroyed one can only be destroyed."""
    edited = provisioned.spec(("interval: 30", "interval: 45"), name="edited.yaml")
    ran = provisioned(*verb, edited)
    assert (ran.code, "flowledger resume" in ran.err) == (3, False), ran.err
    assert provisioned("destroy", "paypal-products", "--yes", "-q").code == 0
    ran = provisioned(*verb, edited)
    assert (ran.code, "flowledger resume" in ran.err) == (2, False), ran.err
    assert "next: flowledger journal prune" in ran.err
    assert provisioned("journal", "prune", "--yes").code == 0
    assert provisioned(*verb, edited).code == 0


def test_the_name_of_a_run_that_left_only_what_it_found_is_freed_by_a_prune(provisioned: Any) -> None:
    second = provisioned.spec((r"^name: .*$", "name: second"), name="second.yaml")
    assert provisioned("apply", second, "-q").code == 0
    destroyed = provisioned("destroy", "second", "--yes", "--json")
    assert [left["why"] for left in destroyed.json["left"]] == ["found, not made by this run"]
    ran = provisioned("apply", second)
    assert ran.code == 2
    assert "next: flowledger journal prune" in ran.err
    assert provisioned("journal", "prune", "--yes").code == 0
    assert provisioned("apply", second, "-q").code == 0
