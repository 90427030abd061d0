"""Another project's tests get the platform as a fixture."""

from __future__ import annotations

import pytest

from tests.bench import EXAMPLE

pytest_plugins = ["pytester"]

THEIRS = """
import asyncio
import urllib.request
import pytest
import flowledger

SPEC = {spec!r}

def test_a_dataflow_is_provisioned_in_a_plain_test(flowledger_env, tmp_path):
    report = flowledger.apply_sync(SPEC, journal=tmp_path / "journal")
    assert report.state == "provisioned"
    assert flowledger_env.count("flows") == 1
    assert flowledger_env.objects("flows")[0]["name"].startswith("paypal-products")
    flowledger_env.objects("flows")[0]["scheduleParams"]["interval"] = 99  # a copy, at every depth
    assert flowledger_env.objects("flows")[0]["scheduleParams"]["interval"] != 99
    assert any(call["path"].endswith("/flows") for call in flowledger_env.requests())

async def in_a_loop(emulator, tmp_path):
    platform = flowledger.platform_from_env(emulator.env)
    try:
        return await flowledger.apply(SPEC, journal=tmp_path / "journal", platform=platform)
    finally:
        await platform.close()

def test_a_call_can_go_wrong(flowledger_emulator, tmp_path):
    flowledger_emulator.fault("drop", "POST /flows", when="after")
    report = asyncio.run(in_a_loop(flowledger_emulator, tmp_path))
    assert {{one.step: str(one.how) for one in report.resources}}["create_flow"] == "adopted"
    assert flowledger_emulator.count("flows") == 1

def test_every_test_begins_empty_and_reset_empties(flowledger_env, tmp_path):
    assert flowledger_env.count("flows") == 0
    flowledger.apply_sync(SPEC, journal=tmp_path / "journal")
    flowledger_env.reset()
    assert flowledger_env.count("flows") == 0

@pytest.mark.flowledger_emulator(tenant="acme", sandboxes=("stage",))
def test_its_options_can_be_chosen(flowledger_env, tmp_path):
    flowledger.apply_sync(SPEC, journal=tmp_path / "journal")
    assert "/acme/" in flowledger_env.objects("classes")[0]["$id"]
    assert flowledger_env.env["FLOWLEDGER_SANDBOX"] == "stage"

@pytest.mark.flowledger_emulator(tenent="acme")
def test_an_option_that_there_is_not(flowledger_emulator):
    pass
"""


def test_a_project_of_somebody_else_uses_the_fixtures(pytester: pytest.Pytester) -> None:
    pytester.makeconftest('pytest_plugins = ["flowledger.emulator.pytest_plugin"]')
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(THEIRS.format(spec=str(EXAMPLE)))
    ran = pytester.runpytest_subprocess("-q", "--strict-markers", "-p", "no:cacheprovider", "-W", "error")
    ran.assert_outcomes(passed=4, errors=1)
    ran.stdout.fnmatch_lines(["*unexpected keyword argument 'tenent'*"])
