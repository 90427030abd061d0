"""A word that is nearly right is answered with the right one, wherever a word is one of several."""

from __future__ import annotations

from typing import Any

import pytest

PROFILES = '[profiles.staging]\nsandbox = "stage"\n[profiles.production]\nsandbox = "prod"\n'


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("aply", "spec.yaml"), 2, "Did you mean 'apply'?"),
        (("journal", "verfy"), 2, "Did you mean 'verify'"),
        (("runs", "--jsn"), 2, "--json"),
        (("init", "papyal"), 2, "did you mean 'paypal'?"),
        (("init", "paypal", "--style", "curent"), 2, "did you mean 'current'?"),
        (("init", "google-bigquery", "--auth", "Basic Authentification"), 2, "did you mean 'Basic Authentication'?"),
        (("graph", "--style", "tutorail"), 2, "did you mean 'tutorial'?"),
        (("graph", "--format", "mermade"), 2, "did you mean 'mermaid'?"),
        (("completion", "bsh"), 2, "did you mean 'bash'?"),
        (("schema", "journal-verfy"), 2, "did you mean 'journal-verify'?"),
        (("--profile", "stagin", "runs"), 2, "did you mean 'staging'?"),
        (("emulator", "start", "--option", "strict_mapping=true"), 2, "did you mean strict_mappings?"),
        (("emulator", "faults", "add", "anwser", "* *"), 2, "did you mean 'answer'?"),
        (("emulator", "faults", "add", "drop", "--step", "create_datset"), 2, "did you mean 'create_dataset'?"),
    ],
)
def test_a_word_that_is_nearly_right_is_answered_with_the_right_one(
    program: Any, arguments: tuple[str, ...], code: int, says: str
) -> None:
    (program.folder / "flowledger.toml").write_text(PROFILES)

    ran = program(*arguments, env={"FLOWLEDGER_BASE_URL": "http://127.0.0.1:9"})

    assert ran.code == code
    assert says in ran.err, ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("history",),
        ("explain",),
        ("resume",),
        ("resume", "--plan"),
        ("drift",),
        ("destroy", "--yes"),
        ("watch",),
    ],
    ids=" ".join,
)
def test_a_runs_name_that_is_nearly_right_is_answered_with_the_right_one(
    provisioned: Any, arguments: tuple[str, ...]
) -> None:
    ran = provisioned(arguments[0], "paypal-product", *arguments[1:])

    assert ran.code == 5
    assert "has no run 'paypal-product'; did you mean 'paypal-products'?" in ran.err


def test_a_name_that_is_near_to_none_is_answered_with_those_that_there_are(provisioned: Any) -> None:
    ran = provisioned("status", "zzz")

    assert "has no run 'zzz'; it has: paypal-products" in ran.err


def test_an_export_of_a_run_that_is_nearly_there_says_which(provisioned: Any) -> None:
    ran = provisioned("journal", "export", "-", "--run", "paypal-prodcts")

    assert ran.code == 5
    assert "did you mean 'paypal-products'?" in ran.err


def test_a_step_that_is_nearly_one_is_answered_with_it(provisioned: Any) -> None:
    wrong = provisioned("history", "paypal-products", "--step", "create_datset")
    right = provisioned("history", "paypal-products", "--step", "create_dataset", "--json")

    assert wrong.code == 2
    assert "did you mean 'create_dataset'?" in wrong.err
    assert {event["step"] for event in right.json["events"]} == {"create_dataset"}


@pytest.mark.parametrize(
    ("option", "word", "meant"),
    [
        ("--step", "create_datset", "create_dataset"),
        ("--kind", "intent_recordd", "intent_recorded"),
        ("--run", "paypal-product", "paypal-products"),
    ],
)
def test_a_query_that_finds_nothing_says_which_name_was_meant(
    provisioned: Any, option: str, word: str, meant: str
) -> None:
    ran = provisioned("journal", "query", option, word)

    assert (ran.code, ran.out) == (0, f"No such events. Did you mean {option} {meant}?\n")
