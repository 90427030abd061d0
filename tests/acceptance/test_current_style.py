"""`style: current`, as a user meets it: provisioned, killed at any create, resumed, and unchanged afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.bench import MADE_ONCE_IN

RUN = "paypal-products-current"
MADE_ONCE = MADE_ONCE_IN["current"]
CREATES = [
    "/connections", "/sourceConnections", "/tenant/fieldgroups", "/tenant/schemas", "/dataSets", "/targetConnections",
    "/mappingSets", "/flows",
]  # fmt: skip


def test_the_example_is_planned_and_provisioned_once_and_the_second_time_has_nothing_to_do(
    console: Any, platform: Any, current_example: str
) -> None:
    planned = console.json("plan", current_example)
    assert (planned["style"], planned["effects"]) == ("current", len(CREATES))

    first = console.run("apply", current_example)
    assert first.returncode == 0, first.stderr
    assert platform.counts() == MADE_ONCE
    calls = platform.calls

    second = console.run("apply", current_example)
    assert second.returncode == 0, second.stderr
    assert "nothing to do" in second.stdout.lower()
    assert platform.calls == calls


def killed_and_resumed(console: Any, platform: Any, example: str, path: str) -> None:
    """Kill an apply once the platform has made what `path` creates, and resume it."""
    assert console.kill_when(path, "", "apply", example) == -9
    assert "of 12 steps are done" in console.json("explain", RUN)["known"][0]
    resumed = console.run("resume", RUN)
    assert resumed.returncode == 0, resumed.stderr
    assert platform.counts() == MADE_ONCE
    assert console.json("status", RUN)["state"] == "provisioned"
    adopted = [one["kind"] for one in console.json("status", RUN)["resources"] if one["how"] == "adopted"]
    assert path.rpartition("/")[2] in adopted


def test_killed_after_its_source_connection_was_made_it_is_resumed_and_shows_no_drift(
    console: Any, platform: Any, current_example: str
) -> None:
    killed_and_resumed(console, platform, current_example, "/sourceConnections")
    drift = console.run("drift", RUN)
    assert drift.returncode == 0, drift.stdout + drift.stderr


@pytest.mark.long
@pytest.mark.parametrize("path", [path for path in CREATES if path != "/sourceConnections"])
def test_killed_after_any_create_it_is_resumed_to_exactly_one_of_everything(
    console: Any, platform: Any, current_example: str, path: str
) -> None:
    killed_and_resumed(console, platform, current_example, path)


def test_another_style_for_a_run_that_has_begun_is_a_changed_spec(
    console: Any, platform: Any, current_example: str, tmp_path: Path
) -> None:
    assert console.run("apply", current_example).returncode == 0
    changed = tmp_path / "changed.yaml"
    changed.write_text(Path(current_example).read_text().replace("style: current", "style: tutorial"))
    calls = platform.calls

    refused = console.run("apply", str(changed))
    assert refused.returncode == 3
    assert "style" in refused.stderr
    assert platform.calls == calls
