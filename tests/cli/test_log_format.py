"""With `--log-format json` every line on stderr is a JSON object that says which run and step it is about."""

from __future__ import annotations

import json
from typing import Any

import pytest


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_progress_is_json_lines_with_run_and_step_bound(connected: Any) -> None:
    ran = connected("apply", connected.spec(), "--log-format", "json")
    lines = lines_of(ran.err)
    assert ran.code == 0
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    steps = [line for line in lines if line["event"] == "step done"]
    assert {line["run"] for line in steps} == {"paypal-products"}
    assert len({line["step"] for line in steps}) == 15
    assert {"how", "id", "seconds"} <= steps[0].keys()
    assert lines[-1] == {**lines[-1], "event": "run ended", "state": "provisioned", "exit_code": 0}


def test_the_environment_chooses_the_form_and_a_flag_outranks_it(connected: Any) -> None:
    env = {"FLOWLEDGER_LOG_FORMAT": "json"}
    assert lines_of(connected("apply", "nowhere.yaml", env=env).err)[-1]["error"] == "SpecError"
    assert connected("apply", "nowhere.yaml", "--log-format", "text", env=env).err.startswith("error:")


def test_an_error_is_one_line_with_what_a_program_needs(connected: Any) -> None:
    ran = connected("resume", "nobody", "--log-format", "json")
    (line,) = lines_of(ran.err)
    assert ran.code == 5
    assert (line["error"], line["exit_code"], line["level"]) == ("NotThere", 5, "error")
    assert line["hint"]


def test_debug_puts_the_traceback_into_the_line(connected: Any) -> None:
    (line,) = lines_of(connected("resume", "nobody", "--log-format", "json", "--debug").err)
    assert "Traceback" in line["traceback"]


def test_quiet_leaves_errors_only(connected: Any) -> None:
    assert connected("apply", connected.spec(), "--log-format", "json", "-q").err == ""


@pytest.mark.parametrize("word", ["yaml", ""])
def test_another_form_is_refused(connected: Any, word: str) -> None:
    assert connected("runs", "--log-format", word).code == 2
