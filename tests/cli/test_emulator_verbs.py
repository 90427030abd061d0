"""The emulator's verbs, on a running emulator."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.engine.table import TABLES
from tests.program import credentials

MAKING = [row.step.name for row in TABLES["tutorial"].rows if row.step.kind]


def test_start_keeps_its_state_over_a_restart(program: Any) -> None:
    for _ in range(2):
        process = program.start("emulator", "start", "--port", "0", "--state", "kept", "--tenant", "acme")
        url = process.stdout.readline().removeprefix("Ready. ").strip()
        program.env |= credentials(url)
        ran = program("apply", program.spec(), "--json")
        process.terminate()
        process.communicate(timeout=30)
        assert ran.code == 0, ran.err
    ids = [resource["id"] for resource in ran.json["resources"]]
    assert any("/acme/" in id for id in ids)


def test_a_second_emulator_on_one_state_is_refused(program: Any) -> None:
    first = program.start("emulator", "start", "--port", "0", "--state", "kept")
    first.stdout.readline()
    second = program("emulator", "start", "--port", "0", "--state", "kept")
    first.terminate()
    first.communicate(timeout=30)
    assert second.code == 6
    assert "another" in second.err


def test_a_place_that_can_keep_no_state_is_refused(program: Any) -> None:
    (program.folder / "emulator").write_text("a file")
    for line in (("emulator", "start", "--port", "0", "--state", "emulator"), ("apply", program.spec(), "--local")):
        ran = program(*line)
        assert ran.code == 2, ran.err
        assert "cannot keep its state" in ran.err


def test_a_taken_port_is_told(program: Any, emulator: Any) -> None:
    port = emulator.url.rpartition(":")[2]
    ran = program("emulator", "start", "--port", port)
    assert ran.code == 2
    assert port in ran.err
    assert "--port" in ran.err


def test_faults_are_added_listed_and_cleared(connected: Any) -> None:
    added = connected(
        "emulator",
        "faults",
        "add",
        "answer",
        "POST /connections",
        "--status",
        "429",
        "--retry-after",
        "1",
        "--times",
        "2",
    )
    assert added.out == "Added fault 1.\n", added.err
    assert connected("emulator", "faults", "add", "latency", "--ms", "1").out == "Set latency to 1 ms.\n"
    listed = connected("emulator", "faults", "list").out
    assert "429" in listed
    assert "POST /connections" in listed
    assert "1 ms longer" in listed
    document = connected("emulator", "faults", "list", "--json").json
    assert (document["schema_version"], document["faults"][0]["times"]) == (1, 2)
    assert connected("emulator", "faults", "clear", "7").code == 5
    assert connected("emulator", "faults", "clear").code == 0
    assert connected("emulator", "faults", "list").out == "No faults.\n"


def test_a_fault_that_cannot_be_meant_is_refused(connected: Any) -> None:
    for arguments in (("explode", "* *"), ("drop",), ("drop", "* *", "--step", "create_flow"), ("latency",)):
        ran = connected("emulator", "faults", "add", *arguments)
        assert ran.code == 2, arguments
        assert "next: " in ran.err
    ran = connected("emulator", "faults", "add", "drop", "--step", "read_tenant")
    assert "create_dataset" in ran.err


@pytest.mark.parametrize("step", MAKING)
def test_a_fault_by_step_strikes_that_step_and_no_other(connected: Any, emulator: Any, step: str) -> None:
    added = connected("emulator", "faults", "add", "drop", "--step", step, "--after")
    assert added.code == 0, added.err
    ran = connected("apply", connected.spec(), "--json")
    assert ran.code == 0, ran.err
    hows = {resource["step"]: resource["how"] for resource in ran.json["resources"]}
    assert hows == {**dict.fromkeys(MAKING, "created"), step: "adopted"}
    counts = emulator.counts
    assert counts == {**dict.fromkeys(counts, 1), "connections": 2, "schemas": 2}


def test_reset_empties_a_running_emulator(provisioned: Any, emulator: Any) -> None:
    ran = provisioned("emulator", "reset", "--yes")
    assert ran.code == 0, ran.err
    assert set(emulator.counts.values()) == {0}


def test_control_verbs_talk_to_emulators_only(program: Any) -> None:
    for url in ("https://platform.adobe.io", "http://example.com", "http://127.0.0.1.example.com"):
        ran = program("emulator", "reset", "--yes", "--url", url)
        assert ran.code == 2, url
        assert "loopback" in ran.err
    assert program("emulator", "faults", "list").code == 5
    assert program("emulator", "faults", "list", "--url", "http://127.0.0.1:1").code == 75


def test_every_choice_of_the_emulator_can_be_made(program: Any) -> None:
    from flowledger.cli.emulator import further_options
    from flowledger.emulator.options import Options

    chosen = further_options(["strict_sandbox=true", "page_size=7", "flow_fails=out of luck"])
    options = Options(**chosen)
    assert (options.strict_sandbox, options.page_size, options.flow_fails) == (True, 7, "out of luck")
    for text in ("strict_sandbox=maybe", "page_size=many", "nonsense=1", "page_size", "tenant=x", "client_secret=x"):
        ran = program("emulator", "start", "--option", text)
        assert ran.code == 2, text
        assert "next: " in ran.err


def test_a_flow_that_ends_as_failed_is_told_with_its_reason(program: Any) -> None:
    process = program.start("emulator", "start", "--port", "0", "--option", "flow_fails=out of luck")
    url = process.stdout.readline().removeprefix("Ready. ").strip()
    program.env |= credentials(url)
    ran = program("apply", program.spec())
    explained = program("explain", "paypal-products")
    process.terminate()
    process.communicate(timeout=30)
    assert ran.code == 1, ran.err
    assert "out of luck" in ran.err
    assert "Step: await_flow" in explained.out
    assert "out of luck" in explained.out
