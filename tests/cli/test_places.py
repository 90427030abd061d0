"""A run belongs to one organisation, sandbox and platform: a command that points elsewhere is refused."""

from __future__ import annotations

from typing import Any

import pytest

ELSEWHERE = (
    {"FLOWLEDGER_SANDBOX": "dev"},
    {"FLOWLEDGER_ORG_ID": "other@AdobeOrg"},
    {"FLOWLEDGER_BASE_URL": "https://platform.adobe.io", "FLOWLEDGER_IMS_URL": ""},
)
VERBS = (
    ("apply", "spec.yaml"),
    ("apply", "spec.yaml", "--dry-run"),
    ("plan", "spec.yaml"),
    ("plan", "spec.yaml", "--offline", "--detailed-exitcode"),
    ("resume", "paypal-products"),
    ("resume", "paypal-products", "--plan"),
    ("drift", "paypal-products"),
    ("apply", "spec.yaml", "second.yaml"),
    ("apply", "spec.yaml", "second.yaml", "--dry-run"),
)


@pytest.mark.parametrize("there", ELSEWHERE, ids=("sandbox", "organisation", "platform"))
@pytest.mark.parametrize("verb", VERBS[:7], ids=" ".join)
def test_a_finished_run_of_another_place_is_refused_and_not_called_done(
    provisioned: Any, emulator: Any, there: dict[str, str], verb: tuple[str, ...]
) -> None:
    before = emulator.counts
    ran = provisioned(*verb, env=there)
    assert ran.code == 2, ran.err
    assert "run paypal-products belongs to sandbox prod of LOCAL@AdobeOrg" in ran.err
    assert "Nothing to do" not in ran.out
    assert emulator.counts == before


@pytest.mark.parametrize("verb", VERBS[7:], ids=" ".join)
def test_of_several_specs_the_run_of_another_place_is_refused(
    provisioned: Any, emulator: Any, verb: tuple[str, ...]
) -> None:
    provisioned.spec((r"^name: .*$", "name: second"), name="second.yaml")
    flows = emulator.counts["flows"]
    ran = provisioned(*verb, env={"FLOWLEDGER_SANDBOX": "dev"})
    assert ran.code == 2, ran.err
    assert "run paypal-products belongs to sandbox prod" in ran.err
    assert emulator.counts["flows"] == flows
    assert ("1 provisioned, 1 failed" in ran.out) == ("--dry-run" not in verb), "each run fails on its own"


def test_an_unfinished_run_of_another_place_is_refused_by_its_plan_too(connected: Any, emulator: Any) -> None:
    emulator.fault("POST /flows", "answer", status=403, times=1)
    assert connected("apply", connected.spec(), "-q").code == 4
    for verb in VERBS[:7]:
        ran = connected(*verb, env={"FLOWLEDGER_SANDBOX": "dev"})
        assert (ran.code, "belongs to sandbox prod" in ran.err) == (2, True), (verb, ran.err)


def test_the_hint_of_a_run_of_another_place_leads_to_where_it_is(provisioned: Any) -> None:
    refused = provisioned("apply", "spec.yaml", env={"FLOWLEDGER_SANDBOX": "dev"})
    assert "give the spec a name of its own" in refused.err
    assert "FLOWLEDGER_ORG_ID=LOCAL@AdobeOrg, FLOWLEDGER_SANDBOX=prod" in refused.err
    assert provisioned("apply", "spec.yaml", env={"FLOWLEDGER_SANDBOX": "prod"}).code == 0
    provisioned.spec((r"^name: .*$", "name: of-dev"), name="of-dev.yaml")
    assert provisioned("apply", "of-dev.yaml", env={"FLOWLEDGER_SANDBOX": "dev"}).code == 0


def test_without_an_organisation_a_finished_run_answers_without_credentials(provisioned: Any) -> None:
    none = {name: "" for name in provisioned.env if name.startswith("FLOWLEDGER_") and name != "FLOWLEDGER_JOURNAL"}
    for verb in (("apply", "spec.yaml"), ("resume", "paypal-products"), ("plan", "spec.yaml")):
        assert provisioned(*verb, env=none).code == 0


def test_an_emulator_on_another_port_is_the_same_platform(provisioned: Any) -> None:
    other = {"FLOWLEDGER_BASE_URL": "http://localhost:9", "FLOWLEDGER_IMS_URL": ""}
    assert provisioned("apply", "spec.yaml", env=other).code == 0
    assert provisioned("apply", "spec.yaml", "--local", env={"FLOWLEDGER_ORG_ID": "other@AdobeOrg"}).code == 0


def test_a_finished_run_of_adobe_is_not_that_of_a_local_emulator(program: Any) -> None:
    assert program("apply", program.spec(), "--local", "-q").code == 0
    there = {"FLOWLEDGER_ORG_ID": "1234@AdobeOrg", "FLOWLEDGER_CLIENT_ID": "a", "FLOWLEDGER_CLIENT_SECRET": "b" * 12}
    refused = program("apply", "spec.yaml", env=there)
    assert (refused.code, "at https://platform.adobe.io" in refused.err) == (2, True)
    assert "add --local" in refused.err
    assert program("apply", "spec.yaml", "--local", env=there).code == 0
    assert program("apply", "spec.yaml", "--local", env=there | {"FLOWLEDGER_SANDBOX": "dev"}).code == 2
