"""`doctor` looks at everything a run needs, says what to do, and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest


def checks_of(ran: Any) -> dict[str, tuple[str, str]]:
    return {check["check"]: (check["health"], check["found"]) for check in ran.json["checks"]}


def test_everything_is_well_and_nothing_was_made(connected: Any, emulator: Any) -> None:
    ran = connected("doctor", "--json")
    checks = checks_of(ran)
    assert (ran.code, ran.json["healthy"]) == (0, True)
    assert {health for health, _ in checks.values()} == {"ok"}
    assert [*checks] == [
        "journal", "credentials", "token", "clock", "sandbox",
        "schema registry", "catalog", "flow service", "conversion",
    ]  # fmt: skip
    assert not any(emulator.counts.values())
    assert not connected.journal.exists()


def test_without_credentials_it_says_which_are_missing_and_looks_no_further(program: Any) -> None:
    ran = program("doctor")
    assert ran.code == 4
    assert "FAILED   credentials: credentials are missing: FLOWLEDGER_CLIENT_ID" in ran.out
    assert "-        token: no credentials to ask with" in ran.out


def test_a_wrong_secret_is_told_from_a_platform_that_is_away(connected: Any) -> None:
    wrong = connected("doctor", "--json", env={"FLOWLEDGER_CLIENT_SECRET": "not-it"})
    away = connected("doctor", "--json", env={"FLOWLEDGER_BASE_URL": "http://127.0.0.1:1"})
    assert (wrong.code, away.code) == (4, 75)
    assert checks_of(wrong)["token"][0] == checks_of(away)["token"][0] == "failed"
    assert "not-it" not in wrong.out + wrong.err


def test_a_sandbox_that_is_not_there_is_named_with_those_that_are(connected: Any) -> None:
    ran = connected("doctor", "--json", env={"FLOWLEDGER_SANDBOX": "elsewhere"})
    assert ran.code == 5
    assert "there are: prod, dev" in checks_of(ran)["sandbox"][1]


def test_a_permission_that_is_missing_is_named_by_its_api(connected: Any, emulator: Any) -> None:
    emulator.fault("GET /dataSets", "answer", status=403, shape="gateway")
    ran = connected("doctor", "--json")
    (failed,) = [check for check in ran.json["checks"] if check["health"] == "failed"]
    assert ran.code == 4
    assert failed["check"] == "catalog"
    assert "request id" in failed["found"]
    assert "product profile" in failed["next"]


def test_a_journal_with_unfinished_runs_is_healthy_with_a_warning(connected: Any, emulator: Any) -> None:
    emulator.fault("POST /flows", "drop", when="before")
    assert connected("apply", connected.spec((r"attempts: 6", "attempts: 1"), (r"^settle: 1s", QUICK))).code == 75
    ran = connected("doctor", "--offline", "--json")
    assert ran.code == 0
    assert checks_of(ran)["runs"] == ("warning", "unfinished: paypal-products")
    assert "token" not in checks_of(ran)


def test_a_destroy_that_was_not_finished_is_a_warning_that_names_destroy(provisioned: Any, emulator: Any) -> None:
    emulator.fault("DELETE /dataSets/{id}", "answer", status=403, shape="gateway")
    assert provisioned("destroy", "paypal-products", "--yes").code == 4
    ran = provisioned("doctor", "--offline", "--json")
    assert ran.code == 0
    [runs] = [check for check in ran.json["checks"] if check["check"] == "runs"]
    assert (runs["found"], runs["next"]) == ("unfinished: paypal-products", "flowledger destroy paypal-products")


def test_a_folder_that_was_made_ready_is_no_failure(program: Any) -> None:
    program.journal.mkdir(parents=True)
    ran = program("doctor", "--offline", "--json")
    assert ran.code == 0
    assert checks_of(ran)["journal"][1].startswith("none yet")


QUICK = "settle: {window: 200ms, send_within: 300ms}"


def test_a_damaged_journal_is_a_failure_and_stays_as_it_was(provisioned: Any) -> None:
    (segment,) = provisioned.journal.glob("*.jsonl")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    ran = provisioned("doctor", "--offline", "--json")
    assert ran.code == 9
    assert "damaged" in checks_of(ran)["journal"][1]
    assert segment.read_bytes() == data


@pytest.mark.parametrize("ahead", [120, -7200])
def test_a_clock_that_is_wrong_is_a_warning(ahead: float) -> None:
    from email.utils import formatdate

    from flowledger.engine import doctor
    from flowledger.steps.client.port import Answer, Reach

    answer = Answer(reach=Reach.ANSWERED, status=200, headers={"date": formatdate(1_000_000, usegmt=True)})
    check = doctor._clock(answer, 1_000_000 + ahead)
    assert check is not None
    assert (check.health, check.found.split()[0]) == ("warning", str(abs(ahead)))


def test_of_a_spec_it_looks_at_faults_secrets_and_source(connected: Any, emulator: Any) -> None:
    ran = connected("doctor", connected.spec(), "--json")
    checks = checks_of(ran)
    assert ran.code == 0
    assert checks["spec"] == ("ok", "paypal-products: PayPal.Catalog_Products of paypal")
    assert checks["secrets"] == ("ok", "1 can be read")
    assert checks["source"][0] == "ok"
    assert "is offered" in checks["source"][1]
    assert not any(emulator.counts.values())


def test_a_secret_that_cannot_be_read_is_named_before_a_run_begins(connected: Any) -> None:
    spec = connected.spec()
    (connected.folder / "secrets" / "paypal-client-secret").unlink()
    ran = connected("doctor", spec, "--json")
    assert ran.code == 4
    health, found = checks_of(ran)["secrets"]
    assert health == "failed"
    assert "paypal-client-secret cannot be read" in found


def test_a_spec_with_faults_names_the_first_and_the_command_that_shows_all(connected: Any) -> None:
    spec = connected.spec(("kind: paypal", "kind: paypall"), ("interval: 30", "interval: -1"))
    ran = connected("doctor", spec)
    assert ran.code == 3
    assert "did you mean 'paypal'? (and 1 more)" in ran.out
    assert "next: flowledger validate spec.yaml" in ran.out
    assert connected("validate", spec).code == 3


def test_a_source_that_the_platform_does_not_offer_is_told(connected: Any, emulator: Any) -> None:
    emulator.fault("GET /connectionSpecs/{id}", "answer", status=404, shape="service")
    ran = connected("doctor", connected.spec(), "--json")
    assert ran.code == 5
    assert checks_of(ran)["source"][0] == "failed"


def test_once_the_run_has_a_base_connection_its_table_is_looked_at(provisioned: Any) -> None:
    ran = provisioned("doctor", "spec.yaml", "--json")
    assert ran.code == 0
    assert "has 5 columns" in checks_of(ran)["source"][1]
    provisioned.spec(("Product_Name", "Product_Nam"))
    ran = provisioned("doctor", "spec.yaml", "--json")
    assert ran.code == 3
    assert "'Product_Nam' is not in PayPal.Catalog_Products" in checks_of(ran)["source"][1]


def test_with_local_it_looks_at_the_emulator_beside_the_journal_and_makes_none(program: Any) -> None:
    spec = program.spec()
    ran = program("doctor", spec, "--local", "--json")
    assert ran.code == 0
    assert "none yet" in checks_of(ran)["emulator"][1]
    assert [path.name for path in program.folder.iterdir() if path.is_dir()] == ["secrets"]
    assert program("apply", spec, "--local").code == 0
    ran = program("doctor", spec, "--local", "--json")
    assert (ran.code, ran.json["healthy"]) == (0, True)
    assert "has 5 columns" in checks_of(ran)["source"][1]


def test_the_hint_for_missing_credentials_works_as_it_stands(program: Any) -> None:
    assert "add --local" in program("doctor").out
    assert program("doctor", "--local").code == 0


def test_a_run_of_another_place_is_not_looked_for_here(provisioned: Any) -> None:
    ran = provisioned("doctor", "spec.yaml", "--json", env={"FLOWLEDGER_SANDBOX": "dev"})
    health, found = checks_of(ran)["run"]
    assert (ran.code, health) == (2, "failed")
    assert "belongs to sandbox prod" in found


def test_the_name_of_a_destroyed_run_is_taken(provisioned: Any) -> None:
    assert provisioned("destroy", "paypal-products", "--yes", "-q").code == 0
    ran = provisioned("doctor", "spec.yaml", "--json")
    assert (ran.code, checks_of(ran)["run"][0]) == (2, "failed")


def test_a_secret_in_quotes_is_warned_of_before_it_is_sent(connected: Any) -> None:
    spec = connected.spec((r"clientSecret: \{file: [^}]*\}", "clientSecret: {env: THE_SECRET}"))
    ran = connected("doctor", spec, "--json", "--offline", env={"THE_SECRET": '"hunter2hunter2"'})
    health, found = checks_of(ran)["secrets"]
    assert (ran.code, health) == (0, "warning")
    assert "THE_SECRET" in found
    assert "hunter2" not in ran.out + ran.err
