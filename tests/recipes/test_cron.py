"""The crontab's line, run as cron runs it: /bin/sh, hardly any environment, mail only if something is printed."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def tick(farm: Any) -> Any:
    """Run the crontab's job once, as cron would."""
    lines = [line for line in farm.unpack("cron.md")["crontab"].splitlines() if line]
    settings = dict(line.split("=", 1) for line in lines[:-1])
    command = lines[-1].split(maxsplit=5)[5]
    env = {"HOME": str(farm.folder), "LOGNAME": "flowledger", "SHELL": "/bin/sh", **settings}
    return lambda: farm.run("/bin/sh", "-c", command, env=env)


@pytest.mark.long
def test_a_call_that_was_lost_is_mended_by_the_next_start_and_nobody_is_mailed(farm: Any, tick: Any) -> None:
    farm.lose_one_call()
    for _ in range(3):
        ran = tick()
        assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert farm.has_exactly_one_of_everything()
    assert '"state": "provisioned"' in (farm.folder / "report.json").read_text()


def test_a_fault_of_the_spec_is_mailed_with_what_to_type_next(farm: Any, tick: Any) -> None:
    spec = farm.folder / "dataflow.yaml"
    spec.write_text(spec.read_text().replace("kind: paypal", "kind: paypall"))
    ran = tick()
    assert ran.code == 3
    assert "flowledger ended with 3" in ran.out
    assert '"error":"SpecError"' in ran.out


def test_an_unreachable_platform_is_tried_again_later_and_nobody_is_mailed(farm: Any, tick: Any) -> None:
    farm.ask("POST", "faults", {"route": "POST /ims/token/v3", "kind": "drop", "when": "before", "times": 99})
    spec = farm.folder / "dataflow.yaml"
    spec.write_text(spec.read_text().replace("deadline: 8s", "deadline: 1s"))
    ran = tick()
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    farm.ask("DELETE", "faults")
    assert tick().code == 0
    assert farm.has_exactly_one_of_everything()
