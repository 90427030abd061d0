"""Settings that are no URL, in quotes or from a file of Windows are refused in words, whatever verb meets them."""

from __future__ import annotations

from typing import Any

import pytest

VERBS = (
    ("apply", "spec.yaml"),
    ("apply", "spec.yaml", "second.yaml"),
    ("apply", "spec.yaml", "--dry-run"),
    ("plan", "spec.yaml"),
    ("resume", "paypal-products"),
    ("drift", "paypal-products"),
    ("destroy", "paypal-products", "--yes"),
    ("watch", "paypal-products", "--until", "1s"),
    ("doctor", "spec.yaml"),
)
NO_URLS = ("http://[::1", "https://[fe80::1%eth0/", "http://127.0.0.1:port")


@pytest.mark.parametrize("url", NO_URLS)
@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_platform_that_is_no_url_is_refused_by_its_name(provisioned: Any, verb: tuple[str, ...], url: str) -> None:
    provisioned.spec((r"^name: .*$", "name: second"), name="second.yaml")
    ran = provisioned(*verb, env={"FLOWLEDGER_BASE_URL": url})
    assert ran.code == 4, (ran.out, ran.err)
    assert "FLOWLEDGER_BASE_URL is not a base URL" in ran.out + ran.err


@pytest.mark.parametrize("url", NO_URLS)
def test_a_spec_is_judged_wherever_the_platform_is(program: Any, url: str) -> None:
    assert program("validate", program.spec(), env={"FLOWLEDGER_BASE_URL": url}).code == 0


@pytest.mark.parametrize(
    "url", [*NO_URLS, "http://127.0.0.1:99999", "http://user:word@127.0.0.1:1", "http://127.0.0.1/?x"]
)
@pytest.mark.parametrize("verb", [("reset", "--yes"), ("faults", "list"), ("logs",), ("status",), ("advance", "1m")])
def test_an_emulator_that_is_no_url_is_refused(program: Any, verb: tuple[str, ...], url: str) -> None:
    ran = program("emulator", *verb, "--url", url)
    assert ran.code == 2, ran.err
    assert "next: --url http://127.0.0.1:8480" in ran.err
    assert "word@" not in ran.err


def test_where_nothing_listens_the_emulator_is_to_be_started_at_that_port(program: Any) -> None:
    ran = program("emulator", "faults", "list", "--url", "http://127.0.0.1:1")
    assert ran.code == 75
    assert "next: flowledger emulator start -d --port 1," in ran.err


@pytest.mark.parametrize("name", ["FLOWLEDGER_KINDS", "FLOWLEDGER_PROFILE", "FLOWLEDGER_CONFIG"])
def test_a_setting_of_this_machine_in_quotes_is_refused_by_its_name(program: Any, name: str) -> None:
    ran = program("init", "--list", env={name: "'x'"})
    assert ran.code in (2, 3)
    assert f"{name} has quotes around its value" in ran.err


def test_a_journal_whose_name_has_a_line_break_begins_no_second_one(connected: Any, emulator: Any) -> None:
    ran = connected("apply", connected.spec(), env={"FLOWLEDGER_JOURNAL": f"{connected.journal}\r"})
    assert ran.code == 2, ran.err
    assert "CR at the end of each line" in ran.err
    assert not any(emulator.counts.values())


def test_a_file_is_no_journal_and_nothing_is_to_be_begun_in_its_place(provisioned: Any) -> None:
    for verb in (
        ("status", "paypal-products"),
        ("journal", "verify"),
        ("resume", "--all"),
        ("drift", "paypal-products"),
    ):
        ran = provisioned(*verb, env={"FLOWLEDGER_JOURNAL": "spec.yaml"})
        assert ran.code == 5, (verb, ran.err)
        assert "which is no folder" in ran.err
        assert "begins it" not in ran.err
